/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's text protocol: each command and each way to get it wrong, whole and cut at every byte; each answer, written a few
 * bytes at a time. Expected lines are what memcached 1.6.18 gave, but for those marked as ours.
 */
#include "mcfix.h"

#include <stdio.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof(*(array)))
#define K50 "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcd"
#define K250 K50 K50 K50 K50 K50
#define K251 K250 "x"
#define BAD_LINE "CLIENT_ERROR bad command line format\r\n"
#define USAGE "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"

static void test_gets(void **state)
{
	static const struct mcfix_case cases[] = {
		{"get a\r\n", "get key=a"},
		{"get a\n", "get key=a"},
		{" get  a \r\n", "get key=a"},
		{"get a bb  ccc \r\n", "get key=a key=bb key=ccc"},
		{"gets a b\r\n", "get key=a key=b shows_cas"},
		{"bget a\r\n", "get key=a"},
		{"get " K250 "\r\n", "get key=" K250},
		{"get " K251 "\r\n", BAD_LINE},
		{"get a " K251 "\r\n", BAD_LINE},
		{"get a " K251 " b\r\n", BAD_LINE},
		{"get a\tb\r\n", "get key=a\\x09b"},
		{"get a\r\r\n", "get key=a\\x0d"},
		{"get \x80\xff\r\n", "get key=\\x80\\xff"},
		{"get\r\n", "ERROR\r\n"},
		{"get \r\n", "ERROR\r\n"},
		{"gets\r\n", "ERROR\r\n"},
		{"getx a\r\n", "ERROR\r\n"},
		{"GET a\r\n", "ERROR\r\n"},
		{"gat 10 a b\r\n", "gat key=a key=b exptime=10"},
		{"gats -1 a\r\n", "gat key=a exptime=-1 shows_cas"},
		{"gat x a\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"gat x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"gat 10\r\n", "ERROR\r\n"}, /* ours */
		{"gat\r\n", "ERROR\r\n"},
		{"gat 0 " K251 "\r\n", BAD_LINE},
		{"get noreply\r\n", "get key=noreply"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
	mcfix_expect("get a\0b\r\n", 9, "get key=a\\x00b", 64); /* ours */
	mcfix_expect("get\0 a\r\n", 8, "ERROR\r\n", 64);        /* ours */
	mcfix_expect_all(NULL, 0, 0);
}

static void test_stores(void **state)
{
	static const struct mcfix_case cases[] = {
		{"set k 0 0 3\r\nabc\r\n", "set key=k value=abc"},
		{"set k 0 0 3\nabc\r\n", "set key=k value=abc"},
		{"set k 1 2 3 noreply\r\nabc\r\n", "set key=k flags=1 exptime=2 value=abc quiet"},
		{"set k 1 2 3 norepl\r\nabc\r\n", "set key=k flags=1 exptime=2 value=abc"},
		{"set k 0 0 0\r\n\r\n", "set key=k value="},
		{"set k 0 0 4\r\n\r\n\r\n\r\n", "set key=k value=\\x0d\\x0a\\x0d\\x0a"},
		{"set k +1 +0 +1\r\na\r\n", "set key=k flags=1 value=a"},
		{"set k 0004 -5 01\r\na\r\n", "set key=k flags=4 exptime=-5 value=a"},
		{"set k 4294967295 2147483648 1\r\na\r\n",
			"set key=k flags=4294967295 exptime=2147483648 value=a"},
		{"add k 0 0 1\r\na\r\n", "add key=k value=a"},
		{"replace k 0 0 1\r\na\r\n", "replace key=k value=a"},
		{"append k 0 0 1\r\na\r\n", "append key=k value=a"},
		{"prepend k 0 0 1\r\na\r\n", "prepend key=k value=a"},
		{"cas k 0 0 1 7\r\na\r\n", "cas key=k cas=7 value=a"},
		{"cas k 0 0 1 0 noreply\r\na\r\n", "cas key=k cas=0 value=a quiet"},
		{"cas k 0 0 1 18446744073709551615\r\na\r\n",
			"cas key=k cas=18446744073709551615 value=a"},
		{"set " K250 " 0 0 1\r\na\r\n", "set key=" K250 " value=a"},
		{"set k 0 0 3\r\n", "more"},
		{"set k 0 0 3\r\nabc\r", "more"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
}

/* A line that is wrong is answered, and what it was about to bring is read as lines. */
static void test_bad_stores(void **state)
{
	static const struct mcfix_case cases[] = {
		{"set k 0 0\r\n", "ERROR\r\n"},
		{"set k 0 0 1 noreply x\r\n", "ERROR\r\n"},
		{"cas k 0 0 1\r\n", "ERROR\r\n"},
		{"cas k 0 0 1 7 noreply x\r\n", "ERROR\r\n"},
		{"set " K251 " 0 0 1\r\n", BAD_LINE},
		{"set k x 0 1\r\n", BAD_LINE},
		{"set k -1 0 1\r\n", BAD_LINE},
		{"set k 4294967296 0 1\r\n", BAD_LINE}, /* ours */
		{"set k 18446744073709551616 0 1\r\n", BAD_LINE},
		{"set k 0 x 1\r\n", BAD_LINE},
		{"set k 0 9223372036854775808 1\r\n", BAD_LINE},
		{"set k 0 0 x\r\n", BAD_LINE},
		{"set k 0 0 1x\r\n", BAD_LINE},
		{"set k 0 0 +\r\n", BAD_LINE},
		{"set k 0 0 -\r\n", BAD_LINE},
		{"set k 0 0 --1\r\n", BAD_LINE},
		{"set k 0 -+1 1\r\n", BAD_LINE},
		{"set k 0 0 -1\r\n", BAD_LINE},
		{"set k 0 0 2147483646\r\n", BAD_LINE},
		{"set k 0 0 2147483647\r\n", BAD_LINE},
		{"set k 0 0 4294967297\r\n", BAD_LINE},           /* ours */
		{"set k 0 0 18446744073709551617\r\n", BAD_LINE}, /* ours */
		{"set k 0 0 x noreply\r\n", "silent"},
		{"set k 0 0 noreply\r\n", "silent"},
		{"cas k 0 0 1 noreply\r\n", "silent"},
		{"cas k 0 0 1 x\r\n", BAD_LINE},
		{"cas k 0 0 1 -1\r\n", BAD_LINE},
		{"cas k 0 0 1 18446744073709551616\r\n", BAD_LINE},
		{"set k 0 0 3\r\nabcde", "CLIENT_ERROR bad data chunk\r\n"},
		{"set k 0 0 3\r\nab\r\nx", "CLIENT_ERROR bad data chunk\r\n"},
		{"set k 0 0 3\r\nabc\nx", "CLIENT_ERROR bad data chunk\r\n"},
		{"set k 0 0 3\r\nabc\rx", "CLIENT_ERROR bad data chunk\r\n"},
		{"set k 0 0 0\r\nab", "CLIENT_ERROR bad data chunk\r\n"},
		{"set k 0 0 3 noreply\r\nabcde", "silent"},
		{"set k 0 0 5\r\nabcde\r\n", "SERVER_ERROR object too large for cache\r\n"},
		{"set k 0 0 5\r\nab", "SERVER_ERROR object too large for cache\r\n swallow=5"},
		{"set k 0 0 5\r\n", "SERVER_ERROR object too large for cache\r\n swallow=7"},
		{"set k 0 0 5\r\nabcdefg", "SERVER_ERROR object too large for cache\r\n"},
		{"set k 0 0 2147483645\r\n",
			"SERVER_ERROR object too large for cache\r\n swallow=2147483647"},
		{"set k 0 0 5 noreply\r\nab", "silent swallow=5"},
		{"set k 0 0 4\r\nabcd\r\n", "set key=k value=abcd"},
	};
	struct mc_request r;

	(void)state;
	mcfix_expect_all(cases, N(cases), 4);
	/* what is too large still says what it was about */
	mcfix_parse(&r, "set k 0 0 5\r\n", 13, &(struct mc_limits){4, false});
	assert_int_equal(r.verb, MC_SET);
	assert_int_equal(r.key_len, 1);
}

static void test_others(void **state)
{
	static const struct mcfix_case cases[] = {
		{"delete k\r\n", "delete key=k"},
		{"delete k 0\r\n", "delete key=k"},
		{"delete k noreply\r\n", "delete key=k quiet"},
		{"delete k 0 noreply\r\n", "delete key=k quiet"},
		{"delete k 1\r\n", USAGE},
		{"delete k 0 0\r\n", USAGE},
		{"delete k 1 noreply\r\n", "silent"},
		{"delete k noreply 0\r\n", USAGE},
		{"delete k 0 noreply 1\r\n", "ERROR\r\n"},
		{"delete\r\n", "ERROR\r\n"},
		{"delete " K251 "\r\n", BAD_LINE},
		{"incr k 5\r\n", "incr key=k delta=5"},
		{"decr k 18446744073709551615 noreply\r\n",
			"decr key=k delta=18446744073709551615 quiet"},
		{"incr k 18446744073709551616\r\n",
			"CLIENT_ERROR invalid numeric delta argument\r\n"},
		{"incr k 99999999999999999999\r\n",
			"CLIENT_ERROR invalid numeric delta argument\r\n"},
		{"incr k -1\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n"},
		{"incr k x\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n"},
		{"incr k x noreply\r\n", "silent"},
		{"incr k\r\n", "ERROR\r\n"},
		{"incr k 1 2 3\r\n", "ERROR\r\n"},
		{"decr " K251 " x\r\n", BAD_LINE},
		{"touch k 10\r\n", "touch key=k exptime=10"},
		{"touch k 10 noreply\r\n", "touch key=k exptime=10 quiet"},
		{"touch k 10 other\r\n", "touch key=k exptime=10"},
		{"touch k x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"touch k\r\n", "ERROR\r\n"},
		{"touch " K251 " 0\r\n", BAD_LINE},
		{"flush_all\r\n", "flush_all"},
		{"flush_all noreply\r\n", "flush_all quiet"},
		{"flush_all 10\r\n", "flush_all exptime=10"},
		{"flush_all 10 noreply\r\n", "flush_all exptime=10 quiet"},
		{"flush_all -1\r\n", "flush_all exptime=-1"},
		{"flush_all 0 0\r\n", "flush_all"},
		{"flush_all x\r\n", "CLIENT_ERROR invalid exptime argument\r\n"},
		{"flush_all x noreply\r\n", "silent"},
		{"flush_all 1 2 3\r\n", "ERROR\r\n"},
		{"version\r\n", "version"},
		{"version x\r\n", "version"},
		{"verbosity 1\r\n", "verbosity"},
		{"verbosity 1 noreply\r\n", "verbosity quiet"},
		{"verbosity x\r\n", BAD_LINE},
		{"verbosity noreply\r\n", "silent"},
		{"verbosity\r\n", "ERROR\r\n"},
		{"verbosity 1 2 3\r\n", "ERROR\r\n"},
		{"stats\r\n", "stats"},
		{"stats items\r\n", "stats key=items"},
		{"stats a b c d e f g h i j\r\n", "stats key=a"},
		{"stats " K251 "\r\n", "ERROR\r\n"},
		{"quit\r\n", "quit"},
		{"quit now\r\n", "quit"},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
}

static void test_no_command(void **state)
{
	static const struct mcfix_case cases[] = {
		{"\r\n", "ERROR\r\n"},
		{"\n", "ERROR\r\n"},
		{" \r\n", "ERROR\r\n"},
		{"x\r\n", "ERROR\r\n"},
		{"foo noreply\r\n", "ERROR\r\n"},
		{"seta k 0 0 1\r\n", "ERROR\r\n"},
		{"se\r\n", "ERROR\r\n"},
		{"m\r\n", "ERROR\r\n"},
		{"shutdown\r\n", "ERROR: shutdown not enabled\r\n"},
		{"\x81get a\r\n", "ERROR\r\n"},
		{"GET / HTTP/1.1\r\n", ""},
		{"POST /x HTTP/1.0 \r\n", ""},
		{"GET / HTTP\r\n", "ERROR\r\n"},
		{"get / HTTP/1.1\r\n", "get key=/ key=HTTP/1.1"},
		{"HTTP/1.1\r\n", ""},
	};

	(void)state;
	mcfix_expect_all(cases, N(cases), 64);
}

/* Bytes without an end of line: 2048 of anything, more of gets with few blanks in front. */
static void test_long_lines(void **state)
{
	static const struct {
		const char *begin;
		uint32_t n_blanks, len;
		enum mc_status is;
	} cases[] = {
		{"xxxxx", 0, 2048, MC_MORE},
		{"xxxxx", 0, 2049, MC_BAD},
		{"get x", 0, 4096, MC_MORE},
		{"gets x", 0, 4096, MC_MORE},
		{"gat 0 x", 0, 2049, MC_BAD},
		{"set xx", 0, 2049, MC_BAD},
		{"mg xx", 0, 2049, MC_BAD},
		{"get x", 100, 4096, MC_MORE},
		{"get x", 101, 4096, MC_BAD},
		{"gets x", 101, 4096, MC_BAD},
		{" ", 4000, 4096, MC_BAD},
	};
	static const struct mc_limits stream = {64, false};
	struct mc_request r;
	char line[8192];

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		memset(line, ' ', cases[i].n_blanks);
		memset(line + cases[i].n_blanks, 'x', cases[i].len);
		memcpy(line + cases[i].n_blanks, cases[i].begin, strlen(cases[i].begin));
		assert_int_equal(mcfix_parse(&r, line, cases[i].len, &stream), cases[i].is);
		if (cases[i].is == MC_BAD)
			assert_int_equal(r.error, MC_E_NONE);
	}
	/* one that has an end is a line, however long */
	memset(line, 'x', 4096);
	line[4096] = '\n';
	assert_int_equal(mcfix_parse(&r, line, 4097, &stream), MC_ERROR);
	assert_int_equal(r.error, MC_E_COMMAND);
	assert_int_equal(r.consumed, 4097);
	/* and has as many keys as it has */
	memcpy(line, "get", 3);
	for (unsigned i = 0; i < 2000; i++)
		memcpy(line + 3 + i * 2L, " k", 2);
	memcpy(line + 4003, "\r\n", 2);
	assert_int_equal(mcfix_parse(&r, line, 4005, &stream), MC_OK);
	for (unsigned i = 0; i < 1999; i++)
		assert_true(mc_next_key(&r));
	assert_false(mc_next_key(&r));
	mcfix_expect_all(NULL, 0, 0);
}

#define HIT(f, c, v) \
	{ \
		.outcome = MC_HIT, .flags = f, .cas = c, .value = (const uint8_t *)(v), \
		.value_len = sizeof(v) - 1 \
	}
#define IS(o) \
	{ \
		.outcome = MC_##o \
	}

static void test_answers(void **state)
{
	static const struct mcfix_answer answers[] = {
		{"get k\r\n", HIT(7, 9, "abc"), "VALUE k 7 3\r\nabc\r\nEND\r\n"},
		{"get k\r\n", HIT(0, 9, ""), "VALUE k 0 0\r\n\r\nEND\r\n"},
		{"get k\r\n", IS(MISS), "END\r\n"},
		{"gets k\r\n", HIT(4294967295, 18446744073709551615u, "abc"),
			"VALUE k 4294967295 3 18446744073709551615\r\nabc\r\nEND\r\n"},
		{"get a bb\r\n", HIT(0, 0, "0123456789"),
			"VALUE a 0 10\r\n0123456789\r\nVALUE bb 0 10\r\n0123456789\r\nEND\r\n"},
		{"get " K250 "\r\n", HIT(0, 0, "a"), "VALUE " K250 " 0 1\r\na\r\nEND\r\n"},
		{"get k\r\n", HIT(0, 0, K250), "VALUE k 0 250\r\n" K250 "\r\nEND\r\n"},
		{"gats 5 a\r\n", HIT(0, 12, "a"), "VALUE a 0 1 12\r\na\r\nEND\r\n"},
		{"gat 5 a\r\n", HIT(0, 12, "a"), "VALUE a 0 1\r\na\r\nEND\r\n"},
		{"set k 0 0 1\r\na\r\n", IS(STORED), "STORED\r\n"},
		{"set k 0 0 1 noreply\r\na\r\n", IS(STORED), ""},
		{"set k 0 0 1\r\na\r\n", IS(TOO_LARGE),
			"SERVER_ERROR object too large for cache\r\n"},
		{"set k 0 0 1\r\na\r\n", IS(NO_MEMORY),
			"SERVER_ERROR out of memory storing object\r\n"},
		{"set k 0 0 1 noreply\r\na\r\n", IS(NO_MEMORY), ""},
		{"add k 0 0 1\r\na\r\n", IS(NOT_STORED), "NOT_STORED\r\n"},
		{"append k 0 0 1\r\na\r\n", IS(TOO_LARGE), "NOT_STORED\r\n"},
		{"prepend k 0 0 1\r\na\r\n", IS(NO_MEMORY), "NOT_STORED\r\n"},
		{"cas k 0 0 1 5\r\na\r\n", IS(EXISTS), "EXISTS\r\n"},
		{"cas k 0 0 1 5\r\na\r\n", IS(NOT_FOUND), "NOT_FOUND\r\n"},
		{"delete k\r\n", IS(STORED), "DELETED\r\n"},
		{"delete k\r\n", IS(NOT_FOUND), "NOT_FOUND\r\n"},
		{"incr k 1\r\n", {.outcome = MC_STORED, .number = 12345}, "12345\r\n"},
		{"decr k 1\r\n", {.outcome = MC_STORED, .number = UINT64_MAX},
			"18446744073709551615\r\n"},
		{"incr k 1 noreply\r\n", {.outcome = MC_STORED, .number = 1}, ""},
		{"incr k 1\r\n", IS(NOT_FOUND), "NOT_FOUND\r\n"},
		{"incr k 1\r\n", IS(NOT_NUMBER),
			"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"incr k 1 noreply\r\n", IS(NOT_NUMBER), ""},
		{"incr k 1\r\n", IS(NO_MEMORY), "SERVER_ERROR out of memory\r\n"},
		{"touch k 1\r\n", IS(STORED), "TOUCHED\r\n"},
		{"touch k 1\r\n", IS(NOT_FOUND), "NOT_FOUND\r\n"},
		{"touch k 1 noreply\r\n", IS(NOT_FOUND), ""},
		{"flush_all\r\n", IS(STORED), "OK\r\n"},
		{"flush_all noreply\r\n", IS(STORED), ""},
		{"verbosity 1\r\n", IS(STORED), "OK\r\n"},
		{"stats reset\r\n", IS(STORED), "RESET\r\n"},
		{"stats x\r\n", IS(NOT_FOUND), "ERROR\r\n"},
		{"quit\r\n", IS(STORED), ""},
	};

	(void)state;
	mcfix_expect_answers(answers, N(answers));
}

static bool no_more(struct mc_out *out)
{
	(void)out;
	return false;
}

/* Room for n bytes and no more: the answer is cut off, and the sink says so. */
static void test_full(void **state)
{
	static const char all[] = "VERSION 1.2.3\r\nSTAT a 5\r\nEND\r\n";
	struct mc_request r;

	(void)state;
	for (uint32_t n = 0; n <= sizeof(all); n++) {
		uint8_t *room = malloc(n);
		struct mc_out out = {.p = room, .end = room + n, .grow = no_more};

		mcfix_parse(&r, "version\r\n", 9, &(struct mc_limits){64, false});
		mc_reply_version(&out, &r, "1.2.3");
		mcfix_parse(&r, "stats\r\n", 7, &(struct mc_limits){64, false});
		mc_reply_stat(&out, &r, "a", "5");
		mc_reply_end(&out, &r);
		assert_int_equal(out.is_full, n < sizeof(all) - 1);
		assert_int_equal(out.p - room, n < sizeof(all) - 1 ? n : sizeof(all) - 1);
		assert_memory_equal(room, all, (size_t)(out.p - room));
		free(room);
	}
	mcfix_expect_all(NULL, 0, 0);
}

/* All numbers of up to three digits, and those around each power of ten: written as printf does, and read again. */
static void test_numbers(void **state)
{
	uint64_t power = 1;

	(void)state;
	for (unsigned i = 0; i < 1000 + 20 * 3; i++) {
		const uint64_t n = i < 1000 ? i : power + (i - 1000) % 3 - 1;
		char text[32], line[64];
		struct mc_request r;
		uint8_t out_bytes[64];
		struct mc_out out = {
			.p = out_bytes, .end = out_bytes + sizeof(out_bytes), .grow = no_more};

		if (i >= 1000 && (i - 1000) % 3 == 2)
			power *= 10;
		snprintf(text, sizeof(text), "%llu\r\n", (unsigned long long)n);
		snprintf(line, sizeof(line), "incr k %s", text);
		assert_int_equal(mcfix_parse(&r, line, (uint32_t)strlen(line),
					 &(struct mc_limits){64, false}),
			MC_OK);
		assert_true(r.delta == n);
		mc_reply(&out, &r, &(struct mc_result){.outcome = MC_STORED, .number = n});
		assert_int_equal(out.p - out_bytes, strlen(text));
		assert_memory_equal(out_bytes, text, strlen(text));
	}
	mcfix_expect_all(NULL, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gets),
		cmocka_unit_test(test_stores),
		cmocka_unit_test(test_bad_stores),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_no_command),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("mc_text", tests, NULL, NULL);
}
