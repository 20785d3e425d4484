/* SPDX-License-Identifier: BSD-3-Clause */
/* The stack against segments of a script in virtual time: what goes in, what has to come out, and when. One server at
 * 10.0.0.1 port 7, one client at 10.0.0.2 port 4000 whose numbers begin at 1000. */
#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "net/parse.h"
#include "tcp/tcb.h"
#include "tcp/tcp.h"
#include "tcp/tcp_wire.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>

#include <stdio.h>
#include <stdlib.h>

#define S RTE_TCP_SYN_FLAG
#define A RTE_TCP_ACK_FLAG
#define F RTE_TCP_FIN_FLAG
#define R RTE_TCP_RST_FLAG
#define P RTE_TCP_PSH_FLAG

struct seg {
	uint8_t flags;
	uint32_t seq, ack, len; /* ours relative to iss, the client's as they are */
	uint16_t wnd;
	uint64_t at_us;
	struct tcp_opts o;
};

static struct {
	struct tcp *t;
	struct rte_mempool *pool;
	struct iface_set ifaces;
	struct burst b;
	struct tcp_profile profile;
	struct seg out[256];
	unsigned n_out, n_taken;
	uint32_t iss;
	struct tcb *c;
	unsigned n_open, n_ready, n_close;
	enum tcp_reason why;
	uint64_t now_us;
	bool refuses;
} x;

static const struct tcp_profile *on_syn(void *ctx, const struct pkt *p)
{
	return x.refuses || p->dport != rte_cpu_to_be_16(7) ? NULL : &x.profile;
}

static void on_open(void *ctx, struct tcb *c)
{
	x.n_open++;
	x.c = c;
}

static void on_ready(void *ctx, struct tcb *const *c, unsigned n)
{
	x.n_ready += n;
}

static void on_close(void *ctx, struct tcb *c, enum tcp_reason why)
{
	x.n_close++;
	x.why = why;
	x.c = NULL;
}

static void on_output(void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *of)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, RTE_ETHER_HDR_LEN);
	const struct rte_tcp_hdr *h = (const void *)(ip + 20);
	struct seg *s = &x.out[x.n_out++];

	assert_true(x.n_out < 256);
	assert_int_equal(csum_of(ip, 20), 0);
	assert_int_equal(
		csum_l4(ip + 12, ip + 16, 4, IPPROTO_TCP, h, m->pkt_len - RTE_ETHER_HDR_LEN - 20),
		0);
	assert_int_equal(rte_be_to_cpu_16(h->dst_port), 4000);
	*s = (struct seg){.flags = h->tcp_flags,
		.seq = rte_be_to_cpu_32(h->sent_seq),
		.ack = rte_be_to_cpu_32(h->recv_ack),
		.len = m->pkt_len - RTE_ETHER_HDR_LEN - 20 - (h->data_off >> 4) * 4u,
		.wnd = rte_be_to_cpu_16(h->rx_win),
		.at_us = x.now_us};
	tcp_wire_parse(&s->o, h);
	if (h->tcp_flags & S)
		x.iss = s->seq;
	s->seq -= x.iss;
	rte_pktmbuf_free(m);
}

static const struct tcp_ops ops = {on_syn, on_open, on_ready, on_close, on_output};

static void up_with(enum tcp_cookies cookies)
{
	const struct tcp_params p = {.n_conns = 16,
		.n_syns = 16,
		.n_time_waits = 16,
		.n_bufs = 256,
		.pool = x.pool,
		.ifaces = &x.ifaces,
		.ops = &ops,
		.secret = {1, 2, 3, 4},
		.cookies = cookies,
		.now_us = 1000000,
		.socket_id = SOCKET_ID_ANY};
	struct rte_mempool *pool = x.pool;

	memset(&x, 0, sizeof(x));
	x.pool = pool;
	x.ifaces.n = 1;
	x.ifaces.of[0].mac = (struct rte_ether_addr){{2, 0, 0, 0, 0, 1}};
	x.ifaces.of[0].mtu_bytes = 1500;
	x.now_us = p.now_us;
	assert_int_equal(tcp_create(&x.t, &p), 0);
}

