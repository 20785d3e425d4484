/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_out — see tcp_out.h. */
#include "tcp/tcp_out.h"

#include "base/csum.h"
#include "tcp/tcp_rack.h"
#include "tcp/tcp_reass.h"

#include <rte_ip.h>

#define ANSWER_US 10000u
#define ANSWERS_AT_ONCE 20u
#define TRAIN_MAX 65000u /* bytes of segments in a frame: its length in the IP header has 16 bits */

/* Where headers begin and end, in bytes. */
struct layout {
	uint32_t n_ether, n_ip, n_opts;
};

static inline void put_ether(
	uint8_t *to, const struct tcp *t, const struct tcp_from *from, const struct layout *l)
{
	const struct tcp_link *link = from->link;
	const bool is_tagged = l->n_ether > sizeof(struct rte_ether_hdr);
	const rte_be16_t type = l->n_ip == sizeof(struct rte_ipv4_hdr)
		? RTE_BE16(RTE_ETHER_TYPE_IPV4)
		: RTE_BE16(RTE_ETHER_TYPE_IPV6);

	/* as bytes: what is left of a payload may begin anywhere */
	memcpy(to, &link->mac, RTE_ETHER_ADDR_LEN);
	memcpy(to + RTE_ETHER_ADDR_LEN, &t->p.ifaces->of[link->iface].mac, RTE_ETHER_ADDR_LEN);
	to += (size_t)2 * RTE_ETHER_ADDR_LEN;
	if (is_tagged) {
		const rte_be16_t tagged = RTE_BE16(RTE_ETHER_TYPE_VLAN);

		memcpy(to, &tagged, sizeof(tagged));
		memcpy(to + 2, &link->vlan_tci, sizeof(link->vlan_tci));
		to += sizeof(struct rte_vlan_hdr);
	}
	memcpy(to, &type, sizeof(type));
}

/* The IPv4 header, n bytes of TCP behind it. */
static inline void put_ipv4(uint8_t *to, const struct tcp_tuple *tuple, uint32_t n)
{
	struct rte_ipv4_hdr *ip = (void *)to;

	ip->version_ihl = 0x45;
	ip->type_of_service = 0;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + n));
	ip->packet_id = 0;
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_TCP;
	memcpy(&ip->src_addr, tuple->dst, 4);
	memcpy(&ip->dst_addr, tuple->src, 4);
	/* opt: what differs, and the sum of what does not */
	ip->hdr_checksum = (uint16_t)~csum_fold((uint64_t)ip->src_addr + ip->dst_addr
		+ ip->total_length + RTE_BE16(0x4500) + RTE_BE16(RTE_IPV4_HDR_DF_FLAG)
		+ RTE_BE16(64 << 8 | IPPROTO_TCP));
}

static void put_ipv6(uint8_t *to, const struct tcp_tuple *tuple, uint32_t n)
{
	struct rte_ipv6_hdr *ip = (void *)to;

	ip->vtc_flow = RTE_BE32(0x60000000);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)n);
	ip->proto = IPPROTO_TCP;
	ip->hop_limits = 64;
	memcpy(ip->src_addr, tuple->dst, 16);
	memcpy(ip->dst_addr, tuple->src, 16);
}

/* The TCP header in front of the options, which are there; its checksum is 0. Returns the sum of all of its words. */
static inline uint64_t put_tcp(
	uint8_t *to, const struct tcp_from *from, const struct tcp_head *h, uint32_t n_opts)
{
	struct rte_tcp_hdr *th = (void *)to;
	const uint8_t data_off = (uint8_t)((sizeof(*th) + n_opts) / 4 << 4);

	th->src_port = from->tuple->dport;
	th->dst_port = from->tuple->sport;
	th->sent_seq = rte_cpu_to_be_32(h->seq);
	th->recv_ack = rte_cpu_to_be_32(h->ack);
	th->data_off = data_off;
	th->tcp_flags = h->flags;
	th->rx_win = rte_cpu_to_be_16(h->wnd);
	th->cksum = 0;
	th->tcp_urp = 0;
	/* opt: from registers, as what was just written in pieces is slow to read as words */
	return (uint64_t)th->src_port + th->dst_port + th->sent_seq + th->recv_ack + th->rx_win
		+ rte_cpu_to_be_16((uint16_t)(data_off << 8 | h->flags));
}

