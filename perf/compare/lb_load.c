/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lb_load — the client of the balancers that are compared: asks lb_server, through one of them, on connections that are kept or, with --close, on
 * one for each request. Without --rate each connection has a request on the way all the time (closed loop). With --rate requests are due at even
 * intervals, whoever is late, and their time counts from when they were due, opening included (open loop). Every byte of an
 * answer is compared. A connection that breaks is counted and opened again, so that one peer's failure shows as a number, not as no measurement.
 * perf/README.md says how to read the line it prints.
 */
#include "lb_wire.h"
#include "loadbase.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS_MAX 16384u
#define EVENTS 256
#define ENDING (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define IN_BYTES (256u << 10)
#define LOOK_NS 10000000u  /* how often is looked for what takes too long */
#define RETRY_NS 10000000u /* until a connection that broke is opened again */
#define PORT_LOW 2000u     /* of those that --close takes in turn */
#define PORT_HIGH 65000u
#define PORT_TRIES 256u

enum state {
	CLOSED,  /* and not to be opened before retry_ns */
	OPENING, /* connect() is on the way */
	OPEN,    /* no request is on the way */
	ASKED,
};

struct conn {
	int fd;
	enum state state;
	bool has_request; /* with OPENING: what is asked once it is open */
	bool is_listed;   /* among the idle ones, where it may have broken since */
	struct lb_wire w;
	uint64_t n_in; /* bytes of the answer that have come */
	uint64_t due_ns, began_ns, retry_ns;
	struct conn *next_idle;
};

static struct {
	const char *host, *from;
	uint16_t port;
	unsigned n_conns, n_addresses, request_len, patience_ms;
	uint32_t answer_len;
	double seconds, rate;
	uint64_t seed;
	bool does_close, is_json;
} o = {.host = "127.0.0.1",
	.port = 8080,
	.n_conns = 64,
	.n_addresses = 1,
	.request_len = 64,
	.answer_len = 128,
	.patience_ms = 2000,
	.seconds = 5,
	.seed = 1};

/* What went wrong, by what the socket said. */
static struct {
	uint64_t requests, requests_in_time, bytes, bytes_in_time, conns;
	uint64_t refused, reset, closed, timeout, wrong, other;
} counts;

static union loadbase_address to, from;
static socklen_t to_len;
static struct conn *conns, *idle;
static unsigned n_busy;
static uint64_t end_ns;           /* of what counts in time */
static struct loadbase_pace pace; /* with --rate */
static struct histogram latency_ns;
static int epoll_fd;
static uint32_t next_port;

static void usage(void)
{
	fputs("usage: lb_load [OPTION...]\n"
	      "\n"
	      "  --host IP --port N    127.0.0.1, 8080\n"
	      "  --from IP             this host's address that connections come from\n"
	      "  --addresses N         and those that follow it, in turn: 1\n"
	      "  --conns N             connections: 64, at most 16384\n"
	      "  --close               a new one for each request, so many at a time\n"
	      "  --rate N              requests a second in all: as many as are answered\n"
	      "  --request BYTES       of each request: 64, 16 to 4096\n"
	      "  --answer BYTES        of each answer: 128, 16 to 1 G\n"
	      "  --patience-ms N       2000: then a request or an opening has failed\n"
	      "  --seconds N           5\n"
	      "  --seed N              of the random numbers: 1\n"
	      "  --json                the result as a JSON object\n",
		stderr);
	exit(2);
}

/* --- connections --- */

static bool is_free(const struct conn *c)
{
	return c->state == OPEN || (o.does_close && c->state == CLOSED && c->retry_ns == 0);
}

static void be_idle(struct conn *c)
{
	if (c->is_listed)
		return;
	c->is_listed = true;
	c->next_idle = idle;
	idle = c;
}

/* The first one that can be asked. */
static struct conn *find_idle(void)
{
	while (idle != NULL && !is_free(idle)) {
		idle->is_listed = false;
		idle = idle->next_idle;
	}
	return idle;
}

static void count_error(int error)
{
	switch (error) {
	case ECONNREFUSED:
		counts.refused++;
		break;
	case ECONNRESET:
	case EPIPE:
		counts.reset++;
		break;
	case ETIMEDOUT:
	case EHOSTUNREACH:
		counts.timeout++;
		break;
	default:
		if (counts.other++ == 0)
			fprintf(stderr, "a connection: %s\n", strerror(error));
	}
}

