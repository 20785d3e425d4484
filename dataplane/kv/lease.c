/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lease — see lease.h. A set is a cache line; a lease that is over is a free place, so nothing has to be swept. The time of grant
 * has 36 bits of milliseconds, more than two years: an entry of that age would look young again for the time of one lease.
 */
#include "kv/lease.h"

#include <rte_common.h>

#include <stddef.h>

#define TIME_BITS 36u
#define TIME_MASK ((1ull << TIME_BITS) - 1)
#define AVERAGE_OF 8u /* the last takes this part of the average */

struct lease_set {
	uint64_t words
		[LEASE_WAYS]; /* hash:28 | granted:36; 0: none. atomic, relaxed: a word says all there is */
} __rte_cache_aligned;

struct lease_table {
	uint32_t n_sets;
	uint32_t
		took; /* AVERAGE_OF times the average; atomic, relaxed. Of two changes at once one may be lost */
	struct lease_set sets[];
} __rte_cache_aligned;

uint64_t lease_size(uint32_t n)
{
	return sizeof(struct lease_table) + n / LEASE_WAYS * sizeof(struct lease_set);
}

struct lease_table *lease_init(void *memory, uint32_t n)
{
	struct lease_table *t = memory;

	t->n_sets = n / LEASE_WAYS;
	return t;
}

/* The index takes the hash's lower half (kv/assoc.c); all bits of a keyed hash are as good. */
static uint64_t *set_of(const struct lease_table *t, uint64_t hash)
{
	return (uint64_t *)(uintptr_t)t->sets[(hash >> 8) & (t->n_sets - 1)].words;
}

static uint64_t tag_of(uint64_t hash)
{
	return hash & ~TIME_MASK;
}

static uint64_t word_of(uint64_t hash, uint64_t now_ms)
{
	return tag_of(hash) | (now_ms & TIME_MASK);
}

/* How long ago it was granted; 0: just now, or a moment later by another thread's clock. */
static uint64_t age_of(uint64_t word, uint64_t now_ms)
{
	const uint64_t age = (now_ms - word) & TIME_MASK;

	return age <= TIME_MASK / 2 ? age : 0;
}

static bool is_live(uint64_t word, uint64_t now_ms, uint32_t lease_ms)
{
	return word != 0 && age_of(word, now_ms) < lease_ms;
}

bool lease_is_taken(const struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms)
{
	const uint64_t *words = set_of(t, hash);

	for (unsigned i = 0; i < LEASE_WAYS; i++) {
		const uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		if (word != 0 && tag_of(word) == tag_of(hash) && is_live(word, now_ms, lease_ms))
			return true;
	}
	return false;
}

/* Where a grant to this key goes, LEASE_WAYS if there is no place. Its own old entry comes first: a key has one. */
static unsigned place_of(const uint64_t *words, uint64_t tag, uint64_t now_ms, uint32_t lease_ms)
{
	unsigned at = LEASE_WAYS;

	for (unsigned i = 0; i < LEASE_WAYS; i++) {
		const uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		if (word != 0 && tag_of(word) == tag)
			return i;
		if (at == LEASE_WAYS && !is_live(word, now_ms, lease_ms))
			at = i;
	}
	return at;
}

enum lease_result lease_take(
	struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms)
{
	uint64_t *words = set_of(t, hash), old;
	unsigned at;

	for (;;) {
		at = place_of(words, tag_of(hash), now_ms, lease_ms);
		if (at == LEASE_WAYS)
			return LEASE_FULL;
		old = __atomic_load_n(&words[at], __ATOMIC_RELAXED);
		if (is_live(old, now_ms, lease_ms)) {
			if (tag_of(old) == tag_of(hash))
				return LEASE_TAKEN;
			continue; /* another key came first */
		}
		if (__atomic_compare_exchange_n(&words[at], &old, word_of(hash, now_ms), false,
			    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return LEASE_WON;
	}
}

/* What took much longer than the lease was stored by somebody who did not ask. */
static void measure(struct lease_table *t, uint64_t took_ms, uint32_t lease_ms)
{
	uint32_t took = __atomic_load_n(&t->took, __ATOMIC_RELAXED), ms;

	if (took_ms > (uint64_t)lease_ms * LEASE_LATE)
		return;
	ms = (uint32_t)RTE_MAX(took_ms, 1u);
	took = took == 0 ? ms * AVERAGE_OF : took - took / AVERAGE_OF + ms;
	__atomic_store_n(&t->took, took, __ATOMIC_RELAXED);
}

/* Takes the key's entry out, and returns it; 0: there is none. One that is over counts: who has it may just be slow. */
static uint64_t take_out(struct lease_table *t, uint64_t hash)
{
	uint64_t *words = set_of(t, hash);

	for (unsigned i = 0; i < LEASE_WAYS; i++) {
		uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		if (word != 0 && tag_of(word) == tag_of(hash)
			&& __atomic_compare_exchange_n(
				&words[i], &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return word;
	}
	return 0;
}

void lease_end(struct lease_table *t, uint64_t hash)
{
	take_out(t, hash);
}

void lease_end_stored(struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms)
{
	const uint64_t word = take_out(t, hash);

	if (word != 0)
		measure(t, age_of(word, now_ms), lease_ms);
}

uint32_t lease_took_ms(const struct lease_table *t)
{
	return __atomic_load_n(&t->took, __ATOMIC_RELAXED) / AVERAGE_OF;
}
