/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_in — see tcp_in.h. */
#include "tcp/tcp_in.h"

#include "tcp/tcp_icmp.h"
#include "tcp/tcp_listen.h"
#include "tcp/tcp_loss.h"
#include "tcp/tcp_out.h"
#include "tcp/tcp_rack.h"
#include "tcp/tcp_reass.h"

#define PAWS_MIN (24u * 24 * 60) /* RFC 7323 5.5 */
#define LIMITED_MS 500u
#define N_PROBES_MAX 3u

static bool is_paws_old(const struct tcb *c, const struct tcp_in *in)
{
	return c->flags & TCP_F_TS && in->o.has_ts && !(in->flags & RTE_TCP_RST_FLAG)
		&& seq_lt(in->o.tsval, c->ts_recent)
		&& (uint16_t)(tcp_now_min(c->t) - c->paws_min) < PAWS_MIN;
}

/* RFC 9293 3.10.7.4, first check; but what is beyond a closed window loses its payload only, and an empty segment at the
 * right edge is good: its sender has filled the window and some of that was lost. Not so an RST (RFC 5961 3.2). */
static bool is_acceptable(const struct tcb *c, struct tcp_in *in)
{
	const uint32_t wnd = c->rcv_adv - c->rcv_nxt;
	const uint32_t n = in->len + !!(in->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG));

	if (n == 0)
		return in->seq - c->rcv_nxt < wnd + (wnd == 0 || !(in->flags & RTE_TCP_RST_FLAG));
	if (wnd == 0) {
		if (in->seq != c->rcv_nxt)
			return false;
		if (in->len > 0)
			in->flags &= (uint8_t)~RTE_TCP_FIN_FLAG;
		return true;
	}
	return in->seq - c->rcv_nxt < wnd || in->seq + n - 1 - c->rcv_nxt < wnd;
}

static void challenge(struct tcb *c)
{
	if (!tcp_out_may_answer(c->t))
		return;
	c->t->stats.challenge_acks++;
	c->flags |= TCP_F_ACK_NOW;
}

/* An acknowledgement for a segment that is not acceptable. Two peers who disagree would go on for ever: one in half a second
 * if it was empty (a probe is not: it is just before the window). */
static void answer_unacceptable(struct tcb *c, const struct tcp_in *in)
{
	if (in->flags & RTE_TCP_RST_FLAG)
		return;
	if (in->len == 0 && !(in->flags & RTE_TCP_FIN_FLAG) && in->seq != c->rcv_nxt - 1) {
		if (c->limited_ms - tcp_now_ms(c->t) <= LIMITED_MS) {
			c->t->stats.answers_limited++;
			return;
		}
		c->limited_ms = tcp_now_ms(c->t) + LIMITED_MS;
	}
	c->flags |= TCP_F_ACK_NOW;
}

