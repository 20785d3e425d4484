/* SPDX-License-Identifier: BSD-3-Clause */
/* gentcp — see gentcp.h. take() is the path of nearly all segments, send_one() that of all requests. */
#include "gentcp.h"

#include "base/csum.h"
#include "tcp/tcp_wire.h"

#include <rte_ip.h>

#include <errno.h>
#include <stdlib.h>

#define MTU 1500u
#define RCV_WND 65536u
#define RCV_WSCALE 7u
#define MSS_UNSAID 536u /* RFC 9293 3.7.1 */
#define MSS_MIN 64u     /* whatever the peer says: less is no room for options */
#define BACKOFF_MAX 6u  /* GENTCP_RTO_MS * 64 */
#define SWEEP_US (GENTCP_SWEEP_MS * 1000u)
#define SWEEP_EVERY_US 50u /* opt: not each time for one connection or none */
#define SWEEP_MAX 512u     /* connections in a call */
#define HEAD_COPY 96u      /* opt: a copy of constant length, which the longest head fits into */
#define NOT_OURS UINT32_MAX
#define NO_CONN (UINT32_MAX - 1)

#define ACK RTE_TCP_ACK_FLAG
#define PSH RTE_TCP_PSH_FLAG
#define SYN RTE_TCP_SYN_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG

/* opts: what both sides have */
#define HAS_TS 0x01
#define HAS_WSCALE 0x02
#define HAS_EOF 0x04 /* the peer's FIN has come */

/* --- frames --- */

static inline void put16(uint8_t *to, uint16_t v)
{
	memcpy(to, &v, sizeof(v));
}

static inline void put32(uint8_t *to, uint32_t v)
{
	memcpy(to, &v, sizeof(v));
}

static inline uint16_t get16(const uint8_t *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof(v));
	return v;
}

static inline uint32_t get32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return v;
}

/* An empty buffer with a head in front of what will be written, or NULL. */
static inline struct rte_mbuf *begin_frame(struct gentcp *t)
{
	struct rte_mbuf *m;

	if (unlikely(t->n_stock == 0)) {
		if (rte_pktmbuf_alloc_bulk(t->p.pool, t->stock, GENTCP_STOCK) != 0) {
			t->stats.no_buffer++;
			return NULL;
		}
		t->n_stock = GENTCP_STOCK;
	}
	m = t->stock[--t->n_stock];
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), t->head, HEAD_COPY);
	return m;
}

/* What the first bytes of a TCP header are made of. */
struct numbers {
	uint32_t seq, ack;
	uint8_t head_len, flags; /* head_len: with options */
	uint16_t window;
};

/* Completes a frame, and sends it. sum: of n_text bytes behind the header, and of its options, which are there. */
static inline void end_frame(struct gentcp *t, const struct gentcp_conn *k, struct rte_mbuf *m,
	const struct numbers *n, uint32_t n_text, uint64_t sum)
{
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *), *ip = to + RTE_ETHER_HDR_LEN;
	uint8_t *l4 = to + t->frame.l4;
	const uint32_t l4_len = n->head_len + n_text;
	const rte_be16_t be_len = rte_cpu_to_be_16((uint16_t)l4_len);
	const rte_be32_t seq = rte_cpu_to_be_32(n->seq), ack = rte_cpu_to_be_32(n->ack);
	const rte_be32_t word = rte_cpu_to_be_32(
		(uint32_t)n->head_len << 26 | (uint32_t)n->flags << 16 | n->window);

	if (t->frame.family == 4) {
		const rte_be16_t total =
			rte_cpu_to_be_16((uint16_t)(l4_len + sizeof(struct rte_ipv4_hdr)));

		put16(ip + offsetof(struct rte_ipv4_hdr, total_length), total);
		put16(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum),
			(uint16_t)~csum_fold(t->ip_sum + total + k->client));
		put32(ip + offsetof(struct rte_ipv4_hdr, src_addr), k->client);
	} else {
		put16(ip + offsetof(struct rte_ipv6_hdr, payload_len), be_len);
		put32(ip + offsetof(struct rte_ipv6_hdr, src_addr) + 12, k->client);
	}
	put16(l4, k->port);
	put32(l4 + offsetof(struct rte_tcp_hdr, sent_seq), seq);
	put32(l4 + offsetof(struct rte_tcp_hdr, recv_ack), ack);
	put32(l4 + offsetof(struct rte_tcp_hdr, data_off), word);
	sum += (uint64_t)k->sum + be_len + seq + ack + word;
	put16(l4 + offsetof(struct rte_tcp_hdr, cksum), (uint16_t)~csum_fold(sum));
	m->data_len = (uint16_t)(t->frame.l4 + l4_len);
	m->pkt_len = m->data_len;
	t->p.ops->output(t->p.ctx, m);
}

