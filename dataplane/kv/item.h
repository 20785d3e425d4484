/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * item — how a key and its value lie in a cache's memory: 12 bytes, the fields that few items need, the key, the value. An
 * item is written once, before the index names it, and then read by all workers; what changes of it later is `when`
 * alone, one word: its time of expiry, and who is about it. Addresses (kv/assoc.h) count units of
 * ITEM_UNIT bytes from the start of the cache's memory.
 *
 *      lens   key_len:8 | value_len:24
 *      when   marks:4 | seconds:28       time of expiry on the cache's own time line, 0 = never (kv/kv.h)
 *      number of this value: numbers of a cache grow with each write, and wrap
 *      flags  if ITEM_HAS_FLAGS: the client's flags, when they are not 0
 *      cas    if ITEM_HAS_CAS: what the client wants to see as the number instead, 8 bytes
 *      key, value, up to three bytes of padding
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ITEM_UNIT 4u
#define ITEM_KEY_MAX 250u                 /* memcached's */
#define ITEM_VALUE_LIMIT ((1u << 24) - 1) /* what the length can say */

#define ITEM_HAS_FLAGS 0x80000000u
#define ITEM_HAS_CAS 0x40000000u
#define ITEM_STALE 0x20000000u /* an old value: a client has said so */
#define ITEM_WON 0x10000000u /* a client was told to fetch it anew, and nothing was stored since */
#define ITEM_SECONDS 0x0fffffffu

struct item {
	uint32_t lens;
	uint32_t when; /* w: holder of the stripe's lock, relaxed  r: all, relaxed */
	uint32_t number;
	uint32_t rest[];
};
_Static_assert(sizeof(struct item) == 12, "memory layout");

static inline uint32_t item_key_len(const struct item *it)
{
	return it->lens >> 24;
}

static inline uint32_t item_value_len(const struct item *it)
{
	return it->lens & ITEM_VALUE_LIMIT;
}

static inline uint32_t item_when(const struct item *it)
{
	return __atomic_load_n(&it->when, __ATOMIC_RELAXED);
}

static inline uint32_t item_seconds(const struct item *it)
{
	return item_when(it) & ITEM_SECONDS;
}

/* The holder of the stripe's lock, and who writes an item that the index does not name yet. */
static inline void item_set_when(struct item *it, uint32_t when)
{
	__atomic_store_n(&it->when, when, __ATOMIC_RELAXED);
}

/* Bytes before the key, from the marks of `when`. */
static inline uint32_t item_head_size(uint32_t when)
{
	return 12 + (when & ITEM_HAS_FLAGS ? 4 : 0) + (when & ITEM_HAS_CAS ? 8 : 0);
}

/* Bytes in all, a multiple of ITEM_UNIT. */
static inline uint32_t item_size(uint32_t key_len, uint32_t value_len, uint32_t when)
{
	return (item_head_size(when) + key_len + value_len + ITEM_UNIT - 1) & ~(ITEM_UNIT - 1);
}

static inline const uint8_t *item_key(const struct item *it)
{
	return (const uint8_t *)it + item_head_size(item_when(it));
}

static inline const uint8_t *item_value(const struct item *it)
{
	return item_key(it) + item_key_len(it);
}

static inline uint32_t item_flags(const struct item *it)
{
	return item_when(it) & ITEM_HAS_FLAGS ? it->rest[0] : 0;
}

/* The number that clients compare. */
static inline uint64_t item_cas(const struct item *it)
{
	const uint32_t when = item_when(it);
	uint64_t cas;

	if (!(when & ITEM_HAS_CAS))
		return it->number;
	memcpy(&cas, it->rest + (when & ITEM_HAS_FLAGS ? 1 : 0), sizeof(cas));
	return cas;
}

/* opt: a call of memcmp() takes as long as what it does for a usual key. */
static inline bool item_is_same(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	uint64_t x, y, z, w;

	if (n < sizeof(x))
		return memcmp(a, b, n) == 0;
	if (n <= 2 * sizeof(x)) {
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		memcpy(&z, a + n - sizeof(z), sizeof(z));
		memcpy(&w, b + n - sizeof(w), sizeof(w));
		return ((x ^ y) | (z ^ w)) == 0;
	}
	for (uint32_t at = 0; at < n - sizeof(x); at += sizeof(x)) {
		memcpy(&x, a + at, sizeof(x));
		memcpy(&y, b + at, sizeof(y));
		if (x != y)
			return false;
	}
	memcpy(&x, a + n - sizeof(x), sizeof(x));
	memcpy(&y, b + n - sizeof(y), sizeof(y));
	return x == y;
}

static inline bool item_has_key(const struct item *it, const void *key, uint32_t key_len)
{
	return item_key_len(it) == key_len && item_is_same(item_key(it), key, key_len);
}

/* now: seconds on the cache's time line. */
static inline bool item_is_expired(const struct item *it, uint32_t now)
{
	const uint32_t seconds = item_seconds(it);

	return seconds != 0 && seconds <= now;
}

/* What is written into a new item beside the value's bytes. */
struct item_head {
	const void *key;
	uint32_t key_len, value_len;
	uint32_t when; /* ITEM_HAS_… are made from flags and cas */
	uint32_t flags;
	uint32_t number;
	uint64_t cas; /* 0: as the number */
};

static inline uint32_t item_size_for(const struct item_head *h)
{
	return item_size(h->key_len, h->value_len,
		(h->flags != 0 ? ITEM_HAS_FLAGS : 0) | (h->cas != 0 ? ITEM_HAS_CAS : 0));
}

/* Writes all but the value; returns where its bytes go. The room must have item_size_for(). */
static inline uint8_t *item_write(struct item *it, const struct item_head *h)
{
	uint32_t when = h->when & ~(ITEM_HAS_FLAGS | ITEM_HAS_CAS), *rest = it->rest;

	it->lens = h->key_len << 24 | h->value_len;
	it->number = h->number;
	if (h->flags != 0) {
		when |= ITEM_HAS_FLAGS;
		*rest++ = h->flags;
	}
	if (h->cas != 0) {
		when |= ITEM_HAS_CAS;
		memcpy(rest, &h->cas, sizeof(h->cas));
		rest += 2;
	}
	item_set_when(it, when);
	memcpy(rest, h->key, h->key_len);
	return (uint8_t *)rest + h->key_len;
}