/* Our SYN is answered (RFC 9293 3.10.7.3). There is no simultaneous open: a SYN alone is ignored. */
static void in_syn_sent(struct tcb *c, struct tcp_in *in)
{
	struct tcp *t = c->t;

	if (!(in->flags & RTE_TCP_ACK_FLAG))
		return;
	if (in->ack != c->snd_nxt) {
		tcp_out_rst(t, in, &in->link);
		return;
	}
	if (in->flags & RTE_TCP_RST_FLAG) {
		t->stats.resets_in++;
		tcp_end(c, TCP_WHY_REFUSED);
		return;
	}
	if (!(in->flags & RTE_TCP_SYN_FLAG))
		return;
	if (in->o.has_ts) {
		c->flags |= TCP_F_TS;
		c->ts_recent = in->o.tsval;
		c->paws_min = tcp_now_min(t);
	}
	if (in->o.sack_ok)
		c->flags |= TCP_F_SACK;
	c->snd_wscale = in->o.has_wscale ? RTE_MIN(in->o.wscale, (uint8_t)TCP_WIRE_WSCALE_MAX) : 0;
	c->rcv_wscale = in->o.has_wscale ? TCP_RCV_WSCALE : 0;
	c->mss = tcp_listen_mss(
		t, &c->tuple, c->link.iface, in->o.has_mss ? in->o.mss : 0, in->o.has_ts);
	c->snd_una = in->ack;
	c->rcv_nxt = c->last_ack_sent = in->seq + 1;
	c->rcv_adv = c->rcv_nxt + RTE_MIN(tcp_rcv_max(c->profile), (uint32_t)UINT16_MAX);
	c->snd_wnd = c->max_wnd = in->wnd;
	c->snd_wl1 = in->seq;
	c->snd_wl2 = in->ack;
	c->state = TCP_S_ESTABLISHED;
	wheel_del(&t->wheel, (uint32_t)(c - t->tcbs)); /* it may have to be probed before that */
	c->armed_ms = tcp_now_ms(t);
	c->rcvd_ms = tcp_now_ms(t);
	if (c->n_backoffs == 1) /* it was sent once */
		tcp_loss_rtt(c, (uint32_t)RTE_MIN(t->now_us - c->stuck_us, (uint64_t)UINT32_MAX));
	c->n_backoffs = 0;
	c->rtx_us = c->stuck_us = TCP_NEVER;
	c->flags |= TCP_F_ACK_NOW;
	tcp_loss_init(c);
	t->stats.opens_active++;
	t->p.ops->on_open(t->p.ctx, c);
}

/* The window of an acceptable segment (RFC 9293 3.10.7.4: WL1, WL2). */
static inline void update_window(struct tcb *c, const struct tcp_in *in)
{
	const uint32_t wnd = (uint32_t)in->wnd << c->snd_wscale;

	if (!seq_lt(c->snd_wl1, in->seq)
		&& !(c->snd_wl1 == in->seq && seq_leq(c->snd_wl2, in->ack)))
		return;
	c->snd_wnd = wnd;
	c->max_wnd = RTE_MAX(c->max_wnd, wnd);
	c->snd_wl1 = in->seq;
	c->snd_wl2 = in->ack;
	if (wnd > 0 && c->flags & TCP_F_PERSIST) {
		c->n_backoffs = 0;
		c->rtx_us = TCP_NEVER;
	}
}

/* Our FIN is acknowledged? */
static void on_all_acked(struct tcb *c)
{
	if (!(c->flags & TCP_F_FIN_QUEUED) || c->snd_head != NULL)
		return;
	if (c->state == TCP_S_FIN_WAIT_1)
		c->state = TCP_S_FIN_WAIT_2;
	else if (c->state == TCP_S_CLOSING)
		c->state = TCP_S_TIME_WAIT;
	else if (c->state == TCP_S_LAST_ACK && c->rcv_bytes > 0)
		c->state = TCP_S_TIME_WAIT; /* until all is read */
	else if (c->state == TCP_S_LAST_ACK)
		tcp_end(c, TCP_WHY_CLOSED);
}

/* false: the segment goes no further. */
static bool take_ack(struct tcb *c, const struct tcp_in *in)
{
	const uint32_t wnd = (uint32_t)in->wnd << c->snd_wscale;
	bool is_dup;

	if (seq_lt(c->snd_nxt, in->ack)) {
		c->t->stats.bad_ack++;
		challenge(c);
		return false;
	}
	if (seq_lt(in->ack, c->snd_una)) {
		if (c->snd_una - in->ack > c->max_wnd) {
			c->t->stats.bad_ack++; /* RFC 5961 5 */
			challenge(c);
			return false;
		}
		return true; /* old: its payload may be new */
	}
	is_dup = in->ack == c->snd_una && in->len == 0 && !(in->flags & RTE_TCP_FIN_FLAG)
		&& wnd == c->snd_wnd;
	update_window(c, in);
	if (in->ack != c->snd_una)
		tcp_icmp_on_ack(c, in->ack);
	tcp_loss_ack(c, in, is_dup);
	on_all_acked(c);
	if (c->flags & TCP_F_WANT_ROOM && c->snd_bytes <= tcp_snd_max(c->profile) / 2) {
		c->flags &= (uint16_t)~TCP_F_WANT_ROOM;
		tcp_mark_ready(c->t, c);
	}
	return c->state != TCP_S_CLOSED;
}

