/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * newflow — once per new flow: schedule, take a connection entry and a SNAT port, prepare the forwarding
 * mode; and the same for an entry whose addresses and ports a new flow uses again. Context: worker.
 */
#define XXH_INLINE_ALL
#include "core/capture.h"
#include "lb/balance_pvt.h"

#include <rte_prefetch.h>

#include <xxhash.h>

#define TRIES_MAX 16u

/* The client's address, as much of it as the service says, and its port if that is hashed too. */
static uint64_t hash_source(
	const struct lb_conf *c, const struct lb_service *s, const struct pkt *p)
{
	struct {
		uint8_t ip[16];
		uint16_t port;
	} key = {{0}, 0};

	memcpy(key.ip, p->src, p->family == 6 ? 16 : 4);
	for (unsigned i = 0; i < 16; i++)
		key.ip[i] &= s->source_mask[i];
	if (s->hash == MR_HASH_SOURCE_PORT)
		key.port = p->sport;
	return XXH3_64bits_withSecret(&key, sizeof(key), c->flow_secret, LB_FLOW_SECRET_BYTES);
}

uint64_t newflow_hash(const struct call *x, const struct flows *f, unsigned k)
{
	const uint8_t *secret = x->conf->flow_secret;
	const struct pkt *p = &x->b->p[f->sel[k]];
	const struct lb_service *s = x->conf->services[p->service_idx];

	if (s->hash != MR_HASH_FLOW)
		return hash_source(x->conf, s, p);
	return f->is_v6
		? XXH3_64bits_withSecret(&f->k6[k], sizeof(f->k6[k]), secret, LB_FLOW_SECRET_BYTES)
		: XXH3_64bits_withSecret(&f->k4[k], sizeof(f->k4[k]), secret, LB_FLOW_SECRET_BYTES);
}

uint32_t newflow_stateless(const struct lb_conf *c, const struct pkt *client)
{
	const struct lb_service *s = c->services[client->service_idx];
	struct sched_ask ask = {0}; /* a consistent scheduler needs no more than the hash */
	struct conn_key4 k4;
	struct conn_key6 k6;

	if (s->hash != MR_HASH_FLOW) {
		ask.hash = hash_source(c, s, client);
	} else if (client->family == 4) {
		flow_key4(&k4, client);
		ask.hash = XXH3_64bits_withSecret(
			&k4, sizeof(k4), c->flow_secret, LB_FLOW_SECRET_BYTES);
	} else {
		flow_key6(&k6, client);
		ask.hash = XXH3_64bits_withSecret(
			&k6, sizeof(k6), c->flow_secret, LB_FLOW_SECRET_BYTES);
	}
	return s->sched->pick(s->table, &ask);
}

/* Whether one more connection leaves the backend within the bound: (percent / 100) × its share, by weight,
 * of the service's connections with this one. Of this worker's: what holds for each holds for all, but for
 * the rounding up. */
static bool is_within(const struct call *x, const struct lb_service *s, const struct lb_backend *be,
	uint64_t conns)
{
	const uint64_t total = x->lw->services[s->idx].conns + 1;

	return (conns + 1) * 100 * s->sum_weight
		< total * s->load_bound_pct * be->weight + 100 * s->sum_weight;
}

/* Whether the service's bound and the backend's limit leave room for one more connection. */
static bool has_room(const struct call *x, const struct lb_service *s, uint32_t backend_idx)
{
	const struct lb_backend *be = &x->conf->backends[backend_idx];
	const uint64_t conns = x->lw->backends[backend_idx].conns;

	return conns < be->max_conns && (s->load_bound_pct == 0 || is_within(x, s, be, conns));
}

/* Any backend with room: the one with the fewest connections by weight, which is within the load bound if
 * any is. Where none is, because of the limits, these alone count: the bound is for even shares, not to
 * refuse anybody. */
