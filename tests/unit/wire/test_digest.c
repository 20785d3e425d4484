/* SPDX-License-Identifier: BSD-3-Clause */
/* The digest of a model: a sum over literal encodings, whatever the order, sensitive to every bit. */
#include "millrace/digest.h"
#include "unit.h"
#include "wirefix.h"

#include <stdlib.h>

#define OBJ_TYPE(sym, value, name, type, member) value,
static const uint8_t types[] = {MR_OBJS(OBJ_TYPE)};
#define N_TYPES (sizeof(types) / sizeof(types[0]))
#define N_OBJECTS 200

static void fill(struct mr_object *o, unsigned type, uint64_t *seed)
{
	memset(o, 0, sizeof(*o));
	o->type = (uint8_t)type;
	wirefix_fill(mr_obj_msg(type), &o->settings, seed);
}

static bool is_equal(const struct mr_digest *a, const struct mr_digest *b)
{
	return a->lo == b->lo && a->hi == b->hi;
}

/* Two releases that are not of one mind about the encoding or the hash would never converge: the
 * value itself is part of the protocol. */
static void the_digest_of_an_object_is_this(void **state)
{
	static const uint8_t encoding[] = {1, 0, 1, 0, 4, 16, 0, 5, 0, 4, 192, 0, 2, 1};
	const struct mr_object o = {
		.type = MR_OBJ_SNAT, .snat = {.ip = {.family = 4, .bytes = {192, 0, 2, 1}}}};
	const XXH128_hash_t h = XXH3_128bits(encoding, sizeof(encoding));
	const struct mr_digest d = mr_digest_object(&o);

	(void)state;
	assert_true(d.lo == h.low64 && d.hi == h.high64);
	assert_true(d.lo == 0x495238e5b0ea656c && d.hi == 0xac5e5ae82d74c6f9);
}

static void bytes_are_little_endian_low_half_first(void **state)
{
	static const uint8_t want[16] = {8, 7, 6, 5, 4, 3, 2, 1, 16, 15, 14, 13, 12, 11, 10, 9};
	const struct mr_digest d = {.lo = 0x0102030405060708, .hi = 0x090a0b0c0d0e0f10};
	uint8_t *got = malloc(16);

	(void)state;
	mr_digest_bytes(&d, got);
	assert_memory_equal(got, want, 16);
	free(got);
}

static void the_order_of_objects_does_not_matter(void **state)
{
	static struct mr_object objects[N_OBJECTS];
	struct mr_digest first = {0, 0}, zero = {0, 0};
	uint64_t seed = 21;

	(void)state;
	for (unsigned i = 0; i < N_OBJECTS; i++) {
		fill(&objects[i], types[i % N_TYPES], &seed);
		mr_digest_add(&first, &objects[i]);
	}
	for (unsigned round = 0; round < 20; round++) {
		struct mr_digest d = {0, 0};

		for (unsigned i = N_OBJECTS - 1; i > 0; i--) {
			const unsigned k = (unsigned)(wirefix_random(&seed) % (i + 1));
			const struct mr_object swap = objects[i];

			objects[i] = objects[k];
			objects[k] = swap;
		}
		for (unsigned i = 0; i < N_OBJECTS; i++) {
			mr_digest_add(&d, &objects[i]);
			if (i % 3 == 0) { /* there and back */
				mr_digest_sub(&d, &objects[i]);
				mr_digest_add(&d, &objects[i]);
			}
		}
		assert_true(is_equal(&d, &first));
		for (unsigned i = 0; i < N_OBJECTS; i++)
			mr_digest_sub(&d, &objects[(i * 7) % N_OBJECTS]);
		assert_true(is_equal(&d, &zero));
	}
}

