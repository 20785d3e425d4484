/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * icmperr — ICMP errors about balanced flows: found by what they quote, and passed on to the end of the flow that
 * sent the quoted packet, the backend or the client. They never make, change, refresh or end a connection entry:
 * anybody can forge one. Context: worker.
 */
#include "core/worker.h"
#include "lb/lbconf.h"

/* Hot. Packet p has PKT_ICMP_ERROR; kind: what its destination is to us. The worker that owns its flow; `self` when
 * it is of none. */
unsigned icmperr_owner(const struct lb_conf *c, const struct rte_mbuf *m, const struct pkt *p,
	enum addr_kind kind, unsigned n_workers, unsigned self);

/* Hot. Packet i of the burst has PKT_ICMP_ERROR. Afterwards it is PKT_TX, PKT_HOLD or PKT_DROP; or, where it was for
 * nobody of ours and is about no flow of ours, PKT_PUNT. */
void icmperr_input(struct worker *w, const struct lb_conf *c, const struct addr_conf *ac,
	struct burst *b, unsigned i, enum addr_kind kind);
