/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_path — the whole packet path: worker_poll() with the real pipeline over in-memory ports, flows in
 * random order, bursts of 32, one tick of the timers per batch (a batch is about a millisecond).
 *
 * The generator writes each packet from a template into one of 512 buffers, as a receive ring would cycle
 * through them, and takes it back from the transmit ring. The reference does the same with a loop that only
 * moves bursts from one port to the other: the difference is everything a worker does with a packet.
 */
#include "base/csum.h"
#include "world.h"

#include <rte_ethdev.h>
#include <rte_ip.h>

#define N_BURSTS 256u /* per batch */

#define N_PIECES 4u
#define PIECE_BYTES 24u

enum { OUT, BACK, NEW_FLOW, EMPTY_POLL, PIECES };

struct path {
	struct harness *h;
	struct world_stream out, back;
	struct world_stream *s; /* the one that is measured */
	unsigned mbuf_at;
	bool is_pieces;
	uint16_t datagram; /* identification */
};

/* Flows are opened once for all cases that need the same ones. */
static struct path path;
static struct {
	unsigned family, mode;
	uint32_t n;
} opened;

#define KIND(what, family, mode) ((what) << 16 | (mode) << 8 | (family))

static bool has_way_back(unsigned mode)
{
	return mode == WORLD_FULLNAT || mode == WORLD_DNAT || mode == WORLD_PROXY;
}

static bool open_flows(unsigned family, unsigned mode, uint32_t n, bool is_new)
{
	if (!is_new && opened.family == family && opened.mode == mode && opened.n == n)
		return true;
	world_stream_fini(&path.out);
	world_stream_fini(&path.back);
	world_clear(path.h);
	opened.n = 0;
	world_stream_init(&path.out, family, mode, n, is_new ? 0x02 : 0x10, 0);
	if (is_new)
		return true;
	opened.family = family;
	opened.mode = mode;
	opened.n = n;
	if (world_open(path.h, &path.out, has_way_back(mode) ? &path.back : NULL))
		return true;
	fprintf(stderr, "bench_path: a packet did not come through\n");
	opened.n = 0;
	return false;
}

static void *up(const struct bench_case *c)
{
	const unsigned what = c->kind >> 16, mode = c->kind >> 8 & 0xff, family = c->kind & 0xff;
	const uint32_t n = c->size != 0 ? c->size : bench_shape.n_flows;

	path.h = world_get(mode == WORLD_SHAPED);
	if (path.h == NULL)
		return NULL;
	path.s = what == BACK ? &path.back : &path.out;
	path.is_pieces = what == PIECES;
	if (what != EMPTY_POLL && !open_flows(family, mode, n, what == NEW_FLOW))
		return NULL;
	return &path;
}

static void down(void *ctx)
{
	(void)ctx;
}

