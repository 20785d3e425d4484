/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard — whether a service takes a new flow, asked once per flow before a backend is chosen; packets of known
 * flows never come here. Context: worker.
 *
 * Each worker has an equal share of every limit and counts what is its own: a sum over workers would be a
 * cache line that all of them write. Client flows are spread by a hash of addresses and ports, so shares fill
 * alike; one that is full refuses although another has room, and the limit holds for the sum (but for shares
 * rounded up: less than one per worker).
 */
#include "lb/balance_pvt.h"

bool guard_admits(const struct call *x, const struct lb_service *s, enum pkt_drop *reason)
{
	if (x->lw->services[s->idx].conns >= s->max_conns) {
		*reason = PKT_DROP_service_limit;
		return false;
	}
	return true;
}
