/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmp_pvt — what ICMP messages may cost, those that we answer and errors that are passed on; and how a packet is turned
 * into an answer, of any protocol.
 */
#include "core/worker.h"

#define ICMP_ECHO_PER_SEC 65536u
#define ICMP_ERRORS_PER_SEC 16384u

/* Takes one message from a budget of this second; false when it is spent. */
static inline bool icmp_budget_take(struct worker_budget *budget, uint32_t now_ms, uint32_t per_sec)
{
	if (now_ms - budget->since_ms >= 1000) {
		budget->since_ms = now_ms;
		budget->n = 0;
	}
	return budget->n++ < per_sec;
}

/* The frame becomes n bytes long: in one segment, and longer only where the buffer has room (false). */
static inline bool icmp_set_length(struct rte_mbuf *m, uint32_t n)
{
	if (m->next != NULL) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
	}
	if (n > m->data_len)
		return rte_pktmbuf_append(m, (uint16_t)(n - m->data_len)) != NULL;
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - n));
	return true;
}

/* Ethernet addresses turned round. */
static inline void icmp_turn_ether(struct rte_mbuf *m, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

	eh->dst_addr = eh->src_addr;
	eh->src_addr = *mac;
}
