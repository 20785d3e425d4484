/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_probe — probes that are not a TCP connection. udp goes to sockets that the test serves on the same
 * event loop, icmp to the kernel of a network namespace of our own, exec runs commands. What passes, what fails and with which words, and that nothing is left open.
 */
#include "ctlfix.h"
#include "daemon/check.h"
#include "unit.h"

#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct fix {
	struct event_base *base;
	struct check *check;
	struct conf conf;
	struct conf_check conf_check;
	struct conf_pool pool;
	struct conf_service service;
	struct conf_backend backends[2];
	unsigned n_results;
	bool is_pass;
	char text[256];
};

static void on_result(void *arg, size_t pool, size_t backend, const struct check_result *r)
{
	struct fix *f = arg;

	f->n_results++;
	f->is_pass = r->is_pass;
	snprintf(f->text, sizeof(f->text), "%s", r->text);
	assert_true(r->latency_seconds >= 0);
	assert_null(strchr(f->text, '\n'));
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base = event_base_new();
	assert_int_equal(check_create(&f->check, f->base, on_result, f), 0);
	f->conf_check = (struct conf_check){.name = "c",
		.type = CONF_CHECK_UDP,
		.interval_ms = 3600000,
		.timeout_ms = 20000,
		.rise = 1,
		.fall = 1};
	f->backends[0] = (struct conf_backend){.name = "b0", .ip = {4, {127, 0, 0, 1}}, .port = 1};
	f->pool = (struct conf_pool){
		.name = "p", .check = &f->conf_check, .backends = f->backends, .n_backends = 1};
	f->service = (struct conf_service){.name = "s", .port = 1, .pool = &f->pool};
	f->conf = (struct conf){.checks = &f->conf_check,
		.n_checks = 1,
		.pools = &f->pool,
		.n_pools = 1,
		.services = &f->service,
		.n_services = 1};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	check_destroy(&f->check);
	event_base_free(f->base);
	free(f);
	return 0;
}

static bool has_result(void *arg)
{
	const struct fix *f = arg;

	return f->n_results > 0;
}

/* One probe of the first backend. */
static void probe(struct fix *f)
{
	static const struct conf none;

	f->n_results = 0;
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	ctlfix_run_until(f->base, has_result, f);
	assert_int_equal(check_adapt(f->check, &none), 0); /* the next one begins anew */
	assert_int_equal(f->n_results, 1);
}

static void assert_result(const struct fix *f, const char *what, bool is_pass, const char *said)
{
	if (f->is_pass != is_pass || strstr(f->text, said) == NULL)
		fail_msg("%s: %s, '%s'", what, f->is_pass ? "passed" : "failed", f->text);
}

/* --- udp */

struct server {
	struct event *event;
	int fd, stranger;   /* the latter: another socket, its answers are not the backend's */
	const char *answer; /* NULL: none */
	size_t n_answer;
	bool is_strange;
	uint16_t port, peer_port;
	uint8_t request[2048];
	ssize_t n_request;
};

static void on_datagram(evutil_socket_t fd, short what, void *arg)
{
	struct server *s = arg;
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);

	s->n_request =
		recvfrom(fd, s->request, sizeof(s->request), 0, (struct sockaddr *)&from, &len);
	assert_true(s->n_request >= 0);
	s->peer_port = ntohs(from.sin6_port); /* at the same place as sin_port */
	if (s->is_strange)
		assert_true(sendto(s->stranger, "x", 1, 0, (struct sockaddr *)&from, len) == 1);
	if (s->answer != NULL)
		assert_int_equal(
			sendto(fd, s->answer, s->n_answer, 0, (struct sockaddr *)&from, len),
			s->n_answer);
}