static inline uint32_t head_len(const struct gentcp_conn *k)
{
	return (uint32_t)sizeof(struct rte_tcp_hdr) + (k->opts & HAS_TS ? TCP_WIRE_TS_BYTES : 0);
}

static inline uint32_t tsval(const struct gentcp *t)
{
	return t->now_ms + (uint32_t)t->p.seed;
}

/* A segment of a connection that is open, whose n_text bytes are written already. Acknowledges all that has come. */
static inline void send_segment(struct gentcp *t, struct gentcp_conn *k, struct rte_mbuf *m,
	uint32_t seq, uint8_t flags, uint32_t n_text)
{
	uint8_t *options =
		rte_pktmbuf_mtod(m, uint8_t *) + t->frame.l4 + sizeof(struct rte_tcp_hdr);
	const struct numbers n = {.seq = seq,
		.ack = k->rcv_nxt,
		.head_len = (uint8_t)head_len(k),
		.flags = flags,
		.window = k->opts & HAS_WSCALE ? RCV_WND >> RCV_WSCALE : UINT16_MAX};
	uint64_t sum = csum_words(options + n.head_len - sizeof(struct rte_tcp_hdr), n_text);

	if (likely(k->opts & HAS_TS)) {
		const rte_be32_t val = rte_cpu_to_be_32(tsval(t));
		const rte_be32_t ecr = rte_cpu_to_be_32(k->ts_recent);

		put32(options + 4, val);
		put32(options + 8, ecr);
		sum += (uint64_t)RTE_BE32(TCP_WIRE_TS_HEAD) + val + ecr;
	}
	k->rcv_acked = k->rcv_nxt;
	end_frame(t, k, m, &n, n_text, sum);
}

static __rte_noinline void send_ack(struct gentcp *t, struct gentcp_conn *k)
{
	struct rte_mbuf *m = begin_frame(t);

	if (m == NULL)
		return; /* with the next request, or the next look at its timers */
	t->stats.pure_acks++;
	send_segment(t, k, m, k->snd_nxt, ACK, 0);
}

/* Without options: of connections that are none any more. */
static void send_rst(
	struct gentcp *t, const struct gentcp_conn *k, uint32_t seq, uint32_t ack, uint8_t flags)
{
	struct rte_mbuf *m = begin_frame(t);
	const struct numbers n = {
		.seq = seq, .ack = ack, .head_len = sizeof(struct rte_tcp_hdr), .flags = flags};

	if (m != NULL)
		end_frame(t, k, m, &n, 0, 0);
}

static void send_syn(struct gentcp *t, struct gentcp_conn *k)
{
	struct rte_mbuf *m = begin_frame(t);
	const struct tcp_opts o = {.has_mss = true,
		.mss = (uint16_t)t->mss,
		.sack_ok = true,
		.has_ts = true,
		.tsval = tsval(t),
		.has_wscale = true,
		.wscale = RCV_WSCALE};
	struct numbers n = {.seq = k->snd_una, .flags = SYN, .window = UINT16_MAX};
	uint8_t *options;
	uint32_t n_options;

	if (m == NULL)
		return;
	options = rte_pktmbuf_mtod(m, uint8_t *) + t->frame.l4 + sizeof(struct rte_tcp_hdr);
	n_options = tcp_wire_build(options, &o);
	n.head_len = (uint8_t)(sizeof(struct rte_tcp_hdr) + n_options);
	end_frame(t, k, m, &n, 0, csum_words(options, n_options));
}

/* --- requests --- */

/* Writes what is due and fits into max bytes: whole requests, but for a first one that alone is longer, if it may be cut. Returns the bytes. */
static inline uint32_t fill(struct gentcp *t, struct gentcp_conn *k, uint32_t i, uint8_t *text,
	uint32_t max, bool may_cut)
{
	uint32_t n = 0;

	while (k->n_sent != k->n_due && k->n_sent - k->n_answered < t->p.ahead_max && n < max) {
		/* opt: where it is to be, as far as there is room for the longest one */
		const bool is_there = k->out_off == 0 && n + t->p.request_max <= t->text_room;
		uint8_t *to = is_there ? text + n : t->scratch;
		const uint32_t len = (uint32_t)(t->p.ops->write(t->p.ctx, i, k->n_sent, to) - to);
		const uint32_t left = len - k->out_off;
		const uint32_t piece = left < max - n ? left : max - n;

		if (piece < left && (n > 0 || !may_cut))
			break;
		if (!is_there)
			memcpy(text + n, t->scratch + k->out_off, piece);
		n += piece;
		if (piece < left) {
			k->out_off = (uint16_t)(k->out_off + piece);
			break;
		}
		k->out_off = 0;
		k->n_sent++;
	}
	return n;
}

