/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvroom — where new items get their memory, and how a full cache makes room: a writer walks the oldest segment of the queue that
 * the policy names, item by item, and gives up or copies on what still lives; then the segment is free after a grace
 * period. A segment of which much is dead (replaced, deleted, expired) is walked first, and what lives in it
 * copied on: nothing that lives is given up while the dead can make room.
 *
 * A writer walks a part of a segment before each of its writes, in proportion to what it writes, and more as free segments become
 * few; so the work of a write is bounded, and there is no moment in which much is given up at once.
 */
#include "kv/kvroom.h"

#include "kv/kvdrop.h"

#include <rte_branch_prediction.h>

#define WALK_SHARE 4u  /* bytes walked for each that is written, as long as there is a reserve */
#define WALK_MIN 1024u /* and at least so many */
#define CLEAN_SHARE 4u /* a segment is cleaned when a fourth of it is dead */
#define CLEAN_LOOK 16u /* segments looked at for one */

/* Classes of times to live: as many as leave the segments that all writers may have open in all of them within this part of all. */
#define OPEN_SHARE 4u
#define OPEN_SHARE_FINE 6u
#define CLASS_BITS_MAX 3u
#define CLASS_SECONDS (60u * 60 * 24 * 30) /* a longer time to live is rare */
_Static_assert(SEG_CLASSES == 22 << CLASS_BITS_MAX, "one for each, as class_at() says");

/* Classes of times to live that begin at powers of two, each cut into 1 << bits equal ones; 0 is for ever. */
static uint32_t class_at(uint32_t left, uint32_t bits)
{
	uint32_t shift;

	if (left < 2u << bits)
		return RTE_MAX(left, 1u);
	shift = 31 - (uint32_t)__builtin_clz(left) - bits;
	return (shift << bits) + (left >> shift);
}

static uint8_t class_of(const struct kv *kv, const struct kv_writer *w, uint32_t when)
{
	const uint32_t seconds = when & ITEM_SECONDS;
	uint32_t class;

	if (seconds == 0)
		return 0;
	class = class_at(seconds > w->now ? seconds - w->now : 0, kv->class_bits);
	return (uint8_t)RTE_MIN(class, kv->pool.n_classes - 1);
}

uint32_t kvroom_classes(uint32_t n_segs, uint32_t n_writers, uint32_t *bits)
{
	const uint32_t fine = n_segs / OPEN_SHARE_FINE / SEG_QUEUES / n_writers;

	for (*bits = CLASS_BITS_MAX; *bits > 0; --*bits)
		if (class_at(CLASS_SECONDS, *bits) < fine)
			return class_at(CLASS_SECONDS, *bits) + 1;
	return RTE_MIN(RTE_MAX(n_segs / OPEN_SHARE / SEG_QUEUES / n_writers, 1u),
		class_at(CLASS_SECONDS, 0) + 1);
}

struct item *kvroom_reserve(struct kv_writer *w, uint8_t queue, uint32_t when, uint32_t size)
{
	struct seg_pool *p = &w->kv->pool;
	const uint8_t class = class_of(w->kv, w, when);
	uint32_t *no = &w->open[queue][class];

	if (*no != SEG_NONE && p->segs[*no].fill + size > seg_size(p)) {
		seg_seal(p, *no);
		*no = SEG_NONE;
	}
	if (*no == SEG_NONE)
		*no = seg_open(p, queue, class, w->era);
	if (unlikely(*no == SEG_NONE))
		return NULL;
	return (struct item *)(void *)((uint8_t *)seg_memory(p, *no) + p->segs[*no].fill);
}

void kvroom_commit(struct kv_writer *w, const struct item *it, uint32_t size)
{
	struct seg_pool *p = &w->kv->pool;
	struct seg *s = &p->segs[seg_of(p, it)];

	s->fill += size;
	__atomic_fetch_add(&s->live, (int32_t)size, __ATOMIC_RELAXED);
	kvroom_note_when(w->kv, it, item_when(it));
}

