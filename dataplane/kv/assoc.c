/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * assoc — see assoc.h. A lookup costs one line for the bucket and one for the head of the item and a short key; find_bulk fetches
 * those of a burst ahead, so that the misses overlap. At a load of 0.8 of the slots about one bucket in ten has a link.
 *
 * Why no cuckoo moves and no second choice: a key that may be in one of two places costs each miss a second line, and moves
 * need a version that readers check. Why one table that never grows: what it would save is less than a tenth of the memory,
 * and links already take what it was not made for.
 *
 * Ordering. An item's bytes are written before the release store of its slot; the reader's acquire load of the slot makes them
 * visible: pairs(assoc-slot). The same pair orders a new overflow bucket's first slot before the link to it. Deletion
 * needs no order: what a reader still sees is kept until it reports quiescent.
 */
#include "kv/assoc.h"

#include "base/keyhash.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include <errno.h>
#include <stddef.h>

#define STATE_BITS 0xffull
#define TAG_SHIFT 8
#define ADDR_SHIFT 24
#define VALUE_AHEAD 512u /* bytes of an item that are fetched ahead */
#define LINK_SLOT (ASSOC_SLOTS - 1)

struct bucket {
	union assoc_slot slots[ASSOC_SLOTS];
} __rte_cache_aligned;
_Static_assert(sizeof(struct bucket) == ASSOC_BUCKET_SIZE, "a cache line");

struct stripe {
	rte_ticketlock_t lock;
} __rte_cache_aligned;

struct assoc {
	uint64_t n_buckets;
	uint8_t *items;
	struct bucket *buckets;
	rte_ticketlock_t spare_lock;
	struct bucket *spare, *spare_end; /* w: holder of spare_lock. Not given to a chain yet */
	struct stripe stripes[ASSOC_STRIPES];
} __rte_cache_aligned;

static uint64_t tag_of(uint64_t hash)
{
	const uint64_t tag = hash >> 48;

	return (tag != 0 ? tag : 1) << TAG_SHIFT;
}

static bool is_empty(uint64_t word)
{
	return (word & ~STATE_BITS) == 0;
}

static bool has_tag(uint64_t word, uint64_t tag)
{
	return (word & (0xffffull << TAG_SHIFT)) == tag;
}

static bool is_link(uint64_t word)
{
	return has_tag(word, 0) && !is_empty(word);
}

static struct bucket *linked(const struct assoc *a, uint64_t word)
{
	return (struct bucket *)(void *)(a->items + (word >> ADDR_SHIFT) * ITEM_UNIT);
}

static struct item *item_of(const struct assoc *a, uint64_t word)
{
	return (struct item *)(void *)(a->items + (word >> ADDR_SHIFT) * ITEM_UNIT);
}

/* The lower half of the hash, spread over any number of buckets. */
static uint64_t index_of(const struct assoc *a, uint64_t hash)
{
	return (hash & UINT32_MAX) * a->n_buckets >> 32;
}

static struct bucket *bucket_of(const struct assoc *a, uint64_t hash)
{
	return &a->buckets[index_of(a, hash)];
}

static uint64_t load(const union assoc_slot *slot)
{
	/* pairs(assoc-slot): what the word names is as it was written before */
	return __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
}

static void store(union assoc_slot *slot, uint64_t word)
{
	/* pairs(assoc-slot): the item, or the overflow bucket, before the word that names it */
	__atomic_store_n(&slot->word, word, __ATOMIC_RELEASE);
}

uint64_t assoc_hash(const void *key, uint32_t key_len)
{
	return keyhash(key, key_len);
}

uint64_t assoc_size(uint64_t n_buckets)
{
	return sizeof(struct assoc) + n_buckets * sizeof(struct bucket);
}

struct assoc *assoc_init(void *memory, uint64_t n_buckets, void *items)
{
	struct assoc *a = memory;

	a->n_buckets = n_buckets;
	a->items = items;
	a->buckets = (struct bucket *)(void *)(a + 1);
	rte_ticketlock_init(&a->spare_lock);
	for (unsigned i = 0; i < ASSOC_STRIPES; i++)
		rte_ticketlock_init(&a->stripes[i].lock);
	return a;
}

bool assoc_has_spare(struct assoc *a)
{
	bool has;

	rte_ticketlock_lock(&a->spare_lock);
	has = a->spare != a->spare_end;
	rte_ticketlock_unlock(&a->spare_lock);
	return has;
}

void assoc_give(struct assoc *a, void *memory, uint64_t size)
{
	struct bucket *b = memory;

	rte_ticketlock_lock(&a->spare_lock);
	a->spare_end = b + size / sizeof(*b);
	/* a link to the very first bytes would read as an empty slot (A1) */
	a->spare = memory == (void *)a->items ? b + 1 : b;
	rte_ticketlock_unlock(&a->spare_lock);
}

