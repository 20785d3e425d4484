/* SPDX-License-Identifier: BSD-3-Clause */
/* genwatch — see genwatch.h. */
#include "genwatch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_MAX 65536
#define TICKS_MOST_S \
	0.1 /* to wait for all of them: of a CPU that has none (CONFIG_NO_HZ_FULL) there is nothing exact */
#define MOMENT_MOST_S 4e-5 /* between two readings, or the moment is not known well enough */

bool genwatch_read_sched(const char *text, uint64_t *ran_ns, uint64_t *waited_ns)
{
	uint64_t ran, waited, n_times;

	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ran, &waited, &n_times) != 3)
		return false;
	*ran_ns = ran;
	*waited_ns = waited;
	return true;
}

bool genwatch_read_slept(const char *text, uint64_t *n)
{
	static const char name[] = "\nvoluntary_ctxt_switches:";
	const char *at = strstr(text, name);

	return at != NULL && sscanf(at + strlen(name), "%" SCNu64, n) == 1;
}

bool genwatch_read_ticks(const char *text, unsigned cpu, enum genwatch_field field, uint64_t *ticks)
{
	char name[16];
	const char *at = text;
	size_t len;

	len = (size_t)snprintf(name, sizeof(name), "cpu%u ", cpu);
	while (at != NULL && strncmp(at, name, len) != 0) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	if (at == NULL)
		return false;
	for (int i = 0; i < (int)field; i++) {
		at += strcspn(at, " \n");
		if (*at != ' ')
			return false;
		at++;
	}
	return sscanf(at, "%" SCNu64, ticks) == 1;
}

/* The whole file, as far as it fits. -errno, or how many bytes. */
static ssize_t read_fd(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = pread(fd, to + len, size - 1 - len, (off_t)len)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	return n < 0 ? -errno : (ssize_t)len;
}

static bool is_poller(int pid, const char *tid)
{
	char path[300], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, tid);
	f = fopen(path, "r");
	if (f == NULL)
		return false;
	if (fgets(name, sizeof(name), f) == NULL)
		name[0] = '\0';
	fclose(f);
	return strncmp(name, "rte-worker", 10) == 0;
}

static int open_one(int pid, const char *tid, const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, tid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Opens those that poll, or all. -errno when the process is not there. */
static int open_threads(struct genwatch *w, int pid, bool is_all)
{
	char path[300];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (d == NULL)
		return -ESRCH;
	while ((e = readdir(d)) != NULL && w->n_threads < GENWATCH_THREADS) {
		int fd, sleep_fd;

		if (e->d_name[0] == '.' || (!is_all && !is_poller(pid, e->d_name)))
			continue;
		fd = open_one(pid, e->d_name, "schedstat");
		sleep_fd = open_one(pid, e->d_name, "status");
		if (fd >= 0 && sleep_fd >= 0) {
			w->fds[w->n_threads] = fd;
			w->sleep_fds[w->n_threads++] = sleep_fd;
		} else {
			close(fd);
			close(sleep_fd);
		}
	}
	closedir(d);
	return 0;
}

/* Of the CPUs that are watched, in ticks. */
static bool read_cpus(const struct genwatch *w, enum genwatch_field field, uint64_t *ticks)
{
	static char text[STAT_MAX]; /* the main thread's */
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	*ticks = 0;
	if (fd < 0)
		return false;
	n = read_fd(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return false;
	for (unsigned i = 0; i < w->n_cpus; i++) {
		uint64_t more;

		if (!genwatch_read_ticks(text, w->cpus[i], field, &more))
			return false;
		*ticks += more;
	}
	return true;
}

int genwatch_init(struct genwatch *w, int pid, const uint16_t *cpus, unsigned n_cpus)
{
	struct genwatch_look l;
	uint64_t irq = 0, stolen = 0;
	int rc = 0;

	*w = (struct genwatch){.n_cpus = n_cpus};
	for (unsigned i = 0; i < n_cpus; i++) /* there may be none, and no array */
		w->cpus[i] = cpus[i];
	if (pid != 0) {
		rc = open_threads(w, pid, false);
		if (rc == 0 && w->n_threads == 0)
			rc = open_threads(w, pid, true);
		if (rc == 0 && w->n_threads == 0)
			rc = -ENOENT;
	}
	if (rc == 0
		&& (!read_cpus(w, GENWATCH_IRQ, &irq) || !read_cpus(w, GENWATCH_STEAL, &stolen)))
		rc = -ENOENT;
	w->has_rest = irq == 0 && stolen > 0;
	if (rc == 0 && !genwatch_look(w, &l))
		rc = -ENOENT;
	if (rc != 0)
		genwatch_fini(w);
	return rc;
}

void genwatch_fini(struct genwatch *w)
{
	for (unsigned i = 0; i < w->n_threads; i++) {
		close(w->fds[i]);
		close(w->sleep_fds[i]);
	}
	w->n_threads = w->n_cpus = 0;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_thread(const struct genwatch *w, unsigned i, uint64_t *ran, uint64_t *waited)
{
	char text[128];

	return read_fd(w->fds[i], text, sizeof(text)) >= 0
		&& genwatch_read_sched(text, ran, waited);
}

/* A thread as it is now; where it can be had, as it was at a tick, and when that was. */
static bool look_at_thread(
	const struct genwatch *w, unsigned i, double until_s, struct genwatch_look *l)
{
	uint64_t ran0, ran, waited;
	double before, now = now_s();

	if (!read_thread(w, i, &ran0, &waited))
		return false;
	ran = ran0;
	while (w->has_rest) {
		before = now;
		if (!read_thread(w, i, &ran, &waited))
			return false;
		now = now_s();
		if (ran != ran0 && now - before < MOMENT_MOST_S)
			break;
		ran0 = ran;
		if (now > until_s) {
			l->is_exact = false;
			break;
		}
	}
	l->ran_s += (double)ran / 1e9;
	l->waited_s += (double)waited / 1e9;
	l->at_s += now;
	return true;
}

static bool look_at_sleep(const struct genwatch *w, unsigned i, struct genwatch_look *l)
{
	char text[4096];
	uint64_t n;

	if (read_fd(w->sleep_fds[i], text, sizeof(text)) < 0 || !genwatch_read_slept(text, &n))
		return false;
	l->n_slept += n;
	return true;
}

bool genwatch_look(const struct genwatch *w, struct genwatch_look *l)
{
	const double until_s = now_s() + TICKS_MOST_S;
	uint64_t ticks = 0;

	*l = (struct genwatch_look){.is_exact = w->has_rest && w->n_threads > 0};
	for (unsigned i = 0; i < w->n_threads; i++) {
		if (!look_at_thread(w, i, until_s, l) || !look_at_sleep(w, i, l))
			return false;
	}
	if (!read_cpus(w, GENWATCH_STEAL, &ticks))
		return false;
	l->stolen_s = (double)ticks / (double)sysconf(_SC_CLK_TCK);
	return true;
}

struct genwatch_lost genwatch_between(
	const struct genwatch *w, const struct genwatch_look *from, const struct genwatch_look *to)
{
	struct genwatch_lost lost = {
		.waited_s = to->waited_s - from->waited_s,
		.stolen_s = to->stolen_s - from->stolen_s,
	};
	double rest;

	if (!w->has_rest || !from->is_exact || !to->is_exact || from->n_slept != to->n_slept)
		return lost;
	rest = to->at_s - from->at_s - (to->ran_s - from->ran_s) - lost.waited_s;
	lost.stolen_s = rest > 0 ? rest : 0;
	return lost;
}
