/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pathmtu — see pathmtu.h.
 *
 *     router → own address:  IP | ICMP, MTU | outer IP to the backend | [UDP | GUE] | IP client → VIP | …
 *     VIP → client:          IP | ICMP, MTU less what a tunnel takes                | IP client → VIP | …
 *
 * Anybody can forge such a message, so it is to change as little as it can (RFC 5927 7, RFC 8201 6):
 *
 *  I1  the quoted outer header is one that we write: own address to an address that has backends of a tunnel service,
 *      with its protocol and port; it says "don't fragment"; the ICMP checksum is right
 *  I2  the quoted packet is longer than the MTU, and not longer than the port's
 *  I3  a limit is lowered only, and not below FLOOR4 or FLOOR6; after AGE_MS it is the port's again (RFC 1191 6.3),
 *      and the next packet that is too long asks anew
 *  I4  a client is told only of a packet that is whole in itself: to a service that has this backend, of the length
 *      that the outer header says, and one whose sender may be told (toobig.h). We send no more than comes in
 *  I5  what cannot adapt goes all the same (send_long() in fwd_tunnel.c), so the worst that a forged message does
 *      is packets of FLOOR4 or FLOOR6 for ten minutes
 *
 * FLOOR4 is what every host must take in one piece (RFC 791); RFC 1191 has 68, but no link of today is so small, and a
 * flow in packets of 48 bytes of data is as good as ended. FLOOR6 is the smallest MTU of an IPv6 link. A message
 * without an MTU, from a router of before 1990, is refused: to guess (RFC 1191 7) would help nobody but forgers.
 *
 * What is learned belongs to an address: all records with it get the limit, whichever service's packet was quoted. It is
 * kept by backend slot, so that a new generation finds it. Records are found by address in a chained hash table of
 * slots, made when the first message of a generation comes: O(backends) then, O(services of one backend) for a
 * message.
 */
#include "lb/pathmtu.h"

#include "base/csum.h"
#include "base/keyhash.h"
#include "base/log.h"
#include "net/icmp_pvt.h"
#include "net/icmpquote.h"
#include "net/parse.h"
#include "net/reply.h"
#include "net/toobig.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include <errno.h>
#include <stdlib.h>

LOG_TYPE(pathmtu)

#define FLOOR4 576u
#define FLOOR6 1280u
#define AGE_MS 600000u
#define MESSAGES_PER_SEC 1000u /* that are about tunnels; a client may be told of each */
#define CHANGES_PER_SEC 100u
#define LINES_PER_SEC 10u       /* of the log */
#define RUN_STEP 1024u          /* slots looked at per pathmtu_run() */
#define GUE_BYTES 4u            /* behind the UDP header */
#define SOURCE_PORT_MIN 0xc000u /* of GUE: entropy_port() in fwd_tunnel.c */
#define NONE UINT32_MAX

struct learned {
	uint32_t at_ms;
	uint16_t mtu; /* 0: nothing */
};

struct pathmtu {
	struct pathmtu_params p;
	struct worker_budget messages, changes, lines;
	uint32_t n_untold; /* lines that were too many for the log */
	uint32_t n_learned, cursor;
	struct learned *learned; /* by slot */
	/* backends of tunnels in the running generation, by address; while is_indexed */
	bool is_indexed;
	uint32_t mask, *heads;
	uint32_t *next; /* by slot */
};

struct message {
	struct pkt p;
	struct icmpquote q;
	uint32_t mtu;
	uint32_t quoted_bytes; /* the length of the quoted packet, as its header says */
	bool is_loose;         /* that may be fragmented, or is a fragment */
	uint32_t slot;         /* of a backend it is about */
};

int pathmtu_create(struct pathmtu **out, const struct pathmtu_params *p)
{
	struct pathmtu *pm = calloc(1, sizeof(*pm));
	uint32_t n_heads = 16;

	if (pm == NULL)
		return -ENOMEM;
	while (n_heads < p->n_backends)
		n_heads *= 2;
	pm->p = *p;
	pm->mask = n_heads - 1;
	pm->learned = calloc(p->n_backends, sizeof(pm->learned[0]));
	pm->heads = malloc(n_heads * sizeof(pm->heads[0]));
	pm->next = malloc(p->n_backends * sizeof(pm->next[0]));
	if (pm->learned == NULL || pm->heads == NULL || pm->next == NULL) {
		pathmtu_destroy(&pm);
		return -ENOMEM;
	}
	*out = pm;
	return 0;
}

