/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached over TCP as clients with a TCP of their own see it: requests however they are cut, pipelines, long values to slow readers,
 * and how connections end. Every answer is compared byte by byte. What is refused, changed and ended is in test_servetcp_rules.c.
 */
#include "eal.h"
#include "tcpbox.h"

#include <stdlib.h>

#define MANY 48u

static int set_up(void **state)
{
	(void)state;
	tcpbox_up(&(struct tcpbox_params){0});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tcpbox_down();
	return 0;
}

static void requests_of_both_families_are_answered(void **state)
{
	struct tcphost_conn k[2] = {{0}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		tcpbox_open(&k[i], i == 0 ? 4 : 6, 1);
		tcpbox_say(&k[i], "set a 5 0 5\r\nhello\r\n");
		tcpbox_expect(&k[i], "STORED\r\n");
		tcpbox_say(&k[i], "get a\r\nget b\r\n");
		tcpbox_expect(&k[i], "VALUE a 5 5\r\nhello\r\nEND\r\nEND\r\n");
		tcpbox_say(&k[i], "mg a v f\r\nmg b v\r\nmn\r\n");
		tcpbox_expect(&k[i], "VA 5 f5\r\nhello\r\nEN\r\nMN\r\n");
		tcpbox_say(&k[i], "delete a noreply\r\nset n 0 0 1\r\n9\r\nincr n 1\r\n");
		tcpbox_expect(&k[i], "STORED\r\n10\r\n");
	}
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).requests, 9);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc6")).requests, 9);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 1);
	for (unsigned i = 0; i < 2; i++)
		tcpbox_close(&k[i]);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 0);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns_total, 1);
}

static const char script[] =
	"set a 0 0 7\r\nhe\r\nllo\r\nget a\r\nmg a v s\r\nget a b a\r\nmd b q\r\ngat 10 a\r\nmn\r\n";
static const char answers[] =
	"STORED\r\nVALUE a 0 7\r\nhe\r\nllo\r\nEND\r\nVA 7 s7\r\nhe\r\nllo\r\n"
	"VALUE a 0 7\r\nhe\r\nllo\r\nVALUE a 0 7\r\nhe\r\nllo\r\nEND\r\n"
	"VALUE a 0 7\r\nhe\r\nllo\r\nEND\r\nMN\r\n";

static void requests_may_be_cut_anywhere(void **state)
{
	const uint32_t n = sizeof(script) - 1;
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	for (uint32_t cut = 1; cut < n; cut++) {
		tcphost_send(&k, script, cut);
		tcpbox_pass(1);
		tcphost_send(&k, script + cut, n - cut);
		tcpbox_expect(&k, answers);
	}
	for (uint32_t i = 0; i < n; i++) {
		tcphost_send(&k, script + i, 1);
		tcpbox_pass(1);
	}
	tcpbox_expect(&k, answers);
	tcpbox_close(&k);
}

static unsigned n_data_frames;

static bool count_data(bool to_box, const uint8_t *frame, uint32_t len)
{
	(void)frame;
	n_data_frames += !to_box && len > 100; /* with a few answers */
	return true;
}

static void a_burst_of_pipelines_is_answered_with_a_segment_each(void **state)
{
	struct tcphost_conn k[MANY] = {{0}};

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		tcpbox_open(&k[i], i % 2 ? 6 : 4, i);
	tcpbox_say(&k[0], "set a 0 0 10\r\n0123456789\r\n");
	tcpbox_expect(&k[0], "STORED\r\n");
	n_data_frames = 0;
	tcpbox_is_passed = count_data;
	for (unsigned i = 0; i < MANY; i++)
		tcpbox_say(&k[i], "get a\r\nget a\r\nget a\r\nmg a v\r\n");
	for (unsigned i = 0; i < MANY; i++)
		tcpbox_expect(&k[i],
			"VALUE a 0 10\r\n0123456789\r\nEND\r\nVALUE a 0 10\r\n0123456789\r\nEND\r\n"
			"VALUE a 0 10\r\n0123456789\r\nEND\r\nVA 10\r\n0123456789\r\n");
	tcpbox_is_passed = NULL;
	assert_int_equal(n_data_frames, MANY);
	for (unsigned i = 0; i < MANY; i++)
		tcpbox_close(&k[i]);
}

/* --- ends --- */

static void a_pipeline_is_answered_after_a_half_close(void **state)
{
	static const char answer[] = "VALUE a 0 1\r\nx\r\nEND\r\n";
	const uint32_t n = sizeof(answer) - 1;
	char expected[300 * sizeof(answer)];
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "set a 0 0 1 noreply\r\nx\r\n");
	for (unsigned i = 0; i < 300; i++) {
		tcpbox_say(&k, "get a\r\n");
		memcpy(expected + i * n, answer, n);
	}
	tcphost_close(&k);
	tcpbox_expect_bytes(&k, expected, 300 * n);
	tcpbox_expect_end(&k, TCP_WHY_CLOSED, 100);
	assert_true(k.is_eof);
	tcphost_fini(&k);
}

