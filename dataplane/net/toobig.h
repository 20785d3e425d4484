/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * toobig — tells a client that its packet does not fit: ICMP "fragmentation needed" (RFC 792, RFC 1191) or
 * ICMPv6 "packet too big" (RFC 4443), from the address the packet was for.
 */
#include "core/worker.h"

/* Hot. Context: worker. Packet i of the burst is longer than mtu_bytes: turns it in place into the message to its
 * sender, PKT_REPLY, back where it came from. An IPv4 packet without DF, a frame to all or an ICMP error is PKT_DROP_too_big, what
 * is above the budget of ICMP answers PKT_DROP_icmp_limited. */
void toobig_reply(struct worker *w, struct burst *b, unsigned i, uint16_t mtu_bytes);

/* Hot. Turns the frame m of packet p, whose Ethernet header ends where the packet begins or before, into the message: to
 * the frame's source, from mac, about as much of the packet as there is. False without room in front of it; the frame is
 * of no use then. Context: any thread. */
bool toobig_build(
	struct rte_mbuf *m, struct pkt *p, const struct rte_ether_addr *mac, uint16_t mtu_bytes);
