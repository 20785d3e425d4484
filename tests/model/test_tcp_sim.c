/* SPDX-License-Identifier: BSD-3-Clause */
/* Two stacks over a bad wire: every byte arrives once and in order, every connection ends on both sides, no buffer is lost, and
 * the invariants hold after every event. MILLRACE_SEED is the first seed of each test instead of its own. */
#include "base/keyhash.h"
#include "eal.h"
#include "tcpsim.h"
#include "unit.h"

#include <stdlib.h>

static const struct sim_conf good = {.n_conns = 16,
	.n_bytes = 100000,
	.delay_us = 500,
	.jitter_us = 5000,
	.hold_us = 200,
	.rcv_max = 65536,
	.snd_max = 65536,
	.n_bufs = 4096,
	.mtu = 1500};

/* The same for some seeds, from conf.seed or 1000 on; what all of them counted is summed up. */
static struct sim_result run_seeds(struct sim_conf conf, unsigned n_seeds)
{
	const char *text = getenv("MILLRACE_SEED");
	const uint64_t own = conf.seed != 0 ? conf.seed : 1000;
	const uint64_t first = text != NULL ? strtoull(text, NULL, 10) : own;
	struct sim_result sum = {0}, one;

	for (unsigned i = 0; i < n_seeds; i++) {
		conf.seed = first + i;
		sim_run(&conf, &one);
		sum.end_us += one.end_us;
		sum.ref_bytes += one.ref_bytes;
		sum.n_full += one.n_full;
#define ADD(name, help) \
	sum.stats[0].name += one.stats[0].name, sum.stats[1].name += one.stats[1].name;
		TCP_STATS(ADD)
	}
	return sum;
}

static void a_good_wire_loses_nothing(void **state)
{
	const struct sim_result r = run_seeds(good, 5);

	(void)state;
	assert_int_equal(r.stats[0].retransmits + r.stats[1].retransmits, 0);
	assert_int_equal(r.stats[0].timeouts + r.stats[1].timeouts, 0);
	assert_int_equal(r.stats[0].resets_out + r.stats[1].resets_out, 0);
	assert_int_equal(r.stats[1].opens_passive, 5 * 16);
	assert_true(r.stats[0].time_waits + r.stats[1].time_waits >= 5 * 16);
}

static struct sim_conf bad(void)
{
	struct sim_conf c = good;

	c.loss = 500;
	c.dup = 300;
	c.corrupt = 100;
	c.reorder = 1000;
	return c;
}

static void a_bad_wire_is_made_good(void **state)
{
	const struct sim_result r = run_seeds(bad(), 10);

	(void)state;
	assert_true(r.stats[0].fast_recoveries > 0 && r.stats[0].out_of_order > 0);
	assert_true(r.stats[1].bad_checksum > 0);
}

static void without_sack_and_timestamps(void **state)
{
	struct sim_conf c = bad();

	(void)state;
	c.no_sack = c.no_ts = c.no_wscale = true;
	assert_true(run_seeds(c, 5).stats[0].fast_recoveries > 0);
	c.no_ts = false;
	run_seeds(c, 5);
	c.no_ts = true;
	c.no_sack = false;
	c.cc = TCP_CC_NEWRENO;
	run_seeds(c, 5);
}

static void with_cookies(void **state)
{
	struct sim_conf c = bad();
	struct sim_result r;

	(void)state;
	c.cookies = TCP_COOKIES_ALWAYS;
	c.seed = 3; /* with 10 and 18 those that once lost a connection */
	r = run_seeds(c, 16);
	assert_true(r.stats[1].cookies_good == r.stats[1].opens_passive);
	c.is_v6 = true;
	c.cookies = TCP_COOKIES_AUTO; /* more connections than entries */
	c.n_conns = 64;
	c.n_bytes = 2000;
	r = run_seeds(c, 16);
	assert_true(r.stats[1].cookies_good > 0);
	assert_true(r.stats[1].cookies_good < r.stats[1].opens_passive);
}

