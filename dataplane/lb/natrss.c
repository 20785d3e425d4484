/* SPDX-License-Identifier: BSD-3-Clause */
/* natrss — see natrss.h. */
#include "lb/natrss.h"

#include "core/nic.h"

/* The tuple of IPv6, byte by byte, with one bit of it set. */
static uint8_t hash_of_bit(unsigned place, unsigned bit)
{
	struct pkt p = {.family = 6};
	uint8_t *const byte = place < 16 ? p.src + place
		: place < 32             ? p.dst + (place - 16)
		: place < 34             ? (uint8_t *)&p.sport + (place - 32)
					 : (uint8_t *)&p.dport + (place - 34);

	*byte = (uint8_t)(1u << bit);
	return (uint8_t)nic_softrss(&p);
}

void natrss_init(struct natrss *t)
{
	for (unsigned place = 0; place < 36; place++) {
		t->of[place][0] = 0;
		for (unsigned bit = 0; bit < 8; bit++) {
			const uint8_t hash = hash_of_bit(place, bit);

			for (unsigned i = 0; i < 1u << bit; i++)
				t->of[place][(1u << bit) + i] = t->of[place][i] ^ hash;
		}
	}
}

uint8_t natrss_answer(const struct natrss *t, uint8_t family, const uint8_t *backend,
	rte_be16_t backend_port, const uint8_t *snat)
{
	const unsigned n = family == 4 ? 4 : 16;
	const uint16_t port = rte_be_to_cpu_16(backend_port);
	uint8_t hash = t->of[2 * n][port >> 8] ^ t->of[2 * n + 1][port & 0xff];

	for (unsigned i = 0; i < n; i++)
		hash ^= t->of[i][backend[i]] ^ t->of[n + i][snat[i]];
	return hash;
}
