/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * p2c — see p2c.h. Both are drawn by weight, the second among the others; two looks at a count however many
 * members there are. A worker goes by its own
 * connections, as in leastconn.c. The random numbers come from the flow's hash, which a client could steer,
 * and a count of picks, which it cannot.
 */
#include "lb/p2c.h"

#include "lb/balance.h"
#include "lb/schedpool.h"

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	(void)prev;
	return schedpool_create(out, m, n, p, false);
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	const struct schedpool_member *a, *b;
	uint64_t random;
	uint32_t place;

	if (t->n == 0)
		return SCHED_NONE;
	if (t->n == 1)
		return t->of[0].backend_idx;
	random = sched_mix(ask->hash, ++*ask->cursor);
	a = &t->of[schedpool_at(t, sched_scale(random, t->sum_weight))];
	place = sched_scale(random << 32, t->sum_weight - a->weight);
	if (place >= a->weight_before)
		place += a->weight;
	b = &t->of[schedpool_at(t, place)];
	return (ask->backends[a->backend_idx].conns + 1) * b->weight
			<= (ask->backends[b->backend_idx].conns + 1) * a->weight
		? a->backend_idx
		: b->backend_idx;
}

const struct sched_ops p2c_ops = {.name = "p2c",
	.is_consistent = false,
	.build = build,
	.destroy = schedpool_destroy,
	.pick = pick};