static uint32_t find_room(const struct call *x, const struct lb_service *s)
{
	uint64_t best_conns = 0, best_weight = 0;
	uint32_t best = SCHED_NONE;

	for (unsigned i = 0; i < s->n_backends; i++) {
		const struct lb_backend *be = &x->conf->backends[s->backend_idx[i]];
		const uint64_t conns = x->lw->backends[s->backend_idx[i]].conns;

		if (be->state != MR_BACKEND_UP || be->weight == 0 || conns >= be->max_conns)
			continue;
		if (best == SCHED_NONE || conns * best_weight < best_conns * be->weight) {
			best = s->backend_idx[i];
			best_conns = conns;
			best_weight = be->weight;
		}
	}
	return best;
}

/* Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018); a full backend sends the
 * flow on by another hash, not to a neighbour, so that its load is spread (Chen, Coleman, Shrivastava,
 * 2021). One below its bound is always there: all bounds together are more than all connections. Limits pass
 * flows on in the same way; all may be at their limits. Schedulers that do not hash go on to the next in turn
 * or draw again; the one that names its full backend again will not name another. */
static uint32_t choose_with_room(const struct call *x, const struct lb_service *s,
	struct sched_ask *ask, uint32_t backend_idx)
{
	const uint64_t hash = ask->hash;

	for (unsigned i = 1; i <= TRIES_MAX; i++) {
		const uint32_t full = backend_idx;

		if (has_room(x, s, backend_idx))
			return backend_idx;
		ask->hash = sched_mix(hash, i);
		backend_idx = s->sched->pick(s->table, ask);
		if (backend_idx == full && !s->sched->is_consistent)
			break;
	}
	return find_room(x, s);
}

/* The backend of a new flow; SCHED_NONE and why when there is none. */
static __rte_always_inline uint32_t choose(
	const struct call *x, const struct lb_service *s, uint64_t hash, enum pkt_drop *reason)
{
	struct sched_ask ask = {.hash = hash,
		.cursor = &x->lw->services[s->idx].cursor,
		.backends = x->lw->backends};
	const uint32_t backend_idx = s->sched->pick(s->table, &ask);

	*reason = PKT_DROP_no_backend;
	if (likely(s->load_bound_pct == 0 && !s->has_backend_limits) || backend_idx == SCHED_NONE)
		return backend_idx;
	*reason = PKT_DROP_backend_limit;
	return choose_with_room(x, s, &ask, backend_idx);
}

/* The backend that the packet's QUIC connection id names; SCHED_NONE: go by addresses and ports. Backends that
 * drain, or have weight 0 or their max_connections, are named as well: the connection is one they have.
 *
 * Nothing here is a secret: who forges ids reaches the backend he likes with packets of his own addresses and
 * ports, as who tries ports does. What he can change is the entry of the addresses and ports he sends from; an
 * entry of others only by sending in their name, which UDP without this has as well. */
static uint32_t backend_by_id(const struct call *x, const struct lb_service *s, unsigned i)
{
	const struct pkt *p = &x->b->p[i];
	const uint8_t *udp = rte_pktmbuf_mtod_offset(x->b->m[i], const uint8_t *, p->l4_off);
	struct quic_id id;
	uint32_t len;

	if (unlikely(p->flags
		    & PKT_F_FRAGMENT)) /* QUIC does not (RFC 9000 14): it is something else */
		return SCHED_NONE;
	len = (uint32_t)(udp[4] << 8 | udp[5]); /* checked by the parser */
	switch (quic_parse(quic_layout_of(s->quic), udp + 8, len - 8, &id)) {
	case QUIC_CLIENTS:
		return SCHED_NONE;
	case QUIC_ROUTABLE: {
		const uint32_t idx = quic_find(s->quic, &id);

		if (idx != QUIC_NONE && !x->conf->backends[idx].is_out) {
			x->w->tally->quic_by_id++;
			return idx;
		}
		break;
	}
	default:
		break;
	}
	x->w->tally->quic_unknown_id++;
	return SCHED_NONE;
}

/* The backend that packet i names itself; SCHED_NONE as a rule. */
static inline uint32_t named_backend(const struct call *x, const struct lb_service *s, unsigned i)
{
	return unlikely(s->quic != NULL) ? backend_by_id(x, s, i) : SCHED_NONE;
}

