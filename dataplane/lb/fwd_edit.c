/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd_edit — see fwd_edit.h. A packet is changed as if its sender had sent it so, checksums included; then it goes the
 * way of the mode itself (fwd_nat.c), which does not know of it.
 *
 * Maximum segment size: the option of SYN and SYN+ACK is lowered. A SYN without it means 536 or 1220 bytes (RFC 9293
 * 3.7.1), which no network here is too small for, so none is put in.
 *
 * Option (toa): in the SYN, and in each segment of the client that begins with the first byte of its stream, until the
 * backend has acknowledged some of it: the module that reads it there looks at the ACK that ends the handshake, which
 * may get lost.
 *
 * PROXY header: n bytes become the first of the client's stream. Numbers are those of the two sides, ISS the number of
 * the client's SYN:
 *
 *     client    ISS | ISS+1 … first byte of data
 *     backend   ISS | ISS+1 … header … | ISS+1+n … first byte of data
 *
 *  E1  until the backend has acknowledged the whole header, it is in front of each segment that begins at ISS+1, an
 *      empty one too, so that a lost one is sent again when the client sends again; the number stays ISS+1
 *  E2  from then on it is in none, and n is added to each number of the client but a SYN's
 *  E3  before that, n is added to numbers beyond ISS+1, and to none below: an old one (a keep-alive) would be in the
 *      middle of the header
 *  E4  n is taken off the backend's acknowledgments and SACK blocks, but not so far that ISS+1 would not be acknowledged
 *
 * ISS is the last SYN's until the backend answers, then what its answer acknowledges. A reset carries nothing: at ISS+1
 * it has the number that the backend waits for, which is behind the header if one has gone out and the backend did not
 * say since that it still waits for it. Data in a SYN (RFC 7413) would come before the header: it is cut off, and the
 * client sends it again when it is not acknowledged. Space in the backend's window for the header is not looked for:
 * windows at the beginning are larger than what clients send first.
 *
 * What is put into a fragment would have to move all that follow: those of clients that are told of are dropped.
 */
#include "lb/fwd_edit.h"

#include "base/csum.h"
#include "lb/fwd_edit_pvt.h"
#include "lb/fwd_nat.h"
#include "net/icmpquote.h"
#include "net/proxyhdr.h"
#include "net/tcpopt.h"
#include "net/toobig.h"

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

static uint16_t option_bytes(uint8_t family)
{
	return family == 6 ? TCPOPT_CLIENT6_BYTES : TCPOPT_CLIENT4_BYTES;
}

/* What the first segment has more in it than the client put there. */
static uint16_t bytes_more(const struct conn *e)
{
	if (e->fins & TELL_PROXY)
		return proxyhdr_bytes(e->family);
	return e->fins & TELL_TOA ? option_bytes(e->family) : 0;
}

uint16_t fwd_edit_more(const struct mr_service *s)
{
	switch (s->client_address) {
	case MR_CLIENT_ADDRESS_TOA:
		return option_bytes(s->vip.family);
	case MR_CLIENT_ADDRESS_PROXY_V2:
		return proxyhdr_bytes(s->vip.family);
	default:
		return 0;
	}
}

static inline struct rte_tcp_hdr *tcp_of(struct rte_mbuf *m, const struct pkt *p)
{
	return rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, p->l4_off);
}

/* --- bytes in and out --- */

/* Whether n bytes more fit the port to the backend; *mtu without them. */
static bool has_mtu(const struct fwd_env *env, const struct lb_backend *be, const struct pkt *p,
	uint16_t n, uint16_t *mtu)
{
	const uint32_t n_bytes = (uint32_t)(p->l4_off - p->l3_off) + p->l4_len;

	*mtu = (uint16_t)(env->w->ifaces->of[be->iface].mtu_bytes - n);
	return n_bytes <= *mtu;
}

/* The IP packet is n bytes longer (shorter: negative). Returns the delta of its layer 4's length, as the pseudo header
 * has it. */
