/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_nat — see fwd_nat.h.
 *
 *     full NAT   client:cport → VIP:vport      becomes   SNAT:sport → backend:bport
 *                backend:bport → SNAT:sport    becomes   VIP:vport → client:cport
 *     DNAT       client:cport → VIP:vport      becomes   client:cport → backend:bport
 *                backend:bport → client:cport  becomes   VIP:vport → client:cport
 *
 * Checksums are updated, not computed (RFC 1624): what changes in a flow's packets is the same in each,
 * so the entry keeps one delta per direction and layer, and a packet costs one addition. The way back is the
 * complement of the way there. The IPv4 delta includes the time to live going down by one, whose complement is
 * it going up: twice the step down is added on the way back. A damaged packet stays damaged, which is for the
 * receiver to see.
 *
 * The client's next hop is asked for once and remembered in the entry (client_neigh, client_iface); it is
 * asked again when the neighbour is gone or the generation has other routes (route_gen).
 */
#include "lb/fwd_nat.h"

#include "base/csum.h"
#include "net/icmpquote.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

/* Who the backend sees: address and port. */
struct seen {
	const uint8_t *ip;
	rte_be16_t port;
};

static inline struct seen seen_of(const struct conn *e, const struct lb_conf *conf, bool is_full)
{
	return is_full
		? (struct seen){conf->snats[e->snat_slot].bytes, rte_cpu_to_be_16(e->snat_port)}
		: (struct seen){e->client_ip, e->client_port};
}

/* csum_words() of an address. */
static inline uint64_t sum_of(const uint8_t ip[16])
{
	uint64_t v[2];

	memcpy(v, ip, sizeof(v));
	return (v[0] & 0xffffffff) + (v[0] >> 32) + (v[1] & 0xffffffff) + (v[1] >> 32);
}

/* csum_delta() of the words with these sums. */
static inline uint16_t delta_of(uint64_t from, uint64_t to)
{
	return csum_fold(to + (uint16_t)~csum_fold(from));
}

static inline void open_flow(struct conn *e, const struct lb_conf *conf, bool is_full)
{
	const struct lb_service *s = conf->services[e->service_idx];
	const struct lb_backend *be = &conf->backends[e->backend_idx];
	const struct seen seen = seen_of(e, conf, is_full);
	uint8_t client[16];
	uint64_t from, to;

	conn_client(e, client);
	from = sum_of(client) + sum_of(s->vip);
	to = sum_of(is_full ? seen.ip : client) + sum_of(be->ip);
	e->fwd_l3 = csum_add(delta_of(from, to), CSUM_TTL_DELTA);
	e->fwd_l4 =
		delta_of(from + e->client_port + e->vip_port, to + (uint64_t)seen.port + be->port);
	e->client_neigh = NEIGH_NONE;
}

static void open_full(struct conn *e, const struct lb_conf *conf)
{
	open_flow(e, conf, true);
}

static void open_dest(struct conn *e, const struct lb_conf *conf)
{
	open_flow(e, conf, false);
}

/* What a packet becomes. */
struct rewrite {
	const uint8_t *src, *dst; /* 4 or 16 bytes */
	rte_be16_t sport, dport;
	uint32_t l3; /* as csum_apply() takes it */
	uint16_t l4;
};

/* False when the time to live has run out; nothing is changed then. */
static __rte_always_inline bool rewrite_packet(
	uint8_t *frame, const struct pkt *p, const struct rewrite *r)
{
	uint8_t *l4 = frame + p->l4_off;
	const uint32_t ports = r->sport | (uint32_t)r->dport << 16; /* first in TCP and in UDP */

	if (likely(p->family == 4)) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + p->l3_off);

		if (unlikely(ip->time_to_live <= 1))
			return false;
		ip->time_to_live--;
		memcpy(&ip->src_addr, r->src, 4);
		memcpy(&ip->dst_addr, r->dst, 4);
		ip->hdr_checksum = csum_apply(ip->hdr_checksum, r->l3);
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)(frame + p->l3_off);

		if (unlikely(ip->hop_limits <= 1))
			return false;
		ip->hop_limits--;
		memcpy(ip->src_addr, r->src, 16);
		memcpy(ip->dst_addr, r->dst, 16);
	}
	/* the checksum in the first fragment is that of all */
	if (unlikely(p->flags & PKT_F_LATER))
		return true;
	memcpy(l4, &ports, sizeof(ports));
	if (likely(p->proto == MR_PROTO_TCP)) {
		struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(void *)l4;

		tcp->cksum = csum_apply(tcp->cksum, r->l4);
	} else {
		struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(void *)l4;

		udp->dgram_cksum = csum_apply_udp(udp->dgram_cksum, r->l4);
	}
	return true;
}

static inline void send_batch(
	const struct fwd_env *env, const struct fwd_batch *batch, bool is_full)
{
	struct burst *const b = env->b;
	const unsigned n = batch->n;

	for (unsigned k = 0; k < n; k++) {
		const struct lb_backend *be = batch->backend[k];
		const struct conn *e = batch->conn[k];
		const unsigned i = batch->sel[k];
		struct pkt *p = &b->p[i];
		uint8_t *frame = rte_pktmbuf_mtod(b->m[i], uint8_t *);
		const struct seen seen = seen_of(e, env->conf, is_full);
		const struct rewrite r = {.src = seen.ip,
			.dst = be->ip,
			.sport = seen.port,
			.dport = be->port,
			.l3 = e->fwd_l3,
			.l4 = e->fwd_l4};

		if (likely(rewrite_packet(frame, p, &r)))
			fwd_output(env, p, (struct rte_ether_hdr *)(void *)frame, be->iface,
				be->neigh_ref, NULL);
		else
			pkt_drop(p, PKT_DROP_ttl);
	}
}

