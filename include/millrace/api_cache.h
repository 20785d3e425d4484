/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * api_cache — what the dataplane says of its caches, and does with them: requests and rows. Field names are the keys of the
 * CLI's JSON; units are in them. Counters start at 0 when the cache is made and only grow, unless the help says "now".
 */
#include "millrace/api.h"

#define MR_CACHE_KEY_MAX 250u         /* bytes of a key, as in memcached */
#define MR_CACHE_SHOWN_MAX 1024u      /* bytes of a value that CACHE_GET shows */
#define MR_CACHE_TTL_NEVER UINT32_MAX /* it does not expire */

/* CACHES: a row each. */
#define MR_CACHE_ROW_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "cache") \
	F(T, U8, eviction, 3, MR_REQUIRED, "enum mr_eviction") \
	F(T, U64, memory_bytes, 4, MR_REQUIRED, "all in") \
	F(T, U64, item_bytes, 5, MR_REQUIRED, "of the items with their heads, now") \
	F(T, U64, items, 6, MR_REQUIRED, "keys, now") \
	F(T, U32, segments, 7, MR_OPTIONAL, "pieces of the memory that items lie in") \
	F(T, U32, segments_free, 8, MR_OPTIONAL, "of these, now") \
	F(T, U32, segment_bytes, 9, MR_OPTIONAL, "") \
	F(T, U32, expiry_lag_s, 10, MR_OPTIONAL, \
		"how long the oldest item that has expired, and is not removed, has been there, now") \
	F(T, U64, gets, 20, MR_OPTIONAL, "keys that were asked for") \
	F(T, U64, hits, 21, MR_OPTIONAL, "... and found") \
	F(T, U64, sets, 22, MR_OPTIONAL, "values stored") \
	F(T, U64, deletes, 23, MR_OPTIONAL, "keys deleted by clients") \
	F(T, U64, touches, 24, MR_OPTIONAL, "times of expiry changed by touch and gat") \
	F(T, U64, get_expired, 25, MR_OPTIONAL, "keys that were asked for and had expired") \
	F(T, U64, get_flushed, 26, MR_OPTIONAL, "keys that were asked for and had been purged") \
	F(T, U64, delete_misses, 27, MR_OPTIONAL, \
		"keys to be deleted that were not there, or another one") \
	F(T, U64, touch_misses, 28, MR_OPTIONAL, "keys to be touched that were not there") \
	F(T, U64, incr_hits, 29, MR_OPTIONAL, "numbers increased") \
	F(T, U64, incr_misses, 30, MR_OPTIONAL, "keys to be increased that were not there") \
	F(T, U64, decr_hits, 31, MR_OPTIONAL, "numbers decreased") \
	F(T, U64, decr_misses, 32, MR_OPTIONAL, "keys to be decreased that were not there") \
	F(T, U64, cas_hits, 33, MR_OPTIONAL, \
		"values stored in place of the one that was expected") \
	F(T, U64, cas_misses, 34, MR_OPTIONAL, "... not stored, as there was none") \
	F(T, U64, cas_mismatches, 35, MR_OPTIONAL, "... not stored, as there was another one") \
	F(T, U64, leases, 36, MR_OPTIONAL, "clients that were told to fetch anew") \
	F(T, U64, lease_waits, 37, MR_OPTIONAL, "clients that were told that another one does") \
	F(T, U64, stale_served, 38, MR_OPTIONAL, "old values given") \
	F(T, U64, early, 39, MR_OPTIONAL, "refreshes begun before the time") \
	F(T, U64, evicted, 40, MR_OPTIONAL, "items given up for room") \
	F(T, U64, expired, 41, MR_OPTIONAL, "items removed after their time") \
	F(T, U64, purged, 42, MR_OPTIONAL, "items removed by a purge or flush_all") \
	F(T, U64, kept, 43, MR_OPTIONAL, "items copied on while room was made") \
	F(T, U64, too_large, 44, MR_OPTIONAL, "values longer than the limit") \
	F(T, U64, no_memory, 45, MR_OPTIONAL, "writes refused as no room could be made in time") \
	F(T, U64, marks, 46, MR_OPTIONAL, "keys marked as stale by clients")
MR_MSG(mr_cache_row, MR_CACHE_ROW_FIELDS)

/* CACHE_GET: one row, or none when the key is not there. It counts as no request and changes nothing; it is for who may change
 * things, as values are not everybody's to read. */
