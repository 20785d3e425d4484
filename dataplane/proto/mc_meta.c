/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_meta — memcached's meta commands: two letters, a key, and flags, which are words that begin with a letter. Called
 * by the text codec, for each request.
 *
 * As in memcached there is one set of flags: what means nothing to a command is still read, checked and then ignored.
 * Which flags an answer shows depends on the command and on what became of it; their order is the request's, for which
 * its words are walked once more, unless the value is all that is asked for.
 *
 * h (has it been hit) and l (when was it last) of a get are refused as flags that do not exist: the cache keeps neither,
 * and a made-up answer would have clients fetch anew what they need not.
 */
#include "proto/mc_pvt.h"

enum {
	FLAGS_MAX = 17, /* one less in a set, whose length counts */
	HEAD_MAX = 512, /* a status, a size, each flag once, a key as base64 */
	ASCII_MAX = 126,
};

struct flags {
	uint32_t n;
	enum mc_error error;
	uint8_t mode; /* a letter; 0: none given */
	bool is_opaque_long;
};

/* --- base64 (RFC 4648, section 4) --- */

/* −1: the character is none of the 64. */
static int sextet_of(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The key, n bytes of base64, becomes what it stands for. Bits behind its last byte may be set, as in memcached. */
static enum mc_error take_base64(struct mc_request *r)
{
	const uint8_t *const p = r->key;
	const uint32_t n = r->key_len;
	const uint32_t n_pads = n == 0 || n % 4 != 0 || p[n - 1] != '=' ? 0
		: p[n - 2] == '='                                       ? 2
									: 1;
	uint32_t bits = 0, len = 0;

	if (n == 0 || n % 4 != 0)
		return MC_E_BASE64;
	for (uint32_t i = 0; i < n - n_pads; i++) {
		const int sextet = sextet_of(p[i]);

		if (sextet < 0)
			return MC_E_BASE64;
		bits = bits << 6 | (uint32_t)sextet;
		if (i % 4 != 0)
			r->key_bytes[len++] = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	r->key = r->key_bytes;
	r->key_len = (uint8_t)len;
	r->has |= MC_BASE64;
	return MC_E_NONE;
}

static uint8_t *put_base64(uint8_t *to, const uint8_t *p, uint32_t n)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; n > 0; p += 3) {
		const uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0)
			| (n > 2 ? p[2] : 0);

		*to++ = (uint8_t)alphabet[bits >> 18];
		*to++ = (uint8_t)alphabet[bits >> 12 & 63];
		*to++ = (uint8_t)(n > 1 ? alphabet[bits >> 6 & 63] : '=');
		*to++ = (uint8_t)(n > 2 ? alphabet[bits & 63] : '=');
		n -= n > 3 ? 3 : n;
	}
	return to;
}

/* --- flags --- */

static uint16_t show_of(uint8_t letter)
{
	switch (letter) {
	case 'c':
		return MC_SHOW_CAS;
	case 'f':
		return MC_SHOW_FLAGS;
	case 'k':
		return MC_SHOW_KEY;
	case 'O':
		return MC_SHOW_OPAQUE;
	case 's':
		return MC_SHOW_SIZE;
	case 't':
		return MC_SHOW_TTL;
	case 'v':
		return MC_SHOW_VALUE;
	default:
		return 0;
	}
}

static enum mc_error take_seconds(
	struct mc_request *r, const struct mc_word *w, int64_t *to, uint8_t has)
{
	r->has |= has;
	return mc_number_signed(w->p + 1, w->len - 1, to) ? MC_E_NONE : MC_E_TOKEN;
}

static enum mc_error take_number(const struct mc_word *w, uint64_t *to, enum mc_error error)
{
	return mc_number(w->p + 1, w->len - 1, to) ? MC_E_NONE : error;
}

static enum mc_error take_client_flags(struct mc_request *r, const struct mc_word *w)
{
	uint64_t flags;

	if (!mc_number(w->p + 1, w->len - 1, &flags) || flags > UINT32_MAX)
		return MC_E_LINE;
	r->flags = (uint32_t)flags;
	return MC_E_NONE;
}