/* A free port of this SNAT address, one with which the backend's answers come to this worker if there is. */
static __rte_always_inline uint16_t port_of(const struct call *x, uint32_t idx, unsigned slot,
	uint8_t proto, const struct lb_backend *be)
{
	const struct natport_peer peer = {.family = be->family,
		.port = be->port,
		.ip = be->ip,
		.snat = x->conf->snats[slot].bytes};
	const uint32_t n = natport_misfits(x->lw->ports, slot, proto, &peer);

	if (idx == CONN_NONE)
		return natport_peek(x->lw->ports, slot, proto, n);
	natport_pass(x->lw->ports, slot, proto, n);
	return natport_get(x->lw->ports, slot, proto, idx);
}

/* A SNAT address and port: from the address the hash says, the next where that has no port left. 0 when all are
 * exhausted. The port is the entry's then; with CONN_NONE it is only looked at. */
static __rte_always_inline uint16_t find_port(const struct call *x, uint32_t idx,
	const struct pkt *p, uint32_t backend_idx, uint64_t hash, uint16_t *slot)
{
	const unsigned six = p->family == 6;
	const uint32_t n = x->conf->n_snat_choice[six];
	uint32_t at = (uint32_t)(((hash & UINT32_MAX) * n) >> 32);

	for (uint32_t tries = 0; tries < n; tries++) {
		const uint16_t port = port_of(x, idx, x->conf->snat_choice[six][at], p->proto,
			&x->conf->backends[backend_idx]);

		if (port != 0) {
			*slot = x->conf->snat_choice[six][at];
			return port;
		}
		at = at + 1 == n ? 0 : at + 1;
	}
	return 0;
}

/* Gives the entry a SNAT address and port. False when there is none; the entry is as before then. */
static bool take_port(struct call *x, uint32_t idx, struct conn *e, const struct pkt *p,
	uint32_t backend_idx, uint64_t hash)
{
	const uint16_t port = find_port(x, idx, p, backend_idx, hash, &e->snat_slot);

	if (port == 0)
		return false;
	e->snat_port = port;
	return true;
}

uint16_t newflow_peek_port(const struct call *x, const struct pkt *p, uint32_t backend_idx,
	uint64_t hash, uint16_t *slot)
{
	return find_port(x, CONN_NONE, p, backend_idx, hash, slot);
}

static inline void count(struct lb_worker *lw, const struct conn *e, uint64_t n)
{
	add(&lw->services[e->service_idx].conns, n);
	add(&lw->backends[e->backend_idx].conns, n);
}

static inline void attach(
	struct call *x, struct conn *e, uint32_t service_idx, uint32_t backend_idx)
{
	e->service_idx = service_idx;
	e->backend_idx = backend_idx;
	count(x->lw, e, 1);
	add(&x->lw->backends[backend_idx].conns_total, 1);
}

void newflow_detach(struct lb_worker *lw, const struct conn *e)
{
	count(lw, e, (uint64_t)-1);
}

static inline uint8_t first_state(const struct pkt *p, uint8_t *fins)
{
	if (p->proto != MR_PROTO_TCP)
		return MR_CONN_UDP;
	if (likely(connfsm_opens(p->tcp_flags))) /* opt: the table says so */
		return MR_CONN_SYN;
	return (uint8_t)connfsm_tcp(MR_CONN_NONE, CONNFSM_CLIENT, p->tcp_flags, fins);
}

/* First state, first deadline, and what the mode needs. The entry is attached and has its port. */
static __rte_always_inline void begin_flow(struct call *x, uint32_t idx, struct conn *e,
	const struct lb_service *s, const struct pkt *p, uint8_t fwd)
{
	e->mode = fwd;
	e->fins = 0;
	e->n_packets = 0;
	e->state = first_state(p, &e->fins);
	e->last_seen_ms = x->now_ms;
	e->began_ms = x->now_ms;
	conn_watch(x->lw->conns, idx, x->now_ms + s->timeouts.ms[e->state]);
	if (fwd_modes[e->mode]->open != NULL)
		fwd_modes[e->mode]->open(e, x->conf);
}

