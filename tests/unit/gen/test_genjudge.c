/* SPDX-License-Identifier: BSD-3-Clause */
/* Which trials are void: simulated ones, with a clock of their own, of targets and generators that lose their CPUs or do not. What the
 * target loses is known here, and must not be told by what is thrown away. */
#include "genjudge.h"
#include "gensearch.h"
#include "genzipf.h"
#include "unit.h"

#include <math.h>

#define RATE 4e6
#define SECONDS 0.3
#define RING 2048

static struct genjudge_facts quiet(void)
{
	return (struct genjudge_facts){.rate = RATE,
		.n_due = (uint64_t)(RATE * SECONDS),
		.n_sent = RATE * SECONDS,
		.elapsed_s = SECONDS,
		.n_ring = RING,
		.seconds = SECONDS};
}

static void a_quiet_trial_counts(void **state)
{
	struct genjudge_facts f = quiet();

	(void)state;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_COUNTS);
	f.n_late = f.n_due / 1000; /* 0.1 % may be */
	f.paused_s = f.pause_most_s = 0.0003;
	f.waited_s = SECONDS * GENJUDGE_TAKEN_MAX;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_COUNTS);
}

static void late_frames_are_a_pauses_or_the_generators(void **state)
{
	struct genjudge_facts f = quiet();

	(void)state;
	f.n_late = f.n_due / 1000 + 1;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_TOO_SLOW);
	/* 5 ms without the CPU make 20,000 frames late, and as many again until it has caught up */
	f.paused_s = f.pause_most_s = 0.005;
	f.n_late = 40000;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_GENERATOR);
	f.n_late = 80001; /* it never catches up */
	assert_int_equal(genjudge_trial(&f), GENJUDGE_TOO_SLOW);
	/* ended soon after a pause; it had kept up before, or not */
	f.n_late = 1300;
	f.elapsed_s = 0.105;
	f.n_sent = 0.1 * RATE;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_GENERATOR);
	f.n_sent = 0.08 * RATE;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_TOO_SLOW);
	/* so far behind that it ended, with and without a pause that was as long */
	f = quiet();
	f.behind_s = 1.01;
	f.elapsed_s = 1.2;
	f.n_sent = 0.19 * RATE;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_TOO_SLOW);
	f.paused_s = f.pause_most_s = 1.0;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_GENERATOR);
}

static void a_pause_that_the_ring_does_not_last_for_is_void(void **state)
{
	struct genjudge_facts f = quiet();

	(void)state;
	f.pause_most_s = f.paused_s = 0.9 * RING / RATE;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_COUNTS);
	f.pause_most_s = f.paused_s = 1.1 * RING / RATE;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_GENERATOR);
}

static void a_target_without_its_cpu_is_void(void **state)
{
	struct genjudge_facts f = quiet();

	(void)state;
	f.waited_s = SECONDS * GENJUDGE_TAKEN_MAX * 1.01;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_TARGET);
	f = quiet();
	f.stolen_s = SECONDS * GENJUDGE_TAKEN_MAX * 1.01;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_STOLEN);
	f.seconds = GENJUDGE_TAKEN_S / GENJUDGE_TAKEN_MAX
		/ 10; /* so short a trial that a tenth of what rings last for is more than the share */
	f.stolen_s = GENJUDGE_TAKEN_S * 0.9;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_COUNTS);
	f.stolen_s = GENJUDGE_TAKEN_S * 1.1;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_STOLEN);
	/* a generator too slow as well: the CPUs come first, the next trial tells */
	f.n_late = f.n_due;
	assert_int_equal(genjudge_trial(&f), GENJUDGE_STOLEN);
}

/*
 * A machine: pauses of the generator and of the target come at random, so many a second, of so many ms each on average; the target loses
 * what its capacity does not carry, and what comes while it is paused and finds its ring full. One trial of it.
 */
struct machine {
	double capacity;          /* frames a second; the rest of them is lost */
	double rate_of_pauses[2]; /* of generator and target, a second */
	double pause_ms;
	uint64_t random;
	unsigned n_trials, n_void;
	bool is_blind; /* nothing is thrown away */
};

static double random_of(struct machine *m)
{
	return ((double)(genzipf_random(&m->random) >> 11) + 1) * 0x1p-53;
}

/* Sum of the pauses in a trial. *most: the longest. */
static double pauses_of(struct machine *m, unsigned who, double seconds, double *most)
{
	double sum = 0;

	*most = 0;
	for (double at = 0; m->rate_of_pauses[who] > 0;) {
		double pause;

		at += -log(random_of(m)) / m->rate_of_pauses[who];
		if (at > seconds)
			break;
		pause = -log(random_of(m)) * m->pause_ms / 1e3;
		sum += pause;
		*most = fmax(*most, pause);
	}
	return sum;
}