/* One segment of requests, of which some are due. False: none may go, or there is no buffer. */
static inline bool send_one(struct gentcp *t, struct gentcp_conn *k, uint32_t i)
{
	const uint32_t n_on_way = k->snd_nxt - k->snd_una;
	const uint32_t room = k->snd_wnd - n_on_way;
	struct rte_mbuf *m;
	uint32_t n;

	if (n_on_way >= k->snd_wnd || k->n_sent - k->n_answered >= t->p.ahead_max)
		return false;
	m = begin_frame(t);
	if (m == NULL)
		return false;
	/* a window that is nearly full is not filled up with pieces (RFC 9293 3.8.6.2.1) */
	n = fill(t, k, i, rte_pktmbuf_mtod(m, uint8_t *) + t->frame.l4 + head_len(k),
		room < k->mss ? room : k->mss, room >= k->mss || n_on_way == 0);
	if (unlikely(n == 0)) {
		t->stock[t->n_stock++] = m;
		return false;
	}
	if (n_on_way == 0)
		k->sent_ms = t->now_ms;
	send_segment(t, k, m, k->snd_nxt, ACK | PSH, n);
	k->snd_nxt += n;
	return true;
}

void gentcp_send(struct gentcp *t, uint32_t i)
{
	struct gentcp_conn *k = &t->conns[i];

	if (k->state == GENTCP_OPEN)
		while (k->n_sent != k->n_due && send_one(t, k, i))
			;
}

/* --- connections --- */

/* 64 bits that are a number's own (the finaliser of splitmix64). */
static inline uint64_t mix(uint64_t v)
{
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ v >> 27) * 0x94d049bb133111ebull;
	return v ^ v >> 31;
}

static void end(struct gentcp *t, uint32_t i, enum gentcp_why why)
{
	struct gentcp_conn *k = &t->conns[i];

	k->state = GENTCP_CLOSED;
	t->stats.resets += why == GENTCP_WHY_RESET;
	t->stats.closed += why == GENTCP_WHY_EOF;
	t->stats.aborted += why == GENTCP_WHY_ABORTED;
	t->p.ops->on_end(t->p.ctx, i, why);
}

/* Whom a flow's frames come from. */
static void set_source(const struct gentcp *t, struct gentcp_conn *k, uint64_t flow)
{
	const uint32_t n = t->frame.family == 4 ? 4 : 16;
	uint8_t address[16];

	genframe_source(&t->frame, flow, address, &k->port);
	k->client = get32(address + n - 4);
	k->sum = csum_fold(
		csum_pseudo(address, t->target, n, IPPROTO_TCP, 0) + k->port + t->target_port);
}

void gentcp_open(struct gentcp *t, uint32_t i)
{
	struct gentcp_conn *k = &t->conns[i];
	uint64_t flow;

	if (t->p.is_cycling)
		k->generation = k->generation + 1 < t->n_generations ? k->generation + 1 : 0;
	flow = (uint64_t)k->generation * t->p.n_conns + i;
	set_source(t, k, flow);
	/* RFC 9293 3.4.1: a clock, and a number of the flow's */
	k->snd_una = (uint32_t)(t->now_us >> 2) + (uint32_t)mix(flow + t->p.seed);
	k->snd_nxt = k->snd_una + 1;
	k->rcv_nxt = k->rcv_acked = k->ts_recent = k->snd_wnd = 0;
	k->sent_ms = t->now_ms;
	k->n_answered = k->n_sent;
	k->out_off = k->n_partial = 0;
	k->state = GENTCP_OPENING;
	k->opts = k->backoff = k->wscale = 0;
	send_syn(t, k);
}

static void send_fin(struct gentcp *t, struct gentcp_conn *k)
{
	struct rte_mbuf *m = begin_frame(t);

	if (m != NULL)
		send_segment(t, k, m, k->snd_nxt - 1, FIN | ACK, 0);
}