/* Whether a service that can do without entries is to have one. The last quarter of the table is for those that
 * cannot; and above its insert_rate a flood of first packets is not worth entries. */
static inline bool is_worth_entry(const struct call *x, const struct lb_service *s, bool is_v6)
{
	if (unlikely(conn_is_crowded(x->lw->conns, is_v6)))
		return false;
	return likely(s->insert_rate.gain == 0)
		|| rate_take(&x->lw->services[s->idx].inserts, &s->insert_rate, x->now_ms);
}

bool newflow_is_worth_entry(const struct call *x, const struct lb_service *s, bool is_v6)
{
	return is_worth_entry(x, s, is_v6);
}

/* No entry. A flood must not refuse service to anybody it need not. */
static uint32_t forward_stateless(
	struct call *x, unsigned i, const struct lb_service *s, uint32_t backend_idx)
{
	if (s->is_stateless_able) {
		forward(x, i, NULL, &x->conf->backends[backend_idx], s->spec.mode);
		x->w->tally->stateless++;
	} else {
		pkt_drop(&x->b->p[i], PKT_DROP_conn_table_full);
	}
	return CONN_NONE;
}

/* Whether the source is an own address, a VIP or a SNAT address: nobody else has those, so it is made up, and the
 * reply would be for us. The other addresses that nobody has are the parser's; these are asked once per flow, as
 * what has an entry has passed here. */
static inline bool is_from_us(const struct call *x, const struct pkt *p)
{
	return addr_is_ours(x->addrs, p->family, p->src);
}

/* Whether the source is a backend's address and the packet comes by a port that does not lead there: a client that
 * gives itself a backend's rights. A backend may be a client, by its own port. Asked once per flow, like the above. */
static inline bool is_as_backend(const struct call *x, const struct pkt *p)
{
	const uint32_t iface = vip_find_source_address(x->conf->sources, p);

	return iface != VIP_NONE && iface != p->in_iface;
}

static inline bool is_source(const struct call *x, const struct pkt *p, enum pkt_drop *reason)
{
	*reason = PKT_DROP_bad_ip_source;
	if (unlikely(is_from_us(x, p)))
		return false;
	*reason = PKT_DROP_backend_source;
	return likely(!is_as_backend(x, p));
}

bool newflow_is_source(const struct call *x, const struct pkt *p, enum pkt_drop *reason)
{
	return is_source(x, p, reason);
}

/* Whether the service lets in a packet without an entry. A segment that cannot begin a flow is refused, except where
 * a service is stateless-able: the hash leads it to the backend it had before this balancer was restarted, or
 * before a peer failed, so flows outlive their balancer. No limit counts these, but the lists hold: what has no
 * entry is known to nobody, and would be let in by its flags alone. */
static inline bool lets_in(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason)
{
	if (unlikely(p->flags & PKT_F_LATER)) {
		/* its first one has an entry, went by the hash, or was refused */
		*reason = PKT_DROP_no_conn;
		return s->is_stateless_able && !s->is_guarded;
	}
	if (p->proto != MR_PROTO_TCP || connfsm_opens(p->tcp_flags))
		return likely(!s->is_guarded) || guard_admits(x, s, p, reason);
	*reason = PKT_DROP_no_conn;
	return s->is_stateless_able && (likely(s->acl == NULL) || guard_allows(x, s, p, reason));
}

/* The packet itself counts last: what is refused takes nothing of the packets_per_second of the others. */
static inline bool admits(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason)
{
	if (!lets_in(x, s, p, reason))
		return false;
	*reason = PKT_DROP_service_packets;
	return takes_packet(x->lw, s, x->now_ms);
}

/* The backend of a packet without an entry; SCHED_NONE and why when there is none. */
static __rte_always_inline uint32_t decide(const struct call *x, const struct lb_service *s,
	const struct pkt *p, uint32_t named, uint64_t hash, enum pkt_drop *reason)
{
	if (!is_source(x, p, reason) || !admits(x, s, p, reason))
		return SCHED_NONE;
	return named != SCHED_NONE ? named : choose(x, s, hash, reason);
}

