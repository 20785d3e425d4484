/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_exec — a probe that runs a command of the operator's and passes when its exit status is 0.
 *
 * The command gets nothing of the daemon's: no shell, no environment but three variables of ours,
 * /dev/null for input and output, no other descriptor (not all libraries open theirs with O_CLOEXEC), no
 * ignored or blocked signals, / as its directory, the usual limit of descriptors and not the one that the
 * daemon has raised for itself: programs that close all they could have would need seconds. It leads a session of its own, so that one signal ends it
 * with all that it started and did not send away.
 *
 * A pid is ours until we have waited for it. So a group is killed first and its leader waited for after
 * that, and neither pid nor group can be somebody else's (X1). SIGCHLD is an event of the loop from before
 * the first command on; one signal may stand for many children, so all of them are looked at (X2). A command
 * that was given up, or was too slow, is reported at once and stays in the list until the kernel lets go of
 * it (X3): waiting for it here could stop the daemon. Those that even SIGKILL does not end, as with a dead
 * network file system under them, are counted, and beyond DYING_MAX no more are started.
 */
#include "daemon/check_kind.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define DYING_MAX 64
#define COMMAND_DESCRIPTORS 1024 /* soft limit; the hard one is the daemon's */
#define FAREWELL_MS 1000         /* what the daemon's end waits for killed commands, at most */

struct probe {
	LIST_ENTRY(probe) link;
	struct check_exec *owner;
	pid_t pid;
	/* NULL: killed, and reported if anybody wants to know */
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
	struct event *deadline;
	uint32_t timeout_ms;
	double began;
};

LIST_HEAD(probe_list, probe);

struct check_exec {
	struct event_base *base;
	struct event *child; /* NULL: nothing was started yet */
	struct probe_list probes;
	unsigned n_dying;
};

static void free_probe(struct probe *p)
{
	if (p->deadline != NULL)
		event_free(p->deadline);
	free(p);
}

/* Its leader has not been waited for (X1). */
static void kill_group(const struct probe *p)
{
	kill(-p->pid, SIGKILL);
}

/* The command has ended: its group goes with it, then its pid. */
static void bury(struct probe *p)
{
	kill_group(p);
	waitpid(p->pid, NULL, 0);
	if (p->on_end == NULL)
		p->owner->n_dying--;
	LIST_REMOVE(p, link);
	free_probe(p);
}

static void cancel(void *arg)
{
	struct probe *p = arg;

	kill_group(p);
	event_del(p->deadline);
	p->on_end = NULL;
	p->owner->n_dying++;
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	void (*const on_end)(void *, int, const struct check_result *) = p->on_end;
	struct check_result r = {.latency_seconds = check_now() - p->began};
	char text[96];

	snprintf(text, sizeof(text), "did not end within %u ms, killed", p->timeout_ms);
	r.text = text;
	cancel(p);
	on_end(p->arg, 0, &r);
}

/* Whether the command has ended, and how; it is not waited for yet. */
static bool has_ended(const struct probe *p, siginfo_t *how)
{
	memset(how, 0, sizeof(*how));
	return waitid(P_PID, (id_t)p->pid, how, WEXITED | WNOHANG | WNOWAIT) == 0
		&& how->si_pid == p->pid;
}

static void report(struct probe *p, const siginfo_t *how)
{
	void (*const on_end)(void *, int, const struct check_result *) = p->on_end;
	void *const arg = p->arg;
	struct check_result r = {.latency_seconds = check_now() - p->began};
	char text[96];

	r.is_pass = how->si_code == CLD_EXITED && how->si_status == 0;
	if (r.is_pass)
		snprintf(text, sizeof(text), "exit status 0 in %.1f ms", r.latency_seconds * 1000);
	else if (how->si_code == CLD_EXITED)
		snprintf(text, sizeof(text), "exit status %d", how->si_status);
	else
		snprintf(text, sizeof(text), "ended by signal %d (%s)", how->si_status,
			sigdescr_np(how->si_status) != NULL ? sigdescr_np(how->si_status) : "?");
	r.text = text;
	bury(p);
	on_end(arg, 0, &r);
}

/* on_end may start probes and cancel others; neither frees one (X3). */
static void on_child(evutil_socket_t fd, short what, void *arg)
{
	struct check_exec *x = arg;
	struct probe *p, *next;
	siginfo_t how;

	for (p = LIST_FIRST(&x->probes); p != NULL; p = next) {
		next = LIST_NEXT(p, link);
		if (!has_ended(p, &how))
			continue;
		if (p->on_end != NULL)
			report(p, &how);
		else
			bury(p);
	}
}

int check_exec_create(struct check_exec **out, struct event_base *base)
{
	struct check_exec *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return -ENOMEM;
	x->base = base;
	LIST_INIT(&x->probes);
	*out = x;
	return 0;
}

