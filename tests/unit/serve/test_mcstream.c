/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests over streams: what connections are told must not depend on how their bytes come, on how many of them are looked after at
 * once, or on when there is room for answers. Chunks are heap blocks that go as they are consumed, so that a sanitizer sees who looks at
 * what has been given up. Then what ends a connection, long values, and too few buffers.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "serve/mcstream.h"
#include "unit.h"

#include <rte_malloc.h>

#include <stdlib.h>

#define ROOM 64u /* an answer's pieces */
#define CHUNKS_MAX 4096u
#define SCRIPT_MAX (64u << 10)
#define OUT_MAX (4u << 20)
#define EPOCH 1700000000ll
#define VALUE_MAX 3000u

struct chunk {
	uint8_t *p;
	uint32_t len, used;
};

struct line { /* a connection: what it has sent, and what it was told */
	struct mcstream_conn c;
	struct mcstream stream;
	struct chunk chunks[CHUNKS_MAX];
	uint32_t first, n; /* of chunks that are there */
	uint8_t *out;
	uint32_t n_out;
	uint8_t room[ROOM];
	uint32_t space; /* what may_write() goes by */
	const uint8_t *script;
	uint32_t script_len, sent;
};

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static struct servemc servemc;
static struct mcstream_stock *stock;
static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % n;
}

/* --- the transport --- */

static void drain(struct line *l)
{
	const uint32_t n = (uint32_t)(l->c.out.p - l->room);

	assert_true(l->n_out + n <= OUT_MAX);
	memcpy(l->out + l->n_out, l->room, n);
	l->n_out += n;
	l->c.out.p = l->room;
}

static bool grow(struct mc_out *out)
{
	drain((struct line *)(void *)out);
	return true;
}

static const uint8_t *peek(struct mcstream_conn *c, uint32_t skip, uint32_t *len)
{
	struct line *l = (void *)c;

	for (uint32_t i = l->first; i < l->n; i++) {
		const struct chunk *k = &l->chunks[i];

		if (skip < k->len - k->used) {
			*len = k->len - k->used - skip;
			return k->p + k->used + skip;
		}
		skip -= k->len - k->used;
	}
	return NULL;
}

static void consume(struct mcstream_conn *c, uint32_t n)
{
	struct line *l = (void *)c;

	while (n > 0) {
		struct chunk *k = &l->chunks[l->first];
		const uint32_t part = n < k->len - k->used ? n : k->len - k->used;

		assert_true(l->first < l->n);
		k->used += part;
		n -= part;
		if (k->used == k->len) {
			free(k->p);
			l->first++;
		}
	}
}

static bool may_write(struct mcstream_conn *c, uint32_t before, uint32_t n)
{
	(void)n;
	return before < ((const struct line *)(const void *)c)->space;
}

static const struct mcstream_ops ops = {peek, consume, may_write};

static struct line *open_line(const void *script, uint32_t len)
{
	struct line *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->out = malloc(OUT_MAX);
	assert_non_null(l->out);
	l->c.out = (struct mc_out){.p = l->room, .end = l->room + ROOM, .grow = grow};
	l->c.s = &l->stream;
	l->c.ops = &ops;
	l->space = UINT32_MAX;
	l->script = script;
	l->script_len = len;
	return l;
}

static void close_line(struct line *l)
{
	mcstream_fini(stock, &l->stream);
	for (; l->first < l->n; l->first++)
		free(l->chunks[l->first].p);
	free(l->out);
	free(l);
}

/* The next bytes arrive. */
static void arrive(struct line *l, uint32_t n)
{
	struct chunk *k = &l->chunks[l->n];

	n = n < l->script_len - l->sent ? n : l->script_len - l->sent;
	if (n == 0)
		return;
	assert_true(l->n < CHUNKS_MAX);
	l->n++;
	k->p = malloc(n);
	assert_non_null(k->p);
	memcpy(k->p, l->script + l->sent, n);
	k->len = n;
	l->sent += n;
}

#define LINES_MAX 16u

