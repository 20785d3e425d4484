/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmp — the entry for packets with verdict PKT_ICMP: echo requests to own addresses, VIPs and SNAT
 * addresses are answered in place (icmp4.c, icmp6.c), neighbour discovery goes to ndp.c, the rest of what
 * is for own addresses to the kernel side; errors about balanced flows are a counted drop.
 */
#include "core/worker.h"
#include "net/addr.h"

/* Hot. Context: worker. kind: what the destination is to us (ADDR_NONE: ND multicast). Echo replies
 * have a per-worker budget per second (64 k): above it PKT_DROP_icmp_limited. */
void icmp4_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i,
	enum addr_kind kind);
void icmp6_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i,
	enum addr_kind kind);
