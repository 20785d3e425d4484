/* SPDX-License-Identifier: BSD-3-Clause */
/* What came out of order: what is kept, for how many buffers, and what a peer is told of it. The peer's numbers begin at 1000, its
 * stream at 1001. */
#include "base/keyhash.h"
#include "eal.h"
#include "tcpscript.h"
#include "unit.h"

#include <rte_mempool.h>
#include <rte_tcp.h>

#include <stdlib.h>

#define S RTE_TCP_SYN_FLAG
#define A RTE_TCP_ACK_FLAG
#define F RTE_TCP_FIN_FLAG

#define N_BUFS 2048u
#define BEGIN 1001u

static struct tcpscript x;
static uint32_t iss;

/* A segment of a port's connection, n bytes from there on in its stream. */
static void in_of(uint16_t port, uint8_t flags, uint32_t at, uint32_t n)
{
	const struct tcpscript_seg s = {
		.flags = flags, .seq = BEGIN + at, .ack = iss + 1, .len = n, .wnd = 1000};

	tcpscript_in(&x, port, &s);
}

static void in(uint32_t at, uint32_t n)
{
	in_of(TCPSCRIPT_PORT, A, at, n);
}

static void open_conn(uint32_t rcv_max)
{
	const struct tcpscript_seg syn = {.flags = S,
		.seq = BEGIN - 1,
		.wnd = 1000,
		.o = {.has_mss = true, .mss = 1460, .sack_ok = true, .has_wscale = true}};

	x.profile.rcv_max = rcv_max;
	tcpscript_in(&x, TCPSCRIPT_PORT, &syn);
	iss = tcpscript_next(&x)->seq;
	in(0, 0);
	assert_non_null(x.c);
	tcp_set_app(x.c, &x);
}

static void up(uint32_t n_bufs)
{
	x.n_bufs = n_bufs;
	tcpscript_up(&x, 4, TCP_COOKIES_NEVER);
	open_conn(1u << 20);
}

/* The last answer acknowledges so much of the stream, with these blocks. */
static void expect_acked(uint32_t at, unsigned n_sacks, const struct tcp_sack *sacks)
{
	const struct tcpscript_seg *s, *last = NULL;

	while ((s = tcpscript_next(&x)) != NULL)
		last = s;
	x.n_out = x.n_taken = 0;
	assert_non_null(last);
	assert_int_equal(last->ack, BEGIN + at);
	assert_int_equal(last->o.n_sacks, n_sacks);
	for (unsigned i = 0; i < n_sacks; i++) {
		assert_int_equal(last->o.sacks[i].left, BEGIN + sacks[i].left);
		assert_int_equal(last->o.sacks[i].right, BEGIN + sacks[i].right);
	}
}

#define EXPECT_ACKED(at, ...) \
	do { \
		const struct tcp_sack blocks_[] = {__VA_ARGS__}; \
		expect_acked(at, RTE_DIM(blocks_), blocks_); \
	} while (0)

static void expect_all(uint32_t n)
{
	uint32_t len, at = 0;
	const uint8_t *p;

	assert_int_equal(tcp_unread(x.c), n);
	while ((p = tcp_peek(x.c, &len)) != NULL) {
		for (uint32_t i = 0; i < len; i++, at++)
			assert_int_equal(p[i], (uint8_t)(BEGIN + at));
		tcp_consume(x.c, len);
	}
	assert_int_equal(at, n);
	tcp_flush(x.t, x.now_us);
}

static uint32_t n_held(void)
{
	struct tcp_usage u;

	tcp_usage(x.t, &u);
	return u.n_rcv_bufs;
}

static uint32_t n_out_of_order(void)
{
	struct tcp_info info;

	tcp_info(x.c, &info, x.now_us);
	return info.n_out_of_order;
}

static void down(void)
{
	tcpscript_down(&x);
}

