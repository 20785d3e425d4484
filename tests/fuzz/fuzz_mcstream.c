/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_mcstream — memcached's protocols over streams, in any pieces, on several connections of one cache. An input is
 *
 *     setup:1 step…
 *
 * setup: 3 connections less one, 4 values up to 64 bytes (else 3000), 8 few buffers. A step is a byte: its lowest two bits a
 * connection, the next three
 *
 *     0, 1  bytes arrive               n:1, then n + 1 of them
 *     2     all connections run        share:1
 *     3     this one does
 *     4     so many bytes of answers have room in a run   n:2
 *     5     it ends, and another one begins
 *     6     an answer finds no memory
 *     7     one byte arrives many times   n:2 byte:1
 *
 * What is seen of mcstream.h: chunks are heap blocks that go as they are consumed, so that a sanitizer sees who looks at what
 * was given up (M2). A buffer is there only with bytes in it, and all come back (M3). Each connection's requests are as many as a parser finds
 * that has all of its bytes at once. Then each connection runs alone, in the same pieces, and has to be told what one is
 * told that does one request after the other (M1).
 */
#include "base/keyhash.h"
#include "eal.h"
#include "fuzz.h"
#include "serve/mcstream.h"

#include <rte_malloc.h>

#define LINES_MAX 4u
#define CHUNKS_MAX 512u
#define SCRIPT_MAX (80u << 10)
#define SAME_MAX 8192u
#define TEXT_MAX 2000u /* below MC_LINE_MAX, where what is refused depends on what has come */
#define ROOM 48u
#define EPOCH 1700000000ll

struct chunk {
	uint8_t *p;
	uint32_t len, used;
};

struct line { /* a connection: what it has sent, and what it was told */
	struct mcstream_conn c;
	struct mcstream stream;
	struct chunk chunks[CHUNKS_MAX];
	uint32_t first, n_chunks;
	uint32_t n_script, n_requests;
	uint64_t hash, n_out, n_out_before; /* n_out_before: this run */
	uint32_t space;
	uint8_t *room; /* a heap block of ROOM bytes */
	bool is_out_of_memory, is_over;
	uint8_t script[SCRIPT_MAX];
};

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static struct servemc servemc;
static struct mcstream_stock *stock;
static uint32_t n_bufs[MCSTREAM_CLASSES], value_max;
static struct line lines[LINES_MAX], alone, naive;
static unsigned n_lines;

/* --- the transport --- */

static void drain(struct line *l)
{
	FUZZ_CHECK(l->c.out.p <= l->c.out.end, "written behind the end");
	for (const uint8_t *p = l->room; p < l->c.out.p; p++)
		l->hash = (l->hash ^ *p) * 0x100000001b3; /* FNV-1a */
	l->n_out += (uint64_t)(l->c.out.p - l->room);
	l->c.out.p = l->room;
}

static bool grow(struct mc_out *out)
{
	struct line *l = (void *)out;

	if (l->is_out_of_memory)
		return false;
	drain(l);
	return true;
}

static const uint8_t *peek(struct mcstream_conn *c, uint32_t skip, uint32_t *len)
{
	const struct line *l = (void *)c;

	for (uint32_t i = l->first; i < l->n_chunks; i++) {
		const struct chunk *k = &l->chunks[i];

		if (skip < k->len - k->used) {
			*len = k->len - k->used - skip;
			return k->p + k->used + skip;
		}
		skip -= k->len - k->used;
	}
	return NULL; /* it may be asked for what has not come */
}

static void consume(struct mcstream_conn *c, uint32_t n)
{
	struct line *l = (void *)c;

	while (n > 0) {
		struct chunk *k = &l->chunks[l->first];
		uint32_t part;

		FUZZ_CHECK(l->first < l->n_chunks, "more is consumed than there is");
		part = n < k->len - k->used ? n : k->len - k->used;
		k->used += part;
		n -= part;
		if (k->used == k->len) {
			free(k->p);
			k->p = NULL;
			l->first++;
		}
	}
}

