/* SPDX-License-Identifier: BSD-3-Clause */
/* Which segments are lost, by time (RFC 8985 6). Each script says which clause it is for. */
#include "ackbed.h"
#include "base/keyhash.h"
#include "eal.h"
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

static int down(void **state)
{
	ackbed_down();
	return 0;
}

/* RFC 8985 6.2 step 5: what was sent before a delivered segment, and does not come in a quarter of the smallest round trip. */
static void a_hole_is_lost_a_reordering_window_later(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(20000);
	ACK(0, {1, 3});
	ackbed_at(25999);
	ackbed_expect_none();
	ackbed_at(26000); /* 20000 and 5000, in the tick after that */
	ackbed_expect(0, 1, 26000);
	ackbed_expect_none();
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 1);
}

/* RFC 8985 6.2 step 5: it comes in time. */
static void a_hole_that_is_filled_in_time_is_not_lost(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(20000);
	ACK(0, {1, 3});
	ackbed_at(24000);
	ACK(3);
	ackbed_at(100000);
	ackbed_expect_none();
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 0);
}

/* RFC 8985 6.2 step 4: three that are there, and no reordering seen so far. */
static void three_behind_a_hole_make_it_lost_at_once(void **state)
{
	ackbed_send(5);
	ackbed_expect(0, 5, 0);
	ackbed_at(20000);
	ACK(0, {1, 3});
	ackbed_expect_none();
	ackbed_at(21000);
	ACK(0, {1, 4});
	ackbed_expect(0, 1, 21000);
	ackbed_expect_none(); /* number 4 was sent after what is there */
}

/* RFC 8985 6.2 step 5: what was sent again later than that is no end of the search. */
static void a_second_hole_is_found_behind_a_retransmission(void **state)
{
	ackbed_send(IW);
	ackbed_expect(0, IW, 0);
	ackbed_at(20000);
	ACK(0, {1, 4});
	ackbed_expect(0, 1, 20000);
	ACK(0, {1, 4}, {5, 8});
	ackbed_expect(4, 5, 20000);
	ackbed_expect_none();
}

/* RFC 6675 3: a block that closes a hole between two that were there. */
static void a_hole_between_others_is_closed(void **state)
{
	ackbed_send(4);
	ackbed_expect(0, 4, 0);
	ackbed_at(20000);
	ACK(0, {1, 2}, {3, 4});
	ackbed_at(22000);
	ACK(0, {1, 4});
	ackbed_at(60000);
	ackbed_expect(0, 1, 28000); /* 22000 and 5000 */
	ackbed_expect_none();
}

/* RFC 8985 6.2 step 3: a late original; from then on holes get their time, whatever number is behind them. */
static void who_reorders_is_given_time(void **state)
{
	ackbed_send(3);
	ackbed_expect(0, 3, 0);
	ackbed_at(20000);
	ACK(0, {1, 3});
	ackbed_at(21000);
	ACK(3);
	ackbed_send(6);
	ackbed_expect(3, 9, 21000);
	ackbed_at(41000);
	ACK(3, {4, 9});
	ackbed_expect_none();
	ackbed_at(46999);
	ackbed_expect_none();
	ackbed_at(47000);
	ackbed_expect(3, 4, 47000);
}

/* RFC 8985 6.2 step 3: blocks that are new at once are no reordering, in whatever order they come. */
static void a_lost_acknowledgement_is_no_reordering(void **state)
{
	ackbed_send(8);
	ackbed_expect(0, 8, 0);
	ackbed_at(20000);
	ACK(0, {6, 8}, {1, 3});
	ackbed_expect(0, 1, 20000); /* at once: four are there */
	ackbed_expect(3, 6, 20000);
}

/* RFC 8985 6.2 step 4: each round with a DSACK widens the window by a quarter, up to the smoothed round trip; sixteen
 * recoveries without one make it what it was. */