void pathmtu_destroy(struct pathmtu **pm)
{
	if (*pm == NULL)
		return;
	free((*pm)->learned);
	free((*pm)->heads);
	free((*pm)->next);
	free(*pm);
	*pm = NULL;
}

/* --- backends by address --- */

static bool is_tunnel(const struct lb_backend *be)
{
	return be->neigh_ref != NEIGH_NONE && mr_mode_is_tunnel(be->mode);
}

static uint32_t *head_of(const struct pathmtu *pm, uint8_t family, const uint8_t *ip)
{
	uint8_t key[17] = {family};

	memcpy(key + 1, ip, 16);
	return &pm->heads[(uint32_t)keyhash(key, sizeof(key)) & pm->mask];
}

static void build_index(struct pathmtu *pm, const struct lb_conf *c)
{
	memset(pm->heads, 0xff, (pm->mask + 1u) * sizeof(pm->heads[0]));
	for (uint32_t i = 0; i < c->n_backends; i++) {
		const struct lb_backend *be = &c->backends[i];
		uint32_t *head;

		if (!is_tunnel(be))
			continue;
		head = head_of(pm, be->family, be->ip);
		pm->next[i] = *head;
		*head = i;
	}
	pm->is_indexed = true;
}

/* From slot `at` of a chain on, the first backend with this address; NONE at its end. */
static uint32_t find_from(const struct pathmtu *pm, const struct lb_conf *c, uint32_t at,
	uint8_t family, const uint8_t *ip)
{
	while (at != NONE
		&& (c->backends[at].family != family
			|| memcmp(c->backends[at].ip, ip, sizeof(c->backends[at].ip)) != 0))
		at = pm->next[at];
	return at;
}

static uint32_t first_of(
	const struct pathmtu *pm, const struct lb_conf *c, const struct icmpquote *q)
{
	return find_from(pm, c, *head_of(pm, q->family, q->dst), q->family, q->dst);
}

static uint32_t next_of(
	const struct pathmtu *pm, const struct lb_conf *c, const struct icmpquote *q, uint32_t at)
{
	return find_from(pm, c, pm->next[at], q->family, q->dst);
}

/* --- what a message says --- */

static uint32_t load16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

static uint32_t ip_bytes(const uint8_t *ip, uint8_t family)
{
	return family == 4 ? load16(ip + 2)
			   : load16(ip + 4) + (uint32_t)sizeof(struct rte_ipv6_hdr);
}

/* False: its quote is no packet without options, or not from where the message went. */
static bool read_message(
	const struct pathmtu *pm, const struct rte_mbuf *m, unsigned iface, struct message *msg)
{
	const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct pkt *p = &msg->p;
	const struct icmpquote *q = &msg->q;

	parse_frame(&msg->p, frame, m->data_len, &pm->p.ifaces->of[iface].mac);
	if (p->verdict != PKT_UNSEEN || !icmpquote_is_too_big(m, p)
		|| !icmpquote_read(m, p, &msg->q)
		|| q->l4_off - q->ip_off != (int)reply_ip_bytes(q->family)
		|| memcmp(q->src, p->dst, sizeof(q->src)) != 0)
		return false;
	msg->mtu = load16(frame + p->l4_off + 6);
	if (p->family == 6)
		msg->mtu |= load16(frame + p->l4_off + 4) << 16;
	msg->quoted_bytes = ip_bytes(frame + q->ip_off, q->family);
	msg->is_loose = q->family == 4 && load16(frame + q->ip_off + 6) != RTE_IPV4_HDR_DF_FLAG;
	return true;
}

/* I1: whether the quoted header is that of a tunnel to this backend. */
static bool is_outer_of(
	const struct lb_conf *c, const struct lb_backend *be, const struct icmpquote *q)
{
	const struct lb_service *s =
		be->service_idx < c->n_services ? c->services[be->service_idx] : NULL;

	if (s == NULL || memcmp(be->tunnel_src, q->src, sizeof(q->src)) != 0)
		return false;
	if (be->mode == MR_MODE_GUE)
		return q->proto == IPPROTO_UDP && q->dport == s->gue_port
			&& rte_be_to_cpu_16(q->sport) >= SOURCE_PORT_MIN;
	return q->proto == (s->spec.vip.family == 4 ? IPPROTO_IPIP : IPPROTO_IPV6);
}

