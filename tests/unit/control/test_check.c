/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_check — probes against real sockets on the loopback interface, served by the test on the same event
 * loop: what passes, what fails and with which words, that nothing is left open, and when the next probe
 * comes.
 */
#include "ctlfix.h"
#include "daemon/check.h"
#include "unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum manner {
	ANSWER,  /* the text, then close */
	LINGER,  /* the text, and the connection stays open */
	PIECES,  /* the text byte by byte, and the connection stays open */
	FOREVER, /* the text again and again until the client has had enough */
	RESET,   /* the text, then a reset */
	NOTHING, /* accepts and is silent */
	REFUSE,  /* nobody listens */
	NO_ROOM, /* listens, but the queue is full and nobody accepts */
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	enum manner manner;
	const char *text;
	const char *request_end;
	size_t n_sent; /* PIECES */
	uint16_t port;
	int fd, queue[8]; /* NO_ROOM */
	struct bufferevent *peers[512];
	unsigned n_peers;
	char request[2048]; /* of the last peer */
};

struct fix {
	struct event_base *base;
	struct check *check;
	struct conf conf;
	struct conf_check conf_check;
	struct conf_pool pool;
	struct conf_service service;
	struct conf_backend backends[256];
	struct conf_status_range expect[2];
	const char *request_end; /* what servers wait for */
	unsigned n_results, n_wanted, n_passes;
	bool is_pass;
	char text[256];
	double latency_seconds;
};

static void forget_peer(struct server *s, struct bufferevent *bev, bool is_reset)
{
	const struct linger now = {1, 0};

	for (unsigned i = 0; i < s->n_peers; i++) {
		if (s->peers[i] != bev)
			continue;
		s->peers[i] = s->peers[--s->n_peers];
		if (is_reset)
			setsockopt(
				bufferevent_getfd(bev), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		bufferevent_free(bev);
		return;
	}
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct server *s = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	const size_t n = evbuffer_get_length(in);

	evbuffer_copyout(in, s->request, n < sizeof(s->request) - 1 ? n : sizeof(s->request) - 1);
	if (evbuffer_search(in, s->request_end, strlen(s->request_end), NULL).pos < 0)
		return;
	evbuffer_drain(in, n);
	s->n_sent = 1;
	if (s->manner == PIECES)
		bufferevent_write(bev, s->text, 1);
	else if (s->text[0] != '\0')
		bufferevent_write(bev, s->text, strlen(s->text));
	else
		forget_peer(s, bev, false);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct server *s = arg;

	if (s->request[0] == '\0')
		return;
	if (s->manner == FOREVER)
		bufferevent_write(bev, s->text, strlen(s->text));
	else if (s->manner == PIECES && s->text[s->n_sent] != '\0')
		bufferevent_write(bev, &s->text[s->n_sent++], 1);
	else if (s->manner != LINGER && s->manner != PIECES)
		forget_peer(s, bev, s->manner == RESET);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		forget_peer(arg, bev, false);
}

static void on_accept(
	struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct server *s = arg;
	struct bufferevent *bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);

	assert_non_null(bev);
	assert_true(s->n_peers < 512);
	s->peers[s->n_peers++] = bev;
	s->request[0] = '\0';
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	bufferevent_setcb(bev, s->manner == NOTHING ? NULL : on_read, on_written, on_event, s);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in6 any;
	socklen_t len = sizeof(any);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
	return ntohs(any.sin6_port); /* at the same place as sin_port */
}

/* The queue of a listening socket, filled by connections that nobody accepts. */
static void fill_queue(struct server *s, const struct sockaddr_in *sin)
{
	struct sockaddr_in to = *sin;

	to.sin_port = htons(s->port);
	for (unsigned i = 0; i < 8; i++) {
		s->queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(s->queue[i] >= 0);
		connect(s->queue[i], (const struct sockaddr *)&to, sizeof(to));
	}
}

