/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * balance — see balance.h. A burst goes through in passes, so that cache misses of its packets overlap:
 * keys → one bulk lookup per family → hits: connection state → misses: schedule and insert → forward,
 * all packets of one mode together → counters. Nothing here is per packet and indirect.
 *
 *  I1  an entry's backend_idx, service_idx and (full NAT) SNAT port are valid from the moment the entry
 *      can be found until conn_del()
 *  I2  tallies: conns of a backend or service slot = entries that name it
 *  I3  an entry is deleted only between bursts (lb_expire(), lb_kill()) or in the call that added it, so an
 *      index found at the beginning of a burst is good until its end: a flow that begins again keeps its entry
 *  I4  a packet that does not become PKT_TX, PKT_REPLY or PKT_HOLD is PKT_DROP with one reason
 *
 * What happens to flows of a backend that is not UP: DRAIN: they go on. DOWN, EVICT and absent ("out"): a SYN, and
 * every datagram of UDP, is the chance to choose again and is scheduled anew; what becomes of other TCP segments
 * is the service's policy (enum mr_down). keep: they go on, as the checks may be wrong, and a removed backend
 * finishes what it has begun. What backends send is passed on in any case.
 */
#include "core/capture.h"
#include "lb/balance_pvt.h"
#include "lb/maglev.h"
#include "net/tcprst.h"

#include <rte_prefetch.h>
#include <rte_tcp.h>

#define EXPIRE_MAX 256u /* entries looked at per tick: a quarter million a second, 50 us at most */
#define RETRANSMIT_MS \
	500u           /* a SYN that comes again sooner is no client that waits (RFC 6298: 1 s) */
#define TCP_TURNS 0x07 /* FIN, SYN, RST: segments that may change an established flow */

/* What a flow in state SYN says of its backend, where the backend's answers pass here. A client cannot make a backend
 * look bad that answers it: SYNs that come again count only while there is no answer. */
static void judge_backend(struct call *x, const struct conn *e, enum connfsm_dir dir,
	enum mr_conn_state next, uint8_t tcp_flags)
{
	struct lb_backend_tally *t = &x->lw->backends[e->backend_idx];

	if (dir == CONNFSM_BACKEND) {
		if (next == MR_CONN_SYN_ACK)
			add(&t->opened, 1);
		else if (next == MR_CONN_CLOSED)
			add(&t->failed, 1);
	} else if (connfsm_opens(tcp_flags) && fwd_modes[e->mode]->ret != NULL
		&& x->now_ms - e->last_seen_ms >= RETRANSMIT_MS) {
		add(&t->failed, 1);
	}
}

/* The state that a segment of dir leads to; the wheel looks earlier when its timeout is shorter. */
static inline void follow_tcp(struct call *x, uint32_t idx, struct conn *e,
	const struct lb_service *s, enum connfsm_dir dir, uint8_t tcp_flags)
{
	enum mr_conn_state next;

	/* opt: the table leaves an established flow where it is for all but FIN, SYN and RST */
	if (likely(e->state == MR_CONN_ESTABLISHED && !(tcp_flags & TCP_TURNS)))
		return;
	if (unlikely(tcp_flags == 0)) /* a later fragment, or a segment that no TCP takes */
		return;
	next = connfsm_tcp((enum mr_conn_state)e->state, dir, tcp_flags, &e->fins);
	if (e->state == MR_CONN_SYN)
		judge_backend(x, e, dir, next, tcp_flags);
	if (next == e->state)
		return;
	if (s->timeouts.ms[next] < s->timeouts.ms[e->state])
		conn_watch(x->lw->conns, idx, x->now_ms + s->timeouts.ms[next]);
	e->state = (uint8_t)next;
}

