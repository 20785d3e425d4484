/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_tunnel — see fwd_tunnel.h.
 *
 *     Ethernet | IP to the VIP, … | payload
 *     Ethernet | IP to the backend | [UDP | GUE] | IP to the VIP, … | payload
 *
 * The inner packet is what a router would pass on: its time to live goes down by one. Traffic class and ECN are
 * copied to the outer header (RFC 2983, RFC 6040), which says "don't fragment" and so needs no
 * identification (RFC 6864). A packet that does not fit the port's MTU, or that of the path as far as it is known
 * (pathmtu.h), is not fragmented: its sender is told, where it may be (IPv6, IPv4 with DF). What fits the port and nobody
 * can be told of, goes: see send_long(). The UDP source port of GUE is made from the inner addresses and
 * ports, so that routers and NICs on the way spread flows; over IPv6 the UDP checksum is there (RFC 8200), over
 * IPv4 it is 0 (RFC 768).
 */
#include "lb/fwd_tunnel.h"

#include "base/csum.h"
#include "net/toobig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#define OUTER_TTL 64

/* draft-ietf-intarea-gue-09, 3.1: version 0, data message, no optional fields. */
struct gue_hdr {
	uint8_t version_hlen; /* version (2 bits), control (1), length of optional fields (5) */
	uint8_t proto;        /* IP protocol number of what follows */
	rte_be16_t flags;
};

#define GUE_BYTES (sizeof(struct rte_udp_hdr) + sizeof(struct gue_hdr))

/* What an outer header takes from the inner packet. */
struct inner {
	uint16_t n_bytes;
	uint8_t proto; /* IP protocol number of an IP packet of this family */
	uint8_t traffic_class;
	rte_be32_t fragment; /* identification and flags of an outer IPv4 header */
};

#define DONT_FRAGMENT RTE_BE32(RTE_IPV4_HDR_DF_FLAG)

/* opt: made and summed up in registers, and written as they are: reading words back that were just written in pieces would
 * stall. */
static inline void write_outer4(uint8_t *at, const struct lb_backend *be, const struct inner *in,
	uint8_t proto, uint16_t n_bytes)
{
	const uint32_t head = rte_cpu_to_be_32(0x45000000u | (uint32_t)in->traffic_class << 16
		| (uint16_t)(sizeof(struct rte_ipv4_hdr) + n_bytes));
	const uint32_t life = OUTER_TTL | (uint32_t)proto << 8; /* little-endian, as all of these */
	uint32_t src, dst, sum;
	uint64_t words[2];

	memcpy(&src, be->tunnel_src, 4);
	memcpy(&dst, be->ip, 4);
	sum = (uint16_t)~csum_fold((uint64_t)head + in->fragment + life + src + dst);
	words[0] = head | (uint64_t)in->fragment << 32;
	words[1] = life | sum << 16 | (uint64_t)src << 32;
	memcpy(at, &words[0], 8);
	memcpy(at + 8, &words[1], 8);
	memcpy(at + 16, &dst, 4);
}

static inline void write_outer6(uint8_t *at, const struct lb_backend *be, const struct inner *in,
	uint8_t proto, uint16_t n_bytes)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)at;

	ip->vtc_flow = rte_cpu_to_be_32(0x60000000u | (uint32_t)in->traffic_class << 20);
	ip->payload_len = rte_cpu_to_be_16(n_bytes);
	ip->proto = proto;
	ip->hop_limits = OUTER_TTL;
	memcpy(ip->src_addr, be->tunnel_src, 16);
	memcpy(ip->dst_addr, be->ip, 16);
}

/* 49152 to 65535, the same for all packets of a flow (RFC 7637's range for tunnels). */
static rte_be16_t entropy_port(const struct pkt *p)
{
	const uint8_t *low = p->family == 4 ? p->src : p->src + 12;
	uint64_t h;
	uint32_t src;

	memcpy(&src, low, 4);
	h = ((uint64_t)src << 32 | (uint32_t)p->sport << 16 | p->dport) * 0x9e3779b97f4a7c15u;
	return rte_cpu_to_be_16((uint16_t)(0xc000u | h >> 50));
}

