/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects of the model: bytes, keys, what PUT refuses; requests are told apart. */
#include "unit.h"
#include "wirefix.h"

#include <stdlib.h>

#define OBJ_TYPE(sym, value, name, type, member) value,
static const uint8_t types[] = {MR_OBJS(OBJ_TYPE)};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static void fill(struct mr_object *o, unsigned type, uint64_t *seed)
{
	memset(o, 0, sizeof(*o));
	o->type = (uint8_t)type;
	wirefix_fill(mr_obj_msg(type), &o->settings, seed);
}

static uint32_t encode(const struct mr_object *o, uint8_t *buf, uint32_t cap)
{
	struct mr_writer w;

	mr_writer_init(&w, buf, cap);
	mr_object_encode(&w, o);
	assert_false(w.overflow);
	return w.len;
}

static int decode(
	struct mr_object *o, const uint8_t *bytes, uint32_t len, const struct mr_field **bad)
{
	uint8_t *exact = wirefix_exact(bytes, len);
	int rc;

	memset(o, 0xee, sizeof(*o));
	rc = mr_object_decode(o, exact, len, bad);
	free(exact);
	return rc;
}

static void an_object_is_its_type_and_its_fields(void **state)
{
	static const uint8_t want[] = {
		1, 0, 1, 0, 3,                  /* tag 1: MR_OBJ_GATEWAY */
		16, 0, 2, 0, 'u', 'p',          /* port */
		17, 0, 5, 0, 4, 192, 0, 2, 254, /* ip */
	};
	struct mr_object in = {.type = MR_OBJ_GATEWAY,
		.gateway = {.port = "up", .ip = {.family = 4, .bytes = {192, 0, 2, 254}}}};
	const struct mr_field *bad;
	struct mr_object out;
	uint8_t buf[64];

	(void)state;
	assert_int_equal(encode(&in, buf, sizeof(buf)), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
	assert_int_equal(decode(&out, want, sizeof(want), &bad), 0);
	assert_memory_equal(&out, &in, sizeof(in));
}

static void every_object_comes_back_as_it_was(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		uint8_t first[1024], second[1024];
		const struct mr_field *bad;
		struct mr_object in, out;
		uint32_t len;

		fill(&in, types[round % N_TYPES], &seed);
		len = encode(&in, first, sizeof(first));
		assert_int_equal(decode(&out, first, len, &bad), 0);
		assert_memory_equal(&in, &out, sizeof(in));
		assert_int_equal(encode(&out, second, sizeof(second)), len);
		assert_memory_equal(first, second, len);
	}
}

static void the_type_comes_first_and_is_one_that_exists(void **state)
{
	static const struct {
		uint32_t len;
		uint8_t bytes[16];
	} rows[] = {
		{0, {0}}, {4, {1, 0, 0, 0}},                         /* no byte in it */
		{6, {1, 0, 2, 0, 4, 0}},                             /* two */
		{4, {1, 0, 1, 0}},                                   /* cut */
		{14, {16, 0, 5, 0, 4, 192, 0, 2, 1, 1, 0, 1, 0, 4}}, /* the type after a field */
	};
	static const uint8_t snat[] = {16, 0, 5, 0, 4, 192, 0, 2, 1};
	const struct mr_field *bad;
	struct mr_object o;
	uint8_t bytes[5 + sizeof(snat)] = {1, 0, 1, 0};
	unsigned n_known = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(decode(&o, rows[i].bytes, rows[i].len, &bad), -1);
		assert_null(bad);
	}
	memcpy(bytes + 5, snat, sizeof(snat));
	for (unsigned type = 0; type < 256; type++) {
		bytes[4] = (uint8_t)type;
		assert_int_equal(
			decode(&o, bytes, sizeof(bytes), &bad), type == MR_OBJ_SNAT ? 0 : -1);
		if (mr_obj_msg(type) == NULL)
			assert_null(bad);
		else
			n_known++;
	}
	assert_int_equal(n_known, N_TYPES);
	assert_null(mr_obj_msg(256 + MR_OBJ_SNAT));
}

static void a_missing_field_of_an_object_is_named(void **state)
{
	static const uint8_t bytes[] = {1, 0, 1, 0, 3, 16, 0, 2, 0, 'u', 'p'};
	const struct mr_field *bad;
	struct mr_object o;

	(void)state;
	assert_int_equal(decode(&o, bytes, sizeof(bytes), &bad), -1);
	assert_non_null(bad);
	assert_string_equal(bad->name, "ip");
}

