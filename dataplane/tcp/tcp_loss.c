/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_loss — see tcp_loss.h. */
#include "tcp/tcp_loss.h"

#include "tcp/tcp_cc.h"
#include "tcp/tcp_rack.h"

#define DUP_THRESHOLD 3u

static uint32_t rto_min_us(const struct tcb *c)
{
	return (c->profile->rto_min_ms != 0 ? c->profile->rto_min_ms : 200) * 1000;
}

void tcp_loss_init(struct tcb *c)
{
	tcp_cc_init(c);
	c->recover = c->snd_una;
	if (c->rto_us == 0)
		c->rto_us = TCP_RTO_FIRST_US;
}

void tcp_loss_rtt(struct tcb *c, uint32_t rtt_us)
{
	uint32_t error;

	rtt_us = RTE_MIN(RTE_MAX(rtt_us, 1u), TCP_RTO_MAX_US);
	tcp_rack_rtt(c, rtt_us);
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

/* The first of the queue is acknowledged, all of it. */
static void drop_head(struct tcb *c, const struct tcp_in *in)
{
	struct rte_mbuf *m = c->snd_head;
	struct tcp_seg *s = tcp_seg(m);

	uncount(c, s->flags, tcp_seg_span(m));
	c->snd_bytes -= s->len;
	if (s->flags & TCP_SEG_SACKED) {
		c->n_sacked--;
		if (m == c->snd_fack)
			c->snd_fack = NULL;
	} else if (c->flags & TCP_F_SACK) {
		tcp_rack_delivered(c, m, in);
	}
	c->snd_head = s->next;
	if (c->snd_head == NULL)
		c->snd_tail = NULL;
	tcp_buf_free(c->t, m);
}

/* The first n sequence numbers of the queue are acknowledged. */
static void drop_acked(struct tcb *c, const struct tcp_in *in, uint32_t n)
{
	const uint32_t now_us = (uint32_t)c->t->now_us;

	while (n > 0) {
		struct tcp_seg *s = tcp_seg(c->snd_head);
		const uint32_t span = tcp_seg_span(c->snd_head);

		if (n < span) { /* its FIN, if any, stays */
			uncount(c, s->flags, n);
			s->seq += n;
			s->off = (uint16_t)(s->off + n);
			s->len = (uint16_t)(s->len - n);
			c->snd_bytes -= n;
			return;
		}
		/* only the newest that was sent once tells (RFC 6298 3) */
		if (n == span && !(s->flags & (TCP_SEG_EVER | TCP_SEG_SACKED)))
			tcp_loss_rtt(c, now_us - s->sent_us);
		n -= span;
		drop_head(c, in);
	}
}

/* Blocks about what is in flight, in order; not nonsense, nor a duplicate's (RFC 2883). */
static unsigned sort_blocks(const struct tcb *c, const struct tcp_opts *o, struct tcp_sack *to)
{
	unsigned n = 0;

	for (unsigned i = 0; i < o->n_sacks; i++) {
		const struct tcp_sack b = o->sacks[i];
		unsigned at = n;

		if (!seq_lt(b.left, b.right) || !seq_lt(c->snd_una, b.left)
			|| seq_lt(c->snd_nxt, b.right))
			continue;
		for (; at > 0 && seq_lt(b.left, to[at - 1].left); at--)
			to[at] = to[at - 1];
		to[at] = b;
		n++;
	}
	return n;
}

static void mark_sacked(struct tcb *c, struct rte_mbuf *m, const struct tcp_in *in)
{
	struct tcp_seg *s = tcp_seg(m);

	tcp_rack_delivered(c, m, in);
	uncount(c, s->flags, tcp_seg_span(m));
	s->flags &= (uint8_t) ~(TCP_SEG_LOST | TCP_SEG_RETRANS);
	s->flags |= TCP_SEG_SACKED;
	c->has_marks = true;
	c->sacked += tcp_seg_span(m);
	c->n_sacked++;
	if (c->snd_fack == NULL || seq_lt(tcp_seg(c->snd_fack)->seq, s->seq))
		c->snd_fack = m;
}

/* What the blocks name is there. Whether there was something new. One walk, up to the last hole, and behind the last that was
 * there already. */
static bool take_sacks(struct tcb *c, const struct tcp_in *in)
{
	struct tcp_sack b[TCP_WIRE_SACKS_MAX];
	const unsigned n = sort_blocks(c, &in->o, b);
	struct rte_mbuf *m = c->snd_head, *const fack = c->snd_fack;
	uint32_t holes = tcb_holes(c);
	const uint32_t n_before = c->n_sacked;

	for (unsigned i = 0; i < n; i++)
		for (; m != c->snd_unsent && seq_lt(tcp_seg(m)->seq, b[i].right);
			m = tcp_seg(m)->next) {
			const uint32_t span = tcp_seg_span(m);

			if (tcp_seg(m)->flags & TCP_SEG_SACKED) {
				if (holes == 0)
					m = fack;
				continue;
			}
			if (holes > 0)
				holes -= span;
			if (seq_leq(b[i].left, tcp_seg(m)->seq)
				&& seq_leq(tcp_seg(m)->seq + span, b[i].right))
				mark_sacked(c, m, in);
		}
	return c->n_sacked != n_before;
}

/* The acknowledgement has come to what was said to be there: it is no more (RFC 2018 8). */
static void forget_sacks(struct tcb *c)
{
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		tcp_seg(m)->flags &= (uint8_t)~TCP_SEG_SACKED;
	c->sacked = c->n_sacked = 0;
	c->snd_fack = NULL;
}

void tcp_loss_mark(struct tcb *c, struct rte_mbuf *m)
{
	struct tcp_seg *s = tcp_seg(m);

	c->has_marks = true;
	if (s->flags & TCP_SEG_RETRANS)
		c->retrans -= tcp_seg_span(m);
	if (!(s->flags & TCP_SEG_LOST))
		c->lost += tcp_seg_span(m);
	s->flags = (uint8_t)((s->flags & ~TCP_SEG_RETRANS) | TCP_SEG_LOST);
}

/* Without SACK a duplicate tells that one more segment is there, but not which (RFC 6582). */
static void count_duplicate(struct tcb *c, bool is_dup)
{
	if (c->snd_head == c->snd_unsent)
		return;
	c->has_marks |= is_dup;
	c->n_sacked += is_dup;
	if (!(tcp_seg(c->snd_head)->flags & TCP_SEG_LOST)
		&& (c->n_sacked == DUP_THRESHOLD || c->flags & TCP_F_RECOVERY))
		tcp_loss_mark(c, c->snd_head);
	c->sacked = (uint32_t)RTE_MIN((uint64_t)c->n_sacked * c->mss, tcb_flight(c) - c->lost);
}

/* In a recovery, which ends what a probe was for (RFC 8985 7.1). */
static void begin_recovery(struct tcb *c, uint16_t flags)
{
	c->flags |= TCP_F_RECOVERY | flags;
	c->recover = c->snd_nxt;
	c->rack &= (uint8_t) ~(TCP_RACK_PROBED | TCP_RACK_PROBED_OLD);
}

/* Losses that have been marked. has_lost_again: retransmissions too, since it was reduced (RFC 5681 4.3). */
static void on_lost(struct tcb *c, bool has_lost_again)
{
	if (c->lost == 0)
		return;
	if (!(c->flags & TCP_F_RECOVERY)) {
		begin_recovery(c, 0);
		c->rack |= TCP_CC_UNDOABLE;
		tcp_cc_lost(c, tcb_flight(c));
		c->t->stats.fast_recoveries++;
	} else if (has_lost_again) {
		c->rack &= (uint8_t)~TCP_CC_UNDOABLE;
		tcp_cc_lost(c, c->cwnd);
		c->t->stats.lost_retransmits++;
	}
}

/* n_acked > 0 that were not. Whether a recovery is over by that. */
static bool on_acked(struct tcb *c, const struct tcp_in *in, uint32_t n_acked)
{
	const uint32_t flight = tcb_flight(c);
	bool is_over;

	if (!(c->flags & TCP_F_SACK))
		c->sacked = c->n_sacked = 0;
	drop_acked(c, in, n_acked);
	c->snd_una = in->ack;
	if (c->snd_head != NULL && tcp_seg(c->snd_head)->flags & TCP_SEG_SACKED)
		forget_sacks(c);
	c->has_marks = (c->sacked | c->n_sacked | c->lost | c->retrans) != 0;
	if (tcb_flight(c) == 0)
		c->rack &= (uint8_t)~TCP_RACK_VALID;
	c->rack |= TCP_RACK_MOVED;
	c->n_backoffs = 0;
	c->stuck_us = TCP_NEVER; /* anew when there is more */
	c->is_sole = false;
	c->rtx_us = TCP_NEVER;
	if (c->flags & TCP_F_TIMED_OUT || !(c->flags & TCP_F_RECOVERY))
		tcp_cc_acked(c, n_acked, flight);
	is_over = c->flags & TCP_F_RECOVERY && seq_leq(c->recover, c->snd_una);
	if (is_over) {
		tcp_cc_recovered(c);
		c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_TIMED_OUT);
	}
	return is_over;
}

