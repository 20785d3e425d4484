/* SPDX-License-Identifier: BSD-3-Clause */
/* ndp — see ndp.h. Validity rules are RFC 4861 7.1.1 (solicitations) and 7.1.2 (advertisements). */
#include "net/ndp.h"

#include "base/csum.h"

#include <rte_ip.h>

#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_LEN 24u /* type … target */
#define OPT_SOURCE 1
#define OPT_TARGET 2
#define OPT_LEN 8u /* a link-layer address option of Ethernet */
#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE 0x20

struct nd { /* ICMPv6 types 135 and 136 */
	uint8_t type, code;
	rte_be16_t checksum;
	uint8_t flags, reserved[3];
	uint8_t target[16];
	uint8_t options[];
};

#define ND_FRAME (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + ND_LEN + OPT_LEN)

/* Link-layer address in option `want`, NULL when absent; *ok false when the options are malformed. */
static const uint8_t *find_option(const struct nd *nd, uint32_t len, uint8_t want, bool *ok)
{
	const uint8_t *opt = nd->options, *found = NULL;
	uint32_t left = len - ND_LEN;

	*ok = true;
	while (left > 0) {
		const uint32_t n = left >= 2 ? opt[1] * 8u : 0;

		if (n == 0 || n > left) {
			*ok = false;
			return NULL;
		}
		if (opt[0] == want && n == OPT_LEN)
			found = opt + 2;
		opt += n;
		left -= n;
	}
	return found;
}

static bool is_unspecified(const uint8_t *ip)
{
	static const uint8_t any[16];

	return memcmp(ip, any, 16) == 0;
}

/* Header rules common to both messages. */
static bool is_valid(const struct rte_ipv6_hdr *ip, const struct nd *nd, uint32_t len)
{
	return ip->hop_limits == 255 && nd->code == 0 && len >= ND_LEN && nd->target[0] != 0xff
		&& csum_l4(ip->src_addr, ip->dst_addr, 16, IPPROTO_ICMPV6, nd, len) == 0;
}

static void finish_ipv6(struct rte_ipv6_hdr *ip, struct nd *nd, uint16_t len)
{
	ip->vtc_flow = RTE_BE32(6u << 28);
	ip->payload_len = rte_cpu_to_be_16(len);
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = 255;
	nd->checksum = 0;
	nd->checksum = csum_l4(ip->src_addr, ip->dst_addr, 16, IPPROTO_ICMPV6, nd, len);
}

/* Turns the solicitation in place into our advertisement. asker: its source link-layer option or NULL. */
static void make_advert(struct rte_mbuf *m, const struct rte_ether_addr *mac, const uint8_t *asker)
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eh + 1);
	struct nd *nd = (struct nd *)(ip + 1);
	const bool is_dad = is_unspecified(ip->src_addr);
	struct rte_ether_addr to = eh->src_addr;

	if (asker != NULL)
		memcpy(&to, asker, sizeof(to));
	memcpy(ip->dst_addr, is_dad ? all_nodes : ip->src_addr, 16);
	memcpy(ip->src_addr, nd->target, 16);
	if (is_dad)
		to = (struct rte_ether_addr){.addr_bytes = {0x33, 0x33, 0, 0, 0, 1}};
	eh->dst_addr = to;
	eh->src_addr = *mac;
	nd->type = ND_ADVERT;
	nd->flags = is_dad ? FLAG_OVERRIDE : FLAG_SOLICITED | FLAG_OVERRIDE;
	memset(nd->reserved, 0, sizeof(nd->reserved));
	nd->options[0] = OPT_TARGET;
	nd->options[1] = 1;
	memcpy(nd->options + 2, mac, RTE_ETHER_ADDR_LEN);
	finish_ipv6(ip, nd, ND_LEN + OPT_LEN);
}

/* Makes the frame exactly as long as an advertisement. False: no room. */
static bool resize(struct rte_mbuf *m)
{
	if (m->nb_segs != 1)
		return false;
	if (m->pkt_len > ND_FRAME)
		return rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - ND_FRAME)) == 0;
	return m->pkt_len == ND_FRAME
		|| rte_pktmbuf_append(m, (uint16_t)(ND_FRAME - m->pkt_len)) != NULL;
}

static void on_solicit(struct worker *w, const struct addr_conf *c, struct rte_mbuf *m,
	struct pkt *p, const struct nd *nd)
{
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN);
	const uint8_t *option;
	uint8_t iface, asker[6];
	uint16_t snat_slot;
	bool ok;

	option = find_option(nd, p->l4_len, OPT_SOURCE, &ok);
	if (!ok || (is_unspecified(ip->src_addr) && (option != NULL || ip->dst_addr[0] != 0xff))) {
		pkt_drop(p, PKT_DROP_bad_l4_header);
		return;
	}
	if (addr_find(c, 6, nd->target, &snat_slot, &iface) == ADDR_NONE) {
		p->verdict = PKT_PUNT;
		return;
	}
	neigh_notice(w, m, p->in_iface);
	if (option != NULL)
		memcpy(asker, option, sizeof(asker));
	if (p->flags & PKT_F_OPTIONS || !resize(m)) {
		pkt_drop(p, PKT_DROP_no_mbuf);
		return;
	}
	make_advert(m, &w->ifaces->of[p->in_iface].mac, option != NULL ? asker : NULL);
	p->verdict = PKT_TX;
	p->out_iface = p->in_iface;
	w->tally->nd_replies++;
}

