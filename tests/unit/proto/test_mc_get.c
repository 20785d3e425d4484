/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_get against the codecs: a line is taken exactly if it is one plain get for them, with the same key, alone or before others; the answer of a hit, written over
 * its request, has their bytes.
 */
#include "proto/mc_get.h"
#include "unit.h"

#include <stdlib.h>

#define LINE_MAX_LEN 300u
#define ROOM 1024u
#define N_LINES 200000u

/* Whether the codecs find one get of one key in exactly these bytes, as `get` with one blank and "\r\n" behind. */
static bool is_plain(const uint8_t *p, uint32_t len, struct mc_request *r)
{
	const struct mc_limits limits = {.value_max = 1u << 20, .is_datagram = true};

	return mc_parse(r, p, len, &limits) == MC_OK && r->protocol == MC_TEXT && r->verb == MC_GET
		&& !r->shows_cas && r->more == r->more_end && r->consumed == len
		&& r->key == p + MC_GET_WORD && r->key + r->key_len + 2 == p + len
		&& memcmp(p, "get ", 4) == 0 && p[len - 2] == '\r';
}

/* Whether they find such a get, as the first of a stream, with any end of a line. */
static bool is_plain_first(const uint8_t *p, uint32_t len, struct mc_request *r)
{
	const struct mc_limits limits = {.value_max = 1u << 20};

	return mc_parse_text(r, p, len, &limits) == MC_OK && r->protocol == MC_TEXT
		&& r->verb == MC_GET && !r->shows_cas && r->more == r->more_end
		&& r->key == p + MC_GET_WORD && memcmp(p, "get ", 4) == 0
		&& (r->key[r->key_len] == '\n' || memcmp(r->key + r->key_len, "\r\n", 2) == 0);
}

/* In memory of its own, as nothing behind it may be read. */
static void check_first(const uint8_t *line, uint32_t len)
{
	uint8_t *bytes = malloc(len);
	uint32_t key_len, consumed = 0;
	struct mc_request r;

	assert_non_null(bytes);
	memcpy(bytes, line, len);
	key_len = mc_get_parse_first(bytes, len, &consumed);
	if (len >= 16 && is_plain_first(bytes, len, &r)) {
		assert_int_equal(key_len, r.key_len);
		assert_int_equal(consumed, r.consumed);
	} else {
		assert_int_equal(key_len, 0);
	}
	free(bytes);
}

static bool cannot_grow(struct mc_out *out)
{
	(void)out;
	return false;
}

/* What is behind the line is what would be misread most easily. */
static void check_line(const uint8_t *line, uint32_t len)
{
	static const uint8_t behind[] = {0, ' ', '\n', 'x'};
	uint8_t bytes[LINE_MAX_LEN + MC_GET_BEHIND];
	struct mc_request r;

	for (unsigned i = 0; i < sizeof(behind); i++) {
		uint32_t key_len;

		memset(bytes, behind[i], sizeof(bytes));
		memcpy(bytes, line, len);
		key_len = mc_get_parse(bytes, len);
		if (is_plain(bytes, len, &r))
			assert_int_equal(key_len, r.key_len);
		else
			assert_int_equal(key_len, 0);
	}
	if (len > 0)
		check_first(line, len);
}

static void every_length_of_key_is_taken(void **state)
{
	uint8_t line[LINE_MAX_LEN];

	(void)state;
	for (uint32_t n = 0; n < 260; n++) {
		memset(line, 'k', sizeof(line));
		memcpy(line, "get ", 4);
		memcpy(line + 4 + n, "\r\n", 2);
		check_line(line, 6 + n);
		for (uint32_t at = 0; at < n;
			at++) { /* one byte in it that ends a word, or does not */
			static const uint8_t others[] = {
				' ', '\n', '\r', '\t', 0, ' ' + 1, '\n' + 1, 0xff};

			for (unsigned i = 0; i < sizeof(others); i++) {
				line[4 + at] = others[i];
				check_line(line, 6 + n);
			}
			line[4 + at] = 'k';
		}
	}
}

