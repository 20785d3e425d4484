/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvsweep — takes what has expired, or was purged, out of the index, so that its memory counts as dead and is used before anything
 * that lives is given up. Once a second a writer goes over its share of the segments; each knows the earliest time at
 * which something in it may expire, so a segment is read only when something has. Items with like times to live lie
 * together: they expire together, and few segments are read for few items.
 *
 * A purge is a prefix and a number: what was written before it, and begins with it, is dead. Once every segment has been swept
 * for it nothing is left of it, and it ends.
 *
 * OPEN and VICTIM segments are their owner's, which sweeps its own. What a walk copies meanwhile to a segment that was
 * swept already has passed the same tests there.
 */
#include "kv/kvsweep.h"

#include "base/tsan.h"
#include "kv/kvdrop.h"
#include "kv/kvroom.h"
#include "kv/kvverb.h"

#include <rte_branch_prediction.h>

#include <errno.h>

/* The work of a call, in units of about 5 ns. An item that is removed costs a bucket of the index, and one that is looked at what
 * its head is away from the last one's. */
#define SWEEP_UNITS 2048u
#define UNITS_REMOVED 8u
#define UNITS_LOOK_MAX 16u
#define BATCH 32u /* items whose buckets are fetched at once */

bool kvsweep_is_purged(const struct kv_purges *purges, const struct item *it)
{
	const uint64_t flush = __atomic_load_n(&purges->flush, __ATOMIC_RELAXED);

	if (flush != 0 && (int32_t)(it->number - (uint32_t)flush) < 0)
		return true;
	for (unsigned i = 0; i < purges->n; i++) {
		const struct kv_prefix *x = &purges->prefixes[i];

		if ((int32_t)(it->number - x->number) < 0 && item_key_len(it) >= x->len
			&& memcmp(item_key(it), x->data, x->len) == 0)
			return true;
	}
	return false;
}

static void begin_sweep(struct kv_writer *w, uint32_t no)
{
	struct seg *s = &w->kv->pool.segs[no];

	/* what is lowered from here on comes on top */
	__atomic_store_n(&s->min_when, 0, __ATOMIC_RELAXED);
	w->sweep = (struct kv_sweep){.no = no, .seq = s->seq, .era = w->era};
}

/* Items of one segment that looked dead. */
struct batch {
	const struct item *items[BATCH];
	uint64_t hashes[BATCH];
	unsigned n;
};

/* Takes the item in if it is dead; if not, the segment is to be looked at when it will be. */
static void look_at(struct kv_writer *w, struct batch *b, const struct item *it)
{
	const struct kv *kv = w->kv;
	const uint32_t seconds = item_seconds(it);

	if (kv_is_gone(w, it) || unlikely(kv_is_purged(kv, it))) {
		b->hashes[b->n] = assoc_hash(item_key(it), item_key_len(it));
		assoc_prefetch(kv->index, b->hashes[b->n]);
		b->items[b->n++] = it;
	} else if (seconds != 0 && (w->sweep.min == 0 || seconds < w->sweep.min)) {
		w->sweep.min = seconds;
	}
}

static void remove_all(struct kv_writer *w, const struct batch *b)
{
	struct kv *kv = w->kv;
	uint32_t n_expired = 0, n_purged = 0, n_bytes = 0;

	for (unsigned i = 0; i < b->n; i++) {
		const struct item *it = b->items[i];
		union assoc_slot *slot;

		assoc_lock(kv->index, b->hashes[i]);
		slot = assoc_find_addr_locked(kv->index, b->hashes[i], kv_addr(kv, it));
		/* again, under the lock: it may have been touched */
		if (slot != NULL && (kv_is_gone(w, it) || kv_is_purged(kv, it))) {
			assoc_del_locked(slot);
			n_expired += kv_is_gone(w, it);
			n_purged += !kv_is_gone(w, it);
			n_bytes += kv_item_size(it);
		} else if (slot != NULL) {
			kvroom_lower(kv, it, item_when(it));
		}
		assoc_unlock(kv->index, b->hashes[i]);
	}
	if (n_bytes == 0)
		return;
	KV_COUNT(w, items, -(uint64_t)n_expired - n_purged);
	KV_COUNT(w, expired, n_expired);
	KV_COUNT(w, purged, n_purged);
	seg_add_live(&kv->pool, b->items[0], -(int32_t)n_bytes); /* opt: once for all of them */
}

