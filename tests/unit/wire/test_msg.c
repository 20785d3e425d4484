/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages: the rules of msg.h on a message with one field of each kind, then every message of the API
 * with random values, truncations and random bytes. */
#include "unit.h"
#include "wirefix.h"

#include <stdlib.h>

#define SAMPLE_FIELDS(F, T) \
	F(T, U8, u8, 2, MR_REQUIRED, "") \
	F(T, U16, u16, 3, MR_OPTIONAL, "") \
	F(T, U32, u32, 4, MR_OPTIONAL, "") \
	F(T, U64, u64, 5, MR_OPTIONAL, "") \
	F(T, IP, ip, 6, MR_OPTIONAL, "") \
	F(T, NAME, name, 7, MR_REQUIRED, "") \
	F(T, TEXT, text, 8, MR_OPTIONAL, "") \
	F(T, BLOB16, blob, 9, MR_OPTIONAL, "") \
	F(T, MAC, mac, 10, MR_OPTIONAL, "")
MR_MSG(sample, SAMPLE_FIELDS)

#define MAX_BYTES 4096 /* no message is longer; checked below */

/* The two required fields, for tests of the others. */
#define REQUIRED 2, 0, 1, 0, 9, 7, 0, 1, 0, 'n'

static int decode(struct sample *s, const void *bytes, uint32_t len, const struct mr_field **bad)
{
	uint8_t *exact = wirefix_exact(bytes, len);
	int rc;

	memset(s, 0xee, sizeof(*s)); /* decoding fills the whole struct */
	rc = mr_msg_decode(&sample_msg, s, exact, len, bad);
	free(exact);
	return rc;
}

static void take(struct sample *s, const void *bytes, uint32_t len)
{
	const struct mr_field *bad;

	if (decode(s, bytes, len, &bad) != 0)
		fail_msg("refused at '%s'", bad ? bad->name : "structure");
	assert_null(bad);
}

/* field: the name of the one at fault, or NULL for a broken structure. */
static void refuse(const void *bytes, uint32_t len, const char *field)
{
	const struct mr_field *bad;
	struct sample s;

	assert_int_equal(decode(&s, bytes, len, &bad), -1);
	if (field == NULL) {
		assert_null(bad);
	} else {
		assert_non_null(bad);
		assert_string_equal(bad->name, field);
	}
}

#define TAKE(s, ...) \
	{ \
		static const uint8_t bytes_[] = {__VA_ARGS__}; \
		take(s, bytes_, sizeof(bytes_)); \
	}
#define REFUSE(field, ...) \
	{ \
		static const uint8_t bytes_[] = {__VA_ARGS__}; \
		refuse(bytes_, sizeof(bytes_), field); \
	}

static void a_message_is_these_bytes(void **state)
{
	static const uint8_t want[] = {
		2, 0, 1, 0, 0x12,                                           /* u8 */
		3, 0, 2, 0, 0x34, 0x12,                                     /* u16 */
		4, 0, 4, 0, 0x78, 0x56, 0x34, 0x12,                         /* u32 */
		5, 0, 8, 0, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, /* u64 */
		6, 0, 5, 0, 4, 192, 0, 2, 1,                                /* ip */
		7, 0, 3, 0, 'w', 'e', 'b',                                  /* name, no NUL */
		8, 0, 0, 0,                                                 /* text, empty */
		9, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, /* blob */
		10, 0, 6, 0, 2, 0, 0, 0, 0, 1,                                     /* mac */
	};
	struct sample in = {.u8 = 0x12,
		.u16 = 0x1234,
		.u32 = 0x12345678,
		.u64 = 0x0123456789abcdef,
		.ip = {.family = 4, .bytes = {192, 0, 2, 1}},
		.name = "web",
		.blob = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		.mac = {2, 0, 0, 0, 0, 1}};
	uint8_t buf[256];
	struct mr_writer w;
	struct sample out;

	(void)state;
	mr_writer_init(&w, buf, sizeof(buf));
	mr_msg_encode(&w, &sample_msg, &in);
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
	take(&out, want, sizeof(want));
	assert_int_equal(out.u8, 0x12);
	assert_int_equal(out.u16, 0x1234);
	assert_int_equal(out.u32, 0x12345678);
	assert_true(out.u64 == 0x0123456789abcdef);
	assert_true(mr_ip_equal(&out.ip, &in.ip));
	assert_string_equal(out.name, "web");
	assert_string_equal(out.text, "");
	assert_memory_equal(out.blob, in.blob, 16);
	assert_memory_equal(out.mac, in.mac, 6);
}

