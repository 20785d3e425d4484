/* SPDX-License-Identifier: BSD-3-Clause */
/* ackbed — see ackbed.h. */
#include "ackbed.h"

#include "base/csum.h"
#include "net/parse.h"
#include "tcp/tcp_wire.h"
#include "txdevice.h"
#include "unit.h"

#include <rte_ip.h>

struct ackbed ackbed;

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return &ackbed.profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	ackbed.c = c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	ackbed.c = NULL;
}

static void on_frame(void *ctx, const uint8_t *frame, uint32_t n)
{
	const struct rte_tcp_hdr *h = (const void *)(frame + RTE_ETHER_HDR_LEN + 20);
	const uint32_t len = n - RTE_ETHER_HDR_LEN - 20 - (h->data_off >> 4) * 4u;
	struct tcp_opts o;

	tcp_wire_parse(&o, h);
	if (h->tcp_flags & RTE_TCP_SYN_FLAG)
		ackbed.iss = rte_be_to_cpu_32(h->sent_seq);
	if (o.has_ts)
		ackbed.tsval = o.tsval;
	if (len > 0 || h->tcp_flags & RTE_TCP_FIN_FLAG) {
		assert_true(ackbed.n_out < RTE_DIM(ackbed.out));
		ackbed.out[ackbed.n_out++] = (struct out){
			.seg = (rte_be_to_cpu_32(h->sent_seq) - ackbed.iss - 1) / ACKBED_SEG,
			.len = len,
			.has_fin = !!(h->tcp_flags & RTE_TCP_FIN_FLAG),
			.at_us = ackbed.now_us - ackbed.begin_us};
	}
}

static void on_output(
	void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile)
{
	ackbed.n_bufs_out++;
	txdevice_send(&ackbed.ifaces.of[0], m, on_frame, NULL);
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

/* What the client sends, without payload. */
static void in(uint8_t flags, uint32_t seq, uint32_t ack, const struct tcp_opts *o)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(ackbed.pool);
	uint8_t opts[TCP_WIRE_OPTIONS_MAX];
	const uint32_t n_opts = tcp_wire_build(opts, o), n_tcp = 20 + n_opts;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(RTE_ETHER_HDR_LEN + 20 + n_tcp));
	struct rte_ipv4_hdr *ip = (void *)(to + RTE_ETHER_HDR_LEN);
	struct rte_tcp_hdr *h = (void *)(ip + 1);
	const struct rte_ether_hdr eh = {.dst_addr = ackbed.ifaces.of[0].mac,
		.src_addr = {{2, 0, 0, 0, 0, 9}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};

	memcpy(to, &eh, sizeof(eh));
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + n_tcp)),
		.time_to_live = 9,
		.next_proto_id = IPPROTO_TCP,
		.src_addr = RTE_BE32(0x0a000002),
		.dst_addr = RTE_BE32(0x0a000001)};
	ip->hdr_checksum = csum_of(ip, 20);
	*h = (struct rte_tcp_hdr){.src_port = RTE_BE16(4000),
		.dst_port = RTE_BE16(7),
		.sent_seq = rte_cpu_to_be_32(seq),
		.recv_ack = rte_cpu_to_be_32(ack),
		.data_off = (uint8_t)(n_tcp / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(ackbed.wnd)};
	memcpy(h + 1, opts, n_opts);
	h->cksum = csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, h, n_tcp);
	ackbed.b.n = 1;
	ackbed.b.m[0] = m;
	parse_burst(&ackbed.b, &ackbed.ifaces.of[0].mac, 0);
	tcp_input(ackbed.t, &ackbed.b, (const uint8_t[]){0}, 1, ackbed.now_us);
	if (ackbed.b.p[0].verdict != PKT_GONE)
		rte_pktmbuf_free(m);
	assert_true(tcp_check(ackbed.t));
}

/* Timers run until this time, which it is then. */
void ackbed_at(uint64_t us)
{
	const uint64_t end_us = ackbed.begin_us + us;

	assert_true(end_us >= ackbed.now_us);
	for (;;) {
		const uint64_t next_us = tcp_next_us(ackbed.t);

		if (next_us > end_us)
			break;
		ackbed.now_us = next_us > ackbed.now_us ? next_us : ackbed.now_us + 1;
		tcp_poll(ackbed.t, ackbed.now_us);
		assert_true(tcp_check(ackbed.t));
	}
	ackbed.now_us = end_us;
}