void kvroom_lower(struct kv *kv, const struct item *it, uint32_t when)
{
	struct seg *s = &kv->pool.segs[seg_of(&kv->pool, it)];
	const uint32_t seconds = when & ITEM_SECONDS;
	uint32_t min = __atomic_load_n(&s->min_when, __ATOMIC_RELAXED);

	if (seconds == 0)
		return;
	while ((min == 0 || seconds < min)
		&& !__atomic_compare_exchange_n(
			&s->min_when, &min, seconds, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void kvroom_note_when(struct kv *kv, const struct item *it, uint32_t when)
{
	struct seg *s = &kv->pool.segs[seg_of(&kv->pool, it)];
	const uint32_t seconds = when & ITEM_SECONDS, last = seconds != 0 ? seconds : SEG_NEVER;
	uint32_t max = __atomic_load_n(&s->max_when, __ATOMIC_RELAXED);

	while (last > max
		&& !__atomic_compare_exchange_n(
			&s->max_when, &max, last, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	kvroom_lower(kv, it, when);
}

void kvroom_remove(struct kv_writer *w, union assoc_slot *slot, const struct item *it)
{
	assoc_del_locked(slot);
	KV_COUNT(w, items, -1);
	seg_add_live(&w->kv->pool, it, -(int32_t)kv_item_size(it));
}

/* Copies the item to the end of a queue; false: there is no memory at all. Its stripe is locked. */
static bool copy_on(struct kv_writer *w, union assoc_slot *slot, const struct item *it,
	uint32_t size, const struct evict_verdict *v)
{
	struct item *to = kvroom_reserve(w, v->queue, item_when(it), size);

	if (unlikely(to == NULL))
		return false;
	memcpy(to, it, size);
	kvroom_commit(w, to, size);
	assoc_set_locked(slot, kv_addr(w->kv, to), v->state);
	seg_add_live(&w->kv->pool, it, -(int32_t)size);
	KV_COUNT(w, kept, 1);
	return true;
}

/* One item of the victim. */
static void judge(struct kv_writer *w, const struct item *it, uint32_t size, uint8_t queue)
{
	struct kv *kv = w->kv;
	const uint64_t hash = assoc_hash(item_key(it), item_key_len(it));
	struct evict_verdict v = {.is_kept = true, .queue = queue};
	union assoc_slot *slot;

	assoc_lock(kv->index, hash);
	slot = assoc_find_addr_locked(kv->index, hash, kv_addr(kv, it));
	if (slot == NULL)
		goto out; /* dead already */
	if (kv_is_gone(w, it)) {
		kvroom_remove(w, slot, it);
		KV_COUNT(w, expired, 1);
		goto out;
	}
	if (unlikely(kv_is_purged(kv, it))) {
		kvroom_remove(w, slot, it);
		KV_COUNT(w, purged, 1);
		goto out;
	}
	if (w->is_cleaning)
		v.state = assoc_state(slot);
	else
		v = kv->evict.ops->decide(&kv->evict, queue, hash, assoc_state(slot));
	if (!v.is_kept || !copy_on(w, slot, it, size, &v)) {
		kvroom_remove(w, slot, it);
		KV_COUNT(w, evicted, 1);
	}
out:
	assoc_unlock(kv->index, hash);
}

/* The next one of the victim; returns its size. */
static uint32_t judge_next(struct kv_writer *w)
{
	const struct seg_pool *p = &w->kv->pool;
	const uint8_t *begin = seg_memory(p, w->victim);
	const struct item *it = (const struct item *)(const void *)(begin + w->victim_at);
	const uint32_t size = kv_item_size(it);

	judge(w, it, size, p->segs[w->victim].queue);
	w->victim_at += size;
	return size;
}

/* A segment of which much is dead, now this writer's. */
static uint32_t find_dead(struct kv_writer *w)
{
	struct seg_pool *p = &w->kv->pool;

	for (unsigned i = 0; i < CLEAN_LOOK; i++) {
		const uint32_t no = w->clean_at;
		const struct seg *s = &p->segs[no];
		uint32_t fill;

		w->clean_at = no + 1 < p->n ? no + 1 : 0;
		/* pairs(seg-seal): how much is in it */
		if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != SEG_SEALED)
			continue;
		/* of what was written: room at the end that no item fitted into is not dead, and copying would not gain it */
		fill = s->fill;
		if (__atomic_load_n(&s->live, __ATOMIC_RELAXED)
				<= (int32_t)(fill - fill / CLEAN_SHARE)
			&& !seg_is_pinned(p, no) && seg_take(p, no))
			return no;
	}
	return SEG_NONE;
}

static bool take_victim(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	uint8_t queue;

	w->victim_at = 0;
	w->victim = find_dead(w);
	w->is_cleaning = w->victim != SEG_NONE;
	if (w->is_cleaning)
		return true;
	queue = kv->evict.ops->next_queue(&kv->evict);
	w->victim = seg_take_oldest(&kv->pool, queue);
	return w->victim != SEG_NONE;
}

/* Walks about so many bytes, as far as there is something to walk. */
static void walk(struct kv_writer *w, uint32_t n_bytes)
{
	struct seg_pool *p = &w->kv->pool;
	uint32_t n_walked = 0;

	while (n_walked < n_bytes) {
		if (w->victim == SEG_NONE && !take_victim(w))
			return;
		if (w->victim_at == p->segs[w->victim].fill) {
			seg_retire(p, w->victim);
			w->victim = SEG_NONE;
			continue;
		}
		n_walked += judge_next(w);
	}
}

void kvroom_empty(struct kv_writer *w, uint32_t no)
{
	const uint32_t victim = w->victim, at = w->victim_at;
	const bool is_cleaning = w->is_cleaning;

	w->victim = no;
	w->victim_at = 0;
	w->is_cleaning = true;
	while (w->victim_at < w->kv->pool.segs[no].fill)
		judge_next(w);
	seg_retire(&w->kv->pool, no);
	w->victim = victim;
	w->victim_at = at;
	w->is_cleaning = is_cleaning;
}

void kvroom_make(struct kv_writer *w, uint32_t size)
{
	const struct kv *kv = w->kv;
	const struct seg_pool *p = &kv->pool;
	const uint32_t n_free = __atomic_load_n(&p->n_free, __ATOMIC_RELAXED);
	const uint32_t n_soon = n_free + __atomic_load_n(&p->n_limbo, __ATOMIC_RELAXED);

	if (likely(n_soon > kv->n_reserve))
		return;
	if (n_soon > kv->n_reserve / 2 && kvdrop_help(w))
		while (size > WALK_MIN && kvdrop_help(w))
			size -= WALK_MIN;
	else if (n_soon > kv->n_reserve / 2)
		walk(w, WALK_MIN + size * WALK_SHARE);
	else /* the pace is too slow for what is written: a whole segment */
		walk(w, seg_size(p));
}

int kvroom_give_index(struct kv *kv)
{
	uint32_t no = SEG_NONE;
	bool has_spare;

	rte_ticketlock_lock(
		&kv->index_lock); /* one segment, though several writers may have met the end of the last */
	has_spare = assoc_has_spare(kv->index);
	if (!has_spare)
		no = seg_give(&kv->pool);
	if (no != SEG_NONE) {
		memset(seg_memory(&kv->pool, no), 0, seg_size(&kv->pool));
		assoc_give(kv->index, seg_memory(&kv->pool, no), seg_size(&kv->pool));
	}
	rte_ticketlock_unlock(&kv->index_lock);
	return has_spare || no != SEG_NONE ? 0 : -ENOMEM;
}