static bool may_write(struct mcstream_conn *c, uint32_t before, uint32_t n)
{
	const struct line *l = (const void *)c;

	(void)n;
	return l->n_out - l->n_out_before + (uint64_t)(c->out.p - l->room) + before < l->space;
}

static const struct mcstream_ops ops = {peek, consume, may_write};

static void open_line(struct line *l)
{
	uint8_t *bytes = malloc(ROOM);

	FUZZ_NEED(bytes != NULL, "no memory");
	memset(l, 0, offsetof(struct line, script));
	l->room = bytes;
	l->space = UINT32_MAX;
	l->c.out = (struct mc_out){.p = bytes, .end = bytes + ROOM, .grow = grow};
	l->c.s = &l->stream;
	l->c.ops = &ops;
}

static void close_line(struct line *l)
{
	mcstream_fini(stock, &l->stream);
	for (; l->first < l->n_chunks; l->first++)
		free(l->chunks[l->first].p);
	free(l->room);
}

static void arrive(struct line *l, const uint8_t *p, uint32_t n)
{
	if (n == 0 || l->n_chunks == CHUNKS_MAX || SCRIPT_MAX - l->n_script < n)
		return;
	l->chunks[l->n_chunks++] = (struct chunk){fuzz_exact(p, n), n, 0};
	memcpy(l->script + l->n_script, p, n);
	l->n_script += n;
}

/* --- caches and buffers --- */

static void open_cache(void)
{
	const struct kv_params params = {
		.memory_bytes = 4u << 20, .value_max = value_max, .n_writers = 1};
	struct kv_writer *w;

	FUZZ_NEED(kv_create(&kv, &params, readers) == 0, "no cache");
	w = kv_writer_of(kv, 0);
	kv_writer_begin(w, 10, EPOCH, 10000);
	servemc = (struct servemc){.kv = kv, .writer = w, .value_max = value_max};
}

static void close_cache(void)
{
	rte_rcu_qsbr_quiescent(readers, 0);
	kv_destroy(&kv);
}

static void check_buffers(void)
{
	uint32_t n[MCSTREAM_CLASSES] = {0};

	for (unsigned i = 0; i < n_lines; i++) {
		const struct mcstream *s = &lines[i].stream;

		FUZZ_CHECK((s->buf != NULL) == (s->n > 0), "a buffer with %u bytes", s->n);
		FUZZ_CHECK(!s->is_unread || s->n > 0, "nothing is unread");
		if (s->buf == NULL)
			continue;
		FUZZ_CHECK(s->n <= mcstream_stock_bytes(s->class), "more than its size");
		n[s->class]++;
	}
	for (unsigned k = 0; k < MCSTREAM_CLASSES; k++)
		FUZZ_CHECK(n[k] + mcstream_stock_left(stock, k) == n_bufs[k],
			"buffers of size %u: %u in use, %u left of %u", k, n[k],
			mcstream_stock_left(stock, k), n_bufs[k]);
}

/* --- runs --- */

static void check_stop(struct line *l, uint32_t share)
{
	const bool is_all_there = l->first == l->n_chunks;

	switch (l->c.stop) {
	case MCSTREAM_EMPTY:
		FUZZ_CHECK(is_all_there, "bytes are left");
		FUZZ_CHECK(!l->stream.is_unread, "a request is left");
		break;
	case MCSTREAM_TURN:
		FUZZ_CHECK(l->c.n_requests == share, "%u of %u requests", l->c.n_requests, share);
		break;
	case MCSTREAM_FULL:
		FUZZ_CHECK(l->space < UINT32_MAX, "it has room");
		break;
	case MCSTREAM_NO_BUF:
		FUZZ_CHECK(!is_all_there || l->stream.n > 0, "nothing waits for a buffer");
		break;
	case MCSTREAM_CUT:
		FUZZ_CHECK(l->is_out_of_memory, "there was memory");
		l->is_over = true;
		break;
	case MCSTREAM_CLOSE:
		l->is_over = true;
		break;
	default:
		FUZZ_CHECK(false, "stop %u", l->c.stop);
	}
	FUZZ_CHECK(l->c.n_requests <= share, "%u requests", l->c.n_requests);
	l->n_requests += l->c.n_requests;
}

