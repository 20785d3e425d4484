/* SPDX-License-Identifier: BSD-3-Clause */
/* opt, ealargs, mbufs: argv in; settings, EAL's argv and complaints out. */
#include "core/device.h"
#include "core/ealargs.h"
#include "core/mbufs.h"
#include "core/opt.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

static struct opt opt;
static char err[512];

/* Splits words at blanks; the copy lives until the next call. */
static int parse(const char *words)
{
	static char text[4096];
	static char *argv[80];
	static char program[] = "millraced";
	int argc = 0;
	char *save = NULL;

	snprintf(text, sizeof(text), "%s", words);
	argv[argc++] = program;
	for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	err[0] = '\0';
	return opt_parse(&opt, argc, argv, err, sizeof(err));
}

static cpu_set_t cpus(unsigned n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < n; i++)
		CPU_SET(i, &set);
	return set;
}

static void test_defaults(void **state)
{
	assert_int_equal(parse("--port wan=net_null0"), 0);
	assert_int_equal(opt.n_ports, 1);
	assert_string_equal(opt.ports[0].name, "wan");
	assert_string_equal(opt.ports[0].device, "net_null0");
	assert_int_equal(opt.n_conns4, 262144);
	assert_int_equal(opt.n_conns6, 65536);
	assert_int_equal(opt.n_services, 1024);
	assert_int_equal(opt.n_backends, 8192);
	assert_int_equal(opt.n_snats, 8);
	assert_int_equal(opt.idle_us, 0);
	assert_true(opt.is_huge);
	assert_string_equal(opt.socket_path, "/run/millrace/dataplane.sock");
	assert_string_equal(opt.kernel_prefix, "k-");
	assert_int_equal(opt.n_eal_args, 0);
}

static void test_everything(void **state)
{
	assert_int_equal(
		parse("--port wan=net_af_xdp0,iface=veth0 --port=lan=0000:03:00.0 --workers 3 "
		      "--cpus 1,4-6 --rx-queues 2 --rxd 512 --txd 256 --mbufs 70000 --mtu 9000 "
		      "--conns 1000 --conns6 2000 --services 3 --backends 4 --snats 64 --neighs 128 "
		      "--idle sleep=50 --socket /tmp/x.sock --group adm --kernel-if none --no-huge "
		      "--memory 2048 --log-level debug -- --huge-dir /x -v"),
		0);
	assert_int_equal(opt.n_ports, 2);
	assert_string_equal(opt.ports[1].device, "0000:03:00.0");
	assert_int_equal(opt.n_workers, 3);
	assert_int_equal(opt.n_cpus, 4);
	assert_int_equal(opt.cpus[0], 1);
	assert_int_equal(opt.cpus[3], 6);
	assert_int_equal(opt.n_rx_queues, 2);
	assert_int_equal(opt.n_rxd, 512);
	assert_int_equal(opt.n_txd, 256);
	assert_int_equal(opt.n_mbufs, 70000);
	assert_int_equal(opt.mtu_bytes, 9000);
	assert_int_equal(opt.n_conns4, 1000);
	assert_int_equal(opt.n_conns6, 2000);
	assert_int_equal(opt.n_neighs, 128);
	assert_int_equal(opt.idle_us, 50);
	assert_string_equal(opt.socket_path, "/tmp/x.sock");
	assert_string_equal(opt.group, "adm");
	assert_string_equal(opt.kernel_prefix, "");
	assert_false(opt.is_huge);
	assert_int_equal(opt.memory_mb, 2048);
	assert_string_equal(opt.log_level, "debug");
	assert_int_equal(opt.n_eal_args, 3);
	assert_string_equal(opt.eal_args[2], "-v");
}

static void test_ports_join(void **state)
{
	struct iface_set ifaces;

	assert_int_equal(parse("--port a=net_null0 --port b=net_null1 --port a=net_null2"), 0);
	opt_ifaces(&opt, &ifaces);
	assert_int_equal(ifaces.n, 2);
	assert_string_equal(ifaces.of[0].name, "a");
	assert_int_equal(iface_find(&ifaces, "b"), 1);
	assert_int_equal(iface_find(&ifaces, "c"), -1);
}