static void start(struct server *s, struct event_base *base, enum manner manner, const char *text)
{
	const struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(s, 0, sizeof(*s));
	s->base = base;
	s->manner = manner;
	s->text = text;
	s->request_end = "\r\n\r\n";
	s->fd = fd;
	assert_int_equal(bind(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	s->port = port_of(fd);
	if (manner == REFUSE)
		return;
	assert_int_equal(listen(fd, manner == NO_ROOM ? 0 : 64), 0);
	if (manner == NO_ROOM) {
		fill_queue(s, &sin);
		return;
	}
	s->listener = evconnlistener_new(base, on_accept, s, LEV_OPT_CLOSE_ON_FREE, 0, fd);
	assert_non_null(s->listener);
}

static void stop(struct server *s)
{
	while (s->n_peers > 0)
		forget_peer(s, s->peers[0], false);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	else
		close(s->fd);
	for (unsigned i = 0; i < 8; i++) {
		if (s->queue[i] > 0)
			close(s->queue[i]);
	}
}

static void on_result(void *arg, size_t pool, size_t backend, const struct check_result *r)
{
	struct fix *f = arg;

	f->n_results++;
	f->n_passes += r->is_pass;
	f->is_pass = r->is_pass;
	f->latency_seconds = r->latency_seconds;
	snprintf(f->text, sizeof(f->text), "%s", r->text);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->base = event_base_new();
	assert_int_equal(check_create(&f->check, f->base, on_result, f), 0);
	f->conf_check = (struct conf_check){.name = "c",
		.type = CONF_CHECK_TCP,
		.interval_ms = 3600000,
		.timeout_ms = 20000,
		.rise = 1,
		.fall = 1};
	f->expect[0] = (struct conf_status_range){200, 299};
	f->pool = (struct conf_pool){
		.name = "p", .check = &f->conf_check, .backends = f->backends, .n_backends = 1};
	f->service = (struct conf_service){.name = "s", .port = 1, .pool = &f->pool};
	f->conf = (struct conf){.checks = &f->conf_check,
		.n_checks = 1,
		.pools = &f->pool,
		.n_pools = 1,
		.services = &f->service,
		.n_services = 1};
	for (unsigned i = 0; i < 256; i++) {
		snprintf(f->backends[i].name, MR_NAME_MAX, "b%u", i);
		f->backends[i].ip = (struct mr_ip){4, {127, 0, 0, 1}};
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	check_destroy(&f->check);
	assert_null(f->check);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void use_http(struct fix *f)
{
	static char path[] = "/health";

	f->conf_check.type = CONF_CHECK_HTTP;
	f->conf_check.path = path;
	f->conf_check.expect = f->expect;
	f->conf_check.n_expect = 1;
}

static bool has_results(void *arg)
{
	const struct fix *f = arg;

	return f->n_results >= f->n_wanted;
}

static void probe(struct fix *f, uint16_t port)
{
	static const struct conf none;

	f->backends[0].port = port;
	f->n_results = 0;
	f->n_wanted = 1;
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	ctlfix_run_until(f->base, has_results, f);
	assert_int_equal(check_adapt(f->check, &none), 0); /* the next one begins anew */
	assert_int_equal(f->n_results, 1);
	assert_true(f->latency_seconds >= 0);
	assert_null(strchr(f->text, '\n'));
}

struct row {
	const char *what;
	enum manner manner;
	uint32_t timeout_ms; /* short where the timeout is what is tested */
	bool is_pass;
	const char *said; /* part of the result's text */
	const char *text;
};

static void run_rows(struct fix *f, const struct row *rows, size_t n)
{
	unsigned n_fds = 0;

	for (size_t i = 0; i <= n; i++) { /* the first one twice: once for what is made once */
		const struct row *r = &rows[i == 0 ? 0 : i - 1];
		struct server s;

		start(&s, f->base, r->manner, r->text);
		if (f->request_end != NULL)
			s.request_end = f->request_end;
		f->conf_check.timeout_ms = r->timeout_ms;
		probe(f, s.port);
		if (f->is_pass != r->is_pass || strstr(f->text, r->said) == NULL)
			fail_msg(
				"%s: %s, '%s'", r->what, f->is_pass ? "passed" : "failed", f->text);
		stop(&s);
		ctlfix_run_ready(f->base);
		if (i == 0)
			n_fds = ctlfix_n_fds();
		else if (ctlfix_n_fds() != n_fds)
			fail_msg("%s: %u descriptors, were %u", r->what, ctlfix_n_fds(), n_fds);
	}
}

static const struct row tcp_rows[] = {
	{"accepts", NOTHING, 20000, true, "connected in ", NULL},
	{"answers unasked", ANSWER, 20000, true, "connected in ", "220 hello\r\n"},
	{"nobody listens", REFUSE, 20000, false, "Connection refused", NULL},
	{"does not answer", NO_ROOM, 50, false, "timed out (50 ms)", NULL},
};

static void tcp_probes(void **state)
{
	run_rows(*state, tcp_rows, sizeof(tcp_rows) / sizeof(tcp_rows[0]));
}

static const struct row http_rows[] = {
	{"up", ANSWER, 20000, true, "HTTP status 200 in ",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"up, without a length", ANSWER, 20000, true, "HTTP status 204",
		"HTTP/1.0 204 No Content\r\n\r\n"},
	{"up, connection kept", LINGER, 20000, true, "HTTP status 200",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	{"up after an interim answer", ANSWER, 20000, true, "HTTP status 200",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	{"up, chunked, with a trailer", ANSWER, 20000, true, "HTTP status 200",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"},
	{"half an answer behind an interim one", ANSWER, 20000, false, "ended within its headers",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n"},
	{"up, chunked", ANSWER, 20000, true, "HTTP status 200",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
	{"endless body", FOREVER, 20000, true, "HTTP status 200",
		"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
	{"wrong status", ANSWER, 20000, false, "HTTP status 503 is not an expected one",
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"},
	{"a redirect is not followed", ANSWER, 20000, false, "HTTP status 302 is not",
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"},
	{"garbage", ANSWER, 20000, false, "HTTP/0.9", "SSH-2.0-OpenSSH_9.2p1\r\n"},
	{"garbage as status", ANSWER, 20000, false, "", "HTTP/1.1 2xx OK\r\n\r\n"},
	{"empty answer", ANSWER, 20000, false, "Empty reply", ""},
	{"reset", RESET, 20000, false, "reset", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"},
	{"half a header", ANSWER, 20000, false, "ended within its headers",
		"HTTP/1.1 200 OK\r\nContent-Le"},
	{"half a body", ANSWER, 20000, false, "8 bytes remaining",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"},
	{"half a body and silence", LINGER, 60, false, "no answer within 60 ms",
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"},
	{"half a header and silence", LINGER, 60, false, "no answer within 60 ms",
		"HTTP/1.1 200 OK\r\nContent-"},
	{"silence", NOTHING, 60, false, "no answer within 60 ms", NULL},
	{"nobody listens", REFUSE, 20000, false, "onnect", NULL},
	{"does not answer", NO_ROOM, 60, false, "no answer within 60 ms", NULL},
};

static void http_probes(void **state)
{
	struct fix *f = *state;

	use_http(f);
	run_rows(f, http_rows, sizeof(http_rows) / sizeof(http_rows[0]));
}

static char long_line[1024]; /* without an end */

static const struct row memcached_rows[] = {
	{"up", LINGER, 20000, true, "VERSION 1.6.18 in ", "VERSION 1.6.18\r\n"},
	{"up, in pieces", PIECES, 20000, true, "VERSION 1.6.18 in ", "VERSION 1.6.18\r\n"},
	{"up, with more behind it", ANSWER, 20000, true, "VERSION 1 in ", "VERSION 1\r\nEND\r\n"},
	{"an error", LINGER, 20000, false, "answered 'ERROR', not VERSION", "ERROR\r\n"},
	{"an error in pieces", PIECES, 20000, false, "answered 'SERVER_ERROR x', not",
		"SERVER_ERROR x\r\n"},
	{"nothing behind it", LINGER, 20000, false, "answered 'VERSION', not", "VERSION\r\n"},
	{"an empty line", LINGER, 20000, false, "answered '', not", "\r\nVERSION 1\r\n"},
	{"no carriage return", LINGER, 20000, false, "no CR LF ends the answer 'VERSION 1'",
		"VERSION 1\n"},
	{"another protocol", LINGER, 20000, false, "answered 'SSH-2.0-OpenSSH_9.2p1', not",
		"SSH-2.0-OpenSSH_9.2p1\r\n"},
	{"what a terminal would obey", LINGER, 20000, false, "answered '?[2J?', not",
		"\033[2J\377\r\n"},
	{"too long", LINGER, 20000, false, "no line end within 512 bytes", long_line},
	{"ends within its line", ANSWER, 20000, false, "closed within the answer", "VERSION 1"},
	{"no answer", ANSWER, 20000, false, "closed without an answer", ""},
	{"half an answer and silence", LINGER, 60, false, "no whole answer within 60 ms",
		"VERSION 1"},
	{"silence", NOTHING, 60, false, "no answer within 60 ms", NULL},
	{"nobody listens", REFUSE, 20000, false, "connect: Connection refused", NULL},
	{"does not accept", NO_ROOM, 60, false, "connect timed out (60 ms)", NULL},
};

static void memcached_probes(void **state)
{
	struct fix *f = *state;
	struct server s;

	memset(long_line, 'V', sizeof(long_line) - 1);
	memcpy(long_line, "VERSION ", 8);
	f->conf_check.type = CONF_CHECK_MEMCACHED;
	f->request_end = "\r\n";
	run_rows(f, memcached_rows, sizeof(memcached_rows) / sizeof(memcached_rows[0]));
	f->conf_check.timeout_ms = 20000;
	start(&s, f->base, LINGER, "VERSION 1\r\n");
	s.request_end = "\r\n";
	probe(f, s.port);
	assert_string_equal(s.request, "version\r\n");
	stop(&s);
}

static const struct row redis_rows[] = {
	{"up", LINGER, 20000, true, "+PONG in ", "+PONG\r\n"},
	{"up, in pieces", PIECES, 20000, true, "+PONG in ", "+PONG\r\n"},
	{"wants a password", LINGER, 20000, false,
		"answered '-NOAUTH Authentication required.', not +PONG",
		"-NOAUTH Authentication required.\r\n"},
	{"loads its data", LINGER, 20000, false,
		"answered '-LOADING Redis is loading the dataset in memory', not +PONG",
		"-LOADING Redis is loading the dataset in memory\r\n"},
	{"talks long", LINGER, 20000, false,
		"answered '-DENIED Redis is running in protected mode because protected...', not",
		"-DENIED Redis is running in protected mode because protected mode is enabled\r\n"},
	{"more than it", LINGER, 20000, false, "answered '+PONG2', not +PONG", "+PONG2\r\n"},
	{"less than it", LINGER, 20000, false, "answered '+PON', not +PONG", "+PON\r\n"},
	{"as data", LINGER, 20000, false, "answered '$4', not +PONG", "$4\r\nPONG\r\n"},
	{"no carriage return", LINGER, 20000, false, "no CR LF ends the answer '+PONG'", "+PONG\n"},
	{"ends within its line", ANSWER, 20000, false, "closed within the answer", "+PONG"},
	{"silence", NOTHING, 60, false, "no answer within 60 ms", NULL},
};

static void redis_probes(void **state)
{
	struct fix *f = *state;
	struct server s;

	f->conf_check.type = CONF_CHECK_REDIS;
	f->request_end = "\r\n";
	run_rows(f, redis_rows, sizeof(redis_rows) / sizeof(redis_rows[0]));
	f->conf_check.timeout_ms = 20000;
	start(&s, f->base, LINGER, "+PONG\r\n");
	s.request_end = "\r\n";
	probe(f, s.port);
	assert_string_equal(s.request, "PING\r\n");
	stop(&s);
}

/* Headers without end must end the probe, not the memory. */
static void endless_headers_fail(void **state)
{
	static char text[70000];
	struct fix *f = *state;
	struct rusage before, after;
	struct server s;

	memcpy(text, "HTTP/1.1 200 OK\r\n", 17);
	for (size_t i = 17; i + 22 < sizeof(text); i += 20)
		memcpy(text + i, "X-Pad: xxxxxxxxxxx\r\n", 20);
	use_http(f);
	start(&s, f->base, FOREVER, text);
	getrusage(RUSAGE_SELF, &before);
	probe(f, s.port);
	getrusage(RUSAGE_SELF, &after);
	assert_false(f->is_pass);
	assert_true(after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
	stop(&s);
}

static void what_is_asked(void **state)
{
	static char host[] = "shop.example";
	struct fix *f = *state;
	struct server s;

	use_http(f);
	start(&s, f->base, ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	probe(f, s.port);
	assert_true(f->is_pass);
	assert_int_equal(strncmp(s.request, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:", 38), 0);
	f->conf_check.host = host;
	probe(f, s.port);
	assert_non_null(strstr(s.request, "\r\nHost: shop.example\r\n"));
	assert_null(strstr(s.request, "127.0.0.1"));
	stop(&s);
}

static void expected_statuses_are_ranges(void **state)
{
	struct fix *f = *state;
	struct server s;

	use_http(f);
	f->expect[0] = (struct conf_status_range){200, 200};
	f->expect[1] = (struct conf_status_range){401, 403};
	f->conf_check.n_expect = 2;
	start(&s, f->base, ANSWER, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	probe(f, s.port);
	assert_true(f->is_pass);
	s.text = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	probe(f, s.port);
	assert_false(f->is_pass);
	stop(&s);
}

/* The environment has no say: a proxy would see backends up that nobody can reach. */
static void proxies_of_the_environment_are_not_used(void **state)
{
	struct fix *f = *state;
	struct server s;

	use_http(f);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	start(&s, f->base, ANSWER, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	probe(f, s.port);
	assert_true(f->is_pass);
	unsetenv("http_proxy");
	stop(&s);
}

static void a_check_may_have_its_own_port(void **state)
{
	struct fix *f = *state;
	struct server s;

	start(&s, f->base, NOTHING, NULL);
	f->conf_check.port = s.port;
	probe(f, 1);
	assert_true(f->is_pass);
	f->conf_check.port = 0;
	f->service.port = s.port; /* neither the check nor the backend has one: the service's */
	probe(f, 0);
	assert_true(f->is_pass);
	stop(&s);
}

/* --- when */

struct spread {
	struct timeval now;
	double first, last; /* seconds from now of pending timers beyond a minute */
	unsigned n;
};

static int look_at_timer(const struct event_base *base, const struct event *ev, void *arg)
{
	struct spread *s = arg;
	struct timeval at;
	double left;

	if (!event_pending(ev, EV_TIMEOUT, &at))
		return 0;
	left = (double)(at.tv_sec - s->now.tv_sec) + (double)(at.tv_usec - s->now.tv_usec) / 1e6;
	if (left < 60)
		return 0;
	if (s->n++ == 0)
		s->first = s->last = left;
	s->first = left < s->first ? left : s->first;
	s->last = left > s->last ? left : s->last;
	return 0;
}

/* The next probes of 256 backends, read from the timers: within the jitter, and spread over it. */
static void the_next_probe_comes_within_the_jitter(void **state)
{
	static const struct {
		uint8_t jitter_pct;
		double from, to; /* of 3,600 s */
	} rows[] = {{0, 3600, 3600}, {10, 3240, 3960}, {50, 1800, 5400}};
	static const struct conf none;
	struct fix *f = *state;
	struct server s;

	start(&s, f->base, REFUSE, NULL);
	for (unsigned i = 0; i < 256; i++)
		f->backends[i].port = s.port;
	f->pool.n_backends = 256;
	for (size_t i = 0; i < 3; i++) {
		struct spread sp = {.n = 0};
		const double width = rows[i].to - rows[i].from;

		f->conf_check.jitter_pct = rows[i].jitter_pct;
		f->n_results = 0;
		f->n_wanted = 256;
		assert_int_equal(check_adapt(f->check, &f->conf), 0);
		ctlfix_run_until(f->base, has_results, f);
		event_base_gettimeofday_cached(f->base, &sp.now);
		event_base_foreach_event(f->base, look_at_timer, &sp);
		assert_int_equal(sp.n, 256);
		/* from the begin of the last probe, at most the test's 30 s ago */
		assert_true(sp.first >= rows[i].from - 30 && sp.last <= rows[i].to + 1);
		assert_true(sp.last - sp.first >= width * 0.9 - 1);
		assert_int_equal(check_adapt(f->check, &none), 0);
	}
	stop(&s);
}

/* What is probed in the same way goes on through a new configuration; what is gone is given up. */
static void a_new_configuration_keeps_probes_under_way(void **state)
{
	static const struct conf none;
	struct fix *f = *state, *other;
	struct server s;
	unsigned n_fds;

	use_http(f);
	start(&s, f->base, LINGER,
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"); /* no body yet */
	f->backends[0].port = f->backends[1].port = s.port;
	f->pool.n_backends = 2;
	n_fds = ctlfix_n_fds();
	assert_int_equal(check_adapt(f->check, &f->conf), 0);
	while (s.n_peers < 2 || s.request[0] == '\0')
		event_base_loop(f->base, EVLOOP_ONCE);
	other = malloc(sizeof(*other)); /* the same, elsewhere in memory, with one backend less */
	assert_non_null(other);
	*other = *f;
	other->pool.check = &other->conf_check;
	other->pool.backends = other->backends;
	other->pool.n_backends = 1;
	other->service.pool = &other->pool;
	other->conf.pools = &other->pool;
	other->conf.checks = &other->conf_check;
	other->conf.services = &other->service;
	assert_int_equal(check_adapt(f->check, &other->conf), 0);
	while (s.n_peers > 1)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->n_results, 0);
	bufferevent_write(s.peers[0], "ok", 2);
	f->n_wanted = 1;
	ctlfix_run_until(f->base, has_results, f);
	assert_true(f->is_pass);
	assert_int_equal(check_adapt(f->check, &none), 0);
	free(other);
	while (s.n_peers > 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	ctlfix_run_ready(f->base);
	assert_int_equal(ctlfix_n_fds(), n_fds);
	stop(&s);
}

/* The daemon out of descriptors says nothing about its backends: no result, and a word in the log. */
static void want_of_descriptors_is_no_failure_of_backends(void **state)
{
	struct fix *f = *state;
	/* timers fire in their order: some of the probes come before the end */
	static const struct timeval intervals = {0, 300000};
	struct rlimit old, low;
	struct server s;
	const char *log;

	start(&s, f->base, NOTHING, NULL);
	f->conf_check.interval_ms = 50;
	f->backends[0].port = s.port;
	for (unsigned kind = 0; kind < 2; kind++) {
		check_destroy(&f->check); /* complaints about one want are a minute apart */
		assert_int_equal(check_create(&f->check, f->base, on_result, f), 0);
		if (kind == 1) {
			use_http(f);
			s.manner = ANSWER;
			s.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
		}
		f->n_results = f->n_passes = 0;
		f->n_wanted = 1;
		assert_int_equal(check_adapt(f->check, &f->conf), 0);
		ctlfix_run_until(f->base, has_results, f); /* what is made once is made */
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
		low = (struct rlimit){3, old.rlim_max};
		ctlfix_log_begin();
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		event_base_loopexit(f->base, &intervals);
		event_base_dispatch(f->base);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		log = ctlfix_log_end();
		if (strstr(log, "LimitNOFILE") == NULL)
			fail_msg("%u: the log says '%s'", kind, log);
		assert_int_equal(f->n_results, f->n_passes);
		f->n_wanted = f->n_results + 1;
		ctlfix_run_until(f->base, has_results, f); /* and it goes on */
		assert_int_equal(f->n_results, f->n_passes);
	}
	stop(&s);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tcp_probes),
		TEST(http_probes),
		TEST(memcached_probes),
		TEST(redis_probes),
		TEST(endless_headers_fail),
		TEST(what_is_asked),
		TEST(expected_statuses_are_ranges),
		TEST(proxies_of_the_environment_are_not_used),
		TEST(a_check_may_have_its_own_port),
		TEST(the_next_probe_comes_within_the_jitter),
		TEST(a_new_configuration_keeps_probes_under_way),
		TEST(want_of_descriptors_is_no_failure_of_backends),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
