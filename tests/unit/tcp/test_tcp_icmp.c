/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors about segments of a connection, in virtual time: who is believed, what it does, and what goes out after it. */
#include "base/csum.h"
#include "base/keyhash.h"
#include "eal.h"
#include "tcpscript.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_mempool.h>

#define S RTE_TCP_SYN_FLAG
#define A RTE_TCP_ACK_FLAG
#define F RTE_TCP_FIN_FLAG
#define P RTE_TCP_PSH_FLAG

static struct tcpscript x;
static uint32_t iss, rcv_nxt; /* our first number; what the peer sends next */

static const uint8_t ours[2][16] = {{10, 0, 0, 1}, {0xfd, [15] = 1}};
static const uint8_t theirs[2][16] = {{10, 0, 0, 2}, {0xfd, [15] = 2}};

static int up4(void **state)
{
	tcpscript_up(&x, 4, TCP_COOKIES_AUTO);
	return 0;
}

static int up6(void **state)
{
	tcpscript_up(&x, 6, TCP_COOKIES_AUTO);
	return 0;
}

static int down(void **state)
{
	tcpscript_down(&x);
	return 0;
}

static void in(uint8_t flags, uint32_t ack)
{
	const struct tcpscript_seg s = {.flags = flags,
		.seq = rcv_nxt,
		.ack = iss + ack,
		.wnd = 30000,
		.o = {.has_mss = flags & S, .mss = 8940}};

	tcpscript_in(&x, TCPSCRIPT_PORT, &s);
	rcv_nxt += flags & (S | F) ? 1 : 0;
}

static void expect(uint8_t flags, uint32_t seq, uint32_t len)
{
	const struct tcpscript_seg *s = tcpscript_next(&x);

	assert_non_null(s);
	if (s->flags != flags || s->seq != iss + seq || s->len != len)
		fail_msg("flags %02x seq %u len %u came out", s->flags, s->seq - iss, s->len);
}

static void expect_none(void)
{
	assert_null(tcpscript_next(&x));
}

static void established(void)
{
	rcv_nxt = 1000;
	in(S, 0);
	iss = x.out[0].seq;
	expect(S | A, 0, 0);
	in(A, 1);
	assert_int_equal(x.n_open, 1);
}

static void send_bytes(uint32_t n)
{
	static uint8_t block[65536];

	assert_int_equal(tcp_write(x.c, block, n), n);
	tcp_flush(x.t, x.now_us);
}

/* The error quotes the IP header and the first 8 bytes of a segment that had `len` bytes of payload. */
static bool error_of(
	uint8_t type, uint8_t code, uint32_t mtu, uint32_t seq, uint32_t len, uint16_t wrong)
{
	const bool is_v6 = x.family == 6;
	const uint32_t n_ip = is_v6 ? 40 : 20, n = 8 + n_ip + 8;
	uint8_t b[8 + 40 + 8] = {type, code};
	const rte_be32_t be_mtu = rte_cpu_to_be_32(mtu), be_seq = rte_cpu_to_be_32(iss + seq);
	struct rte_ipv4_hdr v4 = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(40 + len)),
		.next_proto_id = IPPROTO_TCP};
	struct rte_ipv6_hdr v6 = {.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16((uint16_t)(20 + len)),
		.proto = IPPROTO_TCP};
	const rte_be16_t ports[2] = {RTE_BE16(7), rte_cpu_to_be_16(TCPSCRIPT_PORT)};
	uint16_t sum;
	bool is_taken;

	memcpy(b + 4, &be_mtu, 4);
	memcpy(&v4.src_addr, ours[0], 4);
	memcpy(&v4.dst_addr, theirs[0], 4);
	memcpy(v6.src_addr, ours[1], 16);
	memcpy(v6.dst_addr, theirs[1], 16);
	memcpy(b + 8, is_v6 ? (const void *)&v6 : &v4, n_ip);
	memcpy(b + 8 + n_ip, ports, 4);
	memcpy(b + 8 + n_ip + 4, &be_seq, 4);
	sum = is_v6 ? csum_l4(theirs[1], ours[1], 16, IPPROTO_ICMPV6, b, n) : csum_of(b, n);
	sum = (uint16_t)(sum + wrong);
	memcpy(b + 2, &sum, 2);
	tcpscript_packet(&x, is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, b, n);
	is_taken = tcp_icmp(x.t, &x.b, 0, x.now_us);
	assert_int_equal(x.b.p[0].verdict, is_taken ? PKT_GONE : PKT_UNSEEN);
	if (!is_taken)
		rte_pktmbuf_free(x.b.m[0]);
	tcp_flush(x.t, x.now_us);
	assert_true(tcp_check(x.t));
	return is_taken;
}

