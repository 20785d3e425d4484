/* SPDX-License-Identifier: BSD-3-Clause */
/* Congestion control on its own: a connection of which only the windows are there, acknowledged in virtual time, against the
 * formulas of RFC 9438 in floating point. */
#include "tcp/tcp_cc.h"
#include "tcp/tcp_rack.h"
#include "unit.h"

#define MSS 1448u

static struct {
	struct tcp t;
	struct tcp_profile profile;
	struct tcb c;
	double cwnd, w_max, w_est, k, epoch, prior; /* of the reference: segments, seconds */
	bool has_epoch;
} x;

static int up(void **state)
{
	memset(&x, 0, sizeof(x));
	tcp_set_now(&x.t, 5000000000);
	x.c.t = &x.t;
	x.c.profile = &x.profile;
	x.c.mss = MSS;
	x.c.rack = TCP_CC_LIMITED;
	x.c.srtt_us = 100000;
	tcp_cc_init(&x.c);
	return 0;
}

/* Up to the cwnd that the next loss finds. */
static void grow_to(uint32_t segs)
{
	x.c.ssthresh = UINT32_MAX;
	while (x.c.cwnd < segs * MSS)
		tcp_cc_acked(&x.c, RTE_MIN(MSS, segs * MSS - x.c.cwnd), x.c.cwnd);
	assert_int_equal(x.c.cwnd, segs * MSS);
}

static double cube(double d)
{
	return d * d * d;
}

static double cube_root(double a)
{
	double low = 0, high = 1e6;

	for (unsigned i = 0; i < 200; i++) {
		const double mid = (low + high) / 2;

		*(cube(mid) < a ? &low : &high) = mid;
	}
	return low;
}

/* RFC 9438 4.2 to 4.5, for one acknowledgement of n segments. */
static void reference(double n)
{
	const double now = (double)x.t.now_us / 1e6, rtt = x.c.srtt_us / 1e6;
	double w, target;

	if (!x.has_epoch) {
		x.has_epoch = true;
		x.epoch = now;
		x.w_est = x.cwnd;
		x.w_max = x.cwnd < x.w_max ? x.w_max : x.cwnd;
		x.k = cube_root((x.w_max - x.cwnd) / 0.4);
	}
	x.w_est += (x.w_est < x.prior ? 3 * 0.3 / 1.7 : 1) * n / x.cwnd;
	w = 0.4 * cube(now - x.epoch - x.k) + x.w_max;
	if (w < x.w_est) {
		x.cwnd = x.cwnd > x.w_est ? x.cwnd : x.w_est;
		return;
	}
	target = 0.4 * cube(now - x.epoch + rtt - x.k) + x.w_max;
	target = target > 1.5 * x.cwnd ? 1.5 * x.cwnd : target;
	if (target > x.cwnd)
		x.cwnd += (target - x.cwnd) * n / x.cwnd;
}

static void reference_loses(void)
{
	x.prior = x.cwnd;
	x.w_max = x.cwnd < x.w_max ? x.cwnd * 1.7 / 2 : x.cwnd;
	x.cwnd *= 0.7;
	x.has_epoch = false;
}

/* Round trips of acknowledgements for two segments each, evenly; both stay together, to a hundredth and a segment. */
static void run_rounds(unsigned n_rounds)
{
	for (unsigned i = 0; i < n_rounds; i++) {
		const unsigned n_acks = RTE_MAX(x.c.cwnd / (2 * MSS), 1u);

		for (unsigned k = 0; k < n_acks; k++) {
			tcp_set_now(&x.t, x.t.now_us + x.c.srtt_us / n_acks);
			tcp_cc_acked(&x.c, 2 * MSS, x.c.cwnd);
			reference(2);
		}
		if (x.c.cwnd > (x.cwnd * 1.01 + 1) * MSS || x.c.cwnd < (x.cwnd * 0.99 - 1) * MSS)
			fail_msg("round %u: %.2f segments, not %.2f", i, (double)x.c.cwnd / MSS,
				x.cwnd);
	}
}

static void lose(void)
{
	tcp_cc_lost(&x.c, x.c.cwnd);
	tcp_cc_recovered(&x.c);
	reference_loses();
}

/* RFC 9438 4.4, 4.5: fast at first, flat at the window of the loss, fast again. */
static void cubic_follows_its_curve(void **state)
{
	grow_to(1000);
	x.cwnd = 1000;
	lose();
	assert_int_equal(x.c.cwnd, 700 * MSS);
	run_rounds(90);
	assert_in_range(x.c.cwnd, 990 * MSS, 1010 * MSS); /* K is 9.09 s */
	run_rounds(60);
	assert_in_range(x.c.cwnd, 1070 * MSS, 1090 * MSS); /* 0.4 * 5.9^3 above */
}

/* RFC 9438 4.3: on short paths it does as Reno does. */
static void cubic_is_as_good_as_reno(void **state)
{
	x.c.srtt_us = 2000;
	grow_to(20);
	x.cwnd = 20;
	lose();
	run_rounds(200);
	assert_true(x.c.cwnd > 150 * MSS);
}

/* RFC 9438 4.7: who has less than the last time leaves room. */
static void cubic_converges_fast(void **state)
{
	grow_to(100);
	x.cwnd = 100;
	lose();
	run_rounds(5);
	lose();
	assert_in_range(
		x.c.w_max, (uint32_t)(0.84 * x.prior * MSS), (uint32_t)(0.86 * x.prior * MSS));
	run_rounds(100);
	lose();
	run_rounds(100);
}

