/* SPDX-License-Identifier: BSD-3-Clause */
/* The search against devices whose NDR and PDR are known: quiet and noisy ones, none at all, faster than the generator. */
#include "gensearch.h"
#include "genzipf.h"
#include "unit.h"

#include <errno.h>
#include <math.h>

/* Loses nothing below ndr, 0.5 % at pdr, and all above its capacity, which is a little higher. */
struct device {
	double ndr, pdr;
	double noise;           /* of its rates from trial to trial, ± */
	double generator_limit; /* 0: none */
	unsigned fails_at;      /* trial that breaks; 0: none */
	uint64_t random;
	unsigned n;
	double seconds; /* of all trials */
};

static double noise_of(struct device *d)
{
	const double r = (double)(genzipf_random(&d->random) >> 11) * 0x1p-53;

	return 1 + d->noise * (2 * r - 1);
}

static enum gensearch_verdict measure(void *ctx, struct gensearch_trial *t)
{
	struct device *d = ctx;
	const double factor = noise_of(d), ndr = d->ndr * factor, pdr = d->pdr * factor;
	double loss = 0;

	d->n++;
	d->seconds += t->seconds;
	if (d->n == d->fails_at)
		return GENSEARCH_BROKEN;
	if (d->generator_limit != 0 && t->rate > d->generator_limit)
		return GENSEARCH_TOO_SLOW;
	if (t->rate > ndr)
		loss = 0.005 * (t->rate - ndr) / (pdr - ndr);
	if (t->rate > pdr) /* from there it passes as much as at pdr */
		loss = 1 - pdr * 0.995 / t->rate;
	t->loss_ratio = loss;
	return GENSEARCH_MEASURED;
}

static struct gensearch_params params_for(struct device *d)
{
	return (struct gensearch_params){.rate_min = 1000,
		.rate_max = 30e6,
		.seconds_first = 0.2,
		.seconds_last = 5,
		.n_phases = 3,
		.width = 0.005,
		.n_goals = 2,
		.goals = {0, 0.005},
		.measure = measure,
		.ctx = d};
}

static void is_bracket(const struct gensearch_goal *g, double rate, double width)
{
	assert_int_equal(g->end, GENSEARCH_FOUND);
	if (!(g->lower <= rate && rate <= g->upper))
		fail_msg("%g is not between %g and %g", rate, g->lower, g->upper);
	assert_true((g->upper - g->lower) / g->upper <= width);
}

static void a_quiet_device_is_found_exactly(void **state)
{
	static const double ndrs[] = {1500, 7.3e4, 1.0e6, 7.3e6, 14.88e6, 29e6};

	(void)state;
	for (unsigned i = 0; i < sizeof(ndrs) / sizeof(*ndrs); i++) {
		struct device d = {.ndr = ndrs[i], .pdr = ndrs[i] * 1.02, .random = 1};
		const struct gensearch_params p = params_for(&d);
		struct gensearch_result r;

		assert_int_equal(gensearch_run(&p, &r), 0);
		is_bracket(&r.of[0], d.ndr, p.width);
		is_bracket(&r.of[1], d.pdr, p.width);
		assert_true(r.of[0].lower <= r.of[1].lower);
		/* a search by halves of 5 s each takes ten trials for each, 100 s */
		if (d.n > 40 || d.seconds > 60)
			fail_msg("%u trials, %g s", d.n, d.seconds);
	}
}

static void a_noisy_device_is_found_within_its_noise(void **state)
{
	double sum = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 50; seed++) {
		struct device d = {.ndr = 7e6, .pdr = 7.7e6, .noise = 0.01, .random = seed * 77};
		const struct gensearch_params p = params_for(&d);
		struct gensearch_result r;

		assert_int_equal(gensearch_run(&p, &r), 0);
		for (unsigned g = 0; g < 2; g++) {
			const double want = g == 0 ? d.ndr : d.pdr;

			assert_int_equal(r.of[g].end, GENSEARCH_FOUND);
			if (fabs(r.of[g].lower - want) > 0.025 * want)
				fail_msg("seed %u: %g, not %g", seed, r.of[g].lower, want);
		}
		sum += r.of[1].lower;
		assert_true(d.n < GENSEARCH_TRIALS);
	}
	assert_true(fabs(sum / 50 - 7.7e6) < 0.015 * 7.7e6);
}

static void a_device_without_loss_is_above_the_highest_rate(void **state)
{
	struct device d = {.ndr = 1e9, .pdr = 2e9, .random = 1};
	const struct gensearch_params p = params_for(&d);
	struct gensearch_result r;

	(void)state;
	assert_int_equal(gensearch_run(&p, &r), 0);
	for (unsigned g = 0; g < 2; g++) {
		assert_int_equal(r.of[g].end, GENSEARCH_ABOVE_MAX);
		assert_true(r.of[g].lower == p.rate_max);
		assert_true(r.of[g].upper == 0);
	}
	assert_int_equal(d.n, 3); /* one in each phase */
}

static void the_generator_is_not_taken_for_the_device(void **state)
{
	struct device d = {.ndr = 9e6, .pdr = 9.5e6, .generator_limit = 4e6, .random = 1};
	const struct gensearch_params p = params_for(&d);
	struct gensearch_result r;

	(void)state;
	assert_int_equal(gensearch_run(&p, &r), 0);
	for (unsigned g = 0; g < 2; g++) {
		assert_int_equal(r.of[g].end, GENSEARCH_ABOVE_GENERATOR);
		assert_true(r.of[g].lower <= 4e6 && r.of[g].lower > 4e6 * (1 - 2 * p.width));
	}
	/* a limit above what the device passes does not matter */
	d = (struct device){.ndr = 3e6, .pdr = 3.2e6, .generator_limit = 4e6, .random = 1};
	assert_int_equal(gensearch_run(&p, &r), 0);
	is_bracket(&r.of[0], d.ndr, p.width);
	is_bracket(&r.of[1], d.pdr, p.width);
	/* too slow for any rate */
	d.generator_limit = 10;
	assert_int_equal(gensearch_run(&p, &r), 0);
	assert_int_equal(r.of[0].end, GENSEARCH_NO_RESULT);
	assert_true(r.of[0].lower == 0);
}

