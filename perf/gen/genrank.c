/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * genrank — see genrank.h.
 *
 * How many of the arrangements of n and m values have a given U follows from where the largest value is: in the sample of n, then it is
 * above all m of the other, or not: w(u; n, m) = w(u - m; n - 1, m) + w(u; n, m - 1) (Mann and Whitney 1947). Sums of positive numbers: doubles
 * lose nothing that shows. The interval of the shift are the order statistics of the differences that U's quantiles name (Hollander and Wolfe,
 * section 4.3). The normal approximation, its corrections and the choice between the two are those of R's wilcox.test, so that anybody can check.
 */
#include "genrank.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define Z_95 1.959963984540054

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median_of(const double *sorted, unsigned n)
{
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* The shares of all arrangements that have U of 0 to n * m: n * m + 1 doubles. NULL: out of memory. */
static double *distribution(unsigned n, unsigned m)
{
	const unsigned size = n * m + 1;
	double *w = calloc((size_t)(n + 1) * size, sizeof(*w)), *out, all = 0;

	if (w == NULL)
		return NULL;
	for (unsigned i = 0; i <= n; i++)
		w[(size_t)i * size] = 1; /* m = 0 */
	for (unsigned j = 1; j <= m; j++)
		for (unsigned i = 1; i <= n; i++) {
			double *to = &w[(size_t)i * size];
			const double *from = &w[(size_t)(i - 1) * size];

			for (unsigned u = j; u < size; u++)
				to[u] += from[u - j];
		}
	out = malloc(size * sizeof(*out));
	if (out != NULL) {
		memcpy(out, &w[(size_t)n * size], size * sizeof(*out));
		for (unsigned u = 0; u < size; u++)
			all += out[u];
		for (unsigned u = 0; u < size; u++)
			out[u] /= all;
	}
	free(w);
	return out;
}

static double below(const double *share, unsigned u)
{
	double sum = 0;

	for (unsigned i = 0; i <= u; i++)
		sum += share[i];
	return sum;
}

/* The sum over all groups of t equal values of t^3 - t; sorts. */
static double tie_sum(double *sorted, unsigned n)
{
	double sum = 0;

	qsort(sorted, n, sizeof(*sorted), by_value);
	for (unsigned i = 0, t; i < n; i += t) {
		for (t = 1; i + t < n && !(sorted[i] < sorted[i + t]); t++)
			;
		sum += (double)t * t * t - t;
	}
	return sum;
}

static double sigma_of(double n, double m, double ties)
{
	const double all = n + m;

	return sqrt(n * m / 12 * (all + 1 - ties / (all * (all - 1))));
}

static double p_of_normal(double u, double n, double m, double ties)
{
	const double sigma = sigma_of(n, m, ties), off = fabs(u - n * m / 2) - 0.5;

	if (!(sigma > 0) || off <= 0) /* all values are equal */
		return 1;
	return erfc(off / sigma / sqrt(2));
}

/* Which of the sorted differences, from 1, ends the interval below; above it is as far from the other end. */
static unsigned end_of(const double *share, unsigned n, unsigned m, double *confidence)
{
	const double k = floor((double)n * m / 2 - Z_95 * sigma_of(n, m, 0));
	unsigned q = 0;

	*confidence = 1 - GENRANK_ALPHA;
	if (share == NULL)
		return k < 1 ? 1 : (unsigned)k;
	for (double sum = share[0]; sum < GENRANK_ALPHA / 2; sum += share[q])
		q++;
	q = q == 0 ? 1 : q;
	*confidence = 1 - 2 * below(share, q - 1);
	return q;
}

static void test(const double *diffs, const double *share, unsigned n, unsigned m, double ties,
	struct genrank *out)
{
	const unsigned n_pairs = n * m;
	unsigned end;

	if (share != NULL) {
		const unsigned u =
			(unsigned)(out->u > n_pairs - out->u ? n_pairs - out->u : out->u);

		out->is_exact = true;
		out->p = fmin(1, 2 * below(share, u));
	} else {
		out->p = p_of_normal(out->u, n, m, ties);
	}
	out->shift = median_of(diffs, n_pairs);
	end = end_of(share, n, m, &out->confidence);
	out->low = diffs[end - 1];
	out->high = diffs[n_pairs - end];
}

int genrank_test(const double *a, unsigned n_a, const double *b, unsigned n_b, struct genrank *out)
{
	double *sorted, *diffs, *share = NULL, ties;
	bool is_exact;

	if (n_a == 0 || n_b == 0)
		return -EINVAL;
	if (n_a > GENRANK_MAX || n_b > GENRANK_MAX)
		return -E2BIG;
	for (unsigned i = 0; i < n_a + n_b; i++)
		if (!isfinite(i < n_a ? a[i] : b[i - n_a]))
			return -EINVAL;
	sorted = calloc(n_a + n_b, sizeof(*sorted));
	diffs = calloc((size_t)n_a * n_b, sizeof(*diffs));
	if (sorted == NULL || diffs == NULL)
		goto err;
	memcpy(sorted, a, n_a * sizeof(*a));
	memcpy(sorted + n_a, b, n_b * sizeof(*b));
	qsort(sorted, n_a, sizeof(*sorted), by_value);
	qsort(sorted + n_a, n_b, sizeof(*sorted), by_value);
	*out = (struct genrank){
		.median_a = median_of(sorted, n_a), .median_b = median_of(sorted + n_a, n_b)};
	ties = tie_sum(sorted, n_a + n_b);
	for (unsigned i = 0; i < n_a; i++)
		for (unsigned k = 0; k < n_b; k++) {
			diffs[(size_t)i * n_b + k] = b[k] - a[i];
			out->u += b[k] > a[i] ? 1 : b[k] < a[i] ? 0 : 0.5;
		}
	qsort(diffs, (size_t)n_a * n_b, sizeof(*diffs), by_value);
	is_exact = n_a < GENRANK_EXACT && n_b < GENRANK_EXACT && !(ties > 0);
	if (is_exact) {
		share = distribution(n_b, n_a);
		if (share == NULL)
			goto err;
	}
	test(diffs, share, n_a, n_b, ties, out);
	free(share);
	free(diffs);
	free(sorted);
	return 0;
err:
	free(diffs);
	free(sorted);
	return -ENOMEM;
}

double genrank_least(unsigned n_a, unsigned n_b)
{
	double ways = 1;

	if (n_a == 0 || n_b == 0)
		return 1;
	for (unsigned i = 1; i <= n_b; i++) /* of choosing n_b of all */
		ways *= (double)(n_a + i) / i;
	return fmin(1, 2 / ways);
}

int genrank_holm(double *p, unsigned m)
{
	double *sorted = calloc(m + 1, sizeof(*sorted)), *out = calloc(m + 1, sizeof(*out));
	int rc = -ENOMEM;

	if (sorted != NULL && out != NULL) {
		memcpy(sorted, p, m * sizeof(*p));
		qsort(sorted, m, sizeof(*sorted), by_value);
		for (unsigned i = 0; i < m; i++) {
			double most = 0;

			for (unsigned k = 0; k < m && sorted[k] <= p[i]; k++)
				most = fmax(most, sorted[k] * (m - k));
			out[i] = fmin(1, most);
		}
		memcpy(p, out, m * sizeof(*p));
		rc = 0;
	}
	free(sorted);
	free(out);
	return rc;
}
