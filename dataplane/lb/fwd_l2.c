/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_l2 — see fwd_l2.h. The backend has the VIP on a loopback interface and answers the client itself, so
 * nothing above the Ethernet header may change: the time to live stays, too, as on a bridge.
 */
#include "lb/fwd_l2.h"

static void open_flow(struct conn *e, const struct lb_conf *conf)
{
	(void)e;
	(void)conf;
}

static void send_batch(const struct fwd_env *env, const struct fwd_batch *batch)
{
	for (unsigned k = 0; k < batch->n; k++) {
		const struct lb_backend *be = batch->backend[k];
		const unsigned i = batch->sel[k];

		fwd_output(env, i, rte_pktmbuf_mtod(env->b->m[i], struct rte_ether_hdr *),
			be->iface, be->neigh_ref, be->next_hop);
	}
}

/* A packet from a backend to a SNAT address never belongs to a direct-return flow: those have no port. */
static void return_batch(const struct fwd_env *env, const struct fwd_batch *batch)
{
	for (unsigned k = 0; k < batch->n; k++)
		pkt_drop(&env->b->p[batch->sel[k]], PKT_DROP_snat_unknown);
}

const struct fwd_ops fwd_l2_ops = {.open = open_flow, .send = send_batch, .ret = return_batch};