/* words, what the complaint must say */
static const char *const bad[][2] = {
	{"", "no port"},
	{"--port", "needs a value"},
	{"--port wan", "NAME=DEVICE"},
	{"--port =net_null0", "the name must"},
	{"--port wan=", "NAME=DEVICE"},
	{"--port -x=net_null0", "the name must"},
	{"--port a=net_null0 --port b=net_null0", "already belongs to port a"},
	{"--port a=net_null0 --port a=net_null0,size=9", "already belongs to port a"},
	{"--port a=net_af_xdp0,iface=e --port b=net_af_packet0,qpairs=1,iface=e",
		"interface e already belongs to port a"},
	{"--port averyveryverylong=net_null0", "longer than 15 bytes"},
	{"--port a=net_null0 --workers 0", "from 1 to 32"},
	{"--port a=net_null0 --workers 33", "from 1 to 32"},
	{"--port a=net_null0 --workers x", "from 1 to 32"},
	{"--port a=net_null0 --workers 4294967297", "from 1 to 32"},
	{"--port a=net_null0 --workers -1", "from 1 to 32"},
	{"--port a=net_null0 --cpus 0,1 --workers 2", "needs 3 CPUs"},
	{"--port a=net_null0 --cpus 0,,1", "must be a list"},
	{"--port a=net_null0 --cpus 3-1", "must be a list"},
	{"--port a=net_null0 --cpus 1-", "must be a list"},
	{"--port a=net_null0 --cpus 0,1,0", "twice"},
	{"--port a=net_null0 --cpus 0-40", "more than 33"},
	{"--port a=net_null0 --idle nap", "must be poll"},
	{"--port a=net_null0 --idle sleep=", "must be poll"},
	{"--port a=net_null0 --idle sleep=100001", "must be poll"},
	{"--port a=net_null0 --log-level loud", "must be error"},
	{"--port a=net_null0 --snats 65", "from 1 to 64"},
	{"--port a=net_null0 --mtu 100", "from 1280 to 9216"},
	{"--port a=net_null0 --kernel-if averylongprefix-", "1 to 15 characters"},
	{"--port a=net_null0 --worker-count 3", "no such option"},
	{"--prot a=net_null0", "did you mean --port?"},
	{"--port a=net_null0 --con 3", "did you mean --conns?"},
	{"--port a=net_null0 --sokcet=/x", "did you mean --socket?"},
	{"--port a=net_null0 -q", "no such option"},
	{"--port a=net_null0 stray", "not an option"},
};

static void test_complaints(void **state)
{
	for (unsigned i = 0; i < RTE_DIM(bad); i++) {
		assert_int_equal(parse(bad[i][0]), -EINVAL);
		if (strstr(err, bad[i][1]) == NULL)
			fail_msg("'%s' gave '%s', not '%s'", bad[i][0], err, bad[i][1]);
	}
}

static void test_port_limits(void **state)
{
	char words[4096] = "";
	size_t len = 0;

	for (unsigned i = 0; i <= IFACE_NICS_MAX; i++)
		len += (size_t)snprintf(
			words + len, sizeof(words) - len, "--port a=net_null%u ", i);
	assert_int_equal(parse(words), -EINVAL);
	assert_non_null(strstr(err, "has 8 devices already"));
	len = 0;
	for (unsigned i = 0; i <= IFACE_MAX; i++)
		len += (size_t)snprintf(
			words + len, sizeof(words) - len, "--port p%u=net_null%u ", i, i);
	assert_int_equal(parse(words), -EINVAL);
	assert_non_null(strstr(err, "more than 16 ports"));
}