/* All before segment una is there, and the blocks; a timestamp echoes tsecr. */
void ackbed_ack(uint32_t una, uint32_t tsecr, const struct block *blocks)
{
	struct tcp_opts o = {.has_ts = ackbed.has_ts, .tsval = 7, .tsecr = tsecr};

	for (unsigned i = 0; i < ACKBED_BLOCKS && blocks[i].from < blocks[i].to; i++)
		o.sacks[o.n_sacks++] =
			(struct tcp_sack){ackbed.iss + 1 + blocks[i].from * ACKBED_SEG,
				ackbed.iss + 1 + blocks[i].to * ACKBED_SEG};
	in(RTE_TCP_ACK_FLAG, 1001, ackbed.iss + 1 + una * ACKBED_SEG, &o);
}

/* Of what goes out, next are the segments [from, to) at this time. */
void ackbed_expect(uint32_t from, uint32_t to, uint64_t at_us)
{
	for (; from < to; from++) {
		const struct out *o = &ackbed.out[ackbed.n_taken];

		if (ackbed.n_taken == ackbed.n_out)
			fail_msg("nothing came out, not segment %u at %llu", from,
				(unsigned long long)at_us);
		ackbed.n_taken++;
		if (o->seg != from || o->at_us != at_us)
			fail_msg("segment %u at %llu came out, not %u at %llu", o->seg,
				(unsigned long long)o->at_us, from, (unsigned long long)at_us);
	}
}

void ackbed_expect_none(void)
{
	if (ackbed.n_taken != ackbed.n_out)
		fail_msg("segment %u at %llu came out", ackbed.out[ackbed.n_taken].seg,
			(unsigned long long)ackbed.out[ackbed.n_taken].at_us);
}

void ackbed_send(uint32_t n)
{
	static uint8_t block[64 * ACKBED_SEG];

	assert_int_equal(tcp_write(ackbed.c, block, n * ACKBED_SEG), n * ACKBED_SEG);
	tcp_flush(ackbed.t, ackbed.now_us);
	assert_true(tcp_check(ackbed.t));
}

struct tcp_info ackbed_info(void)
{
	struct tcp_info i;

	tcp_info(ackbed.c, &i, ackbed.now_us);
	return i;
}

void ackbed_establish(void)
{
	struct tcp_opts o = {.has_mss = true,
		.mss = ACKBED_SEG + (ackbed.has_ts ? TCP_WIRE_TS_BYTES : 0),
		.sack_ok = ackbed.has_sack,
		.has_ts = ackbed.has_ts,
		.tsval = 7};

	in(RTE_TCP_SYN_FLAG, 1000, 0, &o);
	ackbed.begin_us = ackbed.now_us + ACKBED_RTT_US;
	ackbed.now_us = ackbed.begin_us;
	ACK(0);
	assert_non_null(ackbed.c);
	assert_int_equal(ackbed_info().mss, ACKBED_SEG);
	assert_int_equal(ackbed_info().srtt_us, ACKBED_RTT_US);
}

void ackbed_up(bool has_sack, bool has_ts)
{
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 512,
		.pool = ackbed.pool,
		.ifaces = &ackbed.ifaces,
		.ops = &ops,
		.secret = {1, 2, 3, 4},
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	struct rte_mempool *pool = ackbed.pool;

	memset(&ackbed, 0, sizeof(ackbed));
	ackbed.pool = pool;
	ackbed.wnd = UINT16_MAX;
	ackbed.profile.cc = TCP_CC_NEWRENO;
	ackbed.has_sack = has_sack;
	ackbed.has_ts = has_ts;
	ackbed.ifaces.n = 1;
	ackbed.ifaces.of[0].mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 1}};
	ackbed.ifaces.of[0].mtu_bytes = 1500;
	ackbed.now_us = p.now_us;
	assert_int_equal(tcp_create(&ackbed.t, &p), 0);
}

void ackbed_down(void)
{
	tcp_destroy(&ackbed.t);
	assert_int_equal(rte_mempool_in_use_count(ackbed.pool), 0);
}
