/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and fields: literal bytes, every truncation, and lengths that lie. */
#include "unit.h"
#include "wirefix.h"

#include <stdlib.h>

static const uint8_t frame_bytes[] = {
	0x11, 0, 0, 0,                                              /* 17 bytes follow */
	0x04, 0x00,                                                 /* type */
	0x03, 0x00,                                                 /* flags */
	0x78, 0x56, 0x34, 0x12, 0x02, 0x00, 0x02, 0x00, 0xaa, 0xbb, /* tag 2, two bytes */
	0x03, 0x01, 0x00, /* and three that are no field */
};

static void integers_are_little_endian(void **state)
{
	static const uint8_t want[] = {0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
	uint8_t got[8];

	(void)state;
	mr_put_le(got, 0x0102030405060708u, 8);
	assert_memory_equal(got, want, 8);
	for (unsigned n = 1; n <= 8; n++) {
		uint8_t *exact = malloc(n);

		mr_put_le(exact, 0x0102030405060708u, n);
		assert_memory_equal(exact, want, n);
		assert_true(mr_get_le(exact, n)
			== (0x0102030405060708u & (UINT64_MAX >> (64 - 8 * n))));
		free(exact);
	}
}

static void a_frame_is_these_bytes(void **state)
{
	static const uint8_t value[] = {0xaa, 0xbb};
	uint8_t buf[64];
	struct mr_writer w;
	uint32_t at;

	(void)state;
	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, 4, MR_F_REPLY | MR_F_MORE, 0x12345678);
	mr_put_field(&w, 2, value, sizeof(value));
	memcpy(mr_writer_reserve(&w, 3), frame_bytes + 18, 3);
	assert_int_equal(mr_frame_end(&w, at), 0);
	assert_false(w.overflow);
	assert_int_equal(w.len, sizeof(frame_bytes));
	assert_memory_equal(buf, frame_bytes, sizeof(frame_bytes));
}

static void frames_follow_each_other_in_one_buffer(void **state)
{
	uint8_t buf[64];
	struct mr_writer w;
	struct mr_frame f;
	uint32_t at;

	(void)state;
	mr_writer_init(&w, buf, sizeof(buf));
	for (uint32_t i = 1; i <= 3; i++) {
		at = mr_frame_begin(&w, (uint16_t)i, 0, i * 100);
		mr_put_field(&w, 7, "abc", i);
		assert_int_equal(mr_frame_end(&w, at), 0);
	}
	at = 0;
	for (uint32_t i = 1; i <= 3; i++) {
		const int n = mr_frame_parse(&f, buf + at, w.len - at);

		assert_int_equal(n, 12 + 4 + i);
		assert_int_equal(f.type, i);
		assert_int_equal(f.request, i * 100);
		assert_int_equal(f.body_len, 4 + i);
		assert_ptr_equal(f.body, buf + at + 12);
		at += (uint32_t)n;
	}
	assert_int_equal(at, w.len);
	assert_int_equal(mr_frame_parse(&f, buf + at, 0), 0);
}

static void a_frame_is_taken_when_its_last_byte_is_there(void **state)
{
	struct mr_frame f;

	(void)state;
	for (uint32_t len = 0; len <= sizeof(frame_bytes); len++) {
		uint8_t *exact = wirefix_exact(frame_bytes, len);
		const int want = len < sizeof(frame_bytes) ? 0 : (int)sizeof(frame_bytes);

		memset(&f, 0, sizeof(f));
		assert_int_equal(mr_frame_parse(&f, exact, len), want);
		if (want > 0) {
			assert_int_equal(f.type, 4);
			assert_int_equal(f.flags, MR_F_REPLY | MR_F_MORE);
			assert_int_equal(f.request, 0x12345678);
			assert_int_equal(f.body_len, 9);
			assert_memory_equal(f.body, frame_bytes + 12, 9);
		}
		free(exact);
	}
}

