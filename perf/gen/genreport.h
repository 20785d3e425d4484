/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genreport — what was measured: a table for people and a JSON document (schema "millrace.bench/1") with every trial in it. A figure is
 * in either only when the run was good; what there is of a run that was not stands in the document beside the reason. Main thread.
 */
#include "genmc.h"
#include "genrun.h"
#include "gensearch.h"
#include "gentcp.h"

#include <jansson.h>

enum genreport_purpose {
	GENREPORT_MEASURE, /* at --rate */
	GENREPORT_SEARCH,
	GENREPORT_LATENCY, /* at a share of PDR */
	GENREPORT_BIAS,    /* the generator alone, at that rate */
	GENREPORT_PURPOSES
};

struct genreport_item {
	enum genreport_purpose purpose;
	unsigned round;                     /* repetition, from 0 */
	double share_pct;                   /* of PDR; 0: none */
	unsigned n_trials;                  /* of which the result is made */
	unsigned n_void[GENJUDGE_VERDICTS]; /* and those that were thrown away, by why */
	struct genrun_result result;
	struct genmc_counts cache;
	struct gentcp_stats tcp;
	uint64_t n_arrived, n_tunnelled; /* flood, at the backends */
};

struct genreport {
	const struct genopt *opt;
	int argc;
	char *const *argv;
	char port[160]; /* device and driver */
	json_t *machine;
	struct genreport_item *items;
	unsigned n_items, items_max;
	struct gensearch_result *searches; /* a repetition each */
	unsigned n_searches;
	char error[512]; /* "": the run was good */
};

int genreport_init(struct genreport *r, const struct genopt *o);
void genreport_fini(struct genreport *r);

/* A zeroed item at the end, or NULL: out of memory. It moves when others are added. */
struct genreport_item *genreport_add(struct genreport *r);

/* To stdout. Only of a good run. */
void genreport_table(const struct genreport *r);

/* 0, or -errno of writing it. */
int genreport_json(const struct genreport *r, const char *path);

/* Trials that were thrown away, of all items, by why, into n_void; how many counted. */
unsigned genreport_voided(const struct genreport *r, unsigned n_void[GENJUDGE_VERDICTS]);

/* The median of the searches. */
double genreport_pdr(const struct genreport *r);

/* Median, lowest and highest of n values, which are sorted. */
struct genreport_spread {
	double median, low, high;
};
struct genreport_spread genreport_spread_of(double *values, unsigned n);
