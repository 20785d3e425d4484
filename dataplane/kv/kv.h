/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kv — a cache: keys and values with memcached's semantics, in memory that is fixed when it is made. All workers read without a
 * lock, all may write. This is what protocols call; what bytes they speak is theirs.
 *
 * Times are seconds of the process (begin with 1 or more; base/clock.h), and for absolute times of expiry those since 1970. A
 * caller says both once in a loop, kv_writer_begin().
 *
 * Files: item.h the layout, assoc the index, seg the memory, evict* the policies, kvroom.c the walk that makes room, kvsweep.c
 * what has expired or was purged, kvverb.c writing, kv.c the rest.
 */
#include "kv/evict.h"

struct kv;
struct kv_writer; /* what a thread that writes has of a cache; one thread at a time uses it */

struct kv_params {
	uint64_t memory_bytes; /* all in: items, index, ghosts, book-keeping */
	uint32_t
		item_bytes; /* expected size of key and value, for the size of the index; 0: KV_ITEM_BYTES */
	uint32_t value_max; /* 0: KV_VALUE_MAX */
	uint16_t n_writers;
	uint8_t policy; /* enum evict_policy */
	int socket_id;
};

#define KV_ITEM_BYTES 128u
#define KV_VALUE_MAX (1u << 20)
#define KV_SEGS_MIN 32u
#define KV_PURGES_MAX 16u

enum kv_result {
	KV_OK,
	KV_NOT_FOUND,
	KV_NOT_STORED, /* add of what is there, replace, append or prepend of what is not */
	KV_EXISTS,     /* cas: changed since */
	KV_TOO_LARGE,  /* longer than the limit; of KV_SET the old value is gone, as in memcached */
	KV_NO_MEMORY,  /* no room could be made in time; likewise */
	KV_NOT_NUMBER, /* incr, decr */
};

enum kv_store_mode { KV_SET, KV_ADD, KV_REPLACE, KV_APPEND, KV_PREPEND, KV_CAS };

struct kv_key {
	const void *data;
	uint32_t len; /* 1 to ITEM_KEY_MAX */
	uint64_t hash;
};

struct kv_store {
	const void *value;
	uint32_t value_len;
	uint32_t flags;
	int64_t exptime; /* memcached's: 0 never, negative: at once, to 30 days relative, else Unix time */
	uint64_t cas;     /* KV_CAS: what it must be */
	uint64_t new_cas; /* what it shall be; 0: the cache's own number */
	uint8_t mode;     /* enum kv_store_mode */
};

/* X(symbol, "help"), of each writer; kv_stats_sum() adds them up. */
#define KV_STATS(X) \
	X(items, "keys that are there; of one writer it may be below 0") \
	X(gets, "keys that were asked for") \
	X(hits, "... and found") \
	X(sets, "values stored") \
	X(deletes, "keys deleted by clients") \
	X(touches, "times of expiry changed") \
	X(evicted, "items given up for room") \
	X(expired, "items removed after their time") \
	X(purged, "items removed by a purge or flush_all") \
	X(kept, "items copied on while room was made") \
	X(too_large, "values longer than the limit") \
	X(no_memory, "writes refused as no room could be made in time")

struct kv_stats {
#define X(symbol, help) uint64_t symbol;
	KV_STATS(X)
#undef X
};

struct kv_usage {
	uint64_t memory_bytes, item_bytes; /* configured; live items with their heads */
	uint64_t n_items;
	uint32_t n_segs, n_free, n_index_segs, seg_bytes;
	uint32_t
		expiry_lag_s; /* how long the oldest item that has expired, and is not removed, has been there */
};

/* Context: manager. 0; -EINVAL: memory for fewer than KV_SEGS_MIN segments (each has room for value_max), or a limit out of
 * range; -ENOMEM. readers: every thread that calls what is below is registered and reports there. */
int kv_create(struct kv **out, const struct kv_params *params, struct rte_rcu_qsbr *readers);
void kv_destroy(struct kv **kv);

/* Memory that a cache needs at least for these parameters. */
uint64_t kv_memory_min(const struct kv_params *params);

struct kv_writer *kv_writer_of(struct kv *kv, unsigned id);

/* Once in a loop of the writer's thread: the time, and a bounded part of what is to be swept. Hot. */
void kv_writer_begin(struct kv_writer *w, uint32_t now, int64_t unix_now);

static inline struct kv_key kv_key_of(const void *data, uint32_t len)
{
	return (struct kv_key){data, len, assoc_hash(data, len)};
}

/* Looks up n ≤ ASSOC_BULK keys; probes[i].item is NULL or an item that stays as it is until the thread reports quiescent.
 * Counts, and tells the policy. Hot, no lock. */
void kv_get_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n);

/* get and touch. The item as it was found, or NULL. Hot. */
const struct item *kv_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime);

/* Hot. *cas, unless NULL: the number of what is stored now. */
enum kv_result kv_store(
	struct kv_writer *w, const struct kv_key *key, const struct kv_store *s, uint64_t *cas);

/* cas 0: whatever it is. KV_OK, KV_NOT_FOUND, KV_EXISTS. Hot. */
enum kv_result kv_delete(struct kv_writer *w, const struct kv_key *key, uint64_t cas);

/* Adds to, or takes from, a number of decimal digits: wraps at 2^64, ends at 0. *value: the result. KV_OK, KV_NOT_FOUND,
 * KV_EXISTS, KV_NOT_NUMBER, KV_NO_MEMORY. Hot. */
enum kv_result kv_count(struct kv_writer *w, const struct kv_key *key, uint64_t delta, bool is_down,
	uint64_t cas, uint64_t *value);

/* From now on no key that begins with this is found unless it is written again; len 0: no key at all. The items are removed
 * by and by. 0, -EINVAL: longer than ITEM_KEY_MAX; -EAGAIN: KV_PURGES_MAX of them are not yet finished,
 * or the last one has been this very moment. */
int kv_purge(struct kv_writer *w, const void *prefix, uint32_t len);

/* Context: manager. */
void kv_stats_sum(const struct kv *kv, struct kv_stats *sum);
void kv_usage(const struct kv *kv, struct kv_usage *usage);

/* Assert-only, nobody else uses it: walks everything. */
void kv_check(const struct kv *kv);
