/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_tcp — a TCP connection, and what any peer sends it while its application does something. An input is
 *
 *     setup:1 step…
 *
 * setup: 1 SACK, 2 timestamps, 4 window scale, 8 cookies, 16 no handshake. A step is a byte, modulo 8:
 *
 *     0…2  a segment   flags:1 seq:2 ack:2 window:2 payload:2 n:1 options:n    seq and ack: signed, from rcv_nxt and snd_una
 *     3    an ICMP error about a segment of ours   type:1 code:1 mtu:2 seq:2 length:2 quoted:1     seq: signed, from snd_una
 *     4    time goes on     ms:2
 *     5    the application writes     bytes:2
 *     6    it reads     bytes:2
 *     7    it does      what:1    0 close, 1 abort, 2 again, 3 wants room
 *
 * After each the stack's invariants hold, and in the end all buffers are back.
 */
#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "fuzz.h"
#include "net/parse.h"
#include "tcp/tcb.h"

#include <rte_ip.h>
#include <rte_mempool.h>

static struct rte_mempool *pool;
static struct iface_set ifaces;
static struct burst burst;
static struct rte_mbuf_ext_shared_info shared; /* of what is written by reference */
static const struct tcp_profile profile = {
	.rcv_max = 20000, .snd_max = 20000, .keepalive_ms = 5000};

static struct {
	struct tcp *t;
	struct tcb *c;
	uint32_t isn, rcv_nxt, snd_una, tsval; /* where the connection was last */
	unsigned n_open, n_close;
	uint64_t now_us;
	uint32_t blocked;
} x;

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return &profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	x.n_open++;
	x.c = c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	FUZZ_CHECK(n >= 1, "on_ready() without a connection");
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	x.n_close++;
	FUZZ_CHECK(x.n_close <= x.n_open, "closed more often than opened");
	if (x.c == c)
		x.c = NULL;
}

static void check_chain(const struct rte_mbuf *m)
{
	const struct iface *f = &ifaces.of[0];
	uint32_t len = 0, n = 0;

	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, n++)
		len += s->data_len;
	FUZZ_CHECK(len == m->pkt_len && n == m->nb_segs, "the chain is not what its head says");
	FUZZ_CHECK(n == 1 || f->takes_chains, "a chain where none is taken");
	FUZZ_CHECK(n <= 2u || (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG && n <= f->tso_mbufs),
		"too long a chain");
	FUZZ_CHECK((m->ol_flags != 0) == f->writes_csums, "who makes the checksum?");
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	const struct rte_tcp_hdr *h = (const void *)(ip + 1);
	const uint32_t n = m->pkt_len - RTE_ETHER_HDR_LEN - (uint32_t)sizeof(*ip);

	check_chain(m);
	if (m->ol_flags == 0)
		FUZZ_CHECK(csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, h, n) == 0,
			"the checksum is wrong");
	if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
		FUZZ_CHECK(m->pkt_len <= RTE_ETHER_HDR_LEN + 1500, "longer than the MTU");
	if (h->tcp_flags & RTE_TCP_SYN_FLAG) {
		struct tcp_opts o;

		x.isn = x.snd_una = rte_be_to_cpu_32(h->sent_seq);
		tcp_wire_parse(&o, h);
		x.tsval = o.tsval;
	}
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	fuzz_init();
	keyhash_init_seed(1);
	FUZZ_NEED(eal_start((*argv)[0], 64) == 0, "EAL");
	pool = rte_pktmbuf_pool_create("tcp", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	FUZZ_NEED(pool != NULL, "no pool");
	ifaces.n = 1;
	ifaces.of[0].mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 1}};
	ifaces.of[0].mtu_bytes = 1500;
	return 0;
}

static void after(void)
{
	FUZZ_CHECK(tcp_check(x.t), "an invariant does not hold");
	if (x.c != NULL) {
		x.rcv_nxt = x.c->rcv_nxt;
		x.snd_una = x.c->snd_una;
	}
}

