/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc — what memcached's protocols (text with its meta commands, binary) have in common: a request as it was read, what became of
 * it, and where the answer is written. Codecs are pure functions: bytes in and one request out, a result in and bytes out. They
 * know no cache, no socket, and nothing of how bytes come. Source: memcached's doc/protocol.txt and
 * doc/protocol-binary.xml, version 1.6.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MC_KEY_MAX 250u
#define MC_OPAQUE_MAX 32u /* bytes of a meta command's opaque token, its O with them */
/* Bytes without an end of line that are waited on; a get's line may be longer, as the caller's room allows. */
#define MC_LINE_MAX 2048u

enum mc_protocol { MC_TEXT, MC_META, MC_BINARY };

enum mc_verb {
	MC_GET, /* get, gets, binary get: of the key, then of each that mc_next_key() finds */
	MC_GAT, /* the same, and a new time of expiry */
	MC_SET,
	MC_ADD,
	MC_REPLACE,
	MC_APPEND,
	MC_PREPEND,
	MC_CAS,
	MC_DELETE,
	MC_INCR,
	MC_DECR,
	MC_TOUCH,
	MC_FLUSH_ALL,
	MC_VERSION,
	MC_VERBOSITY, /* answered, and nothing else */
	MC_STATS,     /* key: what of, may be empty; more: further words */
	MC_QUIT,
	MC_NOOP,
	MC_META_GET,
	MC_META_SET, /* mode says which */
	MC_META_DELETE,
	MC_META_ARITH, /* mode: MC_INCR or MC_DECR */
	MC_META_DEBUG,
};

/* How reading ended. `consumed` says how many bytes it was about. */
enum mc_status {
	MC_OK,
	MC_MORE,  /* the request goes on behind these bytes; nothing is consumed */
	MC_ERROR, /* it is answered with `error` (mc_reply_error()) and not executed */
	/* These bytes are no request at all, and where the next one begins is not known. An `error` (binary) is answered first. */
	MC_BAD,
};

/* Why a request is not executed. */
enum mc_error {
	MC_E_NONE,
	MC_E_COMMAND, /* no such command, or not that many words */
	MC_E_LINE,    /* a key, number or length that is none */
	MC_E_USAGE,   /* of delete */
	MC_E_EXPTIME,
	MC_E_DELTA,
	MC_E_DATA,      /* the value does not end where it should */
	MC_E_TOO_LARGE, /* verb, mode and key are set: memcached deletes what a set fails to replace */
	MC_E_TOKEN,     /* from here on of meta commands: a flag's number is none */
	MC_E_DUPLICATE,
	MC_E_FLAG,
	MC_E_ANY_FLAG, /* md and ma do not say what is wrong with their flags */
	MC_E_N_FLAGS,
	MC_E_N_FLAGS_GET,
	MC_E_OPAQUE,
	MC_E_BASE64,
	MC_E_MODE_LEN,
	MC_E_MODE_SET,
	MC_E_MODE_ARITH,
	MC_E_INITIAL,
	MC_E_META_DELTA,
	MC_E_SHUTDOWN,
	MC_E_N_TEXT, /* the binary protocol's own may begin here */
};

/* What a meta command's answer shall show, in this order of bits; the order in which it shows them is the request's. */
#define MC_SHOW_CAS 0x0001u    /* c */
#define MC_SHOW_FLAGS 0x0002u  /* f */
#define MC_SHOW_KEY 0x0004u    /* k */
#define MC_SHOW_OPAQUE 0x0008u /* O */
#define MC_SHOW_SIZE 0x0010u   /* s */
#define MC_SHOW_TTL 0x0020u    /* t */
#define MC_SHOW_VALUE 0x0040u  /* v */

/* Which optional fields of a request are there. */
#define MC_HAS_EXPTIME 0x01u /* T of mg, md, ma */
#define MC_HAS_VIVIFY 0x02u  /* N */
#define MC_HAS_RECACHE 0x04u /* R */
#define MC_HAS_CAS 0x08u     /* C: compared even if it is 0 */
#define MC_INVALIDATE 0x10u  /* I */
#define MC_DROP_VALUE 0x20u  /* x of md */
#define MC_BASE64 0x40u      /* b: the key came, and goes, as base64 */

