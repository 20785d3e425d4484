/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maglev — see maglev.h. The table has two layers, each a function of the configuration and of nothing else:
 *
 *   base    who has which slot when all members with weight > 0 are available: maglevfill.c. Changes only
 *           when members or weights change, and then little more than it must.
 *   slots   base, but a slot whose member is not available walks its own probe sequence, other slots of
 *           base chosen by a hash of (slot, step), to the first available member. Where 64 steps find none,
 *           below 15 % of members available, a base of the available ones serves.
 *
 * So a member going down moves exactly its own slots, to the others in proportion to their weight (they are
 * drawn from base), its coming back restores the very same table, and the result depends on the set of
 * members and of available ones, not on history or order: two boxes agree.
 *
 * Cost: base 1 to 2 ms at 65,537 slots, copied from the table before where members and weights are the same;
 * slots O(M) plus probes for the slots of unavailable members, 0.1 ms.
 *
 *  I1  base[s] < n_members for every s, when n_members > 0
 *  I2  slots[s] is the backend_idx of an available member, or SCHED_NONE when there is none
 */
#include "lb/maglev.h"

#include "lb/maglevfill.h"

#define XXH_INLINE_ALL
#include <rte_prefetch.h>

#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SLOTS 65537u
#define MAX_PROBES 64u

struct member {
	uint64_t id; /* keyed hash of the name: what order and permutation come from */
	uint32_t backend_idx;
	uint16_t weight;
	bool is_available;
};

struct sched_table {
	uint32_t n_slots;
	uint32_t n_members;
	struct member *members; /* weight > 0, ascending by id */
	uint16_t *base;         /* slot → member */
	uint32_t *slots;        /* slot → backend_idx */
	uint64_t key;           /* folded fleet key: tables of another key are not shared */
};

/* Primes for tables that are not given a size; each about twice the one before. */
static const uint32_t primes[] = {
	65537, 131101, 262147, 524309, 1048583, 2097169, 4194319, 8388617};

uint32_t maglev_size(uint32_t wish, unsigned n)
{
	unsigned i = 0;

	if (wish != 0)
		return wish;
	while (i + 1 < sizeof(primes) / sizeof(primes[0]) && primes[i] < 100ull * n)
		i++;
	return primes[i];
}

/* A table that is not of prime size has slots a permutation never reaches: filling it would not end. */
static bool is_size(uint32_t n_slots, unsigned n)
{
	if (n_slots < 2 || n_slots < n)
		return false;
	for (uint32_t i = 2; (uint64_t)i * i <= n_slots; i++) {
		if (n_slots % i == 0)
			return false;
	}
	return true;
}

static int by_id(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->backend_idx < y->backend_idx ? -1 : x->backend_idx > y->backend_idx;
}

static void fill_members(struct sched_table *t, const struct sched_member *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (m[i].weight == 0)
			continue;
		t->members[t->n_members++] = (struct member){
			.id = XXH3_64bits_withSeed(m[i].name, strlen(m[i].name), t->key),
			.backend_idx = m[i].backend_idx,
			.weight = m[i].weight,
			.is_available = m[i].is_available,
		};
	}
	qsort(t->members, t->n_members, sizeof(*t->members), by_id);
}

/* Shares slots out among the members, or those available: table[slot] becomes a position in t->members. Their
 * hashes are keyed, so nobody outside knows their permutations. */
static int share_out(const struct sched_table *t, bool is_available_only, uint16_t *table)
{
	struct maglevfill_member *m = calloc(t->n_members + 1, sizeof(*m));
	uint32_t *chosen = calloc(t->n_members + 1, sizeof(*chosen)), n = 0;
	int rc = m == NULL || chosen == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; rc == 0 && i < t->n_members; i++) {
		if (is_available_only && !t->members[i].is_available)
			continue;
		chosen[n] = i;
		m[n++] = (struct maglevfill_member){
			.hash = XXH3_64bits_withSeed(&t->members[i].id, 8, t->key + 1),
			.weight = t->members[i].weight};
	}
	if (n > 0)
		rc = maglevfill_run(table, t->n_slots, m, n);
	for (uint32_t s = 0; rc == 0 && n > 0 && n < t->n_members && s < t->n_slots; s++)
		table[s] = (uint16_t)chosen[table[s]];
	free(m);
	free(chosen);
	return rc;
}

