/* SPDX-License-Identifier: BSD-3-Clause */
/* Two stacks, and a router between them that takes no long packets and tells who sends some: from the start, or from some moment
 * on, when longer ones have got through. Whatever happens to its errors and to all else, each byte arrives. MILLRACE_SEED repeats one
 * seed of each test. */
#include "base/keyhash.h"
#include "eal.h"
#include "tcpsim.h"
#include "unit.h"

#include <stdlib.h>

static const struct sim_conf narrow = {.n_conns = 16,
	.n_bytes = 200000,
	.delay_us = 500,
	.jitter_us = 5000,
	.hold_us = 200,
	.rcv_max = 65536,
	.snd_max = 65536,
	.n_bufs = 4096,
	.mtu = 1500,
	.path_mtu = 1300};

static struct tcp_stats run_seeds(struct sim_conf conf, unsigned n_seeds)
{
	const char *text = getenv("MILLRACE_SEED");
	struct tcp_stats sum = {0};
	struct sim_result one;

	for (unsigned i = 0; i < n_seeds; i++) {
		conf.seed = text != NULL ? strtoull(text, NULL, 10) : 2000 + i;
		sim_run(&conf, &one);
#define ADD(name, help) sum.name += one.stats[0].name + one.stats[1].name;
		TCP_STATS(ADD)
	}
	return sum;
}

static struct sim_conf with_losses(struct sim_conf c)
{
	c.loss = 300;
	c.dup = 300;
	c.corrupt = 100;
	c.reorder = 1000;
	c.n_bytes = 60000;
	return c;
}

static void a_narrow_path_costs_no_timeout(void **state)
{
	const struct tcp_stats s = run_seeds(narrow, 5);

	assert_in_range(
		s.mss_lowered, 5 * 16 / 2, 5 * 32); /* who has little to send never notices */
	assert_int_equal(s.mss_claimed, 0);
	assert_int_equal(s.timeouts, 0);
	assert_int_equal(s.fast_recoveries, 0);
}

static void a_path_that_narrows_is_believed_later(void **state)
{
	struct sim_conf c = narrow;
	struct tcp_stats s;

	c.narrow_us = 5000;
	s = run_seeds(c, 5);
	assert_true(s.mss_claimed > 0 && s.mss_lowered > 0 && s.timeouts > 0);
}

static void among_losses(void **state)
{
	struct sim_conf c = with_losses(narrow);

	assert_true(run_seeds(c, 3).mss_lowered > 0);
	c.narrow_us = 20000;
	assert_true(run_seeds(c, 3).mss_claimed > 0);
	c.no_sack = true;
	assert_true(run_seeds(c, 3).mss_lowered > 0);
	c.narrow_us = 0;
	assert_true(run_seeds(c, 3).mss_lowered > 0);
	c.no_sack = false;
	c.is_v6 = true;
	c.path_mtu = 1280;
	c.hold_us = 400000; /* drivers have the mbufs still */
	assert_true(run_seeds(c, 3).mss_lowered > 0);
	c.hold_us = 200;
	c.n_bufs = 64; /* none to cut segments with, at times */
	c.n_conns = 3;
	assert_true(run_seeds(c, 3).mss_lowered > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_narrow_path_costs_no_timeout),
		cmocka_unit_test(a_path_that_narrows_is_believed_later),
		cmocka_unit_test(among_losses),
	};

	keyhash_init_seed(17);
	if (eal_start("test_tcp_pathmtu", 256) != 0)
		return 1;
	return cmocka_run_group_tests_name("tcp_pathmtu", tests, NULL, NULL);
}