static enum mc_error take_flag(struct mc_request *r, struct flags *f, const struct mc_word *w)
{
	switch (w->p[0]) {
	case 'b':
		return take_base64(r);
	case 'q':
		r->is_quiet = true;
		return MC_E_NONE;
	case 'N':
		return take_seconds(r, w, &r->vivify, MC_HAS_VIVIFY);
	case 'T':
		return take_seconds(r, w, &r->exptime, MC_HAS_EXPTIME);
	case 'R':
		return take_seconds(r, w, &r->recache, MC_HAS_RECACHE);
	case 'C':
		r->has |= MC_HAS_CAS;
		return take_number(w, &r->cas, MC_E_TOKEN);
	case 'E':
		return take_number(w, &r->new_cas, MC_E_TOKEN);
	case 'D':
		return take_number(w, &r->delta, MC_E_META_DELTA);
	case 'J':
		return take_number(w, &r->initial, MC_E_INITIAL);
	case 'F':
		return take_client_flags(r, w);
	case 'I':
		r->has |= MC_INVALIDATE;
		return MC_E_NONE;
	case 'x':
		r->has |= MC_DROP_VALUE;
		return MC_E_NONE;
	case 'M':
		f->mode = w->len == 2 ? w->p[1] : 0;
		return w->len == 2 ? MC_E_NONE : MC_E_MODE_LEN;
	case 'h':
	case 'l':
		return r->verb == MC_META_GET ? MC_E_FLAG : MC_E_NONE;
	case 'u': /* do not count this use: a hint to a policy */
	case 'P': /* of proxies, to each other */
	case 'L':
		return MC_E_NONE;
	default:
		return MC_E_FLAG;
	}
}

static enum mc_error take_shown(
	struct mc_request *r, struct flags *f, const struct mc_word *w, uint16_t show)
{
	r->show |= show;
	if (show == MC_SHOW_OPAQUE) {
		f->is_opaque_long = w->len > MC_OPAQUE_MAX;
		r->opaque = w->p + 1;
		r->opaque_len = f->is_opaque_long ? 0 : (uint8_t)(w->len - 1);
	}
	return MC_E_NONE;
}

/* Of several errors memcached reports the last; but none after a flag that it does not know or has seen. */
static void take_flags(struct mc_request *r, struct flags *f, const uint8_t *p, const uint8_t *end)
{
	uint64_t seen[2] = {0, 0};
	bool is_over = false;
	struct mc_word w;

	*f = (struct flags){0};
	while (p < end && *p == ' ')
		p++;
	r->tokens = p;
	r->tokens_len = (uint32_t)(end - p);
	for (; mc_word(&w, &p, end); f->n++) {
		const uint8_t letter = w.p[0];
		enum mc_error error = MC_E_DUPLICATE;

		if (is_over)
			continue;
		if (letter <= ASCII_MAX && (seen[letter / 64] >> letter % 64 & 1) == 0) {
			const uint16_t show = show_of(letter);

			seen[letter / 64] |= UINT64_C(1) << letter % 64;
			error = show != 0 ? take_shown(r, f, &w, show) : take_flag(r, f, &w);
		}
		is_over = error == MC_E_DUPLICATE || error == MC_E_FLAG;
		if (error != MC_E_NONE && (error != MC_E_LINE || f->error == MC_E_NONE))
			f->error = error;
	}
	r->n_tokens = (uint8_t)(f->n <= FLAGS_MAX ? f->n : 0);
}

/* --- commands --- */

static enum mc_status parse_get(struct mc_request *r, const uint8_t *at, const uint8_t *end)
{
	struct flags f;

	take_flags(r, &f, at, end);
	if (f.n > FLAGS_MAX)
		return mc_fail(r, MC_E_N_FLAGS_GET);
	if (f.error != MC_E_NONE)
		return mc_fail(r, f.error);
	return f.is_opaque_long ? mc_fail(r, MC_E_OPAQUE) : MC_OK;
}

/* 0: there is no such mode. memcached 1.6.18 knows capitals only, later ones both. */
static uint8_t set_mode_of(uint8_t letter)
{
	switch (letter) {
	case 0:
	case 'S':
	case 's':
		return MC_SET;
	case 'E':
	case 'e':
		return MC_ADD;
	case 'A':
	case 'a':
		return MC_APPEND;
	case 'P':
	case 'p':
		return MC_PREPEND;
	case 'R':
	case 'r':
		return MC_REPLACE;
	default:
		return 0;
	}
}

