/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmp_pvt — the echo budget that icmp4.c and icmp6.c share.
 */
#include "core/worker.h"

#define ICMP_ECHO_PER_SEC 65536u

/* Takes one reply from the worker's budget of this second; false when it is spent. */
static inline bool icmp_budget_take(struct worker *w)
{
	if (w->now_ms - w->echo_since_ms >= 1000) {
		w->echo_since_ms = w->now_ms;
		w->n_echoes = 0;
	}
	return w->n_echoes++ < ICMP_ECHO_PER_SEC;
}

/* Ethernet addresses turned round. */
static inline void icmp_turn_ether(struct rte_mbuf *m, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	eh->dst_addr = eh->src_addr;
	eh->src_addr = *mac;
}
