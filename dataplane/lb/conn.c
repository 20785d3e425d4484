/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn — see conn.h. An open hash table of buckets of one cache line; each has ten tags of its keys' hashes, the
 * entries they belong to, and the head of a chain of entries that did not fit. The key is not kept twice: it is compared
 * in the entry, which the caller reads anyway. Only an IPv6 VIP, for which the entry has no room, is in an array beside
 * it.
 *
 * A key has one bucket. Buckets are six tenths full when the table is; then 1.2 % of the entries are in
 * chains (Poisson), nothing is ever moved to make room, and the table holds n_max whatever the keys. Who does
 * not know keyhash's secret cannot choose keys of one bucket. (librte_hash took 120 to 128 bytes for an
 * IPv4 connection.)
 *
 * Memory per connection: entry 64, wheel link 8, bucket share 10.7, next 4 bytes: 87; IPv6: VIP 16, 103.
 *
 *  I1  each live entry (proto != 0) is in one slot or in the chain of its key's bucket, once; no other is
 *  I2  entries that are not live are in the free list
 *  I3  a bucket with a chain has no free slot
 *  I4  n is the number of live entries
 */
#include "lb/conn.h"

#include "base/keyhash.h"
#include "base/wheel.h"

#include <rte_malloc.h>
#include <rte_prefetch.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 10u
#define LOAD 6u /* entries for each bucket of a full table */
#define KEY_MAX sizeof(struct conn_key6)
#define VIP_BYTES 16u

struct bucket {
	uint16_t tags[SLOTS]; /* 0: free */
	uint32_t chain;       /* CONN_NONE: empty */
	uint32_t idx[SLOTS];
} __rte_cache_aligned;
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

struct half {
	struct bucket *buckets;
	struct conn *entries;
	uint8_t *vips;  /* IPv6: 16 bytes for each entry; else NULL */
	uint32_t *next; /* of the chain, or of the free list */
	struct wheel_link *links;
	struct wheel wheel;
	uint32_t n, max;
	uint32_t n_buckets;
	uint32_t free_head;
	uint32_t addr_len; /* 4 or 16 */
};

struct table {
	struct conn_table shown; /* first: what others have a pointer to */
	struct half v4, v6;
};

/* A key as bytes: client, VIP, both ports, protocol, padding. Of an entry, ports and protocol are these five bytes. */
#define PORTS_AT offsetof(struct conn, client_port)
#define TAIL_BYTES 5u
_Static_assert(offsetof(struct conn, vip_port) == PORTS_AT + 2
		&& offsetof(struct conn, proto) == PORTS_AT + 4 && PORTS_AT % 8 == 0,
	"compared at once");
_Static_assert(offsetof(struct conn_key4, dst) == 4 && offsetof(struct conn_key4, sport) == 8
		&& offsetof(struct conn_key4, proto) == 12,
	"layout of keys");
_Static_assert(offsetof(struct conn_key6, dst) == 16 && offsetof(struct conn_key6, sport) == 32
		&& offsetof(struct conn_key6, proto) == 36,
	"layout of keys");

static inline struct table *table_of(struct conn_table *t)
{
	return (struct table *)(void *)t;
}

static inline const struct table *table_in(const struct conn_table *t)
{
	return (const struct table *)(const void *)t;
}

static struct half *half_of(struct conn_table *t, uint32_t idx)
{
	return idx & CONN_V6 ? &table_of(t)->v6 : &table_of(t)->v4;
}

static void *alloc(size_t n, size_t size, int socket_id)
{
	return rte_zmalloc_socket("conn", n * size, RTE_CACHE_LINE_SIZE, socket_id);
}

