/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_tcp — tcp/find: the flow table of TCP: a burst of segments of flows in random order finds its connections, whose first line
 * is read in doing so; against librte_hash with its own default hash on the same keys and no entries beside them.
 *
 * tcp/request: a client's segment with one or more requests of 40 bytes comes in, an application reads them and writes 60 bytes
 * for each, and a segment with the answers leaves, which acknowledges; the client's segment acknowledges the answers before it. Both
 * have timestamps, as those of Linux. Connections take turns in random order, 32 in a burst. tcp/open: a connection is opened and
 * closed by its client, without a request: four segments in, two out. What it costs to make and parse the client's
 * segments is the reference, and goes off.
 *
 * tcp/kernel: the same request and answer by this machine's own TCP, both ends on its loopback and in this thread.
 */
#include "base/csum.h"
#include "net/parse.h"
#include "shim.h"
#include "tcp/tcb.h"

#include <rte_hash.h>
#include <rte_ip.h>
#include <rte_mempool.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 8192u

struct tcp_bench {
	struct tcp_flow *flow;
	struct rte_hash *hash;
	struct tcb *tcbs;
	struct tcp_tuple *asked; /* in the order they are asked for */
	uint32_t *idx;           /* of tcbs, for each */
	uint32_t n, at;
};

static void down(void *ctx)
{
	struct tcp_bench *x = ctx;

	tcp_flow_destroy(&x->flow);
	rte_hash_free(x->hash);
	free(x->tcbs);
	free(x->asked);
	free(x->idx);
	free(x);
}

static bool fill(struct tcp_bench *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const uint32_t ip = rte_cpu_to_be_32(0x0a000000 + i / 8);
		struct tcp_tuple *tuple = &x->tcbs[i].tuple;

		memcpy(tuple->src, &ip, sizeof(ip));
		tuple->sport = rte_cpu_to_be_16((uint16_t)(20000 + i % 8 * 1237));
		tuple->dport = RTE_BE16(11211);
		tuple->family = 4;
		if (!tcp_flow_add(x->flow, TCP_FLOW_REF(TCP_KIND_TCB, i))
			|| rte_hash_add_key(x->hash, tuple) < 0)
			return false;
	}
	for (uint32_t i = 0; i < x->n; i++)
		x->asked[i] = x->tcbs[x->idx[i]].tuple;
	return true;
}

static void *up(const struct bench_case *c)
{
	struct tcp_flow_array arrays[TCP_N_KINDS] = {0};
	const struct rte_hash_parameters hp = {.name = "bench_tcp",
		.entries = c->size + BATCH,
		.key_len = sizeof(struct tcp_tuple),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
	struct tcp_bench *x = shim_alloc(sizeof(*x));

	x->n = c->size;
	x->tcbs = shim_alloc(x->n * sizeof(x->tcbs[0]));
	x->asked = shim_alloc(x->n * sizeof(x->asked[0]));
	x->idx = shim_shuffled(x->n);
	x->hash = rte_hash_create(&hp);
	arrays[TCP_KIND_TCB] =
		(struct tcp_flow_array){x->tcbs, sizeof(x->tcbs[0]), sizeof(x->tcbs[0])};
	if (x->hash == NULL || tcp_flow_create(&x->flow, x->n, arrays, SOCKET_ID_ANY) != 0
		|| !fill(x)) {
		down(x);
		return NULL;
	}
	return x;
}

/* The next burst, going round. */
static uint32_t next_burst(struct tcp_bench *x)
{
	const uint32_t at = x->at;

	x->at = at + 2 * SHIM_BURST > x->n ? 0 : at + SHIM_BURST;
	return at;
}

static unsigned find(void *ctx)
{
	struct tcp_bench *x = ctx;
	uint32_t hashes[SHIM_BURST], refs[SHIM_BURST];

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		tcp_flow_find_bulk(x->flow, &x->asked[at], SHIM_BURST, hashes, refs);
		for (unsigned k = 0; k < SHIM_BURST; k++)
			if (refs[k] != TCP_FLOW_REF(TCP_KIND_TCB, x->idx[at + k]))
				return 0;
	}
	return BATCH;
}

static unsigned find_ref(void *ctx)
{
	struct tcp_bench *x = ctx;
	const void *keys[SHIM_BURST];
	int32_t position[SHIM_BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		for (unsigned k = 0; k < SHIM_BURST; k++)
			keys[k] = &x->asked[at + k];
		if (rte_hash_lookup_bulk(x->hash, keys, SHIM_BURST, position) != 0)
			return 0;
		for (unsigned k = 0; k < SHIM_BURST; k++)
			n += position[k] >= 0;
	}
	return n;
}

/* --- requests --- */

