/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_binary — see mc_binary.h.
 *
 *     0x80 | opcode 1 | key length 2 | extras length 1 | data type 1 | vbucket 2 | body length 4 | opaque 4 | cas 8
 *     extras | key | value            the body; all three may be empty
 *
 * An answer begins with 0x81, and has a status where a request has its vbucket. What an opcode is, and which of the three parts it
 * must have, is one row of a table; a request is read by comparing its header with that row. Three lengths come from the wire: the
 * key's and the extras' are small enough not to overflow when added, the body's is compared before anything is added to it.
 *
 * Not looked at, for memcached 1.6.18 does not either: data type and vbucket. Opcodes that its description has and it has not
 * (verbosity, SASL where that is not in use) are unknown here too. It reads wrongly in two places, which is not followed: behind an
 * unknown opcode it skips key and extras twice, and what is behind the key of a touch, gat or stat it takes for the next request.
 */
#include "proto/mc_binary.h"

#include <stddef.h>

#define HEADER 24u
#define MAGIC_REQUEST 0x80u
#define MAGIC_RESPONSE 0x81u
#define NO_VIVIFY 0xffffffffu /* as the expiration of arithmetic: what is not there is not made */

/* Status of an answer. As mc_request.error it is behind those of text, but for S_TOO_LARGE, which is MC_E_TOO_LARGE. */
#define S_OK 0x00u
#define S_NOT_FOUND 0x01u
#define S_EXISTS 0x02u
#define S_TOO_LARGE 0x03u
#define S_INVALID 0x04u
#define S_NOT_STORED 0x05u
#define S_NOT_NUMBER 0x06u
#define S_UNKNOWN 0x81u
#define S_NO_MEMORY 0x82u

/* What an opcode is. */
#define O_KNOWN 0x01u
#define O_QUIET 0x02u
#define O_KEY 0x04u        /* has one */
#define O_MAY_KEY 0x08u    /* may have one */
#define O_VALUE 0x10u      /* may have one */
#define O_CAS 0x20u        /* the header's is compared */
#define O_ECHO 0x40u       /* the answer has the key */
#define O_MAY_EXTRAS 0x80u /* extras may be left out */

struct opcode {
	uint8_t verb;
	uint8_t n_extras; /* bytes */
	uint8_t is;       /* O_… */
};

#define STORES (O_KNOWN | O_KEY | O_VALUE | O_CAS)
#define COUNTS (O_KNOWN | O_KEY | O_CAS)
#define READS (O_KNOWN | O_KEY)

static const struct opcode opcodes[] = {
	[0x00] = {MC_GET, 0, READS},
	[0x01] = {MC_SET, 8, STORES},
	[0x02] = {MC_ADD, 8, STORES},
	[0x03] = {MC_REPLACE, 8, STORES},
	[0x04] = {MC_DELETE, 0, COUNTS},
	[0x05] = {MC_INCR, 20, COUNTS},
	[0x06] = {MC_DECR, 20, COUNTS},
	[0x07] = {MC_QUIT, 0, O_KNOWN},
	[0x08] = {MC_FLUSH_ALL, 4, O_KNOWN | O_MAY_EXTRAS},
	[0x09] = {MC_GET, 0, READS | O_QUIET},
	[0x0a] = {MC_NOOP, 0, O_KNOWN},
	[0x0b] = {MC_VERSION, 0, O_KNOWN},
	[0x0c] = {MC_GET, 0, READS | O_ECHO},
	[0x0d] = {MC_GET, 0, READS | O_ECHO | O_QUIET},
	[0x0e] = {MC_APPEND, 0, STORES},
	[0x0f] = {MC_PREPEND, 0, STORES},
	[0x10] = {MC_STATS, 0, O_KNOWN | O_MAY_KEY},
	[0x11] = {MC_SET, 8, STORES | O_QUIET},
	[0x12] = {MC_ADD, 8, STORES | O_QUIET},
	[0x13] = {MC_REPLACE, 8, STORES | O_QUIET},
	[0x14] = {MC_DELETE, 0, COUNTS | O_QUIET},
	[0x15] = {MC_INCR, 20, COUNTS | O_QUIET},
	[0x16] = {MC_DECR, 20, COUNTS | O_QUIET},
	[0x17] = {MC_QUIT, 0, O_KNOWN | O_QUIET},
	[0x18] = {MC_FLUSH_ALL, 4, O_KNOWN | O_MAY_EXTRAS | O_QUIET},
	[0x19] = {MC_APPEND, 0, STORES | O_QUIET},
	[0x1a] = {MC_PREPEND, 0, STORES | O_QUIET},
	[0x1c] = {MC_TOUCH, 4, READS},
	[0x1d] = {MC_GAT, 4, READS},
	[0x1e] = {MC_GAT, 4, READS | O_QUIET},
	[0x23] = {MC_GAT, 4, READS | O_ECHO},
	[0x24] = {MC_GAT, 4, READS | O_ECHO | O_QUIET},
};

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) << 16 | load16(p + 2);
}

