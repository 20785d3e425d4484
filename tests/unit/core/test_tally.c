/* SPDX-License-Identifier: BSD-3-Clause */
/* tally: sums over workers and manager, and every counter walked once under its own name. */
#include "core/tally.h"
#include "unit.h"

struct seen {
	unsigned n_counters, n_drops;
	uint64_t rx, ttl, n_named_rx;
};

static void on_row(void *ctx, const char *name, const char *unit, bool is_drop, uint64_t value,
	const char *help)
{
	struct seen *s = ctx;

	assert_true(strlen(name) > 0 && strlen(unit) > 0 && strlen(help) > 0);
	s->n_counters += !is_drop;
	s->n_drops += is_drop;
	if (strcmp(name, "rx") == 0) {
		s->rx = value;
		s->n_named_rx++;
	}
	if (strcmp(name, "ttl") == 0)
		s->ttl = value;
}

#define ONE(sym, unit, help) +1
#define N_COUNTERS (0 MR_COUNTERS(ONE))

static void test_sum_and_walk(void **state)
{
	struct tally_set *set = NULL;
	struct tally sum;
	struct seen seen = {0};

	assert_int_equal(tally_set_create(&set, 3), 0);
	for (unsigned i = 0; i <= 3; i++) {
		struct tally *t = tally_of(set, i);

		assert_int_equal((uintptr_t)t % RTE_CACHE_LINE_SIZE, 0);
		assert_int_equal(t->rx, 0);
		t->rx = 10 + i;
		t->drops[PKT_DROP_ttl] = 100 * i;
		t->sleeps = i;
	}
	tally_sum(set, &sum);
	assert_int_equal(sum.rx, 10 + 11 + 12 + 13);
	assert_int_equal(sum.drops[PKT_DROP_ttl], 600);
	assert_int_equal(sum.sleeps, 6);
	assert_int_equal(sum.tx, 0);
	tally_walk(&sum, on_row, &seen);
	assert_int_equal(seen.n_counters, N_COUNTERS);
	assert_int_equal(seen.n_drops, PKT_N_DROPS);
	assert_int_equal(seen.rx, 46);
	assert_int_equal(seen.ttl, 600);
	assert_int_equal(seen.n_named_rx, 1);
	tally_set_destroy(&set);
	assert_null(set);
	tally_set_destroy(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sum_and_walk)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