#define REQUEST_BYTES 40u
#define ANSWER_BYTES 60u
#define FIRST_PORT 2000u
#define SERVER_PORT 11211u
#define N_OPENS 1024u /* connections that are opened and closed in a batch */
#define MSS_BYTES 4u
#define HEAD_BYTES (RTE_ETHER_HDR_LEN + 20u + 20u + TCP_WIRE_TS_BYTES)

struct client {
	uint32_t seq, ack; /* what it sends next, and waits for */
};

struct requests {
	struct tcp *t;
	struct rte_mempool *pool, *rx_pool; /* rx_pool: of a device, few and hot */
	struct iface_set ifaces;
	struct burst b;
	struct tcp_profile profile;
	struct client *clients;
	uint32_t *order;
	uint32_t n, at, depth, n_open;
	uint64_t now_us;
	uint8_t head[HEAD_BYTES];
};

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	struct requests *x = ctx;

	(void)p;
	return &x->profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	struct requests *x = ctx;

	(void)c;
	x->n_open++;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	static const uint8_t answer[ANSWER_BYTES];

	(void)ctx;
	for (unsigned i = 0; i < n; i++) {
		const uint32_t n_requests = tcp_unread(c[i]) / REQUEST_BYTES;
		const uint8_t *p;
		uint32_t len;

		for (uint32_t k = 0; k < n_requests; k++) {
			p = tcp_peek(c[i], &len);
			shim_use(p[0]);
			tcp_consume(c[i], REQUEST_BYTES);
			tcp_write(c[i], answer, ANSWER_BYTES);
		}
		if (tcp_is_eof(c[i]))
			tcp_close(c[i]);
	}
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct requests *x = ctx;

	(void)c;
	(void)why;
	x->n_open--;
}

/* The client acknowledges what it has been sent; a driver frees what it has sent. */
static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	struct requests *x = ctx;
	const struct rte_tcp_hdr *h = rte_pktmbuf_mtod_offset(
		m, const struct rte_tcp_hdr *, RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr));
	const uint32_t len = m->pkt_len - RTE_ETHER_HDR_LEN - 20 - (uint32_t)(h->data_off >> 4) * 4;

	(void)iface;
	(void)profile;
	x->clients[rte_be_to_cpu_16(h->dst_port) - FIRST_PORT].ack = rte_be_to_cpu_32(h->sent_seq)
		+ len + !!(h->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG));
	rte_pktmbuf_free(m);
}

static const struct tcp_ops tcp_ops = {on_syn, on_open, on_ready, on_close, on_output};

/* The headers of all segments, but for what differs. */
static void make_head(struct requests *x)
{
	const struct rte_ether_hdr eh = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0, 9}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	const struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 2)),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1))};
	const struct rte_tcp_hdr h = {.dst_port = RTE_BE16(SERVER_PORT),
		.data_off = (20 + TCP_WIRE_TS_BYTES) / 4 << 4,
		.rx_win = RTE_BE16(UINT16_MAX)};
	const struct tcp_opts o = {.has_ts = true};

	memcpy(x->head, &eh, sizeof(eh));
	memcpy(x->head + sizeof(eh), &ip, sizeof(ip));
	memcpy(x->head + sizeof(eh) + sizeof(ip), &h, sizeof(h));
	tcp_wire_build(x->head + sizeof(eh) + sizeof(ip) + sizeof(h), &o);
}

/* The option behind the others. */
static void put_mss(struct rte_tcp_hdr *h)
{
	static const uint8_t mss[MSS_BYTES] = {2, MSS_BYTES, 1460 >> 8, 1460 & 0xff};

	memcpy((uint8_t *)h + (h->data_off >> 4) * 4, mss, sizeof(mss));
	h->data_off += sizeof(mss) / 4 << 4;
}

/* Segments of these clients, as a device brings them and the parser reads them. */
static bool make_burst(
	struct requests *x, const uint32_t *who, unsigned n, uint8_t flags, uint32_t len)
{
	const rte_be32_t ts = rte_cpu_to_be_32((uint32_t)(x->now_us / 1000));

