/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvroom — where new items get their memory, and how a full cache makes room: a writer walks the oldest segment of the queue that
 * the policy names, item by item, and gives up or copies on what still lives; then the segment is free after a grace
 * period. A segment of which much is dead (replaced, deleted, expired) is walked first, and what lives in it
 * copied on: nothing that lives is given up while the dead can make room.
 *
 * A writer walks before each of its writes, so many bytes for each that it writes as there is a lack of: the share grows from 0, where
 * the reserve is whole, to WALK_SHARE, where half of it is gone. What is there is reckoned in bytes and not in segments, with what is left of
 * the one that is written to and what was walked of the victim. So the share comes to rest where as much is gained as is
 * written, and all writes bear the same. (To walk at one pace from when segments are few until one more is free made nine of ten sets of
 * 140 bytes quick and the tenth ten times as dear, a millisecond of them in a row.)
 *
 * The work of a write is bounded, in units of about 5 ns: UNITS_WRITE, and in proportion to what it writes. When half of the reserve is
 * gone the pace was too slow, as where all that was walked is to stay; then a write walks as far as that bound, but all of a loop
 * together as far as UNITS_URGENT, unless three quarters are gone: then a set would be refused else. What is copied on leaves the last
 * quarter to what is written, and goes where it finds nothing else. The rest of a debt is for the next writes.
 *
 * An item of the victim costs its bucket of the index, which is fetched some items ahead, while other things are done.
 */
#include "kv/kvroom.h"

#include "kv/kvdrop.h"

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#define WALK_SHARE 16u      /* bytes walked for each that is written, at most */
#define HEAD_BYTES 16u      /* of an item, about */
#define UNITS_WRITE 8192u   /* 40 us */
#define UNITS_URGENT 40960u /* 200 us in a millisecond */
#define UNITS_ITEM 16u      /* and one for each cache line */
#define UNITS_VICTIM 64u    /* to choose one */
#define DUE_MAX 2u          /* segments */
#define AHEAD_BYTES 512u    /* of the victim, that are fetched before they are looked at */
#define HELP_BYTES 1024u    /* written for each part of a drop's walk */
#define CLEAN_SHARE 4u      /* a segment is cleaned when a fourth of it is dead */
#define CLEAN_LOOK 16u      /* segments looked at for one */

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

/* Room for an item, in a segment that it opens only where more than n_left are free. */
static struct item *reserve(
	struct kv_writer *w, uint8_t queue, uint32_t when, uint32_t size, uint32_t n_left)
{
	struct seg_pool *p = &w->kv->pool;
	const uint8_t class = class_of(w->kv, w, when);
	uint32_t *no = &w->open[queue][class];

	if (*no != SEG_NONE && unlikely(p->segs[*no].fill + size > seg_size(p))) {
		w->room -= seg_size(p) - p->segs[*no].fill;
		seg_seal(p, *no);
		*no = SEG_NONE;
	}
	if (unlikely(*no == SEG_NONE)) {
		*no = seg_open(p, queue, class, w->era, n_left);
		if (*no == SEG_NONE)
			return NULL;
		w->room += seg_size(p);
	}
	return (struct item *)(void *)((uint8_t *)seg_memory(p, *no) + p->segs[*no].fill);
}

struct item *kvroom_reserve(struct kv_writer *w, uint8_t queue, uint32_t when, uint32_t size)
{
	return reserve(w, queue, when, size, 0);
}