static void run(struct line **lines, unsigned n, uint32_t share)
{
	const struct mcstream_run r = {.s = &servemc, .stock = stock, .share = share};
	struct mcstream_conn *conns[LINES_MAX] = {NULL};

	for (unsigned i = 0; i < n; i++) {
		conns[i] = &lines[i]->c;
		conns[i]->n_unread = 0;
		for (uint32_t k = lines[i]->first; k < lines[i]->n; k++)
			conns[i]->n_unread += lines[i]->chunks[k].len - lines[i]->chunks[k].used;
	}
	mcstream_run_bulk(&r, conns, n);
	for (unsigned i = 0; i < n; i++)
		drain(lines[i]);
}

/* --- caches --- */

static void open_cache(uint32_t value_max)
{
	const struct kv_params params = {
		.memory_bytes = 64u << 20, .value_max = value_max, .n_writers = 1};
	struct kv_writer *w;

	assert_int_equal(0, kv_create(&kv, &params, readers));
	w = kv_writer_of(kv, 0);
	kv_writer_begin(w, 10, EPOCH, 10000);
	servemc = (struct servemc){.kv = kv, .writer = w, .value_max = value_max};
}

static void close_cache(void)
{
	rte_rcu_qsbr_quiescent(readers, 0);
	kv_destroy(&kv);
}

static void open_stock(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t n[MCSTREAM_CLASSES] = {a, b, c, d};

	assert_int_equal(0, mcstream_stock_create(&stock, n, SOCKET_ID_ANY));
}

/* All buffers are back. */
static void close_stock(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t n[MCSTREAM_CLASSES] = {a, b, c, d};

	for (unsigned k = 0; k < MCSTREAM_CLASSES; k++)
		assert_int_equal(mcstream_stock_left(stock, k), n[k]);
	mcstream_stock_destroy(&stock);
}

/* --- what is asked: each connection has keys of its own --- */

struct script {
	uint8_t p[SCRIPT_MAX];
	uint32_t n;
};

__attribute__((format(printf, 2, 3))) static void say(struct script *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	s->n += (uint32_t)vsnprintf((char *)s->p + s->n, SCRIPT_MAX - s->n, format, ap);
	va_end(ap);
}

static void say_value(struct script *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		s->p[s->n++] = (uint8_t)(rnd(8) == 0 ? '\n' : 'a' + rnd(26));
	say(s, "\r\n");
}

static uint32_t value_len(void)
{
	switch (rnd(8)) {
	case 0:
		return VALUE_MAX + rnd(3);
	case 1:
		return rnd(VALUE_MAX);
	case 2:
		return 0;
	default:
		return rnd(40);
	}
}

static void say_store(struct script *s, unsigned id)
{
	static const char *const verbs[] = {"set", "add", "replace", "append", "prepend"};
	const uint32_t n = value_len();

	if (rnd(4) == 0)
		say(s, "ms c%u.%u %u T%u F%u\r\n", id, rnd(20), n, rnd(3) * 100, rnd(3));
	else
		say(s, "%s c%u.%u %u %u %u%s\r\n", verbs[rnd(5)], id, rnd(20), rnd(9), rnd(3) * 50,
			n, rnd(5) == 0 ? " noreply" : "");
	say_value(s, n);
}

static void say_get(struct script *s, unsigned id)
{
	const unsigned n = rnd(6) == 0 ? rnd(150) : 1;

	if (rnd(3) == 0) {
		say(s, "mg c%u.%u v f t k Oabc%s\r\n", id, rnd(20), rnd(3) == 0 ? " q" : "");
		return;
	}
	say(s, "get");
	for (unsigned i = 0; i < n; i++)
		say(s, " c%u.%u", id, rnd(25));
	say(s, "\r\n");
}

