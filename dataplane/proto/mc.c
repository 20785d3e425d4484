/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc — which of memcached's protocols a request is in, by its first byte as memcached does it, and what the codecs
 * share: numbers as text, and answers that do not fit where they are written. Called by workers, for each request.
 */
#include "proto/mc.h"

#include "proto/mc_binary.h"
#include "proto/mc_pvt.h"

/* The text codec reads meta commands as well: they differ from others in their line's first word. */
static const struct mc_codec codecs[] = {
	[MC_TEXT] = {mc_text_parse, mc_text_reply, mc_text_reply_end, mc_text_reply_error,
		mc_text_reply_version, mc_text_reply_stat},
	[MC_META] = {mc_text_parse, mc_meta_reply, mc_meta_reply_end, mc_text_reply_error,
		mc_text_reply_version, mc_text_reply_stat},
	[MC_BINARY] = {mc_binary_parse, mc_binary_reply, mc_binary_reply_end, mc_binary_reply_error,
		mc_binary_reply_version, mc_binary_reply_stat},
};

enum { MAGIC_REQUEST = 0x80 };

/* --- answers --- */

void mc_out_grow(struct mc_out *out, const void *data, uint32_t len)
{
	const uint8_t *p = data;

	while (!out->is_full) {
		const uint64_t room = (uint64_t)(out->end - out->p);
		const uint32_t n = len < room ? len : (uint32_t)room;

		if (n > 0) { /* without room there may be no pointer */
			memcpy(out->p, p, n);
			out->p += n;
			p += n;
			len -= n;
		}
		if (len >= MC_OUT_REFER_MIN && out->refer != NULL) {
			const uint32_t n_sent = out->refer(out, p, len);

			p += n_sent;
			len -= n_sent;
		}
		if (len == 0)
			return;
		if (!out->grow(out))
			out->is_full = true;
	}
}

/* --- numbers --- */

bool mc_number(const uint8_t *p, uint32_t len, uint64_t *number)
{
	const uint8_t *const end = p + len;
	uint64_t n = 0;

	if (p < end && *p == '+')
		p++;
	if (p == end)
		return false;
	for (; p < end; p++) {
		const unsigned digit = *p - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(n, 10, &n)
			|| __builtin_add_overflow(n, digit, &n))
			return false;
	}
	*number = n;
	return true;
}

bool mc_number_signed(const uint8_t *p, uint32_t len, int64_t *number)
{
	const bool is_negative = len > 1 && p[0] == '-' && p[1] != '+';
	uint64_t n;

	if (!mc_number(p + is_negative, len - is_negative, &n) || n > INT64_MAX)
		return false;
	*number = is_negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static const char pairs[] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
	"495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596"
	"979899";

uint8_t *mc_digits(uint8_t *p, uint64_t number)
{
	uint8_t digits[20], *d = digits + sizeof(digits);
	size_t n;

	if (number < 10) {
		*p = (uint8_t)('0' + number);
		return p + 1;
	}
	if (number < 100) {
		memcpy(p, pairs + number * 2, 2);
		return p + 2;
	}
	for (; number >= 100; number /= 100)
		memcpy(d -= 2, pairs + number % 100 * 2, 2);
	if (number >= 10)
		memcpy(d -= 2, pairs + number * 2, 2);
	else
		*--d = (uint8_t)('0' + number);
	n = (size_t)(digits + sizeof(digits) - d);
	memcpy(p, d, n);
	return p + n;
}

/* --- one protocol or the other --- */

enum mc_status mc_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits)
{
	if (len == 0)
		return MC_MORE;
	return codecs[p[0] == MAGIC_REQUEST ? MC_BINARY : MC_TEXT].parse(r, p, len, limits);
}

enum mc_status mc_parse_text(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits)
{
	return len == 0 ? MC_MORE : mc_text_parse(r, p, len, limits);
}

bool mc_next_key(struct mc_request *r)
{
	const uint8_t *p = r->more;
	struct mc_word w;

	if (p == r->more_end || !mc_word(&w, &p, r->more_end))
		return false;
	r->key = w.p;
	r->key_len = (uint8_t)w.len;
	r->more = p;
	return true;
}

void mc_reply(struct mc_out *out, const struct mc_request *r, const struct mc_result *result)
{
	codecs[r->protocol].reply(out, r, result);
}

void mc_reply_end(struct mc_out *out, const struct mc_request *r)
{
	codecs[r->protocol].reply_end(out, r);
}

void mc_reply_error(struct mc_out *out, const struct mc_request *r)
{
	codecs[r->protocol].reply_error(out, r);
}

void mc_reply_version(struct mc_out *out, const struct mc_request *r, const char *version)
{
	codecs[r->protocol].reply_version(out, r, version);
}

void mc_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value)
{
	codecs[r->protocol].reply_stat(out, r, name, value);
}
