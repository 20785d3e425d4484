/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_flow — see tcp_flow.h. Buckets of eight, half full on average, an entry in its own bucket or one of the seven behind
 * it. spilled[b] counts those of bucket b that are in another: a search goes beyond a bucket only where there are some.
 *
 *  I1  an entry is at most PROBES - 1 buckets behind its own
 *  I2  spilled[b] is the number of entries whose own bucket is b and that are elsewhere
 *
 * A search of a burst goes through it three times, so that the misses of its memory overlap: buckets, entries, tuples. Entries come
 * with what who looks for one goes on with.
 */
#include "tcp/tcp_flow.h"

#include "base/keyhash.h"

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include <emmintrin.h>
#include <errno.h>
#include <string.h>

#define SLOTS 8u
#define PROBES 8u /* of 1M flows in their table, 1 in 100,000 would find no room in 4 */

struct bucket {
	uint32_t hash[SLOTS];
	uint32_t ref[SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

struct tcp_flow {
	struct bucket *buckets;
	uint16_t *spilled;
	uint32_t mask;
	struct tcp_flow_array arrays[TCP_N_KINDS];
};

int tcp_flow_create(
	struct tcp_flow **out, uint32_t n, const struct tcp_flow_array *arrays, int socket_id)
{
	const uint32_t n_buckets = rte_align32pow2(RTE_MAX(n * 2 / SLOTS, 16u));
	struct tcp_flow *f = rte_zmalloc_socket("tcp_flow", sizeof(*f), 64, socket_id);

	if (f == NULL)
		return -ENOMEM;
	f->buckets = rte_zmalloc_socket(
		"tcp_flow", n_buckets * sizeof(*f->buckets), sizeof(struct bucket), socket_id);
	f->spilled = rte_zmalloc_socket("tcp_flow", n_buckets * sizeof(*f->spilled), 64, socket_id);
	if (f->buckets == NULL || f->spilled == NULL) {
		tcp_flow_destroy(&f);
		return -ENOMEM;
	}
	f->mask = n_buckets - 1;
	memcpy(f->arrays, arrays, sizeof(f->arrays));
	*out = f;
	return 0;
}

void tcp_flow_destroy(struct tcp_flow **f)
{
	if (*f == NULL)
		return;
	rte_free((*f)->buckets);
	rte_free((*f)->spilled);
	rte_free(*f);
	*f = NULL;
}

static const struct tcp_tuple *tuple_of(const struct tcp_flow *f, uint32_t ref)
{
	const struct tcp_flow_array *a = &f->arrays[TCP_FLOW_KIND(ref)];

	return (const struct tcp_tuple *)(const void *)((const uint8_t *)a->base
		+ (size_t)a->stride * TCP_FLOW_IDX(ref));
}

/* opt: of an IPv4 tuple what is not 0 in all of them. */
static uint32_t hash_of(const struct tcp_tuple *tuple)
{
	uint32_t words[4] = {0};

	if (unlikely(tuple->family != 4))
		return (uint32_t)keyhash(tuple, sizeof(*tuple));
	memcpy(&words[0], tuple->src, 4);
	memcpy(&words[1], tuple->dst, 4);
	memcpy(&words[2], &tuple->sport, 4);
	return (uint32_t)keyhash(words, sizeof(words));
}
_Static_assert(offsetof(struct tcp_tuple, dport) == offsetof(struct tcp_tuple, sport) + 2, "");

static bool is_same(const struct tcp_tuple *a, const struct tcp_tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint32_t find_hashed(const struct tcp_flow *f, const struct tcp_tuple *tuple, uint32_t hash)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		const struct bucket *b = &f->buckets[(hash + i) & f->mask];

		for (unsigned s = 0; s < SLOTS; s++)
			if (b->hash[s] == hash && b->ref[s] != TCP_FLOW_NONE
				&& is_same(tuple_of(f, b->ref[s]), tuple))
				return b->ref[s];
		if (likely(f->spilled[hash & f->mask] == 0))
			break;
	}
	return TCP_FLOW_NONE;
}

uint32_t tcp_flow_find(const struct tcp_flow *f, const struct tcp_tuple *tuple)
{
	return find_hashed(f, tuple, hash_of(tuple));
}

/* The first of the bucket that has this hash. opt: all of them at once. */
static inline uint32_t likely_ref(const struct bucket *b, uint32_t hash)
{
	const __m128i *const hashes = (const __m128i *)(const void *)b->hash;
	const __m128i want = _mm_set1_epi32((int)hash);
	const __m128i low = _mm_cmpeq_epi32(_mm_load_si128(hashes), want);
	const __m128i high = _mm_cmpeq_epi32(_mm_load_si128(hashes + 1), want);
	const uint32_t found = (uint32_t)_mm_movemask_epi8(_mm_packs_epi32(low, high));

	return found != 0 ? b->ref[__builtin_ctz(found) / 2] : TCP_FLOW_NONE;
}
_Static_assert(SLOTS == 8, "two registers of hashes");

/* Whole lines from the entry's first. opt: those of a connection without a loop. */
static inline void prefetch_entry(const struct tcp_flow *f, uint32_t ref)
{
	const uint8_t *entry = (const uint8_t *)tuple_of(f, ref);
	const uint32_t n = f->arrays[TCP_FLOW_KIND(ref)].n_fetched;

	rte_prefetch0(entry);
	if (likely(n == 4 * RTE_CACHE_LINE_SIZE)) {
		rte_prefetch0(entry + RTE_CACHE_LINE_SIZE);
		rte_prefetch0(entry + 2 * RTE_CACHE_LINE_SIZE);
		rte_prefetch0(entry + 3 * RTE_CACHE_LINE_SIZE);
		return;
	}
	for (uint32_t at = RTE_CACHE_LINE_SIZE; at < n; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(entry + at);
}

void tcp_flow_find_bulk(const struct tcp_flow *f, const struct tcp_tuple *tuples, unsigned n,
	uint32_t *hashes, uint32_t *refs)
{
	for (unsigned i = 0; i < n; i++) {
		hashes[i] = hash_of(&tuples[i]);
		rte_prefetch0(&f->buckets[hashes[i] & f->mask]);
	}
	for (unsigned i = 0; i < n; i++) {
		refs[i] = likely_ref(&f->buckets[hashes[i] & f->mask], hashes[i]);
		if (refs[i] != TCP_FLOW_NONE)
			prefetch_entry(f, refs[i]);
	}
	for (unsigned i = 0; i < n; i++)
		if (unlikely(
			    refs[i] == TCP_FLOW_NONE || !is_same(tuple_of(f, refs[i]), &tuples[i])))
			refs[i] = find_hashed(f, &tuples[i], hashes[i]);
}

bool tcp_flow_add(struct tcp_flow *f, uint32_t ref)
{
	const uint32_t hash = hash_of(tuple_of(f, ref));

	for (uint32_t i = 0; i < PROBES; i++) {
		struct bucket *b = &f->buckets[(hash + i) & f->mask];

		for (unsigned s = 0; s < SLOTS; s++)
			if (b->ref[s] == TCP_FLOW_NONE) {
				b->hash[s] = hash;
				b->ref[s] = ref;
				f->spilled[hash & f->mask] += i > 0;
				return true;
			}
	}
	return false;
}

void tcp_flow_del(struct tcp_flow *f, uint32_t ref)
{
	const uint32_t hash = hash_of(tuple_of(f, ref));

	for (uint32_t i = 0; i < PROBES; i++) {
		struct bucket *b = &f->buckets[(hash + i) & f->mask];

		for (unsigned s = 0; s < SLOTS; s++)
			if (b->ref[s] == ref) {
				b->ref[s] = TCP_FLOW_NONE;
				f->spilled[hash & f->mask] -= i > 0;
				return;
			}
	}
}

uint32_t tcp_flow_count(const struct tcp_flow *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= f->mask; i++)
		for (unsigned s = 0; s < SLOTS; s++)
			n += f->buckets[i].ref[s] != TCP_FLOW_NONE;
	return n;
}
