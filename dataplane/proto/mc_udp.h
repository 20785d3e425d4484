/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc_udp — the frame that memcached puts around its protocols over UDP (doc/protocol.txt, "UDP protocol"): eight bytes in front of
 * every datagram, and no datagram above 1,400 bytes.
 *
 *     request id 2 | sequence 2 | datagrams in all 2 | reserved 2 | bytes of the protocol …
 *
 * A request is one datagram. An answer is as many as it takes: the bytes behind the headers, joined in the order of the sequence,
 * are the answer, cut anywhere; an answer of no bytes is no datagram. Several requests in one datagram have an answer each, numbered
 * from 0 anew, all with the datagram's request id. The header says how many datagrams there are, which is known only when the last
 * one has been written:
 *
 *     mc_udp_build(p, id, i, n)    in each, once they are n; the bytes follow at p + MC_UDP_HEADER, MC_UDP_PAYLOAD_MAX of them at most
 *
 * Pure, any thread.
 */
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MC_UDP_HEADER 8u
#define MC_UDP_DATAGRAM_MAX 1400u /* memcached's, header included */
#define MC_UDP_PAYLOAD_MAX (MC_UDP_DATAGRAM_MAX - MC_UDP_HEADER)
#define MC_UDP_TOTAL_MAX UINT16_MAX /* datagrams of an answer: a bit more than 87 MiB */

/* What becomes of a datagram. All but the first: dropped without an answer, as memcached does. */
enum mc_udp_verdict {
	MC_UDP_REQUEST,
	MC_UDP_SHORT, /* no header, or nothing behind it */
	MC_UDP_PARTS, /* it says that it is not the whole of its request */
};

/* Hot. Of the len bytes of a UDP payload; with MC_UDP_REQUEST *id is its request id, and the request has len - MC_UDP_HEADER
 * bytes, at least one. Sequence and reserved are the client's affair: memcached does not look at them either. */
static inline enum mc_udp_verdict mc_udp_parse(const uint8_t *p, uint32_t len, uint16_t *id)
{
	if (len <= MC_UDP_HEADER)
		return MC_UDP_SHORT;
	if (p[4] != 0 || p[5] != 1)
		return MC_UDP_PARTS;
	*id = (uint16_t)(p[0] << 8 | p[1]);
	return MC_UDP_REQUEST;
}

/* Hot. Writes MC_UDP_HEADER bytes at p: datagram number sequence, from 0, of an answer that has `total` of them. opt: in one piece,
 * which a checksum may read at once. */
static inline void mc_udp_build(uint8_t *p, uint16_t id, uint16_t sequence, uint16_t total)
{
	const uint64_t header =
		htobe64((uint64_t)id << 48 | (uint64_t)sequence << 32 | (uint32_t)total << 16);

	memcpy(p, &header, sizeof(header));
}

/* Hot. How many datagrams an answer of so many bytes has; above MC_UDP_TOTAL_MAX: it cannot be sent. */
static inline uint32_t mc_udp_count(uint32_t n_bytes)
{
	return n_bytes / MC_UDP_PAYLOAD_MAX + (n_bytes % MC_UDP_PAYLOAD_MAX != 0);
}
