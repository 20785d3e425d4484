/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * sched — which backend a new flow goes to. One algorithm per file (maglev.c, wrr.c) behind
 * struct sched_ops. Tables are built by the manager and immutable; what a worker must remember
 * between picks is a cursor of its own. Calls happen once per new flow, never per packet.
 */
#include "millrace/api_lb.h"

#define SCHED_NONE UINT32_MAX

struct sched_member {
	uint32_t backend_idx;   /* slot that a pick returns */
	uint16_t weight;        /* configured; 0 = never */
	bool is_available;      /* up and not draining */
	char name[MR_NAME_MAX]; /* identity for hashing: the same on every box of the fleet */
};

struct sched_params {
	const uint8_t *hash_key; /* 16 bytes, fleet-wide */
	uint32_t maglev_size;    /* 0 = choose */
	const char *service;
};

struct sched_table; /* each algorithm begins its own struct with nothing in common */

struct sched_ops {
	const char *name; /* as in the configuration */
	bool is_consistent; /* equal hashes give equal backends: may be used without connection state */
	/* Context: manager; may allocate. Members in any order; the result does not depend on it. prev:
	 * table of the previous generation or NULL, for reuse of what did not change. 0, -ENOMEM, -EINVAL. */
	int (*build)(struct sched_table **out, const struct sched_member *m, unsigned n,
		const struct sched_params *p, const struct sched_table *prev);
	void (*destroy)(struct sched_table **t);
	/* Context: worker. hash: of the flow. cursor: this worker's, this service's. SCHED_NONE when no
	 * member is available. */
	uint32_t (*pick)(const struct sched_table *t, uint64_t hash, uint32_t *cursor);
};

/* Operations of an enum mr_sched, NULL for an unknown one. */
const struct sched_ops *sched_ops_of(unsigned sched);
