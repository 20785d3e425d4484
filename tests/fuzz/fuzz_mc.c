/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_mc — memcached's protocols, on any bytes. An input is
 *
 *     value_max:1 sink:1 seed:1 bytes…
 *
 * The bytes are read as a stream that is all there, as one that comes in pieces, and as a datagram. Both streams must hold the
 * same requests, down to each field and each byte of every answer to them, though answers to the second are written where there
 * is room for few bytes at a time. What a request points at is inside what was read or inside the request. And what the short ways
 * take for a look at one key is that, and nothing else, to the codecs.
 */
#include "fuzz.h"
#include "proto/mc.h"
#include "proto/mc_mget.h"

enum {
	SAME_MAX =
		512, /* read thrice; below MC_LINE_MAX, where what is refused depends on what has come */
	WHOLE_MAX = 8192,
	EVENTS_MAX = 8192,
	SINK_MAX = 64,
	ROOM = 1 << 16,
};

struct run {
	const struct mc_limits *limits;
	uint32_t n_sink; /* bytes an answer has room for at a time; 0: enough */
	unsigned n;
	uint64_t events[EVENTS_MAX];
};

static struct run whole, pieces, datagram;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_init();
	return 0;
}

/* --- what happened, as a number --- */

static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3; /* FNV-1a */
	return hash ^ (uint64_t)n << 32;
}

static uint64_t mix_number(uint64_t hash, uint64_t number)
{
	return mix(hash, &number, sizeof(number));
}

static uint64_t mix_fields(uint64_t hash, const struct mc_request *r)
{
	const uint64_t fields[] = {r->protocol, r->verb, r->mode, r->has, r->is_quiet, r->shows_cas,
		r->opcode, r->show, r->flags, (uint64_t)r->exptime, (uint64_t)r->vivify,
		(uint64_t)r->recache, r->cas, r->new_cas, r->delta, r->initial, r->n_tokens};

	hash = mix(hash, fields, sizeof(fields));
	hash = mix(hash, r->key, r->key_len);
	hash = mix(hash, r->opaque, r->opaque_len);
	hash = mix(hash, r->value, r->value_len);
	return mix(hash, r->tokens, r->tokens_len);
}

/* --- answers --- */

struct sink {
	struct mc_out out; /* first: grow() finds the rest behind it */
	uint8_t *chunk;
	uint32_t n;
	uint64_t hash, n_bytes;
	uint8_t all[ROOM];
};

/* Byte by byte, so that it does not matter where an answer was cut. */
static void drain(struct sink *s)
{
	for (const uint8_t *p = s->chunk; p < s->out.p; p++)
		s->hash = (s->hash ^ *p) * 0x100000001b3;
	s->n_bytes += (uint64_t)(s->out.p - s->chunk);
	s->out.p = s->chunk;
}

static bool grow(struct mc_out *out)
{
	struct sink *s = (void *)out;

	FUZZ_CHECK(out->p <= out->end, "written behind the end");
	drain(s);
	out->end = s->chunk + s->n;
	return true;
}

/* One at a time. The room for few bytes is a heap block, so that a sanitizer sees who writes behind it. */
static struct sink *sink_create(const struct run *run)
{
	static struct sink s;

	s.n = run->n_sink != 0 ? run->n_sink : ROOM;
	s.chunk = run->n_sink != 0 ? malloc(run->n_sink) : s.all;
	FUZZ_NEED(s.chunk != NULL, "no memory");
	s.hash = s.n_bytes = 0;
	s.out = (struct mc_out){.p = s.chunk, .end = s.chunk + s.n, .grow = grow};
	return &s;
}

static uint64_t sink_done(struct sink *s)
{
	drain(s);
	FUZZ_CHECK(!s->out.is_full, "an answer was cut off");
	if (s->chunk != s->all)
		free(s->chunk);
	return mix_number(s->hash, s->n_bytes);
}

static uint64_t answer_error(const struct run *run, const struct mc_request *r)
{
	struct sink *s = sink_create(run);

	mc_reply_error(&s->out, r);
	return sink_done(s);
}

