/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes of values that somebody has pinned stay as they are, whatever becomes of their items. */
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <stdio.h>

#define VALUE_LEN 9000u
#define N_KEYS 400u

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static struct kv_writer *writer;
static uint32_t now;

static void next_loop(void)
{
	now++;
	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(writer, now, 1700000000 + now, now * 1000ull);
	kv_sweep(writer);
}

static int set_up(void **state)
{
	const struct kv_params params = {
		.memory_bytes = 8u << 20, .value_max = 10000, .n_writers = 1, .policy = EVICT_FIFO};

	(void)state;
	now = 10;
	assert_int_equal(kv_create(&kv, &params, readers), 0);
	writer = kv_writer_of(kv, 0);
	next_loop();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_false(kv_is_pinned(kv));
	kv_check(kv);
	kv_destroy(&kv);
	return 0;
}

static struct kv_key key_of(uint32_t i)
{
	static char text[32];

	return kv_key_of(text, (uint32_t)snprintf(text, sizeof(text), "key:%u", i));
}

static uint8_t byte_of(uint32_t key, uint32_t at)
{
	return (uint8_t)(key * 13 + at + (at >> 8) * 7);
}

static void store(uint32_t i)
{
	static uint8_t value[VALUE_LEN];
	const struct kv_store s = {.mode = KV_SET, .value = value, .value_len = VALUE_LEN};
	const struct kv_key k = key_of(i);

	for (uint32_t at = 0; at < VALUE_LEN; at++)
		value[at] = byte_of(i, at);
	assert_int_equal(kv_store(writer, &k, &s, NULL), KV_OK);
	next_loop();
}

/* What the cache has for the key, NULL: nothing. */
static const uint8_t *value_of(uint32_t i)
{
	const struct kv_key k = key_of(i);
	const struct item *it = kv_get_peek(writer, &k);

	return it != NULL ? item_value(it) : NULL;
}

static bool is_whole(const uint8_t *value, uint32_t i)
{
	for (uint32_t at = 0; at < VALUE_LEN; at++)
		if (value[at] != byte_of(i, at))
			return false;
	return true;
}

/* Other keys, several times as much as there is memory. */
static void fill(uint32_t first)
{
	for (uint32_t i = 0; i < 8 * N_KEYS; i++)
		store(first + i);
}

static void a_pinned_value_outlives_its_item(void **state)
{
	const struct kv_key k = key_of(1);
	struct kv_usage usage;
	const uint8_t *value;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		store(1);
		value = value_of(1);
		assert_true(kv_pin(kv, value));
		if (round == 0)
			assert_int_equal(kv_delete(writer, &k, 0), KV_OK);
		else
			assert_int_equal(kv_purge(writer, "key:1", 5), 0);
		next_loop();
		assert_null(value_of(1));
		fill(2000);
		assert_true(is_whole(value, 1));
		kv_usage(kv, &usage);
		assert_int_equal(usage.n_pinned, 1);
		assert_true(kv_is_pinned(kv));
		kv_check(kv);
		kv_unpin(kv, value);
		assert_false(kv_is_pinned(kv));
		fill(2000);
		assert_false(is_whole(value, 1)); /* and without that it does not */
	}
}

/* Nothing would be gained by giving it up. */
static void what_is_pinned_is_not_chosen_to_make_room(void **state)
{
	const uint8_t *value;

	(void)state;
	store(1);
	store(2);
	value = value_of(1);
	assert_true(kv_pin(kv, value));
	fill(2000);
	assert_ptr_equal(value_of(1), value);
	assert_null(value_of(2));
	kv_unpin(kv, value);
	fill(2000);
	assert_null(value_of(1));
}

static void each_pin_counts(void **state)
{
	const uint8_t *value;

	(void)state;
	store(1);
	value = value_of(1);
	for (unsigned i = 0; i < 3; i++)
		assert_true(kv_pin(kv, value + i));
	fill(1000);
	kv_unpin(kv, value + 2);
	kv_unpin(kv, value);
	fill(1000);
	assert_true(is_whole(value, 1));
	kv_unpin(kv, value + 1);
	fill(1000);
	assert_false(is_whole(value, 1));
}

/* Of all memory a part, and with that pinned the cache goes on. */
static void no_more_than_a_part_is_pinned(void **state)
{
	const uint8_t *pinned[N_KEYS];
	struct kv_usage usage;
	uint32_t n = 0;

	(void)state;
	kv_usage(kv, &usage);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		store(i);
		pinned[n] = value_of(i);
		n += kv_pin(kv, pinned[n]);
	}
	assert_int_equal(n, usage.n_segs / SEG_PIN_PART); /* a segment has one value */
	assert_true(kv_pin(kv, pinned[0]));               /* of what is pinned, more may be */
	kv_unpin(kv, pinned[0]);
	fill(1000);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(is_whole(pinned[i], i));
		kv_unpin(kv, pinned[i]);
	}
	fill(1000);
	assert_true(kv_pin(kv, value_of(1000 + 8 * N_KEYS - 1)));
	kv_unpin(kv, value_of(1000 + 8 * N_KEYS - 1));
}

static void what_is_not_the_caches_is_not_pinned(void **state)
{
	static const uint8_t elsewhere[10];

	(void)state;
	assert_false(kv_pin(kv, elsewhere));
	assert_false(kv_pin(kv, NULL));
	assert_false(kv_pin(kv, kv));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_pinned_value_outlives_its_item, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_pinned_is_not_chosen_to_make_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_pin_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_more_than_a_part_is_pinned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_not_the_caches_is_not_pinned, set_up, tear_down),
	};

	(void)argc;
	if (eal_start(argv[0], 64) != 0)
		return 1;
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (readers == NULL || rte_rcu_qsbr_init(readers, 1) != 0
		|| rte_rcu_qsbr_thread_register(readers, 0) != 0)
		return 1;
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests_name("pin", tests, NULL, NULL);
}
