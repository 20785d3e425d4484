/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * seg — the memory of a cache: one block, cut into segments of one size that are written from front to back, like a log. A
 * segment belongs to a queue of the eviction policy and to a class of times to live, so that what lies together grows old
 * and expires together; sealed ones wait in a chain for each queue and class, the oldest first.
 *
 *  S1  a segment is in one state, in one chain; states change under the pool's lock
 *  S2  OPEN and VICTIM segments belong to one writer, nobody else writes to them or takes them
 *  S3  a segment that is emptied is LIMBO until every reader has reported quiescent since, and only then FREE: what a reader
 *      has found stays as it is until it reports
 *  S4  `live` is the size of the items in it that the index names; below 0 for a moment when the number is read between two
 *      writers' changes, and more than that in DROPPED segments (kv/kvdrop.h)
 *  S5  bytes of a pinned segment stay as they are: who reads them beyond its own report has pinned it before that. So from when
 *      readers have left an emptied one it is pinned by nobody anew; until nobody does, it is in `held`,
 *      which in place of limbo takes those that are pinned when they are emptied, too
 *
 * The lock is taken for a segment, not for an item: about once in a thousand items of 1/1000 of its size.
 */
#include <rte_rcu_qsbr.h>
#include <rte_ticketlock.h>

#include <stdbool.h>
#include <stdint.h>

#define SEG_NONE UINT32_MAX
#define SEG_NEVER UINT32_MAX
#define SEG_QUEUES 2u
#define SEG_CLASSES 176u

enum seg_state { SEG_FREE, SEG_OPEN, SEG_SEALED, SEG_VICTIM, SEG_DROPPED, SEG_LIMBO, SEG_GIVEN };

struct seg {
	/* w: holder of the lock */
	uint32_t next, prev; /* chain, free list or limbo */
	uint32_t seq;        /* order in which they were opened; compare differences */
	uint8_t state;       /* r: all, relaxed, as a hint */
	uint8_t queue, class;
	uint64_t token; /* of limbo */
	/* w: owner while OPEN  r: all once SEALED  pairs(seg-seal) */
	uint32_t fill;
	/* atomic, relaxed unless it says so */
	int32_t live;      /* pairs(seg-live) */
	uint32_t min_when; /* no item in it expires before this second; 0: none does */
	uint32_t max_when; /* all in it has expired at this second; SEG_NEVER: something does not */
	uint32_t era;      /* of the user's, given to seg_open() */
	uint32_t pins;     /* pairs(seg-pins) */
};

/* Of the segments so many may be pinned at a time, and one more for each thread that comes at once. */
#define SEG_PIN_PART 4u

struct seg_chain {
	uint32_t head, tail;
};

struct seg_pool {
	uint8_t *base;
	uint32_t n, shift; /* segments of 1 << shift bytes */
	uint32_t n_classes;
	struct rte_rcu_qsbr *readers;
	struct seg *segs;
	rte_ticketlock_t lock;
	/* w: holder of the lock  r: all, relaxed, as hints */
	uint32_t n_free, n_limbo, n_held, n_given, n_dropped;
	uint32_t n_queue[SEG_QUEUES]; /* OPEN, SEALED, VICTIM and DROPPED ones */
	uint32_t n_sealed[SEG_QUEUES];
	uint32_t seq;      /* of the next that is opened */
	uint32_t n_pinned; /* atomic  pairs(seg-unpinned) */
	/* w and r: holder of the lock */
	uint32_t free;
	struct seg_chain limbo, held, dropped, chains[SEG_QUEUES][SEG_CLASSES];
};

/* base: n << shift bytes; segs: n of them, both the caller's for as long as the pool is. readers: of all threads that use
 * the memory. Context: before other threads use it. */
void seg_pool_init(struct seg_pool *p, void *base, uint32_t n, uint32_t shift, uint32_t n_classes,
	struct seg *segs, struct rte_rcu_qsbr *readers);

/* A free segment, now OPEN for the caller, or SEG_NONE, as when not more than n_left are free. Below here: any thread that reports quiescent, holding no stripe; may
 * spin for some ten instructions of others. */
uint32_t seg_open(struct seg_pool *p, uint8_t queue, uint8_t class, uint32_t era, uint32_t n_left);

/* A free segment that stays the caller's for good; SEG_NONE. */
uint32_t seg_give(struct seg_pool *p);

/* The caller's OPEN segment to the end of its chain. */
void seg_seal(struct seg_pool *p, uint32_t no);

/* The oldest sealed segment of a queue, but for pinned ones, now the caller's VICTIM, or SEG_NONE. */
uint32_t seg_take_oldest(struct seg_pool *p, uint8_t queue);

/* Takes this one, if it is SEALED. */
bool seg_take(struct seg_pool *p, uint32_t no);

/* Takes this one for seg_take_dropped(), if it is SEALED. */
bool seg_drop(struct seg_pool *p, uint32_t no);

/* One of those, now the caller's VICTIM, or SEG_NONE. */
uint32_t seg_take_dropped(struct seg_pool *p);

/* The caller's VICTIM or OPEN segment, of whose items the index names none any more, to limbo. */
void seg_retire(struct seg_pool *p, uint32_t no);

static inline bool seg_is_pinned(const struct seg_pool *p, uint32_t no)
{
	/* pairs(seg-pins): what others have read of it they have read */
	return __atomic_load_n(&p->segs[no].pins, __ATOMIC_ACQUIRE) > 0;
}

/* The segment is not used anew until seg_unpin(), which any thread may call, while the pool is there. For who reads in it, since its last
 * quiescent report. false: it is not pinned, as many are. */
bool seg_pin(struct seg_pool *p, uint32_t no);
void seg_unpin(struct seg_pool *p, uint32_t no);

/* Segments that are pinned. 0, and nobody pins any more: no seg_unpin() is under way either. */
static inline uint32_t seg_pinned(const struct seg_pool *p)
{
	/* pairs(seg-unpinned): whoever has left does not touch the pool any more */
	return __atomic_load_n(&p->n_pinned, __ATOMIC_ACQUIRE);
}

/* A hint. */
static inline bool seg_has_sealed(const struct seg_pool *p, uint8_t queue)
{
	return __atomic_load_n(&p->n_sealed[queue], __ATOMIC_RELAXED) > 0;
}

static inline void *seg_memory(const struct seg_pool *p, uint32_t no)
{
	return p->base + ((uint64_t)no << p->shift);
}

static inline uint32_t seg_of(const struct seg_pool *p, const void *at)
{
	return (uint32_t)((uint64_t)((const uint8_t *)at - p->base) >> p->shift);
}

static inline uint32_t seg_size(const struct seg_pool *p)
{
	return 1u << p->shift;
}

/* Accounts for an item that the index begins or ceases to name; after the change of the index. Any thread. */
static inline void seg_add_live(struct seg_pool *p, const void *item, int32_t size)
{
	/* pairs(seg-live): who sees that nothing lives here any more sees that the index names nothing here */
	__atomic_fetch_add(&p->segs[seg_of(p, item)].live, size, __ATOMIC_RELEASE);
}

/* Assert-only, nobody else uses the pool: S1. */
void seg_check(const struct seg_pool *p);