void gentcp_close(struct gentcp *t, uint32_t i)
{
	struct gentcp_conn *k = &t->conns[i];

	k->state = GENTCP_CLOSING;
	if (k->snd_una == k->snd_nxt)
		k->sent_ms = t->now_ms;
	k->snd_nxt++;
	send_fin(t, k);
}

void gentcp_abort(struct gentcp *t, uint32_t i)
{
	struct gentcp_conn *k = &t->conns[i];

	if (k->state == GENTCP_CLOSED)
		return;
	/* RFC 5961 3.2: one is believed at once where it is what is expected next, so if that may have been lost, there are two. While
	 * it is opening, the answer will be of no connection. */
	if (k->state != GENTCP_OPENING) {
		if (k->snd_una != k->snd_nxt)
			send_rst(t, k, k->snd_una, k->rcv_nxt, RST | ACK);
		send_rst(t, k, k->snd_nxt, k->rcv_nxt, RST | ACK);
	}
	end(t, i, GENTCP_WHY_ABORTED);
}

/* --- what comes in --- */

/* A segment, whose lengths are right. */
struct segment {
	const struct rte_tcp_hdr *h;
	const uint8_t *text;
	uint32_t n_text, seq, ack;
	uint8_t flags;
};

/* What an acknowledgement says. False: it is of what was never sent. An older one says nothing. */
static inline bool take_ack(struct gentcp *t, struct gentcp_conn *k, const struct segment *s)
{
	const uint32_t n_acked = s->ack - k->snd_una;

	if (unlikely(n_acked > k->snd_nxt - k->snd_una))
		return (int32_t)n_acked < 0;
	if (n_acked > 0) {
		k->snd_una = s->ack;
		k->sent_ms = t->now_ms;
		k->backoff = 0;
	}
	return true;
}

/* What is in order of an open connection, or one that is closing. */
static inline void take_text(
	struct gentcp *t, struct gentcp_conn *k, uint32_t i, const uint8_t *text, uint32_t n)
{
	if (n > 0) {
		if (k->rcv_acked == k->rcv_nxt)
			k->ack_ms = (uint16_t)t->now_ms;
		k->rcv_nxt += n;
		if (unlikely(!t->p.ops->on_bytes(t->p.ctx, i, text, n))) {
			gentcp_abort(t, i);
			return;
		}
	}
	if (k->n_sent != k->n_due)
		gentcp_send(t, i);
	/* RFC 9293 3.8.6.3 wants it for two full ones; a sender that sees more than one on the way does not wait for a timer of ours */
	if (unlikely(k->rcv_nxt - k->rcv_acked > t->mss - TCP_WIRE_TS_BYTES))
		send_ack(t, k);
}

static void answer_syn(struct gentcp *t, struct gentcp_conn *k, uint32_t i, const struct segment *s)
{
	struct tcp_opts o;
	uint32_t mss;

	tcp_wire_parse_slow(&o, s->h);
	if (o.has_ts) {
		k->opts |= HAS_TS;
		k->ts_recent = o.tsval;
	}
	if (o.has_wscale) {
		k->opts |= HAS_WSCALE;
		k->wscale = (uint8_t)RTE_MIN(o.wscale, TCP_WIRE_WSCALE_MAX);
	}
	mss = o.has_mss ? RTE_MAX(o.mss, MSS_MIN) : MSS_UNSAID;
	k->mss = (uint16_t)(RTE_MIN(mss, t->mss) - (k->opts & HAS_TS ? TCP_WIRE_TS_BYTES : 0));
	k->snd_una = k->snd_nxt;
	k->snd_wnd = rte_be_to_cpu_16(s->h->rx_win); /* RFC 7323 2.2: of a SYN it is not scaled */
	k->rcv_nxt = s->seq + 1;
	k->rcv_acked = s->seq;
	k->ack_ms = (uint16_t)t->now_ms;
	k->sent_ms = t->now_ms;
	k->backoff = 0;
	k->state = GENTCP_OPEN;
	t->stats.opened++;
	t->p.ops->on_open(t->p.ctx, i);
	gentcp_send(t, i);
	if (k->state == GENTCP_OPEN && k->rcv_acked != k->rcv_nxt)
		send_ack(t, k);
}

/* RFC 9293 3.10.7.3, without opens from both sides. */
static void take_opening(
	struct gentcp *t, struct gentcp_conn *k, uint32_t i, const struct segment *s)
{
	const bool is_acked = s->flags & ACK && s->ack == k->snd_nxt;

