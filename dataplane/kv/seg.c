/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seg — see seg.h. The oldest segment of a queue is the one with the lowest sequence number among the heads of its classes'
 * chains. Limbo is a queue: tokens of rte_rcu_qsbr grow, so when the first has not been passed, no later one has.
 */
#include "kv/seg.h"

#include "base/tsan.h"

#include <rte_common.h>
#include <rte_debug.h>

#include <stddef.h>

void seg_pool_init(struct seg_pool *p, void *base, uint32_t n, uint32_t shift, uint32_t n_classes,
	struct seg *segs, struct rte_rcu_qsbr *readers)
{
	static const struct seg_chain empty = {SEG_NONE, SEG_NONE};

	*p = (struct seg_pool){.base = base,
		.n = n,
		.shift = shift,
		.n_classes = n_classes,
		.readers = readers,
		.segs = segs,
		.n_free = n,
		.limbo = empty,
		.held = empty,
		.dropped = empty};
	rte_ticketlock_init(&p->lock);
	for (unsigned q = 0; q < SEG_QUEUES; q++)
		for (unsigned c = 0; c < SEG_CLASSES; c++)
			p->chains[q][c] = empty;
	for (uint32_t i = 0; i < n; i++)
		segs[i] = (struct seg){.next = i + 1 < n ? i + 1 : SEG_NONE, .prev = SEG_NONE};
	p->free = n > 0 ? 0 : SEG_NONE;
}

static void link_before(struct seg_pool *p, struct seg_chain *c, uint32_t no, uint32_t before)
{
	struct seg *s = &p->segs[no];

	s->next = before;
	s->prev = before == SEG_NONE ? c->tail : p->segs[before].prev;
	*(s->prev == SEG_NONE ? &c->head : &p->segs[s->prev].next) = no;
	*(before == SEG_NONE ? &c->tail : &p->segs[before].prev) = no;
}

static void unlink(struct seg_pool *p, struct seg_chain *c, uint32_t no)
{
	struct seg *s = &p->segs[no];

	*(s->prev == SEG_NONE ? &c->head : &p->segs[s->prev].next) = s->next;
	*(s->next == SEG_NONE ? &c->tail : &p->segs[s->next].prev) = s->prev;
	s->next = s->prev = SEG_NONE;
}

static void set_state(struct seg *s, enum seg_state state)
{
	__atomic_store_n(&s->state, (uint8_t)state, __ATOMIC_RELAXED);
}

static void count(uint32_t *n, uint32_t by)
{
	__atomic_store_n(n, *n + by, __ATOMIC_RELAXED);
}

#define HELD_LOOK 8u
#define PASSED_MAX 32u
#define FREED_MAX 64u

static void make_free(struct seg_pool *p, uint32_t no)
{
	set_state(&p->segs[no], SEG_FREE);
	p->segs[no].next = p->free;
	p->free = no;
	count(&p->n_free, 1);
}

static bool has_passed(const struct seg_pool *p, uint32_t no)
{
	if (rte_rcu_qsbr_check(p->readers, p->segs[no].token, false) != 1)
		return false;
	/* it may know from another thread, by a relaxed word */
	TSAN_RELEASE(&p->readers->acked_token);
	TSAN_ACQUIRE(&p->readers->acked_token);
	return true;
}

/* Some of the held ones, in turn: of which nobody has anything becomes free. */
static void free_held(struct seg_pool *p)
{
	const uint32_t n = RTE_MIN(p->n_held, HELD_LOOK);

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t no = p->held.head;

		unlink(p, &p->held, no);
		if (!has_passed(p, no) || seg_is_pinned(p, no)) {
			link_before(p, &p->held, no, SEG_NONE);
			continue;
		}
		count(&p->n_held, -1u);
		make_free(p, no);
	}
}

