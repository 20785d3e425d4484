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
#include "net/reply.h"

#include <rte_ip.h>

#define MESSAGE4_MAX 576u  /* bytes of IP packet, RFC 1812 4.3.2.3 */
#define MESSAGE6_MAX 1280u /* RFC 4443 3.2 */

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
	reply_set_length(m, l3_off + n);
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

bool toobig_build(
	struct rte_mbuf *m, struct pkt *p, const struct rte_ether_addr *mac, uint16_t mtu_bytes)
{
	const bool is_v4 = p->family == 4;
	const uint32_t n_ip = reply_ip_bytes(p->family);
	const uint32_t n_headers = n_ip + (uint32_t)sizeof(struct too_big);
	const uint16_t n = quote(m, p->l3_off, n_headers, is_v4 ? MESSAGE4_MAX : MESSAGE6_MAX);
	const uint16_t n_message = (uint16_t)(sizeof(struct too_big) + n);
	struct too_big head = {.type = is_v4 ? ICMP4_DEST_UNREACHABLE : ICMP6_PACKET_TOO_BIG,
		.code = is_v4 ? ICMP4_FRAGMENTATION_NEEDED : 0,
		.mtu = {0, rte_cpu_to_be_16(mtu_bytes)}};
	uint8_t *ip = push(m, p, mac, n_headers);
	struct too_big *msg;

	if (ip == NULL)
		return false;
	msg = (struct too_big *)(void *)(ip + n_ip);
	reply_write_ip(ip, p, is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, n_message);
	*msg = head;
	msg->checksum = is_v4 ? csum_of(msg, n_message)
			      : csum_l4(p->dst, p->src, 16, IPPROTO_ICMPV6, msg, n_message);
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
	if (!toobig_build(m, p, mac, mtu_bytes)) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return;
	}
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	w->tally->too_big_replies++;
}
