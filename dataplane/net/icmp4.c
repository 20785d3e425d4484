/* SPDX-License-Identifier: BSD-3-Clause */
/* icmp4 — see icmp.h. */
#include "base/csum.h"
#include "net/icmp.h"
#include "net/icmp_pvt.h"
#include "net/icmpquote.h"
#include "net/reply.h"

#include <rte_icmp.h>
#include <rte_ip.h>

/* Turns an echo request in place into its reply: addresses swap (no checksum changes), type and TTL. */
static void make_reply(struct rte_mbuf *m, const struct pkt *p, const struct rte_ether_addr *mac)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, p->l3_off);
	struct rte_icmp_hdr *icmp = rte_pktmbuf_mtod_offset(m, struct rte_icmp_hdr *, p->l4_off);
	const uint8_t old_type[2] = {RTE_IP_ICMP_ECHO_REQUEST, 0};
	const uint8_t new_type[2] = {RTE_IP_ICMP_ECHO_REPLY, 0};
	const rte_be32_t src = ip->src_addr;

	reply_turn_ether(m, mac);
	ip->src_addr = ip->dst_addr;
	ip->dst_addr = src;
	ip->time_to_live = 64;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = csum_of(ip, p->l4_off - p->l3_off);
	icmp->icmp_type = RTE_IP_ICMP_ECHO_REPLY;
	icmp->icmp_cksum = csum_apply(icmp->icmp_cksum, csum_delta(old_type, new_type, 2));
}

void icmp4_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i,
	enum addr_kind kind)
{
	struct pkt *p = &b->p[i];
	const struct rte_icmp_hdr *icmp;

	(void)c;
	icmp = rte_pktmbuf_mtod_offset(b->m[i], const struct rte_icmp_hdr *, p->l4_off);
	/* a fragmented ping of an own address is the kernel's to put together */
	if (p->flags & (PKT_F_FRAGMENT | PKT_F_BROADCAST)
		|| icmp->icmp_type != RTE_IP_ICMP_ECHO_REQUEST || icmp->icmp_code != 0) {
		p->punt_class = icmpquote_is_too_big(b->m[i], p) ? PUNT_TOO_BIG : PUNT_OWN;
		p->verdict = PKT_PUNT;
		if (kind != ADDR_OWN)
			pkt_drop(p, PKT_DROP_icmp_unsupported);
		return;
	}
	if (!icmp_budget_take(&w->echo_budget, w->now_ms, ICMP_ECHO_PER_SEC)) {
		pkt_drop(p, PKT_DROP_icmp_limited);
		return;
	}
	make_reply(b->m[i], p, &w->ifaces->of[p->in_iface].mac);
	p->verdict = PKT_TX;
	p->out_iface = p->in_iface;
	w->tally->echo_replies++;
}
