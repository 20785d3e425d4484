/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * addr — which addresses are ours and where others are: own addresses of the logical ports, VIPs and
 * SNAT addresses (answered by ARP, NDP and echo), connected networks and default gateways. Immutable
 * once built; one per generation, in snapshot slot SNAPSHOT_ADDR.
 */
#include "core/iface.h"
#include "core/snapshot.h"
#include "millrace/api_lb.h"

struct addr_conf;

enum addr_kind { ADDR_NONE, ADDR_OWN, ADDR_VIP, ADDR_SNAT };

struct addr_spec {
	const struct iface_set *ifaces;
	const struct mr_addr *addrs;
	const struct mr_gateway *gateways;
	const struct mr_ip *vips;  /* duplicates allowed: several services on one address */
	const struct mr_ip *snats; /* index = SNAT slot; family 0 = slot unused */
	unsigned n_addrs, n_gateways, n_vips, n_snats;
};

/* Cold. Context: manager. Validates: ports exist, an address has one kind, gateways are on a
 * connected network. 0, -EINVAL with *err filled (object and message), -ENOMEM. */
int addr_conf_create(struct addr_conf **out, const struct addr_spec *spec, struct mr_error *err);
void addr_conf_destroy(struct addr_conf **c); /* NULL-safe, clears *c */

static inline const struct addr_conf *addr_conf_of(const struct snapshot *s)
{
	return (const struct addr_conf *)s->slot[SNAPSHOT_ADDR];
}

/* Hot. What ip (16 bytes, IPv4 in the first four) is to us. *snat_slot is set for ADDR_SNAT,
 * *iface for ADDR_OWN. */
enum addr_kind addr_find(const struct addr_conf *c, uint8_t family, const uint8_t *ip,
	uint16_t *snat_slot, uint8_t *iface);

/* Hot, once per new flow. Whether addr_find() would say anything but ADDR_NONE; cheaper for those it would not. */
bool addr_is_ours(const struct addr_conf *c, uint8_t family, const uint8_t *ip);

/* Once per new flow. Next hop towards dst: on-link by the longest connected prefix, else the
 * gateway. Returns false when there is no route. next_hop may alias dst. */
bool addr_route(const struct addr_conf *c, uint8_t family, const uint8_t *dst, uint8_t *iface,
	uint8_t next_hop[16]);

/* An own address of the logical port to ask from: the one on the network of target if there is one,
 * else any; IPv6 falls back to the link-local of the MAC. Returns false when the port has none. */
bool addr_source(const struct addr_conf *c, uint8_t iface, uint8_t family, const uint8_t *target,
	uint8_t source[16]);

/* The first prefix_len bits set, the rest not: of an address as everywhere here, IPv4 in the first four bytes. Any
 * thread. */
void addr_mask(uint8_t mask[16], unsigned prefix_len);

/* Context: manager. Own addresses of a logical port for the kernel side: calls on_addr for each. */
void addr_walk_own(const struct addr_conf *c,
	void (*on_addr)(void *ctx, unsigned iface, const struct mr_ip *ip, unsigned prefix_len),
	void *ctx);

/* Context: manager. The default gateway of a family, for the kernel side. False: there is none. */
bool addr_gateway(const struct addr_conf *c, uint8_t family, unsigned *iface, struct mr_ip *ip);
