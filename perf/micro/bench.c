/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench — see bench.h: starts DPDK, times batches, keeps what the running case needs.
 *
 * Time is TSC cycles. Machines that are shared preempt; a batch in which the kernel took the CPU away
 * (context switches of the thread, by getrusage) says nothing and is repeated. What remains is the shared
 * caches and what the hypervisor takes, which medians of many batches ride out.
 */
#include "base/clock.h"
#include "base/keyhash.h"
#include "core/mbufs.h"
#include "instrcount.h"
#include "pages.h"
#include "shim.h"

#include <rte_eal.h>
#include <rte_errno.h>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MEMORY_MB 1024u
#define TRIES 1000u

const struct bench_subject *const bench_subjects[] = {&bench_csum, &bench_hash, &bench_parse,
	&bench_vip, &bench_steer, &bench_natport, &bench_mailbox, &bench_sched, &bench_acl,
	&bench_conn, &bench_tcp, &bench_publish, &bench_path, &bench_cache};
const size_t bench_n_subjects = RTE_DIM(bench_subjects);

static enum bench_pages pages_got;

static const struct bench_case *current;
static void *current_ctx;

/* --- DPDK --- */

/* All that DPDK is to have. */
static uint32_t memory_mb(void)
{
	return MEMORY_MB + bench_shape.n_flows / 1000000 * 320 + bench_cache_mb;
}

static enum bench_pages choose(enum bench_pages wish)
{
	struct mbufs_huge huge;

	if (wish != BENCH_PAGES_AUTO)
		return wish;
	mbufs_huge_find(&huge);
	return huge.free_mb >= memory_mb() ? BENCH_PAGES_HUGE : BENCH_PAGES_THP;
}

/* lcore 0 floats over all CPUs this process may use. */
static void lcore_map(char *map, size_t size)
{
	cpu_set_t allowed;
	size_t len = (size_t)snprintf(map, size, "0@(");

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < size - 8; cpu++) {
		if (CPU_ISSET(cpu, &allowed))
			len += (size_t)snprintf(map + len, size - len, "%u,", cpu);
	}
	snprintf(map + len - 1, size - len + 1, ")");
}

int bench_start(enum bench_pages pages)
{
	char program[] = "micro_bench", lcores[] = "--lcores", map[1024], no_pci[] = "--no-pci",
	     level[] = "--log-level=4", iova[] = "--iova-mode=va",
	     no_telemetry[] = "--no-telemetry", in_memory[] = "--in-memory",
	     no_huge[] = "--no-huge", no_conf[] = "--no-shconf", m[] = "-m", mb[16];
	char *argv[] = {program, lcores, map, no_pci, level, iova, no_telemetry, m, mb, no_huge,
		no_conf, NULL};
	int argc = 11;

	pages_got = choose(pages);
	if (pages_got == BENCH_PAGES_4K)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	lcore_map(map, sizeof(map));
	snprintf(mb, sizeof(mb), "%u", memory_mb());
	if (pages_got == BENCH_PAGES_HUGE) {
		pages_allow_memfd();
		argv[9] = in_memory;
		argv[argc = 10] = NULL;
	}
	if (rte_eal_init(argc, argv) < 0) {
		fprintf(stderr, "micro_bench: DPDK does not start: %s\n", rte_strerror(rte_errno));
		return -rte_errno;
	}
	if (pages_got == BENCH_PAGES_THP && !pages_advise())
		pages_got = BENCH_PAGES_4K;
	clock_init();
	keyhash_init_seed(42);
	return 0;
}

const char *bench_pages_name(void)
{
	return pages_got == BENCH_PAGES_HUGE ? "reserved hugepages"
					     : PAGES_NAME(pages_got == BENCH_PAGES_THP);
}

uint64_t bench_tsc_hz(void)
{
	return rte_get_tsc_hz();
}

/* --- timing --- */

static long n_switches(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_nivcsw + use.ru_nvcsw;
}

static double time_batch(unsigned (*batch)(void *), void (*reset)(void *), void *ctx)
{
	uint64_t cyc = 0;
	unsigned n = 0;
	long before;

	for (unsigned i = 0; i < TRIES; i++) {
		if (reset != NULL)
			reset(ctx);
		before = n_switches();
		cyc = rte_rdtsc_precise();
		n = batch(ctx);
		cyc = rte_rdtsc_precise() - cyc;
		if (n == 0)
			return -1;
		if (n_switches() == before)
			break;
	}
	return (double)cyc / n;
}

/* Cases run one after the other, each several times: what one needs is made once. */
static bool enter(const struct bench_case *c)
{
	if (current == c)
		return true;
	bench_stop();
	current_ctx = c->up(c);
	if (current_ctx != NULL)
		current = c;
	return current_ctx != NULL;
}

double bench_run(const struct bench_case *c)
{
	return enter(c) ? time_batch(c->run, c->reset, current_ctx) : -1;
}

double bench_ref(const struct bench_case *c)
{
	return enter(c) ? time_batch(c->ref, NULL, current_ctx) : -1;
}

static bool count_batch(const char *name, unsigned (*batch)(void *), void (*reset)(void *))
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (reset != NULL)
			reset(current_ctx);
		if (i == 1)
			instrcount_begin();
		n = batch(current_ctx);
		if (n == 0)
			return false;
	}
	instrcount_end(name, n);
	return true;
}

bool bench_count(const struct bench_case *c)
{
	char reference[128];

	snprintf(reference, sizeof(reference), "%s, reference", c->name);
	return enter(c) && count_batch(c->name, c->run, c->reset)
		&& (!c->is_net || count_batch(reference, c->ref, NULL));
}

void bench_stop(void)
{
	if (current != NULL)
		current->down(current_ctx);
	current = NULL;
}