	if (s->flags & ACK && !is_acked) { /* of a connection that was here before */
		t->stats.unacceptable++;
		if (!(s->flags & RST))
			send_rst(t, k, s->ack, 0, RST);
	} else if (s->flags & RST) {
		if (is_acked)
			end(t, i, GENTCP_WHY_RESET);
	} else if (s->flags & SYN && is_acked && !(s->flags & FIN)) {
		answer_syn(t, k, i, s);
	} else {
		t->stats.bad_header++;
	}
}

/* Its FIN, behind all its bytes. */
static void take_fin(struct gentcp *t, struct gentcp_conn *k, uint32_t i)
{
	k->rcv_nxt++;
	k->opts |= HAS_EOF;
	if (k->state == GENTCP_OPEN) {
		send_rst(t, k, k->snd_nxt, k->rcv_nxt, RST | ACK);
		end(t, i, GENTCP_WHY_EOF);
		return;
	}
	send_ack(t, k);
}

/* Both have closed, and know it. */
static inline bool is_over(const struct gentcp_conn *k)
{
	return k->state == GENTCP_CLOSING && k->opts & HAS_EOF && k->snd_una == k->snd_nxt;
}

/* Whether RST, SYN, timestamp and acknowledgement let it be looked at further (RFC 9293 3.10.7.4, RFC 5961, RFC 7323 5). */
static bool is_acceptable(
	struct gentcp *t, struct gentcp_conn *k, uint32_t i, const struct segment *s)
{
	struct tcp_opts o;

	if (s->flags & RST) {
		if (s->seq == k->rcv_nxt) {
			end(t, i, GENTCP_WHY_RESET);
			return false;
		}
		t->stats.unacceptable++;
		if (s->seq - k->rcv_nxt < RCV_WND)
			send_ack(t, k);
		return false;
	}
	tcp_wire_parse(&o, s->h);
	if (s->flags & SYN || (k->opts & HAS_TS && o.has_ts && seq_lt(o.tsval, k->ts_recent))) {
		t->stats.unacceptable++;
		send_ack(t, k);
		return false;
	}
	if (!(s->flags & ACK)) {
		t->stats.bad_header++;
		return false;
	}
	if (!take_ack(t, k, s)) {
		t->stats.unacceptable++;
		send_ack(t, k);
		return false;
	}
	if (o.has_ts && seq_leq(s->seq, k->rcv_acked))
		k->ts_recent = o.tsval;
	return true;
}

/* All that is not the next bytes of an open connection with timestamps. */
static __rte_noinline void take_slow(
	struct gentcp *t, struct gentcp_conn *k, uint32_t i, struct segment *s)
{
	bool has_fin = s->flags & FIN;
	uint32_t n_old;

	if (k->state == GENTCP_OPENING) {
		take_opening(t, k, i, s);
		return;
	}
	if (!is_acceptable(t, k, i, s))
		return;
	n_old = k->rcv_nxt - s->seq;
	if ((int32_t)n_old < 0) {
		t->stats.out_of_order++;
		send_ack(t, k);
		return;
	}
	if (n_old > 0 && n_old >= s->n_text + has_fin) {
		t->stats.duplicates++;
		send_ack(t, k);
		if (is_over(k))
			end(t, i, GENTCP_WHY_CLOSED);
		return;
	}
	k->snd_wnd = (uint32_t)rte_be_to_cpu_16(s->h->rx_win) << k->wscale;
	take_text(t, k, i, s->text + n_old, s->n_text - n_old);
	if (has_fin && k->state != GENTCP_CLOSED)
		take_fin(t, k, i);
	if (is_over(k))
		end(t, i, GENTCP_WHY_CLOSED);
}

/* A segment of a connection. */
static inline void take(struct gentcp *t, uint32_t i, struct segment *s)
{
	struct gentcp_conn *k = &t->conns[i];
	const uint8_t *options = (const uint8_t *)(s->h + 1);
	const uint32_t ts_head = get32(options), ts = rte_be_to_cpu_32(get32(options + 4));
	const bool is_ts_old = seq_lt(ts, k->ts_recent);
	/* opt: all of these are one branch */
	const bool is_next = (k->state == GENTCP_OPEN) & (k->opts == (HAS_TS | HAS_WSCALE))
		& (s->h->data_off == (sizeof(*s->h) + TCP_WIRE_TS_BYTES) / 4 << 4)
		& ((s->flags & (FIN | SYN | RST | ACK)) == ACK) & (s->seq == k->rcv_nxt)
		& (ts_head == RTE_BE32(TCP_WIRE_TS_HEAD)) & !is_ts_old
		& (s->ack - k->snd_una <= k->snd_nxt - k->snd_una);

	if (unlikely(!is_next)) {
		take_slow(t, k, i, s);
		return;
	}
	take_ack(t, k, s);
	if (k->rcv_acked == k->rcv_nxt) /* RFC 7323 4.3: of what is acknowledged first */
		k->ts_recent = ts;
	k->snd_wnd = (uint32_t)rte_be_to_cpu_16(s->h->rx_win) << k->wscale;
	take_text(t, k, i, s->text, s->n_text);
}

