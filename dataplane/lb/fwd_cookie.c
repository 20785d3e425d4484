/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_cookie — see fwd_cookie.h.
 *
 *     client                         here                          backend
 *     SYN iss               →
 *                           ←        SYN+ACK isn, window 0                      (net/syncookie.c; nothing is kept)
 *     ACK iss+1, isn+1      →        SYN iss                   →                 the entry begins
 *                                                              ←   SYN+ACK its
 *                                    ACK iss+1, its+1          →
 *                           ←        ACK isn+1, its window
 *     iss+1 …, ack isn+x    →        ack its+x                 →
 *                           ←        seq isn+y                 ←   seq its+y
 *
 * The client's numbers stay, those of the backend are `isn - its` higher for the client. The window of 0 keeps the
 * client from sending data that nobody could take yet; what it sends nevertheless before the backend has answered, its
 * probes of the window, sends the SYN once more. Options of the two SYNs are the same: MSS and nothing else, so neither
 * side scales windows, acknowledges selectively or sends time stamps.
 *
 * Until the backend has answered, the entry has iss and isn (in place of the client's next hop, which nobody needs
 * before); from then on iss is the difference.
 *
 * A client that the backend is told of (fwd_edit.c) is told in the segments that are made here as in its own: by option in
 * the SYN and the ACK, by header behind the ACK, which carries it first. Until the backend has it, fwd_edit.c needs the
 * client's iss, so the difference is in the place of isn for as long, and the client's next hop is asked for with each
 * packet. After that iss is the difference: fwd_edit.c wants no iss any more, but for SACK, which is not spoken here.
 */
#include "lb/fwd_cookie.h"

#include "base/csum.h"
#include "lb/fwd_edit.h"
#include "lb/fwd_edit_pvt.h"
#include "lb/fwd_nat.h"
#include "net/icmpquote.h"
#include "net/proxyhdr.h"
#include "net/reply.h"
#include "net/syncookie.h"
#include "net/tcpopt.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define ACK_WINDOW 8192 /* in the ACK that is made here; the client's next one has its own */

static inline struct rte_tcp_hdr *tcp_of(struct rte_mbuf *m, const struct pkt *p)
{
	return rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, p->l4_off);
}

/* The number plus n; the header's checksum follows. */
static rte_be32_t moved(rte_be32_t old, uint32_t n, struct rte_tcp_hdr *tcp)
{
	const rte_be32_t number = rte_cpu_to_be_32(rte_be_to_cpu_32(old) + n);

	tcp->cksum = csum_apply(tcp->cksum, csum_delta(&old, &number, sizeof(old)));
	return number;
}

/* The backend is to be told of the client, and may not know yet. */
static inline bool is_early(const struct conn *e)
{
	return (e->fins & TELL_ANY) && !(e->fins & IS_TOLD);
}

/* How much higher the backend's numbers are for the client. The entry is linked. */
static inline uint32_t lead_of(const struct conn *e)
{
	return unlikely(is_early(e)) ? e->isn : e->iss;
}

static void set_lead(struct conn *e, uint32_t lead)
{
	if (is_early(e)) {
		e->isn = lead;
		return;
	}
	e->iss = lead;
	e->client_neigh = NEIGH_NONE; /* isn was there */
}

/* What tells the backend of the entry's client: bytes of option or of header, none as a rule. */
static uint32_t write_client(const struct fwd_env *env, struct conn *e, uint8_t *to)
{
	struct pkt client = {.family = e->family,
		.proto = e->proto,
		.sport = e->client_port,
		.dport = e->vip_port};

	if (!is_early(e))
		return 0;
	conn_client(e, client.src);
	memcpy(client.dst, env->conf->services[e->service_idx]->vip, sizeof(client.dst));
	if (e->fins & TELL_TOA) {
		tcpopt_put_client(to, &client);
		env->w->tally->toa_options++;
		return to[1];
	}
	proxyhdr_build(to, &client);
	e->fins |= IS_SENT;
	env->w->tally->proxy_headers++;
	return proxyhdr_bytes(e->family);
}

/* Data offset of a header with n_opts bytes of options. */
static uint8_t data_off(uint32_t n_opts)
{
	return (uint8_t)((sizeof(struct rte_tcp_hdr) + n_opts) / 4 << 4);
}

