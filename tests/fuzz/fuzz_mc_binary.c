/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_mc_binary — memcached's binary protocol, any bytes. An input is
 *
 *     is_datagram:1 value_max:2 piece:1 outcome:1 requests…
 *
 * Every request is a block of its own, cut where it ends and in front of that; it is answered as `outcome` says, into pieces of `piece`
 * bytes. Whatever the bytes are: what was read lies inside them and fits the header, less of them is never more than MC_MORE, and
 * every answer is whole frames with the request's opcode and opaque.
 */
#include "fuzz.h"
#include "proto/mc_binary.h"

#include <stddef.h>

#define HEADER 24u
#define INPUT_MAX 4096u
#define VALUE_MAX 3000u

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool lies_in(const uint8_t *part, uint32_t n, const uint8_t *p, uint32_t len)
{
	return part >= p && n <= len && part <= p + len - n;
}

/* --- answers --- */

struct sink {
	struct mc_out out; /* first: grow() finds the rest by it */
	uint8_t bytes[8192];
	uint32_t piece;
};

static bool grow(struct mc_out *out)
{
	struct sink *sink = (struct sink *)out;

	if (out->end + sink->piece > sink->bytes + sizeof(sink->bytes))
		return false;
	out->end += sink->piece;
	return true;
}

/* n_max frames at most, all of them answers to r, and no byte more. */
static void check_answer(const struct sink *sink, const struct mc_request *r, unsigned n_max)
{
	const uint8_t *p = sink->bytes;
	uint32_t left = (uint32_t)(sink->out.p - p);

	FUZZ_CHECK(!sink->out.is_full, "an answer of more than %zu bytes", sizeof(sink->bytes));
	for (unsigned n = 0; left > 0; n++) {
		FUZZ_CHECK(n < n_max, "more than %u answers", n_max);
		FUZZ_CHECK(left >= HEADER && p[0] == 0x81, "%u bytes that are no answer", left);
		FUZZ_CHECK(p[1] == r->opcode, "an answer to opcode %02x", p[1]);
		FUZZ_CHECK(memcmp(p + 12, r->opaque, 4) == 0, "another opaque");
		FUZZ_CHECK(load32(p + 8) <= left - HEADER, "a body of %u bytes", load32(p + 8));
		FUZZ_CHECK((p[2] << 8 | p[3]) + p[4] <= (int64_t)load32(p + 8), "parts too long");
		left -= HEADER + load32(p + 8);
		p += HEADER + load32(p + 8);
	}
}

static void answer(struct sink *sink, const struct mc_request *r, uint8_t outcome)
{
	static const uint8_t value[VALUE_MAX] = "0123456789";
	const struct mc_result result = {
		.outcome = outcome % (MC_NOT_NUMBER + 1),
		.flags = 0xdeadbeef,
		.value = value,
		.value_len = outcome == MC_HIT ? VALUE_MAX : outcome / (MC_NOT_NUMBER + 1u),
		.cas = 0x0123456789abcdef,
		.number = UINT64_MAX,
	};

	switch (r->verb) {
	case MC_VERSION:
		mc_binary_reply_version(&sink->out, r, "1.6");
		break;
	case MC_STATS:
		mc_binary_reply_stat(&sink->out, r, "pid", "1");
		break;
	default:
		mc_binary_reply(&sink->out, r, &result);
	}
	mc_binary_reply_end(&sink->out, r);
}

/* --- requests --- */

static void check_request(
	const struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits)
{
	FUZZ_CHECK(r->protocol == MC_BINARY && r->opcode == p[1], "opcode %02x", r->opcode);
	FUZZ_CHECK(r->consumed == HEADER + load32(p + 8) && r->consumed <= len && r->swallow == 0,
		"%u bytes of %u", r->consumed, len);
	FUZZ_CHECK(r->key_len == (p[2] << 8 | p[3]) && r->key_len <= MC_KEY_MAX,
		"a key of %u bytes", r->key_len);
	FUZZ_CHECK(lies_in(r->key, r->key_len, p + HEADER, r->consumed - HEADER), "the key");
	FUZZ_CHECK(lies_in(r->value, r->value_len, p + HEADER, r->consumed - HEADER), "the value");
	FUZZ_CHECK(r->value + r->value_len == p + r->consumed, "the value ends elsewhere");
	FUZZ_CHECK(r->value_len <= limits->value_max, "a value of %u bytes", r->value_len);
	FUZZ_CHECK(r->opaque == p + 12 && r->opaque_len == 4, "the opaque");
	FUZZ_CHECK(r->exptime >= 0 && r->vivify >= 0, "a time below 0");
}

