/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_listen — see tcp_listen.h. A cookie is the first number of our SYN+ACK:
 *
 *     31  minute, lowest bit     30…28  MSS, as an index     27…0  code over flow, client's number, minute, options
 *
 * and the options are the lowest bits of its timestamp, without one there are none:
 *
 *     5  spare     4  SACK     3…0  window scale, 15: none
 */
#include "tcp/tcp_listen.h"

#include "base/siphash.h"
#include "tcp/tcp_loss.h"
#include "tcp/tcp_out.h"

#include <rte_ip.h>

#define MINUTE_US 60000000u
#define CODE_BITS 28
#define CODE_MASK ((UINT32_C(1) << CODE_BITS) - 1)
#define TS_BITS 6
#define NO_WSCALE 15u
#define COOKIE_SACK 0x10u
#define PEER_MSS_MIN 88u

static const uint16_t cookie_mss[8] = {88, 536, 1220, 1300, 1400, 1440, 1460, 8940};

uint32_t tcp_listen_isn(const struct tcp *t, const struct tcp_tuple *tuple, uint32_t *ts_offset)
{
	const uint64_t hash = siphash(t->p.secret, tuple, sizeof(*tuple));

	*ts_offset = (uint32_t)(hash >> 32);
	return (uint32_t)hash + (uint32_t)(t->now_us / 4);
}

static uint16_t own_mss(const struct tcp *t, const struct tcp_tuple *tuple, uint8_t iface)
{
	const uint32_t n_ip =
		tuple->family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	const uint32_t mtu = t->p.ifaces->of[iface].mtu_bytes;
	const uint32_t room = rte_pktmbuf_data_room_size(t->p.pool) - TCP_PAYLOAD_AT;

	return (uint16_t)RTE_MIN(mtu - n_ip - (uint32_t)sizeof(struct rte_tcp_hdr), room);
}

void tcp_listen_syn_opts(
	const struct tcp *t, const struct tcp_tuple *tuple, uint8_t iface, struct tcp_opts *o)
{
	*o = (struct tcp_opts){.has_mss = true,
		.mss = own_mss(t, tuple, iface),
		.has_wscale = true,
		.wscale = TCP_RCV_WSCALE,
		.sack_ok = true};
}

uint16_t tcp_listen_mss(const struct tcp *t, const struct tcp_tuple *tuple, uint8_t iface,
	uint16_t peer_mss, bool has_ts)
{
	const uint16_t by_default = tuple->family == 4 ? 536 : 1220;
	uint16_t mss = peer_mss != 0 ? peer_mss : by_default;

	mss = RTE_MAX(mss, (uint16_t)PEER_MSS_MIN);
	mss = RTE_MIN(mss, own_mss(t, tuple, iface));
	return (uint16_t)(mss - (has_ts ? TCP_WIRE_TS_BYTES : 0)); /* RFC 6691 */
}

static uint32_t cookie_code(const struct tcp *t, const struct tcp_tuple *tuple, uint32_t irs,
	uint32_t minute, uint32_t mss_idx, uint32_t opts)
{
	struct {
		struct tcp_tuple tuple;
		uint32_t irs, minute, mss_idx, opts;
	} in = {*tuple, irs, minute, mss_idx, opts};

	return (uint32_t)siphash(t->p.secret + 2, &in, sizeof(in)) & CODE_MASK;
}

static uint32_t minute_of(const struct tcp *t)
{
	return (uint32_t)(t->now_us / MINUTE_US);
}

/* What a SYN+ACK says, unscaled. */
static uint16_t first_window(const struct tcp_syn *s)
{
	return (uint16_t)RTE_MIN(tcp_rcv_max(s->profile), (uint32_t)UINT16_MAX);
}

/* The SYN+ACK of the entry; tsval is given as cookies have their own. */
static void send_syn_ack(struct tcp *t, const struct tcp_syn *s, uint32_t tsval)
{
	struct tcp_head h = {.seq = s->iss,
		.ack = s->irs + 1,
		.flags = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
		.wnd = first_window(s)};

	tcp_listen_syn_opts(t, &s->tuple, s->link.iface, &h.o);
	h.o.has_wscale = s->has_wscale;
	h.o.sack_ok = s->flags & TCP_F_SACK;
	h.o.has_ts = s->flags & TCP_F_TS;
	h.o.tsval = tsval;
	h.o.tsecr = s->ts_recent;
	tcp_out_bare(t, &(struct tcp_from){&s->tuple, &s->link, s->profile}, &h);
}

