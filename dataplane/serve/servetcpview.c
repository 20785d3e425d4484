/* SPDX-License-Identifier: BSD-3-Clause */
/* servetcpview — what servetcp.h has for people: connections one by one, figures, and what would become of a packet. */
#include "lb/guard.h"
#include "serve/servetcp_pvt.h"

static void tell(const struct servetcp *st, const struct conn *k, struct servetcp_info *info)
{
	*info = (struct servetcp_info){.service_idx = k->service_idx,
		.age_ms = st->w->now_ms - k->begun_ms,
		.n_requests = k->n_requests,
		.n_partial = k->stream.n};
	tcp_info(k->c, &info->tcp, st->w->now_us);
}

/* As admit(), without taking. */
static bool would_admit(const struct lb_service *s, const struct pkt *p,
	const struct servetcp_trial *t, uint8_t *drop)
{
	if (s->acl != NULL && !acl_allows(s->acl, p->src))
		*drop = PKT_DROP_acl;
	else if (t->conns >= t->max_conns)
		*drop = PKT_DROP_service_limit;
	else if (t->source_left == 0)
		*drop = PKT_DROP_source_rate;
	else if (t->flows_left == 0)
		*drop = PKT_DROP_service_rate;
	else
		return true;
	return false;
}

void servetcp_try(
	struct worker *w, const struct lb_conf *lb, const struct pkt *p, struct servetcp_trial *t)
{
	const struct servetcp *st = w->serve->tcp;
	const struct lb_service *s = lb->services[p->service_idx];
	const struct tcb *c = tcp_find(st->tcp, p);
	const struct conn *k = c != NULL ? tcp_app(c) : NULL;

	memset(t, 0, sizeof(*t));
	t->conns = st->tallies[s->idx].conns;
	t->max_conns = s->max_conns;
	t->flows_left = t->source_left = UINT32_MAX;
	if (s->flow_rate.gain != 0)
		t->flows_left = rate_left(&st->listeners[s->idx].flows, &s->flow_rate, w->now_ms);
	if (s->source_rate.gain != 0)
		t->source_left = rate_source_left(
			w->serve->sources, guard_source(s, p), &s->source_rate, w->now_ms);
	if (k != NULL) {
		t->is_known = true;
		tell(st, k, &t->info);
	}
	t->is_refused = servetcp_is_syn(p) && !would_admit(s, p, t, &t->drop);
}

void servetcp_walk(struct worker *w, struct servetcp_walk *walk, unsigned n)
{
	struct servetcp *st = w->serve->tcp;
	bool is_flush = false;

	for (; n > 0 && st != NULL && walk->cursor < st->n_conns; n--, walk->cursor++) {
		struct conn *k = &st->conns[walk->cursor];
		struct servetcp_info info;
		bool is_killed = false;

		if (k->c == NULL)
			continue;
		tell(st, k, &info);
		if (!walk->each(walk->ctx, &info, &is_killed))
			break;
		if (is_killed)
			tcp_abort(k->c);
		is_flush |= is_killed;
	}
	if (is_flush) {
		tcp_flush(st->tcp, w->now_us);
		servetcp_send(st);
	}
	if (st == NULL || walk->cursor == st->n_conns)
		walk->cursor = UINT32_MAX;
}

bool servetcp_is_there(const struct worker *w)
{
	return w->serve->tcp != NULL;
}

const struct tcp_stats *servetcp_tcp_stats(const struct worker *w)
{
	return tcp_stats(w->serve->tcp->tcp);
}

const struct servetcp_stats *servetcp_stats(const struct worker *w)
{
	return &w->serve->tcp->stats;
}

void servetcp_usage(const struct worker *w, struct tcp_usage *u)
{
	tcp_usage(w->serve->tcp->tcp, u);
}

void servetcp_limits(const struct worker *w, struct tcp_usage *max)
{
	tcp_limits(w->serve->tcp->tcp, max);
}

void servetcp_refs(const struct worker *w, uint32_t *used, uint32_t *max)
{
	const struct servetcp *st = w->serve->tcp;

	*used = serveref_used(st->refs);
	*max = serveref_max(st->refs);
}