static void what_an_address_or_a_string_does_not_use_is_not_sent(void **state)
{
	struct sample a = {.ip = {.family = 4, .bytes = {192, 0, 2, 1}}, .name = "web"}, b = a;
	uint8_t buf[2][512];
	struct mr_writer w[2];

	(void)state;
	memset(b.ip.bytes + 4, 0xaa, 12);
	memset(b.name + 4, 'x', sizeof(b.name) - 4); /* no NUL at the end either */
	mr_writer_init(&w[0], buf[0], sizeof(buf[0]));
	mr_writer_init(&w[1], buf[1], sizeof(buf[1]));
	mr_msg_encode(&w[0], &sample_msg, &a);
	mr_msg_encode(&w[1], &sample_msg, &b);
	assert_int_equal(w[0].len, w[1].len);
	assert_memory_equal(buf[0], buf[1], w[0].len);
}

static void fields_come_in_any_order_and_missing_ones_are_zero(void **state)
{
	static const struct sample zero;
	struct sample s;

	(void)state;
	TAKE(&s, 7, 0, 1, 0, 'n', 2, 0, 1, 0, 9)
	assert_int_equal(s.u8, 9);
	assert_string_equal(s.name, "n");
	s.u8 = 0;
	s.name[0] = '\0';
	assert_memory_equal(&s, &zero, sizeof(s));
}

static void unknown_tags_are_passed_over(void **state)
{
	struct sample s;

	(void)state;
	TAKE(&s, REQUIRED, 0x33, 0x77, 2, 0, 1, 2)
	TAKE(&s, 0x33, 0x77, 0, 0, 0x33, 0x77, 0, 0, REQUIRED)          /* even twice */
	TAKE(&s, 0, 0, 0, 0, 1, 0, 1, 0, 5, 0xff, 0xff, 0, 0, REQUIRED) /* even odd ones */
	TAKE(&s, 2, 1, 0, 0, REQUIRED)                                  /* tag 0x102 is not tag 2 */
	assert_int_equal(s.u8, 9);
}

static void missing_required_fields_are_named(void **state)
{
	(void)state;
	refuse("", 0, "u8");
	REFUSE("u8", 7, 0, 1, 0, 'n')
	REFUSE("name", 2, 0, 1, 0, 9)
	REFUSE("name", 2, 0, 1, 0, 9, 8, 0, 1, 0, 'n')
}

static void repeated_fields_are_refused(void **state)
{
	(void)state;
	REFUSE("u8", REQUIRED, 2, 0, 1, 0, 9)
	REFUSE("name", REQUIRED, 7, 0, 1, 0, 'n')
	REFUSE("text", 8, 0, 0, 0, 8, 0, 0, 0, REQUIRED)
	REFUSE("mac", REQUIRED, 10, 0, 6, 0, 0, 0, 0, 0, 0, 0, 10, 0, 6, 0, 0, 0, 0, 0, 0, 0)
}

