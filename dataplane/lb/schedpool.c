/* SPDX-License-Identifier: BSD-3-Clause */
/* schedpool — see schedpool.h. */
#define XXH_INLINE_ALL
#include "lb/schedpool.h"

#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct sched_member *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static uint64_t id_of(const struct sched_member *m, const struct sched_params *p)
{
	uint64_t seed[2] = {0, 0};

	if (p->hash_key != NULL)
		memcpy(seed, p->hash_key, sizeof(seed));
	return XXH3_64bits_withSeed(m->name, strlen(m->name), seed[0] ^ seed[1]);
}

static void fill(
	struct sched_table *t, const struct sched_member *const *m, const struct sched_params *p)
{
	t->is_even = true;
	for (uint32_t i = 0; i < t->n; i++) {
		t->of[i] = (struct schedpool_member){.backend_idx = m[i]->backend_idx,
			.weight = m[i]->weight,
			.weight_before = t->sum_weight,
			.is_available = m[i]->is_available,
			.id = id_of(m[i], p)};
		t->sum_weight += m[i]->weight;
		t->n_available += m[i]->is_available;
		t->is_even &= m[i]->weight == m[0]->weight;
	}
}

int schedpool_create(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, bool wants_all)
{
	const struct sched_member **chosen = calloc(n + 1, sizeof(*chosen));
	struct sched_table *t = calloc(1, sizeof(*t) + n * sizeof(t->of[0]));

	if (chosen == NULL || t == NULL) {
		free(chosen);
		free(t);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++) {
		if (m[i].weight > 0 && (wants_all || m[i].is_available))
			chosen[t->n++] = &m[i];
	}
	qsort(chosen, t->n, sizeof(*chosen), by_name);
	fill(t, chosen, p);
	free(chosen);
	*out = t;
	return 0;
}

void schedpool_destroy(struct sched_table **t)
{
	free(*t);
	*t = NULL;
}