/* Adds the batch's packets, but those the mode had to drop, to their backends. */
static __rte_always_inline void count_batch(
	struct call *x, const struct fwd_batch *batch, enum connfsm_dir dir)
{
	/* opt: what the counters below cannot change, which the compiler does not know */
	struct lb_backend_tally *const tallies = x->lw->backends;
	const struct lb_backend *const backends = x->conf->backends;
	const struct burst *const b = x->b;
	const unsigned n = batch->n;
	unsigned n_other = 0;

	for (unsigned k = 0; k < n; k++) {
		const unsigned i = batch->sel[k];
		struct lb_backend_tally *t = &tallies[batch->backend[k] - backends];
		const uint32_t n_bytes = rte_pktmbuf_pkt_len(b->m[i]);

		if (unlikely(b->p[i].verdict != PKT_TX && b->p[i].verdict != PKT_HOLD)) {
			n_other++;
			continue;
		}
		if (likely(batch->conn[k] != NULL))
			batch->conn[k]->n_packets++;
		if (dir == CONNFSM_CLIENT) {
			add(&t->rx_packets, 1);
			add(&t->rx_bytes, n_bytes);
		} else {
			add(&t->tx_packets, 1);
			add(&t->tx_bytes, n_bytes);
		}
	}
	x->n_sent += n - n_other;
}

static void trace_batch(const struct call *x, const struct fwd_batch *batch, unsigned mode)
{
	for (unsigned k = 0; k < batch->n; k++)
		capture_trace_backend(x->w->capture, batch->sel[k],
			(uint32_t)(batch->backend[k] - x->conf->backends),
			fwd_mode_of((uint8_t)mode), batch->conn[k] != NULL);
}

/* Sends what has been collected. */
void balance_run_batches(struct call *x, enum connfsm_dir dir)
{
	const struct fwd_env env = {.w = x->w, .conf = x->conf, .addrs = x->addrs, .b = x->b};

	for (unsigned mode = 0; mode < FWD_N; mode++) {
		if (x->batch[mode].n == 0)
			continue;
		if (unlikely(x->w->capture != NULL))
			trace_batch(x, &x->batch[mode], mode);
		if (dir == CONNFSM_CLIENT) {
			fwd_modes[mode]->send(&env, &x->batch[mode]);
			count_batch(x, &x->batch[mode], CONNFSM_CLIENT);
		} else {
			fwd_modes[mode]->ret(&env, &x->batch[mode]);
			count_batch(x, &x->batch[mode], CONNFSM_BACKEND);
		}
		x->batch[mode].n = 0;
	}
}

/* --- packets of known flows --- */

/* The service of the entry's VIP has another slot now (renamed): the flow goes over to it. */
static void move_to_service(struct call *x, struct conn *e, uint32_t service_idx)
{
	add(&x->lw->services[e->service_idx].conns, (uint64_t)-1);
	add(&x->lw->services[service_idx].conns, 1);
	e->service_idx = service_idx;
}

/* Whether the packet of a known flow is the chance to schedule it again. */
static inline bool is_new_chance(
	const struct conn *e, const struct lb_backend *be, const struct pkt *p)
{
	if (p->proto != MR_PROTO_TCP)
		return be->is_out && !(p->flags & PKT_F_LATER);
	return connfsm_opens(p->tcp_flags)
		&& (be->is_out || connfsm_reusable((enum mr_conn_state)e->state));
}

/* A segment in the midst of a flow whose backend is out, by the service's policy. True: the packet is done; else
 * *be is where it goes. A flow that has ended is left to end. */