static void on_fin(struct tcb *c)
{
	c->flags |= TCP_F_ACK_NOW;
	c->rcv_adv = c->rcv_nxt;
	if (c->state == TCP_S_ESTABLISHED)
		c->state = TCP_S_CLOSE_WAIT;
	else if (c->state == TCP_S_FIN_WAIT_1)
		c->state = TCP_S_CLOSING;
	else if (c->state == TCP_S_FIN_WAIT_2)
		c->state = TCP_S_TIME_WAIT;
}

/* Payload and FIN. Takes the mbuf. */
static void take_data(struct tcb *c, struct tcp_in *in)
{
	const bool had_holes = c->n_ooo > 0;
	bool is_in_order;

	tcp_reass_add(c, in, &is_in_order);
	if (!is_in_order || had_holes || ++c->n_unacked >= 2)
		c->flags |= TCP_F_ACK_NOW;
	else if (c->ack_us == TCP_NEVER)
		c->ack_us = c->t->now_us + TCP_ACK_DELAY_US;
	if (!is_in_order)
		return;
	if (c->flags & TCP_F_FIN_RCVD)
		on_fin(c);
	tcp_mark_ready(c->t, c);
}

/* Checks up to the acknowledgement; false: drop. */
static bool check(struct tcb *c, struct tcp_in *in)
{
	struct tcp *t = c->t;

	if (is_paws_old(c, in)) {
		t->stats.paws++;
		answer_unacceptable(c, in);
		return false;
	}
	if (!is_acceptable(c, in)) {
		t->stats.unacceptable++;
		answer_unacceptable(c, in);
		return false;
	}
	if (in->flags & RTE_TCP_RST_FLAG) {
		if (c->state == TCP_S_TIME_WAIT)
			return false; /* RFC 1337; not all is read */
		if (in->seq == c->rcv_nxt) {
			t->stats.resets_in++;
			tcp_end(c, TCP_WHY_RESET);
		} else {
			challenge(c); /* RFC 5961 3 */
		}
		return false;
	}
	if (in->flags & RTE_TCP_SYN_FLAG) {
		challenge(c); /* RFC 5961 4 */
		return false;
	}
	return in->flags & RTE_TCP_ACK_FLAG;
}

#define UNUSUAL_FLAGS \
	(TCP_F_FIN_QUEUED | TCP_F_FIN_RCVD | TCP_F_WANT_ROOM | TCP_F_RECOVERY | TCP_F_TIMED_OUT \
		| TCP_F_PERSIST)
#define UNUSUAL_RACK (TCP_RACK_ROUND | TCP_RACK_PROBED | TCP_RACK_PROBED_OLD | TCP_CC_UNDOABLE)

/* Whether nothing has been queued, or one segment, sent and never again. */
static inline bool has_sent_one(const struct tcb *c)
{
	return c->snd_unsent == NULL && c->snd_head == c->snd_tail
		&& (c->snd_head == NULL || c->is_sole);
}

/* Header prediction (Jacobson 1990): the next request of a connection that asks and waits. It begins at rcv_nxt, where all before has been
 * read; it acknowledges the one segment that was sent, if any; and nothing is going on otherwise. */