static void keys_are_what_people_read(void **state)
{
	static const struct {
		struct mr_object o;
		const char *key;
	} rows[] = {
		{{.type = MR_OBJ_SETTINGS, .settings = {.hash_key = {1}}}, "settings"},
		{{.type = MR_OBJ_ADDR,
			 .addr = {.port = "up",
				 .ip = {.family = 4, .bytes = {10, 1, 0, 2}},
				 .prefix_len = 24}},
			"addr/up/10.1.0.2/24"},
		{{.type = MR_OBJ_ADDR,
			 .addr = {.port = "up",
				 .ip = {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 2}},
				 .prefix_len = 64}},
			"addr/up/2001:db8::2/64"},
		{{.type = MR_OBJ_GATEWAY, .gateway = {.port = "up", .ip = {.family = 4}}},
			"gateway/4"},
		{{.type = MR_OBJ_GATEWAY, .gateway = {.port = "x", .ip = {.family = 6}}},
			"gateway/6"},
		{{.type = MR_OBJ_SNAT, .snat = {.ip = {.family = 4, .bytes = {10, 2, 0, 100}}}},
			"snat/10.2.0.100"},
		{{.type = MR_OBJ_SERVICE, .service = {.name = "web", .port = 80}}, "service/web"},
		{{.type = MR_OBJ_BACKEND, .backend = {.service = "web", .name = "pool/a"}},
			"backend/web/pool/a"},
		{{.type = MR_OBJ_ACL,
			 .acl = {.service = "web",
				 .ip = {.family = 4, .bytes = {10}},
				 .prefix_len = 8,
				 .action = MR_ACL_DENY}},
			"acl/web/10.0.0.0/8"},
		{{.type = MR_OBJ_ACL, .acl = {.service = "web", .ip = {.family = 6}}},
			"acl/web/::/0"},
		{{.type = MR_OBJ_CACHE, .cache = {.name = "hot", .memory_bytes = 1}}, "cache/hot"},
		{{.type = 0}, "?"},
		{{.type = MR_OBJ_ACL + 1}, "?"},
	};
	char key[MR_TEXT_MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(mr_object_key_text(&rows[i].o, key, sizeof(key)), rows[i].key);
}

/* A key that is cut off could be another object's. */
static void the_longest_key_fits(void **state)
{
	char key[MR_TEXT_MAX], longer[4 * MR_TEXT_MAX];

	(void)state;
	for (unsigned i = 0; i < N_TYPES; i++) {
		struct mr_object o = {.type = types[i]};

		wirefix_fill_max(mr_obj_msg(types[i]), &o.settings);
		mr_object_key_text(&o, key, sizeof(key));
		mr_object_key_text(&o, longer, sizeof(longer));
		assert_string_equal(key, longer);
	}
}

static void no_bytes_lead_the_decoder_astray(void **state)
{
	unsigned n_accepted = 0, n_refused = 0;
	uint64_t seed = 12;

	(void)state;
	for (unsigned round = 0; round < 6000; round++) {
		uint8_t bytes[1024], second[1024];
		const struct mr_field *bad;
		struct mr_object o, again;
		char key[MR_TEXT_MAX];
		uint32_t len;

		fill(&o, types[round % N_TYPES], &seed);
		len = encode(&o, bytes, sizeof(bytes));
		bytes[wirefix_random(&seed) % len] ^= (uint8_t)(1u << (wirefix_random(&seed) % 8));
		if (round % 4 == 0)
			len = (uint32_t)(wirefix_random(&seed) % len);
		if (decode(&o, bytes, len, &bad) != 0) {
			n_refused++;
			continue;
		}
		n_accepted++;
		mr_object_key_text(&o, key, sizeof(key));
		assert_int_equal(
			decode(&again, second, encode(&o, second, sizeof(second)), &bad), 0);
		assert_memory_equal(&o, &again, sizeof(o));
	}
	assert_true(n_accepted > 1000 && n_refused > 1000);
}

static void requests_have_a_number_and_a_name_each(void **state)
{
#define REQUEST_ROW(sym, number, name, req, row, role) {number, name},
	static const struct {
		unsigned number;
		const char *name;
	} rows[] = {MR_REQUESTS(REQUEST_ROW)};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_in_range(rows[i].number, 1, UINT16_MAX);
		for (unsigned k = 0; k < i; k++) {
			assert_int_not_equal(rows[i].number, rows[k].number);
			assert_string_not_equal(rows[i].name, rows[k].name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_its_type_and_its_fields),
		cmocka_unit_test(every_object_comes_back_as_it_was),
		cmocka_unit_test(the_type_comes_first_and_is_one_that_exists),
		cmocka_unit_test(a_missing_field_of_an_object_is_named),
		cmocka_unit_test(keys_are_what_people_read),
		cmocka_unit_test(the_longest_key_fits),
		cmocka_unit_test(no_bytes_lead_the_decoder_astray),
		cmocka_unit_test(requests_have_a_number_and_a_name_each),
	};

	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