/* One of everything that can become of it. */
static uint64_t answers(const struct run *run, struct mc_request *r)
{
	static const uint8_t value[30] = "a value";
	struct sink *s = sink_create(run);

	for (unsigned outcome = MC_HIT; outcome <= MC_NOT_NUMBER; outcome++) {
		const uint8_t *const key = r->key, *const more = r->more;
		const uint8_t key_len = r->key_len;
		const struct mc_result result = {.outcome = (uint8_t)outcome,
			.is_won = outcome % 2 == 0,
			.is_stale = true,
			.is_taken = outcome % 3 == 0,
			.flags = UINT32_MAX,
			.ttl = (int32_t)outcome - 1,
			.value_len = sizeof(value),
			.value = value,
			.cas = UINT64_MAX - outcome,
			.number = r->delta};

		do
			mc_reply(&s->out, r, &result);
		while (r->verb <= MC_GAT && mc_next_key(r));
		r->key = key; /* for the next outcome */
		r->key_len = key_len;
		r->more = more;
	}
	if (r->verb == MC_VERSION)
		mc_reply_version(&s->out, r, "1.2.3");
	if (r->verb == MC_STATS)
		mc_reply_stat(&s->out, r, "name", "value");
	mc_reply_end(&s->out, r);
	return sink_done(s);
}

/* --- requests --- */

static bool is_inside(const uint8_t *p, uint64_t n, const uint8_t *from, uint64_t len)
{
	return n == 0 || (p >= from && p + n <= from + len);
}

static void check_pointers(const struct mc_request *r, const uint8_t *p, uint32_t len)
{
	const uint32_t n = r->consumed;

	FUZZ_CHECK(n > 0 && n <= len, "%u of %u bytes", n, len);
	FUZZ_CHECK(is_inside(r->key, r->key_len, p, n)
			|| is_inside(r->key, r->key_len, r->key_bytes, MC_KEY_MAX),
		"the key is elsewhere");
	FUZZ_CHECK(r->key_len <= MC_KEY_MAX, "a key of %u bytes", r->key_len);
	FUZZ_CHECK(is_inside(r->value, r->value_len, p, n), "the value is elsewhere");
	FUZZ_CHECK(is_inside(r->opaque, r->opaque_len, p, n), "the opaque is elsewhere");
	FUZZ_CHECK(r->opaque_len < MC_OPAQUE_MAX, "an opaque of %u bytes", r->opaque_len);
	FUZZ_CHECK(is_inside(r->tokens, r->tokens_len, p, n), "the tokens are elsewhere");
	FUZZ_CHECK(r->more == NULL || is_inside(r->more, (uint64_t)(r->more_end - r->more), p, n),
		"the keys are elsewhere");
}

/* Reads one request and notes what it is. 0: no more of them, else the bytes it was about; *swallow of them are not there. */
static uint32_t take(
	struct run *run, const uint8_t *p, uint32_t len, uint32_t *swallow, bool *is_over)
{
	struct mc_request r;
	enum mc_status status;
	uint64_t hash;

	memset(&r, 0xa5, sizeof(r)); /* what was there before is of no account */
	status = mc_parse(&r, p, len, run->limits);
	*swallow = 0;
	if (status == MC_MORE)
		return 0;
	hash = mix_number(0, status);
	*is_over = status == MC_BAD;
	if (status == MC_OK) {
		check_pointers(&r, p, len);
		hash = mix_fields(hash, &r);
		hash = mix_number(hash, answers(run, &r));
		*is_over = r.verb == MC_QUIT;
	} else if (status == MC_ERROR || r.error != MC_E_NONE) {
		hash = mix_number(hash, answer_error(run, &r));
	}
	if (status == MC_ERROR) {
		FUZZ_CHECK(r.consumed > 0 && r.consumed <= len, "%u of %u bytes", r.consumed, len);
		*swallow = r.swallow;
		hash = mix_number(hash, (uint64_t)r.consumed + r.swallow);
	}
	FUZZ_NEED(run->n < EVENTS_MAX, "EVENTS_MAX is too small");
	run->events[run->n++] = hash;
	return r.consumed;
}

