/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rate — token buckets of new flows: one of a service, and a table of them for clients' networks. Time is the
 * worker's, in milliseconds. Everything is a worker's own.
 *
 * A limit is of all workers together. A token is 1000 × workers units and each millisecond brings as many
 * units as the limit says flows per second, so that a worker's share is exact, whatever divides.
 */
#include <stdbool.h>
#include <stdint.h>

#define RATE_SOURCES_MAX 65536u /* of one worker: 1 MB */

struct rate_limit {
	uint32_t gain; /* units in a millisecond; 0: no limit */
	uint32_t cost; /* units of a flow */
	uint64_t cap;  /* units that gather: a burst */
};

struct rate_bucket {
	uint64_t tokens; /* units */
	uint32_t at_ms;
};

/* per_second of n_workers workers, and what gathers in burst_ms, one flow at least. per_second 0: none. */
static inline struct rate_limit rate_limit_of(
	uint32_t per_second, uint32_t n_workers, uint32_t burst_ms)
{
	const uint32_t cost = 1000u * n_workers;
	const uint64_t burst = (uint64_t)per_second * burst_ms;

	return (struct rate_limit){per_second, cost, burst > cost ? burst : cost};
}

/* Adds what time has brought. A bucket of zeros is one that has not been used since time 0. */
static inline void rate_fill(struct rate_bucket *b, const struct rate_limit *l, uint32_t now_ms)
{
	const uint64_t tokens = b->tokens + (uint64_t)(now_ms - b->at_ms) * l->gain;

	b->tokens = tokens < l->cap ? tokens : l->cap;
	b->at_ms = now_ms;
}

/* Takes a token, if there is one, of a bucket that has been filled at this time. */
static inline bool rate_spend(struct rate_bucket *b, const struct rate_limit *l)
{
	if (b->tokens < l->cost)
		return false;
	b->tokens -= l->cost;
	return true;
}

static inline bool rate_take(struct rate_bucket *b, const struct rate_limit *l, uint32_t now_ms)
{
	rate_fill(b, l, now_ms);
	return rate_spend(b, l);
}

/* Flows that the bucket admits now; takes none. */
static inline uint32_t rate_left(
	const struct rate_bucket *b, const struct rate_limit *l, uint32_t now_ms)
{
	const uint64_t tokens = b->tokens + (uint64_t)(now_ms - b->at_ms) * l->gain;

	return (uint32_t)((tokens < l->cap ? tokens : l->cap) / l->cost);
}

struct rate_sources; /* opaque */

/* What is kept of the sources near one: rate_save(), rate_take_source() and rate_restore() leave no trace. */
struct rate_saved {
	uint64_t words[8];
};

/* Cold. Context: manager, before workers start. 0 or -ENOMEM. */
int rate_sources_create(struct rate_sources **out, int socket_id);
void rate_sources_destroy(struct rate_sources **t); /* NULL-safe, clears *t */

/* Hot. Takes a token of the source with this keyed hash; one that is not known has a full bucket. cap must fit
 * into 32 bits. */
bool rate_take_source(
	struct rate_sources *t, uint64_t hash, const struct rate_limit *l, uint32_t now_ms);

/* Hot. The same for more or less than a token: units of l->cost each. */
bool rate_take_source_units(struct rate_sources *t, uint64_t hash, const struct rate_limit *l,
	uint64_t units, uint32_t now_ms);

/* Hot. Fetches what rate_take_source() of this hash will read. */
void rate_prefetch_source(const struct rate_sources *t, uint64_t hash);

/* Cold. Context: the owning worker. */
void rate_save(const struct rate_sources *t, uint64_t hash, struct rate_saved *saved);
void rate_restore(struct rate_sources *t, uint64_t hash, const struct rate_saved *saved);

/* Flows that the source may begin now; takes none. */
uint32_t rate_source_left(
	const struct rate_sources *t, uint64_t hash, const struct rate_limit *l, uint32_t now_ms);
