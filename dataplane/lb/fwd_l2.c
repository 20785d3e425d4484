/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_l2 — see fwd_l2.h. The backend has the VIP on a loopback interface and answers the client itself, so
 * nothing above the Ethernet header may change: the time to live stays, too, as on a bridge.
 */
#include "lb/fwd_l2.h"

static void send_batch(const struct fwd_env *env, const struct fwd_batch *batch)
{
	struct burst *const b = env->b;
	const unsigned n = batch->n;

	for (unsigned k = 0; k < n; k++) {
		const struct lb_backend *be = batch->backend[k];
		const unsigned i = batch->sel[k];

		fwd_output(env, &b->p[i], rte_pktmbuf_mtod(b->m[i], struct rte_ether_hdr *),
			be->iface, be->neigh_ref, NULL);
	}
}

const struct fwd_ops fwd_l2_ops = {.send = send_batch};