static void test_device_strings(void **state)
{
	char buf[64];

	assert_string_equal(
		opt_device_name("net_af_xdp0,iface=veth0", buf, sizeof(buf)), "net_af_xdp0");
	assert_string_equal(
		opt_device_arg("net_x,xiface=a,iface=veth0,q=1", "iface", buf, sizeof(buf)),
		"veth0");
	assert_null(opt_device_arg("iface=veth0", "iface", buf, sizeof(buf)));
	assert_true(device_is_pci("0000:03:00.0"));
	assert_true(device_is_pci("03:00.0"));
	assert_false(device_is_pci("net_null0"));
	assert_int_equal(device_check("a", "net_af_packet0,iface=no-such-if"), -ENODEV);
	assert_int_equal(device_check("a", "net_af_packet0"), -EINVAL);
	assert_int_equal(device_check("a", "ffff:ff:1f.7"), -ENODEV);
	assert_int_equal(device_check("a", "net_null0"), 0);
}

static void test_resolve_workers(void **state)
{
	cpu_set_t set = cpus(2);

	assert_int_equal(parse("--port a=net_null0"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(opt.n_workers, 1);
	assert_int_equal(opt.n_cpus, 0); /* two CPUs: everything floats */

	set = cpus(1);
	assert_int_equal(parse("--port a=net_null0"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(opt.n_workers, 1);

	set = cpus(8);
	assert_int_equal(parse("--port a=net_null0"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(opt.n_workers, 7);
	assert_int_equal(opt.n_cpus, 8);

	assert_int_equal(parse("--port a=net_null0 --workers 12"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(opt.n_cpus, 0);

	assert_int_equal(parse("--port a=net_null0 --cpus 2,8"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "CPU 8"));
}

static int find_arg(const struct ealargs *a, const char *word)
{
	for (int i = 0; i < a->argc; i++) {
		if (strcmp(a->argv[i], word) == 0)
			return i;
	}
	return -1;
}

static void test_eal_args(void **state)
{
	static struct ealargs a;
	cpu_set_t set = cpus(8);

	assert_int_equal(parse("--port a=net_null0 --no-huge --memory 512 --cpus 3,5 -- -v"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(ealargs_build(&a, &opt, 7), 0);
	assert_string_equal(a.argv[find_arg(&a, "--lcores") + 1], "0@3,1@5");
	assert_string_equal(a.argv[find_arg(&a, "-m") + 1], "512");
	assert_true(find_arg(&a, "--no-pci") > 0);
	assert_true(find_arg(&a, "--no-huge") > 0);
	assert_int_equal(find_arg(&a, "--in-memory"), -1);
	assert_true(find_arg(&a, "--file-prefix=millrace-7") > 0);
	assert_int_equal(find_arg(&a, "-v"), a.argc - 1);
	assert_null(a.argv[a.argc]);

	assert_int_equal(parse("--port a=03:00.0 -- --lcores 0@1,1@2 --file-prefix=mine"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(ealargs_build(&a, &opt, 7), 0);
	assert_string_equal(a.argv[find_arg(&a, "-a") + 1], "03:00.0");
	assert_int_equal(find_arg(&a, "--no-pci"), -1);
	assert_int_equal(find_arg(&a, "--file-prefix=millrace-7"), -1);
	assert_int_equal(find_arg(&a, "0@0,1@1,2@2,3@3,4@4,5@5,6@6,7@7"), -1);
	assert_true(find_arg(&a, "--in-memory") > 0);
}

static void test_eal_args_float(void **state)
{
	static struct ealargs a;
	cpu_set_t set = cpus(1);

	assert_int_equal(parse("--port a=net_null0 --cpus 0 --workers 3"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(ealargs_build(&a, &opt, 7), 0);
	assert_string_equal(a.argv[find_arg(&a, "--lcores") + 1], "(0-3)@(0)");
}

static void test_plan(void **state)
{
	const struct mbufs_huge none = {0}, some = {.free_mb = 100, .page_kb = 2048, .n_pages = 60},
				many = {.free_mb = 100000, .page_kb = 2048, .n_pages = 50000};
	cpu_set_t set = cpus(2);
	char expect[64];
	uint32_t need;

	assert_int_equal(parse("--port a=net_null0 --mbufs 1024"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &many, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "--mbufs 1024"));

	assert_int_equal(parse("--port a=net_null0"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &some, err, sizeof(err)), -ENOMEM);
	snprintf(expect, sizeof(expect), "vm.nr_hugepages=%u", 60 + (opt.memory_mb - 100 + 1) / 2);
	assert_non_null(strstr(err, expect));
	assert_true(opt.n_mbufs >= mbufs_need(&opt));
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), -ENOMEM);
	assert_non_null(strstr(err, "--no-huge"));
	assert_int_equal(mbufs_plan(&opt, &many, err, sizeof(err)), 0);

	/* each queue's ring is full of buffers, also where there are more queues than workers */
	opt.n_rx_queues = opt.n_workers;
	opt.n_rxd = 8192;
	need = mbufs_need(&opt);
	opt.n_rx_queues *= 3;
	assert_int_equal(mbufs_need(&opt), need + 2 * opt.n_workers * 8192);

	assert_int_equal(parse("--port a=net_null0 --no-huge --memory 64"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "--memory 64"));
	opt.memory_mb = 0;
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), 0);
}

/* Caches are beside all else, in the plan and in hugepages, and so are connections to them; by default there are none. */
static void test_plan_has_caches(void **state)
{
	const struct mbufs_huge none = {0};
	cpu_set_t set = cpus(2);
	uint32_t without_mb, n_mbufs, with_mb;

	assert_int_equal(parse("--port a=net_null0 --no-huge"), 0);
	assert_int_equal(opt.cache_mb, 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), 0);
	without_mb = opt.memory_mb;
	n_mbufs = mbufs_need(&opt);

	assert_int_equal(parse("--port a=net_null0 --cache-memory 3000"), 0);
	assert_int_equal(opt.cache_mb, 3000);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_need(&opt), n_mbufs + opt.n_tcp_bufs);
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), -ENOMEM);
	with_mb = opt.memory_mb;
	/* 65,536 connections of some 600 bytes, what each worker has, and 16,384 buffers */
	assert_in_range(with_mb, without_mb + 3000 + 40 + 12 + 38, without_mb + 3000 + 160);
	assert_int_equal(
		mbufs_plan(&opt, &(struct mbufs_huge){.free_mb = with_mb - 1, .page_kb = 2048}, err,
			sizeof(err)),
		-ENOMEM);
	assert_int_equal(mbufs_plan(&opt, &(struct mbufs_huge){.free_mb = with_mb, .page_kb = 2048},
				 err, sizeof(err)),
		0);

	assert_int_equal(
		parse("--port a=net_null0 --no-huge --cache-memory 3000 --tcp-conns 1000000"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), 0);
	assert_true(opt.memory_mb > with_mb + 500);
	assert_int_equal(parse("--port a=net_null0 --tcp-conns 1023"), -EINVAL);
	assert_non_null(strstr(err, "--tcp-conns"));
	assert_int_equal(parse("--port a=net_null0 --tcp-buffers 4095"), -EINVAL);
	assert_non_null(strstr(err, "--tcp-buffers"));

	assert_int_equal(
		parse("--port a=net_null0 --no-huge --memory 2000 --cache-memory 1999"), 0);
	assert_int_equal(opt_resolve(&opt, &set, err, sizeof(err)), 0);
	assert_int_equal(mbufs_plan(&opt, &none, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "--memory 2000"));
	assert_non_null(strstr(err, "--cache-memory"));

	assert_int_equal(parse("--port a=net_null0 --cache-memory 1048577"), -EINVAL);
	assert_non_null(strstr(err, "--cache-memory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_ports_join),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_port_limits),
		cmocka_unit_test(test_device_strings),
		cmocka_unit_test(test_resolve_workers),
		cmocka_unit_test(test_eal_args),
		cmocka_unit_test(test_eal_args_float),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_plan_has_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