static int up(void **state)
{
	up_with(TCP_COOKIES_AUTO);
	return 0;
}

static int down(void **state)
{
	tcp_destroy(&x.t);
	assert_int_equal(rte_mempool_in_use_count(x.pool), 0);
	return 0;
}

/* A segment of the client; its payload counts up from its number. */
static void in_opts(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len, uint16_t wnd,
	const struct tcp_opts *o)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(x.pool);
	uint8_t opts[TCP_WIRE_OPTIONS_MAX];
	const uint32_t n_opts = tcp_wire_build(opts, o), n_tcp = 20 + n_opts + len;
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(RTE_ETHER_HDR_LEN + 20 + n_tcp));
	struct rte_ipv4_hdr *ip = (void *)(to + RTE_ETHER_HDR_LEN);
	struct rte_tcp_hdr *h = (void *)(ip + 1);
	const struct rte_ether_hdr eh = {.dst_addr = x.ifaces.of[0].mac,
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
		.recv_ack = rte_cpu_to_be_32(flags & A ? ack + x.iss : 0),
		.data_off = (uint8_t)((20 + n_opts) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = rte_cpu_to_be_16(wnd)};
	memcpy(h + 1, opts, n_opts);
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)(h + 1))[n_opts + i] = (uint8_t)(seq + i);
	h->cksum = csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, h, n_tcp);
	x.b.n = 1;
	x.b.m[0] = m;
	parse_burst(&x.b, &x.ifaces.of[0].mac, 0);
	tcp_input(x.t, &x.b, (const uint8_t[]){0}, 1, x.now_us);
	if (x.b.p[0].verdict != PKT_GONE)
		rte_pktmbuf_free(m);
	assert_true(tcp_check(x.t));
}

static void in(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	in_opts(flags, seq, ack, len, 30000, &(struct tcp_opts){0});
}

/* The next segment that went out is this one. */
static const struct seg *expect(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	const struct seg *s = &x.out[x.n_taken];

	if (x.n_taken == x.n_out)
		fail_msg("nothing came out");
	x.n_taken++;
	if (s->flags != flags || s->seq != seq || s->ack != ack || s->len != len)
		fail_msg("flags %02x seq %u ack %u len %u came out", s->flags, s->seq, s->ack,
			s->len);
	return s;
}

static void expect_none(void)
{
	if (x.n_taken != x.n_out)
		expect(0xff, 0, 0, 0);
}

/* Time goes on, timers run when they are due. */
static void wait_us(uint64_t us)
{
	const uint64_t end_us = x.now_us + us;

	for (;;) {
		const uint64_t next_us = tcp_next_us(x.t);

		if (next_us > end_us)
			break;
		x.now_us = next_us > x.now_us ? next_us : x.now_us + 1;
		tcp_poll(x.t, x.now_us);
		assert_true(tcp_check(x.t));
	}
	x.now_us = end_us;
}

static void established(void)
{
	in(S, 1000, 0, 0);
	expect(S | A, 0, 1001, 0);
	in(A, 1001, 1, 0);
	expect_none();
	assert_int_equal(x.n_open, 1);
}

static void send_bytes(uint32_t n)
{
	static uint8_t block[65536];

	assert_int_equal(tcp_write(x.c, block, n), n);
	tcp_flush(x.t, x.now_us);
}

static void consume_all(void)
{
	tcp_consume(x.c, tcp_unread(x.c));
	tcp_flush(x.t, x.now_us);
}

static void syn_is_answered_with_the_options_it_had(void **state)
{
	const struct tcp_opts o = {.has_mss = true, .mss = 1000, .has_ts = true, .tsval = 77};
	const struct seg *s;

	in_opts(S, 1000, 0, 0, 30000, &o);
	s = expect(S | A, 0, 1001, 0);
	assert_true(s->o.has_mss && s->o.has_ts && !s->o.sack_ok && !s->o.has_wscale);
	assert_int_equal(s->o.mss, 1460);
	assert_int_equal(s->o.tsecr, 77);
	wait_us(1002000);
	expect(S | A, 0, 1001, 0);
	expect_none();
	wait_us(60000000);
	for (unsigned i = 0; i < 3; i++)
		expect(S | A, 0, 1001, 0);
	expect_none();
	in(A, 1001, 1, 0);
	expect(R, 1, 0, 0);
}

