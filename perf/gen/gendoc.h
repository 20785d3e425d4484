/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gendoc — a document of measurements, as figures that can be compared: those of millrace-bench (schema "millrace.bench/1"), of the
 * comparisons with other programs ("millrace.compare/1"), of more and more workers ("millrace.workers/1") and of the micro-benchmarks (Google Benchmark's JSON).
 * Main thread; allocates.
 */
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>

enum gendoc_kind { GENDOC_BENCH, GENDOC_COMPARE, GENDOC_WORKERS, GENDOC_MICRO };

/* What a figure was measured of, by what, and where. */
struct gendoc_fact {
	char *name, *value;
	bool is_vital; /* figures of another one are not comparable */
};

/* Figures of one name: of repetitions, unless is_within. */
struct gendoc_series {
	char *name;
	double *values;
	unsigned n;
	bool is_within; /* of seconds of one run, which may depend on each other */
};

struct gendoc {
	const char *path;
	enum gendoc_kind kind;
	json_t *root;
	char load[64]; /* of the machine, before; "?": not told */
	char when[64];
	struct gendoc_fact *facts;
	unsigned n_facts;
	struct gendoc_series *series;
	unsigned n_series;
	unsigned n_failed; /* benchmarks without a figure */
	unsigned n_docs;   /* whose figures these are */
};

/* 0, or -EINVAL and in `err` why the document has nothing to compare: it cannot be read, is cut off, of another schema, or says itself that there is no
 * figure. metric: of micro-benchmarks, the counter to take ("ratio"); NULL: net_cycles, of those that have none, cycles. `path` stays the caller's. */
int gendoc_load(struct gendoc *d, const char *path, const char *metric, char *err, size_t err_size);

void gendoc_fini(struct gendoc *d);

/* Of each series the median alone is left: what a run as a whole has to say. */
void gendoc_fold(struct gendoc *d);

/* Takes the figures of another document of the same kind to those of the same name. -ENOMEM. */
int gendoc_append(struct gendoc *to, const struct gendoc *from);

/* NULL: there is none. */
const struct gendoc_series *gendoc_find(const struct gendoc *d, const char *name);
const char *gendoc_fact_of(const struct gendoc *d, const char *name);
