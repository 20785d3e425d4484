/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_tcp_load — asks a memcached or a Redis over TCP, or what speaks like one: connections of the kernel's, one thread. Without --rate each
 * connection writes its pipeline of --depth requests at once, and the next when all answers are there (closed loop). With --rate
 * requests are due at even intervals, whoever is late, and their time counts from when they were due (open loop). Every
 * answer is compared with what was asked. perf/README.md says how to read the line it prints.
 */
#include "loadbase.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS_MAX 16384u
#define DEPTH_MAX 256u
#define VALUE_MAX 16384u
#define REQUEST_MAX (VALUE_MAX + 128u)
#define EVENTS 256
#define STALL_S 10u

struct ask {
	uint64_t due_ns;
	uint32_t key;
	bool is_set;
};

struct conn {
	int fd;
	struct ask *asks; /* of depth: those that are not answered yet, from `first` on */
	unsigned first, n;
	uint8_t *in; /* what has come and is no whole answer */
	uint32_t n_in, in_size;
	struct conn *next_idle;
};

struct options {
	const char *host;
	uint16_t port;
	unsigned n_conns, depth, value_len, set_pct;
	uint32_t n_keys;
	double skew, seconds, rate;
	uint64_t seed;
	bool does_load, does_run, is_json, is_redis;
};

struct counts {
	uint64_t requests, gets, hits, misses, sets, refused, wrong;
};

static struct options o = {.host = "127.0.0.1",
	.port = 11211,
	.n_conns = 16,
	.depth = 16,
	.value_len = 32,
	.n_keys = 100000,
	.skew = 0.99,
	.seconds = 5,
	.seed = 1,
	.does_load = true,
	.does_run = true};
static struct conn *conns, *idle;
static struct counts counts;
static struct histogram latency_ns;
static const uint32_t *draws;
static uint64_t next_draw;
static bool is_loading;
static uint32_t next_load, n_loaded;
static int epoll_fd;
static struct loadbase_pace pace; /* with --rate */

static void usage(void)
{
	fputs("usage: mc_tcp_load [OPTION...]\n"
	      "\n"
	      "  --host IP --port N    127.0.0.1, 11211\n"
	      "  --redis               speaks as to a Redis\n"
	      "  --conns N             connections: 16, at most 16384\n"
	      "  --depth N             requests of a pipeline: 16, at most 256\n"
	      "  --rate N              requests a second in all, one at a time on a connection: as many as are answered\n"
	      "  --keys N              100000; key:000000000000 and so on\n"
	      "  --value BYTES         of each value: 32, at most 16384\n"
	      "  --set PERCENT         of the requests: 0\n"
	      "  --zipf SKEW           0.99; 0: all keys alike\n"
	      "  --seconds N           5\n"
	      "  --seed N              of the random numbers: 1\n"
	      "  --load-only           stores the keys and ends\n"
	      "  --no-load             does not store them first\n"
	      "  --json                the result as a JSON object\n",
		stderr);
	exit(2);
}

/* --- requests and answers --- */

static unsigned build(uint8_t *to, const struct ask *a)
{
	char key[LOADBASE_KEY_LEN + 1];
	unsigned n;

	loadbase_write_key(key, a->key);
	if (!a->is_set)
		return (unsigned)snprintf((char *)to, REQUEST_MAX,
			o.is_redis ? "*2\r\n$3\r\nGET\r\n$16\r\n%s\r\n" : "get %s\r\n", key);
	n = (unsigned)snprintf((char *)to, REQUEST_MAX,
		o.is_redis ? "*3\r\n$3\r\nSET\r\n$16\r\n%s\r\n$%u\r\n" : "set %s 0 0 %u\r\n", key,
		o.value_len);
	loadbase_write_value(to + n, key, o.value_len);
	memcpy(to + n + o.value_len, "\r\n", 2);
	return n + o.value_len + 2;
}

static unsigned build_hit(uint8_t *to, uint32_t i)
{
	char key[LOADBASE_KEY_LEN + 1];
	unsigned n;

	loadbase_write_key(key, i);
	n = o.is_redis ? (unsigned)snprintf((char *)to, REQUEST_MAX, "$%u\r\n", o.value_len)
		       : (unsigned)snprintf(
			       (char *)to, REQUEST_MAX, "VALUE %s 0 %u\r\n", key, o.value_len);
	loadbase_write_value(to + n, key, o.value_len);
	n += o.value_len;
	return n
		+ (unsigned)snprintf(
			(char *)to + n, REQUEST_MAX - n, o.is_redis ? "\r\n" : "\r\nEND\r\n");
}