static void duplicates_widen_the_window(void **state)
{
	uint64_t us = 100000;
	uint32_t seg = 3;

	ackbed_send(2);
	ackbed_expect(0, 2, 0);
	ackbed_at(20000);
	ACK(0, {1, 2});
	ackbed_at(26000);
	ackbed_expect(0, 1, 26000);
	ackbed_at(30000);
	ACK(2);
	ackbed_send(1);
	ackbed_expect(2, 3, 30000);
	ackbed_at(46000);
	ACK(2, {0, 1}); /* it came twice (RFC 2883) */
	ACK(2, {0, 1}); /* of the same round */
	ackbed_at(50000);
	ACK(3);
	for (unsigned i = 0; i < 17; i++) {
		const uint64_t lost_us = us + (i < 16 ? 31000 : 26000);

		ackbed_at(us);
		ackbed_send(2);
		ackbed_expect(seg, seg + 2, us);
		ackbed_at(us + 20000);
		ACK(seg, {seg + 1, seg + 2});
		ackbed_at(lost_us - 1);
		ackbed_expect_none();
		ackbed_at(lost_us);
		ackbed_expect(seg, seg + 1, lost_us);
		ackbed_at(us + 50000);
		seg += 2;
		ACK(seg);
		us += 60000;
	}
}

/* RFC 8985 6.2 step 5, RFC 5681 4.3: something sent after the retransmission is there, so that is lost too, and the window
 * is made smaller a second time. */
static void a_lost_retransmission_is_sent_again(void **state)
{
	ackbed_send(IW + 4);
	ackbed_expect(0, IW, 0);
	ackbed_at(20000);
	ACK(0, {1, 4});
	ackbed_expect(0, 1, 20000);
	assert_int_equal(ackbed_info().ssthresh, IW * ACKBED_SEG / 2);
	ackbed_at(20500);
	ACK(0, {1, 8}); /* room for another two */
	ackbed_expect(10, 12, 20500);
	ackbed_at(40500);
	ACK(0, {1, 11});
	ackbed_expect(0, 1, 40500);
	assert_int_equal(tcp_stats(ackbed.t)->lost_retransmits, 1);
	assert_int_equal(ackbed_info().ssthresh, IW * ACKBED_SEG / 4);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 0);
	ackbed_at(60500);
	ACK(12);
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 1);
}

/* RFC 8985 6.2 step 2: the acknowledgement of a segment that was sent twice may be the first one's. Without timestamps
 * what comes sooner than any round trip is. */
static void an_early_acknowledgement_is_not_the_retransmission_s(void **state)
{
	ackbed_send(8);
	ackbed_expect(0, 8, 0);
	ackbed_at(19000);
	ackbed_send(2);
	ackbed_expect(8, 10, 19000);
	ackbed_at(20000);
	ACK(0, {2, 8});
	ackbed_expect(0, 2, 20000);
	ackbed_at(22000);
	ACK(8);
	ackbed_at(38000);
	ackbed_expect_none(); /* what was sent at 19000 is not lost */
	assert_int_equal(tcp_stats(ackbed.t)->fast_recoveries, 1);
}

/* The same with timestamps: they say that it is the first one's, however late. */
static void an_old_timestamp_is_not_the_retransmission_s(void **state)
{
	uint32_t first_ts;

	ackbed_send(8);
	ackbed_expect(0, 8, 0);
	first_ts = ackbed.tsval;
	ackbed_at(19000);
	ackbed_send(2);
	ackbed_expect(8, 10, 19000);
	ackbed_at(20000);
	ACK_OF(first_ts, 0, {2, 8});
	ackbed_expect(0, 2, 20000);
	ackbed_at(45000);
	ACK_OF(first_ts, 8, {0, 0});
	ackbed_expect_none(); /* else what was sent at 19000 would be lost */
}