/* What the devices of the port are asked to do to a frame; 0: nothing. */
static uint64_t offloads_of(const struct iface *f, bool is_v4, bool is_cut)
{
	uint64_t flags = RTE_MBUF_F_TX_TCP_CKSUM;

	if (!f->writes_csums)
		return 0;
	flags |= is_v4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (unlikely(is_cut))
		flags |= RTE_MBUF_F_TX_TCP_SEG
			| (is_v4 && f->writes_ip_csums ? RTE_MBUF_F_TX_IP_CKSUM : 0);
	return flags;
}

/* For a device to go on from: the pseudo header's, of a frame that is cut without a length, as each segment has its own. */
static uint16_t sum_for_device(const struct tcp_tuple *tuple, uint32_t n, uint64_t ol_flags)
{
	return csum_fold(csum_pseudo(tuple->dst, tuple->src, tuple->family == 4 ? 4 : 16,
		IPPROTO_TCP, ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 0 : n));
}

/* Headers in front of the payload. opts: the options, or NULL: timestamps alone. opt: inlined for each layout that is named. */
static __rte_always_inline void put_headers(struct tcp *t, struct rte_mbuf *m,
	const struct tcp_from *from, const struct tcp_head *h, const uint8_t *opts,
	const struct layout l)
{
	const struct tcp_tuple *tuple = from->tuple;
	const bool is_v4 = l.n_ip == sizeof(struct rte_ipv4_hdr);
	const uint32_t n_tcp = sizeof(struct rte_tcp_hdr) + l.n_opts, len = m->pkt_len;
	uint8_t *const to =
		(uint8_t *)rte_pktmbuf_prepend(m, (uint16_t)(l.n_ether + l.n_ip + n_tcp));
	uint8_t *const ip = to + l.n_ether, *const tcp = ip + l.n_ip;
	uint64_t sum;

	m->ol_flags = offloads_of(&t->p.ifaces->of[from->link->iface], is_v4, h->cut > 0);
	m->tx_offload = rte_mbuf_tx_offload(l.n_ether, l.n_ip, n_tcp, h->cut, 0, 0, 0);
	put_ether(to, t, from, &l);
	if (is_v4)
		put_ipv4(ip, tuple, n_tcp + len);
	else
		put_ipv6(ip, tuple, n_tcp + len);
	if (unlikely(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM))
		((struct rte_ipv4_hdr *)(void *)ip)->hdr_checksum = 0;
	sum = put_tcp(tcp, from, h, l.n_opts);
	if (opts == NULL)
		sum += tcp_wire_put_ts(tcp + sizeof(struct rte_tcp_hdr), &h->o);
	else
		memcpy(tcp + sizeof(struct rte_tcp_hdr), opts, l.n_opts);
	if (m->ol_flags == 0)
		sum = (uint16_t)~csum_fold(sum + (opts != NULL ? csum_words(opts, l.n_opts) : 0)
			+ csum_words(tcp + n_tcp, len)
			+ csum_pseudo(
				tuple->dst, tuple->src, is_v4 ? 4 : 16, IPPROTO_TCP, n_tcp + len));
	else
		sum = sum_for_device(tuple, n_tcp + len, m->ol_flags);
	((struct rte_tcp_hdr *)(void *)tcp)->cksum = (uint16_t)sum;
}

static void put_headers_slow(
	struct tcp *t, struct rte_mbuf *m, const struct tcp_from *from, const struct tcp_head *h)
{
	uint8_t opts[TCP_WIRE_OPTIONS_MAX];
	struct layout l = {.n_ether = sizeof(struct rte_ether_hdr),
		.n_ip = from->tuple->family == 4 ? sizeof(struct rte_ipv4_hdr)
						 : sizeof(struct rte_ipv6_hdr),
		.n_opts = tcp_wire_build(opts, &h->o)};

