/* SPDX-License-Identifier: BSD-3-Clause */
/* mc_get — see mc_get.h. */
#include "proto/mc_get.h"

#include "proto/mc_pvt.h"

/* Bytes that may overlap. opt: as mc_get_copy(). */
static inline void move_key(uint8_t *to, const uint8_t *from, uint32_t n)
{
	uint8_t first[16], last[16];

	if (n < 16 || n > 32) {
		memmove(to, from, n);
		return;
	}
	memcpy(first, from, 16);
	memcpy(last, from + n - 16, 16);
	memcpy(to, first, 16);
	memcpy(to + n - 16, last, 16);
}

uint8_t *mc_get_hit(uint8_t *to, const uint8_t *key, uint32_t key_len, uint32_t flags,
	const uint8_t *value, uint32_t value_len)
{
	move_key(to + MC_GET_HIT_WORD, key, key_len);
	memcpy(to, "VALUE ", MC_GET_HIT_WORD);
	to += MC_GET_HIT_WORD + key_len;
	*to++ = ' ';
	to = mc_digits(to, flags);
	*to++ = ' ';
	to = mc_digits(to, value_len);
	memcpy(to, "\r\n", 2);
	mc_get_copy(to + 2, value, value_len);
	to += 2 + value_len;
	memcpy(to, "\r\nEND\r\n", 8); /* opt: and the 0 behind it, in one piece */
	return to + 7;
}