/* RFC 2018 4: the first block is that of the segment which came last, the others were first before it, the latest of them first. */
static void the_latest_blocks_come_first(void **state)
{
	(void)state;
	up(N_BUFS);
	in(1000, 100);
	EXPECT_ACKED(0, {1000, 1100});
	in(3000, 100);
	EXPECT_ACKED(0, {3000, 3100}, {1000, 1100});
	in(2000, 100);
	EXPECT_ACKED(0, {2000, 2100}, {3000, 3100}, {1000, 1100});
	in(1100, 100); /* an older block grows */
	EXPECT_ACKED(0, {1000, 1200}, {2000, 2100}, {3000, 3100});
	in(4000, 100);
	in(5000, 100); /* there is room for four */
	EXPECT_ACKED(0, {5000, 5100}, {4000, 4100}, {1000, 1200}, {2000, 2100});
	in(3050, 20); /* what is there already is a segment that came, too */
	EXPECT_ACKED(0, {3000, 3100}, {5000, 5100}, {4000, 4100}, {1000, 1200});
	in(3100, 900); /* two become one */
	EXPECT_ACKED(0, {3000, 4100}, {5000, 5100}, {1000, 1200}, {2000, 2100});
	in(0, 1000);
	EXPECT_ACKED(1200, {3000, 4100}, {5000, 5100}, {2000, 2100});
	in(1200, 800);
	EXPECT_ACKED(2100, {3000, 4100}, {5000, 5100});
	in(2100, 900);
	EXPECT_ACKED(4100, {5000, 5100});
	in(4100, 900);
	EXPECT_ACKED(5100);
	expect_all(5100);
	down();
}

/* A window of full segments behind one that is lost. */
static void a_hole_costs_one_segment(void **state)
{
	const uint32_t n = 500;

	(void)state;
	up(3 * N_BUFS);
	for (uint32_t i = 1; i < n; i++) {
		in(i * 1460, 1460);
		if (i % 100 == 0)
			x.n_out = x.n_taken = 0;
	}
	assert_int_equal(n_out_of_order(), n - 1);
	EXPECT_ACKED(0, {1460, n * 1460});
	in(0, 1460);
	EXPECT_ACKED(n * 1460);
	assert_int_equal(tcp_stats(x.t)->out_of_order_dropped, 0);
	assert_int_equal(n_out_of_order(), 0);
	expect_all(n * 1460);
	down();
}

/* Bytes are what takes room, whichever way they come: upwards, downwards, or every other first. */
static void small_segments_share_buffers(void **state)
{
	(void)state;
	up(N_BUFS);
	for (uint32_t i = 1; i < 100; i++)
		in(i * 10, 10);
	assert_int_equal(n_out_of_order(), 1);
	x.n_out = x.n_taken = 0;
	for (uint32_t i = 299; i >= 200; i--)
		in(i * 10, 10);
	assert_int_equal(n_out_of_order(), 3);
	x.n_out = x.n_taken = 0;
	for (uint32_t i = 400; i < 500; i += 2)
		in(i * 10, 10);
	assert_int_equal(n_out_of_order(), 53);
	x.n_out = x.n_taken = 0;
	for (uint32_t i = 401; i < 500; i += 2)
		in(i * 10, 10);
	assert_int_equal(n_out_of_order(), 4);
	assert_int_equal(n_held(), 4);
	EXPECT_ACKED(0, {4000, 5000}, {2000, 3000}, {10, 1000});
	in(0, 10);
	in(1000, 1000);
	in(3000, 1000);
	EXPECT_ACKED(5000);
	expect_all(5000);
	down();
}

/* Bytes with holes of a byte: more than so many say nothing that is new, but what closes a hole is good, and nothing that was told of goes. */
static void there_are_not_more_holes_than_so_many(void **state)
{
	const struct tcp_stats *stats;

	(void)state;
	up(N_BUFS);
	stats = tcp_stats(x.t);
	for (uint32_t i = 0; i < 100; i++)
		in(1 + 2 * i, 1);
	assert_int_equal(stats->out_of_order, 64);
	assert_int_equal(stats->out_of_order_dropped, 36);
	assert_int_equal(n_held(), 64);
	EXPECT_ACKED(0, {127, 128}, {125, 126}, {123, 124}, {121, 122});
	in(128, 10); /* the last grows */
	in(126, 1);  /* and joins the one before */
	EXPECT_ACKED(0, {125, 138}, {123, 124}, {121, 122}, {119, 120});
	in(140, 1); /* so there is room for another */
	EXPECT_ACKED(0, {140, 141}, {125, 138}, {123, 124}, {121, 122});
	assert_int_equal(stats->out_of_order_dropped, 36);
	for (uint32_t i = 0; i < 63; i++)
		in(2 * i, 1);
	EXPECT_ACKED(138, {140, 141});
	in(138, 2);
	EXPECT_ACKED(141);
	expect_all(141);
	down();
}