void ndp_input(struct worker *w, const struct addr_conf *c, struct burst *b, unsigned i)
{
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];
	const struct rte_ipv6_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, p->l3_off);
	const struct nd *nd = rte_pktmbuf_mtod_offset(m, const struct nd *, p->l4_off);

	if (!is_valid(ip, nd, p->l4_len)) {
		pkt_drop(p, PKT_DROP_bad_l4_header);
		return;
	}
	p->punt_class = PUNT_NEIGH;
	if (nd->type == ND_SOLICIT) {
		on_solicit(w, c, m, p, nd);
		return;
	}
	pkt_note(m)->kind = NOTE_NEIGH;
	pkt_note(m)->iface = p->in_iface;
	pkt_note(m)->punt_class = PUNT_NEIGH;
	p->verdict = PKT_GONE;
	worker_to_manager(w, m);
}

unsigned ndp_solicit_build(uint8_t *buf, const struct rte_ether_addr *src_mac,
	const uint8_t src_ip[16], const uint8_t target[16], const struct rte_ether_addr *dst_mac)
{
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)buf;
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eh + 1);
	struct nd *nd = (struct nd *)(ip + 1);
	/* solicited-node group (RFC 4291 2.7.1) */
	const uint8_t group[16] = {
		0xff, 0x02, [11] = 1, [12] = 0xff, target[13], target[14], target[15]};

	memset(buf, 0, ND_FRAME);
	memcpy(ip->src_addr, src_ip, 16);
	if (dst_mac != NULL) {
		eh->dst_addr = *dst_mac;
		memcpy(ip->dst_addr, target, 16);
	} else {
		eh->dst_addr = (struct rte_ether_addr){
			.addr_bytes = {0x33, 0x33, 0xff, target[13], target[14], target[15]}};
		memcpy(ip->dst_addr, group, 16);
	}
	eh->src_addr = *src_mac;
	eh->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
	nd->type = ND_SOLICIT;
	memcpy(nd->target, target, 16);
	nd->options[0] = OPT_SOURCE;
	nd->options[1] = 1;
	memcpy(nd->options + 2, src_mac, RTE_ETHER_ADDR_LEN);
	finish_ipv6(ip, nd, ND_LEN + OPT_LEN);
	return ND_FRAME;
}

static bool read_advert(
	const struct rte_ipv6_hdr *ip, const struct nd *nd, uint32_t l4_len, struct neigh_claim *c)
{
	bool ok;
	const uint8_t *option = find_option(nd, l4_len, OPT_TARGET, &ok);

	if (!ok || (nd->flags & FLAG_SOLICITED && ip->dst_addr[0] == 0xff))
		return false;
	*c = (struct neigh_claim){.key.family = 6,
		.has_mac = option != NULL,
		.is_override = (nd->flags & FLAG_OVERRIDE) != 0,
		.is_answer = (nd->flags & FLAG_SOLICITED) != 0};
	memcpy(c->key.ip, nd->target, 16);
	if (option != NULL)
		memcpy(&c->mac, option, sizeof(c->mac));
	return option == NULL || rte_is_valid_assigned_ether_addr(&c->mac);
}

/* RFC 4861 7.2.3: its source option is as good as an advertisement with the override flag. */
static bool read_solicit(
	const struct rte_ipv6_hdr *ip, const struct nd *nd, uint32_t l4_len, struct neigh_claim *c)
{
	bool ok;
	const uint8_t *option = find_option(nd, l4_len, OPT_SOURCE, &ok);

	if (!ok || option == NULL || is_unspecified(ip->src_addr))
		return false;
	*c = (struct neigh_claim){.key.family = 6, .has_mac = true, .is_override = true};
	memcpy(c->key.ip, ip->src_addr, 16);
	memcpy(&c->mac, option, sizeof(c->mac));
	return rte_is_valid_assigned_ether_addr(&c->mac);
}

bool ndp_claim_parse(const uint8_t *frame, uint32_t len, struct neigh_claim *c)
{
	const struct rte_ipv6_hdr *ip =
		(const struct rte_ipv6_hdr *)(const void *)(frame + RTE_ETHER_HDR_LEN);
	const struct nd *nd = (const struct nd *)(ip + 1);
	uint32_t l4_len;

	if (len < RTE_ETHER_HDR_LEN + sizeof(*ip) + ND_LEN)
		return false;
	l4_len = rte_be_to_cpu_16(ip->payload_len);
	if (ip->proto != IPPROTO_ICMPV6 || l4_len > len - RTE_ETHER_HDR_LEN - sizeof(*ip)
		|| !is_valid(ip, nd, l4_len))
		return false;
	if (nd->type == ND_SOLICIT)
		return read_solicit(ip, nd, l4_len, c);
	return nd->type == ND_ADVERT && read_advert(ip, nd, l4_len, c);
}
