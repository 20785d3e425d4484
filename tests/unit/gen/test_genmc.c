/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the generator and the judgement of answers: right ones, each of their beginnings, each byte changed, what others said. */
#include "genmc.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static struct genmc c;

static void init(uint32_t n_keys, uint32_t min, uint32_t max, double set_pct)
{
	const struct genopt o = {.n_keys = n_keys,
		.value_min = min,
		.value_max = max,
		.set_pct = set_pct,
		.skew = 0.99,
		.seed = 5};

	assert_int_equal(genmc_init(&c, &o, 0, NULL), 0);
}

/* The answer to a get, as a server has it that was sent the set. Returns its bytes. */
static uint32_t answer_of(uint8_t *to, uint32_t key)
{
	uint8_t set[GENMC_REQUEST_MAX],
		*end = genmc_write(&c, set, (struct genmc_request){key, true});
	char name[17], line[64];
	unsigned len;
	int n, head;

	*end = '\0';
	assert_int_equal(sscanf((const char *)set, "set %16s 0 0 %u%n", name, &len, &head), 2);
	assert_memory_equal(set + head, "\r\n", 2);
	head += 2;
	snprintf(line, sizeof(line), "key:%012u", key);
	assert_string_equal(name, line);
	assert_true(len >= c.value_min && len < c.value_min + c.value_span);
	assert_int_equal(end - set, (unsigned)head + len + 2);
	assert_memory_equal(end - 2, "\r\n", 2);
	n = snprintf((char *)to, 64, "VALUE %s 0 %u\r\n", name, len);
	memcpy(to + n, set + head, len);
	memcpy(to + n + len, "\r\nEND\r\n", 7);
	return (uint32_t)n + len + 7;
}

static enum genmc_answer judge(const char *text, uint32_t n, struct genmc_request q, uint32_t *used)
{
	*used = 0;
	return genmc_judge(&c, (const uint8_t *)text, n, q, used);
}

static void right_answers_are_hits(void **state)
{
	static uint8_t answer[GENMC_ANSWER_MAX + 64], changed[GENMC_ANSWER_MAX + 64];

	(void)state;
	init(100000, 0, 100, 0);
	for (uint32_t key = 0; key < 100000; key += 997) {
		const struct genmc_request q = {.key = key};
		const uint32_t n = answer_of(answer, key);
		uint32_t used;

		memcpy(answer + n, "VALUE", 5); /* the next one's */
		assert_int_equal(judge((const char *)answer, n + 5, q, &used), GENMC_HIT);
		assert_int_equal(used, n);
		for (uint32_t k = 1; k < n; k++)
			assert_int_equal(judge((const char *)answer, k, q, &used), GENMC_MORE);
		for (uint32_t k = 0; k < n; k++) {
			enum genmc_answer a;

			memcpy(changed, answer, n);
			changed[k] ^= 1;
			a = judge((const char *)changed, n, q, &used);
			assert_true(a != GENMC_HIT && a != GENMC_MISS && a != GENMC_STORED);
		}
		assert_int_equal(judge((const char *)answer, n,
					 (struct genmc_request){key + 1, false}, &used),
			GENMC_WRONG);
		assert_int_equal(
			judge((const char *)answer, n, (struct genmc_request){key, true}, &used),
			GENMC_WRONG);
	}
	genmc_fini(&c);
}

/* Values of each length, of keys of each number of digits; each byte of some of them changed. */
static void all_lengths_and_keys_are_compared(void **state)
{
	/* of just the bytes that there are, so that a sanitizer sees what is read beyond */
	static uint8_t answer[GENMC_ANSWER_MAX];
	const uint32_t step[] = {99999999, 10000000, 1234567, 98765432, 7, 0};

	(void)state;
	for (uint32_t len = 0; len <= GENOPT_VALUE_MAX; len++) {
		const struct genmc_request q = {.key = step[len % 6] / (1 + len / 6)};
		uint8_t *copy;
		uint32_t n, used;

		init(10, len, len, 0);
		n = answer_of(answer, q.key);
		copy = malloc(n);
		memcpy(copy, answer, n);
		assert_int_equal(genmc_judge(&c, copy, n, q, &used), GENMC_HIT);
		assert_int_equal(used, n);
		for (uint32_t k = 0; k < n; k += len < 40 ? 1 : 1 + len % 53) {
			copy[k] ^= (uint8_t)(1 << k % 8);
			assert_int_not_equal(genmc_judge(&c, copy, n, q, &used), GENMC_HIT);
			copy[k] = answer[k];
		}
		assert_int_equal(genmc_judge(&c, copy, n - 1, q, &used), GENMC_MORE);
		free(copy);
		genmc_fini(&c);
	}
}