static void send_cookie(struct tcp *t, struct tcp_syn *s)
{
	const uint32_t ts = tcp_out_ts(s->ts_offset, t->now_us), minute = minute_of(t);
	uint32_t opts = NO_WSCALE, idx = 0, tsval;

	if (s->flags & TCP_F_TS)
		opts = (s->has_wscale ? s->snd_wscale : NO_WSCALE)
			| (s->flags & TCP_F_SACK ? COOKIE_SACK : 0);
	else
		s->flags = s->has_wscale = 0;
	while (idx < 7 && cookie_mss[idx + 1] <= s->mss)
		idx++;
	s->iss = (minute & 1) << 31 | idx << CODE_BITS
		| cookie_code(t, &s->tuple, s->irs, minute, idx, opts);
	tsval = (ts >> TS_BITS << TS_BITS) | opts;
	if (seq_lt(ts, tsval))
		tsval -= 1u << TS_BITS; /* never ahead of the clock */
	send_syn_ack(t, s, tsval);
	t->cookies_until_us = t->now_us + 2ull * MINUTE_US;
	t->stats.cookies_sent++;
}

static uint32_t wheel_syn(const struct tcp *t, uint32_t idx)
{
	return t->p.n_conns + idx;
}

static uint32_t wheel_wait(const struct tcp *t, uint32_t idx)
{
	return t->p.n_conns + t->p.n_syns + idx;
}

static uint32_t ms_of(uint64_t us)
{
	return (uint32_t)((us + 999) / 1000);
}

static void syn_free(struct tcp *t, uint32_t idx)
{
	tcp_flow_del(t->flow, TCP_FLOW_REF(TCP_KIND_SYN, idx));
	wheel_del(&t->wheel, wheel_syn(t, idx));
	t->syns[idx].profile = NULL;
	t->syn_pool.free[t->syn_pool.n_free++] = idx;
}

/* Keeps the entry; false: there is no room. */
static bool syn_keep(struct tcp *t, const struct tcp_syn *s)
{
	uint32_t idx;

	if (t->syn_pool.n_free == 0)
		return false;
	idx = t->syn_pool.free[t->syn_pool.n_free - 1];
	t->syns[idx] = *s;
	if (!tcp_flow_add(t->flow, TCP_FLOW_REF(TCP_KIND_SYN, idx))) {
		t->syns[idx].profile = NULL;
		return false;
	}
	t->syn_pool.n_free--;
	wheel_add(&t->wheel, wheel_syn(t, idx), ms_of(s->due_us));
	return true;
}

static void on_syn(struct tcp *t, const struct tcp_in *in)
{
	struct tcp_syn s = {.tuple = *in->tuple,
		.link = in->link,
		.irs = in->seq,
		.mss = in->o.has_mss             ? in->o.mss
			: in->tuple->family == 4 ? 536
						 : 1220,
		.ts_recent = in->o.tsval,
		.has_wscale = in->o.has_wscale,
		.snd_wscale = RTE_MIN(in->o.wscale, (uint8_t)TCP_WIRE_WSCALE_MAX),
		.sent_us = t->now_us,
		.due_us = t->now_us + TCP_RTO_FIRST_US,
		.n_tries = 1};
	const bool is_land = in->tuple->sport == in->tuple->dport
		&& memcmp(in->tuple->src, in->tuple->dst, sizeof(in->tuple->src)) == 0;

	t->stats.syns++;
	s.profile = is_land ? NULL : t->p.ops->on_syn(t->p.ctx, in->p);
	if (s.profile == NULL) {
		t->stats.syns_refused++;
		return;
	}
	s.flags = (uint8_t)((in->o.has_ts ? TCP_F_TS : 0) | (in->o.sack_ok ? TCP_F_SACK : 0));
	s.iss = tcp_listen_isn(t, &s.tuple, &s.ts_offset);
	if (t->p.cookies != TCP_COOKIES_ALWAYS && syn_keep(t, &s))
		send_syn_ack(t, &s, tcp_out_ts(s.ts_offset, t->now_us));
	else if (t->p.cookies != TCP_COOKIES_NEVER)
		send_cookie(t, &s);
	else
		t->stats.syns_refused++;
}

/* The handshake is complete; NULL: there is no connection free, the peer is told. */
static struct tcb *establish(struct tcp *t, const struct tcp_syn *s, const struct tcp_in *in)
{
	struct tcb *c = tcp_take_tcb(t, &s->tuple, &s->link, s->profile);

