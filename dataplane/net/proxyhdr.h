/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * proxyhdr — writes the header of the PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, 2.2): who the client is
 * and what it has connected to, in front of what it sends. Pure, any thread.
 */
#include "core/burst.h"

#define PROXYHDR4_BYTES 28u
#define PROXYHDR6_BYTES 52u

/* Its length with this family. */
static inline uint16_t proxyhdr_bytes(uint8_t family)
{
	return family == 6 ? PROXYHDR6_BYTES : PROXYHDR4_BYTES;
}

/* The header for a client's packet, with the packet's addresses and ports. */
void proxyhdr_build(uint8_t *to, const struct pkt *p);
