/* SPDX-License-Identifier: BSD-3-Clause */
/* tally — see tally.h. */
#include "core/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct tally_set {
	unsigned n; /* workers + 1 */
	struct tally of[];
};

int tally_set_create(struct tally_set **out, unsigned n_workers)
{
	const size_t size = sizeof(struct tally_set) + (n_workers + 1) * sizeof(struct tally);
	struct tally_set *s = aligned_alloc(RTE_CACHE_LINE_SIZE, size);

	if (s == NULL)
		return -ENOMEM;
	memset(s, 0, size);
	s->n = n_workers + 1;
	*out = s;
	return 0;
}

void tally_set_destroy(struct tally_set **s)
{
	free(*s);
	*s = NULL;
}

struct tally *tally_of(struct tally_set *s, unsigned id)
{
	return &s->of[id];
}

void tally_sum(struct tally_set *s, struct tally *sum)
{
	uint64_t *to = (uint64_t *)(void *)sum;
	const size_t n_words = offsetof(struct tally, sleeps) / 8 + 1;

	memset(sum, 0, sizeof(*sum));
	for (unsigned i = 0; i < s->n; i++) {
		const uint64_t *from = (const uint64_t *)(const void *)&s->of[i];

		for (size_t k = 0; k < n_words; k++)
			to[k] += __atomic_load_n(&from[k], __ATOMIC_RELAXED);
	}
}

void tally_walk(const struct tally *sum,
	void (*on_row)(void *ctx, const char *name, const char *unit, bool is_drop, uint64_t value,
		const char *help),
	void *ctx)
{
#define TALLY_COUNTER(sym, unit, help) on_row(ctx, #sym, #unit, false, sum->sym, help);
#define TALLY_DROP(sym, help) on_row(ctx, #sym, "packets", true, sum->drops[PKT_DROP_##sym], help);
	MR_COUNTERS(TALLY_COUNTER)
	MR_DROPS(TALLY_DROP)
}