/* Ethernet and IP header of the peer, n bytes of zeroes behind them: the burst. */
static struct rte_mbuf *frame(uint8_t proto, uint32_t n, uint8_t **l4)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *to;
	struct rte_ipv4_hdr *ip;

	FUZZ_CHECK(m != NULL, "the pool is empty");
	to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(RTE_ETHER_HDR_LEN + 20 + n));
	memset(to, 0, RTE_ETHER_HDR_LEN + 20 + n);
	memcpy(to, &ifaces.of[0].mac, 6);
	to[6] = 2;
	to[12] = 8;
	ip = (void *)(to + RTE_ETHER_HDR_LEN);
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + n)),
		.time_to_live = 9,
		.next_proto_id = proto,
		.src_addr = RTE_BE32(0x0a000002),
		.dst_addr = RTE_BE32(0x0a000001)};
	ip->hdr_checksum = csum_of(ip, 20);
	burst.n = 1;
	burst.m[0] = m;
	*l4 = to + RTE_ETHER_HDR_LEN + 20;
	return m;
}

static void segment(uint8_t flags, uint32_t seq, uint32_t ack, uint16_t wnd, uint32_t len,
	const uint8_t *opts, uint32_t n_opts)
{
	const uint32_t n_padded = (n_opts + 3) & ~3u, n_tcp = 20 + n_padded + len;
	const rte_be32_t addrs[2] = {RTE_BE32(0x0a000002), RTE_BE32(0x0a000001)};
	uint8_t *to;
	struct rte_mbuf *m = frame(IPPROTO_TCP, n_tcp, &to);
	struct rte_tcp_hdr *h = (void *)to;

	*h = (struct rte_tcp_hdr){.src_port = RTE_BE16(4000),
		.dst_port = RTE_BE16(7),
		.sent_seq = rte_cpu_to_be_32(seq),
		.recv_ack = rte_cpu_to_be_32(ack),
		.data_off = (uint8_t)((20 + n_padded) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(wnd)};
	memcpy(h + 1, opts, n_opts);
	h->cksum = csum_l4(&addrs[0], &addrs[1], 4, IPPROTO_TCP, h, n_tcp);
	parse_burst(&burst, &ifaces.of[0].mac, 0);
	tcp_input(x.t, &burst, (const uint8_t[]){0}, 1, x.now_us);
	if (burst.p[0].verdict != PKT_GONE)
		rte_pktmbuf_free(m);
	after();
}

static void handshake(uint8_t setup)
{
	struct tcp_opts o = {.has_mss = true,
		.mss = 700,
		.sack_ok = setup & 1,
		.has_ts = setup & 2,
		.has_wscale = setup & 4,
		.wscale = 3,
		.tsval = 1};
	uint8_t opts[TCP_WIRE_OPTIONS_MAX];
	uint32_t n = tcp_wire_build(opts, &o);

	segment(RTE_TCP_SYN_FLAG, 999, 0, 20000, 0, opts, n);
	o = (struct tcp_opts){.has_ts = setup & 2, .tsval = 2, .tsecr = x.tsval};
	n = tcp_wire_build(opts, &o);
	segment(RTE_TCP_ACK_FLAG, 1000, x.isn + 1, 20000, 0, opts, n);
	FUZZ_CHECK(x.c != NULL, "the handshake did not open it");
}

static void step_segment(struct fuzz_input *in)
{
	const uint8_t flags = fuzz_u8(in);
	const uint32_t seq = x.rcv_nxt + (uint32_t)(int16_t)fuzz_u16(in);
	const uint32_t ack = x.snd_una + (uint32_t)(int16_t)fuzz_u16(in);
	const uint16_t wnd = fuzz_u16(in), len = fuzz_u16(in) % 1400;
	size_t n_opts = fuzz_u8(in) % 41;
	const uint8_t *opts = fuzz_take(in, &n_opts);

	segment(flags, seq, ack, wnd, len, opts, (uint32_t)n_opts);
}

/* Its quote has what it says of the segment, and 0 up to 255 bytes. */
static void step_icmp(struct fuzz_input *in)
{
	static uint8_t quote[20 + 255];
	struct icmp {
		uint8_t type, code;
		uint16_t sum;
		rte_be16_t unused, mtu;
	} h = {.type = fuzz_u8(in), .code = fuzz_u8(in), .mtu = rte_cpu_to_be_16(fuzz_u16(in))};
	const rte_be32_t seq = rte_cpu_to_be_32(x.snd_una + (uint32_t)(int16_t)fuzz_u16(in));
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16(fuzz_u16(in)),
		.next_proto_id = IPPROTO_TCP,
		.src_addr = RTE_BE32(0x0a000001),
		.dst_addr = RTE_BE32(0x0a000002)};
	const struct rte_tcp_hdr tcp = {
		.src_port = RTE_BE16(7), .dst_port = RTE_BE16(4000), .sent_seq = seq};
	const uint32_t n = 20u + fuzz_u8(in);
	uint8_t *to;
	struct rte_mbuf *m = frame(IPPROTO_ICMP, (uint32_t)sizeof(h) + n, &to);

	memcpy(quote, &ip, sizeof(ip));
	memcpy(quote + sizeof(ip), &tcp, sizeof(tcp));
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), quote, n);
	h.sum = csum_of(to, (uint32_t)sizeof(h) + n);
	memcpy(to, &h, sizeof(h));
	parse_burst(&burst, &ifaces.of[0].mac, 0);
	if (!tcp_icmp(x.t, &burst, 0, x.now_us))
		rte_pktmbuf_free(m);
	tcp_flush(x.t, x.now_us);
	after();
}

