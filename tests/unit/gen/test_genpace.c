/* SPDX-License-Identifier: BSD-3-Clause */
/* When frames are due and how long they are: no drift over hours of frames, IMIX in its proportions, sizes that are refused. */
#include "genpace.h"
#include "unit.h"

#include <math.h>

#define HZ 2450000000ull

static void frames_are_due_at_even_intervals(void **state)
{
	static const double rates[] = {1, 3, 1000, 12345.6, 14880952.38, 148809523.8};

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
		struct genpace p;
		const uint64_t n = (uint64_t)(rates[i] * 60); /* a minute */
		uint64_t before;

		genpace_init(&p, 1000, HZ, rates[i]);
		assert_int_equal(genpace_due(&p, 0), 1000);
		assert_true(fabs((double)(genpace_due(&p, n) - 1000) / (double)HZ
				    - (double)n / rates[i])
			< 3e-6);
		before = genpace_due(&p, 0);
		for (uint64_t k = 1; k < 1000; k++) {
			const uint64_t due = genpace_due(&p, k);

			assert_true(fabs((double)(due - before) - (double)HZ / rates[i]) <= 1.01);
			before = due;
		}
	}
}

static void due_ones_are_counted(void **state)
{
	struct genpace p;

	(void)state;
	genpace_init(&p, 0, 1000000, 1000); /* every 1,000 cycles */
	assert_int_equal(genpace_count(&p, 0, 0, 32), 1);
	assert_int_equal(genpace_count(&p, 1, 0, 32), 0);
	assert_int_equal(genpace_count(&p, 1, 999, 32), 0);
	assert_int_equal(genpace_count(&p, 1, 1000, 32), 1);
	assert_int_equal(genpace_count(&p, 1, 10000, 32), 10);
	assert_int_equal(genpace_count(&p, 1, 32000, 32), 32);
	assert_int_equal(genpace_count(&p, 1, 1000000, 32), 32);
	assert_int_equal(genpace_count(&p, 1, 1000000, 1), 1);
}

static void check_late(const struct genpace *p, uint64_t first, uint64_t now, uint64_t late_cyc)
{
	for (unsigned n = 1; n <= 64; n += 9) {
		unsigned n_late = 0;

		for (unsigned i = 0; i < n; i++)
			n_late += now > genpace_due(p, first + i) + late_cyc;
		assert_int_equal(genpace_late(p, first, n, now, late_cyc), n_late);
	}
}

/* Against each frame's own due time; at the very moment that one becomes late too. */
static void late_ones_are_counted(void **state)
{
	struct genpace p;

	(void)state;
	genpace_init(&p, 5000, 1000000, 700);
	for (unsigned group = 1; group < 20; group += 6) {
		p.group = group;
		for (uint64_t first = 0; first < 40; first++)
			for (uint64_t late_cyc = 0; late_cyc < 6000; late_cyc += 900) {
				for (uint64_t now = 4000; now < 90000; now += 1777)
					check_late(&p, first, now, late_cyc);
				for (uint64_t k = 0; k < 64; k++) {
					const uint64_t at = genpace_due(&p, first + k) + late_cyc;

					check_late(&p, first, at, late_cyc);
					check_late(&p, first, at + 1, late_cyc);
				}
			}
	}
}

static void groups_are_due_with_their_first(void **state)
{
	struct genpace p;

	(void)state;
	genpace_init(&p, 0, 1000000, 1000);
	p.group = 16;
	for (uint64_t n = 0; n < 100; n++)
		assert_int_equal(genpace_due(&p, n), n / 16 * 16000);
	assert_int_equal(genpace_count(&p, 0, 0, 32), 16);
	assert_int_equal(genpace_count(&p, 10, 0, 32), 6);
	assert_int_equal(genpace_count(&p, 16, 15999, 32), 0);
	assert_int_equal(genpace_count(&p, 16, 16000, 32), 16);
	assert_int_equal(genpace_count(&p, 16, 16000, 8), 8);
}

static void imix_is_7_4_1(void **state)
{
	struct genpace_sizes s;
	unsigned n64 = 0, n594 = 0, n1518 = 0;

	(void)state;
	assert_true(genpace_sizes_parse(&s, "imix"));
	for (uint64_t n = 1000; n < 1000 + 12 * 100; n++) {
		n64 += genpace_size(&s, n) == 64;
		n594 += genpace_size(&s, n) == 594;
		n1518 += genpace_size(&s, n) == 1518;
	}
	assert_int_equal(n64, 700);
	assert_int_equal(n594, 400);
	assert_int_equal(n1518, 100);
	assert_true(fabs(genpace_sizes_mean(&s) - 4342.0 / 12) < 1e-9);
}

static void one_size_is_that(void **state)
{
	static const char *const bad[] = {
		"", "63", "1519", "64x", "-64", " 64", "imix2", "99999999999999999999"};
	struct genpace_sizes s;

	(void)state;
	assert_true(genpace_sizes_parse(&s, "128"));
	for (uint64_t n = 0; n < 30; n++)
		assert_int_equal(genpace_size(&s, n), 128);
	assert_true(genpace_sizes_mean(&s) == 128);
	assert_true(genpace_sizes_parse(&s, "64"));
	assert_true(genpace_sizes_parse(&s, "1518"));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(genpace_sizes_parse(&s, bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_due_at_even_intervals),
		cmocka_unit_test(due_ones_are_counted),
		cmocka_unit_test(late_ones_are_counted),
		cmocka_unit_test(groups_are_due_with_their_first),
		cmocka_unit_test(imix_is_7_4_1),
		cmocka_unit_test(one_size_is_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
