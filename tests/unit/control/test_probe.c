/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_probe — probes that are not a TCP connection: udp, against sockets that the test serves on the same
 * event loop. What passes, what fails and with which words, and that nothing is left open.
 */
#include "ctlfix.h"
#include "daemon/check.h"
#include "unit.h"

#include <event2/event.h>

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
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
	uint16_t port;
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(udp_probes),
		TEST(a_closed_udp_port_fails_at_once),
		TEST(an_answer_from_elsewhere_does_not_count),
		TEST(a_udp_probe_under_way_can_be_given_up),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
