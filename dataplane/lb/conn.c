/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conn — see conn.h. A key's position in librte_hash is its entry's index, so there is no second
 * allocation and no pointer in the table. IPv4 and IPv6 halves are alike but for the key.
 *
 * The hash is made with extendable buckets: a plain cuckoo table refuses keys from about 95 % on, and
 * "the table holds n_max" must be true. Positions run from 0 to n_max − 1 in that mode.
 *
 * Memory per IPv4 connection: entry 64, wheel link 8, hash key 32, bucket 8–16, free list 8 bytes.
 *
 *  I1  positions handed out by the hash and live entries (proto != 0) are the same set
 *  I2  n is the size of that set
 */
#include "lb/conn.h"

#include "base/keyhash.h"
#include "base/wheel.h"

#include <rte_hash.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct half {
	struct rte_hash *hash;
	struct conn *entries;
	struct wheel_link *links;
	struct wheel wheel;
	uint32_t n, max;
	uint32_t n_positions;
};

struct conn_table {
	struct half v4, v6;
};

static struct half *half_of(struct conn_table *t, uint32_t idx)
{
	return idx & CONN_V6 ? &t->v6 : &t->v4;
}

static int half_init(struct half *h, const struct conn_params *p, bool is_v6)
{
	char name[RTE_HASH_NAMESIZE];
	struct rte_hash_parameters hp = {.name = name,
		.entries = is_v6 ? p->n_max6 : p->n_max4,
		.key_len = is_v6 ? sizeof(struct conn_key6) : sizeof(struct conn_key4),
		.hash_func = keyhash_rte,
		.socket_id = p->socket_id,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};

	if (hp.entries < CONN_MIN)
		return -EINVAL;
	snprintf(name, sizeof(name), "conn%c-%u", is_v6 ? '6' : '4', p->worker_id);
	h->hash = rte_hash_create(&hp);
	if (h->hash == NULL)
		return -ENOMEM;
	h->max = hp.entries;
	h->n_positions = (uint32_t)rte_hash_max_key_id(h->hash) + 1;
	h->entries = rte_zmalloc_socket("conn", (size_t)h->n_positions * sizeof(*h->entries),
		RTE_CACHE_LINE_SIZE, p->socket_id);
	h->links = rte_malloc_socket("conn", (size_t)h->n_positions * sizeof(*h->links),
		RTE_CACHE_LINE_SIZE, p->socket_id);
	if (h->entries == NULL || h->links == NULL)
		return -ENOMEM;
	wheel_init(&h->wheel, h->links, h->n_positions, 0);
	return 0;
}

static void half_fini(struct half *h)
{
	rte_hash_free(h->hash);
	rte_free(h->entries);
	rte_free(h->links);
}

int conn_table_create(struct conn_table **out, const struct conn_params *p)
{
	struct conn_table *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return -ENOMEM;
	rc = half_init(&t->v4, p, false);
	if (rc == 0)
		rc = half_init(&t->v6, p, true);
	if (rc != 0) {
		conn_table_destroy(&t);
		return rc;
	}
	*out = t;
	return 0;
}

void conn_table_destroy(struct conn_table **t)
{
	if (*t == NULL)
		return;
	half_fini(&(*t)->v4);
	half_fini(&(*t)->v6);
	free(*t);
	*t = NULL;
}

static void find_bulk(const struct half *h, const void *const *keys, unsigned n,
	uint32_t family_bit, uint32_t *idx)
{
	int32_t position[64];

	rte_hash_lookup_bulk(h->hash, (const void **)(uintptr_t)keys, n, position);
	for (unsigned i = 0; i < n; i++) {
		if (position[i] < 0) {
			idx[i] = CONN_NONE;
		} else {
			idx[i] = (uint32_t)position[i] | family_bit;
			rte_prefetch0(&h->entries[position[i]]);
		}
	}
}

void conn_find_bulk4(
	const struct conn_table *t, const struct conn_key4 *keys, unsigned n, uint32_t *idx)
{
	const void *k[64];

	for (unsigned i = 0; i < n; i++)
		k[i] = &keys[i];
	find_bulk(&t->v4, k, n, 0, idx);
}

void conn_find_bulk6(
	const struct conn_table *t, const struct conn_key6 *keys, unsigned n, uint32_t *idx)
{
	const void *k[64];

	for (unsigned i = 0; i < n; i++)
		k[i] = &keys[i];
	find_bulk(&t->v6, k, n, CONN_V6, idx);
}

struct conn *conn_at(const struct conn_table *t, uint32_t idx)
{
	return idx & CONN_V6 ? &t->v6.entries[idx & ~CONN_V6] : &t->v4.entries[idx];
}

/* Adds the key; its zeroed entry, or NULL when full. */
static struct conn *half_add(struct half *h, const void *key, uint32_t *position)
{
	int32_t at;