static uint16_t resize(uint8_t *frame, struct pkt *p, int n)
{
	const rte_be16_t old_l4 = rte_cpu_to_be_16(p->l4_len);
	rte_be16_t new_l4;

	p->l4_len = (uint16_t)(p->l4_len + n);
	new_l4 = rte_cpu_to_be_16(p->l4_len);
	if (p->family == 4) {
		struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(void *)(frame + p->l3_off);
		const rte_be16_t old = ip->total_length;

		ip->total_length = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(old) + n));
		ip->hdr_checksum =
			csum_apply(ip->hdr_checksum, csum_delta(&old, &ip->total_length, 2));
	} else {
		struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(void *)(frame + p->l3_off);

		ip->payload_len =
			rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->payload_len) + n));
	}
	return csum_delta(&old_l4, &new_l4, 2);
}

/* Makes room for n bytes at offset at: what is in front moves down, which is less than what is behind. Returns the new
 * frame, or NULL without room for it. */
static uint8_t *open_gap(struct rte_mbuf *m, uint32_t at, uint16_t n)
{
	uint8_t *frame = (uint8_t *)rte_pktmbuf_prepend(m, n);

	if (likely(frame != NULL))
		memmove(frame, frame + n, at);
	return frame;
}

/* Cuts off all that is behind the TCP header. */
static void cut_data(struct rte_mbuf *m, struct pkt *p)
{
	struct rte_tcp_hdr *tcp = tcp_of(m, p);
	const uint32_t n_header = (tcp->data_off >> 4) * 4u;
	const uint32_t n_data = p->l4_len - n_header, n_frame = p->l4_off + n_header;
	uint16_t delta;

	if (n_data == 0)
		return;
	delta = (uint16_t)~csum_fold(csum_words((const uint8_t *)tcp + n_header, n_data));
	delta = csum_add(delta, resize(rte_pktmbuf_mtod(m, uint8_t *), p, -(int)n_data));
	tcp->cksum = csum_apply(tcp->cksum, delta);
	rte_pktmbuf_free(
		m->next); /* padding, if anything: the parser wants packets in one segment */
	m->next = NULL;
	m->nb_segs = 1;
	m->data_len = (uint16_t)n_frame;
	m->pkt_len = n_frame;
}

/* --- numbers --- */

static void add_to_seq(struct rte_tcp_hdr *tcp, uint16_t n)
{
	const rte_be32_t old = tcp->sent_seq;

	tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(old) + n);
	tcp->cksum = csum_apply(tcp->cksum, csum_delta(&old, &tcp->sent_seq, 4));
}

static void set_ack(struct rte_tcp_hdr *tcp, uint32_t ack)
{
	const rte_be32_t old = tcp->recv_ack;

	tcp->recv_ack = rte_cpu_to_be_32(ack);
	tcp->cksum = csum_apply(tcp->cksum, csum_delta(&old, &tcp->recv_ack, 4));
}

/* Bytes beyond the first one of the client's stream; negative: before it. */
static int32_t from_first(const struct conn *e, rte_be32_t number)
{
	return (int32_t)(rte_be_to_cpu_32(number) - (e->iss + 1));
}

/* --- client to backend --- */

static void count_clamp(const struct fwd_env *env, bool is_changed)
{
	if (is_changed)
		env->w->tally->mss_clamped++;
}

/* The client's address as the first option. A segment without room for it goes without. */
static void put_option(const struct fwd_env *env, unsigned i, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_mbuf *m = env->b->m[i];
	const uint16_t n = option_bytes(p->family);
	const uint8_t old_off = tcp_of(m, p)->data_off;
	struct rte_tcp_hdr *tcp;
	uint8_t *frame, *opt;
	uint16_t mtu, delta;

	if ((old_off >> 4) * 4u + n > sizeof(*tcp) + TCPOPT_MAX_BYTES
		|| !has_mtu(env, be, p, n, &mtu)
		|| (frame = open_gap(m, p->l4_off + (uint32_t)sizeof(*tcp), n)) == NULL) {
		env->w->tally->toa_skipped++;
		return;
	}
	tcp = tcp_of(m, p);
	opt = (uint8_t *)(tcp + 1);
	tcpopt_put_client(opt, p);
	tcp->data_off = (uint8_t)(old_off + (n / 4 << 4));
	delta = csum_add(resize(frame, p, n), csum_fold(csum_words(opt, n)));
	delta = csum_add(
		delta, csum_delta((uint8_t[]){old_off, 0}, (uint8_t[]){tcp->data_off, 0}, 2));
	tcp->cksum = csum_apply(tcp->cksum, delta);
	env->w->tally->toa_options++;
}