static int half_init(struct half *h, const struct conn_params *p, bool is_v6)
{
	const uint32_t max = is_v6 ? p->n_max6 : p->n_max4;

	if (max < CONN_MIN || max >= CONN_V6)
		return -EINVAL;
	h->max = max;
	h->addr_len = is_v6 ? 16 : 4;
	h->n_buckets = (max + LOAD - 1) / LOAD;
	h->buckets = alloc(h->n_buckets, sizeof(*h->buckets), p->socket_id);
	h->entries = alloc(max, sizeof(*h->entries), p->socket_id);
	h->vips = is_v6 ? alloc(max, VIP_BYTES, p->socket_id) : NULL;
	h->next = alloc(max, sizeof(*h->next), p->socket_id);
	h->links = alloc(max, sizeof(*h->links), p->socket_id);
	if (h->buckets == NULL || h->entries == NULL || (is_v6 && h->vips == NULL)
		|| h->next == NULL || h->links == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->n_buckets; i++)
		h->buckets[i].chain = CONN_NONE;
	for (uint32_t i = 0; i < max; i++)
		h->next[i] = i + 1 < max ? i + 1 : CONN_NONE;
	wheel_init(&h->wheel, h->links, max, 0, WHEEL_TICK_SHIFT_MAX);
	return 0;
}

static void half_fini(struct half *h)
{
	rte_free(h->buckets);
	rte_free(h->entries);
	rte_free(h->vips);
	rte_free(h->next);
	rte_free(h->links);
}

int conn_table_create(struct conn_table **out, const struct conn_params *p)
{
	struct table *t = calloc(1, sizeof(*t));
	struct conn_table *shown;
	int rc;

	if (t == NULL)
		return -ENOMEM;
	shown = &t->shown;
	rc = half_init(&t->v4, p, false);
	if (rc == 0)
		rc = half_init(&t->v6, p, true);
	t->shown = (struct conn_table){.entries4 = t->v4.entries, .entries6 = t->v6.entries};
	if (rc == 0)
		*out = shown;
	else
		conn_table_destroy(&shown);
	return rc;
}

void conn_table_destroy(struct conn_table **t)
{
	if (*t == NULL)
		return;
	half_fini(&table_of(*t)->v4);
	half_fini(&table_of(*t)->v6);
	free(*t);
	*t = NULL;
}

static inline uint64_t hash_of(const uint8_t *key, uint32_t addr_len)
{
	uint64_t v[2];

	if (addr_len != 4)
		return keyhash(key, sizeof(struct conn_key6));
	memcpy(v, key, sizeof(v));
	return keyhash_pair(v[0], v[1]);
}

static inline struct bucket *bucket_of(const struct half *h, uint64_t hash)
{
	return &h->buckets[(hash & UINT32_MAX) * h->n_buckets >> 32];
}

/* Bits of the hash that bucket_of() has no use for. */
static inline uint16_t tag_of(uint64_t hash)
{
	return (uint16_t)(hash >> 48 | 1);
}

/* Bit k: slot k has the tag. */
static inline uint32_t slots_with(const struct bucket *b, uint16_t tag)
{
#ifdef __SSE2__
	/* the second half goes on into chain and idx: the mask takes that off */
	const uint8_t *p = (const uint8_t *)b;
	const __m128i want = _mm_set1_epi16((short)tag);
	const __m128i low = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)p), want);
	const __m128i high = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(p + 16)), want);

	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & ((1u << SLOTS) - 1);
#else
	uint32_t mask = 0;

	for (unsigned k = 0; k < SLOTS; k++)
		mask |= (uint32_t)(b->tags[k] == tag) << k;
	return mask;
#endif
}

/* Where the addresses of a key are in an entry: IPv4's both in client_ip. */
static inline uint8_t *vip_at(const struct half *h, uint32_t position, uint32_t addr_len)
{
	return addr_len == 4 ? h->entries[position].client_ip + 4
			     : h->vips + (size_t)position * VIP_BYTES;
}

static inline uint64_t load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline bool has_key(
	const struct half *h, uint32_t position, const uint8_t *key, uint32_t addr_len)
{
	const struct conn *e = &h->entries[position];
	const uint32_t n = addr_len == 4 ? 8 : addr_len;
	const uint64_t differ =
		load64((const uint8_t *)e + PORTS_AT) ^ load64(key + (size_t)2 * addr_len);

	/* opt: the first of the bytes in memory; an entry's others are no part of the key */
	if (rte_cpu_to_le_64(differ) << (64 - 8 * TAIL_BYTES) != 0)
		return false;
	return memcmp(e->client_ip, key, n) == 0
		&& (addr_len == 4
			|| memcmp(vip_at(h, position, 16), key + addr_len, VIP_BYTES) == 0);
}