static bool is_own(const struct kv_writer *w, uint32_t no)
{
	bool is = w->victim == no;

	for (unsigned q = 0; q < SEG_QUEUES; q++)
		for (unsigned c = 0; c < w->kv->pool.n_classes; c++)
			is |= w->open[q][c] == no;
	return is;
}

/* Whether the segment is still what it was when its sweep began. If not, somebody walks it, or has, and asks the same of
 * each item. One that is SEALED now is not used again before this thread reports quiescent. */
static bool may_go_on(const struct kv_writer *w)
{
	const struct seg *s = &w->kv->pool.segs[w->sweep.no];

	/* pairs(seg-seal): what is in it */
	return (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SEG_SEALED
		       || is_own(w, w->sweep.no))
		&& s->seq == w->sweep.seq;
}

static void end_sweep(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	const uint32_t no = w->sweep.no;
	struct seg *s = &kv->pool.segs[no];

	if (w->sweep.min != 0)
		kvroom_lower(kv, (const struct item *)(const void *)seg_memory(&kv->pool, no),
			w->sweep.min);
	__atomic_store_n(&s->era, w->sweep.era, __ATOMIC_RELAXED);
	w->sweep.no = SEG_NONE;
	/* pairs(seg-live): readers that came by before the index changed are waited for */
	if (__atomic_load_n(&s->live, __ATOMIC_ACQUIRE) == 0 && seg_take(&kv->pool, no))
		seg_retire(&kv->pool, no);
}

/* Goes on with the segment for about so many units; returns how many it were. */
static uint32_t go_on(struct kv_writer *w, uint32_t n_max)
{
	const struct seg_pool *p = &w->kv->pool;
	const uint8_t *begin = seg_memory(p, w->sweep.no);
	const uint32_t end = p->segs[w->sweep.no].fill;
	uint32_t n = 0;

	while (w->sweep.at < end && n < n_max) {
		struct batch b = {.n = 0};

		while (w->sweep.at < end && n < n_max && b.n < BATCH) {
			const struct item *it =
				(const struct item *)(const void *)(begin + w->sweep.at);
			const uint32_t size = kv_item_size(it);

			w->sweep.at += size;
			n += 1 + RTE_MIN(size / RTE_CACHE_LINE_SIZE, UNITS_LOOK_MAX);
			look_at(w, &b, it);
		}
		n += b.n * UNITS_REMOVED;
		remove_all(w, &b);
	}
	if (w->sweep.at >= end)
		end_sweep(w);
	return n;
}

static bool is_due(const struct kv_writer *w, const struct seg *s)
{
	const uint32_t min = __atomic_load_n(&s->min_when, __ATOMIC_RELAXED);

	return (min != 0 && min + w->stampede.stale_s <= w->now)
		|| (unlikely(w->is_purging)
			&& __atomic_load_n(&s->era, __ATOMIC_RELAXED) != w->era);
}

/* One of the writer's own open segments, or its victim, that is due. */
static uint32_t find_own(const struct kv_writer *w)
{
	const struct seg *segs = w->kv->pool.segs;

	if (w->victim != SEG_NONE && is_due(w, &segs[w->victim]))
		return w->victim;
	for (unsigned q = 0; q < SEG_QUEUES; q++)
		for (unsigned c = 0; c < w->kv->pool.n_classes; c++) {
			const uint32_t no = w->open[q][c];

			if (no != SEG_NONE && is_due(w, &segs[no]))
				return no;
		}
	return SEG_NONE;
}

