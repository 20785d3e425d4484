/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * balance — the balancing stages of the packet path: client packets to their connection or to a new
 * one, return packets back, expiry. Holds a worker's balancing state; all calls by the owning worker
 * unless they say otherwise.
 */
#include "core/worker.h"
#include "lb/conn.h"
#include "lb/lbconf.h"

/* Per worker and backend slot; one line. w: worker  r: manager (relaxed) */
struct lb_backend_tally {
	uint64_t conns; /* now */
	uint64_t conns_total;
	uint64_t rx_packets, rx_bytes; /* client → backend */
	uint64_t tx_packets, tx_bytes; /* backend → client */
	uint64_t opened; /* SYNs that the backend answered; only where its answers pass here */
	uint64_t failed; /* flows that it refused, did not answer, or could not be reached for */
} __rte_cache_aligned;

struct lb_worker;

struct lb_worker_params {
	unsigned worker_id, n_workers;
	bool is_steered; /* devices choose the worker by RSS, see nic_is_steered() */
	int socket_id;
	uint32_t n_conns4, n_conns6; /* of this worker */
	struct lb_limits limits;
	uint64_t seed;           /* random at start */
	uint64_t cookie_seed[2]; /* the same, this worker's own: who knows it can forge cookies */
};

/* Cold. Context: manager, before workers start. */
int lb_worker_create(struct lb_worker **out, const struct lb_worker_params *p);
void lb_worker_destroy(struct lb_worker **lw);

/* Hot. The packets that are PKT_LB, with service_idx. Afterwards each is PKT_TX, PKT_REPLY, PKT_HOLD or PKT_DROP. */
void lb_balance(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b);

/* Hot. The packets that are PKT_RETURN, with snat_slot. Afterwards as above. */
void lb_return(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b);

/* Hot. The packets that are PKT_REVERT, with service_idx. Afterwards as above; or, where they are of no flow of the
 * service, what they were without it: PKT_PUNT, somebody else's to route. */
void lb_revert(
	struct worker *w, const struct lb_conf *c, const struct addr_conf *ac, struct burst *b);

/* Hot. The client's packet that this PKT_REVERT packet answers: addresses and ports of *as; what nic_softrss()
 * makes of it is the owner's hash. */
void lb_revert_client(const struct lb_conf *c, const struct pkt *p, struct pkt *as);

/* Bounded expiry; call once per tick. */
void lb_expire(struct worker *w, const struct lb_conf *c);

/* Ends these connections at once, as lb_expire() does when their time is up; the next packet of such a flow
 * finds no entry. Between bursts only (a job): see I3 in balance.c. */
void lb_kill(struct worker *w, const uint32_t *idx, unsigned n);

/* Manager's view: relaxed reads. */
const struct lb_backend_tally *lb_worker_backend_tally(
	const struct lb_worker *lw, uint32_t backend_idx);
uint64_t lb_worker_service_drops(const struct lb_worker *lw, uint32_t service_idx);
uint64_t lb_worker_service_acl_drops(const struct lb_worker *lw, uint32_t service_idx);
uint64_t lb_worker_service_conns(const struct lb_worker *lw, uint32_t service_idx);
uint32_t lb_worker_snat_used(const struct lb_worker *lw, uint32_t snat_slot);
const struct conn_table *lb_worker_conns(const struct lb_worker *lw);

/* Context: manager. Connections that name the slot: what the registry wants to know of all workers. */
uint64_t lb_worker_in_use(const struct lb_worker *lw, enum lb_slot_kind kind, uint32_t slot);

/* Context: manager, from the registry's on_give() only: counters of the slot begin at 0 for its new holder.
 * No connection and no generation names it at that moment, so the worker does not touch them. */
void lb_worker_clear(struct lb_worker *lw, enum lb_slot_kind kind, uint32_t slot);