static void shut(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	c->state = CLOSED;
	c->retry_ns = 0;
}

/* The connection is of no use any more, and neither is its request. */
static void fail(struct conn *c, uint64_t now)
{
	n_busy -= c->has_request;
	c->has_request = false;
	shut(c);
	c->retry_ns = now + RETRY_NS;
}

/* The next of this host's addresses, and with --close the next of its ports: a search of Linux's for a free one
 * would take longer than all else, as most are in TIME-WAIT. */
static int bind_one(int fd, uint32_t turn)
{
	union loadbase_address a = from;
	const uint32_t last = ntohl(from.v4.sin_addr.s_addr) + turn % o.n_addresses;
	const int one = 1;

	a.v4.sin_addr.s_addr = htonl(last);
	if (o.does_close) {
		a.v4.sin_port =
			htons((uint16_t)(PORT_LOW + turn / o.n_addresses % (PORT_HIGH - PORT_LOW)));
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	}
	return bind(fd, &a.any, sizeof(a.v4));
}

/* A connection that is being opened. Returns 0, or what went wrong. */
static int begin_open(struct conn *c, uint64_t now)
{
	int error = 0;

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		c->fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (c->fd < 0)
			loadbase_die("a socket: %s; raise `ulimit -n`", strerror(errno));
		if ((o.from == NULL || bind_one(c->fd, next_port++) == 0)
			&& (connect(c->fd, &to.any, to_len) == 0 || errno == EINPROGRESS)) {
			struct epoll_event ev = {
				.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};

			if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
				loadbase_die("epoll: %s", strerror(errno));
			c->state = OPENING;
			c->began_ns = now;
			return 0;
		}
		error = errno;
		shut(c);
		if (!o.does_close || (error != EADDRINUSE && error != EADDRNOTAVAIL))
			break;
	}
	return error;
}

static void open_one(struct conn *c, uint64_t now)
{
	const int error = begin_open(c, now);

	if (error == 0)
		return;
	count_error(error);
	n_busy -= c->has_request;
	c->has_request = false;
	c->retry_ns = now + RETRY_NS;
}

/* --- requests --- */

static void send_request(struct conn *c, uint64_t now)
{
	uint8_t out[LB_WIRE_REQUEST_MAX];
	size_t n;

	lb_wire_build(out, &c->w, false);
	memcpy(out + LB_WIRE_HEAD,
		lb_wire_body(c->w.number, 0, c->w.request_len - LB_WIRE_HEAD, &n),
		c->w.request_len - LB_WIRE_HEAD);
	c->n_in = 0;
	c->began_ns = now;
	c->state = ASKED;
	/* nothing else is on the way, so there is room */
	if (send(c->fd, out, c->w.request_len, MSG_NOSIGNAL) != (ssize_t)c->w.request_len) {
		count_error(errno);
		fail(c, now);
	}
}

/* On a connection that is open, or with --close is to be opened. */
static void ask(struct conn *c, uint64_t due_ns, uint64_t now)
{
	c->w = (struct lb_wire){.number = (uint32_t)loadbase_random(),
		.request_len = o.request_len,
		.answer_len = o.answer_len};
	c->due_ns = due_ns;
	c->has_request = true;
	n_busy++;
	if (c->state == OPEN)
		send_request(c, now);
	else
		open_one(c, now);
}

static void on_answer(struct conn *c, uint64_t now)
{
	histogram_add(&latency_ns, now - c->due_ns);
	counts.requests++;
	counts.requests_in_time += now <= end_ns;
	c->has_request = false;
	n_busy--;
	if (o.does_close)
		shut(c);
	else
		c->state = OPEN;
}

static void on_bytes(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
	if (c->state != ASKED || n > c->w.answer_len - c->n_in
		|| !lb_wire_is_right(&c->w, true, c->n_in, p, n)) {
		if (counts.wrong++ == 0)
			fprintf(stderr, "wrong bytes, after %" PRIu64 " of %u of an answer: %s\n",
				c->n_in, c->w.answer_len, lb_wire_show(p, n));
		fail(c, now);
		return;
	}
	c->n_in += n;
	counts.bytes += n;
	if (now <= end_ns)
		counts.bytes_in_time += n;
	if (c->n_in == c->w.answer_len)
		on_answer(c, now);
}