	if (from->link->has_vlan)
		l.n_ether += sizeof(struct rte_vlan_hdr);
	put_headers(t, m, from, h, opts, l);
}

/* opt: inlined where nearly all segments are sent, so that what the header says need not be written down first. */
static __rte_always_inline void send_frame(
	struct tcp *t, struct rte_mbuf *m, const struct tcp_from *from, const struct tcp_head *h)
{
	if (likely(from->tuple->family == 4 && !from->link->has_vlan && tcp_wire_is_ts(&h->o)))
		put_headers(t, m, from, h, NULL,
			(struct layout){sizeof(struct rte_ether_hdr), sizeof(struct rte_ipv4_hdr),
				TCP_WIRE_TS_BYTES});
	else
		put_headers_slow(t, m, from, h);
	t->stats.segments_out++;
	t->p.ops->output(t->p.ctx, from->link->iface, m, from->profile);
}

void tcp_out_frame(
	struct tcp *t, struct rte_mbuf *m, const struct tcp_from *from, const struct tcp_head *h)
{
	send_frame(t, m, from, h);
}

void tcp_out_bare(struct tcp *t, const struct tcp_from *from, const struct tcp_head *h)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(t->p.pool);

	if (unlikely(m == NULL)) {
		t->stats.no_buffer++;
		return;
	}
	tcp_out_frame(t, m, from, h);
}

bool tcp_out_may_answer(struct tcp *t)
{
	if (t->limit_us > t->now_us + ANSWERS_AT_ONCE * ANSWER_US) {
		t->stats.answers_limited++;
		return false;
	}
	t->limit_us = RTE_MAX(t->limit_us, t->now_us) + ANSWER_US;
	return true;
}

void tcp_out_rst(struct tcp *t, const struct tcp_in *in, const struct tcp_link *link)
{
	struct tcp_head h = {.flags = RTE_TCP_RST_FLAG};

	if (in->flags & RTE_TCP_RST_FLAG || !tcp_out_may_answer(t))
		return;
	if (in->flags & RTE_TCP_ACK_FLAG) {
		h.seq = in->ack;
	} else {
		h.flags |= RTE_TCP_ACK_FLAG;
		h.ack = in->seq + in->len + !!(in->flags & RTE_TCP_SYN_FLAG)
			+ !!(in->flags & RTE_TCP_FIN_FLAG);
	}
	tcp_out_bare(t, &(struct tcp_from){in->tuple, link, NULL}, &h);
	t->stats.resets_out++;
}

static inline uint32_t free_window(const struct tcb *c)
{
	const uint32_t max = tcp_rcv_max(c->profile);

	return c->rcv_bytes < max ? max - c->rcv_bytes : 0;
}

static inline bool opens_window(const struct tcb *c)
{
	const uint32_t edge = c->rcv_nxt + free_window(c);
	const uint32_t step = RTE_MIN(2u * c->mss, tcp_rcv_max(c->profile) / 2);

	return !(c->flags & TCP_F_FIN_RCVD) && seq_lt(c->rcv_adv, edge)
		&& edge - c->rcv_adv >= step;
}

bool tcp_out_opens_window(const struct tcb *c)
{
	return opens_window(c);
}

/* The window to announce; the right edge moves by whole steps and never back (RFC 9293 3.8.6.2.2). */
static inline uint16_t take_window(struct tcb *c)
{
	uint32_t wnd;

	if (opens_window(c) || seq_lt(c->rcv_adv, c->rcv_nxt))
		c->rcv_adv = seq_max(c->rcv_nxt, c->rcv_nxt + free_window(c));
	wnd = (c->rcv_adv - c->rcv_nxt) >> c->rcv_wscale;
	return (uint16_t)RTE_MIN(wnd, (uint32_t)UINT16_MAX);
}

