/* SPDX-License-Identifier: BSD-3-Clause */
/* clock — see clock.h. Division by a constant of the machine is done as a multiplication. */
#include "base/clock.h"

/* w: manager before workers start  r: all */
static uint64_t clock_start_cyc;
static uint64_t clock_ms_scale; /* milliseconds per cycle × 2^52 */
static uint64_t clock_us_scale; /* microseconds per cycle × 2^42 */

void clock_init(void)
{
	clock_start_cyc = rte_rdtsc();
	clock_ms_scale = (1000ull << 52) / rte_get_tsc_hz();
	clock_us_scale = (1000000ull << 42) / rte_get_tsc_hz();
}

uint32_t clock_ms_at(uint64_t cyc)
{
	return (uint32_t)(((unsigned __int128)(cyc - clock_start_cyc) * clock_ms_scale) >> 52);
}

uint32_t clock_ms(void)
{
	return clock_ms_at(rte_rdtsc());
}

uint64_t clock_us(void)
{
	return (uint64_t)(((unsigned __int128)(rte_rdtsc() - clock_start_cyc) * clock_us_scale)
		>> 42);
}