static void send_full(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_batch(env, batch, true);
}

static void send_dest(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_batch(env, batch, false);
}

/* The client's next hop, asked anew. Leaves client_neigh NEIGH_NONE while the neighbour table has no entry:
 * the manager makes one for the packet that is held. False without a route. */
static bool route_client(const struct fwd_env *env, struct conn *e, uint8_t next_hop[16])
{
	struct neigh_key key = {.family = e->family};
	const struct neigh_key *keys[1] = {&key};
	uint8_t client[16];

	conn_client(e, client);
	if (!addr_route(env->addrs, e->family, client, &e->client_iface, next_hop))
		return false;
	key.iface = e->client_iface;
	memcpy(key.ip, next_hop, sizeof(key.ip));
	neigh_find_bulk(env->w->neigh, keys, 1, &e->client_neigh);
	e->route_gen = env->conf->route_gen;
	return true;
}

/* The rest of the below, where the way to the client is not known. */
static __rte_noinline void output_by_route(
	const struct fwd_env *env, struct conn *e, struct pkt *p, struct rte_ether_hdr *eth)
{
	uint8_t next_hop[16];

	if (route_client(env, e, next_hop))
		fwd_output(env, p, eth, e->client_iface, e->client_neigh, next_hop);
	else
		pkt_drop(p, PKT_DROP_no_route);
}

/* Completes a packet to the entry's client. */
static __rte_always_inline void output_to_client(
	const struct fwd_env *env, struct conn *e, struct pkt *p, struct rte_ether_hdr *eth)
{
	if (likely(e->route_gen == env->conf->route_gen
		    && neigh_fill(env->w->neigh, e->client_neigh, &eth->dst_addr))) {
		eth->src_addr = env->w->ifaces->of[e->client_iface].mac;
		p->out_iface = e->client_iface;
		p->verdict = PKT_TX;
	} else {
		output_by_route(env, e, p, eth);
	}
}

static void return_batch(const struct fwd_env *env, const struct fwd_batch *batch)
{
	struct burst *const b = env->b;
	const unsigned n = batch->n;

	for (unsigned k = 0; k < n; k++) {
		struct conn *e = batch->conn[k];
		const unsigned i = batch->sel[k];
		struct pkt *p = &b->p[i];
		uint8_t *frame = rte_pktmbuf_mtod(b->m[i], uint8_t *);
		const struct rewrite r = {.src = env->conf->services[e->service_idx]->vip,
			.dst = e->client_ip,
			.sport = e->vip_port,
			.dport = e->client_port,
			.l3 = (uint32_t)(uint16_t)~e->fwd_l3 + 2 * CSUM_TTL_DELTA,
			.l4 = (uint16_t)~e->fwd_l4};

		if (likely(rewrite_packet(frame, p, &r)))
			output_to_client(env, e, p, (struct rte_ether_hdr *)(void *)frame);
		else
			pkt_drop(p, PKT_DROP_ttl);
	}
}

/* The quoted packet went VIP → client; the backend has sent it to whom it sees. With full NAT the error itself comes
 * from there, too, as nobody else is known to the backend's side. */
static void send_error(const struct fwd_env *env, unsigned i, const struct conn *e,
	const struct lb_backend *be, const struct icmpquote *q)
{
	const bool is_full = fwd_is_fullnat(e->mode);
	const struct seen seen = seen_of(e, env->conf, is_full);
	const struct icmpquote_to to = {.src = is_full ? seen.ip : NULL,
		.dst = be->ip,
		.quoted_src = be->ip,
		.quoted_sport = be->port,
		.quoted_dst = seen.ip,
		.quoted_dport = seen.port};

	if (icmpquote_rewrite(env->b->m[i], &env->b->p[i], q, &to))
		fwd_output(env, &env->b->p[i],
			rte_pktmbuf_mtod(env->b->m[i], struct rte_ether_hdr *), be->iface,
			be->neigh_ref, NULL);
	else
		pkt_drop(&env->b->p[i], PKT_DROP_ttl);
}

/* The quoted packet went to the backend; the client has sent it to the VIP, and hears of it from there: routers and
 * backends behind the service are not shown. */
static void ret_error(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct icmpquote *q)
{
	const uint8_t *vip = env->conf->services[e->service_idx]->vip;
	const struct icmpquote_to to = {.src = vip,
		.dst = e->client_ip,
		.quoted_src = e->client_ip,
		.quoted_sport = e->client_port,
		.quoted_dst = vip,
		.quoted_dport = e->vip_port};

	if (icmpquote_rewrite(env->b->m[i], &env->b->p[i], q, &to))
		output_to_client(env, e, &env->b->p[i],
			rte_pktmbuf_mtod(env->b->m[i], struct rte_ether_hdr *));
	else
		pkt_drop(&env->b->p[i], PKT_DROP_ttl);
}

const struct fwd_ops fwd_nat_full_ops = {.open = open_full,
	.send = send_full,
	.ret = return_batch,
	.send_error = send_error,
	.ret_error = ret_error};
const struct fwd_ops fwd_nat_dest_ops = {.open = open_dest,
	.send = send_dest,
	.ret = return_batch,
	.send_error = send_error,
	.ret_error = ret_error};
