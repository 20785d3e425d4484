/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trial — see trial.h. The order is that of on_client_packet() and newflow_open(), and each answer comes from the
 * function that these ask. Forwarding itself needs bytes (time to live, MTU) and is not tried; nor is a SYN cookie, which
 * a segment may bring: what would become of it then is asked as if it had.
 *
 *  I1  what a decision changes is the service's cursor, buckets and acl_drops and the line of its source: these are
 *      saved before and restored after; nobody but the manager, which counts, looks at them meanwhile
 */
#include "lb/trial.h"

#include "lb/balance_pvt.h"
#include "lb/guard.h"

#include <rte_tcp.h>

/* I1. */
struct saved {
	struct service_tally service;
	struct rate_saved source;
};

static void save(const struct call *x, const struct lb_service *s, struct saved *saved)
{
	saved->service = x->lw->services[s->idx];
	rate_save(x->lw->sources, guard_source(s, &x->b->p[0]), &saved->source);
}

static void restore(struct call *x, const struct lb_service *s, const struct saved *saved)
{
	struct service_tally *tally = &x->lw->services[s->idx];

	add(&tally->acl_drops, saved->service.acl_drops - tally->acl_drops);
	tally->cursor = saved->service.cursor;
	tally->flows = saved->service.flows;
	tally->inserts = saved->service.inserts;
	tally->syns = saved->service.syns;
	tally->packets = saved->service.packets;
	rate_restore(x->lw->sources, guard_source(s, &x->b->p[0]), &saved->source);
}

static void look_at_limits(const struct call *x, const struct lb_service *s, struct trial *t)
{
	const struct service_tally *tally = &x->lw->services[s->idx];

	t->service_conns = tally->conns;
	t->service_conns_max = s->max_conns;
	t->flows_left = t->source_left = t->syns_left = t->packets_left = TRIAL_NO_LIMIT;
	if (s->packet_rate.gain != 0)
		t->packets_left = rate_left(&tally->packets, &s->packet_rate, x->now_ms);
	if (s->flow_rate.gain != 0)
		t->flows_left = rate_left(&tally->flows, &s->flow_rate, x->now_ms);
	if (s->source_rate.gain != 0)
		t->source_left = rate_source_left(
			x->lw->sources, guard_source(s, &x->b->p[0]), &s->source_rate, x->now_ms);
	if (s->syn_rate.gain != 0)
		t->syns_left = rate_left(&tally->syns, &s->syn_rate, x->now_ms);
}

/* The scheduler's own answer, before limits of backends have theirs. */
static uint32_t ask_scheduler(const struct call *x, const struct lb_service *s, uint64_t hash)
{
	const struct sched_ask ask = {.hash = hash,
		.cursor = &x->lw->services[s->idx].cursor,
		.backends = x->lw->backends};

	return s->sched->pick(s->table, &ask);
}

static void drop(struct trial *t, enum pkt_drop reason)
{
	t->verdict = PKT_DROP;
	t->drop = (uint8_t)reason;
	t->backend_idx = SCHED_NONE;
}

static void choose_port(const struct call *x, struct trial *t)
{
	const struct pkt *p = &x->b->p[0];
	uint16_t slot = 0;

	t->snat_port = newflow_peek_port(x, p, t->backend_idx, t->hash, &slot);
	if (t->snat_port != 0) {
		t->snat = x->conf->snats[slot];
		return;
	}
	if (t->has_entry && newflow_keeps_port(x, &t->entry)) {
		t->snat_port = t->entry.snat_port;
		t->snat = x->conf->snats[t->entry.snat_slot];
		return;
	}
	drop(t, PKT_DROP_snat_exhausted);
}

/* Whether a segment that is no part of a flow would begin one by the cookie that it may bring. synflood_returns() takes
 * those of ours for SYNs. */
static bool may_be_cookie(struct call *x, const struct lb_service *s, uint64_t hash)
{
	struct pkt as = x->b->p[0];
	enum pkt_drop reason;

	if (s->syn_rate.gain == 0 || connfsm_opens(as.tcp_flags))
		return false;
	as.tcp_flags = RTE_TCP_SYN_FLAG;
	return newflow_decide(x, s, &as, SCHED_NONE, hash, &reason) != SCHED_NONE;
}

/* newflow_open() */
static void try_open(struct call *x, const struct lb_service *s, bool is_v6, struct trial *t)
{
	enum pkt_drop reason;

	t->mode = s->spec.mode;
	if (s->syn_rate.gain != 0 && synflood_is_above(x, &x->b->p[0], s)) {
		t->verdict = PKT_REPLY;
		t->is_cookie = true;
		t->backend_idx = SCHED_NONE;
		return;
	}
	t->is_new = true;
	t->backend_idx = newflow_decide(x, s, &x->b->p[0], SCHED_NONE, t->hash, &reason);
	if (t->backend_idx == SCHED_NONE) {
		drop(t, reason);
		t->may_be_cookie = reason == PKT_DROP_no_conn && may_be_cookie(x, s, t->hash);
		return;
	}
	t->is_stateless = (s->is_stateless_able && !newflow_is_worth_entry(x, s, is_v6))
		|| conn_is_full(x->lw->conns, is_v6);
	if (t->is_stateless && !s->is_stateless_able)
		drop(t, PKT_DROP_conn_table_full);
	else if (!t->is_stateless && s->spec.mode == MR_MODE_FULLNAT)
		choose_port(x, t);
}