/* A header of the connection; it acknowledges all there is. */
static __rte_always_inline void head_of(
	struct tcb *c, uint8_t flags, uint32_t seq, struct tcp_head *h)
{
	h->seq = seq; /* opt: one by one, as room for SACK blocks need not be cleared */
	h->ack = c->rcv_nxt;
	h->wnd = take_window(c);
	h->cut = 0;
	h->flags = flags | RTE_TCP_ACK_FLAG;
	tcp_wire_init(&h->o);
	if (likely(c->flags & TCP_F_TS)) {
		h->o.has_ts = true;
		h->o.tsval = c->ts_offset + tcp_now_ms(c->t); /* tcp_out_ts() of now */
		h->o.tsecr = c->ts_recent;
	}
	c->last_ack_sent = c->rcv_nxt;
}

static void is_acked(struct tcb *c)
{
	c->flags &= (uint16_t)~TCP_F_ACK_NOW;
	c->n_unacked = 0;
	c->ack_us = TCP_NEVER;
}

void tcp_out_control(struct tcb *c, uint8_t flags, uint32_t seq)
{
	struct tcp_head h;

	head_of(c, flags, seq, &h);
	if (c->n_ooo > 0 && c->flags & TCP_F_SACK && !(flags & RTE_TCP_RST_FLAG))
		tcp_reass_sacks(c, &h.o);
	is_acked(c);
	tcp_out_bare(c->t, &(struct tcp_from){&c->tuple, &c->link, c->profile}, &h);
}

/* The driver gets a reference to the segment's own mbuf, with its first n bytes. */
static void lend(struct rte_mbuf *m, uint16_t n)
{
	rte_mbuf_refcnt_update(m, 1);
	m->data_off = tcp_seg(m)->off;
	m->data_len = n;
	m->next = NULL; /* it may have been one of several */
	m->nb_segs = 1;
}

/* A mbuf with room for headers, for one that has none, in front of this one; or, while a driver has this one or the port takes no chains, in
 * front of a copy of its bytes. */
static struct rte_mbuf *frame_slow(struct tcb *c, struct rte_mbuf *m, uint16_t n)
{
	struct rte_mbuf *out = rte_pktmbuf_alloc(c->t->p.pool);

	if (unlikely(out == NULL)) {
		c->t->stats.no_buffer++;
		return NULL;
	}
	if (rte_mbuf_refcnt_read(m) > 1 || !tcp_write_takes_refs(c)) {
		memcpy(rte_pktmbuf_mtod(out, uint8_t *), tcp_seg_data(m), n);
		out->data_len = n;
		return out;
	}
	lend(m, n);
	out->next = m;
	out->nb_segs = 2;
	return out;
}

/* What headers are written in front of, n bytes of the segment behind them. NULL: there is no buffer. */
static inline struct rte_mbuf *frame_of(struct tcb *c, struct rte_mbuf *m, uint16_t n)
{
	if (unlikely(rte_mbuf_refcnt_read(m) > 1 || RTE_MBUF_HAS_EXTBUF(m)))
		return frame_slow(c, m, n);
	lend(m, n);
	return m;
}

/* The segment's payload, no more than mss of it, and headers. */
static __rte_always_inline bool transmit_inline(struct tcb *c, struct rte_mbuf *m)
{
	struct tcp_seg *s = tcp_seg(m);
	struct tcp *t = c->t;
	const uint16_t len = RTE_MIN(s->len, c->mss);
	struct rte_mbuf *out = frame_of(c, m, len);
	struct tcp_head h;

	if (out == NULL)
		return false;
	out->pkt_len = len;
	head_of(c,
		(uint8_t)((s->flags & TCP_SEG_FIN && len == s->len ? RTE_TCP_FIN_FLAG : 0)
			| (len > 0 ? RTE_TCP_PSH_FLAG : 0)),
		s->seq, &h);
	s->sent_us = (uint32_t)t->now_us;
	if (c->n_ooo == 0 || !(c->flags & TCP_F_SACK))
		is_acked(c);
	send_frame(t, out, &(struct tcp_from){&c->tuple, &c->link, c->profile}, &h);
	return true;
}

