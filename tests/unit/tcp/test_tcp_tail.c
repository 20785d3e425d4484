/* SPDX-License-Identifier: BSD-3-Clause */
/* Probes of the tail (RFC 8985 7), what losses make of the windows, and what is taken back. Each script says which clause it is
 * for. */
#include "ackbed.h"
#include "base/keyhash.h"
#include "eal.h"
#include "tcp/tcp_wire.h"
#include "unit.h"

#include <rte_mempool.h>

static int up(void **state)
{
	ackbed_up(true, false);
	ackbed_establish();
	return 0;
}

static int up_ts(void **state)
{
	ackbed_up(true, true);
	ackbed_establish();
	return 0;
}

static int up_short(void **state)
{
	ackbed_up(true, false);
	ackbed.profile.rto_min_ms = 1;
	ackbed_establish();
	return 0;
}

static int up_cubic(void **state)
{
	ackbed_up(true, false);
	ackbed.profile.cc = TCP_CC_CUBIC;
	ackbed_establish();
	return 0;
}

static int up_plain(void **state)
{
	ackbed_up(false, false);
	ackbed_establish();
	return 0;
}

static int down(void **state)
{
	ackbed_down();
	return 0;
}

/* RFC 8985 7.2, 7.3, 7.4.1: two round trips without an acknowledgement, and the last segment goes again; what it brings tells
 * what is lost. */
static void a_lost_tail_is_probed(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(40999);
	ackbed_expect_none();
	ackbed_at(41000);
	ackbed_expect(2, 3, 41000);
	ackbed_at(61000);
	ACK(0, {2, 3});
	ackbed_expect(0, 2, 61000);
	ackbed_at(81000);
	ACK(3);
	ackbed_at(1000000);
	ackbed_expect_none();
	assert_int_equal(tcp_stats(ackbed.t)->tail_probes, 1);
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 1);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 0);
}

/* RFC 8985 7.2: of one segment alone the acknowledgement may be kept back. */
static void one_segment_is_probed_later(void **state)
{
	ackbed_send(1);
	ackbed_expect(0, 1, 0);
	ackbed_at(100999);
	ackbed_expect_none();
	ackbed_at(101000); /* twice 20000, and 60000 */
	ackbed_expect(0, 1, 101000);
}

/* RFC 8985 7.2: what is sent, and what is acknowledged, begins it anew. */
static void progress_puts_the_probe_off(void **state)
{
	ackbed_send(2);
	ackbed_expect(0, 2, 0);
	ackbed_at(30000);
	ackbed_send(2);
	ackbed_expect(2, 4, 30000);
	ackbed_at(50000);
	ACK(2); /* the smoothed round trip is 23.75 ms now */
	ackbed_at(98499);
	ackbed_expect_none();
	ackbed_at(99000);
	ackbed_expect(3, 4, 99000);
}

/* RFC 8985 7.2, 7.3: not later than the time-out, here of three round trips, which then begins anew. */
static void the_probe_comes_before_the_time_out(void **state)
{
	ackbed_send(1);
	ackbed_expect(0, 1, 0);
	ackbed_at(60999);
	ackbed_expect_none();
	ackbed_at(61000);
	ackbed_expect(0, 1, 61000);
	assert_int_equal(tcp_stats(ackbed.t)->tail_probes, 1);
	ackbed_at(121999);
	ackbed_expect_none();
	ackbed_at(122000);
	ackbed_expect(0, 1, 122000);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 1);
}

/* RFC 8985 7.3: a new segment, if there is one, though cwnd is full. */
static void a_probe_is_a_new_segment_if_there_is_one(void **state)
{
	ackbed_send(IW + 2);
	ackbed_expect(0, IW, 0);
	ackbed_at(41000);
	ackbed_expect(IW, IW + 1, 41000);
	ackbed_at(61000);
	ACK(0, {IW, IW + 1});
	ackbed_expect(0, IW / 2, 61000); /* all that came before is lost */
}

/* RFC 8985 7.3: not one beyond the peer's window. */
static void a_probe_is_an_old_segment_when_the_window_is_full(void **state)
{
	ackbed.wnd = 3 * ACKBED_SEG;
	ACK(0);
	ackbed_send(5);
	ackbed_expect(0, 3, 0);
	ackbed_at(41000);
	ackbed_expect(2, 3, 41000);
}

/* RFC 8985 7.3: one probe, then the time-out, which counts from the probe. */
static void a_probe_without_an_answer_is_the_only_one(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(41000);
	ackbed_expect(2, 3, 41000);
	ackbed_at(241999);
	ackbed_expect_none();
	ackbed_at(242000);
	ackbed_expect(0, 1, 242000);
	assert_int_equal(tcp_stats(ackbed.t)->tail_probes, 1);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 1);
	assert_int_equal(ackbed_info().cwnd, ACKBED_SEG);
}

