/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kv — a cache: keys and values with memcached's semantics, in memory that is fixed when it is made. All workers read without a
 * lock, all may write. This is what protocols call; what bytes they speak is theirs.
 *
 * Times are seconds of the process (begin with 1 or more), milliseconds of the process (base/clock.h), and for absolute times of
 * expiry seconds since 1970. A caller says all of them once in a loop, kv_writer_begin(), and sweeps, kv_sweep().
 *
 * Files: item.h the layout, assoc the index, seg the memory, evict* the policies, kvroom.c the walk that makes room, kvsweep.c
 * what has expired or was purged, kvverb.c writing, kvget.c reading and who is to fetch anew, lease.c what was said about
 * that, kv.c the rest.
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
	uint16_t
		n_guests; /* of these the last: they begin seldom, and read, purge and flush, but store nothing */
	uint8_t policy; /* enum evict_policy */
	int socket_id;
};

#define KV_ITEM_BYTES 128u
#define KV_VALUE_MAX 1048300u /* an item of 1 MiB, with key and head */
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
	int64_t vivify; /* with has_vivify: append and prepend of what is not there store it, with this exptime */
	uint64_t cas;     /* KV_CAS: what it must be. append, prepend: likewise, unless it is 0 */
	uint64_t new_cas; /* what it shall be; 0: the cache's own number */
	uint8_t mode;     /* enum kv_store_mode */
	bool has_cas;     /* a set or replace with it is a KV_CAS. 0 is no item's number */
	bool is_invalidating; /* KV_CAS: if cas is older than the item's, the value is stored as a stale one */
	bool has_vivify;
};

/* What an answer says beside the item. */
#define KV_WON 0x1u   /* it is this client's to fetch it anew */
#define KV_STALE 0x2u /* an old value */
#define KV_TAKEN 0x4u /* another client is about it */

struct kv_found {
	const struct item *
		item; /* stays as it is until the thread reports quiescent; but for the time of a touch */
	uint8_t marks; /* KV_…; of a miss too */
	int32_t ttl;   /* seconds; -1: never expires */
};

/* T, N and R of memcached's mg: times as of kv_store.exptime. */
struct kv_get {
	int64_t exptime;  /* the item's from now on */
	int64_t vivify;   /* a key that is not there becomes an empty item with this exptime */
	int64_t recache;  /* who comes when less is left than this, first, has won */
	uint64_t new_cas; /* of a new item; 0: the cache's own number */
	bool has_exptime, has_vivify, has_recache;
	bool is_touch_first; /* T came before R and N: R sees the new time, and a new item has that of N */
};

/* C, E, I, T and x of memcached's md; without any of them it deletes. */
struct kv_mark {
	uint64_t cas,
		new_cas; /* with has_cas: what it must be; what it shall be, 0: the cache's own number */
	int64_t exptime; /* with has_exptime, if is_invalidating or drops_value */
	bool has_cas, has_exptime;
	bool is_invalidating; /* the item stays, as a stale one that nobody has won */
	bool drops_value; /* it stays with an empty value and without flags; without has_exptime for good */
};

struct kv_count {
	uint64_t delta;
	uint64_t cas, new_cas; /* cas 0: whatever it is */
	uint64_t initial;      /* with has_vivify: what a key gets that is not there */
	int64_t exptime, vivify;
	bool is_down;
	bool has_cas, has_vivify, has_exptime;
	bool is_touch_first; /* as in struct kv_get */
};

struct kv_counted {
	uint64_t value, cas;
	int32_t ttl; /* seconds; -1: never expires */
};

/* What is done for clients that do not ask for it, so that not all of them fetch anew what is missing or too old. All 0: nothing.
 * One at a time is then told so (KV_WON), by a lease; if lease_ms is 0, one of KV_LEASE_MS. With any of them, what a client
 * has marked as stale is too old. */
struct kv_stampede {
	uint32_t lease_ms; /* one in this time of those who miss a key; 0: all */
	uint16_t
		early_pct; /* beta of XFetch in percent: one client misses a bit before the time; 0: none */
	uint32_t
		stale_s; /* what has expired is served for this long while one fetches it; 0: it is not */
};

