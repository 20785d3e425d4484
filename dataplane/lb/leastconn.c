/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * leastconn — see leastconn.h. A worker goes by its own connections: counts that others write would be a
 * cache miss for each member and worker, and where every worker is level, their sum is. They begin the search
 * at different members, so that the first flows of all workers do not meet at one.
 *
 * Chosen is the least (connections + 1) / weight: the load there would be. Cost: one look at each member's
 * count, for services of up to some hundred members; p2c costs the same for any number.
 */
#include "lb/leastconn.h"

#include "lb/balance.h"
#include "lb/schedpool.h"

static int build_weighted(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	(void)prev;
	return schedpool_create(out, m, n, p, false);
}

static int build_even(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	const int rc = build_weighted(out, m, n, p, prev);

	for (uint32_t i = 0; rc == 0 && i < (*out)->n; i++)
		(*out)->of[i].weight = 1;
	return rc;
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	const struct schedpool_member *best = NULL;
	uint64_t best_conns = 0;
	uint32_t at = *ask->cursor;

	if (t->n == 0)
		return SCHED_NONE;
	if (at >= t->n)
		at %= t->n;
	*ask->cursor = at + 1;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct schedpool_member *m = &t->of[at];
		const uint64_t conns = ask->backends[m->backend_idx].conns + 1;

		if (best == NULL || conns * best->weight < best_conns * m->weight) {
			best = m;
			best_conns = conns;
		}
		at = at + 1 == t->n ? 0 : at + 1;
	}
	return best->backend_idx;
}

const struct sched_ops leastconn_wlc_ops = {.name = "wlc",
	.is_consistent = false,
	.build = build_weighted,
	.destroy = schedpool_destroy,
	.pick = pick};

const struct sched_ops leastconn_lc_ops = {.name = "lc",
	.is_consistent = false,
	.build = build_even,
	.destroy = schedpool_destroy,
	.pick = pick};
