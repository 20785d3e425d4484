/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * natrss — where a device brings the answers of a backend: the bits of its hash that choose the queue. The hash is
 * Toeplitz, so that of a packet is the sum (exclusive or) of what each of its bytes adds at its place, and the part of the
 * SNAT port can be looked at alone: natport.c takes ports with which answers come to the worker that owns the flow.
 * The values are those of NIC_RSS_OWNER over nic_softrss(); 9 KB, read only after natrss_init().
 */
#include <rte_byteorder.h>

#include <stdint.h>

struct natrss {
	uint8_t of
		[36]
		[256]; /* by place in addresses and ports of IPv6, whose first 12 are those of IPv4 too */
};

/* Cold. */
void natrss_init(struct natrss *t);

/* Hot. What everything but its destination port adds to the hash of a packet from a backend; addresses of 4 or 16
 * bytes by family (4 or 6), the port as in the packet. */
uint8_t natrss_answer(const struct natrss *t, uint8_t family, const uint8_t *backend,
	rte_be16_t backend_port, const uint8_t *snat);

/* Hot. What its destination port (host order) adds. */
static inline uint8_t natrss_port(const struct natrss *t, uint8_t family, uint16_t port)
{
	const unsigned at = family == 4 ? 10 : 34;

	return t->of[at][port >> 8] ^ t->of[at + 1][port & 0xff];
}
