/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parse — see parse.h. Each step is given what is left of the frame and refuses before it reads past
 * it. Lengths in headers may be smaller than the frame (padding) and never larger.
 */
#include "net/parse.h"

#include "base/csum.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define IPV6_EXT_MAX 8u /* extension headers looked through */

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void load_port(rte_be16_t *port, const uint8_t *p)
{
	memcpy(port, p, 2);
}

/* A first fragment has the whole header (RFC 1858): who sends less wants to show each of us another one. */
static enum pkt_drop short_reason(const struct pkt *p)
{
	return pkt_is_piece(p) ? PKT_DROP_fragment_tiny : PKT_DROP_bad_l4_header;
}

/* Layer 4 at l4[0..len): ports and flags. */
static void parse_l4(struct pkt *p, const uint8_t *l4, uint32_t len)
{
	switch (p->proto) {
	case IPPROTO_TCP:
		if (len < sizeof(struct rte_tcp_hdr) || (l4[12] >> 4) < 5
			|| (l4[12] >> 4) * 4u > len) {
			pkt_drop(p, short_reason(p));
			return;
		}
		p->tcp_flags = l4[13];
		break;
	case IPPROTO_UDP:
		/* a length of 0 is for jumbograms only (RFC 2675), which no port here carries */
		if (len < sizeof(struct rte_udp_hdr) || load16(l4 + 4) < sizeof(struct rte_udp_hdr)
			|| (load16(l4 + 4) > len && !pkt_is_piece(p))) {
			pkt_drop(p, short_reason(p));
			return;
		}
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (len < 8 && p->proto == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			pkt_drop(p, PKT_DROP_bad_l4_header);
		return;
	default:
		return;
	}
	load_port(&p->sport, l4);
	load_port(&p->dport, l4 + 2);
}

/* Who has no address yet asks all for one (RFC 2131 4.1). */
static bool is_dhcp4(const struct pkt *p)
{
	static const uint8_t any[4], all[4] = {255, 255, 255, 255};

	return p->flags & PKT_F_BROADCAST && memcmp(p->src, any, 4) == 0
		&& memcmp(p->dst, all, 4) == 0;
}

/* RFC 1122 3.2.1.3: these never come from the wire as a source. */
static bool is_bad_source4(const struct pkt *p)
{
	return p->src[0] == 127 || p->src[0] >= 224 || (p->src[0] == 0 && !is_dhcp4(p));
}

static bool is_bad_source6(const struct pkt *p)
{
	static const uint8_t loopback[16] = {[15] = 1};
	static const uint8_t any[16];

	if (p->src[0] == 0xff || memcmp(p->src, loopback, 16) == 0)
		return true;
	/* unspecified: duplicate address detection only (RFC 4862) */
	return memcmp(p->src, any, 16) == 0 && p->proto != IPPROTO_ICMPV6;
}

bool parse_is_bad_source(const struct pkt *p)
{
	return p->family == 4 ? is_bad_source4(p) : is_bad_source6(p);
}

/* opt: without options the length is a constant, and the sum a few additions instead of a loop */
static inline bool is_sum_right(const uint8_t *ip, uint32_t header)
{
	if (likely(header == sizeof(struct rte_ipv4_hdr)))
		return csum_of(ip, sizeof(struct rte_ipv4_hdr)) == 0;
	return csum_of(ip, header) == 0;
}

static uint32_t parse_ipv4(struct pkt *p, const uint8_t *ip, uint32_t len, bool is_verified)
{
	uint32_t header, total;
	uint16_t fragment;

	if (len < sizeof(struct rte_ipv4_hdr)) {
		pkt_drop(p, PKT_DROP_short_frame);
		return 0;
	}
	header = (ip[0] & 0xf) * 4u;
	total = load16(ip + 2);
	if (ip[0] >> 4 != 4 || header < sizeof(struct rte_ipv4_hdr) || total < header) {
		pkt_drop(p, PKT_DROP_bad_ip_header);
		return 0;
	}
	if (total > len) {
		pkt_drop(p, PKT_DROP_short_frame);
		return 0;
	}
	if (!is_verified && !is_sum_right(ip, header)) {
		pkt_drop(p, PKT_DROP_bad_ip_checksum);
		return 0;
	}
	p->family = 4;
	p->proto = ip[9];
	memcpy(p->src, ip + 12, 4);
	memcpy(p->dst, ip + 16, 4);
	if (is_bad_source4(p)) {
		pkt_drop(p, PKT_DROP_bad_ip_source);
		return 0;
	}
	if (header > sizeof(struct rte_ipv4_hdr))
		p->flags |= PKT_F_OPTIONS;
	fragment = load16(ip + 6) & 0x3fff; /* more-fragments bit and offset */
	if (fragment != 0)
		p->flags |= PKT_F_FRAGMENT;
	p->l4_off = (uint16_t)(p->l3_off + header);
	p->l4_len = (uint16_t)(total - header);
	if ((fragment & 0x1fff) != 0)
		p->flags |= PKT_F_LATER;
	else
		parse_l4(p, ip + header, total - header);
	return total;
}

/* Steps over extension headers. Returns the offset of the upper layer in ip, 0 when dropped.
 * *is_later: a fragment other than the first. */
static inline uint32_t skip_extensions(
	struct pkt *p, const uint8_t *ip, uint32_t total, bool *is_later)
{
	uint32_t at = sizeof(struct rte_ipv6_hdr);
	uint8_t next = ip[6];

	for (unsigned i = 0; i <= IPV6_EXT_MAX; i++) {
		uint32_t len;

		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			len = 8;
			if (total - at >= 2)
				len = (ip[at + 1] + 1u) * 8;
			break;
		case IPPROTO_AH:
			len = 8;
			if (total - at >= 2)
				len = (ip[at + 1] + 2u) * 4;
			break;
		case IPPROTO_FRAGMENT:
			len = 8;
			break;
		default:
			p->proto = next;
			return at;
		}
		if (len > total - at || *is_later)
			break;
		if (next == IPPROTO_FRAGMENT) {
			const uint16_t word = load16(ip + at + 2);

			p->flags |= PKT_F_FRAGMENT;
			*is_later = (word & 0xfff8) != 0;
			if ((word & 0xfff9) == 0) /* a datagram of its own (RFC 6946) */
				p->flags |= PKT_F_PLACED;
			if (*is_later)
				p->flags |= PKT_F_LATER;
		}
		p->flags |= PKT_F_OPTIONS;
		next = ip[at];
		at += len;
		if (*is_later) {
			p->proto = next;
			return at;
		}
	}
	pkt_drop(p, PKT_DROP_ip_extension);
	return 0;
}