/* Limbo whose grace period is over becomes free, or is held, as much as is done under the lock at once. */
static void free_some(struct seg_pool *p)
{
	free_held(p);
	for (unsigned i = 0; i < FREED_MAX && p->limbo.head != SEG_NONE; i++) {
		const uint32_t no = p->limbo.head;

		if (!has_passed(p, no))
			return;
		unlink(p, &p->limbo, no);
		count(&p->n_limbo, -1u);
		if (seg_is_pinned(p, no)) {
			link_before(p, &p->held, no, SEG_NONE);
			count(&p->n_held, 1);
		} else {
			make_free(p, no);
		}
	}
}

/* One, where that leaves n_left. */
static uint32_t take_free(struct seg_pool *p, uint32_t n_left)
{
	struct seg *s;
	uint32_t no;

	if (p->limbo.head != SEG_NONE || p->held.head != SEG_NONE)
		free_some(p);
	no = p->free;
	if (p->n_free <= n_left)
		return SEG_NONE;
	p->free = p->segs[no].next;
	count(&p->n_free, -1u);
	s = &p->segs[no];
	s->next = s->prev = SEG_NONE;
	s->seq = p->seq;
	s->fill = 0;
	__atomic_store_n(&s->live, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->min_when, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&s->max_when, 0, __ATOMIC_RELAXED);
	count(&p->seq, 1);
	return no;
}

uint32_t seg_open(struct seg_pool *p, uint8_t queue, uint8_t class, uint32_t era, uint32_t n_left)
{
	uint32_t no;

	rte_ticketlock_lock(&p->lock);
	no = take_free(p, n_left);
	if (no != SEG_NONE) {
		p->segs[no].queue = queue;
		p->segs[no].class = class;
		__atomic_store_n(&p->segs[no].era, era, __ATOMIC_RELAXED);
		set_state(&p->segs[no], SEG_OPEN);
		count(&p->n_queue[queue], 1);
	}
	rte_ticketlock_unlock(&p->lock);
	return no;
}

uint32_t seg_give(struct seg_pool *p)
{
	uint32_t no;

	rte_ticketlock_lock(&p->lock);
	no = take_free(p, 0);
	if (no != SEG_NONE) {
		set_state(&p->segs[no], SEG_GIVEN);
		count(&p->n_given, 1);
	}
	rte_ticketlock_unlock(&p->lock);
	return no;
}

void seg_seal(struct seg_pool *p, uint32_t no)
{
	struct seg *s = &p->segs[no];

	rte_ticketlock_lock(&p->lock);
	link_before(p, &p->chains[s->queue][s->class], no, SEG_NONE);
	/* pairs(seg-seal): who sees the state sees the items and how much there is */
	__atomic_store_n(&s->state, SEG_SEALED, __ATOMIC_RELEASE);
	count(&p->n_sealed[s->queue], 1);
	rte_ticketlock_unlock(&p->lock);
}

static void take(struct seg_pool *p, uint32_t no)
{
	struct seg *s = &p->segs[no];

	unlink(p, &p->chains[s->queue][s->class], no);
	set_state(s, SEG_VICTIM);
	count(&p->n_sealed[s->queue], -1u);
}

bool seg_take(struct seg_pool *p, uint32_t no)
{
	bool is_ours;

	rte_ticketlock_lock(&p->lock);
	is_ours = p->segs[no].state == SEG_SEALED;
	if (is_ours)
		take(p, no);
	rte_ticketlock_unlock(&p->lock);
	return is_ours;
}

bool seg_drop(struct seg_pool *p, uint32_t no)
{
	struct seg *s = &p->segs[no];
	bool is_ours;

	rte_ticketlock_lock(&p->lock);
	is_ours = s->state == SEG_SEALED;
	if (is_ours) {
		take(p, no);
		set_state(s, SEG_DROPPED);
		link_before(p, &p->dropped, no, SEG_NONE);
		count(&p->n_dropped, 1);
	}
	rte_ticketlock_unlock(&p->lock);
	return is_ours;
}

uint32_t seg_take_dropped(struct seg_pool *p)
{
	uint32_t no;

	rte_ticketlock_lock(&p->lock);
	no = p->dropped.head;
	if (no != SEG_NONE) {
		unlink(p, &p->dropped, no);
		set_state(&p->segs[no], SEG_VICTIM);
		count(&p->n_dropped, -1u);
	}
	rte_ticketlock_unlock(&p->lock);
	return no;
}

