/* SPDX-License-Identifier: BSD-3-Clause */
/* request — see request.h. The socket is non-blocking; every wait is a poll with what is left of
 * the deadline, so that a daemon that accepts and never answers cannot hold the CLI. */
#include "cli/request.h"

#include "lib/text.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_ID 1
#define REQUEST_CHUNK 65536u

uint64_t request_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

enum cmd_exit request_fail(struct request_failure *f, enum cmd_exit exit, const char *code,
	const char *hint, const char *fmt, ...)
{
	va_list ap;

	memset(f, 0, sizeof(*f));
	f->exit = exit;
	snprintf(f->code, sizeof(f->code), "%s", code);
	snprintf(f->hint, sizeof(f->hint), "%s", hint == NULL ? "" : hint);
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
	return exit;
}

void request_failure_fini(struct request_failure *f)
{
	json_decref(f->details);
	f->details = NULL;
}

/* 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, uint64_t deadline_ms)
{
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		const uint64_t now = request_now_ms();
		int n;

		if (now >= deadline_ms)
			return -ETIMEDOUT;
		n = poll(&p, 1, deadline_ms - now > 1000000 ? 1000000 : (int)(deadline_ms - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* A local connect does not wait in poll: a full backlog gives EAGAIN until there is room. */
static int connect_until(int fd, const struct sockaddr_un *sa, uint64_t deadline_ms)
{
	while (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0) {
		const struct timespec pause = {.tv_nsec = 5000000};

		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (request_now_ms() >= deadline_ms)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int send_all(int fd, const char *data, size_t n, uint64_t deadline_ms)
{
	while (n > 0) {
		const ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
		int rc = 0;

		if (sent >= 0) {
			data += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			rc = wait_for(fd, POLLOUT, deadline_ms);
		} else if (errno != EINTR) {
			rc = -errno;
		}
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Reads up to the first newline into *line (allocated, without the newline). 0, -ETIMEDOUT,
 * -ECONNRESET when the peer closed, -EMSGSIZE, -ENOMEM, -errno. */
static int read_line(int fd, uint64_t deadline_ms, char **line, size_t *len)
{
	char *buf = NULL;
	size_t n = 0, max = 0;
	int rc;

	for (;;) {
		ssize_t got;
		char *end;

		if (n + REQUEST_CHUNK > max) {
			char *const grown = realloc(buf, max = max * 2 + REQUEST_CHUNK);

			rc = -ENOMEM;
			if (grown == NULL)
				break;
			buf = grown;
		}
		got = recv(fd, buf + n, REQUEST_CHUNK, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
			rc = wait_for(fd, POLLIN, deadline_ms);
			if (rc != 0)
				break;
			continue;
		}
		rc = got < 0 ? -errno : -ECONNRESET;
		if (got <= 0)
			break;
		end = memchr(buf + n, '\n', (size_t)got);
		n += (size_t)got;
		if (end != NULL) {
			*len = (size_t)(end - buf);
			*line = buf;
			return 0;
		}
		rc = -EMSGSIZE;
		if (n > REQUEST_LINE_MAX)
			break;
	}
	free(buf);
	return rc;
}

static enum cmd_exit fail_transport(
	struct request_failure *f, int rc, const char *socket_path, const char *method)
{
	switch (rc) {
	case -ETIMEDOUT:
		return request_fail(f, EXIT_TIMEOUT, "timeout",
			"the daemon is busy or stopped; --timeout gives it longer",
			"%s: no answer to %s in time", socket_path, method);
	case -ECONNRESET:
	case -EPIPE:
		return request_fail(f, EXIT_UNREACHABLE, "unreachable",
			"the daemon was stopped or restarted: try again, then see its log",
			"%s: the daemon closed the connection before it answered %s", socket_path,
			method);
	case -EMSGSIZE:
		return request_fail(f, EXIT_FAILED, "internal", "ask for less, as with --limit",
			"%s: the answer to %s is longer than 16 MiB", socket_path, method);
	case -EACCES:
	case -EPERM:
		return request_fail(f, EXIT_DENIED, "denied",
			"run as root or as a member of the daemon's group", "%s: %s", socket_path,
			strerror(-rc));
	case -ENOENT:
	case -ECONNREFUSED:
		return request_fail(f, EXIT_UNREACHABLE, "unreachable",
			"is millrace-controld running? -s or MILLRACE_SOCKET name another socket",
			"%s: %s", socket_path, strerror(-rc));
	default:
		return request_fail(f, EXIT_UNREACHABLE, "unreachable", NULL, "%s: %s", socket_path,
			strerror(-rc));
	}
}

/* Sends the line and reads the answer over a connection of its own. 0 or -errno. */
static int exchange(const char *socket_path, const char *request, uint64_t deadline_ms, char **line,
	size_t *len)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, rc;

	if (strlen(socket_path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, socket_path, strlen(socket_path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rc = connect_until(fd, &sa, deadline_ms);
	if (rc == 0)
		rc = send_all(fd, request, strlen(request), deadline_ms);
	if (rc == 0)
		rc = send_all(fd, "\n", 1, deadline_ms);
	/* A daemon that refuses a request may answer and close while we still send. */
	if (rc == 0 || rc == -EPIPE) {
		const int rc_read = read_line(fd, deadline_ms, line, len);

		rc = rc_read == 0 || rc == 0 ? rc_read : rc;
	}
	close(fd);
	return rc;
}

static enum cmd_exit exit_of(const char *code, const char *method)
{
	static const struct {
		const char *code;
		enum cmd_exit exit;
	} exits[] = {{"usage", EXIT_USAGE}, {"conflict", EXIT_CONFLICT},
		{"unreachable", EXIT_UNREACHABLE}, {"denied", EXIT_DENIED},
		{"timeout", EXIT_TIMEOUT}};

	if (strcmp(code, "invalid") == 0 && strncmp(method, "config.", 7) == 0)
		return EXIT_INVALID;
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		if (strcmp(code, exits[i].code) == 0)
			return exits[i].exit;
	}
	return EXIT_FAILED;
}

/* A conflict is one of generations only where generations are asked for. */
static enum cmd_exit fail_error(struct request_failure *f, const json_t *error, const char *method)
{
	const char *const code = json_string_value(json_object_get(error, "code"));
	const char *const message = json_string_value(json_object_get(error, "message"));
	const char *const hint = json_string_value(json_object_get(error, "hint"));
	json_t *const details = json_object_get(error, "details");

	request_fail(f, exit_of(code == NULL ? "internal" : code, method),
		code == NULL ? "internal" : code, hint, "%s",
		message == NULL ? "the daemon gave no reason" : message);
	if (f->exit == EXIT_CONFLICT && strncmp(method, "config.", 7) != 0)
		f->exit = EXIT_FAILED;
	if (json_array_size(details) > 0)
		f->details = json_incref(details);
	return f->exit;
}

/* Takes the line apart. */
static enum cmd_exit read_answer(const char *socket_path, const char *method, const char *line,
	size_t len, json_t **result, struct request_failure *f)
{
	json_error_t bad;
	json_t *const answer = json_loadb(line, len, JSON_REJECT_DUPLICATES, &bad);
	const json_t *const id = json_object_get(answer, "id");
	json_t *const error = json_object_get(answer, "error");
	enum cmd_exit exit = EXIT_DONE;

	*result = json_object_get(answer, "result");
	if (answer == NULL)
		exit = request_fail(f, EXIT_FAILED, "internal",
			"does the socket belong to millrace-controld?",
			"%s: the answer to %s is not JSON: %s", socket_path, method, bad.text);
	else if (json_is_object(error)
		&& (json_is_null(id) || id == NULL || json_integer_value(id) == REQUEST_ID))
		exit = fail_error(f, error, method);
	else if (!json_is_integer(id) || json_integer_value(id) != REQUEST_ID
		|| !json_is_object(*result) || !json_is_array(json_object_get(*result, "items")))
		exit = request_fail(f, EXIT_FAILED, "internal",
			"are the daemon and the CLI of the same version?",
			"%s: the answer to %s has not the form that was agreed", socket_path,
			method);
	else
		json_incref(*result);
	json_decref(answer);
	return exit;
}

enum cmd_exit request_call(const char *socket_path, const char *method, json_t *params,
	uint64_t deadline_ms, json_t **result, struct request_failure *f)
{
	json_t *const request =
		json_pack("{s:i, s:s, s:O*}", "id", REQUEST_ID, "method", method, "params", params);
	char *const text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
	enum cmd_exit exit;
	char *line = NULL;
	size_t len = 0;
	int rc;

	json_decref(request);
	if (text == NULL)
		return request_fail(f, EXIT_FAILED, "internal", NULL, "%s: out of memory", method);
	if (strlen(text) >= REQUEST_LINE_MAX) {
		free(text);
		return request_fail(f, EXIT_FAILED, "usage", "the file is too large",
			"%s: the request is longer than 16 MiB", method);
	}
	rc = exchange(socket_path, text, deadline_ms, &line, &len);
	free(text);
	if (rc != 0)
		return fail_transport(f, rc, socket_path, method);
	exit = read_answer(socket_path, method, line, len, result, f);
	free(line);
	return exit;
}
