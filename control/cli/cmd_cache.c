/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_cache — `millrace cache …`; see cmd.h. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "millrace/api_cache.h"

#define KEYS_HELP "; bytes that are no text as \\xNN, a backslash as \\\\"

static const struct cmd_param show_params[] = {
	{.name = "NAME", .key = "name", .kind = CMD_CACHE, .help = "only this cache"},
};

static const struct cmd_param one_params[] = {
	{.name = "NAME",
		.key = "name",
		.kind = CMD_CACHE,
		.is_required = true,
		.help = "the cache"},
};

static const struct cmd_param get_params[] = {
	{.name = "NAME",
		.key = "name",
		.kind = CMD_CACHE,
		.is_required = true,
		.help = "the cache"},
	{.name = "KEY",
		.key = "key",
		.kind = CMD_BYTES,
		.min = 1,
		.max = MR_CACHE_KEY_MAX,
		.is_required = true,
		.help = "the key" KEYS_HELP},
};

static const struct cmd_param purge_params[] = {
	{.name = "NAME",
		.key = "name",
		.kind = CMD_CACHE,
		.is_required = true,
		.help = "the cache"},
	{.name = "--prefix",
		.key = "prefix",
		.value = "P",
		.kind = CMD_BYTES,
		.min = 1,
		.max = MR_CACHE_KEY_MAX,
		.help = "the keys that begin with this" KEYS_HELP},
	{.name = "--all", .key = "all", .kind = CMD_FLAG, .help = "all keys"},
};

static const struct cmd_param top_params[] = {
	{.name = "NAME",
		.key = "name",
		.kind = CMD_CACHE,
		.is_required = true,
		.help = "the cache"},
	{.name = "--limit",
		.key = "limit",
		.value = "N",
		.kind = CMD_UINT,
		.min = 1,
		.max = MR_CACHE_TOP_MAX,
		.help = "at most so many (default: 20)"},
};

static const struct cmd_col show_cols[] = {
	{"name", "CACHE", FMT_ANY},
	{"eviction", "EVICTION", FMT_ANY},
	{"memory_bytes", "MEMORY BYTES", FMT_UINT},
	{"item_bytes", "USED %", FMT_SHARE, "memory_bytes"},
	{"items", "ITEMS", FMT_UINT},
	{"gets", "GETS", FMT_UINT},
	{"hits", "HITS %", FMT_SHARE, "gets"},
	{"sets", "SETS", FMT_UINT},
	{"evicted", "EVICTED", FMT_UINT},
	{"expired", "EXPIRED", FMT_UINT},
	{"services", "SERVICES", FMT_ANY},
	{0},
};

static const struct cmd_col show_record[] = {
	{"name", "cache", FMT_ANY},
	{"services", "services", FMT_ANY},
	{"eviction", "eviction", FMT_ANY},
	{"memory_bytes", "memory bytes", FMT_UINT},
	{"value_max_bytes", "value bytes, at most", FMT_UINT},
	{"expected_item_bytes", "item bytes, as expected", FMT_UINT},
	{"lease_ms", "lease", FMT_MS},
	{"early_refresh", "early refresh", FMT_ANY},
	{"serve_stale_s", "stale values served for", FMT_SECONDS},
	{"items", "items", FMT_UINT},
	{"item_bytes", "bytes of items", FMT_UINT},
	{"item_bytes", "used %", FMT_SHARE, "memory_bytes"},
	{"segments", "segments", FMT_UINT},
	{"segments_free", "free segments", FMT_UINT},
	{"expiry_lag_s", "expired, not removed, for", FMT_SECONDS},
	{"gets", "gets", FMT_UINT},
	{"hits", "hits", FMT_UINT},
	{"hits", "hits %", FMT_SHARE, "gets"},
	{"sets", "sets", FMT_UINT},
	{"evicted", "evicted", FMT_UINT},
	{"expired", "expired", FMT_UINT},
	{"purged", "purged", FMT_UINT},
	{0},
};