void kvroom_commit(struct kv_writer *w, const struct item *it, uint32_t size)
{
	struct seg_pool *p = &w->kv->pool;
	struct seg *s = &p->segs[seg_of(p, it)];

	s->fill += size;
	w->room -= size;
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

/* Copies the item to the end of a queue; false: there is no memory, but the last, which the writes have that the walk is for. Its
 * stripe is locked. */
static bool copy_on(struct kv_writer *w, union assoc_slot *slot, const struct item *it,
	uint32_t size, const struct evict_verdict *v)
{
	struct item *to = reserve(w, v->queue, item_when(it), size, w->kv->n_reserve / 4);

	if (unlikely(to == NULL))
		return false;
	memcpy(to, it, size);
	kvroom_commit(w, to, size);
	assoc_set_locked(slot, kv_addr(w->kv, to), v->state);
	seg_add_live(&w->kv->pool, it, -(int32_t)size);
	KV_COUNT(w, kept, 1);
	return true;
}

/* One item of a VICTIM. */
static void judge(
	struct kv_writer *w, const struct item *it, uint64_t hash, uint8_t queue, bool is_cleaning)
{
	struct kv *kv = w->kv;
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
	if (is_cleaning)
		v.state = assoc_state(slot);
	else
		v = kv->evict.ops->decide(&kv->evict, queue, hash, assoc_state(slot));
	if (!v.is_kept || !copy_on(w, slot, it, kv_item_size(it), &v)) {
		kvroom_remove(w, slot, it);
		KV_COUNT(w, evicted, 1);
	}
out:
	assoc_unlock(kv->index, hash);
}

static const struct item *item_at(const struct seg_pool *p, uint32_t no, uint32_t at)
{
	return (const struct item *)(const void *)((const uint8_t *)seg_memory(p, no) + at);
}

/* Reads the heads of the victim's next items, and fetches what they will be judged by. */
static void look_ahead(struct kv_writer *w)
{
	const struct seg_pool *p = &w->kv->pool;
	const uint32_t fill = p->segs[w->victim].fill;
	struct kv_ahead *a = &w->ahead;

	while (a->n < KV_AHEAD && a->at < fill) {
		const struct item *it = item_at(p, w->victim, a->at);
		const uint64_t hash = assoc_hash(item_key(it), item_key_len(it));

		assoc_prefetch(w->kv->index, hash);
		a->hashes[(a->first + a->n++) % KV_AHEAD] = hash;
		a->at += kv_item_size(it);
		if (a->at + AHEAD_BYTES < fill)
			rte_prefetch0(item_at(p, w->victim, a->at + AHEAD_BYTES));
	}
}

/* The next one of the victim; returns its size. */
static uint32_t judge_next(struct kv_writer *w)
{
	const struct seg_pool *p = &w->kv->pool;
	const struct item *it = item_at(p, w->victim, w->victim_at);
	const uint32_t size = kv_item_size(it);
	struct kv_ahead *a = &w->ahead;

	look_ahead(w);
	judge(w, it, a->hashes[a->first % KV_AHEAD], p->segs[w->victim].queue, w->is_cleaning);
	a->first++;
	a->n--;
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
	w->ahead = (struct kv_ahead){0};
	w->victim = find_dead(w);
	w->is_cleaning = w->victim != SEG_NONE;
	if (w->is_cleaning)
		return true;
	queue = kv->evict.ops->next_queue(&kv->evict);
	w->victim = seg_take_oldest(&kv->pool, queue);
	return w->victim != SEG_NONE;
}

/* Walks so many bytes, or units, as far as there is something to walk; returns how many units. What it walked comes off the debt. */
static uint32_t walk(struct kv_writer *w, int64_t n_bytes, uint32_t n_units)
{
	struct seg_pool *p = &w->kv->pool;
	uint32_t units = 0;

	while (n_bytes > 0 && units < n_units) {
		uint32_t size;

		if (w->victim == SEG_NONE) {
			units += UNITS_VICTIM;
			if (!take_victim(w)) {
				w->walk_due = 0;
				break;
			}
		}
		if (w->victim_at == p->segs[w->victim].fill) {
			seg_retire(p, w->victim);
			w->victim = SEG_NONE;
			w->victim_at = 0;
			continue;
		}
		size = judge_next(w);
		n_bytes -= size;
		w->walk_due -= size;
		units += UNITS_ITEM + size / RTE_CACHE_LINE_SIZE;
	}
	return units;
}

bool kvroom_empty(struct kv_writer *w, uint32_t no, uint32_t *at)
{
	struct seg_pool *p = &w->kv->pool;
	uint32_t units = 0;

	for (; *at < p->segs[no].fill && units < UNITS_WRITE; units += UNITS_ITEM) {
		const struct item *it = item_at(p, no, *at);
		const uint32_t size = kv_item_size(it);

		judge(w, it, assoc_hash(item_key(it), item_key_len(it)), p->segs[no].queue, true);
		*at += size;
		units += size / RTE_CACHE_LINE_SIZE;
	}
	if (*at < p->segs[no].fill)
		return false;
	seg_retire(p, no);
	return true;
}

/* Bytes that are not there of those that shall be. */
static int64_t lack_of(const struct kv_writer *w, uint32_t n_soon)
{
	const uint32_t shift = w->kv->pool.shift;
	const int64_t there =
		((int64_t)n_soon << shift) + w->victim_at + RTE_MIN(w->room, (int64_t)1 << shift);

	return ((int64_t)(w->kv->n_reserve + 1) << shift) - there;
}

static void pay(struct kv_writer *w, uint32_t size, uint32_t n_soon)
{
	const struct kv *kv = w->kv;
	const uint32_t n_may_lack = kv->n_reserve - kv->n_reserve / 2 + 1;
	const uint32_t n_units = UNITS_WRITE + size / HEAD_BYTES;
	const int64_t lack = lack_of(w, n_soon);
	uint64_t share; /* of WALK_SHARE, in 256ths */

	if (lack <= 0)
		return;
	share = RTE_MIN(((uint64_t)lack >> (kv->pool.shift - 8)) / n_may_lack, 256u);
	w->walk_due += (int64_t)((size + HEAD_BYTES) * share * WALK_SHARE >> 8);
	w->walk_due = RTE_MIN(w->walk_due, (int64_t)DUE_MAX << kv->pool.shift);
	if (unlikely(n_soon <= kv->n_reserve / 2)
		&& (w->urgent_left > 0 || n_soon <= kv->n_reserve / 4)) {
		const uint32_t units = walk(w, seg_size(&kv->pool), n_units);

		w->urgent_left -= RTE_MIN(units, w->urgent_left);
		w->walk_due = 0;
		return;
	}
	walk(w, w->walk_due, n_units);
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
		while (size > HELP_BYTES && kvdrop_help(w))
			size -= HELP_BYTES;
	else
		pay(w, size, n_soon);
}

void kvroom_begin(struct kv_writer *w)
{
	w->urgent_left = UNITS_URGENT;
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
	if (no != SEG_NONE)
		assoc_give(kv->index, seg_memory(&kv->pool, no), seg_size(&kv->pool));
	rte_ticketlock_unlock(&kv->index_lock);
	return has_spare || no != SEG_NONE ? 0 : -ENOMEM;
}