#define KV_LEASE_MS 5000u

/* X(symbol, "help"), of each writer; kv_stats_sum() adds them up. */
#define KV_STATS(X) \
	X(items, "keys that are there; of one writer it may be below 0") \
	X(gets, "keys that were asked for") \
	X(hits, "... and found") \
	X(sets, "values stored") \
	X(deletes, "keys deleted by clients") \
	X(marks, "keys marked as stale by clients") \
	X(touches, "times of expiry changed by touch and gat") \
	X(get_expired, "keys that were asked for and had expired") \
	X(get_flushed, "keys that were asked for and had been purged") \
	X(delete_misses, "keys to be deleted that were not there, or another one") \
	X(touch_misses, "keys to be touched that were not there") \
	X(incr_hits, "numbers increased") \
	X(incr_misses, "keys to be increased that were not there") \
	X(decr_hits, "numbers decreased") \
	X(decr_misses, "keys to be decreased that were not there") \
	X(cas_hits, "values stored in place of the one that was expected") \
	X(cas_misses, "... not stored, as there was none") \
	X(cas_mismatches, "... not stored, as there was another one") \
	X(leases, "clients that were told to fetch anew") \
	X(lease_waits, "clients that were told that another one does") \
	X(stale_served, "old values given") \
	X(early, "refreshes begun before the time") \
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
	uint32_t n_pinned; /* segments */
	uint32_t
		expiry_lag_s; /* how long the oldest item that has expired, and is not kept as a stale one, has been there */
};

/* Context: manager. 0; -EINVAL: memory for fewer than KV_SEGS_MIN segments (each has room for value_max), or a limit out of
 * range; -ENOMEM. readers: every thread that calls what is below is registered and reports there. */
int kv_create(struct kv **out, const struct kv_params *params, struct rte_rcu_qsbr *readers);
void kv_destroy(struct kv **kv);

/* Memory that a cache needs at least for these parameters. */
uint64_t kv_memory_min(const struct kv_params *params);

struct kv_writer *kv_writer_of(struct kv *kv, unsigned id);

/* Once in a loop of the writer's thread: the time. A second of `now` begins where now_ms
 * is a multiple of 1,000; if not, early refreshes come up to a second too early or too late. Hot. */
void kv_writer_begin(struct kv_writer *w, uint32_t now, int64_t unix_now, uint64_t now_ms);

/* A part, of about ten microseconds, of what this writer has to sweep: the memory of what has expired, or was purged, is only used
 * again once it was swept. true: there is more to be done in this loop, or a later one. Hot; after kv_writer_begin(). */
bool kv_sweep(struct kv_writer *w);

static inline struct kv_key kv_key_of(const void *data, uint32_t len)
{
	return (struct kv_key){data, len, assoc_hash(data, len)};
}

/* Looks up n ≤ ASSOC_BULK keys; probes[i].item is NULL or an item that stays as it is until the thread reports quiescent. marks
 * are those of kv_set_stampede(), else 0: who wins misses, with KV_WON; others have a stale value, with KV_STALE and KV_TAKEN,
 * or miss, with KV_TAKEN. Counts, and tells the policy. Hot; no lock but where one is to win. */
void kv_get_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n);

/* The same in two steps, for who has not room for every answer: what the index has (an item that may turn out to be no hit, but
 * stays as it is), and all the rest, for as many of the probes, in any order, as are to be answered. Hot. */
void kv_get_find_bulk(const struct kv_writer *w, struct assoc_probe *probes, unsigned n);
void kv_get_settle_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n);

/* What is there for the key, or NULL: what is purged or expired is not there, but for what is still served as stale. Counts
 * nothing, and nobody wins or learns by it. No lock. */
const struct item *kv_get_peek(const struct kv_writer *w, const struct kv_key *key);

/* One key as memcached's mg finds it. KV_OK: f->item, with vivify it may be a new, empty one; KV_NOT_FOUND; KV_NO_MEMORY: for that.
 * A stale item is won by the first who comes, then taken. Without N and R, kv_set_stampede() holds here too. Hot. */
enum kv_result kv_get_meta(
	struct kv_writer *w, const struct kv_key *key, const struct kv_get *g, struct kv_found *f);