static uint32_t find_oldest(const struct seg_pool *p, uint8_t queue)
{
	uint32_t no = SEG_NONE;

	for (unsigned c = 0; c < p->n_classes; c++) {
		const uint32_t head = p->chains[queue][c].head;

		if (head != SEG_NONE
			&& (no == SEG_NONE || (int32_t)(p->segs[head].seq - p->segs[no].seq) < 0))
			no = head;
	}
	return no;
}

uint32_t seg_take_oldest(struct seg_pool *p, uint8_t queue)
{
	uint32_t no;

	rte_ticketlock_lock(&p->lock);
	no = find_oldest(p, queue);
	/* of one that is pinned there is nothing to gain: behind the others with it, as far as there are some */
	for (unsigned i = 0; i < PASSED_MAX && no != SEG_NONE && seg_is_pinned(p, no); i++) {
		struct seg_chain *c = &p->chains[queue][p->segs[no].class];

		if (c->tail == no)
			break;
		unlink(p, c, no);
		link_before(p, c, no, SEG_NONE);
		no = find_oldest(p, queue);
	}
	if (no != SEG_NONE)
		take(p, no);
	rte_ticketlock_unlock(&p->lock);
	return no;
}

void seg_retire(struct seg_pool *p, uint32_t no)
{
	struct seg *s = &p->segs[no];

	rte_ticketlock_lock(&p->lock);
	count(&p->n_queue[s->queue], -1u);
	__atomic_store_n(&s->live, 0, __ATOMIC_RELAXED); /* of dropped ones it is not kept */
	s->token = rte_rcu_qsbr_start(p->readers);
	set_state(s, SEG_LIMBO);
	/* what is held is not expected back soon */
	if (seg_is_pinned(p, no)) {
		link_before(p, &p->held, no, SEG_NONE);
		count(&p->n_held, 1);
	} else {
		link_before(p, &p->limbo, no, SEG_NONE);
		count(&p->n_limbo, 1);
	}
	rte_ticketlock_unlock(&p->lock);
}

bool seg_pin(struct seg_pool *p, uint32_t no)
{
	struct seg *s = &p->segs[no];

	if (__atomic_load_n(&s->pins, __ATOMIC_RELAXED) == 0
		&& __atomic_load_n(&p->n_pinned, __ATOMIC_RELAXED) >= p->n / SEG_PIN_PART)
		return false;
	if (__atomic_fetch_add(&s->pins, 1, __ATOMIC_RELAXED) == 0)
		__atomic_fetch_add(&p->n_pinned, 1, __ATOMIC_RELAXED);
	return true;
}

void seg_unpin(struct seg_pool *p, uint32_t no)
{
	/* pairs(seg-pins): who uses it anew does so after this */
	if (__atomic_fetch_sub(&p->segs[no].pins, 1, __ATOMIC_RELEASE) == 1)
		/* pairs(seg-unpinned): the last that is touched, for the one who frees the pool */
		__atomic_fetch_sub(&p->n_pinned, 1, __ATOMIC_RELEASE);
}

void seg_check(const struct seg_pool *p)
{
	uint32_t n = p->n_free + p->n_limbo + p->n_held + p->n_given;

	for (unsigned q = 0; q < SEG_QUEUES; q++) {
		uint32_t n_chained = 0;

		n += p->n_queue[q];
		for (unsigned c = 0; c < SEG_CLASSES; c++)
			for (uint32_t no = p->chains[q][c].head; no != SEG_NONE;
				no = p->segs[no].next) {
				RTE_VERIFY(p->segs[no].state == SEG_SEALED && p->segs[no].queue == q
					&& p->segs[no].class == c);
				n_chained++;
			}
		RTE_VERIFY(n_chained == p->n_sealed[q] && n_chained <= p->n_queue[q]);
	}
	RTE_VERIFY(n == p->n);
}
