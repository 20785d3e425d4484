/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kv — see kv.h: what makes and ends a cache, reading, and figures. One block of memory has everything, in this order: book-keeping,
 * segments' records, ghosts, leases, the index, and the segments, which take what is left.
 */
#include "kv/kv_pvt.h"
#include "kv/kvget.h"
#include "kv/kvroom.h"
#include "kv/kvsweep.h"

#include <rte_debug.h>
#include <rte_malloc.h>

#include <errno.h>

#define SEG_SHIFT_MIN 14u
#define SEG_SHIFT_MAX 20u
#define SEGS_WANTED 4096u /* makes small segments in small caches */
#define ITEMS_PER_LEASE 16u
#define LOAD_PCT 80u /* of the index's slots, with items of the expected size */

struct layout {
	uint64_t writers, segs, ghost, leases, index, base, end;
	uint64_t n_buckets, n_ghosts;
	uint32_t shift, n_segs, n_leases;
};

static uint64_t align(uint64_t size, uint64_t to)
{
	return (size + to - 1) / to * to;
}

static uint32_t shift_for(const struct kv_params *params, uint32_t value_max)
{
	const uint32_t size_max = item_size(ITEM_KEY_MAX, value_max, ITEM_HAS_FLAGS | ITEM_HAS_CAS);
	uint32_t shift = SEG_SHIFT_MIN;

	while (shift < SEG_SHIFT_MAX && params->memory_bytes >> shift > SEGS_WANTED)
		shift++;
	while (1u << shift < size_max)
		shift++;
	return shift;
}

static void lay_out(const struct kv_params *params, struct layout *l)
{
	const uint32_t value_max = params->value_max != 0 ? params->value_max : KV_VALUE_MAX;
	const uint32_t item_bytes = params->item_bytes != 0 ? params->item_bytes : KV_ITEM_BYTES;
	const bool has_ghost = evict_policies[params->policy]->has_ghost;
	const uint64_t n_items = params->memory_bytes / (item_bytes + sizeof(struct item) + 10);

	l->shift = shift_for(params, value_max);
	l->n_segs = (uint32_t)(params->memory_bytes >> l->shift);
	l->n_ghosts = has_ghost ? n_items : 0;
	l->n_leases = rte_align32pow2((uint32_t)RTE_MIN(
		RTE_MAX(n_items / ITEMS_PER_LEASE, (uint64_t)LEASE_MIN), (uint64_t)LEASE_MAX));
	l->n_buckets = RTE_MAX(n_items * 100 / LOAD_PCT / ASSOC_SLOTS, (uint64_t)ASSOC_STRIPES);
	l->writers = align(sizeof(struct kv), 64);
	l->segs = l->writers + params->n_writers * sizeof(struct kv_writer);
	l->ghost = align(l->segs + l->n_segs * sizeof(struct seg), 64);
	l->leases = align(l->ghost + (has_ghost ? ghost_size(l->n_ghosts) : 0), 64);
	l->index = align(l->leases + lease_size(l->n_leases), 64);
	l->base = align(l->index + assoc_size(l->n_buckets), 64);
	l->end = params->memory_bytes;
	l->n_segs = l->end > l->base ? (uint32_t)((l->end - l->base) >> l->shift) : 0;
}

uint64_t kv_memory_min(const struct kv_params *params)
{
	struct kv_params p = *params;
	struct layout l;

	for (p.memory_bytes = 1u << 20;; p.memory_bytes += p.memory_bytes / 8) {
		lay_out(&p, &l);
		if (l.n_segs >= KV_SEGS_MIN)
			return p.memory_bytes;
	}
}