/* Few buffers: of 96 that segments out of order may have, a connection has half of what is left, or 32. A quarter of that is for what is in
 * front of others. */
static void a_connection_has_its_share_of_buffers(void **state)
{
	const struct tcp_stats *stats;

	(void)state;
	up(256);
	stats = tcp_stats(x.t);
	for (uint32_t i = 0; i < 40; i++)
		in(100000 + i * 1460, 1460);
	assert_int_equal(n_out_of_order(), 26);
	assert_int_equal(stats->out_of_order_dropped, 14);
	for (uint32_t i = 0; i < 10; i++)
		in(1460 + i * 2000, 1460);
	assert_int_equal(n_out_of_order(), 32);
	assert_int_equal(stats->out_of_order_dropped, 18);
	in(100000 + 26 * 1460, 400); /* has room in the last buffer */
	assert_int_equal(n_out_of_order(), 32);
	EXPECT_ACKED(0, {100000, 100000 + 26 * 1460 + 400}, {1460 + 5 * 2000, 2920 + 5 * 2000},
		{1460 + 4 * 2000, 2920 + 4 * 2000}, {1460 + 3 * 2000, 2920 + 3 * 2000});
	/* what is in order has buffers of its own */
	in(0, 1460);
	EXPECT_ACKED(2920, {100000, 100000 + 26 * 1460 + 400}, {1460 + 5 * 2000, 2920 + 5 * 2000},
		{1460 + 4 * 2000, 2920 + 4 * 2000}, {1460 + 3 * 2000, 2920 + 3 * 2000});
	expect_all(2920);
	assert_int_equal(n_held(), 31);
	assert_int_equal(stats->no_buffer, 0);
	down();
}

/* Half of 768 that are free: as much as the half that it has. */
static void a_connection_alone_has_half(void **state)
{
	(void)state;
	up(N_BUFS);
	for (uint32_t i = 1; i < 700; i++) {
		in(i * 1460, 1460);
		x.n_out = x.n_taken = 0;
	}
	/* n buffers, each n + 1st was asked for when 768 - n - 1 were free: n < 3/4 of half of that */
	assert_int_equal(n_out_of_order(), 210);
	assert_int_equal(tcp_stats(x.t)->out_of_order_dropped, 699 - 210);
	down();
}

static void what_overlaps_counts_once(void **state)
{
	const struct tcp_stats *stats;

	(void)state;
	up(N_BUFS);
	stats = tcp_stats(x.t);
	in(1000, 1000);
	in(3000, 1000);
	in(5000, 1000);
	in(500, 1000); /* its end is there */
	EXPECT_ACKED(0, {500, 2000}, {5000, 6000}, {3000, 4000});
	in(3500, 1000); /* its beginning is */
	EXPECT_ACKED(0, {3000, 4500}, {500, 2000}, {5000, 6000});
	in(2900, 1400); /* its middle is: the old goes */
	EXPECT_ACKED(0, {2900, 4500}, {500, 2000}, {5000, 6000});
	in(4900, 1400); /* all of the old is in it */
	EXPECT_ACKED(0, {4900, 6300}, {2900, 4500}, {500, 2000});
	assert_int_equal(stats->duplicates, 0);
	in(5000, 1300);
	assert_int_equal(stats->duplicates, 1);
	EXPECT_ACKED(0, {4900, 6300}, {2900, 4500}, {500, 2000});
	in(0, 1400);
	in(1400, 1400);
	EXPECT_ACKED(2800, {4900, 6300}, {2900, 4500});
	in(2800, 1400);
	in(4200, 1400);
	EXPECT_ACKED(6300);
	expect_all(6300);
	down();
}

/* Its FIN may come before what it is behind; nothing is behind it. */
static void a_fin_waits_for_its_turn(void **state)
{
	(void)state;
	up(N_BUFS);
	in_of(TCPSCRIPT_PORT, F | A, 300, 0);
	in_of(TCPSCRIPT_PORT, F | A, 200, 100);
	EXPECT_ACKED(0, {200, 301});
	assert_int_equal(n_held(), 1);
	in(301, 50);
	in(200, 150);
	EXPECT_ACKED(0, {200, 301});
	assert_false(tcp_is_eof(x.c));
	in(100, 100);
	EXPECT_ACKED(0, {100, 301});
	in(0, 100);
	EXPECT_ACKED(301);
	expect_all(300);
	assert_true(tcp_is_eof(x.c));
	down();
}

