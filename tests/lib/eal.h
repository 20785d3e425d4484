/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * eal — DPDK for tests that need mbufs or librte_hash: no hugepages, no devices, no root.
 */
#include <rte_eal.h>
#include <rte_errno.h>

#include <sched.h>
#include <stdio.h>

/* Starts EAL once; 0, or -1 with a line on stderr. memory_mb ≥ 64. EAL binds its caller to a CPU, which is undone: tests run
 * side by side, and threads of one test too. */
static inline int eal_start(const char *program, unsigned memory_mb)
{
	char mb[16], prog[64], lcores[32];
	char no_huge[] = "--no-huge", no_pci[] = "--no-pci", m[] = "-m",
	     no_tele[] = "--no-telemetry", no_conf[] = "--no-shconf", level[] = "--log-level=4";
	char *argv[] = {prog, no_huge, no_pci, no_tele, no_conf, level, lcores, m, mb, NULL};
	cpu_set_t cpus;

	snprintf(prog, sizeof(prog), "%s", program);
	snprintf(mb, sizeof(mb), "%u", memory_mb);
	snprintf(lcores, sizeof(lcores), "--lcores=0@%d", sched_getcpu());
	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
		perror(program);
		return -1;
	}
	if (rte_eal_init(9, argv) < 0) {
		fprintf(stderr, "%s: EAL did not start: %s\n", program, rte_strerror(rte_errno));
		return -1;
	}
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) {
		perror(program);
		return -1;
	}
	return 0;
}
