/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp — see tcp.h and tcb.h. What is called from outside: bursts, timers, and what applications do with a connection.
 *
 * A call into the stack has three parts: segments or timers, which change connections and mark them; on_ready() for those
 * with news; and flush(), which sends for each marked connection once, and takes down those that have ended. So connections
 * go away nowhere else, and a callback may end any.
 */
#include "tcp/tcp.h"

#include "base/csum.h"
#include "core/nic.h"
#include "tcp/tcp_in.h"
#include "tcp/tcp_listen.h"
#include "tcp/tcp_out.h"
#include "tcp/tcp_reass.h"

#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_mbuf_dyn.h>
#include <rte_prefetch.h>

#include <errno.h>

#define N_DUE_MAX 256u
#define DUE_AHEAD 8u
#define SPARES_AHEAD 3u
#define N_MIN 16u
#define N_MAX (1u << 24)

/* Of all stacks of the process: the same name and place is registered once. */
static const struct rte_mbuf_dynfield seg_field = {.name = "millrace_tcp_seg",
	.size = sizeof(struct tcp_seg),
	.align = _Alignof(struct tcp_seg)};

static const uint32_t none_blocked;

static bool pool_init(struct tcp_pool *p, uint32_t n, int socket_id)
{
	p->free = rte_malloc_socket("tcp", n * sizeof(*p->free), 64, socket_id);
	if (p->free == NULL)
		return false;
	p->n = p->n_free = n;
	for (uint32_t i = 0; i < n; i++)
		p->free[i] = n - 1 - i;
	return true;
}

static bool is_in_range(uint32_t n)
{
	return n >= N_MIN && n <= N_MAX;
}

static bool alloc_tables(struct tcp *t)
{
	const struct tcp_params *p = &t->p;
	const uint32_t n = p->n_conns + p->n_syns + p->n_time_waits;
	struct tcp_flow_array arrays[TCP_N_KINDS];

	t->tcbs = rte_zmalloc_socket("tcp", p->n_conns * sizeof(*t->tcbs), 64, p->socket_id);
	t->syns = rte_zmalloc_socket("tcp", p->n_syns * sizeof(*t->syns), 64, p->socket_id);
	t->waits = rte_zmalloc_socket("tcp", p->n_time_waits * sizeof(*t->waits), 64, p->socket_id);
	t->links = rte_malloc_socket("tcp", n * sizeof(*t->links), 64, p->socket_id);
	if (t->tcbs == NULL || t->syns == NULL || t->waits == NULL || t->links == NULL)
		return false;
	arrays[TCP_KIND_TCB] = (struct tcp_flow_array){t->tcbs, sizeof(*t->tcbs), TCB_HOT_BYTES};
	arrays[TCP_KIND_SYN] = (struct tcp_flow_array){t->syns, sizeof(*t->syns), sizeof(*t->syns)};
	arrays[TCP_KIND_WAIT] =
		(struct tcp_flow_array){t->waits, sizeof(*t->waits), sizeof(*t->waits)};
	arrays[0] = arrays[TCP_KIND_TCB];
	return pool_init(&t->tcb_pool, p->n_conns, p->socket_id)
		&& pool_init(&t->syn_pool, p->n_syns, p->socket_id)
		&& pool_init(&t->wait_pool, p->n_time_waits, p->socket_id)
		&& tcp_flow_create(&t->flow, n, arrays, p->socket_id) == 0;
}

int tcp_create(struct tcp **out, const struct tcp_params *p)
{
	struct tcp *t;

	if (!is_in_range(p->n_conns) || !is_in_range(p->n_syns) || !is_in_range(p->n_time_waits)
		|| rte_pktmbuf_priv_size(p->pool) < BURST_MBUF_PRIV
		|| rte_pktmbuf_data_room_size(p->pool) < TCP_PAYLOAD_AT + 536)
		return -EINVAL;
	if (rte_mbuf_dynfield_register_offset(&seg_field, TCP_SEG_AT) < 0)
		return -rte_errno;
	t = rte_zmalloc_socket("tcp", sizeof(*t), 64, p->socket_id);
	if (t == NULL)
		return -ENOMEM;
	t->p = *p;
	if (p->blocked == NULL)
		t->p.blocked = &none_blocked;
	if (!alloc_tables(t)) {
		tcp_destroy(&t);
		return -ENOMEM;
	}
	wheel_init(&t->wheel, t->links, p->n_conns + p->n_syns + p->n_time_waits,
		(uint32_t)(p->now_us / 1000), 0);
	tcp_set_now(t, p->now_us);
	t->more_dirty_end = &t->more_dirty;
	TAILQ_INIT(&t->agains);
	for (unsigned i = 0; i < IFACE_MAX; i++)
		TAILQ_INIT(&t->held[i]);
	*out = t;
	return 0;
}

