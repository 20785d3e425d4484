/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * icmpquote — see icmpquote.h. Errors quote the IP header and at least 8 bytes after it, so of TCP there may be
 * no more than ports and sequence number. All fields that change are at even offsets of the ICMP message.
 */
#include "net/icmpquote.h"

#include "base/csum.h"
#include "net/icmp_pvt.h"
#include "net/parse.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define QUOTED_L4_MIN 8u

bool icmpquote_is_error(const struct rte_mbuf *m, const struct pkt *p)
{
	uint8_t type;

	if (p->proto != (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)
		|| p->flags & (PKT_F_FRAGMENT | PKT_F_BROADCAST))
		return false;
	type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	if (p->family == 4)
		return type == 3 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

bool icmpquote_is_too_big(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp;

	if (!icmpquote_is_error(m, p))
		return false;
	icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);
	if (p->family == 4)
		return icmp[0] == ICMP4_DEST_UNREACHABLE && icmp[1] == ICMP4_FRAGMENTATION_NEEDED;
	return icmp[0] == ICMP6_PACKET_TOO_BIG;
}

/* Offset of layer 4 in the quoted packet, 0 when there is none to be seen. */
static uint32_t read_ip4(const uint8_t *ip, uint32_t len, struct icmpquote *q, bool *is_later)
{
	const uint32_t header = (ip[0] & 0xf) * 4u;

	if (len < sizeof(struct rte_ipv4_hdr) || ip[0] >> 4 != 4
		|| header < sizeof(struct rte_ipv4_hdr) || header > len)
		return 0;
	q->proto = ip[9];
	memcpy(q->src, ip + 12, 4);
	memcpy(q->dst, ip + 16, 4);
	*is_later = ((ip[6] & 0x1f) | ip[7]) != 0;
	return header;
}

static uint32_t read_ip6(const uint8_t *ip, uint32_t len, struct icmpquote *q, bool *is_later)
{
	struct pkt inner = {0};
	uint32_t at;

	if (len < sizeof(struct rte_ipv6_hdr) || ip[0] >> 4 != 6)
		return 0;
	at = parse_extensions(&inner, ip, len, is_later);
	q->proto = inner.proto;
	memcpy(q->src, ip + 8, 16);
	memcpy(q->dst, ip + 24, 16);
	return at;
}

bool icmpquote_read(const struct rte_mbuf *m, const struct pkt *p, struct icmpquote *q)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off + ICMPQUOTE_OFF);
	const uint32_t len = p->l4_len - ICMPQUOTE_OFF; /* the parser saw to it that there are 8 */
	bool is_later = false;
	uint32_t at;

	memset(q, 0, sizeof(*q));
	if (len == 0)
		return false;
	at = p->family == 4 ? read_ip4(ip, len, q, &is_later) : read_ip6(ip, len, q, &is_later);
	if (at == 0)
		return false;
	q->family = p->family;
	q->ip_off = (uint16_t)(p->l4_off + ICMPQUOTE_OFF);
	q->l4_off = (uint16_t)(q->ip_off + at);
	q->l4_len = (uint16_t)(len - at);
	if (is_later || (q->proto != IPPROTO_TCP && q->proto != IPPROTO_UDP))
		return true;
	if (q->l4_len < QUOTED_L4_MIN)
		return false;
	memcpy(&q->sport, ip + at, 2);
	memcpy(&q->dport, ip + at + 2, 2);
	return true;
}

/* Writes len bytes (even) and adds what changes to a delta. */
static void put(void *at, const void *bytes, uint32_t len, uint16_t *delta)
{
	*delta = csum_add(*delta, csum_delta(at, bytes, len));
	memcpy(at, bytes, len);
}

/* A checksum field that follows from bytes that have changed by l4; the message holds it, too. */
static void put_sum(void *at, uint16_t sum, uint16_t *delta)
{
	put(at, &sum, sizeof(sum), delta);
}

void icmpquote_add_to_seq(
	struct rte_mbuf *m, const struct pkt *p, const struct icmpquote *q, uint32_t n)
{
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, q->l4_off);
	uint8_t *sum = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off + 2);
	uint16_t delta, field;
	rte_be32_t old, seq;

	memcpy(&old, l4 + offsetof(struct rte_tcp_hdr, sent_seq), 4);
	seq = rte_cpu_to_be_32(rte_be_to_cpu_32(old) + n);
	memcpy(l4 + offsetof(struct rte_tcp_hdr, sent_seq), &seq, 4);
	delta = csum_delta(&old, &seq, 4);
	if (q->l4_len >= offsetof(struct rte_tcp_hdr, tcp_urp))
		sum = l4 + offsetof(struct rte_tcp_hdr, cksum);
	memcpy(&field, sum, 2);
	field = csum_apply(field, delta);
	memcpy(sum, &field, 2);
}

/* Returns the delta of the whole quote. */
static uint16_t rewrite_quote(
	uint8_t *frame, const struct icmpquote *q, const struct icmpquote_to *to)
{
	const uint32_t n = q->family == 4 ? 4 : 16;
	uint8_t *ip = frame + q->ip_off, *l4 = frame + q->l4_off;
	uint8_t *addrs = ip + (q->family == 4 ? 12 : 8);
	uint16_t delta = 0, l3, field;

	put(addrs, to->quoted_src, n, &delta);
	put(addrs + n, to->quoted_dst, n, &delta);
	l3 = delta;
	put(l4, &to->quoted_sport, 2, &delta);
	put(l4 + 2, &to->quoted_dport, 2, &delta);
	if (q->proto == IPPROTO_UDP) {
		memcpy(&field, l4 + offsetof(struct rte_udp_hdr, dgram_cksum), 2);
		put_sum(l4 + offsetof(struct rte_udp_hdr, dgram_cksum),
			csum_apply_udp(field, delta), &delta);
	} else if (q->l4_len >= offsetof(struct rte_tcp_hdr, tcp_urp)) {
		memcpy(&field, l4 + offsetof(struct rte_tcp_hdr, cksum), 2);
		put_sum(l4 + offsetof(struct rte_tcp_hdr, cksum), csum_apply(field, delta), &delta);
	}
	if (q->family == 4) {
		memcpy(&field, ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), 2);
		put_sum(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), csum_apply(field, l3),
			&delta);
	}
	return delta;
}

bool icmpquote_rewrite(struct rte_mbuf *m, const struct pkt *p, const struct icmpquote *q,
	const struct icmpquote_to *to)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *ip = frame + p->l3_off;
	const uint32_t n = p->family == 4 ? 4 : 16;
	uint8_t *addrs = ip + (p->family == 4 ? 12 : 8);
	uint8_t *ttl = ip + (p->family == 4 ? 8 : 7);
	uint16_t outer = 0, delta, field;

	if (*ttl <= 1)
		return false;
	--*ttl;
	if (to->src != NULL)
		put(addrs, to->src, n, &outer);
	put(addrs + n, to->dst, n, &outer);
	delta = rewrite_quote(frame, q, to);
	if (p->family == 4) {
		memcpy(&field, ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), 2);
		field = csum_apply(field, csum_add(outer, CSUM_TTL_DELTA));
		memcpy(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), &field, 2);
	} else {
		delta = csum_add(delta, outer); /* the addresses are in the pseudo header */
	}
	memcpy(&field, frame + p->l4_off + 2, 2);
	field = csum_apply(field, delta);
	memcpy(frame + p->l4_off + 2, &field, 2);
	return true;
}
