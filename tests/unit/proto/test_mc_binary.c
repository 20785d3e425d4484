/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's binary protocol: each opcode's request, whole and cut at every byte; headers that lie; each answer, written where
 * there is room for a few bytes at a time. The expected answers are what memcached 1.6.18 gave.
 */
#include "proto/mc_binary.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define N(array) (sizeof(array) / sizeof(*(array)))
#define HEADER 24u
#define ALL UINT32_MAX

static const struct mc_limits stream = {.value_max = 64}, datagram = {64, true};

/* --- requests --- */

struct wire {
	uint8_t opcode;
	const char *extras; /* hexadecimal */
	const char *key, *value;
	uint64_t cas;
};

static uint32_t put_hex(uint8_t *p, const char *hex)
{
	uint32_t n = 0;

	for (; hex != NULL && hex[0] != 0; hex += 2, n++) {
		const char digits[] = {hex[0], hex[1], 0};

		p[n] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return n;
}

static void put_be(uint8_t *p, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint32_t put_text(uint8_t *p, const char *text)
{
	const uint32_t n = text != NULL ? (uint32_t)strlen(text) : 0;

	if (n > 0)
		memcpy(p, text, n);
	return n;
}

/* An answer where status is not 0xffff, else a request; the opaque is 0a0b0c0d. */
static uint32_t build(uint8_t *p, const struct wire *w, uint16_t status)
{
	uint8_t *body = p + HEADER;
	const uint32_t n_extras = put_hex(body, w->extras);
	const uint32_t n_key = put_text(body + n_extras, w->key);
	const uint32_t n = n_extras + n_key + put_text(body + n_extras + n_key, w->value);

	memset(p, 0, HEADER);
	p[0] = status == 0xffff ? 0x80 : 0x81;
	p[1] = w->opcode;
	put_be(p + 2, n_key, 2);
	p[4] = (uint8_t)n_extras;
	if (status != 0xffff)
		put_be(p + 6, status, 2);
	put_be(p + 8, n, 4);
	put_be(p + 12, 0x0a0b0c0d, 4);
	put_be(p + 16, w->cas, 8);
	return HEADER + n;
}

/* Of exactly len bytes: a sanitizer sees whoever reads on. Pointers into them are made offsets from bytes. */
static enum mc_status parse(
	struct mc_request *r, const uint8_t *bytes, uint32_t len, const struct mc_limits *limits)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);
	enum mc_status status;

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	memset(r, 0x5a, sizeof(*r));
	status = mc_binary_parse(r, exact, len, limits);
	if (r->key != NULL)
		r->key = bytes + (r->key - exact);
	if (r->value != NULL)
		r->value = bytes + (r->value - exact);
	if (r->opaque != NULL)
		r->opaque = bytes + (r->opaque - exact);
	free(exact);
	return status;
}

#define SET_EXTRAS "deadbeef00000e10"
#define COUNT_EXTRAS "0102030405060708fffffffffffffffe"

