/* SPDX-License-Identifier: BSD-3-Clause */
/* tcporacle — see tcporacle.h. */
#include "tcporacle.h"

#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG
#define PSH RTE_TCP_PSH_FLAG

static bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* SEG.LEN */
static uint32_t span(const struct tcpscript_seg *s)
{
	return s->len + !!(s->flags & SYN) + !!(s->flags & FIN);
}

static void answer(struct tcporacle_says *says, uint8_t flags, uint32_t seq, uint32_t ack)
{
	says->when = ORACLE_AT_ONCE;
	says->flags = flags;
	says->seq = seq;
	says->ack = ack;
}

/* <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK> */
static void acknowledge(const struct tcporacle_flow *f, struct tcporacle_says *says)
{
	answer(says, ACK, f->snd_nxt, f->rcv_nxt);
}

static void close_flow(struct tcporacle_flow *f, struct tcporacle_says *says, enum tcp_reason why)
{
	says->closes = true;
	says->why = why;
	f->state = ORACLE_NONE;
	f->has_cookie = false;
}

/* A connection that has gone through all of its states. */
static void finish(struct tcporacle_flow *f, struct tcporacle_says *says)
{
	const bool is_kept = f->state == ORACLE_TIME_WAIT || f->are_cookies; /* D last-ack */

	close_flow(f, says, TCP_WHY_CLOSED);
	if (is_kept)
		f->state = ORACLE_RECORD;
}

/* 3.10.7.4, first: the table; D edge: an empty segment behind the last number is good; D closed: what is at rcv_nxt is good when
 * the window is closed, without its bytes. */
static bool is_acceptable(const struct tcporacle_flow *f, const struct tcpscript_seg *s)
{
	const uint32_t n = span(s), at = s->seq - f->rcv_nxt;
	const bool is_strict = s->flags & (SYN | RST);

	if (f->rcv_wnd == 0)
		return at == 0;
	if (n == 0)
		return is_strict ? at < f->rcv_wnd : at <= f->rcv_wnd;
	return at < f->rcv_wnd || at + n - 1 < f->rcv_wnd;
}

/* Seventh and eighth: text and FIN. */
static void take_text(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	const bool may_come = f->state == ORACLE_ESTABLISHED || f->state == ORACLE_FIN_WAIT_1
		|| f->state == ORACLE_FIN_WAIT_2;
	uint32_t end = s->seq + s->len;
	bool has_fin = s->flags & FIN;

	if (s->len == 0 && !has_fin)
		return;
	if (!may_come || (f->rcv_wnd == 0 && s->len > 0)) {
		acknowledge(f, says);
		return;
	}
	if (before(f->rcv_nxt + f->rcv_wnd, end)) { /* D fin: takes no room */
		end = f->rcv_nxt + f->rcv_wnd;
		has_fin = false;
	}
	if (before(f->rcv_nxt, s->seq)) { /* out of order: kept, and told at once (RFC 5681 4.2) */
		acknowledge(f, says);
		return;
	}
	f->unread += end - f->rcv_nxt;
	f->rcv_wnd -= end - f->rcv_nxt;
	f->rcv_nxt = end;
	says->has_news = true;
	says->when = ORACLE_LATER;
	says->flags = ACK;
	if (f->has_hole) {
		if (!has_fin && !before(f->rcv_nxt, f->stored_seq)) {
			end = f->stored_seq + f->stored;
			f->unread += end - f->rcv_nxt;
			f->rcv_wnd -= end - f->rcv_nxt;
			f->rcv_nxt = end;
			f->has_hole = false;
		}
		says->when = ORACLE_AT_ONCE;
	}
	if (has_fin) {
		f->rcv_nxt++;
		f->rcv_wnd = 0; /* nothing is to come */
		f->state = f->state == ORACLE_ESTABLISHED ? ORACLE_CLOSE_WAIT
			: f->state == ORACLE_FIN_WAIT_1   ? ORACLE_CLOSING
							  : ORACLE_TIME_WAIT;
		says->when = ORACLE_AT_ONCE;
	}
	says->seq = f->snd_nxt;
	says->ack = f->rcv_nxt;
}