/* Whether the acknowledgement shows that what was lost last, the first of the queue among it, was not (RFC 3522): the one
 * that was sent first has come. */
static bool is_for_nothing(const struct tcb *c, const struct tcp_in *in)
{
	return tcp_seg(c->snd_head)->flags & TCP_SEG_RETRANS
		&& tcp_rack_is_of_earlier(c, tcp_seg(c->snd_head), in);
}

/* No loss, no recovery: what else is lost will be found again. */
static void undo(struct tcb *c)
{
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		tcp_seg(m)->flags &= (uint8_t) ~(TCP_SEG_LOST | TCP_SEG_RETRANS);
	c->lost = c->retrans = 0;
	c->flags &= (uint16_t) ~(TCP_F_RECOVERY | TCP_F_TIMED_OUT);
	c->t->stats.undos++;
}

void tcp_loss_ack(struct tcb *c, const struct tcp_in *in, bool is_dup)
{
	const uint32_t n_acked = in->ack - c->snd_una, flight = tcb_flight(c);
	const bool has_repaired = tcp_rack_has_repaired(c, in, is_dup);
	bool is_over;

	if (n_acked > 0 && c->rack & TCP_CC_UNDOABLE) {
		const bool has_cause = !is_for_nothing(c, in);

		if (!has_cause)
			undo(c);
		tcp_cc_undo(c, !has_cause);
	}
	is_over = n_acked > 0 && on_acked(c, in, n_acked);
	if (!(c->flags & TCP_F_SACK)) {
		count_duplicate(c, is_dup);
		on_lost(c, false);
		return;
	}
	if (has_repaired)
		tcp_cc_lost(c, flight);
	tcp_rack_adapt(c, in, is_over);
	if (take_sacks(c, in) || n_acked > 0)
		on_lost(c, tcp_rack_detect(c));
}