static bool leave_backend(struct call *x, const struct flows *f, unsigned k, struct conn *e,
	const struct lb_backend **be)
{
	struct pkt *p = &x->b->p[f->sel[k]];
	const struct lb_service *s = x->conf->services[e->service_idx];
	enum pkt_drop reason;

	if (unlikely(p->flags & PKT_F_LATER)) { /* it goes where its first one went, if that did */
		if ((*be)->on_packet == MR_DOWN_RESET)
			pkt_drop(p, PKT_DROP_no_conn);
		return (*be)->on_packet == MR_DOWN_RESET;
	}
	if (p->tcp_flags & RTE_TCP_RST_FLAG)
		return false;
	if ((*be)->on_packet == MR_DOWN_RESET) {
		/* the entry stays a while: the reset may get lost, and the client ask again */
		follow_tcp(x, f->idx[k], e, s, CONNFSM_CLIENT, RTE_TCP_RST_FLAG);
		tcprst_reply(x->w, x->b, f->sel[k]);
		return true;
	}
	if (connfsm_reusable((enum mr_conn_state)e->state) || !newflow_reopen(x, f, k, &reason))
		return false;
	x->w->tally->conn_moved++;
	*be = &x->conf->backends[e->backend_idx];
	return false;
}

static void on_other_packet(struct call *x, const struct flows *f, unsigned k)
{
	const unsigned i = f->sel[k];
	const uint32_t idx = f->idx[k];
	struct pkt *p = &x->b->p[i];
	struct conn *e = conn_at(x->lw->conns, idx);
	const struct lb_backend *be = &x->conf->backends[e->backend_idx];

	if (unlikely(e->service_idx != p->service_idx))
		move_to_service(x, e, p->service_idx);
	if (unlikely(is_new_chance(e, be, p))) {
		enum pkt_drop reason;

		if (newflow_reopen(x, f, k, &reason)) {
			be = &x->conf->backends[e->backend_idx];
		} else if (p->proto == MR_PROTO_TCP) {
			pkt_drop(p, reason);
			return;
		}
	} else if (p->proto == MR_PROTO_TCP) {
		if (unlikely(be->on_packet != MR_DOWN_KEEP) && leave_backend(x, f, k, e, &be))
			return;
		follow_tcp(
			x, idx, e, x->conf->services[e->service_idx], CONNFSM_CLIENT, p->tcp_flags);
	} else if (unlikely(be->is_quic)) {
		newflow_follow_id(x, f, k);
		be = &x->conf->backends[e->backend_idx];
	}
	e->last_seen_ms = x->now_ms;
	forward(x, i, e, be, e->mode);
}

/* opt: nothing but one more segment of an established flow, or datagram, to a backend that is there: on_other_packet()
 * would leave the flow as it is, too. */
static inline bool goes_on(const struct conn *e, const struct lb_backend *be, const struct pkt *p)
{
	if (e->service_idx != p->service_idx || be->on_packet != MR_DOWN_KEEP)
		return false;
	return p->proto == MR_PROTO_TCP
		? e->state == MR_CONN_ESTABLISHED && !(p->tcp_flags & TCP_TURNS)
		: !be->is_out && !be->is_quic;
}

/* Packet k, *p, of the flow that has the entry *e. */
static inline void on_client_packet(struct call *x, const struct flows *f, unsigned k,
	struct conn *e, const struct lb_backend *be, const struct pkt *p)
{
	if (unlikely(!goes_on(e, be, p))) {
		on_other_packet(x, f, k);
		return;
	}
	e->last_seen_ms = x->now_ms;
	forward(x, f->sel[k], e, be, e->mode);
}

static bool same_key(const struct flows *f, unsigned a, unsigned b)
{
	return f->is_v6 ? memcmp(&f->k6[a], &f->k6[b], sizeof(f->k6[a])) == 0
			: memcmp(&f->k4[a], &f->k4[b], sizeof(f->k4[a])) == 0;
}

/* Packet k is of a flow that an earlier one of this burst has begun. */
static void follow_first(struct call *x, struct flows *f, unsigned k, uint32_t idx)
{
	struct pkt *p = &x->b->p[f->sel[k]];

	if (unlikely(!takes_packet(x->lw, x->conf->services[p->service_idx], x->now_ms))) {
		pkt_drop(p, PKT_DROP_service_packets);
		return;
	}
	f->idx[k] = idx;
	x->n_hits++;
	on_other_packet(x, f, k);
}

