/* SPDX-License-Identifier: BSD-3-Clause */
/* check_sock — see check_sock.h. */
#include "daemon/check_sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(int fd, const struct mr_ip *ip, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int rc;

	memcpy(&v4.sin_addr, ip->bytes, 4);
	memcpy(&v6.sin6_addr, ip->bytes, 16);
	rc = ip->family == 4 ? connect(fd, (const struct sockaddr *)&v4, sizeof(v4))
			     : connect(fd, (const struct sockaddr *)&v6, sizeof(v6));
	return rc == 0 || errno == EINPROGRESS ? 0 : -errno;
}

/* Probes of several services may come from one port: SO_REUSEADDR lets them, as none of them listens. */
int check_sock_bind(int fd, uint8_t family, uint16_t port)
{
	const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	const struct linger reset = {.l_onoff = 1};
	const int on = 1;
	int rc;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0
		|| setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0)
		return -errno;
	rc = family == 4 ? bind(fd, (const struct sockaddr *)&v4, sizeof(v4))
			 : bind(fd, (const struct sockaddr *)&v6, sizeof(v6));
	return rc == 0 ? 0 : -errno;
}

int check_sock_open(const struct check_target *t, int type, int protocol)
{
	const int fd = socket(t->ip->family == 4 ? AF_INET : AF_INET6,
		type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (t->local_port != 0)
		rc = check_sock_bind(fd, t->ip->family, t->local_port);
	if (rc == 0)
		rc = connect_to(fd, t->ip, protocol == 0 ? t->port : 0);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

void check_sock_begin(struct check_sock *s, const struct check_target *target)
{
	s->on_end = target->on_end;
	s->arg = target->arg;
	s->timeout_ms = target->check->timeout_ms;
	s->began = check_now();
	s->fd = -1;
}

int check_sock_watch(struct check_sock *s, const struct check_target *target, short what,
	event_callback_fn on_io, event_callback_fn on_deadline)
{
	const struct timeval tv = {s->timeout_ms / 1000, (s->timeout_ms % 1000) * 1000};

	if (s->fd < 0)
		return s->fd;
	s->io = event_new(target->base, s->fd, what, on_io, s);
	s->deadline = evtimer_new(target->base, on_deadline, s);
	if (s->io == NULL || s->deadline == NULL)
		return -ENOMEM;
	event_add(s->io, NULL);
	evtimer_add(s->deadline, &tv);
	return 0;
}

void check_sock_cancel(void *probe)
{
	struct check_sock *s = probe;

	if (s->io != NULL)
		event_free(s->io);
	if (s->deadline != NULL)
		event_free(s->deadline);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void check_sock_end(struct check_sock *s, int error, bool is_pass, const char *text)
{
	void (*const on_end)(void *, int, const struct check_result *) = s->on_end;
	void *const arg = s->arg;
	const struct check_result r = {
		.is_pass = is_pass,
		.text = text,
		.latency_seconds = check_now() - s->began,
	};

	check_sock_cancel(s);
	on_end(arg, error, &r);
}

const char *check_sock_text(char buf[CHECK_SOCK_TEXT_MAX], const void *data, size_t len)
{
	static const char more[] = "...";
	const bool is_long = len > CHECK_SOCK_TEXT_MAX - sizeof(more);
	const size_t n = is_long ? CHECK_SOCK_TEXT_MAX - sizeof(more) : len;
	const uint8_t *bytes = data;

	for (size_t i = 0; i < n; i++)
		buf[i] = (char)(bytes[i] >= 0x20 && bytes[i] < 0x7f ? bytes[i] : '?');
	memcpy(buf + n, is_long ? more : "", is_long ? sizeof(more) : 1);
	return buf;
}