static void refused_syn_gets_nothing(void **state)
{
	x.refuses = true;
	in(S, 1000, 0, 0);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->syns_refused, 1);
}

static void segment_of_no_flow_gets_rst(void **state)
{
	in(A, 5000, 77, 0);
	expect(R, 77, 0, 0);
	in(F, 5000, 0, 3);
	expect(R | A, 0 - x.iss, 5004, 0);
	in(R, 5000, 0, 0);
	in(S | F, 5000, 0, 0);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->bad_header, 1);
}

static void data_is_acknowledged_at_the_second_segment_or_after_a_while(void **state)
{
	uint32_t len;

	established();
	in(A, 1001, 1, 100);
	expect_none();
	in(A, 1101, 1, 100);
	expect(A, 1, 1201, 0);
	in(A, 1201, 1, 100);
	wait_us(38000);
	expect_none();
	wait_us(4000);
	expect(A, 1, 1301, 0);
	assert_int_equal(tcp_unread(x.c), 300);
	assert_int_equal(tcp_peek(x.c, &len)[299], (uint8_t)1300);
	assert_int_equal(len, 300); /* small ones are together */
	assert_int_equal(x.n_ready, 3);
}

static void answer_takes_the_acknowledgement(void **state)
{
	established();
	in(A, 1001, 1, 10);
	consume_all();
	send_bytes(5);
	expect(P | A, 1, 1011, 5);
	wait_us(100000);
	expect_none();
}

static void what_is_lost_comes_again_and_later_each_time(void **state)
{
	uint64_t at_us, after_us = 200000;

	established();
	send_bytes(5);
	at_us = expect(P | A, 1, 1001, 5)->at_us;
	wait_us(7000000);
	for (unsigned i = 0; i < 5; i++) {
		const uint64_t next_us = expect(P | A, 1, 1001, 5)->at_us;

		assert_in_range(next_us - at_us, after_us, after_us + 2000);
		at_us = next_us;
		after_us *= 2;
	}
	expect_none();
	in(A, 1001, 6, 0);
	wait_us(1000000);
	expect_none();
	assert_int_equal(tcp_queued(x.c), 0);
	assert_int_equal(tcp_stats(x.t)->timeouts, 5);
}

static void no_progress_ends_it(void **state)
{
	x.profile.user_timeout_ms = 5000;
	established();
	send_bytes(5);
	wait_us(4900000);
	assert_int_equal(x.n_close, 0);
	wait_us(200000);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.why, TCP_WHY_TIMEOUT);
	assert_int_equal(x.out[x.n_out - 1].flags, R | A);
}

static void third_duplicate_brings_it_again(void **state)
{
	established();
	send_bytes(5 * 536);
	for (unsigned i = 0; i < 5; i++)
		expect(P | A, 1 + i * 536, 1001, 536);
	for (unsigned i = 0; i < 2; i++)
		in(A, 1001, 1, 0);
	expect_none();
	in(A, 1001, 1, 0);
	expect(P | A, 1, 1001, 536);
	expect_none();
	in(A, 1001, 1 + 2 * 536, 0); /* another is lost: partial (RFC 6582) */
	expect(P | A, 1 + 2 * 536, 1001, 536);
	expect_none();
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 1);
}

static void sack_tells_which_are_lost(void **state)
{
	const struct tcp_opts o = {.has_mss = true, .mss = 1000, .sack_ok = true};
	struct tcp_opts sack = {.n_sacks = 2};

	in_opts(S, 1000, 0, 0, 30000, &o);
	expect(S | A, 0, 1001, 0);
	in(A, 1001, 1, 0);
	send_bytes(8000);
	for (unsigned i = 0; i < 8; i++)
		expect(P | A, 1 + i * 1000, 1001, 1000);
	sack.sacks[0] = (struct tcp_sack){x.iss + 1001, x.iss + 2001};
	sack.sacks[1] = (struct tcp_sack){x.iss + 3001, x.iss + 7001};
	in_opts(A, 1001, 1, 0, 30000, &sack);
	expect(P | A, 1, 1001, 1000);
	expect(P | A, 2001, 1001, 1000);
	expect_none(); /* the last may be on its way */
	in(A, 1001, 8001, 0);
	assert_int_equal(tcp_queued(x.c), 0);
}