static struct bucket *take_spare(struct assoc *a)
{
	struct bucket *b = NULL;

	rte_ticketlock_lock(&a->spare_lock);
	if (a->spare != a->spare_end)
		b = a->spare++;
	rte_ticketlock_unlock(&a->spare_lock);
	if (b != NULL)
		memset(b, 0, sizeof(*b));
	return b;
}

uint64_t assoc_walk_some(const struct assoc *a, uint64_t from, uint64_t n_buckets,
	void (*on_item)(const struct item *it, void *ctx), void *ctx)
{
	const uint64_t end = RTE_MIN(a->n_buckets, from + n_buckets);

	for (uint64_t i = from; i < end; i++)
		for (const struct bucket *b = &a->buckets[i]; b != NULL;) {
			const struct bucket *next = NULL;

			for (unsigned s = 0; s < ASSOC_SLOTS; s++) {
				const uint64_t word = load(&b->slots[s]);

				if (is_link(word))
					next = linked(a, word);
				else if (!is_empty(word))
					on_item(item_of(a, word), ctx);
			}
			b = next;
		}
	return end < a->n_buckets ? end : 0;
}

void assoc_walk(const struct assoc *a, void (*on_item)(const struct item *it, void *ctx), void *ctx)
{
	assoc_walk_some(a, 0, a->n_buckets, on_item, ctx);
}

void assoc_prefetch(const struct assoc *a, uint64_t hash)
{
	rte_prefetch0(bucket_of(a, hash));
}

void assoc_lock(struct assoc *a, uint64_t hash)
{
	rte_ticketlock_lock(&a->stripes[index_of(a, hash) % ASSOC_STRIPES].lock);
}

void assoc_unlock(struct assoc *a, uint64_t hash)
{
	rte_ticketlock_unlock(&a->stripes[index_of(a, hash) % ASSOC_STRIPES].lock);
}

union assoc_slot *assoc_find_locked(
	const struct assoc *a, uint64_t hash, const void *key, uint32_t key_len, struct item **item)
{
	const uint64_t tag = tag_of(hash);
	struct bucket *b = bucket_of(a, hash);

	for (unsigned i = 0; i < ASSOC_SLOTS; i++) {
		const uint64_t word = load(&b->slots[i]);

		if (has_tag(word, tag) && item_has_key(item_of(a, word), key, key_len)) {
			*item = item_of(a, word);
			return &b->slots[i];
		}
		if (i == LINK_SLOT && is_link(word)) {
			b = linked(a, word);
			i = UINT_MAX; /* from slot 0 of the next */
		}
	}
	return NULL;
}

union assoc_slot *assoc_find_addr_locked(const struct assoc *a, uint64_t hash, uint64_t addr)
{
	const uint64_t want = addr << ADDR_SHIFT | tag_of(hash);
	struct bucket *b = bucket_of(a, hash);

	for (unsigned i = 0; i < ASSOC_SLOTS; i++) {
		const uint64_t word = load(&b->slots[i]);

		if ((word & ~STATE_BITS) == want)
			return &b->slots[i];
		if (i == LINK_SLOT && is_link(word)) {
			b = linked(a, word);
			i = UINT_MAX;
		}
	}
	return NULL;
}

int assoc_add_locked(struct assoc *a, uint64_t hash, uint64_t addr, uint8_t state)
{
	const uint64_t new = addr << ADDR_SHIFT | tag_of(hash) | state;
	struct bucket *b = bucket_of(a, hash), *more;
	uint64_t last;

	for (;;) {
		for (unsigned i = 0; i < ASSOC_SLOTS; i++)
			if (is_empty(load(&b->slots[i]))) {
				store(&b->slots[i], new);
				return 0;
			}
		last = load(&b->slots[LINK_SLOT]);
		if (!is_link(last))
			break;
		b = linked(a, last);
	}
	more = take_spare(a);
	if (more == NULL)
		return -ENOSPC;
	/* both are there before the link is (A2): a reader sees the last slot's key in its old place or in the new one */
	store(&more->slots[0], last);
	store(&more->slots[1], new);
	store(&b->slots[LINK_SLOT],
		(uint64_t)((uint8_t *)more - a->items) / ITEM_UNIT << ADDR_SHIFT);
	return 0;
}

void assoc_set_locked(union assoc_slot *slot, uint64_t addr, uint8_t state)
{
	const uint64_t tag =
		__atomic_load_n(&slot->word, __ATOMIC_RELAXED) & (0xffffull << TAG_SHIFT);

	store(slot, addr << ADDR_SHIFT | tag | state);
}

