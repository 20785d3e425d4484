/* SPDX-License-Identifier: BSD-3-Clause */
/* check_tcp — a probe that passes when the backend accepts a connection within the timeout. */
#include "daemon/check_kind.h"
#include "daemon/check_sock.h"

#include <event2/event.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
	struct check_target target;
	struct event *event;
	uint32_t timeout_ms;
	double began;
	int fd;
};

static void cancel(void *arg)
{
	struct probe *p = arg;

	if (p->event != NULL)
		event_free(p->event);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	const struct check_target target = p->target;
	struct check_result r = {.latency_seconds = check_now() - p->began};
	socklen_t len = sizeof(int);
	char text[96];
	int err = 0;

	if (what & EV_TIMEOUT) {
		snprintf(text, sizeof(text), "connect timed out (%u ms)", p->timeout_ms);
	} else {
		getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		r.is_pass = err == 0;
		if (r.is_pass)
			snprintf(text, sizeof(text), "connected in %.1f ms",
				r.latency_seconds * 1000);
		else
			snprintf(text, sizeof(text), "connect: %s", strerror(err));
	}
	cancel(p);
	r.text = text;
	target.on_end(target.arg, err, &r);
}

static int start(void **out, const struct check_target *target)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct timeval tv;
	int rc = 0;

	if (p == NULL)
		return -ENOMEM;
	p->target = *target;
	p->timeout_ms = target->check->timeout_ms;
	p->began = check_now();
	p->fd = check_sock_open(target->ip, target->port, SOCK_STREAM, 0);
	if (p->fd < 0)
		rc = p->fd;
	if (rc == 0) {
		p->event = event_new(target->base, p->fd, EV_WRITE | EV_TIMEOUT, on_event, p);
		rc = p->event != NULL ? 0 : -ENOMEM;
	}
	if (rc != 0) {
		cancel(p);
		return rc;
	}
	tv.tv_sec = p->timeout_ms / 1000;
	tv.tv_usec = (p->timeout_ms % 1000) * 1000;
	event_add(p->event, &tv);
	*out = p;
	return 0;
}

const struct check_kind check_tcp_kind = {.start = start, .cancel = cancel};