static int bound(int family, uint16_t *port)
{
	const struct sockaddr_in v4 = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 any;
	socklen_t len = sizeof(any);
	int rc;

	rc = family == AF_INET ? bind(fd, (const struct sockaddr *)&v4, sizeof(v4))
			       : bind(fd, (const struct sockaddr *)&v6, sizeof(v6));
	if (rc != 0) {
		close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	*port = ntohs(any.sin6_port); /* at the same place as sin_port */
	return fd;
}

/* False: the machine does not have that family. */
static bool serve(struct server *s, struct fix *f, int family)
{
	uint16_t port;

	memset(s, 0, sizeof(*s));
	s->fd = bound(family, &s->port);
	if (s->fd < 0)
		return false;
	s->stranger = bound(family, &port);
	s->event = event_new(f->base, s->fd, EV_READ | EV_PERSIST, on_datagram, s);
	event_add(s->event, NULL);
	f->backends[0].port = s->port;
	if (family == AF_INET6)
		f->backends[0].ip = (struct mr_ip){6, {[15] = 1}};
	return true;
}

static void stop(struct server *s)
{
	event_free(s->event);
	close(s->fd);
	close(s->stranger);
}

#define WORD(text) (char *)(uintptr_t)(text)
#define BYTES(text) \
	{ \
		(uint8_t *)(uintptr_t)(text), sizeof(text) - 1 \
	}

struct udp_row {
	const char *what;
	struct conf_bytes send, expect;
	const char *answer;
	size_t n_answer;
	uint32_t timeout_ms; /* short where the timeout is what is tested */
	bool is_pass;
	const char *said;
};

static const struct udp_row udp_rows[] = {
	{"anything for nothing", {NULL, 0}, {NULL, 0}, "hello", 5, 20000, true, "5 bytes in "},
	{"an empty answer", {NULL, 0}, {NULL, 0}, "", 0, 20000, true, "0 bytes in "},
	{"bytes of any kind", BYTES("\0\r\n\xff"), BYTES("\0k"), "\0k!", 3, 20000, true, "3 bytes"},
	{"other bytes", BYTES("PING"), BYTES("PONG"), "PUNG", 4, 20000, false,
		"answered 'PUNG', not what is expected"},
	{"too few bytes", BYTES("PING"), BYTES("PONG"), "PON", 3, 20000, false,
		"answered 'PON', not what"},
	{"no bytes", BYTES("PING"), BYTES("PONG"), "", 0, 20000, false, "answered '', not what"},
	{"bytes of any kind that are not expected", BYTES("PING"), BYTES("PONG"), "\033\n", 2,
		20000, false, "answered '\?\?', not what"},
	{"silence", BYTES("PING"), {NULL, 0}, NULL, 0, 60, false, "no answer within 60 ms"},
};

static void udp_probes(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct fix *f = *state;
	const unsigned n_fds = ctlfix_n_fds();
	struct server s;

	for (size_t i = 0; i < 2 * sizeof(udp_rows) / sizeof(udp_rows[0]); i++) {
		const struct udp_row *r = &udp_rows[i / 2];

		if (!serve(&s, f, families[i % 2]))
			continue;
		s.answer = r->answer;
		s.n_answer = r->n_answer;
		f->conf_check.send = r->send;
		f->conf_check.answer = r->expect;
		f->conf_check.timeout_ms = r->timeout_ms;
		f->backends[0].ip = i % 2 == 0 ? (struct mr_ip){4, {127, 0, 0, 1}}
					       : (struct mr_ip){6, {[15] = 1}};
		probe(f);
		assert_result(f, r->what, r->is_pass, r->said);
		assert_int_equal(s.n_request, r->send.len);
		if (r->send.len > 0)
			assert_memory_equal(s.request, r->send.data, r->send.len);
		stop(&s);
		assert_int_equal(ctlfix_n_fds(), n_fds);
	}
}

/* By the ICMP error, long before the timeout. */
static void a_closed_udp_port_fails_at_once(void **state)
{
	struct fix *f = *state;
	struct server s;

	assert_true(serve(&s, f, AF_INET));
	stop(&s);
	probe(f);
	assert_result(f, "closed port", false, "nobody listens: the port is unreachable");
}

static void an_answer_from_elsewhere_does_not_count(void **state)
{
	struct fix *f = *state;
	struct server s;

	assert_true(serve(&s, f, AF_INET));
	s.is_strange = true;
	f->conf_check.timeout_ms = 60;
	probe(f);
	assert_result(f, "stranger", false, "no answer within 60 ms");
	stop(&s);
}

/* Probes under way are given up with nothing left behind. */
static void a_udp_probe_under_way_can_be_given_up(void **state)
{
	struct fix *f = *state;
	const unsigned n_fds = ctlfix_n_fds();
	static const struct conf none;
	struct server s;

	assert_true(serve(&s, f, AF_INET));
	s.n_request = -1;
	f->conf_check.send = (struct conf_bytes)BYTES("x");
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	while (s.n_request < 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(check_adapt(f->check, &none), 0);
	stop(&s);
	assert_int_equal(ctlfix_n_fds(), n_fds);
	assert_int_equal(f->n_results, 0);
}

/* --- by the path of a service: from a port of their own */

#define LOCAL_PORT 61234

struct tcp_server {
	struct event *event, *asked;
	int fd, client, error; /* error: of reading from client */
	const char *answer;
	uint16_t port, peer_port;
};

static void on_request(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_server *s = arg;
	char request[512];

	if (recv(fd, request, sizeof(request), 0) < 0)
		s->error = errno;
	else if (s->answer != NULL)
		assert_true(send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL) > 0);
}

static void on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct tcp_server *s = arg;
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	s->client = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	assert_true(s->client >= 0);
	s->peer_port = ntohs(peer.sin_port);
	s->asked = event_new(event_get_base(s->event), s->client, EV_READ, on_request, s);
	event_add(s->asked, NULL);
}