int kv_create(struct kv **out, const struct kv_params *params, struct rte_rcu_qsbr *readers)
{
	struct layout l;
	uint8_t *m;
	struct kv *kv;

	if (params->policy >= EVICT_N || params->n_writers <= params->n_guests
		|| params->value_max > ITEM_VALUE_LIMIT)
		return -EINVAL;
	lay_out(params, &l);
	if (l.n_segs < KV_SEGS_MIN)
		return -EINVAL;
	m = rte_malloc_socket("kv", params->memory_bytes, RTE_CACHE_LINE_SIZE, params->socket_id);
	if (m == NULL)
		return -ENOMEM;
	memset(m, 0, l.base); /* items need not be */
	kv = (struct kv *)(void *)m;
	kv->memory = m;
	kv->memory_bytes = params->memory_bytes;
	kv->value_max = params->value_max != 0 ? params->value_max : KV_VALUE_MAX;
	kv->n_writers = params->n_writers;
	kv->n_sweepers = params->n_writers - params->n_guests;
	kv->n_reserve = 2 * params->n_writers + l.n_segs / 64 + 2;
	kv->writers = (struct kv_writer *)(void *)(m + l.writers);
	kv->index = assoc_init(m + l.index, l.n_buckets, m + l.base);
	seg_pool_init(&kv->pool, m + l.base, l.n_segs, l.shift,
		kvroom_classes(l.n_segs, params->n_writers, &kv->class_bits),
		(struct seg *)(void *)(m + l.segs), readers);
	kv->evict.ops = evict_policies[params->policy];
	kv->evict.pool = &kv->pool;
	if (kv->evict.ops->has_ghost)
		kv->evict.ghost = ghost_init(m + l.ghost, l.n_ghosts);
	kv->leases = lease_init(m + l.leases, l.n_leases);
	kv->number = 1;
	rte_ticketlock_init(&kv->index_lock);
	rte_ticketlock_init(&kv->purge_lock);
	for (unsigned i = 0; i < params->n_writers; i++) {
		struct kv_writer *w = &kv->writers[i];

		w->kv = kv;
		w->id = i;
		w->random = i + 1;
		memset(w->open, 0xff, sizeof(w->open)); /* SEG_NONE */
		w->victim = SEG_NONE;
		w->kept = SEG_NONE;
		w->sweep_at = UINT32_MAX;
		w->look.at = SEG_NONE;
		w->sweep.no = SEG_NONE;
		w->clean_at = (uint32_t)((uint64_t)l.n_segs * i / params->n_writers);
	}
	*out = kv;
	return 0;
}

void kv_destroy(struct kv **kv)
{
	if (*kv == NULL)
		return;
	rte_free((*kv)->memory);
	*kv = NULL;
}

bool kv_pin(struct kv *kv, const void *at)
{
	const uint64_t off = (uint64_t)((uintptr_t)at - (uintptr_t)kv->pool.base);

	return off < (uint64_t)kv->pool.n << kv->pool.shift
		&& seg_pin(&kv->pool, seg_of(&kv->pool, at));
}

void kv_unpin(struct kv *kv, const void *at)
{
	seg_unpin(&kv->pool, seg_of(&kv->pool, at));
}

bool kv_is_pinned(const struct kv *kv)
{
	return seg_pinned(&kv->pool) > 0;
}

struct kv_writer *kv_writer_of(struct kv *kv, unsigned id)
{
	return &kv->writers[id];
}

void kv_set_stampede(struct kv *kv, const struct kv_stampede *s)
{
	__atomic_store_n(&kv->stampede.lease_ms, s->lease_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&kv->stampede.early_pct, s->early_pct, __ATOMIC_RELAXED);
	__atomic_store_n(&kv->stampede.stale_s, s->stale_s, __ATOMIC_RELAXED);
}

void kv_writer_begin(struct kv_writer *w, uint32_t now, int64_t unix_now, uint64_t now_ms)
{
	__atomic_store_n(&w->now, now, __ATOMIC_RELAXED); /* r: kv_usage() */
	w->unix_now = unix_now;
	w->now_ms = now_ms;
	kvget_begin(w);
	kvroom_begin(w);
	kvsweep_flush(w);
	/* pairs(kv-era): the list of purges that made it */
	w->era = __atomic_load_n(&w->kv->era, __ATOMIC_ACQUIRE);
	w->is_purging = __atomic_load_n(&w->kv->purges, __ATOMIC_RELAXED) != NULL;
}

void kv_stats_sum(const struct kv *kv, struct kv_stats *sum)
{
	*sum = (struct kv_stats){0};
	for (unsigned i = 0; i < kv->n_writers; i++) {
		const struct kv_stats *s = &kv->writers[i].stats;

#define X(symbol, help) sum->symbol += __atomic_load_n(&s->symbol, __ATOMIC_RELAXED);
		KV_STATS(X)
#undef X
	}
}

static uint32_t latest_now(const struct kv *kv)
{
	uint32_t now = 0;

	for (unsigned i = 0; i < kv->n_writers; i++)
		now = RTE_MAX(now, __atomic_load_n(&kv->writers[i].now, __ATOMIC_RELAXED));
	return now;
}