/* What will be written of a spare, once those in front of it are. */
static inline void prefetch_spare(const struct tcp *t)
{
	if (t->n_spares > SPARES_AHEAD) {
		struct rte_mbuf *m = t->spares[t->n_spares - 1 - SPARES_AHEAD];
		const uint8_t *data = (const uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;

		rte_prefetch0(tcp_seg(m));
		rte_prefetch0(data);
		rte_prefetch0(data + RTE_CACHE_LINE_SIZE);
	}
}

struct rte_mbuf *tcp_buf_take(struct tcp *t, uint32_t n_max)
{
	struct rte_mbuf *m = NULL;

	if (likely(t->n_bufs - t->n_rcv_bufs < n_max)) {
		if (likely(t->n_spares > 0)) {
			m = t->spares[--t->n_spares];
			prefetch_spare(t);
			rte_pktmbuf_reset(m);
		} else {
			m = rte_pktmbuf_alloc(t->p.pool);
		}
	}
	if (unlikely(m == NULL)) {
		t->stats.no_buffer++;
		return NULL;
	}
	m->data_off = TCP_PAYLOAD_AT;
	t->n_bufs++;
	return m;
}

/* Whether it is kept, as one of those that are free. */
static inline bool spare(struct tcp *t, struct rte_mbuf *m)
{
	if (unlikely(t->n_spares == TCP_SPARES_MAX || rte_mbuf_refcnt_read(m) > 1
		    || !RTE_MBUF_DIRECT(m) || m->pool != t->p.pool))
		return false;
	t->spares[t->n_spares++] = m;
	return true;
}

static void give_spares(struct tcp *t)
{
	if (t->n_spares > 0)
		rte_mempool_put_bulk(t->p.pool, (void *const *)t->spares, t->n_spares);
	t->n_spares = 0;
}

void tcp_buf_free(struct tcp *t, struct rte_mbuf *m)
{
	t->n_bufs--;
	if (likely(spare(t, m))) {
		m->next = NULL; /* it may have been sent with others */
		m->nb_segs = 1;
	} else {
		rte_pktmbuf_free_seg(m);
	}
}

void tcp_buf_free_sole(struct tcp *t, struct rte_mbuf *m)
{
	t->n_bufs--;
	if (unlikely(!spare(t, m)))
		rte_pktmbuf_free_seg(m);
}

static inline void free_rcv_buf(struct tcp *t, struct rte_mbuf *m)
{
	t->n_rcv_bufs--;
	t->n_bufs--;
	if (unlikely(m->nb_segs > 1 || !spare(t, m)))
		rte_pktmbuf_free(m);
}

void tcp_buf_free_rcv(struct tcp *t, struct rte_mbuf *m)
{
	free_rcv_buf(t, m);
}

/* Of what was received. */
static void free_rcv(struct tcp *t, struct rte_mbuf **queue)
{
	while (*queue != NULL) {
		struct rte_mbuf *m = *queue;

		*queue = tcp_seg(m)->next;
		tcp_buf_free_rcv(t, m);
	}
}

/* Of what was to be sent. */
static void free_snd(struct tcp *t, struct rte_mbuf **queue)
{
	while (*queue != NULL) {
		struct rte_mbuf *m = *queue;

		*queue = tcp_seg(m)->next;
		tcp_buf_free(t, m);
	}
}

void tcp_put_dirty(struct tcp *t, struct tcb *c)
{
	c->flags |= TCP_F_DIRTY;
	if (likely(t->n_dirty < TCP_MARKED_MAX && t->more_dirty == NULL)) {
		t->dirty[t->n_dirty++] = c;
		return;
	}
	c->dirty_next = NULL;
	*t->more_dirty_end = c;
	t->more_dirty_end = &c->dirty_next;
}

/* Out of its list. */
static void take_held(struct tcp *t, struct tcb *c)
{
	const unsigned iface = c->link.iface;

	TAILQ_REMOVE(&t->held[iface], c, held);
	c->is_held = false;
	if (TAILQ_EMPTY(&t->held[iface]))
		t->held_ifaces &= ~(1u << iface);
}

/* It is looked at anew when this call into the stack ends. */
static void hold_no_more(struct tcp *t, struct tcb *c)
{
	take_held(t, c);
	tcp_put_dirty(t, c);
}

void tcp_mark_ready(struct tcp *t, struct tcb *c)
{
	if (c->flags & TCP_F_READY)
		return;
	RTE_ASSERT(t->n_ready < TCP_MARKED_MAX);
	c->flags |= TCP_F_READY;
	t->ready[t->n_ready++] = c;
}

struct tcb *tcp_take_tcb(struct tcp *t, const struct tcp_tuple *tuple, const struct tcp_link *link,
	const struct tcp_profile *profile)
{
	struct tcb *c;
	uint32_t idx;

	if (t->tcb_pool.n_free == 0)
		return NULL;
	idx = t->tcb_pool.free[t->tcb_pool.n_free - 1];
	c = &t->tcbs[idx];
	memset(c, 0, sizeof(*c));
	c->tuple = *tuple;
	if (!tcp_flow_add(t->flow, TCP_FLOW_REF(TCP_KIND_TCB, idx)))
		return NULL;
	t->tcb_pool.n_free--;
	c->t = t;
	c->link = *link;
	c->profile = profile;
	c->rtx_us = c->ack_us = c->stuck_us = TCP_NEVER;
	c->rcvd_ms = c->armed_ms = tcp_now_ms(t);
	return c;
}

void tcp_end(struct tcb *c, enum tcp_reason why)
{
	if (c->state == TCP_S_CLOSED)
		return;
	/* after LAST-ACK only so that an old copy of the handshake's ACK is no cookie's */
	if (why == TCP_WHY_CLOSED
		&& (c->state == TCP_S_TIME_WAIT
			|| (c->state == TCP_S_LAST_ACK && c->t->now_us < c->t->cookies_until_us)))
		c->flags |= TCP_F_REMEMBER;
	c->state = TCP_S_CLOSED;
	c->why = why;
	if (unlikely(c->is_held))
		hold_no_more(c->t, c);
	tcp_mark_dirty(c->t, c);
}

static uint32_t idx_of(const struct tcb *c)
{
	return (uint32_t)(c - c->t->tcbs);
}

/* Out of the list. */
static void take_again(struct tcp *t, struct tcb *c)
{
	TAILQ_REMOVE(&t->agains, c, again);
	t->n_agains--;
	c->flags &= (uint16_t)~TCP_F_AGAIN;
}

/* The end of a connection that tcp_end() has ended. */
static void take_down(struct tcp *t, struct tcb *c)
{
	const uint32_t idx = idx_of(c);

	if (c->flags & TCP_F_RST) {
		t->stats.resets_out++;
		tcp_out_control(c, RTE_TCP_RST_FLAG, c->snd_nxt);
	}
	tcp_flow_del(t->flow, TCP_FLOW_REF(TCP_KIND_TCB, idx));
	if (c->flags & TCP_F_REMEMBER)
		tcp_listen_remember(t, c);
	wheel_del(&t->wheel, idx);
	free_snd(t, &c->snd_head);
	free_rcv(t, &c->rcv_head);
	tcp_reass_free(c);
	c->snd_tail = c->snd_unsent = c->rcv_tail = NULL;
	c->rcv_bytes = c->snd_bytes = 0;
	t->stats.closes++;
	if (c->flags & TCP_F_OPENED)
		t->p.ops->on_close(t->p.ctx, c, (enum tcp_reason)c->why);
	if (c->flags & TCP_F_AGAIN)
		take_again(t, c);
	c->t = NULL;
	t->tcb_pool.free[t->tcb_pool.n_free++] = idx;
}

static bool is_armed(const struct tcp *t, const struct tcb *c)
{
	return t->links[idx_of(c)].prev != WHEEL_NONE;
}

/* The wheel finds it when it has something to do, or before. What the wheel has does not come behind the deadlines that only move to later:
 * they need not be asked for, as a rule. */
static void arm(struct tcp *t, struct tcb *c)
{
	const int64_t left_us = (int64_t)(int32_t)(c->armed_ms - tcp_now_ms(t)) * 1000;
	uint32_t due_ms;

	if (likely(left_us > 0 && tcp_in_soon_us(c) >= t->now_us + (uint64_t)left_us))
		return;
	due_ms = (uint32_t)((tcp_in_due_us(c) + 999) / 1000);
	if (is_armed(t, c) && (int32_t)(due_ms - c->armed_ms) >= 0)
		return;
	c->armed_ms = due_ms;
	wheel_add(&t->wheel, idx_of(c), due_ms);
}

static struct tcb *next_dirty(struct tcp *t)
{
	struct tcb *c;

	if (likely(t->dirty_at < t->n_dirty))
		return t->dirty[t->dirty_at++];
	t->dirty_at = t->n_dirty = 0;
	c = t->more_dirty;
	if (c != NULL) {
		t->more_dirty = c->dirty_next;
		if (t->more_dirty == NULL)
			t->more_dirty_end = &t->more_dirty;
	}
	return c;
}

/* opt: inlined where it is for nearly all */
static __rte_always_inline void run_dirty(struct tcp *t, struct tcb *c)
{
	if (c->state != TCP_S_CLOSED)
		tcp_out_run(c);
	if (c->state == TCP_S_TIME_WAIT && c->rcv_bytes == 0)
		tcp_end(c, TCP_WHY_CLOSED);
	/* still marked, so that it is not put in the list again until here */
	if (c->state == TCP_S_CLOSED) {
		take_down(t, c);
	} else {
		c->flags &= (uint16_t)~TCP_F_DIRTY;
		arm(t, c);
	}
}

/* It stays marked until its port has room. Were its frames dropped there, only timers would find out. */
static __rte_noinline void hold(struct tcp *t, struct tcb *c)
{
	const unsigned iface = c->link.iface;

	t->stats.held++;
	c->is_held = true;
	TAILQ_INSERT_TAIL(&t->held[iface], c, held);
	t->held_ifaces |= 1u << iface;
	arm(t, c);
}

/* Those that wait, as far as there is room. Output learns that there is none from what it has sent. */
static __rte_noinline void run_held(struct tcp *t)
{
	for (uint32_t left = t->held_ifaces & ~*t->p.blocked; left != 0; left &= left - 1) {
		const unsigned iface = rte_bsf32(left);
		struct tcb *c;

		while (!(*t->p.blocked >> iface & 1)
			&& (c = TAILQ_FIRST(&t->held[iface])) != NULL) {
			take_held(t, c);
			run_dirty(t, c);
		}
	}
}

static void flush(struct tcp *t)
{
	const uint32_t *const blocked = t->p.blocked;
	struct tcb *c;

	if (unlikely(t->held_ifaces != 0))
		run_held(t);
	while ((c = next_dirty(t)) != NULL) {
		if (unlikely(*blocked != 0) && tcb_is_blocked(c) && c->state != TCP_S_CLOSED)
			hold(t, c);
		else
			run_dirty(t, c);
	}
	give_spares(t);
}

static void tell_ready(struct tcp *t)
{
	struct tcb *some[TCP_MARKED_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_ready; i++) {
		struct tcb *c = t->ready[i];

		c->flags &= (uint16_t)~TCP_F_READY;
		if (c->state != TCP_S_CLOSED)
			some[n++] = c;
	}
	t->n_ready = 0;
	if (n > 0)
		t->p.ops->on_ready(t->p.ctx, some, n);
}

static inline void read_link(struct tcp_link *to, const struct rte_mbuf *m, const struct pkt *p)
{
	const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	to->mac = eh->src_addr;
	to->iface = p->in_iface;
	to->has_vlan = 0;
	to->vlan_tci = 0;
	if (unlikely(p->flags & PKT_F_VLAN)) {
		to->has_vlan = 1;
		to->vlan_tci = ((const struct rte_vlan_hdr *)(const void *)(eh + 1))->vlan_tci;
	}
}

/* Segment i of the burst; false: its verdict is set. */
static bool read_segment(
	struct tcp *t, struct burst *b, unsigned i, struct tcp_in *in, struct tcp_tuple *tuple)
{
	struct pkt *p = &b->p[i];
	struct rte_mbuf *m = b->m[i];
	const struct rte_tcp_hdr *h =
		rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, p->l4_off);
	uint32_t n_header;

	t->stats.segments_in++;
	n_header = p->l4_len >= sizeof(*h) && (uint32_t)p->l4_off + p->l4_len <= m->data_len
		? (h->data_off >> 4) * 4u
		: 0;
	if (n_header < sizeof(*h) || n_header > p->l4_len
		|| (h->tcp_flags & RTE_TCP_SYN_FLAG
			&& h->tcp_flags & (RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG))) {
		t->stats.bad_header++;
		pkt_drop(p, PKT_DROP_bad_l4_header);
		return false;
	}
	if (csum_l4(p->src, p->dst, p->family == 4 ? 4 : 16, IPPROTO_TCP, h, p->l4_len) != 0) {
		t->stats.bad_checksum++;
		pkt_drop(p, PKT_DROP_bad_l4_header);
		return false;
	}
	in->m = m; /* opt: one by one, as room for SACK blocks need not be cleared */
	in->p = p;
	in->tuple = tuple;
	in->seq = rte_be_to_cpu_32(h->sent_seq);
	in->ack = rte_be_to_cpu_32(h->recv_ack);
	in->len = p->l4_len - n_header;
	in->off = p->l4_off + n_header;
	read_link(&in->link, m, p);
	in->wnd = rte_be_to_cpu_16(h->rx_win);
	in->flags = h->tcp_flags;
	tcp_wire_parse(&in->o, h);
	tcp_flow_tuple(tuple, p);
	return true;
}

