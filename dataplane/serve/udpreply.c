/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * udpreply — see udpreply.h. Answers quote their request, whose bytes they would write over: they have buffers of their own but where
 * those bytes are elsewhere.
 *
 * opt: a short request is copied, so that its answer takes its buffer, which is in the cache and need be neither taken nor given
 * back. The other buffers of a burst are taken at once, and what is written first of each is fetched while keys are looked up.
 * Headers are written once, when lengths are known.
 */
#include "serve/udpreply.h"

#include "base/csum.h"

#include <rte_ip.h>
#include <rte_prefetch.h>

void udpreply_stock_take(struct udpreply_stock *s, struct rte_mempool *pool, unsigned n)
{
	s->pool = pool;
	s->n = 0;
	if (n == 0)
		return;
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
	struct rte_mbuf *m = a->is_own ? a->request : take_buffer(a->stock);
	uint8_t *to;

	if (unlikely(m == NULL)) {
		a->is_short = true;
		return NULL;
	}
	a->is_in_place |= a->is_own;
	a->is_own = false;
	to = rte_pktmbuf_mtod_offset(m, uint8_t *, a->headers_len);
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

uint16_t udpreply_room(const struct iface *iface, uint8_t family)
{
	const uint32_t n_l3 = reply_ip_bytes(family) + (uint32_t)sizeof(struct rte_udp_hdr);

	return (uint16_t)(RTE_MIN(MC_UDP_DATAGRAM_MAX, iface->mtu_bytes - n_l3) - MC_UDP_HEADER);
}

static void turn_ether(struct udpreply *a, const struct rte_ether_addr *mac)
{
	const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(a->request, const struct rte_ether_hdr *);
	struct rte_ether_hdr *to = (struct rte_ether_hdr *)(void *)a->ether;

	memcpy(a->ether, eh, sizeof(a->ether));
	to->dst_addr = eh->src_addr;
	to->src_addr = *mac;
}

void udpreply_init(struct udpreply *a, struct udpreply_stock *stock, const struct worker *w,
	const struct burst *b, const struct udpreply_request *r)
{
	const struct pkt *p = &b->p[r->i];
	const struct iface *iface = &w->ifaces->of[p->in_iface];

	a->stock = stock;
	a->request = b->m[r->i];
	a->p = p;
	turn_ether(a, &iface->mac);
	a->headers_len =
		(uint16_t)(p->l3_off + reply_ip_bytes(p->family) + sizeof(struct rte_udp_hdr));
	a->room = udpreply_room(iface, p->family);
	a->id = r->id;
	a->copy = r->copy;
	a->copy_len = r->copy_len;
	a->is_own = a->copy != NULL && udpreply_takes(a->request, p, a->room);
	a->out.grow = grow;
	a->out.refer = NULL; /* datagrams are copied */
}

void udpreply_begin(struct udpreply *a, bool is_likely)
{
	a->out.p = a->out.end = NULL;
	a->out.is_full = false;
	a->first = a->last = NULL;
	a->n = a->n_bytes = 0;
	a->is_short = a->is_in_place = false;
	if (likely(is_likely))
		begin_frame(a);
}

/* The request, whose headers are as they were, gets its bytes back: but for padding, and what the client wrote into its frame's
 * sequence. */
static void restore(struct udpreply *a)
{
	uint8_t *to = rte_pktmbuf_mtod_offset(a->request, uint8_t *, a->headers_len);

	mc_udp_build(to, a->id, 0, 1);
	memcpy(to + MC_UDP_HEADER, a->copy, a->copy_len);
	a->request->data_len = (uint16_t)(a->headers_len + MC_UDP_HEADER + a->copy_len);
	a->request->pkt_len = a->request->data_len;
	a->is_own = true;
}

void udpreply_free(struct udpreply *a)
{
	for (struct rte_mbuf *m = a->first, *next; m != NULL; m = next) {
		next = udpreply_next(a, m);
		if (m == a->first && a->is_in_place)
			restore(a);
		else
			rte_pktmbuf_free(m);
	}
	a->first = NULL;
}

/* Headers but Ethernet's of a frame that has its bytes. n_headers: of all of them. opt: made for each family, as all of IPv6 is longer. */
static inline __attribute__((always_inline)) void seal_family(
	struct rte_mbuf *m, const struct pkt *p, uint32_t n_headers, uint32_t ip_len)
{
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
	const uint16_t n_udp = (uint16_t)(m->data_len - n_headers + sizeof(struct rte_udp_hdr));
	const rte_be16_t length = rte_cpu_to_be_16(n_udp);
	uint64_t sum, header;
	uint16_t csum;

	reply_write_ip(to + p->l3_off, p, IPPROTO_UDP, n_udp);
	sum = csum_pseudo(p->dst, p->src, ip_len, IPPROTO_UDP, n_udp);
	sum += (uint64_t)p->dport + p->sport + length; /* opt: as reply_write_ip() */
	sum += csum_words(to + n_headers, n_udp - (uint32_t)sizeof(struct rte_udp_hdr));
	csum = (uint16_t)~csum_fold(sum);
	if (csum == 0)
		csum = 0xffff; /* RFC 768: 0 says that there is none */
	header = p->dport | (uint32_t)p->sport << 16 | (uint64_t)length << 32
		| (uint64_t)csum << 48; /* a word's first bytes are its lowest */
	memcpy(to + n_headers - sizeof(header), &header, sizeof(header));
}

static void seal(struct rte_mbuf *m, const struct pkt *p, uint32_t n_headers)
{
	if (likely(p->family == 4))
		seal_family(m, p, n_headers, 4);
	else
		seal_family(m, p, n_headers, 16);
}

void udpreply_turn(
	struct rte_mbuf *m, const struct pkt *p, const struct rte_ether_addr *mac, uint16_t id)
{
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
	const uint32_t n_headers = p->l4_off + (uint32_t)sizeof(struct rte_udp_hdr);

	reply_turn_ether(m, mac);
	mc_udp_build(to + n_headers, id, 0, 1);
	seal(m, p, n_headers);
}

static bool is_empty(const struct udpreply *a)
{
	return a->n == 1
		&& a->out.p
		== rte_pktmbuf_mtod_offset(a->first, uint8_t *, a->headers_len + MC_UDP_HEADER);
}

bool udpreply_end(struct udpreply *a)
{
	if (a->first == NULL)
		return false;
	end_frame(a);
	if (unlikely(a->out.is_full || a->is_short)) {
		a->is_short = true;
		udpreply_free(a);
		return false;
	}
	if (unlikely(is_empty(a))) {
		udpreply_free(a);
		return false;
	}
	return true;
}

struct rte_mbuf *udpreply_seal(struct udpreply *a)
{
	uint16_t sequence = 0;

	for (struct rte_mbuf *m = a->first; m != NULL; m = udpreply_next(a, m)) {
		uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);

		/* where there is no tag IP is written over it */
		memcpy(to, a->ether, sizeof(a->ether));
		mc_udp_build(to + a->headers_len, a->id, sequence++, (uint16_t)a->n);
		seal(m, a->p, a->headers_len);
	}
	return a->first;
}
