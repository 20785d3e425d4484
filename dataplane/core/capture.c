/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * capture — see capture.h. A ring with one producer, the worker, and one consumer, the manager; places have the
 * size of the longest copy, so that nothing wraps within a packet.
 *
 *  I1  places tail … head − 1 (modulo n_slots) hold packets and are the manager's, the others are the worker's
 */
#include "core/capture.h"

#include <rte_cycles.h>

#include <errno.h>
#include <stdlib.h>

struct capture {
	struct capture_params p;
	uint32_t slot_bytes;
	uint8_t *slots;
	/* w: worker  r: manager */
	struct {
		uint32_t head; /* pairs(capture-head) */
		uint64_t captured, missed;
		/* of the burst in hand */
		uint64_t traced; /* sum of 1 << index */
		struct capture_trace trace[BURST_MAX];
	} w __rte_cache_aligned;
	/* w: manager  r: worker */
	uint32_t tail __rte_cache_aligned; /* pairs(capture-tail) */
};

int capture_create(struct capture **out, const struct capture_params *p)
{
	struct capture *c = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	memset(c, 0, sizeof(*c));
	c->p = *p;
	c->slot_bytes = RTE_ALIGN_CEIL((uint32_t)sizeof(struct capture_slot) + p->snaplen, 8u);
	c->slots = malloc((size_t)p->n_slots * c->slot_bytes);
	if (c->slots == NULL) {
		free(c);
		return -ENOMEM;
	}
	/* pages are there before the worker writes to them */
	memset(c->slots, 0, (size_t)p->n_slots * c->slot_bytes);
	*out = c;
	return 0;
}

void capture_destroy(struct capture **c)
{
	if (*c == NULL)
		return;
	free((*c)->slots);
	free(*c);
	*c = NULL;
}

static inline struct capture_slot *slot_at(const struct capture *c, uint32_t at)
{
	return (struct capture_slot *)(void *)(c->slots
		+ (size_t)(at & (c->p.n_slots - 1)) * c->slot_bytes);
}

const struct capture_slot *capture_peek(const struct capture *c)
{
	/* pairs(capture-head): the packet is whole before it is seen */
	const uint32_t head = __atomic_load_n(&c->w.head, __ATOMIC_ACQUIRE);

	return head != c->tail ? slot_at(c, c->tail) : NULL;
}

void capture_pop(struct capture *c)
{
	/* pairs(capture-tail): it has been read before its place is another's */
	__atomic_store_n(&c->tail, c->tail + 1, __ATOMIC_RELEASE);
}

uint64_t capture_captured(const struct capture *c)
{
	return __atomic_load_n(&c->w.captured, __ATOMIC_RELAXED);
}

uint64_t capture_missed(const struct capture *c)
{
	return __atomic_load_n(&c->w.missed, __ATOMIC_RELAXED);
}

/* The next place; NULL, and one missed: there is none. */
static struct capture_slot *take(struct capture *c)
{
	const uint32_t head = c->w.head;

	/* pairs(capture-tail): the place has been read */
	if (head - __atomic_load_n(&c->tail, __ATOMIC_ACQUIRE) != c->p.n_slots)
		return slot_at(c, head);
	__atomic_store_n(&c->w.missed, c->w.missed + 1, __ATOMIC_RELAXED);
	return NULL;
}

/* The place taken last is filled. */
static void give(struct capture *c)
{
	__atomic_store_n(&c->w.captured, c->w.captured + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&c->w.head, c->w.head + 1, __ATOMIC_RELEASE); /* pairs(capture-head) */
}

static void copy(struct capture *c, const struct rte_mbuf *m, const struct capture_at *at,
	uint64_t tsc, uint32_t n)
{
	struct capture_slot *slot = take(c);
	const void *bytes;

	if (slot == NULL)
		return;
	slot->tsc = tsc;
	slot->len = m->pkt_len;
	slot->n = (uint16_t)RTE_MIN(RTE_MIN(n, m->pkt_len), c->p.snaplen);
	slot->at = *at;
	bytes = rte_pktmbuf_read(
		m, 0, slot->n, slot->bytes); /* there already when it had to be put together */
	if (bytes != slot->bytes)
		memcpy(slot->bytes, bytes, slot->n);
	give(c);
}

static inline bool is_wanted(const struct capture *c, const struct capture_at *at)
{
	return (c->p.points >> at->point & 1u) && (c->p.ifaces >> at->iface & 1u);
}

/* The filter sees the first segment: headers are there. */
static inline uint32_t match(const struct capture *c, const struct rte_mbuf *m)
{
	return pktfilter_run(
		&c->p.filter, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len);
}

static inline void show(
	struct capture *c, const struct rte_mbuf *m, const struct capture_at *at, uint64_t tsc)
{
	const uint32_t n = match(c, m);

	if (n > 0)
		copy(c, m, at, tsc, n);
}

void capture_burst(
	struct capture *c, struct rte_mbuf *const *m, uint16_t n, const struct capture_at *at)
{
	const uint64_t tsc = rte_rdtsc();

	if (!is_wanted(c, at))
		return;
	for (uint16_t i = 0; i < n; i++)
		show(c, m[i], at, tsc);
}

