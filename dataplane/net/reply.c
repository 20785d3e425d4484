/* SPDX-License-Identifier: BSD-3-Clause */
/* reply — see reply.h. */
#include "net/reply.h"

#include "base/csum.h"

#include <rte_ip.h>
#include <rte_tcp.h>

bool reply_set_length(struct rte_mbuf *m, uint32_t n)
{
	if (m->next != NULL) {
		rte_pktmbuf_free(m->next);
		m->next = NULL;
		m->nb_segs = 1;
		m->pkt_len = m->data_len;
	}
	if (n > m->data_len)
		return rte_pktmbuf_append(m, (uint16_t)(n - m->data_len)) != NULL;
	rte_pktmbuf_trim(m, (uint16_t)(m->data_len - n));
	return true;
}

/* opt: the sum is made of what is written, not of what has been, and that is written as long words: reading eight bytes that were just
 * written as smaller ones waits until they have left the store buffer. */
static void write_ipv4(uint8_t *at, const struct pkt *p, uint8_t proto, uint16_t n)
{
	const rte_be16_t length = rte_cpu_to_be_16((uint16_t)(sizeof(struct rte_ipv4_hdr) + n));
	const rte_be16_t hops = rte_cpu_to_be_16((uint16_t)(64 << 8 | proto));
	uint32_t from, to;
	uint64_t words[2];
	uint16_t sum;

	memcpy(&from, p->dst, 4);
	memcpy(&to, p->src, 4);
	sum = (uint16_t)~csum_fold(RTE_BE16(0x4500) + (uint64_t)length
		+ RTE_BE16(RTE_IPV4_HDR_DF_FLAG) + hops + from + to);
	/* a word's first bytes are its lowest */
	words[0] = RTE_BE16(0x4500) | (uint64_t)length << 16
		| (uint64_t)RTE_BE16(RTE_IPV4_HDR_DF_FLAG) << 48;
	words[1] = hops | (uint32_t)sum << 16 | (uint64_t)from << 32;
	memcpy(at, words, sizeof(words));
	memcpy(at + sizeof(words), &to, sizeof(to));
}

static void write_ipv6(uint8_t *at, const struct pkt *p, uint8_t proto, uint16_t n)
{
	struct rte_ipv6_hdr ip = {.vtc_flow = RTE_BE32(0x60000000),
		.payload_len = rte_cpu_to_be_16(n),
		.proto = proto,
		.hop_limits = 64};

	memcpy(ip.src_addr, p->dst, 16);
	memcpy(ip.dst_addr, p->src, 16);
	memcpy(at, &ip, sizeof(ip));
}

void reply_write_ip(uint8_t *at, const struct pkt *p, uint8_t proto, uint16_t n)
{
	if (p->family == 4)
		write_ipv4(at, p, proto, n);
	else
		write_ipv6(at, p, proto, n);
}

bool reply_tcp(struct worker *w, struct burst *b, unsigned i, void *tcp, uint16_t n)
{
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];
	const uint32_t n_ip = reply_ip_bytes(p->family);
	struct rte_tcp_hdr *h = tcp;
	uint8_t *at;

	if (!reply_set_length(m, p->l3_off + n_ip + n)) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return false;
	}
	h->cksum = 0;
	h->cksum = csum_l4(p->dst, p->src, p->family == 4 ? 4 : 16, IPPROTO_TCP, tcp, n);
	at = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off);
	reply_write_ip(at, p, IPPROTO_TCP, n);
	memcpy(at + n_ip, tcp, n);
	reply_turn_ether(m, &w->ifaces->of[p->in_iface].mac);
	p->verdict = PKT_REPLY;
	p->out_iface = p->in_iface;
	return true;
}