/* Which connection a frame is of, if it is from the target to one of our addresses, and where it is. */
struct place {
	uint32_t i; /* or NOT_OURS, NO_CONN */
	uint32_t generation;
	uint32_t l4_len;
	rte_be32_t client;
};

/* The IPv4 header's address of ours and layer 4; false: it is not ours. */
static inline bool locate_v4(
	const struct gentcp *t, const uint8_t *ip, uint32_t len, struct place *at)
{
	const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(const void *)ip;
	const uint32_t target = get32(t->target);
	uint32_t total;

	if (len < sizeof(*h) + sizeof(struct rte_tcp_hdr))
		return false;
	total = rte_be_to_cpu_16(h->total_length);
	if ((h->version_ihl != 0x45) | (h->next_proto_id != IPPROTO_TCP)
		| ((h->fragment_offset & ~RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0) | (total > len)
		| (total < sizeof(*h) + sizeof(struct rte_tcp_hdr)) | (h->src_addr != target))
		return false;
	at->client = h->dst_addr;
	at->l4_len = total - (uint32_t)sizeof(*h);
	return csum_of(ip, sizeof(*h)) == 0;
}

static inline bool locate_v6(
	const struct gentcp *t, const uint8_t *ip, uint32_t len, struct place *at)
{
	const struct rte_ipv6_hdr *h = (const struct rte_ipv6_hdr *)(const void *)ip;

	if (len < sizeof(*h) + sizeof(struct rte_tcp_hdr))
		return false;
	at->l4_len = rte_be_to_cpu_16(h->payload_len);
	if (ip[0] >> 4 != 6 || h->proto != IPPROTO_TCP || at->l4_len > len - sizeof(*h)
		|| at->l4_len < sizeof(struct rte_tcp_hdr)
		|| memcmp(h->src_addr, t->target, 16) != 0
		|| memcmp(h->dst_addr, t->frame.client, 12) != 0)
		return false;
	at->client = get32(h->dst_addr + 12);
	return true;
}

static inline void locate(const struct gentcp *t, const struct rte_mbuf *m, struct place *at)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint32_t len = m->data_len - RTE_ETHER_HDR_LEN;
	const bool is_v4 = t->frame.family == 4;
	const struct rte_ether_hdr *eh = (const struct rte_ether_hdr *)(const void *)f;
	uint32_t client, port;
	uint64_t flow;

	at->i = NOT_OURS;
	if (m->nb_segs != 1 || m->data_len < RTE_ETHER_HDR_LEN
		|| memcmp(&eh->dst_addr, &t->mac, sizeof(t->mac)) != 0
		|| eh->ether_type
			!= (is_v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6))
		|| !(is_v4 ? locate_v4(t, f + RTE_ETHER_HDR_LEN, len, at)
			   : locate_v6(t, f + RTE_ETHER_HDR_LEN, len, at)))
		return;
	client = rte_be_to_cpu_32(at->client) - t->client_first;
	if (client >= t->frame.n_clients || get16(f + t->frame.l4) != t->target_port)
		return;
	at->i = NO_CONN;
	at->generation = 0;
	port = rte_be_to_cpu_16(get16(f + t->frame.l4 + 2));
	if (port < GENFRAME_PORT_FIRST)
		return;
	flow = (uint64_t)(port - GENFRAME_PORT_FIRST) * t->frame.n_clients + client;
	if (flow < t->p.n_conns) { /* opt: no division */
		at->i = (uint32_t)flow;
	} else if (t->p.is_cycling) {
		at->i = (uint32_t)(flow % t->p.n_conns);
		at->generation = (uint32_t)(flow / t->p.n_conns);
	}
}

/* RFC 9293 3.10.7.1, of a segment to a port that has no connection. */
static void refuse(
	struct gentcp *t, const uint8_t *frame, const struct place *at, const struct segment *s)
{
	const uint32_t n = t->frame.family == 4 ? 4 : 16;
	const uint32_t n_seq = s->n_text + !!(s->flags & SYN) + !!(s->flags & FIN);
	struct gentcp_conn k = {.client = at->client, .port = s->h->dst_port};
	const uint8_t *dst = frame + RTE_ETHER_HDR_LEN
		+ (n == 4 ? offsetof(struct rte_ipv4_hdr, dst_addr)
			  : offsetof(struct rte_ipv6_hdr, dst_addr));

