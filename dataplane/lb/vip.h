/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * vip — (address, port, protocol) → service: of VIPs, and of the backends of DNAT services; and address → port that
 * leads there, of all backends. Immutable, built per generation.
 */
#include "core/burst.h"
#include "millrace/api_lb.h"

#define VIP_NONE UINT32_MAX

struct vip_table;

struct vip_entry {
	struct mr_ip ip;
	uint16_t port; /* host order */
	uint8_t proto;
	uint32_t service_idx; /* or what else the table is to say */
};

/* Context: manager. Equal entries count as one. 0, -EEXIST for two that differ in what they say alone, -ENOMEM. */
int vip_table_create(struct vip_table **out, const struct vip_entry *e, unsigned n);
void vip_table_destroy(struct vip_table **t);

/* Hot. For those of p[0..n) that are PKT_UNSEEN: sets service_idx, VIP_NONE when not ours. */
void vip_find_bulk(const struct vip_table *t, struct pkt *p, unsigned n);

/* Hot. Service of where the packet comes from, VIP_NONE when there is none. */
uint32_t vip_find_source(const struct vip_table *t, const struct pkt *p);

/* Hot. What the entry of the packet's source with protocol and port 0 says, VIP_NONE when there is none. */
uint32_t vip_find_source_address(const struct vip_table *t, const struct pkt *p);

/* Hot. Whether any entry has the packet's source address: there is one of it with protocol and port 0 then. */
bool vip_has_source(const struct vip_table *t, const struct pkt *p);