/* Bytes of the answer at p, 0: it is not whole; and what it was. */
static unsigned judge(const struct ask *a, const uint8_t *p, uint32_t n)
{
	const char *const ok = o.is_redis ? "+OK\r\n" : "STORED\r\n";
	const char *const miss = o.is_redis ? "$-1\r\n" : "END\r\n";
	const char *const shorter = a->is_set ? ok : miss;
	uint8_t hit[REQUEST_MAX];
	unsigned len = (unsigned)strlen(shorter);

	if (n < len)
		return 0;
	if (memcmp(p, shorter, len) == 0) {
		counts.sets += a->is_set;
		counts.gets += !a->is_set;
		counts.misses += !a->is_set;
		return len;
	}
	if (a->is_set)
		loadbase_die("%.*s: in answer to a set", (int)(n < 60 ? n : 60), (const char *)p);
	len = build_hit(hit, a->key);
	if (n < len)
		return 0;
	counts.gets++;
	if (memcmp(p, hit, len) == 0)
		counts.hits++;
	else if (counts.wrong++ == 0)
		loadbase_die("%.*s: in answer to a get of key %u", (int)(n < 60 ? n : 60),
			(const char *)p, a->key);
	return len;
}

static bool choose(struct ask *a, uint64_t due_ns)
{
	a->due_ns = due_ns;
	a->is_set = is_loading || (o.set_pct > 0 && loadbase_random() % 100 < o.set_pct);
	if (!is_loading)
		a->key = draws[next_draw++ % LOADBASE_DRAWS];
	else if (next_load < o.n_keys)
		a->key = next_load++;
	else
		return false;
	return true;
}

/* --- connections --- */

static void open_conns(void)
{
	union loadbase_address to;
	const socklen_t to_len = loadbase_address(o.host, o.port, &to);
	const int one = 1;

	conns = loadbase_must(calloc(o.n_conns, sizeof(*conns)));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < o.n_conns; i++) {
		struct conn *c = &conns[i];
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

		c->fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0)
			loadbase_die("a socket: %s; raise `ulimit -n`", strerror(errno));
		if (connect(c->fd, &to.any, to_len) != 0)
			loadbase_die("%s port %u, connection %u: %s", o.host, o.port, i,
				strerror(errno));
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		c->asks = loadbase_must(calloc(o.depth, sizeof(*c->asks)));
		c->in_size = o.depth * (o.value_len + 64u) + 65536u;
		c->in = loadbase_must(malloc(c->in_size));
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &ev) != 0)
			loadbase_die("epoll: %s", strerror(errno));
	}
}

static void send_all(const struct conn *c, const uint8_t *p, uint32_t n)
{
	while (n > 0) {
		const ssize_t done = send(c->fd, p, n, MSG_NOSIGNAL);

		if (done < 0)
			loadbase_die("sending: %s", strerror(errno));
		p += done;
		n -= (uint32_t)done;
	}
}

/* Writes up to n requests at once. Nothing is on the way. */
static unsigned ask(struct conn *c, unsigned n, uint64_t due_ns)
{
	static uint8_t out[DEPTH_MAX * REQUEST_MAX];
	uint32_t n_out = 0;

	c->first = c->n = 0;
	while (c->n < n && choose(&c->asks[c->n], due_ns))
		n_out += build(out + n_out, &c->asks[c->n++]);
	send_all(c, out, n_out);
	return c->n;
}

/* What has come is compared. */
static void hear(struct conn *c)
{
	const ssize_t got = recv(c->fd, c->in + c->n_in, c->in_size - c->n_in, 0);
	const uint64_t now = loadbase_now_ns();
	uint32_t at = 0;
	unsigned len;

	if (got <= 0)
		loadbase_die("the server has closed a connection: %s",
			got < 0 ? strerror(errno) : "end of file");
	c->n_in += (uint32_t)got;
	while (c->n > 0 && (len = judge(&c->asks[c->first], c->in + at, c->n_in - at)) > 0) {
		histogram_add(&latency_ns, now - c->asks[c->first].due_ns);
		n_loaded += is_loading;
		counts.requests++;
		at += len;
		c->first++;
		c->n--;
	}
	c->n_in -= at;
	memmove(c->in, c->in + at, c->n_in);
	if (c->n == 0 && c->n_in > 0)
		loadbase_die("bytes that nobody asked for: %.*s",
			(int)(c->n_in < 60 ? c->n_in : 60), (const char *)c->in);
}

/* --- loops --- */

static void be_idle(struct conn *c)
{
	c->next_idle = idle;
	idle = c;
}

static int wait_some(struct epoll_event *events, int ms)
{
	static uint64_t heard_ns;
	const int n = epoll_wait(epoll_fd, events, EVENTS, ms);
	const uint64_t now = loadbase_now_ns();

	if (n > 0 || heard_ns == 0)
		heard_ns = now;
	if (ms != 0 && now - heard_ns > STALL_S * 1000000000ull)
		loadbase_die("nothing has been answered for %u s", STALL_S);
	return n;
}

