/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * stage — where a worker's time goes: one of STAGE_SAMPLE loops is timed, each of its parts by itself. One that received nothing does not
 * count, nor one that took so long that the thread must have lost its CPU: one of the next STAGE_SAMPLE_IDLE is timed instead. Context:
 * the worker, but where it says otherwise.
 */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STAGE_SAMPLE 509u /* prime: bursts that come in a rhythm are not always the same one */
#define STAGE_SAMPLE_IDLE 17u
#define STAGE_LOOP_MAX_CYC \
	(1u << 21) /* about a millisecond; a loop of full bursts takes a tenth of that */

/* symbol, what is in it */
#define STAGES(X) \
	X(rx, "receiving from the ports' queues") \
	X(parse, "headers and checksums") \
	X(classify, "service, address, owner of the flow") \
	X(answer, "ARP, NDP, echo, fragments") \
	X(serve, "caches: requests and connections") \
	X(balance, "connections, backends, headers written") \
	X(finish, "queueing, dropping, handing over") \
	X(timers, "mailboxes, timers, sweeps, the manager's jobs") \
	X(tx, "sending to the ports' queues")

#define STAGE_ENUM(sym, help) STAGE_##sym,
enum stage { STAGES(STAGE_ENUM) STAGE_N };

/* Of all loops that were timed. w: owner  r: manager (relaxed) */
struct stage_times {
	uint64_t packets; /* received in them, by port or mailbox */
	uint64_t cycles[STAGE_N];
};

/* Of the running loop. */
struct stage_clock {
	uint32_t n_left; /* loops until the next one that is timed */
	bool is_on;
	uint64_t begun, last; /* cycle */
	uint64_t cycles[STAGE_N];
};

/* Hot. A loop begins. */
static inline void stage_begin(struct stage_clock *c)
{
	if (likely(c->n_left-- != 0))
		return;
	memset(c->cycles, 0, sizeof(c->cycles));
	c->is_on = true;
	c->begun = c->last = rte_rdtsc();
}

/* Hot. What was done since the last mark, or since the loop began, belongs to this stage. */
static inline void stage_mark(struct stage_clock *c, enum stage stage)
{
	uint64_t now;

	if (likely(!c->is_on))
		return;
	now = rte_rdtsc();
	c->cycles[stage] += now - c->last;
	c->last = now;
}

/* Hot. The loop ends, in which n packets were received. */
static inline void stage_end(struct stage_clock *c, struct stage_times *to, unsigned n)
{
	if (likely(!c->is_on))
		return;
	c->is_on = false;
	c->n_left = STAGE_SAMPLE_IDLE - 1;
	if (n == 0 || c->last - c->begun > STAGE_LOOP_MAX_CYC)
		return;
	c->n_left = STAGE_SAMPLE - 1;
	for (unsigned i = 0; i < STAGE_N; i++)
		to->cycles[i] += c->cycles[i];
	to->packets += n;
}