/* The slot of a backend whose tunnel the message is about; of this service, unless it is VIP_NONE. NONE: of none. */
static uint32_t find_tunnel(const struct pathmtu *pm, const struct lb_conf *c,
	const struct icmpquote *q, uint32_t service_idx)
{
	uint32_t at = first_of(pm, c, q);

	while (at != NONE
		&& (!is_outer_of(c, &c->backends[at], q)
			|| (service_idx != VIP_NONE && c->backends[at].service_idx != service_idx)))
		at = next_of(pm, c, q, at);
	return at;
}

static bool is_sum_right(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	if (p->family == 4)
		return csum_of(icmp, p->l4_len) == 0;
	return csum_l4(p->src, p->dst, 16, IPPROTO_ICMPV6, icmp, p->l4_len) == 0;
}

/* I1 to I3. */
static bool is_believable(const struct pathmtu *pm, const struct lb_conf *c,
	const struct rte_mbuf *m, const struct message *msg)
{
	const struct lb_backend *be = &c->backends[msg->slot];

	return msg->mtu >= (msg->q.family == 4 ? FLOOR4 : FLOOR6) && msg->mtu < msg->quoted_bytes
		&& msg->quoted_bytes <= pm->p.ifaces->of[be->iface].mtu_bytes && !msg->is_loose
		&& is_sum_right(m, &msg->p);
}

/* --- what is learned --- */

static const char *ip_text(uint8_t family, const uint8_t *ip, char *text)
{
	struct mr_ip a = {.family = family};

	memcpy(a.bytes, ip, sizeof(a.bytes));
	return mr_ip_text(&a, text, INET6_ADDRSTRLEN);
}

/* Whether there is a line for one more event. */
static bool may_tell(struct pathmtu *pm, uint32_t now_ms)
{
	if (icmp_budget_take(&pm->lines, now_ms, LINES_PER_SEC))
		return true;
	pm->n_untold++;
	return false;
}

static void tell_learned(struct pathmtu *pm, const struct lb_conf *c, const struct message *msg,
	uint16_t was, uint32_t now_ms)
{
	const struct lb_backend *be = &c->backends[msg->slot];
	char ip[INET6_ADDRSTRLEN], router[INET6_ADDRSTRLEN];

	if (may_tell(pm, now_ms))
		LOG_NOTICE("service %s: backend %s at %s: path MTU %u, was %u: ICMP from %s; asked "
			   "again in 10 minutes",
			lb_registry_service_name(pm->p.registry, be->service_idx),
			lb_registry_backend_name(pm->p.registry, msg->slot),
			ip_text(be->family, be->ip, ip), msg->mtu, was,
			ip_text(msg->p.family, msg->p.src, router));
}

static void set_limit(const struct lb_conf *c, uint32_t slot, uint16_t mtu)
{
	__atomic_store_n(&c->backends[slot].path_mtu, mtu, __ATOMIC_RELAXED);
}

/* I3: all records of the address. */
static void learn(
	struct pathmtu *pm, const struct lb_conf *c, const struct message *msg, uint32_t now_ms)
{
	uint16_t was = 0;

	for (uint32_t at = first_of(pm, c, &msg->q); at != NONE; at = next_of(pm, c, &msg->q, at))
		was = RTE_MAX(was, c->backends[at].path_mtu);
	if (was <= msg->mtu || !icmp_budget_take(&pm->changes, now_ms, CHANGES_PER_SEC))
		return;
	tell_learned(pm, c, msg, was, now_ms);
	for (uint32_t at = first_of(pm, c, &msg->q); at != NONE; at = next_of(pm, c, &msg->q, at)) {
		if (c->backends[at].path_mtu <= msg->mtu)
			continue;
		pm->n_learned += pm->learned[at].mtu == 0;
		pm->learned[at] = (struct learned){now_ms, (uint16_t)msg->mtu};
		set_limit(c, at, (uint16_t)msg->mtu);
	}
	pm->p.tally->pmtu_learned++;
}

static void forget(struct pathmtu *pm, uint32_t slot)
{
	pm->n_learned -= pm->learned[slot].mtu != 0;
	pm->learned[slot].mtu = 0;
}

