/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * explain — what would become of a packet, and why (EXPLAIN). The stages of the packet path are asked with a
 * record and no packet: classify here, on the manager; balance, or the TCP that serves caches, on the worker that owns the flow, in a job
 * between two of its bursts. Nothing is changed by it.
 */
#include "core/snapshot.h"
#include "lb/trial.h"
#include "millrace/api_stats.h"
#include "serve/servetcp.h"

struct api_server;
struct explain;

struct explain_flow {
	struct burst burst;           /* of one record */
	struct trial trial;           /* with is_balanced */
	struct servetcp_trial served; /* with is_served */
	bool is_balanced;             /* a packet to a service: its worker is to be asked */
	bool is_served;               /* a segment to a cache: the same */
	bool is_bad_source;           /* the parser drops it */
	uint32_t rss_hash;
	unsigned worker, n_workers;
	uint8_t kind; /* enum addr_kind, of the destination */
};

/* Context: manager. Classifies the packet and names its owner. */
void explain_begin(struct explain_flow *e, const struct mr_explain *ask,
	const struct snapshot *snap, unsigned n_workers);

/* Context: the owner, e->worker, between bursts; where e->is_balanced or e->is_served. */
void explain_run(struct worker *w, struct explain_flow *e);

/* Context: manager. */
void explain_fill(const struct explain_flow *e, const struct lb_registry *r,
	const struct iface_set *ifaces, const struct lb_conf *lb, struct mr_explain_row *row);

/* The request: memory for the one that is under way. */
int explain_create(struct explain **out);
void explain_destroy(struct explain **x);
bool explain_is_running(const struct api_server *s);