/* Fills in the hashes of misses. What newflow_open() reads of their services and tables comes into the cache meanwhile,
 * in passes, each of which finds what the one before asked for: tables are as many as services, and large. */
static void look_ahead(const struct call *x, const struct flows *f, const uint8_t *miss, unsigned n,
	uint64_t *hash)
{
	const struct lb_service *s[BURST_MAX];
	uint32_t last = UINT32_MAX;

	for (unsigned m = 0; m < n; m++) {
		const uint32_t idx = x->b->p[f->sel[miss[m]]].service_idx;

		s[m] = x->conf->services[idx];
		if (likely(idx == last))
			continue;
		last = idx;
		rte_prefetch0(s[m]);
		rte_prefetch0(&s[m]->timeouts);
		rte_prefetch0(&s[m]->syn_rate);
		rte_prefetch0(&x->lw->services[idx]);
	}
	for (unsigned m = 0; m < n; m++) {
		hash[m] = newflow_hash(x, f, miss[m]);
		if (unlikely(m == 0 || s[m] != s[m - 1]))
			rte_prefetch0(s[m]->table);
	}
	for (unsigned m = 0; m < n; m++) {
		if (likely(s[m]->sched == &maglev_ops)) /* the others' tables are small */
			maglev_prefetch(s[m]->table, hash[m]);
	}
}

/* Packets that the lookup did not find. seen[] is a little hash table of them, so that a second packet of a
 * flow finds the entry its first one has just made, without another lookup in a table that may be far away. */
static void on_misses(struct call *x, struct flows *f, const uint8_t *miss, unsigned n)
{
	uint8_t seen[2 * BURST_MAX];
	uint64_t hash[BURST_MAX];

	look_ahead(x, f, miss, n, hash);
	memset(seen, 0xff, sizeof(seen));
	for (unsigned m = 0; m < n; m++) {
		const unsigned k = miss[m];
		/* the port, as flows of one client may have one hash */
		unsigned at = ((unsigned)hash[m] ^ x->b->p[f->sel[k]].sport) & (2 * BURST_MAX - 1);

		while (seen[at] != 0xff && !same_key(f, seen[at], k))
			at = (at + 1) & (2 * BURST_MAX - 1);
		if (seen[at] != 0xff && f->idx[seen[at]] != CONN_NONE) {
			follow_first(x, f, k, f->idx[seen[at]]);
			continue;
		}
		seen[at] = (uint8_t)k;
		f->idx[k] = newflow_open(x, f, k, hash[m]);
	}
}

static inline void find_flows(const struct call *x, struct flows *f)
{
	if (f->is_v6)
		conn_find_bulk6(x->lw->conns, f->k6, f->n, f->idx);
	else
		conn_find_bulk4(x->lw->conns, f->k4, f->n, f->idx);
}

static void run_flows(struct call *x, struct flows *f)
{
	struct conn *const entries = conn_entries(x->lw->conns, f->is_v6);
	const struct lb_backend *const backends = x->conf->backends;
	const struct pkt *const p = x->b->p;
	uint8_t miss[BURST_MAX];
	unsigned n, n_miss = 0;

	find_flows(x, f);
	if (unlikely(x->conf->is_policed != NULL))
		guard_police(x, f);
	n = f->n;
	for (unsigned k = 0; k < n; k++) {
		struct conn *e = &entries[f->idx[k] & ~CONN_V6];

		if (likely(f->idx[k] != CONN_NONE))
			on_client_packet(x, f, k, e, &backends[e->backend_idx], &p[f->sel[k]]);
		else
			miss[n_miss++] = (uint8_t)k;
	}
	x->n_hits += n - n_miss;
	if (n_miss > 0)
		on_misses(x, f, miss, n_miss);
}

static inline void add_key4(struct flows *f, unsigned i, const struct pkt *p)
{
	flow_key4(&f->k4[f->n], p);
	f->sel[f->n++] = (uint8_t)i;
}