static uint8_t arith_mode_of(uint8_t letter)
{
	switch (letter) {
	case 0:
	case 'I':
	case 'i':
	case '+':
		return MC_INCR;
	case 'D':
	case 'd':
	case '-':
		return MC_DECR;
	default:
		return 0;
	}
}
_Static_assert(MC_SET != 0 && MC_INCR != 0, "0 is no mode");

/* Where the length is one, the value is passed over whatever is wrong with the flags. */
static enum mc_status parse_set(
	struct mc_request *r, const uint8_t *at, const uint8_t *end, const struct mc_input *in)
{
	struct mc_word size;
	struct flags f;
	uint64_t n;

	if (!mc_word(&size, &at, end))
		return mc_fail(r, MC_E_LINE);
	take_flags(r, &f, at, end);
	if (f.n >= FLAGS_MAX)
		return mc_fail(r, MC_E_N_FLAGS);
	if (!mc_number(size.p, size.len, &n) || n > MC_VALUE_MAX)
		return mc_fail(r, MC_E_LINE);
	r->mode = set_mode_of(f.mode);
	r->show &= MC_SHOW_CAS | MC_SHOW_KEY | MC_SHOW_OPAQUE;
	if (f.error == MC_E_NONE && r->mode == 0)
		f.error = MC_E_MODE_SET;
	if (f.error == MC_E_NONE && f.is_opaque_long)
		f.error = MC_E_OPAQUE;
	if (f.error != MC_E_NONE)
		return mc_text_skip(r, in, (uint32_t)n, f.error);
	return mc_text_value(r, in, (uint32_t)n);
}

static enum mc_status parse_delete(struct mc_request *r, const uint8_t *at, const uint8_t *end)
{
	struct flags f;

	take_flags(r, &f, at, end);
	if (f.n > FLAGS_MAX)
		return mc_fail(r, MC_E_N_FLAGS);
	if (f.error != MC_E_NONE)
		return mc_fail(r, MC_E_ANY_FLAG);
	r->show &= MC_SHOW_KEY | MC_SHOW_OPAQUE;
	return f.is_opaque_long ? mc_fail(r, MC_E_OPAQUE) : MC_OK;
}

static enum mc_status parse_arith(struct mc_request *r, const uint8_t *at, const uint8_t *end)
{
	struct flags f;

	r->delta = 1;
	take_flags(r, &f, at, end);
	if (f.n > FLAGS_MAX)
		return mc_fail(r, MC_E_N_FLAGS);
	if (f.error != MC_E_NONE)
		return mc_fail(r, MC_E_ANY_FLAG);
	r->mode = arith_mode_of(f.mode);
	if (r->mode == 0)
		return mc_fail(r, MC_E_MODE_ARITH);
	r->show &= MC_SHOW_CAS | MC_SHOW_KEY | MC_SHOW_OPAQUE | MC_SHOW_TTL | MC_SHOW_VALUE;
	return f.is_opaque_long ? mc_fail(r, MC_E_OPAQUE) : MC_OK;
}

/* It has no flags but b, and that only where the first one stands. */
static enum mc_status parse_debug(struct mc_request *r, const uint8_t *at, const uint8_t *end)
{
	struct mc_word w;

	if (!mc_word(&w, &at, end) || !mc_word_is(&w, "b", 1))
		return MC_OK;
	return take_base64(r) == MC_E_NONE ? MC_OK : mc_fail(r, MC_E_LINE);
}