static void say_other(struct script *s, unsigned id)
{
	switch (rnd(12)) {
	case 0:
		say(s, "delete c%u.%u\r\n", id, rnd(20));
		break;
	case 1:
		say(s, "incr c%u.n %u\r\n", id, rnd(1000));
		break;
	case 2:
		say(s, "set c%u.n 0 0 1\r\n%u\r\n", id, rnd(10));
		break;
	case 3:
		say(s, "mn\r\n");
		break;
	case 4:
		say(s, "set c%u.1 0 0 5\r\nmore than five\r\n", id);
		break;
	case 5:
		say(s, "get %0300u\r\n", 1);
		break;
	case 6:
		say(s, "nothing of the kind\r\n");
		break;
	case 7:
		say(s, "%c\r\n", 0x80); /* no binary request: the connection speaks text */
		break;
	case 8:
		say(s, "gat 100 c%u.%u c%u.%u\r\n", id, rnd(20), id, rnd(20));
		break;
	default:
		say(s, "touch c%u.%u 100\r\n", id, rnd(20));
	}
}

static void make_script(struct script *s, unsigned id)
{
	const unsigned n = 1 + rnd(120);

	s->n = 0;
	say(s, "mn\r\n"); /* so that it speaks text */
	for (unsigned i = 0; i < n && s->n < SCRIPT_MAX - 2 * VALUE_MAX - 4096; i++) {
		switch (rnd(4)) {
		case 0:
			say_store(s, id);
			break;
		case 1:
			say_other(s, id);
			break;
		default:
			say_get(s, id);
		}
	}
	if (rnd(3) == 0)
		say(s, "quit\r\nget c%u.1\r\n", id);
}

/* --- the naive way: all of a script is there, and one request is executed after the other --- */

static void do_all(struct line *l)
{
	const struct mc_limits limits = {.value_max = servemc.value_max};
	const uint8_t *p = l->script;
	uint32_t left = l->script_len;
	struct mc_request r;

	while (left > 0) {
		const enum mc_status status = mc_parse_text(&r, p, left, &limits);
		uint32_t n;

		if (status == MC_MORE)
			break;
		if (status == MC_OK)
			servemc_execute(&servemc, &r, &l->c.out);
		else
			servemc_refuse(&servemc, &r, &l->c.out);
		if (status == MC_BAD || (status == MC_OK && r.verb == MC_QUIT))
			break;
		n = r.consumed + (status == MC_ERROR ? r.swallow : 0);
		if (n >= left)
			break;
		p += n;
		left -= n;
	}
	drain(l);
}

/* Streams in pieces, some of which wait; until all has been said. */
static void do_streams(struct line **lines, unsigned n)
{
	unsigned n_over;

	do {
		struct line *now[LINES_MAX];
		unsigned n_now = 0;

		n_over = 0;
		for (unsigned i = 0; i < n; i++) {
			struct line *l = lines[i];

			if (l->c.stop == MCSTREAM_CLOSE
				|| (l->sent == l->script_len && l->first == l->n)) {
				n_over++;
				continue;
			}
			for (unsigned k = rnd(4); k > 0; k--)
				arrive(l, 1 + rnd(rnd(2) == 0 ? 10 : 1460));
			l->space = rnd(8) == 0 ? 0 : rnd(2) == 0 ? 1 + rnd(9000) : UINT32_MAX;
			if (rnd(4) != 0)
				now[n_now++] = l;
		}
		run(now, n_now, 1 + rnd(40));
	} while (n_over < n);
}

static void compare_once(unsigned n)
{
	static struct script scripts[LINES_MAX];
	struct line *lines[LINES_MAX], *naive[LINES_MAX];

	for (unsigned i = 0; i < n; i++) {
		make_script(&scripts[i], i);
		naive[i] = open_line(scripts[i].p, scripts[i].n);
		lines[i] = open_line(scripts[i].p, scripts[i].n);
	}
	open_cache(VALUE_MAX);
	for (unsigned i = 0; i < n; i++)
		do_all(naive[i]);
	close_cache();
	open_cache(VALUE_MAX);
	do_streams(lines, n);
	close_cache();
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(naive[i]->n_out, lines[i]->n_out);
		assert_memory_equal(naive[i]->out, lines[i]->out, lines[i]->n_out);
		close_line(naive[i]);
		close_line(lines[i]);
	}
}

