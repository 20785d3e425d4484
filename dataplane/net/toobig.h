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