	if (rte_pktmbuf_alloc_bulk(x->rx_pool, x->b.m, n) != 0)
		return false;
	x->b.n = (uint16_t)n;
	for (unsigned i = 0; i < n; i++) {
		const struct client *c = &x->clients[who[i]];
		uint8_t *p = rte_pktmbuf_mtod(x->b.m[i], uint8_t *);
		struct rte_ipv4_hdr *ip = (void *)(p + RTE_ETHER_HDR_LEN);
		struct rte_tcp_hdr *h = (void *)(ip + 1);
		const uint32_t n_tcp = HEAD_BYTES - RTE_ETHER_HDR_LEN - 20 + len;

		memcpy(p, x->head, HEAD_BYTES);
		memset(p + HEAD_BYTES, 'r', len);
		x->b.m[i]->data_len = (uint16_t)(HEAD_BYTES + len);
		x->b.m[i]->pkt_len = HEAD_BYTES + len;
		ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + n_tcp));
		ip->hdr_checksum = csum_of(ip, sizeof(*ip));
		h->src_port = rte_cpu_to_be_16((uint16_t)(FIRST_PORT + who[i]));
		h->sent_seq = rte_cpu_to_be_32(c->seq);
		h->recv_ack = rte_cpu_to_be_32(c->ack);
		h->tcp_flags = flags;
		if (flags & RTE_TCP_SYN_FLAG)
			put_mss(h);
		memcpy((uint8_t *)(h + 1) + 4, &ts, sizeof(ts));
		h->cksum = csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, h, n_tcp);
	}
	parse_burst(&x->b, &x->ifaces.of[0].mac, 0);
	return true;
}

static bool give(struct requests *x, const uint32_t *who, unsigned n, uint8_t flags, uint32_t len)
{
	uint8_t sel[SHIM_BURST];

	if (!make_burst(x, who, n, flags, len))
		return false;
	for (unsigned i = 0; i < n; i++) {
		sel[i] = (uint8_t)i;
		x->clients[who[i]].seq +=
			flags & RTE_TCP_SYN_FLAG ? 1 : len + !!(flags & RTE_TCP_FIN_FLAG);
	}
	x->now_us += n;
	tcp_input(x->t, &x->b, sel, n, x->now_us);
	tcp_poll(x->t, x->now_us);
	return true;
}

static void requests_down(void *ctx)
{
	struct requests *x = ctx;

	tcp_destroy(&x->t);
	rte_mempool_free(x->pool);
	rte_mempool_free(x->rx_pool);
	free(x->clients);
	free(x->order);
	free(x);
}

static bool open_all(struct requests *x)
{
	for (uint32_t i = 0; i < x->n; i += SHIM_BURST) {
		const unsigned n = RTE_MIN(SHIM_BURST, x->n - i);

		if (!give(x, &x->order[i], n, RTE_TCP_SYN_FLAG, MSS_BYTES)
			|| !give(x, &x->order[i], n, RTE_TCP_ACK_FLAG, 0))
			return false;
	}
	return x->n_open == x->n;
}

/* The clients of the next burst, going round. */
static const uint32_t *next_clients(struct requests *x)
{
	const uint32_t *who = &x->order[x->at];

	x->at = x->at + 2 * SHIM_BURST > x->n ? 0 : x->at + SHIM_BURST;
	return who;
}

/* Each has asked before: there is an answer for what is measured to acknowledge, and a round-trip time. */
static bool ask_all(struct requests *x)
{
	for (uint32_t i = 0; i < 2 * x->n; i += SHIM_BURST)
		if (!give(x, next_clients(x), SHIM_BURST, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG,
			    x->depth * REQUEST_BYTES))
			return false;
	return true;
}