	t->stats.strays++;
	if (s->flags & RST)
		return;
	k.sum = csum_fold(csum_pseudo(dst, t->target, n, IPPROTO_TCP, 0) + k.port + t->target_port);
	if (s->flags & ACK)
		send_rst(t, &k, s->ack, 0, RST);
	else
		send_rst(t, &k, 0, s->seq + n_seq, RST | ACK);
}

static inline void take_frame(struct gentcp *t, struct rte_mbuf *m, const struct place *at)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *), *l4 = f + t->frame.l4;
	const struct rte_tcp_hdr *h = (const struct rte_tcp_hdr *)(const void *)l4;
	const uint32_t n_head = (h->data_off >> 4) * 4u, n = t->frame.family == 4 ? 4 : 16;
	struct segment s = {.h = h,
		.seq = rte_be_to_cpu_32(h->sent_seq),
		.ack = rte_be_to_cpu_32(h->recv_ack),
		.flags = h->tcp_flags};
	const struct gentcp_conn *k;

	if (unlikely(csum_l4(f + t->frame.l4 - 2 * n, f + t->frame.l4 - n, n, IPPROTO_TCP, l4,
			     at->l4_len)
		    != 0)) {
		t->stats.bad_checksum++;
		return;
	}
	if (unlikely(n_head < sizeof(*h) || n_head > at->l4_len)) {
		t->stats.bad_header++;
		return;
	}
	s.text = l4 + n_head;
	s.n_text = at->l4_len - n_head;
	k = at->i != NO_CONN ? &t->conns[at->i] : NULL;
	if (unlikely(k == NULL || k->state == GENTCP_CLOSED || k->generation != at->generation))
		refuse(t, f, at, &s);
	else
		take(t, at->i, &s);
}

uint64_t gentcp_input(struct gentcp *t, struct rte_mbuf *const *m, unsigned n)
{
	struct place at[GENTCP_BURST_MAX];
	uint64_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		locate(t, m[i], &at[i]);
		if (at[i].i < t->p.n_conns)
			rte_prefetch0(&t->conns[at[i].i]);
	}
	for (unsigned i = 0; i < n; i++) {
		if (at[i].i == NOT_OURS)
			continue;
		taken |= 1ull << i;
		take_frame(t, m[i], &at[i]);
	}
	return taken;
}

/* --- timers --- */

void gentcp_at(struct gentcp *t, uint64_t now_us)
{
	t->now_us = now_us;
	t->now_ms = (uint32_t)(now_us / 1000);
}

/* As if nothing had been sent behind what is acknowledged: requests from there on are written once more. */
static void go_back(struct gentcp *t, struct gentcp_conn *k, uint32_t i)
{
	uint32_t seq = k->snd_nxt - k->out_off; /* of request n_sent */

	while (seq_lt(k->snd_una, seq)) {
		k->n_sent--;
		seq -= (uint32_t)(t->p.ops->write(t->p.ctx, i, k->n_sent, t->scratch) - t->scratch);
	}
	k->out_off = (uint16_t)(k->snd_una - seq);
	k->snd_nxt = k->snd_una;
}

static void on_timeout(struct gentcp *t, struct gentcp_conn *k, uint32_t i)
{
	const uint32_t end_seq = k->snd_nxt;

	t->stats.timeouts++;
	k->backoff = (uint8_t)RTE_MIN(k->backoff + 1u, BACKOFF_MAX);
	k->sent_ms = t->now_ms;
	switch ((enum gentcp_state)k->state) {
	case GENTCP_OPENING:
		t->stats.retransmits++;
		send_syn(t, k);
		break;
	case GENTCP_CLOSING:
		t->stats.retransmits++;
		send_fin(t, k);
		break;
	case GENTCP_OPEN:
		go_back(t, k, i);
		while (seq_lt(k->snd_nxt, end_seq) && send_one(t, k, i))
			t->stats.retransmits++;
		break;
	case GENTCP_CLOSED:
		break;
	}
}

