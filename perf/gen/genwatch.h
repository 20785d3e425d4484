/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genwatch — from outside, what was taken from a target on the same machine: how long its threads wanted to run and had no CPU, as the
 * kernel counts it (/proc/PID/task/TID/schedstat, in ns), and how long a hypervisor had CPUs run others. Looked at before and after a
 * trial, so it costs the trial nothing. Main thread.
 *
 * What a hypervisor took is in /proc/stat, in hundredths of a second: a loss of a millisecond is told with one chance in ten. But the kernel does not
 * count it as time that a thread ran, and a thread that polls does nothing but run and wait. So of such threads it is what is left of the time
 * between two looks, to some ten microseconds: the kernel brings its count up to date at each tick, and a look waits for one and
 * takes the moment. That holds where the kernel says that the hypervisor tells it (time was stolen since it began) and where it does not
 * leave out the time of interrupts too (CONFIG_IRQ_TIME_ACCOUNTING; then that of the CPUs is not 0). Else, and of threads that slept, there are the hundredths.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GENWATCH_THREADS 64
#define GENWATCH_CPUS 64

struct genwatch {
	int fds[GENWATCH_THREADS];       /* of schedstat */
	int sleep_fds[GENWATCH_THREADS]; /* of status */
	unsigned n_threads;
	uint16_t cpus[GENWATCH_CPUS];
	unsigned n_cpus;
	bool has_rest; /* what is left of the time was stolen */
};

/* Sums since the threads and the machine began. */
struct genwatch_look {
	double waited_s, ran_s; /* of threads */
	double at_s;            /* of the moments these were of */
	uint64_t n_slept;       /* times that a thread went to sleep */
	double stolen_s;        /* of CPUs, in hundredths */
	bool is_exact;          /* at_s is */
};

struct genwatch_lost {
	double waited_s, stolen_s;
};

/* pid: 0 for none. Its threads that EAL calls rte-worker, which poll, are watched; all, where it has none of that name. 0, or -errno:
 * there is no such process, or the kernel does not count (CONFIG_SCHED_INFO). */
int genwatch_init(struct genwatch *w, int pid, const uint16_t *cpus, unsigned n_cpus);
void genwatch_fini(struct genwatch *w); /* NULL-safe for a zeroed one */

/* False: a thread is gone. Lasts for a tick of the kernel for each thread, 100 ms at most. */
bool genwatch_look(const struct genwatch *w, struct genwatch_look *l);

/* What was lost between two looks. */
struct genwatch_lost genwatch_between(
	const struct genwatch *w, const struct genwatch_look *from, const struct genwatch_look *to);

/* The text of a schedstat file: how long the thread ran and waited, in ns. False: it is something else. */
bool genwatch_read_sched(const char *text, uint64_t *ran_ns, uint64_t *waited_ns);
/* The text of a status file: how often the thread went to sleep. False: it is something else. */
bool genwatch_read_slept(const char *text, uint64_t *n);

enum genwatch_field { /* of a CPU's line in /proc/stat */
	GENWATCH_IRQ = 6,
	GENWATCH_STEAL = 8,
};

/* The text of /proc/stat: ticks of a CPU. False: it is not there. */
bool genwatch_read_ticks(
	const char *text, unsigned cpu, enum genwatch_field field, uint64_t *ticks);
