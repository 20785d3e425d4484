/* SPDX-License-Identifier: BSD-3-Clause */
/* The index's overflow buckets, wherever in the items' memory they lie. */
#include "kv/assoc.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#define N_BUCKETS 1024u
#define KEYS 40u /* all of one bucket: it and five more */
#define SEG 4096u

struct fix {
	struct assoc *index;
	uint8_t *items;
};

static int set_up(void **state)
{
	static struct fix f;
	void *memory = aligned_alloc(64, (assoc_size(N_BUCKETS) + 63) & ~63ull);

	f.items = aligned_alloc(64, 2 * SEG + 64);
	assert_true(memory != NULL && f.items != NULL);
	memset(memory, 0, assoc_size(N_BUCKETS));
	memset(f.items, 0, 2 * SEG + 64);
	f.index = assoc_init(memory, N_BUCKETS, f.items);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fix *f = *state;

	free(f->index);
	free(f->items);
	return 0;
}

/* Key i, of bucket 0, and where its item lies behind `at`. */
static uint64_t hash_of(uint32_t i)
{
	return (uint64_t)(i + 1) << 48;
}

static void add(struct fix *f, uint32_t i, uint8_t *at)
{
	const struct item_head h = {.key = &i, .key_len = sizeof(i)};
	struct item *it = (struct item *)(void *)(at + (size_t)i * 16);

	item_write(it, &h);
	assert_int_equal(assoc_add_locked(f->index, hash_of(i),
				 (uint64_t)((uint8_t *)it - f->items) / ITEM_UNIT, 7),
		0);
}

static void check(const struct fix *f)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		struct assoc_probe probe = {.key = &i, .key_len = sizeof(i), .hash = hash_of(i)};
		struct item *it = NULL;

		assert_non_null(assoc_find_locked(f->index, hash_of(i), &i, sizeof(i), &it));
		assoc_find_bulk(f->index, &probe, 1);
		assert_ptr_equal(probe.item, it);
		assert_true(item_has_key(it, &i, sizeof(i)));
	}
}

static void test_overflow(void **state, size_t given_at, size_t items_at)
{
	struct fix *f = *state;

	assoc_give(f->index, f->items + given_at, SEG);
	for (uint32_t i = 0; i < KEYS; i++)
		add(f, i, f->items + items_at);
	check(f);
	for (uint32_t i = 0; i < KEYS; i += 3)
		assoc_del_locked(assoc_find_addr_locked(
			f->index, hash_of(i), (items_at + (size_t)i * 16) / ITEM_UNIT));
	for (uint32_t i = 0; i < KEYS; i += 3)
		add(f, i, f->items + items_at);
	check(f);
}

/* There a link's address is 0. */
static void test_overflow_at_the_start(void **state)
{
	test_overflow(state, 0, SEG);
}

static void test_overflow_behind(void **state)
{
	test_overflow(state, SEG, 0);
}

static void test_no_memory_for_overflow(void **state)
{
	struct fix *f = *state;

	for (uint32_t i = 0; i < 8; i++)
		add(f, i, f->items);
	assert_false(assoc_has_spare(f->index));
	assert_int_equal(assoc_add_locked(f->index, hash_of(8), 1000, 0), -ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_overflow_at_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow_behind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_memory_for_overflow, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
