/* SPDX-License-Identifier: BSD-3-Clause */
/* Histograms against sorted arrays: each bucket's edges, quantiles of several distributions, sums. */
#include "base/histogram.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#define N 20000u

static uint64_t values[N];
static struct histogram h, sum;

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 2685821657736338717ull;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void is_near(uint64_t got, uint64_t want)
{
	const double off = fabs((double)got - (double)want);

	if (off > HISTOGRAM_ERROR * (double)want)
		fail_msg("%lu for %lu", (unsigned long)got, (unsigned long)want);
}

/* Quantiles of values[0..n), which the histogram has, against the array sorted. */
static void check_quantiles(const struct histogram *of, unsigned n)
{
	static const double qs[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999};
	long double total = 0;

	qsort(values, n, sizeof(*values), by_value);
	for (unsigned i = 0; i < n; i++)
		total += (long double)values[i];
	assert_int_equal(histogram_count(of), n);
	assert_int_equal(histogram_max(of), values[n - 1]);
	assert_int_equal(histogram_quantile(of, 1), values[n - 1]);
	for (unsigned i = 0; i < sizeof(qs) / sizeof(*qs); i++) {
		const double want = ceil(qs[i] * n);

		is_near(histogram_quantile(of, qs[i]), values[want < 1 ? 0 : (unsigned)want - 1]);
	}
	if (total < 0x1p63L)
		assert_true(fabs(histogram_mean(of) - (double)(total / n))
			<= 1e-9 * (double)(total / n));
}

static void empty_one_answers_zero(void **state)
{
	(void)state;
	histogram_init(&h);
	assert_int_equal(histogram_count(&h), 0);
	assert_int_equal(histogram_max(&h), 0);
	assert_int_equal(histogram_quantile(&h, 0.5), 0);
	assert_int_equal(histogram_quantile(&h, 1), 0);
	assert_true(histogram_mean(&h) == 0);
}

/* Buckets follow one another without a gap, and one value alone is what comes back. */
static void every_edge_is_in_its_bucket(void **state)
{
	uint64_t before = 0;
	unsigned last = 0;

	(void)state;
	for (unsigned e = 0; e < 64; e++)
		for (unsigned part = 0; part < 64; part++) {
			const uint64_t low =
				(1ull << e) + (e < 6 ? part >> (6 - e) : (uint64_t)part << (e - 6));
			const uint64_t edges[] = {low - 1, low};

			if (low == before)
				continue;
			before = low;
			for (unsigned i = 0; i < 2; i++) {
				const unsigned at = histogram_bucket(edges[i]);

				assert_true(at < HISTOGRAM_BUCKETS);
				assert_true(at == last || at == last + 1);
				last = at;
				histogram_init(&h);
				histogram_add(&h, edges[i]);
				histogram_add(&h, UINT64_MAX);
				if (edges[i] < HISTOGRAM_EXACT)
					assert_int_equal(histogram_quantile(&h, 0.5), edges[i]);
				is_near(histogram_quantile(&h, 0.5), edges[i]);
			}
		}
	assert_int_equal(last, HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_bucket(UINT64_MAX), last);
}

static void quantiles_agree_with_a_sorted_array(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 5; kind++)
		for (unsigned n = 1; n <= N; n = n * 7 + 1) {
			uint64_t s = 77 + kind * 1000 + n;

			histogram_init(&h);
			for (unsigned i = 0; i < n; i++) {
				const uint64_t r = rnd(&s);

				values[i] = kind == 0 ? r % 16        /* few and small */
					: kind == 1   ? r >> (r % 64) /* all sizes */
					: kind == 2   ? 1000 + r % 50 /* narrow */
					: kind == 3
					? (r % 100 ? 200 + r % 100 : 1000000 + r % 9000000)
					: r; /* huge */
				histogram_add(&h, values[i]);
			}
			check_quantiles(&h, n);
		}
}

static void sum_is_that_of_all_values(void **state)
{
	uint64_t s = 5;

	(void)state;
	histogram_init(&sum);
	for (unsigned part = 0; part < 4; part++) {
		histogram_init(&h);
		for (unsigned i = part * N / 4; i < (part + 1) * N / 4; i++)
			histogram_add(&h, values[i] = rnd(&s) >> (20 + part * 8));
		histogram_sum(&sum, &h);
	}
	check_quantiles(&sum, N);
}

static void many_at_once_are_as_one_by_one(void **state)
{
	static struct histogram one, many;

	(void)state;
	for (uint64_t v = 1; v < 1ull << 40; v = v * 3 + 1) {
		histogram_add_n(&many, v, 5);
		for (unsigned i = 0; i < 5; i++)
			histogram_add(&one, v);
	}
	assert_memory_equal(&one, &many, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_one_answers_zero),
		cmocka_unit_test(every_edge_is_in_its_bucket),
		cmocka_unit_test(quantiles_agree_with_a_sorted_array),
		cmocka_unit_test(sum_is_that_of_all_values),
		cmocka_unit_test(many_at_once_are_as_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
