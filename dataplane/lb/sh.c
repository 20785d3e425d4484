/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sh — see sh.h. A hash is a place on the line of members. Where the member there is not available, the hash of the hash is the next place: only clients of a
 * member that goes down move, to the others by weight, and they come back with it. Another set of members or
 * weights spreads all clients anew; maglev and rendezvous with `hash: source` move few then.
 */
#include "lb/sh.h"

#include "lb/schedpool.h"

#define TRIES_MAX 32u

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	(void)prev;
	return schedpool_create(out, m, n, p, true);
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	uint32_t at = 0;

	if (t->n_available == 0)
		return SCHED_NONE;
	for (uint32_t i = 0; i < TRIES_MAX; i++) {
		at = schedpool_at(t, sched_scale(sched_mix(ask->hash, i), t->sum_weight));
		if (t->of[at].is_available)
			return t->of[at].backend_idx;
	}
	while (!t->of[at].is_available) /* nearly all are down */
		at = at + 1 == t->n ? 0 : at + 1;
	return t->of[at].backend_idx;
}

const struct sched_ops sh_ops = {.name = "sh",
	.is_consistent = true,
	.build = build,
	.destroy = schedpool_destroy,
	.pick = pick};
