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
				"cpu1 200 2 3 4 5 6 7 82 0 0\n"
				"cpu11 300 2 3 4 5 6 7 99 0 0\n"
				"intr 5\n";

static void files_are_read(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_true(genwatch_read_waited("62 4711 3\n", &v));
	assert_int_equal(v, 4711);
	assert_true(genwatch_read_stolen(stat_text, 0, &v));
	assert_int_equal(v, 81);
	assert_true(genwatch_read_stolen(stat_text, 1, &v));
	assert_int_equal(v, 82);
	assert_true(genwatch_read_stolen(stat_text, 11, &v));
	assert_int_equal(v, 99);
}

static void what_is_not_there_is_told(void **state)
{
	static const char *const bad[] = {"", "1", "1 2", "x 2 3", "\n"};
	static const uint16_t cpus[] = {9999};
	struct genwatch w;
	uint64_t v;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(genwatch_read_waited(bad[i], &v));
	assert_false(genwatch_read_stolen(stat_text, 2, &v));
	assert_false(genwatch_read_stolen("cpu0 1 2 3\n", 0, &v));
	assert_false(genwatch_read_stolen("cpu0 1 2 3", 0, &v));
	assert_false(genwatch_read_stolen("", 0, &v));
	assert_int_equal(genwatch_init(&w, 0x7ffffffe, NULL, 0), -ESRCH);
	assert_int_equal(genwatch_init(&w, 0, cpus, 1), -ENOENT);
	assert_int_equal(genwatch_init(&w, 0, NULL, 0), 0);
	genwatch_fini(&w);
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
	struct genwatch_look l0, l1;
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
	} while (l1.waited_s - l0.waited_s < 0.01 && seconds_now() - begin < 10);
	__atomic_store_n(&is_done, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(l1.waited_s - l0.waited_s >= 0.01);
	assert_true(l1.stolen_s == 0);
	assert_false(genwatch_look(&w, &l1)); /* they are gone */
	genwatch_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(what_is_not_there_is_told),
		cmocka_unit_test(threads_that_share_a_cpu_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
