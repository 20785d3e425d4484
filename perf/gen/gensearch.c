/* SPDX-License-Identifier: BSD-3-Clause */
/* gensearch — see gensearch.h. */
#include "gensearch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct search {
	const struct gensearch_params *p;
	struct gensearch_trial trials[GENSEARCH_TRIALS];
	unsigned n_trials, phase_begin; /* trials of this phase are those from phase_begin on */
	unsigned n_tried;               /* and those that the generator was too slow for */
	double cap;                     /* no trial above this */
	bool is_cap_generator;          /* as the generator was too slow at it */
	bool is_broken;
	double hint_low[GENSEARCH_GOALS],
		hint_high[GENSEARCH_GOALS]; /* of the phase before; 0: none */
};

struct bounds {
	double lower, upper; /* 0: none */
};

static struct bounds bounds_of(const struct search *s, double goal)
{
	struct bounds b = {0};

	for (unsigned i = s->phase_begin; i < s->n_trials; i++) {
		const struct gensearch_trial *t = &s->trials[i];

		if (t->loss_ratio > goal && (b.upper == 0 || t->rate < b.upper))
			b.upper = t->rate;
	}
	for (unsigned i = s->phase_begin; i < s->n_trials; i++) {
		const struct gensearch_trial *t = &s->trials[i];

		if (t->loss_ratio <= goal && t->rate > b.lower
			&& (b.upper == 0 || t->rate < b.upper))
			b.lower = t->rate;
	}
	return b;
}

/* One trial. Where the generator is too slow there is none, and a cap instead. */
static void try_rate(struct search *s, double rate, double seconds)
{
	struct gensearch_trial *t = &s->trials[s->n_trials];

	if (s->n_tried++ == GENSEARCH_TRIALS) {
		s->is_broken = true;
		return;
	}
	*t = (struct gensearch_trial){.rate = rate, .seconds = seconds};
	switch (s->p->measure(s->p->ctx, t)) {
	case GENSEARCH_MEASURED:
		s->n_trials++;
		break;
	case GENSEARCH_TOO_SLOW:
		s->cap = rate;
		s->is_cap_generator = true;
		break;
	case GENSEARCH_BROKEN:
		s->is_broken = true;
		break;
	}
}

/* The highest rate that can be tried, what comes through then, and what comes through of that. */
static void first_trials(struct search *s)
{
	const double seconds = s->p->seconds_first;
	double rate = s->p->rate_max;

	while (!s->is_broken && s->n_trials == 0) {
		try_rate(s, rate, seconds);
		if (s->n_trials == 0)
			rate /= 2;
		if (rate < s->p->rate_min)
			return;
	}
	for (unsigned i = 0; i < 2 && !s->is_broken; i++) {
		const struct gensearch_trial *t = &s->trials[s->n_trials - 1];

		rate = t->rate * (1 - t->loss_ratio);
		if (t->loss_ratio <= s->p->goals[0] || rate < s->p->rate_min || rate >= s->cap)
			return;
		try_rate(s, rate, seconds);
	}
}

static bool is_between(double rate, double low, double high)
{
	return rate > low && rate < high;
}

/* The next rate to try for a goal; 0: the goal's bounds are as near as they have to be, or can be. `step` doubles where one is
 * missing. */
static double next_rate(
	const struct search *s, unsigned goal, double width, const struct bounds *b, double *step)
{
	const double min = s->p->rate_min, high = b->upper != 0 ? b->upper : s->cap;
	double rate;

	if (b->lower == 0) {
		if (high <= min)
			return 0;
		if (is_between(s->hint_low[goal], min, high)
			|| (s->hint_low[goal] == s->cap && b->upper == 0 && !s->is_cap_generator))
			return s->hint_low[goal];
		rate = b->upper == 0 && !s->is_cap_generator ? min : high * (1 - *step);
		*step = fmin(*step * 2, 0.5);
		return fmax(rate, min);
	}
	if (b->upper != 0 || s->is_cap_generator)
		return (high - b->lower) / high <= width ? 0 : sqrt(b->lower * high);
	if (b->lower >= s->cap)
		return 0;
	if (is_between(s->hint_high[goal], b->lower, s->cap))
		return s->hint_high[goal];
	rate = b->lower * (1 + *step);
	*step *= 2;
	return fmin(rate, s->cap);
}