/* The flow goes on as its entry says. */
static void go_on(const struct call *x, struct trial *t)
{
	t->mode = (uint8_t)fwd_mode_of(t->entry.mode);
	t->backend_idx = t->entry.backend_idx;
	t->snat_port = t->entry.snat_port;
	if (t->snat_port != 0)
		t->snat = x->conf->snats[t->entry.snat_slot];
}

/* newflow_reopen(); may_stay: the flow goes on where it is when nobody else takes it. */
static void try_again(struct call *x, const struct lb_service *s, const struct conn *e,
	bool may_stay, struct trial *t)
{
	enum pkt_drop reason;

	t->is_new = true;
	t->mode = s->spec.mode;
	t->backend_idx = newflow_decide_again(x, e, &x->b->p[0], SCHED_NONE, t->hash, &reason);
	if (t->backend_idx == SCHED_NONE)
		drop(t, reason);
	else if (s->spec.mode == MR_MODE_FULLNAT)
		choose_port(x, t);
	if (t->verdict == PKT_DROP && may_stay) {
		t->is_new = false;
		t->verdict = PKT_TX;
		go_on(x, t);
	}
}

/* guard_police(), on_client_packet(), leave_backend() */
static void try_entry(
	struct call *x, const struct lb_service *s, const struct conn *e, struct trial *t)
{
	const struct lb_backend *be = &x->conf->backends[e->backend_idx];
	const struct pkt *p = &x->b->p[0];
	const bool is_tcp = p->proto == MR_PROTO_TCP;

	if (!takes_packet(x->lw, s, x->now_ms)) {
		drop(t, PKT_DROP_service_packets);
	} else if (balance_is_new_chance(e, be, p)) {
		try_again(x, s, e, !is_tcp, t);
	} else if (is_tcp && be->on_packet == MR_DOWN_RESET) {
		t->verdict = PKT_REPLY;
		t->backend_idx = SCHED_NONE;
	} else if (is_tcp && be->on_packet != MR_DOWN_KEEP
		&& !connfsm_reusable((enum mr_conn_state)e->state)) {
		try_again(x, s, e, true, t);
	} else {
		go_on(x, t);
	}
}

static void look_at_entry(const struct call *x, const struct conn *e, struct trial *t)
{
	const struct lb_service *s = x->conf->services[e->service_idx];
	const uint32_t timeout_ms = s != NULL ? s->timeouts.ms[e->state] : 0;

	t->has_entry = true;
	t->entry = *e;
	t->entry.began_ms = x->now_ms - e->began_ms;
	t->entry.last_seen_ms = x->now_ms - e->last_seen_ms;
	if (t->entry.last_seen_ms < timeout_ms)
		t->expires_ms = timeout_ms - t->entry.last_seen_ms;
}

/* fwd_output(): a neighbour that does not answer is the manager's to drop for. */
static void look_at_next_hop(const struct call *x, struct trial *t)
{
	const struct lb_backend *be = &x->conf->backends[t->backend_idx];
	uint8_t iface;

	t->backend = *be;
	t->backend_conns = x->lw->backends[t->backend_idx].conns;
	t->out_iface = be->iface;
	addr_route(x->addrs, be->family, be->ip, &iface, t->next_hop);
	t->neigh_state = (uint8_t)neigh_look(x->w->neigh, be->neigh_ref, &t->mac);
	if (t->neigh_state == MR_NEIGH_REACHABLE || t->neigh_state == MR_NEIGH_STALE)
		t->verdict = PKT_TX;
	else if (t->neigh_state == MR_NEIGH_FAILED)
		drop(t, PKT_DROP_neigh_failed);
	else
		t->verdict = PKT_HOLD;
}

static void look_at_answer(const struct call *x, struct trial *t)
{
	const struct pkt *p = &x->b->p[0];
	struct neigh_key key = {.family = p->family};
	const struct neigh_key *keys[1] = {&key};
	struct rte_ether_addr mac;
	uint32_t ref;

	t->has_answer = true;
	t->has_answer_route =
		addr_route(x->addrs, p->family, p->src, &t->answer_iface, t->answer_hop);
	if (!t->has_answer_route)
		return;
	key.iface = t->answer_iface;
	memcpy(key.ip, t->answer_hop, sizeof(key.ip));
	neigh_find_bulk(x->w->neigh, keys, 1, &ref);
	t->answer_state = (uint8_t)neigh_look(x->w->neigh, ref, &mac);
}

void trial_run(struct worker *w, struct burst *b, struct trial *t)
{
	struct call x = {
		.w = w, .conf = lb_conf_of(w->snap), .addrs = addr_conf_of(w->snap), .b = b};
	const struct lb_service *s = x.conf->services[b->p[0].service_idx];
	struct saved saved;
	struct flows f;

	memset(t, 0, sizeof(*t));
	balance_find(&x, &f);
	t->verdict = PKT_TX;
	t->service_idx = s->idx;
	t->hash = newflow_hash(&x, &f, 0);
	look_at_limits(&x, s, t);
	save(&x, s, &saved);
	t->first_idx = ask_scheduler(&x, s, t->hash);
	restore(&x, s, &saved);
	if (f.idx[0] != CONN_NONE) {
		look_at_entry(&x, conn_at(x.lw->conns, f.idx[0]), t);
		try_entry(&x, s, conn_at(x.lw->conns, f.idx[0]), t);
	} else {
		try_open(&x, s, f.is_v6, t);
	}
	restore(&x, s, &saved);
	if (t->backend_idx == SCHED_NONE)
		return;
	look_at_next_hop(&x, t);
	if (!mr_mode_is_direct(t->mode))
		look_at_answer(&x, t);
}
