/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gencompare — see gencompare.h. Rows are tested together: with a hundred of them five would differ by accident, so p is corrected for their
 * number (Holm), and only what is left is marked. Figures of machines, builds or work that differ in what decides them are refused,
 * unless somebody insists; what may matter is told.
 */
#include "gencompare.h"

#include "gendoc.h"
#include "genrank.h"
#include "gensay.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	const struct gendoc_series *a, *b;
	struct genrank rank;
	double p; /* corrected for all rows */
	bool is_too_small;
};

#define DOCS_MAX 100u /* of a side */

struct choice {
	const char *paths[2][DOCS_MAX];
	unsigned n[2];
	const char *metric;
	bool is_anyway;
};

static void usage(FILE *to)
{
	fputs("usage: millrace-bench compare [--metric NAME] [--anyway] A.json B.json\n"
	      "       millrace-bench compare [--metric NAME] [--anyway] A.json... with B.json...\n\n"
	      "Shows what two documents of measurements have both: medians, B by A, the difference and where it lies with 95 %\n"
	      "confidence, and p of a rank test (Mann-Whitney). Rows are marked where p, corrected for the number of rows, is below 0.05.\n"
	      "Of several documents on a side each counts as one figure, its median: they say more than the repetitions of one run.\n"
	      "The documents: of millrace-bench --json, of the comparisons with other programs, of ./dev bench micro --json.\n\n"
	      "  --metric NAME  of micro-benchmarks: cycles, ratio, net_cycles ...; default: net_cycles where there are some, else cycles\n"
	      "  --anyway       also when machine, build or work differ in what decides the figures\n\n"
	      "Exit status: 0 compared, 1 nothing to compare, 2 usage\n",
		to);
}

/* --- whether they can be compared --- */

static void say_difference(const struct gendoc_fact *f, const char *other)
{
	fprintf(stderr, "  %-24s %s | %s\n", f->name, f->value,
		other != NULL ? other : "(not told)");
}

/* Tells of what differs and is vital, or is not. How many. Facts that only the second one tells count as well. */
static unsigned say_differences(
	const struct gendoc *a, const struct gendoc *b, bool is_vital, const char *title)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->n_facts + b->n_facts; i++) {
		const struct gendoc_fact *f =
			i < a->n_facts ? &a->facts[i] : &b->facts[i - a->n_facts];
		const char *other = gendoc_fact_of(i < a->n_facts ? b : a, f->name);

		if (f->is_vital != is_vital
			|| (other != NULL && (i >= a->n_facts || strcmp(f->value, other) == 0)))
			continue;
		if (n++ == 0)
			gensay_note("%s", title);
		if (i < a->n_facts)
			say_difference(f, other);
		else
			fprintf(stderr, "  %-24s (not told) | %s\n", f->name, f->value);
	}
	return n;
}

static bool are_comparable(const struct gendoc *a, const struct gendoc *b, const struct choice *c)
{
	if (a->kind != b->kind) {
		gensay_error("%s and %s: are of different schemas", a->path, b->path);
		return false;
	}
	if (say_differences(
		    a, b, true, "these differ, and figures with them whatever the program does:")
		> 0) {
		if (!c->is_anyway) {
			gensay_error("not compared; --anyway does it all the same");
			return false;
		}
		gensay_note("compared all the same");
	}
	say_differences(a, b, false, "these differ, and may matter:");
	return true;
}

/* --- rows --- */

/* What both have; the number of rows, or -errno. */
static int make_rows(const struct gendoc *a, const struct gendoc *b, struct row *rows)
{
	double *p = calloc(a->n_series + 1, sizeof(*p));
	unsigned n = 0, n_tests = 0;
	int rc = p == NULL ? -ENOMEM : 0;

	for (unsigned i = 0; rc == 0 && i < a->n_series; i++) {
		struct row *row = &rows[n];

		*row = (struct row){.a = &a->series[i], .b = gendoc_find(b, a->series[i].name)};
		if (row->b == NULL)
			continue;
		n++;
		row->is_too_small = genrank_least(row->a->n, row->b->n) >= GENRANK_ALPHA;
		rc = genrank_test(row->a->values, row->a->n, row->b->values, row->b->n, &row->rank);
		if (rc == 0 && !row->is_too_small)
			p[n_tests++] = row->rank.p;
	}
	rc = rc == 0 ? genrank_holm(p, n_tests) : rc;
	for (unsigned i = 0, k = 0; rc == 0 && i < n; i++)
		rows[i].p = rows[i].is_too_small ? 1 : p[k++];
	free(p);
	return rc == 0 ? (int)n : rc;
}

