/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_udp_load — asks a memcached over UDP, or what speaks like one: one thread, the kernel's sockets. Without --rate each socket keeps a window
 * of requests on the way, as fast as they are answered (closed loop). With --rate requests are due at even intervals, and their time
 * counts from when they were due (open loop). What is lost is given up after a while. Every reply is compared with what was asked.
 * perf/README.md says how to read the line it prints.
 *
 * A request's id is its slot's number and, above, how often the slot was used, so that a late reply is not taken for another one's.
 */
#include "loadbase.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SOCKETS_MAX 256u
#define WINDOW_MAX 256u /* leaves half of an id's bits to tell late replies by */
#define BATCH 64u
#define DATAGRAM 2048u
#define VALUE_MAX 1024u /* of a request, in one datagram with its key */
#define FRAME 8u
#define LOAD_STALL_S 5u /* nothing was stored for so long */

struct slot {
	uint64_t
		due_ns; /* that its time counts from: when it was sent, or with --rate should have been */
	uint64_t sent_ns; /* 0: free */
	uint32_t key;
	uint16_t n_left; /* datagrams of the reply that are missing; 0: none has come */
	uint16_t round;
	bool is_set;
};

struct sock {
	int fd;
	struct slot slots[WINDOW_MAX];
	uint16_t spare[WINDOW_MAX]; /* free slots */
	unsigned n_spare;
};

struct options {
	const char *host;
	uint16_t port;
	unsigned n_sockets, window, value_len, set_pct, loss_ms;
	uint32_t n_keys, ttl_s;
	double skew; /* 0: uniform */
	double seconds, rate;
	uint64_t seed;
	bool does_load, does_run, is_json;
};

struct counts {
	uint64_t requests, gets, hits, misses, sets, lost, late, refused, wrong;
};

static struct options o = {.host = "127.0.0.1",
	.port = 11211,
	.n_sockets = 8,
	.window = 16,
	.value_len = 32,
	.loss_ms = 50,
	.n_keys = 100000,
	.skew = 0.99,
	.seconds = 5,
	.seed = 1,
	.does_load = true,
	.does_run = true};
static struct sock socks[SOCKETS_MAX];
static struct counts counts;
static struct histogram latency_ns;
static const uint32_t *draws; /* keys in the order they are asked for */
static uint64_t next_draw;
static unsigned round_end; /* an id is of 16 bits */
static struct loadbase_pace pace;

/* While keys are loaded: the next one, and those that were not stored. */
static bool is_loading;
static uint32_t next_load, *again;
static uint64_t n_again, n_stored;

static uint8_t tx[BATCH][DATAGRAM], rx[BATCH][DATAGRAM];
static struct mmsghdr tx_msgs[BATCH], rx_msgs[BATCH];
static struct iovec tx_iov[BATCH], rx_iov[BATCH];

static void usage(void)
{
	fputs("usage: mc_udp_load [OPTION...]\n"
	      "\n"
	      "  --host IP --port N    127.0.0.1, 11211\n"
	      "  --sockets N           8, at most 256; each from a port of its own\n"
	      "  --window N            requests on the way for each socket: 16, at most 256\n"
	      "  --rate N              requests a second in all: as many as are answered\n"
	      "  --keys N              100000; key:000000000000 and so on\n"
	      "  --value BYTES         of each value: 32, at most 1024\n"
	      "  --ttl SECONDS         of what is stored: 0, for ever\n"
	      "  --set PERCENT         of the requests: 0\n"
	      "  --zipf SKEW           0.99; 0: all keys alike\n"
	      "  --seconds N           5\n"
	      "  --loss-ms N           50: then a request counts as lost\n"
	      "  --seed N              of the random numbers: 1\n"
	      "  --load-only           stores the keys and ends\n"
	      "  --no-load             does not store them first\n"
	      "  --json                the result as a JSON object\n",
		stderr);
	exit(2);
}

