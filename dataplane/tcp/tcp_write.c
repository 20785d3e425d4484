/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_write — see tcp.h: what an application writes becomes segments of the queue, whole ones but for the last. Bytes are copied into
 * buffers of the stack, or stay where they are, and the segments refer to them.
 */
#include "tcp/tcb.h"
#include "tcp/tcp.h"

/* Bytes that may be queued beside those that are; 0: none, or not any more. */
static inline uint32_t room_of(const struct tcb *c)
{
	const uint32_t max = tcp_snd_max(c->profile);

	if (unlikely((c->state != TCP_S_ESTABLISHED && c->state != TCP_S_CLOSE_WAIT)
		    || c->flags & TCP_F_FIN_WANTED || c->snd_bytes >= max))
		return 0;
	return max - c->snd_bytes;
}

bool tcp_write_begin(struct tcb *c, uint8_t **p, uint8_t **end)
{
	struct rte_mbuf *m = c->snd_unsent != NULL ? c->snd_tail : NULL;
	const uint32_t room = room_of(c);
	struct tcp_seg *s;

	if (unlikely(room == 0))
		return false;
	if (m == NULL || tcp_seg(m)->len >= c->mss) {
		/* the other half is for what comes */
		m = tcp_buf_take(c->t, c->t->p.n_bufs / 2 - c->t->p.n_bufs / 64);
		if (m == NULL)
			return false;
		*tcp_seg(m) = (struct tcp_seg){.off = m->data_off,
			.seq = c->snd_tail != NULL
				? tcp_seg(c->snd_tail)->seq + tcp_seg_span(c->snd_tail)
				: c->snd_nxt};
		c->writing = m;
	}
	s = tcp_seg(m);
	*p = (uint8_t *)m->buf_addr + s->off + s->len;
	*end = *p + RTE_MIN((uint32_t)c->mss - s->len, room);
	return true;
}

static void append_snd(struct tcb *c, struct rte_mbuf *m)
{
	if (c->snd_tail != NULL)
		tcp_seg(c->snd_tail)->next = m;
	else
		c->snd_head = m;
	c->snd_tail = m;
	if (c->snd_unsent == NULL)
		c->snd_unsent = m;
}

void tcp_write_end(struct tcb *c, uint8_t *p)
{
	struct rte_mbuf *m = c->writing != NULL ? c->writing : c->snd_tail;
	const uint8_t *old = (const uint8_t *)m->buf_addr + tcp_seg(m)->off + tcp_seg(m)->len;
	const uint32_t n = (uint32_t)(p - old);

	if (c->writing != NULL) {
		c->writing = NULL;
		if (n == 0) {
			tcp_buf_free(c->t, m);
			return;
		}
		append_snd(c, m);
	}
	tcp_seg(m)->len = (uint16_t)(tcp_seg(m)->len + n);
	c->snd_bytes += n;
	tcp_mark_dirty(c->t, c);
}

uint32_t tcp_write(struct tcb *c, const void *data, uint32_t len)
{
	const uint8_t *from = data;
	uint32_t done = 0;
	uint8_t *p, *end;

	while (done < len && tcp_write_begin(c, &p, &end)) {
		const uint32_t n = RTE_MIN(len - done, (uint32_t)(end - p));

		memcpy(p, from + done, n);
		done += n;
		tcp_write_end(c, p + n);
	}
	return done;
}

bool tcp_write_takes_refs(const struct tcb *c)
{
	const struct iface *f = &c->t->p.ifaces->of[c->link.iface];

	return f->writes_csums && f->takes_chains;
}

uint32_t tcp_write_ref(
	struct tcb *c, const void *data, uint32_t len, struct rte_mbuf_ext_shared_info *by)
{
	const uint8_t *const end = (const uint8_t *)data + len;
	const uint8_t *p = data;

	if (c->snd_unsent == NULL || tcp_seg(c->snd_tail)->len < c->mss || !tcp_write_takes_refs(c))
		return 0;
	while (end - p >= c->mss && room_of(c) >= c->mss) {
		struct rte_mbuf *m = tcp_buf_take(c->t, c->t->p.n_bufs / 2 - c->t->p.n_bufs / 64);

		if (m == NULL)
			break;
		rte_mbuf_ext_refcnt_update(by, 1);
		rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)p, (rte_iova_t)p, c->mss, by);
		*tcp_seg(m) = (struct tcp_seg){.seq = tcp_seg_end(c->snd_tail), .len = c->mss};
		append_snd(c, m);
		c->snd_bytes += c->mss;
		p += c->mss;
		tcp_mark_dirty(c->t, c);
	}
	return (uint32_t)(p - (const uint8_t *)data);
}
