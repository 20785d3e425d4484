/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gensearch — the highest rates at which a device loses no more than it may, for several loss ratios at once: NDR (none) and PDR (0.5 %).
 *
 * The idea is that of MLRsearch (multiple loss ratio search, the benchmarking working group of the IETF). Trials are short first and
 * become longer from phase to phase, while the width that bounds must reach becomes finer; what a shorter trial said only tells a
 * longer one where to begin. A trial says something for every goal at once, and the first trials are at the highest
 * rate and at what was received then, as that is near to what is looked for. Within a phase
 *
 *   I1  the upper bound of a goal is the lowest rate of a trial that lost more than it allows;
 *   I2  its lower bound is the highest rate below that of a trial that did not.
 *
 * So one bad trial pulls the result down: a rate is only called safe when nothing slower was seen to fail. Where one bound
 * is missing, the search walks away from the other one in steps that double; else it halves what is between them (by the geometric
 * mean). Pure but for measure(); time passes nowhere else.
 */
#include <stdbool.h>

#define GENSEARCH_GOALS 4
#define GENSEARCH_VOTES_MAX 15
#define GENSEARCH_TRIALS 160 /* of one search; then it gives up */

enum gensearch_verdict {
	GENSEARCH_MEASURED,
	GENSEARCH_TOO_SLOW, /* the generator was: nothing is known of the device at this rate, nor above it */
	GENSEARCH_BROKEN, /* the search ends */
};

struct gensearch_trial {
	double rate, seconds; /* set by the search */
	double loss_ratio;    /* set by measure(): 0 to 1, of what was sent */
};

struct gensearch_params {
	double rate_min, rate_max;
	double seconds_first, seconds_last; /* of a trial, in the first phase and in the last */
	unsigned n_phases;                  /* 1 at least */
	double width; /* of the last phase: (upper - lower) / upper, below 1 */
	unsigned n_goals;
	double goals[GENSEARCH_GOALS]; /* loss ratios, the smallest first */
	enum gensearch_verdict (*measure)(void *ctx, struct gensearch_trial *t);
	void *ctx;
};

enum gensearch_end {
	GENSEARCH_FOUND,
	GENSEARCH_ABOVE_MAX, /* rate_max passes */
	GENSEARCH_ABOVE_GENERATOR, /* all passes that the generator can send: the result is not the device's */
	GENSEARCH_BELOW_MIN, /* rate_min does not pass */
	GENSEARCH_NO_RESULT, /* measure() broke, or too many trials */
};

struct gensearch_goal {
	enum gensearch_end end;
	double lower,
		upper; /* lower: the result. FOUND has both, the ABOVE ones `lower`, BELOW_MIN `upper`; else 0 */
};

struct gensearch_result {
	unsigned n_trials;
	struct gensearch_goal of[GENSEARCH_GOALS];
};

/* 0, or -EINVAL for parameters that make no sense. */
int gensearch_run(const struct gensearch_params *p, struct gensearch_result *r);

/*
 * What n trials at one rate, of n_votes at most (odd), say together: true when no further one could change which goals the majority
 * meets; then *loss_ratio, one of the losses, is on the majority's side of each goal. A device that is disturbed now and then by what
 * it cannot help is told from one that loses by more than one trial (the goal exceed ratio of MLRsearch, a half). losses is sorted.
 */
bool gensearch_vote(const struct gensearch_params *p, double *losses, unsigned n, unsigned n_votes,
	double *loss_ratio);

const char *gensearch_end_name(enum gensearch_end end);
