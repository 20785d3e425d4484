/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcprst — see tcprst.h. IP options, extension headers and everything after the TCP header go: what is left is no
 * longer than what came, so there is always room.
 */
#include "net/tcprst.h"

#include "base/csum.h"
#include "net/icmp_pvt.h"

#include <rte_ip.h>
#include <rte_tcp.h>

/* The header of the reset; ports turned round. */
static struct rte_tcp_hdr answer_to(const struct rte_tcp_hdr *seg, uint32_t n_payload)
{
	struct rte_tcp_hdr rst = {.src_port = seg->dst_port,
		.dst_port = seg->src_port,
		.data_off = 5 << 4,
		.tcp_flags = RTE_TCP_RST_FLAG};

	if (seg->tcp_flags & RTE_TCP_ACK_FLAG) {
		rst.sent_seq = seg->recv_ack;
	} else {
		rst.tcp_flags |= RTE_TCP_ACK_FLAG;
		rst.recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(seg->sent_seq) + n_payload
			+ !!(seg->tcp_flags & RTE_TCP_SYN_FLAG)
			+ !!(seg->tcp_flags & RTE_TCP_FIN_FLAG));
	}
	return rst;
}

static void write4(uint8_t *at, const struct pkt *p, struct rte_tcp_hdr *rst)
{
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length = RTE_BE16(sizeof(ip) + sizeof(*rst)),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP};

	memcpy(&ip.src_addr, p->dst, 4);
	memcpy(&ip.dst_addr, p->src, 4);
	ip.hdr_checksum = csum_of(&ip, sizeof(ip));
	rst->cksum = csum_l4(p->dst, p->src, 4, IPPROTO_TCP, rst, sizeof(*rst));
	memcpy(at, &ip, sizeof(ip));
	memcpy(at + sizeof(ip), rst, sizeof(*rst));
}

static void write6(uint8_t *at, const struct pkt *p, struct rte_tcp_hdr *rst)
{
	struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = RTE_BE16(sizeof(*rst)),
		.proto = IPPROTO_TCP,
		.hop_limits = 64};

	memcpy(ip.src_addr, p->dst, 16);
	memcpy(ip.dst_addr, p->src, 16);
	rst->cksum = csum_l4(p->dst, p->src, 16, IPPROTO_TCP, rst, sizeof(*rst));
	memcpy(at, &ip, sizeof(ip));
	memcpy(at + sizeof(ip), rst, sizeof(*rst));
}

void tcprst_reply(struct worker *w, struct burst *b, unsigned i)
{
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];
	const struct rte_tcp_hdr *seg =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, p->l4_off);
	struct rte_tcp_hdr rst = answer_to(seg, p->l4_len - (seg->data_off >> 4) * 4u);
	const uint32_t n = p->l3_off + (uint32_t)sizeof(rst)
		+ (uint32_t)(p->family == 4 ? sizeof(struct rte_ipv4_hdr)
					    : sizeof(struct rte_ipv6_hdr));
	uint8_t *at = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off);

	if (p->family == 4)
		write4(at, p, &rst);
	else
		write6(at, p, &rst);
	icmp_turn_ether(m, &w->ifaces->of[p->in_iface].mac);
	icmp_set_length(m, n); /* never longer than it was */
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	w->tally->resets_sent++;
}
