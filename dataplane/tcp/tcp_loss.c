/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_loss — see tcp_loss.h. */
#include "tcp/tcp_loss.h"

#define DUP_THRESHOLD 3u

static uint32_t rto_min_us(const struct tcb *c)
{
	return (c->profile->rto_min_ms != 0 ? c->profile->rto_min_ms : 200) * 1000;
}

void tcp_loss_init(struct tcb *c)
{
	const uint32_t mss = c->mss;

	c->cwnd = RTE_MIN(10 * mss, RTE_MAX(2 * mss, 14600u)); /* RFC 6928 */
	c->ssthresh = UINT32_MAX;
	c->recover = c->snd_una;
	if (c->rto_us == 0)
		c->rto_us = TCP_RTO_FIRST_US;
}

void tcp_loss_rtt(struct tcb *c, uint32_t rtt_us)
{
	uint32_t error;

	rtt_us = RTE_MIN(RTE_MAX(rtt_us, 1u), TCP_RTO_MAX_US);
	if (c->srtt_us == 0) {
		c->srtt_us = rtt_us;
		c->rttvar_us = rtt_us / 2;
	} else {
		error = rtt_us > c->srtt_us ? rtt_us - c->srtt_us : c->srtt_us - rtt_us;
		c->rttvar_us += (error >> 2) - (c->rttvar_us >> 2);
		c->srtt_us += (rtt_us >> 3) - (c->srtt_us >> 3);
	}
	c->rto_us = c->srtt_us + RTE_MAX(1000u, 4 * c->rttvar_us);
	c->rto_us = RTE_MIN(RTE_MAX(c->rto_us, rto_min_us(c)), TCP_RTO_MAX_US);
}

/* n sequence numbers of a segment with these flags have gone. */
static void uncount(struct tcb *c, uint8_t flags, uint32_t n)
{
	if (flags & TCP_SEG_SACKED)
		c->sacked -= n;
	if (flags & TCP_SEG_LOST)
		c->lost -= n;
	if (flags & TCP_SEG_RETRANS)
		c->retrans -= n;
}

/* The first n sequence numbers of the queue are acknowledged. */
static void drop_acked(struct tcb *c, uint32_t n)
{
	const uint32_t now_us = (uint32_t)c->t->now_us;

	while (n > 0) {
		struct rte_mbuf *m = c->snd_head;
		struct tcp_seg *s = tcp_seg(m);
		const uint32_t span = tcp_seg_span(m);

		if (n < span) { /* its FIN, if any, stays */
			uncount(c, s->flags, n);
			s->seq += n;
			s->off = (uint16_t)(s->off + n);
			s->len = (uint16_t)(s->len - n);
			c->snd_bytes -= n;
			return;
		}
		uncount(c, s->flags, span);
		c->snd_bytes -= s->len;
		/* only the newest that was sent once tells (RFC 6298 3) */
		if (n == span && !(s->flags & (TCP_SEG_EVER | TCP_SEG_SACKED)))
			tcp_loss_rtt(c, now_us - s->sent_us);
		n -= span;
		c->snd_head = s->next;
		if (c->snd_head == NULL)
			c->snd_tail = NULL;
		tcp_buf_free(c->t, m);
	}
}

/* Flags of what the blocks name. Whether there was something new. */
static bool mark_sacked(struct tcb *c, const struct tcp_opts *o)
{
	bool is_new = false;

	for (unsigned i = 0; i < o->n_sacks; i++) {
		const struct tcp_sack *b = &o->sacks[i];

		if (!seq_lt(b->left, b->right) || seq_lt(b->left, c->snd_una)
			|| seq_lt(c->snd_nxt, b->right))
			continue; /* nonsense, or a duplicate's (RFC 2883) */
		for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next) {
			struct tcp_seg *s = tcp_seg(m);
			const uint32_t span = tcp_seg_span(m);

			if (seq_leq(b->right, s->seq))
				break;
			if (seq_lt(s->seq, b->left) || seq_lt(b->right, s->seq + span)
				|| s->flags & TCP_SEG_SACKED)
				continue;
			uncount(c, s->flags, span);
			s->flags &= (uint8_t) ~(TCP_SEG_LOST | TCP_SEG_RETRANS);
			s->flags |= TCP_SEG_SACKED;
			c->sacked += span;
			is_new = true;
		}
	}
	return is_new;
}

static void mark_lost(struct tcb *c, struct rte_mbuf *m)
{
	tcp_seg(m)->flags |= TCP_SEG_LOST;
	c->lost += tcp_seg_span(m);
}

/* IsLost() of RFC 6675: enough is there of what was sent behind it. */
static void mark_lost_below_sacked(struct tcb *c)
{
	uint32_t n_above = 0, above = c->sacked;

	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		n_above += !!(tcp_seg(m)->flags & TCP_SEG_SACKED);
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent && n_above > 0;
		m = tcp_seg(m)->next) {
		if (tcp_seg(m)->flags & TCP_SEG_SACKED) {
			n_above--;
			above -= tcp_seg_span(m);
		} else if ((n_above >= DUP_THRESHOLD || above > (DUP_THRESHOLD - 1) * c->mss)
			&& !(tcp_seg(m)->flags & TCP_SEG_LOST)) {
			mark_lost(c, m);
		}
	}
}

