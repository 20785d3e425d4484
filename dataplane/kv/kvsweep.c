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
#include "kv/kvroom.h"

#include <errno.h>

#define SWEEP_BYTES (64u * 1024) /* in one call */
#define SWEEP_LOOK 256u          /* segments looked at in one call */

bool kvsweep_is_purged(const struct kv_purges *purges, const struct item *it)
{
	for (unsigned i = 0; i < purges->n; i++) {
		const struct kv_prefix *x = &purges->prefixes[i];

		if ((int32_t)(it->number - x->number) < 0 && item_key_len(it) >= x->len
			&& memcmp(item_key(it), x->data, x->len) == 0)
			return true;
	}
	return false;
}

/* Removes the dead of a segment; its earliest time of expiry is made anew. */
static void sweep_seg(struct kv_writer *w, uint32_t no)
{
	struct kv *kv = w->kv;
	struct seg *s = &kv->pool.segs[no];
	const uint8_t *at = seg_memory(&kv->pool, no), *end = at + s->fill;
	uint32_t min = 0;

	/* what is lowered from here on comes on top */
	__atomic_store_n(&s->min_when, 0, __ATOMIC_RELAXED);
	while (at < end) {
		const struct item *it = (const struct item *)(const void *)at;
		const uint32_t seconds = item_when(it) & ITEM_SECONDS;
		const bool is_expired = item_is_expired(it, w->now);

		at += kv_item_size(it);
		if (is_expired || unlikely(kv_is_purged(kv, it))) {
			const uint64_t hash = assoc_hash(item_key(it), item_key_len(it));
			union assoc_slot *slot;

			assoc_lock(kv->index, hash);
			slot = assoc_find_addr_locked(kv->index, hash, kv_addr(kv, it));
			/* again, under the lock: it may have been touched */
			if (slot != NULL && item_is_expired(it, w->now)) {
				kvroom_remove(w, slot, it);
				KV_COUNT(w, expired, 1);
			} else if (slot != NULL && kv_is_purged(kv, it)) {
				kvroom_remove(w, slot, it);
				KV_COUNT(w, purged, 1);
			} else if (slot != NULL) {
				kvroom_lower(kv, it, item_when(it));
			}
			assoc_unlock(kv->index, hash);
		} else if (seconds != 0 && (min == 0 || seconds < min)) {
			min = seconds;
		}
	}
	if (min != 0)
		kvroom_lower(kv, (const struct item *)(const void *)seg_memory(&kv->pool, no), min);
	__atomic_store_n(&s->era, w->era, __ATOMIC_RELAXED);
	/* pairs(seg-live): readers that came by before the index changed are waited for */
	if (__atomic_load_n(&s->live, __ATOMIC_ACQUIRE) == 0 && seg_take(&kv->pool, no))
		seg_retire(&kv->pool, no);
}

static bool is_due(const struct kv_writer *w, const struct seg *s)
{
	const uint32_t min = __atomic_load_n(&s->min_when, __ATOMIC_RELAXED);

	return (min != 0 && min <= w->now)
		|| (unlikely(w->is_purging)
			&& __atomic_load_n(&s->era, __ATOMIC_RELAXED) != w->era);
}

/* The writer's own open segments and its victim: few, and each is read at most once in a second. */
static void sweep_own(struct kv_writer *w)
{
	if (w->victim != SEG_NONE && is_due(w, &w->kv->pool.segs[w->victim]))
		sweep_seg(w, w->victim);
	for (unsigned q = 0; q < SEG_QUEUES; q++)
		for (unsigned c = 0; c < w->kv->pool.n_classes; c++) {
			const uint32_t no = w->open[q][c];

			if (no != SEG_NONE && is_due(w, &w->kv->pool.segs[no]))
				sweep_seg(w, no);
		}
}

void kvsweep_run(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	uint32_t n_bytes = 0;

	if (likely(w->sweep_at >= kv->pool.n)) {
		if (w->swept_s == w->now)
			return;
		w->swept_s = w->now; /* a new second, a new round */
		w->sweep_at = w->id;
		sweep_own(w);
		if (w->id == 0)
			kvsweep_end_purges(kv);
	}
	for (unsigned i = 0; i < SWEEP_LOOK && n_bytes < SWEEP_BYTES && w->sweep_at < kv->pool.n;
		i++) {
		const uint32_t no = w->sweep_at;
		const struct seg *s = &kv->pool.segs[no];

		/* pairs(seg-seal): what is in it */
		if (is_due(w, s) && __atomic_load_n(&s->state, __ATOMIC_ACQUIRE) == SEG_SEALED) {
			n_bytes += s->fill;
			sweep_seg(w, no);
		}
		w->sweep_at += kv->n_writers;
	}
}

/* Whether every segment that may hold what a purge of this era is about has been swept since. */
static bool is_swept(const struct kv *kv, uint32_t era)
{
	for (uint32_t no = 0; no < kv->pool.n; no++) {
		const struct seg *s = &kv->pool.segs[no];
		const uint8_t state = __atomic_load_n(&s->state, __ATOMIC_RELAXED);

		if ((state == SEG_OPEN || state == SEG_SEALED || state == SEG_VICTIM)
			&& (int32_t)(__atomic_load_n(&s->era, __ATOMIC_RELAXED) - era) < 0)
			return false;
	}
	return true;
}

/* Whether nobody reads the list any more that the last change replaced. */
static bool is_free(struct kv *kv)
{
	if (kv->is_old_read && rte_rcu_qsbr_check(kv->pool.readers, kv->old_token, false) == 1) {
		TSAN_ACQUIRE(kv->pool.readers);
		kv->is_old_read = false;
	}
	return !kv->is_old_read;
}

/* Takes effect for all that begin after it. The holder of purge_lock. */
static void replace(struct kv *kv, struct kv_purges *next)
{
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

/* The list in force with one more; NULL: there is no place. */
static struct kv_purges *extend(struct kv *kv, const void *prefix, uint32_t len)
{
	struct kv_purges *next = &kv->lists[kv->purges == &kv->lists[0]];
	struct kv_prefix *x;

	/* a purge of all is about what the others are about, too */
	if (kv->purges != NULL && len > 0)
		*next = *kv->purges;
	else
		next->n = 0;
	if (next->n == KV_PURGES_MAX)
		return NULL;
	x = &next->prefixes[next->n++];
	x->len = len;
	memcpy(x->data, prefix, len);
	x->number = __atomic_load_n(&kv->number, __ATOMIC_RELAXED);
	next->era = kv->era + 1;
	return next;
}

int kv_purge(struct kv_writer *w, const void *prefix, uint32_t len)
{
	struct kv *kv = w->kv;
	struct kv_purges *next;
	int rc = -EAGAIN;

	if (len > ITEM_KEY_MAX)
		return -EINVAL;
	rte_ticketlock_lock(&kv->purge_lock);
	next = is_free(kv) ? extend(kv, prefix, len) : NULL;
	if (next != NULL) {
		replace(kv, next);
		/* pairs(kv-era): the number of the purge was read before, so those that are taken after are not
		 * below it */
		__atomic_store_n(&kv->era, next->era, __ATOMIC_RELEASE);
		rc = 0;
	}
	rte_ticketlock_unlock(&kv->purge_lock);
	return rc;
}