static void serve_tcp(struct tcp_server *s, struct fix *f, const char *answer)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(any);

	memset(s, 0, sizeof(*s));
	s->answer = answer;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (const struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&any, &len), 0);
	s->port = ntohs(any.sin_port);
	s->event = event_new(f->base, s->fd, EV_READ | EV_PERSIST, on_connection, s);
	event_add(s->event, NULL);
}

/* It is the one who asked that has ended it, by a reset: a second FIN would leave its port in TIME_WAIT. */
static void stop_tcp(struct tcp_server *s)
{
	char rest;

	event_free(s->asked);
	event_free(s->event);
	if (s->error == 0 && recv(s->client, &rest, 1, 0) < 0)
		s->error = errno;
	assert_int_equal(s->error, ECONNRESET);
	close(s->client);
	close(s->fd);
}

/* The backend itself is nowhere: only the VIP answers. */
static void use_path(struct fix *f, enum conf_check_type type, uint16_t port)
{
	f->conf_check.type = type;
	f->service.vip = (struct mr_ip){4, {127, 0, 0, 1}};
	f->service.port = port;
	f->pool.via = &f->service;
	f->backends[0].ip = (struct mr_ip){4, {192, 0, 2, 1}};
	f->backends[0].probe_port = LOCAL_PORT;
}

/* Again and again from the same port: nothing of the one before is in the way. */
static void probes_of_a_path_come_from_their_port(void **state)
{
	static const struct {
		enum conf_check_type type;
		const char *answer, *said;
	} rows[] = {
		{CONF_CHECK_TCP, NULL, "connected in "},
		{CONF_CHECK_HTTP, "HTTP/1.1 204 No Content\r\n\r\n", "HTTP status 204 in "},
		{CONF_CHECK_MEMCACHED, "VERSION 1.6\r\n", "VERSION 1.6 in "},
		{CONF_CHECK_REDIS, "+PONG\r\n", "+PONG in "},
	};
	static struct conf_status_range ok = {200, 299};
	struct fix *f = *state;
	const unsigned n_fds = ctlfix_n_fds();
	struct tcp_server s;

	f->conf_check.path = WORD("/");
	f->conf_check.expect = &ok;
	f->conf_check.n_expect = 1;
	for (size_t i = 0; i < 3 * sizeof(rows) / sizeof(rows[0]); i++) {
		serve_tcp(&s, f, rows[i / 3].answer);
		use_path(f, rows[i / 3].type, s.port);
		probe(f);
		assert_result(f, rows[i / 3].said, true, rows[i / 3].said);
		while (s.peer_port == 0) /* accepted by the kernel, not by us yet */
			event_base_loop(f->base, EVLOOP_NONBLOCK);
		assert_int_equal(s.peer_port, LOCAL_PORT);
		stop_tcp(&s);
		assert_int_equal(ctlfix_n_fds(), n_fds);
	}
}

static void a_udp_probe_of_a_path_comes_from_its_port(void **state)
{
	struct fix *f = *state;
	struct server s;

	for (unsigned i = 0; i < 2; i++) {
		assert_true(serve(&s, f, AF_INET));
		s.answer = "x";
		s.n_answer = 1;
		use_path(f, CONF_CHECK_UDP, s.port);
		probe(f);
		assert_result(f, "udp", true, "1 bytes in ");
		assert_int_equal(s.peer_port, LOCAL_PORT);
		stop(&s);
	}
}