static inline void write_gue(uint8_t *at, const struct lb_backend *be, const struct inner *in,
	rte_be16_t sport, rte_be16_t dport)
{
	struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(void *)at;
	struct gue_hdr *gue = (struct gue_hdr *)(void *)(udp + 1);
	const uint16_t n_bytes = (uint16_t)(GUE_BYTES + in->n_bytes);

	udp->src_port = sport;
	udp->dst_port = dport;
	udp->dgram_len = rte_cpu_to_be_16(n_bytes);
	udp->dgram_cksum = 0;
	gue->version_hlen = 0;
	gue->proto = in->proto;
	gue->flags = 0;
	if (be->family == 4)
		return;
	udp->dgram_cksum = csum_l4(be->tunnel_src, be->ip, 16, IPPROTO_UDP, udp, n_bytes);
	if (udp->dgram_cksum == 0)
		udp->dgram_cksum = 0xffff;
}

/* The time to live, one less, and the traffic class. False when it has run out; nothing is changed then. */
static inline bool pass_on(uint8_t *ip, uint8_t family, struct inner *in)
{
	if (likely(family == 4)) {
		in->traffic_class = ip[1];
		in->proto = IPPROTO_IPIP;
		return csum_step_ttl(ip + offsetof(struct rte_ipv4_hdr, time_to_live));
	} else {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)(void *)ip;

		if (unlikely(h->hop_limits <= 1))
			return false;
		h->hop_limits--;
		in->traffic_class = (uint8_t)(rte_be_to_cpu_32(h->vtc_flow) >> 20);
		in->proto = IPPROTO_IPV6;
		return true;
	}
}

/* The bytes in front of the packet. */
static inline uint32_t outer_bytes(uint8_t outer_family, unsigned n_gue)
{
	return n_gue
		+ (uint32_t)(outer_family == 4 ? sizeof(struct rte_ipv4_hdr)
					       : sizeof(struct rte_ipv6_hdr));
}

static inline uint16_t inner_bytes(const struct pkt *p)
{
	return (uint16_t)(p->l4_off - p->l3_off + p->l4_len);
}

/* What stands between the Ethernet header and the packet. The last two are constants of each caller. */
static __rte_always_inline void write_outer(const struct fwd_env *env, uint8_t *at,
	const struct pkt *p, const struct lb_backend *be, const struct inner *in,
	unsigned outer_family, unsigned n_gue)
{
	const uint8_t proto = n_gue != 0 ? IPPROTO_UDP : in->proto;
	const uint16_t n_bytes = (uint16_t)(n_gue + in->n_bytes);

	if (n_gue != 0)
		write_gue(at + outer_bytes(outer_family, 0), be, in, entropy_port(p),
			env->conf->services[p->service_idx]->gue_port);
	if (outer_family == 4)
		write_outer4(at, be, in, proto, n_bytes);
	else
		write_outer6(at, be, in, proto, n_bytes);
}

/* n_gue bytes stand between the outer IP header and the packet: GUE_BYTES, or none. outer_family: the backend's. */
static __rte_always_inline void send_as(const struct fwd_env *env, struct rte_mbuf *m,
	struct pkt *p, const struct lb_backend *be, uint8_t outer_family, unsigned n_gue,
	rte_be32_t fragment)
{
	const uint32_t n_outer = outer_bytes(outer_family, n_gue);
	struct inner in = {.n_bytes = inner_bytes(p), .fragment = fragment};
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_ether_hdr *eth;

	if (unlikely(!pass_on(frame + p->l3_off, p->family, &in))) {
		pkt_drop(p, PKT_DROP_ttl);
		return;
	}
	if (unlikely(rte_pktmbuf_headroom(m) < n_outer)) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return;
	}
	rte_pktmbuf_prepend(m, (uint16_t)n_outer);
	frame -= n_outer;
	write_outer(env, frame + RTE_ETHER_HDR_LEN, p, be, &in, outer_family, n_gue);
	eth = (struct rte_ether_hdr *)(void *)frame;
	eth->ether_type =
		outer_family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	p->family = outer_family; /* of what leaves, and so of its next hop */
	fwd_output(env, p, eth, be->iface, be->neigh_ref, NULL);
}

