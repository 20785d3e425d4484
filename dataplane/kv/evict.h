/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * evict — which items a full cache gives up. A policy is a small file: it has one byte for each item (kept in the index's slot,
 * kv/assoc.h), one or two queues of segments, and says what becomes of an item when the walk over the oldest segment
 * of a queue comes to it (kv/kvroom.c). There are no lists of items: order is where they lie.
 *
 * Readers call on_hits() without a lock, so a state may be a little old or lost. Writers call the others from several threads:
 * what a policy shares is atomic and relaxed, and may be a little wrong.
 */
#include "kv/assoc.h"
#include "kv/seg.h"

enum evict_policy { EVICT_FIFO, EVICT_LRU, EVICT_LFU, EVICT_S3FIFO, EVICT_SIEVE, EVICT_N };

struct ghost; /* kv/ghost.h */

struct evict {
	const struct evict_ops *ops;
	const struct seg_pool *pool;
	struct ghost *ghost; /* NULL for policies without */
	uint32_t ahead;      /* SIEVE: the queue that the hand is in; atomic, relaxed */
};

struct evict_verdict {
	bool is_kept;
	uint8_t queue; /* where to, if kept */
	uint8_t state;
};

struct evict_ops {
	const char *name;
	bool has_ghost;
	/* Hot, owner of nothing: notes that the items of these probes were asked for; those that are NULL are passed over. */
	void (*on_hits)(const struct evict *e, struct assoc_probe *probes, unsigned n);
	/* A new item: its queue and its first state. */
	struct evict_verdict (*admit)(struct evict *e, uint64_t hash);
	/* The queue whose oldest segment is walked next. */
	uint8_t (*next_queue)(struct evict *e);
	/* An item of the walked segment. */
	struct evict_verdict (*decide)(
		struct evict *e, uint8_t queue, uint64_t hash, uint8_t state);
};

/* What several policies do: of those with one queue, and those that count. */
struct evict_verdict evict_admit(struct evict *e, uint64_t hash);
uint8_t evict_first_queue(struct evict *e);
static inline void evict_count_hits(const struct assoc_probe *probes, unsigned n, uint8_t max)
{
	for (unsigned i = 0; i < n; i++)
		if (probes[i].item != NULL && probes[i].state < max)
			assoc_set_state(probes[i].slot, probes[i].state + 1);
}

/* By enum evict_policy. */
extern const struct evict_ops *const evict_policies[EVICT_N];

/* The policy of a name, EVICT_N if there is none. */
enum evict_policy evict_find(const char *name);

extern const struct evict_ops evict_fifo, evict_lru, evict_lfu, evict_s3fifo, evict_sieve;
