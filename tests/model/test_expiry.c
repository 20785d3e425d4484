/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long after their time the memory of items is there to be used again, on a clock of the test's own: each writer sweeps
 * once in a millisecond, for TURN_NS as a busy worker does, so what is measured is what it gets done in that. Two times of many items: all
 * end in the same second, which is the worst that can be, or in seconds by chance, after one to a hundred of them.
 *
 *     test_expiry [ITEMS [WRITERS [BYTES]]]     other numbers, and no limit: test_expiry 10000000 4
 *
 * Where a part of a sweep takes longer than a millisecond of CPU time, the clock here does not wait for it.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define TTL_S 100u
#define WRITERS_MAX 16u
#define SWEPT_NS 5000u /* of a loop: less is none that sweeps */
#define TURN_NS 100000u

static unsigned n_items = 100000, n_writers = 2, value_bytes = 32;
static bool has_limit = true;

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static uint64_t now_ms;
/* CPU time of loops in which something was swept: what else runs on the machine is not in it. */
static uint64_t longest_ns, sum_ns, n_sweeps;

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A loop of every writer. */
static void pass_ms(void)
{
	now_ms++;
	for (unsigned i = 0; i < n_writers; i++) {
		const uint64_t begun = cpu_ns();
		uint64_t ns;
		bool is_more = true;

		rte_rcu_qsbr_quiescent(readers, 0);
		kv_writer_begin(kv_writer_of(kv, i), (uint32_t)(now_ms / 1000), 0, now_ms);
		for (ns = 0; is_more && ns < TURN_NS; ns = cpu_ns() - begun)
			is_more = kv_sweep(kv_writer_of(kv, i));
		longest_ns = RTE_MAX(longest_ns, ns);
		sum_ns += ns >= SWEPT_NS ? ns : 0;
		n_sweeps += ns >= SWEPT_NS;
	}
}

static void open_cache(void)
{
	const uint64_t item = 16 + 16 + value_bytes;
	const struct kv_params params = {
		.memory_bytes = (64ull << 20) + n_items * (item + 24) * 5 / 4,
		.item_bytes = 16 + value_bytes,
		.value_max = 1000,
		.n_writers = (uint16_t)n_writers,
		.policy = EVICT_S3FIFO};

	assert_int_equal(kv_create(&kv, &params, readers), 0);
	now_ms = 10000;
	longest_ns = sum_ns = n_sweeps = 0;
	pass_ms();
}

/* ttl 0: by chance. */
static void store_all(uint32_t ttl)
{
	uint8_t value[1000] = {0};

	for (uint32_t i = 0; i < n_items; i++) {
		char text[24];
		const struct kv_key key =
			kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "item:%010u", i));
		const struct kv_store s = {.value = value,
			.value_len = value_bytes,
			.mode = KV_SET,
			.exptime = ttl != 0 ? ttl : 1 + (i * 2654435761u >> 8) % TTL_S};

		if (kv_store(kv_writer_of(kv, i % n_writers), &key, &s, NULL) != KV_OK)
			fail_msg("item %u of %u", i, n_items);
		if (i % 64 == 0)
			rte_rcu_qsbr_quiescent(readers, 0);
	}
}

static struct kv_usage usage_now(void)
{
	struct kv_usage u;

	kv_usage(kv, &u);
	return u;
}

/* Segments that items are in, but for one that each writer may have open for each of its times. */
static bool is_given_back(const struct kv_usage *empty)
{
	const struct kv_usage u = usage_now();

	return u.n_items == 0 && u.item_bytes == 0
		&& u.n_segs - u.n_index_segs - u.n_free
		<= empty->n_segs - empty->n_index_segs - empty->n_free + n_writers * 32;
}

static void tell(const char *what, uint64_t lag_ms, const struct kv_usage *full)
{
	double load[3] = {0};

	getloadavg(load, 3);
	printf("%s: %u items of %u bytes, %.0f MB in segments of %u KB, %u writers: given back %" PRIu64
	       " ms after the last one's time; CPU %.2f s, %.0f us of a loop that sweeps, %.0f at most; load %.1f\n",
		what, n_items, value_bytes, (double)full->item_bytes / (1 << 20),
		full->seg_bytes >> 10, n_writers, lag_ms, (double)sum_ns / 1e9,
		(double)sum_ns / 1e3 / (double)RTE_MAX(n_sweeps, 1u), (double)longest_ns / 1e3,
		load[0]);
}

