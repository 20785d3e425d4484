/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_mget against the codecs: what is taken is for them one whole meta get that only looks, with the same key, and is answered by the same
 * bytes, hit or miss; and what is made of the flags that it knows is taken.
 */
#include "proto/mc_mget.h"
#include "unit.h"

#include <stdlib.h>

#define LINE_MAX_LEN 400u
#define ROOM 2048u
#define N_LINES 300000u

static bool cannot_grow(struct mc_out *out)
{
	(void)out;
	return false;
}

static uint32_t put_word(uint8_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		to[i] = (uint8_t)('!' + rand() % 94);
	return n;
}

/* A line that is to be taken; returns its length. */
static uint32_t make_line(uint8_t *line)
{
	char letters[] = "cfkqstvO";
	uint32_t n = 3;

	memcpy(line, "mg ", 3);
	n += put_word(line + n, 1 + (uint32_t)rand() % (rand() % 8 == 0 ? MC_KEY_MAX : 40));
	for (int left = rand() % 9; left > 0; left--) {
		char *const letter = &letters[rand() % 8];

		if (*letter == 0)
			continue;
		line[n++] = ' ';
		line[n++] = (uint8_t)*letter;
		if (*letter == 'O')
			n += put_word(line + n, (uint32_t)rand() % MC_OPAQUE_MAX);
		*letter = 0;
	}
	memcpy(line + n, "\r\n", 2);
	return n + 2;
}

static void check_answers(const struct mc_mget *g, const struct mc_request *r)
{
	uint8_t want[ROOM], got[ROOM], value[300];
	struct mc_out out = {.p = want, .end = want + sizeof(want), .grow = cannot_grow};
	const struct mc_mget_item it = {.value = value,
		.value_len = (uint32_t)rand() % sizeof(value),
		.flags = rand() % 2 ? (uint32_t)rand() : UINT32_MAX,
		.cas = rand() % 2 ? UINT64_MAX : (uint64_t)rand(),
		.ttl = rand() % 3 - 1 ? rand() : -1};
	const struct mc_result hit = {.outcome = MC_HIT,
		.value = value,
		.value_len = it.value_len,
		.flags = it.flags,
		.cas = it.cas,
		.ttl = it.ttl};
	uint32_t n;

	put_word(value, sizeof(value));
	mc_reply(&out, r, &hit);
	mc_reply_end(&out, r);
	n = (uint32_t)(mc_mget_hit(got, g, &it) - got);
	assert_int_equal(n, out.p - want);
	assert_memory_equal(got, want, n);
	assert_true(n <= mc_mget_bytes_max(g, it.value_len));
	if (g->is_quiet)
		return; /* a miss is not answered */
	out.p = want;
	mc_reply(&out, r, &(struct mc_result){.outcome = MC_MISS});
	mc_reply_end(&out, r);
	n = (uint32_t)(mc_mget_miss(got, g) - got);
	assert_int_equal(n, out.p - want);
	assert_memory_equal(got, want, n);
	assert_true(n <= mc_mget_bytes_max(g, 0));
}

/* In memory of its own; what is behind the line is what would be misread most easily. */
static bool check_line(const uint8_t *line, uint32_t len)
{
	static const uint8_t behind[] = {0, ' ', '\n', 'v'};
	const struct mc_limits limits = {.value_max = 1u << 20, .is_datagram = true};
	uint8_t *bytes = malloc(len + MC_GET_BEHIND);
	struct mc_request r;
	struct mc_mget g;

	assert_non_null(bytes);
	memset(bytes, behind[rand() % 4], len + MC_GET_BEHIND);
	memcpy(bytes, line, len);
	mc_mget_parse(&g, bytes, len);
	if (g.key_len > 0) {
		assert_int_equal(MC_OK, mc_parse(&r, bytes, len, &limits));
		assert_int_equal(MC_META_GET, r.verb);
		assert_int_equal(0, r.has);
		assert_int_equal(len, r.consumed);
		assert_ptr_equal(g.key, r.key);
		assert_int_equal(g.key_len, r.key_len);
		assert_int_equal(g.is_quiet, r.is_quiet);
		check_answers(&g, &r);
	}
	free(bytes);
	return g.key_len > 0;
}

static void lines_of_its_flags_are_taken(void **state)
{
	uint8_t line[LINE_MAX_LEN];

	(void)state;
	srand(3);
	for (unsigned i = 0; i < N_LINES; i++) {
		const uint32_t len = make_line(line);

		assert_true(check_line(line, len));
	}
}

static void changed_lines_are_what_the_codecs_take_them_for(void **state)
{
	static const uint8_t likely_bytes[] = " \r\ncfkqstvOTNRbEmg0\0";
	unsigned n_taken = 0;

	(void)state;
	srand(4);
	for (unsigned i = 0; i < N_LINES; i++) {
		uint8_t line[LINE_MAX_LEN];
		uint32_t len = make_line(line);

		for (int n = 1 + rand() % 3; n > 0; n--)
			line[(unsigned)rand() % len] = rand() % 4
				? likely_bytes[(unsigned)rand() % (sizeof(likely_bytes) - 1)]
				: (uint8_t)rand();
		len -= rand() % 4 == 0 ? (unsigned)rand() % len : 0;
		n_taken += check_line(line, len);
	}
	assert_in_range(n_taken, N_LINES / 20, N_LINES / 10 * 9);
}

static void what_is_more_is_not_taken(void **state)
{
	static const char *const lines[] = {"mg k T30\r\n", "mg k N30 v\r\n", "mg k R0 v\r\n",
		"mg a2V5 b v\r\n", "mg k v v\r\n", "mg k  v\r\n", "mg k v \r\n", "mg  k v\r\n",
		"mg k v\n", "mg k\r\nmn\r\n", "mg \r\n", "mg\r\n",
		"mg k O123456789012345678901234567890123\r\n", "mg k vf\r\n", "ms k 1\r\na\r\n",
		"mg k v\r\nmg l v\r\n"};

	(void)state;
	for (unsigned i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_false(check_line((const uint8_t *)lines[i], (uint32_t)strlen(lines[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_its_flags_are_taken),
		cmocka_unit_test(changed_lines_are_what_the_codecs_take_them_for),
		cmocka_unit_test(what_is_more_is_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