/* What the length field says is judged before anything else, from its four bytes alone: a client must
 * not make the server wait for, or keep, what will be refused. */
static void lengths_out_of_range_are_refused_at_once(void **state)
{
	static const struct {
		uint32_t length;
		int result;
	} rows[] = {{0, -1}, {7, -1}, {8, 0}, {MR_FRAME_MAX - 4, 0}, {MR_FRAME_MAX - 3, -1},
		{MR_FRAME_MAX, -1}, {INT32_MAX, -1}, {0x80000000u, -1}, {UINT32_MAX - 3, -1},
		{UINT32_MAX, -1}};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *exact = malloc(4);
		struct mr_frame f;

		mr_put_le(exact, rows[i].length, 4);
		assert_int_equal(mr_frame_parse(&f, exact, 4), rows[i].result);
		free(exact);
	}
}

static void the_smallest_and_the_largest_frame_pass(void **state)
{
	uint8_t *buf = calloc(1, MR_FRAME_MAX + 1);
	struct mr_writer w;
	struct mr_frame f;

	(void)state;
	mr_writer_init(&w, buf, MR_FRAME_MAX + 1);
	assert_int_equal(mr_frame_end(&w, mr_frame_begin(&w, 1, 0, 2)), 0);
	assert_int_equal(mr_frame_parse(&f, buf, w.len), MR_FRAME_HDR);
	assert_int_equal(f.body_len, 0);

	mr_writer_init(&w, buf, MR_FRAME_MAX + 1);
	mr_frame_begin(&w, 1, 0, 2);
	assert_non_null(mr_writer_reserve(&w, MR_FRAME_MAX - MR_FRAME_HDR));
	assert_int_equal(mr_frame_end(&w, 0), 0);
	assert_int_equal(mr_frame_parse(&f, buf, MR_FRAME_MAX - 1), 0);
	assert_int_equal(mr_frame_parse(&f, buf, MR_FRAME_MAX), MR_FRAME_MAX);
	assert_int_equal(f.body_len, MR_FRAME_MAX - MR_FRAME_HDR);

	mr_writer_init(&w, buf, MR_FRAME_MAX + 1);
	mr_frame_begin(&w, 1, 0, 2);
	assert_non_null(mr_writer_reserve(&w, MR_FRAME_MAX - MR_FRAME_HDR + 1));
	assert_int_equal(mr_frame_end(&w, 0), -1);
	assert_true(w.overflow);
	free(buf);
}

static void a_full_writer_says_so_and_writes_nothing_more(void **state)
{
	(void)state;
	for (uint32_t cap = 0; cap <= 12 + 6 + 5; cap++) {
		uint8_t *exact = malloc(cap);
		struct mr_writer w;
		uint32_t at;

		mr_writer_init(&w, exact, cap);
		at = mr_frame_begin(&w, 1, 0, 2);
		mr_put_field(&w, 2, "ab", 2);
		mr_put_field(&w, 3, "c", 1);
		assert_int_equal(mr_frame_end(&w, at), cap < 23 ? -1 : 0);
		assert_int_equal(w.overflow, cap < 23);
		assert_int_equal(w.len, cap < 12 ? 0 : cap < 18 ? 12 : cap < 23 ? 18 : 23);
		/* what would fit alone is not written behind a gap */
		mr_put_field(&w, 4, NULL, 0);
		assert_true(w.overflow);
		assert_null(mr_writer_reserve(&w, 0));
		free(exact);
	}
}

static void a_reservation_near_the_limit_of_its_type_does_not_wrap(void **state)
{
	uint8_t buf[8];
	struct mr_writer w;

	(void)state;
	mr_writer_init(&w, buf, sizeof(buf));
	assert_non_null(mr_writer_reserve(&w, 4));
	assert_null(mr_writer_reserve(&w, UINT32_MAX - 2));
	assert_int_equal(w.len, 4);
}