/* Of a program that has the port: no result, and a word in the log. */
static void a_port_that_is_taken_is_no_failure(void **state)
{
	static const enum conf_check_type types[] = {CONF_CHECK_TCP, CONF_CHECK_HTTP};
	static const struct timeval intervals = {0, 150000};
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(LOCAL_PORT)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const struct conf none;
	struct fix *f = *state;

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	f->conf_check.path = WORD("/");
	f->conf_check.interval_ms = 50;
	ctlfix_log_begin();
	for (unsigned i = 0; i < 2; i++) {
		use_path(f, types[i], 1);
		assert_int_equal(check_adapt(f->check, &f->conf), 0);
		event_base_loopexit(f->base, &intervals);
		event_base_dispatch(f->base);
		assert_int_equal(check_adapt(f->check, &none), 0);
		assert_int_equal(f->n_results, 0);
	}
	assert_non_null(strstr(ctlfix_log_end(), "another program has the port"));
	close(fd);
}

/* --- icmp */

static bool put_sysctl(const char *path, const char *value)
{
	FILE *f = fopen(path, "we");

	return f != NULL && fputs(value, f) >= 0 && fclose(f) == 0;
}

static void raise_loopback(void)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
}

static void leave_namespace(int home)
{
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	close(home);
}

/* A namespace of our own, in which nobody may have ping sockets. The descriptor to go back with, or -1: this
 * machine does not let us. */
static int enter_namespace(void)
{
	const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || unshare(CLONE_NEWNET) != 0) {
		close(home);
		return -1;
	}
	raise_loopback();
	if (put_sysctl("/proc/sys/net/ipv4/ping_group_range", "1 0"))
		return home;
	leave_namespace(home);
	return -1;
}

static void use_icmp(struct fix *f, uint8_t family)
{
	f->conf_check.type = CONF_CHECK_ICMP;
	f->conf_check.timeout_ms = 20000;
	f->backends[0].ip =
		family == 4 ? (struct mr_ip){4, {127, 0, 0, 1}} : (struct mr_ip){6, {[15] = 1}};
}

/* Both families over both kinds of socket: who is there answers, who is silent does not. */
static void icmp_probes(void **state)
{
	static const char range[] = "/proc/sys/net/ipv4/ping_group_range";
	struct fix *f = *state;
	const int home = enter_namespace();
	unsigned n_fds;

	if (home < 0)
		skip();
	n_fds = ctlfix_n_fds();
	for (unsigned i = 0; i < 4; i++) {
		const bool is_v4 = i % 2 == 0;

		if (!is_v4 && access("/proc/sys/net/ipv6", F_OK) != 0)
			continue; /* a kernel without IPv6 */
		assert_true(put_sysctl(range, i < 2 ? "1 0" : "0 65535"));
		use_icmp(f, is_v4 ? 4 : 6);
		probe(f);
		assert_result(f, is_v4 ? "IPv4" : "IPv6", true, "echo reply in ");
		assert_true(put_sysctl(is_v4 ? "/proc/sys/net/ipv4/icmp_echo_ignore_all"
					     : "/proc/sys/net/ipv6/icmp/echo_ignore_all",
			"1"));
		f->conf_check.timeout_ms = 60;
		probe(f);
		assert_result(f, is_v4 ? "IPv4" : "IPv6", false, "no echo reply within 60 ms");
		assert_true(put_sysctl(is_v4 ? "/proc/sys/net/ipv4/icmp_echo_ignore_all"
					     : "/proc/sys/net/ipv6/icmp/echo_ignore_all",
			"0"));
		assert_int_equal(ctlfix_n_fds(), n_fds);
	}
	f->backends[0].ip = (struct mr_ip){4, {192, 0, 2, 1}};
	probe(f);
	assert_result(f, "no route", false, "Network is unreachable");
	leave_namespace(home);
}