static void open_sockets(void)
{
	union loadbase_address to;
	const socklen_t to_len = loadbase_address(o.host, o.port, &to);
	const int bytes = 4 << 20;

	for (unsigned i = 0; i < o.n_sockets; i++) {
		struct sock *s = &socks[i];

		s->fd = socket(to.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (s->fd < 0)
			loadbase_die("a socket: %s", strerror(errno));
		/* as much as is allowed: what does not fit is lost, and counted */
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
		if (connect(s->fd, &to.any, to_len) != 0)
			loadbase_die("%s: %s", o.host, strerror(errno));
		while (s->n_spare < o.window) {
			s->spare[s->n_spare] = (uint16_t)s->n_spare;
			s->n_spare++;
		}
	}
}

static unsigned build(uint8_t *to, uint16_t id, uint32_t i, bool is_set)
{
	char key[LOADBASE_KEY_LEN + 1];
	unsigned n = FRAME;

	loadbase_write_key(key, i);
	memset(to, 0, FRAME);
	to[0] = (uint8_t)(id >> 8);
	to[1] = (uint8_t)id;
	to[5] = 1;
	if (!is_set)
		return n + (unsigned)snprintf((char *)to + n, DATAGRAM - n, "get %s\r\n", key);
	n += (unsigned)snprintf(
		(char *)to + n, DATAGRAM - n, "set %s 0 %u %u\r\n", key, o.ttl_s, o.value_len);
	loadbase_write_value(to + n, key, o.value_len);
	n += o.value_len;
	to[n++] = '\r';
	to[n++] = '\n';
	return n;
}

/* What is asked next; false: nothing. */
static bool choose(uint32_t *key, bool *is_set)
{
	*is_set = is_loading || (o.set_pct > 0 && loadbase_random() % 100 < o.set_pct);
	if (!is_loading)
		*key = draws[next_draw++ % LOADBASE_DRAWS];
	else if (next_load < o.n_keys)
		*key = next_load++;
	else if (n_again > 0)
		*key = again[--n_again];
	else
		return false;
	return true;
}

static void give_back(struct sock *s, uint16_t at)
{
	s->slots[at].sent_ns = 0;
	s->slots[at].n_left = 0;
	s->spare[s->n_spare++] = at;
}

static void load_again(uint32_t key)
{
	if (is_loading)
		again[n_again++] = key;
}

static bool is_paced(void)
{
	return o.rate > 0 && !is_loading;
}

/* Fills the window, or a batch of it; what is due, one at a time, so that all sockets have some. */
static unsigned ask(struct sock *s, uint64_t now)
{
	const unsigned most = is_paced() ? 1 : BATCH;
	uint16_t slots[BATCH];
	unsigned n = 0;
	int sent;

	for (; n < most && s->n_spare > 0; n++) {
		uint64_t due = now;
		uint32_t key;
		bool is_set;
		const uint16_t at = s->spare[s->n_spare - 1];
		struct slot *slot = &s->slots[at];

		if ((is_paced() && !loadbase_pace_take(&pace, now, &due)) || !choose(&key, &is_set))
			break;
		s->n_spare--;
		slots[n] = at;
		*slot = (struct slot){.due_ns = due,
			.sent_ns = now,
			.key = key,
			.round = (uint16_t)((slot->round + 1) % round_end),
			.is_set = is_set};
		tx_iov[n].iov_len =
			build(tx[n], (uint16_t)(slot->round * o.window + at), key, is_set);
	}
	if (n == 0)
		return 0;
	sent = sendmmsg(s->fd, tx_msgs, n, 0);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED)
		loadbase_die("sending to %s: %s", o.host, strerror(errno));
	for (unsigned i = sent < 0 ? 0 : (unsigned)sent; i < n; i++) {
		load_again(s->slots[slots[i]].key);
		give_back(s, slots[i]);
		counts.lost += is_paced();
	}
	return sent < 0 ? 0 : (unsigned)sent;
}

