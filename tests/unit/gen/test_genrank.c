/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rank test: against results that are printed elsewhere (the examples of R's wilcox.test, tables of critical values), against all arrangements
 * written out, and on samples that are drawn alike, of which it may call few different.
 */
#include "genrank.h"
#include "genzipf.h"
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEN(x) ((unsigned)(sizeof(x) / sizeof(*(x))))

static void is_near(double got, double want, double error)
{
	if (!(fabs(got - want) <= error))
		fail_msg("%.10g for %.10g", got, want);
}

static struct genrank test(const double *a, unsigned n_a, const double *b, unsigned n_b)
{
	struct genrank r;

	assert_int_equal(genrank_test(a, n_a, b, n_b, &r), 0);
	return r;
}

/* Permeability of chorioamnion, Hollander and Wolfe (1973), page 69; R: W = 35, of the other side 15; one-sided p 0.1272. */
static void of_r_without_ties(void **state)
{
	static const double x[] = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46},
			    y[] = {1.15, 0.88, 0.90, 0.74, 1.21};
	struct genrank r = test(x, LEN(x), y, LEN(y));

	(void)state;
	assert_true(r.is_exact);
	is_near(r.u, 15, 0);
	is_near(r.p, 2 * 0.1272, 1e-4);
	is_near(r.median_a, (1.38 + 1.45) / 2, 1e-12);
	is_near(r.median_b, 0.90, 1e-12);
	r = test(y, LEN(y), x, LEN(x)); /* both ways the same */
	is_near(r.u, 35, 0);
	is_near(r.p, 2 * 0.1272, 1e-4);
}

/* Ozone in New York, May and August 1973 (R's airquality); R: W = 127.5, p = 0.0001208. */
static void of_r_with_ties(void **state)
{
	static const double may[] = {41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6,
		30, 11, 1, 11, 4, 32, 23, 45, 115, 37};
	static const double august[] = {39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23,
		31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85};
	const struct genrank r = test(august, LEN(august), may, LEN(may));

	(void)state;
	assert_false(r.is_exact);
	is_near(r.u, 127.5, 0);
	is_near(r.p, 0.0001208, 5e-8);
	assert_true(r.low <= r.shift && r.shift <= r.high && r.high < 0);
}

/* The largest U that is significant at 5 % on both sides, from the usual tables. */
static void critical_values_are_those_of_tables(void **state)
{
	static const struct {
		unsigned n, m, u;
	} rows[] = {{4, 4, 0}, {5, 5, 2}, {6, 6, 5}, {7, 7, 8}, {8, 8, 13}, {9, 9, 17},
		{10, 10, 23}, {5, 10, 8}, {3, 5, 0}, {12, 20, 69}, {20, 20, 127}};
	double a[20], b[20];

	(void)state;
	for (unsigned i = 0; i < LEN(rows); i++)
		for (unsigned u = rows[i].u; u <= rows[i].u + 1; u++) {
			const unsigned n = rows[i].n, m = rows[i].m;
			struct genrank r;

			/* a is 100, 200...; one b is above u / n whole ones of it and one more above the rest */
			for (unsigned k = 0; k < n; k++)
				a[k] = 100 * (k + 1);
			for (unsigned k = 0; k < m; k++)
				b[k] = k < u / n     ? 100 * n + 50 + k
					: k == u / n ? 100 * (u % n) + 50
						     : k;
			r = test(a, n, b, m);
			is_near(r.u, u, 0);
			assert_true(r.is_exact);
			assert_int_equal(r.p <= 0.05, u == rows[i].u);
		}
}

/* Every choice of n of n + m ranks: how many have a U as far from the middle. */
static double p_of_all(unsigned n, unsigned m, double u)
{
	const double middle = n * m / 2.0;
	unsigned n_all = 0, n_far = 0;

	for (unsigned set = 0; set < 1u << (n + m); set++) {
		unsigned below = 0, got = 0;

		if ((unsigned)__builtin_popcount(set) != m)
			continue;
		for (unsigned i = 0; i < n + m; i++) {
			if (set >> i & 1)
				got += below;
			else
				below++;
		}
		n_all++;
		n_far += fabs(got - middle) >= fabs(u - middle) - 1e-9;
	}
	return (double)n_far / n_all;
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void is_as_written_out(const double *a, unsigned n, const double *b, unsigned m)
{
	const struct genrank r = test(a, n, b, m);
	double diffs[64];
	unsigned at = 0;

	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < m; k++)
			diffs[at++] = b[k] - a[i];
	qsort(diffs, at, sizeof(*diffs), by_value);
	assert_true(r.is_exact);
	is_near(r.p, p_of_all(n, m, r.u), 1e-12);
	is_near(r.shift, at % 2 ? diffs[at / 2] : (diffs[at / 2 - 1] + diffs[at / 2]) / 2, 0);
	/* the interval leaves out the shifts that the test would reject, and no other */
	for (unsigned i = 0; i <= at; i++) {
		const double p =
			p_of_all(n, m, i); /* of a shift between the i-th and the next difference */
		const double inner = i == 0 ? diffs[0] - 1
			: i == at           ? diffs[at - 1] + 1
					    : (diffs[i - 1] + diffs[i]) / 2;

		if (genrank_least(n, m) < 0.05)
			assert_int_equal(p >= 0.05 + 1e-12, inner > r.low && inner < r.high);
	}
	assert_true(r.confidence >= 0.95 || genrank_least(n, m) > 0.05);
}