uint32_t parse_extensions(struct pkt *p, const uint8_t *ip, uint32_t len, bool *is_later)
{
	return skip_extensions(p, ip, len, is_later);
}

static uint32_t parse_ipv6(struct pkt *p, const uint8_t *ip, uint32_t len)
{
	bool is_later = false;
	uint32_t total, at;

	if (len < sizeof(struct rte_ipv6_hdr)) {
		pkt_drop(p, PKT_DROP_short_frame);
		return 0;
	}
	total = load16(ip + 4) + (uint32_t)sizeof(struct rte_ipv6_hdr);
	if (ip[0] >> 4 != 6) {
		pkt_drop(p, PKT_DROP_bad_ip_header);
		return 0;
	}
	if (total > len) {
		pkt_drop(p, PKT_DROP_short_frame);
		return 0;
	}
	p->family = 6;
	memcpy(p->src, ip + 8, 16);
	memcpy(p->dst, ip + 24, 16);
	at = skip_extensions(p, ip, total, &is_later);
	if (at == 0)
		return 0;
	if (is_bad_source6(p)) {
		pkt_drop(p, PKT_DROP_bad_ip_source);
		return 0;
	}
	p->l4_off = (uint16_t)(p->l3_off + at);
	p->l4_len = (uint16_t)(total - at);
	if (!is_later)
		parse_l4(p, ip + at, total - at);
	return total;
}

/* Returns the bytes of the frame that count: without padding; 0 = leave the frame as it is. */
static uint32_t parse_one(struct pkt *p, const uint8_t *f, uint32_t len,
	const struct rte_ether_addr *mac, bool is_verified)
{
	uint32_t at = RTE_ETHER_HDR_LEN, n = 0;

	memset(p, 0, sizeof(*p));
	if (len < RTE_ETHER_HDR_LEN) {
		pkt_drop(p, PKT_DROP_short_frame);
		return 0;
	}
	if (f[0] & 1) {
		p->flags |= PKT_F_BROADCAST;
	} else if (memcmp(f, mac->addr_bytes, RTE_ETHER_ADDR_LEN) != 0) {
		pkt_drop(p, PKT_DROP_foreign_mac);
		return 0;
	}
	memcpy(&p->ether_type, f + 12, 2);
	if (p->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN) && len >= at + RTE_VLAN_HLEN) {
		p->flags |= PKT_F_VLAN;
		memcpy(&p->ether_type, f + 16, 2);
		at += RTE_VLAN_HLEN;
	}
	p->l3_off = (uint8_t)at;
	switch (p->ether_type) {
	case RTE_BE16(RTE_ETHER_TYPE_IPV4):
		n = parse_ipv4(p, f + at, len - at, is_verified);
		break;
	case RTE_BE16(RTE_ETHER_TYPE_IPV6):
		n = parse_ipv6(p, f + at, len - at);
		break;
	case RTE_BE16(RTE_ETHER_TYPE_ARP):
		p->verdict = p->flags & PKT_F_VLAN ? PKT_PUNT : PKT_ARP;
		p->punt_class = PUNT_OTHER;
		return 0;
	default:
		p->verdict = PKT_PUNT;
		p->punt_class = PUNT_OTHER;
		return 0;
	}
	return n == 0 ? 0 : n + at;
}

