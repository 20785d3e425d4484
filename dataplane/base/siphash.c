/* SPDX-License-Identifier: BSD-3-Clause */
/* siphash — see siphash.h. Words are little-endian, as on every machine this runs on. */
#include "base/siphash.h"

#include <string.h>

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

static inline void take_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

uint64_t siphash(const uint64_t key[2], const void *data, uint32_t len)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
	const uint8_t *p = data;
	uint64_t word;

	for (uint32_t n = len / 8; n > 0; n--, p += 8) {
		memcpy(&word, p, 8);
		take_word(v, word);
	}
	word = 0;
	memcpy(&word, p, len % 8);
	take_word(v, word | (uint64_t)len << 56);
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
