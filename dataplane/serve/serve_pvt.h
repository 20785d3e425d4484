/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serve_pvt — what serve.c shares with those who speak a transport (serveudp.c, servetcp.c): what a worker has of its own, and how
 * requests are executed on a cache, counted and timed. Context of everything: worker.
 */
#include "serve/serve.h"
#include "serve/servemc.h"

#include <rte_cycles.h>

struct serveudp; /* serve/serveudp.h */

struct serve_worker {
	uint64_t now_ms; /* the caches' time, which does not wrap */
	uint32_t last_ms;
	uint64_t generation; /* whose caches have begun at that time */
	uint64_t seen_rx;    /* packets received until then */
	uint64_t swept_cyc;  /* when it last swept */
	uint64_t us_cyc;     /* cycles of a microsecond */
	bool is_behind;      /* there was more to sweep */
	unsigned sweep_at;   /* the cache that comes next, modulo how many there are */
	int64_t unix_now;
	struct rate_sources *sources;
	struct serve_tally *services;
	uint32_t lookups_left, requests_left; /* until the next of a sample */
	uint64_t random;
	struct worker *const *workers; /* all there are */
	struct serveudp *udp;
	struct servetcp *tcp; /* NULL: there is none */
};

/* The cache that is asked. */
struct serve_asked {
	struct servemc mc;
	const struct worker *w;
	const struct cache *cache;
	struct serve_worker *sw;
	struct cache_watch *watch;
	uint64_t begun; /* cycle: when the burst came */
};

/* Hot. Everything about requests to c that come with this burst; *a stays where it is. */
void serve_ask(struct serve_asked *a, struct worker *w, const struct cache *c, uint64_t begun);

static inline void serve_count(uint64_t *field, uint64_t n)
{
	__atomic_store_n(field, *field + n, __ATOMIC_RELAXED);
}

/* Adds what a burst has brought. */
void serve_count_all(struct serve_tally *to, const struct serve_tally *burst);

/* One of so many on the average, at no fixed distance: of requests that come in a rhythm every sixteenth could always be the same. */
static inline bool serve_is_sampled(struct serve_worker *sw, uint32_t *left, uint32_t one_of)
{
	if (likely(--*left != 0))
		return false;
	sw->random ^= sw->random << 13; /* xorshift64 */
	sw->random ^= sw->random >> 7;
	sw->random ^= sw->random << 17;
	*left = 1 + (uint32_t)(sw->random >> 32) % (2 * one_of - 1);
	return true;
}

void serve_note_time(const struct serve_asked *a, enum mc_verb verb);

/* The time of one request of many, from when its burst came. */
static inline void serve_take_time(const struct serve_asked *a, enum mc_verb verb)
{
	if (unlikely(serve_is_sampled(a->sw, &a->sw->requests_left, CACHE_LATENCY_SAMPLE)))
		serve_note_time(a, verb);
}

/* The same of n requests. */
static inline void serve_take_times(const struct serve_asked *a, enum mc_verb verb, uint32_t n)
{
	if (likely(n < a->sw->requests_left)) {
		a->sw->requests_left -= n;
		return;
	}
	while (n-- > 0)
		serve_take_time(a, verb);
}