/* All slots with the tag, then the chain. */
static __rte_noinline uint32_t find_slow(const struct half *h, const uint8_t *key)
{
	const uint64_t hash = hash_of(key, h->addr_len);
	const struct bucket *b = bucket_of(h, hash);
	uint32_t at;

	for (uint32_t mask = slots_with(b, tag_of(hash)); mask != 0; mask &= mask - 1) {
		at = b->idx[__builtin_ctz(mask)];
		if (has_key(h, at, key, h->addr_len))
			return at;
	}
	for (at = b->chain; at != CONN_NONE; at = h->next[at]) {
		if (has_key(h, at, key, h->addr_len))
			return at;
	}
	return CONN_NONE;
}

/* In three passes, each of which finds in the cache what the one before asked for. */
static __rte_always_inline void find_bulk(const struct half *h, const uint8_t *keys, unsigned n,
	uint32_t addr_len, uint32_t family_bit, uint32_t *idx)
{
	const size_t key_len = 2 * (size_t)addr_len + 8;
	const struct bucket *bucket[64];
	uint16_t tag[64];

	for (unsigned i = 0; i < n; i++) {
		const uint64_t hash = hash_of(keys + i * key_len, addr_len);

		tag[i] = tag_of(hash);
		bucket[i] = bucket_of(h, hash);
		rte_prefetch0(bucket[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		const uint32_t mask = slots_with(bucket[i], tag[i]);
		const uint32_t at =
			mask != 0 ? bucket[i]->idx[__builtin_ctz(mask)] : bucket[i]->chain;

		idx[i] = at;
		if (at == CONN_NONE)
			continue;
		rte_prefetch0(&h->entries[at]);
		if (addr_len != 4)
			rte_prefetch0(vip_at(h, at, addr_len));
	}
	for (unsigned i = 0; i < n; i++) {
		if (idx[i] == CONN_NONE)
			continue;
		if (unlikely(!has_key(h, idx[i], keys + i * key_len, addr_len)))
			idx[i] = find_slow(h, keys + i * key_len);
		if (family_bit != 0 && idx[i] != CONN_NONE)
			idx[i] |= family_bit;
	}
}

void conn_find_bulk4(
	const struct conn_table *t, const struct conn_key4 *keys, unsigned n, uint32_t *idx)
{
	find_bulk(&table_in(t)->v4, (const uint8_t *)keys, n, 4, 0, idx);
}

void conn_find_bulk6(
	const struct conn_table *t, const struct conn_key6 *keys, unsigned n, uint32_t *idx)
{
	find_bulk(&table_in(t)->v6, (const uint8_t *)keys, n, 16, CONN_V6, idx);
}

/* What the next addition writes. Entries given back long ago are in no cache; a packet's work is time enough. */
static __rte_always_inline void prefetch_free(
	const struct half *h, uint32_t position, uint32_t addr_len)
{
	if (unlikely(position == CONN_NONE))
		return;
	rte_prefetch0(&h->entries[position]);
	if (addr_len == 16) /* an IPv4 entry has its VIP in it */
		rte_prefetch0(h->vips + (size_t)position * addr_len);
	rte_prefetch0(&h->links[position]);
	rte_prefetch0(&h->next[position]);
}

/* Puts the entry into its key's bucket. */
static inline void link_entry(struct half *h, uint32_t position, uint64_t hash)
{
	struct bucket *b = bucket_of(h, hash);
	const uint32_t free_slots = slots_with(b, 0);

	if (likely(free_slots != 0)) {
		const unsigned k = (unsigned)__builtin_ctz(free_slots);

		b->tags[k] = tag_of(hash);
		b->idx[k] = position;
	} else {
		h->next[position] = b->chain;
		b->chain = position;
	}
}

/* Adds the key; its entry, zeroed but for the key and what conn_add4() says, or CONN_NONE when full. addr_len is
 * a constant of each caller, so that nothing here is a call. */
static __rte_always_inline uint32_t half_add(
	struct half *h, const uint8_t *key, uint32_t addr_len, uint8_t family, uint32_t now_ms)
{
	const uint32_t at = h->free_head;
	struct conn *e;

	if (unlikely(at == CONN_NONE))
		return CONN_NONE;
	h->free_head = h->next[at];
	prefetch_free(h, h->free_head, addr_len);
	link_entry(h, at, hash_of(key, addr_len));
	__atomic_store_n(&h->n, h->n + 1, __ATOMIC_RELAXED);
	e = &h->entries[at];
	memset(e, 0, sizeof(*e));
	memcpy(e->client_ip, key, addr_len);
	memcpy(vip_at(h, at, addr_len), key + addr_len, addr_len);
	memcpy((uint8_t *)e + PORTS_AT, key + (size_t)2 * addr_len, 4);
	e->proto = key[2 * addr_len + 4];
	e->family = family;
	e->last_seen_ms = now_ms;
	return at;
}

uint32_t conn_add4(struct conn_table *t, const struct conn_key4 *key, uint32_t now_ms)
{
	return half_add(&table_of(t)->v4, (const uint8_t *)key, 4, 4, now_ms);
}

uint32_t conn_add6(struct conn_table *t, const struct conn_key6 *key, uint32_t now_ms)
{
	/* CONN_NONE has the bit */
	return half_add(&table_of(t)->v6, (const uint8_t *)key, 16, 6, now_ms) | CONN_V6;
}

/* The hash of a live entry's key. */
static uint64_t hash_at(const struct half *h, uint32_t position)
{
	const struct conn *e = &h->entries[position];
	const uint32_t addr_len = h->addr_len;
	uint8_t key[KEY_MAX] = {0};

	memcpy(key, e->client_ip, addr_len);
	memcpy(key + addr_len, vip_at(h, position, addr_len), addr_len);
	memcpy(key + (size_t)2 * addr_len, (const uint8_t *)e + PORTS_AT, 4);
	key[2 * addr_len + 4] = e->proto;
	return hash_of(key, addr_len);
}

/* Takes the entry out of its bucket. The chain's first moves to the slot that becomes free: I3. */
static void unlink_entry(struct half *h, uint32_t position)
{
	const uint64_t hash = hash_at(h, position);
	struct bucket *b = bucket_of(h, hash);
	const uint32_t first = b->chain;
	uint32_t *link = &b->chain;

	for (uint32_t mask = slots_with(b, tag_of(hash)); mask != 0; mask &= mask - 1) {
		const unsigned k = (unsigned)__builtin_ctz(mask);

		if (b->idx[k] != position)
			continue;
		b->tags[k] = 0;
		if (first == CONN_NONE)
			return;
		b->tags[k] = tag_of(hash_at(h, first));
		b->idx[k] = first;
		b->chain = h->next[first];
		return;
	}
	while (*link != position)
		link = &h->next[*link];
	*link = h->next[position];
}

void conn_del(struct conn_table *t, uint32_t idx)
{
	struct half *h = half_of(t, idx);
	const uint32_t position = idx & ~CONN_V6;

	wheel_del(&h->wheel, position);
	if (h->entries[position].proto == 0)
		return;
	unlink_entry(h, position);
	h->entries[position].proto = 0;
	h->next[position] = h->free_head;
	h->free_head = position;
	__atomic_store_n(&h->n, h->n - 1, __ATOMIC_RELAXED);
}

void conn_watch(struct conn_table *t, uint32_t idx, uint32_t deadline_ms)
{
	wheel_add(&half_of(t, idx)->wheel, idx & ~CONN_V6, deadline_ms);
}

unsigned conn_due_bulk(struct conn_table *t, uint32_t now_ms, uint32_t *idx, unsigned n)
{
	/* half for each family, so that neither starves the other; what IPv6 leaves is IPv4's again */
	const unsigned n4 = wheel_due_bulk(&table_of(t)->v4.wheel, now_ms, idx, n - n / 2);
	const unsigned n6 = wheel_due_bulk(&table_of(t)->v6.wheel, now_ms, idx + n4, n - n4);

	for (unsigned i = 0; i < n6; i++)
		idx[n4 + i] |= CONN_V6;
	return n4 + n6 + wheel_due_bulk(&table_of(t)->v4.wheel, now_ms, idx + n4 + n6, n - n4 - n6);
}

bool conn_is_crowded(const struct conn_table *t, bool is_v6)
{
	const struct half *h = is_v6 ? &table_in(t)->v6 : &table_in(t)->v4;

	return h->n >= h->max - h->max / 4;
}

bool conn_is_full(const struct conn_table *t, bool is_v6)
{
	const struct half *h = is_v6 ? &table_in(t)->v6 : &table_in(t)->v4;

	return h->n >= h->max;
}

uint32_t conn_count(const struct conn_table *t)
{
	return __atomic_load_n(&table_in(t)->v4.n, __ATOMIC_RELAXED)
		+ __atomic_load_n(&table_in(t)->v6.n, __ATOMIC_RELAXED);
}

uint32_t conn_max(const struct conn_table *t)
{
	return table_in(t)->v4.max + table_in(t)->v6.max;
}

unsigned conn_walk(const struct conn_table *t, uint64_t *cursor, uint32_t *idx, unsigned n)
{
	const uint32_t max4 = table_in(t)->v4.max;
	const uint64_t end = conn_max(t);
	unsigned n_out = 0;

	for (unsigned i = 0; i < n && *cursor < end; i++, (*cursor)++) {
		const bool is_v6 = *cursor >= max4;
		const uint32_t position = (uint32_t)(is_v6 ? *cursor - max4 : *cursor);
		const struct half *h = is_v6 ? &table_in(t)->v6 : &table_in(t)->v4;

		if (h->entries[position].proto != 0)
			idx[n_out++] = position | (is_v6 ? CONN_V6 : 0);
	}
	if (*cursor >= end)
		*cursor = UINT64_MAX;
	return n_out;
}

/* I1 and I3: each entry of each bucket is live and belongs there. How many there are, or UINT32_MAX. */
static uint32_t check_buckets(const struct half *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < h->n_buckets; i++) {
		const struct bucket *b = &h->buckets[i];

		if (b->chain != CONN_NONE && slots_with(b, 0) != 0)
			return UINT32_MAX;
		for (unsigned k = 0; k < SLOTS; k++) {
			if (b->tags[k] == 0)
				continue;
			if (b->idx[k] >= h->max || h->entries[b->idx[k]].proto == 0
				|| bucket_of(h, hash_at(h, b->idx[k])) != b
				|| tag_of(hash_at(h, b->idx[k])) != b->tags[k])
				return UINT32_MAX;
			n++;
		}
		for (uint32_t at = b->chain; at != CONN_NONE; at = h->next[at], n++) {
			if (n > h->max || at >= h->max || h->entries[at].proto == 0
				|| bucket_of(h, hash_at(h, at)) != b)
				return UINT32_MAX;
		}
	}
	return n;
}

bool conn_check(const struct conn_table *t)
{
	const struct half *halves[2] = {&table_in(t)->v4, &table_in(t)->v6};

	for (unsigned i = 0; i < 2; i++) {
		const struct half *h = halves[i];
		uint32_t n_live = 0, n_free = 0;

		for (uint32_t k = 0; k < h->max; k++)
			n_live += h->entries[k].proto != 0;
		for (uint32_t at = h->free_head; at != CONN_NONE; at = h->next[at]) {
			if (at >= h->max || h->entries[at].proto != 0 || n_free++ > h->max)
				return false;
		}
		if (n_live != h->n || n_free != h->max - n_live || check_buckets(h) != n_live)
			return false;
	}
	return true;
}