static void holes_are_told_of(void **state)
{
	const struct tcp_opts o = {.has_mss = true, .mss = 1000, .sack_ok = true};
	const struct seg *s;

	in_opts(S, 1000, 0, 0, 30000, &o);
	expect(S | A, 0, 1001, 0);
	in(A, 1001, 1, 0);
	in(A, 1101, 1, 100);
	s = expect(A, 1, 1001, 0);
	assert_int_equal(s->o.n_sacks, 1);
	in(A, 1301, 1, 100);
	s = expect(A, 1, 1001, 0);
	assert_int_equal(s->o.n_sacks, 2);
	assert_int_equal(s->o.sacks[0].left, 1301);
	assert_int_equal(s->o.sacks[1].left, 1101);
	in(A, 1001, 1, 250); /* overlaps the first, up to the second but 50 */
	s = expect(A, 1, 1251, 0);
	assert_int_equal(s->o.n_sacks, 1);
	in(A, 1251, 1, 50);
	s = expect(A, 1, 1401, 0);
	assert_int_equal(s->o.n_sacks, 0);
}

static void rst_counts_at_the_edge_only(void **state)
{
	established();
	in(R, 1005, 0, 0);
	expect(A, 1, 1001, 0); /* RFC 5961 3 */
	in(R, 99999, 0, 0);
	in(S, 1001, 0, 0);
	expect(A, 1, 1001, 0); /* RFC 5961 4 */
	in(A, 1001, 900000, 10);
	expect(A, 1, 1001, 0); /* of what was never sent */
	expect_none();
	assert_int_equal(x.n_close, 0);
	in(R, 1001, 0, 0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.why, TCP_WHY_RESET);
	expect_none();
}

static void challenges_are_limited(void **state)
{
	established();
	for (unsigned i = 0; i < 100; i++)
		in(R, 1005, 0, 0);
	assert_true(tcp_stats(x.t)->challenge_acks < 30);
	assert_true(tcp_stats(x.t)->answers_limited > 70);
}

static void old_timestamps_are_refused(void **state)
{
	struct tcp_opts o = {.has_ts = true, .tsval = 1000};

	in_opts(S, 1000, 0, 0, 30000, &o);
	expect(S | A, 0, 1001, 0);
	o.tsecr = x.out[0].o.tsval;
	in_opts(A, 1001, 1, 0, 30000, &o);
	o.tsval = 999;
	in_opts(A, 1001, 1, 10, 30000, &o);
	expect(A, 1, 1001, 0);
	assert_int_equal(tcp_stats(x.t)->paws, 1);
	assert_int_equal(tcp_unread(x.c), 0);
	o.tsval = 1001;
	in_opts(A, 1001, 1, 10, 30000, &o);
	assert_int_equal(tcp_unread(x.c), 10);
}

static void closed_window_is_probed(void **state)
{
	established();
	in_opts(A, 1001, 1, 0, 0, &(struct tcp_opts){0});
	send_bytes(100);
	expect_none();
	wait_us(205000);
	expect(A, 0, 1001, 0);
	in_opts(A, 1001, 1, 0, 0, &(struct tcp_opts){0});
	expect_none();
	wait_us(410000);
	expect(A, 0, 1001, 0);
	in_opts(A, 1001, 1, 0, 60, &(struct tcp_opts){0});
	expect(P | A, 1, 1001, 60); /* as much as there is room for */
	in_opts(A, 1001, 61, 0, 1000, &(struct tcp_opts){0});
	expect(P | A, 61, 1001, 40);
}