/* RFC 8985 6.3: at the time-out the first segment is lost, and what had time to come, but not what was sent of late. */
static void a_time_out_leaves_what_was_sent_of_late(void **state)
{
	ackbed_send(1);
	ackbed_expect(0, 1, 0);
	ackbed_at(101000);
	ackbed_expect(0, 1, 101000); /* a probe */
	ackbed_at(295000);
	ackbed_send(1);
	ackbed_expect(1, 2, 295000);
	ackbed_at(302000);
	ackbed_expect(0, 1, 302000);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 1);
	ackbed_at(305000);
	ACK(1); /* too early for that of 302000 */
	ackbed_expect_none();
	ackbed_send(1);
	ackbed_expect(2, 3, 305000); /* of a window of two, one is on its way */
}

/* RFC 2018 8: who said that it was there has to say so for good; it is sent again. */
static void what_the_peer_gave_up_is_sent_again(void **state)
{
	ackbed_send(6);
	ackbed_expect(0, 6, 0);
	ackbed_at(20000);
	ACK(0, {1, 5});
	ackbed_expect(0, 1, 20000);
	ackbed_at(40000);
	ACK(1, {4, 5});
	ackbed_expect(1, 4, 40000); /* as the window allows */
	ackbed_at(60000);
	ACK(5);
	ackbed_expect(5, 6, 60000);
	assert_int_equal(tcp_stats(ackbed.t)->timeouts, 0);
}

/* RFC 6298 5: the time-out counts from the retransmission of the first segment. */
static void a_retransmission_gets_a_time_out_of_its_own(void **state)
{
	ackbed_send(4);
	ackbed_expect(0, 4, 0);
	ackbed_at(230000);
	ackbed_expect(3, 4, 41000); /* a probe: time-out at 241000 */
	ACK(0, {1, 4});
	ackbed_expect(0, 1, 230000);
	ackbed_at(430999);
	ackbed_expect_none();
	ackbed_at(431000);
	ackbed_expect(0, 1, 431000);
}

/* Times of an hour ago are not later than those of now, of which the low bits are kept. */
static void an_idle_hour_does_no_harm(void **state)
{
	ackbed.profile.idle_ms = 7200000;
	ackbed_send(1);
	ackbed_expect(0, 1, 0);
	ackbed_at(20000);
	ACK(1);
	ackbed_at(3000000000);
	ackbed_send(3);
	ackbed_expect(1, 4, 3000000000);
	ackbed_at(3000020000);
	ACK(2);
	ackbed_at(3000050000);
	ackbed_expect_none();
}

/* A block that begins at the acknowledgement, or is not in flight, says nothing. */
static void impossible_blocks_are_ignored(void **state)
{
	ackbed_send(6);
	ackbed_expect(0, 6, 0);
	ackbed_at(20000);
	ACK(0, {0, 5}, {3, 7}, {5, 20});
	ACK(1, {0, 1});
	ackbed_at(50000);
	ackbed_expect_none();
	assert_int_equal(ackbed_info().in_flight, 5 * ACKBED_SEG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
#define T_TS(f) cmocka_unit_test_setup_teardown(f, up_ts, down)
	const struct CMUnitTest tests[] = {
		T(a_hole_is_lost_a_reordering_window_later),
		T(a_hole_that_is_filled_in_time_is_not_lost),
		T(three_behind_a_hole_make_it_lost_at_once),
		T(who_reorders_is_given_time),
		T(a_lost_acknowledgement_is_no_reordering),
		T(duplicates_widen_the_window),
		T(a_lost_retransmission_is_sent_again),
		T(an_early_acknowledgement_is_not_the_retransmission_s),
		T_TS(an_old_timestamp_is_not_the_retransmission_s),
		T(a_time_out_leaves_what_was_sent_of_late),
		T(what_the_peer_gave_up_is_sent_again),
		T(impossible_blocks_are_ignored),
		T(a_second_hole_is_found_behind_a_retransmission),
		T(a_hole_between_others_is_closed),
		T(a_retransmission_gets_a_time_out_of_its_own),
		T(an_idle_hour_does_no_harm),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_loss", 64) != 0)
		return 1;
	ackbed.pool =
		rte_pktmbuf_pool_create("loss", 1023, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	return ackbed.pool == NULL || cmocka_run_group_tests_name("tcp_loss", tests, NULL, NULL);
}