/* Every length of every field of fixed size but the right one. */
static void wrong_sizes_are_refused(void **state)
{
	static const uint8_t required[] = {REQUIRED};
	unsigned n_checked = 0;

	(void)state;
	for (unsigned i = 0; i < sample_msg.n_fields; i++) {
		const struct mr_field *f = &sample_msg.fields[i];
		uint8_t bytes[sizeof(required) + 4 + 40] = {0};

		if (f->kind == MR_IP || f->kind == MR_NAME || f->kind == MR_TEXT || f->required)
			continue;
		memcpy(bytes, required, sizeof(required));
		mr_put_le(bytes + sizeof(required), f->tag, 2);
		for (uint32_t len = 0; len <= 40; len++) {
			struct sample s;

			mr_put_le(bytes + sizeof(required) + 2, len, 2);
			if (len == f->size)
				take(&s, bytes, (uint32_t)sizeof(required) + 4 + len);
			else
				refuse(bytes, (uint32_t)sizeof(required) + 4 + len, f->name);
		}
		n_checked++;
	}
	assert_int_equal(n_checked, 5);
	REFUSE("u8", 2, 0, 0, 0, 7, 0, 1, 0, 'n')
	REFUSE("u8", 2, 0, 2, 0, 1, 0, 7, 0, 1, 0, 'n')
}

static void an_address_has_the_length_of_its_family(void **state)
{
	static const uint8_t required[] = {REQUIRED};

	(void)state;
	for (unsigned family = 0; family < 256; family++) {
		for (uint32_t len = 0; len <= 20; len++) {
			uint8_t bytes[sizeof(required) + 4 + 20];
			const bool is_good = (family == 0 && len == 1) || (family == 4 && len == 5)
				|| (family == 6 && len == 17);
			uint8_t *p = bytes + sizeof(required);
			struct sample s;

			memcpy(bytes, required, sizeof(required));
			memset(p, 0x11, 24);
			mr_put_le(p, 6, 2);
			mr_put_le(p + 2, len, 2);
			p[4] = (uint8_t)family;
			if (!is_good) {
				refuse(bytes, (uint32_t)sizeof(required) + 4 + len, "ip");
				continue;
			}
			take(&s, bytes, (uint32_t)sizeof(required) + 4 + len);
			assert_int_equal(s.ip.family, family);
			for (unsigned i = 0; i < 16; i++)
				assert_int_equal(s.ip.bytes[i], i + 1 < len ? 0x11 : 0);
		}
	}
}

/* The struct keeps a NUL, so the wire may bring one byte less than it has; none inside, or two programs
 * would read two names. */
static void strings_end_where_their_field_ends(void **state)
{
	uint8_t bytes[5 + 4 + MR_NAME_MAX + 1] = {2, 0, 1, 0, 9, 7, 0};
	struct sample s;

	(void)state;
	memset(bytes + 9, 'x', MR_NAME_MAX + 1);
	for (uint32_t len = 0; len <= MR_NAME_MAX + 1; len++) {
		mr_put_le(bytes + 7, len, 2);
		if (len >= MR_NAME_MAX) {
			refuse(bytes, 9 + len, "name");
			continue;
		}
		take(&s, bytes, 9 + len);
		assert_int_equal(strlen(s.name), len);
		assert_int_equal(s.name[MR_NAME_MAX - 1], 0);
	}
	mr_put_le(bytes + 7, 3, 2);
	for (unsigned at = 0; at < 3; at++) {
		memset(bytes + 9, 'x', 3);
		bytes[9 + at] = '\0';
		refuse(bytes, 12, "name");
	}
}

static void a_cut_field_is_no_ones_fault(void **state)
{
	(void)state;
	REFUSE(NULL, REQUIRED, 3)
	REFUSE(NULL, REQUIRED, 3, 0, 2)
	REFUSE(NULL, REQUIRED, 3, 0, 2, 0, 1)
	REFUSE(NULL, REQUIRED, 3, 0, 0xff, 0xff, 1, 0)
	REFUSE(NULL, REQUIRED, 0x33, 0x77, 1, 0) /* unknown ones have to be whole too */
	REFUSE(NULL, 2, 0, 1)                    /* it counts before what is missing */
}