enum mc_status mc_meta_parse(struct mc_request *r, uint8_t letter, const uint8_t *at,
	const uint8_t *end, const struct mc_input *in)
{
	static const uint8_t verbs[256] = {['g'] = MC_META_GET,
		['s'] = MC_META_SET,
		['d'] = MC_META_DELETE,
		['a'] = MC_META_ARITH,
		['e'] = MC_META_DEBUG,
		['n'] = MC_NOOP};
	struct mc_word key;

	r->protocol = MC_META;
	r->verb = verbs[letter];
	if (r->verb == MC_NOOP)
		return MC_OK;
	if (r->verb == 0)
		return mc_fail(r, MC_E_COMMAND);
	if (!mc_word(&key, &at, end))
		return mc_fail(r, r->verb == MC_META_DEBUG ? MC_E_LINE : MC_E_COMMAND);
	if (key.len > MC_KEY_MAX)
		return mc_fail(r, MC_E_LINE);
	r->key = key.p;
	r->key_len = (uint8_t)key.len;
	switch (r->verb) {
	case MC_META_GET:
		return parse_get(r, at, end);
	case MC_META_SET:
		return parse_set(r, at, end, in);
	case MC_META_DELETE:
		return parse_delete(r, at, end);
	case MC_META_ARITH:
		return parse_arith(r, at, end);
	default:
		return parse_debug(r, at, end);
	}
}

/* --- answers --- */

/* A key that came as base64 goes as base64, and says so. */
static uint8_t *put_key(uint8_t *p, const struct mc_request *r)
{
	if ((r->has & MC_BASE64) != 0)
		return put_base64(p, r->key, r->key_len);
	memcpy(p, r->key, r->key_len);
	return p + r->key_len;
}

static uint8_t *put_ttl(uint8_t *p, int32_t ttl)
{
	if (ttl >= 0)
		return mc_digits(p, (uint64_t)ttl);
	memcpy(p, "-1", 2);
	return p + 2;
}

static uint8_t *put_flag(uint8_t *p, const struct mc_request *r, const struct mc_result *result,
	const struct mc_word *w)
{
	*p++ = ' ';
	if (w->p[0] == 'O') {
		memcpy(p, w->p, w->len);
		return p + w->len;
	}
	*p++ = w->p[0];
	switch (w->p[0]) {
	case 'c': /* nothing has been stored, nothing has one */
		return mc_digits(p, result->outcome <= MC_STORED ? result->cas : 0);
	case 'f':
		return mc_digits(p, result->flags);
	case 's':
		return mc_digits(p, result->value_len);
	case 't':
		return put_ttl(p, result->ttl);
	default:
		p = put_key(p, r);
		if ((r->has & MC_BASE64) != 0) {
			memcpy(p, " b", 2);
			p += 2;
		}
		return p;
	}
}

/* The flags of `show`, in the request's order, but for the value. */
static uint8_t *put_flags(
	uint8_t *p, const struct mc_request *r, const struct mc_result *result, uint16_t show)
{
	const uint8_t *at = r->tokens, *const end = r->tokens + r->tokens_len;
	struct mc_word w;

	show &= r->show & ~MC_SHOW_VALUE;
	if (show == 0)
		return p;
	while (mc_word(&w, &at, end)) {
		if ((show_of(w.p[0]) & show) != 0)
			p = put_flag(p, r, result, &w);
	}
	return p;
}

/* A line that begins with what became of the request. */
static void reply_status(struct mc_out *out, const struct mc_request *r,
	const struct mc_result *result, const char *status, uint16_t show)
{
	uint8_t room[HEAD_MAX];
	uint8_t *const head = mc_head_begin(out, room, HEAD_MAX);
	uint8_t *p = head;

	memcpy(p, status, 2);
	p = put_flags(p + 2, r, result, show);
	memcpy(p, "\r\n", 2);
	mc_head_end(out, room, head, p + 2);
}

static void reply_get(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	const bool has_value = (r->show & MC_SHOW_VALUE) != 0;
	uint8_t room[HEAD_MAX];
	uint8_t *const head = mc_head_begin(out, room, HEAD_MAX);
	uint8_t *p = head;

	memcpy(p, has_value ? "VA " : "HD", 3);
	p = has_value ? mc_digits(p + 3, result->value_len) : p + 2;
	p = put_flags(p, r, result, UINT16_MAX);
	if (result->is_taken) {
		memcpy(p, " Z", 2);
		p += 2;
	}
	if (result->is_stale) {
		memcpy(p, " X", 2);
		p += 2;
	}
	if (result->is_won) {
		memcpy(p, " W", 2);
		p += 2;
	}
	memcpy(p, "\r\n", 2);
	mc_head_end(out, room, head, p + 2);
	if (!has_value)
		return;
	if (result->value_len > 0)
		mc_put(out, result->value, result->value_len);
	MC_PUT(out, "\r\n");
}