/* The second of two is lost, and made good by the probe. */
static void repair_by_probe(void)
{
	ackbed_send(2);
	ackbed_expect(0, 2, 0);
	ackbed_at(20000);
	ACK(1);
	ackbed_at(121000);
	ackbed_expect(1, 2, 121000);
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
	ackbed_at(141000);
	ACK(2);
}

/* RFC 8985 7.4.2: acknowledged beyond the probe, without a sign that both came: a loss, which makes the window smaller. */
static void a_loss_that_a_probe_repaired_counts(void **state)
{
	repair_by_probe();
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
	ackbed_send(1);
	ackbed_expect(2, 3, 141000);
	ackbed_at(161000);
	ACK(3);
	assert_int_equal(ackbed_info().ssthresh, 2 * ACKBED_SEG);
	assert_int_equal(ackbed_info().cwnd, 2 * ACKBED_SEG);
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 0);
}

/* RFC 8985 7.4.2, case 1: the duplicate is told of. */
static void a_probe_that_came_twice_is_no_loss(void **state)
{
	repair_by_probe();
	ACK(2, {1, 2});
	ackbed_send(1);
	ackbed_at(161000);
	ACK(3);
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
}

/* RFC 8985 7.4.2, case 2: a peer that does not know RFC 2883 repeats its acknowledgement. */
static void a_probe_whose_acknowledgement_is_repeated_is_no_loss(void **state)
{
	repair_by_probe();
	ACK(2);
	ackbed_send(1);
	ackbed_at(161000);
	ACK(3);
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
}

/* RFC 8985 7.2: in a recovery, and where something is there behind a hole, there is something to go by. */
static void a_recovery_is_not_probed(void **state)
{
	ackbed_send(4);
	ackbed_expect(0, 4, 0);
	ackbed_at(20000);
	ACK(0, {1, 2});
	ackbed_at(26000);
	ackbed_expect(0, 1, 26000);
	ackbed_at(225000);
	ackbed_expect_none();
	assert_int_equal(tcp_stats(ackbed.t)->tail_probes, 0);
}

/* RFC 8985 4: without SACK there are no probes, nor is anything found by time. */
static void without_sack_the_time_out_is_waited_for(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(200999);
	ackbed_expect_none();
	ackbed_at(201000);
	ackbed_expect(0, 1, 201000);
}

/* RFC 9438 4.6: seven tenths are left. RFC 5681 3.1: after a time-out a segment. */
static void cubic_takes_three_tenths(void **state)
{
	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	ackbed_at(20000);
	ACK(0, {1, 4});
	ackbed_expect(0, 1, 20000);
	assert_int_equal(ackbed_info().cwnd, 7 * ACKBED_SEG);
	assert_int_equal(ackbed_info().ssthresh, 7 * ACKBED_SEG);
	ackbed_at(40000);
	ACK(IW);
	assert_int_equal(ackbed_info().cwnd, 7 * ACKBED_SEG);
	ackbed_send(5);
	ackbed_at(1000000);
	assert_int_equal(ackbed_info().cwnd, ACKBED_SEG);
	assert_int_equal(ackbed_info().ssthresh, 7 * 5 * ACKBED_SEG / 10);
}

/* RFC 5681 3.1: slow start doubles the window in a round trip, also when one acknowledgement tells of all. */
static void slow_start_doubles(void **state)
{
	ackbed_send(6 * IW);
	ackbed_expect(0, IW, 0);
	ackbed_at(20000);
	ACK(2);
	ackbed_expect(IW, IW + 4, 20000);
	ACK(IW);
	ackbed_expect(IW + 4, 3 * IW, 20000);
	assert_int_equal(ackbed_info().cwnd, 2 * IW * ACKBED_SEG);
}

/* RFC 9293 3.8.2, RFC 7661: not when it was not what kept us from sending. */
static void what_was_not_used_does_not_grow(void **state)
{
	ackbed_send(4);
	ackbed_expect(0, 4, 0);
	ackbed_at(20000);
	ACK(4);
	assert_int_equal(ackbed_info().cwnd, IW * ACKBED_SEG);
}