static void small_windows_and_buffers(void **state)
{
	struct sim_conf c = bad();

	(void)state;
	c.n_bytes = 30000;
	c.rcv_max = 2048;
	c.snd_max = 3000;
	run_seeds(c, 5);
	c.snd_max = 65536;
	c.rcv_max = 300000; /* needs window scaling */
	c.n_bufs = 64;      /* and there are few */
	assert_true(run_seeds(c, 5).stats[0].no_buffer > 0);
}

static void drivers_that_keep_buffers(void **state)
{
	struct sim_conf c = bad();

	(void)state;
	c.hold_us = 400000; /* longer than a retransmission takes */
	run_seeds(c, 5);
}

static void packets_of_ipv6_and_small_ones(void **state)
{
	struct sim_conf c = bad();

	(void)state;
	c.is_v6 = true;
	c.mtu = 1280;
	c.delay_us = 20000;
	c.keepalive_ms = 1000;
	run_seeds(c, 5);
}

static void half_of_all_is_lost(void **state)
{
	struct sim_conf c = good;

	(void)state;
	c.loss = 3000;
	c.n_conns = 8;
	c.n_bytes = 20000;
	assert_true(run_seeds(c, 3).stats[0].timeouts > 0);
}

/* Bytes of streams in a second, over all seeds, at this loss of 10000 both ways and a round trip of 20 ms. */
static double goodput(enum tcp_cc cc, uint32_t loss, unsigned n_seeds)
{
	struct sim_conf c = good;
	struct sim_result r;

	c.is_bulk = true;
	c.n_conns = 1;
	c.n_bytes = 4000000;
	c.delay_us = 10000;
	c.rcv_max = c.snd_max = 1u << 20;
	c.n_bufs = 8000;
	c.loss = loss;
	c.cc = cc;
	r = run_seeds(c, n_seeds);
	print_message("%s, loss %.1f %%: %.3f MB/s, %llu of %llu segments again, %llu time-outs\n",
		cc == TCP_CC_CUBIC ? "CUBIC" : "NewReno", loss / 100.0,
		(double)c.n_bytes * n_seeds / (double)r.end_us,
		(unsigned long long)r.stats[0].retransmits,
		(unsigned long long)r.stats[0].segments_out,
		(unsigned long long)r.stats[0].timeouts);
	/* what is lost is sent again, and hardly more: what is behind a hole is kept, a window of it */
	assert_int_equal(r.stats[1].out_of_order_dropped, 0);
	assert_true(r.stats[0].retransmits * 10000
		<= r.stats[0].segments_out * (loss + loss / 10 + 10));
	return (double)c.n_bytes * n_seeds * 1e6 / (double)r.end_us;
}

/* Which segments are lost is a matter of luck: there are few. */
static void losses_cost_little(void **state)
{
	const double part = getenv("MILLRACE_SEED") != NULL ? 0.6 : 1;
	static const struct {
		uint32_t loss;
		double at_least[TCP_N_CCS];
	} rows[] = {{0, {12e6, 12e6}}, {10, {4.5e6, 3.5e6}}, {100, {0.65e6, 0.6e6}},
		{300, {0.3e6, 0.28e6}}};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(rows); i++)
		for (unsigned k = 0; k < TCP_N_CCS; k++)
			assert_true(goodput((enum tcp_cc)k, rows[i].loss, 20)
				> part * rows[i].at_least[k]);
}

/* Some overtake others, by less than a quarter of the round trip: of those that are sent again for nothing there are few. */
static void who_overtakes_is_no_loss(void **state)
{
	struct sim_conf c = good;
	struct sim_result r;

	(void)state;
	c.is_bulk = true;
	c.n_conns = 4;
	c.n_bytes = 1000000;
	c.delay_us = 10000;
	c.reorder = 2000;
	c.jitter_us = 4000;
	r = run_seeds(c, 10);
	print_message("overtaken: %llu of %llu segments again, in %llu ms\n",
		(unsigned long long)r.stats[0].retransmits,
		(unsigned long long)r.stats[0].segments_out, (unsigned long long)r.end_us / 1000);
	assert_true(r.stats[0].retransmits * 100 < r.stats[0].segments_out);
}