/* The next one of the writer's share, with the units that are left. */
static uint32_t find_sealed(struct kv_writer *w, uint32_t *n)
{
	const struct seg_pool *p = &w->kv->pool;

	while (w->sweep_at < p->n && *n < SWEEP_UNITS) {
		const uint32_t no = w->sweep_at;
		const struct seg *s = &p->segs[no];

		w->sweep_at += w->kv->n_sweepers;
		++*n;
		/* pairs(seg-seal): what is in it */
		if (is_due(w, s) && __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SEG_SEALED)
			return no;
	}
	return SEG_NONE;
}

/* false: there is none in this round, or not yet. */
static bool find_next(struct kv_writer *w, uint32_t *n)
{
	uint32_t no = SEG_NONE;

	if (!w->is_own_swept) {
		no = find_own(w);
		w->is_own_swept = no == SEG_NONE;
	}
	if (no == SEG_NONE)
		no = find_sealed(w, n);
	if (no != SEG_NONE)
		begin_sweep(w, no);
	return no != SEG_NONE;
}

bool kv_sweep(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	uint32_t n = 0;

	if (likely(w->sweep.no == SEG_NONE && w->sweep_at >= kv->pool.n)) {
		if (w->swept_s == w->now || w->id >= kv->n_sweepers)
			return kvdrop_run(w);
		w->swept_s = w->now; /* a new second, a new round */
		w->sweep_at = w->id;
		w->is_own_swept = false;
		if (w->id == 0) {
			kvsweep_end_purges(kv);
			kvdrop_begin(w);
		}
	}
	if (unlikely(kvdrop_run(w)))
		return true;
	while (n < SWEEP_UNITS && (w->sweep.no != SEG_NONE || find_next(w, &n))) {
		if (likely(may_go_on(w)))
			n += go_on(w, SWEEP_UNITS - n);
		else
			w->sweep.no = SEG_NONE;
	}
	return w->sweep.no != SEG_NONE || w->sweep_at < kv->pool.n;
}

/* Whether every segment that may hold what a purge of this era is about has been swept since. */
static bool is_swept(const struct kv *kv, uint32_t era)
{
	for (uint32_t no = 0; no < kv->pool.n; no++) {
		const struct seg *s = &kv->pool.segs[no];
		const uint8_t state = __atomic_load_n(&s->state, __ATOMIC_RELAXED);

		if ((state == SEG_OPEN || state == SEG_SEALED || state == SEG_VICTIM
			    || state == SEG_DROPPED)
			&& (int32_t)(__atomic_load_n(&s->era, __ATOMIC_RELAXED) - era) < 0)
			return false;
	}
	return true;
}

/* Whether nobody reads the list any more that the last change replaced. */
static bool is_free(struct kv *kv)
{
	if (kv->is_old_read && rte_rcu_qsbr_check(kv->pool.readers, kv->old_token, false) == 1) {
		TSAN_RELEASE(&kv->pool.readers->acked_token); /* as in seg.c */
		TSAN_ACQUIRE(&kv->pool.readers->acked_token);
		kv->is_old_read = false;
	}
	return !kv->is_old_read;
}

/* Takes effect for all that begin after it. The holder of purge_lock. */
static void replace(struct kv *kv, struct kv_purges *next)
{
	if (next == NULL)
		kv->is_first_old = kv->purges == &kv->lists[0];
	/* pairs(kv-purges): the list before the pointer to it */
	__atomic_store_n(&kv->purges, next, __ATOMIC_RELEASE);
	kv->old_token = rte_rcu_qsbr_start(kv->pool.readers);
	kv->is_old_read = true;
}

