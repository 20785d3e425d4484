/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_line — probes of servers that answer a line with a line: memcached is asked for its version,
 * Redis is pinged. The
 * connection is closed by us when the line has come, or at the timeout, which counts from the begin of
 * the probe and not from the last byte: a server that sends a byte a second does not keep it alive.
 */
#include "daemon/check_sock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

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
	struct check_sock s;
	const struct talk *talk;
	bool is_asked;
	size_t n_bytes;
	char line[LINE_BYTES_MAX];
};

static void end_error(struct probe *p, const char *what, int error)
{
	char text[96];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	check_sock_end(&p->s, error, false, text);
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
		snprintf(text, sizeof(text), "%s in %.1f ms", said,
			(check_now() - p->s.began) * 1000);
	else if (!has_cr)
		snprintf(text, sizeof(text), "no CR LF ends the answer '%s'", said);
	else
		snprintf(text, sizeof(text), "answered '%s', not %s", said, p->talk->wanted);
	check_sock_end(&p->s, 0, is_pass, text);
}

static void read_more(struct probe *p)
{
	const ssize_t n = recv(p->s.fd, p->line + p->n_bytes, sizeof(p->line) - p->n_bytes, 0);
	const char *line_end;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_error(p, "answer", errno);
		return;
	}
	if (n == 0) {
		check_sock_end(&p->s, 0, false,
			p->n_bytes == 0 ? "the connection was closed without an answer"
					: "the connection was closed within the answer");
		return;
	}
	line_end = memchr(p->line + p->n_bytes, '\n', (size_t)n);
	p->n_bytes += (size_t)n;
	if (line_end != NULL)
		judge(p, (size_t)(line_end - p->line) + 1);
	else if (p->n_bytes == sizeof(p->line))
		check_sock_end(&p->s, 0, false, "the answer has no line end within 512 bytes");
}

static_assert(LINE_BYTES_MAX == 512, "the text above says so");

/* A request is far smaller than the buffer of a new socket: it goes as a whole or not at all. */
static void ask(struct probe *p)
{
	const size_t len = strlen(p->talk->request);
	socklen_t size = sizeof(int);
	ssize_t n;
	int err = 0;

	getsockopt(p->s.fd, SOL_SOCKET, SO_ERROR, &err, &size);
	if (err != 0) {
		end_error(p, "connect", err);
		return;
	}
	n = send(p->s.fd, p->talk->request, len, MSG_NOSIGNAL);
	if (n != (ssize_t)len) {
		end_error(p, "request", n < 0 ? errno : ENOBUFS);
		return;
	}
	p->is_asked = true;
	event_del(p->s.io);
	event_assign(p->s.io, event_get_base(p->s.io), p->s.fd, EV_READ | EV_PERSIST,
		event_get_callback(p->s.io), p);
	event_add(p->s.io, NULL);
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
		p->s.timeout_ms);
	check_sock_end(&p->s, 0, false, text);
}

static int start(void **out, const struct check_target *target, const struct talk *talk)
{
	struct probe *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->talk = talk;
	check_sock_begin(&p->s, target);
	p->s.fd = check_sock_open(target, SOCK_STREAM, 0);
	rc = check_sock_watch(&p->s, target, EV_WRITE, on_io, on_deadline);
	if (rc != 0) {
		check_sock_cancel(p);
		return rc;
	}
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

const struct check_kind check_line_memcached_kind = {
	.start = start_memcached, .cancel = check_sock_cancel};
const struct check_kind check_line_redis_kind = {.start = start_redis, .cancel = check_sock_cancel};
