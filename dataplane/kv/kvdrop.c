/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvdrop — taking many items out of the index at once. To find an item's word costs a miss of the cache; where a large part of all
 * has expired it is less work to read the whole index from end to end, and to empty each word that names a segment in which
 * nothing lives any more. No item is read for that.
 *
 * Each segment knows the second at which the last of it has expired. As a second begins, writer 0 adds up what lies in
 * segments that are past it; if it is much, these are DROPPED: out of the chains, nobody's. Then all writers walk the
 * index, a part at a time, and as the last part is done, writer 0 retires them.
 *
 *  D1  DROPPED segments are all taken before the walk begins, and nothing is written to them
 *  D2  that an item's segment ends later than the walk's limit is noted under the item's stripe, and the walk asks for it under the
 *      stripe: so a word is emptied only if what it names has expired
 *  D3  when the walk is over the index names nothing in a DROPPED segment, unless D2 has kept it: a writer whose clock is behind
 *      has given an item another time. What lives in such a segment is copied on before it is retired
 *
 * `live` of a DROPPED segment is not kept, as no item's size is known. What other writers still take from it is less than the
 * grace period old, and so is over before the segment is used again.
 */
#include "kv/kvdrop.h"

#include "kv/kvroom.h"

#include <rte_branch_prediction.h>

#define LOOK_SEGS 256u /* looked at in a part */
#define TAKE_SEGS 64u  /* taken, or given back */
#define WALK_BUCKETS 128u
/* From so large a part of the index's slots on, a walk is less work than removing one by one. */
#define WORTH_SHARE 8u

static uint8_t state_of(const struct kv_drop *d)
{
	/* pairs(kv-drop): of KV_DROP_ENDING, that all words are empty */
	return __atomic_load_n(&d->state, __ATOMIC_ACQUIRE);
}

static void set_state(struct kv_drop *d, enum kv_drop_state state)
{
	/* pairs(kv-drop): the last part is done before it is seen to be */
	__atomic_store_n(&d->state, (uint8_t)state, __ATOMIC_RELEASE);
}

static bool is_over(const struct seg *s, uint32_t limit)
{
	return __atomic_load_n(&s->max_when, __ATOMIC_RELAXED) <= limit;
}

void kvdrop_begin(struct kv_writer *w)
{
	if (state_of(&w->kv->drop) != KV_DROP_NONE || w->stampede.stale_s >= w->now)
		return;
	w->look = (struct kv_look){.limit = w->now - w->stampede.stale_s};
}

/* Whether what was found dead is so much that the walk is less work. */
static bool is_worth_it(const struct kv_writer *w)
{
	const struct kv *kv = w->kv;
	uint64_t n_items = 0;

	for (unsigned i = 0; i < kv->n_writers; i++)
		n_items += __atomic_load_n(&kv->writers[i].stats.items, __ATOMIC_RELAXED);
	return w->look.n_dead_bytes > 0
		&& (double)n_items * (double)w->look.n_dead_bytes / (double)w->look.n_bytes
		> (double)(assoc_n_buckets(kv->index) * ASSOC_SLOTS / WORTH_SHARE);
}

static void begin_walk(struct kv_writer *w)
{
	struct kv_drop *d = &w->kv->drop;

	w->look.at = SEG_NONE;
	if (!w->look.is_taking)
		return;
	d->limit = w->look.limit;
	__atomic_store_n(&d->n_done, 0, __ATOMIC_RELAXED);
	/* pairs(kv-drop): who takes a part sees the segments that were dropped, and the limit */
	__atomic_store_n(&d->at, 0, __ATOMIC_RELEASE);
	set_state(d, KV_DROP_WALKING);
}

/* Adds up, or takes, a part of the segments. */
static void look(struct kv_writer *w)
{
	struct seg_pool *p = &w->kv->pool;
	struct kv_look *l = &w->look;
	const uint32_t end = RTE_MIN(p->n, l->at + (l->is_taking ? TAKE_SEGS : LOOK_SEGS));

	for (; l->at < end; l->at++) {
		const struct seg *s = &p->segs[l->at];
		const int32_t live = __atomic_load_n(&s->live, __ATOMIC_RELAXED);

		if (live <= 0)
			continue;
		l->n_bytes += (uint32_t)live;
		/* pairs(seg-seal): what is in it */
		if (__atomic_load_n(&s->state, __ATOMIC_ACQUIRE) != SEG_SEALED
			|| !is_over(s, l->limit))
			continue;
		l->n_dead_bytes += (uint32_t)live;
		if (l->is_taking)
			seg_drop(p, l->at);
	}
	if (l->at < p->n)
		return;
	if (!l->is_taking && is_worth_it(w)) {
		l->is_taking = true;
		l->at = 0;
	} else {
		begin_walk(w);
	}
}

/* D2. */
static bool is_dropped(const struct item *it, const void *ctx)
{
	const struct kv *kv = ctx;
	const struct seg *s = &kv->pool.segs[seg_of(&kv->pool, it)];

	return __atomic_load_n(&s->state, __ATOMIC_RELAXED) == SEG_DROPPED
		&& is_over(s, kv->drop.limit);
}

bool kvdrop_help(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	struct kv_drop *d = &kv->drop;
	const uint64_t n_buckets = assoc_n_buckets(kv->index);
	uint64_t at, n;
	uint32_t n_items;

	if (likely(state_of(d) != KV_DROP_WALKING)
		|| __atomic_load_n(&d->at, __ATOMIC_RELAXED) >= n_buckets)
		return false;
	/* pairs(kv-drop): of this walk, if it is not the one that the state was read of */
	at = __atomic_fetch_add(&d->at, WALK_BUCKETS, __ATOMIC_ACQUIRE);
	if (at >= n_buckets)
		return false;
	n = RTE_MIN(n_buckets - at, (uint64_t)WALK_BUCKETS);
	n_items = assoc_drop_some(kv->index, at, n, is_dropped, kv);
	KV_COUNT(w, items, -(uint64_t)n_items);
	KV_COUNT(w, expired, n_items);
	/* pairs(kv-drop): who does the last part has seen the others done */
	if (__atomic_add_fetch(&d->n_done, n, __ATOMIC_ACQ_REL) == n_buckets)
		set_state(d, KV_DROP_ENDING);
	return true;
}

/* D3. */
static void retire_some(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	struct seg_pool *p = &kv->pool;

	if (w->kept != SEG_NONE) {
		if (kvroom_empty(w, w->kept, &w->kept_at))
			w->kept = SEG_NONE;
		return;
	}
	for (unsigned i = 0; i < TAKE_SEGS; i++) {
		const uint32_t no = seg_take_dropped(p);

		if (no == SEG_NONE) {
			set_state(&kv->drop, KV_DROP_NONE);
			return;
		}
		if (likely(is_over(&p->segs[no], kv->drop.limit))) {
			seg_retire(p, no);
		} else {
			w->kept = no;
			w->kept_at = 0;
			return;
		}
	}
}

bool kvdrop_run(struct kv_writer *w)
{
	if (w->look.at != SEG_NONE)
		look(w);
	else if (w->id == 0 && state_of(&w->kv->drop) == KV_DROP_ENDING)
		retire_some(w);
	else
		return kvdrop_help(w);
	return true;
}
