/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * synflood — SYNs above what a service admits are answered with a cookie, and only who sends it back gets an entry and a
 * port, and costs the backend anything (fwd_cookie.c goes on from there). Once per SYN or stray segment of a service
 * with `syn_cookies`. Context: worker.
 */
#include "lb/balance_pvt.h"
#include "lb/fwd_edit.h"
#include "net/syncookie.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define TURNS (RTE_TCP_SYN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG)

bool synflood_is_above(struct call *x, const struct pkt *p, const struct lb_service *s)
{
	enum pkt_drop reason;

	if (!connfsm_opens(p->tcp_flags) || p->flags & PKT_F_FRAGMENT
		|| rate_take(&x->lw->services[s->idx].syns, &s->syn_rate, x->now_ms))
		return false;
	/* who is refused for what he is gets no cookie, but is dropped like any other */
	return newflow_is_source(x, p, &reason) && (s->acl == NULL || acl_allows(s->acl, p->src));
}

bool synflood_defers(struct call *x, unsigned i, const struct lb_service *s)
{
	const struct pkt *p = &x->b->p[i];
	const uint32_t n_headers = (uint32_t)sizeof(struct rte_tcp_hdr)
		+ (uint32_t)(p->family == 4 ? sizeof(struct rte_ipv4_hdr)
					    : sizeof(struct rte_ipv6_hdr));
	const uint32_t n_more = fwd_edit_more(&s->spec);
	uint32_t mss;

	if (!synflood_is_above(x, p, s))
		return false;
	mss = RTE_MIN(x->w->ifaces->of[p->in_iface].mtu_bytes - n_headers, s->mss);
	mss = mss > MR_MSS_MIN + n_more ? mss - n_more : MR_MSS_MIN;
	syncookie_reply(&x->lw->cookies, x->w, x->b, i, (uint16_t)mss);
	return true;
}

bool synflood_returns(struct call *x, unsigned i, uint32_t *iss, uint32_t *isn)
{
	struct pkt *p = &x->b->p[i];

	if ((p->tcp_flags & TURNS) != RTE_TCP_ACK_FLAG || p->flags & PKT_F_FRAGMENT
		|| !syncookie_check(&x->lw->cookies, x->b, i, iss, isn))
		return false;
	p->tcp_flags = RTE_TCP_SYN_FLAG; /* it counts as what it becomes */
	return true;
}
