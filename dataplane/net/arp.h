/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * arp — ARP for IPv4 over Ethernet (RFC 826): answers requests for our addresses in place, sorts
 * replies out for the manager, builds requests.
 */
#include "net/neigh.h"

/* Hot. Context: worker. Packet i has PKT_ARP. A request for an address of ours becomes its reply
 * (PKT_TX out of in_iface; of VIPs and SNAT addresses too, on whichever port it is asked); a reply to
 * us becomes NOTE_NEIGH and PKT_GONE (passed to the manager); everything else PKT_PUNT or PKT_DROP. */
void arp_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i);

/* Writes a whole request frame (42 bytes) to buf. Returns its length. */
unsigned arp_request_build(uint8_t *buf, const struct rte_ether_addr *src_mac,
	const uint8_t src_ip[4], const uint8_t target[4], const struct rte_ether_addr *dst_mac);

/* Reads what a valid reply or request says of its sender; c->key.iface is left to the caller. False when it is
 * not one. */
bool arp_claim_parse(const uint8_t *frame, uint32_t len, struct neigh_claim *c);
