/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tcp — a probe that passes when the backend accepts a connection within the timeout. */
#include "daemon/check_sock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct check_sock *s = arg;
	socklen_t len = sizeof(int);
	char text[96];
	int err = 0;

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err == 0)
		snprintf(text, sizeof(text), "connected in %.1f ms",
			(check_now() - s->began) * 1000);
	else
		snprintf(text, sizeof(text), "connect: %s", strerror(err));
	check_sock_end(s, err, err == 0, text);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct check_sock *s = arg;
	char text[96];

	snprintf(text, sizeof(text), "connect timed out (%u ms)", s->timeout_ms);
	check_sock_end(s, 0, false, text);
}

static int start(void **out, const struct check_target *target)
{
	struct check_sock *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return -ENOMEM;
	check_sock_begin(s, target);
	s->fd = check_sock_open(target, SOCK_STREAM, 0);
	rc = check_sock_watch(s, target, EV_WRITE, on_io, on_deadline);
	if (rc != 0) {
		check_sock_cancel(s);
		return rc;
	}
	*out = s;
	return 0;
}

const struct check_kind check_tcp_kind = {.start = start, .cancel = check_sock_cancel};
