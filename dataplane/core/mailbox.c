/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mailbox — see mailbox.h. Each ring has one producer and one consumer, so head and tail each have one
 * writer, and one release/acquire pair per side is all the ordering there is:
 *
 *  the producer writes the slots, then releases tail; the consumer acquires tail, then reads them
 *  (pairs: mail-tail); the consumer reads the slots, then releases head; the producer acquires head, then
 *  overwrites them (pairs: mail-head).
 *
 * Each side keeps a copy of the other's index and refreshes it only when the copy says full or empty, so
 * a busy ring moves one cache line per batch, not per packet. rte_ring would do; its fences on x86 are
 * compiler barriers that ThreadSanitizer cannot see, and the race suite must.
 *
 *  I1  tail − head ≤ size, as 32-bit differences
 */
#include "core/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ring {
	/* w: producer */
	uint32_t tail __rte_cache_aligned; /* r: consumer */
	uint32_t head_seen;
	/* w: consumer */
	uint32_t head __rte_cache_aligned; /* r: producer */
	uint32_t tail_seen;
	uint32_t turn; /* in ring (to, to): which sender `to` hears first */
	/* fixed */
	struct rte_mbuf **slots __rte_cache_aligned; /* w: producer  r: consumer */
};

struct mailbox {
	unsigned n_ends;
	uint32_t size;
	struct rte_mbuf **memory;
	struct ring rings[]; /* [from * n_ends + to] */
};

static struct ring *ring_of(struct mailbox *mb, unsigned from, unsigned to)
{
	return &mb->rings[from * mb->n_ends + to];
}

int mailbox_create(struct mailbox **out, unsigned n_ends, unsigned size)
{
	const unsigned n_rings = n_ends * n_ends;
	const size_t bytes = sizeof(struct mailbox) + n_rings * sizeof(struct ring);
	struct mailbox *mb;

	if (n_ends == 0 || size == 0 || (size & (size - 1)) != 0)
		return -EINVAL;
	mb = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(bytes, RTE_CACHE_LINE_SIZE));
	if (mb == NULL)
		return -ENOMEM;
	memset(mb, 0, bytes);
	mb->n_ends = n_ends;
	mb->size = size;
	mb->memory = calloc((size_t)n_rings * size, sizeof(*mb->memory));
	if (mb->memory == NULL) {
		free(mb);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n_rings; i++)
		mb->rings[i].slots = mb->memory + (size_t)i * size;
	*out = mb;
	return 0;
}

void mailbox_destroy(struct mailbox **mb)
{
	struct rte_mbuf *m;

	if (*mb == NULL)
		return;
	for (unsigned to = 0; to < (*mb)->n_ends; to++) {
		while (mailbox_receive_bulk(*mb, to, &m, 1) == 1)
			rte_pktmbuf_free(m);
	}
	free((*mb)->memory);
	free(*mb);
	*mb = NULL;
}

unsigned mailbox_send_bulk(
	struct mailbox *mb, unsigned from, unsigned to, struct rte_mbuf **m, unsigned n)
{
	struct ring *r = ring_of(mb, from, to);
	const uint32_t tail = r->tail;
	uint32_t room = mb->size - (tail - r->head_seen);

	if (room < n) {
		r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE); /* pairs(mail-head) */
		room = mb->size - (tail - r->head_seen);
		if (n > room)
			n = room;
	}
	for (unsigned i = 0; i < n; i++)
		r->slots[(tail + i) & (mb->size - 1)] = m[i];
	__atomic_store_n(&r->tail, tail + n, __ATOMIC_RELEASE); /* pairs(mail-tail) */
	return n;
}

bool mailbox_is_crowded(struct mailbox *mb, unsigned from, unsigned to)
{
	struct ring *r = ring_of(mb, from, to);

	if (mb->size - (r->tail - r->head_seen) >= mb->size / 4)
		return false;
	r->head_seen = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE); /* pairs(mail-head) */
	return mb->size - (r->tail - r->head_seen) < mb->size / 4;
}

static unsigned take(struct mailbox *mb, struct ring *r, struct rte_mbuf **m, unsigned n)
{
	const uint32_t head = r->head;
	uint32_t there = r->tail_seen - head;

	if (there < n) {
		r->tail_seen = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE); /* pairs(mail-tail) */
		there = r->tail_seen - head;
		if (n > there)
			n = there;
	}
	if (n == 0)
		return 0;
	for (unsigned i = 0; i < n; i++)
		m[i] = r->slots[(head + i) & (mb->size - 1)];
	__atomic_store_n(&r->head, head + n, __ATOMIC_RELEASE); /* pairs(mail-head) */
	return n;
}

/* Begins with another sender each time, so that a busy one starves nobody. */
unsigned mailbox_receive_bulk(struct mailbox *mb, unsigned to, struct rte_mbuf **m, unsigned n)
{
	uint32_t *turn = &ring_of(mb, to, to)->turn;
	unsigned from = *turn, got = 0;

	*turn = from + 1 == mb->n_ends ? 0 : from + 1;
	for (unsigned i = 0; i < mb->n_ends && got < n; i++) {
		got += take(mb, ring_of(mb, from, to), m + got, n - got);
		from = from + 1 == mb->n_ends ? 0 : from + 1;
	}
	return got;
}

unsigned mailbox_count(const struct mailbox *mb)
{
	unsigned n = 0;

	for (unsigned i = 0; i < mb->n_ends * mb->n_ends; i++) {
		const struct ring *r = &mb->rings[i];

		/* pairs(mail-head) pairs(mail-tail): a moment's view, only compared when all is at rest */
		n += __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE)
			- __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
	}
	return n;
}
