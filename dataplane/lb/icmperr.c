/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * icmperr — see icmperr.h. Three ways to a flow:
 *
 *     error to      quotes                    about what      found by                     goes to
 *     a VIP         VIP → client              backends send   the client's key             backend
 *     a SNAT addr.  SNAT:port → backend       full NAT sent   the port                     client
 *     a client      client → DNAT backend     DNAT sent       the key that answers have    client
 *
 * An error is addressed to whoever sent the quoted packet: what quotes another source is about nothing of ours.
 * Who belongs to a stateless-able service and has no entry is found by hash, as its packets are. The limit counts
 * only what is passed on, so that forged errors without a flow cannot use it up.
 */
#include "lb/icmperr.h"

#include "core/nic.h"
#include "lb/balance_pvt.h"
#include "net/icmp_pvt.h"
#include "net/icmpquote.h"

/* The quoted packet (is_answer: what would answer it) as far as tables look at it. */
static struct pkt quoted_pkt(const struct icmpquote *q, bool is_answer)
{
	struct pkt p = {.family = q->family,
		.proto = q->proto,
		.sport = is_answer ? q->dport : q->sport,
		.dport = is_answer ? q->sport : q->dport};

	memcpy(p.src, is_answer ? q->dst : q->src, sizeof(p.src));
	memcpy(p.dst, is_answer ? q->src : q->dst, sizeof(p.dst));
	return p;
}

/* The client's packet of the flow that an error to a VIP or to a client is about. False when there is no such
 * service. */
static bool find_client(
	const struct lb_conf *c, enum addr_kind kind, const struct icmpquote *q, struct pkt *client)
{
	/* from is what is looked up by its source: the VIP, or the backend of a DNAT service */
	struct pkt from = quoted_pkt(q, kind == ADDR_NONE);

	from.service_idx = vip_find_source(kind == ADDR_NONE ? c->reverts : c->vips, &from);
	if (from.service_idx == VIP_NONE)
		return false;
	if (kind == ADDR_NONE)
		lb_revert_client(c, &from, client);
	else
		*client = quoted_pkt(q, true);
	client->service_idx = from.service_idx;
	return true;
}

unsigned icmperr_owner(const struct lb_conf *c, const struct rte_mbuf *m, const struct pkt *p,
	enum addr_kind kind, unsigned n_workers, unsigned self)
{
	struct icmpquote q;
	struct pkt client;

	if (!icmpquote_read(m, p, &q))
		return self;
	if (kind == ADDR_SNAT)
		return natport_owner(rte_be_to_cpu_16(q.sport), n_workers);
	if (!find_client(c, kind, &q, &client))
		return self;
	return NIC_RSS_OWNER(nic_softrss(&client), n_workers);
}

static uint32_t find_entry(const struct lb_worker *lw, const struct pkt *client)
{
	uint32_t idx;

	if (client->family == 4) {
		struct conn_key4 key;

		flow_key4(&key, client);
		conn_find_bulk4(lw->conns, &key, 1, &idx);
	} else {
		struct conn_key6 key;

		flow_key6(&key, client);
		conn_find_bulk6(lw->conns, &key, 1, &idx);
	}
	return idx;
}

/* The other end of the flow. */
static bool is_backend(const struct lb_backend *be, const uint8_t *ip, rte_be16_t port)
{
	return be->port == port && memcmp(be->ip, ip, sizeof(be->ip)) == 0;
}

/* The direct modes change nothing of a packet that depends on what it is. */
static void send_direct(
	const struct fwd_env *env, unsigned i, uint8_t mode, const struct lb_backend *be)
{
	struct fwd_batch one = {.n = 1, .sel = {(uint8_t)i}, .conn = {NULL}, .backend = {be}};

	fwd_modes[mode]->send(env, &one);
}

