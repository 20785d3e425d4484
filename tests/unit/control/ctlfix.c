/* SPDX-License-Identifier: BSD-3-Clause */
/* ctlfix — see ctlfix.h. */
#include "ctlfix.h"

#include "lib/confreport.h"
#include "unit.h"

#include <event2/event.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#define GUARD_SEC 30

static int log_saved = -1, log_file = -1;
static char *log_text;

void ctlfix_dir(char dir[64])
{
	snprintf(dir, 64, "/tmp/millrace-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void on_guard(evutil_socket_t fd, short what, void *arg)
{
	*(bool *)arg = true;
}

void ctlfix_run_until(struct event_base *base, bool (*is_done)(void *arg), void *arg)
{
	const struct timeval tv = {GUARD_SEC, 0};
	bool is_late = false;
	struct event *guard = evtimer_new(base, on_guard, &is_late);

	assert_non_null(guard);
	evtimer_add(guard, &tv);
	while (!is_done(arg) && !is_late)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(guard);
	if (is_late)
		fail_msg("what the test waits for did not come within %d s", GUARD_SEC);
}

void ctlfix_run_ready(struct event_base *base)
{
	for (unsigned i = 0; i < 64; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

void ctlfix_log_begin(void)
{
	char path[] = "/tmp/millrace-log-XXXXXX";

	if (log_file >= 0)
		ctlfix_log_end(); /* a test that failed in between */
	fflush(stderr);
	log_file = mkstemp(path);
	assert_true(log_file >= 0);
	unlink(path);
	log_saved = dup(STDERR_FILENO);
	assert_true(dup2(log_file, STDERR_FILENO) >= 0);
}

const char *ctlfix_log_end(void)
{
	off_t len;

	fflush(stderr);
	dup2(log_saved, STDERR_FILENO);
	close(log_saved);
	len = lseek(log_file, 0, SEEK_END);
	free(log_text);
	log_text = calloc(1, (size_t)len + 1);
	assert_non_null(log_text);
	assert_int_equal(pread(log_file, log_text, (size_t)len, 0), len);
	close(log_file);
	log_file = log_saved = -1;
	return log_text;
}

void ctlfix_rm(const char *dir)
{
	if (log_file >= 0)
		fputs(ctlfix_log_end(), stderr);
	assert_int_equal(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

struct conf *ctlfix_conf(const char *text)
{
	struct confreport *r = NULL;
	struct conf *c = NULL;

	if (conf_create(&c, &r, text, strlen(text), "test.yaml", CONF_SECRETS_NEED) != 0)
		fail_msg("%s", r != NULL ? r->items[0].text : "no memory");
	confreport_destroy(&r);
	return c;
}

char *ctlfix_read(const char *dir, const char *name)
{
	char path[512], *text = calloc(1, 1 << 20);
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	if (f == NULL) {
		free(text);
		return NULL;
	}
	assert_non_null(text);
	fread(text, 1, (1 << 20) - 1, f);
	fclose(f);
	return text;
}

void ctlfix_write(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

unsigned ctlfix_n_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}