static void *requests_up(const struct bench_case *c)
{
	struct requests *x = shim_alloc(sizeof(*x));
	struct tcp_params p = {.n_conns = 16384,
		.n_syns = 4096,
		.n_time_waits = 4096,
		.n_bufs = 32767,
		.ifaces = &x->ifaces,
		.ops = &tcp_ops,
		.ctx = x,
		.secret = {1, 2, 3, 4},
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};

	x->n = c->size;
	x->depth = c->kind;
	x->now_us = p.now_us;
	x->clients = shim_alloc(x->n * sizeof(x->clients[0]));
	x->order = shim_shuffled(x->n);
	x->ifaces.n = 1;
	x->ifaces.of[0].mac = (struct rte_ether_addr){SHIM_MAC};
	x->ifaces.of[0].mtu_bytes = 1500;
	make_head(x);
	x->pool = rte_pktmbuf_pool_create("bench_tcp", p.n_bufs, 256, BURST_MBUF_PRIV,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	p.pool = x->pool;
	x->rx_pool = rte_pktmbuf_pool_create("bench_tcp_rx", 2 * SHIM_MBUFS - 1, 256,
		BURST_MBUF_PRIV, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (x->pool == NULL || x->rx_pool == NULL || tcp_create(&x->t, &p) != 0
		|| (x->depth > 0 && !(open_all(x) && ask_all(x)))) {
		requests_down(x);
		return NULL;
	}
	return x;
}

static unsigned request(void *ctx)
{
	struct requests *x = ctx;
	const uint32_t len = x->depth * REQUEST_BYTES;

	for (unsigned i = 0; i < BATCH / 4; i += SHIM_BURST * x->depth) {
		const uint32_t *who = next_clients(x);
		uint32_t acks[SHIM_BURST];

		for (unsigned k = 0; k < SHIM_BURST; k++)
			acks[k] = x->clients[who[k]].ack;
		if (!give(x, who, SHIM_BURST, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, len))
			return 0;
		for (unsigned k = 0; k < SHIM_BURST; k++)
			if (x->clients[who[k]].ack - acks[k] != x->depth * ANSWER_BYTES)
				return 0;
	}
	return BATCH / 4;
}

static unsigned request_ref(void *ctx)
{
	struct requests *x = ctx;

	for (unsigned i = 0; i < BATCH / 4; i += SHIM_BURST * x->depth) {
		if (!make_burst(x, next_clients(x), SHIM_BURST, RTE_TCP_ACK_FLAG,
			    x->depth * REQUEST_BYTES))
			return 0;
		rte_pktmbuf_free_bulk(x->b.m, SHIM_BURST);
	}
	return BATCH / 4;
}

static unsigned opens(void *ctx)
{
	struct requests *x = ctx;

	for (unsigned i = 0; i < N_OPENS; i += SHIM_BURST) {
		const uint32_t *who = next_clients(x);

		if (!give(x, who, SHIM_BURST, RTE_TCP_SYN_FLAG, MSS_BYTES)
			|| !give(x, who, SHIM_BURST, RTE_TCP_ACK_FLAG, 0) || x->n_open != SHIM_BURST
			|| !give(x, who, SHIM_BURST, RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG, 0)
			|| !give(x, who, SHIM_BURST, RTE_TCP_ACK_FLAG, 0) || x->n_open != 0)
			return 0;
	}
	return N_OPENS;
}

static unsigned opens_ref(void *ctx)
{
	struct requests *x = ctx;

	for (unsigned i = 0; i < N_OPENS; i += SHIM_BURST) {
		const uint32_t *who = next_clients(x);

		for (unsigned k = 0; k < 4; k++) {
			if (!make_burst(x, who, SHIM_BURST, RTE_TCP_ACK_FLAG, 0))
				return 0;
			rte_pktmbuf_free_bulk(x->b.m, SHIM_BURST);
		}
	}
	return N_OPENS;
}

/* --- the kernel --- */

struct kernel {
	int client, server;
};

static void kernel_down(void *ctx)
{
	struct kernel *x = ctx;

	close(x->client);
	close(x->server);
	free(x);
}

static void *kernel_up(const struct bench_case *c)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = rte_cpu_to_be_32(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	const int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct kernel *x = shim_alloc(sizeof(*x));

	(void)c;
	x->client = socket(AF_INET, SOCK_STREAM, 0);
	x->server = -1;
	if (bind(listener, (struct sockaddr *)&a, len) == 0 && listen(listener, 1) == 0
		&& getsockname(listener, (struct sockaddr *)&a, &len) == 0
		&& connect(x->client, (struct sockaddr *)&a, len) == 0)
		x->server = accept(listener, NULL, NULL);
	close(listener);
	if (x->server < 0) {
		kernel_down(x);
		return NULL;
	}
	return x;
}

static unsigned kernel_request(void *ctx)
{
	const struct kernel *x = ctx;
	char bytes[ANSWER_BYTES] = {0};

	for (unsigned i = 0; i < 64; i++)
		if (write(x->client, bytes, REQUEST_BYTES) != REQUEST_BYTES
			|| read(x->server, bytes, sizeof(bytes)) != REQUEST_BYTES
			|| write(x->server, bytes, ANSWER_BYTES) != ANSWER_BYTES
			|| read(x->client, bytes, sizeof(bytes)) != ANSWER_BYTES)
			return 0;
	return 64;
}

#define FIND(n, text) \
	{ \
		.name = "tcp/find/" text, .size = (n), .up = up, .run = find, .ref = find_ref, \
		.down = down, .reference = "rte_hash_lookup_bulk" \
	}
#define REQUESTS(what, n, deep, batch) \
	{ \
		.name = "tcp/" what, .size = (n), .kind = (deep), .up = requests_up, .run = batch, \
		.ref = batch##_ref, .down = requests_down, .is_net = true, \
		.reference = "segments made, parsed" \
	}

static const struct bench_case cases[] = {FIND(10000, "10k"), FIND(1000000, "1M"),
	REQUESTS("request/100", 100, 1, request), REQUESTS("request/10k", 10000, 1, request),
	REQUESTS("request16/10k", 10000, 16, request), REQUESTS("open", 10000, 0, opens),
	{.name = "tcp/kernel", .up = kernel_up, .run = kernel_request, .down = kernel_down}};
BENCH_SUBJECT(bench_tcp, cases);
