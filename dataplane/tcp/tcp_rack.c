/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_rack — see tcp_rack.h.
 *
 * Times are the low 32 bits of microseconds, which tell before from after for 35 minutes: what they are compared with is in
 * flight, where nothing stays that long without being sent again; when nothing is in flight, TCP_RACK_VALID goes.
 *
 * The queue is in order of sequence. Segments that were sent once are in order of time as well, so the first of them that was sent
 * after the delivered one ends a walk: whatever is behind it was sent later.
 */
#include "tcp/tcp_rack.h"

#include "tcp/tcp_loss.h"
#include "tcp/tcp_out.h"

#define PUT_OFF_US 1000u
#define DUP_THRESHOLD 3u
#define RTT_MIN_SEC 300u
#define PERSIST_RECOVERIES 16u
/* How long a peer keeps an acknowledgement back. Linux: 40 ms or a round trip, and a clock's tick. */
#define ACK_DELAY_US 60000u
#define PTO_FIRST_US 1000000u

void tcp_rack_rtt(struct tcb *c, uint32_t rtt_us)
{
	const uint16_t now_sec = (uint16_t)(c->t->now_us / 1000000);

	if (c->rack_rtt_us == 0)
		c->rack_rtt_us = rtt_us;
	if (c->rtt_min_us != 0 && rtt_us > c->rtt_min_us
		&& (uint16_t)(now_sec - c->rtt_min_sec) <= RTT_MIN_SEC)
		return;
	c->rtt_min_us = RTE_MAX(rtt_us, 1u);
	c->rtt_min_sec = now_sec;
}

static bool was_sent_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
	return a_us == b_us ? seq_lt(b_end, a_end) : (int32_t)(a_us - b_us) > 0;
}

/* The timestamp that it was last sent with. */
static uint32_t ts_of(const struct tcb *c, const struct tcp_seg *s)
{
	const uint32_t ago_us = (uint32_t)c->t->now_us - s->sent_us;

	return tcp_out_ts(c->ts_offset, c->t->now_us - ago_us);
}

bool tcp_rack_is_of_earlier(const struct tcb *c, const struct tcp_seg *s, const struct tcp_in *in)
{
	return s->flags & TCP_SEG_EVER && c->flags & TCP_F_TS && in->o.has_ts
		&& seq_lt(in->o.tsecr, ts_of(c, s));
}

void tcp_rack_delivered(struct tcb *c, struct rte_mbuf *m, const struct tcp_in *in)
{
	const struct tcp_seg *s = tcp_seg(m);
	const uint32_t rtt_us = (uint32_t)c->t->now_us - s->sent_us;
	const uint32_t end = tcp_seg_end(m);

	const bool is_of_earlier = tcp_rack_is_of_earlier(c, s, in);

	if (is_of_earlier || !(s->flags & TCP_SEG_EVER)) {
		if (c->snd_fack != NULL && seq_lt(end, tcp_seg_end(c->snd_fack)))
			c->rack |= TCP_RACK_REORDERED;
	}
	if (is_of_earlier)
		return;
	if (s->flags & TCP_SEG_EVER && rtt_us < c->rtt_min_us)
		return; /* it may be the one that was sent first */
	if (!(s->flags & TCP_SEG_EVER))
		tcp_rack_rtt(c, rtt_us);
	c->rack_rtt_us = rtt_us;
	if (c->rack & TCP_RACK_VALID
		&& !was_sent_after(s->sent_us, end, c->rack_sent_us, c->rack_end))
		return;
	c->rack |= TCP_RACK_VALID;
	c->rack_sent_us = s->sent_us;
	c->rack_end = end;
}

/* RFC 2883 4: its first block is below the acknowledgement, or in the second. */
static bool has_dsack(const struct tcp_in *in)
{
	const struct tcp_sack *b = in->o.sacks;

	if (in->o.n_sacks == 0 || !seq_lt(b[0].left, b[0].right))
		return false;
	return seq_leq(b[0].right, in->ack)
		|| (in->o.n_sacks > 1 && seq_leq(b[1].left, b[0].left)
			&& seq_leq(b[0].right, b[1].right));
}

void tcp_rack_adapt(struct tcb *c, const struct tcp_in *in, bool is_over)
{
	if (c->rack & TCP_RACK_ROUND && seq_leq(c->rack_round, c->snd_una))
		c->rack &= (uint8_t)~TCP_RACK_ROUND;
	if (!(c->rack & TCP_RACK_ROUND) && has_dsack(in)) {
		c->rack |= TCP_RACK_ROUND;
		c->rack_round = c->snd_nxt;
		c->reo_mult = (uint8_t)RTE_MIN(c->reo_mult + 1, UINT8_MAX);
		c->reo_persist = PERSIST_RECOVERIES;
	} else if (is_over && c->reo_persist > 0 && --c->reo_persist == 0) {
		c->reo_mult = 0;
	}
}