/* Without SACK a duplicate tells that one more segment is there, but not which (RFC 6582). */
static void count_duplicate(struct tcb *c, bool is_dup)
{
	if (is_dup && c->n_dupacks < UINT16_MAX)
		c->n_dupacks++;
	if (c->snd_head == c->snd_unsent)
		return;
	if (!(tcp_seg(c->snd_head)->flags & TCP_SEG_LOST)
		&& (c->n_dupacks == DUP_THRESHOLD || c->flags & TCP_F_RECOVERY))
		mark_lost(c, c->snd_head);
	c->sacked = RTE_MIN((uint32_t)c->n_dupacks * c->mss, tcb_flight(c) - c->lost);
}

static void grow(struct tcb *c, uint32_t n_acked, uint32_t flight)
{
	if (flight < c->cwnd / 2)
		return; /* it was not what kept us from sending (RFC 9293 3.8.2) */
	if (c->cwnd < c->ssthresh) {
		c->cwnd += RTE_MIN(n_acked, 2u * c->mss);
		return;
	}
	c->acked_bytes += n_acked;
	if (c->acked_bytes >= c->cwnd) {
		c->acked_bytes -= c->cwnd;
		c->cwnd += c->mss;
	}
}

static void enter_recovery(struct tcb *c)
{
	c->flags |= TCP_F_RECOVERY;
	c->recover = c->snd_nxt;
	c->ssthresh = RTE_MAX(tcb_flight(c) / 2, 2u * c->mss);
	c->cwnd = c->ssthresh;
	c->acked_bytes = 0;
	c->t->stats.fast_recoveries++;
}

void tcp_loss_ack(struct tcb *c, const struct tcp_in *in, bool is_dup)
{
	const uint32_t n_acked = in->ack - c->snd_una, flight = tcb_flight(c);
	const bool has_sack = c->flags & TCP_F_SACK;

	if (n_acked > 0) {
		if (!has_sack)
			c->sacked = 0;
		drop_acked(c, n_acked);
		c->snd_una = in->ack;
		c->n_dupacks = 0;
		c->n_backoffs = 0;
		c->stuck_us = TCP_NEVER; /* anew when there is more */
		c->rtx_us = TCP_NEVER;
		if (c->flags & TCP_F_TIMED_OUT || !(c->flags & TCP_F_RECOVERY))
			grow(c, n_acked, flight);
		if (c->flags & TCP_F_RECOVERY && seq_leq(c->recover, c->snd_una)) {
			if (!(c->flags & TCP_F_TIMED_OUT))
				c->cwnd = c->ssthresh;
			c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_TIMED_OUT);
		}
	}
	if (!has_sack)
		count_duplicate(c, is_dup);
	else if (mark_sacked(c, &in->o) || (n_acked > 0 && c->sacked > 0))
		mark_lost_below_sacked(c);
	if (c->lost > 0 && !(c->flags & TCP_F_RECOVERY))
		enter_recovery(c);
}

void tcp_loss_timeout(struct tcb *c)
{
	if (!(c->flags & TCP_F_TIMED_OUT))
		c->ssthresh = RTE_MAX(tcb_flight(c) / 2, 2u * c->mss);
	c->flags |= TCP_F_RECOVERY | TCP_F_TIMED_OUT;
	c->recover = c->snd_nxt;
	c->cwnd = c->mss;
	c->acked_bytes = 0;
	c->sacked = c->retrans = c->lost = 0;
	c->n_dupacks = 0;
	/* the peer may have forgotten what it told of (RFC 2018 8) */
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next) {
		tcp_seg(m)->flags &= (uint8_t) ~(TCP_SEG_SACKED | TCP_SEG_RETRANS);
		if (tcp_seg(m)->flags & TCP_SEG_LOST)
			c->lost += tcp_seg_span(m);
		else
			mark_lost(c, m);
	}
	c->t->stats.timeouts++;
}

void tcp_loss_too_big(struct tcb *c)
{
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next) {
		struct tcp_seg *s = tcp_seg(m);

		if (s->len <= c->mss || s->flags & TCP_SEG_SACKED)
			continue;
		if (s->flags & TCP_SEG_RETRANS) {
			s->flags &= (uint8_t)~TCP_SEG_RETRANS;
			c->retrans -= tcp_seg_span(m);
		}
		if (!(s->flags & TCP_SEG_LOST))
			mark_lost(c, m);
	}
	if (!(c->flags & TCP_F_SACK))
		c->sacked = RTE_MIN(c->sacked, tcb_flight(c) - c->lost);
	if (c->lost > 0 && !(c->flags & TCP_F_RECOVERY)) {
		c->flags |= TCP_F_RECOVERY;
		c->recover = c->snd_nxt;
		c->ssthresh = RTE_MAX(c->cwnd, 2u * c->mss); /* which it is after it */
	}
}
