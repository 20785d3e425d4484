/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmp_pvt — numbers of ICMP messages, and what they may cost: those that we answer, and errors that are passed on.
 */
#include "core/worker.h"

#define ICMP4_DEST_UNREACHABLE 3
#define ICMP4_FRAGMENTATION_NEEDED 4 /* code: and DF set */
#define ICMP6_PACKET_TOO_BIG 2

#define ICMP_ECHO_PER_SEC 65536u
#define ICMP_ERRORS_PER_SEC 16384u

/* Takes one message from a budget of this second; false when it is spent. */
static inline bool icmp_budget_take(struct worker_budget *budget, uint32_t now_ms, uint32_t per_sec)
{
	if (now_ms - budget->since_ms >= 1000) {
		budget->since_ms = now_ms;
		budget->n = 0;
	}
	return budget->n++ < per_sec;
}