void check_exec_destroy(struct check_exec **xp)
{
	struct check_exec *x = *xp;
	struct probe *p;
	siginfo_t how;

	*xp = NULL;
	if (x == NULL)
		return;
	for (unsigned ms = 0; !LIST_EMPTY(&x->probes) && ms < FAREWELL_MS; ms += 10) {
		on_child(-1, 0, x);
		if (!LIST_EMPTY(&x->probes))
			poll(NULL, 0, 10);
	}
	while ((p = LIST_FIRST(&x->probes)) != NULL) {
		if (has_ended(p, &how))
			waitpid(p->pid, NULL, 0);
		LIST_REMOVE(p, link);
		free_probe(p);
	}
	if (x->child != NULL)
		event_free(x->child);
	free(x);
}

static int set_up(posix_spawn_file_actions_t *files, posix_spawnattr_t *attr)
{
	sigset_t all, none;
	int rc;

	sigfillset(&all);
	sigemptyset(&none);
	rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, 1, 2);
	if (rc == 0)
		rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
	if (rc == 0)
		rc = posix_spawn_file_actions_addchdir_np(files, "/");
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setflags(
		attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	return rc;
}

/* posix_spawn() has no attribute for limits, but returns when the command runs, so they are the daemon's for that
 * long. The daemon has one thread: nobody opens anything meanwhile. The child closes 0 before it opens it. */
static int spawn_limited(pid_t *pid, const posix_spawn_file_actions_t *files,
	const posix_spawnattr_t *attr, char *const *command, char *const *environment)
{
	struct rlimit ours, theirs;
	bool is_lowered;
	int rc;

	if (getrlimit(RLIMIT_NOFILE, &ours) != 0)
		return errno;
	theirs = ours;
	theirs.rlim_cur = COMMAND_DESCRIPTORS;
	is_lowered = ours.rlim_cur > theirs.rlim_cur;
	if (is_lowered && setrlimit(RLIMIT_NOFILE, &theirs) != 0)
		return errno;
	rc = posix_spawn(pid, command[0], files, attr, command, environment);
	if (is_lowered)
		setrlimit(RLIMIT_NOFILE, &ours);
	return rc;
}

/* 0 with the pid, or -errno, that of a command which cannot be executed among them. */
static int spawn(pid_t *pid, char *const *command, char *const *environment)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc = posix_spawn_file_actions_init(&files);

	if (rc != 0)
		return -rc;
	rc = posix_spawnattr_init(&attr);
	if (rc == 0) {
		rc = set_up(&files, &attr);
		if (rc == 0)
			rc = spawn_limited(pid, &files, &attr, command, environment);
		posix_spawnattr_destroy(&attr);
	}
	posix_spawn_file_actions_destroy(&files);
	return -rc;
}

static int spawn_for(pid_t *pid, const struct check_target *t)
{
	char ip[INET6_ADDRSTRLEN], address[32 + INET6_ADDRSTRLEN], port[48];
	char service[32 + MR_NAME_MAX];
	char *const environment[] = {address, port, service, NULL};

	snprintf(address, sizeof(address), "MILLRACE_BACKEND_ADDRESS=%s",
		mr_ip_text(t->ip, ip, sizeof(ip)));
	snprintf(port, sizeof(port), "MILLRACE_BACKEND_PORT=%u", t->port);
	snprintf(service, sizeof(service), "MILLRACE_SERVICE=%s", t->service);
	return spawn(pid, t->check->command, environment);
}

/* From before the first command on (X2). */
static int hear_of_children(struct check_exec *x)
{
	if (x->child != NULL)
		return 0;
	x->child = evsignal_new(x->base, SIGCHLD, on_child, x);
	if (x->child == NULL)
		return -ENOMEM;
	if (evsignal_add(x->child, NULL) == 0)
		return 0;
	event_free(x->child);
	x->child = NULL;
	return -EMFILE; /* libevent wants descriptors for its first signal, and does not tell */
}

static int start(void **out, const struct check_target *target)
{
	struct check_exec *x = target->exec;
	struct probe *p;
	struct timeval tv;
	int rc = hear_of_children(x);

	if (rc != 0)
		return rc;
	if (x->n_dying >= DYING_MAX)
		return -EBUSY;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->owner = x;
	p->on_end = target->on_end;
	p->arg = target->arg;
	p->timeout_ms = target->check->timeout_ms;
	p->began = check_now();
	p->deadline = evtimer_new(target->base, on_deadline, p);
	rc = p->deadline != NULL ? spawn_for(&p->pid, target) : -ENOMEM;
	if (rc != 0) {
		free_probe(p);
		return rc;
	}
	LIST_INSERT_HEAD(&x->probes, p, link);
	tv.tv_sec = p->timeout_ms / 1000;
	tv.tv_usec = (p->timeout_ms % 1000) * 1000;
	evtimer_add(p->deadline, &tv);
	*out = p;
	return 0;
}

/* A command that did not run has not looked at the backend. */
static const char *remedy(int error)
{
	if (error == EBUSY)
		return "earlier commands that were killed have not ended: see what they wait for";
	if (error == EAGAIN)
		return "check less often, or raise the number of processes (TasksMax=, LimitNPROC=)";
	return "see that the daemon can run its command";
}

const struct check_kind check_exec_kind = {.start = start, .cancel = cancel, .remedy = remedy};
