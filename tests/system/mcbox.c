/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mcbox — memcached's protocols without a network: codec, executor and a real cache in one thread, behind a pipe. Standard input is
 * connections, one after the other: four bytes of length, big-endian, and all that a client sends before it closes its side.
 * Standard output is as many answers: four bytes of length, one byte, which is 1 if it ended inside a request, with what is none, or
 * with quit, and
 * all that the client gets before the other side is closed. The cache stays.
 *
 *     mcbox VALUE_MAX
 */
#include "base/keyhash.h"
#include "eal.h"
#include "serve/servemc.h"

#include <rte_malloc.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MEMORY_BYTES (256ull << 20)
#define INPUT_MAX (64u << 20)
#define MAGIC_REQUEST 0x80

/* An answer while it is written; it moves when it grows. */
struct room {
	struct mc_out out; /* first: grow() finds the rest by it */
	uint8_t *bytes;
	size_t size;
};

static void die(const char *what)
{
	fprintf(stderr, "mcbox: %s: %s\n", what, strerror(errno));
	exit(2);
}

static bool grow(struct mc_out *out)
{
	struct room *room = (struct room *)out;
	const size_t n = (size_t)(out->p - room->bytes);

	room->size *= 2;
	room->bytes = realloc(room->bytes, room->size);
	if (room->bytes == NULL)
		die("an answer");
	out->p = room->bytes + n;
	out->end = room->bytes + room->size;
	return true;
}

static void room_init(struct room *room)
{
	room->size = 4096;
	room->bytes = malloc(room->size);
	if (room->bytes == NULL)
		die("an answer");
	room->out.grow = grow;
}

static void begin(struct servemc *s, struct rte_rcu_qsbr *readers)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	s->now_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	s->unix_now = time(NULL);
	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(s->writer, (uint32_t)(s->now_ms / 1000), s->unix_now, s->now_ms);
	kv_sweep(s->writer);
}

/* Lookups go the way they go in a burst. */
static void execute(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	struct assoc_probe probe;

	if (!servemc_is_lookup(r)) {
		servemc_execute(s, r, out);
		return;
	}
	servemc_probe(r, &probe);
	kv_get_bulk(s->writer, &probe, 1);
	servemc_answer(s, r, &probe, out);
}

/* What a client sends, to its end. Whether that is inside a request, with what is none, or quit. */
static bool serve(const struct servemc *s, const uint8_t *p, uint32_t len, struct mc_out *out)
{
	const struct mc_limits limits = {.value_max = s->value_max};
	const bool is_binary = len > 0 && p[0] == MAGIC_REQUEST;
	static struct mc_request r;

	/* the first byte is for all of it; text is not sent with a line that begins like that */
	while (len > 0 && (p[0] == MAGIC_REQUEST) == is_binary) {
		switch (mc_parse(&r, p, len, &limits)) {
		case MC_OK:
			execute(s, &r, out);
			if (r.verb == MC_QUIT)
				return true;
			break;
		case MC_ERROR:
			servemc_refuse(s, &r, out);
			if (r.swallow > 0)
				return true;
			break;
		case MC_BAD:
			if (r.error == MC_E_NONE)
				return true;
			mc_reply_error(out, &r);
			return false;
		case MC_MORE:
			return true;
		}
		p += r.consumed;
		len -= r.consumed;
	}
	return len > 0;
}

static bool read_all(void *to, size_t n)
{
	return fread(to, 1, n, stdin) == n;
}

int main(int argc, char **argv)
{
	struct servemc s = {.value_max = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0,
		.memory_bytes = MEMORY_BYTES,
		.n_workers = 1};
	const struct kv_params params = {
		.memory_bytes = MEMORY_BYTES, .value_max = s.value_max, .n_writers = 1};
	struct rte_rcu_qsbr *readers;
	struct room room = {0};
	uint8_t head[4];
	int rc;

	if (s.value_max == 0) {
		fprintf(stderr, "usage: mcbox VALUE_MAX\n");
		return 2;
	}
	if (eal_start("mcbox", MEMORY_BYTES / (1u << 20) + 64) != 0)
		return 2;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	if (readers == NULL || rte_rcu_qsbr_init(readers, 1) != 0
		|| rte_rcu_qsbr_thread_register(readers, 0) != 0)
		die("readers");
	rte_rcu_qsbr_thread_online(readers, 0);
	rc = kv_create(&s.kv, &params, readers);
	if (rc != 0) {
		errno = -rc;
		die("the cache");
	}
	s.writer = kv_writer_of(s.kv, 0);
	room_init(&room);
	while (read_all(head, sizeof(head))) {
		const uint32_t len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16
			| (uint32_t)head[2] << 8 | head[3];
		uint8_t *exact = len <= INPUT_MAX ? malloc(len > 0 ? len : 1) : NULL;
		bool is_cut;
		uint32_t n;

		if (exact == NULL || !read_all(exact, len))
			die("the input");
		room.out.p = room.bytes + 1;
		room.out.end = room.bytes + room.size;
		begin(&s, readers);
		is_cut = serve(&s, exact, len, &room.out);
		room.bytes[0] = is_cut; /* it may have moved */
		free(exact);
		n = (uint32_t)(room.out.p - room.bytes);
		memcpy(head, (uint8_t[]){n >> 24, n >> 16 & 255, n >> 8 & 255, n & 255},
			sizeof(head));
		if (fwrite(head, sizeof(head), 1, stdout) != 1
			|| fwrite(room.bytes, 1, n, stdout) != n || fflush(stdout) != 0)
			die("the output");
	}
	kv_check(s.kv);
	return 0;
}