static void reader_opens_the_window(void **state)
{
	x.profile.rcv_max = 2048;
	established();
	in(A, 1001, 1, 1024);
	in(A, 2025, 1, 1024);
	assert_int_equal(expect(A, 1, 3049, 0)->wnd, 0);
	in(A, 3049, 1, 1); /* a probe with a byte */
	assert_int_equal(expect(A, 1, 3049, 0)->wnd, 0);
	assert_int_equal(tcp_unread(x.c), 2048);
	consume_all();
	assert_int_equal(expect(A, 1, 3049, 0)->wnd, 2048);
}

static void client_closes_first(void **state)
{
	established();
	in(F | A, 1001, 1, 10);
	expect(A, 1, 1012, 0);
	assert_false(tcp_is_eof(x.c));
	consume_all();
	assert_true(tcp_is_eof(x.c));
	send_bytes(3); /* it may still be answered */
	expect(P | A, 1, 1012, 3);
	tcp_close(x.c);
	tcp_flush(x.t, x.now_us);
	expect(F | A, 4, 1012, 0);
	in(A, 1012, 5, 0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.why, TCP_WHY_CLOSED);
	in(A, 1012, 5, 0);
	expect(R, 5, 0, 0); /* it is forgotten */
}

static void server_closes_first_and_waits(void **state)
{
	struct tcp_usage u;

	established();
	send_bytes(3);
	tcp_close(x.c);
	tcp_flush(x.t, x.now_us);
	expect(P | A, 1, 1001, 3);
	expect(F | A, 4, 1001, 0);
	in(A, 1001, 5, 0);
	expect_none();
	in(F | A, 1001, 5, 0);
	expect(A, 5, 1002, 0);
	assert_int_equal(x.n_close, 1);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_time_waits, 1);
	in(F | A, 1001, 5, 0);
	expect(A, 5, 1002, 0);
	in(R, 1002, 0, 0); /* RFC 1337 */
	in(S, 900, 0, 0);  /* old */
	expect(A, 5, 1002, 0);
	in(S, 2000, 0, 0);
	expect(S | A, 0, 2001, 0);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_time_waits, 0);
}

static void both_close_at_once(void **state)
{
	struct tcp_usage u;

	established();
	tcp_close(x.c);
	tcp_flush(x.t, x.now_us);
	expect(F | A, 1, 1001, 0);
	in(F | A, 1001, 1, 0);
	expect(A, 2, 1002, 0);
	assert_int_equal(x.n_close, 0);
	in(A, 1002, 2, 0);
	assert_int_equal(x.n_close, 1);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_time_waits, 1);
	wait_us(59000000);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_time_waits, 1);
	wait_us(2000000);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_time_waits, 0);
}

static void abort_sends_rst(void **state)
{
	established();
	send_bytes(3);
	expect(P | A, 1, 1001, 3);
	tcp_abort(x.c);
	tcp_flush(x.t, x.now_us);
	expect(R | A, 4, 1001, 0);
	assert_int_equal(x.why, TCP_WHY_ABORTED);
	assert_int_equal(x.n_close, 1);
}

static void idle_ones_are_probed_and_ended(void **state)
{
	x.profile.keepalive_ms = 1000;
	established();
	wait_us(1002000);
	expect(A, 0, 1001, 0);
	in(A, 1001, 1, 0);
	wait_us(3005000);
	for (unsigned i = 0; i < 3; i++)
		expect(A, 0, 1001, 0);
	wait_us(1000000);
	assert_int_equal(x.why, TCP_WHY_TIMEOUT);
	assert_int_equal(x.n_close, 1);
}

static void cookie_opens_with_its_options(void **state)
{
	struct tcp_opts o = {.has_mss = true,
		.mss = 1460,
		.has_wscale = true,
		.wscale = 7,
		.sack_ok = true,
		.has_ts = true,
		.tsval = 500};
	struct tcp_usage u;
	struct tcp_info info;

	tcp_destroy(&x.t);
	up_with(TCP_COOKIES_ALWAYS);
	in_opts(S, 1000, 0, 0, 30000, &o);
	expect(S | A, 0, 1001, 0);
	tcp_usage(x.t, &u);
	assert_int_equal(u.n_syns, 0);
	in_opts(A, 1001, 2, 0, 30000,
		&(struct tcp_opts){.has_ts = true, .tsval = 501, .tsecr = x.out[0].o.tsval});
	expect_none(); /* no RST: an ACK before this one may be lost */
	assert_int_equal(tcp_stats(x.t)->cookies_bad, 1);
	wait_us(50000000);
	in_opts(A, 1001, 1, 0, 30000,
		&(struct tcp_opts){.has_ts = true, .tsval = 501, .tsecr = x.out[0].o.tsval});
	assert_int_equal(x.n_open, 1);
	tcp_info(x.c, &info, x.now_us);
	assert_true(info.has_sack && info.has_timestamps);
	assert_int_equal(info.mss, 1448);
	assert_int_equal(info.snd_wnd, 30000 << 7);
}