static void run(struct line *const *some, unsigned n, uint32_t share)
{
	const struct mcstream_run r = {.s = &servemc, .stock = stock, .share = share};
	struct mcstream_conn *conns[LINES_MAX] = {NULL};
	struct line *now[LINES_MAX];
	unsigned n_now = 0;

	for (unsigned i = 0; i < n; i++)
		if (!some[i]->is_over) {
			some[i]->n_out_before = some[i]->n_out;
			some[i]->c.n_unread = 0;
			for (uint32_t k = some[i]->first; k < some[i]->n_chunks; k++)
				some[i]->c.n_unread +=
					some[i]->chunks[k].len - some[i]->chunks[k].used;
			now[n_now] = some[i];
			conns[n_now++] = &some[i]->c;
		}
	mcstream_run_bulk(&r, conns, n_now);
	for (unsigned i = 0; i < n_now; i++) {
		check_stop(now[i], share);
		if (!now[i]->is_out_of_memory)
			drain(now[i]);
	}
}

static void run_all(uint32_t share)
{
	struct line *all[LINES_MAX];

	for (unsigned i = 0; i < n_lines; i++)
		all[i] = &lines[i];
	run(all, n_lines, share);
	check_buffers();
}

/* --- one request after the other --- */

/* The requests of the script, which a connection that has ended does not read on; executed or only counted. */
static uint32_t do_all(struct line *l, bool is_executed)
{
	const struct mc_limits limits = {.value_max = value_max};
	enum mc_status (*parse)(
		struct mc_request *, const uint8_t *, uint32_t, const struct mc_limits *) =
		l->n_script > 0 && l->script[0] != 0x80 ? mc_parse_text : mc_parse;
	const uint8_t *p = l->script;
	uint32_t left = l->n_script, n_requests = 0;
	struct mc_request r;

	while (left > 0) {
		const bool is_spoken = parse == mc_parse_text || *p == 0x80;
		enum mc_status status = MC_BAD;
		uint32_t n;

		r.error = MC_E_NONE;
		if (is_spoken)
			status = parse(&r, p, left, &limits);
		if (status == MC_MORE)
			break;
		n_requests += status != MC_BAD;
		if (!is_executed)
			;
		else if (status == MC_OK)
			servemc_execute(&servemc, &r, &l->c.out);
		else if (status == MC_ERROR)
			servemc_refuse(&servemc, &r, &l->c.out);
		else if (r.error != MC_E_NONE)
			mc_reply_error(&l->c.out, &r);
		if (status == MC_BAD || (status == MC_OK && r.verb == MC_QUIT))
			break;
		n = r.consumed + (status == MC_ERROR ? r.swallow : 0);
		if (n >= left)
			break;
		p += n;
		left -= n;
	}
	return n_requests;
}

/* Whether it does not matter how much of its script is there. */
static bool is_comparable(const struct line *l)
{
	uint32_t n = 0, longest = 0;

	for (uint32_t i = 0; i < l->n_script && l->script[0] != 0x80; i++) {
		n = l->script[i] == '\n' ? 0 : n + 1;
		longest = n > longest ? n : longest;
	}
	return l->n_script <= SAME_MAX && longest <= TEXT_MAX;
}

static void compare_alone(const struct line *l)
{
	struct line *some = &alone;
	uint32_t at = 0;

	open_line(&alone);
	open_line(&naive);
	memcpy(naive.script, l->script, l->n_script);
	naive.n_script = l->n_script;
	open_cache();
	for (uint32_t i = 0; i < l->n_chunks; i++) {
		arrive(&alone, l->script + at, l->chunks[i].len);
		at += l->chunks[i].len;
		alone.space = i * 7919 % 40000;
		if (i % 3 != 2)
			run(&some, 1, 1 + i);
	}
	alone.space = UINT32_MAX;
	do
		run(&some, 1, 7);
	while (alone.c.stop == MCSTREAM_TURN);
	close_cache();
	open_cache();
	do_all(&naive, true);
	drain(&naive);
	close_cache();
	FUZZ_CHECK(alone.n_out == naive.n_out && alone.hash == naive.hash,
		"%llu bytes of answers, should be %llu", (unsigned long long)alone.n_out,
		(unsigned long long)naive.n_out);
	close_line(&alone);
	close_line(&naive);
}