static inline uint64_t load64(const uint8_t *p)
{
	return (uint64_t)load32(p) << 32 | load32(p + 4);
}

static inline void store16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void store32(uint8_t *p, uint32_t v)
{
	store16(p, (uint16_t)(v >> 16));
	store16(p + 2, (uint16_t)v);
}

static inline void store64(uint8_t *p, uint64_t v)
{
	store32(p, (uint32_t)(v >> 32));
	store32(p + 4, (uint32_t)v);
}

/* An unknown one has no O_KNOWN. */
static inline struct opcode opcode_of(uint8_t code)
{
	static const struct opcode none;

	return code < sizeof(opcodes) / sizeof(*opcodes) ? opcodes[code] : none;
}

/* consumed is the whole request by now, whatever of it is there. */
static enum mc_status answer(
	struct mc_request *r, uint16_t error, uint32_t len, const struct mc_limits *limits)
{
	r->error = error;
	if (r->consumed > len) {
		r->swallow = limits->is_datagram ? 0 : r->consumed - len;
		r->consumed = len;
	}
	return MC_ERROR;
}

/* The header contradicts itself, or its opcode: nobody knows what the bytes behind it are. */
static enum mc_status refuse(
	struct mc_request *r, uint16_t status, uint32_t len, const struct mc_limits *limits)
{
	r->error = (uint16_t)(MC_E_N_TEXT + status);
	r->consumed = len;
	return limits->is_datagram ? MC_ERROR : MC_BAD;
}

/* The rest is on its way; in a datagram it is not. */
static enum mc_status more(struct mc_request *r, uint32_t len, const struct mc_limits *limits)
{
	if (limits->is_datagram)
		return refuse(r, S_INVALID, len, limits);
	r->swallow = r->consumed - len;
	r->consumed = 0;
	return MC_MORE;
}

static inline bool has_shape(struct opcode o, uint32_t n_extras, uint32_t n_key, uint32_t n_value)
{
	if (n_extras != o.n_extras && !((o.is & O_MAY_EXTRAS) && n_extras == 0))
		return false;
	if (n_key == 0 ? (o.is & O_KEY) : !(o.is & (O_KEY | O_MAY_KEY)))
		return false;
	return n_value == 0 || (o.is & O_VALUE);
}

/* p[0..n): those of the opcode, or none where they may be left out. */
static void read_extras(struct mc_request *r, const uint8_t *p, uint32_t n)
{
	if (n == 0)
		return;
	switch (r->verb) {
	case MC_SET:
	case MC_ADD:
	case MC_REPLACE:
		r->flags = load32(p);
		r->exptime = load32(p + 4);
		break;
	case MC_INCR:
	case MC_DECR:
		r->delta = load64(p);
		r->initial = load64(p + 8);
		if (load32(p + 16) != NO_VIVIFY) {
			r->has |= MC_HAS_VIVIFY;
			r->vivify = load32(p + 16);
		}
		break;
	case MC_FLUSH_ALL:
	case MC_TOUCH:
	case MC_GAT:
		r->exptime = load32(p);
		break;
	}
}

enum mc_status mc_binary_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits)
{
	uint32_t n_key, n_extras, n_body;
	struct opcode o;

