/* SPDX-License-Identifier: BSD-3-Clause */
/* genbeside — see genbeside.h. */
#include "genbeside.h"

#include "genzipf.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define TEXT 18u          /* makes a UDP frame of 64 bytes */
#define UNKNOWN_PROTO 253 /* RFC 3692: for experiments */

static const struct genopt_net sources = {.family = 4, .len = 15, .ip = {198, 18}};

void genbeside_init(struct genbeside *b, const struct genopt *o, const struct genframe_params *p)
{
	struct genframe_params own = *p;

	*b = (struct genbeside){.kind = o->beside,
		.rate = o->beside_rate / genopt_threads(o),
		.lag_s = p->thread / o->beside_rate,
		.random = (o->seed + ((uint64_t)p->thread << 32)) * 0x9e3779b97f4a7c15ull | 1};
	own.client = &sources;
	own.proto = o->beside == GENOPT_BESIDE_SYN ? IPPROTO_TCP : IPPROTO_UDP;
	own.is_unmarked = true;
	genframe_init(&b->frame, &own);
}

/* Makes a good datagram one that nobody wants, in four ways in turn. */
static void spoil(uint8_t *frame, uint64_t n)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + RTE_ETHER_HDR_LEN);
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);

	switch (n % 4) {
	case 0:
		ip->hdr_checksum ^= 0x5555;
		return;
	case 1: /* longer than the frame */
		ip->total_length = RTE_BE16(1400);
		break;
	case 2:
		ip->next_proto_id = UNKNOWN_PROTO;
		break;
	default: /* to a port where nobody is, for which the checksum is wrong too */
		udp->dst_port ^= RTE_BE16(0x8000);
		break;
	}
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void build(struct genbeside *b, struct rte_mbuf *m)
{
	const uint64_t random = genzipf_random(&b->random);
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);
	struct genframe_text t = {.number = (uint32_t)random, .tcp_flags = RTE_TCP_SYN_FLAG};
	uint32_t len;

	if (b->kind == GENOPT_BESIDE_GARBAGE)
		t.n_bytes = TEXT;
	memset(to + b->frame.head_len, 0, TEXT);
	len = genframe_write(&b->frame, to, random >> 32, &t);
	if (b->kind == GENOPT_BESIDE_GARBAGE)
		spoil(to, b->n);
	if (len < RTE_ETHER_MIN_LEN - GENFRAME_FCS)
		len = RTE_ETHER_MIN_LEN - GENFRAME_FCS;
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	b->n++;
}

void genbeside_send(void *ctx, struct genrun *r)
{
	struct rte_mbuf *m[GENRUN_BURST_MAX];
	struct genbeside *b = ctx;
	unsigned n, n_sent;

	if (b->begun_cyc != r->begin_cyc) {
		genpace_init(&b->pace, r->begin_cyc + (uint64_t)(b->lag_s * (double)r->hz), r->hz,
			b->rate);
		b->begun_cyc = r->begin_cyc;
		b->n = 0;
	}
	n = genpace_count(&b->pace, b->n, rte_rdtsc(), r->burst);
	if (n == 0 || rte_pktmbuf_alloc_bulk(r->pool, m, n) != 0)
		return;
	for (unsigned i = 0; i < n; i++)
		build(b, m[i]);
	n_sent = rte_eth_tx_burst(r->tx->id, r->tx_first, m, (uint16_t)n);
	if (n_sent < n)
		rte_pktmbuf_free_bulk(m + n_sent, n - n_sent);
	if (r->next <= r->first_counted) /* the others are warming up */
		return;
	r->counts.beside += n_sent;
	r->counts.beside_no_room += n - n_sent;
}
