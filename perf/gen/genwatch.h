/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genwatch — from outside, what was taken from a target on the same machine: how long its threads wanted to run and had no CPU, as the
 * kernel counts it (/proc/PID/task/TID/schedstat, in ns), and how long a hypervisor had CPUs run others (/proc/stat, in hundredths of
 * a second). Looked at before and after a trial, so it costs the trial nothing. Main thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GENWATCH_THREADS 64
#define GENWATCH_CPUS 64

struct genwatch {
	int fds[GENWATCH_THREADS]; /* of schedstat */
	unsigned n_threads;
	uint16_t cpus[GENWATCH_CPUS];
	unsigned n_cpus;
};

/* Sums since the threads and the machine began. */
struct genwatch_look {
	double waited_s, stolen_s;
};

/* pid: 0 for none. Its threads that EAL calls rte-worker, which poll, are watched; all, where it has none of that name. 0, or -errno:
 * there is no such process, or the kernel does not count (CONFIG_SCHED_INFO). */
int genwatch_init(struct genwatch *w, int pid, const uint16_t *cpus, unsigned n_cpus);
void genwatch_fini(struct genwatch *w); /* NULL-safe for a zeroed one */

/* False: a thread is gone. */
bool genwatch_look(const struct genwatch *w, struct genwatch_look *l);

/* The text of a schedstat file: how long the thread waited, in ns. False: it is something else. */
bool genwatch_read_waited(const char *text, uint64_t *ns);
/* The text of /proc/stat: ticks that were taken from a CPU. False: it is not there. */
bool genwatch_read_stolen(const char *text, unsigned cpu, uint64_t *ticks);