/* A stream of a few segments has nothing behind those that are lost: a probe tells, mostly. */
static void lost_tails_are_probed(void **state)
{
	struct sim_conf c = good;
	struct sim_result r;

	(void)state;
	c.is_bulk = true;
	c.n_conns = 16;
	c.n_bytes = 5000;
	c.delay_us = 10000;
	c.loss = 300;
	r = run_seeds(c, 20);
	print_message("short streams: %llu probes, %llu recoveries, %llu time-outs, in %llu ms\n",
		(unsigned long long)r.stats[0].tail_probes,
		(unsigned long long)r.stats[0].fast_recoveries,
		(unsigned long long)r.stats[0].timeouts, (unsigned long long)r.end_us / 1000);
	assert_true(r.stats[0].tail_probes > r.stats[0].timeouts);
}

/* Whatever the devices do: checksums or not, frames of several mbufs, frames that they cut; and payload by reference, wherever the port
 * takes it. */
static void whatever_devices_do(void **state)
{
	static const struct {
		bool writes_csums, takes_chains, writes_ip_csums;
		uint16_t tso_mbufs;
	} rows[] = {{false, false, false, 0}, {false, true, false, 0}, {true, false, false, 0},
		{true, true, false, 0}, {true, true, false, 64}, {true, true, true, 64},
		{true, true, false, 3}};
	uint64_t n_lowered = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * RTE_DIM(rows); i++) {
		struct sim_conf c = bad();
		struct sim_result r;

		c.by_reference = i % 2;
		c.is_v6 = i % 4 < 2;
		c.writes_csums = rows[i / 2].writes_csums;
		c.takes_chains = rows[i / 2].takes_chains;
		c.writes_ip_csums = rows[i / 2].writes_ip_csums;
		c.tso_mbufs = rows[i / 2].tso_mbufs;
		c.no_sack = c.no_ts = i / 2 == 6;
		c.hold_us = i % 2 ? 400000 : 200;
		c.path_mtu = 1280;
		c.narrow_us = 30000;
		r = run_seeds(c, 2);
		assert_true((r.stats[0].frames_cut > 0) == (c.tso_mbufs > 0));
		assert_true(
			(r.ref_bytes > 0) == (c.by_reference && c.writes_csums && c.takes_chains));
		assert_true(r.stats[0].retransmits > 0);
		n_lowered += r.stats[0].mss_lowered;
	}
	assert_true(n_lowered > 0);
}

/* Clients that ask faster than the port can answer: with what it has no room for connections wait, and nothing is found lost. Were it dropped
 * without a word, it would have to be. */
static void a_full_port_makes_them_wait(void **state)
{
	struct sim_conf c = good;
	struct sim_result r[2];

	(void)state;
	c.n_conns = 64;
	c.n_bytes = 60000;
	c.rcv_max = 8192;
	c.frame_us = 20;
	c.room = 64;
	for (unsigned i = 0; i < 2; i++) {
		c.is_unheard = i > 0;
		r[i] = run_seeds(c, 3);
	}
	print_message(
		"a full port: %llu times held, %llu frames dropped, %llu sent again, in %llu ms; "
		"unheard: %llu, %llu, %llu ms\n",
		(unsigned long long)(r[0].stats[0].held + r[0].stats[1].held),
		(unsigned long long)r[0].n_full,
		(unsigned long long)(r[0].stats[0].retransmits + r[0].stats[1].retransmits),
		(unsigned long long)r[0].end_us / 1000, (unsigned long long)r[1].n_full,
		(unsigned long long)(r[1].stats[0].retransmits + r[1].stats[1].retransmits),
		(unsigned long long)r[1].end_us / 1000);
	assert_true(r[0].stats[0].held > 0 && r[0].stats[1].held > 0);
	assert_int_equal(r[0].n_full, 0);
	for (unsigned h = 0; h < 2; h++) { /* an answer that waits at its end may be asked for */
		const struct tcp_stats *t = &r[0].stats[h];

		assert_int_equal(t->timeouts + t->fast_recoveries, 0);
		assert_true(t->retransmits <= t->tail_probes && t->tail_probes < 10);
	}
	assert_int_equal(r[1].stats[0].held + r[1].stats[1].held, 0);
	assert_true(r[1].n_full > 0);
	assert_true(r[1].stats[0].retransmits + r[1].stats[1].retransmits >= r[1].n_full / 2);
	assert_true(r[0].end_us < r[1].end_us);
}