void kv_usage(const struct kv *kv, struct kv_usage *usage)
{
	const struct seg_pool *p = &kv->pool;
	struct kv_stats sum;
	const uint32_t stale_s = __atomic_load_n(&kv->stampede.stale_s, __ATOMIC_RELAXED);
	const uint32_t now = latest_now(kv);
	uint32_t oldest = 0;

	kv_stats_sum(kv, &sum);
	*usage = (struct kv_usage){.memory_bytes = kv->memory_bytes,
		.n_items = sum.items,
		.n_segs = p->n,
		.n_free = __atomic_load_n(&p->n_free, __ATOMIC_RELAXED)
			+ __atomic_load_n(&p->n_limbo, __ATOMIC_RELAXED)
			+ __atomic_load_n(&p->n_held, __ATOMIC_RELAXED),
		.n_pinned = seg_pinned(p),
		.n_index_segs = __atomic_load_n(&p->n_given, __ATOMIC_RELAXED),
		.seg_bytes = seg_size(p)};
	for (uint32_t no = 0; no < p->n; no++) {
		const struct seg *s = &p->segs[no];
		const int32_t live = __atomic_load_n(&s->live, __ATOMIC_RELAXED);
		const uint32_t min = __atomic_load_n(&s->min_when, __ATOMIC_RELAXED);

		if (live <= 0)
			continue;
		if (__atomic_load_n(&s->state, __ATOMIC_RELAXED) != SEG_DROPPED)
			usage->item_bytes += (uint32_t)live;
		if (min != 0 && min + stale_s <= now && (oldest == 0 || min < oldest))
			oldest = min;
	}
	usage->expiry_lag_s = oldest != 0 ? now - oldest - stale_s : 0;
}

struct big_walk {
	const struct kv *kv;
	struct kv_biggest *b;
	uint32_t now;
};

static bool has_key_of(const struct kv_big *x, const struct item *it)
{
	return item_has_key(it, x->key, x->key_len);
}

/* Takes the item in, in its place by size, if it is one of the largest so far. */
static void take_big(const struct item *it, void *ctx)
{
	const struct big_walk *walk = ctx;
	struct kv_biggest *b = walk->b;
	const uint32_t size = kv_item_size(it), seconds = item_seconds(it);
	uint32_t at = b->n;

	if (b->n == b->n_max && (b->n == 0 || size <= b->items[b->n - 1].size))
		return;
	if ((seconds != 0 && seconds <= walk->now) || kv_is_purged(walk->kv, it))
		return;
	for (uint32_t i = 0; i < b->n; i++)
		if (has_key_of(&b->items[i], it))
			return; /* moved, or written again, since */
	b->n = RTE_MIN(b->n + 1, b->n_max);
	at = RTE_MIN(at, b->n - 1);
	for (; at > 0 && b->items[at - 1].size < size; at--)
		b->items[at] = b->items[at - 1];
	b->items[at] = (struct kv_big){.size = size,
		.value_len = item_value_len(it),
		.ttl = seconds != 0 ? (int32_t)(seconds - walk->now) : -1,
		.key_len = (uint8_t)item_key_len(it)};
	memcpy(b->items[at].key, item_key(it), item_key_len(it));
}

bool kv_find_biggest(const struct kv *kv, struct kv_biggest *b)
{
	struct big_walk walk = {kv, b, latest_now(kv)};

	b->at = assoc_walk_some(kv->index, b->at, KV_BIG_BUCKETS, take_big, &walk);
	return b->at == 0;
}

struct check {
	const struct kv *kv;
	uint64_t n_items, n_bytes;
};

static void check_item(const struct item *it, void *ctx)
{
	struct check *c = ctx;
	const struct seg *s = &c->kv->pool.segs[seg_of(&c->kv->pool, it)];

	RTE_VERIFY(s->state == SEG_OPEN || s->state == SEG_SEALED || s->state == SEG_VICTIM
		|| s->state == SEG_DROPPED);
	c->n_items++;
	c->n_bytes += s->state != SEG_DROPPED ? kv_item_size(it) : 0;
}

void kv_check(const struct kv *kv)
{
	struct check c = {.kv = kv};
	struct kv_usage usage;

	seg_check(&kv->pool);
	assoc_walk(kv->index, check_item, &c);
	kv_usage(kv, &usage);
	RTE_VERIFY(c.n_items == usage.n_items && c.n_bytes == usage.item_bytes);
}
