/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says of threads and CPUs: its files read, wrong ones refused, and this process looked at, which waits when two of its
 * threads want one CPU. */
#include "genwatch.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

static const char stat_text[] = "cpu  3 4 5 6 7 8 9 10 11 12\n"
				"cpu0 100 2 3 4 5 6 7 81 0 0\n"
				"cpu1 200 2 3 4 5 0 7 82 0 0\n"
				"cpu11 300 2 3 4 5 6 7 99 0 0\n"
				"intr 5\n";
static const char status_text[] = "Name:\tx\nCpus_allowed_list:\t0-1\n"
				  "voluntary_ctxt_switches:\t150\n"
				  "nonvoluntary_ctxt_switches:\t545\n";

static void files_are_read(void **state)
{
	uint64_t v = 0, ran = 0;

	(void)state;
	assert_true(genwatch_read_sched("62 4711 3\n", &ran, &v));
	assert_int_equal(ran, 62);
	assert_int_equal(v, 4711);
	assert_true(genwatch_read_slept(status_text, &v));
	assert_int_equal(v, 150);
	assert_true(genwatch_read_ticks(stat_text, 0, GENWATCH_STEAL, &v));
	assert_int_equal(v, 81);
	assert_true(genwatch_read_ticks(stat_text, 1, GENWATCH_STEAL, &v));
	assert_int_equal(v, 82);
	assert_true(genwatch_read_ticks(stat_text, 11, GENWATCH_STEAL, &v));
	assert_int_equal(v, 99);
	assert_true(genwatch_read_ticks(stat_text, 11, GENWATCH_IRQ, &v));
	assert_int_equal(v, 6);
	assert_true(genwatch_read_ticks(stat_text, 1, GENWATCH_IRQ, &v));
	assert_int_equal(v, 0);
}

static void what_is_not_there_is_told(void **state)
{
	static const char *const bad[] = {"", "1", "1 2", "x 2 3", "\n"};
	static const uint16_t cpus[] = {9999};
	struct genwatch w;
	uint64_t v, ran;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(genwatch_read_sched(bad[i], &ran, &v));
	assert_false(genwatch_read_slept("", &v));
	assert_false(genwatch_read_slept("\nnonvoluntary_ctxt_switches:\t545\n", &v));
	assert_false(genwatch_read_slept("\nvoluntary_ctxt_switches:\tmany\n", &v));
	assert_false(genwatch_read_ticks(stat_text, 2, GENWATCH_STEAL, &v));
	assert_false(genwatch_read_ticks("cpu0 1 2 3\n", 0, GENWATCH_STEAL, &v));
	assert_false(genwatch_read_ticks("cpu0 1 2 3", 0, GENWATCH_STEAL, &v));
	assert_false(genwatch_read_ticks("", 0, GENWATCH_STEAL, &v));
	assert_int_equal(genwatch_init(&w, 0x7ffffffe, NULL, 0), -ESRCH);
	assert_int_equal(genwatch_init(&w, 0, cpus, 1), -ENOENT);
	assert_int_equal(genwatch_init(&w, 0, NULL, 0), 0);
	genwatch_fini(&w);
}

static void what_is_left_of_the_time_was_stolen(void **state)
{
	const struct genwatch w = {.n_threads = 2, .has_rest = true}, hundredths = {.n_threads = 2};
	const struct genwatch_look from = {.waited_s = 1,
		.ran_s = 100,
		.at_s = 500,
		.n_slept = 7,
		.stolen_s = 0.5,
		.is_exact = true};
	struct genwatch_look to = {.waited_s = 1.002,
		.ran_s = 100.197,
		.at_s = 500.2,
		.n_slept = 7,
		.stolen_s = 0.51,
		.is_exact = true};
	struct genwatch_lost lost = genwatch_between(&w, &from, &to);

	(void)state;
	assert_float_equal(lost.waited_s, 0.002, 1e-9);
	assert_float_equal(lost.stolen_s, 0.001, 1e-9);
	lost = genwatch_between(&hundredths, &from, &to);
	assert_float_equal(lost.stolen_s, 0.01, 1e-9);
	to.ran_s = 100.2; /* more than there was: the moments are not as exact as the counts */
	lost = genwatch_between(&w, &from, &to);
	assert_true(lost.stolen_s == 0);
	to.ran_s = 100.1;
	to.n_slept = 8; /* and who knows for how long */
	lost = genwatch_between(&w, &from, &to);
	assert_float_equal(lost.stolen_s, 0.01, 1e-9);
	to.n_slept = 7;
	to.is_exact = false;
	lost = genwatch_between(&w, &from, &to);
	assert_float_equal(lost.stolen_s, 0.01, 1e-9);
}

static bool is_done;

static double seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *spin(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&is_done, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void threads_that_share_a_cpu_wait(void **state)
{
	const double begin = seconds_now();
	struct genwatch_look l0, l1 = {0};
	struct genwatch_lost lost;
	cpu_set_t all, one;
	pthread_t threads[2];
	struct genwatch w;
	int cpu = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, spin, NULL), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(genwatch_init(&w, (int)getpid(), NULL, 0), 0);
	assert_true(genwatch_look(&w, &l0));
	do { /* both want all of it: together they wait as long as it takes, and the kernel tells within some ms */
		usleep(20000);
		assert_true(genwatch_look(&w, &l1));
		lost = genwatch_between(&w, &l0, &l1);
	} while (lost.waited_s < 0.01 && seconds_now() - begin < 10);
	__atomic_store_n(&is_done, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(lost.waited_s >= 0.01);
	assert_true(lost.stolen_s == 0);
	assert_true(l1.ran_s > l0.ran_s && l1.n_slept > l0.n_slept); /* this thread slept */
	assert_false(genwatch_look(&w, &l1));                        /* they are gone */
	genwatch_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test(what_is_left_of_the_time_was_stolen),
		cmocka_unit_test(threads_that_share_a_cpu_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