static void any_pieces_say_the_same(void **state)
{
	(void)state;
	open_stock(LINES_MAX, LINES_MAX, 0, 0);
	for (unsigned i = 0; i < 150; i++)
		compare_once(1 + rnd(LINES_MAX));
	close_stock(LINES_MAX, LINES_MAX, 0, 0);
}

/* As above, but there are fewer buffers than connections that want one: those wait, and all is said in the end. */
static void few_buffers_are_waited_for(void **state)
{
	(void)state;
	open_stock(1, 1, 0, 0);
	for (unsigned i = 0; i < 60; i++)
		compare_once(2 + rnd(6));
	close_stock(1, 1, 0, 0);
}

/* --- ends --- */

static void expect(const char *said, unsigned stop, const char *told)
{
	struct line *l = open_line(said, (uint32_t)strlen(said)), *lines[] = {l};

	arrive(l, l->script_len);
	run(lines, 1, 100);
	assert_int_equal(l->n_out, strlen(told));
	assert_memory_equal(l->out, told, l->n_out);
	assert_int_equal(l->c.stop, stop);
	close_line(l);
}

static void connections_end(void **state)
{
	static char long_line[3000], bad_binary[30];

	(void)state;
	memset(long_line, 'x', sizeof(long_line) - 1);
	memset(bad_binary, 1, sizeof(bad_binary) - 1);
	bad_binary[0] = (char)0x80;
	open_cache(VALUE_MAX);
	open_stock(2, 1, 0, 0);
	expect("mn\r\n", MCSTREAM_EMPTY, "MN\r\n");
	expect("mn\r\nquit\r\nmn\r\n", MCSTREAM_CLOSE, "MN\r\n");
	expect("GET / HTTP/1.1\r\n\r\n", MCSTREAM_CLOSE, "");
	expect("shutdown\r\nmn\r\n", MCSTREAM_EMPTY, "ERROR: shutdown not enabled\r\nMN\r\n");
	expect(long_line, MCSTREAM_CLOSE, "");
	close_stock(2, 1, 0, 0);
	close_cache();
}

/* A connection that has begun with binary requests may send no others. */
static void binary_stays_binary(void **state)
{
	static const uint8_t noop[24] = {0x80, 0x0a}, answer[24] = {0x81, 0x0a};
	uint8_t said[48 + 4];
	struct line *l, *lines[1];

	(void)state;
	memcpy(said, noop, 24);
	memcpy(said + 24, noop, 24);
	memcpy(said + 48, "mn\r\n", 4);
	lines[0] = l = open_line(said, sizeof(said));
	open_cache(VALUE_MAX);
	open_stock(1, 0, 0, 0);
	arrive(l, 30);
	run(lines, 1, 100);
	assert_int_equal(l->n_out, 24);
	assert_int_equal(l->c.stop, MCSTREAM_EMPTY);
	assert_true(mcstream_is_waiting(&l->stream));
	arrive(l, 100);
	run(lines, 1, 100);
	assert_int_equal(l->n_out, 48);
	assert_memory_equal(l->out + 24, answer, 24);
	assert_int_equal(l->c.stop, MCSTREAM_CLOSE);
	close_line(l);
	close_stock(1, 0, 0, 0);
	close_cache();
}

/* Of the longest value that there can be; then one byte more. */
static void long_values_pass(void **state)
{
	static const char ask[] = "get long\r\n";
	const uint32_t n = KV_VALUE_MAX;
	char *said = malloc(n + 200), *told = malloc(n + 200);
	uint32_t len = (uint32_t)snprintf(said, n + 200, "set long 5 0 %u\r\n", n), n_told;
	struct line *l = open_line(said, 0), *lines[] = {l};

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		said[len + i] = (char)rnd(256);
	n_told = (uint32_t)snprintf(told, n + 200, "STORED\r\nVALUE long 5 %u\r\n", n);
	memcpy(told + n_told, said + len, n);
	len += n;
	len += (uint32_t)snprintf(said + len, n + 200 - len, "\r\n%s", ask);
	n_told += n;
	n_told += (uint32_t)snprintf(told + n_told, n + 200 - n_told, "\r\nEND\r\n");
	l->script_len = len;
	open_cache(n);
	open_stock(1, 1, 1, 1);
	while (l->sent < len) {
		arrive(l, 1 + rnd(1460));
		run(lines, 1, 100);
		assert_int_equal(l->c.stop, MCSTREAM_EMPTY);
	}
	assert_int_equal(l->n_out, n_told);
	assert_memory_equal(l->out, told, n_told);
	close_line(l);
	expect("set more 0 0 1048301\r\n", MCSTREAM_EMPTY,
		"SERVER_ERROR object too large for cache\r\n");
	close_stock(1, 1, 1, 1);
	close_cache();
	free(said);
	free(told);
}