/* The segment becomes *head, n_more bytes of options or data behind it, and nothing else. Addresses stay. False without
 * room. */
static bool replace(struct rte_mbuf *m, struct pkt *p, struct rte_tcp_hdr *head, const void *more,
	uint32_t n_more)
{
	const uint16_t n_l4 = (uint16_t)(sizeof(*head) + n_more);
	const uint32_t n_ip = p->family == 4 ? 4 : 16;
	uint8_t *ip, *l4;

	if (!reply_set_length(m, (uint32_t)p->l4_off + n_l4))
		return false;
	ip = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off);
	l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4_off);
	head->cksum = 0;
	memcpy(l4, head, sizeof(*head));
	if (n_more > 0)
		memcpy(l4 + sizeof(*head), more, n_more);
	((struct rte_tcp_hdr *)(void *)l4)->cksum =
		csum_l4(p->src, p->dst, n_ip, IPPROTO_TCP, l4, n_l4);
	p->l4_len = n_l4;
	if (p->family == 4) {
		struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)(void *)ip;

		h->total_length = rte_cpu_to_be_16((uint16_t)(p->l4_off - p->l3_off + n_l4));
		h->hdr_checksum = 0;
		h->hdr_checksum = csum_of(h, (uint32_t)(p->l4_off - p->l3_off));
	} else {
		((struct rte_ipv6_hdr *)(void *)ip)->payload_len = rte_cpu_to_be_16(
			(uint16_t)(p->l4_off - p->l3_off - sizeof(struct rte_ipv6_hdr) + n_l4));
	}
	return true;
}

/* --- client to backend --- */

/* Whatever the client sent, the backend gets the SYN that it never saw. */
static bool make_syn(const struct fwd_env *env, unsigned i, struct conn *e)
{
	struct pkt *p = &env->b->p[i];
	const uint16_t max = env->conf->services[e->service_idx]->mss;
	const uint16_t mss = RTE_MIN(syncookie_mss(e->isn), max);
	const uint8_t size[4] = {2, 4, (uint8_t)(mss >> 8), (uint8_t)mss};
	struct rte_tcp_hdr syn = *tcp_of(env->b->m[i], p);
	uint8_t opts[TCPOPT_MAX_BYTES];
	uint32_t n = 0;

	if (p->tcp_flags & RTE_TCP_RST_FLAG || p->flags & PKT_F_FRAGMENT) {
		pkt_drop(p, PKT_DROP_no_conn);
		return false;
	}
	syn.sent_seq = rte_cpu_to_be_32(e->iss);
	syn.recv_ack = 0;
	syn.tcp_flags = RTE_TCP_SYN_FLAG;
	syn.tcp_urp = 0;
	if (e->fins & TELL_TOA)
		n = write_client(env, e, opts);
	memcpy(opts + n, size, sizeof(size));
	n += (uint32_t)sizeof(size);
	syn.data_off = data_off(n);
	if (replace(env->b->m[i], p, &syn, opts, n))
		return true;
	pkt_drop(p, PKT_DROP_no_headroom);
	return false;
}

/* False when the packet goes no further: it has its verdict. */
static inline bool edit_client(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp;

	if (unlikely(!(e->fins & IS_LINKED)))
		return make_syn(env, i, e);
	if (unlikely(p->tcp_flags
		    & RTE_TCP_SYN_FLAG)) { /* of before: its answer would be the backend's */
		pkt_drop(p, PKT_DROP_no_conn);
		return false;
	}
	/* first, as it may be sent back as the client sent it */
	if (unlikely(e->fins & TELL_ANY) && !fwd_edit_client(env, i, e, be))
		return false;
	if (!(p->flags & PKT_F_LATER) && (p->tcp_flags & RTE_TCP_ACK_FLAG)) {
		tcp = tcp_of(env->b->m[i], p);
		tcp->recv_ack = moved(tcp->recv_ack, (uint32_t)0 - lead_of(e), tcp);
	}
	return true;
}

