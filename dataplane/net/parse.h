/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * parse — from bytes to struct pkt: Ethernet (one VLAN tag), ARP, IPv4, IPv6 with extension headers,
 * TCP, UDP, ICMP. Every length is checked against the bytes that are there (first segment only; the
 * pool's segments hold any frame up to the MTU). Pure: no state, no allocation, any thread.
 */
#include "core/burst.h"

#include <rte_ether.h>

#include <stdbool.h>

/* Fills p[i] of the packets 0..n. Verdict after it: PKT_ARP, PKT_DROP with its reason, PKT_PUNT for
 * frames that are none of IPv4, IPv6 and ARP, else PKT_UNSEEN with addresses, protocol, ports and
 * offsets set. mac: address of the logical port the burst came in by; in_iface: its index.
 * The IPv4 header checksum is verified unless the device has. Trailing padding is trimmed. */
void parse_burst(struct burst *b, const struct rte_ether_addr *mac, uint8_t in_iface);

/* The offset of layer 4 in the IPv6 packet ip[0..len), len at least 40; 0 when its chain of extension headers is
 * malformed, cut off or too long. Sets p->proto and *is_later: a fragment other than the first. */
uint32_t parse_extensions(struct pkt *p, const uint8_t *ip, uint32_t len, bool *is_later);

/* One frame in plain memory, for fuzzing and tests: as above, without mbuf. */
void parse_frame(
	struct pkt *p, const uint8_t *frame, uint32_t len, const struct rte_ether_addr *mac);

/* Whether the source is one that never comes from the wire; such packets are PKT_DROP_bad_ip_source. */
bool parse_is_bad_source(const struct pkt *p);
