/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genrank — whether two samples differ, and by how much, by their ranks alone: the test of Mann and Whitney (Wilcoxon's of the rank sum) and
 * the shift of Hodges and Lehmann with its interval. Nothing is assumed of how figures are distributed, and one wild value changes little.
 * Figures of a sample have to be of runs that do not depend on each other. Main thread; allocates.
 */
#include <stdbool.h>

#define GENRANK_MAX 2000u /* values of a sample */
#define GENRANK_EXACT 50u /* below so many, and without ties, p is exact */
#define GENRANK_ALPHA 0.05

struct genrank {
	double median_a, median_b;
	double u; /* pairs of a value of each sample of which the second one's is above; half of those that are equal */
	double p; /* that samples of one distribution are at least as far apart; two-sided */
	bool is_exact; /* else by the normal distribution, with corrections for ties and for continuity */
	double shift;     /* the median of all differences, second less first */
	double low, high; /* of the shift: an interval ... */
	double confidence; /* ... that covers it with this probability at least: 0.95, less where samples are too small */
};

/* 0; -EINVAL: an empty sample, or a value that is none; -E2BIG: above GENRANK_MAX; -ENOMEM. */
int genrank_test(const double *a, unsigned n_a, const double *b, unsigned n_b, struct genrank *out);

/* The least p that samples of these sizes can show, when all values of one are above all of the other's. Above GENRANK_ALPHA nothing can
 * be concluded, whatever was measured. */
double genrank_least(unsigned n_a, unsigned n_b);

/* p of m tests made together (Holm): what is below GENRANK_ALPHA then is so with a chance of GENRANK_ALPHA that any is by accident. p is
 * replaced; p above 1 becomes 1. -ENOMEM, and nothing is replaced. */
int genrank_holm(double *p, unsigned m);