static const struct {
	struct wire wire;
	enum mc_verb verb;
	bool is_quiet, shows_key, is_vivified;
	uint32_t flags;
	int64_t time; /* exptime, or vivify */
} requests[] = {
	{{0x00, NULL, "k", NULL, 0}, MC_GET, false, false, false, 0, 0},
	{{0x09, NULL, "k", NULL, 0}, MC_GET, true, false, false, 0, 0},
	{{0x0c, NULL, "k", NULL, 0}, MC_GET, false, true, false, 0, 0},
	{{0x0d, NULL, "k", NULL, 0}, MC_GET, true, true, false, 0, 0},
	{{0x01, SET_EXTRAS, "key", "value", 0}, MC_SET, false, false, false, 0xdeadbeef, 3600},
	{{0x01, SET_EXTRAS, "key", NULL, 0}, MC_SET, false, false, false, 0xdeadbeef, 3600},
	{{0x11, SET_EXTRAS, "key", "value", 0}, MC_SET, true, false, false, 0xdeadbeef, 3600},
	{{0x02, SET_EXTRAS, "key", "value", 0}, MC_ADD, false, false, false, 0xdeadbeef, 3600},
	{{0x12, SET_EXTRAS, "key", "value", 0}, MC_ADD, true, false, false, 0xdeadbeef, 3600},
	{{0x03, SET_EXTRAS, "key", "value", 0}, MC_REPLACE, false, false, false, 0xdeadbeef, 3600},
	{{0x13, SET_EXTRAS, "key", "value", 0}, MC_REPLACE, true, false, false, 0xdeadbeef, 3600},
	{{0x01, SET_EXTRAS, "key", "v", 7}, MC_CAS, false, false, false, 0xdeadbeef, 3600},
	{{0x12, SET_EXTRAS, "key", "v", 7}, MC_CAS, true, false, false, 0xdeadbeef, 3600},
	{{0x03, SET_EXTRAS, "key", "v", 7}, MC_CAS, false, false, false, 0xdeadbeef, 3600},
	{{0x01, "00000000ffffffff", "key", "v", 0}, MC_SET, false, false, false, 0, 0xffffffff},
	{{0x0e, NULL, "key", "tail", 7}, MC_APPEND, false, false, false, 0, 0},
	{{0x19, NULL, "key", "tail", 0}, MC_APPEND, true, false, false, 0, 0},
	{{0x0f, NULL, "key", "head", 7}, MC_PREPEND, false, false, false, 0, 0},
	{{0x1a, NULL, "key", "head", 0}, MC_PREPEND, true, false, false, 0, 0},
	{{0x04, NULL, "key", NULL, 0xfffffffffffffffe}, MC_DELETE, false, false, false, 0, 0},
	{{0x14, NULL, "key", NULL, 0}, MC_DELETE, true, false, false, 0, 0},
	{{0x05, COUNT_EXTRAS "00000000", "n", NULL, 9}, MC_INCR, false, false, true, 0, 0},
	{{0x05, COUNT_EXTRAS "fffffffe", "n", NULL, 9}, MC_INCR, false, false, true, 0, 0xfffffffe},
	{{0x15, COUNT_EXTRAS "ffffffff", "n", NULL, 0}, MC_INCR, true, false, false, 0, 0},
	{{0x06, COUNT_EXTRAS "0000003c", "n", NULL, 0}, MC_DECR, false, false, true, 0, 60},
	{{0x16, COUNT_EXTRAS "ffffffff", "n", NULL, 0}, MC_DECR, true, false, false, 0, 0},
	{{0x1c, "0000003c", "key", NULL, 0}, MC_TOUCH, false, false, false, 0, 60},
	{{0x1d, "ffffffff", "key", NULL, 0}, MC_GAT, false, false, false, 0, 0xffffffff},
	{{0x1e, "0000003c", "key", NULL, 0}, MC_GAT, true, false, false, 0, 60},
	{{0x23, "0000003c", "key", NULL, 0}, MC_GAT, false, true, false, 0, 60},
	{{0x24, "0000003c", "key", NULL, 0}, MC_GAT, true, true, false, 0, 60},
	{{0x08, NULL, NULL, NULL, 0}, MC_FLUSH_ALL, false, false, false, 0, 0},
	{{0x08, "0000003c", NULL, NULL, 0}, MC_FLUSH_ALL, false, false, false, 0, 60},
	{{0x18, NULL, NULL, NULL, 0}, MC_FLUSH_ALL, true, false, false, 0, 0},
	{{0x18, "0000003c", NULL, NULL, 0}, MC_FLUSH_ALL, true, false, false, 0, 60},
	{{0x0a, NULL, NULL, NULL, 0}, MC_NOOP, false, false, false, 0, 0},
	{{0x0b, NULL, NULL, NULL, 0}, MC_VERSION, false, false, false, 0, 0},
	{{0x10, NULL, NULL, NULL, 0}, MC_STATS, false, false, false, 0, 0},
	{{0x10, NULL, "items", NULL, 0}, MC_STATS, false, false, false, 0, 0},
	{{0x07, NULL, NULL, NULL, 0}, MC_QUIT, false, false, false, 0, 0},
	{{0x17, NULL, NULL, NULL, 0}, MC_QUIT, true, false, false, 0, 0},
};

