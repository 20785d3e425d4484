/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lane — a worker and its client on a CPU of their own, for workers.c: what the client sends, and what dataplane it sends it to, is a load's.
 */
#include "harness.h"
#include "shim.h"

#define LANE_MAX HARNESS_WORKERS_MAX

struct lane {
	unsigned id; /* the worker's */
	struct harness *h;
	unsigned in, out; /* logical ports of the burst that emit() wrote last */
	void *ctx;        /* the load's, for the lane */
};

/* What all loads are told. */
struct lane_options {
	uint32_t n_flows;   /* of a worker */
	uint32_t memory_mb; /* of the cache */
	uint32_t n_keys, set_pct;
	uint32_t value_min, value_max; /* bytes of what is set */
	double skew;                   /* of Zipf */
};

struct laneload {
	const char *name, *about;
	unsigned memory_mb, lane_mb; /* that DPDK needs, and more for each lane */
	/* Makes the dataplane. Main thread, once. NULL, with a line on stderr, when it cannot be had. */
	struct harness *(*up)(const struct lane_options *o, unsigned n_lanes);
	/* Makes what the lane sends. Main thread, after up(). False, with a line on stderr: something went astray. */
	bool (*lane_up)(struct lane *l, const struct lane_options *o);
	/* Writes a burst of SHIM_BURST packets, all for one port. The lane's thread, as are the following. */
	void (*emit)(struct lane *l, struct rte_mbuf **m);
	/* Looks at what came out for it, on that port. NULL: there is nothing more to see. */
	void (*look)(struct lane *l, struct rte_mbuf **m);
	/* Whether all that look() saw since the last time were hits. Main thread. NULL as look() is. */
	bool (*are_hits)(struct lane *l);
};

extern const struct laneload lane_dsr, lane_ipip, lane_fullnat, lane_get;
