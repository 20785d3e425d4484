/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ndp — neighbour discovery for IPv6 (RFC 4861): answers solicitations for our addresses in place,
 * sorts advertisements out for the manager, builds solicitations. Router and redirect messages are
 * left to the kernel side.
 */
#include "net/neigh.h"

/* Hot. Context: worker. Packet i is ICMPv6 type 135 or 136; hop limit, checksum, lengths and options
 * are verified here (RFC 4861 section 7.1). Verdicts as arp_input(). */
void ndp_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i);

/* Writes a whole solicitation frame (86 bytes) to buf: to the solicited-node group, or unicast when
 * dst_mac is given. Returns its length. */
unsigned ndp_solicit_build(uint8_t *buf, const struct rte_ether_addr *src_mac,
	const uint8_t src_ip[16], const uint8_t target[16], const struct rte_ether_addr *dst_mac);

/* Reads what a valid advertisement says of its target, or a solicitation of its sender; c->key.iface is left to
 * the caller. False when it is not one, or a solicitation that says nothing. */
bool ndp_claim_parse(const uint8_t *frame, uint32_t len, struct neigh_claim *c);
