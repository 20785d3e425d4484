/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maglev — see maglev.h. The table has two layers, each a function of the configuration and of nothing else:
 *
 *   base    who has which slot when all members with weight > 0 are available: maglevfill.c. Changes only
 *           when members or weights change, and then little more than it must.
 *   slots   base, but a slot whose member is not available walks its own probe sequence, other slots of
 *           base chosen by a hash of (slot, step), to the first available member.
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

/* Into base; the members' hashes are keyed, so nobody outside knows their permutations. */
static int fill_base(struct sched_table *t)
{
	struct maglevfill_member *m = calloc(t->n_members + 1, sizeof(*m));
	int rc = 0;

	if (m == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_members; i++)
		m[i] = (struct maglevfill_member){
			.hash = XXH3_64bits_withSeed(&t->members[i].id, 8, t->key + 1),
			.weight = t->members[i].weight};
	if (t->n_members > 0)
		rc = maglevfill_run(t->base, t->n_slots, m, t->n_members);
	free(m);
	return rc;
}

/* Backend for a slot whose own member is not available; any: some member that is. */
static uint32_t probe(const struct sched_table *t, uint32_t slot, const struct member *any)
{
	for (uint32_t step = 1; step <= MAX_PROBES; step++) {
		const uint64_t k = (uint64_t)step << 32 | slot;
		const uint32_t other = (uint32_t)(XXH3_64bits_withSeed(&k, 8, t->key) % t->n_slots);
		const struct member *m = &t->members[t->base[other]];

		if (m->is_available)
			return m->backend_idx;
	}
	/* nearly all are down: by slot among the available, found once per build */
	return any->backend_idx;
}

static void fill_slots(struct sched_table *t)
{
	const struct member *any = NULL;

	for (uint32_t i = 0; i < t->n_members && any == NULL; i++) {
		if (t->members[i].is_available)
			any = &t->members[i];
	}
	for (uint32_t s = 0; s < t->n_slots; s++) {
		const struct member *m = any != NULL ? &t->members[t->base[s]] : NULL;

		t->slots[s] = m == NULL   ? SCHED_NONE
			: m->is_available ? m->backend_idx
					  : probe(t, s, any);
	}
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
			rc = fill_base(t);
	}
	if (rc != 0) {
		destroy(&t);
		return rc;
	}
	fill_slots(t);
	*out = t;
	return 0;
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	return t->slots[sched_scale(ask->hash, t->n_slots)];
}

const struct sched_ops maglev_ops = {
	.name = "maglev", .is_consistent = true, .build = build, .destroy = destroy, .pick = pick};

uint32_t maglev_n_slots(const struct sched_table *t)
{
	return t->n_slots;
}

uint32_t maglev_slot_backend(const struct sched_table *t, uint32_t slot)
{
	return t->slots[slot];
}
