/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws against the distribution: what each number's cells add up to, exactly, and what a million draws give. */
#include "genzipf.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

/* The share of every number, added up over all cells: half of a cell's 2^32 draws may be another one's. */
static void cells_add_up_to(uint32_t n, double skew)
{
	double *got = calloc(n, sizeof(*got)), sum = 0;
	struct genzipf z;

	assert_int_equal(genzipf_create(&z, n, skew), 0);
	assert_non_null(z.cells);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(z.cells[i].alias < n);
		got[i] += z.cells[i].limit * 0x1p-32;
		got[z.cells[i].alias] += 1 - z.cells[i].limit * 0x1p-32;
		sum += pow((double)i + 1, -skew);
	}
	for (uint32_t i = 0; i < n; i++) {
		const double want = pow((double)i + 1, -skew) / sum * n;

		/* rounding of up to n cells of 2^-32 each */
		if (fabs(got[i] - want) > 1e-9 * n + 1e-6)
			fail_msg("%u of %u, skew %g: %g, not %g", i, n, skew, got[i], want);
	}
	free(got);
	genzipf_destroy(&z);
	assert_null(z.cells);
}

static void shares_are_exact(void **state)
{
	static const double skews[] = {0.5, 0.9, 0.99, 1, 1.2, 3};

	(void)state;
	for (unsigned i = 0; i < sizeof(skews) / sizeof(*skews); i++) {
		cells_add_up_to(1, skews[i]);
		cells_add_up_to(2, skews[i]);
		cells_add_up_to(1000, skews[i]);
		cells_add_up_to(100000, skews[i]);
	}
}

static void draws_are_as_often_as_they_should(void **state)
{
	static unsigned n_of[100];
	const unsigned n_draws = 1000000;

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		const double skew = kind == 0 ? 0 : 0.99;
		double sum = 0, chi = 0;
		uint64_t s = 3;
		struct genzipf z;

		assert_int_equal(genzipf_create(&z, 100, skew), 0);
		assert_true((z.cells == NULL) == (skew == 0));
		memset(n_of, 0, sizeof(n_of));
		for (unsigned i = 0; i < n_draws; i++) {
			const uint32_t at = genzipf_draw(&z, genzipf_random(&s));

			assert_true(at < 100);
			n_of[at]++;
		}
		for (unsigned i = 0; i < 100; i++)
			sum += pow(i + 1.0, -skew);
		for (unsigned i = 0; i < 100; i++) {
			const double want = pow(i + 1.0, -skew) / sum * n_draws;

			chi += (n_of[i] - want) * (n_of[i] - want) / want;
		}
		assert_true(chi < 150); /* 99 degrees of freedom: 0.07 % of all seeds are above */
		genzipf_destroy(&z);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_exact),
		cmocka_unit_test(draws_are_as_often_as_they_should),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
