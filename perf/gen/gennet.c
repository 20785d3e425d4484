/* SPDX-License-Identifier: BSD-3-Clause */
/* gennet — see gennet.h. Questions and claims are the dataplane's own code (net/arp.h, net/ndp.h); what answers there needs a worker. */
#include "gennet.h"

#include "base/csum.h"
#include "net/arp.h"
#include "net/ndp.h"

#include <rte_arp.h>
#include <rte_ip.h>

#define ARP_FRAME (RTE_ETHER_HDR_LEN + sizeof(struct rte_arp_hdr))
#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_LEN 24u /* type … target */
#define ND_OPT_LEN 8u
#define ND_FRAME (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + ND_LEN + ND_OPT_LEN)

void gennet_init(struct gennet *g, const struct genopt *o)
{
	memset(g, 0, sizeof(*g));
	g->own[g->n_own++] = o->client;
	for (unsigned i = 0; i < o->n_own; i++)
		g->own[g->n_own++] = o->own[i];
	g->next_hop = o->next_hop;
	g->source = o->client;
	if (o->client.len + 1 < (o->client.family == 4 ? 32 : 128))
		g->source.ip[o->client.family == 4 ? 3 : 15] |= 1;
	g->has_mac = o->has_target_mac;
	g->next_hop_mac = o->target_mac;
}

static bool is_in(const struct genopt_net *n, uint8_t family, const uint8_t *ip)
{
	const unsigned n_bytes = n->len / 8, n_bits = n->len % 8;

	if (n->family != family || memcmp(n->ip, ip, n_bytes) != 0)
		return false;
	return n_bits == 0 || ((n->ip[n_bytes] ^ ip[n_bytes]) & (uint8_t)(0xff00u >> n_bits)) == 0;
}

/* The target may lie in a client's network, and is none of ours. */
static bool is_own(const struct gennet *g, uint8_t family, const uint8_t *ip)
{
	if (is_in(&g->next_hop, family, ip))
		return false;
	for (unsigned i = 0; i < g->n_own; i++)
		if (is_in(&g->own[i], family, ip))
			return true;
	return false;
}

static enum gennet_verdict hear(struct gennet *g, const struct neigh_claim *c)
{
	if (!c->has_mac || !is_in(&g->next_hop, c->key.family, c->key.ip))
		return GENNET_OTHER;
	g->next_hop_mac = c->mac;
	g->has_mac = true;
	return GENNET_HEARD;
}

static enum gennet_verdict on_arp(
	struct gennet *g, const struct rte_ether_addr *mac, struct rte_mbuf *m)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)frame;
	struct rte_arp_hdr *a = (struct rte_arp_hdr *)(void *)(frame + RTE_ETHER_HDR_LEN);
	struct neigh_claim claim;
	rte_be32_t asked;

	if (!arp_claim_parse(frame, m->data_len, &claim)) /* checks length and format too */
		return GENNET_OTHER;
	asked = a->arp_data.arp_tip;
	if (a->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY))
		return hear(g, &claim);
	if (asked == a->arp_data.arp_sip || !is_own(g, 4, (const uint8_t *)&asked))
		return GENNET_OTHER;
	eh->dst_addr = a->arp_data.arp_sha;
	eh->src_addr = *mac;
	a->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	a->arp_data.arp_tha = a->arp_data.arp_sha;
	a->arp_data.arp_tip = a->arp_data.arp_sip;
	a->arp_data.arp_sha = *mac;
	a->arp_data.arp_sip = asked;
	return GENNET_ANSWER;
}

/* RFC 4861 7.1.1, but for options: where the answer goes is where the question came from. Duplicate address detection (from ::) has none. */
static bool is_solicit(const struct rte_ipv6_hdr *ip, uint32_t len)
{
	static const uint8_t any[16];
	const uint32_t n = rte_be_to_cpu_16(ip->payload_len);

	return n >= ND_LEN && n <= len && ip->hop_limits == 255
		&& memcmp(ip->src_addr, any, 16) != 0
		&& csum_l4(ip->src_addr, ip->dst_addr, 16, IPPROTO_ICMPV6, ip + 1, n) == 0;
}

/* The advertisement (RFC 4861 4.4), solicited and with the override flag. */
static void write_advert(uint8_t *frame, const struct rte_ether_addr *mac)
{
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)frame;
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eh + 1);
	uint8_t *nd = (uint8_t *)(ip + 1);
	uint16_t csum;

	eh->dst_addr = eh->src_addr;
	eh->src_addr = *mac;
	memcpy(ip->dst_addr, ip->src_addr, 16);
	memcpy(ip->src_addr, nd + 8, 16);
	ip->payload_len = RTE_BE16(ND_LEN + ND_OPT_LEN);
	memset(nd, 0, 8);
	nd[0] = ND_ADVERT;
	nd[4] = 0x60;
	nd[ND_LEN] = 2; /* the target's link-layer address, in units of 8 bytes */
	nd[ND_LEN + 1] = 1;
	memcpy(nd + ND_LEN + 2, mac, RTE_ETHER_ADDR_LEN);
	csum = csum_l4(ip->src_addr, ip->dst_addr, 16, IPPROTO_ICMPV6, nd, ND_LEN + ND_OPT_LEN);
	memcpy(nd + 2, &csum, sizeof(csum));
}

static enum gennet_verdict on_ipv6(
	struct gennet *g, const struct rte_ether_addr *mac, struct rte_mbuf *m)
{
	const uint32_t head = RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	const struct rte_ipv6_hdr *ip =
		(const struct rte_ipv6_hdr *)(const void *)(frame + RTE_ETHER_HDR_LEN);
	const uint8_t *nd = frame + head;
	struct neigh_claim claim;

	if (m->data_len < head + ND_LEN || ip->proto != IPPROTO_ICMPV6)
		return GENNET_OTHER;
	if (nd[0] == ND_ADVERT)
		return ndp_claim_parse(frame, m->data_len, &claim) ? hear(g, &claim) : GENNET_OTHER;
	if (nd[0] != ND_SOLICIT || !is_solicit(ip, m->data_len - head) || !is_own(g, 6, nd + 8))
		return GENNET_OTHER;
	if (m->data_len < ND_FRAME
		&& rte_pktmbuf_append(m, (uint16_t)(ND_FRAME - m->data_len)) == NULL)
		return GENNET_OTHER;
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - ND_FRAME));
	write_advert(frame, mac);
	return GENNET_ANSWER;
}

enum gennet_verdict gennet_input(
	struct gennet *g, const struct rte_ether_addr *mac, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (m->nb_segs != 1 || m->data_len < sizeof(*eh))
		return GENNET_OTHER;
	if (eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		return on_arp(g, mac, m);
	if (eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return on_ipv6(g, mac, m);
	return GENNET_OTHER;
}

unsigned gennet_ask(
	const struct gennet *g, const struct rte_ether_addr *mac, uint8_t frame[GENNET_FRAME_MAX])
{
	if (g->next_hop.family == 4)
		return arp_request_build(frame, mac, g->source.ip, g->next_hop.ip, NULL);
	return ndp_solicit_build(frame, mac, g->source.ip, g->next_hop.ip, NULL);
}