/* There is no room for all of an answer. */
static bool grow_no_more(struct mc_out *out)
{
	(void)out;
	return false;
}

#define N_LARGE 40u

/* Of lookups that came together those are made that there is room for, and no key is counted twice. What came behind them, half a
 * request too, has its turn. */
static void answers_wait_for_room(void **state)
{
	static uint8_t said[N_LARGE * 16];
	static char value[VALUE_MAX + 64];
	struct kv_stats stats;
	struct line *l, *naive;
	uint32_t n = 0, n_runs = 0;

	(void)state;
	open_stock(2, 0, 0, 0);
	open_cache(VALUE_MAX);
	for (unsigned i = 0; i < N_LARGE; i++) {
		const int head = snprintf(value, sizeof(value), "set k%u 0 0 %u\r\n", i, VALUE_MAX);

		memset(value + head, 'a' + (int)(i % 26), VALUE_MAX);
		memcpy(value + head + VALUE_MAX, "\r\n", 2);
		l = open_line(value, (uint32_t)head + VALUE_MAX + 2);
		do_all(l);
		close_line(l);
		n += (uint32_t)snprintf((char *)said + n, 16, "get k%u\r\n", i);
	}
	naive = open_line(said, n);
	do_all(naive);
	l = open_line(said, n);
	l->space = 12000;
	arrive(l, n - 5);
	do {
		struct line *one[1] = {l};
		const uint32_t before = l->n_out;

		run(one, 1, 64);
		assert_in_range(l->n_out - before, 1, 12000 + VALUE_MAX + 100);
		assert_true(++n_runs < N_LARGE);
		if (l->first == l->n && l->sent < l->script_len)
			arrive(l, 5);
	} while (l->n_out < naive->n_out);
	assert_true(n_runs > 4);
	assert_int_equal(naive->n_out, l->n_out);
	assert_memory_equal(naive->out, l->out, l->n_out);
	kv_stats_sum(kv, &stats);
	assert_int_equal(stats.gets, 2 * N_LARGE);
	close_line(naive);
	close_line(l);
	close_cache();
	close_stock(2, 0, 0, 0);
}

static void cut_answers_end_it(void **state)
{
	static const char said[] =
		"set a 0 0 80\r\n"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"\r\nget a\r\nget a\r\nmn\r\n";
	struct line *l = open_line(said, sizeof(said) - 1), *lines[] = {l};

	(void)state;
	open_cache(VALUE_MAX);
	open_stock(1, 0, 0, 0);
	l->c.out.grow = grow_no_more;
	arrive(l, l->script_len);
	run(lines, 1, 100);
	assert_int_equal(l->c.stop, MCSTREAM_CUT);
	close_line(l);
	close_stock(1, 0, 0, 0);
	close_cache();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_pieces_say_the_same),
		cmocka_unit_test(few_buffers_are_waited_for),
		cmocka_unit_test(connections_end),
		cmocka_unit_test(binary_stays_binary),
		cmocka_unit_test(long_values_pass),
		cmocka_unit_test(answers_wait_for_room),
		cmocka_unit_test(cut_answers_end_it),
	};
	int failed;

	if (eal_start("test_mcstream", 256) < 0)
		return 1;
	keyhash_init_seed(1);
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	readers = rte_zmalloc("readers", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rte_free(readers);
	rte_eal_cleanup();
	return failed;
}
