/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ghost — see ghost.h. Fifteen fingerprints of 32 bits and the place of the next one: each bucket is a small queue. The hashes
 * of a cache's keys spread evenly, so the age at which a fingerprint is forgotten is about the same everywhere.
 */
#include "kv/ghost.h"

#include <rte_common.h>

#define WAYS 15u

struct bucket {
	uint32_t next;         /* counts; relaxed */
	uint32_t prints[WAYS]; /* 0: none; relaxed */
} __rte_cache_aligned;
_Static_assert(sizeof(struct bucket) == 64, "a cache line");

struct ghost {
	uint64_t n_buckets;
	struct bucket buckets[];
} __rte_cache_aligned;

static uint64_t n_buckets_for(uint64_t n)
{
	return n / WAYS + 1;
}

uint64_t ghost_size(uint64_t n)
{
	return sizeof(struct ghost) + n_buckets_for(n) * sizeof(struct bucket);
}

struct ghost *ghost_init(void *memory, uint64_t n)
{
	struct ghost *g = memory;

	g->n_buckets = n_buckets_for(n);
	return g;
}

static struct bucket *bucket_of(struct ghost *g, uint64_t hash)
{
	return &g->buckets[(hash >> 32) * g->n_buckets
		>> 32]; /* the upper half, spread over any number */
}

static uint32_t print_of(uint64_t hash)
{
	return (uint32_t)hash | 1;
}

void ghost_add(struct ghost *g, uint64_t hash)
{
	struct bucket *b = bucket_of(g, hash);
	const uint32_t at = __atomic_fetch_add(&b->next, 1, __ATOMIC_RELAXED) % WAYS;

	__atomic_store_n(&b->prints[at], print_of(hash), __ATOMIC_RELAXED);
}

bool ghost_take(struct ghost *g, uint64_t hash)
{
	struct bucket *b = bucket_of(g, hash);
	const uint32_t print = print_of(hash);

	for (unsigned i = 0; i < WAYS; i++)
		if (__atomic_load_n(&b->prints[i], __ATOMIC_RELAXED) == print) {
			__atomic_store_n(&b->prints[i], 0, __ATOMIC_RELAXED);
			return true;
		}
	return false;
}
