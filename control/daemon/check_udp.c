/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_udp — a probe that sends one datagram and passes when one comes back, with the expected bytes at
 * its begin if there are any. The socket is connected: the kernel gives us only what the backend sends
 * to it from the port that was asked, and tells of an ICMP error, so that a closed port fails at once.
 */
#include "daemon/check_sock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

struct probe {
	struct check_sock s;
	size_t n_expect;  /* 0: any answer */
	uint8_t expect[]; /* a copy: the configuration may go while we wait */
};

/* An error of recv() is one that a router or the backend has told, or the kernel for them. */
static void end_error(struct probe *p, int error)
{
	char text[96];

	if (error == ECONNREFUSED)
		snprintf(text, sizeof(text), "nobody listens: the port is unreachable");
	else
		snprintf(text, sizeof(text), "answer: %s", strerror(error));
	check_sock_end(&p->s, error, false, text);
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
			(check_now() - p->s.began) * 1000);
	else
		snprintf(text, sizeof(text), "answered '%s', not what is expected",
			check_sock_text(said, answer, (size_t)n));
	check_sock_end(&p->s, 0, is_pass, text);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char text[96];

	snprintf(text, sizeof(text), "no answer within %u ms", p->s.timeout_ms);
	check_sock_end(&p->s, 0, false, text);
}

static int start(void **out, const struct check_target *target)
{
	const struct conf_check *check = target->check;
	struct probe *p = calloc(1, sizeof(*p) + check->answer.len);
	int rc;

	if (p == NULL)
		return -ENOMEM;
	check_sock_begin(&p->s, target);
	p->n_expect = check->answer.len;
	if (p->n_expect > 0)
		memcpy(p->expect, check->answer.data, p->n_expect);
	p->s.fd = check_sock_open(target, SOCK_DGRAM, 0);
	rc = check_sock_watch(&p->s, target, EV_READ | EV_PERSIST, on_io, on_deadline);
	if (rc == 0 && send(p->s.fd, check->send.data, check->send.len, MSG_NOSIGNAL) < 0)
		rc = -errno;
	if (rc != 0) {
		check_sock_cancel(p);
		return rc;
	}
	*out = p;
	return 0;
}

const struct check_kind check_udp_kind = {.start = start, .cancel = check_sock_cancel};