static bool run_once(struct machine *m, double rate, double seconds, double *loss)
{
	struct genjudge_facts f = {.n_sent = rate * seconds,
		.elapsed_s = seconds,
		.rate = rate,
		.n_due = (uint64_t)(rate * seconds),
		.n_ring = RING,
		.seconds = seconds};
	double most, lost;

	f.paused_s = pauses_of(m, 0, seconds, &f.pause_most_s);
	f.n_late = (uint64_t)fmin(rate * f.paused_s * 1.5, rate * seconds);
	f.waited_s = pauses_of(m, 1, seconds, &most);
	lost = fmax(0, rate * (seconds - f.waited_s) - m->capacity * (seconds - f.waited_s));
	if (rate * most > RING)
		lost += rate * f.waited_s - RING;
	*loss = lost / (rate * seconds);
	m->n_trials++;
	if (!m->is_blind && genjudge_is_void(genjudge_trial(&f))) {
		m->n_void++;
		return false;
	}
	return true;
}

#define VOID_MAX 60

static enum gensearch_verdict measure(void *ctx, struct gensearch_trial *t)
{
	struct machine *m = ctx;

	for (unsigned i = 0; i <= VOID_MAX; i++)
		if (run_once(m, t->rate, t->seconds, &t->loss_ratio))
			return GENSEARCH_MEASURED;
	return GENSEARCH_BROKEN;
}

static struct gensearch_result search(struct machine *m)
{
	const struct gensearch_params p = {.rate_min = 1000,
		.rate_max = 30e6,
		.seconds_first = 0.1,
		.seconds_last = SECONDS,
		.n_phases = 3,
		.width = 0.01,
		.n_goals = 2,
		.goals = {0, 0.005},
		.measure = measure,
		.ctx = m};
	struct gensearch_result r;

	assert_int_equal(gensearch_run(&p, &r), 0);
	return r;
}

static void is_near(const struct gensearch_goal *g, double rate)
{
	assert_int_equal(g->end, GENSEARCH_FOUND);
	if (fabs(g->lower - rate) > 0.011 * rate)
		fail_msg("%g, not %g", g->lower, rate);
}

static void capacity_is_found_on_a_machine_that_pauses(void **state)
{
	unsigned n_wrong = 0;

	(void)state;
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct machine m = {.capacity = 3e6,
			.rate_of_pauses = {3, 3},
			.pause_ms = 5,
			.random = seed * 7919};
		struct gensearch_result r = search(&m);

		is_near(&r.of[0], 3e6);
		is_near(&r.of[1], 3e6 / 0.995);
		assert_true(m.n_void > 0);
		m.is_blind = true;
		r = search(&m);
		n_wrong += r.of[0].lower < 0.985 * 3e6;
	}
	assert_true(n_wrong > 10); /* where nothing is thrown away */
}

static void real_loss_is_never_thrown_away(void **state)
{
	(void)state;
	/* a trial with its CPUs counts whatever is lost, and what the machine does is void whatever is not */
	for (unsigned i = 0; i < 100000; i++) {
		struct machine overloaded = {.capacity = 3e6,
			.rate_of_pauses = {2, 2},
			.pause_ms = 3,
			.random = i * 2654435761u + 1};
		struct machine idle = overloaded;
		double lost, none;
		bool counts, would_count;

		idle.capacity = 1e9;
		counts = run_once(&overloaded, RATE, SECONDS, &lost);
		would_count = run_once(&idle, RATE, SECONDS, &none);
		assert_int_equal(counts, would_count);
		if (counts) /* a quarter of the frames has no room */
			assert_true(lost > 0.24);
	}
	/* so a target that loses at each rate has no figure at all */
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct machine m = {.capacity = 1,
			.rate_of_pauses = {1.5, 1.5},
			.pause_ms = 5,
			.random = seed * 104729};
		const struct gensearch_result r = search(&m);

		assert_int_equal(r.of[0].end, GENSEARCH_BELOW_MIN);
		assert_int_equal(r.of[1].end, GENSEARCH_BELOW_MIN);
	}
}

static void a_machine_that_is_never_quiet_has_no_figure(void **state)
{
	struct machine m = {
		.capacity = 3e6, .rate_of_pauses = {200, 200}, .pause_ms = 5, .random = 1};
	const struct gensearch_result r = search(&m);

	(void)state;
	assert_int_equal(r.of[0].end, GENSEARCH_NO_RESULT);
	assert_int_equal(m.n_trials, VOID_MAX + 1);
	assert_int_equal(m.n_void, VOID_MAX + 1);
}

static void each_verdict_has_a_name(void **state)
{
	(void)state;
	for (unsigned v = 0; v < GENJUDGE_VERDICTS; v++) {
		assert_non_null(genjudge_name((enum genjudge_verdict)v));
		assert_non_null(genjudge_says((enum genjudge_verdict)v));
	}
	assert_false(genjudge_is_void(GENJUDGE_COUNTS));
	assert_false(genjudge_is_void(GENJUDGE_TOO_SLOW));
	assert_true(genjudge_is_void(GENJUDGE_STOLEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quiet_trial_counts),
		cmocka_unit_test(late_frames_are_a_pauses_or_the_generators),
		cmocka_unit_test(a_pause_that_the_ring_does_not_last_for_is_void),
		cmocka_unit_test(a_target_without_its_cpu_is_void),
		cmocka_unit_test(capacity_is_found_on_a_machine_that_pauses),
		cmocka_unit_test(real_loss_is_never_thrown_away),
		cmocka_unit_test(a_machine_that_is_never_quiet_has_no_figure),
		cmocka_unit_test(each_verdict_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