static void take_segment(struct tcp *t, struct tcp_in *in, uint32_t ref)
{
	struct tcb *c;

	/* what is no connection may have become one since the burst was looked up */
	if (TCP_FLOW_KIND(ref) != TCP_KIND_TCB)
		ref = tcp_flow_find(t->flow, in->tuple);
	switch (TCP_FLOW_KIND(ref)) {
	case TCP_KIND_TCB:
		c = &t->tcbs[TCP_FLOW_IDX(ref)];
		break;
	case TCP_KIND_SYN:
		c = tcp_listen_syn(t, TCP_FLOW_IDX(ref), in);
		break;
	case TCP_KIND_WAIT:
		c = tcp_listen_wait(t, TCP_FLOW_IDX(ref), in);
		break;
	default:
		c = tcp_listen_input(t, in);
		break;
	}
	if (c == NULL)
		return;
	/* what is for the peer may leave by another port from now on */
	if (unlikely(c->is_held && c->link.iface != in->link.iface))
		hold_no_more(t, c);
	tcp_in_segment(c, in);
	if (unlikely(c->is_held))
		arm(t, c);
	tcp_mark_dirty(t, c);
}

/* What the segments of the burst will probably acknowledge, and what the application has of their connections. */
static void prefetch_behind(const struct tcp *t, const uint32_t *refs, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		const struct tcb *c;

		if (TCP_FLOW_KIND(refs[k]) != TCP_KIND_TCB)
			continue;
		c = &t->tcbs[TCP_FLOW_IDX(refs[k])];
		if (likely(c->app != NULL)) /* opt: that of NULL is looked for in page tables */
			rte_prefetch0(c->app);
		if (likely(c->snd_head != NULL)) {
			rte_prefetch0(c->snd_head);
			if (unlikely(!c->is_sole))
				rte_prefetch0(tcp_seg(c->snd_head));
		}
	}
}