/* Fifth. false: the segment is done with. */
static bool take_ack(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	bool is_fin_acked;

	if (before(f->snd_nxt, s->ack) || before(s->ack, f->snd_una - f->max_wnd)) {
		acknowledge(f, says); /* RFC 5961 5.2 */
		return false;
	}
	if (before(s->ack, f->snd_una))
		return true;
	f->snd_una = s->ack;
	if (before(f->wl1, s->seq) || (f->wl1 == s->seq && !before(s->ack, f->wl2))) {
		f->snd_wnd = s->wnd;
		f->wl1 = s->seq;
		f->wl2 = s->ack;
	}
	is_fin_acked = f->snd_una == f->snd_nxt;
	if (f->state == ORACLE_FIN_WAIT_1 && is_fin_acked)
		f->state = ORACLE_FIN_WAIT_2;
	if (f->state == ORACLE_CLOSING && is_fin_acked)
		f->state = ORACLE_TIME_WAIT;
	if (f->state == ORACLE_LAST_ACK && is_fin_acked && f->unread > 0)
		f->state = ORACLE_TIME_WAIT; /* last-ack */
	if (f->state == ORACLE_LAST_ACK && is_fin_acked) {
		finish(f, says);
		return false;
	}
	return true;
}

/* 3.10.7.4 of all states behind SYN-RECEIVED. */
static void synchronized(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	if (f->has_ts && s->o.has_ts && !(s->flags & RST) && before(s->o.tsval, f->ts_recent)) {
		acknowledge(f, says); /* RFC 7323 5.3 R1 */
		return;
	}
	if (!is_acceptable(f, s)) {
		if (!(s->flags & RST))
			acknowledge(f, says);
		return;
	}
	if (s->flags & RST) {
		if (f->state == ORACLE_TIME_WAIT) /* RFC 1337 */
			return;
		if (s->seq == f->rcv_nxt)
			close_flow(f, says, TCP_WHY_RESET);
		else
			acknowledge(f, says); /* RFC 5961 3.2 */
		return;
	}
	if (s->flags & SYN) {
		acknowledge(f, says); /* RFC 5961 4.2 */
		return;
	}
	if (!(s->flags & ACK) || !take_ack(f, s, says))
		return;
	if (f->has_ts && s->o.has_ts && !before(f->last_ack, s->seq))
		f->ts_recent = s->o.tsval; /* R3; D ts-recent: only here */
	take_text(f, s, says);
	if (f->state == ORACLE_TIME_WAIT && f->unread == 0)
		finish(f, says);
	else if (f->unsent > 0 && f->snd_wnd > 0) {
		answer(says, ACK | PSH, f->snd_nxt, f->rcv_nxt);
		says->len = f->unsent;
		f->snd_nxt += f->unsent;
		f->unsent = 0;
	}
}

/* The third segment of the handshake. */
static void open_flow(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	says->opens = true;
	f->state = ORACLE_ESTABLISHED;
	f->snd_una = f->snd_nxt;
	f->wl1 = f->irs;
	f->wl2 = f->iss;
	f->max_wnd = s->wnd;
	f->last_ack = f->rcv_nxt;
	synchronized(f, s, says);
}

/* 3.10.7.2, third. */
static void take_syn(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	f->state = f->cookies_only ? ORACLE_NONE : ORACLE_SYN_RCVD;
	f->irs = s->seq;
	f->rcv_nxt = s->seq + 1; /* D text-with-syn: bytes come again */
	f->has_ts = s->o.has_ts;
	f->ts_recent = s->o.tsval;
	f->has_cookie = f->cookies_only;
	answer(says, SYN | ACK, 0, f->rcv_nxt);
	says->any_seq = true;
}