/* The PROXY header behind n_l4 bytes of layer 4 header; *delta: what it and the lengths change. False when the packet
 * goes no further. */
static bool put_header(const struct fwd_env *env, unsigned i, const struct lb_backend *be,
	uint32_t n_l4, uint16_t *delta)
{
	struct pkt *p = &env->b->p[i];
	struct rte_mbuf *m = env->b->m[i];
	const uint16_t n = proxyhdr_bytes(p->family);
	uint8_t *frame, *header;
	uint16_t mtu;

	if (unlikely(!has_mtu(env, be, p, n, &mtu))) {
		toobig_reply(env->w, env->b, i, mtu);
		return false;
	}
	frame = open_gap(m, p->l4_off + n_l4, n);
	if (unlikely(frame == NULL)) {
		pkt_drop(p, PKT_DROP_no_headroom);
		return false;
	}
	header = frame + p->l4_off + n_l4;
	proxyhdr_build(header, p);
	*delta = csum_add(resize(frame, p, n), csum_fold(csum_words(header, n)));
	env->w->tally->proxy_headers++;
	return true;
}

static bool head_stream(const struct fwd_env *env, unsigned i, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp = tcp_of(env->b->m[i], p);
	const uint16_t n = proxyhdr_bytes(p->family);
	uint16_t delta;

	if (!put_header(env, i, be, (tcp->data_off >> 4) * 4u, &delta))
		return false;
	tcp = tcp_of(env->b->m[i], p);
	if (p->tcp_flags & RTE_TCP_URG_FLAG) { /* counts from the segment's number, which stays */
		const uint32_t urgent = rte_be_to_cpu_16(tcp->tcp_urp) + n;
		const rte_be16_t old = tcp->tcp_urp;

		tcp->tcp_urp = rte_cpu_to_be_16((uint16_t)RTE_MIN(urgent, UINT16_MAX));
		delta = csum_add(delta, csum_delta(&old, &tcp->tcp_urp, 2));
	}
	tcp->cksum = csum_apply(tcp->cksum, delta);
	return true;
}

static bool head_datagram(const struct fwd_env *env, unsigned i, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_udp_hdr *udp;
	rte_be16_t old;
	uint16_t delta;

	if (!put_header(env, i, be, sizeof(*udp), &delta))
		return false;
	udp = rte_pktmbuf_mtod_offset(env->b->m[i], struct rte_udp_hdr *, p->l4_off);
	old = udp->dgram_len;
	udp->dgram_len =
		rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(old) + proxyhdr_bytes(p->family)));
	delta = csum_add(delta, csum_delta(&old, &udp->dgram_len, 2));
	udp->dgram_cksum = csum_apply_udp(udp->dgram_cksum, delta);
	return true;
}

static void edit_syn(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp = tcp_of(env->b->m[i], p);

	if (!(e->fins & IS_ANSWERED))
		e->iss = rte_be_to_cpu_32(tcp->sent_seq);
	count_clamp(env, tcpopt_clamp_mss(tcp, env->conf->services[e->service_idx]->mss, 0));
	if (e->fins & TELL_TOA)
		put_option(env, i, be);
	else if (e->fins & TELL_PROXY)
		cut_data(env->b->m[i], p);
}