static void requests_of_each_opcode(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N(requests); i++) {
		const struct wire *w = &requests[i].wire;
		const bool counts = requests[i].verb == MC_INCR || requests[i].verb == MC_DECR;
		const char *value = w->value != NULL ? w->value : "";
		const char *key = w->key != NULL ? w->key : "";
		uint8_t bytes[128];
		const uint32_t len = build(bytes, w, 0xffff);
		struct mc_request r;

		/* what follows is not its affair */
		memset(bytes + len, 0x80, sizeof(bytes) - len);
		if (parse(&r, bytes, sizeof(bytes), &stream) != MC_OK || r.verb != requests[i].verb)
			fail_msg("row %u, opcode %02x", i, w->opcode);
		assert_int_equal(r.consumed, len);
		assert_int_equal(r.swallow, 0);
		assert_int_equal(r.protocol, MC_BINARY);
		assert_int_equal(r.opcode, w->opcode);
		assert_int_equal(r.is_quiet, requests[i].is_quiet);
		assert_int_equal(r.show, requests[i].shows_key ? MC_SHOW_KEY : 0);
		assert_int_equal(r.has, requests[i].is_vivified ? MC_HAS_VIVIFY : 0);
		assert_true(r.shows_cas);
		assert_true(r.opaque == bytes + 12 && r.opaque_len == 4);
		assert_int_equal(r.key_len, strlen(key));
		assert_memory_equal(r.key, key, r.key_len);
		assert_int_equal(r.value_len, strlen(value));
		assert_memory_equal(r.value, value, r.value_len);
		assert_true(r.more == r.more_end);
		assert_int_equal(r.flags, requests[i].flags);
		assert_true(r.exptime == (counts ? 0 : requests[i].time));
		assert_true(r.vivify == (counts ? requests[i].time : 0));
		assert_true(r.delta == (counts ? 0x0102030405060708 : 0));
		assert_true(r.initial == (counts ? 0xfffffffffffffffe : 0));
		assert_true(r.cas == w->cas);
		/* the last byte is enough */
		assert_int_equal(parse(&r, bytes, len, &datagram), MC_OK);
	}
}

/* Where a cas is not compared, what stands in its place is not one. */
static void cas_of_what_compares_none(void **state)
{
	static const struct wire wires[] = {
		{0x00, NULL, "k", NULL, 7},
		{0x1c, "00000000", "k", NULL, 7},
		{0x1d, "00000000", "k", NULL, 7},
		{0x0a, NULL, NULL, NULL, 7},
	};

	(void)state;
	for (unsigned i = 0; i < N(wires); i++) {
		uint8_t bytes[64];
		const uint32_t len = build(bytes, &wires[i], 0xffff);
		struct mc_request r;

		assert_int_equal(parse(&r, bytes, len, &stream), MC_OK);
		assert_true(r.cas == 0);
	}
}

static void requests_cut_at_every_byte(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N(requests); i++) {
		uint8_t bytes[128];
		const uint32_t len = build(bytes, &requests[i].wire, 0xffff);
		struct mc_request r;

		for (uint32_t n = 0; n < len; n++) {
			assert_int_equal(parse(&r, bytes, n, &stream), MC_MORE);
			assert_int_equal(r.consumed, 0);
			assert_int_equal(
				parse(&r, bytes, n, &datagram), n < HEADER ? MC_BAD : MC_ERROR);
			assert_int_equal(r.consumed, n);
			assert_int_equal(r.swallow, 0);
		}
	}
}

/* Nothing of memcached 1.6.18's behaviour depends on them. */
static void data_type_and_vbucket(void **state)
{
	static const struct wire get = {0x00, NULL, "k", NULL, 0};
	uint8_t bytes[64];
	const uint32_t len = build(bytes, &get, 0xffff);
	struct mc_request r;

	(void)state;
	bytes[5] = 0xff;
	bytes[6] = 0xff;
	bytes[7] = 0xff;
	assert_int_equal(parse(&r, bytes, len, &stream), MC_OK);
}

/* --- headers that lie, and requests that are not executed --- */

struct refusal {
	const char *what;
	uint8_t opcode, n_extras;
	uint16_t n_key;
	uint32_t n_body;
	uint32_t n_there; /* bytes behind the header */
	enum mc_status status;
	uint16_t answer;
	uint32_t consumed; /* ALL: what is there */
	uint32_t swallow;
};

