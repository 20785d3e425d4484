/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exact — see exact.h. FIFO, LRU and SIEVE have one list, S3-FIFO two and a ghost list of as many keys as its main queue holds. LFU
 * ages as in LFU-DA (Arlitt et al., 1999): a key's worth is its count and what the last one that left was worth.
 */
#include "exact.h"

#include <stdio.h>
#include <stdlib.h>

#define NONE UINT32_MAX
#define COUNT_MAX 3u

enum where { OUT, SMALL, MAIN, GHOST };

struct list {
	uint32_t head, tail, n; /* new at the head */
};

struct key {
	uint32_t prev, next; /* towards the head, towards the tail; of LFU: place in the heap */
	uint64_t worth;      /* LFU */
	uint8_t where, count;
};

struct exact {
	enum evict_policy policy;
	uint32_t capacity, hand;
	struct list lists[4];
	struct key *keys;
	uint32_t *heap, n_heap;
	uint64_t age;
};

static void push(struct exact *x, enum where where, uint32_t k)
{
	struct list *l = &x->lists[where];

	x->keys[k].where = (uint8_t)where;
	x->keys[k].prev = NONE;
	x->keys[k].next = l->head;
	*(l->head != NONE ? &x->keys[l->head].prev : &l->tail) = k;
	l->head = k;
	l->n++;
}

static void pull(struct exact *x, uint32_t k)
{
	struct key *e = &x->keys[k];
	struct list *l = &x->lists[e->where];

	*(e->prev != NONE ? &x->keys[e->prev].next : &l->head) = e->next;
	*(e->next != NONE ? &x->keys[e->next].prev : &l->tail) = e->prev;
	l->n--;
	e->where = OUT;
}

static bool is_in(const struct exact *x, uint32_t k)
{
	return x->keys[k].where == SMALL || x->keys[k].where == MAIN;
}

static void make_room_sieve(struct exact *x)
{
	uint32_t k = x->hand != NONE ? x->hand : x->lists[MAIN].tail;

	while (x->keys[k].count > 0) {
		x->keys[k].count = 0;
		k = x->keys[k].prev != NONE ? x->keys[k].prev : x->lists[MAIN].tail;
	}
	x->hand = x->keys[k].prev;
	pull(x, k);
}

static void evict_main(struct exact *x)
{
	for (;;) {
		const uint32_t k = x->lists[MAIN].tail;

		pull(x, k);
		if (x->keys[k].count == 0)
			return;
		x->keys[k].count--;
		push(x, MAIN, k);
	}
}

/* true: one has left. */
static bool evict_small(struct exact *x)
{
	const uint32_t k = x->lists[SMALL].tail;
	const bool is_kept = x->keys[k].count > 1;

	pull(x, k);
	x->keys[k].count = 0;
	push(x, is_kept ? MAIN : GHOST, k);
	if (x->lists[GHOST].n > x->capacity - x->capacity / 10)
		pull(x, x->lists[GHOST].tail);
	return !is_kept;
}

static void make_room_s3fifo(struct exact *x)
{
	for (;;) {
		if (x->lists[SMALL].n * 10ull >= x->capacity || x->lists[MAIN].n == 0) {
			if (evict_small(x))
				return;
		} else {
			evict_main(x);
			return;
		}
	}
}

static void heap_put(struct exact *x, uint32_t at, uint32_t k)
{
	x->heap[at] = k;
	x->keys[k].prev = at;
}

static void heap_up(struct exact *x, uint32_t at)
{
	const uint32_t k = x->heap[at];

	for (; at > 0 && x->keys[x->heap[(at - 1) / 2]].worth > x->keys[k].worth; at = (at - 1) / 2)
		heap_put(x, at, x->heap[(at - 1) / 2]);
	heap_put(x, at, k);
}

static void heap_down(struct exact *x, uint32_t at)
{
	const uint32_t k = x->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= x->n_heap)
			break;
		if (child + 1 < x->n_heap
			&& x->keys[x->heap[child + 1]].worth < x->keys[x->heap[child]].worth)
			child++;
		if (x->keys[x->heap[child]].worth >= x->keys[k].worth)
			break;
		heap_put(x, at, x->heap[child]);
		at = child;
	}
	heap_put(x, at, k);
}

static bool get_lfu(struct exact *x, uint32_t k)
{
	struct key *e = &x->keys[k];
	const bool is_hit = e->where != OUT;

	if (is_hit) {
		e->worth++;
		heap_down(x, e->prev);
		return true;
	}
	if (x->n_heap == x->capacity) {
		const uint32_t out = x->heap[0];

		x->age = x->keys[out].worth;
		x->keys[out].where = OUT;
		heap_put(x, 0, x->heap[--x->n_heap]);
		heap_down(x, 0);
	}
	e->where = MAIN;
	e->worth = x->age + 1;
	heap_put(x, x->n_heap, k);
	heap_up(x, x->n_heap++);
	return false;
}

bool exact_get(struct exact *x, uint32_t k)
{
	struct key *e = &x->keys[k];
	enum where to = MAIN;

	if (x->policy == EVICT_LFU)
		return get_lfu(x, k);
	if (is_in(x, k)) {
		if (x->policy == EVICT_LRU) {
			pull(x, k);
			push(x, MAIN, k);
		} else if (e->count < (x->policy == EVICT_SIEVE ? 1 : COUNT_MAX)) {
			e->count++;
		}
		return true;
	}
	if (x->policy == EVICT_S3FIFO) {
		to = e->where == GHOST ? MAIN : SMALL;
		if (e->where == GHOST)
			pull(x, k);
	}
	if (x->lists[SMALL].n + x->lists[MAIN].n == x->capacity) {
		if (x->policy == EVICT_S3FIFO)
			make_room_s3fifo(x);
		else if (x->policy == EVICT_SIEVE)
			make_room_sieve(x);
		else
			pull(x, x->lists[MAIN].tail);
	}
	e->count = 0;
	push(x, to, k);
	return false;
}

struct exact *exact_create(enum evict_policy policy, uint32_t capacity, uint32_t n_keys)
{
	struct exact *x = calloc(1, sizeof(*x));

	if (x != NULL) {
		x->keys = calloc(n_keys, sizeof(*x->keys));
		x->heap = calloc(capacity, sizeof(*x->heap));
	}
	if (x == NULL || x->keys == NULL || x->heap == NULL) {
		fputs("error: out of memory\n", stderr);
		exit(1);
	}
	x->policy = policy;
	x->capacity = capacity;
	x->hand = NONE;
	for (unsigned i = 0; i < 4; i++)
		x->lists[i] = (struct list){NONE, NONE, 0};
	return x;
}

void exact_destroy(struct exact **x)
{
	free((*x)->keys);
	free((*x)->heap);
	free(*x);
	*x = NULL;
}
