/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much a write to a full cache does beside itself (kv/kvroom.c): several writers take turns, each for 64 writes between two looks at
 * the clock.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>

#define N_WRITERS 3u

static struct rte_rcu_qsbr *readers;
static struct kv *kv;

static struct kv_writer *next_writer(void)
{
	static unsigned turn;
	struct kv_writer *w = kv_writer_of(kv, turn++ % N_WRITERS);

	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(w, 10, 1700000000, 10000);
	kv_sweep(w);
	return w;
}

/* What one write does beside itself: items of which the walk found that they live. */
static uint64_t judged(void)
{
	struct kv_stats s;

	kv_stats_sum(kv, &s);
	assert_int_equal(0, s.no_memory);
	return s.kept + s.evicted;
}

static struct kv_key numbered(uint32_t i, char key[16])
{
	return kv_key_of(key, (uint32_t)snprintf(key, 16, "key:%07u", i));
}

/* Stores keys from..to - 1, a clock tick for each 64, and returns the most that one of them did from `counted` on. */
static uint64_t most_judged(uint32_t from, uint32_t to, uint32_t counted)
{
	struct kv_writer *w = NULL;
	uint64_t most = 0, last = judged();
	char key[16];

	for (uint32_t i = from; i < to; i++) {
		const struct kv_key k = numbered(i, key);
		const struct kv_store s = {.value = "0123456789abcdef", .value_len = 16};
		uint64_t n;

		if (i % 64 == 0 || w == NULL)
			w = next_writer();
		assert_int_equal(KV_OK, kv_store(w, &k, &s, NULL));
		n = judged();
		if (i >= counted && n - last > most)
			most = n - last;
		last = n;
	}
	return most;
}

static void open_for_small(enum evict_policy policy)
{
	const struct kv_params params = {.memory_bytes = 64u << 20, /* of 1 MB segments */
		.item_bytes = 27,
		.n_writers = N_WRITERS,
		.policy = (uint8_t)policy};

	assert_int_equal(0, kv_create(&kv, &params, readers));
}

/* All writes of a full cache bear the same: none walks much more than is written by one. */
static void work_of_a_write_is_even(void **state)
{
	(void)state;
	open_for_small(EVICT_FIFO);
	assert_in_range(most_judged(0, 2500000, 1500000), 1, 8);
	kv_check(kv);
	kv_destroy(&kv);
}

/* Nothing that is walked goes, for a long time: a write walks more than usual then, but no whole segment of 25,000 items. */
static void work_of_a_write_is_bounded(void **state)
{
	const uint32_t n = 1100000;
	uint64_t most;

	(void)state;
	open_for_small(EVICT_LFU);
	most_judged(0, n, n);
	for (uint32_t times = 0; times < 4; times++)
		for (uint32_t i = 0; i < n; i++) {
			char key[16];
			const struct kv_key k = numbered(i, key);
			struct assoc_probe probe = {
				.key = k.data, .key_len = k.len, .hash = k.hash};

			kv_get_bulk(kv_writer_of(kv, 0), &probe, 1);
		}
	most = most_judged(n, n + 400000, n);
	assert_in_range(most, 256, 520);
	kv_check(kv);
	kv_destroy(&kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_of_a_write_is_even),
		cmocka_unit_test(work_of_a_write_is_bounded),
	};

	if (eal_start("test_kvroom", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