static void small_samples_are_as_all_arrangements_say(void **state)
{
	uint64_t s = 3;
	double a[8], b[8];

	(void)state;
	for (unsigned round = 0; round < 60; round++) {
		const unsigned n = 1 + (unsigned)(genzipf_random(&s) % 7),
			       m = 1 + (unsigned)(genzipf_random(&s) % 7);

		for (unsigned i = 0; i < n; i++)
			a[i] = (double)(genzipf_random(&s) >> 12) / 1e12;
		for (unsigned i = 0; i < m; i++)
			b[i] = (double)(genzipf_random(&s) >> 12) / 1e12 + round * 20;
		is_as_written_out(a, n, b, m);
	}
}

static void the_least_p_is_that_of_samples_apart(void **state)
{
	static const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

	(void)state;
	is_near(genrank_least(3, 3), 0.1, 1e-12);
	is_near(genrank_least(4, 4), 2.0 / 70, 1e-12);
	is_near(genrank_least(1, 1), 1, 0);
	is_near(genrank_least(0, 9), 1, 0);
	for (unsigned n = 1; n <= 6; n++)
		for (unsigned m = 1; m <= 6; m++)
			is_near(test(values, n, values + n, m).p, genrank_least(n, m), 1e-12);
}

static void equal_values_are_no_difference(void **state)
{
	double a[60], b[60];
	struct genrank r;

	(void)state;
	for (unsigned i = 0; i < 60; i++)
		a[i] = b[i] = 7;
	r = test(a, 60, b, 60);
	is_near(r.p, 1, 0);
	is_near(r.u, 1800, 0);
	is_near(r.shift, 0, 0);
	r = test(a, 1, b, 1);
	is_near(r.p, 1, 0);
}

static double normal(uint64_t *s)
{
	const double u = ((double)(genzipf_random(s) >> 11) + 1) * 0x1p-53,
		     v = (double)(genzipf_random(s) >> 11) * 0x1p-53;

	return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979 * v);
}

/* Of so many pairs of samples, the shares in percent that are called different at 5 %, and whose interval misses the truth. */
static void count_calls(unsigned n, double shift, double rounding, double *called, double *missed)
{
	const unsigned n_rounds = n < 20 ? 2000 : 400;
	uint64_t s = 5;
	double a[60], b[60];

	*called = *missed = 0;
	for (unsigned round = 0; round < n_rounds; round++) {
		struct genrank r;

		for (unsigned i = 0; i < n; i++) {
			a[i] = round * 10 + normal(&s);
			b[i] = round * 10 + normal(&s) + shift;
			if (rounding > 0) {
				a[i] = rint(a[i] / rounding) * rounding;
				b[i] = rint(b[i] / rounding) * rounding;
			}
		}
		r = test(a, n, b, n);
		*called += 100.0 * (r.p < 0.05) / n_rounds;
		*missed += 100.0 * (shift < r.low || shift > r.high) / n_rounds;
	}
}

static void alike_samples_are_seldom_called_different(void **state)
{
	static const double roundings[] = {0, 0.25};
	static const unsigned sizes[] = {5, 9, 30, 60};

	(void)state;
	for (unsigned k = 0; k < LEN(roundings); k++)
		for (unsigned i = 0; i < LEN(sizes); i++) {
			double called, missed;

			count_calls(sizes[i], 0, roundings[k], &called, &missed);
			assert_true(
				called > 1.5 && called < 7); /* small samples cannot reach 5 % */
			assert_true(missed < 7);
			count_calls(sizes[i], 3, roundings[k], &called, &missed);
			assert_true(called > (sizes[i] < 9 ? 80 : 99));
			assert_true(missed < 7);
		}
}

static void holm_is_as_by_hand(void **state)
{
	double p[] = {0.04, 0.01, 0.03, 0.005}; /* sorted: .005 x 4, .01 x 3, .03 x 2, .04 x 1 */
	double many[] = {0.5, 0.5, 0.9};

	(void)state;
	assert_int_equal(genrank_holm(p, LEN(p)), 0);
	is_near(p[3], 0.02, 1e-12);
	is_near(p[1], 0.03, 1e-12);
	is_near(p[2], 0.06, 1e-12);
	is_near(p[0], 0.06, 1e-12); /* no smaller than one before it */
	assert_int_equal(genrank_holm(many, LEN(many)), 0);
	for (unsigned i = 0; i < LEN(many); i++)
		is_near(many[i], 1, 0);
	assert_int_equal(genrank_holm(p, 0), 0);
}

static void what_is_no_sample_is_refused(void **state)
{
	static double many[GENRANK_MAX + 1];
	const double a[] = {1, NAN}, b[] = {INFINITY};
	struct genrank r;

	(void)state;
	assert_int_equal(genrank_test(a, 0, b, 1, &r), -EINVAL);
	assert_int_equal(genrank_test(a, 1, b, 0, &r), -EINVAL);
	assert_int_equal(genrank_test(a, 2, a, 1, &r), -EINVAL);
	assert_int_equal(genrank_test(a, 1, b, 1, &r), -EINVAL);
	assert_int_equal(genrank_test(many, GENRANK_MAX + 1, a, 1, &r), -E2BIG);
	assert_int_equal(genrank_test(a, 1, many, GENRANK_MAX, &r), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_r_without_ties),
		cmocka_unit_test(of_r_with_ties),
		cmocka_unit_test(critical_values_are_those_of_tables),
		cmocka_unit_test(small_samples_are_as_all_arrangements_say),
		cmocka_unit_test(the_least_p_is_that_of_samples_apart),
		cmocka_unit_test(equal_values_are_no_difference),
		cmocka_unit_test(alike_samples_are_seldom_called_different),
		cmocka_unit_test(holm_is_as_by_hand),
		cmocka_unit_test(what_is_no_sample_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