static void too_big(uint32_t mtu, uint32_t seq, uint32_t len)
{
	assert_true(error_of(x.family == 4 ? 3 : 2, x.family == 4 ? 4 : 0, mtu, seq, len, 0));
}

static void unreachable_port(uint32_t seq)
{
	assert_true(error_of(x.family == 4 ? 3 : 1, x.family == 4 ? 3 : 4, 0, seq, 0, 0));
}

static struct tcp_info info_of(void)
{
	struct tcp_info info;

	tcp_info(x.c, &info, x.now_us);
	return info;
}

static void segments_get_smaller_and_go_again(void **state)
{
	const uint32_t mss = x.family == 4 ? 1460 : 1440, n_header = 1500 - mss;
	const uint32_t small = 1300 - n_header;
	uint32_t cwnd;

	established();
	send_bytes(2 * mss + 80);
	expect(P | A, 1, mss);
	expect(P | A, 1 + mss, mss);
	expect(P | A, 1 + 2 * mss, 80);
	cwnd = info_of().cwnd;
	too_big(1300, 1, mss);
	expect(P | A, 1, small);
	expect(P | A, 1 + small, mss - small);
	expect(P | A, 1 + mss, small);
	expect(P | A, 1 + mss + small, mss - small);
	expect_none();
	assert_int_equal(info_of().mss, small);
	assert_int_equal(info_of().cwnd, cwnd); /* nothing is congested */
	too_big(1300, 1 + mss, mss);            /* the other one's */
	expect_none();
	in(A, 1 + mss);
	in(A, 1 + 2 * mss + 80);
	assert_int_equal(info_of().queued, 0);
	assert_true(info_of().cwnd >= cwnd);
	send_bytes(small + 1);
	expect(P | A, 1 + 2 * mss + 80, small);
	expect(P | A, 1 + 2 * mss + 80 + small, 1);
	assert_int_equal(tcp_stats(x.t)->mss_lowered, 1);
	assert_int_equal(tcp_stats(x.t)->fast_recoveries, 0);
}

static void what_waits_is_cut_as_it_goes(void **state)
{
	established();
	send_bytes(30000);
	while (tcpscript_next(&x) != NULL)
		;
	too_big(1300, 1, 1440);
	for (const struct tcpscript_seg *s; (s = tcpscript_next(&x)) != NULL;)
		assert_in_range(s->len, 1, 1260);
	for (uint32_t acked = 0; acked < 30000;
		acked = x.out[x.n_out - 1].seq - iss - 1 + x.out[x.n_out - 1].len) {
		in(A, 1 + x.out[x.n_out - 1].seq - iss - 1 + x.out[x.n_out - 1].len);
		for (const struct tcpscript_seg *s; (s = tcpscript_next(&x)) != NULL;)
			assert_in_range(s->len, 1, 1260);
	}
	in(A, 30001);
	assert_int_equal(info_of().queued, 0);
}

