/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * assoc — the index of a cache: from a key to the address of its item, and a byte of state for the eviction policy.
 *
 * A bucket is a cache line of eight slots; a slot is one word: the item's address, 16 bits of the key's hash, the state.
 * A full bucket's last slot becomes a link to an overflow bucket, made from memory that is given to the index when it
 * runs out of them: a table made for larger items than come becomes slower, not full.
 *
 *  A1  a slot is empty when tag and address are 0, whatever its state; a tag of 0 with an address is a link
 *  A2  a key is in at most one slot; while it is there it moves at most from a bucket's last slot to the first of the
 *      overflow bucket which that slot then names
 *  A3  slots are written by the holder of the stripe's lock, but for the state, which readers store as a byte of its own. Such
 *      a store may hit a slot that has just got another item, or none: A1 makes that harmless, and a policy lives with it
 *  A4  a link stays for as long as the table
 *
 * Readers take no lock: the store of a slot's word is what adds, replaces or removes a key for them. They may use an
 * item they have found until they next report quiescent (kv/seg.h).
 */
#include "kv/item.h"

#include <rte_ticketlock.h>

#define ASSOC_BULK 64u
#define ASSOC_BUCKET_SIZE 64u
#define ASSOC_SLOTS 8u
#define ASSOC_STRIPES 1024u

struct assoc;

union assoc_slot {
	uint64_t word; /* address:40 | tag:16 | state:8 */
	uint8_t state; /* its lowest byte: x86-64 and little-endian ARM only, as all of DPDK's tables here */
};

struct assoc_probe {
	const void *key; /* in */
	uint64_t hash;   /* in: assoc_hash() */
	uint32_t key_len;
	uint8_t state;           /* out: as found */
	uint8_t marks;           /* out of kv_get_bulk(): KV_… */
	const struct item *item; /* out: NULL = not there */
	union assoc_slot *slot;  /* out: for assoc_set_state() */
};

/* The hash of a key: keyed, as clients choose keys. Any thread. */
uint64_t assoc_hash(const void *key, uint32_t key_len);

/* Makes an index of n_buckets, below 2^32, in memory of assoc_size() bytes, cache-aligned and
 * zeroed, which stays the caller's. items: what addresses count from. Context: before other threads use it. */
struct assoc *assoc_init(void *memory, uint64_t n_buckets, void *items);
uint64_t assoc_size(uint64_t n_buckets);

/* Looks n keys up, n ≤ ASSOC_BULK. Hot, any thread that reports quiescent, no lock. */
void assoc_find_bulk(const struct assoc *a, struct assoc_probe *probes, unsigned n);

/* Fetches the bucket of a key that is to be found soon. Hot, any thread. */
void assoc_prefetch(const struct assoc *a, uint64_t hash);

/* A reader's note for the policy; relaxed, may be lost. Hot, any thread. */
static inline void assoc_set_state(union assoc_slot *slot, uint8_t state)
{
	__atomic_store_n(&slot->state, state, __ATOMIC_RELAXED);
}

/* The stripe of a key. Spins; nobody holds two, or takes memory meanwhile. Hot. */
void assoc_lock(struct assoc *a, uint64_t hash);
void assoc_unlock(struct assoc *a, uint64_t hash);

/* The slot of a key, NULL if there is none; *item gets its item. The caller holds the key's stripe, here and below. */
union assoc_slot *assoc_find_locked(const struct assoc *a, uint64_t hash, const void *key,
	uint32_t key_len, struct item **item);

/* The slot of the item at this address, NULL if the index no longer names it. */
union assoc_slot *assoc_find_addr_locked(const struct assoc *a, uint64_t hash, uint64_t addr);

/* Adds a key that is not there. 0, or -ENOSPC: it wants assoc_give(), and then again. Release: readers that find the item
 * see what was written to it before.  pairs(assoc-slot) */
int assoc_add_locked(struct assoc *a, uint64_t hash, uint64_t addr, uint8_t state);

/* Gives the slot's key another item (release, as above). */
void assoc_set_locked(union assoc_slot *slot, uint64_t addr, uint8_t state);

/* Removes the key. */
void assoc_del_locked(union assoc_slot *slot);

static inline uint64_t assoc_addr(const union assoc_slot *slot)
{
	return __atomic_load_n(&slot->word, __ATOMIC_RELAXED) >> 24;
}

static inline uint8_t assoc_state(const union assoc_slot *slot)
{
	return __atomic_load_n(&slot->state, __ATOMIC_RELAXED);
}

/* Whether there are overflow buckets left. Any thread. */
bool assoc_has_spare(struct assoc *a);

/* Memory for overflow buckets, inside that of the items, for as long as the index is. There are none left, and one
 * thread at a time gives. */
void assoc_give(struct assoc *a, void *memory, uint64_t size);

/* Calls on_item with each item of n_buckets buckets, and what overflowed from them, from this one on; returns the next one, 0 after the
 * last. Others may write: an item that comes or goes meanwhile may be left out, and one that moves may come twice. Any thread
 * that reports quiescent, and does not meanwhile; no lock. */
uint64_t assoc_walk_some(const struct assoc *a, uint64_t from, uint64_t n_buckets,
	void (*on_item)(const struct item *it, void *ctx), void *ctx);

/* Removes the keys of n_buckets buckets, and of what overflowed from them, from this one on, of whose items is_dropped says so. It is
 * asked under the stripe of the key, and must not read the item. Returns how many. Hot; any thread that holds no stripe. */
uint32_t assoc_drop_some(struct assoc *a, uint64_t from, uint64_t n_buckets,
	bool (*is_dropped)(const struct item *it, const void *ctx), const void *ctx);
uint64_t assoc_n_buckets(const struct assoc *a);

/* Calls on_item with each item, while nobody writes. For assertions and tests. */
void assoc_walk(
	const struct assoc *a, void (*on_item)(const struct item *it, void *ctx), void *ctx);