uint32_t newflow_decide(const struct call *x, const struct lb_service *s, const struct pkt *p,
	uint32_t named, uint64_t hash, enum pkt_drop *reason)
{
	return decide(x, s, p, named, hash, reason);
}

/* A packet without an entry. Returns the new entry or CONN_NONE. */
uint32_t newflow_open(struct call *x, const struct flows *f, unsigned k, uint64_t hash)
{
	const unsigned i = f->sel[k];
	struct pkt *p = &x->b->p[i];
	const struct lb_service *s = x->conf->services[p->service_idx];
	uint32_t backend_idx, idx, iss = 0, isn = 0;
	uint8_t fwd = s->fwd;
	enum pkt_drop reason;
	struct conn *e;

	if (unlikely(s->syn_rate.gain != 0)) {
		if (synflood_defers(x, i, s))
			return CONN_NONE;
		if (synflood_returns(x, i, &iss, &isn))
			fwd = fwd_of_cookie(&s->spec);
	}
	backend_idx = decide(x, s, p, named_backend(x, s, i), hash, &reason);
	if (backend_idx == SCHED_NONE) {
		pkt_drop(p, reason);
		return CONN_NONE;
	}
	rte_prefetch0(&x->conf->backends[backend_idx]);
	if (s->is_stateless_able && ((p->flags & PKT_F_LATER) || !is_worth_entry(x, s, f->is_v6)))
		return forward_stateless(x, i, s, backend_idx);
	idx = f->is_v6 ? conn_add6(x->lw->conns, &f->k6[k], x->now_ms)
		       : conn_add4(x->lw->conns, &f->k4[k], x->now_ms);
	if (idx == CONN_NONE)
		return forward_stateless(x, i, s, backend_idx);
	e = conn_at(x->lw->conns, idx);
	if (fwd_is_fullnat(fwd) && !take_port(x, idx, e, p, backend_idx, hash)) {
		conn_del(x->lw->conns, idx);
		pkt_drop(p, PKT_DROP_snat_exhausted);
		return CONN_NONE;
	}
	attach(x, e, s->idx, backend_idx);
	begin_flow(x, idx, e, s, p, fwd);
	if (unlikely(fwd != s->fwd)) {
		e->iss = iss;
		e->isn = isn;
		x->w->tally->syn_cookies_accepted++;
	}
	x->w->tally->conn_created++;
	if (unlikely(x->w->capture != NULL))
		capture_trace_flow(x->w->capture, i, MR_TRACE_FLOW_NEW);
	forward(x, i, e, &x->conf->backends[backend_idx], e->mode);
	return idx;
}

void newflow_put_port(struct lb_worker *lw, const struct conn *e)
{
	if (e->snat_port != 0)
		natport_put(lw->ports, e->snat_slot, e->proto, e->snat_port);
}

bool newflow_keeps_port(const struct call *x, const struct conn *e)
{
	return e->snat_port != 0 && x->conf->snat_active[e->snat_slot];
}

/* The port of a flow that begins again: a fresh one, so that the backend does not take the new flow for the
 * old; when there is none left, its old one if its address is still in the model. */
static bool renew_port(struct call *x, uint32_t idx, struct conn *e, const struct pkt *p,
	uint32_t backend_idx, uint64_t hash)
{
	const struct lb_service *s = x->conf->services[p->service_idx];
	const struct conn old = *e;

	if (s->spec.mode != MR_MODE_FULLNAT) {
		newflow_put_port(x->lw, e);
		e->snat_port = 0;
		return true;
	}
	if (take_port(x, idx, e, p, backend_idx, hash)) {
		newflow_put_port(x->lw, &old);
		return true;
	}
	return newflow_keeps_port(x, &old);
}

/* Before an entry changes hands: packets of its old flow that wait in a batch go out as they are. */
static void flush_flow(struct call *x, const struct conn *e)
{
	const struct fwd_batch *batch = &x->batch[e->mode];

	for (unsigned k = 0; k < batch->n; k++) {
		if (batch->conn[k] == e) {
			balance_run_batches(x, CONNFSM_CLIENT);
			return;
		}
	}
}