/* --- the client --- */

/* Where the inner packet begins in the frame, and its family in *family; 0 when that is not quoted. */
static uint32_t inner_at(const struct rte_mbuf *m, const struct message *msg, uint8_t *family)
{
	const struct icmpquote *q = &msg->q;
	uint32_t at = q->l4_off;
	uint8_t proto = q->proto;

	if (q->proto == IPPROTO_UDP) {
		const uint8_t *gue;

		at += sizeof(struct rte_udp_hdr);
		if (q->l4_len < sizeof(struct rte_udp_hdr) + GUE_BYTES)
			return 0;
		gue = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
		if (gue[0] != 0 || load16(gue + 2) != 0)
			return 0;
		proto = gue[1];
		at += GUE_BYTES;
	}
	if (proto != IPPROTO_IPIP && proto != IPPROTO_IPV6)
		return 0;
	*family = proto == IPPROTO_IPIP ? 4 : 6;
	return at;
}

/* I4. The client's packet in *client, as it was for its service. */
static bool read_inner(const struct pathmtu *pm, const struct rte_mbuf *m,
	const struct snapshot *running, const struct message *msg, struct pkt *client)
{
	const struct lb_conf *c = lb_conf_of(running);
	const uint32_t end = msg->p.l4_off + msg->p.l4_len;
	struct pkt around = {0}; /* as if the inner packet were what the message quotes */
	struct icmpquote q;
	uint32_t at;

	at = inner_at(m, msg, &around.family);
	if (at == 0 || at >= end)
		return false;
	around.l4_off = (uint16_t)(at - ICMPQUOTE_OFF);
	around.l4_len = (uint16_t)(end - around.l4_off);
	if (!icmpquote_read(m, &around, &q))
		return false;
	*client = (struct pkt){.family = q.family,
		.proto = q.proto,
		.sport = q.sport,
		.dport = q.dport,
		.l3_off = RTE_ETHER_HDR_LEN,
		.l4_off = (uint16_t)at}; /* until the frame begins there */
	memcpy(client->src, q.src, sizeof(client->src));
	memcpy(client->dst, q.dst, sizeof(client->dst));
	vip_find_bulk(c->vips, client, 1);
	return client->service_idx != VIP_NONE
		&& find_tunnel(pm, c, &msg->q, client->service_idx) != NONE
		&& !parse_is_bad_source(client)
		&& !addr_is_ours(addr_conf_of(running), client->family, client->src);
}

/* The MTU to tell, of what the tunnel carries; 0 when nobody is to be told of that packet. */
static uint32_t room_of(
	const struct rte_mbuf *m, const struct message *msg, const struct pkt *client)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(m, const uint8_t *, client->l4_off);
	const uint32_t n_outer = (uint32_t)client->l4_off - msg->q.ip_off;
	const uint32_t n = ip_bytes(ip, client->family);
	uint32_t room = msg->mtu - n_outer;

	if (client->family == 6)
		room = RTE_MAX(room, (uint32_t)RTE_IPV6_MIN_MTU);
	else if (!(load16(ip + 6) & RTE_IPV4_HDR_DF_FLAG))
		return 0;
	return n + n_outer == msg->quoted_bytes && n > room ? room : 0;
}

/* Makes m the message to the client and sends it. False: there is nothing to tell, m is as it was. */
static bool tell_client(struct pathmtu *pm, struct rte_mbuf *m, const struct snapshot *running,
	const struct message *msg, uint32_t now_ms)
{
	const struct addr_conf *ac = addr_conf_of(running);
	struct pkt_note *note = pkt_note(m);
	struct rte_ether_hdr *eth;
	struct pkt client;
	uint8_t iface, next_hop[16];
	uint32_t room;

	if (!read_inner(pm, m, running, msg, &client))
		return false;
	room = room_of(m, msg, &client);
	if (room == 0 || !addr_route(ac, client.family, client.src, &iface, next_hop))
		return false;
	eth = (struct rte_ether_hdr *)(void *)rte_pktmbuf_adj(
		m, (uint16_t)(client.l4_off - RTE_ETHER_HDR_LEN));
	eth->ether_type =
		client.family == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
	/* it has more room in front than it needs: the outer headers were there */
	if (!toobig_build(m, &client, &pm->p.ifaces->of[iface].mac, (uint16_t)room))
		return false;
	*note = (struct pkt_note){.kind = NOTE_HOLD,
		.iface = iface,
		.family = client.family,
		.neigh_ref = NEIGH_NONE};
	memcpy(note->next_hop, next_hop, sizeof(note->next_hop));
	neigh_hold(pm->p.neigh, m, ac, now_ms);
	pm->p.tally->icmp_errors++;
	return true;
}