static void hear(struct conn *c, bool is_ending)
{
	static uint8_t in[IN_BYTES];
	ssize_t n;

	do { /* edge-triggered: until there is no more */
		n = recv(c->fd, in, sizeof(in), 0);
		if (n > 0) {
			on_bytes(c, in, (size_t)n, loadbase_now_ns());
		} else if (n == 0) {
			counts.closed++;
			fail(c, loadbase_now_ns());
		} else if (errno != EAGAIN) {
			count_error(errno);
			fail(c, loadbase_now_ns());
		}
	} while (c->fd >= 0 && n > 0 && (is_ending || n == (ssize_t)sizeof(in)));
}

static void on_opened(struct conn *c, uint64_t now)
{
	const int one = 1;
	socklen_t len = sizeof(int);
	int error = 0;

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		count_error(error);
		fail(c, now);
		return;
	}
	counts.conns++;
	c->state = OPEN;
	if (!o.does_close)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (c->has_request)
		send_request(c, now);
}

/* --- loops --- */

/* What has happened. Those that can be asked are idle afterwards. */
static void hear_all(int ms)
{
	struct epoll_event events[EVENTS];
	const int n = epoll_wait(epoll_fd, events, EVENTS, ms);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		const bool was_free = is_free(c);

		if (c->state == OPENING)
			on_opened(c, loadbase_now_ns());
		if (c->fd >= 0 && (events[i].events & ~EPOLLOUT) != 0)
			hear(c, (events[i].events & ENDING) != 0);
		if (!was_free && is_free(c))
			be_idle(c);
	}
	if (n == 0 && ms == 0)
		sched_yield(); /* the backends may be on this CPU */
}

/* Gives up what takes too long, and opens again what broke. */
static void look(uint64_t now)
{
	static uint64_t looked_ns;

	if (now - looked_ns < LOOK_NS)
		return;
	looked_ns = now;
	for (unsigned i = 0; i < o.n_conns; i++) {
		struct conn *c = &conns[i];

		if ((c->state == ASKED || c->state == OPENING)
			&& now - c->began_ns > o.patience_ms * 1000000ull) {
			counts.timeout++;
			fail(c, now);
		}
		if (c->state != CLOSED || c->retry_ns == 0 || now < c->retry_ns)
			continue;
		c->retry_ns = 0;
		if (!o.does_close)
			open_one(c, now);
		else
			be_idle(c);
	}
}

static void open_all(void)
{
	const uint64_t begin = loadbase_now_ns(), patience = o.patience_ms * 1000000ull;
	unsigned n_open = 0;

	for (unsigned i = 0; i < o.n_conns; i++)
		open_one(&conns[i], begin);
	while (n_open < o.n_conns && loadbase_now_ns() - begin < patience) {
		hear_all(10);
		n_open = 0;
		for (unsigned i = 0; i < o.n_conns; i++)
			n_open += conns[i].state == OPEN;
	}
	if (n_open < o.n_conns)
		loadbase_die("%s port %u: %u of %u connections are open after %u ms: %" PRIu64
			     " refused, %" PRIu64 " reset, %" PRIu64 " closed, %" PRIu64
			     " timed out",
			o.host, o.port, n_open, o.n_conns, o.patience_ms, counts.refused,
			counts.reset, counts.closed, counts.timeout);
	memset(&counts, 0, sizeof(counts));
	counts.conns = n_open;
}

/* What is due, or with no rate as many as are idle. */
static void ask_more(uint64_t now)
{
	struct conn *c;

	while ((c = find_idle()) != NULL) {
		uint64_t due = now;

		if (o.rate > 0 ? !loadbase_pace_take(&pace, now, &due) : now >= end_ns)
			return;
		idle = c->next_idle;
		c->is_listed = false;
		ask(c, due, now);
	}
}

/* Until the time is over and all is answered, or has failed. */
static void play(void)
{
	uint64_t now;

	pace = loadbase_pace_of(o.rate > 0 ? o.rate : 1, o.seconds);
	now = pace.begin_ns;
	end_ns = pace.end_ns;
	for (unsigned i = 0; i < o.n_conns; i++)
		if (is_free(&conns[i]))
			be_idle(&conns[i]);
	while (now < end_ns || n_busy > 0 || (o.rate > 0 && !loadbase_pace_is_over(&pace))) {
		if (now > end_ns + o.patience_ms * 1000000ull)
			break;
		ask_more(now);
		hear_all(o.rate > 0 ? 0 : 10); /* a wait would be as long as what is measured */
		now = loadbase_now_ns();
		look(now);
	}
	counts.timeout += n_busy;
}