static void reply_number(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	uint8_t digits[20], room[HEAD_MAX];
	const uint32_t n = (uint32_t)(mc_digits(digits, result->number) - digits);
	uint8_t *const head = mc_head_begin(out, room, HEAD_MAX);
	uint8_t *p = head;

	memcpy(p, "VA ", 3);
	p = mc_digits(p + 3, n);
	p = put_flags(p, r, result, UINT16_MAX);
	memcpy(p, "\r\n", 2);
	memcpy(p + 2, digits, n);
	memcpy(p + 2 + n, "\r\n", 2);
	mc_head_end(out, room, head, p + 4 + n);
}

/* Quiet hides what is usual. What was not found is hidden of those that meant to do away with it or to count it. */
static void reply_done(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	const uint16_t show =
		MC_SHOW_KEY | MC_SHOW_OPAQUE | (r->verb == MC_META_SET ? MC_SHOW_CAS : 0);
	const bool is_number = r->verb == MC_META_ARITH && (r->show & MC_SHOW_VALUE) != 0;

	switch ((enum mc_outcome)result->outcome) {
	case MC_STORED:
		if (r->is_quiet)
			return;
		is_number ? reply_number(out, r, result)
			  : reply_status(out, r, result, "HD", UINT16_MAX);
		return;
	case MC_EXISTS:
		reply_status(out, r, result, "EX", show);
		return;
	case MC_NOT_FOUND:
		if (!r->is_quiet || r->verb == MC_META_SET)
			reply_status(out, r, result, "NF", show);
		return;
	default:
		reply_status(out, r, result, "NS", show);
		return;
	}
}

/* exp, cas and size are what the cache knows of memcached's la, fetch and cls too; the size is the value's. */
static void reply_debug(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	uint8_t room[HEAD_MAX];
	uint8_t *const head = mc_head_begin(out, room, HEAD_MAX);
	uint8_t *p = head;

	memcpy(p, "ME ", 3);
	p = put_key(p + 3, r);
	memcpy(p, " exp=", 5);
	p = put_ttl(p + 5, result->ttl);
	memcpy(p, " cas=", 5);
	p = mc_digits(p + 5, result->cas);
	memcpy(p, " size=", 6);
	p = mc_digits(p + 6, result->value_len);
	memcpy(p, "\r\n", 2);
	mc_head_end(out, room, head, p + 2);
}

/* Failures of the cache, which q does not hide. An append's are not told apart, as in the text protocol. */
static bool reply_failure(struct mc_out *out, const struct mc_request *r, uint8_t outcome)
{
	const bool is_append = r->mode == MC_APPEND || r->mode == MC_PREPEND;

	if (outcome == MC_NOT_NUMBER)
		MC_PUT(out, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
	else if (outcome == MC_TOO_LARGE && !is_append)
		MC_PUT(out, "SERVER_ERROR object too large for cache\r\n");
	else if (outcome == MC_NO_MEMORY && r->verb != MC_META_SET)
		MC_PUT(out, "SERVER_ERROR out of memory\r\n");
	else if (outcome == MC_NO_MEMORY && !is_append)
		MC_PUT(out, "SERVER_ERROR out of memory storing object\r\n");
	else
		return false;
	return true;
}

void mc_meta_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	if (reply_failure(out, r, result->outcome))
		return;
	switch (r->verb) {
	case MC_META_GET:
		if (result->outcome == MC_HIT)
			reply_get(out, r, result);
		else if (!r->is_quiet)
			reply_status(out, r, result, "EN", MC_SHOW_KEY | MC_SHOW_OPAQUE);
		return;
	case MC_META_DEBUG:
		result->outcome == MC_HIT ? reply_debug(out, r, result) : MC_PUT(out, "EN\r\n");
		return;
	case MC_NOOP:
		MC_PUT(out, "MN\r\n");
		return;
	default:
		reply_done(out, r, result);
		return;
	}
}

void mc_meta_reply_end(struct mc_out *out, const struct mc_request *r)
{
	(void)out;
	(void)r;
}