/* Behind it a wire that loses and repeats, devices that cut, handshakes by cookies, and probes. */
static void a_narrow_port_before_a_bad_wire(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct sim_conf c = bad();

		c.frame_us = 50;
		c.room = i % 2 ? 4 : 32;
		c.keepalive_ms = 1000;
		c.cookies = i < 2 ? TCP_COOKIES_AUTO : TCP_COOKIES_ALWAYS;
		c.writes_csums = c.takes_chains = i < 2;
		c.tso_mbufs = i < 2 ? 16 : 0;
		assert_true(run_seeds(c, 3).stats[0].held > 0);
	}
}

/* In segments and time it is the same whether devices cut or not. */
static void cutting_changes_nothing_on_the_wire(void **state)
{
	struct sim_conf c = good;
	struct sim_result r[2];

	(void)state;
	c.is_bulk = true;
	c.n_conns = 4;
	c.n_bytes = 1000000;
	c.delay_us = 10000;
	c.hold_us = 0; /* no chance for each mbuf */
	c.writes_csums = true;
	for (unsigned i = 0; i < 2; i++) {
		c.takes_chains = i > 0;
		c.tso_mbufs = i > 0 ? 64 : 0;
		r[i] = run_seeds(c, 3);
	}
	assert_int_equal(r[0].end_us, r[1].end_us);
	assert_int_equal(r[0].stats[0].segments_out, r[1].stats[0].segments_out);
	assert_int_equal(r[0].stats[1].segments_in, r[1].stats[1].segments_in);
	assert_int_equal(r[0].stats[1].segments_out, r[1].stats[1].segments_out);
	assert_true(r[1].stats[0].frames_cut * 4 < r[1].stats[0].segments_out);
}

static uint64_t random_state;

static uint32_t pick(uint32_t n)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % n;
}

#define ONE_OF(...) ((const uint32_t[]){__VA_ARGS__}[pick(sizeof((uint32_t[]){__VA_ARGS__}) / 4)])

/* A wire, hosts and streams of any kind. */
static struct sim_conf conf_of(uint64_t seed)
{
	struct sim_conf c = {.seed = seed};
	uint32_t n_in_all;

