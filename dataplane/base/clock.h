/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * clock — the one time line of the process: TSC cycles since start, as micro- or milliseconds. Read once per
 * loop and passed down; tests pass their own values instead.
 */
#include <rte_cycles.h>

#include <stdint.h>

/* Sets the start of time to now and learns the TSC rate. Context: manager, after EAL. */
void clock_init(void);

/* Milliseconds from start to this TSC value; wraps after 49 days. Any thread after clock_init(). */
uint32_t clock_ms_at(uint64_t cyc);

static inline uint64_t clock_cyc(void)
{
	return rte_rdtsc();
}

/* Milliseconds since start. Any thread. */
uint32_t clock_ms(void);

/* Microseconds since start; does not wrap. Any thread. */
uint64_t clock_us(void);
