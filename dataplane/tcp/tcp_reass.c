/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_reass — see tcp_reass.h. Small segments are copied behind the bytes of the mbuf before them, in the queue and out of order:
 * memory is then bounded by bytes, not by segments.
 *
 * What is out of order is a list of ranges, in order of sequence numbers, with a gap between each two: a range is a chain of mbufs
 * whose bytes follow each other, and what there is to know of it is in the first of them. So a segment is looked for among the holes of
 * the window and not among its segments, and so are SACK blocks. Bounds:
 *
 *  - ranges, RANGES_MAX, which is also what a search costs. Tiny segments with holes take a mbuf each, and so not more than that;
 *  - mbufs: a connection has half of what nobody has taken of those for segments out of order (FEW_BUFS if that is less). Alone
 *    it has what its window promises; where many leave holes, each has the less, and some is left for the next. A quarter of that
 *    is for segments in front of others: what repairs a hole finds room where what comes behind finds none.
 *
 * What does not fit is dropped and counted, and comes again. What is there stays until its turn comes: who has read of it in a SACK
 * block never sends it again in vain (RFC 2018 8 would allow it to go).
 */
#include "tcp/tcp_reass.h"

#define COPY_MAX 512u
#define FEW_BYTES 2048u
#define RANGES_MAX 64u
#define FEW_BUFS 32u
#define SHARE 2u

/* Of the first mbuf of a range, in its private area: what core/ notes there has been read when its segment is here. */
struct range {
	struct rte_mbuf *next; /* first of the next range */
	struct rte_mbuf *last;
	uint32_t end;   /* the sequence number behind it */
	uint32_t stamp; /* higher where a segment came later */
	uint32_t n_bufs;
};
_Static_assert(sizeof(struct range) <= BURST_MBUF_PRIV, "fits");

static inline struct range *range_of(struct rte_mbuf *first)
{
	return (struct range *)(void *)(first + 1);
}

/* Whether the bytes of m have room behind those of `last`, and that mbuf is ours alone. */
static inline bool fits_behind(struct rte_mbuf *last, struct rte_mbuf *m)
{
	const struct tcp_seg *l = tcp_seg(last);

	return tcp_seg(m)->len <= COPY_MAX && !RTE_MBUF_HAS_EXTBUF(last) && !RTE_MBUF_CLONED(last)
		&& rte_mbuf_refcnt_read(last) == 1
		&& last->buf_len - ((uint32_t)l->off + l->len) >= tcp_seg(m)->len;
}

static inline void copy_behind(struct rte_mbuf *last, struct rte_mbuf *m)
{
	struct tcp_seg *l = tcp_seg(last);

	memcpy((uint8_t *)last->buf_addr + l->off + l->len, tcp_seg_data(m), tcp_seg(m)->len);
	l->len = (uint16_t)(l->len + tcp_seg(m)->len);
}

/* Whether what is unread has been so since before this burst, or was left by the application. */
static bool is_stale(const struct tcb *c)
{
	return c->rcv_head != NULL && c->unread_us != (uint16_t)c->t->now_us;
}

/* A segment that begins at rcv_nxt; its mbuf is counted. */
static void append(struct tcb *c, struct rte_mbuf *m)
{
	struct tcp_seg *s = tcp_seg(m);
	bool is_kept = s->len > 0;

	c->rcv_nxt += tcp_seg_span(m);
	c->rcv_bytes += s->len;
	if (s->flags & TCP_SEG_FIN)
		c->flags |= TCP_F_FIN_RCVD;
	if (is_kept && c->rcv_tail != NULL && fits_behind(c->rcv_tail, m)) {
		copy_behind(c->rcv_tail, m);
		is_kept = false;
	}
	if (!is_kept) {
		tcp_buf_free_rcv(c->t, m);
		return;
	}
	s->next = NULL;
	if (c->rcv_tail != NULL) {
		tcp_seg(c->rcv_tail)->next = m;
	} else {
		c->rcv_head = m;
		c->unread_us = (uint16_t)c->t->now_us;
	}
	c->rcv_tail = m;
}

/* Takes n bytes off the front. */
static void trim_front(struct rte_mbuf *m, uint32_t n)
{
	struct tcp_seg *s = tcp_seg(m);

	s->seq += n;
	s->off = (uint16_t)(s->off + n);
	s->len = (uint16_t)(s->len - n);
}

/* --- out of order --- */

/* Takes the range out of the list; its mbufs are the caller's. */
static struct rte_mbuf *unlink_range(struct tcb *c, struct rte_mbuf **link)
{
	struct rte_mbuf *m = *link;

	*link = range_of(m)->next;
	c->n_ooo--;
	return m;
}

