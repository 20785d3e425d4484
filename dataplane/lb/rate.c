/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rate — see rate.h. The table of sources is an array of lines, four buckets each; the hash says the line and
 * tells the buckets in it apart. It never grows. A source that is not in its line takes the place of the one
 * seen least lately, which begins with a full bucket when it comes again: so a table that is too small for a
 * flood of made-up sources refuses too few, never somebody who keeps to the limit. Cost: one cache line.
 *
 *  I1  a hash is in no line but its own, and there once at most
 *  I2  a bucket of tag 0 is free
 *
 * Two sources with one 64-bit hash share a bucket; the hash has a secret, so nobody can look for such a pair.
 */
#include "lb/rate.h"

#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_prefetch.h>

#include <errno.h>
#include <string.h>

#define WAYS 4u
#define N_LINES (RATE_SOURCES_MAX / WAYS)

struct source {
	uint64_t tag;
	uint32_t tokens;
	uint32_t at_ms; /* last seen */
};

struct rate_sources {
	struct {
		struct source of[WAYS];
	} __rte_cache_aligned lines[N_LINES];
};

_Static_assert(sizeof(struct rate_sources) == N_LINES * 64, "a line is a cache line");
_Static_assert(sizeof(struct rate_saved) == WAYS * sizeof(struct source), "a line is saved");

int rate_sources_create(struct rate_sources **out, int socket_id)
{
	struct rate_sources *t =
		rte_zmalloc_socket("rate_sources", sizeof(*t), RTE_CACHE_LINE_SIZE, socket_id);

	if (t == NULL)
		return -ENOMEM;
	*out = t;
	return 0;
}

void rate_sources_destroy(struct rate_sources **t)
{
	rte_free(*t);
	*t = NULL;
}

/* The place of the source in its line, made if it is not there. */
static struct source *find_place(
	struct source *line, uint64_t tag, const struct rate_limit *l, uint32_t now_ms)
{
	struct source *victim = &line[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (line[i].tag == tag)
			return &line[i];
		if (victim->tag != 0
			&& (line[i].tag == 0 || now_ms - line[i].at_ms > now_ms - victim->at_ms))
			victim = &line[i];
	}
	victim->tag = tag;
	victim->tokens = (uint32_t)l->cap;
	victim->at_ms = now_ms;
	return victim;
}

bool rate_take_source_units(struct rate_sources *t, uint64_t hash, const struct rate_limit *l,
	uint64_t units, uint32_t now_ms)
{
	struct source *s = find_place(t->lines[hash % N_LINES].of, hash != 0 ? hash : 1, l, now_ms);
	struct rate_bucket b = {.tokens = s->tokens, .at_ms = s->at_ms};
	bool is_taken;

	rate_fill(&b, l, now_ms);
	is_taken = b.tokens >= units;
	if (is_taken)
		b.tokens -= units;
	s->tokens = (uint32_t)b.tokens;
	s->at_ms = now_ms;
	return is_taken;
}

void rate_prefetch_source(const struct rate_sources *t, uint64_t hash)
{
	rte_prefetch0(t->lines[hash % N_LINES].of);
}

bool rate_take_source(
	struct rate_sources *t, uint64_t hash, const struct rate_limit *l, uint32_t now_ms)
{
	return rate_take_source_units(t, hash, l, l->cost, now_ms);
}

void rate_save(const struct rate_sources *t, uint64_t hash, struct rate_saved *saved)
{
	memcpy(saved, t->lines[hash % N_LINES].of, sizeof(*saved));
}

void rate_restore(struct rate_sources *t, uint64_t hash, const struct rate_saved *saved)
{
	memcpy(t->lines[hash % N_LINES].of, saved, sizeof(*saved));
}

uint32_t rate_source_left(
	const struct rate_sources *t, uint64_t hash, const struct rate_limit *l, uint32_t now_ms)
{
	const struct source *line = t->lines[hash % N_LINES].of;
	struct rate_bucket b = {.tokens = l->cap, .at_ms = now_ms};

	for (unsigned i = 0; i < WAYS; i++) {
		if (line[i].tag == (hash != 0 ? hash : 1)) {
			b.tokens = line[i].tokens;
			b.at_ms = line[i].at_ms;
		}
	}
	return rate_left(&b, l, now_ms);
}