/* Too slow at a rate for a while, then not: what it could send first must not be tried for ever. */
static enum gensearch_verdict measure_slower(void *ctx, struct gensearch_trial *t)
{
	struct device *d = ctx;

	d->generator_limit = d->n < 4 ? 8e6 : 4e6;
	return measure(ctx, t);
}

static void a_generator_that_becomes_slower_ends_the_search(void **state)
{
	struct device d = {.ndr = 9e6, .pdr = 9.5e6, .random = 1};
	struct gensearch_params p = params_for(&d);
	struct gensearch_result r;

	(void)state;
	p.measure = measure_slower;
	assert_int_equal(gensearch_run(&p, &r), 0);
	assert_int_equal(r.of[0].end, GENSEARCH_ABOVE_GENERATOR);
	assert_true(r.of[0].lower <= 4e6 && r.of[0].lower > 4e6 * (1 - 2 * p.width));
	assert_true(d.n < 60);
}

static void the_majority_of_trials_decides(void **state)
{
	static const struct {
		unsigned n_votes, n;
		double losses[5];
		double says; /* -1: not yet */
	} rows[] = {
		{1, 1, {0.3}, 0.3},
		{3, 1, {0}, -1},
		{3, 2, {0, 0}, 0},
		{3, 2, {0, 0.001}, -1},
		{3, 2, {0.001, 0.01}, -1},
		{3, 2, {0.02, 0.01}, 0.01},
		{3, 3, {0.9, 0, 0}, 0},
		{3, 3, {0.9, 0, 0.001}, 0.001},
		{3, 3, {0.9, 0, 0.8}, 0.8},
		{5, 3, {0, 0.9, 0}, -1},
		{5, 4, {0, 0.9, 0, 0}, 0},
		{5, 4, {0.9, 0.8, 0, 0.7}, 0.7},
		{5, 5, {0.9, 0.002, 0, 0.7, 0.001}, 0.002},
	};
	struct device d = {.random = 1};
	const struct gensearch_params p = params_for(&d);

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		double losses[5], says = -1;

		memcpy(losses, rows[i].losses, sizeof(losses));
		assert_int_equal(gensearch_vote(&p, losses, rows[i].n, rows[i].n_votes, &says),
			rows[i].says >= 0);
		if (says != rows[i].says)
			fail_msg("row %u: %g", i, says);
	}
}

static void a_dead_device_is_below_the_lowest_rate(void **state)
{
	struct device d = {.ndr = 1e-9, .pdr = 2e-9, .random = 1};
	const struct gensearch_params p = params_for(&d);
	struct gensearch_result r;

	(void)state;
	assert_int_equal(gensearch_run(&p, &r), 0);
	for (unsigned g = 0; g < 2; g++) {
		assert_int_equal(r.of[g].end, GENSEARCH_BELOW_MIN);
		assert_true(r.of[g].lower == 0);
	}
	assert_true(d.n < 60);
}

static void what_breaks_gives_no_result(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 20; at++) {
		struct device d = {.ndr = 7e6, .pdr = 7.7e6, .fails_at = at, .random = 1};
		const struct gensearch_params p = params_for(&d);
		struct gensearch_result r;

		assert_int_equal(gensearch_run(&p, &r), 0);
		if (d.n < at)
			return; /* it had ended before */
		assert_int_equal(d.n, at);
		for (unsigned g = 0; g < 2; g++) {
			assert_int_equal(r.of[g].end, GENSEARCH_NO_RESULT);
			assert_true(r.of[g].lower == 0 && r.of[g].upper == 0);
		}
	}
}

static void parameters_without_sense_are_refused(void **state)
{
	struct device d = {.ndr = 7e6, .pdr = 7.7e6, .random = 1};
	const struct gensearch_params good = params_for(&d);
	struct gensearch_result r;

	(void)state;
	for (unsigned i = 0; i < 7; i++) {
		struct gensearch_params p = good;

		if (i == 0)
			p.rate_min = 0;
		if (i == 1)
			p.rate_max = p.rate_min;
		if (i == 2)
			p.n_phases = 0;
		if (i == 3)
			p.width = 0;
		if (i == 4)
			p.n_goals = 0;
		if (i == 5)
			p.goals[1] = p.goals[0];
		if (i == 6)
			p.seconds_last = p.seconds_first / 2;
		assert_int_equal(gensearch_run(&p, &r), -EINVAL);
	}
	assert_int_equal(d.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_device_is_found_exactly),
		cmocka_unit_test(a_noisy_device_is_found_within_its_noise),
		cmocka_unit_test(a_device_without_loss_is_above_the_highest_rate),
		cmocka_unit_test(the_generator_is_not_taken_for_the_device),
		cmocka_unit_test(a_generator_that_becomes_slower_ends_the_search),
		cmocka_unit_test(the_majority_of_trials_decides),
		cmocka_unit_test(a_dead_device_is_below_the_lowest_rate),
		cmocka_unit_test(what_breaks_gives_no_result),
		cmocka_unit_test(parameters_without_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
