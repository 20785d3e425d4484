/* SPDX-License-Identifier: BSD-3-Clause */
/* Options of millrace-bench: what they become, and what is said of wrong ones. */
#include "genopt.h"
#include "unit.h"

#include <errno.h>

#define GOOD "flood --port net_ring0 --target 10.1.0.80:80 --client 10.2.0.0/16"
#define CACHE "cache-udp --port net_ring0 --target 10.1.0.80:11211 --client 10.2.0.0/16"

#define TCP "cache-tcp --port net_ring0 --target 10.1.0.80:11211 --client 10.2.0.0/16"

static struct genopt o;
static char err[512];

static int parse(const char *words)
{
	static char line[512], *argv[64]; /* o.eal_args points there */
	int argc = 0;

	memset(argv, 0, sizeof(argv));
	snprintf(line, sizeof(line), "millrace-bench %s", words);
	for (char *at = strtok(line, " "); at != NULL; at = strtok(NULL, " "))
		argv[argc++] = at;
	err[0] = '\0';
	return genopt_parse(&o, argc, argv, err, sizeof(err));
}

static void good(const char *words)
{
	if (parse(words) != 0)
		fail_msg("%s: %s", words, err);
}

static void values_are_read(void **state)
{
	(void)state;
	good(GOOD
		" --rate 4.5M --seconds 0.5 --flows 2M --zipf 0.9 --new 12.5 --size imix --proto tcp --own "
		"10.3.0.1 --own 10.4.0.0/24 --seed 9 --cpu 3 --no-huge --return -- --single-file-segments");
	assert_int_equal(o.work, GENOPT_FLOOD);
	assert_true(o.rate == 4.5e6 && o.seconds == 0.5 && o.skew == 0.9 && o.new_pct == 12.5);
	assert_int_equal(o.n_flows, 2000000);
	assert_int_equal(o.proto, GENOPT_TCP);
	assert_int_equal(o.target.family, 4);
	assert_int_equal(o.target_port, 80);
	assert_memory_equal(o.target.ip, ((const uint8_t[]){10, 1, 0, 80}), 4);
	assert_memory_equal(&o.next_hop, &o.target, sizeof(o.target));
	assert_int_equal(o.client.len, 16);
	assert_int_equal(o.n_own, 2);
	assert_int_equal(o.own[0].len, 32);
	assert_int_equal(o.n_repeats, 1);
	assert_int_equal(o.n_cpus, 1);
	assert_int_equal(o.cpus[0], 3);
	assert_false(o.is_huge);
	assert_true(o.is_returned);
	assert_int_equal(o.n_eal_args, 1);
	assert_string_equal(o.eal_args[0], "--single-file-segments");
	assert_true(o.n_queues == 1 && o.n_rx_queues == 1);
	good(GOOD " --rate 1 --cpu 9,3-5,7 --rx-queues 2");
	assert_int_equal(o.n_cpus, 5);
	assert_memory_equal(o.cpus, ((const uint16_t[]){9, 3, 4, 5, 7}), 5 * sizeof(*o.cpus));
	assert_true(genopt_threads(&o) == 5 && o.n_queues == 5 && o.n_rx_queues == 2);
	good(CACHE " --rate 1 --cpu 0-2");
	assert_true(o.n_flows == 768 && o.n_queues == 3 && o.n_rx_queues == 3);
	good(CACHE " --search --keys 1M --value 10-300 --set 5 --shift 1 --no-load");
	assert_true(o.is_search && !o.does_load && o.skew == 0.99 && !o.takes_bounds);
	assert_int_equal(o.n_repeats, 5);
	assert_int_equal(o.n_keys, 1000000);
	assert_true(o.trial_seconds == 0.5 && o.deadline_ms == 0);
	assert_int_equal(o.n_votes, 3);
	assert_int_equal(o.n_flows, 1024);
	assert_int_equal(o.value_min, 10);
	assert_int_equal(o.value_max, 300);
	good(CACHE " --search --at-least");
	assert_true(o.is_search && o.takes_bounds);
	good(TCP " --rate 1 --flows 10000 --depth 16");
	assert_int_equal(o.work, GENOPT_CACHE_TCP);
	assert_int_equal(o.n_flows, 10000);
	assert_int_equal(o.depth, 16);
	assert_true(o.deadline_ms == 10);
	good(GOOD
		" --rate 1 --watch-pid /tmp/pid --watch-cpu 3 --watch-cpu 0 --votes 5 --trial 0.2 --void-max 7");
	assert_string_equal(o.watch, "/tmp/pid");
	assert_int_equal(o.n_watch_cpus, 2);
	assert_int_equal(o.watch_cpus[0], 3);
	assert_int_equal(o.n_votes, 5);
	assert_int_equal(o.n_void_max, 7);
	assert_true(o.trial_seconds == 0.2);
	good(GOOD " --rate 1 --beside garbage --beside-rate 2M");
	assert_int_equal(o.beside, GENOPT_BESIDE_GARBAGE);
	assert_true(o.beside_rate == 2e6);
	good("flood --port net_ring0 --target [fd00::80]:80 --client fd00:1::/64 --rate 1 --size 76 --next-hop "
	     "fd00::1 --target-mac 02:00:00:00:00:05");
	assert_int_equal(o.target.family, 6);
	assert_true(o.has_target_mac);
	assert_int_equal(o.next_hop.ip[15], 1);
}

