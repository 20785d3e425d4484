/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * balance_pvt — what balance.c (packets), icmperr.c (ICMP errors), newflow.c and guard.c (new flows) and lbworker.c (memory, the
 * manager's view) share. Context: worker.
 */
#include "lb/balance.h"
#include "lb/fwd.h"
#include "lb/natport.h"
#include "net/syncookie.h"

struct service_tally {
	uint64_t conns;                                   /* w: worker  r: manager (relaxed) */
	uint64_t drops, acl_drops;                        /* w: worker  r: manager (relaxed) */
	uint32_t cursor;                                  /* of the scheduler; worker only */
	struct rate_bucket flows, inserts, syns, packets; /* worker only */
};

struct lb_worker {
	struct conn_table *conns;
	struct natport *ports;
	struct lb_backend_tally *backends;
	struct service_tally *services;
	struct rate_sources *sources;
	struct syncookie cookies;
	struct lb_limits limits;
};

struct call {
	struct worker *w;
	struct lb_worker *lw;
	const struct lb_conf *conf;
	const struct addr_conf *addrs;
	struct burst *b;
	uint32_t now_ms;
	uint32_t n_hits;
	uint32_t n_sent; /* became PKT_TX or PKT_HOLD */
	struct fwd_batch batch[FWD_N];
};

/* Packets of one family on their way through the connection table. */
struct flows {
	unsigned n;
	bool is_v6;
	uint8_t sel[BURST_MAX];
	uint32_t idx[BURST_MAX];
	union {
		struct conn_key4 k4[BURST_MAX];
		struct conn_key6 k6[BURST_MAX];
	};
};

#define FLOW_TAIL 0xffffffffffu /* of pkt_ports(): ports and protocol */

/* The key of the client's packet. opt: made of words, as it is hashed; reading bytes back that were just written one by one
 * would stall. */
static inline void flow_key4(struct conn_key4 *key, const struct pkt *p)
{
	uint32_t src, dst;
	uint64_t words[2];

	memcpy(&src, p->src, 4);
	memcpy(&dst, p->dst, 4);
	words[0] = src | (uint64_t)dst << 32;
	words[1] = pkt_ports(p) & FLOW_TAIL;
	memcpy(key, words, sizeof(*key));
}

static inline void flow_key6(struct conn_key6 *key, const struct pkt *p)
{
	const uint64_t tail = pkt_ports(p) & FLOW_TAIL;

	memcpy(key->src, p->src, 16);
	memcpy(key->dst, p->dst, 16);
	memcpy((uint8_t *)key + offsetof(struct conn_key6, sport), &tail, sizeof(tail));
}

/* Plain increment by the owner; the manager reads relaxed. */
static inline void add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Whether the service takes one more packet; a token of its packets_per_second is gone then. */
static inline bool takes_packet(struct lb_worker *lw, const struct lb_service *s, uint32_t now_ms)
{
	return likely(s->packet_rate.gain == 0)
		|| rate_take(&lw->services[s->idx].packets, &s->packet_rate, now_ms);
}

static inline void forward(
	struct call *x, unsigned i, struct conn *e, const struct lb_backend *be, unsigned mode)
{
	struct fwd_batch *to = &x->batch[mode];

	to->sel[to->n] = (uint8_t)i;
	to->conn[to->n] = e;
	to->backend[to->n++] = be;
}

/* Forwards and counts what has been collected (balance.c). */
void balance_run_batches(struct call *x, enum connfsm_dir dir);

/* Hash of flow k, of what its service hashes: the same on every box with the same hash key. */
uint64_t newflow_hash(const struct call *x, const struct flows *f, unsigned k);

/* The backend of a packet with these addresses, ports and service_idx that has no entry, of a stateless-able service;
 * SCHED_NONE when there is none. Once per ICMP error. */
uint32_t newflow_stateless(const struct lb_conf *c, const struct pkt *client);

/* Whether the service, which has an acl, lets the source in; if not, *reason says so (guard.c). */
bool guard_allows(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason);

/* Whether lists and limits of the service admit one more flow; if not, *reason says which (guard.c). */
bool guard_admits(const struct call *x, const struct lb_service *s, const struct pkt *p,
	enum pkt_drop *reason);

/* Where a service has packets_per_second: packets of known flows that are above it are dropped, counted, and leave f; what the
 * table says of f is known. Packets of other flows are asked for where the service admits them (newflow.c). */
void guard_police(struct call *x, struct flows *f);

/* A service with syn_cookies (synflood.c): whether the packet is a SYN above that, to be answered with a cookie. Else it
 * has taken its token. */
bool synflood_is_above(struct call *x, const struct pkt *p, const struct lb_service *s);
/* The same, and done: the SYN has its verdict. */
bool synflood_defers(struct call *x, unsigned i, const struct lb_service *s);
/* Whether the segment answers a cookie. It counts as a SYN then; *iss, *isn: as syncookie_check(). */
bool synflood_returns(struct call *x, unsigned i, uint32_t *iss, uint32_t *isn);

/* The flow of a burst's only packet: x as for lb_balance(), f with its key and what the table says of it. */
void balance_find(struct call *x, struct flows *f);
/* Whether a packet of a known flow is the chance to schedule it again. */
bool balance_is_new_chance(const struct conn *e, const struct lb_backend *be, const struct pkt *p);

/* The decisions of the two below, which act on them; trial.c only wants to know. They may take tokens and move the
 * scheduler's cursor. named: the backend that the packet names itself (QUIC), or SCHED_NONE. */
uint32_t newflow_decide(const struct call *x, const struct lb_service *s, const struct pkt *p,
	uint32_t named, uint64_t hash, enum pkt_drop *reason);
uint32_t newflow_decide_again(const struct call *x, const struct conn *e, const struct pkt *p,
	uint32_t named, uint64_t hash, enum pkt_drop *reason);
/* Whether anybody may have the packet's source address, and come with it by this port; if not, *reason says so. */
bool newflow_is_source(const struct call *x, const struct pkt *p, enum pkt_drop *reason);
bool newflow_is_worth_entry(const struct call *x, const struct lb_service *s, bool is_v6);
uint16_t newflow_peek_port(const struct call *x, const struct pkt *p, uint32_t backend_idx,
	uint64_t hash, uint16_t *slot);
bool newflow_keeps_port(const struct call *x, const struct conn *e);

/* A packet without an entry: forwards it, with a new entry or without, or drops it. Returns the entry or
 * CONN_NONE. */
uint32_t newflow_open(struct call *x, const struct flows *f, unsigned k, uint64_t hash);

/* The packet begins a new flow on an entry of the same addresses and ports; the caller forwards it. False
 * when that cannot be: the entry is as before then, and *reason says why. */
bool newflow_reopen(struct call *x, const struct flows *f, unsigned k, enum pkt_drop *reason);

/* A QUIC packet of a flow that has an entry: the entry is the backend's that the connection id names when this
 * returns, and the flow begins again there if that is another one. Else all is as before. */
void newflow_follow_id(struct call *x, const struct flows *f, unsigned k);

/* What an entry holds besides its place in the table: its port, its part in the counts. */
void newflow_put_port(struct lb_worker *lw, const struct conn *e);
void newflow_detach(struct lb_worker *lw, const struct conn *e);