void parse_frame(
	struct pkt *p, const uint8_t *frame, uint32_t len, const struct rte_ether_addr *mac)
{
	parse_one(p, frame, len, mac, false);
}

/* --- most packets --- */

static inline uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

#define PLAIN_BYTES (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_tcp_hdr))
#define PLAIN6_BYTES (RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_tcp_hdr))
#define MAC_MASK RTE_BE64(0xffffffffffff0000)

/* Whether l4[0..len), len at least 20, is what parse_l4() takes as TCP or UDP. */
static inline bool is_plain_l4(uint8_t proto, const uint8_t *l4, uint32_t len)
{
	if (likely(proto == IPPROTO_TCP)) {
		const uint32_t header = l4[12] >> 2 & 0x3c, least = sizeof(struct rte_tcp_hdr);

		return header - least <= len - least; /* not less, not more */
	}
	return proto == IPPROTO_UDP && load16(l4 + 4) >= sizeof(struct rte_udp_hdr)
		&& load16(l4 + 4) <= len;
}

static inline void store64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

#define HEAD(field) (8 * offsetof(struct pkt, field))

/* The first word of all packets of a burst: PKT_UNSEEN, where it came in, where its network header is. */
static inline uint64_t head_of(uint8_t in_iface)
{
	return (uint64_t)RTE_ETHER_HDR_LEN << HEAD(l3_off) | (uint64_t)in_iface << HEAD(in_iface);
}

/* All but the addresses. opt: written as words, since what most packets have in them is the same. family: a constant of each
 * caller. */
static __rte_always_inline void fill_plain(struct pkt *p, uint8_t family, uint8_t proto,
	const uint8_t *l4, uint32_t l4_len, uint64_t head)
{
	const uint64_t tcp_flags = likely(proto == IPPROTO_TCP) ? l4[13] : 0;
	const uint64_t ether_type =
		family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	const uint64_t l3_len =
		family == 4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);

	store64(p, head | tcp_flags << HEAD(tcp_flags));
	store64((uint8_t *)p + 8,
		(RTE_ETHER_HDR_LEN + l3_len) << (HEAD(l4_off) - 64)
			| (uint64_t)l4_len << (HEAD(l4_len) - 64)
			| ether_type << (HEAD(ether_type) - 64));
	store64((uint8_t *)p + 16,
		load32(l4) | (uint64_t)proto << (HEAD(proto) - 128)
			| (uint64_t)family << (HEAD(family) - 128));
	store64((uint8_t *)p + 24, 0); /* service_idx, neigh_ref */
}
_Static_assert(offsetof(struct pkt, l3_off) < 8 && offsetof(struct pkt, tcp_flags) < 8
		&& offsetof(struct pkt, in_iface) < 8,
	"first word");
_Static_assert(offsetof(struct pkt, l4_off) == 8 && offsetof(struct pkt, l4_len) == 10
		&& offsetof(struct pkt, ether_type) == 14,
	"second word");
_Static_assert(offsetof(struct pkt, sport) == 16 && offsetof(struct pkt, service_idx) == 24
		&& offsetof(struct pkt, src) == 32 && offsetof(struct pkt, dst) == 48,
	"the others");

/* The sum of a right header is a multiple of 0xffff, and no header's is 0. 2^64 is 1 in such sums, and the last word is below
 * 2^32, so that what it carries leaves room for the first one's. */
static inline bool is_sum_right20(const uint8_t *ip)
{
	const uint64_t first = load64(ip);
	uint64_t sum = first + load64(ip + 8), carry = sum < first;

	sum += load32(ip + 16) + carry;
	carry = sum < load32(ip + 16) + carry;
	return (sum + carry) % 0xffff == 0;
}

