/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb_server — the backend behind the balancers that are compared: answers requests of lb_wire.h on as many connections as there
 * are, as fast as one thread can. It closes a connection when its client has, and when what it gets is no request, byte for byte; that
 * is told on standard error and counted. Until SIGTERM or SIGINT; then a line on standard output, and status 1 where anything was wrong.
 */
#include "lb_wire.h"
#include "loadbase.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS 256
#define PIECES 16 /* of a body, in a system call */
#define TOLD_MAX 3u

struct conn {
	int fd;
	struct lb_wire w;  /* what is being answered */
	uint64_t n_out;    /* of that answer, bytes that are sent */
	bool is_answering; /* the socket is full, and EPOLLOUT is waited for */
	unsigned n_in;     /* bytes that have come and were not answered */
	uint8_t in[2 * LB_WIRE_REQUEST_MAX];
};

static uint64_t n_conns, n_requests, n_wrong, n_reset;
static int epoll_fd;

static void usage(void)
{
	fputs("usage: lb_server [--host ADDRESS] [--port N]    0.0.0.0, 8080\n", stderr);
	exit(2);
}

static void watch(int fd, void *ptr, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = ptr};

	if (epoll_ctl(epoll_fd, op, fd, &ev) != 0)
		loadbase_die("epoll: %s", strerror(errno));
}

static void end(struct conn *c)
{
	close(c->fd);
	free(c);
}

static void end_wrong(struct conn *c, const char *why)
{
	if (n_wrong++ < TOLD_MAX)
		fprintf(stderr, "wrong: %s: %s\n", why, lb_wire_show(c->in, c->n_in));
	end(c);
}

/* What is left of an answer. Returns what sendmsg() does. */
static ssize_t send_some(const struct conn *c)
{
	uint8_t head[LB_WIRE_HEAD];
	struct iovec iov[PIECES];
	struct msghdr msg = {.msg_iov = iov};
	uint64_t at = c->n_out;

	if (at < LB_WIRE_HEAD) {
		lb_wire_build(head, &c->w, true);
		iov[msg.msg_iovlen++] =
			(struct iovec){.iov_base = head + at, .iov_len = LB_WIRE_HEAD - at};
		at = LB_WIRE_HEAD;
	}
	while (at < c->w.answer_len && msg.msg_iovlen < PIECES) {
		struct iovec *v = &iov[msg.msg_iovlen++];
		union {
			const uint8_t *from;
			void *to; /* sendmsg() only reads */
		} p;

		p.from = lb_wire_body(
			c->w.number, at - LB_WIRE_HEAD, c->w.answer_len - at, &v->iov_len);
		v->iov_base = p.to;
		at += v->iov_len;
	}
	return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

enum sent { SENT_ALL, SENT_SOME, SENT_BROKEN };

static enum sent send_answer(struct conn *c)
{
	while (c->n_out < c->w.answer_len) {
		const ssize_t n = send_some(c);

		if (n < 0)
			return errno == EAGAIN ? SENT_SOME : SENT_BROKEN;
		c->n_out += (uint64_t)n;
	}
	n_requests++;
	return SENT_ALL;
}

/* Answers what has come, until the socket is full. False: the connection is gone. */
static bool answer(struct conn *c)
{
	unsigned at = 0;

	while (!c->is_answering && c->n_in - at >= LB_WIRE_HEAD) {
		if (!lb_wire_parse(&c->w, c->in + at)) {
			end_wrong(c, "no head of a request");
			return false;
		}
		if (c->n_in - at < c->w.request_len)
			break;
		if (!lb_wire_is_right(&c->w, false, 0, c->in + at, c->w.request_len)) {
			end_wrong(c, "a request that has changed on its way");
			return false;
		}
		at += c->w.request_len;
		c->n_out = 0;
		switch (send_answer(c)) {
		case SENT_ALL:
			break;
		case SENT_SOME:
			c->is_answering = true;
			watch(c->fd, c, EPOLL_CTL_MOD, EPOLLOUT);
			break;
		case SENT_BROKEN:
			n_reset++;
			end(c);
			return false;
		}
	}
	c->n_in -= at;
	if (at > 0)
		memmove(c->in, c->in + at, c->n_in);
	return true;
}

static void on_writable(struct conn *c)
{
	switch (send_answer(c)) {
	case SENT_ALL:
		c->is_answering = false;
		watch(c->fd, c, EPOLL_CTL_MOD, EPOLLIN);
		answer(c);
		break;
	case SENT_SOME:
		break;
	case SENT_BROKEN:
		n_reset++;
		end(c);
	}
}

static void on_readable(struct conn *c)
{
	const ssize_t n = recv(c->fd, c->in + c->n_in, sizeof(c->in) - c->n_in, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		n_reset += n < 0;
		if (n == 0 && c->n_in > 0)
			end_wrong(c, "the end in the midst of a request");
		else
			end(c);
		return;
	}
	c->n_in += (unsigned)n;
	answer(c);
}

static void on_listener(int listener)
{
	const int one = 1;
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = loadbase_must(malloc(sizeof(*c)));

		c->fd = fd;
		c->n_in = 0;
		c->is_answering = false;
		n_conns++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, c, EPOLL_CTL_ADD, EPOLLIN);
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		loadbase_die("accept: %s; raise `ulimit -n`?", strerror(errno));
}

static int listen_at(const char *host, uint16_t port)
{
	union loadbase_address a;
	const socklen_t len = loadbase_address(host, port, &a);
	const int one = 1,
		  fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		loadbase_die("a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &a.any, len) != 0 || listen(fd, 16384) != 0)
		loadbase_die("%s port %u: %s", host, port, strerror(errno));
	return fd;
}

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'}, {NULL, 0, NULL, 0}};
	const char *host = "0.0.0.0";
	uint16_t port = 8080;
	int c, listener, stop;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			host = optarg;
			break;
		case 'p':
			port = (uint16_t)loadbase_number(optarg, 1, 65535);
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	lb_wire_init();
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_at(host, port);
	stop = signals();
	watch(listener, &listener, EPOLL_CTL_ADD, EPOLLIN);
	watch(stop, &stop, EPOLL_CTL_ADD, EPOLLIN);
	fputs("ready\n", stderr);
	for (;;) {
		struct epoll_event events[EVENTS];
		const int n = epoll_wait(epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			void *at = events[i].data.ptr;

			if (at == &stop)
				goto out;
			if (at == &listener)
				on_listener(listener);
			else if (((struct conn *)at)->is_answering)
				on_writable(at);
			else
				on_readable(at);
		}
	}
out:
	printf("{\"conns\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"wrong\": %" PRIu64
	       ", \"reset\": %" PRIu64 "}\n",
		n_conns, n_requests, n_wrong, n_reset);
	return n_wrong > 0;
}