static void narrow(struct search *s, unsigned goal, double width, double seconds)
{
	double step = width;

	while (!s->is_broken) {
		const struct bounds b = bounds_of(s, s->p->goals[goal]);
		const double rate = next_rate(s, goal, width, &b, &step);

		if (rate == 0)
			break;
		try_rate(s, rate, seconds);
	}
}

static void keep_hints(struct search *s)
{
	for (unsigned g = 0; g < s->p->n_goals; g++) {
		const struct bounds b = bounds_of(s, s->p->goals[g]);

		s->hint_low[g] = b.lower;
		s->hint_high[g] = b.upper;
	}
	s->phase_begin = s->n_trials;
}

static struct gensearch_goal judge(const struct search *s, double goal)
{
	const struct bounds b = bounds_of(s, goal);

	if (s->is_broken)
		return (struct gensearch_goal){.end = GENSEARCH_NO_RESULT};
	if (b.lower == 0)
		return (struct gensearch_goal){
			.end = b.upper == 0 ? GENSEARCH_NO_RESULT : GENSEARCH_BELOW_MIN,
			.upper = b.upper};
	if (b.upper != 0)
		return (struct gensearch_goal){
			.end = GENSEARCH_FOUND, .lower = b.lower, .upper = b.upper};
	return (struct gensearch_goal){
		.end = s->is_cap_generator ? GENSEARCH_ABOVE_GENERATOR : GENSEARCH_ABOVE_MAX,
		.lower = b.lower};
}

static bool are_good(const struct gensearch_params *p)
{
	bool is_good = p->rate_min > 0 && p->rate_max > p->rate_min && p->seconds_first > 0
		&& p->seconds_last >= p->seconds_first && p->n_phases > 0 && p->width > 0
		&& p->width < 1 && p->n_goals > 0 && p->n_goals <= GENSEARCH_GOALS;

	for (unsigned g = 1; is_good && g < p->n_goals; g++)
		is_good = p->goals[g] > p->goals[g - 1];
	return is_good;
}

int gensearch_run(const struct gensearch_params *p, struct gensearch_result *r)
{
	struct search s = {.p = p, .cap = p->rate_max};

	if (!are_good(p))
		return -EINVAL;
	first_trials(&s);
	for (unsigned k = 0; k < p->n_phases && !s.is_broken; k++) {
		const unsigned n_left = p->n_phases - 1 - k;
		const double share = p->n_phases > 1 ? (double)k / (p->n_phases - 1) : 1;

		if (k > 0 || p->n_phases == 1)
			keep_hints(&s);
		for (unsigned g = 0; g < p->n_goals; g++)
			narrow(&s, g, fmin(p->width * (double)(1ull << n_left), 0.5),
				p->seconds_first * pow(p->seconds_last / p->seconds_first, share));
	}
	memset(r, 0, sizeof(*r));
	r->n_trials = s.n_trials;
	for (unsigned g = 0; g < p->n_goals; g++)
		r->of[g] = judge(&s, p->goals[g]);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

bool gensearch_vote(const struct gensearch_params *p, double *losses, unsigned n, unsigned n_votes,
	double *loss_ratio)
{
	const unsigned majority = n_votes / 2 + 1;

	for (unsigned g = 0; g < p->n_goals; g++) {
		unsigned n_met = 0;

		for (unsigned i = 0; i < n; i++)
			n_met += losses[i] <= p->goals[g];
		if (n_met < majority && n - n_met < majority)
			return false;
	}
	qsort(losses, n, sizeof(*losses), by_size);
	*loss_ratio = losses[(n - 1) / 2];
	return true;
}

const char *gensearch_end_name(enum gensearch_end end)
{
	static const char *const names[] = {
		[GENSEARCH_FOUND] = "found",
		[GENSEARCH_ABOVE_MAX] = "above-rate-max",
		[GENSEARCH_ABOVE_GENERATOR] = "above-generator",
		[GENSEARCH_BELOW_MIN] = "below-rate-min",
		[GENSEARCH_NO_RESULT] = "no-result",
	};

	return names[end];
}
