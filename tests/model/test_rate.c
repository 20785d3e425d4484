/* SPDX-License-Identifier: BSD-3-Clause */
/* Token buckets against exact arithmetic, and the table of sources against one bucket for each. */
#include "base/keyhash.h"
#include "eal.h"
#include "lb/rate.h"
#include "unit.h"

#include <stdlib.h>

/* What a limit with a burst permits at most from one moment to another, and what it gives to those who ask
 * all the time: in any span not more than burst + rate × time, in the whole not less. */
static void a_worker_gets_its_share_and_no_more(void **state)
{
	static const struct {
		uint32_t per_second, n_workers, burst_ms;
	} rows[] = {{1, 1, 100}, {1, 4, 100}, {7, 3, 100}, {1000, 2, 100}, {999, 7, 1000},
		{1000000, 32, 1000}, {1000000000, 1, 100}};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct rate_limit l =
			rate_limit_of(rows[i].per_second, rows[i].n_workers, rows[i].burst_ms);
		const uint64_t ms = rows[i].per_second < 10 ? 100000 : 200;
		const uint64_t units = l.cap + ms * rows[i].per_second;
		struct rate_bucket b = {.tokens = 0, .at_ms = 0};
		uint64_t taken = 0;

		for (uint64_t t = 0; t <= ms; t++) {
			for (unsigned k = 0; k < 40000 && rate_take(&b, &l, (uint32_t)(t - 50));
				k++)
				taken++;
		}
		/* within the bound; and with nobody but the guard of the loop in the way, all of it */
		assert_true(taken <= units / l.cost);
		if (rows[i].per_second <= 1000000)
			assert_true(taken + 1 >= units / l.cost);
	}
}

/* Limits that are raised and lowered in between: the bucket never holds more than the one of the moment. */
static void a_lowered_limit_counts_at_once(void **state)
{
	const struct rate_limit high = rate_limit_of(10000, 1, 1000);
	const struct rate_limit low = rate_limit_of(10, 1, 100);
	struct rate_bucket b = {.tokens = 0, .at_ms = 0};

	(void)state;
	assert_true(rate_take(&b, &high, 5000));
	assert_true(rate_take(&b, &low, 5000));
	assert_false(rate_take(&b, &low, 5000));
	assert_false(rate_take(&b, &low, 5099));
	assert_true(rate_take(&b, &low, 5100));
}

static uint64_t hash_of(uint32_t source)
{
	return keyhash(&source, sizeof(source));
}

/* Few sources, as many as never meet five in a line: each is treated exactly as by a bucket of its own. */
static void few_sources_have_a_bucket_each(void **state)
{
	enum { N = 50 };
	static struct rate_bucket of[N];
	const struct rate_limit l = rate_limit_of(20, 2, 1000);
	struct rate_sources *t = NULL;
	uint32_t now_ms = UINT32_MAX - 30000; /* through the wrap */

	(void)state;
	assert_int_equal(rate_sources_create(&t, 0), 0);
	srand(5);
	for (unsigned i = 0; i < N; i++)
		of[i] = (struct rate_bucket){.tokens = l.cap, .at_ms = now_ms};
	for (unsigned n = 0; n < 200000; n++) {
		const uint32_t i = (uint32_t)rand() % N;

		if (n % 3 == 0)
			now_ms += (uint32_t)rand() % 4;
		assert_int_equal(
			rate_take_source(t, hash_of(i), &l, now_ms), rate_take(&of[i], &l, now_ms));
	}
	rate_sources_destroy(&t);
	assert_null(t);
}

/* More sources than there is room: nobody has been given less at any time than by a bucket of its own. And a
 * source that comes steadily among them is still limited, as it is never the one seen least lately. */
static void a_full_table_refuses_too_few_not_too_many(void **state)
{
	enum { N = 3 * RATE_SOURCES_MAX, STEADY = N };
	const struct rate_limit l = rate_limit_of(5, 1, 1000);
	struct rate_bucket *of = calloc(N + 1, sizeof(*of));
	uint32_t *more =
		calloc(N + 1, sizeof(*more)); /* taken from the table but not from the bucket */
	struct rate_sources *t = NULL;
	uint32_t now_ms = 100000, n_steady = 0, n_refused = 0;

	(void)state;
	assert_non_null(of);
	assert_non_null(more);
	assert_int_equal(rate_sources_create(&t, 0), 0);
	srand(6);
	for (unsigned n = 0; n < 3000000; n++) {
		const uint32_t i = n % 10 == 0 ? STEADY : (uint32_t)rand() % N;
		const bool is_taken = rate_take_source(t, hash_of(i), &l, now_ms);
		const bool is_due = rate_take(&of[i], &l, now_ms);

		assert_true(is_taken || !is_due || more[i] > 0);
		if (is_taken && !is_due)
			more[i]++;
		else if (!is_taken && is_due)
			more[i]--;
		n_steady += i == STEADY && is_taken;
		n_refused += !is_taken;
		now_ms += n % 300 == 0; /* 10 s in all */
	}
	assert_true(n_refused > 0);
	assert_in_range(n_steady, 50, 60);
	rate_sources_destroy(&t);
	free(of);
	free(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_gets_its_share_and_no_more),
		cmocka_unit_test(a_lowered_limit_counts_at_once),
		cmocka_unit_test(few_sources_have_a_bucket_each),
		cmocka_unit_test(a_full_table_refuses_too_few_not_too_many),
	};

	if (eal_start("test_rate", 64) != 0)
		return 1;
	keyhash_init_seed(3);
	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
