/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * histogram — how often which values came, over all of 64 bits, in less than 4 KB: log-linear, as in HDR histograms. Values
 * below 16 have a bucket each; above, every power of two is divided into HISTOGRAM_PARTS buckets of one width. So a bucket is
 * at most an eighth as wide as its lowest value, and its middle, which is what is given back, is off by at most
 * HISTOGRAM_ERROR of the value. What a value counts (cycles, microseconds) is the caller's.
 *
 * Zeroed memory is an empty one. One thread adds; any thread reads meanwhile, each word as of some moment: what a reader
 * adds up may miss the last few values. Words wrap at 2^64.
 */
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_PARTS_LOG2 3
#define HISTOGRAM_PARTS (1u << HISTOGRAM_PARTS_LOG2)
#define HISTOGRAM_EXACT (2 * HISTOGRAM_PARTS) /* values below this are told apart */
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_PARTS_LOG2 + 1) * HISTOGRAM_PARTS)
#define HISTOGRAM_ERROR (1.0 / (2 * HISTOGRAM_PARTS))

struct histogram {
	uint64_t total; /* of all values    w: the one who adds  r: all, relaxed, as all below */
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* how many values */
};
_Static_assert(sizeof(struct histogram) <= 4096, "a page");

/* The bucket of a value. Below HISTOGRAM_EXACT the value itself; above, the power of two and the bits that follow the first one. */
static inline unsigned histogram_bucket(uint64_t v)
{
	const unsigned shift =
		63u - HISTOGRAM_PARTS_LOG2 - (unsigned)__builtin_clzll(v | HISTOGRAM_PARTS);

	return shift * HISTOGRAM_PARTS + (unsigned)(v >> shift);
}

/* Adds n values of v. Hot; the one thread that adds. */
static inline void histogram_add_n(struct histogram *h, uint64_t v, uint64_t n)
{
	uint64_t *bucket = &h->buckets[histogram_bucket(v)];

	__atomic_store_n(bucket, *bucket + n, __ATOMIC_RELAXED);
	__atomic_store_n(&h->total, h->total + v * n, __ATOMIC_RELAXED);
	if (v > h->max)
		__atomic_store_n(&h->max, v, __ATOMIC_RELAXED);
}

/* Adds one. Hot; the one thread that adds. */
static inline void histogram_add(struct histogram *h, uint64_t v)
{
	histogram_add_n(h, v, 1);
}

/* Empties it: the one thread that adds, while nobody reads. */
void histogram_init(struct histogram *h);

/* Adds what is in another one, which may be added to meanwhile. `to` is the caller's alone. */
void histogram_sum(struct histogram *to, const struct histogram *from);

/* How many values, and the mean of them; 0 of none. Any thread. */
uint64_t histogram_count(const struct histogram *h);
double histogram_mean(const struct histogram *h);

/* The largest value, exactly; 0 of none. Any thread. */
uint64_t histogram_max(const struct histogram *h);

/* The smallest value, as its bucket has it, that at least a share q (0 to 1) of all values do not exceed; never above the
 * largest. q = 1: the largest, exactly. 0 of none. Any thread; best of a sum that is the caller's, as values that come
 * between counting and looking shift it a little. */
uint64_t histogram_quantile(const struct histogram *h, double q);