static const struct cmd_col stats_record[] = {
	{"name", "cache", FMT_ANY},
	{"items", "items", FMT_UINT},
	{"item_bytes", "bytes of items", FMT_UINT},
	{"gets", "gets", FMT_UINT},
	{"hits", "hits", FMT_UINT},
	{"hits", "hits %", FMT_SHARE, "gets"},
	{"get_expired", "gets of expired keys", FMT_UINT},
	{"get_flushed", "gets of purged keys", FMT_UINT},
	{"sets", "sets", FMT_UINT},
	{"deletes", "deletes", FMT_UINT},
	{"delete_misses", "delete misses", FMT_UINT},
	{"marks", "marked as stale", FMT_UINT},
	{"touches", "touches", FMT_UINT},
	{"touch_misses", "touch misses", FMT_UINT},
	{"incr_hits", "incr hits", FMT_UINT},
	{"incr_misses", "incr misses", FMT_UINT},
	{"decr_hits", "decr hits", FMT_UINT},
	{"decr_misses", "decr misses", FMT_UINT},
	{"cas_hits", "cas hits", FMT_UINT},
	{"cas_misses", "cas misses", FMT_UINT},
	{"cas_mismatches", "cas mismatches", FMT_UINT},
	{"leases", "leases", FMT_UINT},
	{"lease_waits", "waits for a lease", FMT_UINT},
	{"stale_served", "stale values served", FMT_UINT},
	{"early", "early refreshes", FMT_UINT},
	{"evicted", "evicted", FMT_UINT},
	{"expired", "expired", FMT_UINT},
	{"purged", "purged", FMT_UINT},
	{"kept", "copied on", FMT_UINT},
	{"too_large", "too large", FMT_UINT},
	{"no_memory", "no room in time", FMT_UINT},
	{"segments", "segments", FMT_UINT},
	{"segments_free", "free segments", FMT_UINT},
	{"segment_bytes", "segment bytes", FMT_UINT},
	{"expiry_lag_s", "expired, not removed, for", FMT_SECONDS},
	{0},
};

static const struct cmd_col get_record[] = {
	{"key", "key", FMT_ANY},
	{"value_bytes", "value bytes", FMT_UINT},
	{"flags", "flags", FMT_UINT},
	{"cas", "cas", FMT_ANY},
	{"ttl_s", "expires in", FMT_SECONDS},
	{"is_stale", "stale", FMT_BOOL},
	{"is_won", "being fetched anew", FMT_BOOL},
	{"shown_bytes", "bytes shown", FMT_UINT},
	{"value", "value", FMT_ANY},
	{0},
};

static const struct cmd_col hot_cols[] = {
	{"per_second", "GETS/s", FMT_RATE},
	{"error", "+-", FMT_RATE},
	{"key", "KEY", FMT_ANY},
	{0},
};

static const struct cmd_col big_cols[] = {
	{"item_bytes", "ITEM BYTES", FMT_UINT},
	{"value_bytes", "VALUE BYTES", FMT_UINT},
	{"ttl_s", "EXPIRES IN", FMT_SECONDS},
	{"key", "KEY", FMT_ANY},
	{0},
};

static const struct cmd_col latency_cols[] = {
	{"kind", "KIND", FMT_ANY},
	{"sampled", "SAMPLED", FMT_UINT},
	{"mean_ns", "MEAN ns", FMT_UINT},
	{"p50_ns", "P50 ns", FMT_UINT},
	{"p90_ns", "P90 ns", FMT_UINT},
	{"p99_ns", "P99 ns", FMT_UINT},
	{"p999_ns", "P99.9 ns", FMT_UINT},
	{"max_ns", "MAX ns", FMT_UINT},
	{0},
};

static void put_purged(const json_t *item, char *buf, size_t size)
{
	const char *const prefix = json_string_value(json_object_get(item, "prefix"));

	snprintf(buf, size, "%s%s%s", prefix != NULL ? "keys that begin with '" : "all keys",
		prefix != NULL ? prefix : "", prefix != NULL ? "'" : "");
}

static const struct cmd_col purge_cols[] = {
	{"name", "CACHE", FMT_ANY},
	{.header = "PURGED", .custom = put_purged},
	{0},
};