static void cookie_is_good_for_two_minutes(void **state)
{
	tcp_destroy(&x.t);
	up_with(TCP_COOKIES_ALWAYS);
	in(S, 1000, 0, 0);
	expect(S | A, 0, 1001, 0);
	wait_us(125000000);
	in(A, 1001, 1, 0);
	assert_int_equal(x.n_open, 0);
}

static void numbers_begin_where_nobody_can_tell(void **state)
{
	uint32_t first;

	in(S, 1000, 0, 0);
	first = x.iss;
	in(R, 1001, 0, 0);
	x.now_us += 4000;
	in(S, 3000, 0, 0);
	assert_int_equal(x.iss - first, 1000); /* the same flow: a step in 4 microseconds */
}

/* A conversation as by chance, but each time the same: what came of each step of it. */
#define N_STEPS 400u
static struct step {
	struct tcp_info info;
	struct tcb c;
	struct seg out[8];
	unsigned n_out;
} by_short_way[N_STEPS], by_general_way[N_STEPS];

/* Returns where what has been sent ends. */
static uint32_t take_step(struct step *s, uint32_t sent)
{
	assert_in_range(x.n_out, 0, 8);
	for (unsigned i = 0; i < x.n_out; i++)
		if (seq_lt(sent, x.out[i].seq + x.out[i].len))
			sent = x.out[i].seq + x.out[i].len;
	memcpy(s->out, x.out, sizeof(s->out));
	s->n_out = x.n_out;
	s->c = *x.c;
	tcp_info(x.c, &s->info, x.now_us);
	x.n_out = x.n_taken = 0;
	return sent;
}

/* is_general: with a block of SACK that says nothing, which is enough to be none of what is expected. */
static void converse(struct step *steps, bool has_ts, bool has_sack, bool is_general)
{
	uint32_t seq = 1001, sent = 1, acked = 1;
	struct tcp_opts o = {.has_ts = has_ts, .tsval = 1, .sack_ok = has_sack};

	in_opts(S, 1000, 0, 0, 30000, &o);
	o = (struct tcp_opts){.has_ts = has_ts, .tsval = 2, .n_sacks = is_general};
	in_opts(A, 1001, 1, 0, 30000, &o);
	x.n_out = x.n_taken = 0;
	srand(5);
	for (unsigned i = 0; i < N_STEPS; i++) {
		const unsigned kind = (unsigned)rand() % 16, len = 1 + (unsigned)rand() % 300;
		const unsigned n = kind == 0 ? 0 : kind == 1 ? 3000 : 1 + (unsigned)rand() % 900;

		wait_us(kind == 2 ? 400000 : (unsigned)rand() % 4000);
		o.tsval = kind == 3 ? 1 : (uint32_t)(x.now_us / 1000);
		in_opts(A | P, seq + (kind == 4 ? len : 0), kind == 5 ? acked : sent, len,
			kind == 6 ? 20000 : 30000, &o);
		if (kind == 4) /* they overtake each other */
			in_opts(A | P, seq, sent, len, 30000, &o);
		seq += kind == 3 ? 0 : kind == 4 ? 2 * len : len;
		acked = kind == 5 ? acked : sent;
		if (kind != 7)
			consume_all();
		if (n > 0)
			send_bytes(n);
		sent = take_step(&steps[i], sent);
	}
}