static void what_is_not_whole_at_the_end_is_forgotten(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "get a\r\nset a 0 0 100\r\nxxx");
	tcphost_close(&k);
	tcpbox_expect(&k, "END\r\n");
	tcpbox_expect_end(&k, TCP_WHY_CLOSED, 100);
	assert_int_equal(tcpbox_usage().n_bufs, 0);
	tcphost_fini(&k);
}

static void quit_ends_the_connection_after_its_answers(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 6, 1);
	tcpbox_say(&k, "get a\r\nquit\r\nget a\r\n");
	tcpbox_expect(&k, "END\r\n");
	tcpbox_pass(10);
	assert_true(k.is_eof);
	assert_int_equal(k.n_in, 0);
	tcpbox_close(&k);
	assert_int_equal(tcpbox_tcp_stats().resets_out, 0);
}

static void a_wrong_line_is_told_and_more_goes_on(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "nonsense\r\nget a\r\n\r\nset a 0 0 x\r\nmn\r\n");
	tcpbox_expect(
		&k, "ERROR\r\nEND\r\nERROR\r\nCLIENT_ERROR bad command line format\r\nMN\r\n");
	tcpbox_close(&k);
}

static void what_is_no_line_ends_the_connection(void **state)
{
	struct tcphost_conn k = {0};
	uint8_t bytes[8192];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	tcpbox_open(&k, 4, 1);
	tcphost_send(&k, bytes, sizeof(bytes));
	tcpbox_pass(10);
	assert_true(k.is_eof);
	tcpbox_close(&k);
	/* a request of binary, and then one that is none */
	memset(bytes, 0, 24);
	bytes[0] = 0x80;
	bytes[1] = 0x0a;
	tcpbox_open(&k, 4, 1);
	tcphost_send(&k, bytes, 24);
	bytes[0] = 0x81;
	tcpbox_expect_bytes(&k, bytes, 24);
	tcpbox_say(&k, "get a\r\n");
	tcpbox_pass(10);
	assert_true(k.is_eof);
	assert_int_equal(k.n_in, 0);
	tcpbox_close(&k);
}

/* --- long values --- */

static uint32_t answer_of(const char *key, uint32_t n, uint8_t *to, bool is_end)
{
	uint32_t at = (uint32_t)snprintf((char *)to, 300, "VALUE %s 0 %u\r\n", key, n);

	for (uint32_t i = 0; i < n; i++)
		to[at++] = tcpbox_byte(key, i);
	memcpy(to + at, "\r\nEND\r\n", 7);
	return at + (is_end ? 7 : 2);
}

/* What comes of a pipeline, compared as it comes. */
struct stream {
	const uint8_t *answer;
	uint32_t n_answer;
	uint64_t at;
};

static void compare(struct tcphost_conn *k, const uint8_t *p, uint32_t len)
{
	struct stream *s = k->app;

	while (len > 0) {
		const uint32_t off = (uint32_t)(s->at % s->n_answer);
		const uint32_t n = RTE_MIN(len, s->n_answer - off);

		assert_memory_equal(p, s->answer + off, n);
		s->at += n;
		p += n;
		len -= n;
	}
}

/* 32 gets and more of a value of n bytes, which the client reads at this pace, or stops reading now and then. */
static void read_slowly(uint32_t n, unsigned n_gets, uint32_t pace, bool has_stops)
{
	uint8_t *answer = malloc(n + 100);
	struct stream s = {.answer = answer};
	struct tcphost_conn k = {.pace = pace, .app = &s};
	const uint32_t n_answer = answer_of("big", n, answer, true);
	unsigned max_bufs = 0;

	s.n_answer = n_answer;
	tcpbox_open(&k, 4, 1);
	tcpbox_store(&k, "big", n);
	k.on_data = compare;
	for (unsigned i = 0; i < n_gets; i++)
		tcpbox_say(&k, "get big\r\n");
	for (unsigned i = 0; s.at < (uint64_t)n_answer * n_gets && i < 60000; i++) {
		if (has_stops && i % 400 == 0)
			k.is_paused = true;
		else if (has_stops && i % 400 == 300)
			tcphost_resume(&k);
		tcpbox_pass(1);
		assert_non_null(k.c);
		max_bufs = RTE_MAX(max_bufs, tcpbox_usage().n_bufs);
	}
	assert_true(s.at == (uint64_t)n_answer * n_gets);
	/* what waits, and the answer that went beyond it */
	assert_true(max_bufs <= (262144 + n_answer) / 1400 + 64);
	k.is_paused = false;
	tcpbox_close(&k);
	free(answer);
}

