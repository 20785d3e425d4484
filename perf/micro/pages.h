/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pages — has what DPDK allocates without reserved hugepages live in transparent ones. DPDK backs --no-huge memory by a memfd where it can,
 * which never gets them, and else by anonymous memory, which does: a program that is linked with this has no memfd. One thread.
 */
#include <stdbool.h>

/* Gives the program its memfds back, without which DPDK gets no reserved hugepages. Before rte_eal_init(). */
void pages_allow_memfd(void);

/* Asks for them, after rte_eal_init(). False: the kernel gives none, and pages have 4 KB. */
bool pages_advise(void);

/* What they then are, in words. */
#define PAGES_NAME(is_huge) ((is_huge) ? "transparent hugepages (2 MB)" : "4 KB pages")