static void run(const char *what, uint32_t ttl)
{
	const uint32_t last_s = ttl != 0 ? ttl : TTL_S;
	struct kv_usage empty, full;
	uint64_t due_ms;
	uint32_t lag_s = 0;

	open_cache();
	empty = usage_now();
	store_all(ttl);
	full = usage_now();
	assert_int_equal(full.n_items, n_items); /* none was given up */
	longest_ns = sum_ns = n_sweeps = 0;
	due_ms = (now_ms / 1000 + last_s) * 1000;
	while (now_ms < due_ms - 1) {
		pass_ms();
		if (now_ms % 1000 == 999)
			lag_s = RTE_MAX(lag_s, usage_now().expiry_lag_s);
	}
	if (ttl != 0)
		assert_int_equal(usage_now().n_items, n_items); /* not before their time */
	while (!is_given_back(&empty)) {
		assert_true(now_ms < due_ms + 120000);
		pass_ms();
	}
	tell(what, now_ms - due_ms, &full);
	if (ttl == 0)
		printf("%s: what was behind most was %u s behind\n", what, lag_s);
	if (has_limit)
		assert_true(now_ms - due_ms <= 2000 && lag_s <= 2);
	kv_check(kv);
	kv_destroy(&kv);
}

static void all_at_once(void **state)
{
	(void)state;
	run("all at once", 5);
}

static void by_and_by(void **state)
{
	(void)state;
	run("by and by", 0);
}

/* Everything ends in one second but for what a writer, whose clock is behind, gives another time meanwhile: that stays. */
static void clock_behind(void **state)
{
	const struct kv_params params = {.memory_bytes = 16u << 20,
		.item_bytes = 1000,
		.value_max = 1000,
		.n_writers = 2,
		.policy = EVICT_S3FIFO};
	enum { N = 20000 };
	static bool is_kept[N];
	unsigned n_parts = 0, n_kept = 0, n_late = 0;
	uint32_t now = 10;
	char text[24];
	bool is_more;

	(void)state;
	assert_int_equal(kv_create(&kv, &params, readers), 0);
	for (unsigned w = 0; w < 2; w++)
		kv_writer_begin(kv_writer_of(kv, w), now, 0, 10000);
	for (unsigned i = 0; i < N; i++) {
		const struct kv_key key =
			kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "item:%u", i));
		const struct kv_store s = {.value = text, .value_len = key.len, .exptime = 5};

		assert_int_equal(kv_store(kv_writer_of(kv, i % 2), &key, &s, NULL), KV_OK);
		is_kept[i] = false;
	}
	now += 5;
	kv_writer_begin(kv_writer_of(kv, 0), now, 0, now * 1000);
	kv_writer_begin(kv_writer_of(kv, 1), now - 1, 0, now * 1000 - 1);
	do {
		const unsigned i = (n_parts * 7919) % N;
		const struct kv_key key =
			kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "item:%u", i));

		is_more = kv_sweep(kv_writer_of(kv, 0));
		n_parts++;
		if (is_kept[i] || kv_touch(kv_writer_of(kv, 1), &key, 100) == NULL)
			continue;
		is_kept[i] = true;
		n_kept++;
	} while (is_more);
	kv_writer_begin(kv_writer_of(kv, 1), now, 0, now * 1000);
	while (kv_sweep(kv_writer_of(kv, 1)))
		;
	rte_rcu_qsbr_quiescent(readers, 0);
	for (unsigned i = 0; i < N; i++) {
		const struct kv_key key =
			kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "item:%u", i));
		const struct item *it = kv_get_peek(kv_writer_of(kv, 1), &key);

		assert_int_equal(it != NULL, is_kept[i]);
		if (it != NULL)
			assert_true(item_has_key(it, key.data, key.len)
				&& memcmp(item_value(it), text, key.len) == 0);
		n_late += it != NULL && kv_ttl(kv_writer_of(kv, 1), it) == 99;
	}
	assert_true(n_kept > 3 && n_late == n_kept);
	kv_check(kv);
	assert_int_equal(usage_now().n_items, n_kept);
	kv_destroy(&kv);
}

static unsigned number(const char *text, unsigned most)
{
	char *rest;
	const unsigned long n = strtoul(text, &rest, 10);

	if (*text == '\0' || *rest != '\0' || n == 0 || n > most) {
		fprintf(stderr, "error: %s: a number from 1 to %u is wanted\n", text, most);
		exit(2);
	}
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(by_and_by),
		cmocka_unit_test(clock_behind),
	};

	has_limit = argc == 1;
	if (argc > 1)
		n_items = number(argv[1], 100000000);
	if (argc > 2)
		n_writers = number(argv[2], WRITERS_MAX);
	if (argc > 3)
		value_bytes = number(argv[3], 1000);
	if (eal_start(
		    argv[0], 128 + (unsigned)((uint64_t)n_items * (value_bytes + 56) * 5 / 4 >> 20))
		!= 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (readers == NULL || rte_rcu_qsbr_init(readers, 1) != 0)
		return 1;
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
