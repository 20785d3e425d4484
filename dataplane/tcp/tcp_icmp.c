/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_icmp — see tcp_icmp.h. Three kinds of errors (RFC 1122 4.2.3.9, RFC 5461 2, RFC 4443 3.1):
 *
 *     too big     IPv4 3/4, IPv6 2: segments get smaller, and those that were too long are sent again
 *     hard        IPv4 3/2, 3/3, 3/9, 3/10, 3/13, IPv6 1/1, 1/4: ends a connection in SYN-SENT, nothing else
 *     soft        all others: the time-outs decide
 *
 * A path MTU counts for one connection and is never raised again. Routers that name none (RFC 1191 5) are answered by the next lower one of
 * a table. Its floor is 576 bytes for IPv4, whose minimum of 68 would make a connection crawl at an attacker's word; a path that is
 * narrower is not served, as all packets have DF. For IPv6 it is 1280, and less is ignored (RFC 8201 4).
 */
#include "tcp/tcp_icmp.h"

#include "base/csum.h"
#include "net/icmpquote.h"
#include "tcp/tcp_loss.h"
#include "tcp/tcp_out.h"

#include <rte_ip.h>

#define MTU4_MIN 576u
#define MTU6_MIN 1280u
#define SEQ_OFF 4u /* of the number in a TCP header */

enum icmp_class { ICMP_SOFT, ICMP_HARD, ICMP_TOO_BIG };

static enum icmp_class class_of(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	if (icmpquote_is_too_big(m, p))
		return ICMP_TOO_BIG;
	if (p->family == 6)
		return icmp[0] == 1 && (icmp[1] == 1 || icmp[1] == 4) ? ICMP_HARD : ICMP_SOFT;
	if (icmp[0] != 3)
		return ICMP_SOFT;
	switch (icmp[1]) {
	case 2: /* protocol */
	case 3: /* port */
	case 9: /* network, host, or communication: prohibited */
	case 10:
	case 13:
		return ICMP_HARD;
	default:
		return ICMP_SOFT;
	}
}

static bool is_intact(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	return p->family == 4 ? csum_of(icmp, p->l4_len) == 0
			      : csum_l4(p->src, p->dst, 16, IPPROTO_ICMPV6, icmp, p->l4_len) == 0;
}

/* For a router that does not say: the next below the length of what it has dropped (RFC 1191 7). */
static uint32_t lower_mtu(uint32_t len)
{
	static const uint16_t mtus[] = {8166, 4352, 2002, 1492, 1006};

	for (unsigned i = 0; i < RTE_DIM(mtus); i++)
		if (mtus[i] < len)
			return mtus[i];
	return MTU4_MIN;
}

/* The path MTU that the error names, 0: none that could be. */
static uint32_t mtu_of(const struct rte_mbuf *m, const struct pkt *p, const struct icmpquote *q)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, q->ip_off);
	uint32_t mtu, len;

	if (p->family == 4) {
		len = (uint32_t)(ip[2] << 8 | ip[3]);
		mtu = (uint32_t)(icmp[6] << 8 | icmp[7]);
		mtu = RTE_MAX(mtu != 0 ? mtu : lower_mtu(len), MTU4_MIN);
	} else {
		len = (uint32_t)(ip[4] << 8 | ip[5]) + (uint32_t)sizeof(struct rte_ipv6_hdr);
		memcpy(&mtu, icmp + 4, sizeof(mtu));
		mtu = rte_be_to_cpu_32(mtu);
		if (mtu < MTU6_MIN)
			return 0;
	}
	return mtu < len ? mtu : 0; /* it would have got through */
}

/* Payload of a segment of the connection in a packet of so many bytes. */
static uint32_t mss_in(const struct tcb *c, uint32_t mtu)
{
	const uint32_t n_ip =
		c->tuple.family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);

	return mtu - n_ip - (uint32_t)sizeof(struct rte_tcp_hdr)
		- (c->flags & TCP_F_TS ? TCP_WIRE_TS_BYTES : 0);
}

static void lower_mss(struct tcb *c, uint16_t mss)
{
	c->mss = mss;
	c->mss_seen = RTE_MIN(c->mss_seen, mss);
	c->has_claim = false;
	c->t->stats.mss_lowered++;
	tcp_loss_too_big(c);
	tcp_mark_dirty(c->t, c);
}

static void on_too_big(struct tcb *c, uint32_t mtu, uint32_t seq)
{
	const uint32_t mss = mtu != 0 ? mss_in(c, mtu) : c->mss;

	if (c->state == TCP_S_SYN_SENT || mss >= c->mss) {
		c->t->stats.icmp_soft++;
	} else if (mss < c->mss_seen) {
		c->has_claim = true;
		c->mss_claimed = (uint16_t)mss;
		c->mss_claimed_seq = seq;
		c->t->stats.mss_claimed++;
	} else {
		lower_mss(c, (uint16_t)mss);
	}
}

void tcp_icmp_on_timeout(struct tcb *c)
{
	const bool has_claim = c->has_claim;

	c->has_claim = false;
	if (has_claim && c->mss_claimed < c->mss)
		lower_mss(c, c->mss_claimed);
}

/* The connection of the quoted segment, whose number is on its way (RFC 5927 4.1); NULL: none. */
static struct tcb *find(const struct tcp *t, const struct icmpquote *q, uint32_t seq, bool *is_ours)
{
	struct tcp_tuple tuple = {.sport = q->dport, .dport = q->sport, .family = q->family};
	struct tcb *c;
	uint32_t ref;

	memcpy(tuple.src, q->dst, sizeof(tuple.src));
	memcpy(tuple.dst, q->src, sizeof(tuple.dst));
	ref = tcp_flow_find(t->flow, &tuple);
	*is_ours = ref != TCP_FLOW_NONE;
	if (TCP_FLOW_KIND(ref) != TCP_KIND_TCB)
		return NULL;
	c = &t->tcbs[TCP_FLOW_IDX(ref)];
	return c->state != TCP_S_CLOSED && seq - c->snd_una < tcb_flight(c) ? c : NULL;
}

bool tcp_icmp(struct tcp *t, struct burst *b, unsigned i, uint64_t now_us)
{
	struct rte_mbuf *m = b->m[i];
	struct pkt *p = &b->p[i];
	struct icmpquote q;
	struct tcb *c;
	rte_be32_t be;
	bool is_ours;

	if ((uint32_t)p->l4_off + p->l4_len > m->data_len || !icmpquote_is_error(m, p)
		|| !icmpquote_read(m, p, &q) || q.proto != IPPROTO_TCP || q.l4_len < SEQ_OFF + 4
		|| memcmp(q.src, p->dst, sizeof(q.src)) != 0)
		return false;
	memcpy(&be, rte_pktmbuf_mtod_offset(m, const uint8_t *, q.l4_off + SEQ_OFF), sizeof(be));
	c = find(t, &q, rte_be_to_cpu_32(be), &is_ours);
	if (!is_ours)
		return false;
	tcp_set_now(t, now_us);
	if (c == NULL || !is_intact(m, p)) {
		t->stats.icmp_ignored++;
	} else if (class_of(m, p) == ICMP_TOO_BIG) {
		on_too_big(c, mtu_of(m, p, &q), rte_be_to_cpu_32(be));
	} else if (class_of(m, p) == ICMP_HARD && c->state == TCP_S_SYN_SENT) {
		t->stats.icmp_hard++;
		tcp_end(c, TCP_WHY_UNREACHABLE);
	} else {
		t->stats.icmp_soft++;
	}
	p->verdict = PKT_GONE;
	rte_pktmbuf_free(m);
	return true;
}