static void changed_lines_are_taken_as_the_codecs_do(void **state)
{
	static const char *const begun[] = {"get k\r\n", "get key-of-16-bytes\r\n", "gets k\r\n",
		"get k\r\nget long-key\r\n", "get key-of-18--bytes\nget key\n", "get a b\r\n",
		"mg key v\r\n", "get k\n", "get \r\n", "set k 0 0 1\r\na\r\n", "get k\r\nget l\r\n",
		"delete k\r\n", "get a-key-that-is-longer-than-16-bytes\r\n"};
	static const uint8_t likely_bytes[] = " \r\ngetsk\0";
	unsigned n_taken = 0;

	(void)state;
	srand(16);
	for (unsigned i = 0; i < N_LINES; i++) {
		const char *from = begun[(unsigned)rand() % (sizeof(begun) / sizeof(*begun))];
		uint32_t len = (uint32_t)strlen(from);
		uint8_t line[LINE_MAX_LEN];

		memcpy(line, from, len);
		for (int n = rand() % 3; n > 0; n--)
			line[(unsigned)rand() % len] = rand() % 2
				? likely_bytes[(unsigned)rand() % (sizeof(likely_bytes) - 1)]
				: (uint8_t)rand();
		len -= rand() % 4 == 0 ? (unsigned)rand() % len : 0;
		check_line(line, len);
		n_taken += mc_get_parse(line, len) != 0;
	}
	assert_in_range(n_taken, N_LINES / 20, N_LINES / 2);
}

static void check_hit(uint32_t key_len, uint32_t flags, uint32_t value_len)
{
	uint8_t request[ROOM], want[ROOM], value[512];
	struct mc_out out = {.p = want, .end = want + sizeof(want), .grow = cannot_grow};
	const struct mc_result result = {
		.outcome = MC_HIT, .flags = flags, .value = value, .value_len = value_len};
	struct mc_request r;
	uint8_t *end;

	for (uint32_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)rand();
	memset(request, 0xee, sizeof(request));
	memcpy(request, "get ", 4);
	for (uint32_t i = 0; i < key_len; i++)
		request[4 + i] = (uint8_t)('a' + rand() % 26);
	memcpy(request + 4 + key_len, "\r\n", 2);
	assert_true(is_plain(request, 6 + key_len, &r));
	mc_reply(&out, &r, &result);
	mc_reply_end(&out, &r);
	end = mc_get_hit(request, request + MC_GET_WORD, key_len, flags, value, value_len);
	assert_int_equal(end - request, out.p - want);
	assert_memory_equal(request, want, (size_t)(end - request));
	assert_true((uint32_t)(end - request) <= mc_get_bytes_max(key_len, value_len) - 1);
	/* nothing was written behind what mc_get_bytes_max() says */
	for (uint32_t i = mc_get_bytes_max(key_len, value_len); i < sizeof(request); i++)
		assert_int_equal(request[i], 0xee);
}

static void answers_are_those_of_the_codecs(void **state)
{
	static const uint32_t flags[] = {0, 1, 9, 10, 99, 100, 65535, UINT32_MAX};
	static const uint32_t lengths[] = {0, 1, 9, 10, 31, 32, 33, 100, 512};

	(void)state;
	srand(250);
	for (uint32_t key_len = 1; key_len <= MC_KEY_MAX; key_len++)
		for (unsigned f = 0; f < sizeof(flags) / sizeof(*flags); f++)
			for (unsigned n = 0; n < sizeof(lengths) / sizeof(*lengths); n++)
				check_hit(key_len, flags[f], lengths[n]);
}

static void a_miss_is_that_of_the_codecs(void **state)
{
	uint8_t request[64 + MC_GET_BEHIND] = "get k\r\n", want[64], got[64];
	struct mc_out out = {.p = want, .end = want + sizeof(want), .grow = cannot_grow};
	struct mc_request r;

	(void)state;
	assert_true(is_plain(request, 7, &r));
	mc_reply(&out, &r, &(struct mc_result){.outcome = MC_MISS});
	mc_reply_end(&out, &r);
	assert_int_equal(mc_get_miss(got) - got, out.p - want);
	assert_memory_equal(got, want, (size_t)(out.p - want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_of_key_is_taken),
		cmocka_unit_test(changed_lines_are_taken_as_the_codecs_do),
		cmocka_unit_test(answers_are_those_of_the_codecs),
		cmocka_unit_test(a_miss_is_that_of_the_codecs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
