/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * schedpool — the members of a service as schedulers without a table of slots want them: weight above 0, in
 * order of name, so that nothing depends on the order they are given in.
 */
#include "lb/sched.h"

struct schedpool_member {
	uint32_t backend_idx;
	uint32_t weight;
	uint32_t weight_before; /* sum of the weights before this one */
	bool is_available;
	uint64_t id; /* keyed hash of the name: the same on every box of the fleet */
};

struct sched_table {
	uint32_t n, n_available;
	uint32_t sum_weight;
	bool is_even; /* all weights are equal */
	struct schedpool_member of[];
};

/* Context: manager. wants_all: those that are not available too. 0 or -ENOMEM. */
int schedpool_create(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, bool wants_all);
void schedpool_destroy(struct sched_table **t); /* NULL-safe, clears *t */

/* Hot. The members lie beside each other on a line, each as long as its weight: the one at place, which is
 * below sum_weight. */
static inline uint32_t schedpool_at(const struct sched_table *t, uint32_t place)
{
	uint32_t low = 0, high = t->n - 1;

	if (t->is_even)
		return place / t->of[0].weight;
	while (low < high) {
		const uint32_t mid = (low + high + 1) / 2;

		if (t->of[mid].weight_before <= place)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}