/* A client that uses its ports again is limited like one that takes others; a flow that only looks for another
 * backend is none that the service has not admitted. */
static bool admits_again(const struct call *x, const struct lb_service *s, const struct pkt *p,
	const struct conn *e, enum pkt_drop *reason)
{
	return likely(!s->is_guarded) || p->proto != MR_PROTO_TCP
		|| !connfsm_reusable((enum mr_conn_state)e->state) || guard_admits(x, s, p, reason);
}

/* The backend of a packet that begins a new flow on this entry; SCHED_NONE and why when there is none. The source is asked
 * for again: the address may have become one of ours, or a backend's, since the entry was made. The old flow is not
 * counted meanwhile: it makes room for the new one. */
uint32_t newflow_decide_again(const struct call *x, const struct conn *e, const struct pkt *p,
	uint32_t named, uint64_t hash, enum pkt_drop *reason)
{
	const struct lb_service *s = x->conf->services[p->service_idx];
	uint32_t backend_idx = SCHED_NONE;

	count(x->lw, e, (uint64_t)-1);
	if (is_source(x, p, reason) && admits_again(x, s, p, e, reason))
		backend_idx = named != SCHED_NONE ? named : choose(x, s, hash, reason);
	count(x->lw, e, 1);
	return backend_idx;
}

/* The entry's next flow, at this backend. False when there is no port for it. */
static bool begin_again(
	struct call *x, const struct flows *f, unsigned k, uint32_t backend_idx, uint64_t hash)
{
	const uint32_t idx = f->idx[k];
	const struct pkt *p = &x->b->p[f->sel[k]];
	const struct lb_service *s = x->conf->services[p->service_idx];
	struct conn *e = conn_at(x->lw->conns, idx);

	flush_flow(x, e);
	if (!renew_port(x, idx, e, p, backend_idx, hash))
		return false;
	count(x->lw, e, (uint64_t)-1);
	attach(x, e, s->idx, backend_idx);
	begin_flow(x, idx, e, s, p, s->fwd);
	x->w->tally->conn_reused++;
	if (unlikely(x->w->capture != NULL))
		capture_trace_flow(x->w->capture, f->sel[k], MR_TRACE_FLOW_AGAIN);
	return true;
}

/* The packet begins a new flow on an entry of the same addresses and ports. False when that cannot be: the
 * entry is as before then, and *reason says why. */
bool newflow_reopen(struct call *x, const struct flows *f, unsigned k, enum pkt_drop *reason)
{
	const struct pkt *p = &x->b->p[f->sel[k]];
	const struct lb_service *s = x->conf->services[p->service_idx];
	const uint64_t hash = newflow_hash(x, f, k);
	const uint32_t backend_idx = newflow_decide_again(x, conn_at(x->lw->conns, f->idx[k]), p,
		named_backend(x, s, f->sel[k]), hash, reason);

	if (backend_idx == SCHED_NONE)
		return false;
	*reason = PKT_DROP_snat_exhausted;
	return begin_again(x, f, k, backend_idx, hash);
}

/* Neither limits nor the source are asked: to the client this is a flow that goes on.
 *
 * Two connections of one client's port, at two backends, take the entry from each other: each packet arrives, but
 * with NAT an answer of the backend that does not have the entry finds no flow. Clients use a port for each
 * connection that lasts. */
void newflow_follow_id(struct call *x, const struct flows *f, unsigned k)
{
	const unsigned i = f->sel[k];
	const struct lb_service *s = x->conf->services[x->b->p[i].service_idx];
	const struct conn *e = conn_at(x->lw->conns, f->idx[k]);
	uint32_t named;

	if (s->quic == NULL)
		return;
	named = backend_by_id(x, s, i);
	if (named == SCHED_NONE || likely(named == e->backend_idx))
		return;
	begin_again(x, f, k, named, newflow_hash(x, f, k));
}