/* A segment of a client of whom the backend may not know yet. */
static bool edit_early(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp = tcp_of(env->b->m[i], p);
	const int32_t at = from_first(e, tcp->sent_seq);
	const bool is_reset = p->tcp_flags & RTE_TCP_RST_FLAG;

	if (e->fins & TELL_TOA) {
		if (at == 0 && !is_reset)
			put_option(env, i, be);
		return true;
	}
	if (at == 0 && !is_reset) {
		if (!head_stream(env, i, be))
			return false;
		e->fins |= IS_SENT;
	} else if (at > 0 || (at == 0 && (e->fins & IS_SENT))) {
		add_to_seq(tcp, proxyhdr_bytes(e->family));
	}
	return true;
}

/* False when the packet goes no further: it has another verdict then. */
static inline bool edit_client(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	struct pkt *p = &env->b->p[i];

	if (unlikely(p->flags & PKT_F_FRAGMENT)) {
		if (!(e->fins & TELL_ANY))
			return true; /* a SYN in pieces keeps its segment size */
		pkt_drop(p, PKT_DROP_fragment_told);
		return false;
	}
	if (p->proto != MR_PROTO_TCP)
		return !(e->fins & TELL_PROXY) || head_datagram(env, i, be);
	if (unlikely(p->tcp_flags & RTE_TCP_SYN_FLAG)) {
		edit_syn(env, i, e, be);
		return true;
	}
	if (!(e->fins & TELL_ANY))
		return true;
	if (unlikely(!(e->fins & IS_TOLD)))
		return edit_early(env, i, e, be);
	if (e->fins & TELL_PROXY)
		add_to_seq(tcp_of(env->b->m[i], p), proxyhdr_bytes(e->family));
	return true;
}