/* RFC 3522 3.2, RFC 4015: what was sent first has come after the time-out. Windows are as before, and nothing else goes again. */
static void a_time_out_for_nothing_is_undone(void **state)
{
	uint32_t first_ts;

	ackbed_send(IW + 5);
	ackbed_expect(0, IW, 0);
	first_ts = ackbed.tsval;
	ackbed_at(242000);
	ackbed_expect(IW, IW + 1, 41000); /* a probe */
	ackbed_expect(0, 1, 242000);
	assert_int_equal(ackbed_info().cwnd, ACKBED_SEG);
	ackbed_at(250000);
	ACK_OF(first_ts, 1, {0, 0});
	assert_int_equal(tcp_stats(ackbed.t)->undos, 1);
	assert_int_equal(ackbed_info().cwnd, (IW + 1) * ACKBED_SEG); /* one is acknowledged */
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
	ackbed_expect(IW + 1, IW + 2, 250000);
	ackbed_expect_none();
	ackbed_at(251000);
	ACK_OF(first_ts, IW, {0, 0});
	ackbed_expect(IW + 2, IW + 5, 251000);
	ackbed_expect_none();
}

/* RFC 3522 3.2: it was the retransmission that came. */
static void a_time_out_with_cause_is_not_undone(void **state)
{
	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	ackbed_at(242000);
	ackbed_expect(IW - 1, IW, 41000);
	ackbed_expect(0, 1, 242000);
	ackbed_at(262000);
	ACK(1);
	assert_int_equal(tcp_stats(ackbed.t)->undos, 0);
	assert_int_equal(ackbed_info().ssthresh, IW * ACKBED_SEG / 2);
	ackbed_expect(1, 3, 262000); /* all is lost, and the window is two */
}

/* RFC 3522 3.2: a segment that was overtaken by many; RFC 8985 6.2 step 3: so there is reordering. */
static void a_recovery_for_nothing_is_undone(void **state)
{
	uint32_t first_ts;

	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	first_ts = ackbed.tsval;
	ackbed_at(20000);
	ACK_OF(first_ts, 0, {2, 7});
	ackbed_expect(0, 2, 20000);
	assert_int_equal(ackbed_info().cwnd, IW * ACKBED_SEG / 2);
	ackbed_at(23000);
	ACK_OF(first_ts, 1, {2, 7}); /* and the other has two milliseconds still */
	assert_int_equal(tcp_stats(ackbed.t)->undos, 1);
	assert_int_equal(ackbed_info().cwnd, (IW + 1) * ACKBED_SEG);
	assert_int_equal(ackbed_info().ssthresh, UINT32_MAX);
	ackbed_at(24000);
	ACK_OF(first_ts, IW, {0, 0});
	ackbed_at(100000);
	ackbed_expect_none();
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 1);
}

/* After a second time-out a timestamp does not tell which of three has come. */
static void a_second_time_out_is_not_undone(void **state)
{
	uint32_t second_ts;

	ackbed_send(IW);
	ackbed_at(242000);
	second_ts = ackbed.tsval;
	ackbed_at(645000);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 2);
	ACK_OF(second_ts, 1, {0, 0});
	assert_int_equal(tcp_stats(ackbed.t)->undos, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define T_PLAIN(f) cmocka_unit_test_setup_teardown(f, up_plain, down)
#define T_SHORT(f) cmocka_unit_test_setup_teardown(f, up_short, down)
#define T_CUBIC(f) cmocka_unit_test_setup_teardown(f, up_cubic, down)
#define T_TS(f) cmocka_unit_test_setup_teardown(f, up_ts, down)
	const struct CMUnitTest tests[] = {
		T(a_lost_tail_is_probed),
		T(one_segment_is_probed_later),
		T(progress_puts_the_probe_off),
		T_SHORT(the_probe_comes_before_the_time_out),
		T(a_probe_is_a_new_segment_if_there_is_one),
		T(a_probe_is_an_old_segment_when_the_window_is_full),
		T(a_probe_without_an_answer_is_the_only_one),
		T(a_loss_that_a_probe_repaired_counts),
		T(a_probe_that_came_twice_is_no_loss),
		T(a_probe_whose_acknowledgement_is_repeated_is_no_loss),
		T(a_recovery_is_not_probed),
		T_CUBIC(cubic_takes_three_tenths),
		T(slow_start_doubles),
		T(what_was_not_used_does_not_grow),
		T_TS(a_time_out_for_nothing_is_undone),
		T_TS(a_time_out_with_cause_is_not_undone),
		T_TS(a_recovery_for_nothing_is_undone),
		T_TS(a_second_time_out_is_not_undone),
		T_PLAIN(without_sack_the_time_out_is_waited_for),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_tail", 64) != 0)
		return 1;
	ackbed.pool =
		rte_pktmbuf_pool_create("tail", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return ackbed.pool == NULL || cmocka_run_group_tests_name("tcp_tail", tests, NULL, NULL);
}