static void step_app(uint8_t what)
{
	static const uint8_t nothing[4096];

	if (x.c == NULL)
		return;
	switch (what % 6) {
	case 0:
		tcp_close(x.c);
		break;
	case 1:
		tcp_abort(x.c);
		break;
	case 2:
		tcp_again(x.c);
		break;
	case 3:
		FUZZ_CHECK(tcp_write_ref(x.c, nothing, sizeof(nothing), &shared) <= sizeof(nothing),
			"more was written");
		break;
	case 5:
		x.blocked ^= 1;
		break;
	default:
		tcp_want_room(x.c);
		tcp_write(x.c, nothing, sizeof(nothing));
		break;
	}
	tcp_flush(x.t, x.now_us);
	after();
}

static void step(struct fuzz_input *in)
{
	static const uint8_t nothing[65536];
	const uint8_t what = fuzz_u8(in) % 8;
	uint16_t n;

	if (what < 3) {
		step_segment(in);
		return;
	}
	if (what == 3) {
		step_icmp(in);
		return;
	}
	if (what == 7) {
		step_app(fuzz_u8(in));
		return;
	}
	n = fuzz_u16(in);
	if (what == 4) {
		x.now_us += 1000ull * n;
		tcp_poll(x.t, x.now_us);
	} else if (x.c != NULL && what == 5) {
		FUZZ_CHECK(tcp_write(x.c, nothing, n) <= n, "more was written");
	} else if (x.c != NULL) {
		tcp_consume(x.c, RTE_MIN(n, tcp_unread(x.c)));
	}
	tcp_flush(x.t, x.now_us);
	after();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t setup = fuzz_u8(&in);
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 100,
		.pool = pool,
		.ifaces = &ifaces,
		.blocked = &x.blocked,
		.ops = &ops,
		.secret = {1, 2, 3, 4},
		.cookies = setup & 8 ? TCP_COOKIES_ALWAYS : TCP_COOKIES_AUTO,
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};

	memset(&x, 0, sizeof(x));
	x.now_us = p.now_us;
	ifaces.of[0].writes_csums = setup & (32 | 64);
	ifaces.of[0].takes_chains = setup & 64;
	ifaces.of[0].tso_mbufs = (setup & (64 | 128)) == (64 | 128) ? 5 : 0;
	rte_mbuf_ext_refcnt_set(&shared, 1);
	x.rcv_nxt = 1000;
	FUZZ_CHECK(tcp_create(&x.t, &p) == 0, "no memory");
	if (!(setup & 16))
		handshake(setup);
	while (in.left > 0)
		step(&in);
	if (size % 2) { /* or it is destroyed with those that wait */
		x.blocked = 0;
		tcp_poll(x.t, x.now_us);
		after();
		FUZZ_CHECK(x.t->held_ifaces == 0, "they wait for nothing");
	}
	tcp_destroy(&x.t);
	FUZZ_CHECK(x.n_open == x.n_close, "%u opened, %u closed", x.n_open, x.n_close);
	FUZZ_CHECK(rte_mempool_in_use_count(pool) == 0, "buffers are lost");
	FUZZ_CHECK(rte_mbuf_ext_refcnt_read(&shared) == 1, "a reference is lost");
	return 0;
}