/* One IPv4 datagram of the next flow: its first fragment, and later ones as short. */
static void emit_pieces(struct path *x, struct rte_mbuf **m)
{
	world_emit(x->s, m[0]);
	x->datagram++;
	for (unsigned i = 0; i < N_PIECES; i++) {
		const unsigned word =
			i * PIECE_BYTES / 8 + (i + 1 < N_PIECES ? RTE_IPV4_HDR_MF_FLAG : 0);
		struct rte_ipv4_hdr *ip;

		if (i > 0) {
			rte_pktmbuf_reset_headroom(m[i]);
			memcpy(rte_pktmbuf_mtod(m[i], void *), rte_pktmbuf_mtod(m[0], void *), 64);
		}
		ip = rte_pktmbuf_mtod_offset(m[i], struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
		ip->packet_id = x->datagram;
		ip->fragment_offset = rte_cpu_to_be_16((uint16_t)word);
		ip->total_length = RTE_BE16(sizeof(*ip) + PIECE_BYTES);
		ip->hdr_checksum = 0;
		ip->hdr_checksum = csum_of(ip, sizeof(*ip));
		m[i]->data_len = RTE_ETHER_HDR_LEN + sizeof(*ip) + PIECE_BYTES;
		m[i]->pkt_len = m[i]->data_len;
	}
}

static void feed(struct path *x)
{
	struct rte_mbuf **m = &shim_mbufs()[x->mbuf_at];

	for (unsigned i = 0; x->is_pieces && i < SHIM_BURST; i += N_PIECES)
		emit_pieces(x, &m[i]);
	for (unsigned i = 0; !x->is_pieces && i < SHIM_BURST; i++)
		world_emit(x->s, m[i]);
	rte_ring_enqueue_bulk(x->h->rx[x->s->in][0], (void **)m, SHIM_BURST, NULL);
	x->mbuf_at = (x->mbuf_at + SHIM_BURST) % SHIM_MBUFS;
}

static unsigned take(struct path *x)
{
	void *m[SHIM_BURST];

	return rte_ring_dequeue_burst(x->h->tx[x->s->out][0], m, SHIM_BURST, NULL);
}

static unsigned forward(void *ctx)
{
	struct path *x = ctx;
	struct worker *w = x->h->workers[0];
	unsigned n = 0;

	x->h->now_ms++;
	for (unsigned r = 0; r < N_BURSTS; r++) {
		feed(x);
		worker_poll(w, x->h->now_ms * 1000ull);
		n += take(x);
	}
	return n == N_BURSTS * SHIM_BURST ? n : 0;
}

static unsigned io_forward(void *ctx)
{
	struct path *x = ctx;
	const uint16_t in = x->h->ifaces.of[x->s->in].nics[0],
		       out = x->h->ifaces.of[x->s->out].nics[0];
	unsigned n = 0;

	for (unsigned r = 0; r < N_BURSTS; r++) {
		struct rte_mbuf *m[BURST_MAX];
		uint16_t n_rx;

		feed(x);
		n_rx = rte_eth_rx_burst(in, 0, m, BURST_MAX);
		rte_eth_tx_burst(out, 0, m, n_rx);
		n += take(x);
	}
	return n == N_BURSTS * SHIM_BURST ? n : 0;
}

/* Flows of the last batch end, so that those of the next are new and the table does not fill. */
static void end_flows(void *ctx)
{
	struct path *x = ctx;

	world_clear(x->h);
}

static unsigned poll_nothing(void *ctx)
{
	struct path *x = ctx;

	for (unsigned i = 0; i < N_BURSTS; i++)
		worker_poll(x->h->workers[0], x->h->now_ms * 1000ull);
	return N_BURSTS;
}

static unsigned poll_ports(void *ctx)
{
	struct path *x = ctx;
	struct rte_mbuf *m[BURST_MAX];

	for (unsigned i = 0; i < N_BURSTS; i++) {
		shim_use(rte_eth_rx_burst(x->h->ifaces.of[0].nics[0], 0, m, BURST_MAX));
		shim_use(rte_eth_rx_burst(x->h->ifaces.of[1].nics[0], 0, m, BURST_MAX));
	}
	return N_BURSTS;
}

#define FLOWS(text, what, family, mode, flows) \
	{ \
		.name = "path/" text, .size = (flows), .kind = KIND(what, family, mode), .up = up, \
		.run = forward, .ref = io_forward, .down = down, \
		.reference = "rx burst, tx burst", .is_net = true \
	}
#define BOTH(text, mode, ip, size, flows) \
	FLOWS(text "/out/ipv" #ip "/" size, OUT, ip, mode, flows), \
		FLOWS(text "/back/ipv" #ip "/" size, BACK, ip, mode, flows)
#define NAT(ip, size, flows) BOTH("full-nat", WORLD_FULLNAT, ip, size, flows)
#define TUNNEL(text, mode, ip, size, flows) FLOWS(text "/ipv" #ip "/" size, OUT, ip, mode, flows)
#define DSR(ip, size, flows) FLOWS("dsr-l2/ipv" #ip "/" size, OUT, ip, WORLD_DSR, flows)
#define NEW(text, ip, mode) \
	{ \
		.name = "path/new-flow/" text "/ipv" #ip, .size = 1000000, \
		.kind = KIND(NEW_FLOW, ip, mode), .up = up, .reset = end_flows, .run = forward, \
		.ref = io_forward, .down = down, .reference = "rx burst, tx burst", .is_net = true \
	}

static const struct bench_case cases[] = {
	{.name = "path/empty-poll",
		.kind = KIND(EMPTY_POLL, 4, WORLD_DSR),
		.up = up,
		.run = poll_nothing,
		.ref = poll_ports,
		.down = down,
		.reference = "rx burst of both ports",
		.is_net = true},
	DSR(4, "1k", 1000),
	FLOWS("dsr-l2/fragments/ipv4/1k", PIECES, 4, WORLD_DSR, 1000),
	DSR(4, "100k", 100000),
	DSR(4, "1M", 1000000),
	DSR(6, "1k", 1000),
	DSR(6, "100k", 100000),
	DSR(6, "1M", 1000000),
	TUNNEL("ipip", WORLD_IPIP, 4, "1k", 1000),
	TUNNEL("ipip", WORLD_IPIP, 4, "1M", 1000000),
	TUNNEL("ipip", WORLD_IPIP, 6, "1k", 1000),
	TUNNEL("ipip", WORLD_IPIP, 6, "1M", 1000000),
	TUNNEL("gue", WORLD_GUE, 4, "1k", 1000),
	TUNNEL("gue", WORLD_GUE, 6, "1k", 1000),
	NAT(4, "1k", 1000),
	FLOWS("full-nat/fragments/ipv4/1k", PIECES, 4, WORLD_FULLNAT, 1000),
	NAT(4, "100k", 100000),
	NAT(4, "1M", 1000000),
	NAT(6, "1k", 1000),
	NAT(6, "100k", 100000),
	NAT(6, "1M", 1000000),
	BOTH("full-nat-proxy", WORLD_PROXY, 4, "1k", 1000),
	BOTH("full-nat-proxy", WORLD_PROXY, 4, "1M", 1000000),
	BOTH("full-nat-proxy", WORLD_PROXY, 6, "1k", 1000),
	BOTH("dnat", WORLD_DNAT, 4, "1k", 1000),
	BOTH("dnat", WORLD_DNAT, 4, "1M", 1000000),
	BOTH("dnat", WORLD_DNAT, 6, "1k", 1000),
	NEW("dsr-l2", 4, WORLD_DSR),
	NEW("ipip", 4, WORLD_IPIP),
	NEW("full-nat", 4, WORLD_FULLNAT),
	NEW("dsr-l2", 6, WORLD_DSR),
	NEW("full-nat", 6, WORLD_FULLNAT),
};
/* Of as many flows as bench_shape has. */
static const struct bench_case shaped[] = {
	FLOWS("shaped/hit", OUT, 4, WORLD_SHAPED, 0),
	NEW("shaped", 4, WORLD_SHAPED),
};
BENCH_SUBJECT(bench_shaped, shaped);
BENCH_SUBJECT(bench_path, cases);