/* Once more. */
static bool transmit_again(struct tcb *c, struct rte_mbuf *m)
{
	c->is_sole = false;
	return transmit_inline(c, m);
}

/* Cuts the segment behind n bytes: the rest is one of its own, unless queues hold n_max mbufs. */
static bool split(struct tcb *c, struct rte_mbuf *m, uint32_t n, uint32_t n_max)
{
	struct tcp_seg *s = tcp_seg(m), *rest;
	struct rte_mbuf *r = tcp_buf_take(c->t, n_max);

	if (r == NULL)
		return false;
	rest = tcp_seg(r);
	*rest = (struct tcp_seg){.next = s->next,
		.seq = s->seq + n,
		.len = (uint16_t)(s->len - n),
		.off = r->data_off,
		.sent_us = s->sent_us,
		.flags = s->flags};
	memcpy(rte_pktmbuf_mtod(r, uint8_t *), tcp_seg_data(m) + n, rest->len);
	s->len = (uint16_t)n;
	s->flags &= (uint8_t)~TCP_SEG_FIN;
	s->next = r;
	if (c->snd_tail == m)
		c->snd_tail = r;
	return true;
}

static void retransmit_lost(struct tcb *c)
{
	for (struct rte_mbuf *m = c->snd_head; m != c->snd_unsent && c->lost != c->retrans;
		m = tcp_seg(m)->next) {
		struct tcp_seg *s = tcp_seg(m);

		if ((s->flags & (TCP_SEG_LOST | TCP_SEG_RETRANS)) != TCP_SEG_LOST)
			continue;
		/* the first goes at any rate (RFC 6582 3.2, RFC 6675 5) */
		if (m != c->snd_head && tcb_pipe(c) > 0 && tcb_pipe(c) + s->len > c->cwnd)
			return;
		/* the path has become narrow; without a buffer its beginning goes */
		if (unlikely(s->len > c->mss))
			split(c, m, c->mss, c->t->p.n_bufs / 2 - c->t->p.n_bufs / 128);
		if (!transmit_again(c, m))
			return;
		if (m == c->snd_head)
			c->rtx_us = TCP_NEVER; /* from now on */
		s->flags |= TCP_SEG_RETRANS | TCP_SEG_EVER;
		c->retrans += tcp_seg_span(m);
		c->n_retransmits++;
		c->t->stats.retransmits++;
	}
}

/* Whether the next new segment fits into the peer's window; it is cut where that ends. */
static inline bool fits_window(struct tcb *c, struct rte_mbuf *m)
{
	const uint32_t edge = c->snd_una + c->snd_wnd, len = tcp_seg(m)->len;
	const uint32_t room = seq_lt(c->snd_nxt, edge) ? edge - c->snd_nxt : 0;
	const uint32_t n = RTE_MIN(len, c->mss);

	if (room == 0)
		return false;
	if (room < n) {
		/* not a silly piece (RFC 9293 3.8.6.2.1), unless nothing else would bring an answer */
		if (tcb_flight(c) > 0 && room < RTE_MIN((uint32_t)c->mss, c->max_wnd / 2))
			return false;
		return split(c, m, room, c->t->p.n_bufs / 2);
	}
	return n == len || split(c, m, n, c->t->p.n_bufs / 2);
}

static inline bool may_send(struct tcb *c, struct rte_mbuf *m)
{
	const uint32_t n = RTE_MIN((uint32_t)tcp_seg(m)->len, (uint32_t)c->mss);

	if (tcb_pipe(c) > 0 && tcb_pipe(c) + n > c->cwnd) {
		c->rack |= TCP_CC_LIMITED;
		return false;
	}
	return fits_window(c, m);
}

/* The next new segment has been sent. Nothing was on its way: the time begins at which what is stuck is given up. */
static inline void note_new(struct tcb *c, struct rte_mbuf *m)
{
	c->is_sole = c->snd_head == m && c->stuck_us == TCP_NEVER;
	c->snd_nxt += tcp_seg_span(m);
	c->snd_unsent = tcp_seg(m)->next;
}

