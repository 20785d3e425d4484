/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * maglev_moves — what changes of a Maglev service cost and move, beside the paper's loop (Eisenbud et al., NSDI
 * 2016, pseudocode 1) in the same run. Prints a table; perf/README.md says what its columns are.
 */
#include "lb/maglev.h"

#include <rte_jhash.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_MAX 10000u
#define SLOTS_MAX 1048583u
#define N_BUILDS 25u

static const uint8_t fleet_key[16] = "sixteen byte key";

/* A table as both make it: slot → number of the backend. */
struct table {
	uint32_t of[SLOTS_MAX];
};

typedef void fill_fn(struct table *t, const struct sched_member *m, unsigned n, uint32_t n_slots);

static void fill_ours(struct table *t, const struct sched_member *m, unsigned n, uint32_t n_slots)
{
	const struct sched_params p = {
		.hash_key = fleet_key, .maglev_size = n_slots, .service = "moves"};
	struct sched_table *built;

	if (maglev_ops.build(&built, m, n, &p, NULL) != 0)
		exit(1);
	for (uint32_t s = 0; s < n_slots; s++)
		t->of[s] = maglev_slot_backend(built, s);
	maglev_ops.destroy(&built);
}

static void fill_paper(struct table *t, const struct sched_member *m, unsigned n, uint32_t n_slots)
{
	static uint32_t at[N_MAX], skip[N_MAX];
	uint32_t n_filled = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint32_t len = (uint32_t)strlen(m[i].name);

		at[i] = rte_jhash(m[i].name, len, 1) % n_slots;
		skip[i] = rte_jhash(m[i].name, len, 2) % (n_slots - 1) + 1;
	}
	memset(t->of, 0xff, n_slots * sizeof(t->of[0]));
	for (;;) {
		for (unsigned i = 0; i < n; i++) {
			while (t->of[at[i]] != UINT32_MAX)
				at[i] = (at[i] + skip[i]) % n_slots;
			t->of[at[i]] = m[i].backend_idx;
			if (++n_filled == n_slots)
				return;
		}
	}
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* The quickest of some builds, in time of the CPU: others on the machine only add to it. */
static double build_ms(fill_fn *fill, const struct sched_member *m, unsigned n, uint32_t n_slots)
{
	static struct table t;
	double best = INFINITY;

	for (unsigned i = 0; i < N_BUILDS; i++) {
		const double from = cpu_ms();

		fill(&t, m, n, n_slots);
		best = fmin(best, cpu_ms() - from);
	}
	return best;
}

/* Percent of the slots that changed between backends other than this one. */
static double moved_pct(
	const struct table *was, const struct table *is, uint32_t n_slots, uint32_t backend)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < n_slots; s++)
		n += was->of[s] != is->of[s] && was->of[s] != backend && is->of[s] != backend;
	return 100.0 * n / n_slots;
}

struct moves {
	double removed, removed_worst; /* or added: the same two tables */
	double halved;                 /* its weight */
	double down;                   /* its health */
};

static void measure_moves(struct moves *r, fill_fn *fill, struct sched_member *m, unsigned n,
	uint32_t n_slots, unsigned n_tries)
{
	static struct table full, t;

	*r = (struct moves){0};
	fill(&full, m, n, n_slots);
	for (unsigned try = 0; try < n_tries; try++) {
		struct sched_member *c = &m[(try * 7919u + 1) % n];
		const struct sched_member was = *c;
		double pct;

		memmove(c, c + 1, (size_t)(&m[n] - c - 1) * sizeof(*c));
		fill(&t, m, n - 1, n_slots);
		memmove(c + 1, c, (size_t)(&m[n] - c - 1) * sizeof(*c));
		*c = was;
		pct = moved_pct(&full, &t, n_slots, was.backend_idx);
		r->removed += pct / n_tries;
		r->removed_worst = pct > r->removed_worst ? pct : r->removed_worst;
		if (fill == fill_paper) /* has neither weights nor health */
			continue;
		c->weight /= 2;
		fill(&t, m, n, n_slots);
		*c = was;
		r->halved += moved_pct(&full, &t, n_slots, was.backend_idx) / n_tries;
		c->is_available = false;
		fill(&t, m, n, n_slots);
		*c = was;
		r->down += moved_pct(&full, &t, n_slots, was.backend_idx) / n_tries;
	}
}

/* Largest and smallest share against the fair one, in percent. */
static void measure_shares(double *high, double *low, fill_fn *fill, const struct sched_member *m,
	unsigned n, uint32_t n_slots)
{
	static struct table t;
	static uint32_t hits[N_MAX];

	fill(&t, m, n, n_slots);
	memset(hits, 0, sizeof(hits));
	for (uint32_t s = 0; s < n_slots; s++)
		hits[t.of[s]]++;
	*high = *low = 0;
	for (unsigned i = 0; i < n; i++) {
		const double pct = 100.0 * hits[i] * n / n_slots - 100;

		*high = pct > *high ? pct : *high;
		*low = pct < *low ? pct : *low;
	}
}

static void print_row(
	const char *name, fill_fn *fill, struct sched_member *m, unsigned n, uint32_t n_slots)
{
	const unsigned n_tries = n_slots > 100000 ? 3 : n < 20 ? n : 20;
	double high, low;
	struct moves r;

	measure_moves(&r, fill, m, n, n_slots, n_tries);
	measure_shares(&high, &low, fill, m, n, n_slots);
	printf("%7u %8u  %-6s %8.2f %9.3f %9.3f %9.3f", n, n_slots, name,
		build_ms(fill, m, n, n_slots), 100.0 / n, r.removed, r.removed_worst);
	if (fill == fill_paper)
		printf(" %9s %9s", "-", "-");
	else
		printf(" %9.3f %9.3f", r.halved, r.down);
	printf(" %+8.1f %+8.1f\n", high, low);
	fflush(stdout);
}

int main(void)
{
	static const struct {
		unsigned n;
		uint32_t n_slots;
	} rows[] = {{10, 65537}, {100, 65537}, {1000, 65537}, {1000, 131101}, {10000, 655373},
		{10000, 1048583}};
	static struct sched_member m[N_MAX];

	for (unsigned i = 0; i < N_MAX; i++) {
		m[i] = (struct sched_member){.backend_idx = i, .weight = 100, .is_available = true};
		snprintf(m[i].name, sizeof(m[i].name), "pool/backend-%u", i);
	}
	printf("                          build  --- moved, %% of the slots, beside its own ----   share, %%\n");
	printf("backends   slots  table       ms       own   removed     worst    halved      down     high      low\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_row("ours", fill_ours, m, rows[i].n, rows[i].n_slots);
		print_row("paper", fill_paper, m, rows[i].n, rows[i].n_slots);
	}
	return 0;
}