/* 3.10.7.1 and 3.10.7.2; D listen: what is neither RST, ACK nor SYN is answered as by CLOSED. */
static void none(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	if (s->flags & RST)
		return;
	if (!(s->flags & ACK)) {
		if (s->flags & SYN)
			take_syn(f, s, says);
		else
			answer(says, RST | ACK, 0, s->seq + span(s));
		return;
	}
	if (!(s->flags & SYN) && f->has_cookie && s->seq == f->rcv_nxt && s->ack == f->snd_nxt) {
		f->has_ts = s->o.has_ts;
		f->ts_recent = s->o.tsval;
		f->has_cookie = false;
		open_flow(f, s, says);
	} else if (s->flags & SYN || !f->are_cookies) { /* D cookies: no RST while some are out */
		answer(says, RST, s->ack, 0);
	}
}

/* 3.10.7.4 of SYN-RECEIVED. D syn-entry: it says nothing but SYN+ACK, and RST; another SYN takes its place. */
static void syn_rcvd(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	if (s->flags & RST) {
		if (s->seq == f->rcv_nxt)
			f->state = ORACLE_NONE;
		return;
	}
	if (s->flags & SYN) {
		if (s->flags & ACK)
			return;
		if (s->seq == f->irs)
			answer(says, SYN | ACK, f->iss, f->rcv_nxt);
		else
			take_syn(f, s, says);
		return;
	}
	if (!(s->flags & ACK) || s->seq - f->rcv_nxt >= f->rcv_wnd
		|| (f->has_ts && s->o.has_ts && before(s->o.tsval, f->ts_recent)))
		return;
	if (s->ack == f->snd_nxt)
		open_flow(f, s, says);
	else if (!f->are_cookies)
		answer(says, RST, s->ack, 0);
}

/* 3.10.7.3; D simultaneous: a SYN alone is ignored. */
static void syn_sent(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	if (!(s->flags & ACK))
		return;
	if (s->ack != f->snd_nxt) {
		if (!(s->flags & RST))
			answer(says, RST, s->ack, 0);
		return;
	}
	if (s->flags & RST) {
		close_flow(f, says, TCP_WHY_REFUSED);
		return;
	}
	if (!(s->flags & SYN))
		return;
	f->state = ORACLE_ESTABLISHED;
	f->rcv_nxt = s->seq + 1; /* D text-with-syn */
	f->snd_una = s->ack;
	f->snd_wnd = s->wnd;
	f->has_ts = s->o.has_ts;
	f->ts_recent = s->o.tsval;
	says->opens = true;
	acknowledge(f, says);
}

/* TIME-WAIT. D record: it knows no window and looks at no ACK. */
static void record(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	const bool has_both_ts = f->has_ts && s->o.has_ts && s->o.tsval != f->ts_recent;
	const bool is_later = has_both_ts ? before(f->ts_recent, s->o.tsval)
					  : !before(s->seq, f->rcv_nxt); /* RFC 6191 */

	if (s->flags & RST) /* RFC 1337 */
		return;
	if ((s->flags & (SYN | ACK)) == SYN && is_later) {
		take_syn(f, s, says);
		return;
	}
	if (span(s) == 0 && s->seq == f->rcv_nxt)
		return;
	acknowledge(f, says);
	says->restarts = s->flags & FIN && s->seq + span(s) == f->rcv_nxt;
}

void tcporacle_take(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says)
{
	*says = (struct tcporacle_says){.when = ORACLE_SILENT};
	if (s->flags & SYN && s->flags & (FIN | RST)) /* D flags */
		return;
	switch (f->state) {
	case ORACLE_NONE:
		none(f, s, says);
		break;
	case ORACLE_SYN_RCVD:
		syn_rcvd(f, s, says);
		break;
	case ORACLE_SYN_SENT:
		syn_sent(f, s, says);
		break;
	case ORACLE_RECORD:
		record(f, s, says);
		break;
	default:
		synchronized(f, s, says);
		break;
	}
}