/* Sends b[0..8), an ICMP header without its checksum, from and to 127.0.0.1. */
static void forge(int fd, uint8_t *b, size_t n)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint32_t sum = 0;

	b[2] = b[3] = 0;
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	b[2] = (uint8_t)(~sum >> 8);
	b[3] = (uint8_t)~sum;
	assert_int_equal(sendto(fd, b, n, 0, (const struct sockaddr *)&to, sizeof(to)), n);
}

/* The kernel is silent and the test answers in its place: a reply to another request is waited past. */
static void only_our_echo_reply_counts(void **state)
{
	struct fix *f = *state;
	const int home = enter_namespace();
	uint8_t seen[256], b[8];
	int fd;

	if (home < 0)
		skip();
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	assert_true(fd >= 0);
	assert_true(put_sysctl("/proc/sys/net/ipv4/icmp_echo_ignore_all", "1"));
	use_icmp(f, 4);
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	while (recv(fd, seen, sizeof(seen), MSG_DONTWAIT) < 0)
		event_base_loop(f->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(seen[20], 8); /* the request, behind its IP header */
	for (unsigned i = 0; i < 4; i++) {
		memcpy(b, seen + 20, sizeof(b));
		b[0] = i == 2 ? 8 : 0;  /* not a reply */
		b[5] ^= i == 0 ? 1 : 0; /* another identifier */
		b[7] ^= i == 1 ? 1 : 0; /* another sequence number */
		b[1] = i == 3 ? 1 : 0;  /* no known code */
		forge(fd, b, sizeof(b));
		ctlfix_run_ready(f->base);
		if (f->n_results != 0)
			fail_msg("%u: '%s'", i, f->text);
	}
	memcpy(b, seen + 20, sizeof(b));
	b[0] = 0;
	forge(fd, b, sizeof(b));
	ctlfix_run_until(f->base, has_result, f);
	assert_result(f, "ours", true, "echo reply in ");
	close(fd);
	leave_namespace(home);
}

/* A daemon that may not ping says nothing about its backends: no result, and a word in the log. */
static void a_ping_that_is_forbidden_is_no_failure(void **state)
{
	static const struct timeval intervals = {0, 150000};
	struct fix *f = *state;
	const int home = enter_namespace();
	const char *log;

	if (home < 0)
		skip();
	use_icmp(f, 4);
	f->conf_check.interval_ms = 50;
	assert_int_equal(seteuid(65534), 0);
	ctlfix_log_begin();
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	event_base_loopexit(f->base, &intervals);
	event_base_dispatch(f->base);
	log = ctlfix_log_end();
	assert_int_equal(seteuid(0), 0);
	if (strstr(log, "probes of 'c' could not be made") == NULL
		|| strstr(log, "CAP_NET_RAW") == NULL)
		fail_msg("the log says '%s'", log);
	assert_int_equal(f->n_results, 0);
	ctlfix_run_until(f->base, has_result, f); /* and it goes on */
	assert_result(f, "allowed again", true, "echo reply in ");
	leave_namespace(home);
}

/* --- exec */

static char *const runs_true[] = {WORD("/bin/true"), NULL};
static char *const runs_false[] = {WORD("/bin/false"), NULL};
static char *const ends_with_7[] = {WORD("/bin/sh"), WORD("-c"), WORD("exit 7"), NULL};
static char *const is_killed[] = {WORD("/bin/sh"), WORD("-c"), WORD("kill -TERM $$"), NULL};
static char *const sleeps[] = {WORD("/bin/sleep"), WORD("1000"), NULL};
static char *const will_not_end[] = {
	WORD("/bin/sh"), WORD("-c"), WORD("trap '' TERM INT HUP; sleep 1000"), NULL};
/* a shell would make something else of it */
static char *const gets_its_words[] = {
	WORD("/usr/bin/test"), WORD("$HOME; exit 1"), WORD("="), WORD("$HOME; exit 1"), NULL};

static const struct exec_row {
	char *const *command;
	uint32_t timeout_ms; /* short where the timeout is what is tested */
	bool is_pass;
	const char *said;
} exec_rows[] = {
	{runs_true, 20000, true, "exit status 0 in "},
	{runs_false, 20000, false, "exit status 1"},
	{ends_with_7, 20000, false, "exit status 7"},
	{is_killed, 20000, false, "ended by signal 15 (Terminated)"},
	{gets_its_words, 20000, true, "exit status 0 in "},
	{sleeps, 60, false, "did not end within 60 ms, killed"},
	{will_not_end, 60, false, "did not end within 60 ms, killed"},
};

static void use_exec(struct fix *f, char *const *command)
{
	f->conf_check.type = CONF_CHECK_EXEC;
	f->conf_check.timeout_ms = 20000;
	f->conf_check.command = (char **)(uintptr_t)command;
	f->conf_check.n_command = 0;
	while (command[f->conf_check.n_command] != NULL)
		f->conf_check.n_command++;
}

/* No child is left, not even one that has ended and was not waited for. */
static bool has_no_child(void *arg)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

static void exec_probes(void **state)
{
	struct fix *f = *state;
	unsigned n_fds = 0;

	for (size_t i = 0; i <= sizeof(exec_rows) / sizeof(exec_rows[0]); i++) {
		const struct exec_row *r = &exec_rows[i == 0 ? 0 : i - 1];

		use_exec(f, r->command); /* the first one twice: once for what is made once */
		f->conf_check.timeout_ms = r->timeout_ms;
		probe(f);
		assert_result(f, r->command[0], r->is_pass, r->said);
		ctlfix_run_until(f->base, has_no_child, NULL);
		if (i == 0)
			n_fds = ctlfix_n_fds();
		assert_int_equal(ctlfix_n_fds(), n_fds);
	}
}

/* Nothing of ours gets to a command but three variables. */
static void a_command_begins_with_a_clean_slate(void **state)
{
	struct fix *f = *state;
	char dir[64], script[512], *seen;
	char *const command[] = {WORD("/bin/sh"), WORD("-c"), script, NULL};
	const int leak = dup(2); /* without O_CLOEXEC, as some libraries have them */
	struct rlimit old, high, after;
	sigset_t usr1;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	high = old;
	high.rlim_cur = old.rlim_max; /* as the daemon does */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &high), 0);
	assert_int_equal(dup2(leak, 2000), 2000); /* above the limit of the command */
	ctlfix_dir(dir);
	snprintf(script, sizeof(script),
		"p=/proc/$$; o=%s/seen; tr '\\0' '\\n' <$p/environ >>$o; "
		"readlink $p/fd/0 $p/fd/1 $p/fd/2 $p/cwd | cat >>$o; "
		/* nothing but words of the shell, which has descriptors and blocks signals to start others */
		"for n in $(seq 0 2000); do [ -e $p/fd/$n ] && s=$s/$n; done; echo $s >>$o; "
		"sed -nE 's/^(Sig(Ign|Blk)).*(.{7})$/\\1 \\3/p' /proc/self/status >>$o; ulimit -n >>$o",
		dir);
	use_exec(f, command);
	f->backends[0].ip = (struct mr_ip){6, {0xfd, [15] = 7}};
	f->backends[0].port = 8080;
	probe(f);
	assert_result(f, "sh", true, "exit status 0");
	seen = ctlfix_read(dir, "seen");
	assert_non_null(seen);
	assert_string_equal(seen,
		"MILLRACE_BACKEND_ADDRESS=fd00::7\nMILLRACE_BACKEND_PORT=8080\nMILLRACE_SERVICE=s\n"
		"/dev/null\n/dev/null\n/dev/null\n/\n"
		"/0/1/2\n"
		"SigBlk 0000000\nSigIgn 0000000\n" /* signals 1 to 28 */
		"1024\n");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, high.rlim_cur); /* ours is as it was */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	free(seen);
	sigprocmask(SIG_UNBLOCK, &usr1, NULL);
	close(2000);
	close(leak);
	ctlfix_rm(dir);
}