static inline bool transmit_new(struct tcb *c)
{
	struct rte_mbuf *m = c->snd_unsent;

	if (!transmit_inline(c, m))
		return false;
	note_new(c, m);
	return true;
}

/* Segments that go in one frame, for a device to cut: all but the last are full, so that it makes the same of them. */
struct train {
	struct rte_mbuf *head, *tail; /* chained; head NULL: there are none */
	struct rte_mbuf *last;        /* segment */
	uint32_t seq, len;
	uint16_t n_mbufs, n_segs;
};

static bool goes_with(
	const struct tcb *c, const struct train *r, struct rte_mbuf *m, uint32_t n_max)
{
	return r->n_mbufs < n_max && tcp_seg(r->last)->len == c->mss && tcp_seg(m)->len > 0
		&& r->len + tcp_seg(m)->len <= TRAIN_MAX;
}

/* The next new segment, which may be sent. No driver has had it yet. false: there is no buffer. */
static bool add_new(struct tcb *c, struct train *r)
{
	struct rte_mbuf *m = c->snd_unsent;
	struct tcp_seg *s = tcp_seg(m);

	if (r->head == NULL) {
		r->head = frame_of(c, m, s->len);
		if (r->head == NULL)
			return false;
		r->tail = r->head->next != NULL ? m : r->head;
		r->seq = s->seq;
		r->n_mbufs = r->head->nb_segs;
	} else {
		lend(m, s->len);
		r->tail->next = m;
		r->tail = m;
		r->n_mbufs++;
	}
	r->last = m;
	r->len += s->len;
	r->n_segs++;
	s->sent_us = (uint32_t)c->t->now_us;
	note_new(c, m);
	c->rack |= TCP_RACK_MOVED;
	return true;
}

static void send_train(struct tcb *c, struct train *r)
{
	const uint8_t flags =
		(uint8_t)((tcp_seg(r->last)->flags & TCP_SEG_FIN ? RTE_TCP_FIN_FLAG : 0)
			| (r->len > 0 ? RTE_TCP_PSH_FLAG : 0));
	struct tcp_head h;

	head_of(c, flags, r->seq, &h);
	r->head->pkt_len = r->len;
	r->head->nb_segs = r->n_mbufs;
	if (r->n_segs > 1) {
		h.cut = c->mss;
		c->t->stats.frames_cut++;
		c->t->stats.segments_out += r->n_segs - 1;
	}
	if (c->n_ooo == 0 || !(c->flags & TCP_F_SACK))
		is_acked(c);
	tcp_out_frame(c->t, r->head, &(struct tcp_from){&c->tuple, &c->link, c->profile}, &h);
	*r = (struct train){.head = NULL};
}

static void send_trains(struct tcb *c, uint32_t n_max)
{
	struct train r = {.head = NULL};

	while (c->snd_unsent != NULL && may_send(c, c->snd_unsent)) {
		if (r.head != NULL && !goes_with(c, &r, c->snd_unsent, n_max))
			send_train(c, &r);
		if (!add_new(c, &r))
			break;
	}
	if (r.head != NULL)
		send_train(c, &r);
}

static inline void send_new(struct tcb *c)
{
	const struct iface *f = &c->t->p.ifaces->of[c->link.iface];

	c->rack &= (uint8_t)~TCP_CC_LIMITED;
	if (unlikely(f->tso_mbufs > 1)) {
		send_trains(c, f->tso_mbufs);
		return;
	}
	while (c->snd_unsent != NULL && may_send(c, c->snd_unsent) && transmit_new(c))
		c->rack |= TCP_RACK_MOVED;
}

/* Only when a peer's window is full is the last not the queue's. */
static struct rte_mbuf *last_sent(const struct tcb *c)
{
	struct rte_mbuf *m = c->snd_head;

	if (c->snd_unsent == NULL)
		return c->snd_tail;
	while (tcp_seg(m)->next != c->snd_unsent)
		m = tcp_seg(m)->next;
	return m;
}