static void the_longest_field_passes_and_one_byte_more_does_not(void **state)
{
	uint8_t *value = malloc(MR_FIELD_MAX + 1), *buf = malloc(MR_FIELD_MAX + 16);
	struct mr_writer w;
	struct mr_reader r;
	struct mr_tlv t;

	(void)state;
	memset(value, 0x5a, MR_FIELD_MAX + 1);
	mr_writer_init(&w, buf, MR_FIELD_MAX + 16);
	mr_put_field(&w, 0xfffe, value, MR_FIELD_MAX);
	assert_false(w.overflow);
	mr_reader_init(&r, buf, w.len);
	assert_int_equal(mr_reader_next(&r, &t), 1);
	assert_int_equal(t.tag, 0xfffe);
	assert_int_equal(t.len, MR_FIELD_MAX);
	assert_memory_equal(t.value, value, MR_FIELD_MAX);
	assert_int_equal(mr_reader_next(&r, &t), 0);

	mr_writer_init(&w, buf, MR_FIELD_MAX + 16);
	mr_put_field(&w, 1, value, MR_FIELD_MAX + 1);
	assert_true(w.overflow);
	assert_int_equal(w.len, 0);
	free(value);
	free(buf);
}

static void fields_come_back_one_by_one_until_they_are_cut(void **state)
{
	static const uint8_t bytes[] = {
		2,
		0,
		3,
		0,
		'a',
		'b',
		'c', /* tag 2 */
		0x34,
		0x12,
		0,
		0, /* tag 0x1234, empty */
		3,
		0,
		1,
		0,
		'd',
	};
	static const uint32_t ends[] = {0, 7, 11, 16};

	(void)state;
	for (uint32_t len = 0; len <= sizeof(bytes); len++) {
		uint8_t *exact = wirefix_exact(bytes, len);
		unsigned n_whole = 0, n = 0;
		struct mr_reader r;
		struct mr_tlv t;
		int rc;

		while (n_whole < 3 && ends[n_whole + 1] <= len)
			n_whole++;
		mr_reader_init(&r, exact, len);
		while ((rc = mr_reader_next(&r, &t)) == 1) {
			assert_ptr_equal(t.value, exact + ends[n] + 4);
			assert_int_equal(t.len, ends[n + 1] - ends[n] - 4);
			n++;
		}
		assert_int_equal(n, n_whole);
		assert_int_equal(rc, ends[n_whole] == len ? 0 : -1);
		assert_int_equal(mr_reader_next(&r, &t), rc); /* and it stays so */
		free(exact);
	}
}

static void a_field_that_claims_more_than_there_is_ends_the_reading(void **state)
{
	(void)state;
	for (uint32_t claim = 0; claim <= 0xffff; claim++) {
		uint8_t *exact = calloc(1, 4 + 3);
		struct mr_reader r;
		struct mr_tlv t;

		mr_put_le(exact + 2, claim, 2);
		mr_reader_init(&r, exact, 4 + 3);
		assert_int_equal(mr_reader_next(&r, &t), claim <= 3 ? 1 : -1);
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(a_frame_is_these_bytes),
		cmocka_unit_test(frames_follow_each_other_in_one_buffer),
		cmocka_unit_test(a_frame_is_taken_when_its_last_byte_is_there),
		cmocka_unit_test(lengths_out_of_range_are_refused_at_once),
		cmocka_unit_test(the_smallest_and_the_largest_frame_pass),
		cmocka_unit_test(a_full_writer_says_so_and_writes_nothing_more),
		cmocka_unit_test(a_reservation_near_the_limit_of_its_type_does_not_wrap),
		cmocka_unit_test(the_longest_field_passes_and_one_byte_more_does_not),
		cmocka_unit_test(fields_come_back_one_by_one_until_they_are_cut),
		cmocka_unit_test(a_field_that_claims_more_than_there_is_ends_the_reading),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