#define MR_CACHE_KEY_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "cache") \
	F(T, DATA, key, 3, MR_REQUIRED, "1 to MR_CACHE_KEY_MAX bytes")
MR_MSG(mr_cache_key, MR_CACHE_KEY_FIELDS)

#define MR_CACHE_VALUE_ROW_FIELDS(F, T) \
	F(T, U32, value_bytes, 2, MR_REQUIRED, "") \
	F(T, U32, flags, 3, MR_REQUIRED, "the client's") \
	F(T, U64, cas, 4, MR_REQUIRED, "") \
	F(T, U32, ttl_s, 5, MR_REQUIRED, "left; MR_CACHE_TTL_NEVER") \
	F(T, U8, is_stale, 6, MR_OPTIONAL, "1 = a client has said that it is an old value") \
	F(T, U8, is_won, 7, MR_OPTIONAL, \
		"1 = a client was told to fetch it anew, and nothing was stored since") \
	F(T, DATA, value, 8, MR_REQUIRED, "its first bytes, at most MR_CACHE_SHOWN_MAX")
MR_MSG(mr_cache_value_row, MR_CACHE_VALUE_ROW_FIELDS)

/* CACHE_PURGE: from now on no key that begins so is found unless it is written again. */
#define MR_CACHE_PURGE_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "cache") \
	F(T, DATA, prefix, 3, MR_OPTIONAL, "at most MR_CACHE_KEY_MAX bytes; none: see all") \
	F(T, U8, all, 4, MR_OPTIONAL, "1 = all keys, without a prefix")
MR_MSG(mr_cache_purge, MR_CACHE_PURGE_FIELDS)

/* CACHE_HOTKEYS: the keys that are asked for most, the highest rate first. */
#define MR_CACHE_TOP_FIELDS(F, T) \
	F(T, NAME, name, 2, MR_REQUIRED, "cache") \
	F(T, U16, limit, 3, MR_OPTIONAL, "rows, 1 to MR_CACHE_TOP_MAX; 0 = MR_CACHE_TOP")
MR_MSG(mr_cache_top, MR_CACHE_TOP_FIELDS)

#define MR_CACHE_TOP 20u
#define MR_CACHE_TOP_MAX 256u

/* Rates are in thousandths of a request in a second. */
#define MR_CACHE_HOTKEY_ROW_FIELDS(F, T) \
	F(T, DATA, key, 2, MR_REQUIRED, "") \
	F(T, U64, milli_per_second, 3, MR_REQUIRED, "lookups, estimated from a sample") \
	F(T, U64, milli_error, 4, MR_REQUIRED, "by how much that may be wrong, either way")
MR_MSG(mr_cache_hotkey_row, MR_CACHE_HOTKEY_ROW_FIELDS)

/* CACHE_BIGKEYS: the largest items, the largest first. */
#define MR_CACHE_BIGKEY_ROW_FIELDS(F, T) \
	F(T, DATA, key, 2, MR_REQUIRED, "") \
	F(T, U32, item_bytes, 3, MR_REQUIRED, "that it takes, with its head") \
	F(T, U32, value_bytes, 4, MR_REQUIRED, "") \
	F(T, U32, ttl_s, 5, MR_REQUIRED, "left; MR_CACHE_TTL_NEVER")
MR_MSG(mr_cache_bigkey_row, MR_CACHE_BIGKEY_ROW_FIELDS)

/* CACHE_LATENCY: a row for each kind of request that has come. */
#define MR_CACHE_NAME_FIELDS(F, T) F(T, NAME, name, 2, MR_REQUIRED, "cache")
MR_MSG(mr_cache_name, MR_CACHE_NAME_FIELDS)

#define MR_CACHE_LATENCY_ROW_FIELDS(F, T) \
	F(T, NAME, kind, 2, MR_REQUIRED, "get, set, …") \
	F(T, U64, sampled, 3, MR_REQUIRED, "requests whose time was taken: a few of all") \
	F(T, U64, mean_ns, 4, MR_REQUIRED, \
		"from when its packets came until the answer is written") \
	F(T, U64, p50_ns, 5, MR_REQUIRED, "half of them took no longer") \
	F(T, U64, p90_ns, 6, MR_REQUIRED, "") \
	F(T, U64, p99_ns, 7, MR_REQUIRED, "") \
	F(T, U64, p999_ns, 8, MR_REQUIRED, "") \
	F(T, U64, max_ns, 9, MR_REQUIRED, "")
MR_MSG(mr_cache_latency_row, MR_CACHE_LATENCY_ROW_FIELDS)