static const struct refusal refusals[] = {
	{"key longer than the body", 0x00, 0, 5, 4, 9, MC_BAD, 0x81, ALL, 0},
	{"key and extras longer than it", 0x01, 8, 5, 12, 20, MC_BAD, 0x81, ALL, 0},
	{"largest key and extras, no body", 0x01, 255, 65535, 0, 20, MC_BAD, 0x81, ALL, 0},
	{"largest body", 0x01, 8, 1, 0xffffffff, 20, MC_BAD, 0x81, ALL, 0},
	{"body that overflows with the header", 0x50, 0, 0, 0xffffffe8, 20, MC_BAD, 0x81, ALL, 0},
	{"key of 251 bytes", 0x00, 0, 251, 251, 251, MC_BAD, 0x04, ALL, 0},
	{"key of 65,535 bytes", 0x01, 8, 65535, 70000, 300, MC_BAD, 0x04, ALL, 0},
	{"get without a key", 0x00, 0, 0, 0, 0, MC_BAD, 0x04, ALL, 0},
	{"get with a value", 0x00, 0, 1, 2, 2, MC_BAD, 0x04, ALL, 0},
	{"get with extras", 0x00, 4, 1, 5, 5, MC_BAD, 0x04, ALL, 0},
	{"set without extras", 0x01, 0, 1, 2, 2, MC_BAD, 0x04, ALL, 0},
	{"set with 7 bytes of extras", 0x01, 7, 1, 9, 9, MC_BAD, 0x04, ALL, 0},
	{"set with 9 bytes of extras", 0x01, 9, 1, 11, 11, MC_BAD, 0x04, ALL, 0},
	{"set without a key", 0x01, 8, 0, 9, 9, MC_BAD, 0x04, ALL, 0},
	{"append with extras", 0x0e, 8, 1, 10, 10, MC_BAD, 0x04, ALL, 0},
	{"delete without a key", 0x04, 0, 0, 0, 0, MC_BAD, 0x04, ALL, 0},
	{"delete with extras", 0x04, 4, 1, 5, 5, MC_BAD, 0x04, ALL, 0},
	{"increment with 16 bytes of extras", 0x05, 16, 1, 17, 17, MC_BAD, 0x04, ALL, 0},
	{"increment with a value", 0x05, 20, 1, 22, 22, MC_BAD, 0x04, ALL, 0},
	{"touch without extras", 0x1c, 0, 1, 1, 1, MC_BAD, 0x04, ALL, 0},
	{"touch with a value", 0x1c, 4, 1, 29, 29, MC_BAD, 0x04, ALL, 0},
	{"touch without a key", 0x1c, 4, 0, 4, 4, MC_BAD, 0x04, ALL, 0},
	{"noop with a key", 0x0a, 0, 1, 1, 1, MC_BAD, 0x04, ALL, 0},
	{"noop with a value", 0x0a, 0, 0, 1, 1, MC_BAD, 0x04, ALL, 0},
	{"version with extras", 0x0b, 4, 0, 4, 4, MC_BAD, 0x04, ALL, 0},
	{"quit with a value", 0x07, 0, 0, 1, 1, MC_BAD, 0x04, ALL, 0},
	{"flush with a key", 0x08, 4, 1, 5, 5, MC_BAD, 0x04, ALL, 0},
	{"flush with 8 bytes of extras", 0x08, 8, 0, 8, 8, MC_BAD, 0x04, ALL, 0},
	{"stat with extras", 0x10, 4, 0, 4, 4, MC_BAD, 0x04, ALL, 0},
	{"stat with a value", 0x10, 0, 1, 2, 2, MC_BAD, 0x04, ALL, 0},
	{"unknown", 0x25, 0, 0, 0, 0, MC_ERROR, 0x81, 24, 0},
	{"unknown between known ones", 0x1f, 0, 0, 0, 0, MC_ERROR, 0x81, 24, 0},
	{"unknown, the last of all", 0xff, 4, 3, 10, 20, MC_ERROR, 0x81, 34, 0},
	{"unknown, not all of it there", 0x50, 4, 3, 1000, 20, MC_ERROR, 0x81, 44, 980},
	{"unknown, largest body that can be counted", 0x50, 0, 0, 0xffffffe7, 0, MC_ERROR, 0x81, 24,
		0xffffffe7},
	{"verbosity", 0x1b, 4, 0, 4, 4, MC_ERROR, 0x81, 28, 0},
	{"SASL list", 0x20, 0, 0, 0, 0, MC_ERROR, 0x81, 24, 0},
	{"SASL auth", 0x21, 0, 5, 8, 8, MC_ERROR, 0x81, 32, 0},
	{"value one too large, all there", 0x01, 8, 3, 76, 76, MC_ERROR, 0x03, 100, 0},
	{"value one too large, none of it there", 0x01, 8, 3, 76, 11, MC_ERROR, 0x03, 35, 65},
	{"value one too large, half of it there", 0x11, 8, 3, 76, 40, MC_ERROR, 0x03, 64, 36},
	{"tail too large", 0x0e, 0, 3, 1003, 500, MC_ERROR, 0x03, 524, 503},
	{"largest value", 0x01, 8, 3, 0xffffffe7, 100, MC_ERROR, 0x03, 124, 0xffffffe7 - 100},
};