	random_state = seed;
	pick(1);
	c.n_conns = ONE_OF(1, 1, 4, 16, 64);
	c.is_bulk = pick(4) == 0;
	c.loss = ONE_OF(0, 10, 100, 300, 1000);
	c.dup = ONE_OF(0, 0, 100, 1000);
	c.corrupt = ONE_OF(0, 0, 100);
	c.reorder = ONE_OF(0, 0, 100, 2000, 5000);
	c.delay_us = ONE_OF(50, 500, 10000, 60000);
	c.jitter_us = ONE_OF(100, 4000, 30000);
	c.hold_us = ONE_OF(0, 200, 20000, 400000);
	c.writes_csums = pick(2);
	c.writes_ip_csums = c.writes_csums && pick(2);
	c.takes_chains = pick(2);
	c.tso_mbufs = c.writes_csums && c.takes_chains ? (uint16_t)ONE_OF(0, 3, 64) : 0;
	c.by_reference = pick(3) == 0;
	c.is_v6 = pick(2);
	c.no_ts = pick(4) == 0;
	c.no_sack = pick(4) == 0;
	c.no_wscale = pick(8) == 0;
	c.cookies = (enum tcp_cookies)ONE_OF(TCP_COOKIES_AUTO, TCP_COOKIES_ALWAYS);
	c.rcv_max = ONE_OF(2048, 20000, 65536, 300000, 1u << 20);
	c.snd_max = ONE_OF(3000, 65536, 262144, 1u << 20);
	/* what is on its way is less than the simulator has room for */
	n_in_all = 4000000 / c.n_conns;
	c.rcv_max = RTE_MIN(c.rcv_max, RTE_MAX(n_in_all, 2048u));
	c.n_bufs = ONE_OF(64, 256, 1024, 4096, 7000);
	c.mtu = c.is_v6 ? ONE_OF(1280, 1500) : ONE_OF(600, 1280, 1500);
	c.path_mtu = pick(4) == 0 ? (c.is_v6 ? 1280 : 596) : 0;
	c.narrow_us = ONE_OF(0, 30000, 300000);
	c.rto_min_ms = ONE_OF(0, 5, 1000);
	c.keepalive_ms = ONE_OF(0, 0, 1000);
	if (c.loss >= 300) /* all probes may be lost */
		c.keepalive_ms = 0;
	c.cc = (enum tcp_cc)pick(TCP_N_CCS);
	/* so that none takes an hour */
	c.n_bytes = ONE_OF(1000, 30000, 300000, 2000000) / (c.loss >= 300 ? 8 : 1)
		/ (c.n_conns >= 16 ? 8 : 1);
	c.n_bytes = RTE_MIN(c.n_bytes, c.n_bufs * 10000 / c.n_conns);
	c.frame_us = ONE_OF(0, 0, 2, 20);
	c.room = ONE_OF(4, 64, 256);
	return c;
}

/* MILLRACE_RUNS says how many, with those seeds that once found something. */
static void whatever_wire_and_hosts(void **state)
{
	const char *n_text = getenv("MILLRACE_RUNS"), *first_text = getenv("MILLRACE_SEED");
	const uint64_t first = first_text != NULL ? strtoull(first_text, NULL, 10) : 1;
	const unsigned n = n_text != NULL ? (unsigned)strtoul(n_text, NULL, 10) : 20;
	/* read after the last acknowledgement */
	static const uint64_t found[] = {100169, 100333, 100608, 100610};
	uint64_t end_us = 0, segments = 0;

	(void)state;
	for (unsigned i = 0; i < n + RTE_DIM(found); i++) {
		struct sim_conf c = conf_of(i < n ? first + i : found[i - n]);
		struct sim_result r;

		if (i >= n) /* as it was found */
			c.frame_us = 0;
		sim_run(&c, &r);
		end_us += r.end_us;
		segments += r.stats[0].segments_out + r.stats[1].segments_out;
	}
	print_message("%u runs from seed %llu: %llu ms, %llu segments\n", n,
		(unsigned long long)first, (unsigned long long)end_us / 1000,
		(unsigned long long)segments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_wire_loses_nothing),
		cmocka_unit_test(a_bad_wire_is_made_good),
		cmocka_unit_test(without_sack_and_timestamps),
		cmocka_unit_test(with_cookies),
		cmocka_unit_test(small_windows_and_buffers),
		cmocka_unit_test(drivers_that_keep_buffers),
		cmocka_unit_test(packets_of_ipv6_and_small_ones),
		cmocka_unit_test(half_of_all_is_lost),
		cmocka_unit_test(losses_cost_little),
		cmocka_unit_test(who_overtakes_is_no_loss),
		cmocka_unit_test(lost_tails_are_probed),
		cmocka_unit_test(whatever_devices_do),
		cmocka_unit_test(a_full_port_makes_them_wait),
		cmocka_unit_test(a_narrow_port_before_a_bad_wire),
		cmocka_unit_test(cutting_changes_nothing_on_the_wire),
		cmocka_unit_test(whatever_wire_and_hosts),
	};

	keyhash_init_seed(11);
	if (eal_start("test_tcp_sim", 128) != 0)
		return 1;
	if (getenv("MILLRACE_ONLY") != NULL)
		cmocka_set_test_filter(getenv("MILLRACE_ONLY"));
	return cmocka_run_group_tests_name("tcp_sim", tests, NULL, NULL);
}