static inline void add_key6(struct flows *f, unsigned i, const struct pkt *p)
{
	flow_key6(&f->k6[f->n], p);
	f->sel[f->n++] = (uint8_t)i;
}

/* The flows of a burst, by family. */
struct families {
	struct flows v4, v6;
};

static inline void families_init(struct families *f)
{
	f->v4.n = f->v6.n = 0;
	f->v4.is_v6 = false;
	f->v6.is_v6 = true;
}

/* Packet i is of the flow with the addresses and ports of *p. */
static inline void add_key(struct families *f, unsigned i, const struct pkt *p)
{
	if (p->family == 4)
		add_key4(&f->v4, i, p);
	else
		add_key6(&f->v6, i, p);
}

/* The same for the packets of the burst that are to be balanced, each of its own flow. */
static inline void add_keys(struct families *f, const struct burst *b)
{
	const unsigned n = b->n;
	unsigned n4 = 0, n6 = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct pkt *p = &b->p[i];

		if (unlikely(p->verdict != PKT_LB))
			continue;
		if (likely(p->family == 4)) {
			flow_key4(&f->v4.k4[n4], p);
			f->v4.sel[n4++] = (uint8_t)i;
		} else {
			flow_key6(&f->v6.k6[n6], p);
			f->v6.sel[n6++] = (uint8_t)i;
		}
	}
	f->v4.n = n4;
	f->v6.n = n6;
}

static void call_init(struct call *x, struct worker *w, const struct lb_conf *c,
	const struct addr_conf *ac, struct burst *b)
{
	x->w = w;
	x->lw = w->lb;
	x->conf = c;
	x->addrs = ac;
	x->b = b;
	x->now_ms = w->now_ms;
	x->n_hits = 0;
	x->n_sent = 0;
	for (unsigned mode = 0; mode < FWD_N; mode++)
		x->batch[mode].n = 0;
}

/* For their services; all of them are known. */
static void count_drops(struct lb_worker *lw, const struct burst *b, const uint8_t *sel, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		const struct pkt *p = &b->p[sel[k]];

		if (unlikely(p->verdict == PKT_DROP))
			add(&lw->services[p->service_idx].drops, 1);
	}
}

void lb_balance(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b)
{
	struct families f;
	struct call x;

	call_init(&x, w, c, ac, b);
	families_init(&f);
	add_keys(&f, b);
	if (f.v4.n > 0)
		run_flows(&x, &f.v4);
	if (f.v6.n > 0)
		run_flows(&x, &f.v6);
	balance_run_batches(&x, CONNFSM_CLIENT);
	w->tally->conn_hits += x.n_hits;
	if (unlikely(x.n_sent != f.v4.n + f.v6.n)) {
		count_drops(w->lb, b, f.v4.sel, f.v4.n);
		count_drops(w->lb, b, f.v6.sel, f.v6.n);
	}
}

/* --- without a packet --- */

void balance_find(struct call *x, struct flows *f)
{
	const struct pkt *p = &x->b->p[0];

	x->lw = x->w->lb;
	x->now_ms = x->w->now_ms;
	f->n = 0;
	f->is_v6 = p->family == 6;
	if (f->is_v6)
		add_key6(f, 0, p);
	else
		add_key4(f, 0, p);
	find_flows(x, f);
}

bool balance_is_new_chance(const struct conn *e, const struct lb_backend *be, const struct pkt *p)
{
	return is_new_chance(e, be, p);
}

/* --- the way back --- */

/* Whether the packet is from the backend that the entry of its port talks to. By which port it comes is not asked:
 * routes need not be symmetric. A backend on a network of ours, whose SNAT address is of another one, answers by its
 * router, which may be at any port of ours; and after a change of routes answers are under way on the old port. Who
 * pretends to be the backend must know addresses and ports of the flow, and for TCP its sequence numbers. */