static inline bool is_expected(const struct tcb *c, const struct tcp_in *in)
{
	const uint8_t flags =
		RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;

	return in->seq == c->rcv_nxt && in->ack == c->snd_nxt
		&& in->len - 1 < c->rcv_adv - c->rcv_nxt && (in->flags & flags) == RTE_TCP_ACK_FLAG
		&& c->state == TCP_S_ESTABLISHED && !(c->flags & UNUSUAL_FLAGS)
		&& !(c->rack & UNUSUAL_RACK) && !(c->has_marks | c->has_claim) && in->o.n_sacks == 0
		&& in->o.has_ts == !!(c->flags & TCP_F_TS)
		&& (!in->o.has_ts || seq_leq(c->ts_recent, in->o.tsval)) && c->rcv_head == NULL
		&& c->n_ooo == 0 && has_sent_one(c) && c->t->n_rcv_bufs < c->t->p.n_bufs / 2;
}

/* The same comes of it as below, by the shortest way. */
static inline void take_expected(struct tcb *c, const struct tcp_in *in)
{
	struct tcp *t = c->t;
	struct rte_mbuf *m = in->m;

	update_window(c, in);
	if (likely(c->snd_head != NULL))
		tcp_loss_ack_only(c);
	*tcp_seg(m) = (struct tcp_seg){
		.seq = in->seq, .len = (uint16_t)in->len, .off = (uint16_t)(m->data_off + in->off)};
	t->n_rcv_bufs++;
	t->n_bufs++;
	c->rcv_nxt += in->len;
	c->rcv_bytes = in->len;
	c->rcv_head = c->rcv_tail = m;
	c->unread_us = (uint16_t)t->now_us;
	if (++c->n_unacked >= 2)
		c->flags |= TCP_F_ACK_NOW;
	else if (c->ack_us == TCP_NEVER)
		c->ack_us = t->now_us + TCP_ACK_DELAY_US;
	tcp_mark_ready(t, c);
}

/* An acceptable segment has come. */
static inline void note_segment(struct tcb *c, const struct tcp_in *in)
{
	const struct tcp *t = c->t;

	if (in->o.has_ts && seq_leq(in->seq, c->last_ack_sent)
		&& seq_leq(c->ts_recent, in->o.tsval)) { /* RFC 7323 4.3 */
		c->ts_recent = in->o.tsval;
		c->paws_min = tcp_now_min(t);
	}
	c->link = in->link;
	c->rcvd_ms = tcp_now_ms(t);
	c->n_probes = 0;
}

void tcp_in_segment(struct tcb *c, struct tcp_in *in)
{
	if (likely(is_expected(c, in))) {
		note_segment(c, in);
		take_expected(c, in);
		return;
	}
	if (c->state == TCP_S_SYN_SENT) {
		in_syn_sent(c, in);
		rte_pktmbuf_free(in->m);
		return;
	}
	if (c->state == TCP_S_CLOSED || !check(c, in) || !take_ack(c, in)) {
		rte_pktmbuf_free(in->m);
		return;
	}
	note_segment(c, in);
	if (in->len > 0 || in->flags & RTE_TCP_FIN_FLAG)
		take_data(c, in);
	else
		rte_pktmbuf_free(in->m);
}

static inline uint64_t ms_or(uint32_t ms, uint32_t by_default)
{
	return 1000ull * (ms != 0 ? ms : by_default);
}

static inline uint64_t stuck_due_us(const struct tcb *c)
{
	return c->stuck_us == TCP_NEVER ? TCP_NEVER
					: c->stuck_us + ms_or(c->profile->user_timeout_ms, 60000);
}

/* When the last segment came. */
static uint64_t rcvd_us(const struct tcb *c)
{
	return (c->t->now_us / 1000 - (tcp_now_ms(c->t) - c->rcvd_ms)) * 1000;
}

static uint64_t idle_due_us(const struct tcb *c)
{
	return rcvd_us(c) + ms_or(c->profile->idle_ms, 600000);
}

static uint64_t keepalive_due_us(const struct tcb *c)
{
	return c->profile->keepalive_ms == 0 || c->state == TCP_S_SYN_SENT
		? TCP_NEVER
		: rcvd_us(c) + 1000ull * c->profile->keepalive_ms * (c->n_probes + 1u);
}

