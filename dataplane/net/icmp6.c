/* SPDX-License-Identifier: BSD-3-Clause */
/* icmp6 — see icmp.h. */
#include "base/csum.h"
#include "net/icmp.h"
#include "net/icmp_pvt.h"
#include "net/icmpquote.h"
#include "net/ndp.h"
#include "net/reply.h"

#include <rte_icmp.h>
#include <rte_ip.h>

#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_ND_FIRST 135 /* solicitation, advertisement */
#define ICMP6_ND_LAST 136

/* In place: swapped addresses leave the pseudo header's sum alone, so only the type changes it. */
static void make_reply(struct rte_mbuf *m, const struct pkt *p, const struct rte_ether_addr *mac)
{
	struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, p->l3_off);
	struct rte_icmp_hdr *icmp = rte_pktmbuf_mtod_offset(m, struct rte_icmp_hdr *, p->l4_off);
	const uint8_t old_type[2] = {ICMP6_ECHO_REQUEST, 0};
	const uint8_t new_type[2] = {ICMP6_ECHO_REPLY, 0};

	reply_turn_ether(m, mac);
	memcpy(ip->src_addr, p->dst, 16);
	memcpy(ip->dst_addr, p->src, 16);
	ip->hop_limits = 64;
	icmp->icmp_type = ICMP6_ECHO_REPLY;
	icmp->icmp_cksum = csum_apply(icmp->icmp_cksum, csum_delta(old_type, new_type, 2));
}

void icmp6_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i,
	enum addr_kind kind)
{
	struct pkt *p = &b->p[i];
	const struct rte_icmp_hdr *icmp;

	icmp = rte_pktmbuf_mtod_offset(b->m[i], const struct rte_icmp_hdr *, p->l4_off);
	if (!(p->flags & PKT_F_FRAGMENT)) {
		if (icmp->icmp_type >= ICMP6_ND_FIRST && icmp->icmp_type <= ICMP6_ND_LAST) {
			ndp_input(w, c, b, i);
			return;
		}
		if (icmp->icmp_type == ICMP6_ECHO_REQUEST && kind != ADDR_NONE) {
			if (!icmp_budget_take(&w->echo_budget, w->now_ms, ICMP_ECHO_PER_SEC)) {
				pkt_drop(p, PKT_DROP_icmp_limited);
				return;
			}
			make_reply(b->m[i], p, &w->ifaces->of[p->in_iface].mac);
			p->verdict = PKT_TX;
			p->out_iface = p->in_iface;
			w->tally->echo_replies++;
			return;
		}
	}
	if (kind == ADDR_VIP || kind == ADDR_SNAT) {
		pkt_drop(p, PKT_DROP_icmp_unsupported);
		return;
	}
	p->verdict = PKT_PUNT;
	p->punt_class = PUNT_OTHER;
	if (kind == ADDR_OWN)
		p->punt_class = icmpquote_is_too_big(b->m[i], p) ? PUNT_TOO_BIG : PUNT_OWN;
}