/* RACK_update_reo_wnd() of 6.2; reo_mult counts from 0. */
static uint32_t reo_wnd_us(const struct tcb *c)
{
	if (!(c->rack & TCP_RACK_REORDERED)
		&& (c->flags & TCP_F_RECOVERY || c->n_sacked >= DUP_THRESHOLD))
		return 0;
	return (uint32_t)RTE_MIN((c->reo_mult + 1ull) * c->rtt_min_us / 4, (uint64_t)c->srtt_us);
}

/* Microseconds until it is lost if it does not come; 0 or less: it is. */
static int32_t left_us(const struct tcb *c, const struct tcp_seg *s, uint32_t reo_us)
{
	return (int32_t)(s->sent_us + c->rack_rtt_us + reo_us - (uint32_t)c->t->now_us);
}

static void set_timer(struct tcb *c, enum tcp_rack_timer timer, uint32_t after_us)
{
	c->rack_timer = (uint8_t)timer;
	c->rack_due_us = (uint32_t)c->t->now_us + after_us;
}

bool tcp_rack_detect(struct tcb *c)
{
	const uint32_t reo_us = reo_wnd_us(c);
	uint32_t holes = tcb_holes(c);
	int32_t wait_us = 0;
	bool has_lost_again = false;

	c->rack_timer = TCP_RACK_TIMER_NONE;
	if (!(c->rack & TCP_RACK_VALID))
		return false;
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next) {
		struct tcp_seg *s = tcp_seg(m);
		int32_t left;

		if (s->flags & TCP_SEG_SACKED) {
			if (holes == 0)
				m = c->snd_fack;
			continue;
		}
		if (holes > 0)
			holes -= tcp_seg_span(m);
		if ((s->flags & (TCP_SEG_LOST | TCP_SEG_RETRANS)) == TCP_SEG_LOST)
			continue;
		if (!was_sent_after(c->rack_sent_us, c->rack_end, s->sent_us, tcp_seg_end(m))) {
			if (!(s->flags & TCP_SEG_EVER))
				break;
			continue;
		}
		left = left_us(c, s, reo_us);
		if (left > 0) {
			wait_us = RTE_MAX(wait_us, left);
			continue;
		}
		has_lost_again |=
			s->flags & TCP_SEG_RETRANS && (int32_t)(s->sent_us - c->reduced_us) >= 0;
		tcp_loss_mark(c, m);
	}
	if (wait_us > 0)
		set_timer(c, TCP_RACK_TIMER_REO, (uint32_t)wait_us);
	return has_lost_again;
}

void tcp_rack_timeout(struct tcb *c)
{
	const uint32_t reo_us = reo_wnd_us(c);

	c->rack_timer = TCP_RACK_TIMER_NONE;
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent; m = tcp_seg(m)->next)
		if (!(tcp_seg(m)->flags & TCP_SEG_SACKED)
			&& (m == c->snd_head || left_us(c, tcp_seg(m), reo_us) <= 0))
			tcp_loss_mark(c, m);
}

/* TLP_calc_PTO() of 7.2. */
static uint32_t pto_us(const struct tcb *c)
{
	const uint64_t rto_us = c->rtx_us > c->t->now_us ? c->rtx_us - c->t->now_us : 0;
	uint64_t us = PTO_FIRST_US;

	if (c->srtt_us != 0)
		us = 2ull * c->srtt_us + (tcb_flight(c) <= c->mss ? ACK_DELAY_US : 0);
	return (uint32_t)RTE_MIN(us, rto_us);
}

void tcp_rack_schedule(struct tcb *c)
{
	const bool has_moved = c->rack & TCP_RACK_MOVED;

	c->rack &= (uint8_t)~TCP_RACK_MOVED;
	if (has_moved && (c->flags & (TCP_F_SACK | TCP_F_RECOVERY)) == TCP_F_SACK
		&& tcb_flight(c) > 0 && (!c->has_marks || c->n_sacked == 0)
		&& !(c->rack & TCP_RACK_PROBED) && c->rack_timer != TCP_RACK_TIMER_REO)
		set_timer(c, TCP_RACK_TIMER_PTO, pto_us(c));
}

void tcp_rack_put_off(struct tcb *c)
{
	set_timer(c, TCP_RACK_TIMER_PTO, PUT_OFF_US);
}

void tcp_rack_on_probe(struct tcb *c, bool is_old)
{
	c->rack |= (uint8_t)(TCP_RACK_PROBED | (is_old ? TCP_RACK_PROBED_OLD : 0));
	c->recover = c->snd_nxt;
	c->t->stats.tail_probes++;
}

bool tcp_rack_has_repaired(struct tcb *c, const struct tcp_in *in, bool is_dup)
{
	bool is_over, has_repaired = false;

	if (!(c->rack & TCP_RACK_PROBED) || seq_lt(in->ack, c->recover))
		return false;
	is_over = !(c->rack & TCP_RACK_PROBED_OLD)
		|| (has_dsack(in) && in->o.sacks[0].right == c->recover);
	if (!is_over) {
		has_repaired = seq_lt(c->recover, in->ack);
		is_over = has_repaired || (is_dup && in->o.n_sacks == 0);
	}
	if (is_over)
		c->rack &= (uint8_t) ~(TCP_RACK_PROBED | TCP_RACK_PROBED_OLD);
	return has_repaired;
}