/* Backend for a slot whose own member is not available. */
static uint32_t probe(const struct sched_table *t, uint32_t slot)
{
	for (uint32_t step = 1; step <= MAX_PROBES; step++) {
		const uint64_t k = (uint64_t)step << 32 | slot;
		const uint32_t other = (uint32_t)(XXH3_64bits_withSeed(&k, 8, t->key) % t->n_slots);
		const struct member *m = &t->members[t->base[other]];

		if (m->is_available)
			return m->backend_idx;
	}
	return SCHED_NONE;
}

/* Slots whose probes found nobody: nearly all members are down. The rest share them as they would a table. */
static int fill_rest(struct sched_table *t)
{
	uint16_t *table = malloc(t->n_slots * sizeof(*table));
	int rc = table == NULL ? -ENOMEM : share_out(t, true, table);

	for (uint32_t s = 0; rc == 0 && s < t->n_slots; s++) {
		if (t->slots[s] == SCHED_NONE)
			t->slots[s] = t->members[table[s]].backend_idx;
	}
	free(table);
	return rc;
}

/* All members are available, as they are as a rule. */
static int fill_slots_all(struct sched_table *t)
{
	uint32_t *idx = malloc(t->n_members * sizeof(*idx));

	if (idx == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_members; i++)
		idx[i] = t->members[i].backend_idx;
	for (uint32_t s = 0; s < t->n_slots; s++)
		t->slots[s] = idx[t->base[s]];
	free(idx);
	return 0;
}

static int fill_slots(struct sched_table *t)
{
	uint32_t n_available = 0, n_rest = 0;

	for (uint32_t i = 0; i < t->n_members; i++)
		n_available += t->members[i].is_available;
	if (n_available > 0 && n_available == t->n_members)
		return fill_slots_all(t);
	for (uint32_t s = 0; s < t->n_slots; s++) {
		const struct member *m = n_available > 0 ? &t->members[t->base[s]] : NULL;

		t->slots[s] = m == NULL   ? SCHED_NONE
			: m->is_available ? m->backend_idx
					  : probe(t, s);
		n_rest += t->slots[s] == SCHED_NONE;
	}
	return n_available > 0 && n_rest > 0 ? fill_rest(t) : 0;
}

/* True when prev's base serves: same size, key, members and weights. */
static bool has_same_base(const struct sched_table *t, const struct sched_table *prev)
{
	if (prev == NULL || prev->n_slots != t->n_slots || prev->key != t->key
		|| prev->n_members != t->n_members)
		return false;
	for (uint32_t i = 0; i < t->n_members; i++) {
		if (t->members[i].id != prev->members[i].id
			|| t->members[i].weight != prev->members[i].weight)
			return false;
	}
	return true;
}

static void destroy(struct sched_table **t)
{
	if (*t == NULL)
		return;
	free((*t)->members);
	free((*t)->base);
	free((*t)->slots);
	free(*t);
	*t = NULL;
}

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	struct sched_table *t;
	int rc = 0;

	if (n >= UINT16_MAX || !is_size(maglev_size(p->maglev_size, n), n))
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->n_slots = maglev_size(p->maglev_size, n);
	t->key = XXH3_64bits(p->hash_key, 16);
	t->members = calloc(n + 1, sizeof(*t->members));
	t->base = malloc(t->n_slots * sizeof(*t->base));
	t->slots = malloc(t->n_slots * sizeof(*t->slots));
	if (t->members == NULL || t->base == NULL || t->slots == NULL)
		rc = -ENOMEM;
	if (rc == 0) {
		fill_members(t, m, n);
		if (has_same_base(t, prev))
			memcpy(t->base, prev->base, t->n_slots * sizeof(*t->base));
		else
			rc = share_out(t, false, t->base);
	}
	if (rc == 0)
		rc = fill_slots(t);
	if (rc != 0) {
		destroy(&t);
		return rc;
	}
	*out = t;
	return 0;
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	return t->slots[sched_scale(ask->hash, t->n_slots)];
}

const struct sched_ops maglev_ops = {
	.name = "maglev", .is_consistent = true, .build = build, .destroy = destroy, .pick = pick};

void maglev_prefetch(const struct sched_table *t, uint64_t hash)
{
	rte_prefetch0(&t->slots[sched_scale(hash, t->n_slots)]);
}

uint32_t maglev_n_slots(const struct sched_table *t)
{
	return t->n_slots;
}

uint32_t maglev_slot_backend(const struct sched_table *t, uint32_t slot)
{
	return t->slots[slot];
}
