/* SPDX-License-Identifier: BSD-3-Clause */
/* test_weight — the pure rules that make one effective state of three, and a panic of many. */
#include "daemon/panic.h"
#include "daemon/weight.h"
#include "unit.h"

static void effective_state_of_every_combination(void **state)
{
	for (unsigned health = WEIGHT_UNCHECKED; health <= WEIGHT_DOWN; health++) {
		for (unsigned k = 0; k < 8; k++) {
			const struct weight_input in = {.desired = 100,
				.is_drained = k & 1,
				.is_expired = k & 4, /* without a drain it says nothing */
				.is_overridden = k & 2,
				.override = 0,
				.health = (enum weight_health)health};
			const struct weight_result r = weight_effective(&in);
			const bool is_up = health == WEIGHT_UP || health == WEIGHT_UNCHECKED;
			struct weight_input panicking = in;

			panicking.is_panic = true;
			assert_int_equal(weight_effective(&panicking).weight, r.weight);
			assert_int_equal(weight_effective(&panicking).state,
				(k & 5) == 5    ? MR_BACKEND_EVICT
					: k & 1 ? MR_BACKEND_DRAIN
						: MR_BACKEND_UP);
			assert_int_equal(r.weight, k & 2 ? 0 : 100);
			assert_int_equal(r.state,
				(k & 5) == 5                    ? MR_BACKEND_EVICT
					: health == WEIGHT_DOWN ? MR_BACKEND_DOWN
					: k & 1                 ? MR_BACKEND_DRAIN
					: is_up                 ? MR_BACKEND_UP
								: MR_BACKEND_DOWN);
		}
		assert_int_equal(
			weight_health_find(weight_health_name((enum weight_health)health)), health);
	}
	assert_int_equal(weight_health_find("UP"), -1);
	assert_int_equal(weight_health_find(""), -1);
	assert_string_equal(weight_health_name((enum weight_health)4), "?");
}

/* With a threshold of its percent, rounded to neither side; what operators took out does not count. */
static void panic_begins_below_the_threshold(void **state)
{
	static const struct {
		unsigned n_up, n_down, n_checking, n_drained_up, n_drained_down, n_weightless, pct;
		bool is_due;
	} rows[] = {
		{0, 0, 0, 0, 0, 0, 100, false},
		{0, 3, 0, 0, 0, 0, 0, false},
		{0, 3, 0, 0, 0, 0, 1, true},
		{2, 2, 0, 0, 0, 0, 50, false},
		{2, 2, 0, 0, 0, 0, 51, true},
		{1, 2, 0, 0, 0, 0, 33, false}, /* 33.3 % */
		{1, 2, 0, 0, 0, 0, 34, true},
		{3, 0, 0, 0, 0, 0, 100, false},
		{99, 1, 0, 0, 0, 0, 100, true},
		{0, 0, 3, 0, 0, 0, 100, false}, /* a start is no panic */
		{0, 2, 1, 0, 0, 0, 50, true},
		{1, 1, 0, 9, 0, 0, 50, false},
		{1, 1, 0, 0, 9, 0, 50, false},
		{1, 2, 0, 9, 0, 0, 50, true},
		{1, 2, 0, 0, 0, 9, 50, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct {
			unsigned n;
			struct weight_input in;
		} parts[] = {
			{rows[i].n_up, {.desired = 1, .health = WEIGHT_UP}},
			{rows[i].n_down, {.desired = 1, .health = WEIGHT_DOWN}},
			{rows[i].n_checking, {.desired = 1, .health = WEIGHT_CHECKING}},
			{rows[i].n_drained_up,
				{.desired = 1, .is_drained = true, .health = WEIGHT_UP}},
			{rows[i].n_drained_down,
				{.desired = 1, .is_drained = true, .health = WEIGHT_DOWN}},
			{rows[i].n_weightless,
				{.desired = 1, .is_overridden = true, .health = WEIGHT_UP}},
		};
		struct panic_share share = {0};

		for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
			for (unsigned n = 0; n < parts[k].n; n++)
				panic_share_add(&share, &parts[k].in);
		}
		if (panic_is_due(rows[i].pct, &share) != rows[i].is_due)
			fail_msg("row %zu", i);
	}
}

/* Ten steps, the last one at nine tenths of the time; only for what health checks have brought up. */
static void a_backend_that_comes_up_starts_slowly(void **state)
{
	static const struct {
		int64_t up_ms;
		uint16_t weight;
		uint32_t next_ms;
	} rows[] = {{0, 20, 3000}, {2999, 20, 1}, {3000, 40, 3000}, {13000, 100, 2000},
		{26999, 180, 1}, {27000, 200, 0}, {30000, 200, 0}, {INT64_MAX, 200, 0},
		{-5, 20, 3000}};
	struct weight_input in = {.desired = 200, .health = WEIGHT_UP, .slow_start_ms = 30000};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		in.up_ms = rows[i].up_ms;
		assert_int_equal(weight_effective(&in).weight, rows[i].weight);
		assert_int_equal(weight_next_step(&in), rows[i].next_ms);
	}
	in.up_ms = 0;
	in.is_panic = true; /* those that are down have all of theirs */
	assert_int_equal(weight_effective(&in).weight, 200);
	assert_int_equal(weight_next_step(&in), 0);
	in.is_panic = false;
	in.is_overridden = true;
	in.override = 5; /* a tenth of it is nothing: 1 */
	assert_int_equal(weight_effective(&in).weight, 1);
	in.override = 0;
	assert_int_equal(weight_effective(&in).weight, 0);
	in.is_overridden = false;
	for (unsigned health = WEIGHT_UNCHECKED; health <= WEIGHT_DOWN; health++) {
		in.health = (enum weight_health)health;
		assert_int_equal(weight_effective(&in).weight, health == WEIGHT_UP ? 20 : 200);
		assert_int_equal(weight_next_step(&in), health == WEIGHT_UP ? 3000 : 0);
	}
	in.health = WEIGHT_UP;
	in.slow_start_ms =
		1003; /* not in tenths of whole milliseconds: each wake-up finds its step */
	for (in.up_ms = 0; weight_next_step(&in) != 0; in.up_ms += weight_next_step(&in)) {
		struct weight_input then = in;

		then.up_ms += weight_next_step(&in);
		assert_true(weight_effective(&then).weight == weight_effective(&in).weight + 20);
	}
	assert_int_equal(weight_effective(&in).weight, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(effective_state_of_every_combination),
		cmocka_unit_test(panic_begins_below_the_threshold),
		cmocka_unit_test(a_backend_that_comes_up_starts_slowly),
	};

	return cmocka_run_group_tests_name("weight", tests, NULL, NULL);
}
