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

static void copy(struct capture *c, const struct rte_mbuf *m, const struct capture_at *at,
	uint64_t tsc, uint32_t n)
{
	const uint32_t head = c->w.head;
	struct capture_slot *slot = slot_at(c, head);
	const void *bytes;

	/* pairs(capture-tail): the place has been read */
	if (head - __atomic_load_n(&c->tail, __ATOMIC_ACQUIRE) == c->p.n_slots) {
		__atomic_store_n(&c->w.missed, c->w.missed + 1, __ATOMIC_RELAXED);
		return;
	}
	slot->tsc = tsc;
	slot->len = m->pkt_len;
	slot->n = (uint16_t)RTE_MIN(RTE_MIN(n, m->pkt_len), c->p.snaplen);
	slot->at = *at;
	bytes = rte_pktmbuf_read(
		m, 0, slot->n, slot->bytes); /* there already when it had to be put together */
	if (bytes != slot->bytes)
		memcpy(slot->bytes, bytes, slot->n);
	__atomic_store_n(&c->w.captured, c->w.captured + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&c->w.head, head + 1, __ATOMIC_RELEASE); /* pairs(capture-head) */
}

static inline bool is_wanted(const struct capture *c, const struct capture_at *at)
{
	return (c->p.points >> at->point & 1u) && (c->p.ifaces >> at->iface & 1u);
}

/* The filter sees the first segment: headers are there. */
static inline void show(
	struct capture *c, const struct rte_mbuf *m, const struct capture_at *at, uint64_t tsc)
{
	const uint32_t n = pktfilter_run(
		&c->p.filter, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, m->pkt_len);

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
