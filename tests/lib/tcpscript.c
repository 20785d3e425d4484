/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpscript — see tcpscript.h. */
#include "tcpscript.h"

#include "base/csum.h"
#include "net/parse.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>

static const uint8_t ours[2][16] = {{10, 0, 0, 1}, {0xfd, [15] = 1}};
static const uint8_t theirs[2][16] = {{10, 0, 0, 2}, {0xfd, [15] = 2}};

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	const struct tcpscript *x = ctx;

	return p->dport == rte_cpu_to_be_16(7) ? &x->profile : NULL;
}

static void on_open(void *ctx, struct tcb *c)
{
	struct tcpscript *x = ctx;

	x->n_open++;
	x->c = c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	struct tcpscript *x = ctx;

	assert_int_equal(n, 1);
	assert_ptr_equal(c[0], x->c);
	x->n_ready++;
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	struct tcpscript *x = ctx;

	x->n_close++;
	x->why = why;
	x->c = NULL;
}

static uint32_t ip_bytes(const struct tcpscript *x)
{
	return x->family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	struct tcpscript *x = ctx;
	const uint32_t n_before = RTE_ETHER_HDR_LEN + ip_bytes(x), n = m->pkt_len - n_before;
	const struct rte_tcp_hdr *h =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, n_before);
	struct tcpscript_seg *s = &x->out[x->n_out];

	assert_true(x->family == 6 || csum_of((const uint8_t *)h - 20, 20) == 0);
	assert_int_equal(csum_l4(ours[x->family == 6], theirs[x->family == 6],
				 x->family == 4 ? 4 : 16, IPPROTO_TCP, h, n),
		0);
	assert_int_equal(rte_be_to_cpu_16(h->src_port), 7);
	if (rte_be_to_cpu_16(h->dst_port) == TCPSCRIPT_PORT) {
		*s = (struct tcpscript_seg){.flags = h->tcp_flags,
			.wnd = rte_be_to_cpu_16(h->rx_win),
			.seq = rte_be_to_cpu_32(h->sent_seq),
			.ack = rte_be_to_cpu_32(h->recv_ack),
			.len = n - (h->data_off >> 4) * 4u};
		tcp_wire_parse(&s->o, h);
		x->n_out++;
		assert_true(x->n_out < TCPSCRIPT_OUT_MAX);
	}
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

void tcpscript_up(struct tcpscript *x, uint8_t family, enum tcp_cookies cookies)
{
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = x->n_bufs != 0 ? x->n_bufs : 256,
		.pool = x->pool,
		.ifaces = &x->ifaces,
		.ops = &ops,
		.ctx = x,
		.secret = {1, 2, 3, 4},
		.cookies = cookies,
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	struct rte_mempool *pool = x->pool;

	memset(x, 0, sizeof(*x));
	x->pool = pool;
	x->n_bufs = p.n_bufs;
	x->family = family;
	x->ifaces.n = 1;
	x->ifaces.of[0].mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 1}};
	x->ifaces.of[0].mtu_bytes = 1500;
	x->now_us = p.now_us;
	assert_int_equal(tcp_create(&x->t, &p), 0);
}

void tcpscript_down(struct tcpscript *x)
{
	tcp_destroy(&x->t);
	assert_int_equal(rte_mempool_in_use_count(x->pool), 0);
}

/* Ethernet and IP header, and room for l4_len bytes behind them. */
static struct rte_mbuf *frame(
	const struct tcpscript *x, uint8_t proto, uint32_t l4_len, uint8_t **l4)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x->pool);
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(
		m, (uint16_t)(RTE_ETHER_HDR_LEN + ip_bytes(x) + l4_len));
	const struct rte_ether_hdr eh = {.dst_addr = x->ifaces.of[0].mac,
		.src_addr = {{2, 0, 0, 0, 0, 9}},
		.ether_type = x->family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
					     : RTE_BE16(RTE_ETHER_TYPE_IPV6)};
	struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_len)),
		.time_to_live = 9,
		.next_proto_id = proto};
	struct rte_ipv6_hdr v6 = {.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16((uint16_t)l4_len),
		.proto = proto,
		.hop_limits = 9};

	memcpy(to, &eh, sizeof(eh));
	if (x->family == 4) {
		memcpy(&v4.src_addr, theirs[0], 4);
		memcpy(&v4.dst_addr, ours[0], 4);
		v4.hdr_checksum = csum_of(&v4, sizeof(v4));
		memcpy(to + sizeof(eh), &v4, sizeof(v4));
	} else {
		memcpy(v6.src_addr, theirs[1], 16);
		memcpy(v6.dst_addr, ours[1], 16);
		memcpy(to + sizeof(eh), &v6, sizeof(v6));
	}
	*l4 = to + sizeof(eh) + ip_bytes(x);
	return m;
}