static void report(void)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {{"bytes", counts.bytes}, {"conns", counts.conns}, {"sent_late", pace.n_late},
		{"unsent", o.rate > 0 ? loadbase_pace_total(&pace) - pace.n_taken : 0},
		{"refused", counts.refused}, {"reset", counts.reset}, {"closed", counts.closed},
		{"timeout", counts.timeout}, {"wrong", counts.wrong}, {"other", counts.other}};
	const double per_second = (double)counts.requests_in_time / o.seconds,
		     mb_per_second = (double)counts.bytes_in_time / o.seconds / 1e6;

	printf(o.is_json ? "{\"requests\": %" PRIu64
			   ", \"per_second\": %.1f, \"mb_per_second\": %.3f, "
			 : "%" PRIu64 " requests, %.1f/s, %.3f MB/s of answers, ",
		counts.requests, per_second, mb_per_second);
	loadbase_print_times(&latency_ns, o.is_json);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf(o.is_json ? ", \"%s\": %" PRIu64 : "; %s %" PRIu64, rows[i].name,
			rows[i].value);
	puts(o.is_json ? "}" : "");
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'},
		{"from", 1, NULL, 'f'}, {"addresses", 1, NULL, 'a'}, {"conns", 1, NULL, 'n'},
		{"close", 0, NULL, 'c'}, {"rate", 1, NULL, 'q'}, {"request", 1, NULL, 'i'},
		{"answer", 1, NULL, 'o'}, {"patience-ms", 1, NULL, 't'}, {"seconds", 1, NULL, 'd'},
		{"seed", 1, NULL, 'r'}, {"json", 0, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			o.host = optarg;
			break;
		case 'p':
			o.port = (uint16_t)loadbase_number(optarg, 1, 65535);
			break;
		case 'f':
			o.from = optarg;
			break;
		case 'a':
			o.n_addresses = (unsigned)loadbase_number(optarg, 1, 250);
			break;
		case 'n':
			o.n_conns = (unsigned)loadbase_number(optarg, 1, CONNS_MAX);
			break;
		case 'c':
			o.does_close = true;
			break;
		case 'q':
			o.rate = loadbase_number(optarg, 1, 1e9);
			break;
		case 'i':
			o.request_len = (unsigned)loadbase_number(
				optarg, LB_WIRE_HEAD, LB_WIRE_REQUEST_MAX);
			break;
		case 'o':
			o.answer_len =
				(uint32_t)loadbase_number(optarg, LB_WIRE_HEAD, LB_WIRE_ANSWER_MAX);
			break;
		case 't':
			o.patience_ms = (unsigned)loadbase_number(optarg, 1, 60000);
			break;
		case 'd':
			o.seconds = loadbase_number(optarg, 0.001, 1e6);
			break;
		case 'r':
			o.seed = (uint64_t)loadbase_number(optarg, 0, 1e15);
			break;
		case 'j':
			o.is_json = true;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
	if (o.from == NULL && o.n_addresses > 1)
		loadbase_die("--addresses wants --from");
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	to_len = loadbase_address(o.host, o.port, &to);
	if (o.from != NULL) {
		loadbase_address(o.from, 0, &from);
		if (from.any.sa_family != AF_INET || to.any.sa_family != AF_INET)
			loadbase_die("--from takes IPv4 alone");
	}
	lb_wire_init();
	loadbase_seed(o.seed);
	next_port = (uint32_t)loadbase_now_ns(); /* those of the last run are in TIME-WAIT */
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	conns = loadbase_must(calloc(o.n_conns, sizeof(*conns)));
	for (unsigned i = 0; i < o.n_conns; i++)
		conns[i].fd = -1;
	if (!o.does_close)
		open_all();
	play();
	if (counts.wrong > 0)
		loadbase_die("%" PRIu64 " answers had bytes that nobody asked for", counts.wrong);
	if (counts.requests == 0)
		loadbase_die("%s port %u: no request was answered: %" PRIu64 " refused, %" PRIu64
			     " reset, %" PRIu64 " closed, %" PRIu64 " timed out",
			o.host, o.port, counts.refused, counts.reset, counts.closed,
			counts.timeout);
	report();
	return 0;
}