static void only_what_is_on_its_way_counts(void **state)
{
	established();
	send_bytes(1000);
	expect(P | A, 1, 1000);
	too_big(1300, 0, 1440);
	too_big(1300, 1001, 1440);
	too_big(1300, 0x80000000, 1440);
	assert_int_equal(tcp_stats(x.t)->icmp_ignored, 3);
	in(A, 1001);
	too_big(1300, 1000, 1440);
	assert_int_equal(tcp_stats(x.t)->icmp_ignored, 4);
	send_bytes(1000);
	expect(P | A, 1001, 1000);
	assert_true(error_of(3, 4, 1300, 1001, 1440, 1)); /* a wrong checksum */
	assert_int_equal(tcp_stats(x.t)->icmp_ignored, 5);
	too_big(1600, 1001, 1440); /* longer than what was sent */
	too_big(1300, 1001, 1000); /* the quoted one is shorter */
	assert_int_equal(tcp_stats(x.t)->icmp_soft, 2);
	assert_int_equal(info_of().mss, 1500 - (x.family == 4 ? 40 : 60));
}

static void what_got_through_needs_a_timeout(void **state)
{
	established();
	send_bytes(1440);
	expect(P | A, 1, 1440);
	in(A, 1441); /* such a long one got through */
	send_bytes(1440);
	expect(P | A, 1441, 1440);
	too_big(1300, 1441, 1440);
	assert_int_equal(tcp_stats(x.t)->mss_claimed, 1);
	in(A, 2881); /* and this one, too: forgotten */
	send_bytes(1440);
	expect(P | A, 2881, 1440);
	tcpscript_wait_us(&x, 250000);
	expect(P | A, 2881, 1440);
	too_big(1300, 2881, 1440);
	expect_none();
	tcpscript_wait_us(&x, 450000);
	expect(P | A, 2881, 1300 - (x.family == 4 ? 40 : 60));
	assert_int_equal(tcp_stats(x.t)->mss_claimed, 2);
	assert_int_equal(tcp_stats(x.t)->mss_lowered, 1);
	in(A, 4321);
	assert_int_equal(info_of().queued, 0);
}

static void no_smaller_than_the_floor(void **state)
{
	established();
	send_bytes(1440);
	expect(P | A, 1, 1440);
	if (x.family == 6) {
		too_big(1279, 1, 1440);
		expect_none();
	}
	too_big(x.family == 4 ? 68 : 1280, 1, 1440);
	assert_int_equal(info_of().mss, x.family == 4 ? 536 : 1220);
	expect(P | A, 1, info_of().mss);
}

static void routers_that_name_no_mtu(void **state)
{
	established();
	send_bytes(1460);
	expect(P | A, 1, 1460);
	too_big(0, 1, 1460);
	assert_int_equal(info_of().mss, 1492 - 40);
	expect(P | A, 1, 1452);
	expect(P | A, 1453, 8);
	too_big(0, 1, 1452);
	assert_int_equal(info_of().mss, 1006 - 40);
}

static void timestamps_take_their_part(void **state)
{
	struct tcpscript_seg s = {.flags = S, .seq = 1000, .wnd = 30000};

	s.o = (struct tcp_opts){.has_mss = true, .mss = 8940, .has_ts = true, .tsval = 1};
	tcpscript_in(&x, TCPSCRIPT_PORT, &s);
	iss = x.out[0].seq;
	expect(S | A, 0, 0);
	s = (struct tcpscript_seg){.flags = A, .seq = 1001, .ack = iss + 1, .wnd = 30000};
	s.o = (struct tcp_opts){.has_ts = true, .tsval = 2, .tsecr = x.out[0].o.tsval};
	tcpscript_in(&x, TCPSCRIPT_PORT, &s);
	send_bytes(1400);
	expect(P | A, 1, 1400);
	too_big(1300, 1, 1412);
	assert_int_equal(info_of().mss, 1300 - (x.family == 4 ? 40 : 60) - TCP_WIRE_TS_BYTES);
}

