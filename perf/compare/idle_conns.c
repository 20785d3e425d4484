/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idle_conns — opens many connections to a memcached, or what speaks like one, and says nothing on them until its standard input ends:
 * then it asks each for the version, to see that all are still served. Two lines on standard output, one after each half, for idle.sh.
 */
#include "loadbase.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CONNS_MAX 60000u /* an address has no more ports */
#define WINDOW 256u      /* questions on the way */
#define PATIENCE_S 10

static struct {
	struct sockaddr_in to, from;
	unsigned n_conns;
} o = {.to = {.sin_family = AF_INET}, .from = {.sin_family = AF_INET}, .n_conns = 1000};

static void usage(void)
{
	fputs("usage: idle_conns --host IP [--port 11211] --from IP [--conns 1000]\n"
	      "\n"
	      "  --from    this host's address that connections come from\n"
	      "  --conns   at most 60000\n",
		stderr);
	exit(2);
}

static void read_address(const char *text, struct sockaddr_in *to)
{
	if (inet_pton(AF_INET, text, &to->sin_addr) != 1)
		loadbase_die("%s: not an IPv4 address", text);
}

static int open_one(unsigned i)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	const int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		loadbase_die("connection %u: a socket: %s; raise `ulimit -n`", i, strerror(errno));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&o.from, sizeof(o.from)) != 0)
		loadbase_die("connection %u: its own address: %s", i, strerror(errno));
	if (connect(fd, (struct sockaddr *)&o.to, sizeof(o.to)) != 0)
		loadbase_die("connection %u: %s", i, strerror(errno));
	return fd;
}

static void ask(int fd)
{
	static const char question[] = "version\r\n";

	(void)!send(
		fd, question, sizeof(question) - 1, MSG_NOSIGNAL); /* hear() sees what came of it */
}

/* The first ones that are not answered are named. */
static bool hear(int fd)
{
	static unsigned n_named;
	char text[256];
	const ssize_t n = recv(fd, text, sizeof(text), 0);

	if (n > 10 && memcmp(text, "VERSION ", 8) == 0 && text[n - 1] == '\n')
		return true;
	if (n_named++ < 3) {
		struct sockaddr_in from = {0};
		socklen_t len = sizeof(from);

		getsockname(fd, (struct sockaddr *)&from, &len);
		fprintf(stderr, "port %u: no answer: %s\n", ntohs(from.sin_port),
			n < 0            ? strerror(errno)
				: n == 0 ? "closed by the server"
					 : "not a version");
	}
	return false;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"host", 1, NULL, 'h'}, {"port", 1, NULL, 'p'},
		{"from", 1, NULL, 'f'}, {"conns", 1, NULL, 'n'}, {NULL, 0, NULL, 0}};
	int c;

	o.to.sin_port = htons(11211);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'h':
			read_address(optarg, &o.to);
			break;
		case 'p':
			o.to.sin_port = htons((uint16_t)loadbase_number(optarg, 1, 65535));
			break;
		case 'f':
			read_address(optarg, &o.from);
			break;
		case 'n':
			o.n_conns = (unsigned)loadbase_number(optarg, 1, CONNS_MAX);
			break;
		default:
			usage();
		}
	if (optind != argc || o.to.sin_addr.s_addr == 0 || o.from.sin_addr.s_addr == 0)
		usage();
}

static double seconds_since(uint64_t begin_ns)
{
	return (double)(loadbase_now_ns() - begin_ns) / 1e9;
}

int main(int argc, char **argv)
{
	unsigned n_answered = 0;
	uint64_t begin;
	int *fds;

	parse(argc, argv);
	fds = loadbase_must(calloc(o.n_conns, sizeof(*fds)));
	begin = loadbase_now_ns();
	for (unsigned i = 0; i < o.n_conns; i++)
		fds[i] = open_one(i);
	printf("opened %u %.2f\n", o.n_conns, seconds_since(begin));
	fflush(stdout);
	while (getchar() != EOF)
		;
	begin = loadbase_now_ns();
	for (unsigned i = 0; i < o.n_conns + WINDOW; i++) {
		if (i < o.n_conns)
			ask(fds[i]);
		if (i >= WINDOW)
			n_answered += hear(fds[i - WINDOW]);
	}
	printf("answered %u %.2f\n", n_answered, seconds_since(begin));
	return n_answered == o.n_conns ? 0 : 1;
}
