/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_cc — see tcp_cc.h; and NewReno's congestion avoidance.
 *
 * Slow start adds what was acknowledged, however much in one acknowledgement (RFC 3465 2.3: two segments at most): receivers that
 * take segments in bursts send one for each burst, and two segments for each would be linear growth. After a time-out it is
 * one segment, as there an acknowledgement may be of what was received before.
 */
#include "tcp/tcp_cc.h"

#include "tcp/tcp_rack.h"

static void newreno_on_acked(struct tcb *c, uint32_t n)
{
	c->cc.acked_bytes += n;
	if (c->cc.acked_bytes >= c->cwnd) {
		c->cc.acked_bytes -= c->cwnd;
		c->cwnd += c->mss;
	}
}

static uint32_t newreno_on_loss(struct tcb *c, uint32_t n)
{
	return n / 2;
}

const struct tcp_cc_ops tcp_cc_newreno = {newreno_on_acked, newreno_on_loss, NULL, NULL};

static const struct tcp_cc_ops *ops_of(const struct tcb *c)
{
	return c->profile->cc == TCP_CC_NEWRENO ? &tcp_cc_newreno : &tcp_cc_cubic;
}

static void begin_avoidance(struct tcb *c)
{
	if (unlikely(c->has_cc))
		memset(&c->cc, 0, sizeof(c->cc));
	c->has_cc = false;
}

void tcp_cc_init(struct tcb *c)
{
	c->cwnd = RTE_MIN(10u * c->mss, RTE_MAX(2u * c->mss, 14600u));
	c->ssthresh = UINT32_MAX;
}

void tcp_cc_acked(struct tcb *c, uint32_t n, uint32_t flight)
{
	if (!(c->rack & TCP_CC_LIMITED) && flight < c->cwnd / 2) {
		begin_avoidance(
			c); /* it was not what kept us from sending: that tells nothing of it */
		return;
	}
	if (c->cwnd < c->ssthresh) {
		if (c->flags & TCP_F_TIMED_OUT)
			n = RTE_MIN(n, (uint32_t)c->mss);
		c->cwnd += RTE_MIN(n, c->ssthresh - c->cwnd);
	} else {
		c->has_cc = true;
		ops_of(c)->on_acked(c, n);
	}
	c->cwnd = RTE_MIN(c->cwnd, TCP_CC_CWND_MAX);
}

static void reduce(struct tcb *c, uint32_t n)
{
	const uint32_t prior_ssthresh = c->ssthresh;

	c->ssthresh = RTE_MAX(ops_of(c)->on_loss(c, n), 2u * c->mss);
	c->prior_cwnd = c->cwnd;
	c->reduced_us = (uint32_t)c->t->now_us;
	begin_avoidance(c);
	if (c->rack & TCP_CC_UNDOABLE) {
		c->has_cc = true;
		c->cc.prior_ssthresh = prior_ssthresh;
	}
}

void tcp_cc_lost(struct tcb *c, uint32_t n)
{
	reduce(c, n);
	c->cwnd = RTE_MIN(c->cwnd, c->ssthresh);
}

void tcp_cc_timed_out(struct tcb *c, bool is_first)
{
	if (is_first)
		reduce(c, tcb_flight(c));
	else
		begin_avoidance(c);
	if (ops_of(c)->on_timeout != NULL)
		ops_of(c)->on_timeout(c);
	c->reduced_us = (uint32_t)c->t->now_us;
	c->cwnd = c->mss;
}

void tcp_cc_undo(struct tcb *c, bool is_for_nothing)
{
	if (is_for_nothing) {
		c->cwnd = RTE_MAX(c->cwnd, c->prior_cwnd);
		c->ssthresh = c->cc.prior_ssthresh;
		if (ops_of(c)->on_undo != NULL)
			ops_of(c)->on_undo(c);
	}
	c->rack &= (uint8_t)~TCP_CC_UNDOABLE;
	begin_avoidance(c);
}

void tcp_cc_recovered(struct tcb *c)
{
	if (!(c->flags & TCP_F_TIMED_OUT))
		c->cwnd = c->ssthresh;
	begin_avoidance(c);
}