void tcp_input(struct tcp *t, struct burst *b, const uint8_t *sel, unsigned n, uint64_t now_us)
{
	uint32_t hashes[BURST_MAX], refs[BURST_MAX];
	struct tcp_tuple tuples[BURST_MAX];
	struct tcp_in in[BURST_MAX];
	unsigned n_in = 0;

	tcp_set_now(t, now_us);
	for (unsigned k = 0; k < n; k++)
		rte_prefetch0(tcp_seg(b->m[sel[k]]));
	for (unsigned k = 0; k < n; k++)
		if (read_segment(t, b, sel[k], &in[n_in], &tuples[n_in])) {
			b->p[sel[k]].verdict = PKT_GONE;
			n_in++;
		}
	if (n_in == 0)
		return;
	tcp_flow_find_bulk(t->flow, tuples, n_in, hashes, refs);
	prefetch_behind(t, refs, n_in);
	for (unsigned k = 0; k < n_in; k++)
		take_segment(t, &in[k], refs[k]);
	tell_ready(t);
	flush(t);
}

static void on_due(struct tcp *t, uint32_t entry)
{
	struct tcb *c;

	if (entry >= t->p.n_conns + t->p.n_syns) {
		tcp_listen_wait_due(t, entry - t->p.n_conns - t->p.n_syns);
	} else if (entry >= t->p.n_conns) {
		tcp_listen_syn_due(t, entry - t->p.n_conns);
	} else {
		c = &t->tcbs[entry];
		c->armed_ms = tcp_now_ms(t);
		if (likely(c->state != TCP_S_CLOSED && tcp_in_due_us(c) > t->now_us)) {
			arm(t, c);
			return;
		}
		if (c->state != TCP_S_CLOSED)
			tcp_in_due(c);
		if (unlikely(c->is_held))
			arm(t, c);
		tcp_mark_dirty(t, c);
	}
}

