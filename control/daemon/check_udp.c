/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_udp — a probe that sends one datagram and passes when one comes back, with the expected bytes at
 * its begin if there are any. The socket is connected: the kernel gives us only what the backend sends
 * to it from the port that was asked, and tells of an ICMP error, so that a closed port fails at once.
 */
#include "daemon/check_kind.h"
#include "daemon/check_sock.h"

#include <event2/event.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
	struct event *io, *deadline;
	int fd;
	uint32_t timeout_ms;
	double began;
	size_t n_expect;  /* 0: any answer */
	uint8_t expect[]; /* a copy: the configuration may go while we wait */
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

/* An error of recv() is one that a router or the backend has told, or the kernel for them. */
static void end_error(struct probe *p, int error)
{
	char text[96];

	if (error == ECONNREFUSED)
		snprintf(text, sizeof(text), "nobody listens: the port is unreachable");
	else
		snprintf(text, sizeof(text), "answer: %s", strerror(error));
	end(p, error, false, text);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char said[CHECK_SOCK_TEXT_MAX], text[2 * CHECK_SOCK_TEXT_MAX];
	uint8_t answer
		[2048]; /* at least what can be expected; a longer one is cut, its begin counts */
	const ssize_t n = recv(fd, answer, sizeof(answer), 0);
	bool is_pass;

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			end_error(p, errno);
		return;
	}
	is_pass = (size_t)n >= p->n_expect && memcmp(answer, p->expect, p->n_expect) == 0;
	if (is_pass)
		snprintf(text, sizeof(text), "%zd bytes in %.1f ms", n,
			(check_now() - p->began) * 1000);
	else
		snprintf(text, sizeof(text), "answered '%s', not what is expected",
			check_sock_text(said, answer, (size_t)n));
	end(p, 0, is_pass, text);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char text[96];

	snprintf(text, sizeof(text), "no answer within %u ms", p->timeout_ms);
	end(p, 0, false, text);
}

static int start(void **out, const struct check_target *target)
{
	const struct conf_check *check = target->check;
	struct probe *p = calloc(1, sizeof(*p) + check->answer.len);
	struct timeval tv;
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->on_end = target->on_end;
	p->arg = target->arg;
	p->timeout_ms = check->timeout_ms;
	p->began = check_now();
	p->n_expect = check->answer.len;
	if (p->n_expect > 0)
		memcpy(p->expect, check->answer.data, p->n_expect);
	p->fd = check_sock_open(target->ip, target->port, SOCK_DGRAM, 0);
	rc = p->fd < 0 ? p->fd : 0;
	if (rc == 0) {
		p->io = event_new(target->base, p->fd, EV_READ | EV_PERSIST, on_io, p);
		p->deadline = evtimer_new(target->base, on_deadline, p);
		rc = p->io != NULL && p->deadline != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0 && send(p->fd, check->send.data, check->send.len, MSG_NOSIGNAL) < 0)
		rc = -errno;
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

const struct check_kind check_udp_kind = {.start = start, .cancel = cancel};
