/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * toobig — see toobig.h. The message leaves for the Ethernet address that the packet came from: the client, or
 * the router that leads to it. Hosts believe it because it quotes their own packet, and from the address they
 * talk to (a VIP) it passes filters that would stop one from a stranger.
 */
#include "net/toobig.h"

#include "base/csum.h"
#include "net/icmp_pvt.h"
#include "net/icmpquote.h"

#include <rte_ip.h>

#define MESSAGE4_MAX 576u  /* bytes of IP packet, RFC 1812 4.3.2.3 */
#define MESSAGE6_MAX 1280u /* RFC 4443 3.2 */
#define ICMP4_DEST_UNREACHABLE 3
#define ICMP6_PACKET_TOO_BIG 2

struct too_big { /* both families: type, code, checksum, a word */
	uint8_t type, code;
	rte_be16_t checksum;
	rte_be16_t mtu[2]; /* IPv4 uses the second half of the word */
};

/* Bytes of the packet that are quoted after the two headers: as many as the message may have. */
static uint16_t quote(struct rte_mbuf *m, uint32_t l3_off, uint32_t n_headers, uint32_t max)
{
	uint32_t n = m->data_len - l3_off; /* of the first segment: the beginning is enough */

	if (n > max - n_headers)
		n = max - n_headers;
	if (m->next != NULL) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
	}
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - l3_off - n));
	return (uint16_t)n;
}

/* A new frame in front of the quoted packet: Ethernet header and n_headers bytes. NULL without room for it. */
static uint8_t *push(
	struct rte_mbuf *m, struct pkt *p, const struct rte_ether_addr *mac, uint32_t n_headers)
{
	struct rte_ether_hdr eth = *rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(
		m, (uint16_t)(n_headers + RTE_ETHER_HDR_LEN - p->l3_off));

	if (frame == NULL)
		return NULL;
	eth.dst_addr = eth.src_addr;
	eth.src_addr = *mac;
	memcpy(frame, &eth, sizeof(eth));
	return frame + RTE_ETHER_HDR_LEN;
}

static bool make4(
	struct rte_mbuf *m, struct pkt *p, const struct rte_ether_addr *mac, uint16_t mtu_bytes)
{
	const uint32_t n_headers = sizeof(struct rte_ipv4_hdr) + sizeof(struct too_big);
	const uint16_t n = quote(m, p->l3_off, n_headers, MESSAGE4_MAX);
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)push(m, p, mac, n_headers);
	struct too_big *msg = (struct too_big *)(void *)(ip + 1);

	if (ip == NULL)
		return false;
	memset(ip, 0, n_headers);
	ip->version_ihl = 0x45;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(n_headers + n));
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_ICMP;
	memcpy(&ip->src_addr, p->dst, 4);
	memcpy(&ip->dst_addr, p->src, 4);
	ip->hdr_checksum = csum_of(ip, sizeof(*ip));
	msg->type = ICMP4_DEST_UNREACHABLE;
	msg->code = 4; /* fragmentation needed and DF set */
	msg->mtu[1] = rte_cpu_to_be_16(mtu_bytes);
	msg->checksum = csum_of(msg, (uint32_t)sizeof(*msg) + n);
	return true;
}

static bool make6(
	struct rte_mbuf *m, struct pkt *p, const struct rte_ether_addr *mac, uint16_t mtu_bytes)
{
	const uint32_t n_headers = sizeof(struct rte_ipv6_hdr) + sizeof(struct too_big);
	const uint16_t n = quote(m, p->l3_off, n_headers, MESSAGE6_MAX);
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)push(m, p, mac, n_headers);
	struct too_big *msg = (struct too_big *)(void *)(ip + 1);
	const uint16_t n_message = (uint16_t)(sizeof(*msg) + n);

	if (ip == NULL)
		return false;
	memset(ip, 0, n_headers);
	ip->vtc_flow = RTE_BE32(0x60000000);
	ip->payload_len = rte_cpu_to_be_16(n_message);
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = 64;
	memcpy(ip->src_addr, p->dst, 16);
	memcpy(ip->dst_addr, p->src, 16);
	msg->type = ICMP6_PACKET_TOO_BIG;
	msg->mtu[1] = rte_cpu_to_be_16(mtu_bytes);
	msg->checksum = csum_l4(ip->src_addr, ip->dst_addr, 16, IPPROTO_ICMPV6, msg, n_message);
	return true;
}

/* A router could fragment what has no DF, and nobody is told for a frame to all or an ICMP error (RFC 1122 3.2.2). */
static bool may_be_told(const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, p->l3_off);

	if (p->flags & PKT_F_BROADCAST || icmpquote_is_error(m, p))
		return false;
	return p->family == 6 || (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
}

void toobig_reply(struct worker *w, struct burst *b, unsigned i, uint16_t mtu_bytes)
{
	const struct rte_ether_addr *mac = &w->ifaces->of[b->p[i].in_iface].mac;
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];

	if (!may_be_told(m, p)) {
		pkt_drop(p, PKT_DROP_too_big);
		return;
	}
	if (!icmp_budget_take(&w->echo_budget, w->now_ms, ICMP_ECHO_PER_SEC)) {
		pkt_drop(p, PKT_DROP_icmp_limited);
		return;
	}
	if (!(p->family == 4 ? make4(m, p, mac, mtu_bytes) : make6(m, p, mac, mtu_bytes))) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return;
	}
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	w->tally->too_big_replies++;
}