/* Whether nobody can be told that the packet is too long for its path: IPv4 without DF, or IPv6 of no more than every
 * link must carry, whose sender does not believe that it is too much (RFC 8201 4). */
static bool cannot_be_told(const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_ipv4_hdr *ip =
		rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, p->l3_off);

	if (p->family == 6)
		return inner_bytes(p) <= RTE_IPV6_MIN_MTU;
	return !(ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
}

/* A packet that is longer than its path carries: its sender is told. What cannot be told goes all the same, over IPv4
 * in pieces if need be (RFC 2003 3.1, RFC 4213 3.2.2): a forged message must not end flows that cannot adapt to it. The
 * outer header has an identification then: workers have different ones, and each takes the next. */
static __rte_noinline void send_long(
	const struct fwd_env *env, struct pkt *p, const struct lb_backend *be, unsigned n_gue)
{
	const unsigned i = (unsigned)(p - env->b->p);
	const uint32_t n_outer = outer_bytes(be->family, n_gue);
	const uint32_t port_mtu = env->w->ifaces->of[be->iface].mtu_bytes;
	uint32_t room = __atomic_load_n(&be->path_mtu, __ATOMIC_RELAXED) - n_outer;
	struct worker *w = env->w;

	if (n_outer + inner_bytes(p) <= port_mtu && cannot_be_told(env->b->m[i], p)) {
		const uint32_t id = w->n_loose++ * w->n_workers + w->id;

		send_as(env, env->b->m[i], p, be, be->family, n_gue, rte_cpu_to_be_32(id << 16));
		return;
	}
	if (p->family == 6 && room < RTE_IPV6_MIN_MTU)
		room = RTE_IPV6_MIN_MTU;
	toobig_reply(w, env->b, i, (uint16_t)room);
}

static __rte_always_inline void send_one(const struct fwd_env *env, struct rte_mbuf *m,
	struct pkt *p, const struct lb_backend *be, uint8_t outer_family, unsigned n_gue)
{
	const uint32_t mtu = __atomic_load_n(&be->path_mtu, __ATOMIC_RELAXED);

	if (unlikely(outer_bytes(outer_family, n_gue) + inner_bytes(p) > mtu))
		send_long(env, p, be, n_gue);
	else
		send_as(env, m, p, be, outer_family, n_gue, DONT_FRAGMENT);
}

/* opt: what a packet needs by mode and family is not asked of each again */
static __rte_always_inline void send_batch(
	const struct fwd_env *env, const struct fwd_batch *batch, unsigned n_gue)
{
	struct burst *const b = env->b;
	const unsigned n = batch->n;

	for (unsigned k = 0; k < n; k++) {
		const struct lb_backend *be = batch->backend[k];
		const unsigned i = batch->sel[k];

		if (likely(be->family == 4))
			send_one(env, b->m[i], &b->p[i], be, 4, n_gue);
		else
			send_one(env, b->m[i], &b->p[i], be, 6, n_gue);
	}
}

static void send_ipip(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_batch(env, batch, 0);
}

static void send_gue(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_batch(env, batch, GUE_BYTES);
}

const struct fwd_ops fwd_tunnel_ipip_ops = {.send = send_ipip};
const struct fwd_ops fwd_tunnel_gue_ops = {.send = send_gue};