/* A block of exactly n bytes of p. What is in *r points to nothing afterwards. */
static enum mc_status parse_exact(
	struct mc_request *r, const uint8_t *p, uint32_t n, const struct mc_limits *limits)
{
	uint8_t *exact = fuzz_exact(p, n);
	const enum mc_status status = mc_binary_parse(r, exact, n, limits);

	free(exact);
	return status;
}

static void check_cuts(const uint8_t *p, uint32_t consumed, const struct mc_limits *limits)
{
	const uint32_t cuts[] = {0, 1, HEADER - 1, HEADER, HEADER + 1, consumed - 2, consumed - 1};
	struct mc_request r;

	FUZZ_CHECK(parse_exact(&r, p, consumed, limits) == MC_OK, "not whole with its last byte");
	for (unsigned i = 0; i < sizeof(cuts) / sizeof(*cuts); i++) {
		enum mc_status status;

		if (cuts[i] >= consumed)
			continue;
		status = parse_exact(&r, p, cuts[i], limits);
		if (limits->is_datagram)
			FUZZ_CHECK(status == MC_ERROR || (status == MC_BAD && cuts[i] < HEADER),
				"%d for %u bytes of %u", status, cuts[i], consumed);
		else
			FUZZ_CHECK(status == MC_MORE && r.consumed == 0, "%d for %u bytes of %u",
				status, cuts[i], consumed);
	}
}

/* Reads and answers the request at p; how many bytes of len it was, 0 at the end. */
static uint32_t run(const uint8_t *p, uint32_t len, const struct mc_limits *limits, uint32_t piece,
	uint8_t outcome)
{
	struct sink sink = {.piece = piece};
	struct mc_request r;
	uint32_t n = 0;

	sink.out = (struct mc_out){.p = sink.bytes, .end = sink.bytes, .grow = grow};
	switch (mc_binary_parse(&r, p, len, limits)) {
	case MC_OK:
		check_request(&r, p, len, limits);
		check_cuts(p, r.consumed, limits);
		answer(&sink, &r, outcome);
		check_answer(&sink, &r, 2);
		n = r.consumed;
		break;
	case MC_MORE:
		FUZZ_CHECK(r.consumed == 0 && !limits->is_datagram, "more than a datagram");
		break;
	case MC_ERROR:
		FUZZ_CHECK(r.consumed <= len && (r.consumed == len || r.swallow == 0),
			"%u bytes of %u, and %u more", r.consumed, len, r.swallow);
		mc_binary_reply_error(&sink.out, &r);
		check_answer(&sink, &r, 1);
		n = r.consumed;
		break;
	case MC_BAD:
		FUZZ_CHECK(r.consumed == len, "%u bytes of %u", r.consumed, len);
		if (r.error != 0) {
			mc_binary_reply_error(&sink.out, &r);
			check_answer(&sink, &r, 1);
		}
		break;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct mc_limits limits;
	uint32_t piece, n;
	uint8_t outcome, *exact;

	limits.is_datagram = fuzz_u8(&in) & 1;
	limits.value_max = fuzz_u16(&in);
	piece = 1u + fuzz_u8(&in) % 64;
	outcome = fuzz_u8(&in);
	if (in.left > INPUT_MAX)
		in.left = INPUT_MAX;
	do {
		exact = fuzz_exact(in.p, in.left);
		n = run(exact, (uint32_t)in.left, &limits, piece, outcome);
		free(exact);
		in.p += n;
		in.left -= n;
	} while (n > 0);
	return 0;
}