static uint32_t build_lying(uint8_t *bytes, uint32_t size, const struct refusal *row)
{
	memset(bytes, 'k', size);
	memset(bytes, 0, HEADER);
	bytes[0] = 0x80;
	bytes[1] = row->opcode;
	put_be(bytes + 2, row->n_key, 2);
	bytes[4] = row->n_extras;
	put_be(bytes + 8, row->n_body, 4);
	put_be(bytes + 12, 0x0a0b0c0d, 4);
	return HEADER + row->n_there;
}

/* Where all of it goes at once. */
static void reply_whole(struct mc_out *out, uint8_t *bytes, uint32_t size)
{
	*out = (struct mc_out){.p = bytes, .end = bytes + size};
}

static void assert_answer(const struct mc_request *r, const struct refusal *row)
{
	const struct wire want = {row->opcode, NULL, NULL,
		row->answer == 0x81           ? "Unknown command"
			: row->answer == 0x03 ? "Too large."
					      : "Invalid arguments",
		0};
	uint8_t bytes[128], wanted[128];
	const uint32_t n = build(wanted, &want, row->answer);
	struct mc_out out;

	reply_whole(&out, bytes, sizeof(bytes));
	mc_binary_reply_error(&out, r);
	assert_int_equal(out.p - bytes, n);
	assert_memory_equal(bytes, wanted, n);
}

static void requests_not_executed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N(refusals); i++) {
		const struct refusal *row = &refusals[i];
		uint8_t bytes[600];
		const uint32_t len = build_lying(bytes, sizeof(bytes), row);
		const uint32_t whole = row->n_body < row->n_there ? HEADER + row->n_body : len;
		struct mc_request r;

		if (parse(&r, bytes, len, &stream) != row->status)
			fail_msg("%s", row->what);
		assert_int_equal(r.consumed, row->consumed == ALL ? len : row->consumed);
		assert_int_equal(r.swallow, row->swallow);
		assert_answer(&r, row);
		/* behind a datagram nothing comes; where it ends inside the request, nothing of it is left */
		assert_int_equal(parse(&r, bytes, len, &datagram), MC_ERROR);
		assert_int_equal(r.consumed, row->status == MC_ERROR ? whole : len);
		assert_int_equal(r.swallow, 0);
		assert_answer(&r, row);
	}
}

/* The old value must go, so the key has to be known, however little of the value has come. */
static void key_of_what_is_too_large(void **state)
{
	static const struct refusal row = {"", 0x01, 8, 3, 1000, 11, MC_ERROR, 0x03, 0, 0};
	uint8_t bytes[100];
	struct mc_request r;

	(void)state;
	build_lying(bytes, sizeof(bytes), &row);
	for (uint32_t n = 0; n < HEADER + 11; n++)
		assert_int_equal(parse(&r, bytes, n, &stream), MC_MORE);
	assert_int_equal(parse(&r, bytes, HEADER + 11, &stream), MC_ERROR);
	assert_int_equal(r.error, MC_E_TOO_LARGE);
	assert_int_equal(r.verb, MC_SET);
	assert_true(r.key == bytes + HEADER + 8 && r.key_len == 3);
	assert_int_equal(r.value_len, 1000 - 11);
	assert_null(r.value);
}