/* The burst is that frame. */
static void parse(struct tcpscript *x, struct rte_mbuf *m)
{
	x->b.n = 1;
	x->b.m[0] = m;
	parse_burst(&x->b, &x->ifaces.of[0].mac, 0);
	assert_int_equal(x->b.p[0].verdict, PKT_UNSEEN);
}

void tcpscript_packet(struct tcpscript *x, uint8_t proto, const void *l4, uint32_t l4_len)
{
	uint8_t *to;
	struct rte_mbuf *m = frame(x, proto, l4_len, &to);

	memcpy(to, l4, l4_len);
	parse(x, m);
}

void tcpscript_in(struct tcpscript *x, uint16_t port, const struct tcpscript_seg *s)
{
	uint8_t opts[TCP_WIRE_OPTIONS_MAX], *to;
	const uint32_t n_opts = tcp_wire_build(opts, &s->o), n = 20 + n_opts + s->len;
	struct rte_mbuf *m = frame(x, IPPROTO_TCP, n, &to);
	struct rte_tcp_hdr h = {.src_port = rte_cpu_to_be_16(port),
		.dst_port = RTE_BE16(7),
		.sent_seq = rte_cpu_to_be_32(s->seq),
		.recv_ack = rte_cpu_to_be_32(s->ack),
		.data_off = (uint8_t)((20 + n_opts) / 4 << 4),
		.tcp_flags = s->flags,
		.rx_win = rte_cpu_to_be_16(s->wnd)};

	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), opts, n_opts);
	for (uint32_t i = 0; i < s->len; i++)
		to[sizeof(h) + n_opts + i] = (uint8_t)(s->seq + i);
	h.cksum = csum_l4(theirs[x->family == 6], ours[x->family == 6], x->family == 4 ? 4 : 16,
		IPPROTO_TCP, to, n);
	memcpy(to, &h, sizeof(h));
	parse(x, m);
	tcp_input(x->t, &x->b, (const uint8_t[]){0}, 1, x->now_us);
	if (x->b.p[0].verdict != PKT_GONE)
		rte_pktmbuf_free(m);
	assert_true(tcp_check(x->t));
}

void tcpscript_open(struct tcpscript *x)
{
	const struct rte_ether_addr gateway = {{2, 0, 0, 0, 0, 9}};
	struct pkt peer = {.family = x->family,
		.sport = rte_cpu_to_be_16(TCPSCRIPT_PORT),
		.dport = RTE_BE16(7)};

	memcpy(peer.src, theirs[x->family == 6], 16);
	memcpy(peer.dst, ours[x->family == 6], 16);
	x->c = tcp_open(x->t, &x->profile, &peer, 0, &gateway, x->now_us);
	assert_non_null(x->c);
	tcp_flush(x->t, x->now_us);
}

void tcpscript_wait_us(struct tcpscript *x, uint64_t us)
{
	const uint64_t end_us = x->now_us + us;

	for (;;) {
		const uint64_t next_us = tcp_next_us(x->t);

		if (next_us > end_us)
			break;
		x->now_us = next_us > x->now_us ? next_us : x->now_us + 1;
		tcp_poll(x->t, x->now_us);
		assert_true(tcp_check(x->t));
	}
	x->now_us = end_us;
}

const struct tcpscript_seg *tcpscript_next(struct tcpscript *x)
{
	return x->n_taken == x->n_out ? NULL : &x->out[x->n_taken++];
}
