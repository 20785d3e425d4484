/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * reply — how a packet is turned in place into our answer to its sender: icmp4.c, icmp6.c, toobig.c, tcprst.c,
 * syncookie.c. Context: worker.
 */
#include "core/worker.h"

#include <rte_ip.h>

/* Hot. Ethernet addresses turned round; mac: our own. */
static inline void reply_turn_ether(struct rte_mbuf *m, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	eh->dst_addr = eh->src_addr;
	eh->src_addr = *mac;
}

/* Hot. The frame becomes n bytes long: in one segment, and longer only where the buffer has room (false). */
bool reply_set_length(struct rte_mbuf *m, uint32_t n);

/* Hot. The bytes of reply_write_ip()'s header for a packet of this family. */
static inline uint32_t reply_ip_bytes(uint8_t family)
{
	return (uint32_t)(family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr));
}

/* Hot. Writes the IP header of an answer to *p with n bytes of this protocol: from where it was for, without options,
 * time to live 64, not to be fragmented. */
void reply_write_ip(uint8_t *at, const struct pkt *p, uint8_t proto, uint16_t n);

/* Hot. Packet i of the burst becomes a TCP segment to its sender: a header and its options, n bytes, whose checksum is
 * set here; nothing behind it. PKT_REPLY, back where the packet came from; false when the buffer has no room:
 * PKT_DROP_no_headroom then. */
bool reply_tcp(struct worker *w, struct burst *b, unsigned i, void *tcp, uint16_t n);