/* About what backends send to a client: the entry's backend, or the one that the hash names. False: no flow. */
static bool to_backend(const struct fwd_env *env, unsigned i, const struct icmpquote *q)
{
	const struct lb_conf *c = env->conf;
	const struct lb_service *s;
	uint32_t idx, backend_idx;
	struct pkt client;

	if (!find_client(c, ADDR_VIP, q, &client))
		return false;
	s = c->services[client.service_idx];
	env->b->p[i].service_idx = client.service_idx;
	idx = find_entry(env->w->lb, &client);
	if (idx != CONN_NONE) {
		struct conn *e = conn_at(env->w->lb->conns, idx);
		const struct lb_backend *be = &c->backends[e->backend_idx];

		if (fwd_modes[e->mode]->send_error != NULL)
			fwd_modes[e->mode]->send_error(env, i, e, be, q);
		else
			send_direct(env, i, e->mode, be);
		return true;
	}
	if (!s->is_stateless_able)
		return false;
	backend_idx = newflow_stateless(c, &client);
	if (backend_idx == SCHED_NONE)
		return false;
	send_direct(env, i, s->spec.mode, &c->backends[backend_idx]);
	return true;
}

/* Unreachable: not for its size (RFC 792, RFC 4443). */
static bool is_unreachable(const struct rte_mbuf *m, const struct pkt *p)
{
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4_off);

	return p->family == 4 ? icmp[0] == 3 && icmp[1] != 4 : icmp[0] == 1;
}

/* About what we sent to a backend. False: no flow. */
static bool to_client(
	const struct fwd_env *env, unsigned i, const struct icmpquote *q, enum addr_kind kind)
{
	const uint16_t snat_slot = env->b->p[i].snat_slot;
	const struct lb_worker *lw = env->w->lb;
	uint32_t idx = CONN_NONE;
	struct pkt client;
	struct conn *e;

	if (kind == ADDR_SNAT && (q->proto == MR_PROTO_TCP || q->proto == MR_PROTO_UDP))
		idx = natport_find(lw->ports, snat_slot, q->proto, rte_be_to_cpu_16(q->sport));
	else if (kind == ADDR_NONE && find_client(env->conf, kind, q, &client))
		idx = find_entry(lw, &client);
	if (idx == CONN_NONE)
		return false;
	e = conn_at(lw->conns, idx);
	if (!(kind == ADDR_SNAT ? fwd_is_fullnat(e->mode) : fwd_is_dnat(e->mode))
		|| e->proto != q->proto || e->family != q->family
		|| !is_backend(&env->conf->backends[e->backend_idx], q->dst, q->dport)
		|| env->conf->services[e->service_idx] == NULL)
		return false;
	env->b->p[i].service_idx = e->service_idx;
	if ((e->state == MR_CONN_SYN || e->state == MR_CONN_UDP)
		&& is_unreachable(env->b->m[i], &env->b->p[i]))
		add(&env->w->lb->backends[e->backend_idx].failed, 1);
	fwd_modes[e->mode]->ret_error(env, i, e, q);
	return true;
}

/* It is about nothing of ours. */
static void give_up(struct pkt *p, enum addr_kind kind, enum pkt_drop reason)
{
	if (kind != ADDR_NONE) {
		pkt_drop(p, reason);
		return;
	}
	p->verdict = PKT_PUNT;
	p->punt_class = PUNT_OTHER;
}

void icmperr_input(struct worker *w, const struct lb_conf *c, const struct addr_conf *ac,
	struct burst *b, unsigned i, enum addr_kind kind)
{
	const struct fwd_env env = {.w = w, .conf = c, .addrs = ac, .b = b};
	struct pkt *p = &b->p[i];
	struct icmpquote q;
	bool is_found;

	if (!icmpquote_read(b->m[i], p, &q)) {
		give_up(p, kind, PKT_DROP_icmp_quote);
		return;
	}
	is_found = memcmp(q.src, p->dst, sizeof(q.src)) == 0
		&& (kind == ADDR_VIP ? to_backend(&env, i, &q) : to_client(&env, i, &q, kind));
	if (!is_found) {
		give_up(p, kind, PKT_DROP_icmp_no_flow);
		return;
	}
	if (p->verdict != PKT_DROP
		&& !icmp_budget_take(&w->error_budget, w->now_ms, ICMP_ERRORS_PER_SEC))
		pkt_drop(p, PKT_DROP_icmp_limited);
	if (p->verdict != PKT_DROP && kind == ADDR_VIP
		&& !takes_packet(w->lb, c->services[p->service_idx], w->now_ms))
		pkt_drop(p, PKT_DROP_service_packets);
	if (p->verdict == PKT_DROP)
		add(&w->lb->services[p->service_idx].drops, 1);
	else
		w->tally->icmp_errors++;
}