static inline void send_edited(
	const struct fwd_env *env, const struct fwd_batch *batch, const struct fwd_ops *ops)
{
	struct fwd_batch rest;

	rest.n = 0;
	for (unsigned k = 0; k < batch->n; k++) {
		if (unlikely(!edit_client(env, batch->sel[k], batch->conn[k], batch->backend[k])))
			continue;
		rest.sel[rest.n] = batch->sel[k];
		rest.conn[rest.n] = batch->conn[k];
		rest.backend[rest.n++] = batch->backend[k];
	}
	ops->send(env, &rest);
}

static void send_full(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_edited(env, batch, &fwd_nat_full_ops);
}

static void send_dest(const struct fwd_env *env, const struct fwd_batch *batch)
{
	send_edited(env, batch, &fwd_nat_dest_ops);
}

/* --- backend to client --- */

/* Turns a SYN+ACK in place into the ACK to its sender. */
static bool acknowledge(
	const struct fwd_env *env, struct rte_mbuf *m, struct pkt *p, struct conn *e)
{
	const struct rte_tcp_hdr *syn_ack = tcp_of(m, p);
	struct rte_tcp_hdr ack = {.src_port = syn_ack->dst_port,
		.dst_port = syn_ack->src_port,
		.sent_seq = syn_ack->recv_ack,
		.recv_ack = rte_cpu_to_be_32(rte_be_to_cpu_32(syn_ack->sent_seq) + 1),
		.tcp_flags = RTE_TCP_ACK_FLAG,
		.rx_win = RTE_BE16(ACK_WINDOW)};
	uint8_t more[PROXYHDR6_BYTES];
	const uint32_t n_more = write_client(env, e, more);
	uint8_t *ip = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l3_off);
	const uint32_t n = p->family == 4 ? 4 : 16;
	uint8_t *src = ip + (p->family == 4 ? 12 : 8), swap[16];

	reply_turn_ether(m, &env->w->ifaces->of[p->in_iface].mac);
	memcpy(swap, src, n);
	memcpy(src, src + n, n);
	memcpy(src + n, swap, n);
	ip[p->family == 4 ? 8 : 7] = 64; /* time to live */
	ack.data_off = data_off(e->fins & TELL_TOA ? n_more : 0);
	/* the pseudo header's sum does not mind who is first */
	return replace(m, p, &ack, more, n_more);
}

/* The backend's SYN+ACK is acknowledged for a client that has its own already. A copy, as the segment goes on to
 * the client; without a buffer for it the backend sends again. */
static void acknowledge_copy(const struct fwd_env *env, unsigned i, struct conn *e)
{
	const struct pkt *p = &env->b->p[i];
	struct rte_mbuf *m = env->b->m[i];
	struct rte_mbuf *copy = rte_pktmbuf_copy(m, m->pool, 0, UINT32_MAX);
	struct pkt record = *p;

	if (copy == NULL)
		return;
	env->w->tally->generated++;
	if (acknowledge(env, copy, &record, e))
		worker_tx(env->w, p->in_iface, copy);
	else
		worker_drop(env->w, copy, PKT_DROP_no_headroom);
}

/* What the backend says to its SYN. False when the packet goes no further. */
static bool link_up(const struct fwd_env *env, unsigned i, struct conn *e)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp = tcp_of(env->b->m[i], p);
	struct rte_tcp_hdr ack = *tcp;
	const uint32_t isn = e->isn;

	if (p->flags & PKT_F_FRAGMENT || rte_be_to_cpu_32(tcp->recv_ack) != e->iss + 1) {
		pkt_drop(p, PKT_DROP_no_conn);
		return false;
	}
	if (p->tcp_flags
		& RTE_TCP_RST_FLAG) { /* refused: the client hears it at the number it waits for */
		set_lead(e, isn + 1 - rte_be_to_cpu_32(tcp->sent_seq));
	} else if (!(p->tcp_flags & RTE_TCP_SYN_FLAG)) {
		pkt_drop(p, PKT_DROP_no_conn);
		return false;
	} else {
		acknowledge_copy(env, i, e);
		set_lead(e, isn - rte_be_to_cpu_32(tcp->sent_seq));
		ack.tcp_flags = RTE_TCP_ACK_FLAG;
	}
	e->fins |= IS_LINKED;
	ack.sent_seq = rte_cpu_to_be_32(isn + 1);
	ack.data_off = data_off(0);
	return replace(env->b->m[i], p, &ack, NULL, 0);
}