static void no_request_at_all(void **state)
{
	static const uint8_t text[] = "version\r\n", answer[30] = {0x81, 0x0a};
	struct mc_request r;

	(void)state;
	assert_int_equal(parse(&r, text, 9, &stream), MC_BAD);
	assert_int_equal(r.error, 0);
	assert_int_equal(r.consumed, 9);
	assert_int_equal(parse(&r, answer, 30, &stream), MC_BAD);
	assert_int_equal(r.error, 0);
	assert_int_equal(parse(&r, answer, 30, &datagram), MC_BAD);
	assert_int_equal(r.error, 0);
}

/* --- answers --- */

enum call { REPLY, END, VERSION, STAT };

static const struct {
	const char *what;
	enum call call;
	struct wire request;
	struct mc_result result; /* but the value, which is "value" */
	bool is_silent;
	uint16_t status;
	struct wire answer;
} answers[] = {
#define GET(op) \
	{ \
		op, NULL, "key", NULL, 0 \
	}
#define HIT \
	{ \
		.outcome = MC_HIT, .flags = 0xdeadbeef, .value_len = 5, .cas = 0x1122334455667788 \
	}
#define HIT_EMPTY \
	{ \
		.outcome = MC_HIT, .flags = 1, .cas = 2 \
	}
#define DONE \
	{ \
		.outcome = MC_STORED, .flags = 0xdeadbeef, .cas = 0x1122334455667788, \
		.number = 0x3132333435363738 \
	}
#define BUT(o) \
	{ \
		.outcome = o, .flags = 0xdeadbeef, .cas = 0x1122334455667788, \
		.number = 0x3132333435363738 \
	}
#define CAS 0x1122334455667788
	{"get, hit", REPLY, GET(0x00), HIT, false, 0, {0x00, "deadbeef", NULL, "value", CAS}},
	{"get, empty value", REPLY, GET(0x00), HIT_EMPTY, false, 0,
		{0x00, "00000001", NULL, NULL, 2}},
	{"getq, hit", REPLY, GET(0x09), HIT, false, 0, {0x09, "deadbeef", NULL, "value", CAS}},
	{"getk, hit", REPLY, GET(0x0c), HIT, false, 0, {0x0c, "deadbeef", "key", "value", CAS}},
	{"getkq, hit", REPLY, GET(0x0d), HIT, false, 0, {0x0d, "deadbeef", "key", "value", CAS}},
	{"get, miss", REPLY, GET(0x00), BUT(MC_MISS), false, 1, {0x00, NULL, NULL, "Not found", 0}},
	{"getk, miss", REPLY, GET(0x0c), BUT(MC_MISS), false, 1, {0x0c, NULL, "key", NULL, 0}},
	{"getq, miss", REPLY, GET(0x09), BUT(MC_MISS), true, 0, {0}},
	{"getkq, miss", REPLY, GET(0x0d), BUT(MC_MISS), true, 0, {0}},
	{"get, end", END, GET(0x00), {0}, true, 0, {0}},
#define GAT(op) \
	{ \
		op, "0000003c", "key", NULL, 0 \
	}
	{"gat, hit", REPLY, GAT(0x1d), HIT, false, 0, {0x1d, "deadbeef", NULL, "value", CAS}},
	{"gatk, hit", REPLY, GAT(0x23), HIT, false, 0, {0x23, "deadbeef", "key", "value", CAS}},
	{"gatkq, hit", REPLY, GAT(0x24), HIT, false, 0, {0x24, "deadbeef", "key", "value", CAS}},
	{"gat, miss", REPLY, GAT(0x1d), BUT(MC_MISS), false, 1, {0x1d, NULL, NULL, "Not found", 0}},
	{"gatk, miss", REPLY, GAT(0x23), BUT(MC_MISS), false, 1, {0x23, NULL, "key", NULL, 0}},
	{"gatq, miss", REPLY, GAT(0x1e), BUT(MC_MISS), true, 0, {0}},
	{"gatkq, miss", REPLY, GAT(0x24), BUT(MC_MISS), true, 0, {0}},
	{"touch", REPLY, GAT(0x1c), DONE, false, 0, {0x1c, "deadbeef", NULL, NULL, CAS}},
	{"touch, of a read item", REPLY, GAT(0x1c), HIT, false, 0,
		{0x1c, "deadbeef", NULL, NULL, CAS}},
	{"touch, none", REPLY, GAT(0x1c), BUT(MC_NOT_FOUND), false, 1,
		{0x1c, NULL, NULL, "Not found", 0}},
#define SET(op) \
	{ \
		op, SET_EXTRAS, "key", "v", 0 \
	}
	{"set", REPLY, SET(0x01), DONE, false, 0, {0x01, NULL, NULL, NULL, CAS}},
	{"setq", REPLY, SET(0x11), DONE, true, 0, {0}},
	{"addq", REPLY, SET(0x12), DONE, true, 0, {0}},
	{"set, too large", REPLY, SET(0x01), BUT(MC_TOO_LARGE), false, 3,
		{0x01, NULL, NULL, "Too large.", 0}},
	{"setq, no memory", REPLY, SET(0x11), BUT(MC_NO_MEMORY), false, 0x82,
		{0x11, NULL, NULL, "Out of memory", 0}},
	{"add, exists", REPLY, SET(0x02), BUT(MC_NOT_STORED), false, 2,
		{0x02, NULL, NULL, "Data exists for key.", 0}},
	{"addq, exists", REPLY, SET(0x12), BUT(MC_NOT_STORED), false, 2,
		{0x12, NULL, NULL, "Data exists for key.", 0}},
	{"replaceq, none", REPLY, SET(0x13), BUT(MC_NOT_STORED), false, 1,
		{0x13, NULL, NULL, "Not found", 0}},
#define SET_CAS(op) \
	{ \
		op, SET_EXTRAS, "key", "v", 7 \
	}
	{"set, other cas", REPLY, SET_CAS(0x01), BUT(MC_EXISTS), false, 2,
		{0x01, NULL, NULL, "Data exists for key.", 0}},
	{"setq, cas of none", REPLY, SET_CAS(0x11), BUT(MC_NOT_FOUND), false, 1,
		{0x11, NULL, NULL, "Not found", 0}},
#define APPEND(op) \
	{ \
		op, NULL, "key", "v", 0 \
	}
	{"append", REPLY, APPEND(0x0e), DONE, false, 0, {0x0e, NULL, NULL, NULL, CAS}},
	{"prependq", REPLY, APPEND(0x1a), DONE, true, 0, {0}},
	{"append, none", REPLY, APPEND(0x0e), BUT(MC_NOT_STORED), false, 5,
		{0x0e, NULL, NULL, "Not stored.", 0}},
	{"append, too large in all", REPLY, APPEND(0x0e), BUT(MC_TOO_LARGE), false, 5,
		{0x0e, NULL, NULL, "Not stored.", 0}},
	{"prepend, other cas", REPLY, APPEND(0x0f), BUT(MC_EXISTS), false, 2,
		{0x0f, NULL, NULL, "Data exists for key.", 0}},
	{"delete", REPLY, GET(0x04), DONE, false, 0, {0x04, NULL, NULL, NULL, 0}},
	{"deleteq", REPLY, GET(0x14), DONE, true, 0, {0}},
	{"deleteq, none", REPLY, GET(0x14), BUT(MC_NOT_FOUND), false, 1,
		{0x14, NULL, NULL, "Not found", 0}},
	{"delete, other cas", REPLY, GET(0x04), BUT(MC_EXISTS), false, 2,
		{0x04, NULL, NULL, "Data exists for key.", 0}},
#define INCR(op) \
	{ \
		op, COUNT_EXTRAS "00000000", "n", NULL, 0 \
	}
	{"increment", REPLY, INCR(0x05), DONE, false, 0, {0x05, NULL, NULL, "12345678", CAS}},
	{"incrementq", REPLY, INCR(0x15), DONE, true, 0, {0}},
	{"decrementq, none", REPLY, INCR(0x16), BUT(MC_NOT_FOUND), false, 1,
		{0x16, NULL, NULL, "Not found", 0}},
	{"increment, no number", REPLY, INCR(0x05), BUT(MC_NOT_NUMBER), false, 6,
		{0x05, NULL, NULL, "Non-numeric server-side value for incr or decr", 0}},
#define BARE(op) \
	{ \
		op, NULL, NULL, NULL, 0 \
	}
	{"flush", REPLY, BARE(0x08), DONE, false, 0, {0x08, NULL, NULL, NULL, 0}},
	{"flushq", REPLY, BARE(0x18), DONE, true, 0, {0}},
	{"noop", REPLY, BARE(0x0a), DONE, false, 0, {0x0a, NULL, NULL, NULL, 0}},
	{"quit", REPLY, BARE(0x07), DONE, false, 0, {0x07, NULL, NULL, NULL, 0}},
	{"quitq", REPLY, BARE(0x17), DONE, true, 0, {0}},
	{"version", VERSION, BARE(0x0b), {0}, false, 0, {0x0b, NULL, NULL, "1.6.18", 0}},
	{"figure", STAT, BARE(0x10), {0}, false, 0, {0x10, NULL, "pid", "20868", 0}},
	{"end of figures", END, BARE(0x10), {0}, false, 0, {0x10, NULL, NULL, NULL, 0}},
	{"figures nobody has", REPLY, BARE(0x10), BUT(MC_NOT_FOUND), false, 1,
		{0x10, NULL, NULL, "Not found", 0}},
};