	if (c == NULL) {
		t->stats.no_conn_entry++;
		tcp_out_rst(t, in, &s->link);
		return NULL;
	}
	c->state = TCP_S_ESTABLISHED;
	c->flags |= s->flags | TCP_F_OPENED;
	c->mss = tcp_listen_mss(t, &s->tuple, s->link.iface, s->mss, s->flags & TCP_F_TS);
	c->snd_wscale = s->has_wscale ? s->snd_wscale : 0;
	c->rcv_wscale = s->has_wscale ? TCP_RCV_WSCALE : 0;
	c->snd_una = c->snd_nxt = s->iss + 1;
	c->rcv_nxt = c->last_ack_sent = s->irs + 1;
	c->rcv_adv = c->rcv_nxt + first_window(s);
	c->snd_wl1 = s->irs;
	c->snd_wl2 = s->iss;
	c->ts_recent = s->ts_recent;
	c->ts_offset = s->ts_offset;
	c->paws_min = tcp_now_min(t);
	if (s->n_tries == 1)
		tcp_loss_rtt(c, (uint32_t)RTE_MIN(t->now_us - s->sent_us, (uint64_t)UINT32_MAX));
	tcp_loss_init(c);
	t->stats.opens_passive++;
	t->p.ops->on_open(t->p.ctx, c);
	return c;
}

/* The ACK of a cookie? */
static bool read_cookie(struct tcp *t, const struct tcp_in *in, struct tcp_syn *s)
{
	const uint32_t cookie = in->ack - 1, idx = cookie >> CODE_BITS & 7;
	const uint32_t opts = in->o.has_ts ? in->o.tsecr & ((1u << TS_BITS) - 1) : NO_WSCALE;
	uint32_t minute = minute_of(t);

	if (t->now_us >= t->cookies_until_us)
		return false;
	if ((minute & 1) != cookie >> 31)
		minute--;
	if (cookie_code(t, in->tuple, in->seq - 1, minute, idx, opts) != (cookie & CODE_MASK))
		return false;
	*s = (struct tcp_syn){.tuple = *in->tuple,
		.iss = cookie,
		.irs = in->seq - 1,
		.mss = cookie_mss[idx],
		.ts_recent = in->o.tsval,
		.has_wscale = (opts & 15) != NO_WSCALE,
		.snd_wscale = opts & 15};
	s->flags = (uint8_t)((in->o.has_ts ? TCP_F_TS : 0) | (opts & COOKIE_SACK ? TCP_F_SACK : 0));
	tcp_listen_isn(t, in->tuple, &s->ts_offset);
	return true;
}

struct tcb *tcp_listen_input(struct tcp *t, struct tcp_in *in)
{
	const uint8_t flags = in->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG);
	struct tcb *c = NULL;
	struct tcp_syn s;

	if (flags == RTE_TCP_SYN_FLAG) {
		on_syn(t, in);
	} else if (flags == RTE_TCP_ACK_FLAG && read_cookie(t, in, &s)) {
		s.link = in->link;
		s.profile = t->p.ops->on_syn(t->p.ctx, in->p);
		t->stats.cookies_good++;
		if (s.profile != NULL)
			c = establish(t, &s, in);
		else
			t->stats.syns_refused++;
	} else {
		const bool may_be_cookie =
			t->now_us < t->cookies_until_us && flags == RTE_TCP_ACK_FLAG;

		t->stats.no_flow++;
		t->stats.cookies_bad += may_be_cookie;
		/* the ACK that would have opened it may be lost: it or its like will come again */
		if (!may_be_cookie)
			tcp_out_rst(t, in, &in->link);
	}
	if (c == NULL)
		rte_pktmbuf_free(in->m);
	return c;
}

struct tcb *tcp_listen_syn(struct tcp *t, uint32_t idx, struct tcp_in *in)
{
	struct tcp_syn *s = &t->syns[idx], done;
	const bool is_next = in->seq == s->irs + 1;
	struct tcb *c = NULL;

	if (in->flags & RTE_TCP_RST_FLAG) {
		if (is_next)
			syn_free(t, idx);
	} else if (in->flags & RTE_TCP_SYN_FLAG) {
		if (in->seq != s->irs && !(in->flags & RTE_TCP_ACK_FLAG)) {
			syn_free(t, idx); /* the client has begun anew */
			on_syn(t, in);
		} else if (!(in->flags & RTE_TCP_ACK_FLAG)) {
			send_syn_ack(t, s, tcp_out_ts(s->ts_offset, t->now_us));
			s->n_tries = RTE_MAX(s->n_tries, 2);
		}
	} else if (in->flags & RTE_TCP_ACK_FLAG && in->seq - (s->irs + 1) < first_window(s)
		&& !(s->flags & TCP_F_TS && in->o.has_ts && seq_lt(in->o.tsval, s->ts_recent))) {
		if (in->ack == s->iss + 1) {
			done = *s;
			syn_free(t, idx);
			done.link = in->link;
			c = establish(t, &done, in);
		} else if (read_cookie(t, in, &done)) {
			/* a first SYN was answered by a cookie, and a copy of it by the entry */
			syn_free(t, idx);
			return tcp_listen_input(t, in);
		} else if (t->now_us >= t->cookies_until_us) {
			tcp_out_rst(t, in, &in->link);
		}
	}
	if (c == NULL)
		rte_pktmbuf_free(in->m);
	return c;
}

