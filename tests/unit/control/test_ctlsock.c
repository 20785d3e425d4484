/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ctlsock — the path of the control socket: whose it is, who may get at it, and whom it is taken from.
 */
#include "ctlfix.h"
#include "daemon/ctlsrv.h"
#include "daemon/loop.h"
#include "unit.h"

#include <event2/event.h>

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct fix {
	struct event_base *base;
	struct loop *loop;
	struct ctlsrv *server;
	char dir[64], run_dir[80], socket[108], dp_socket[108], state_dir[96], config[96];
};

static int try_create(struct fix *f, const char *path, const char *group, struct ctlsrv **s)
{
	const struct ctlsrv_params params = {.socket = path, .loop = f->loop, .group = group};
	int rc;

	ctlfix_log_begin();
	rc = ctlsrv_create(s, f->base, &params);
	ctlfix_log_end();
	return rc;
}

/* The daemon without a dataplane: the socket is there all the same. */
static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct loop_params params;

	assert_non_null(f);
	ctlfix_dir(f->dir);
	snprintf(f->run_dir, sizeof(f->run_dir), "%s/run", f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->run_dir);
	snprintf(f->dp_socket, sizeof(f->dp_socket), "%s/dataplane.sock", f->dir);
	snprintf(f->state_dir, sizeof(f->state_dir), "%s/state", f->dir);
	snprintf(f->config, sizeof(f->config), "%s/millrace.yaml", f->dir);
	ctlfix_write(f->dir, "millrace.yaml", "version: 1\n");
	f->base = event_base_new();
	params = (struct loop_params){
		.config_file = f->config, .state_dir = f->state_dir, .dataplane = f->dp_socket};
	assert_int_equal(loop_create(&f->loop, f->base, &params), 0);
	assert_int_equal(try_create(f, f->socket, NULL, &f->server), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	ctlsrv_destroy(&f->server);
	loop_destroy(&f->loop);
	ctlfix_run_ready(f->base);
	event_base_free(f->base);
	ctlfix_rm(f->dir);
	free(f);
	return 0;
}

static void the_socket_is_for_the_owner_and_the_group(void **state)
{
	struct fix *f = *state;
	struct stat st;

	assert_int_equal(stat(f->socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(stat(f->run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
}

static void a_path_is_taken_only_from_the_dead(void **state)
{
	struct fix *f = *state;
	struct ctlsrv *second = NULL;
	char path[128], *text;
	int fd;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	assert_int_equal(try_create(f, f->socket, NULL, &second), -EADDRINUSE);
	/* a file is not ours to remove */
	ctlfix_write(f->dir, "precious", "keep me");
	snprintf(path, sizeof(path), "%s/precious", f->dir);
	assert_int_equal(try_create(f, path, NULL, &second), -ENOTSOCK);
	text = ctlfix_read(f->dir, "precious");
	assert_string_equal(text, "keep me");
	free(text);
	/* a socket without a listener is what a killed daemon leaves */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/dead.sock", f->dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	assert_int_equal(try_create(f, sun.sun_path, NULL, &second), 0);
	ctlsrv_destroy(&second);
	assert_int_equal(access(sun.sun_path, F_OK), -1);
	assert_int_equal(try_create(f, sun.sun_path, "no-such-group", &second), -ENOENT);
	assert_null(second);
}

static void the_group_can_get_at_the_socket(void **state)
{
	struct fix *f = *state;
	const struct group *gr = getgrgid(65534);
	struct ctlsrv *s = NULL;
	char path[128];
	struct stat st;

	if (geteuid() != 0 || gr == NULL)
		skip();
	snprintf(path, sizeof(path), "%s/other/control.sock", f->dir);
	assert_int_equal(try_create(f, path, gr->gr_name, &s), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, 65534);
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_gid, 65534);
	assert_int_equal(st.st_mode & 07777, 0750);
	ctlsrv_destroy(&s);
}

/* What a user of these groups is answered. */
static void ask_as(
	struct fix *f, const char *path, gid_t gid, gid_t more, char *answer, size_t size)
{
	static const char lines[] = "{\"id\": 1, \"method\": \"health.show\"}\n"
				    "{\"id\": 2, \"method\": \"backend.drain\", "
				    "\"params\": {\"pool\": \"web\", \"name\": \"web1\"}}\n"
				    "{\"id\": 3, \"method\": \"config.apply\", "
				    "\"params\": {\"text\": \"version: 1\", \"name\": \"x\"}}\n";
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int status, pipe_fds[2];
	ssize_t n;
	pid_t pid;

	memcpy(sun.sun_path, path, strlen(path) + 1);
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (setgroups(1, &more) != 0 || setgid(gid) != 0 || setuid(1) != 0
			|| connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0
			|| write(fd, lines, sizeof(lines) - 1) != (ssize_t)sizeof(lines) - 1
			|| shutdown(fd, SHUT_WR) != 0)
			_exit(1);
		while ((n = read(fd, answer, size)) > 0) {
			if (write(pipe_fds[1], answer, (size_t)n) != n)
				_exit(2);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(status, 0);
	n = read(pipe_fds[0], answer, size - 1);
	assert_true(n > 0);
	answer[n] = '\0';
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* A reader of the machine who is nobody may look and may not touch. */
static void strangers_may_look_but_not_touch(void **state)
{
	struct fix *f = *state;
	char answer[8192];

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(chmod(f->run_dir, 0755), 0);
	assert_int_equal(chmod(f->socket, 0666), 0); /* what the daemon would not do */
	ask_as(f, f->socket, 65534, 65534, answer, sizeof(answer));
	assert_non_null(strstr(answer, "millrace.health/1"));
	assert_non_null(strstr(answer, "backend.drain changes the running system, which uid 1 "));
	assert_non_null(strstr(answer, "config.apply changes the running system"));
	assert_non_null(strstr(answer, "\"code\":\"denied\""));
}

/* The primary group, and what usermod -aG gives. */
static void members_of_the_group_may_change_things(void **state)
{
	struct fix *f = *state;
	const struct group *gr = getgrgid(65534);
	struct ctlsrv *s = NULL;
	char path[128], answer[8192];

	if (geteuid() != 0 || gr == NULL)
		skip();
	snprintf(path, sizeof(path), "%s/other/control.sock", f->dir);
	assert_int_equal(try_create(f, path, gr->gr_name, &s), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	for (unsigned i = 0; i < 2; i++) {
		ask_as(f, path, i == 0 ? 1 : 65534, i == 0 ? 65534 : 1, answer, sizeof(answer));
		assert_non_null(strstr(answer, "millrace.health/1"));
		assert_null(strstr(answer, "denied"));
	}
	ctlsrv_destroy(&s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_socket_is_for_the_owner_and_the_group),
		TEST(a_path_is_taken_only_from_the_dead),
		TEST(the_group_can_get_at_the_socket),
		TEST(strangers_may_look_but_not_touch),
		TEST(members_of_the_group_may_change_things),
	};

	umask(022);
	return cmocka_run_group_tests_name("ctlsock", tests, NULL, NULL);
}