static uint32_t encode(const struct mr_msg *msg, const void *object, uint8_t *buf)
{
	struct mr_writer w;

	mr_writer_init(&w, buf, MAX_BYTES);
	mr_msg_encode(&w, msg, object);
	assert_false(w.overflow);
	return w.len;
}

/* What the lists must hold for the rules above to hold. */
static void every_message_is_well_declared(void **state)
{
	static const unsigned sizes[] = {[MR_U8] = 1,
		[MR_U16] = 2,
		[MR_U32] = 4,
		[MR_U64] = 8,
		[MR_IP] = sizeof(struct mr_ip),
		[MR_NAME] = MR_NAME_MAX,
		[MR_TEXT] = MR_TEXT_MAX,
		[MR_BLOB16] = 16,
		[MR_MAC] = 6,
		[MR_DATA] = sizeof(struct mr_data)};

	(void)state;
	for (unsigned k = 0; k < wirefix_n_msgs; k++) {
		const struct mr_msg *m = wirefix_msgs[k];
		unsigned end = 0;

		assert_in_range(
			m->n_fields, 1, 64); /* the decoder remembers what it saw in 64 bits */
		for (unsigned i = 0; i < m->n_fields; i++) {
			const struct mr_field *f = &m->fields[i];

			assert_int_equal(f->size, sizes[f->kind]);
			assert_true(f->offset >= end);
			end = f->offset + f->size;
			assert_true(f->tag > MR_TAG_OBJ); /* 0 is nobody's, 1 the object type's */
			for (unsigned j = 0; j < i; j++) {
				assert_int_not_equal(m->fields[j].tag, f->tag);
				assert_string_not_equal(m->fields[j].name, f->name);
			}
		}
		assert_true(end <= m->size);
	}
}

static void every_message_comes_back_as_it_was(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 200 * wirefix_n_msgs; round++) {
		const struct mr_msg *m = wirefix_msgs[round % wirefix_n_msgs];
		uint8_t *in = malloc(m->size), *out = malloc(m->size), *exact;
		uint8_t first[MAX_BYTES], second[MAX_BYTES];
		const struct mr_field *bad;
		uint32_t len;

		wirefix_fill(m, in, &seed);
		if (round < wirefix_n_msgs)
			wirefix_fill_max(m, in);
		len = encode(m, in, first);
		exact = wirefix_exact(first, len);
		memset(out, 0xee, m->size);
		assert_int_equal(mr_msg_decode(m, out, exact, len, &bad), 0);
		assert_memory_equal(in, out, m->size);
		assert_int_equal(encode(m, out, second), len);
		assert_memory_equal(first, second, len);
		free(exact);
		free(out);
		free(in);
	}
}

/* A buffer that is too small by any number of bytes: said, never overrun, and what was written is the
 * beginning of the whole. */
static void every_message_knows_when_it_does_not_fit(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (unsigned k = 0; k < wirefix_n_msgs; k++) {
		const struct mr_msg *m = wirefix_msgs[k];
		uint8_t *object = malloc(m->size), whole[MAX_BYTES];
		uint32_t len;

		wirefix_fill(m, object, &seed);
		len = encode(m, object, whole);
		for (uint32_t cap = 0; cap < len; cap++) {
			uint8_t *exact = malloc(cap);
			struct mr_writer w;

			mr_writer_init(&w, exact, cap);
			mr_msg_encode(&w, m, object);
			assert_true(w.overflow);
			assert_true(w.len <= cap);
			if (w.len > 0)
				assert_memory_equal(exact, whole, w.len);
			free(exact);
		}
		free(object);
	}
}