/* --- the table --- */

static const char *number(double v, char *buf, size_t size)
{
	if (fabs(v) >= 1e4)
		return gensay_rate(v);
	snprintf(buf, size, fabs(v) < 10 ? "%.3f" : "%.1f", v);
	return buf;
}

static const char *probability(double p, char *buf, size_t size)
{
	snprintf(buf, size, p < 0.0001 ? "<0.0001" : "%.4f", p);
	return buf;
}

static void print_row(const struct row *row)
{
	char a[32], b[32], n[32], shift[96] = "";
	const double to_pct = 100 / fabs(row->rank.median_a);

	snprintf(n, sizeof(n), "%u, %u", row->a->n, row->b->n);
	printf("%-40s%c %8s %12s %12s", row->a->name,
		row->a->is_within || row->b->is_within ? '\'' : ' ', n,
		number(row->rank.median_a, a, sizeof(a)), number(row->rank.median_b, b, sizeof(b)));
	if (fabs(row->rank.median_a) > 0)
		printf(" %7.3f", row->rank.median_b / row->rank.median_a);
	else
		printf(" %7s", "-");
	if (row->is_too_small) {
		printf("   too few to conclude anything\n");
		return;
	}
	if (fabs(row->rank.median_a) > 0)
		snprintf(shift, sizeof(shift), "%+.2f %% [%+.2f, %+.2f]", row->rank.shift * to_pct,
			row->rank.low * to_pct, row->rank.high * to_pct);
	printf(" %26s  %7s %s\n", shift, probability(row->rank.p, a, sizeof(a)),
		row->p >= GENRANK_ALPHA                           ? ""
			: row->rank.median_b > row->rank.median_a ? "* higher"
								  : "* lower");
}

static void print_document(const char *letter, const struct gendoc *d)
{
	const char *build = gendoc_fact_of(d, "build"), *compiler = gendoc_fact_of(d, "compiler");

	char more[32] = "";

	if (d->n_docs > 1)
		snprintf(more, sizeof(more), " and %u more", d->n_docs - 1);
	printf("%s  %s%s: %s; %s, %s; load %s\n", letter, d->path, more, d->when,
		build != NULL ? build : "build not told", compiler != NULL ? compiler : "?",
		d->load);
}

static void print_rows(const struct row *rows, unsigned n)
{
	unsigned n_marked = 0, n_small = 0, n_tests;
	bool is_within = false;

	printf("\n%-40s  %8s %12s %12s %7s %26s  %7s\n", "", "n", "A, median", "B, median", "B/A",
		"difference [95 %]", "p");
	for (unsigned i = 0; i < n; i++) {
		print_row(&rows[i]);
		n_marked += !rows[i].is_too_small && rows[i].p < GENRANK_ALPHA;
		n_small += rows[i].is_too_small;
		is_within |= rows[i].a->is_within || rows[i].b->is_within;
	}
	n_tests = n - n_small;
	printf("\n");
	if (n_tests > 0 && n_marked == 0)
		printf("no difference: of %u rows none has p < 0.05, corrected for their number\n",
			n_tests);
	else if (n_tests > 0)
		printf("%u of %u rows differ (*): p < 0.05, corrected for their number\n", n_marked,
			n_tests);
	if (n_small > 0)
		printf("too few samples in %u rows: whatever they are, p could not get below 0.05; 4 and 4 can\n",
			n_small);
	if (is_within)
		printf("' of each second of one run: says how even it was; whether another run would differ, repetitions say (--repeat)\n");
}

