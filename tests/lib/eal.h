/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * eal — DPDK for tests that need mbufs or librte_hash: no hugepages, no devices, no root.
 */
#include <rte_eal.h>
#include <rte_errno.h>

#include <stdio.h>

/* Starts EAL once; 0, or -1 with a line on stderr. memory_mb ≥ 64. */
static inline int eal_start(const char *program, unsigned memory_mb)
{
	char mb[16], prog[64];
	char no_huge[] = "--no-huge", no_pci[] = "--no-pci", m[] = "-m", l[] = "-l", zero[] = "0",
	     no_tele[] = "--no-telemetry", no_conf[] = "--no-shconf", level[] = "--log-level=4";
	char *argv[] = {prog, no_huge, no_pci, no_tele, no_conf, level, l, zero, m, mb, NULL};

	snprintf(prog, sizeof(prog), "%s", program);
	snprintf(mb, sizeof(mb), "%u", memory_mb);
	if (rte_eal_init(10, argv) < 0) {
		fprintf(stderr, "%s: EAL did not start: %s\n", program, rte_strerror(rte_errno));
		return -1;
	}
	return 0;
}