uint64_t tcp_in_soon_us(const struct tcb *c)
{
	return RTE_MIN(RTE_MIN(c->rtx_us, c->ack_us), RTE_MIN(tcp_rack_due_us(c), stuck_due_us(c)));
}

uint64_t tcp_in_due_us(const struct tcb *c)
{
	return RTE_MIN(tcp_in_soon_us(c), RTE_MIN(idle_due_us(c), keepalive_due_us(c)));
}

static void resend_syn(struct tcb *c)
{
	struct tcp_head h = {.seq = c->snd_una, .flags = RTE_TCP_SYN_FLAG, .wnd = UINT16_MAX};

	tcp_listen_syn_opts(c->t, &c->tuple, c->link.iface, &h.o);
	h.wnd = (uint16_t)RTE_MIN(tcp_rcv_max(c->profile), (uint32_t)UINT16_MAX);
	h.o.has_ts = true;
	h.o.tsval = tcp_out_ts(c->ts_offset, c->t->now_us);
	tcp_out_bare(c->t, &(struct tcp_from){&c->tuple, &c->link, c->profile}, &h);
}

static void on_rtx(struct tcb *c)
{
	struct tcp *t = c->t;

	if (c->state == TCP_S_SYN_SENT) {
		resend_syn(c);
		c->rtx_us = t->now_us + ((uint64_t)TCP_RTO_FIRST_US << RTE_MIN(c->n_backoffs, 5));
		c->n_backoffs++;
		return;
	}
	if (c->flags & TCP_F_PERSIST) { /* just before the window: it has to be answered */
		t->stats.window_probes++;
		tcp_out_control(c, 0, c->snd_una - 1);
		c->n_backoffs = (uint8_t)RTE_MIN(c->n_backoffs + 1, 8);
		c->rtx_us = t->now_us
			+ RTE_MIN((uint64_t)c->rto_us << c->n_backoffs, (uint64_t)TCP_RTO_MAX_US);
		return;
	}
	c->rtx_us = TCP_NEVER;
	if (tcb_flight(c) > 0) {
		tcp_icmp_on_timeout(c);
		tcp_loss_timeout(c);
		c->n_backoffs = (uint8_t)RTE_MIN(c->n_backoffs + 1, 8);
		c->rto_us = RTE_MIN(2 * c->rto_us, TCP_RTO_MAX_US);
	}
}

static void on_rack_timer(struct tcb *c)
{
	const uint8_t timer = c->rack_timer;

	c->rack_timer = TCP_RACK_TIMER_NONE;
	if (timer == TCP_RACK_TIMER_PTO)
		tcp_out_probe(c);
	else
		tcp_loss_on_timer(c);
}

void tcp_in_due(struct tcb *c)
{
	struct tcp *t = c->t;

	if (stuck_due_us(c) <= t->now_us || idle_due_us(c) <= t->now_us
		|| (keepalive_due_us(c) <= t->now_us && c->n_probes >= N_PROBES_MAX)) {
		c->flags |=
			c->state == TCP_S_SYN_SENT || c->state == TCP_S_TIME_WAIT ? 0 : TCP_F_RST;
		tcp_end(c,
			stuck_due_us(c) > t->now_us && idle_due_us(c) <= t->now_us
				? TCP_WHY_IDLE
				: TCP_WHY_TIMEOUT);
		return;
	}
	if (keepalive_due_us(c) <= t->now_us) {
		c->n_probes++;
		t->stats.keepalives++;
		tcp_out_control(c, 0, c->snd_una - 1);
	}
	if (c->ack_us <= t->now_us) {
		c->flags |= TCP_F_ACK_NOW;
		c->ack_us = TCP_NEVER;
	}
	if (tcp_rack_due_us(c) <= t->now_us)
		on_rack_timer(c);
	if (c->rtx_us <= t->now_us)
		on_rtx(c);
}