/* Names that only one has. */
static void print_lonely(const char *letter, const struct gendoc *of, const struct gendoc *other)
{
	unsigned n = 0;

	for (unsigned i = 0; i < of->n_series; i++)
		if (gendoc_find(other, of->series[i].name) == NULL)
			printf("%s%s", n++ == 0 ? "" : "; ", of->series[i].name);
	if (n > 0)
		printf(": only in %s\n", letter);
	if (of->n_failed > 0)
		printf("%u runs of %s failed, and have no figure\n", of->n_failed, letter);
}

static int compare(const struct gendoc *a, const struct gendoc *b, const struct choice *c)
{
	struct row *rows;
	int n;

	if (!are_comparable(a, b, c))
		return GENCOMPARE_FAILED;
	rows = calloc(a->n_series, sizeof(*rows));
	n = rows == NULL ? -ENOMEM : make_rows(a, b, rows);
	if (n > 0) {
		print_document("A", a);
		print_document("B", b);
		print_rows(rows, (unsigned)n);
		print_lonely("A", a, b);
		print_lonely("B", b, a);
	} else if (n == 0) {
		gensay_error("%s and %s have no figure of one name", a->path, b->path);
	} else {
		gensay_error("not compared: %s", strerror(-n));
	}
	free(rows);
	return n > 0 ? GENCOMPARE_DONE : GENCOMPARE_FAILED;
}

/* One thread: above that, somebody else was there. */
#define OWN_LOAD 1.2

static void warn_of_load(const struct gendoc *d)
{
	if (d->kind == GENDOC_MICRO && strtod(d->load, NULL) > OWN_LOAD)
		gensay_note(
			"%s: load %s: the machine was busy, and two runs of one program differ then; "
			"measure old and new several times in turn, and compare OLD... with NEW...",
			d->path, d->load);
}

/* The documents of a side as one. 0, or -EINVAL after it was said why not. */
static int load_side(struct gendoc *d, const struct choice *c, unsigned side)
{
	struct gendoc next;
	char err[1024];
	int rc;

	if (gendoc_load(d, c->paths[side][0], c->metric, err, sizeof(err)) != 0) {
		gensay_error("%s", err);
		return -EINVAL;
	}
	warn_of_load(d);
	if (c->n[side] > 1)
		gendoc_fold(d);
	for (unsigned i = 1; i < c->n[side]; i++) {
		if (gendoc_load(&next, c->paths[side][i], c->metric, err, sizeof(err)) != 0) {
			gensay_error("%s", err);
			gendoc_fini(d);
			return -EINVAL;
		}
		warn_of_load(&next);
		gendoc_fold(&next);
		rc = are_comparable(d, &next, c) ? gendoc_append(d, &next) : -EINVAL;
		gendoc_fini(&next);
		if (rc != 0) {
			gendoc_fini(d);
			return rc;
		}
	}
	return 0;
}

/* --- the command --- */

static bool take_path(struct choice *c, unsigned side, const char *path)
{
	if (c->n[side] == DOCS_MAX)
		return false;
	c->paths[side][c->n[side]++] = path;
	return true;
}

static bool take_options(int argc, char *const *argv, struct choice *c)
{
	unsigned side = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--anyway") == 0) {
			c->is_anyway = true;
		} else if (strcmp(argv[i], "--metric") == 0 && i + 1 < argc) {
			c->metric = argv[++i];
		} else if (strcmp(argv[i], "with") == 0) {
			side++;
		} else if (argv[i][0] == '-' || side > 1 || !take_path(c, side, argv[i])) {
			return false;
		}
	}
	if (side == 0 && c->n[0] == 2) { /* one and one need no word between them */
		c->n[0] = 1;
		take_path(c, 1, c->paths[0][1]);
	}
	return c->n[0] > 0 && c->n[1] > 0;
}

int gencompare_run(int argc, char *const *argv)
{
	struct choice c = {0};
	struct gendoc a, b;
	int status = GENCOMPARE_FAILED;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return GENCOMPARE_DONE;
	}
	if (!take_options(argc, argv, &c)) {
		usage(stderr);
		return GENCOMPARE_USAGE;
	}
	if (load_side(&a, &c, 0) != 0)
		return GENCOMPARE_FAILED;
	if (load_side(&b, &c, 1) == 0) {
		status = compare(&a, &b, &c);
		gendoc_fini(&b);
	}
	gendoc_fini(&a);
	return status;
}