/* RFC 9293 3.8.6.1: asks for the window, which is closed, by a byte that was sent before. */
static void probe_window(struct gentcp *t, struct gentcp_conn *k)
{
	struct rte_mbuf *m = begin_frame(t);

	k->backoff = (uint8_t)RTE_MIN(k->backoff + 1u, BACKOFF_MAX);
	k->sent_ms = t->now_ms;
	if (m != NULL)
		send_segment(t, k, m, k->snd_nxt - 1, ACK, 0);
}

static inline void run_timers(struct gentcp *t, uint32_t i)
{
	struct gentcp_conn *k = &t->conns[i];
	const uint32_t rto = (k->state == GENTCP_OPENING ? GENTCP_SYN_RTO_MS : GENTCP_RTO_MS)
		<< k->backoff;
	bool is_due;

	if (k->state == GENTCP_CLOSED)
		return;
	is_due = t->now_ms - k->sent_ms >= rto;
	if (k->snd_nxt != k->snd_una) {
		if (is_due)
			on_timeout(t, k, i);
	} else if (k->n_sent != k->n_due) {
		gentcp_send(t, i); /* there was no buffer */
		if (is_due && k->snd_wnd == 0)
			probe_window(t, k);
	}
	if (k->state != GENTCP_OPENING && k->rcv_acked != k->rcv_nxt
		&& (uint16_t)(t->now_ms - k->ack_ms) >= GENTCP_ACK_MS)
		send_ack(t, k);
}

void gentcp_poll(struct gentcp *t)
{
	const uint64_t us = t->now_us - t->swept_us;
	uint32_t n;

	if (us < SWEEP_EVERY_US)
		return;
	if (us >= SWEEP_US) { /* it has not been called for long */
		n = t->p.n_conns;
		t->swept_us = t->now_us;
	} else {
		n = (uint32_t)(us * t->p.n_conns / SWEEP_US);
		t->swept_us += ((uint64_t)n * SWEEP_US + t->p.n_conns - 1) / t->p.n_conns;
	}
	n = RTE_MIN(n, SWEEP_MAX);
	for (; n > 0; n--) {
		run_timers(t, t->swept);
		t->swept = t->swept + 1 < t->p.n_conns ? t->swept + 1 : 0;
	}
}

/* --- set-up --- */

void gentcp_stats_add(struct gentcp_stats *to, const struct gentcp_stats *from)
{
#define ADD(name, help) to->name += from->name;
	GENTCP_STATS(ADD)
#undef ADD
}

int gentcp_init(struct gentcp *t, const struct gentcp_params *p)
{
	struct genframe_params frame = *p->frame;
	uint8_t *ip = t->head + RTE_ETHER_HDR_LEN;
	const rte_be32_t ts = RTE_BE32(TCP_WIRE_TS_HEAD);
	const unsigned n_fixed = frame.target->family == 4 ? 0 : 12;

	memset(t, 0, sizeof(*t));
	t->p = *p;
	frame.is_unmarked = true;
	genframe_init(&t->frame, &frame);
	t->p.frame = NULL;
	if (genframe_flows_max(&t->frame) < p->n_conns)
		return -EINVAL;
	t->n_generations =
		RTE_MIN(genframe_flows_max(&t->frame) / p->n_conns, (uint64_t)UINT32_MAX);
	memcpy(t->head, t->frame.head, t->frame.head_len);
	memcpy(t->head + t->frame.head_len, &ts, sizeof(ts));
	if (t->frame.family == 4)
		t->ip_sum = csum_words(ip, sizeof(struct rte_ipv4_hdr));
	else
		memcpy(ip + offsetof(struct rte_ipv6_hdr, src_addr), t->frame.client, n_fixed);
	t->mss = MTU + RTE_ETHER_HDR_LEN - t->frame.head_len;
	t->text_room = RTE_MBUF_DEFAULT_BUF_SIZE - RTE_PKTMBUF_HEADROOM - HEAD_COPY;
	t->mac = frame.src_mac;
	memcpy(t->target, frame.target->ip, sizeof(t->target));
	t->target_port = rte_cpu_to_be_16(frame.target_port);
	t->client_first = rte_be_to_cpu_32(get32(t->frame.client + n_fixed));
	t->conns = aligned_alloc(RTE_CACHE_LINE_SIZE, p->n_conns * sizeof(*t->conns));
	if (t->conns == NULL)
		return -ENOMEM;
	memset(t->conns, 0, p->n_conns * sizeof(*t->conns));
	return 0;
}

void gentcp_fini(struct gentcp *t)
{
	rte_pktmbuf_free_bulk(t->stock, t->n_stock);
	free(t->conns);
	t->conns = NULL;
	t->n_stock = 0;
}
