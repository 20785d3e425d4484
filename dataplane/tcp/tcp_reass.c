/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_reass — see tcp_reass.h. Small segments are copied behind the bytes of the last mbuf in the queue: memory is then
 * bounded by bytes, not by segments.
 */
#include "tcp/tcp_reass.h"

#define COPY_MAX 512u
#define FEW_BYTES 2048u

/* Behind the last bytes of the queue, where that mbuf is ours alone. */
static bool copy_to_tail(struct tcb *c, struct rte_mbuf *m)
{
	struct rte_mbuf *tail = c->rcv_tail;
	const struct tcp_seg *s = tcp_seg(m);
	uint32_t end;

	if (tail == NULL || s->len > COPY_MAX || RTE_MBUF_HAS_EXTBUF(tail) || RTE_MBUF_CLONED(tail)
		|| rte_mbuf_refcnt_read(tail) > 1)
		return false;
	end = (uint32_t)tcp_seg(tail)->off + tcp_seg(tail)->len;
	if (tail->buf_len - end < s->len)
		return false;
	memcpy((uint8_t *)tail->buf_addr + end, tcp_seg_data(m), s->len);
	tcp_seg(tail)->len = (uint16_t)(tcp_seg(tail)->len + s->len);
	return true;
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

	c->rcv_nxt += tcp_seg_span(m);
	c->rcv_bytes += s->len;
	if (s->flags & TCP_SEG_FIN)
		c->flags |= TCP_F_FIN_RCVD;
	if (s->len == 0 || copy_to_tail(c, m)) {
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

static void ooo_del(struct tcb *c, struct rte_mbuf **link)
{
	struct rte_mbuf *m = *link;

	*link = tcp_seg(m)->next;
	c->n_ooo--;
	tcp_buf_free_rcv(c->t, m);
}

/* What the store has of rcv_nxt. */
static void drain(struct tcb *c)
{
	while (c->ooo != NULL && seq_leq(tcp_seg(c->ooo)->seq, c->rcv_nxt)) {
		struct rte_mbuf *m = c->ooo;
		const uint32_t old = c->rcv_nxt - tcp_seg(m)->seq;

		if (old >= tcp_seg_span(m) || c->flags & TCP_F_FIN_RCVD) {
			ooo_del(c, &c->ooo);
			continue;
		}
		c->ooo = tcp_seg(m)->next;
		c->n_ooo--;
		trim_front(m, old);
		append(c, m);
	}
}

/* The last of the store, which is farthest away. */
static struct rte_mbuf **ooo_last(struct tcb *c)
{
	struct rte_mbuf **link = &c->ooo;

	while (tcp_seg(*link)->next != NULL)
		link = &tcp_seg(*link)->next;
	return link;
}

/* Into the store, at its place; bytes that are there already are cut off. m is counted. */
static void insert(struct tcb *c, struct rte_mbuf *m)
{
	struct tcp_seg *s = tcp_seg(m);
	struct rte_mbuf **link = &c->ooo, *next;

	if (c->n_ooo >= TCP_OOO_MAX) {
		c->t->stats.out_of_order_dropped++;
		if (seq_leq(tcp_seg(*ooo_last(c))->seq, s->seq)) {
			tcp_buf_free_rcv(c->t, m);
			return;
		}
		ooo_del(c, ooo_last(c));
	}
	while (*link != NULL && seq_leq(tcp_seg(*link)->seq, s->seq)) {
		const uint32_t end = tcp_seg(*link)->seq + tcp_seg_span(*link);

		if (seq_leq(s->seq + tcp_seg_span(m), end)
			|| tcp_seg(*link)->flags & TCP_SEG_FIN) { /* nothing new */
			c->t->stats.duplicates++;
			tcp_buf_free_rcv(c->t, m);
			return;
		}
		if (seq_lt(s->seq, end))
			trim_front(m, end - s->seq);
		link = &tcp_seg(*link)->next;
	}
	while ((next = *link) != NULL
		&& seq_leq(tcp_seg(next)->seq + tcp_seg_span(next), s->seq + tcp_seg_span(m)))
		ooo_del(c, link);
	if (next != NULL && seq_lt(tcp_seg(next)->seq, s->seq + tcp_seg_span(m))) {
		s->len = (uint16_t)(tcp_seg(next)->seq - s->seq);
		s->flags &= (uint8_t)~TCP_SEG_FIN;
	}
	s->next = next;
	*link = m;
	c->n_ooo++;
	c->t->stats.out_of_order++;
}

void tcp_reass_add(struct tcb *c, struct tcp_in *in, bool *is_in_order)
{
	struct rte_mbuf *m = in->m;
	struct tcp_seg *s = tcp_seg(m);
	uint32_t n_max;

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
	/* who leaves gaps on purpose, or has requests wait, stops nobody: a quarter is for what is in order and soon read */
	n_max = c->t->p.n_bufs / 2;
	if (s->seq != c->rcv_nxt || (c->rcv_bytes >= FEW_BYTES && is_stale(c)))
		n_max -= n_max / 4;
	if (c->t->n_rcv_bufs >= n_max) {
		c->t->stats.no_buffer++;
		rte_pktmbuf_free(m);
		return;
	}
	c->t->n_rcv_bufs++;
	c->t->n_bufs++;
	if (s->seq != c->rcv_nxt) {
		c->last_ooo = s->seq;
		insert(c, m);
		return;
	}
	*is_in_order = true;
	append(c, m);
	drain(c);
}
