/* SPDX-License-Identifier: BSD-3-Clause */
/* genwatch — see genwatch.h. */
#include "genwatch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STAT_MAX 65536
#define STEAL_FIELD 8 /* of a CPU's line: user nice system idle iowait irq softirq steal */

bool genwatch_read_waited(const char *text, uint64_t *ns)
{
	uint64_t ran, waited, n_times;

	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &ran, &waited, &n_times) != 3)
		return false;
	*ns = waited;
	return true;
}

bool genwatch_read_stolen(const char *text, unsigned cpu, uint64_t *ticks)
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
	for (unsigned i = 0; i < STEAL_FIELD; i++) {
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
		int fd;

		if (e->d_name[0] == '.' || (!is_all && !is_poller(pid, e->d_name)))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			w->fds[w->n_threads++] = fd;
	}
	closedir(d);
	return 0;
}

int genwatch_init(struct genwatch *w, int pid, const uint16_t *cpus, unsigned n_cpus)
{
	struct genwatch_look l;
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
	if (rc == 0 && !genwatch_look(w, &l))
		rc = -ENOENT;
	if (rc != 0)
		genwatch_fini(w);
	return rc;
}

void genwatch_fini(struct genwatch *w)
{
	for (unsigned i = 0; i < w->n_threads; i++)
		close(w->fds[i]);
	w->n_threads = w->n_cpus = 0;
}

static bool look_at_cpus(const struct genwatch *w, struct genwatch_look *l)
{
	static char text[STAT_MAX]; /* the main thread's */
	const double ticks_s = (double)sysconf(_SC_CLK_TCK);
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read_fd(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return false;
	for (unsigned i = 0; i < w->n_cpus; i++) {
		uint64_t ticks;

		if (!genwatch_read_stolen(text, w->cpus[i], &ticks))
			return false;
		l->stolen_s += (double)ticks / ticks_s;
	}
	return true;
}

bool genwatch_look(const struct genwatch *w, struct genwatch_look *l)
{
	*l = (struct genwatch_look){0};
	for (unsigned i = 0; i < w->n_threads; i++) {
		char text[128];
		uint64_t ns;

		if (read_fd(w->fds[i], text, sizeof(text)) < 0 || !genwatch_read_waited(text, &ns))
			return false;
		l->waited_s += (double)ns / 1e9;
	}
	return w->n_cpus == 0 || look_at_cpus(w, l);
}