static inline bool is_of_flow(
	const struct conn *e, const struct lb_backend *be, const struct pkt *p)
{
	return fwd_is_fullnat(e->mode) && e->proto == p->proto && e->family == p->family
		&& e->snat_slot == p->snat_slot && be->port == p->sport
		&& memcmp(be->ip, p->src, sizeof(be->ip)) == 0;
}

/* What both kinds of NAT have in common from here on. */
static inline void on_answer(
	struct call *x, unsigned i, uint32_t idx, struct conn *e, const struct lb_backend *be)
{
	const struct lb_service *s = x->conf->services[e->service_idx];
	struct pkt *p = &x->b->p[i];

	p->service_idx = e->service_idx;
	if (unlikely(s == NULL)) { /* left the model: its VIP is not ours any more */
		pkt_drop(p, PKT_DROP_no_service);
		return;
	}
	x->n_hits++;
	if (p->proto == MR_PROTO_TCP)
		follow_tcp(x, idx, e, s, CONNFSM_BACKEND, p->tcp_flags);
	e->last_seen_ms = x->now_ms;
	forward(x, i, e, be, e->mode);
}

/* Where the packets' ports say which flow they are of. Returns how many they are; sel: which. */
static unsigned find_ports(
	const struct natport *ports, const struct burst *b, uint8_t *sel, const uint32_t **at)
{
	const unsigned n_packets = b->n;
	unsigned n = 0;

	for (unsigned i = 0; i < n_packets; i++) {
		const struct pkt *p = &b->p[i];

		if (unlikely(p->verdict != PKT_RETURN))
			continue;
		at[n] = natport_at(ports, p->snat_slot, p->proto, rte_be_to_cpu_16(p->dport));
		rte_prefetch0(at[n]);
		sel[n++] = (uint8_t)i;
	}
	return n;
}

/* Packets sel[0..n) are of these entries; CONN_NONE: of none. */
static void on_backend_packets(struct call *x, const uint8_t *sel, const uint32_t *idx, unsigned n)
{
	const struct conn_table *const conns = x->lw->conns;
	const struct lb_backend *const backends = x->conf->backends;
	struct pkt *const p = x->b->p;

	for (unsigned k = 0; k < n; k++) {
		const unsigned i = sel[k];
		struct conn *e = conn_at(conns, idx[k]);
		const struct lb_backend *be;

		if (likely(idx[k] != CONN_NONE)) {
			be = &backends[e->backend_idx];
			if (likely(is_of_flow(e, be, &p[i]))) {
				on_answer(x, i, idx[k], e, be);
				continue;
			}
		}
		pkt_drop(&p[i], PKT_DROP_snat_unknown);
	}
}

void lb_return(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b)
{
	const struct conn_table *const conns = w->lb->conns;
	const uint32_t *at[BURST_MAX];
	uint32_t idx[BURST_MAX];
	uint8_t sel[BURST_MAX];
	struct call x;
	unsigned n;

	call_init(&x, w, c, ac, b);
	n = find_ports(w->lb->ports, b, sel, at);
	for (unsigned k = 0; k < n; k++) {
		idx[k] = *at[k];
		if (likely(idx[k] != CONN_NONE))
			rte_prefetch0(conn_at(conns, idx[k]));
	}
	on_backend_packets(&x, sel, idx, n);
	balance_run_batches(&x, CONNFSM_BACKEND);
	w->tally->conn_hits += x.n_hits;
	for (unsigned k = 0; unlikely(x.n_sent != n) && k < n; k++) {
		const struct pkt *p = &b->p[sel[k]];

		if (p->verdict == PKT_DROP && p->drop != PKT_DROP_snat_unknown)
			add(&w->lb->services[p->service_idx].drops, 1);
	}
}

/* --- the way back of DNAT --- */

/* The key is the client's, made of the answer: what the backend is in it, the VIP was to the client. A backend's address
 * and port belong to one DNAT service (lbroute.c), so the VIP is known. */
