/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * udpreply — see udpreply.h. Answers have buffers of their own as they quote their request, whose bytes they would write over.
 *
 * opt: buffers of a burst are taken at once, and what is written first of each is fetched while keys are looked up; headers are
 * written once, when lengths are known, straight from the request.
 */
#include "serve/udpreply.h"

#include "base/csum.h"
#include "net/reply.h"
#include "proto/mc_udp.h"

#include <rte_ip.h>
#include <rte_prefetch.h>
#include <rte_udp.h>

#define ETHER_MAX (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN)

void udpreply_stock_take(struct udpreply_stock *s, struct rte_mempool *pool, unsigned n)
{
	s->pool = pool;
	s->n = rte_pktmbuf_alloc_bulk(pool, s->m, n) == 0 ? n : 0;
	for (unsigned i = 0; i < s->n; i++) {
		const uint8_t *to = rte_pktmbuf_mtod(s->m[i], const uint8_t *);

		rte_prefetch0(to);
		rte_prefetch0(to + RTE_CACHE_LINE_SIZE);
	}
}

void udpreply_stock_give(struct udpreply_stock *s)
{
	if (s->n > 0)
		rte_pktmbuf_free_bulk(s->m, s->n);
	s->n = 0;
}

static struct rte_mbuf *take_buffer(struct udpreply_stock *s)
{
	return likely(s->n > 0) ? s->m[--s->n] : rte_pktmbuf_alloc(s->pool);
}

static struct rte_mbuf *begin_frame(struct udpreply *a)
{
	struct rte_mbuf *m = take_buffer(a->stock);
	uint8_t *to;

	if (unlikely(m == NULL)) {
		a->is_short = true;
		return NULL;
	}
	to = rte_pktmbuf_mtod_offset(m, uint8_t *, a->headers_len);
	mc_udp_build(to, a->id, (uint16_t)a->n);
	if (a->last != NULL)
		pkt_note(a->last)->next = m;
	else
		a->first = m;
	a->last = m;
	a->n++;
	a->out.p = to + MC_UDP_HEADER;
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

void udpreply_init(struct udpreply *a, struct udpreply_stock *stock, const struct worker *w,
	const struct burst *b, unsigned i, uint16_t id)
{
	const struct pkt *p = &b->p[i];
	const struct iface *iface = &w->ifaces->of[p->in_iface];
	const uint32_t n_l3 = reply_ip_bytes(p->family) + (uint32_t)sizeof(struct rte_udp_hdr);

	a->stock = stock;
	a->request = b->m[i];
	a->p = p;
	a->mac = &iface->mac;
	a->headers_len = (uint16_t)(p->l3_off + n_l3);
	a->room = (uint16_t)(RTE_MIN(MC_UDP_DATAGRAM_MAX, iface->mtu_bytes - n_l3) - MC_UDP_HEADER);
	a->id = id;
	a->out.grow = grow;
}

void udpreply_begin(struct udpreply *a, bool is_likely)
{
	a->out.p = a->out.end = NULL;
	a->out.is_full = false;
	a->first = a->last = NULL;
	a->n = a->n_bytes = 0;
	a->is_short = false;
	if (likely(is_likely))
		begin_frame(a);
}

void udpreply_free(struct udpreply *a)
{
	for (struct rte_mbuf *m = a->first, *next; m != NULL; m = next) {
		next = udpreply_next(a, m);
		rte_pktmbuf_free(m);
	}
	a->first = NULL;
}

/* Headers of a frame that has its bytes. */
static void seal(const struct udpreply *a, struct rte_mbuf *m)
{
	const struct pkt *p = a->p;
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ether_hdr *eh = (struct rte_ether_hdr *)(void *)to;
	struct rte_udp_hdr *uh = (struct rte_udp_hdr *)(void *)(to + a->headers_len) - 1;
	const uint16_t n_udp = (uint16_t)(m->data_len - a->headers_len + sizeof(*uh));

	/* with a tag or, where there is none, what IP is written over */
	memcpy(to, rte_pktmbuf_mtod(a->request, const uint8_t *), ETHER_MAX);
	eh->dst_addr = eh->src_addr;
	eh->src_addr = *a->mac;
	reply_write_ip(to + p->l3_off, p, IPPROTO_UDP, n_udp);
	uh->src_port = p->dport;
	uh->dst_port = p->sport;
	uh->dgram_len = rte_cpu_to_be_16(n_udp);
	uh->dgram_cksum = 0;
	uh->dgram_cksum = csum_l4(p->dst, p->src, p->family == 4 ? 4 : 16, IPPROTO_UDP, uh, n_udp);
	if (uh->dgram_cksum == 0)
		uh->dgram_cksum = 0xffff; /* RFC 768: 0 says that there is none */
}

static bool is_empty(const struct udpreply *a)
{
	return a->n == 1
		&& a->out.p
		== rte_pktmbuf_mtod_offset(a->first, uint8_t *, a->headers_len + MC_UDP_HEADER);
}

struct rte_mbuf *udpreply_finish(struct udpreply *a)
{
	struct rte_mbuf *first = a->first;

	if (first == NULL)
		return NULL;
	end_frame(a);
	if (unlikely(a->out.is_full || a->is_short)) {
		a->is_short = true;
		udpreply_free(a);
		return NULL;
	}
	if (unlikely(is_empty(a))) {
		udpreply_free(a);
		return NULL;
	}
	for (struct rte_mbuf *m = first; m != NULL; m = udpreply_next(a, m)) {
		mc_udp_set_total(
			rte_pktmbuf_mtod_offset(m, uint8_t *, a->headers_len), (uint16_t)a->n);
		seal(a, m);
	}
	return first;
}