/* An IPv4 address, zeros behind it. */
static inline void fill_address4(uint8_t to[16], const uint8_t *ip)
{
	const uint64_t words[2] = {load32(ip), 0};

	memcpy(to, words, sizeof(words));
}

/* IPv4 without options, TCP or UDP, all of it there. */
static inline uint32_t parse_plain4(
	struct pkt *p, const uint8_t *f, uint32_t len, bool is_verified, uint64_t head)
{
	const uint8_t *ip = f + RTE_ETHER_HDR_LEN, *l4 = ip + sizeof(struct rte_ipv4_hdr);
	const uint32_t total = load16(ip + 2),
		       l4_len = total - (uint32_t)sizeof(struct rte_ipv4_hdr);

	/* not less than both headers, not more than there is */
	if (total + RTE_ETHER_HDR_LEN - PLAIN_BYTES > len - PLAIN_BYTES
		|| (load32(ip + 4) & RTE_BE32(0x3fff)) != 0 || !is_plain_l4(ip[9], l4, l4_len)
		|| (uint8_t)(ip[12] - 1) >= 223 || ip[12] == 127
		|| (!is_verified && !is_sum_right20(ip)))
		return 0;
	fill_plain(p, 4, ip[9], l4, l4_len, head);
	fill_address4(p->src, ip + 12);
	fill_address4(p->dst, ip + 16);
	return RTE_ETHER_HDR_LEN + total;
}

/* The same for IPv6 without extension headers. Sources in ::/64 may be such that are refused. */
static inline uint32_t parse_plain6(struct pkt *p, const uint8_t *f, uint32_t len, uint64_t head)
{
	const uint8_t *ip = f + RTE_ETHER_HDR_LEN, *l4 = ip + sizeof(struct rte_ipv6_hdr);
	const uint32_t l4_len = load16(ip + 4);

	if (l4_len + sizeof(struct rte_ipv6_hdr) > len - RTE_ETHER_HDR_LEN
		|| l4_len < sizeof(struct rte_tcp_hdr) || !is_plain_l4(ip[6], l4, l4_len)
		|| ip[8] == 0xff || load64(ip + 8) == 0)
		return 0;
	fill_plain(p, 6, ip[6], l4, l4_len, head);
	memcpy(p->src, ip + 8, 32); /* and dst */
	return RTE_ETHER_HDR_LEN + (uint32_t)sizeof(struct rte_ipv6_hdr) + l4_len;
}

/* opt: what most packets are, with the checks of parse_one() in fewer steps. 0: it is not, *p is as it was, and
 * parse_one() says what it is. mac: six bytes of address, two of 0. */
static inline uint32_t parse_plain(struct pkt *p, const uint8_t *f, uint32_t len, uint64_t mac,
	bool is_verified, uint64_t head)
{
	if (len < PLAIN_BYTES || (load64(f) & MAC_MASK) != mac)
		return 0;
	if ((load32(f + 12) & RTE_BE32(0xffffff00)) == RTE_BE32(0x08004500))
		return parse_plain4(p, f, len, is_verified, head);
	if ((load32(f + 12) & RTE_BE32(0xfffff000)) == RTE_BE32(0x86dd6000) && len >= PLAIN6_BYTES)
		return parse_plain6(p, f, len, head);
	return 0;
}

static inline uint64_t mac_word(const struct rte_ether_addr *mac)
{
	uint8_t bytes[8] = {0};

	memcpy(bytes, mac->addr_bytes, RTE_ETHER_ADDR_LEN);
	/* a group address is nobody's: frames to one are not plain, whatever mac is */
	return bytes[0] & 1 ? ~MAC_MASK : load64(bytes);
}

void parse_burst(struct burst *b, const struct rte_ether_addr *mac, uint8_t in_iface)
{
	const uint64_t word = mac_word(mac), head = head_of(in_iface);
	const unsigned n_packets = b->n;

	BURST_UNROLL
	for (unsigned i = 0; i < n_packets; i++)
		rte_prefetch0(rte_pktmbuf_mtod(b->m[i], void *));
	for (unsigned i = 0; i < n_packets; i++) {
		struct rte_mbuf *m = b->m[i];
		const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
		const bool is_verified =
			(m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		uint32_t n = parse_plain(&b->p[i], f, m->data_len, word, is_verified, head);

		if (unlikely(n == 0)) {
			n = parse_one(&b->p[i], f, m->data_len, mac, is_verified);
			b->p[i].in_iface = in_iface;
		}
		if (unlikely(n != m->pkt_len) && n != 0 && n < m->pkt_len && m->nb_segs == 1)
			rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - n));
	}
}