	memset(r, 0, offsetof(struct mc_request, key_bytes));
	r->protocol = MC_BINARY;
	if (len < HEADER || p[0] != MAGIC_REQUEST) {
		/* too little to be answered: there is no opaque */
		const bool is_begun = len == 0 || p[0] == MAGIC_REQUEST;

		r->consumed = is_begun && !limits->is_datagram ? 0 : len;
		return is_begun && !limits->is_datagram ? MC_MORE : MC_BAD;
	}
	r->opcode = p[1];
	r->opaque = p + 12;
	r->opaque_len = 4;
	n_key = load16(p + 2);
	n_extras = p[4];
	n_body = load32(p + 8);
	if (n_key + n_extras > n_body || n_body > UINT32_MAX - HEADER)
		return refuse(r, S_UNKNOWN, len, limits);
	if (n_key > MC_KEY_MAX)
		return refuse(r, S_INVALID, len, limits);
	r->consumed = HEADER + n_body;
	o = opcode_of(p[1]);
	if (!(o.is & O_KNOWN))
		return answer(r, MC_E_N_TEXT + S_UNKNOWN, len, limits);
	r->value_len = n_body - n_key - n_extras;
	if (!has_shape(o, n_extras, n_key, r->value_len))
		return refuse(r, S_INVALID, len, limits);
	if (len < HEADER + n_extras + n_key)
		return more(r, len, limits);
	r->verb = o.verb;
	r->is_quiet = o.is & O_QUIET;
	r->shows_cas = true;
	r->show = o.is & O_ECHO ? MC_SHOW_KEY : 0;
	r->key = p + HEADER + n_extras;
	r->key_len = (uint8_t)n_key;
	if (o.is & O_CAS)
		r->cas = load64(p + 16);
	read_extras(r, p + HEADER, n_extras);
	if (r->value_len > limits->value_max)
		return answer(r, MC_E_TOO_LARGE, len, limits);
	if (len < r->consumed)
		return more(r, len, limits);
	r->value = r->key + n_key;
	if (r->cas != 0 && (r->verb == MC_SET || r->verb == MC_ADD || r->verb == MC_REPLACE))
		r->verb = MC_CAS;
	return MC_OK;
}

/* What is in front of every answer's body. */
struct head {
	uint8_t bytes[HEADER + 8]; /* and room for extras, or a number */
};

static inline void build_head(struct head *h, const struct mc_request *r, uint16_t status)
{
	uint8_t *p = h->bytes;

	memset(p, 0, HEADER);
	p[0] = MAGIC_RESPONSE;
	p[1] = r->opcode;
	store16(p + 6, status);
	memcpy(p + 12, r->opaque, 4);
}

static inline void put_lengths(struct head *h, uint32_t n_extras, uint32_t n_key, uint32_t n_value)
{
	store16(h->bytes + 2, (uint16_t)n_key);
	h->bytes[4] = (uint8_t)n_extras;
	store32(h->bytes + 8, n_extras + n_key + n_value);
}

static inline void put_cas(struct head *h, uint64_t cas)
{
	store64(h->bytes + 16, cas);
}

/* Words of memcached; clients show them. */
static const char *words_of(uint16_t status)
{
	switch (status) {
	case S_NOT_FOUND:
		return "Not found";
	case S_EXISTS:
		return "Data exists for key.";
	case S_TOO_LARGE:
		return "Too large.";
	case S_NOT_STORED:
		return "Not stored.";
	case S_NOT_NUMBER:
		return "Non-numeric server-side value for incr or decr";
	case S_UNKNOWN:
		return "Unknown command";
	case S_NO_MEMORY:
		return "Out of memory";
	default:
		return "Invalid arguments";
	}
}

static void put_error(struct mc_out *out, const struct mc_request *r, uint16_t status)
{
	const char *words = words_of(status);
	const uint32_t n = (uint32_t)strlen(words);
	struct head h;

	build_head(&h, r, status);
	put_lengths(&h, 0, 0, n);
	mc_put(out, h.bytes, HEADER);
	mc_put(out, words, n);
}

static void put_empty(struct mc_out *out, const struct mc_request *r, uint64_t cas)
{
	struct head h;

	build_head(&h, r, S_OK);
	put_cas(&h, cas);
	mc_put(out, h.bytes, HEADER);
}

