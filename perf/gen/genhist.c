/* SPDX-License-Identifier: BSD-3-Clause */
/* genhist — see genhist.h. The readers' half, a walk over the buckets each. */
#include "genhist.h"

#include <string.h>

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

uint64_t genhist_value(unsigned bucket)
{
	const unsigned shift = bucket < GENHIST_EXACT ? 0 : bucket / GENHIST_PARTS - 1;
	const uint64_t low = (uint64_t)(bucket - shift * GENHIST_PARTS) << shift;

	return low + (((1ull << shift) - 1) >> 1);
}

void genhist_init(struct genhist *h)
{
	memset(h, 0, sizeof(*h));
}

void genhist_sum(struct genhist *to, const struct genhist *from)
{
	const uint64_t max = load(&from->max), min_not = load(&from->min_not);

	to->max = max > to->max ? max : to->max;
	to->min_not = min_not > to->min_not ? min_not : to->min_not;
	for (unsigned i = 0; i < GENHIST_BUCKETS; i++)
		to->buckets[i] += load(&from->buckets[i]);
}

void genhist_since(struct genhist *to, const struct genhist *now, const struct genhist *before)
{
	to->max = load(&now->max);
	to->min_not = load(&now->min_not);
	for (unsigned i = 0; i < GENHIST_BUCKETS; i++)
		to->buckets[i] = load(&now->buckets[i]) - before->buckets[i];
}

uint64_t genhist_count(const struct genhist *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GENHIST_BUCKETS; i++)
		n += load(&h->buckets[i]);
	return n;
}

uint64_t genhist_max(const struct genhist *h)
{
	return load(&h->max);
}

uint64_t genhist_min(const struct genhist *h)
{
	const uint64_t min_not = load(&h->min_not);

	return min_not == 0 ? 0 : ~min_not;
}

double genhist_mean(const struct genhist *h)
{
	double sum = 0, n = 0;

	for (unsigned i = 0; i < GENHIST_BUCKETS; i++) {
		const double here = (double)load(&h->buckets[i]);

		n += here;
		sum += here * (double)genhist_value(i);
	}
	return n == 0 ? 0 : sum / n;
}

uint64_t genhist_quantile(const struct genhist *h, double q)
{
	const uint64_t n = genhist_count(h), max = load(&h->max);
	const double want = q * (double)n;
	uint64_t rank, before = 0;

	if (q >= 1 || n == 0)
		return max;
	rank = want > 0 ? (uint64_t)want : 0;
	if ((double)rank < want || rank == 0)
		rank++;
	for (unsigned i = 0; i < GENHIST_BUCKETS; i++) {
		before += load(&h->buckets[i]);
		if (before >= rank)
			return genhist_value(i) < max ? genhist_value(i) : max;
	}
	return max;
}
