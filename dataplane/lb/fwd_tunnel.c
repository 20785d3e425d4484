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

/* opt: made and summed up in registers; reading words back that were just written in pieces would stall. */
static inline void write_outer4(uint8_t *at, const struct lb_backend *be, const struct inner *in,
	uint8_t proto, uint16_t n_bytes)
{
	const uint32_t head = 0x45000000u | (uint32_t)in->traffic_class << 16
		| (uint16_t)(sizeof(struct rte_ipv4_hdr) + n_bytes);
	const uint32_t life = (uint32_t)OUTER_TTL << 24 | (uint32_t)proto << 16;
	uint32_t words[5] = {rte_cpu_to_be_32(head), in->fragment, rte_cpu_to_be_32(life)};
	uint16_t sum;

	memcpy(&words[3], be->tunnel_src, 4);
	memcpy(&words[4], be->ip, 4);
	sum = (uint16_t)~csum_fold((uint64_t)words[0] + words[1] + words[2] + words[3] + words[4]);
	words[2] = rte_cpu_to_be_32(life | rte_be_to_cpu_16(sum));
	memcpy(at, words, sizeof(words));
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
	if (family == 4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(void *)ip;

		if (unlikely(h->time_to_live <= 1))
			return false;
		h->time_to_live--;
		h->hdr_checksum = csum_apply_ttl(h->hdr_checksum);
		in->traffic_class = h->type_of_service;
		in->proto = IPPROTO_IPIP;
	} else {
		struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)(void *)ip;

		if (unlikely(h->hop_limits <= 1))
			return false;
		h->hop_limits--;
		in->traffic_class = (uint8_t)(rte_be_to_cpu_32(h->vtc_flow) >> 20);
		in->proto = IPPROTO_IPV6;
	}
	return true;
}

/* The bytes in front of the packet. */
static inline uint32_t outer_bytes(const struct lb_backend *be, unsigned n_gue)
{
	return n_gue
		+ (uint32_t)(be->family == 4 ? sizeof(struct rte_ipv4_hdr)
					     : sizeof(struct rte_ipv6_hdr));
}

static inline uint16_t inner_bytes(const struct pkt *p)
{
	return (uint16_t)(p->l4_off - p->l3_off + p->l4_len);
}

/* n_gue bytes stand between the outer IP header and the packet: GUE_BYTES, or none. */
static __rte_always_inline void send_as(const struct fwd_env *env, unsigned i,
	const struct lb_backend *be, unsigned n_gue, rte_be32_t fragment)
{
	const uint32_t n_outer = outer_bytes(be, n_gue);
	struct rte_mbuf *m = env->b->m[i];
	struct pkt *p = &env->b->p[i];
	struct inner in = {.n_bytes = inner_bytes(p), .fragment = fragment};
	uint8_t *frame, *at;

	if (unlikely(!pass_on(rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off), p->family, &in))) {
		pkt_drop(p, PKT_DROP_ttl);
		return;
	}
	frame = (uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)n_outer);
	if (unlikely(frame == NULL)) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return;
	}
	at = frame + RTE_ETHER_HDR_LEN;
	if (n_gue != 0)
		write_gue(at + n_outer - n_gue, be, &in, entropy_port(p),
			env->conf->services[p->service_idx]->gue_port);
	if (be->family == 4)
		write_outer4(at, be, &in, n_gue ? IPPROTO_UDP : in.proto,
			(uint16_t)(n_gue + in.n_bytes));
	else
		write_outer6(at, be, &in, n_gue ? IPPROTO_UDP : in.proto,
			(uint16_t)(n_gue + in.n_bytes));
	((struct rte_ether_hdr *)(void *)frame)->ether_type =
		be->family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	p->family = be->family; /* of what leaves, and so of its next hop */
	fwd_output(env, i, (struct rte_ether_hdr *)(void *)frame, be->iface, be->neigh_ref, NULL);
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
	const struct fwd_env *env, unsigned i, const struct lb_backend *be, unsigned n_gue)
{
	const uint32_t n_outer = outer_bytes(be, n_gue);
	const uint32_t port_mtu = env->w->ifaces->of[be->iface].mtu_bytes;
	uint32_t room = __atomic_load_n(&be->path_mtu, __ATOMIC_RELAXED) - n_outer;
	struct worker *w = env->w;
	const struct pkt *p = &env->b->p[i];

	if (n_outer + inner_bytes(p) <= port_mtu && cannot_be_told(env->b->m[i], p)) {
		const uint32_t id = w->n_loose++ * w->n_workers + w->id;

		send_as(env, i, be, n_gue, rte_cpu_to_be_32(id << 16));
		return;
	}
	if (p->family == 6 && room < RTE_IPV6_MIN_MTU)
		room = RTE_IPV6_MIN_MTU;
	toobig_reply(w, env->b, i, (uint16_t)room);
}

static inline void send_one(
	const struct fwd_env *env, unsigned i, const struct lb_backend *be, unsigned n_gue)
{
	const uint32_t mtu = __atomic_load_n(&be->path_mtu, __ATOMIC_RELAXED);

	if (unlikely(outer_bytes(be, n_gue) + inner_bytes(&env->b->p[i]) > mtu))
		send_long(env, i, be, n_gue);
	else
		send_as(env, i, be, n_gue, DONT_FRAGMENT);
}

static void send_ipip(const struct fwd_env *env, const struct fwd_batch *batch)
{
	for (unsigned k = 0; k < batch->n; k++)
		send_one(env, batch->sel[k], batch->backend[k], 0);
}

static void send_gue(const struct fwd_env *env, const struct fwd_batch *batch)
{
	for (unsigned k = 0; k < batch->n; k++)
		send_one(env, batch->sel[k], batch->backend[k], GUE_BYTES);
}

const struct fwd_ops fwd_tunnel_ipip_ops = {.send = send_ipip};
const struct fwd_ops fwd_tunnel_gue_ops = {.send = send_gue};