static void put_hit(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	const uint32_t n_key = r->show & MC_SHOW_KEY ? r->key_len : 0;
	const uint32_t n_value = r->verb == MC_TOUCH ? 0 : result->value_len;
	struct head h;

	build_head(&h, r, S_OK);
	put_lengths(&h, 4, n_key, n_value);
	put_cas(&h, result->cas);
	store32(h.bytes + HEADER, result->flags);
	mc_put(out, h.bytes, HEADER + 4);
	if (n_key > 0)
		mc_put(out, r->key, n_key);
	if (n_value > 0)
		mc_put(out, result->value, n_value);
}

/* A key that was asked to be shown is, instead of words. */
static void put_miss(struct mc_out *out, const struct mc_request *r)
{
	struct head h;

	if (!(r->show & MC_SHOW_KEY)) {
		put_error(out, r, S_NOT_FOUND);
		return;
	}
	build_head(&h, r, S_NOT_FOUND);
	put_lengths(&h, 0, r->key_len, 0);
	mc_put(out, h.bytes, HEADER);
	mc_put(out, r->key, r->key_len);
}

static void put_number(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	struct head h;

	build_head(&h, r, S_OK);
	put_lengths(&h, 0, 0, 8);
	put_cas(&h, result->cas);
	store64(h.bytes + HEADER, result->number);
	mc_put(out, h.bytes, HEADER + 8);
}

/* It has been done. A touched item's answer is that of a read one, and no opcode that touches alone is quiet. */
static void put_done(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	if (r->is_quiet)
		return;
	switch (r->verb) {
	case MC_TOUCH:
		put_hit(out, r, result);
		break;
	case MC_INCR:
	case MC_DECR:
		put_number(out, r, result);
		break;
	case MC_DELETE: /* no item any more whose cas it could be */
	case MC_FLUSH_ALL:
	case MC_NOOP:
	case MC_QUIT:
		put_empty(out, r, 0);
		break;
	default:
		put_empty(out, r, result->cas);
	}
}

/* An add that found its key, and a replace that did not, say so; an append or prepend does not say which it was, nor that the whole
 * would have been too large. */
static uint16_t status_of(const struct mc_request *r, uint8_t outcome)
{
	switch (outcome) {
	case MC_NOT_STORED:
		return r->verb == MC_ADD        ? S_EXISTS
			: r->verb == MC_REPLACE ? S_NOT_FOUND
						: S_NOT_STORED;
	case MC_EXISTS:
		return S_EXISTS;
	case MC_TOO_LARGE:
		return r->verb == MC_APPEND || r->verb == MC_PREPEND ? S_NOT_STORED : S_TOO_LARGE;
	case MC_NO_MEMORY:
		return S_NO_MEMORY;
	case MC_NOT_NUMBER:
		return S_NOT_NUMBER;
	default:
		return S_NOT_FOUND;
	}
}

void mc_binary_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	switch (result->outcome) {
	case MC_HIT:
		put_hit(out, r, result);
		break;
	case MC_MISS:
		if (!r->is_quiet)
			put_miss(out, r);
		break;
	case MC_STORED:
		put_done(out, r, result);
		break;
	default:
		put_error(out, r, status_of(r, result->outcome));
	}
}

void mc_binary_reply_end(struct mc_out *out, const struct mc_request *r)
{
	if (r->verb == MC_STATS)
		put_empty(out, r, 0);
}

void mc_binary_reply_error(struct mc_out *out, const struct mc_request *r)
{
	put_error(out, r,
		r->error == MC_E_TOO_LARGE ? S_TOO_LARGE : (uint16_t)(r->error - MC_E_N_TEXT));
}

void mc_binary_reply_version(struct mc_out *out, const struct mc_request *r, const char *version)
{
	const uint32_t n = (uint32_t)strlen(version);
	struct head h;

	build_head(&h, r, S_OK);
	put_lengths(&h, 0, 0, n);
	mc_put(out, h.bytes, HEADER);
	mc_put(out, version, n);
}

void mc_binary_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value)
{
	const uint32_t n_name = (uint32_t)strlen(name), n_value = (uint32_t)strlen(value);
	struct head h;

	build_head(&h, r, S_OK);
	put_lengths(&h, 0, n_name, n_value);
	mc_put(out, h.bytes, HEADER);
	mc_put(out, name, n_name);
	mc_put(out, value, n_value);
}