static void free_range(struct tcb *c, struct rte_mbuf **link)
{
	struct rte_mbuf *m = unlink_range(c, link);

	while (m != NULL) {
		struct rte_mbuf *const next = tcp_seg(m)->next;

		tcp_buf_free_rcv(c->t, m);
		m = next;
	}
}

void tcp_reass_free(struct tcb *c)
{
	while (c->ooo != NULL)
		free_range(c, &c->ooo);
}

/* What the store has of rcv_nxt. */
static void drain(struct tcb *c)
{
	while (c->ooo != NULL && seq_leq(tcp_seg(c->ooo)->seq, c->rcv_nxt)) {
		struct rte_mbuf *m = unlink_range(c, &c->ooo);

		while (m != NULL) {
			struct rte_mbuf *const next = tcp_seg(m)->next;
			const uint32_t old = c->rcv_nxt - tcp_seg(m)->seq;

			if (old >= tcp_seg_span(m) || c->flags & TCP_F_FIN_RCVD) {
				tcp_buf_free_rcv(c->t, m);
			} else {
				trim_front(m, old);
				append(c, m);
			}
			m = next;
		}
	}
}

uint32_t tcp_reass_n_bufs(const struct tcb *c)
{
	uint32_t n = 0;

	for (struct rte_mbuf *r = c->ooo; r != NULL; r = range_of(r)->next)
		n += range_of(r)->n_bufs;
	return n;
}

/* mbufs that may be received; a quarter is for what is in order and soon read, so that who leaves gaps, or has requests wait, stops nobody. */
static uint32_t n_bufs_max(const struct tcp *t, bool is_soon_read)
{
	const uint32_t n = t->p.n_bufs / 2;

	return is_soon_read ? n : n - n / 4;
}

/* For one more mbuf, which is counted already. is_far: there is nothing behind it. */
static bool may_store(const struct tcb *c, bool is_far, bool is_range)
{
	const uint32_t n_free =
		n_bufs_max(c->t, false) - RTE_MIN(n_bufs_max(c->t, false), c->t->n_rcv_bufs);
	const uint32_t n = RTE_MAX(FEW_BUFS, n_free / SHARE);

	return tcp_reass_n_bufs(c) < (is_far ? n - n / 4 : n)
		&& !(is_range && c->n_ooo >= RANGES_MAX);
}

/* m behind the bytes of range r, of which it may have a mbuf of its own. */
static void extend(struct tcb *c, struct rte_mbuf *r, struct rte_mbuf *m)
{
	struct range *a = range_of(r);

	a->end = tcp_seg_end(m);
	if (fits_behind(a->last, m)) {
		copy_behind(a->last, m);
		tcp_seg(a->last)->flags |= tcp_seg(m)->flags;
		tcp_buf_free_rcv(c->t, m);
		return;
	}
	tcp_seg(a->last)->next = m;
	a->last = m;
	a->n_bufs++;
}

/* The next range, if it begins where this one ends, becomes a part of it. */
static void join_next(struct tcb *c, struct rte_mbuf *r)
{
	struct range *a = range_of(r);
	struct rte_mbuf *m, *rest;
	struct range b;

	if (a->next == NULL || tcp_seg(a->next)->seq != a->end)
		return;
	b = *range_of(a->next);
	m = unlink_range(c, &a->next);
	rest = tcp_seg(m)->next;
	tcp_seg(m)->next = NULL;
	extend(c, r, m);
	a->end = b.end;
	if (rest != NULL) {
		tcp_seg(a->last)->next = rest;
		a->last = b.last;
		a->n_bufs += b.n_bufs - 1;
	}
}

static void refuse(struct tcb *c, struct rte_mbuf *m, uint64_t *counter)
{
	(*counter)++;
	tcp_buf_free_rcv(c->t, m);
}

/* Into the store, at its place; bytes that are there already are cut off, and of a FIN all that is said to be behind it. m is counted. */
static void insert(struct tcb *c, struct rte_mbuf *m)
{
	struct tcp_stats *stats = &c->t->stats;
	struct tcp_seg *s = tcp_seg(m);
	struct rte_mbuf **link = &c->ooo, *r, *next;

	while (*link != NULL && seq_lt(range_of(*link)->end, s->seq))
		link = &range_of(*link)->next;
	r = *link != NULL && seq_leq(tcp_seg(*link)->seq, s->seq) ? *link : NULL;
	if (r != NULL) {
		const uint32_t old = range_of(r)->end - s->seq;

		range_of(r)->stamp = ++c->ooo_stamp;
		if (old >= tcp_seg_span(m) || tcp_seg(range_of(r)->last)->flags & TCP_SEG_FIN) {
			refuse(c, m, &stats->duplicates); /* nothing new */
			return;
		}
		trim_front(m, old);
		link = &range_of(r)->next;
	}
	if ((r == NULL || !fits_behind(range_of(r)->last, m))
		&& !may_store(c, *link == NULL, r == NULL)) {
		refuse(c, m, &stats->out_of_order_dropped);
		return;
	}
	while (*link != NULL
		&& (s->flags & TCP_SEG_FIN || seq_leq(range_of(*link)->end, tcp_seg_end(m))))
		free_range(c, link);
	next = *link;
	if (next != NULL && seq_lt(tcp_seg(next)->seq, tcp_seg_end(m)))
		s->len = (uint16_t)(tcp_seg(next)->seq - s->seq);
	s->next = NULL;
	stats->out_of_order++;
	if (r != NULL) {
		extend(c, r, m);
	} else {
		*range_of(m) = (struct range){.next = next,
			.last = m,
			.end = tcp_seg_end(m),
			.stamp = ++c->ooo_stamp,
			.n_bufs = 1};
		*link = r = m;
		c->n_ooo++;
	}
	join_next(c, r);
}