/* A sink that is made of pieces of `size` bytes, as long as there are any. */
struct pieces {
	struct mc_out out; /* first: grow() finds the rest by it */
	uint8_t bytes[256];
	uint32_t size, n_left;
};

static bool grow_piece(struct mc_out *out)
{
	struct pieces *pieces = (struct pieces *)out;

	if (pieces->n_left == 0)
		return false;
	pieces->n_left--;
	assert_true(out->end + pieces->size <= pieces->bytes + sizeof(pieces->bytes));
	out->end += pieces->size;
	return true;
}

static void pieces_init(struct pieces *pieces, uint32_t size, uint32_t n)
{
	memset(pieces, 0, sizeof(*pieces));
	pieces->out.p = pieces->out.end = pieces->bytes;
	pieces->out.grow = grow_piece;
	pieces->size = size;
	pieces->n_left = n;
}

static void call_answer(struct mc_out *out, unsigned i)
{
	struct mc_result result = answers[i].result;
	uint8_t bytes[128];
	const uint32_t len = build(bytes, &answers[i].request, 0xffff);
	struct mc_request r;

	assert_int_equal(parse(&r, bytes, len, &stream), MC_OK);
	result.value = (const uint8_t *)"value";
	switch (answers[i].call) {
	case REPLY:
		mc_binary_reply(out, &r, &result);
		break;
	case END:
		mc_binary_reply_end(out, &r);
		break;
	case VERSION:
		mc_binary_reply_version(out, &r, answers[i].answer.value);
		break;
	case STAT:
		mc_binary_reply_stat(out, &r, answers[i].answer.key, answers[i].answer.value);
		break;
	}
}