/* A peer whose stream goes on behind its end: of what came earlier nothing is left, right behind it or anywhere. */
static void what_is_behind_a_fin_goes(void **state)
{
	(void)state;
	up(N_BUFS);
	in(100, 50);
	in(301, 1000);
	in(2000, 1000);
	assert_int_equal(n_held(), 3);
	in_of(TCPSCRIPT_PORT, F | A, 200, 100);
	EXPECT_ACKED(0, {200, 301}, {100, 150});
	assert_int_equal(n_held(), 2);
	in(0, 100);
	in(150, 50);
	EXPECT_ACKED(301);
	expect_all(300);
	assert_true(tcp_is_eof(x.c));
	down();
}

/* --- against a model that knows which bytes have come, and when --- */

#define MODEL_BYTES 40000u

static uint32_t came[MODEL_BYTES]; /* 0: not yet, else the number of the segment */

static uint32_t n_came_in_order(void)
{
	uint32_t n = 0;

	while (n < MODEL_BYTES && came[n] != 0)
		n++;
	return n;
}

/* The blocks of the model, the latest first. */
static unsigned blocks_of(uint32_t from, struct tcp_sack *to)
{
	uint32_t stamps[TCP_WIRE_SACKS_MAX], stamp;
	unsigned n = 0;

	for (uint32_t i = from, end; i < MODEL_BYTES; i = end + 1) {
		unsigned at;

		stamp = 0;
		for (end = i; end < MODEL_BYTES && came[end] != 0; end++)
			stamp = RTE_MAX(stamp, came[end]);
		if (stamp == 0)
			continue;
		for (at = 0; at < n && stamps[at] > stamp; at++)
			;
		if (at == TCP_WIRE_SACKS_MAX)
			continue;
		n = RTE_MIN(n + 1, TCP_WIRE_SACKS_MAX);
		for (unsigned k = n - 1; k > at; k--) {
			to[k] = to[k - 1];
			stamps[k] = stamps[k - 1];
		}
		to[at] = (struct tcp_sack){i, end};
		stamps[at] = stamp;
	}
	return n;
}

/* Segments of any length, from anywhere in a window of WINDOW bytes, which moves on; at last all of it. */
static void run_model(unsigned seed)
{
	struct tcp_sack blocks[TCP_WIRE_SACKS_MAX];
	uint32_t n_segs = 0, done = 0;

	srand(seed);
	memset(came, 0, sizeof(came));
	up(N_BUFS);
	while (done < MODEL_BYTES) {
		const uint32_t window = RTE_MIN(MODEL_BYTES - done, 5000u);
		const uint32_t at = done + (uint32_t)rand() % window;
		const uint32_t max = rand() % 2 ? 1400 : 40;
		const uint32_t n = RTE_MIN(1 + (uint32_t)rand() % max, MODEL_BYTES - at);
		const uint32_t back = RTE_MIN(at, rand() % 4 == 0 ? 100u : 0u);

		n_segs++;
		in(at - back, n);
		for (uint32_t i = at - back; i < at - back + n; i++)
			came[i] = n_segs;
		done = n_came_in_order();
		tcpscript_wait_us(&x, 50000); /* for a delayed one */
		if (tcp_stats(x.t)->out_of_order_dropped > 0)
			fail_msg("seed %u: dropped", seed);
		expect_acked(done, blocks_of(done, blocks), blocks);
	}
	expect_all(MODEL_BYTES);
	down();
}

static void it_is_as_a_model_says(void **state)
{
	const char *text = getenv("MILLRACE_SEED");
	const unsigned first = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		run_model(first + i);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_latest_blocks_come_first),
		T(a_hole_costs_one_segment),
		T(small_segments_share_buffers),
		T(there_are_not_more_holes_than_so_many),
		T(a_connection_has_its_share_of_buffers),
		T(a_connection_alone_has_half),
		T(what_overlaps_counts_once),
		T(a_fin_waits_for_its_turn),
		T(what_is_behind_a_fin_goes),
		T(it_is_as_a_model_says),
	};

	keyhash_init_seed(5);
	if (eal_start("test_tcp_reass", 64) != 0)
		return 1;
	x.pool = rte_pktmbuf_pool_create("reass", 2047, 0, BURST_MBUF_PRIV, 2048, SOCKET_ID_ANY);
	if (x.pool == NULL)
		return 1;
	return cmocka_run_group_tests_name("tcp_reass", tests, NULL, NULL);
}
