/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cc_cubic — congestion avoidance of RFC 9438, in bytes, milliseconds and integers.
 *
 *     W(t) = 0.4 (t - K)^3 + w_max       segments and seconds; W(0) = cwnd when the epoch begins, so
 *     K    = cbrt((w_max - cwnd) / 0.4)
 *
 * Each acknowledgement moves cwnd towards W(t + RTT), so far that it would be there after a window of them. w_est is what a Reno
 * with our factors would have: the floor (4.3). An epoch begins when cwnd first grows after a loss, or after a time in which the
 * application sent less; so that time does not count (4.2), and below w_max the new curve is the old one from the same point on.
 */
#include "tcp/tcp_cc.h"

#define D_MAX_MS 100000 /* 400000 segments away from w_max */

/* The whole part of the cube root, bit by bit: r^3 ≤ x at each step, and the next bit b of r adds 3r(r+1)+1 for r with a
 * zero behind it. */
static uint32_t cube_root(uint64_t x)
{
	uint64_t r = 0;

	for (int shift = 63; shift >= 0; shift -= 3) {
		uint64_t bit;

		r *= 2;
		bit = 3 * r * (r + 1) + 1;
		if (x >> shift >= bit) {
			x -= bit << shift;
			r++;
		}
	}
	return (uint32_t)r;
}

static void begin_epoch(struct tcb *c, uint32_t now_ms)
{
	c->cc.cubic.epoch_ms = now_ms;
	c->cc.cubic.w_est = c->cwnd;
	c->cc.cubic.k_ms = 0;
	if (c->cwnd < c->w_max)
		c->cc.cubic.k_ms = cube_root((uint64_t)(c->w_max - c->cwnd) * 2500000000u / c->mss);
	else
		c->w_max = c->cwnd;
}

/* W(t), in bytes. */
static int64_t window_at(const struct tcb *c, uint32_t t_ms)
{
	const int64_t away = (int64_t)t_ms - c->cc.cubic.k_ms;
	const int64_t d = RTE_MAX(RTE_MIN(away, D_MAX_MS), -D_MAX_MS);

	return d * d * d / 1000 * c->mss * 2 / 5000000 + c->w_max;
}

static void on_acked(struct tcb *c, uint32_t n)
{
	const uint32_t now_ms = tcp_now_ms(c->t);
	uint64_t more = (uint64_t)n * c->mss;
	int64_t target;
	uint32_t t_ms;

	if (c->cc.cubic.w_est == 0)
		begin_epoch(c, now_ms);
	t_ms = now_ms - c->cc.cubic.epoch_ms;
	if (c->cc.cubic.w_est < c->prior_cwnd)
		more = more * 9 / 17; /* 3 (1 - 0.7) / (1 + 0.7) */
	c->cc.cubic.w_est += (uint32_t)((more + c->cwnd / 2) / c->cwnd);
	if (window_at(c, t_ms) < c->cc.cubic.w_est) {
		c->cwnd = RTE_MAX(c->cwnd, c->cc.cubic.w_est);
		return;
	}
	target = window_at(c, t_ms + c->srtt_us / 1000);
	target = RTE_MIN(target, (int64_t)c->cwnd + c->cwnd / 2);
	if (target > c->cwnd)
		c->cwnd += (uint32_t)((uint64_t)(target - c->cwnd) * n / c->cwnd);
}

static uint32_t on_loss(struct tcb *c, uint32_t n)
{
	/* fast convergence (4.7): it is less than the last time, somebody else needs room */
	c->w_max = c->cwnd < c->w_max ? (uint32_t)(c->cwnd * 17ull / 20) : c->cwnd;
	return (uint32_t)(n * 7ull / 10);
}

/* RFC 9438 4.8: the curve begins where slow start ends. */
static void on_timeout(struct tcb *c)
{
	c->w_max = 0;
}

/* RFC 9438 4.9; what fast convergence took off stays taken off, unless the window was there. */
static void on_undo(struct tcb *c)
{
	c->w_max = RTE_MAX(c->w_max, c->prior_cwnd);
}

const struct tcp_cc_ops tcp_cc_cubic = {on_acked, on_loss, on_timeout, on_undo};
