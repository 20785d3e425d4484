/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc_get — what most requests are, and its answer: a get of one key in text, which is all there is. Both are read and written as the
 * codecs (mc.h) would, without a request and a result between. Pure, any thread.
 */
#include "proto/mc.h"

#include <emmintrin.h>

#define MC_GET_WORD 4u     /* bytes before the key */
#define MC_GET_HIT_WORD 6u /* and in the answer of a hit */
#define MC_GET_BEHIND 16u  /* readable behind what is looked at */

typedef uint8_t mc_get_bytes __attribute__((vector_size(16)));

/* Whether none of the first n of these bytes, at most, is a blank or ends a line. */
static inline bool mc_get_is_word(const uint8_t *p, uint32_t n)
{
	static const uint8_t are_in[32] = {
		255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
	mc_get_bytes bytes, mask, ends;
	uint64_t found[2];

	memcpy(&bytes, p, sizeof(bytes));
	memcpy(&mask, n < 16 ? are_in + 16 - n : are_in, sizeof(mask));
	ends = (mc_get_bytes)((bytes == ' ') | (bytes == '\n')) & mask;
	memcpy(found, &ends, sizeof(found));
	return (found[0] | found[1]) == 0;
}

/* Hot. Length of the key at p + MC_GET_WORD if the len bytes at p are `get KEY\r\n` and nothing else; 0: they are something else, or
 * wrong. opt: sixteen bytes at a time, so MC_GET_BEHIND more are read, whatever they are. */
static inline uint32_t mc_get_parse(const uint8_t *p, uint32_t len)
{
	const uint32_t key_len = len - MC_GET_WORD - 2;
	const uint8_t *key = p + MC_GET_WORD;

	if (len <= MC_GET_WORD + 2 || key_len > MC_KEY_MAX || memcmp(p, "get ", MC_GET_WORD) != 0
		|| memcmp(key + key_len, "\r\n", 2) != 0)
		return 0;
	for (uint32_t at = 0; at < key_len; at += 16) {
		if (!mc_get_is_word(key + at, key_len - at))
			return 0;
	}
	return key_len;
}

/* Which of the 16 bytes at p are blanks or end a line: a bit for each. */
static inline uint32_t mc_get_ends(const uint8_t *p)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);

	return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')),
		_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n'))));
}

/* Hot. Length of the key at p + MC_GET_WORD if the len bytes at p begin with a get of one key, whose line ends with \n or \r\n, and
 * *consumed the bytes of that line; 0: they begin otherwise, it is wrong, not whole, or the bytes are few: which is for the codec to say. Reads
 * nothing behind them. */
static inline uint32_t mc_get_parse_first(const uint8_t *p, uint32_t len, uint32_t *consumed)
{
	const uint8_t *const key = p + MC_GET_WORD;
	uint32_t at = 0, ends, key_len;

	if (len < 16 || memcmp(p, "get ", MC_GET_WORD) != 0)
		return 0;
	for (;; at += 16) {
		const uint32_t left = len - MC_GET_WORD - at;

		/* opt: the last ones with bytes before them, which are shifted out */
		ends = left >= 16 ? mc_get_ends(key + at)
				  : mc_get_ends(p + len - 16) >> (16 - left);
		if (__builtin_expect(ends != 0, 1))
			break;
		if (left <= 16 || at > MC_KEY_MAX)
			return 0;
	}
	at += (uint32_t)__builtin_ctz(ends);
	if (key[at] != '\n')
		return 0;
	*consumed = MC_GET_WORD + at + 1;
	key_len = at - (at > 0 && key[at - 1] == '\r');
	return key_len <= MC_KEY_MAX ? key_len : 0;
}

/* Bytes that an answer has at most, and those that are written behind it. */
static inline uint32_t mc_get_bytes_max(uint32_t key_len, uint32_t value_len)
{
	return MC_GET_HIT_WORD + key_len + 1 + 10 + 1 + 10 + 2 + value_len + 7 + 1;
}

/* Copies n bytes that do not overlap. opt: without a call where they are as few as they mostly are. */
static inline void mc_get_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
	if (n < 16 || n > 128) {
		memcpy(to, from, n);
		return;
	}
	for (uint32_t at = 0; at < n - 16; at += 16)
		memcpy(to + at, from + at, 16);
	memcpy(to + n - 16, from + n - 16, 16);
}

/* Hot. Writes the answer of a hit, mc_get_bytes_max() at most, and returns its end. The key may be where the answer goes. */
uint8_t *mc_get_hit(uint8_t *to, const uint8_t *key, uint32_t key_len, uint32_t flags,
	const uint8_t *value, uint32_t value_len);

/* Hot. The same of a miss. */
static inline uint8_t *mc_get_miss(uint8_t *to)
{
	memcpy(to, "END\r\n", 5);
	return to + 5;
}