	if (h->n >= h->max)
		return NULL;
	at = rte_hash_add_key(h->hash, key);
	if (at < 0 || (uint32_t)at >= h->n_positions)
		return NULL;
	__atomic_store_n(&h->n, h->n + 1, __ATOMIC_RELAXED);
	memset(&h->entries[at], 0, sizeof(h->entries[at]));
	*position = (uint32_t)at;
	return &h->entries[at];
}

uint32_t conn_add4(struct conn_table *t, const struct conn_key4 *key, uint32_t now_ms)
{
	uint32_t position;
	struct conn *e = half_add(&t->v4, key, &position);

	if (e == NULL)
		return CONN_NONE;
	e->last_seen_ms = now_ms;
	e->family = 4;
	e->proto = key->proto;
	memcpy(e->client_ip, &key->src, 4);
	e->client_port = key->sport;
	e->vip_port = key->dport;
	return position;
}

uint32_t conn_add6(struct conn_table *t, const struct conn_key6 *key, uint32_t now_ms)
{
	uint32_t position;
	struct conn *e = half_add(&t->v6, key, &position);

	if (e == NULL)
		return CONN_NONE;
	e->last_seen_ms = now_ms;
	e->family = 6;
	e->proto = key->proto;
	memcpy(e->client_ip, key->src, 16);
	e->client_port = key->sport;
	e->vip_port = key->dport;
	return position | CONN_V6;
}

void conn_del(struct conn_table *t, uint32_t idx)
{
	struct half *h = half_of(t, idx);
	const uint32_t position = idx & ~CONN_V6;
	void *key;

	wheel_del(&h->wheel, position);
	if (rte_hash_get_key_with_position(h->hash, (int32_t)position, &key) != 0)
		return;
	rte_hash_del_key(h->hash, key);
	h->entries[position].proto = 0;
	__atomic_store_n(&h->n, h->n - 1, __ATOMIC_RELAXED);
}

void conn_watch(struct conn_table *t, uint32_t idx, uint32_t deadline_ms)
{
	wheel_add(&half_of(t, idx)->wheel, idx & ~CONN_V6, deadline_ms);
}

unsigned conn_due_bulk(struct conn_table *t, uint32_t now_ms, uint32_t *idx, unsigned n)
{
	/* half for each family, so that neither starves the other; what IPv6 leaves is IPv4's again */
	const unsigned n4 = wheel_due_bulk(&t->v4.wheel, now_ms, idx, n - n / 2);
	const unsigned n6 = wheel_due_bulk(&t->v6.wheel, now_ms, idx + n4, n - n4);

	for (unsigned i = 0; i < n6; i++)
		idx[n4 + i] |= CONN_V6;
	return n4 + n6 + wheel_due_bulk(&t->v4.wheel, now_ms, idx + n4 + n6, n - n4 - n6);
}

bool conn_is_crowded(const struct conn_table *t, bool is_v6)
{
	const struct half *h = is_v6 ? &t->v6 : &t->v4;

	return h->n >= h->max - h->max / 4;
}

bool conn_is_full(const struct conn_table *t, bool is_v6)
{
	const struct half *h = is_v6 ? &t->v6 : &t->v4;

	return h->n >= h->max;
}

uint32_t conn_count(const struct conn_table *t)
{
	return __atomic_load_n(&t->v4.n, __ATOMIC_RELAXED)
		+ __atomic_load_n(&t->v6.n, __ATOMIC_RELAXED);
}

uint32_t conn_max(const struct conn_table *t)
{
	return t->v4.max + t->v6.max;
}

unsigned conn_walk(const struct conn_table *t, uint64_t *cursor, uint32_t *idx, unsigned n)
{
	const uint64_t end = (uint64_t)t->v4.n_positions + t->v6.n_positions;
	unsigned n_out = 0;

	for (unsigned i = 0; i < n && *cursor < end; i++, (*cursor)++) {
		const bool is_v6 = *cursor >= t->v4.n_positions;
		const uint32_t position = (uint32_t)(is_v6 ? *cursor - t->v4.n_positions : *cursor);
		const struct half *h = is_v6 ? &t->v6 : &t->v4;

		if (h->entries[position].proto != 0)
			idx[n_out++] = position | (is_v6 ? CONN_V6 : 0);
	}
	if (*cursor >= end)
		*cursor = UINT64_MAX;
	return n_out;
}

bool conn_check(const struct conn_table *t)
{
	const struct half *halves[2] = {&t->v4, &t->v6};

	for (unsigned i = 0; i < 2; i++) {
		const struct half *h = halves[i];
		uint32_t n = 0;

		for (uint32_t k = 0; k < h->n_positions; k++) {
			void *key;
			const bool has_key =
				rte_hash_get_key_with_position(h->hash, (int32_t)k, &key) == 0
				&& rte_hash_lookup(h->hash, key) == (int32_t)k;

			if (h->entries[k].proto != 0 && !has_key)
				return false;
			n += h->entries[k].proto != 0;
		}
		if (n != h->n || (uint32_t)rte_hash_count(h->hash) != n)
			return false;
	}
	return true;
}