static uint32_t build_answer(uint8_t *p, unsigned i)
{
	return answers[i].is_silent ? 0 : build(p, &answers[i].answer, answers[i].status);
}

static void answers_into_any_room(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N(answers); i++) {
		uint8_t want[128];
		const uint32_t n = build_answer(want, i);

		for (uint32_t size = 1; size <= 64; size++) {
			struct pieces pieces;

			pieces_init(&pieces, size, (n + size - 1) / size);
			call_answer(&pieces.out, i);
			if (pieces.out.p != pieces.bytes + n || memcmp(pieces.bytes, want, n) != 0)
				fail_msg("%s, pieces of %u bytes", answers[i].what, size);
			assert_false(pieces.out.is_full);
			assert_int_equal(pieces.n_left, 0);
		}
	}
}

static void answers_cut_off(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N(answers); i++) {
		uint8_t want[128];
		const uint32_t n = build_answer(want, i);

		for (uint32_t room = 0; room < n; room++) {
			struct pieces pieces;

			pieces_init(&pieces, 1, room);
			call_answer(&pieces.out, i);
			assert_true(pieces.out.is_full);
			assert_ptr_equal(pieces.out.p, pieces.bytes + room);
			assert_memory_equal(pieces.bytes, want, room);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_each_opcode),
		cmocka_unit_test(cas_of_what_compares_none),
		cmocka_unit_test(requests_cut_at_every_byte),
		cmocka_unit_test(data_type_and_vbucket),
		cmocka_unit_test(requests_not_executed),
		cmocka_unit_test(key_of_what_is_too_large),
		cmocka_unit_test(no_request_at_all),
		cmocka_unit_test(answers_into_any_room),
		cmocka_unit_test(answers_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
