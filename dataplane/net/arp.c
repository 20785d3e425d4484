/* SPDX-License-Identifier: BSD-3-Clause */
/* arp — see arp.h. Only Ethernet/IPv4 ARP of exactly RFC 826's 28 bytes is understood; the rest is the
 * kernel's to look at. */
#include "net/arp.h"

#include <rte_arp.h>
#include <rte_ip.h>

#define ARP_FRAME (RTE_ETHER_HDR_LEN + sizeof(struct rte_arp_hdr))

static bool is_ipv4_over_ether(const struct rte_arp_hdr *a)
{
	return a->arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER)
		&& a->arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4)
		&& a->arp_hlen == RTE_ETHER_ADDR_LEN && a->arp_plen == 4;
}

/* Turns the request in place into our answer. */
static void make_reply(uint8_t *frame, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)frame;
	struct rte_arp_hdr *a = (struct rte_arp_hdr *)(void *)(frame + RTE_ETHER_HDR_LEN);
	const rte_be32_t asked = a->arp_data.arp_tip;

	a->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	a->arp_data.arp_tha = a->arp_data.arp_sha;
	a->arp_data.arp_tip = a->arp_data.arp_sip;
	a->arp_data.arp_sha = *mac;
	a->arp_data.arp_sip = asked;
	eh->dst_addr = a->arp_data.arp_tha;
	eh->src_addr = *mac;
}

void arp_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i)
{
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	const struct rte_arp_hdr *a =
		(const struct rte_arp_hdr *)(const void *)(frame + RTE_ETHER_HDR_LEN);
	uint8_t target[16] = {0}, iface;
	uint16_t snat_slot;
	bool is_ours;

	if (m->data_len < ARP_FRAME) {
		pkt_drop(p, PKT_DROP_short_frame);
		return;
	}
	p->verdict = PKT_PUNT;
	p->punt_class = PUNT_NEIGH;
	if (!is_ipv4_over_ether(a))
		return;
	if (a->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST)
		&& a->arp_data.arp_sip != a->arp_data.arp_tip)
		neigh_notice(w, m, p->in_iface);
	memcpy(target, &a->arp_data.arp_tip, 4);
	is_ours = addr_find(c, 4, target, &snat_slot, &iface) != ADDR_NONE;
	if (a->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) && is_ours
		&& a->arp_data.arp_sip != a->arp_data.arp_tip) {
		make_reply(frame, &w->ifaces->of[p->in_iface].mac);
		p->verdict = PKT_TX;
		p->out_iface = p->in_iface;
		w->tally->arp_replies++;
	} else if (a->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY)
		|| a->arp_data.arp_sip == a->arp_data.arp_tip) {
		pkt_note(m)->kind = NOTE_NEIGH;
		pkt_note(m)->iface = p->in_iface;
		pkt_note(m)->punt_class = PUNT_NEIGH;
		p->verdict = PKT_GONE;
		worker_to_manager(w, m);
	}
}

unsigned arp_request_build(uint8_t *buf, const struct rte_ether_addr *src_mac,
	const uint8_t src_ip[4], const uint8_t target[4], const struct rte_ether_addr *dst_mac)
{
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)buf;
	struct rte_arp_hdr *a = (struct rte_arp_hdr *)(void *)(buf + RTE_ETHER_HDR_LEN);

	memset(buf, 0, ARP_FRAME);
	if (dst_mac != NULL)
		eh->dst_addr = *dst_mac;
	else
		memset(&eh->dst_addr, 0xff, RTE_ETHER_ADDR_LEN);
	eh->src_addr = *src_mac;
	eh->ether_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
	a->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
	a->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	a->arp_hlen = RTE_ETHER_ADDR_LEN;
	a->arp_plen = 4;
	a->arp_opcode = RTE_BE16(RTE_ARP_OP_REQUEST);
	a->arp_data.arp_sha = *src_mac;
	memcpy(&a->arp_data.arp_sip, src_ip, 4);
	memcpy(&a->arp_data.arp_tip, target, 4);
	return ARP_FRAME;
}

bool arp_claim_parse(const uint8_t *frame, uint32_t len, struct neigh_claim *c)
{
	const struct rte_ether_hdr *eh = (const struct rte_ether_hdr *)(const void *)frame;
	const struct rte_arp_hdr *a =
		(const struct rte_arp_hdr *)(const void *)(frame + RTE_ETHER_HDR_LEN);
	bool is_reply, is_request, is_gratuitous;

	if (len < ARP_FRAME || !is_ipv4_over_ether(a)
		|| !rte_is_valid_assigned_ether_addr(&a->arp_data.arp_sha))
		return false;
	is_reply = a->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY);
	is_request = a->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
	is_gratuitous = a->arp_data.arp_sip == a->arp_data.arp_tip;
	if (!is_reply && !is_request)
		return false;
	*c = (struct neigh_claim){.key.family = 4,
		.mac = a->arp_data.arp_sha,
		.has_mac = true,
		.is_override = true,
		.is_answer =
			is_reply && !is_gratuitous && rte_is_unicast_ether_addr(&eh->dst_addr)};
	memcpy(c->key.ip, &a->arp_data.arp_sip, 4);
	return true;
}