void kvsweep_end_purges(struct kv *kv)
{
	if (__atomic_load_n(&kv->purges, __ATOMIC_RELAXED) == NULL)
		return;
	rte_ticketlock_lock(&kv->purge_lock);
	if (is_free(kv) && kv->purges != NULL && is_swept(kv, kv->purges->era))
		replace(kv, NULL);
	rte_ticketlock_unlock(&kv->purge_lock);
}

/* The list that is not in force; if none is, and both are not free, the one that nobody reads. */
static struct kv_purges *other(struct kv *kv)
{
	return &kv->lists[kv->purges != NULL ? kv->purges == &kv->lists[0] : kv->is_first_old];
}

/* Starts the next list from the one in force, without what its flush is about, too. */
static struct kv_purges *copy(struct kv *kv)
{
	struct kv_purges *next = other(kv);
	const struct kv_purges *last = kv->purges;

	next->n = 0;
	next->flush = last != NULL ? last->flush : 0;
	for (unsigned i = 0; last != NULL && i < last->n; i++)
		if (last->flush == 0
			|| (int32_t)(last->prefixes[i].number - (uint32_t)last->flush) > 0)
			next->prefixes[next->n++] = last->prefixes[i];
	return next;
}

static void begin_era(struct kv *kv, uint32_t era)
{
	/* pairs(kv-era): the number of the purge was read before, so those that are taken after are not below it */
	__atomic_store_n(&kv->era, era, __ATOMIC_RELEASE);
}

static int purge_prefix(struct kv *kv, const void *prefix, uint32_t len)
{
	struct kv_purges *next;
	struct kv_prefix *x;

	if (!is_free(kv))
		return -EAGAIN;
	next = copy(kv);
	if (next->n == KV_PURGES_MAX)
		return -EAGAIN;
	x = &next->prefixes[next->n++];
	x->len = len;
	memcpy(x->data, prefix, len);
	x->number = __atomic_load_n(&kv->number, __ATOMIC_RELAXED);
	next->era = kv->era + 1;
	replace(kv, next);
	begin_era(kv, next->era);
	return 0;
}

/* Needs no list that is free: it changes in the one in force, and if none is, one is not read. */
static void purge_all(struct kv *kv)
{
	const uint64_t flush = 1ull << 32 | __atomic_load_n(&kv->number, __ATOMIC_RELAXED);
	struct kv_purges *list = kv->purges;

	if (list == NULL) {
		list = other(kv);
		list->n = 0;
	}
	__atomic_store_n(&list->flush, flush, __ATOMIC_RELAXED);
	list->era = kv->era + 1;
	if (kv->purges == NULL)
		replace(kv, list);
	begin_era(kv, list->era);
}

int kv_purge(struct kv_writer *w, const void *prefix, uint32_t len)
{
	struct kv *kv = w->kv;
	int rc = 0;

	if (len > ITEM_KEY_MAX)
		return -EINVAL;
	rte_ticketlock_lock(&kv->purge_lock);
	if (len > 0)
		rc = purge_prefix(kv, prefix, len);
	else
		purge_all(kv);
	rte_ticketlock_unlock(&kv->purge_lock);
	return rc;
}

int kv_flush_at(struct kv_writer *w, int64_t exptime)
{
	const uint32_t at = exptime > 0 ? kvverb_when(w, exptime) : 0;
	const bool is_now = exptime <= 0 || (at != 0 && at <= w->now);

	/* 0 of a time that is too far for the cache's own time line: never */
	__atomic_store_n(&w->kv->flush_at, is_now ? 0 : at, __ATOMIC_RELAXED);
	return is_now ? kv_purge(w, NULL, 0) : 0;
}

void kvsweep_flush(struct kv_writer *w)
{
	uint32_t at = __atomic_load_n(&w->kv->flush_at, __ATOMIC_RELAXED);

	/* one of the writers does, the first whose clock says so */
	if (at != 0 && at <= w->now
		&& __atomic_compare_exchange_n(
			&w->kv->flush_at, &at, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		kv_purge(w, NULL, 0);
}
