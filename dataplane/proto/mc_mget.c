/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mc_mget — see mc_mget.h. What is not read here is no error: the codecs say what it is. So flags are separated by one blank, and those
 * that need a number, or a decision about the item, are not among them.
 */
#include "proto/mc_mget.h"

#include "proto/mc_pvt.h"

enum { QUIET = 1, VALUE = 2, SHOWN = 0xfc, OPAQUE = 4 };

/* A bit for each flag. */
static const uint8_t bits[256] = {['q'] = QUIET,
	['v'] = VALUE,
	['O'] = OPAQUE,
	['c'] = 8,
	['f'] = 16,
	['k'] = 32,
	['s'] = 64,
	['t'] = 128};

/* The flags from p on, each with a blank in front of it; false: they are more than that. */
static bool take_flags(struct mc_mget *g, const uint8_t *p, const uint8_t *end)
{
	uint32_t seen = 0;

	while (p < end) {
		const uint8_t letter = p[1];
		const uint32_t bit = bits[letter];

		if (*p != ' ' || end - p < 2 || bit == 0 || (seen & bit) != 0)
			return false;
		p += 2;
		seen |= bit;
		if ((bit & SHOWN) != 0)
			g->letters[g->n++] = letter;
		if (bit != OPAQUE)
			continue;
		for (g->opaque = p; p < end && *p != ' '; p++) {
			if (*p == '\n' || p - g->opaque >= (int64_t)MC_OPAQUE_MAX - 1)
				return false;
		}
		g->opaque_len = (uint8_t)(p - g->opaque);
	}
	g->has_value = (seen & VALUE) != 0;
	g->is_quiet = (seen & QUIET) != 0;
	return true;
}
_Static_assert(sizeof(((struct mc_mget *)0)->letters) == 6, "as many as SHOWN has bits");

void mc_mget_parse(struct mc_mget *g, const uint8_t *p, uint32_t len)
{
	const uint8_t *const key = p + MC_MGET_WORD, *const end = p + len - 2;
	uint32_t at = 0, ends = 0;

	g->key_len = 0;
	if (len < MC_MGET_WORD + 3 || memcmp(p, "mg ", MC_MGET_WORD) != 0
		|| memcmp(end, "\r\n", 2) != 0)
		return;
	/* the line has an end, so that the loop has one */
	for (; (ends = mc_get_ends(key + at)) == 0; at += 16)
		;
	at += (uint32_t)__builtin_ctz(ends);
	if (at == (uint32_t)(end + 1 - key))
		at--; /* its end, with what is in front of that */
	if (at == 0 || at > MC_KEY_MAX)
		return;
	g->key = key;
	g->n = g->opaque_len = 0;
	g->opaque = NULL;
	if (take_flags(g, key + at, end))
		g->key_len = (uint8_t)at;
}

static uint8_t *put(uint8_t *to, const uint8_t *from, uint32_t n)
{
	memcpy(to, from, n);
	return to + n;
}

static uint8_t *put_flags(uint8_t *to, const struct mc_mget *g, const struct mc_mget_item *it)
{
	for (unsigned i = 0; i < g->n; i++) {
		to[0] = ' ';
		to[1] = g->letters[i];
		to += 2;
		switch (g->letters[i]) {
		case 'c':
			to = mc_digits(to, it->cas);
			break;
		case 'f':
			to = mc_digits(to, it->flags);
			break;
		case 's':
			to = mc_digits(to, it->value_len);
			break;
		case 't':
			to = it->ttl >= 0 ? mc_digits(to, (uint64_t)it->ttl)
					  : put(to, (const uint8_t *)"-1", 2);
			break;
		case 'k':
			to = put(to, g->key, g->key_len);
			break;
		default:
			to = put(to, g->opaque, g->opaque_len);
		}
	}
	return to;
}

uint8_t *mc_mget_hit(uint8_t *to, const struct mc_mget *g, const struct mc_mget_item *it)
{
	if (!g->has_value) {
		to = put_flags(put(to, (const uint8_t *)"HD", 2), g, it);
		return put(to, (const uint8_t *)"\r\n", 2);
	}
	to = mc_digits(put(to, (const uint8_t *)"VA ", 3), it->value_len);
	to = put(put_flags(to, g, it), (const uint8_t *)"\r\n", 2);
	mc_get_copy(to, it->value, it->value_len);
	return put(to + it->value_len, (const uint8_t *)"\r\n", 2);
}

uint8_t *mc_mget_miss(uint8_t *to, const struct mc_mget *g)
{
	to = put(to, (const uint8_t *)"EN", 2);
	for (unsigned i = 0; i < g->n; i++) {
		const bool is_key = g->letters[i] == 'k';

		if (!is_key && g->letters[i] != 'O')
			continue;
		to[0] = ' ';
		to[1] = g->letters[i];
		to = is_key ? put(to + 2, g->key, g->key_len)
			    : put(to + 2, g->opaque, g->opaque_len);
	}
	return put(to, (const uint8_t *)"\r\n", 2);
}
