/* SPDX-License-Identifier: BSD-3-Clause */
/* rr — see rr.h. Each worker goes round by itself. */
#include "lb/rr.h"

#include "lb/schedpool.h"

static int build(struct sched_table **out, const struct sched_member *m, unsigned n,
	const struct sched_params *p, const struct sched_table *prev)
{
	(void)prev;
	return schedpool_create(out, m, n, p, false);
}

static uint32_t pick(const struct sched_table *t, const struct sched_ask *ask)
{
	if (t->n == 0)
		return SCHED_NONE;
	if (*ask->cursor >= t->n)
		*ask->cursor %= t->n; /* the members have changed, or the first pick */
	return t->of[(*ask->cursor)++].backend_idx;
}

const struct sched_ops rr_ops = {.name = "rr",
	.is_consistent = false,
	.build = build,
	.destroy = schedpool_destroy,
	.pick = pick};
