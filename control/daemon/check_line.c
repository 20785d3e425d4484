/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_line — probes of servers that answer a line with a line: memcached is asked for its version,
 * Redis is pinged. The
 * connection is closed by us when the line has come, or at the timeout, which counts from the begin of
 * the probe and not from the last byte: a server that sends a byte a second does not keep it alive.
 */
#include "daemon/check_kind.h"
#include "daemon/check_sock.h"

#include <event2/event.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_BYTES_MAX 512 /* of an answer, its end included */

/* What is said, and what the answer must be. */
struct talk {
	const char *request;
	const char *answer; /* the line begins so */
	bool is_whole;      /* and ends there */
	const char *wanted; /* in words */
};

static const struct talk memcached = {"version\r\n", "VERSION ", false, "VERSION and a number"};

/* Only +PONG: one that loads its data (-LOADING), wants a password (-NOAUTH) or has lost its master
 * (-MASTERDOWN) would answer clients in the same way. */
static const struct talk redis = {"PING\r\n", "+PONG", true, "+PONG"};

struct probe {
	const struct talk *talk;
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
	struct event *io, *deadline;
	bool is_asked;
	int fd;
	uint32_t timeout_ms;
	double began;
	size_t n_bytes;
	char line[LINE_BYTES_MAX];
};

static void cancel(void *arg)
{
	struct probe *p = arg;

	if (p->io != NULL)
		event_free(p->io);
	if (p->deadline != NULL)
		event_free(p->deadline);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

/* error: what failed on our side or in between, 0: nothing did. */
static void end(struct probe *p, int error, bool is_pass, const char *text)
{
	void (*const on_end)(void *, int, const struct check_result *) = p->on_end;
	void *const arg = p->arg;
	const struct check_result r = {
		.is_pass = is_pass,
		.text = text,
		.latency_seconds = check_now() - p->began,
	};

	cancel(p);
	on_end(arg, error, &r);
}

static void end_error(struct probe *p, const char *what, int error)
{
	char text[96];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	end(p, error, false, text);
}

/* line[0..n) is whole, with its end. */
static void judge(struct probe *p, size_t n)
{
	const size_t len = strlen(p->talk->answer);
	char said[CHECK_SOCK_TEXT_MAX], text[2 * CHECK_SOCK_TEXT_MAX];
	const bool has_cr = n >= 2 && p->line[n - 2] == '\r';
	const size_t n_text = n - (has_cr ? 2 : 1);
	const bool is_pass = has_cr && (p->talk->is_whole ? n_text == len : n_text >= len)
		&& memcmp(p->line, p->talk->answer, len) == 0;

	check_sock_text(said, p->line, n_text);
	if (is_pass)
		snprintf(
			text, sizeof(text), "%s in %.1f ms", said, (check_now() - p->began) * 1000);
	else if (!has_cr)
		snprintf(text, sizeof(text), "no CR LF ends the answer '%s'", said);
	else
		snprintf(text, sizeof(text), "answered '%s', not %s", said, p->talk->wanted);
	end(p, 0, is_pass, text);
}

static void read_more(struct probe *p)
{
	const ssize_t n = recv(p->fd, p->line + p->n_bytes, sizeof(p->line) - p->n_bytes, 0);
	const char *line_end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_error(p, "answer", errno);
		return;
	}
	if (n == 0) {
		end(p, 0, false,
			p->n_bytes == 0 ? "the connection was closed without an answer"
					: "the connection was closed within the answer");
		return;
	}
	line_end = memchr(p->line + p->n_bytes, '\n', (size_t)n);
	p->n_bytes += (size_t)n;
	if (line_end != NULL)
		judge(p, (size_t)(line_end - p->line) + 1);
	else if (p->n_bytes == sizeof(p->line))
		end(p, 0, false, "the answer has no line end within 512 bytes");
}

static_assert(LINE_BYTES_MAX == 512, "the text above says so");

/* A request is far smaller than the buffer of a new socket: it goes as a whole or not at all. */
static void ask(struct probe *p)
{
	const size_t len = strlen(p->talk->request);
	socklen_t size = sizeof(int);
	ssize_t n;
	int err = 0;

	getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &size);
	if (err != 0) {
		end_error(p, "connect", err);
		return;
	}
	n = send(p->fd, p->talk->request, len, MSG_NOSIGNAL);
	if (n != (ssize_t)len) {
		end_error(p, "request", n < 0 ? errno : ENOBUFS);
		return;
	}
	p->is_asked = true;
	event_del(p->io);
	event_assign(p->io, event_get_base(p->io), p->fd, EV_READ | EV_PERSIST,
		event_get_callback(p->io), p);
	event_add(p->io, NULL);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	if (p->is_asked)
		read_more(p);
	else
		ask(p);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char text[96];

	snprintf(text, sizeof(text),
		!p->is_asked              ? "connect timed out (%u ms)"
			: p->n_bytes == 0 ? "no answer within %u ms"
					  : "no whole answer within %u ms",
		p->timeout_ms);
	end(p, 0, false, text);
}

static int start(void **out, const struct check_target *target, const struct talk *talk)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct timeval tv;
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->talk = talk;
	p->on_end = target->on_end;
	p->arg = target->arg;
	p->timeout_ms = target->check->timeout_ms;
	p->began = check_now();
	p->fd = check_sock_open(target->ip, target->port, SOCK_STREAM, 0);
	rc = p->fd < 0 ? p->fd : 0;
	if (rc == 0) {
		p->io = event_new(target->base, p->fd, EV_WRITE, on_io, p);
		p->deadline = evtimer_new(target->base, on_deadline, p);
		rc = p->io != NULL && p->deadline != NULL ? 0 : -ENOMEM;
	}
	if (rc != 0) {
		cancel(p);
		return rc;
	}
	tv.tv_sec = p->timeout_ms / 1000;
	tv.tv_usec = (p->timeout_ms % 1000) * 1000;
	event_add(p->io, NULL);
	evtimer_add(p->deadline, &tv);
	*out = p;
	return 0;
}

static int start_memcached(void **out, const struct check_target *target)
{
	return start(out, target, &memcached);
}

static int start_redis(void **out, const struct check_target *target)
{
	return start(out, target, &redis);
}

const struct check_kind check_line_memcached_kind = {.start = start_memcached, .cancel = cancel};
const struct check_kind check_line_redis_kind = {.start = start_redis, .cancel = cancel};
