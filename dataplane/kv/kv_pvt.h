/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kv_pvt — what the files of a cache share.
 *
 *  K1  memory is reserved before a stripe is locked, or from what is at hand under it: the pool's lock may be taken inside a
 *      stripe's, nothing else, and never a second stripe
 *  K2  an item that the index names counts in its segment's `live`
 *  K3  numbers grow: an item whose number is below that of a purge was written before it, and what replaces an item has a
 *      higher number than it. A purge ends, after a sweep of all segments, long before numbers wrap
 *  K4  `when` of an item that the index names changes under the stripe only: who has won is decided there
 */
#include "kv/ghost.h"
#include "kv/kv.h"
#include "kv/lease.h"

#include <rte_common.h>

#define KV_NUMBERS 64u /* taken at a time by a writer */

struct kv_prefix {
	uint32_t number; /* items below are dead */
	uint32_t len;
	uint8_t data[ITEM_KEY_MAX];
};

/* Replaced as a whole, so that readers see one state; used again after the readers' grace period. */
struct kv_purges {
	uint64_t
		flush; /* 1 << 32 | number: all below is dead; 0: none. Changes while it is in force  atomic, relaxed */
	uint32_t n;
	uint32_t era; /* of the last of them  w and r: holder of purge_lock */
	struct kv_prefix prefixes[KV_PURGES_MAX];
};

/* A segment that is being swept, a part in each loop. */
struct kv_sweep {
	uint32_t no;       /* SEG_NONE: none is */
	uint32_t at;       /* bytes */
	uint32_t min;      /* earliest time of expiry so far; 0: none */
	uint32_t seq, era; /* as it began */
};

/* The look for segments of which all has expired, a part in each loop. */
struct kv_look {
	uint32_t at;    /* segment; SEG_NONE: none is under way */
	uint32_t limit; /* what expires at this second, or before, has */
	bool is_taking; /* there are enough of them */
	uint64_t n_bytes, n_dead_bytes;
};

/* Dropping many segments at once (kv/kvdrop.h). */
enum kv_drop_state { KV_DROP_NONE, KV_DROP_WALKING, KV_DROP_ENDING };

struct kv_drop {
	uint8_t state; /* enum kv_drop_state. w: writer 0, and who walks the last part  pairs(kv-drop) */
	uint32_t limit;      /* w: writer 0 before it is WALKING  r: all then */
	uint64_t at, n_done; /* buckets; atomic */
};

#define KV_AHEAD 8u

/* Items of the victim whose keys have been read, and whose buckets are on their way. */
struct kv_ahead {
	uint64_t hashes[KV_AHEAD]; /* from first % KV_AHEAD on */
	uint32_t first, n;
	uint32_t at; /* bytes: the item behind them */
};

struct kv_writer {
	struct kv *kv;
	uint32_t id;
	uint32_t now;
	int64_t unix_now;
	uint64_t now_ms;
	struct kv_stampede stampede; /* of this loop */
	bool is_guarded;             /* it is not all 0 */
	uint32_t lease_ms;           /* of any lease */
	uint32_t early_ms;           /* the time between a grant and the store, times beta */
	uint32_t
		early_s; /* what has more seconds left than this is not refreshed early; 0: nothing is */
	uint64_t random;                        /* not 0 */
	uint32_t open[SEG_QUEUES][SEG_CLASSES]; /* SEG_NONE: none yet */
	uint32_t victim, victim_at;             /* the walked segment and how far; SEG_NONE: none */
	struct kv_ahead ahead;
	int64_t room;         /* bytes left in open segments */
	int64_t walk_due;     /* bytes to be walked; below 0: walked before it was due */
	uint32_t urgent_left; /* units, in this loop */
	bool is_cleaning;  /* the victim is walked for what is dead in it: all that lives stays */
	uint32_t clean_at; /* where the search for such segments goes on */
	uint32_t number, number_end, number_era; /* numbers taken and not used, of which era */
	uint32_t era;    /* kv->era when the loop began: what is opened in it is marked so */
	bool is_purging; /* there were purges then */
	uint32_t sweep_at, swept_s; /* the round: how far, and of which second */
	bool is_own_swept;          /* in this round */
	struct kv_sweep sweep;
	struct kv_look look; /* of writer 0 */
	uint32_t kept,
		kept_at; /* of writer 0: a segment that was dropped and where something lives, and how far; SEG_NONE: none */
	struct kv_stats stats; /* w: owner, relaxed  r: manager */
} __rte_cache_aligned;

struct kv {
	/* fixed */
	struct assoc *index;
	uint8_t *memory; /* what was allocated */
	uint64_t memory_bytes;
	uint32_t value_max;
	uint32_t n_writers;
	uint32_t n_sweepers; /* the first of them: guests have no share of the sweeps */
	uint32_t class_bits; /* of times to live (kvroom.c) */
	uint32_t n_reserve;  /* segments that are kept free */
	struct kv_writer *writers;
	struct seg_pool pool;
	struct evict evict;
	struct lease_table *leases;
	/* w: manager  r: all, relaxed */
	struct kv_stampede stampede;
	/* w: a writer, atomic */
	uint32_t number __rte_cache_aligned; /* next */
	uint32_t era;                        /* changes with each purge  pairs(kv-era) */
	struct kv_purges *purges;            /* NULL: none  pairs(kv-purges) */
	struct kv_drop drop;
	rte_ticketlock_t index_lock; /* of who gives the index memory */
	uint32_t flush_at; /* the second when all is purged; 0: none is to come. atomic, relaxed */
	/* w and r: holder of the lock */
	rte_ticketlock_t purge_lock;
	bool is_old_read; /* the list that the last change replaced may still be: until old_token is passed */
	bool is_first_old; /* ... as purges became NULL it was the first of the two */
	uint64_t old_token;
	struct kv_purges lists[2]; /* one is in force, or none; the other is the next */
};

#define KV_COUNT(w, symbol, n) \
	__atomic_store_n(&(w)->stats.symbol, (w)->stats.symbol + (uint64_t)(n), __ATOMIC_RELAXED)

static inline uint64_t kv_addr(const struct kv *kv, const struct item *it)
{
	return (uint64_t)((const uint8_t *)it - kv->pool.base) / ITEM_UNIT;
}

static inline uint32_t kv_item_size(const struct item *it)
{
	return item_size(item_key_len(it), item_value_len(it), item_when(it));
}

bool kvsweep_is_purged(const struct kv_purges *purges, const struct item *it);

/* Whether a purge is about it. */
static inline bool kv_is_purged(const struct kv *kv, const struct item *it)
{
	/* pairs(kv-purges): the list as it was written */
	const struct kv_purges *purges = __atomic_load_n(&kv->purges, __ATOMIC_ACQUIRE);

	return purges != NULL && kvsweep_is_purged(purges, it);
}

static inline bool kv_is_dead(const struct kv_writer *w, const struct item *it)
{
	return item_is_expired(it, w->now) || kv_is_purged(w->kv, it);
}

/* Whether it has expired so long ago that it is not kept as a stale value either. */
static inline bool kv_is_gone(const struct kv_writer *w, const struct item *it)
{
	const uint32_t seconds = item_seconds(it);

	return seconds != 0 && seconds + w->stampede.stale_s <= w->now;
}