bool fwd_edit_client(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct lb_backend *be)
{
	return edit_client(env, i, e, be);
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

static void edit_syn_ack(const struct fwd_env *env, struct rte_tcp_hdr *tcp, struct conn *e)
{
	if (!(e->fins & IS_TOLD) && (tcp->tcp_flags & RTE_TCP_ACK_FLAG)) {
		e->iss = rte_be_to_cpu_32(tcp->recv_ack) - 1;
		e->fins |= IS_ANSWERED;
	}
	count_clamp(env,
		tcpopt_clamp_mss(tcp, env->conf->services[e->service_idx]->mss, bytes_more(e)));
}

static void take_header_off(struct rte_tcp_hdr *tcp, struct conn *e)
{
	const uint16_t n = proxyhdr_bytes(e->family);
	const int32_t at = from_first(e, tcp->recv_ack);

	if ((tcp->data_off >> 4) * 4u > sizeof(*tcp))
		tcpopt_shift_sack(tcp, e->iss + 1, n);
	if (!(e->fins & IS_TOLD)) {
		if (at == 0)
			e->fins &= (uint8_t)~IS_SENT;
		if (at <= 0)
			return;
		if (at < n) {
			set_ack(tcp, e->iss + 1);
			return;
		}
		e->fins |= IS_TOLD;
	}
	set_ack(tcp, rte_be_to_cpu_32(tcp->recv_ack) - n);
}

static inline void edit_answer(const struct fwd_env *env, unsigned i, struct conn *e)
{
	const struct pkt *p = &env->b->p[i];
	struct rte_tcp_hdr *tcp;

	if (p->proto != MR_PROTO_TCP || unlikely(p->flags & PKT_F_LATER))
		return;
	tcp = tcp_of(env->b->m[i], p);
	if (unlikely(p->tcp_flags & RTE_TCP_SYN_FLAG)) {
		edit_syn_ack(env, tcp, e);
		return;
	}
	if (!(p->tcp_flags & RTE_TCP_ACK_FLAG))
		return;
	if (e->fins & TELL_PROXY)
		take_header_off(tcp, e);
	else if (from_first(e, tcp->recv_ack) > 0)
		e->fins |= IS_TOLD;
}

void fwd_edit_answer(const struct fwd_env *env, unsigned i, struct conn *e)
{
	edit_answer(env, i, e);
}

static void return_edited(const struct fwd_env *env, const struct fwd_batch *batch)
{
	for (unsigned k = 0; k < batch->n; k++)
		edit_answer(env, batch->sel[k], batch->conn[k]);
	fwd_nat_full_ops.ret(env, batch); /* DNAT's is the same */
}

/* --- ICMP errors --- */

static void add_to_message_sum(uint8_t *icmp, uint16_t delta)
{
	uint16_t field;

	memcpy(&field, icmp + 2, 2);
	field = csum_apply(field, delta);
	memcpy(icmp + 2, &field, 2);
}

/* "Too big": the packet will get its n bytes again. */
static void lessen_mtu(uint8_t *icmp, uint8_t family, uint16_t n)
{
	const bool is_too_big = family == 4 ? icmp[0] == 3 && icmp[1] == 4 : icmp[0] == 2;
	rte_be32_t word, old;
	uint32_t mtu;

	if (!is_too_big)
		return;
	memcpy(&old, icmp + 4, 4);
	mtu = rte_be_to_cpu_32(old) & (family == 4 ? UINT16_MAX : UINT32_MAX);
	if (mtu <= n) /* 0: an old router, which does not say (RFC 1191) */
		return;
	word = rte_cpu_to_be_32(rte_be_to_cpu_32(old) - n);
	memcpy(icmp + 4, &word, 4);
	add_to_message_sum(icmp, csum_delta(&old, &word, 4));
}

/* There are ports in the quote, so there is a number. */
void fwd_edit_quote(
	const struct fwd_env *env, unsigned i, const struct conn *e, const struct icmpquote *q)
{
	uint8_t *icmp = rte_pktmbuf_mtod_offset(env->b->m[i], uint8_t *, env->b->p[i].l4_off);
	uint8_t *l4 = rte_pktmbuf_mtod_offset(env->b->m[i], uint8_t *, q->l4_off);
	const uint16_t n = bytes_more(e);
	rte_be32_t seq;
	int32_t at;

	memcpy(&seq, l4 + offsetof(struct rte_tcp_hdr, sent_seq), 4);
	at = from_first(e, seq);
	if (q->proto != MR_PROTO_TCP || (!(e->fins & IS_TOLD) && at == 0))
		lessen_mtu(icmp, q->family, n);
	else if ((e->fins & TELL_PROXY) && ((e->fins & IS_TOLD) || at > 0))
		icmpquote_add_to_seq(env->b->m[i], &env->b->p[i], q, (uint32_t)0 - n);
}

static void ret_error(
	const struct fwd_env *env, unsigned i, struct conn *e, const struct icmpquote *q)
{
	if (bytes_more(e) != 0)
		fwd_edit_quote(env, i, e, q);
	fwd_nat_full_ops.ret_error(env, i, e, q); /* DNAT's is the same */
}

static void send_error(const struct fwd_env *env, unsigned i, const struct conn *e,
	const struct lb_backend *be, const struct icmpquote *q)
{
	fwd_nat_full_ops.send_error(env, i, e, be, q);
}

/* --- a new flow --- */

static void open_full(struct conn *e, const struct lb_conf *conf)
{
	switch (conf->services[e->service_idx]->spec.client_address) {
	case MR_CLIENT_ADDRESS_TOA:
		e->fins |= TELL_TOA;
		break;
	case MR_CLIENT_ADDRESS_PROXY_V2:
		e->fins |= TELL_PROXY;
		break;
	}
	fwd_nat_full_ops.open(e, conf);
}

static void open_dest(struct conn *e, const struct lb_conf *conf)
{
	fwd_nat_dest_ops.open(e, conf);
}

const struct fwd_ops fwd_edit_full_ops = {.open = open_full,
	.send = send_full,
	.ret = return_edited,
	.send_error = send_error,
	.ret_error = ret_error};
const struct fwd_ops fwd_edit_dest_ops = {.open = open_dest,
	.send = send_dest,
	.ret = return_edited,
	.send_error = send_error,
	.ret_error = ret_error};
