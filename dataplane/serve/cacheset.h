/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * cacheset — the caches that there are, by name. Each is a kv engine of its own in memory that it takes when it is made and
 * gives back with the last generation that names it; all of them together stay within --cache-memory. A cache is the same as
 * long as its name, memory, eviction and sizes are: a new generation goes on with what is in it. Where one of these changes it is
 * another cache, which begins empty.
 *
 * Context of everything: manager, unless it says otherwise.
 */
#include "base/histogram.h"
#include "kv/hotkey.h"
#include "kv/kv.h"
#include "millrace/api_lb.h"

struct cacheset;

/* Kinds of requests whose times are told apart. */
#define CACHE_KINDS(X) \
	X(CACHE_GET, "get") \
	X(CACHE_SET, "set") \
	X(CACHE_DELETE, "delete") \
	X(CACHE_ARITH, "arith") \
	X(CACHE_TOUCH, "touch") \
	X(CACHE_OTHER, "other")
#define CACHE_KIND_MEMBER(symbol, name) symbol,
enum cache_kind { CACHE_KINDS(CACHE_KIND_MEMBER) CACHE_N_KINDS };

#define CACHE_HOT_SAMPLE 16u     /* one lookup of so many goes into the sketch of hot keys */
#define CACHE_LATENCY_SAMPLE 64u /* of so many requests the time of one is taken */

/* What a worker notes of a cache for people. w: worker  r: manager */
struct cache_watch {
	struct hotkey *hot;
	struct histogram
		latency[CACHE_N_KINDS]; /* cycles, from the burst until the answer is written */
};

struct cache {
	struct mr_cache spec; /* fixed, but for times: w and r: manager, at publication */
	struct kv *kv;
	struct cache_watch *watches; /* of each worker */
	uint32_t n_refs;             /* generations */
	struct cache *next;          /* of those that are going */
	uint32_t
		now_s; /* seconds on its time line  w: workers, once in a tick, relaxed  r: manager */
};

/* Bytes of a value at most. Any thread. */
static inline uint32_t cacheset_value_max(const struct mr_cache *spec)
{
	return spec->value_max != 0 ? spec->value_max : MR_CACHE_VALUE_MAX;
}

struct cacheset_params {
	uint64_t memory_bytes; /* of all caches; 0: there can be none */
	uint16_t n_workers;
	int socket_id;
};

/* 0 or -ENOMEM. Items go by snapshot_items(), which is there before where memory_bytes is not 0; the manager is reader and
 * writer n_workers. */
int cacheset_create(struct cacheset **out, const struct cacheset_params *params);
void cacheset_destroy(struct cacheset **s); /* NULL-safe, clears *s; no cache is referred to */

/* The cache that spec is about, with one reference more: the one that is there, or a new one. Takes its memory now, and
 * writes to the part that is the index. 0; -EINVAL: sizes that do not go together; -ENOSPC: more than is left, with *err;
 * -ENOMEM. */
int cacheset_get(
	struct cacheset *s, const struct mr_cache *spec, struct cache **out, struct mr_error *err);
void cacheset_put(struct cacheset *s, struct cache **c); /* NULL-safe, clears *c */

/* What may change of a cache in use. Any number of times. */
void cacheset_update(struct cache *c, const struct mr_cache *spec);

/* Of all caches there are. */
uint64_t cacheset_memory_used(const struct cacheset *s);

/* Bytes that a cache has beside its engine, for each worker: of its own memory. */
#define CACHE_WATCH_BYTES (256u << 10)

/* What cache_watch.hot of all workers says: hotkey_merge() of every lookup. */
unsigned cacheset_hot(
	const struct cacheset *s, const struct cache *c, struct hotkey_top *out, unsigned max);

/* Adds up the times of a kind, in cycles, over all workers. */
void cacheset_latency(const struct cacheset *s, const struct cache *c, enum cache_kind kind,
	struct histogram *sum);

/* The manager reads and purges a cache, and stores nothing (kv_params.n_guests), between these two, as the thread of this writer. What it finds is good until
 * cacheset_leave(). Between them no worker's grace period ends: briefly. */
struct kv_writer *cacheset_enter(const struct cacheset *s, struct cache *c);
void cacheset_leave(const struct cacheset *s);
