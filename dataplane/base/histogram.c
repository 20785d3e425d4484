/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * histogram — see histogram.h. The reader's half: adding up and looking for a rank, a walk over the buckets each. Any thread.
 */
#include "base/histogram.h"

#include <string.h>

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* What stands for all values of a bucket: the middle of the lowest and the highest. */
static uint64_t middle_of(unsigned bucket)
{
	const unsigned shift =
		bucket < HISTOGRAM_EXACT ? 0 : bucket / HISTOGRAM_PARTS - 1; /* of its width */
	const uint64_t low = (uint64_t)(bucket - shift * HISTOGRAM_PARTS) << shift;

	return low + (((1ull << shift) - 1) >> 1);
}

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_sum(struct histogram *to, const struct histogram *from)
{
	const uint64_t max = load(&from->max);

	to->total += load(&from->total);
	if (max > to->max)
		to->max = max;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->buckets[i] += load(&from->buckets[i]);
}

uint64_t histogram_count(const struct histogram *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		n += load(&h->buckets[i]);
	return n;
}

double histogram_mean(const struct histogram *h)
{
	const uint64_t n = histogram_count(h);

	return n == 0 ? 0 : (double)load(&h->total) / (double)n;
}

uint64_t histogram_max(const struct histogram *h)
{
	return load(&h->max);
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	const uint64_t n = histogram_count(h), max = load(&h->max);
	const double want = q * (double)n;
	uint64_t rank, before = 0;

	if (q >= 1 || n == 0)
		return max;
	rank = want > 0 ? (uint64_t)want : 0;
	if ((double)rank < want || rank == 0)
		rank++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		before += load(&h->buckets[i]);
		if (before >= rank)
			return middle_of(i) < max ? middle_of(i) : max;
	}
	return max;
}