struct child {
	pid_t pid;
	int status;
};

/* Its parent has ended, so it has become a child of ours. */
static bool has_died(void *arg)
{
	struct child *c = arg;

	return waitpid(c->pid, &c->status, WNOHANG) == c->pid;
}

static pid_t read_pid(const char *dir)
{
	char *text = ctlfix_read(dir, "pid");
	const pid_t pid = text != NULL ? (pid_t)strtol(text, NULL, 10) : 0;

	free(text);
	return pid;
}

static void what_a_command_started_ends_with_it(void **state)
{
	struct fix *f = *state;
	char dir[64], script[256];
	char *const command[] = {WORD("/bin/sh"), WORD("-c"), script, NULL};
	struct child c;

	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	for (unsigned i = 0; i < 2; i++) { /* it ends in time, or is killed */
		ctlfix_dir(dir);
		snprintf(script, sizeof(script), "sleep 1000 & echo $! >%s/pid; %s", dir,
			i == 0 ? "exit 0" : "wait");
		use_exec(f, command);
		f->conf_check.timeout_ms = i == 0 ? 20000 : 150;
		do { /* a slow machine may need more to get as far as that */
			f->conf_check.timeout_ms *= i == 0 ? 1 : 2;
			probe(f);
			c.pid = read_pid(dir);
		} while (c.pid == 0 && f->conf_check.timeout_ms < 20000);
		assert_result(f, script, i == 0, i == 0 ? "exit status 0" : "killed");
		assert_true(c.pid > 0);
		ctlfix_run_until(f->base, has_died, &c);
		assert_true(WIFSIGNALED(c.status) && WTERMSIG(c.status) == SIGKILL);
		ctlfix_run_until(f->base, has_no_child, NULL);
		ctlfix_rm(dir);
	}
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* Two at once, with one signal for both or two; and commands under way end with their probes. */
static void commands_under_way_are_given_up(void **state)
{
	static const struct conf none;
	struct fix *f = *state;

	f->backends[1] = f->backends[0];
	f->backends[1].name[1] = '1';
	f->pool.n_backends = 2;
	use_exec(f, sleeps);
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	while (has_no_child(NULL))
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(check_adapt(f->check, &none), 0);
	ctlfix_run_until(f->base, has_no_child, NULL);
	assert_int_equal(f->n_results, 0);
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	while (has_no_child(NULL))
		event_base_loop(f->base, EVLOOP_ONCE);
	check_destroy(&f->check);
	assert_true(has_no_child(NULL));
	assert_int_equal(f->n_results, 0);
}

static bool has_many_results(void *arg)
{
	const struct fix *f = arg;

	return f->n_results >= 20;
}

/* Commands in a row of two backends: each end is heard of, with or without a signal of its own. */
static void no_end_of_a_command_is_missed(void **state)
{
	static const struct conf none;
	struct fix *f = *state;

	f->backends[1] = f->backends[0];
	f->backends[1].name[1] = '1';
	f->pool.n_backends = 2;
	f->conf_check.interval_ms = 1;
	use_exec(f, runs_true);
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	ctlfix_run_until(f->base, has_many_results, f);
	assert_result(f, "true", true, "exit status 0");
	assert_int_equal(check_adapt(f->check, &none), 0);
	ctlfix_run_until(f->base, has_no_child, NULL);
}

/* A command that is not there has not looked at the backend: no result, and a word in the log. */
static void a_command_that_cannot_run_is_no_failure(void **state)
{
	static const struct timeval intervals = {0, 150000};
	static char *const command[] = {WORD("/nonexistent/check"), NULL};
	struct fix *f = *state;
	const char *log;

	f->conf_check.interval_ms = 50;
	use_exec(f, command);
	ctlfix_log_begin();
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	event_base_loopexit(f->base, &intervals);
	event_base_dispatch(f->base);
	log = ctlfix_log_end();
	if (strstr(log, "probes of 'c' could not be made: No such file or directory") == NULL)
		fail_msg("the log says '%s'", log);
	assert_int_equal(f->n_results, 0);
	assert_true(has_no_child(NULL));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(udp_probes),
		TEST(a_closed_udp_port_fails_at_once),
		TEST(an_answer_from_elsewhere_does_not_count),
		TEST(a_udp_probe_under_way_can_be_given_up),
		TEST(probes_of_a_path_come_from_their_port),
		TEST(a_udp_probe_of_a_path_comes_from_its_port),
		TEST(a_port_that_is_taken_is_no_failure),
		TEST(icmp_probes),
		TEST(only_our_echo_reply_counts),
		TEST(a_ping_that_is_forbidden_is_no_failure),
		TEST(exec_probes),
		TEST(a_command_begins_with_a_clean_slate),
		TEST(what_a_command_started_ends_with_it),
		TEST(commands_under_way_are_given_up),
		TEST(no_end_of_a_command_is_missed),
		TEST(a_command_that_cannot_run_is_no_failure),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
