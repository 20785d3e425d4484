/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cachewatch — CACHE_HOTKEYS and CACHE_LATENCY: what the workers note of a cache for people (serve/cacheset.h), added up and in units
 * that people have. Manager thread.
 */
#include "api/server_pvt.h"
#include "millrace/api_cache.h"
#include "serve/serveconf.h"

#include <rte_cycles.h>

#include <errno.h>

_Static_assert(MR_CACHE_TOP_MAX <= HOTKEY_ENTRIES, "more than a sketch watches is not known");

int cachewatch_on_hotkeys(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	static struct hotkey_top top[MR_CACHE_TOP_MAX]; /* the manager's alone */
	struct mr_cache_top ask;
	struct cache *cache;
	unsigned n;
	int rc = server_decode(f, &mr_cache_top_msg, &ask, err);

	if (rc == 0)
		rc = cachereq_find(&cache, ask.name, err);
	if (rc == 0)
		rc = cachereq_check_top(&ask, err);
	if (rc != 0)
		return rc;
	n = cacheset_hot(s->p.env.caches, cache, top, ask.limit != 0 ? ask.limit : MR_CACHE_TOP);
	for (unsigned i = 0; i < n; i++) {
		struct mr_cache_hotkey_row row = {.key = {.n = top[i].len},
			.milli_per_second = (uint64_t)(top[i].per_second * 1000 + 0.5),
			.milli_error = (uint64_t)(top[i].error * 1000 + 0.5)};

		memcpy(row.key.bytes, top[i].key, top[i].len);
		server_row(c, f, &mr_cache_hotkey_row_msg, &row);
	}
	return 0;
}

static uint64_t to_ns(double cycles)
{
	return (uint64_t)(cycles * 1e9 / (double)rte_get_tsc_hz() + 0.5);
}

int cachewatch_on_latency(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
#define KIND_NAME(symbol, name) [symbol] = name,
	static const char *const names[CACHE_N_KINDS] = {CACHE_KINDS(KIND_NAME)};
	struct mr_cache_name ask;
	struct cache *cache;
	int rc = server_decode(f, &mr_cache_name_msg, &ask, err);

	if (rc == 0)
		rc = cachereq_find(&cache, ask.name, err);
	if (rc != 0)
		return rc;
	for (unsigned k = 0; k < CACHE_N_KINDS; k++) {
		struct mr_cache_latency_row row;
		struct histogram sum;

		cacheset_latency(s->p.env.caches, cache, (enum cache_kind)k, &sum);
		memset(&row, 0, sizeof(row));
		snprintf(row.kind, sizeof(row.kind), "%s", names[k]);
		row.sampled = histogram_count(&sum);
		if (row.sampled == 0)
			continue;
		row.mean_ns = to_ns(histogram_mean(&sum));
		row.p50_ns = to_ns((double)histogram_quantile(&sum, 0.5));
		row.p90_ns = to_ns((double)histogram_quantile(&sum, 0.9));
		row.p99_ns = to_ns((double)histogram_quantile(&sum, 0.99));
		row.p999_ns = to_ns((double)histogram_quantile(&sum, 0.999));
		row.max_ns = to_ns((double)histogram_max(&sum));
		server_row(c, f, &mr_cache_latency_row_msg, &row);
	}
	return 0;
}