void tcp_loss_ack_only(struct tcb *c)
{
	struct rte_mbuf *m = c->snd_head;
	const uint32_t rtt_us = (uint32_t)(c->t->now_us - c->stuck_us);
	const uint32_t flight = tcb_flight(c);

	tcp_loss_rtt(c, rtt_us);
	if (c->flags & TCP_F_SACK) {
		c->rack_rtt_us = rtt_us;
		c->rack_timer = TCP_RACK_TIMER_NONE;
	}
	if (unlikely(flight > c->mss_seen))
		c->mss_seen = (uint16_t)flight;
	c->snd_bytes = 0;
	c->is_sole = false;
	c->snd_head = c->snd_tail = NULL;
	tcp_buf_free_sole(c->t, m);
	c->snd_una = c->snd_nxt;
	c->rack = (uint8_t)((c->rack & ~TCP_RACK_VALID) | TCP_RACK_MOVED);
	c->n_backoffs = 0;
	c->rtx_us = c->stuck_us = TCP_NEVER;
	tcp_cc_acked(c, flight, flight);
}

void tcp_loss_on_timer(struct tcb *c)
{
	on_lost(c, tcp_rack_detect(c));
}

/* Without SACK nothing is known to be there. */
static void mark_all(struct tcb *c)
{
	c->sacked = c->n_sacked = 0;
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		tcp_loss_mark(c, m);
}

void tcp_loss_timeout(struct tcb *c)
{
	const bool is_first = !(c->flags & TCP_F_TIMED_OUT);

	/* only the first is known by what a timestamp echoes */
	c->rack &= (uint8_t)~TCP_CC_UNDOABLE;
	if (!(c->flags & TCP_F_RECOVERY))
		c->rack |= TCP_CC_UNDOABLE;
	if (c->flags & TCP_F_SACK)
		tcp_rack_timeout(c);
	else
		mark_all(c);
	begin_recovery(c, TCP_F_TIMED_OUT);
	tcp_cc_timed_out(c, is_first);
	c->t->stats.timeouts++;
}

void tcp_loss_too_big(struct tcb *c)
{
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		if (tcp_seg(m)->len > c->mss && !(tcp_seg(m)->flags & TCP_SEG_SACKED))
			tcp_loss_mark(c, m);
	if (!(c->flags & TCP_F_SACK))
		c->sacked = RTE_MIN(c->sacked, tcb_flight(c) - c->lost);
	if (c->lost > 0 && !(c->flags & TCP_F_RECOVERY)) {
		begin_recovery(c, 0);
		c->ssthresh = RTE_MAX(c->cwnd, 2u * c->mss); /* which it is after it */
	}
}