void tcp_out_probe(struct tcb *c)
{
	struct rte_mbuf *m;

	if (tcb_flight(c) == 0)
		return;
	if (tcb_is_blocked(c)) { /* what it would ask for may be what waits there */
		tcp_rack_put_off(c);
		return;
	}
	c->rtx_us = TCP_NEVER;
	if (c->snd_unsent != NULL && fits_window(c, c->snd_unsent)) {
		if (transmit_new(c))
			tcp_rack_on_probe(c, false);
		return;
	}
	m = last_sent(c);
	if (!transmit_again(c, m))
		return;
	tcp_seg(m)->flags |= TCP_SEG_EVER;
	c->n_retransmits++;
	c->t->stats.retransmits++;
	tcp_rack_on_probe(c, true);
}

/* The FIN goes with the last segment if that has not been sent, else with one of its own. */
static void queue_fin(struct tcb *c)
{
	struct rte_mbuf *m = c->snd_unsent != NULL ? c->snd_tail : NULL;

	if (m == NULL) {
		m = tcp_buf_take(c->t, c->t->p.n_bufs / 2);
		if (m == NULL)
			return; /* at the next occasion */
		*tcp_seg(m) = (struct tcp_seg){.seq = c->snd_nxt, .off = m->data_off};
		if (c->snd_tail != NULL)
			tcp_seg(c->snd_tail)->next = m;
		else
			c->snd_head = m;
		c->snd_tail = c->snd_unsent = m;
	}
	tcp_seg(m)->flags |= TCP_SEG_FIN;
	c->flags |= TCP_F_FIN_QUEUED;
	c->state = c->state == TCP_S_CLOSE_WAIT ? TCP_S_LAST_ACK : TCP_S_FIN_WAIT_1;
}

/* Deadlines that follow from what is on its way now. */
static inline void set_deadlines(struct tcb *c)
{
	const uint64_t now_us = c->t->now_us;
	const bool is_stuck = c->snd_head != NULL;

	if (tcb_flight(c) > 0) {
		if (c->rtx_us == TCP_NEVER || c->flags & TCP_F_PERSIST)
			c->rtx_us = now_us + c->rto_us;
		c->flags &= (uint16_t)~TCP_F_PERSIST;
	} else if (c->snd_unsent != NULL) {
		if (!(c->flags & TCP_F_PERSIST) || c->rtx_us == TCP_NEVER)
			c->rtx_us = now_us
				+ RTE_MIN((uint64_t)c->rto_us << RTE_MIN(c->n_backoffs, 8),
					(uint64_t)TCP_RTO_MAX_US);
		c->flags |= TCP_F_PERSIST;
	} else {
		c->rtx_us = (c->flags & (TCP_F_FIN_WANTED | TCP_F_FIN_QUEUED)) == TCP_F_FIN_WANTED
			? now_us + c->rto_us /* there was no buffer for the FIN */
			: TCP_NEVER;
		c->flags &= (uint16_t)~TCP_F_PERSIST;
	}
	if (c->flags & TCP_F_SACK)
		tcp_rack_schedule(c);
	if (!is_stuck)
		c->stuck_us = TCP_NEVER;
	else if (c->stuck_us == TCP_NEVER)
		c->stuck_us = now_us;
}

void tcp_out_run(struct tcb *c)
{
	const uint64_t n_before = c->t->stats.segments_out;

	if (c->state == TCP_S_SYN_SENT)
		return;
	if ((c->flags & (TCP_F_FIN_WANTED | TCP_F_FIN_QUEUED)) == TCP_F_FIN_WANTED)
		queue_fin(c);
	if (unlikely(c->has_marks && c->lost != c->retrans))
		retransmit_lost(c);
	if (likely(!c->has_marks) || c->lost == c->retrans)
		send_new(c);
	/* a segment has said what the window is */
	if (c->flags & TCP_F_ACK_NOW || (c->t->stats.segments_out == n_before && opens_window(c)))
		tcp_out_control(c, 0, c->snd_nxt);
	set_deadlines(c);
}