/* Half by half: a carry out of the low half would make the sum one number of 128 bits, another value. */
static void halves_are_summed_apart(void **state)
{
	struct mr_digest sum = {0, 0};
	uint64_t lo = 0, hi = 0, seed = 22;
	unsigned n_carries = 0;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct mr_digest d;
		struct mr_object o;

		fill(&o, types[i % N_TYPES], &seed);
		d = mr_digest_object(&o);
		n_carries += lo + d.lo < lo;
		lo += d.lo;
		hi += d.hi;
		mr_digest_add(&sum, &o);
		assert_true(sum.lo == lo && sum.hi == hi);
	}
	assert_true(n_carries > 10);
}

/* Every bit of every field that the wire carries, and the type: changed, both halves are others. */
static void every_bit_of_an_object_matters(void **state)
{
	uint64_t seed = 23;

	(void)state;
	for (unsigned k = 0; k < N_TYPES; k++) {
		const struct mr_msg *m = mr_obj_msg(types[k]);
		struct mr_digest was;
		struct mr_object o;

		fill(&o, types[k], &seed);
		wirefix_fill_max(m, &o.settings);
		was = mr_digest_object(&o);
		for (unsigned i = 0; i < m->n_fields; i++) {
			const struct mr_field *f = &m->fields[i];
			uint8_t *p = (uint8_t *)&o.settings + f->offset;
			const bool is_text = f->kind == MR_NAME || f->kind == MR_TEXT;

			for (unsigned bit = 0; bit < 8u * (f->size - is_text); bit++) {
				struct mr_digest d;

				p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
				d = mr_digest_object(&o);
				p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
				assert_true(d.lo != was.lo && d.hi != was.hi);
			}
		}
	}
}

/* The same bytes in another field, or in another type, are another object. */
static void objects_that_look_alike_differ(void **state)
{
	struct mr_object a = {.type = MR_OBJ_BACKEND, .backend = {.service = "ab", .name = "c"}};
	struct mr_object b = {.type = MR_OBJ_BACKEND, .backend = {.service = "a", .name = "bc"}};
	struct mr_object c = {.type = MR_OBJ_ADDR, .addr = {.port = "p", .ip = {.family = 4}}};
	struct mr_object d = {
		.type = MR_OBJ_GATEWAY, .gateway = {.port = "p", .ip = {.family = 4}}};
	struct mr_digest x = mr_digest_object(&a), y = mr_digest_object(&b);

	(void)state;
	assert_false(is_equal(&x, &y));
	x = mr_digest_object(&c);
	y = mr_digest_object(&d);
	assert_false(is_equal(&x, &y));
}

static void what_is_not_sent_does_not_matter(void **state)
{
	struct mr_object a = {
		.type = MR_OBJ_BACKEND, .backend = {.service = "web", .ip = {.family = 4}}};
	struct mr_object b = a;
	struct mr_digest x, y;

	(void)state;
	memset(b.backend.service + 4, 'x', 20);
	memset(b.backend.ip.bytes + 4, 'x', 12);
	x = mr_digest_object(&a);
	y = mr_digest_object(&b);
	assert_true(is_equal(&x, &y));
}

/* mr_digest_object() encodes into 1024 bytes and does not look at the overflow: what is cut off would
 * not count. */
static void the_largest_object_fits(void **state)
{
	(void)state;
	for (unsigned k = 0; k < N_TYPES; k++) {
		struct mr_object o = {.type = types[k]};
		struct mr_writer w;
		uint8_t buf[1024];

		wirefix_fill_max(mr_obj_msg(types[k]), &o.settings);
		mr_writer_init(&w, buf, sizeof(buf));
		mr_object_encode(&w, &o);
		assert_false(w.overflow);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_digest_of_an_object_is_this),
		cmocka_unit_test(bytes_are_little_endian_low_half_first),
		cmocka_unit_test(the_order_of_objects_does_not_matter),
		cmocka_unit_test(halves_are_summed_apart),
		cmocka_unit_test(every_bit_of_an_object_matters),
		cmocka_unit_test(objects_that_look_alike_differ),
		cmocka_unit_test(what_is_not_sent_does_not_matter),
		cmocka_unit_test(the_largest_object_fits),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
