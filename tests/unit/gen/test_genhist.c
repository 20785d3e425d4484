/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's histogram against sorted arrays: percentiles of several distributions, sums, differences, edges. */
#include "genhist.h"
#include "genzipf.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#define N 20000u

static uint64_t values[N];
static struct genhist h, sum, other;

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void is_near(uint64_t got, uint64_t want)
{
	if (fabs((double)got - (double)want) > GENHIST_ERROR * (double)want)
		fail_msg("%lu for %lu", (unsigned long)got, (unsigned long)want);
}

static void check(const struct genhist *of, unsigned n)
{
	static const double qs[] = {0, 0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};
	double total = 0;

	qsort(values, n, sizeof(*values), by_value);
	for (unsigned i = 0; i < n; i++)
		total += (double)values[i];
	assert_int_equal(genhist_count(of), n);
	assert_int_equal(genhist_max(of), values[n - 1]);
	assert_int_equal(genhist_min(of), values[0]);
	assert_int_equal(genhist_quantile(of, 1), values[n - 1]);
	assert_true(fabs(genhist_mean(of) - total / n) <= GENHIST_ERROR * total / n);
	for (unsigned i = 0; i < sizeof(qs) / sizeof(*qs); i++) {
		const double rank = ceil(qs[i] * n);

		is_near(genhist_quantile(of, qs[i]), values[rank < 1 ? 0 : (unsigned)rank - 1]);
	}
}

static uint64_t value_of(unsigned kind, uint64_t r)
{
	switch (kind) {
	case 0:
		return r % 300; /* exact, and the first that are not */
	case 1:
		return r >> (r % 64); /* all sizes */
	case 2:
		return 1000 + r % 50;
	case 3:
		return r % 1000 ? 2000 + r % 1000 : 1000000 + r % 90000000; /* a tail */
	default:
		return r;
	}
}

static void an_empty_one_says_0(void **state)
{
	(void)state;
	genhist_init(&h);
	assert_int_equal(genhist_count(&h), 0);
	assert_int_equal(genhist_max(&h), 0);
	assert_int_equal(genhist_min(&h), 0);
	assert_int_equal(genhist_quantile(&h, 0.5), 0);
	assert_true(genhist_mean(&h) == 0);
}

static void buckets_follow_each_other(void **state)
{
	unsigned last = 0;

	(void)state;
	for (uint64_t v = 0; v < 1u << 20; v++) {
		const unsigned at = genhist_bucket(v);

		assert_true(at == last || at == last + 1);
		last = at;
		is_near(genhist_value(at), v);
	}
	for (unsigned e = 20; e < 64; e++) {
		const uint64_t edge = 1ull << e;

		assert_int_equal(genhist_bucket(edge), genhist_bucket(edge - 1) + 1);
	}
	assert_int_equal(genhist_bucket(UINT64_MAX), GENHIST_BUCKETS - 1);
}

static void percentiles_are_those_of_a_sorted_array(void **state)
{
	uint64_t s = 7;

	(void)state;
	for (unsigned kind = 0; kind < 5; kind++)
		for (unsigned n = 1; n <= N; n = n * 7 + 1) {
			genhist_init(&h);
			for (unsigned i = 0; i < n; i++)
				genhist_add(&h, values[i] = value_of(kind, genzipf_random(&s)));
			check(&h, n);
		}
}

static void sums_and_differences_are_of_all(void **state)
{
	uint64_t s = 9;

	(void)state;
	genhist_init(&sum);
	for (unsigned part = 0; part < 4; part++) {
		genhist_init(&h);
		for (unsigned i = part * N / 4; i < (part + 1) * N / 4; i++)
			genhist_add(&h, values[i] = value_of(part, genzipf_random(&s)));
		genhist_sum(&sum, &h);
	}
	check(&sum, N);
	/* what came since a copy */
	genhist_init(&h);
	for (unsigned i = 0; i < 1000; i++)
		genhist_add(&h, 1);
	other = h;
	for (unsigned i = 0; i < N; i++)
		genhist_add(&h, values[i] = 5000 + genzipf_random(&s) % 1000);
	genhist_since(&sum, &h, &other);
	assert_int_equal(genhist_count(&sum), N);
	assert_true(genhist_quantile(&sum, 0.0001) >= 4980);
	assert_int_equal(genhist_min(&sum), 1); /* of all */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_one_says_0),
		cmocka_unit_test(buckets_follow_each_other),
		cmocka_unit_test(percentiles_are_those_of_a_sorted_array),
		cmocka_unit_test(sums_and_differences_are_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