/* RFC 9438 4.2: a time in which the application sends little does not count. */
static void time_without_use_does_not_count(void **state)
{
	grow_to(1000);
	x.cwnd = 1000;
	lose();
	run_rounds(20);
	x.c.rack = 0;
	for (unsigned i = 0; i < 100; i++) {
		const uint32_t cwnd = x.c.cwnd;

		tcp_set_now(&x.t, x.t.now_us + 100000);
		tcp_cc_acked(&x.c, MSS, MSS);
		assert_int_equal(x.c.cwnd, cwnd);
	}
	x.c.rack = TCP_CC_LIMITED;
	x.has_epoch = false;
	run_rounds(50);
}

/* RFC 9438 4.8: after a time-out the curve begins at its middle, where slow start ends. */
static void cubic_begins_anew_after_a_time_out(void **state)
{
	grow_to(100);
	tcp_cc_timed_out(&x.c, true);
	assert_int_equal(x.c.cwnd, MSS);
	assert_int_equal(x.c.ssthresh, 2 * MSS); /* nothing is on its way here */
	x.c.ssthresh = 4 * MSS;
	x.c.flags |= TCP_F_TIMED_OUT;
	for (unsigned i = 2; i <= 4; i++) {
		tcp_cc_acked(&x.c, 50 * MSS, 50 * MSS);
		assert_int_equal(x.c.cwnd, i * MSS); /* a segment for each acknowledgement */
	}
	tcp_cc_acked(&x.c, MSS, 4 * MSS);
	assert_int_equal(x.c.w_max, 4 * MSS);
	assert_int_equal(x.c.cc.cubic.k_ms, 0);
}

/* The cube root: K is the whole milliseconds. */
static void k_is_a_cube_root(void **state)
{
	for (uint64_t d = 0; d < UINT32_MAX / 2; d = d * 3 / 2 + 1)
		for (uint32_t mss = 76; mss < 9000; mss += 331) {
			const unsigned __int128 a = (unsigned __int128)d * 2500000000u / mss;
			unsigned __int128 k;

			x.c.mss = (uint16_t)mss;
			x.c.cwnd = x.c.ssthresh = 10 * mss;
			x.c.w_max = x.c.cwnd + (uint32_t)d;
			memset(&x.c.cc, 0, sizeof(x.c.cc));
			tcp_cc_acked(&x.c, mss, x.c.cwnd);
			k = x.c.cc.cubic.k_ms;
			assert_true(k * k * k <= a && (k + 1) * (k + 1) * (k + 1) > a);
		}
}

/* Numbers that are far out stay what they should: no window wraps. */
static void nothing_wraps(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		up(state);
		x.profile.cc = i ? TCP_CC_NEWRENO : TCP_CC_CUBIC;
		x.c.mss = 9000;
		x.c.cwnd = x.c.ssthresh = TCP_CC_CWND_MAX - 9000;
		x.c.w_max = UINT32_MAX;
		for (unsigned k = 0; k < 2000; k++) {
			const uint32_t cwnd = x.c.cwnd;

			tcp_cc_acked(&x.c, 1u << 20, x.c.cwnd);
			assert_in_range(x.c.cwnd, cwnd, TCP_CC_CWND_MAX);
			tcp_set_now(&x.t, x.t.now_us + 60000000);
		}
		assert_int_equal(x.c.cwnd, TCP_CC_CWND_MAX);
		x.c.cwnd = 0;
		x.c.ssthresh = 1;
		tcp_cc_lost(&x.c, 0);
		assert_int_equal(x.c.ssthresh, 18000);
	}
}

/* RFC 5681 3.1: what is acknowledged is added, up to ssthresh; where cwnd was the limit, whatever is on its way by now. */
static void slow_start_ends_at_its_threshold(void **state)
{
	x.c.ssthresh = 15 * MSS;
	tcp_cc_acked(&x.c, 3 * MSS, 0);
	assert_int_equal(x.c.cwnd, 13 * MSS);
	tcp_cc_acked(&x.c, 10 * MSS, 0);
	assert_int_equal(x.c.cwnd, 15 * MSS);
}

/* RFC 9438 4.2: not more than half a window in a round trip, however long it took. */
static void cubic_takes_no_leap(void **state)
{
	x.c.ssthresh = x.c.cwnd = 100 * MSS;
	tcp_cc_acked(&x.c, 2 * MSS, x.c.cwnd);
	tcp_set_now(&x.t, x.t.now_us + 50000000);
	tcp_cc_acked(&x.c, 2 * MSS, x.c.cwnd);
	assert_in_range(x.c.cwnd, 100 * MSS + MSS / 2, 101 * MSS + MSS / 2);
}

/* RFC 5681 3.1: a segment for each window. */
static void newreno_adds_a_segment(void **state)
{
	x.profile.cc = TCP_CC_NEWRENO;
	grow_to(20);
	tcp_cc_lost(&x.c, x.c.cwnd);
	tcp_cc_recovered(&x.c);
	assert_int_equal(x.c.cwnd, 10 * MSS);
	for (unsigned i = 0; i < 9; i++)
		tcp_cc_acked(&x.c, MSS, x.c.cwnd);
	assert_int_equal(x.c.cwnd, 10 * MSS);
	tcp_cc_acked(&x.c, MSS, x.c.cwnd);
	assert_int_equal(x.c.cwnd, 11 * MSS);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, up)
	const struct CMUnitTest tests[] = {
		T(cubic_follows_its_curve),
		T(cubic_is_as_good_as_reno),
		T(cubic_converges_fast),
		T(time_without_use_does_not_count),
		T(cubic_begins_anew_after_a_time_out),
		T(k_is_a_cube_root),
		T(nothing_wraps),
		T(slow_start_ends_at_its_threshold),
		T(cubic_takes_no_leap),
		T(newreno_adds_a_segment),
	};

	return cmocka_run_group_tests_name("tcp_cc", tests, NULL, NULL);
}