static void deep_pipelines_of_long_values_to_slow_readers(void **state)
{
	(void)state;
	read_slowly(100000, 64, 2000, false);
	read_slowly(1048300, 33, 20000, false);
	read_slowly(1048300, 32, 0, true);
	read_slowly(300000, 40, 0, true);
	assert_int_equal(tcpbox_stats().slow_readers, 0);
	assert_int_equal(tcpbox_stats().answers_cut, 0);
}

/* Four values of the largest size and one that makes the answer as long as it may be, or a byte longer. */
static void an_answer_has_a_limit(void **state)
{
	const uint32_t max = 4u << 20;
	uint8_t *answer = malloc(max + 8192);
	struct tcphost_conn k = {0};
	uint32_t n = 0, rest;

	(void)state;
	tcpbox_open(&k, 4, 1);
	for (unsigned i = 0; i < 4; i++) {
		const char key[] = {'k', (char)('0' + i), 0};

		tcpbox_store(&k, key, MR_CACHE_VALUE_MAX);
		n += answer_of(key, MR_CACHE_VALUE_MAX, answer + n, false);
	}
	rest = max - n - (uint32_t)strlen("VALUE z 0 123\r\n\r\nEND\r\n");
	assert_in_range(rest, 100, 999);
	tcpbox_store(&k, "z", rest);
	n += answer_of("z", rest, answer + n, true);
	assert_int_equal(n, max);
	tcpbox_say(&k, "get k0 k1 k2 k3 z\r\n");
	tcpbox_expect_bytes(&k, answer, n);
	assert_int_equal(tcpbox_stats().answers_cut, 0);
	tcpbox_store(&k, "z", rest + 1);
	tcpbox_say(&k, "get k0 k1 k2 k3 z\r\n");
	tcpbox_expect_end(&k, TCP_WHY_RESET, 1000);
	assert_int_equal(tcpbox_stats().answers_cut, 1);
	tcphost_fini(&k);
	free(answer);
}

static void long_values_are_stored_from_many_segments(void **state)
{
	struct tcphost_conn k[4] = {{0}};
	uint8_t *value = malloc(MR_CACHE_VALUE_MAX + 64);

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		tcpbox_open(&k[i], i % 2 ? 6 : 4, i);
	for (unsigned i = 0; i < 4; i++) {
		const char key[] = {'k', (char)('0' + i), 0};
		const uint32_t n = answer_of(key, MR_CACHE_VALUE_MAX, value, false);
		const uint32_t head = n - 2 - MR_CACHE_VALUE_MAX;
		char line[64];

		snprintf(line, sizeof(line), "set %s 0 0 %u\r\n", key, MR_CACHE_VALUE_MAX);
		tcpbox_say(&k[i], line);
		tcphost_send(&k[i], value + head, n - head);
	}
	for (unsigned i = 0; i < 4; i++)
		tcpbox_expect(&k[i], "STORED\r\n");
	for (unsigned i = 0; i < 4; i++) {
		const char key[] = {'k', (char)('0' + i), 0};
		const uint32_t n = answer_of(key, MR_CACHE_VALUE_MAX, value, true);
		char line[64];

		snprintf(line, sizeof(line), "get %s\r\n", key);
		tcpbox_say(&k[3 - i], line);
		tcpbox_expect_bytes(&k[3 - i], value, n);
	}
	tcpbox_say(&k[0], "set k0 0 0 1048577\r\n");
	for (unsigned i = 0; i < 1048577; i += 1021)
		tcphost_send(&k[0], value, RTE_MIN(1021u, 1048577 - i));
	tcpbox_say(&k[0], "\r\nmn\r\n");
	tcpbox_expect(&k[0], "SERVER_ERROR object too large for cache\r\nMN\r\n");
	for (unsigned i = 0; i < 4; i++)
		tcpbox_close(&k[i]);
	free(value);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(requests_of_both_families_are_answered),
		TEST(requests_may_be_cut_anywhere),
		TEST(a_burst_of_pipelines_is_answered_with_a_segment_each),
		TEST(a_pipeline_is_answered_after_a_half_close),
		TEST(what_is_not_whole_at_the_end_is_forgotten),
		TEST(quit_ends_the_connection_after_its_answers),
		TEST(a_wrong_line_is_told_and_more_goes_on),
		TEST(what_is_no_line_ends_the_connection),
		TEST(deep_pipelines_of_long_values_to_slow_readers),
		TEST(an_answer_has_a_limit),
		TEST(long_values_are_stored_from_many_segments),
	};

	if (eal_start("test_servetcp", 512) != 0)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