static void the_last_segment_keeps_its_fin(void **state)
{
	established();
	assert_int_equal(tcp_write(x.c, ours, 0), 0);
	assert_int_equal(tcp_write(x.c, (const uint8_t[1440]){0}, 1440), 1440);
	tcp_close(x.c);
	tcp_flush(x.t, x.now_us);
	expect(P | F | A, 1, 1440);
	too_big(1300, 1, 1440);
	expect(P | A, 1, 1300 - (x.family == 4 ? 40 : 60));
	expect(P | F | A, 1 + 1300 - (x.family == 4 ? 40 : 60),
		1440 - (1300 - (x.family == 4 ? 40 : 60)));
	in(F | A, 1442);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.why, TCP_WHY_CLOSED);
	too_big(1300, 1, 1440); /* TIME-WAIT: of no use */
	assert_int_equal(tcp_stats(x.t)->icmp_ignored, 1);
}

static void nothing_ends_an_open_connection(void **state)
{
	const uint8_t last = x.family == 4 ? 12 : 4;

	established();
	send_bytes(100);
	expect(P | A, 1, 100);
	for (uint8_t type = x.family == 4 ? 3 : 1; type <= last; type++)
		for (unsigned code = 0; code < 20; code++)
			if (type != (x.family == 4 ? 3 : 2) || code != (x.family == 4 ? 4 : 0))
				error_of(type, (uint8_t)code, 0, 1, 100, 0);
	assert_int_equal(x.n_close, 0);
	expect_none();
	assert_true(tcp_stats(x.t)->icmp_soft > 40);
	in(A, 101);
	assert_int_equal(info_of().queued, 0);
}

static void hard_errors_end_what_is_not_open_yet(void **state)
{
	tcpscript_open(&x);
	iss = x.out[0].seq;
	expect(S, 0, 0);
	unreachable_port(1); /* of another number */
	unreachable_port(0x12345678);
	assert_true(error_of(x.family == 4 ? 3 : 1, 0, 0, 0, 0, 0)); /* no route: soft */
	assert_true(error_of(x.family == 4 ? 11 : 3, 0, 0, 0, 0, 0));
	too_big(1300, 0, 1440);
	assert_int_equal(x.n_close, 0);
	unreachable_port(0);
	assert_int_equal(x.n_close, 1);
	assert_int_equal(x.why, TCP_WHY_UNREACHABLE);
	expect_none();
	assert_false(error_of(3, 3, 0, 0, 0, 0)); /* it is nobody's now */
}

static void syn_entries_stay(void **state)
{
	rcv_nxt = 1000;
	in(S, 0);
	iss = x.out[0].seq;
	expect(S | A, 0, 0);
	unreachable_port(0);
	assert_int_equal(tcp_stats(x.t)->icmp_ignored, 1);
	in(A, 1);
	assert_int_equal(x.n_open, 1);
}

int main(void)
{
#define T(f) \
	{#f " (IPv4)", f, up4, down, NULL}, \
	{ \
#f " (IPv6)", f, up6, down, NULL \
	}
	const struct CMUnitTest tests[] = {
		T(segments_get_smaller_and_go_again),
		T(what_waits_is_cut_as_it_goes),
		T(only_what_is_on_its_way_counts),
		T(what_got_through_needs_a_timeout),
		T(no_smaller_than_the_floor),
		T(timestamps_take_their_part),
		T(the_last_segment_keeps_its_fin),
		T(nothing_ends_an_open_connection),
		T(hard_errors_end_what_is_not_open_yet),
		T(syn_entries_stay),
		cmocka_unit_test_setup_teardown(routers_that_name_no_mtu, up4, down),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_icmp", 64) != 0)
		return 1;
	x.pool = rte_pktmbuf_pool_create("tcp", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return x.pool == NULL || cmocka_run_group_tests_name("tcp_icmp", tests, NULL, NULL);
}