void tcp_reass_sacks(const struct tcb *c, struct tcp_opts *o)
{
	uint32_t stamps[TCP_WIRE_SACKS_MAX];

	for (struct rte_mbuf *m = c->ooo; m != NULL; m = range_of(m)->next) {
		const struct range *r = range_of(m);
		unsigned at = o->n_sacks;

		if (at == TCP_WIRE_SACKS_MAX && seq_lt(r->stamp, stamps[at - 1]))
			continue;
		if (at == TCP_WIRE_SACKS_MAX)
			at--;
		else
			o->n_sacks++;
		for (; at > 0 && seq_lt(stamps[at - 1], r->stamp); at--) {
			o->sacks[at] = o->sacks[at - 1];
			stamps[at] = stamps[at - 1];
		}
		o->sacks[at] = (struct tcp_sack){tcp_seg(m)->seq, r->end};
		stamps[at] = r->stamp;
	}
}

void tcp_reass_add(struct tcb *c, struct tcp_in *in, bool *is_in_order)
{
	struct rte_mbuf *m = in->m;
	struct tcp_seg *s = tcp_seg(m);
	bool is_soon_read;

	*is_in_order = false;
	*s = (struct tcp_seg){.seq = in->seq,
		.len = (uint16_t)in->len,
		.off = (uint16_t)(m->data_off + in->off),
		.flags = in->flags & RTE_TCP_FIN_FLAG ? TCP_SEG_FIN : 0};
	if (c->flags & TCP_F_FIN_RCVD || seq_leq(in->seq + tcp_seg_span(m), c->rcv_nxt)) {
		c->t->stats.duplicates++;
		rte_pktmbuf_free(m);
		return;
	}
	if (seq_lt(in->seq, c->rcv_nxt))
		trim_front(m, c->rcv_nxt - in->seq);
	if (seq_lt(c->rcv_adv, s->seq + s->len)) {
		s->len = (uint16_t)(c->rcv_adv - s->seq);
		s->flags = 0;
	}
	if (tcp_seg_span(m) == 0) {
		rte_pktmbuf_free(m);
		return;
	}
	is_soon_read = s->seq == c->rcv_nxt && (c->rcv_bytes < FEW_BYTES || !is_stale(c));
	if (c->t->n_rcv_bufs >= n_bufs_max(c->t, is_soon_read)) {
		c->t->stats.no_buffer++;
		rte_pktmbuf_free(m);
		return;
	}
	c->t->n_rcv_bufs++;
	c->t->n_bufs++;
	if (s->seq != c->rcv_nxt) {
		insert(c, m);
		return;
	}
	*is_in_order = true;
	append(c, m);
	if (unlikely(c->n_ooo > 0))
		drain(c);
}

/* One range after the other, each of bytes that follow each other. */
bool tcp_reass_check(const struct tcb *c, uint32_t *n)
{
	uint32_t n_ranges = 0, end = c->rcv_nxt;

	for (struct rte_mbuf *r = c->ooo; r != NULL; r = range_of(r)->next) {
		const struct range *a = range_of(r);
		uint32_t n_bufs = 0;

		if (!seq_lt(end, tcp_seg(r)->seq))
			return false;
		end = tcp_seg(r)->seq;
		for (struct rte_mbuf *m = r; m != NULL; m = tcp_seg(m)->next) {
			if (tcp_seg(m)->seq != end || tcp_seg_span(m) == 0
				|| (m == a->last) != (tcp_seg(m)->next == NULL)
				|| (tcp_seg(m)->flags & TCP_SEG_FIN && m != a->last))
				return false;
			end = tcp_seg_end(m);
			n_bufs++;
		}
		if (end != a->end || n_bufs != a->n_bufs || seq_lt(c->ooo_stamp, a->stamp))
			return false;
		n_ranges++;
		*n += n_bufs;
	}
	return n_ranges == c->n_ooo && n_ranges <= RANGES_MAX;
}