void tcp_listen_syn_due(struct tcp *t, uint32_t idx)
{
	struct tcp_syn *s = &t->syns[idx];

	if (s->due_us <= t->now_us) {
		if (s->n_tries >= TCP_SYN_TRIES) {
			syn_free(t, idx);
			return;
		}
		s->due_us = t->now_us + ((uint64_t)TCP_RTO_FIRST_US << s->n_tries);
		s->n_tries++;
		t->stats.syn_retransmits++;
		send_syn_ack(t, s, tcp_out_ts(s->ts_offset, t->now_us));
	}
	wheel_add(&t->wheel, wheel_syn(t, idx), ms_of(s->due_us));
}

static void wait_free(struct tcp *t, uint32_t idx)
{
	tcp_flow_del(t->flow, TCP_FLOW_REF(TCP_KIND_WAIT, idx));
	wheel_del(&t->wheel, wheel_wait(t, idx));
	t->waits[idx].is_used = false;
	t->wait_pool.free[t->wait_pool.n_free++] = idx;
}

struct tcb *tcp_listen_wait(struct tcp *t, uint32_t idx, struct tcp_in *in)
{
	struct tcp_wait *w = &t->waits[idx];
	const bool is_syn = (in->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG))
		== RTE_TCP_SYN_FLAG;
	const bool is_later = w->has_ts && in->o.has_ts && in->o.tsval != w->ts_recent
		? seq_lt(w->ts_recent, in->o.tsval)
		: seq_leq(w->rcv_nxt, in->seq);
	struct tcp_head h = {.seq = w->snd_nxt,
		.ack = w->rcv_nxt,
		.flags = RTE_TCP_ACK_FLAG,
		.wnd = UINT16_MAX >> 1};

	if (is_syn && is_later) { /* RFC 6191 */
		wait_free(t, idx);
		t->stats.time_wait_reuses++;
		return tcp_listen_input(t, in);
	}
	/* RST is ignored (RFC 1337); anything but a pure ACK of all is answered */
	if (!(in->flags & RTE_TCP_RST_FLAG)
		&& (in->len > 0 || in->flags & (RTE_TCP_FIN_FLAG | RTE_TCP_SYN_FLAG)
			|| in->seq != w->rcv_nxt)
		&& tcp_out_may_answer(t)) {
		h.o.has_ts = w->has_ts;
		h.o.tsval = tcp_out_ts(w->ts_offset, t->now_us);
		h.o.tsecr = w->ts_recent;
		tcp_out_bare(t, &(struct tcp_from){&w->tuple, &in->link, NULL}, &h);
		if (in->flags & RTE_TCP_FIN_FLAG && in->seq + in->len + 1 == w->rcv_nxt)
			w->due_us = t->now_us + TCP_TIME_WAIT_US;
	}
	rte_pktmbuf_free(in->m);
	return NULL;
}

void tcp_listen_wait_due(struct tcp *t, uint32_t idx)
{
	if (t->waits[idx].due_us <= t->now_us)
		wait_free(t, idx);
	else
		wheel_add(&t->wheel, wheel_wait(t, idx), ms_of(t->waits[idx].due_us));
}

void tcp_listen_remember(struct tcp *t, const struct tcb *c)
{
	uint32_t idx;

	if (t->wait_pool.n_free == 0) { /* then all are in use */
		wait_free(t, t->wait_hand);
		t->wait_hand = (t->wait_hand + 1) % t->p.n_time_waits;
	}
	idx = t->wait_pool.free[t->wait_pool.n_free - 1];
	t->waits[idx] = (struct tcp_wait){.tuple = c->tuple,
		.has_ts = c->flags & TCP_F_TS,
		.is_used = true,
		.snd_nxt = c->snd_nxt,
		.rcv_nxt = c->rcv_nxt,
		.ts_recent = c->ts_recent,
		.ts_offset = c->ts_offset,
		.due_us = t->now_us + TCP_TIME_WAIT_US};
	if (!tcp_flow_add(t->flow, TCP_FLOW_REF(TCP_KIND_WAIT, idx))) {
		t->waits[idx].is_used = false;
		return;
	}
	t->wait_pool.n_free--;
	t->stats.time_waits++;
	wheel_add(&t->wheel, wheel_wait(t, idx), ms_of(t->waits[idx].due_us));
}
