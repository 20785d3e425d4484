/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * sched — which backend a new flow goes to. One algorithm per file (maglev.c, wrr.c, …) behind
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

struct lb_backend_tally; /* balance.h */

/* A new flow looks for its backend. */
struct sched_ask {
	uint64_t hash; /* of the flow, or of what of it the service hashes */
	uint32_t *
		cursor; /* of this worker and this service: what a scheduler remembers between picks */
	const struct lb_backend_tally *backends; /* this worker's, by slot: its own connections */
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
	/* Context: worker. SCHED_NONE when no member is available. */
	uint32_t (*pick)(const struct sched_table *t, const struct sched_ask *ask);
};

/* A hash of a hash and a number: for the next try, for one of several members. */
static inline uint64_t sched_mix(uint64_t hash, uint64_t n)
{
	uint64_t x = hash ^ (n * 0x9e3779b97f4a7c15u); /* murmur3's finaliser */

	x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

/* 0 … n-1, in proportion to the hash's place in its range. */
static inline uint32_t sched_scale(uint64_t hash, uint32_t n)
{
	return (uint32_t)(((hash >> 32) * n) >> 32);
}

/* Operations of an enum mr_sched, NULL for an unknown one. */
const struct sched_ops *sched_ops_of(unsigned sched);
