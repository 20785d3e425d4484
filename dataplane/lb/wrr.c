/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wrr — see wrr.h. The sequence is what smooth weighted round robin (each turn every member gains its weight,
 * the richest is chosen and pays the sum) gives in one period: members are interleaved, not in runs. A
 * period has sum(weights)/gcd turns; longer ones than SEQUENCE_MAX are scaled down, which keeps shares to
 * one part in SEQUENCE_MAX. Members of equal standing go in order of name, so the sequence does not depend
 * on the order they are given in. Building costs turns × members, at most a few ms, on the manager.
 *
 *  I1  sequence[] holds available members only; n == 0 when there is none
 */
#include "lb/wrr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCE_MAX 4096u

struct sched_table {
	uint32_t n;
	uint32_t sequence[]; /* backend_idx */
};

struct turn {
	const struct sched_member *m;
	uint32_t weight;
	int64_t credit;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct turn *)a)->m->name, ((const struct turn *)b)->m->name);
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b != 0) {
		const uint32_t r = a % b;

		a = b;
		b = r;
	}
	return a;
}

/* Members that may be chosen, weights reduced. Returns the length of the period. */
static uint32_t reduce(
	struct turn *turns, unsigned *n_turns, const struct sched_member *m, unsigned n)
{
	uint32_t divisor = 0, sum = 0, period = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!m[i].is_available || m[i].weight == 0)
			continue;
		turns[(*n_turns)++] = (struct turn){.m = &m[i], .weight = m[i].weight};
		divisor = gcd(divisor, m[i].weight);
		sum += m[i].weight;
	}
	qsort(turns, *n_turns, sizeof(*turns), by_name);
	for (unsigned i = 0; i < *n_turns; i++) {
		turns[i].weight /= divisor;
		if (sum / divisor > SEQUENCE_MAX) {
			const uint64_t scaled =
				(uint64_t)turns[i].weight * SEQUENCE_MAX / (sum / divisor);

			turns[i].weight = scaled ? (uint32_t)scaled : 1;
		}
		period += turns[i].weight;
	}
	return period;
}

static void fill(struct sched_table *t, struct turn *turns, unsigned n_turns)
{
	for (uint32_t k = 0; k < t->n; k++) {
		struct turn *best = &turns[0];

		for (unsigned i = 0; i < n_turns; i++) {
			turns[i].credit += turns[i].weight;
			if (turns[i].credit > best->credit)
				best = &turns[i];
		}
		best->credit -= t->n;
		t->sequence[k] = best->m->backend_idx;
	}
}

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	struct turn *turns = calloc(n + 1, sizeof(*turns));
	unsigned n_turns = 0;
	struct sched_table *t;
	uint32_t period;

	(void)p;
	(void)prev;
	if (turns == NULL)
		return -ENOMEM;
	period = reduce(turns, &n_turns, m, n);
	t = malloc(sizeof(*t) + period * sizeof(t->sequence[0]));
	if (t == NULL) {
		free(turns);
		return -ENOMEM;
	}
	t->n = period;
	fill(t, turns, n_turns);
	free(turns);
	*out = t;
	return 0;
}

static void destroy(struct sched_table **t)
{
	free(*t);
	*t = NULL;
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	if (t->n == 0)
		return SCHED_NONE;
	if (*ask->cursor >= t->n)
		*ask->cursor %= t->n; /* the table has changed, or the first pick */
	return t->sequence[(*ask->cursor)++];
}

const struct sched_ops wrr_ops = {
	.name = "wrr", .is_consistent = false, .build = build, .destroy = destroy, .pick = pick};
