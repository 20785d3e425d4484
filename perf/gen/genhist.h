/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genhist — times of requests, log-linear as in base/histogram.h but sixteen times finer: the dataplane's buckets are an eighth wide, so
 * that a page holds them; a generator's 99.99th percentile should not be off by 6 %. Values below 256 are exact, others are off
 * by at most GENHIST_ERROR. What a value counts is the caller's.
 *
 * Zeroed memory is an empty one. One thread adds; others read meanwhile, each word as of some moment.
 */
#include <stddef.h>
#include <stdint.h>

#define GENHIST_PARTS_LOG2 7
#define GENHIST_PARTS (1u << GENHIST_PARTS_LOG2)
#define GENHIST_EXACT (2 * GENHIST_PARTS)
#define GENHIST_BUCKETS ((64 - GENHIST_PARTS_LOG2 + 1) * GENHIST_PARTS)
#define GENHIST_ERROR (1.0 / (2 * GENHIST_PARTS))

struct genhist {
	uint64_t max,
		min_not; /* the largest; the complement of the smallest, so that zero is none */
	uint64_t buckets[GENHIST_BUCKETS]; /* how many values */
};

static inline unsigned genhist_bucket(uint64_t v)
{
	const unsigned shift =
		63u - GENHIST_PARTS_LOG2 - (unsigned)__builtin_clzll(v | GENHIST_PARTS);

	return shift * GENHIST_PARTS + (unsigned)(v >> shift);
}

/* Hot. The one thread that adds. */
static inline void genhist_add(struct genhist *h, uint64_t v)
{
	uint64_t *bucket = &h->buckets[genhist_bucket(v)];

	__atomic_store_n(bucket, *bucket + 1, __ATOMIC_RELAXED);
	if (v > h->max)
		__atomic_store_n(&h->max, v, __ATOMIC_RELAXED);
	if (~v > h->min_not)
		__atomic_store_n(&h->min_not, ~v, __ATOMIC_RELAXED);
}

/* Empties it. The one thread that adds, while nobody reads. */
void genhist_init(struct genhist *h);

/* Adds what is in another one to `to`, the caller's own. */
void genhist_sum(struct genhist *to, const struct genhist *from);

/* What came since `before`, a copy of an earlier state, into `to`. Largest and smallest are those of all. */
void genhist_since(struct genhist *to, const struct genhist *now, const struct genhist *before);

uint64_t genhist_count(const struct genhist *h);

/* 0 of none. */
uint64_t genhist_max(const struct genhist *h);
uint64_t genhist_min(const struct genhist *h);
double genhist_mean(const struct genhist *h);

/* The value that at least a share q (0 to 1) of all do not exceed, as its bucket has it; q = 1: the largest, exactly. 0 of none. */
uint64_t genhist_quantile(const struct genhist *h, double q);

/* What stands for the values of a bucket, as genhist_quantile() gives it. */
uint64_t genhist_value(unsigned bucket);