void capture_drops(struct capture *c, const struct burst *b)
{
	const uint64_t tsc = rte_rdtsc();
	struct capture_at at = {.point = MR_POINT_DROP, .iface = b->in_iface};

	if (!is_wanted(c, &at))
		return;
	for (uint16_t i = 0; i < b->n; i++) {
		if (b->p[i].verdict != PKT_DROP)
			continue;
		at.drop = b->p[i].drop;
		show(c, b->m[i], &at, tsc);
	}
}

/* --- a trace */

_Static_assert(BURST_MAX <= 64, "w.traced has a bit for each packet");

void capture_trace_begin(struct capture *c, const struct burst *b)
{
	const struct capture_at at = {.point = MR_POINT_TRACE, .iface = b->in_iface};

	c->w.traced = 0;
	if (!is_wanted(c, &at))
		return;
	for (uint16_t i = 0; i < b->n; i++) {
		struct capture_trace *t = &c->w.trace[i];

		if (match(c, b->m[i]) == 0)
			continue;
		c->w.traced |= UINT64_C(1) << i;
		memset(t, 0, sizeof(*t));
		t->kind = MR_TRACE_FRAGMENT; /* open: classify is still to come */
		t->len = b->m[i]->pkt_len;
	}
}

static inline bool is_traced(const struct capture *c, unsigned i)
{
	return c->w.traced >> i & 1u;
}

static enum mr_trace_kind kind_of(const struct pkt *p)
{
	switch (p->verdict) {
	case PKT_LB:
	case PKT_SERVE:
		return MR_TRACE_SERVICE;
	case PKT_RETURN:
		return MR_TRACE_RETURN;
	case PKT_REVERT:
		return MR_TRACE_DNAT_RETURN;
	case PKT_ICMP_ERROR:
		return MR_TRACE_ICMP_ERROR;
	case PKT_ARP:
	case PKT_ICMP:
		return MR_TRACE_LOCAL;
	case PKT_PUNT:
		return MR_TRACE_KERNEL;
	case PKT_FRAG:
		return MR_TRACE_FRAGMENT;
	default:
		return MR_TRACE_NONE;
	}
}

/* A fragment is classified twice: what its datagram is, is known once it has been placed. */
void capture_trace_classified(struct capture *c, const struct burst *b)
{
	for (uint16_t i = 0; i < b->n && c->w.traced != 0; i++) {
		struct capture_trace *t = &c->w.trace[i];

		if (!is_traced(c, i) || t->kind != MR_TRACE_FRAGMENT || b->p[i].verdict == PKT_GONE)
			continue;
		t->p = b->p[i];
		t->kind = (uint8_t)kind_of(&b->p[i]);
	}
}

void capture_trace_served(struct capture *c, unsigned i)
{
	if (is_traced(c, i))
		c->w.trace[i].is_served = true;
}

void capture_trace_flow(struct capture *c, unsigned i, enum mr_trace_flow flow)
{
	if (is_traced(c, i))
		c->w.trace[i].flow = (uint8_t)flow;
}

void capture_trace_backend(
	struct capture *c, unsigned i, uint32_t backend_idx, enum mr_mode mode, bool has_entry)
{
	struct capture_trace *t = &c->w.trace[i];

	if (!is_traced(c, i))
		return;
	t->backend_idx = backend_idx;
	t->mode = (uint8_t)mode;
	if (!has_entry)
		t->flow = MR_TRACE_FLOW_STATELESS;
	else if (t->flow == MR_TRACE_FLOW_NONE)
		t->flow = MR_TRACE_FLOW_KNOWN;
}

static enum mr_verdict verdict_of(const struct capture_trace *t, const struct pkt *p)
{
	switch (p->verdict) {
	case PKT_TX: /* ARP, NDP and echo turn the request round */
		return t->kind == MR_TRACE_LOCAL ? MR_VERDICT_ANSWER : MR_VERDICT_FORWARDED;
	case PKT_REPLY:
		return MR_VERDICT_ANSWER;
	case PKT_HOLD:
		return MR_VERDICT_HELD;
	case PKT_PUNT:
	case PKT_GONE: /* neighbours' answers: by way of the manager's table */
		return t->is_served ? MR_VERDICT_SERVED : MR_VERDICT_KERNEL;
	default:
		return MR_VERDICT_DROPPED;
	}
}

/* Not at its end yet: another worker has it, or it waits for its first fragment. Its mbuf is not ours. */
static inline bool is_on_its_way(const struct capture_trace *t, const struct pkt *p)
{
	return p->verdict == PKT_GONE && t->kind != MR_TRACE_LOCAL && !t->is_served;
}

void capture_trace_end(struct capture *c, const struct burst *b, bool is_handed_over)
{
	const uint64_t tsc = rte_rdtsc();

	for (uint16_t i = 0; i < b->n && c->w.traced != 0; i++) {
		const struct pkt *p = &b->p[i];
		struct capture_trace *t = &c->w.trace[i];
		struct capture_slot *slot;

		if (!is_traced(c, i) || is_on_its_way(t, p))
			continue;
		slot = take(c);
		if (slot == NULL)
			continue;
		t->service_idx = p->service_idx; /* of a return packet: known by now */
		t->verdict = (uint8_t)verdict_of(t, p);
		t->out_iface = p->out_iface;
		t->is_handed_over = is_handed_over;
		slot->tsc = tsc;
		slot->len = t->len;
		slot->n = sizeof(*t);
		slot->at = (struct capture_at){MR_POINT_TRACE, b->in_iface, p->drop};
		memcpy(slot->bytes, t, sizeof(*t));
		give(c);
	}
	c->w.traced = 0;
}