static void read_whole(struct run *run, const uint8_t *bytes, uint32_t len)
{
	uint8_t *const p = fuzz_exact(bytes, len);
	uint32_t swallow, at = 0;
	bool is_over = false;

	while (at < len && !is_over) {
		const uint32_t n = take(run, p + at, len - at, &swallow, &is_over);

		if (n == 0)
			break;
		FUZZ_CHECK(swallow == 0 || at + n == len, "%u bytes to come, and %u are there",
			swallow, len - at - n);
		at += n;
	}
	free(p);
}

/* As a connection does: what is not consumed waits for more. */
static void read_pieces(struct run *run, const uint8_t *bytes, uint32_t len, uint32_t seed)
{
	uint32_t from = 0, to = 0, skip = 0;
	bool is_over = false;

	while (to < len && !is_over) {
		uint32_t n;

		seed = seed * 1664525 + 1013904223;
		n = 1 + (seed >> 16) % (seed % 4 == 0 ? 64 : 4);
		to += n < len - to ? n : len - to;
		while (from < to && !is_over) {
			const uint32_t dropped = skip < to - from ? skip : to - from;
			uint8_t *p;

			skip -= dropped;
			from += dropped;
			p = fuzz_exact(bytes + from, to - from);
			n = from < to ? take(run, p, to - from, &skip, &is_over) : 0;
			free(p);
			from += n;
			if (n == 0)
				break;
		}
	}
}

static void read_short(const uint8_t *bytes, uint32_t len)
{
	uint8_t *const p = calloc(1, len + MC_GET_BEHIND);
	struct mc_request r;
	struct mc_mget g;
	uint32_t key_len;

	FUZZ_NEED(p != NULL, "no memory");
	memcpy(p, bytes, len);
	key_len = mc_get_parse(p, len);
	if (key_len > 0)
		FUZZ_CHECK(mc_parse(&r, p, len, datagram.limits) == MC_OK && r.verb == MC_GET
				&& r.consumed == len && r.key == p + MC_GET_WORD
				&& r.key_len == key_len && !mc_next_key(&r),
			"not a get of one key");
	mc_mget_parse(&g, p, len);
	if (g.key_len > 0)
		FUZZ_CHECK(mc_parse(&r, p, len, datagram.limits) == MC_OK && r.verb == MC_META_GET
				&& r.consumed == len && r.has == 0 && r.key == g.key
				&& r.key_len == g.key_len && r.is_quiet == g.is_quiet
				&& r.opaque_len == g.opaque_len,
			"not a look at one key");
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint32_t value_max = fuzz_u8(&in);
	const uint32_t n_sink = 1 + fuzz_u8(&in) % SINK_MAX;
	const uint32_t seed = fuzz_u8(&in);
	const struct mc_limits stream = {value_max, false}, packet = {value_max, true};
	size_t left = in.left < ROOM ? in.left : ROOM;
	const uint8_t *const bytes = fuzz_take(&in, &left);
	const uint32_t len = (uint32_t)left;

	whole.limits = pieces.limits = &stream;
	datagram.limits = &packet;
	whole.n_sink = 0;
	pieces.n_sink = datagram.n_sink = n_sink;
	whole.n = pieces.n = datagram.n = 0;
	if (len <= SAME_MAX) {
		read_whole(&whole, bytes, len);
		read_pieces(&pieces, bytes, len, seed);
		FUZZ_CHECK(whole.n == pieces.n, "%u requests, in pieces %u", whole.n, pieces.n);
		for (unsigned i = 0; i < whole.n; i++)
			FUZZ_CHECK(whole.events[i] == pieces.events[i],
				"request %u is another in pieces", i);
	} else {
		read_whole(&whole, bytes, len < WHOLE_MAX ? len : WHOLE_MAX);
	}
	read_whole(&datagram, bytes, len < SAME_MAX ? len : SAME_MAX);
	FUZZ_CHECK(len == 0 || datagram.n > 0, "a datagram is waited for");
	read_short(bytes, len < SAME_MAX ? len : SAME_MAX);
	return 0;
}
