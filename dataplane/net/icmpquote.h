/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmpquote — the packet that an ICMP error is about: its beginning, as the error quotes it (RFC 792, RFC 4443).
 * Read with the care that a stranger's bytes need, and rewritten where the flow's addresses are translated
 * (RFC 5508). Context: worker.
 */
#include "core/burst.h"

#define ICMPQUOTE_OFF 8u /* of the quote in an ICMP error, both families */

struct icmpquote {
	uint8_t family, proto;
	uint16_t ip_off, l4_off;  /* bytes from the start of the frame */
	uint16_t l4_len;          /* bytes of layer 4 that are quoted */
	rte_be16_t sport, dport;  /* 0 when it has none: not TCP or UDP, a later fragment */
	uint8_t src[16], dst[16]; /* as in struct pkt */
};

/* What the error becomes. Addresses have 4 or 16 bytes, by family. */
struct icmpquote_to {
	const uint8_t *src; /* of the error itself; NULL: as it is */
	const uint8_t *dst;
	const uint8_t *quoted_src, *quoted_dst;
	rte_be16_t quoted_sport, quoted_dport;
};

/* Hot. Whether the packet is an ICMP or ICMPv6 error that a flow may need to hear of: unreachable, too big, time
 * exceeded, parameter problem. Not for fragments. */
bool icmpquote_is_error(const struct rte_mbuf *m, const struct pkt *p);

/* Hot. Whether it is one of these, and says that the quoted packet is too long for a link: "fragmentation needed", "packet
 * too big". */
bool icmpquote_is_too_big(const struct rte_mbuf *m, const struct pkt *p);

/* Hot. False when what is quoted is cut off before its ports or no packet of the error's family. */
bool icmpquote_read(const struct rte_mbuf *m, const struct pkt *p, struct icmpquote *q);

/* Hot. Of a quoted TCP segment: n is added to its sequence number. Where the quote reaches to the segment's checksum,
 * that takes up the change, else the error's own. */
void icmpquote_add_to_seq(
	struct rte_mbuf *m, const struct pkt *p, const struct icmpquote *q, uint32_t n);

/* Hot. Rewrites the error and its quote, which has ports; the time to live goes down by one. All checksums, the
 * quoted ones too, are updated by what changes, so that a wrong one stays wrong. False when the time to live
 * has run out; nothing is changed then. */
bool icmpquote_rewrite(struct rte_mbuf *m, const struct pkt *p, const struct icmpquote *q,
	const struct icmpquote_to *to);