/* A slip of the finger must not empty a cache. */
static int run_purge(const struct cmd_call *call)
{
	const bool is_all = json_object_get(call->params, "all") != NULL;
	const bool has_prefix = json_object_get(call->params, "prefix") != NULL;
	json_t *result;
	int exit;

	if (!has_prefix && !is_all)
		return report_usage(call, "see: millrace help cache purge",
			"cache purge: which keys? Give --prefix, or --all");
	if (has_prefix && is_all)
		return report_usage(call, NULL, "cache purge: --all goes without --prefix");
	exit = cli_ask(call, call->params, &result);
	if (exit != EXIT_DONE)
		return exit;
	clishow_result(call, result);
	json_decref(result);
	return EXIT_DONE;
}

static const struct cmd cmds[] = {
	{
		.path = "cache show",
		.method = "cache.show",
		.summary = "show caches, their memory, items and hits",
		.text = "Without NAME one line for each cache; with NAME what is configured and how it "
			"is used. Counters begin with the cache; \"-\" means not known, for instance while "
			"the dataplane is away. USED is the share of the memory that items have now.",
		CMD_PARAMS(show_params),
		.cols = show_cols,
		.record = show_record,
		.empty = "no caches",
		.examples = "millrace cache show\n"
			    "millrace cache show sessions\n"
			    "millrace -o json cache show | jq '.items[].evicted'\n",
	},
	{
		.path = "cache stats",
		.method = "cache.stats",
		.summary = "show all counters of a cache",
		.text = "Since the cache was made: a change of its memory, eviction or sizes makes it "
			"anew.",
		CMD_PARAMS(one_params),
		.record = stats_record,
		.examples = "millrace cache stats sessions\n"
			    "millrace -o json cache stats sessions\n",
	},
	{
		.path = "cache get",
		.method = "cache.get",
		.summary = "show what a cache has for a key",
		.text = "Counts as no request and changes nothing of the item. Of a long value the first "
			"bytes are shown.",
		CMD_PARAMS(get_params),
		.record = get_record,
		.examples = "millrace cache get sessions user:17\n"
			    "millrace cache get sessions 'id\\x00\\x2a'\n",
	},
	{
		.path = "cache purge",
		.method = "cache.purge",
		.summary = "make a cache forget keys",
		.text = "From now on no such key is found unless it is stored again; the memory comes back "
			"by and by.",
		CMD_PARAMS(purge_params),
		.cols = purge_cols,
		.examples = "millrace cache purge sessions --prefix user:\n"
			    "millrace cache purge sessions --all\n",
		.run = run_purge,
	},
	{
		.path = "cache hotkeys",
		.method = "cache.hotkeys",
		.summary = "show which keys of a cache are asked for most",
		.text = "Estimated from a sample of the lookups of the last seconds; +- is by how much a "
			"rate may be wrong.",
		CMD_PARAMS(top_params),
		.cols = hot_cols,
		.empty = "no key is asked for",
		.examples = "millrace cache hotkeys sessions\n"
			    "millrace cache hotkeys sessions --limit 5\n",
	},
	{
		.path = "cache bigkeys",
		.method = "cache.bigkeys",
		.summary = "show the largest items of a cache",
		.text = "Goes through all items without stopping requests; what is stored meanwhile may be "
			"left out. ITEM BYTES are what an item takes of the memory, its key included.",
		CMD_PARAMS(top_params),
		.cols = big_cols,
		.empty = "no items",
		.examples = "millrace cache bigkeys sessions\n"
			    "millrace cache bigkeys sessions --limit 5\n",
	},
	{
		.path = "cache latency",
		.method = "cache.latency",
		.summary = "show how long requests to a cache take",
		.text = "From when a worker has the packets of a burst until the answer is written, by kind "
			"of request, of a sample since the cache was made.",
		CMD_PARAMS(one_params),
		.cols = latency_cols,
		.empty = "no requests yet",
		.examples = "millrace cache latency sessions\n"
			    "millrace -o json cache latency sessions | jq '.items[].p99_ns'\n",
	},
};

const struct cmd_family cmd_cache_family = {
	.name = "cache",
	.summary = "caches and what is in them",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