static void assert_same(const struct step *a, const struct step *b)
{
	const struct tcb *c = &a->c, *d = &b->c;

	assert_int_equal(a->n_out, b->n_out);
	for (unsigned i = 0; i < a->n_out; i++) {
		const struct seg *s = &a->out[i], *t = &b->out[i];

		assert_true(s->flags == t->flags && s->seq == t->seq && s->ack == t->ack
			&& s->len == t->len && s->wnd == t->wnd && s->at_us == t->at_us
			&& s->o.has_ts == t->o.has_ts && s->o.n_sacks == t->o.n_sacks);
		assert_true(!s->o.has_ts || (s->o.tsval == t->o.tsval && s->o.tsecr == t->o.tsecr));
	}
	assert_memory_equal(&a->info, &b->info, sizeof(a->info));
	assert_true(c->flags == d->flags && c->rtx_us == d->rtx_us && c->ack_us == d->ack_us
		&& c->stuck_us == d->stuck_us && c->rack == d->rack
		&& c->rack_timer == d->rack_timer && c->rack_due_us == d->rack_due_us);
	assert_true(c->rttvar_us == d->rttvar_us && c->rtt_min_us == d->rtt_min_us
		&& c->rack_rtt_us == d->rack_rtt_us && c->max_wnd == d->max_wnd
		&& c->snd_wl1 == d->snd_wl1 && c->snd_wl2 == d->snd_wl2);
	assert_true(c->ts_recent == d->ts_recent && c->last_ack_sent == d->last_ack_sent
		&& c->n_unacked == d->n_unacked && c->mss_seen == d->mss_seen
		&& c->n_backoffs == d->n_backoffs && c->recover == d->recover);
	assert_memory_equal(&c->cc, &d->cc, sizeof(c->cc));
}

static void what_is_expected_changes_what_it_would_by_the_general_way(void **state)
{
	for (unsigned way = 0; way < 4; way++) {
		converse(by_short_way, way & 1, way & 2, false);
		tcp_destroy(&x.t);
		up_with(TCP_COOKIES_AUTO);
		converse(by_general_way, way & 1, way & 2, true);
		tcp_destroy(&x.t);
		up_with(TCP_COOKIES_AUTO);
		for (unsigned i = 0; i < N_STEPS; i++)
			assert_same(&by_short_way[i], &by_general_way[i]);
	}
}

static bool abort_each(void *ctx, struct tcb *c)
{
	struct tcp_info info;

	tcp_info(c, &info, x.now_us);
	assert_string_equal(tcp_state_name(info.state), "ESTABLISHED");
	assert_int_equal(info.peer_port, RTE_BE16(4000));
	tcp_abort(c);
	return true;
}

static void walk_may_abort(void **state)
{
	established();
	tcp_walk(x.t, abort_each, NULL);
	tcp_walk(x.t, abort_each, NULL); /* it is not there any more */
	tcp_flush(x.t, x.now_us);
	expect(R | A, 1, 1001, 0);
	assert_int_equal(x.n_close, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
	const struct CMUnitTest tests[] = {
		T(syn_is_answered_with_the_options_it_had),
		T(refused_syn_gets_nothing),
		T(segment_of_no_flow_gets_rst),
		T(data_is_acknowledged_at_the_second_segment_or_after_a_while),
		T(answer_takes_the_acknowledgement),
		T(what_is_lost_comes_again_and_later_each_time),
		T(no_progress_ends_it),
		T(third_duplicate_brings_it_again),
		T(sack_tells_which_are_lost),
		T(holes_are_told_of),
		T(rst_counts_at_the_edge_only),
		T(challenges_are_limited),
		T(old_timestamps_are_refused),
		T(closed_window_is_probed),
		T(reader_opens_the_window),
		T(client_closes_first),
		T(server_closes_first_and_waits),
		T(both_close_at_once),
		T(abort_sends_rst),
		T(idle_ones_are_probed_and_ended),
		T(walk_may_abort),
		T(what_is_expected_changes_what_it_would_by_the_general_way),
		T(cookie_opens_with_its_options),
		T(cookie_is_good_for_two_minutes),
		T(numbers_begin_where_nobody_can_tell),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp", 64) != 0)
		return 1;
	x.pool = rte_pktmbuf_pool_create("tcp", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return x.pool == NULL || cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