/* An answer that may say that the backend knows of the client now. */
static void edit_told(const struct fwd_env *env, unsigned i, struct conn *e)
{
	const bool was_early = is_early(e);
	const uint32_t lead = lead_of(e);

	fwd_edit_answer(env, i, e);
	if (was_early && !is_early(e))
		set_lead(e, lead);
}

/* False when the packet goes no further: it has its verdict. */
static inline bool edit_answer(const struct fwd_env *env, unsigned i, struct conn *e)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp;

	if (unlikely(!(e->fins & IS_LINKED)))
		return link_up(env, i, e);
	if (p->flags & PKT_F_LATER)
		return true;
	tcp = tcp_of(env->b->m[i], p);
	if (unlikely(p->tcp_flags & RTE_TCP_SYN_FLAG)) { /* our ACK got lost */
		acknowledge(env, env->b->m[i], p, e);
		p->verdict = PKT_REPLY;
		p->out_iface = p->in_iface;
		return false;
	}
	tcp->sent_seq = moved(tcp->sent_seq, lead_of(e), tcp);
	if (unlikely(e->fins & TELL_ANY))
		edit_told(env, i, e);
	return true;
}

/* The client's next hop has no place in the entry yet: it is asked for, and forgotten again. */
static void return_early(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	const struct fwd_batch one = {.n = 1, .sel = {(uint8_t)i}, .conn = {e}, .backend = {be}};
	const uint32_t lead = e->isn;

	e->client_neigh = NEIGH_NONE;
	fwd_nat_full_ops.ret(env, &one);
	e->isn = lead;
}

static void return_edited(const struct fwd_env *env, const struct fwd_batch *batch)
{
	struct fwd_batch rest;

	rest.n = 0;
	for (unsigned k = 0; k < batch->n; k++) {
		if (unlikely(!edit_answer(env, batch->sel[k], batch->conn[k])))
			continue;
		if (unlikely(is_early(batch->conn[k]))) {
			return_early(env, batch->sel[k], batch->conn[k], batch->backend[k]);
			continue;
		}
		rest.sel[rest.n] = batch->sel[k];
		rest.conn[rest.n] = batch->conn[k];
		rest.backend[rest.n++] = batch->backend[k];
	}
	fwd_nat_full_ops.ret(env, &rest); /* DNAT's is the same */
}

/* --- ICMP errors --- */

/* What the client was sent becomes what the backend has sent. */
static void send_error(const struct fwd_env *env, unsigned i, const struct conn *e,
	const struct lb_backend *be, const struct icmpquote *q)
{
	struct pkt *p = &env->b->p[i];

	if (!(e->fins & IS_LINKED)) {
		pkt_drop(p, PKT_DROP_icmp_no_flow);
		return;
	}
	icmpquote_add_to_seq(env->b->m[i], p, q, (uint32_t)0 - lead_of(e));
	fwd_nat_full_ops.send_error(env, i, e, be, q);
}

static void ret_error(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct icmpquote *q)
{
	const uint32_t lead = e->isn;
	const bool was_early = is_early(e);

	if (!(e->fins & IS_LINKED)) {
		pkt_drop(&env->b->p[i], PKT_DROP_icmp_no_flow);
		return;
	}
	if (e->fins & TELL_ANY)
		fwd_edit_quote(env, i, e, q);
	if (was_early) /* as return_early() */
		e->client_neigh = NEIGH_NONE;
	fwd_nat_full_ops.ret_error(env, i, e, q); /* DNAT's is the same */
	if (was_early)
		e->isn = lead;
}

/* --- a new flow; iss and isn are set after it (newflow.c) --- */

static void open_full(struct conn *e, const struct lb_conf *conf)
{
	fwd_edit_full_ops.open(e, conf); /* who is to be told of */
}

static void open_dest(struct conn *e, const struct lb_conf *conf)
{
	fwd_nat_dest_ops.open(e, conf);
}

const struct fwd_ops fwd_cookie_full_ops = {.open = open_full,
	.send = send_full,
	.ret = return_edited,
	.send_error = send_error,
	.ret_error = ret_error};
const struct fwd_ops fwd_cookie_dest_ops = {.open = open_dest,
	.send = send_dest,
	.ret = return_edited,
	.send_error = send_error,
	.ret_error = ret_error};
