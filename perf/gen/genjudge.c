/* SPDX-License-Identifier: BSD-3-Clause */
/* genjudge — see genjudge.h. */
#include "genjudge.h"

#include <math.h>

/* Whether pauses are why frames were late. */
static bool is_explained(const struct genjudge_facts *f)
{
	const double seconds = GENJUDGE_LATE_FACTOR * f->paused_s;

	return f->behind_s <= seconds && (double)f->n_late <= f->rate * seconds
		&& f->n_sent >= GENJUDGE_SPEED_MIN * f->rate * (f->elapsed_s - f->paused_s);
}

enum genjudge_verdict genjudge_trial(const struct genjudge_facts *f)
{
	const double taken_most_s = fmax(GENJUDGE_TAKEN_MAX * f->seconds, GENJUDGE_TAKEN_S);

	if (f->stolen_s > taken_most_s)
		return GENJUDGE_STOLEN;
	if (f->waited_s > taken_most_s)
		return GENJUDGE_TARGET;
	if (f->behind_s > 0 || (double)f->n_late > GENJUDGE_LATE_MAX * (double)f->n_due)
		return is_explained(f) ? GENJUDGE_GENERATOR : GENJUDGE_TOO_SLOW;
	/* what came meanwhile may have been lost here: whether it was does not matter (I1) */
	if (f->rate * f->pause_most_s > f->n_ring)
		return GENJUDGE_GENERATOR;
	return GENJUDGE_COUNTS;
}

const char *genjudge_name(enum genjudge_verdict v)
{
	static const char *const names[GENJUDGE_VERDICTS] = {
		[GENJUDGE_COUNTS] = "counts",
		[GENJUDGE_TOO_SLOW] = "too-slow",
		[GENJUDGE_GENERATOR] = "generator",
		[GENJUDGE_TARGET] = "target",
		[GENJUDGE_STOLEN] = "stolen",
	};

	return names[v];
}

const char *genjudge_says(enum genjudge_verdict v)
{
	static const char *const says[GENJUDGE_VERDICTS] = {
		[GENJUDGE_COUNTS] = "nothing was wrong",
		[GENJUDGE_TOO_SLOW] = "the generator was too slow",
		[GENJUDGE_GENERATOR] = "the generator lost its CPU",
		[GENJUDGE_TARGET] = "the target lost its CPU",
		[GENJUDGE_STOLEN] = "a hypervisor took a CPU",
	};

	return says[v];
}