static void lines_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		bool is_set;
		enum genmc_answer a;
		uint32_t used;
	} rows[] = {
		{"END\r\n", false, GENMC_MISS, 5},
		{"END\r\nEND\r\n", false, GENMC_MISS, 5},
		{"STORED\r\n", true, GENMC_STORED, 8},
		{"STORED\r", true, GENMC_MORE, 0},
		{"E", false, GENMC_MORE, 0},
		{"ERROR\r\n", false, GENMC_REFUSED, 7},
		{"ERROR\r\n", true, GENMC_REFUSED, 7},
		{"SERVER_ERROR out of memory\r\nSTORED\r\n", true, GENMC_REFUSED, 28},
		{"SERVER_ERR", true, GENMC_MORE, 0},
		{"NOT_STORED\r\n", true, GENMC_REFUSED, 12},
		{"END\r\n", true, GENMC_WRONG, 0},
		{"STORED\r\n", false, GENMC_WRONG, 0},
	};
	char endless[400];
	uint32_t used;

	(void)state;
	init(10, 10, 10, 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct genmc_request q = {.key = 3, .is_set = rows[i].is_set};
		const enum genmc_answer a =
			judge(rows[i].text, (uint32_t)strlen(rows[i].text), q, &used);

		if (a != rows[i].a || (rows[i].used != 0 && used != rows[i].used))
			fail_msg("%s: %d, %u bytes", rows[i].text, a, used);
	}
	memset(endless, 'x', sizeof(endless));
	assert_int_equal(judge(endless, 255, (struct genmc_request){0}, &used), GENMC_MORE);
	assert_int_equal(judge(endless, 400, (struct genmc_request){0}, &used), GENMC_WRONG);
	genmc_fini(&c);
}

/* The same number is the same request; shares and shifts are as asked for. */
static void requests_follow_from_numbers(void **state)
{
	unsigned n_sets = 0, n_same = 0;

	(void)state;
	init(1000, 1, 1, 20);
	c.first = 500;
	for (uint64_t n = 500; n < 100500; n++) {
		const struct genmc_request q = genmc_of(&c, n), again = genmc_of(&c, n);

		assert_true(q.key == again.key && q.is_set == again.is_set && q.key < 1000);
		n_sets += q.is_set;
	}
	assert_true(n_sets > 19500 && n_sets < 20500);
	for (uint64_t n = 500; n < 10500; n++) {
		struct genmc_request q = genmc_of(&c, n), shifted;

		c.shift_step = 5000;
		shifted = genmc_of(&c, n);
		c.shift_step = 0;
		n_same += q.key == shifted.key;
		assert_true(shifted.key < 1000);
	}
	assert_int_equal(n_same, 5000);
	genmc_fini(&c);
}

/* All at once they are what each is alone; so they are when they are recalled, and when they were forgotten. */
static void recent_requests_are_recalled(void **state)
{
	const uint64_t end = 3 * GENMC_RECENT + 5;
	uint64_t next = 700;

	(void)state;
	init(5000, 1, 9, 30);
	c.first = next;
	c.shift_step = 10000;
	for (unsigned n = 1; next < end; n = n % GENRUN_BURST_MAX + 1) {
		struct genmc_request q[GENRUN_BURST_MAX];

		genmc_of_bulk(&c, next, n, q);
		for (unsigned i = 0; i < n; i++) {
			const struct genmc_request alone = genmc_of(&c, next + i);

			assert_int_equal(q[i].key, alone.key);
			assert_int_equal(q[i].is_set, alone.is_set);
		}
		next += n;
	}
	for (uint64_t number = c.first; number < next; number++) {
		const struct genmc_request q = genmc_recall(&c, number, next),
					   alone = genmc_of(&c, number);

		assert_int_equal(q.key, alone.key);
		assert_int_equal(q.is_set, alone.is_set);
	}
	genmc_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_answers_are_hits),
		cmocka_unit_test(all_lengths_and_keys_are_compared),
		cmocka_unit_test(lines_are_told_apart),
		cmocka_unit_test(requests_follow_from_numbers),
		cmocka_unit_test(recent_requests_are_recalled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