void lb_revert_client(const struct lb_conf *c, const struct pkt *p, struct pkt *as)
{
	const struct lb_service *s = c->services[p->service_idx];

	as->family = p->family;
	as->proto = p->proto;
	memcpy(as->src, p->dst, sizeof(as->src));
	memcpy(as->dst, s->vip, sizeof(as->dst));
	as->sport = p->dport;
	as->dport = rte_cpu_to_be_16(s->spec.port);
}

static void revert_flows(struct call *x, struct flows *f)
{
	find_flows(x, f);
	for (unsigned k = 0; k < f->n; k++) {
		const unsigned i = f->sel[k];
		struct pkt *p = &x->b->p[i];
		struct conn *e;
		const struct lb_backend *be;

		if (f->idx[k] != CONN_NONE) {
			e = conn_at(x->lw->conns, f->idx[k]);
			be = &x->conf->backends[e->backend_idx];
			if (likely(fwd_is_dnat(e->mode) && be->port == p->sport
				    && memcmp(be->ip, p->src, sizeof(be->ip)) == 0)) {
				on_answer(x, i, f->idx[k], e, be);
				continue;
			}
		}
		p->verdict = PKT_PUNT;
		p->punt_class = PUNT_OTHER;
	}
}

void lb_revert(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b)
{
	struct families f;
	struct call x;

	call_init(&x, w, c, ac, b);
	families_init(&f);
	for (unsigned i = 0; i < b->n; i++) {
		struct pkt as;

		if (b->p[i].verdict != PKT_REVERT)
			continue;
		lb_revert_client(c, &b->p[i], &as);
		add_key(&f, i, &as);
	}
	if (f.v4.n > 0)
		revert_flows(&x, &f.v4);
	if (f.v6.n > 0)
		revert_flows(&x, &f.v6);
	balance_run_batches(&x, CONNFSM_BACKEND);
	w->tally->conn_hits += x.n_hits;
	if (unlikely(x.n_sent != f.v4.n + f.v6.n)) {
		count_drops(w->lb, b, f.v4.sel, f.v4.n);
		count_drops(w->lb, b, f.v6.sel, f.v6.n);
	}
}

/* --- the end of an entry --- */

static void end_conn(struct lb_worker *lw, uint32_t idx)
{
	const struct conn *e = conn_at(lw->conns, idx);

	newflow_put_port(lw, e);
	newflow_detach(lw, e);
	conn_del(lw->conns, idx);
}

void lb_kill(struct worker *w, const uint32_t *idx, unsigned n)
{
	for (unsigned k = 0; k < n; k++)
		end_conn(w->lb, idx[k]);
	w->tally->conn_killed += n;
}

/* When the entry ends if nothing more comes; at once where its service is gone. */
static uint32_t deadline_of(const struct conn *e, const struct lb_conf *c)
{
	const struct lb_service *s = c->services[e->service_idx];

	return e->last_seen_ms + (s != NULL ? s->timeouts.ms[e->state] : 0);
}

void lb_expire(struct worker *w, const struct lb_conf *c)
{
	struct lb_worker *lw = w->lb;
	uint32_t idx[EXPIRE_MAX];
	const unsigned n = conn_due_bulk(lw->conns, w->now_ms, idx, EXPIRE_MAX);

	syncookie_tick(&lw->cookies, w->now_ms);
	for (unsigned k = 0; k < n; k++) {
		const struct conn *e = conn_at(lw->conns, idx[k]);
		const uint32_t deadline_ms = deadline_of(e, c);

		if ((int32_t)(deadline_ms - w->now_ms) > 0) {
			conn_watch(lw->conns, idx[k], deadline_ms);
			continue;
		}
		/* one SYN and nothing else: had it come again, that would have counted */
		if (e->state == MR_CONN_SYN && e->n_packets <= 1 && fwd_modes[e->mode]->ret != NULL)
			add(&lw->backends[e->backend_idx].failed, 1);
		end_conn(lw, idx[k]);
		w->tally->conn_expired++;
	}
}