/* Bytes of an item that was found since the thread's last quiescent report stay as they are until kv_unpin() (any thread, and with the
 * same pointer), whatever becomes of the item; memory is pinned by the segment, a quarter of all at most. false: they do not, as so many
 * are pinned, or it points to nothing of this cache. Hot. */
bool kv_pin(struct kv *kv, const void *at);
void kv_unpin(struct kv *kv, const void *at);
/* Whether something is, or is just being unpinned. When nobody pins any more and it is not, kv_destroy() may follow. */
bool kv_is_pinned(const struct kv *kv);

/* Seconds that the item has left by the writer's clock, 0 if it has expired; -1: it never does. Hot. */
int32_t kv_ttl(const struct kv_writer *w, const struct item *it);

/* touch. The item as it was found, or NULL. Its marks stay. Hot. */
const struct item *kv_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime);

/* get and touch: likewise, but with kv_set_stampede() one client misses, and others may have an old value, whose time stays. Counts
 * as a touch. Hot. */
const struct item *kv_get_and_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime);

/* Hot. *cas, unless NULL: the number of what is stored now. */
enum kv_result kv_store(
	struct kv_writer *w, const struct kv_key *key, const struct kv_store *s, uint64_t *cas);

/* cas 0: whatever it is. KV_OK, KV_NOT_FOUND, KV_EXISTS. Hot. */
enum kv_result kv_delete(struct kv_writer *w, const struct kv_key *key, uint64_t cas);

/* Deletes, marks as stale, or drops the value. KV_OK, KV_NOT_FOUND, KV_EXISTS; KV_NO_MEMORY: there was none for what it should
 * become, and it is deleted. Hot. */
enum kv_result kv_mark(struct kv_writer *w, const struct kv_key *key, const struct kv_mark *m);

/* Adds to, or takes from, a number of decimal digits: wraps at 2^64, ends at 0. Marks and flags stay. KV_OK, KV_NOT_FOUND,
 * KV_EXISTS, KV_NOT_NUMBER, KV_NO_MEMORY. Hot. */
enum kv_result kv_count(struct kv_writer *w, const struct kv_key *key, const struct kv_count *c,
	struct kv_counted *result);

/* From now on no key that begins with this is found unless it is written again; len 0: no key at all. The items are removed
 * by and by. 0, -EINVAL: longer than ITEM_KEY_MAX; -EAGAIN, with a prefix: KV_PURGES_MAX of them are not yet finished,
 * or the last one has been this very moment. */
int kv_purge(struct kv_writer *w, const void *prefix, uint32_t len);

/* memcached's flush_all: at this time (0 or negative: now, else as kv_store.exptime) everything is gone that was stored before.
 * The next call replaces one that is still to come. 0. */
int kv_flush_at(struct kv_writer *w, int64_t exptime);

/* Context: manager, also while the cache is used: holds from the writers' next loops on. */
void kv_set_stampede(struct kv *kv, const struct kv_stampede *s);

/* Context: manager. */
void kv_stats_sum(const struct kv *kv, struct kv_stats *sum);
void kv_usage(const struct kv *kv, struct kv_usage *usage);

#define KV_BIG_BUCKETS 4096u

struct kv_big {
	uint32_t size; /* bytes that it takes, with its head */
	uint32_t value_len;
	int32_t ttl; /* seconds; -1: never expires */
	uint8_t key_len;
	uint8_t key[ITEM_KEY_MAX];
};

/* A walk for the n_max largest items; begins zeroed but for n_max and items. */
struct kv_biggest {
	struct kv_big *items; /* the caller's, n_max of them; the largest first */
	uint32_t n, n_max;
	uint64_t at; /* where it goes on */
};

/* A part of the walk: KV_BIG_BUCKETS buckets of the index. Items that are written or moved meanwhile may be left out. true: that was
 * the last part. Context: a thread that is a registered reader, and reports quiescent between two parts; no lock. */
bool kv_find_biggest(const struct kv *kv, struct kv_biggest *b);

/* Assert-only, nobody else uses it: walks everything. */
void kv_check(const struct kv *kv);