static bool begins_with(const uint8_t *text, size_t len, const char *with)
{
	return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* The text of a reply, or the first datagram of one. */
static void judge(const struct slot *slot, const uint8_t *text, size_t len)
{
	char key[LOADBASE_KEY_LEN + 1], head[64];
	uint8_t value[VALUE_MAX];
	size_t head_len, n;

	loadbase_write_key(key, slot->key);
	if (slot->is_set) {
		if (begins_with(text, len, "STORED\r\n")) {
			n_stored += is_loading;
			return;
		}
		load_again(slot->key);
		counts.refused++;
		return;
	}
	counts.gets++;
	if (begins_with(text, len, "END\r\n")) {
		counts.misses++;
		return;
	}
	head_len = (size_t)snprintf(head, sizeof(head), "VALUE %s 0 %u\r\n", key, o.value_len);
	if (!begins_with(text, len, head)) {
		counts.wrong += begins_with(text, len, "VALUE");
		counts.refused += !begins_with(text, len, "VALUE");
		return;
	}
	loadbase_write_value(value, key, o.value_len);
	n = len - head_len < o.value_len ? len - head_len : o.value_len;
	if (memcmp(text + head_len, value, n) != 0)
		counts.wrong++;
	else
		counts.hits++;
}

static void on_datagram(struct sock *s, const uint8_t *p, size_t len, uint64_t now)
{
	const unsigned id = (unsigned)p[0] << 8 | p[1], total = (unsigned)p[4] << 8 | p[5];
	const unsigned at = id % o.window;
	struct slot *slot = &s->slots[at];

	if (len < FRAME || total == 0)
		return;
	if (slot->sent_ns == 0 || slot->round != id / o.window) {
		counts.late++;
		return;
	}
	if (slot->n_left == 0)
		slot->n_left = (uint16_t)total;
	if (p[2] == 0 && p[3] == 0)
		judge(slot, p + FRAME, len - FRAME);
	if (--slot->n_left > 0)
		return;
	counts.requests++;
	counts.sets += slot->is_set;
	histogram_add(&latency_ns, now - slot->due_ns);
	give_back(s, (uint16_t)at);
}

static unsigned hear(struct sock *s)
{
	const int n = recvmmsg(s->fd, rx_msgs, BATCH, 0, NULL);
	uint64_t now;

	if (n < 0 && errno == ECONNREFUSED)
		loadbase_die("%s: nobody listens at port %u", o.host, o.port);
	if (n <= 0)
		return 0;
	now = loadbase_now_ns();
	for (int i = 0; i < n; i++)
		on_datagram(s, rx[i], rx_msgs[i].msg_len, now);
	return (unsigned)n;
}

static unsigned give_up(struct sock *s, uint64_t now)
{
	unsigned n_waiting = 0;

	for (uint16_t at = 0; at < o.window; at++) {
		struct slot *slot = &s->slots[at];

		if (slot->sent_ns == 0)
			continue;
		if (now - slot->sent_ns < o.loss_ms * 1000000ull) {
			n_waiting++;
			continue;
		}
		counts.lost++;
		load_again(slot->key);
		give_back(s, at);
	}
	return n_waiting;
}

static void wait_for_any(void)
{
	static struct pollfd fds[SOCKETS_MAX];

	for (unsigned i = 0; i < o.n_sockets; i++)
		fds[i] = (struct pollfd){.fd = socks[i].fd, .events = POLLIN};
	poll(fds, o.n_sockets, 1);
}

/* Until the time is over, or everything is loaded. Returns the seconds that took. */
static double play(double seconds)
{
	const uint64_t begin = loadbase_now_ns();
	const uint64_t end = begin + (uint64_t)(seconds * 1e9);
	uint64_t now = begin, looked = begin, stored = 0, stored_ns = begin;

	while (is_loading ? n_stored < o.n_keys : now < end) {
		unsigned n = 0;

		for (unsigned i = 0; i < o.n_sockets; i++) {
			n += hear(&socks[i]);
			n += ask(&socks[i], loadbase_now_ns());
		}
		if (n == 0 && !is_paced()) /* a wait would be as long as what is measured */
			wait_for_any();
		now = loadbase_now_ns();
		if (now - looked > 5000000) {
			looked = now;
			for (unsigned i = 0; i < o.n_sockets; i++)
				give_up(&socks[i], now);
		}
		if (n_stored != stored) {
			stored = n_stored;
			stored_ns = now;
		}
		if (is_loading && now - stored_ns > LOAD_STALL_S * 1000000000ull)
			loadbase_die("loading: nothing was stored for %u s; %" PRIu64
				     " of %u keys are, %" PRIu64 " tries were lost, %" PRIu64
				     " refused",
				LOAD_STALL_S, n_stored, o.n_keys, counts.lost, counts.refused);
	}
	return (double)(now - begin) / 1e9;
}

/* What is still on the way comes, or is lost, without new requests. */
static void drain(void)
{
	unsigned n_waiting;

	do {
		wait_for_any();
		n_waiting = 0;
		for (unsigned i = 0; i < o.n_sockets; i++) {
			while (hear(&socks[i]) > 0)
				;
			n_waiting += give_up(&socks[i], loadbase_now_ns());
		}
	} while (n_waiting > 0);
}

static void report(double seconds)
{
	printf(o.is_json ? "{\"requests\": %" PRIu64 ", \"per_second\": %.0f, "
			 : "%" PRIu64 " requests, %.0f/s, ",
		counts.requests, (double)counts.requests / seconds);
	loadbase_print_times(&latency_ns, o.is_json);
	printf(o.is_json ? ", \"gets\": %" PRIu64 ", \"hits\": %" PRIu64 ", \"misses\": %" PRIu64
			   ", \"sets\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"late\": %" PRIu64
			   ", \"refused\": %" PRIu64 ", \"wrong\": %" PRIu64
			   ", \"sent_late\": %" PRIu64 "}\n"
			 : "; %" PRIu64 " gets: %" PRIu64 " hits, %" PRIu64 " misses; %" PRIu64
			   " sets; %" PRIu64 " lost, %" PRIu64 " late, %" PRIu64
			   " refused, %" PRIu64 " wrong; %" PRIu64 " sent late\n",
		counts.gets, counts.hits, counts.misses, counts.sets, counts.lost, counts.late,
		counts.refused, counts.wrong, pace.n_late);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'},
		{"sockets", 1, NULL, 'n'}, {"window", 1, NULL, 'w'}, {"rate", 1, NULL, 'q'},
		{"keys", 1, NULL, 'k'}, {"value", 1, NULL, 'v'}, {"ttl", 1, NULL, 't'},
		{"set", 1, NULL, 's'}, {"zipf", 1, NULL, 'z'}, {"seconds", 1, NULL, 'd'},
		{"loss-ms", 1, NULL, 'l'}, {"seed", 1, NULL, 'r'}, {"load-only", 0, NULL, 'L'},
		{"no-load", 0, NULL, 'N'}, {"json", 0, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			o.host = optarg;
			break;
		case 'p':
			o.port = (uint16_t)loadbase_number(optarg, 1, 65535);
			break;
		case 'n':
			o.n_sockets = (unsigned)loadbase_number(optarg, 1, SOCKETS_MAX);
			break;
		case 'w':
			o.window = (unsigned)loadbase_number(optarg, 1, WINDOW_MAX);
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
		case 't':
			o.ttl_s = (uint32_t)loadbase_number(optarg, 0, 2592000);
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
		case 'l':
			o.loss_ms = (unsigned)loadbase_number(optarg, 1, 60000);
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

static void load(void)
{
	again = loadbase_must(malloc((o.n_keys + SOCKETS_MAX * WINDOW_MAX) * sizeof(*again)));
	is_loading = true;
	play(0);
	drain();
	is_loading = false;
	if (!o.does_run)
		fprintf(stderr, "%u keys stored, %" PRIu64 " tries lost, %" PRIu64 " refused\n",
			o.n_keys, counts.lost, counts.refused);
	memset(&counts, 0, sizeof(counts));
	histogram_init(&latency_ns);
	free(again);
}

int main(int argc, char **argv)
{
	double seconds;

	parse(argc, argv);
	round_end = 65536 / o.window;
	loadbase_seed(o.seed);
	for (unsigned i = 0; i < BATCH; i++) {
		tx_iov[i] = (struct iovec){.iov_base = tx[i]};
		rx_iov[i] = (struct iovec){.iov_base = rx[i], .iov_len = DATAGRAM};
		tx_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &tx_iov[i], .msg_iovlen = 1};
		rx_msgs[i].msg_hdr = (struct msghdr){.msg_iov = &rx_iov[i], .msg_iovlen = 1};
	}
	open_sockets();
	if (o.does_load)
		load();
	if (!o.does_run)
		return 0;
	draws = loadbase_draw_keys(o.n_keys, o.skew);
	if (o.rate > 0)
		pace = loadbase_pace_of(o.rate, o.seconds);
	seconds = play(o.seconds);
	if (o.rate > 0) /* those for which no window had room until the end */
		counts.lost += loadbase_pace_total(&pace) - pace.n_taken;
	drain();
	if (counts.wrong > 0)
		loadbase_die("%" PRIu64 " replies were another key's or changed", counts.wrong);
	if (counts.requests == 0)
		loadbase_die("%s port %u: no request was answered, %" PRIu64 " were lost", o.host,
			o.port, counts.lost);
	report(seconds);
	return 0;
}
