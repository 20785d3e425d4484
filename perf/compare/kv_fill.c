/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kv_fill — what an item costs in the cache engine, for memory.sh: the smallest memory in which so many items are all there once
 * they were stored, and how many are there on average when the cache of that memory is written on and on.
 */
#include "base/keyhash.h"
#include "kv/kv.h"

#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP (256u << 10)
#define TURNS 3u /* so many times the items are written again, under new keys */

static struct rte_rcu_qsbr *readers;

static void die(const char *what)
{
	fprintf(stderr, "error: %s\n", what);
	exit(1);
}

static void store(struct kv *kv, uint32_t i, uint32_t value_len, uint32_t ttl_s)
{
	static const uint8_t value[ITEM_KEY_MAX];
	struct kv_writer *w = kv_writer_of(kv, 0);
	char text[24];
	const struct kv_key key =
		kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "key:%012u", i));
	const struct kv_store s = {.value = value, .value_len = value_len, .exptime = ttl_s};

	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(w, 1, 0, 1000);
	if (kv_store(w, &key, &s, NULL) != KV_OK)
		die("an item was not stored");
}

static struct kv *make(uint64_t bytes, uint32_t value_len)
{
	const struct kv_params params = {.memory_bytes = bytes,
		.n_writers = 1,
		.policy = EVICT_S3FIFO,
		.value_max = 4096,
		.item_bytes = 16 + value_len,
		.socket_id = SOCKET_ID_ANY};
	struct kv *kv;

	if (bytes < kv_memory_min(&params))
		return NULL;
	if (kv_create(&kv, &params, readers) != 0)
		die("no memory for the cache");
	return kv;
}

static uint64_t items_of(const struct kv *kv)
{
	struct kv_stats stats;

	kv_stats_sum(kv, &stats);
	return stats.items;
}

static bool has_all(uint64_t bytes, uint32_t n, uint32_t value_len, uint32_t ttl_s)
{
	struct kv *kv = make(bytes, value_len);
	uint64_t items;

	if (kv == NULL)
		return false;
	for (uint32_t i = 0; i < n; i++)
		store(kv, i, value_len, ttl_s);
	items = items_of(kv);
	kv_destroy(&kv);
	return items == n;
}

/* Items that are there on average while a full cache is written. */
static double items_when_full(uint64_t bytes, uint32_t n, uint32_t value_len, uint32_t ttl_s)
{
	struct kv *kv = make(bytes, value_len);
	double sum = 0;
	uint32_t samples = 0;

	for (uint32_t i = 0; i < TURNS * n; i++) {
		store(kv, i, value_len, ttl_s);
		if (i >= n && i % 1024 == 0) {
			sum += (double)items_of(kv);
			samples++;
		}
	}
	kv_destroy(&kv);
	return sum / samples;
}

static uint32_t number(const char *text, uint32_t low, uint32_t high)
{
	char *end;
	const unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || v < low || v > high)
		die("usage: kv_fill ITEMS VALUE_BYTES TTL_SECONDS: 1000 to 4000000, at most 250, 0 is no TTL");
	return (uint32_t)v;
}

int main(int argc, char **argv)
{
	char *eal[] = {argv[0], (char[]){"--no-huge"}, (char[]){"--no-pci"},
		(char[]){"--no-telemetry"}, (char[]){"--no-shconf"}, (char[]){"--log-level=4"},
		(char[]){"-l"}, (char[]){"0"}, (char[]){"-m"}, (char[]){"2048"}, NULL};
	const uint32_t n = number(argc == 4 ? argv[1] : "", 1000, 4000000);
	const uint32_t value_len = number(argv[2], 0, ITEM_KEY_MAX);
	const uint32_t ttl_s = number(argv[3], 0, 2592000);
	uint64_t low = 0, high = ((uint64_t)n * (16 + value_len + 96)) / STEP;
	double full;

	if (rte_eal_init((int)RTE_DIM(eal) - 1, eal) < 0)
		die("EAL did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (readers == NULL || rte_rcu_qsbr_init(readers, 1) != 0)
		die("no memory");
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	if (!has_all(high * STEP, n, value_len, ttl_s))
		die("more than 96 bytes for each item beside key and value");
	while (high - low > 1) {
		const uint64_t mid = (low + high) / 2;

		if (has_all(mid * STEP, n, value_len, ttl_s))
			high = mid;
		else
			low = mid;
	}
	full = items_when_full(high * STEP, n, value_len, ttl_s);
	printf("%" PRIu64 " %.1f %.1f\n", high * STEP, (double)(high * STEP) / n,
		(double)(high * STEP) / full);
	return 0;
}