struct mc_request {
	uint8_t protocol; /* enum mc_protocol */
	uint8_t verb;     /* enum mc_verb */
	uint8_t mode;     /* enum mc_verb of a meta set or arithmetic */
	uint8_t has;      /* MC_HAS_… */
	bool is_quiet; /* noreply, q, a quiet opcode: what it then still answers is the codec's affair */
	bool shows_cas; /* gets, gats, binary */
	uint8_t opcode; /* binary */
	uint8_t key_len;
	uint16_t show; /* MC_SHOW_… */
	uint8_t opaque_len, n_tokens;
	const uint8_t *key;             /* in the input, or in key_bytes */
	const uint8_t *more, *more_end; /* further keys of a get, as they came */
	const uint8_t *tokens;          /* a meta command's flags as they came, n_tokens of them */
	const uint8_t *opaque;          /* in the input; binary: four bytes */
	const uint8_t *value;
	uint32_t value_len;
	uint32_t consumed;
	/* MC_ERROR: so many bytes behind the consumed ones belong to it as well, and are to be dropped as they come. MC_MORE: so many
	 * are missing; 0: that is not known yet. */
	uint32_t swallow;
	uint32_t flags;
	int64_t exptime; /* memcached's: 0 never, negative at once, ≤ 30 days relative, else Unix time */
	int64_t vivify, recache; /* seconds, with MC_HAS_… */
	uint64_t cas;            /* to be compared; 0 without MC_HAS_CAS: it is not */
	uint64_t new_cas;        /* E; 0: none given */
	uint64_t delta, initial; /* of arithmetic; initial with MC_HAS_VIVIFY */
	uint32_t tokens_len;
	uint16_t error;                /* enum mc_error, with MC_ERROR */
	uint8_t key_bytes[MC_KEY_MAX]; /* a key that came as base64 */
};

/* What became of a request, or of one key of it. */
enum mc_outcome {
	MC_HIT,  /* also what a meta get with N has made: empty, and won */
	MC_MISS, /* of a get */
	MC_STORED, /* also: touched, counted, deleted, flushed, figures reset: what was asked for has been done */
	MC_NOT_STORED,
	MC_EXISTS,
	MC_NOT_FOUND, /* of MC_STATS: there are no such figures */
	MC_TOO_LARGE,
	MC_NO_MEMORY,
	MC_NOT_NUMBER,
};

struct mc_result {
	uint8_t outcome; /* enum mc_outcome */
	bool is_won;     /* W: this client is to fetch it anew */
	bool is_stale;   /* X */
	bool is_taken;   /* Z: another client is about it */
	uint32_t flags;
	int32_t ttl; /* seconds; -1: never expires */
	uint32_t value_len;
	const uint8_t *value;
	uint64_t cas;
	uint64_t number; /* of arithmetic */
};

#define MC_OUT_REFER_MIN 8192u /* bytes: fewer are copied sooner than referred to */

/* Where an answer goes: room, and what makes more of it. Bytes are cut anywhere. */
struct mc_out {
	uint8_t *p, *end;
	/* There is no room left: sets p and end anew. false: there is none, and the answer is cut off (is_full). */
	bool (*grow)(struct mc_out *out);
	bool is_full;
	/* NULL: there is none. Room has ended within these bytes: how many of them went on their way without being copied, which stay as
	 * they are until the caller's next quiescent report; 0: none. Sets p and end anew. */
	uint32_t (*refer)(struct mc_out *out, const uint8_t *p, uint32_t len);
};

struct mc_limits {
	uint32_t value_max;
	bool is_datagram; /* a value that is not whole is an error; nothing follows */
};

void mc_out_grow(struct mc_out *out, const void *data, uint32_t len);

/* Hot. */
static inline void mc_put(struct mc_out *out, const void *data, uint32_t len)
{
	if (__builtin_expect((uint64_t)(out->end - out->p) < len, 0)) {
		mc_out_grow(out, data, len);
		return;
	}
	memcpy(out->p, data, len);
	out->p += len;
}

/* Reads the request that begins at p, by its first byte text, meta or binary. Pointers of *r are into the bytes, or into *r, which is not
 * to be copied. With MC_MORE nothing of it but `consumed` and `swallow` means anything. Hot. */
enum mc_status mc_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits);

/* The same for a connection that has begun with text: a byte that begins binary requests begins none there. Hot. */
enum mc_status mc_parse_text(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits);

/* MC_GET, MC_GAT: r->key, the first one so far, becomes the next key; false: there is none. They have been checked. Hot. */
bool mc_next_key(struct mc_request *r);

/* Writes the answer: of a get to each key, and mc_reply_end() after the last one; of anything else once. Hot. */
void mc_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result);
void mc_reply_end(struct mc_out *out, const struct mc_request *r);

/* To what ended with MC_ERROR. */
void mc_reply_error(struct mc_out *out, const struct mc_request *r);

/* MC_VERSION, and MC_STATS: one figure after the other, then mc_reply_end(); or mc_reply() alone, of a reset or of nothing. */
void mc_reply_version(struct mc_out *out, const struct mc_request *r, const char *version);
void mc_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value);
