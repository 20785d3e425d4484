/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * udpreply — see udpreply.h. The first buffer is taken when the first byte comes, so that a request that is not answered costs
 * none. Answers have buffers of their own as they quote their request, whose bytes they would write over.
 */
#include "serve/udpreply.h"

#include "base/csum.h"
#include "net/reply.h"
#include "proto/mc_udp.h"

#include <rte_ip.h>
#include <rte_udp.h>

static struct rte_mbuf *begin_frame(struct udpreply *a)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(a->pool);
	uint8_t *to;

	if (unlikely(m == NULL)) {
		a->is_short = true;
		return NULL;
	}
	to = rte_pktmbuf_mtod(m, uint8_t *);
	memcpy(to, a->headers, a->headers_len);
	mc_udp_build(to + a->headers_len, a->id, (uint16_t)a->n);
	pkt_note(m)->next = NULL;
	if (a->last != NULL)
		pkt_note(a->last)->next = m;
	else
		a->first = m;
	a->last = m;
	a->n++;
	a->out.p = to + a->headers_len + MC_UDP_HEADER;
	a->out.end = a->out.p + a->room;
	return m;
}

static void end_frame(struct udpreply *a)
{
	struct rte_mbuf *m = a->last;
	const uint16_t len = (uint16_t)(a->out.p - rte_pktmbuf_mtod(m, uint8_t *));

	m->data_len = len;
	m->pkt_len = len;
	a->n_bytes += len;
}

static bool grow(struct mc_out *out)
{
	struct udpreply *a = (struct udpreply *)(void *)out;

	if (a->last != NULL)
		end_frame(a);
	return a->n < MC_UDP_TOTAL_MAX && begin_frame(a) != NULL;
}

void udpreply_init(
	struct udpreply *a, const struct worker *w, const struct burst *b, unsigned i, uint16_t id)
{
	const struct pkt *p = &b->p[i];
	const struct rte_mbuf *m = b->m[i];
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct iface *iface = &w->ifaces->of[p->in_iface];
	const uint32_t n_ip = reply_ip_bytes(p->family);
	const uint32_t n_datagram = RTE_MIN(MC_UDP_DATAGRAM_MAX,
		iface->mtu_bytes - n_ip - (uint32_t)sizeof(struct rte_udp_hdr));
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)a->headers;
	struct rte_udp_hdr uh = {.src_port = p->dport, .dst_port = p->sport};

	memcpy(a->headers, frame, p->l3_off);
	eh->dst_addr = eh->src_addr;
	eh->src_addr = iface->mac;
	reply_write_ip(a->headers + p->l3_off, p, IPPROTO_UDP, 0);
	memcpy(a->headers + p->l3_off + n_ip, &uh, sizeof(uh));
	a->headers_len = (uint16_t)(p->l3_off + n_ip + sizeof(uh));
	a->l3_off = p->l3_off;
	a->family = p->family;
	a->room = (uint16_t)(n_datagram - MC_UDP_HEADER);
	a->pool = m->pool;
	a->id = id;
	a->out.grow = grow;
}

void udpreply_begin(struct udpreply *a)
{
	a->out.p = a->out.end = NULL;
	a->out.is_full = false;
	a->first = a->last = NULL;
	a->n = a->n_bytes = 0;
	a->is_short = false;
}

void udpreply_free(struct rte_mbuf *first)
{
	while (first != NULL) {
		struct rte_mbuf *next = pkt_note(first)->next;

		rte_pktmbuf_free(first);
		first = next;
	}
}

/* Lengths and checksums of a frame that has its bytes. */
static void seal(const struct udpreply *a, struct rte_mbuf *m)
{
	uint8_t *l3 = rte_pktmbuf_mtod_offset(m, uint8_t *, a->l3_off);
	const uint32_t n_ip = a->headers_len - a->l3_off - (uint32_t)sizeof(struct rte_udp_hdr);
	const uint16_t n_udp = (uint16_t)(m->data_len - a->l3_off - n_ip);
	struct rte_udp_hdr *uh = (struct rte_udp_hdr *)(void *)(l3 + n_ip);

	uh->dgram_len = rte_cpu_to_be_16(n_udp);
	uh->dgram_cksum = 0;
	if (a->family == 4) {
		struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)(void *)l3;

		v4->total_length = rte_cpu_to_be_16((uint16_t)(n_ip + n_udp));
		v4->hdr_checksum = 0;
		v4->hdr_checksum = csum_of(v4, sizeof(*v4));
		uh->dgram_cksum = csum_l4(&v4->src_addr, &v4->dst_addr, 4, IPPROTO_UDP, uh, n_udp);
	} else {
		struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)(void *)l3;

		v6->payload_len = rte_cpu_to_be_16(n_udp);
		uh->dgram_cksum = csum_l4(v6->src_addr, v6->dst_addr, 16, IPPROTO_UDP, uh, n_udp);
	}
	if (uh->dgram_cksum == 0)
		uh->dgram_cksum = 0xffff; /* RFC 768: 0 says that there is none */
}

struct rte_mbuf *udpreply_finish(struct udpreply *a)
{
	struct rte_mbuf *first = a->first;

	if (first == NULL)
		return NULL;
	end_frame(a);
	if (unlikely(a->out.is_full || a->is_short)) {
		a->is_short = true;
		udpreply_free(first);
		return NULL;
	}
	for (struct rte_mbuf *m = first; m != NULL; m = pkt_note(m)->next) {
		mc_udp_set_total(
			rte_pktmbuf_mtod_offset(m, uint8_t *, a->headers_len), (uint16_t)a->n);
		seal(a, m);
	}
	return first;
}