/* --- inputs --- */

static void step(struct fuzz_input *in)
{
	static uint8_t many[1 << 16];
	const uint8_t op = fuzz_u8(in);
	struct line *l = &lines[(op & 3) % n_lines];
	const uint8_t *p;
	size_t n;

	switch (op >> 2 & 7) {
	case 0:
	case 1:
		n = fuzz_u8(in) + 1u;
		p = fuzz_take(in, &n);
		arrive(l, p, (uint32_t)n);
		break;
	case 2:
		run_all(1u + fuzz_u8(in));
		break;
	case 3:
		run(&l, 1, 5);
		check_buffers();
		break;
	case 4:
		l->space = fuzz_u16(in);
		break;
	case 5:
		close_line(l);
		open_line(l);
		check_buffers();
		break;
	case 6:
		l->is_out_of_memory = true;
		break;
	default:
		n = fuzz_u16(in);
		memset(many, fuzz_u8(in), n);
		arrive(l, many, (uint32_t)n);
		break;
	}
}

static bool is_any_at_work(void)
{
	for (unsigned i = 0; i < n_lines; i++)
		if (lines[i].c.stop == MCSTREAM_TURN)
			return true;
	return false;
}

/* All that has come is done with, where there are buffers for it. */
static void finish(void)
{
	for (unsigned i = 0; i < n_lines; i++)
		lines[i].space = UINT32_MAX;
	for (unsigned i = 0; i < LINES_MAX || (is_any_at_work() && i < SCRIPT_MAX / 256 + 8); i++)
		run_all(256);
	for (unsigned i = 0; i < n_lines; i++) {
		struct line *l = &lines[i];

		FUZZ_CHECK(
			l->is_over || l->c.stop == MCSTREAM_EMPTY || l->c.stop == MCSTREAM_NO_BUF,
			"it does not come to an end");
		if (is_comparable(l) && !l->is_out_of_memory && l->c.stop != MCSTREAM_NO_BUF)
			FUZZ_CHECK(l->n_requests == do_all(l, false), "%u requests, should be %u",
				l->n_requests, do_all(l, false));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	fuzz_init();
	keyhash_init_seed(1);
	FUZZ_NEED(eal_start((*argv)[0], 256) == 0, "EAL");
	readers = rte_zmalloc("readers", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	FUZZ_NEED(readers != NULL, "no memory");
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t setup = fuzz_u8(&in);
	const uint32_t few[MCSTREAM_CLASSES] = {1, 1, 0, 0},
		       enough[MCSTREAM_CLASSES] = {4, 4, 4, 0};

	n_lines = 1 + (setup & 3);
	value_max = setup & 4 ? 64 : 3000;
	memcpy(n_bufs, setup & 8 ? few : enough, sizeof(n_bufs));
	FUZZ_NEED(mcstream_stock_create(&stock, n_bufs, SOCKET_ID_ANY) == 0, "no memory");
	open_cache();
	for (unsigned i = 0; i < n_lines; i++)
		open_line(&lines[i]);
	while (in.left > 0)
		step(&in);
	finish();
	close_cache();
	for (unsigned i = 0; i < n_lines; i++)
		mcstream_fini(stock, &lines[i].stream);
	check_buffers();
	for (unsigned i = 0; i < n_lines; i++) {
		if (is_comparable(&lines[i]))
			compare_alone(&lines[i]);
		close_line(&lines[i]);
	}
	check_buffers();
	mcstream_stock_destroy(&stock);
	return 0;
}