static void wrong_ones_are_told(void **state)
{
	static const struct {
		const char *words, *says;
	} rows[] = {
		{"", "first word"},
		{"flod --port net_ring0", "flod"},
		{"--rate 5", "first word"},
		{"flood --target 10.1.0.80:80 --client 10.2.0.0/16 --rate 1", "--port"},
		{"flood --port net_ring0 --client 10.2.0.0/16 --rate 1", "--target"},
		{"flood --port net_ring0 --target 10.1.0.80:80 --rate 1", "--client"},
		{GOOD, "--rate"},
		{GOOD " --rate 5 --search", "--search and --rate"},
		{GOOD " --rate fast", "--rate fast"},
		{GOOD " --rate 0", "from 1 to"},
		{GOOD " --rate -5", "--rate -5"},
		{GOOD " --rate 0x10", "--rate 0x10"},
		{GOOD " --rate 5kk", "--rate 5kk"},
		{GOOD " --rate nan", "--rate nan"},
		{GOOD " --rate 1e99", "--rate 1e99"},
		{GOOD " --rate", "needs a value"},
		{GOOD " --rat 5", "--rat"},
		{GOOD " --rate 5 more", "not an option"},
		{GOOD " --rate 5 --flows 1.5", "--flows 1.5"},
		{GOOD " --rate 5 --flows 11M", "--flows 11M"},
		{GOOD " --rate 5 --beside syn", "--beside-rate"},
		{GOOD " --rate 5 --beside-rate 7", "--beside-rate"},
		{GOOD " --rate 5 --beside rain", "--beside rain"},
		{GOOD " --rate 5 --once", "--once"},
		{TCP " --rate 5 --once --depth 2", "--once"},
		{GOOD " --rate 5 --votes 4", "--votes 4"},
		{GOOD " --rate 5 --at-least", "--at-least"},
		{GOOD " --rate 5 --watch-cpu x", "--watch-cpu x"},
		{GOOD " --rate 5 --cpu x", "--cpu x"},
		{GOOD " --rate 5 --cpu 3,", "--cpu 3,"},
		{GOOD " --rate 5 --cpu ,3", "--cpu ,3"},
		{GOOD " --rate 5 --cpu 5-3", "--cpu 5-3"},
		{GOOD " --rate 5 --cpu -3", "--cpu -3"},
		{GOOD " --rate 5 --cpu 1.5", "--cpu 1.5"},
		{GOOD " --rate 5 --cpu 3,2-4", "3 is there twice"},
		{GOOD " --rate 5 --cpu 0-16", "more than 16"},
		{GOOD " --rate 5 --cpu 3-5 --queues 2", "at least 3"},
		{CACHE " --rate 5 --cpu 0-2 --flows 1024", "(768, 1536)"},
		{TCP " --rate 5 --cpu 0-2 --flows 2", "each of 3 CPUs"},
		{GOOD " --rate 5 --size 63", "--size 63"},
		{GOOD " --rate 5 --proto sctp", "udp or tcp"},
		{GOOD " --rate 5 --full maybe", "auto, lose or wait"},
		{GOOD " --rate 5 --own 10.4.0.1/24", "--own 10.4.0.1/24"},
		{GOOD " --rate 5 --own 10.4.0.0/33", "--own"},
		{GOOD " --rate 5 --target 10.1.0.80", "ADDRESS:PORT"},
		{GOOD " --rate 5 --target fd00::1:80", "ADDRESS:PORT"},
		{GOOD " --rate 5 --target [fd00::1]:80", "one family"},
		{GOOD " --rate 5 --target 10.1.0.80:0", "ADDRESS:PORT"},
		{GOOD " --rate 5 --target :80", "ADDRESS:PORT"},
		{GOOD " --rate 5 --target ]:80", "ADDRESS:PORT"},
		{GOOD " --rate 5 --target [:80", "ADDRESS:PORT"},
		{GOOD " --rate 5 --next-hop fd00::1", "one family"},
		{GOOD " --rate 5 --target-mac ff:ff:ff:ff:ff:ff", "--target-mac"},
		{GOOD " --search --rate-max 1000 --rate-min 2000", "--rate-max 1000"},
		{"flood --port net_ring0 --target [fd00::80]:80 --client fd00:1::/64 --rate 1",
			"76"},
		{CACHE " --rate 5 --flows 1000", "power of two"},
		{TCP " --rate 5 --flows 65537", "at most 65536"},
		{TCP " --rate 5 --depth 65", "--depth 65"},
		{CACHE " --rate 5 --value 300-10", "--value 300-10"},
		{CACHE " --rate 5 --value 1301", "--value 1301"},
		{CACHE " --rate 5 --value -", "--value -"},
		{CACHE " --rate 5 --keys 0", "--keys 0"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(parse(rows[i].words), -EINVAL);
		if (strstr(err, rows[i].says) == NULL)
			fail_msg("'%s' says: %s", rows[i].words, err);
	}
}

static void many_networks_are_told(void **state)
{
	char words[1024] = GOOD " --rate 5";

	(void)state;
	for (unsigned i = 0; i < GENOPT_OWN_MAX + 1; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), " --own 10.5.0.%u",
			i);
	assert_int_equal(parse(words), -EINVAL);
	assert_non_null(strstr(err, "10.5.0.16"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(wrong_ones_are_told),
		cmocka_unit_test(many_networks_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
