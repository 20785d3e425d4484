/* SPDX-License-Identifier: BSD-3-Clause */
/* tcp_check — whether what a connection has in queues is what tcb.h says of it. For assertions: it walks. */
#include "tcp/tcb.h"
#include "tcp/tcp_reass.h"

/* The send queue: no gaps, sums are right (I2). Adds its mbufs to *n. */
static bool check_snd(const struct tcb *c, uint32_t *n)
{
	const struct rte_mbuf *fack = NULL;
	uint32_t seq = c->snd_una, sums[4] = {0}, n_sacked = 0;
	bool is_sent = true;

	for (struct rte_mbuf *m = c->snd_head; m != NULL; m = tcp_seg(m)->next) {
		const struct tcp_seg *s = tcp_seg(m);
		const uint32_t span = tcp_seg_span(m);

		if (m == c->snd_unsent) {
			is_sent = false;
			if (seq != c->snd_nxt)
				return false;
		}
		if (s->seq != seq || (s->next == NULL && m != c->snd_tail)
			|| (!is_sent && s->flags & ~TCP_SEG_FIN)
			|| (s->flags & TCP_SEG_FIN && s->next != NULL))
			return false;
		seq += span;
		sums[0] += s->len;
		sums[1] += s->flags & TCP_SEG_SACKED ? span : 0;
		sums[2] += s->flags & TCP_SEG_LOST ? span : 0;
		sums[3] += s->flags & TCP_SEG_RETRANS ? span : 0;
		if (s->flags & TCP_SEG_SACKED) {
			fack = m;
			n_sacked++;
		}
		(*n)++;
	}
	if (c->state == TCP_S_SYN_SENT)
		return c->snd_head == NULL;
	if (c->is_sole
		&& (c->snd_head == NULL || c->snd_head == c->snd_unsent
			|| tcp_seg(c->snd_head)->flags & TCP_SEG_EVER
			|| tcp_seg(c->snd_head)->sent_us != (uint32_t)c->stuck_us))
		return false; /* I7 */
	return (!is_sent || seq == c->snd_nxt) && sums[0] == c->snd_bytes && sums[2] == c->lost
		&& sums[3] == c->retrans && c->lost + c->sacked <= tcb_flight(c)
		&& c->retrans <= c->lost && fack == c->snd_fack
		&& (!(c->flags & TCP_F_SACK) || (sums[1] == c->sacked && n_sacked == c->n_sacked));
}

/* What is said of cold fields without a look at them. */
static bool check_cold(const struct tcb *c)
{
	static const struct tcb none;

	return (c->has_marks || (c->sacked | c->n_sacked | c->lost | c->retrans) == 0)
		&& (c->has_cc || memcmp(&c->cc, &none.cc, sizeof(c->cc)) == 0);
}

/* What was received (I3). */
static bool check_rcv(const struct tcb *c, uint32_t *n)
{
	uint32_t bytes = 0;

	for (struct rte_mbuf *m = c->rcv_head; m != NULL; m = tcp_seg(m)->next) {
		bytes += tcp_seg(m)->len;
		if (tcp_seg(m)->len == 0 || (tcp_seg(m)->next == NULL && m != c->rcv_tail))
			return false;
		(*n)++;
	}
	return bytes == c->rcv_bytes;
}

bool tcp_check_queues(const struct tcb *c, uint32_t *n_snd, uint32_t *n_rcv)
{
	return check_cold(c) && check_snd(c, n_snd) && check_rcv(c, n_rcv)
		&& tcp_reass_check(c, n_rcv);
}