/* Cut at any byte: between two fields the rest is missing, elsewhere the structure is broken. */
static void every_message_is_refused_when_it_is_cut(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (unsigned k = 0; k < wirefix_n_msgs; k++) {
		const struct mr_msg *m = wirefix_msgs[k];
		uint8_t *object = malloc(m->size), *out = malloc(m->size), whole[MAX_BYTES];
		uint32_t len, next = 0;
		unsigned n_whole = 0; /* fields that end at or before the cut */

		wirefix_fill(m, object, &seed);
		len = encode(m, object, whole);
		for (uint32_t cut = 0; cut < len; cut++) {
			uint8_t *exact = wirefix_exact(whole, cut);
			const struct mr_field *want = NULL, *bad;
			const bool is_between = cut == next;
			int rc;

			if (is_between) {
				for (unsigned i = m->n_fields; i-- > n_whole;)
					want = m->fields[i].required ? &m->fields[i] : want;
				next += 4u + (uint32_t)mr_get_le(whole + cut + 2, 2);
				n_whole++;
			}
			rc = mr_msg_decode(m, out, exact, cut, &bad);
			assert_int_equal(rc, is_between && want == NULL ? 0 : -1);
			assert_ptr_equal(bad, want);
			free(exact);
		}
		free(out);
		free(object);
	}
}

/* Bytes nobody meant, and good ones with a few changed: memory is not overrun (AddressSanitizer is the
 * judge) and what is accepted is a value that can be sent on. */
static void no_bytes_lead_the_decoder_astray(void **state)
{
	unsigned n_accepted = 0, n_refused = 0;
	uint64_t seed = 4;

	(void)state;
	for (unsigned round = 0; round < 400 * wirefix_n_msgs; round++) {
		const struct mr_msg *m = wirefix_msgs[round % wirefix_n_msgs];
		uint8_t *object = malloc(m->size), *again = malloc(m->size), *exact;
		uint8_t bytes[MAX_BYTES], second[MAX_BYTES];
		const struct mr_field *bad;
		uint32_t len;

		if (round % 3 == 0) {
			len = (uint32_t)(wirefix_random(&seed) % 64);
			for (uint32_t i = 0; i < len;
				i++) /* small numbers: tags and lengths that exist */
				bytes[i] = (uint8_t)(wirefix_random(&seed) % 24);
		} else {
			wirefix_fill(m, object, &seed);
			len = encode(m, object, bytes);
			for (unsigned n = wirefix_random(&seed) % 3 + 1; n > 0; n--)
				bytes[wirefix_random(&seed) % len] ^=
					(uint8_t)(1u << (wirefix_random(&seed) % 8));
		}
		exact = wirefix_exact(bytes, len);
		if (mr_msg_decode(m, object, exact, len, &bad) == 0) {
			const uint32_t n = encode(m, object, second);

			assert_int_equal(mr_msg_decode(m, again, second, n, &bad), 0);
			assert_memory_equal(object, again, m->size);
			n_accepted++;
		} else {
			n_refused++;
		}
		free(exact);
		free(again);
		free(object);
	}
	assert_true(n_accepted > 1000 && n_refused > 1000); /* both sides were tried */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_these_bytes),
		cmocka_unit_test(what_an_address_or_a_string_does_not_use_is_not_sent),
		cmocka_unit_test(fields_come_in_any_order_and_missing_ones_are_zero),
		cmocka_unit_test(unknown_tags_are_passed_over),
		cmocka_unit_test(missing_required_fields_are_named),
		cmocka_unit_test(repeated_fields_are_refused),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(an_address_has_the_length_of_its_family),
		cmocka_unit_test(strings_end_where_their_field_ends),
		cmocka_unit_test(a_cut_field_is_no_ones_fault),
		cmocka_unit_test(every_message_is_well_declared),
		cmocka_unit_test(every_message_comes_back_as_it_was),
		cmocka_unit_test(every_message_knows_when_it_does_not_fit),
		cmocka_unit_test(every_message_is_refused_when_it_is_cut),
		cmocka_unit_test(no_bytes_lead_the_decoder_astray),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