static void drop(struct pathmtu *pm, struct rte_mbuf *m, enum pkt_drop reason)
{
	pm->p.tally->drops[reason]++;
	rte_pktmbuf_free(m);
}

/* --- the manager's calls --- */

bool pathmtu_input(struct pathmtu *pm, struct rte_mbuf *m, unsigned iface,
	const struct snapshot *running, uint32_t now_ms)
{
	const struct lb_conf *c = lb_conf_of(running);
	struct message msg;

	if (!read_message(pm, m, iface, &msg))
		return false;
	if (!pm->is_indexed)
		build_index(pm, c);
	msg.slot = find_tunnel(pm, c, &msg.q, VIP_NONE);
	if (msg.slot == NONE)
		return false; /* of a connection of the kernel's, it may be */
	if (!icmp_budget_take(&pm->messages, now_ms, MESSAGES_PER_SEC)) {
		drop(pm, m, PKT_DROP_icmp_limited);
		return true;
	}
	if (!is_believable(pm, c, m, &msg)) {
		drop(pm, m, PKT_DROP_pmtu_refused);
		return true;
	}
	learn(pm, c, &msg, now_ms);
	if (!tell_client(pm, m, running, &msg, now_ms)) {
		pm->p.tally->consumed++;
		rte_pktmbuf_free(m);
	}
	return true;
}

/* Whether the slot's backend has the same address in both generations. */
static bool is_same(const struct lb_conf *prev, const struct lb_conf *next, uint32_t slot)
{
	const struct lb_backend *x, *y;

	if (prev == NULL || slot >= prev->n_backends || slot >= next->n_backends)
		return false;
	x = &prev->backends[slot];
	y = &next->backends[slot];
	return x->family == y->family && memcmp(x->ip, y->ip, sizeof(x->ip)) == 0
		&& y->neigh_ref != NEIGH_NONE;
}

void pathmtu_publish(struct pathmtu *pm, const struct lb_conf *prev, const struct lb_conf *next)
{
	pm->is_indexed = false;
	for (uint32_t i = 0; pm->n_learned > 0 && i < pm->p.n_backends; i++) {
		const uint16_t mtu = pm->learned[i].mtu;

		if (mtu == 0)
			continue;
		if (!is_same(prev, next, i))
			forget(pm, i);
		else if (mtu < next->backends[i].path_mtu)
			set_limit(next, i, mtu);
	}
}

/* I3 */
static void expire(struct pathmtu *pm, const struct lb_conf *c, uint32_t slot, uint32_t now_ms)
{
	const struct lb_backend *be = &c->backends[slot];
	const uint16_t mtu = pm->learned[slot].mtu;
	char ip[INET6_ADDRSTRLEN];

	if (mtu == 0 || now_ms - pm->learned[slot].at_ms < AGE_MS)
		return;
	forget(pm, slot);
	set_limit(c, slot, be->mtu_max);
	if (may_tell(pm, now_ms))
		LOG_NOTICE("service %s: backend %s at %s: path MTU %u, was %u: 10 minutes are over",
			lb_registry_service_name(pm->p.registry, be->service_idx),
			lb_registry_backend_name(pm->p.registry, slot),
			ip_text(be->family, be->ip, ip), be->mtu_max, mtu);
}

void pathmtu_run(struct pathmtu *pm, const struct lb_conf *running, uint32_t now_ms)
{
	const uint32_t n = RTE_MIN(pm->p.n_backends, RUN_STEP);

	if (pm->n_untold > 0 && now_ms - pm->lines.since_ms >= 1000 && may_tell(pm, now_ms)) {
		LOG_NOTICE("path MTUs: %u more changes in that second", pm->n_untold);
		pm->n_untold = 0;
	}
	for (uint32_t i = 0; pm->n_learned > 0 && i < n; i++) {
		expire(pm, running, pm->cursor, now_ms);
		pm->cursor = (pm->cursor + 1) % pm->p.n_backends;
	}
}
