/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rendezvous — see rendezvous.h. A member's score is -ln(u) / weight with u in (0, 1) from a hash of the flow
 * and the member: exponentially distributed with its weight as the rate, so the least of them is a member's
 * in proportion to its weight. With equal weights the logarithm changes no order and is left out.
 *
 * No state and no table; the cost grows with the members, so it is for small services. Two boxes agree as
 * long as their logarithms do, which those of one C library are.
 */
#include "lb/rendezvous.h"

#include "lb/schedpool.h"

#include <math.h>

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	(void)prev;
	return schedpool_create(out, m, n, p, false);
}

static uint32_t pick_even(const struct sched_table *t, uint64_t hash)
{
	uint32_t best = 0;
	uint64_t best_score = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const uint64_t score = sched_mix(hash, t->of[i].id);

		if (score >= best_score) {
			best_score = score;
			best = i;
		}
	}
	return t->of[best].backend_idx;
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	double best_score = INFINITY;
	uint32_t best = 0;

	if (t->n == 0)
		return SCHED_NONE;
	if (t->is_even)
		return pick_even(t, ask->hash);
	for (uint32_t i = 0; i < t->n; i++) {
		/* 52 bits and a half: never 0, never 1 */
		const double u =
			((double)(sched_mix(ask->hash, t->of[i].id) >> 12) + 0.5) * 0x1p-52;
		const double score = -log(u) / t->of[i].weight;

		if (score < best_score) {
			best_score = score;
			best = i;
		}
	}
	return t->of[best].backend_idx;
}

const struct sched_ops rendezvous_ops = {.name = "rendezvous",
	.is_consistent = true,
	.build = build,
	.destroy = schedpool_destroy,
	.pick = pick};