/* What on_due() looks at. */
static inline void prefetch_due(const struct tcp *t, uint32_t entry)
{
	if (entry >= t->p.n_conns)
		return;
	for (unsigned at = 0; at < TCB_HOT_BYTES; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0((const uint8_t *)&t->tcbs[entry] + at);
}

void tcp_poll(struct tcp *t, uint64_t now_us)
{
	uint32_t due[N_DUE_MAX];
	unsigned n;

	tcp_set_now(t, now_us);
	n = wheel_due_bulk(&t->wheel, tcp_now_ms(t), due, N_DUE_MAX);
	for (unsigned i = 0; i < RTE_MIN(n, DUE_AHEAD); i++)
		prefetch_due(t, due[i]);
	for (unsigned i = 0; i < n; i++) {
		if (i + DUE_AHEAD < n)
			prefetch_due(t, due[i + DUE_AHEAD]);
		on_due(t, due[i]);
	}
	/* not those that ask once more while they are told: they are for the next poll */
	for (uint32_t left = t->n_agains; left > 0; left--) {
		struct tcb *c = TAILQ_FIRST(&t->agains);

		take_again(t, c);
		tcp_mark_ready(t, c);
		if (t->n_ready == TCP_MARKED_MAX)
			tell_ready(t);
	}
	tell_ready(t);
	flush(t);
}

void tcp_flush(struct tcp *t, uint64_t now_us)
{
	tcp_set_now(t, now_us);
	flush(t);
}

void tcp_destroy(struct tcp **out)
{
	struct tcp *t = *out;

	if (t == NULL)
		return;
	for (uint32_t i = 0; t->wait_pool.free != NULL && i < t->p.n_conns; i++)
		if (tcb_is_used(&t->tcbs[i])) {
			tcp_end(&t->tcbs[i], TCP_WHY_DESTROYED);
			t->tcbs[i].flags &= (uint16_t)~TCP_F_RST;
		}
	flush(t);
	tcp_flow_destroy(&t->flow);
	rte_free(t->tcb_pool.free);
	rte_free(t->syn_pool.free);
	rte_free(t->wait_pool.free);
	rte_free(t->tcbs);
	rte_free(t->syns);
	rte_free(t->waits);
	rte_free(t->links);
	rte_free(t);
	*out = NULL;
}

static uint64_t armed_us(const struct tcb *c)
{
	return (c->t->now_us / 1000 + (uint64_t)(int64_t)(int32_t)(c->armed_ms - tcp_now_ms(c->t)))
		* 1000;
}

static uint64_t tick_after(uint64_t due_us)
{
	return due_us == TCP_NEVER ? TCP_NEVER : ((due_us + 999) / 1000 + 1) * 1000;
}

uint64_t tcp_next_us(const struct tcp *t)
{
	uint64_t next_us = TCP_NEVER;

	if (t->n_dirty > 0 || t->n_agains > 0 || t->held_ifaces & ~*t->p.blocked)
		return t->now_us;
	for (uint32_t i = 0; i < t->p.n_conns; i++)
		if (tcb_is_used(&t->tcbs[i]) && is_armed(t, &t->tcbs[i]))
			next_us = RTE_MIN(next_us, armed_us(&t->tcbs[i]));
	for (uint32_t i = 0; i < t->p.n_syns; i++)
		if (t->syns[i].profile != NULL)
			next_us = RTE_MIN(next_us, t->syns[i].due_us);
	for (uint32_t i = 0; i < t->p.n_time_waits; i++)
		if (t->waits[i].is_used)
			next_us = RTE_MIN(next_us, t->waits[i].due_us);
	return tick_after(next_us);
}

/* Whether segments with these addresses and ports, as they come in, are brought to this stack's worker. */
static bool comes_here(const struct tcp *t, const struct pkt *in)
{
	return t->p.n_workers <= 1
		|| NIC_RSS_OWNER(nic_softrss(in), t->p.n_workers) == t->p.worker_id;
}

/* A local port that this peer has no connection of, and by which its segments come here; false: none. */
static bool choose_port(struct tcp *t, const struct pkt *peer, struct tcp_tuple *tuple)
{
	struct pkt in = *peer;

	in.proto = IPPROTO_TCP;
	for (uint32_t i = 0; i < t->p.port_n; i++) {
		in.dport = rte_cpu_to_be_16((uint16_t)(t->p.port_first + t->port_next));
		t->port_next = (uint16_t)((t->port_next + 1u) % t->p.port_n);
		if (!comes_here(t, &in))
			continue;
		tuple->dport = in.dport;
		if (tcp_flow_find(t->flow, tuple) == TCP_FLOW_NONE)
			return true;
	}
	return false;
}

struct tcb *tcp_open(struct tcp *t, const struct tcp_profile *profile, const struct pkt *peer,
	uint8_t iface, const struct rte_ether_addr *gateway, uint64_t now_us)
{
	const struct tcp_link link = {.mac = *gateway, .iface = iface};
	struct tcp_tuple tuple;
	struct tcb *c;

	tcp_set_now(t, now_us);
	tcp_flow_tuple(&tuple, peer);
	if (tuple.dport == 0 ? !choose_port(t, peer, &tuple)
			     : tcp_flow_find(t->flow, &tuple) != TCP_FLOW_NONE)
		return NULL;
	c = tcp_take_tcb(t, &tuple, &link, profile);
	if (c == NULL)
		return NULL;
	c->state = TCP_S_SYN_SENT;
	c->flags |= TCP_F_OPENED;
	c->snd_una = tcp_listen_isn(t, &tuple, &c->ts_offset);
	c->snd_nxt = c->snd_una + 1;
	c->stuck_us = now_us;
	c->rtx_us = now_us;
	tcp_in_due(c); /* the SYN */
	tcp_mark_dirty(t, c);
	return c;
}

void tcp_set_app(struct tcb *c, void *app)
{
	c->app = app;
}

void *tcp_app(const struct tcb *c)
{
	return c->app;
}

const struct tcp_profile *tcp_profile_of(const struct tcb *c)
{
	return c->profile;
}

const uint8_t *tcp_peek(const struct tcb *c, uint32_t *len)
{
	return tcp_peek_at(c, 0, len);
}

const uint8_t *tcp_peek_at(const struct tcb *c, uint32_t skip, uint32_t *len)
{
	struct rte_mbuf *m = c->rcv_head;

	while (m != NULL && skip >= tcp_seg(m)->len) {
		skip -= tcp_seg(m)->len;
		m = tcp_seg(m)->next;
	}
	*len = m != NULL ? tcp_seg(m)->len - skip : 0;
	return m != NULL ? tcp_seg_data(m) + skip : NULL;
}

uint32_t tcp_unread(const struct tcb *c)
{
	return c->rcv_bytes;
}

void tcp_consume(struct tcb *c, uint32_t n)
{
	RTE_ASSERT(n <= c->rcv_bytes);
	c->rcv_bytes -= n;
	while (n > 0) {
		struct rte_mbuf *m = c->rcv_head;
		struct tcp_seg *s = tcp_seg(m);

		if (n < s->len) {
			s->seq += n;
			s->off = (uint16_t)(s->off + n);
			s->len = (uint16_t)(s->len - n);
			break;
		}
		n -= s->len;
		c->rcv_head = s->next;
		if (c->rcv_head == NULL)
			c->rcv_tail = NULL;
		free_rcv_buf(c->t, m);
	}
	if (!(c->flags & TCP_F_DIRTY) && (c->state == TCP_S_TIME_WAIT || tcp_out_opens_window(c)))
		tcp_mark_dirty(c->t, c);
}

bool tcp_is_eof(const struct tcb *c)
{
	return c->flags & TCP_F_FIN_RCVD && c->rcv_bytes == 0;
}

uint32_t tcp_queued(const struct tcb *c)
{
	return c->snd_bytes;
}

void tcp_want_room(struct tcb *c)
{
	c->flags |= TCP_F_WANT_ROOM;
}

void tcp_again(struct tcb *c)
{
	if (c->flags & TCP_F_AGAIN || c->state == TCP_S_CLOSED)
		return;
	c->flags |= TCP_F_AGAIN;
	TAILQ_INSERT_TAIL(&c->t->agains, c, again);
	c->t->n_agains++;
}

void tcp_close(struct tcb *c)
{
	if (c->state == TCP_S_SYN_SENT) {
		tcp_end(c, TCP_WHY_CLOSED);
		return;
	}
	c->flags |= TCP_F_FIN_WANTED;
	tcp_mark_dirty(c->t, c);
}

void tcp_abort(struct tcb *c)
{
	if (c->state != TCP_S_CLOSED && c->state != TCP_S_SYN_SENT && c->state != TCP_S_TIME_WAIT)
		c->flags |= TCP_F_RST;
	tcp_end(c, TCP_WHY_ABORTED);
}

bool tcp_check(const struct tcp *t)
{
	uint32_t n_bufs = 0, n_rcv = 0, n_used = 0;

	for (uint32_t i = 0; i < t->p.n_conns; i++) {
		const struct tcb *c = &t->tcbs[i];

		if (!tcb_is_used(c))
			continue;
		n_used++;
		if (c->state == TCP_S_CLOSED && !(c->flags & TCP_F_DIRTY))
			return false;
		if (tcp_flow_find(t->flow, &c->tuple) != TCP_FLOW_REF(TCP_KIND_TCB, i)
			|| (!(c->flags & TCP_F_DIRTY)
				&& (!is_armed(t, c) || armed_us(c) >= tcp_in_due_us(c) + 1000)))
			return false; /* I1 */
		if (c->is_held
			&& (!(c->flags & TCP_F_DIRTY) || c->state == TCP_S_CLOSED || !is_armed(t, c)
				|| !(t->held_ifaces >> c->link.iface & 1)))
			return false; /* I8 */
		if ((int32_t)(c->armed_ms - tcp_now_ms(t)) > 0 && !is_armed(t, c))
			return false;
		if (!tcp_check_queues(c, &n_bufs, &n_rcv))
			return false;
	}
	return n_bufs + n_rcv == t->n_bufs && n_rcv == t->n_rcv_bufs
		&& n_used == t->p.n_conns - t->tcb_pool.n_free;
}