/* Until the time is over or everything is loaded, and all is answered. Returns the seconds until then. */
static double play_closed(double seconds)
{
	const uint64_t begin = loadbase_now_ns(), end = begin + (uint64_t)(seconds * 1e9);
	struct epoll_event events[EVENTS];
	unsigned n_busy = 0;

	for (unsigned i = 0; i < o.n_conns; i++)
		n_busy += ask(&conns[i], o.depth, loadbase_now_ns()) > 0;
	while (n_busy > 0) {
		const int n = wait_some(events, 1000);

		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			uint64_t now;

			hear(c);
			if (c->n > 0)
				continue;
			now = loadbase_now_ns();
			if ((!is_loading && now >= end) || ask(c, o.depth, now) == 0)
				n_busy--;
		}
	}
	return (double)(loadbase_now_ns() - begin) / 1e9;
}

static double play_open(double seconds)
{
	struct epoll_event events[EVENTS];
	unsigned n_busy = 0;

	pace = loadbase_pace_of(o.rate, seconds);
	for (unsigned i = 0; i < o.n_conns; i++)
		be_idle(&conns[i]);
	for (;;) {
		const uint64_t now = loadbase_now_ns();
		uint64_t due;
		int n;

		while (idle != NULL && loadbase_pace_take(&pace, now, &due)) {
			struct conn *c = idle;

			idle = c->next_idle;
			ask(c, 1, due);
			n_busy++;
		}
		if (n_busy == 0 && loadbase_pace_is_over(&pace))
			return (double)(loadbase_now_ns() - pace.begin_ns) / 1e9;
		n = wait_some(events, 0); /* a wait would be as long as what is measured */
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			hear(c);
			if (c->n == 0) {
				be_idle(c);
				n_busy--;
			}
		}
	}
}

static void report(double seconds)
{
	printf(o.is_json ? "{\"requests\": %" PRIu64 ", \"per_second\": %.0f, "
			 : "%" PRIu64 " requests, %.0f/s, ",
		counts.requests, (double)counts.requests / seconds);
	loadbase_print_times(&latency_ns, o.is_json);
	printf(o.is_json ? ", \"gets\": %" PRIu64 ", \"hits\": %" PRIu64 ", \"misses\": %" PRIu64
			   ", \"sets\": %" PRIu64 ", \"sent_late\": %" PRIu64 "}\n"
			 : "; %" PRIu64 " gets: %" PRIu64 " hits, %" PRIu64 " misses; %" PRIu64
			   " sets; %" PRIu64 " sent late\n",
		counts.gets, counts.hits, counts.misses, counts.sets, pace.n_late);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'},
		{"redis", 0, NULL, 'R'}, {"conns", 1, NULL, 'n'}, {"depth", 1, NULL, 'w'},
		{"rate", 1, NULL, 'q'}, {"keys", 1, NULL, 'k'}, {"value", 1, NULL, 'v'},
		{"set", 1, NULL, 's'}, {"zipf", 1, NULL, 'z'}, {"seconds", 1, NULL, 'd'},
		{"seed", 1, NULL, 'r'}, {"load-only", 0, NULL, 'L'}, {"no-load", 0, NULL, 'N'},
		{"json", 0, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			o.host = optarg;
			break;
		case 'p':
			o.port = (uint16_t)loadbase_number(optarg, 1, 65535);
			break;
		case 'R':
			o.is_redis = true;
			break;
		case 'n':
			o.n_conns = (unsigned)loadbase_number(optarg, 1, CONNS_MAX);
			break;
		case 'w':
			o.depth = (unsigned)loadbase_number(optarg, 1, DEPTH_MAX);
			break;
		case 'q':
			o.rate = loadbase_number(optarg, 1, 1e9);
			break;
		case 'k':
			o.n_keys = (uint32_t)loadbase_number(optarg, 1, 1e9);
			break;
		case 'v':
			o.value_len = (unsigned)loadbase_number(optarg, 0, VALUE_MAX);
			break;
		case 's':
			o.set_pct = (unsigned)loadbase_number(optarg, 0, 100);
			break;
		case 'z':
			o.skew = loadbase_number(optarg, 0, 10);
			break;
		case 'd':
			o.seconds = loadbase_number(optarg, 0.001, 1e6);
			break;
		case 'r':
			o.seed = (uint64_t)loadbase_number(optarg, 0, 1e15);
			break;
		case 'L':
			o.does_run = false;
			break;
		case 'N':
			o.does_load = false;
			break;
		case 'j':
			o.is_json = true;
			break;
		default:
			usage();
		}
	if (optind != argc)
		usage();
}

int main(int argc, char **argv)
{
	double seconds;

	parse(argc, argv);
	loadbase_seed(o.seed);
	open_conns();
	if (o.does_load) {
		is_loading = true;
		play_closed(0);
		is_loading = false;
		if (n_loaded != o.n_keys)
			loadbase_die("%u of %u keys are stored", n_loaded, o.n_keys);
		memset(&counts, 0, sizeof(counts));
		histogram_init(&latency_ns);
	}
	if (!o.does_run)
		return 0;
	draws = loadbase_draw_keys(o.n_keys, o.skew);
	seconds = o.rate > 0 ? play_open(o.seconds) : play_closed(o.seconds);
	if (counts.requests == 0)
		loadbase_die("%s port %u: no request was answered", o.host, o.port);
	report(seconds);
	return 0;
}
