/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genident — on what machine and with what program a figure was made. Main thread.
 */
#include <jansson.h>

/* A new object: CPU, kernel, frequency governor, hugepages, load. NULL: out of memory. What cannot be read is left out. */
json_t *genident_machine(void);

/* Version, compiler, DPDK. */
json_t *genident_build(void);

/* The three load averages, "0.52 1.10 2.00". Returns buf. */
const char *genident_load(char *buf, size_t size);
