/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genjudge — whether a trial is a measurement. Generator and target each need a CPU all the time; where others run too, a trial in which
 * one of them lost it says nothing about the target, and is thrown away (void) and made again.
 *
 * What makes that sound is what is not among the facts: neither what came back nor how much was lost. A trial is void for what happened to
 * the CPUs, whatever its outcome, so that
 *
 *   I1  no loss is ever thrown away as such: a target that loses while it has its CPU, or passes, is counted just the same;
 *   I2  a target cannot pass because trials are thrown away: what counts was measured with both CPUs there, and where there is
 *       no such trial the run refuses. Even a target whose overload took CPUs away would end there, and not in a better figure.
 *
 * A worker that polls is always running; overload does not make it wait for its CPU. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#define GENJUDGE_LATE_MAX 0.001 /* of the frames may be late */
#define GENJUDGE_TAKEN_MAX \
	0.0005 /* of the time may the target's threads wait for a CPU, or a hypervisor run others */
#define GENJUDGE_TAKEN_S 0.0001 /* or for so long: rings last for that */
/* a generator that is fast enough catches up: late frames are those of its pauses and of the time after, */
#define GENJUDGE_LATE_FACTOR 4.0
/* and while it runs it sends what is due, but for short pauses that nobody counts */
#define GENJUDGE_SPEED_MIN 0.9

enum genjudge_verdict {
	GENJUDGE_COUNTS,
	GENJUDGE_TOO_SLOW, /* frames were late, and pauses do not explain it: the generator cannot send so fast */
	GENJUDGE_GENERATOR, /* void: its thread lost its CPU */
	GENJUDGE_TARGET,    /* void: threads of the target that are watched waited for their CPU */
	GENJUDGE_STOLEN,    /* void: a hypervisor took a watched CPU away */
	GENJUDGE_VERDICTS
};

struct genjudge_facts {
	double rate;                   /* frames a second */
	uint64_t n_due, n_late;        /* frames that count, of the whole trial; of these, late */
	double behind_s;               /* it ended there, as it was so far behind; 0: it did not */
	double n_sent, elapsed_s;      /* until it ended */
	uint32_t n_ring;               /* frames that the generator's receive ring holds */
	double seconds;                /* of the whole trial, as it was meant to be */
	double paused_s, pause_most_s; /* of the generator's loop: sum of pauses, the longest one */
	double waited_s;               /* of threads of the target that wanted to run: for a CPU */
	double stolen_s;               /* of CPUs that are watched */
};

enum genjudge_verdict genjudge_trial(const struct genjudge_facts *f);

static inline bool genjudge_is_void(enum genjudge_verdict v)
{
	return v >= GENJUDGE_GENERATOR;
}

/* "generator", "target", "stolen" of what is void; "counts" and "too-slow" else. */
const char *genjudge_name(enum genjudge_verdict v);

/* "the generator lost its CPU" */
const char *genjudge_says(enum genjudge_verdict v);
