/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * trial — what would become of a client's packet: the decisions of the balancing stage, made by the same
 * functions, without the packet and without a trace. What they take (tokens, a scheduler's turn) is put back.
 * Context: the owning worker, between bursts (a job).
 */
#include "lb/balance.h"

#define TRIAL_NO_LIMIT UINT32_MAX

/* Counts and limits are of this worker. */
struct trial {
	uint8_t verdict; /* PKT_TX, PKT_HOLD, PKT_DROP, or PKT_REPLY: the client is reset, or gets a cookie */
	uint8_t drop; /* enum pkt_drop, with PKT_DROP */
	bool has_entry;
	bool is_new;       /* a flow begins: without an entry, or on this one */
	bool is_stateless; /* forwarded without an entry */
	bool is_cookie; /* with PKT_REPLY: a SYN above what the service admits, answered with a cookie */
	bool may_be_cookie; /* dropped as a segment of no flow; with a cookie of ours in it it would begin one */
	uint8_t mode;
	uint8_t neigh_state; /* of the next hop, enum mr_neigh_state; 0: unknown */
	uint8_t out_iface;
	struct conn entry;   /* with has_entry; its times are how long ago it was */
	uint32_t expires_ms; /* the entry, if nothing more comes */
	uint32_t service_idx;
	uint32_t first_idx;   /* what the scheduler says now; SCHED_NONE: nobody */
	uint32_t backend_idx; /* where the packet goes; SCHED_NONE: nowhere */
	uint64_t hash;        /* of what the service hashes */
	uint64_t service_conns, service_conns_max; /* TRIAL_NO_LIMIT */
	uint32_t flows_left, source_left; /* new flows that the rates admit now; TRIAL_NO_LIMIT */
	uint32_t syns_left;               /* SYNs before cookies are sent; TRIAL_NO_LIMIT */
	uint32_t packets_left;            /* as these, packets */
	struct lb_backend backend;        /* with backend_idx */
	uint64_t backend_conns;
	struct rte_ether_addr mac; /* of the next hop, where it is known */
	uint8_t next_hop[16];
	uint16_t snat_port; /* full NAT: the next one, or the entry's; 0: none left */
	struct mr_ip snat;
	/* NAT: the way of the answer to the client */
	bool has_answer, has_answer_route;
	uint8_t answer_iface, answer_state;
	uint8_t answer_hop[16];
};

/* Packet 0 of the burst has PKT_LB and service_idx; its record is all there is of it. */
void trial_run(struct worker *w, struct burst *b, struct trial *t);