void assoc_del_locked(union assoc_slot *slot)
{
	__atomic_store_n(&slot->word, 0, __ATOMIC_RELAXED);
}

static uint32_t drop_chain(struct assoc *a, struct bucket *b,
	bool (*is_dropped)(const struct item *it, const void *ctx), const void *ctx)
{
	uint32_t n = 0;

	while (b != NULL) {
		struct bucket *next = NULL;

		for (unsigned s = 0; s < ASSOC_SLOTS; s++) {
			const uint64_t word = load(&b->slots[s]);

			if (is_empty(word))
				continue;
			if (unlikely(is_link(word))) {
				next = linked(a, word);
			} else if (is_dropped(item_of(a, word), ctx)) {
				assoc_del_locked(&b->slots[s]);
				n++;
			}
		}
		b = next;
	}
	return n;
}

uint32_t assoc_drop_some(struct assoc *a, uint64_t from, uint64_t n_buckets,
	bool (*is_dropped)(const struct item *it, const void *ctx), const void *ctx)
{
	const uint64_t end = RTE_MIN(a->n_buckets, from + n_buckets);
	uint32_t n = 0;

	for (uint64_t i = from; i < end; i++) {
		rte_ticketlock_lock(&a->stripes[i % ASSOC_STRIPES].lock);
		n += drop_chain(a, &a->buckets[i], is_dropped, ctx);
		rte_ticketlock_unlock(&a->stripes[i % ASSOC_STRIPES].lock);
	}
	return n;
}

uint64_t assoc_n_buckets(const struct assoc *a)
{
	return a->n_buckets;
}

/* One key from slot `from` of bucket b on. */
static void find_on(
	const struct assoc *a, const struct bucket *b, unsigned from, struct assoc_probe *p)
{
	const uint64_t tag = tag_of(p->hash);

	for (unsigned i = from; i < ASSOC_SLOTS; i++) {
		const uint64_t word = load(&b->slots[i]);

		if (has_tag(word, tag) && item_has_key(item_of(a, word), p->key, p->key_len)) {
			p->item = item_of(a, word);
			p->slot = (union assoc_slot *)(uintptr_t)&b->slots[i];
			p->state = (uint8_t)word;
			return;
		}
		if (i == LINK_SLOT && is_link(word)) {
			b = linked(a, word);
			i = UINT_MAX;
		}
	}
	p->item = NULL;
	p->slot = NULL;
}

/* opt: what follows the key, up to so much that the processor sees by itself where it goes on. */
static inline void prefetch_value(const struct item *it)
{
	const uint8_t *const begin = (const uint8_t *)it;
	const uint8_t *const end = item_value(it) + item_value_len(it);
	const uint8_t *const stop = RTE_MIN(end, begin + VALUE_AHEAD);

	for (const uint8_t *p = begin + RTE_CACHE_LINE_SIZE; p < stop; p += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(p);
	if (end <= stop)
		rte_prefetch0(end - 1);
}

void assoc_find_bulk(const struct assoc *a, struct assoc_probe *probes, unsigned n)
{
	const union assoc_slot *slots
		[ASSOC_BULK]; /* the bucket's, then the one in which the key may be; NULL: none */
	uint64_t words[ASSOC_BULK];

	for (unsigned i = 0; i < n; i++) {
		slots[i] = bucket_of(a, probes[i].hash)->slots;
		rte_prefetch0(slots[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		const union assoc_slot *slot = slots[i], *const end = slot + ASSOC_SLOTS;
		const uint64_t tag = tag_of(probes[i].hash);
		const uint8_t *it;

		do {
			words[i] = load(slot);
		} while (!has_tag(words[i], tag) && ++slot < end);
		slots[i] = slot < end ? slot : NULL;
		/* the last word is a key with this tag, a link, or nothing: the first two are worth fetching */
		it = (const uint8_t *)item_of(a, words[i]);
		rte_prefetch0(it);
		rte_prefetch0(it + sizeof(struct item) + probes[i].key_len);
	}
	for (unsigned i = 0; i < n; i++) {
		struct assoc_probe *p = &probes[i];
		const struct item *it = item_of(a, words[i]);

		if (likely(slots[i] != NULL && item_has_key(it, p->key, p->key_len))) {
			p->item = it;
			prefetch_value(it);
			p->slot = (union assoc_slot *)(uintptr_t)slots[i];
			p->state = (uint8_t)words[i];
		} else {
			/* again from the first slot: words that were passed over may have changed since */
			find_on(a, bucket_of(a, p->hash), 0, p);
		}
	}
}
