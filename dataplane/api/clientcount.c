/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clientcount — see clientcount.h. Open addressing with linear probing, at most half full; a row without
 * a count is free. All workers' clients go into one table, so nothing has to be merged. The memory is
 * written to before a worker sees it: the kernel's page faults are the manager's.
 *
 * The largest are kept in a binary heap with the smallest of them on top: O(log n_top) for each row that
 * is among them, one comparison for the others.
 *
 *  I1  n rows have a count, and n ≤ n_max ≤ n_slots / 2, so a search ends
 *  I2  top[0 .. n_top) is a heap: no row ranks below its parent's
 */
#include "api/clientcount.h"

#include "base/keyhash.h"
#include "net/addr.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLEAR_STEP 16384u  /* slots, 384 KB */
#define SELECT_STEP 16384u /* slots */

struct key {
	uint64_t ip[2];
	uint64_t family; /* a whole word: hashed as bytes */
};

struct clientcount {
	struct clientcount_row *slots;
	uint32_t n_slots; /* a power of two */
	uint32_t n, n_max;
	uint32_t at; /* slots cleared, or looked at */
	bool is_full;
	uint64_t mask[2][2]; /* [is IPv6] */
	struct clientcount_row *top;
	uint32_t n_top, n_top_max;
};

int clientcount_create(
	struct clientcount **out, uint64_t n_conns, unsigned len4, unsigned len6, uint32_t n_top)
{
	const uint64_t n_max = n_conns + n_conns / 4 + 1024; /* connections go on being made */
	struct clientcount *c = calloc(1, sizeof(*c));
	uint8_t mask[16];

	if (c == NULL)
		return -ENOMEM;
	c->n_max = n_max < CLIENTCOUNT_MAX ? (uint32_t)n_max : CLIENTCOUNT_MAX;
	c->n_slots = 1;
	while (c->n_slots < 2 * c->n_max)
		c->n_slots *= 2;
	addr_mask(mask, len4);
	memcpy(c->mask[0], mask, sizeof(mask));
	addr_mask(mask, len6);
	memcpy(c->mask[1], mask, sizeof(mask));
	c->n_top_max = n_top;
	c->slots = malloc((size_t)c->n_slots * sizeof(*c->slots));
	c->top = calloc((size_t)n_top + 1, sizeof(*c->top));
	if (c->slots == NULL || c->top == NULL) {
		clientcount_destroy(&c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void clientcount_destroy(struct clientcount **c)
{
	if (*c == NULL)
		return;
	free((*c)->slots);
	free((*c)->top);
	free(*c);
	*c = NULL;
}

/* How many slots the next piece of work has; moves c->at past them. */
static uint32_t take_step(struct clientcount *c, uint32_t step)
{
	const uint32_t left = c->n_slots - c->at;
	const uint32_t n = left < step ? left : step;

	c->at += n;
	return n;
}

bool clientcount_clear_some(struct clientcount *c)
{
	struct clientcount_row *from = c->slots + c->at;

	memset(from, 0, take_step(c, CLEAR_STEP) * sizeof(*from));
	if (c->at < c->n_slots)
		return false;
	c->at = 0;
	return true;
}

void clientcount_add(struct clientcount *c, uint8_t family, const uint8_t ip[static 16])
{
	const uint64_t *mask = c->mask[family == 6];
	struct key key = {.family = family};
	uint32_t at;

	memcpy(key.ip, ip, sizeof(key.ip));
	key.ip[0] &= mask[0];
	key.ip[1] &= mask[1];
	at = (uint32_t)keyhash(&key, sizeof(key)) & (c->n_slots - 1);
	while (c->slots[at].count != 0
		&& (c->slots[at].family != family
			|| memcmp(c->slots[at].ip, key.ip, sizeof(key.ip)) != 0))
		at = (at + 1) & (c->n_slots - 1);
	if (c->slots[at].count == 0) {
		if (c->n == c->n_max) {
			c->is_full = true;
			return;
		}
		c->n++;
		memcpy(c->slots[at].ip, key.ip, sizeof(key.ip));
		c->slots[at].family = family;
	}
	c->slots[at].count++;
}

bool clientcount_is_full(const struct clientcount *c)
{
	return c->is_full;
}

/* Smaller counts come after larger ones, and equal ones by address, so that two calls say the same. */
static int rank(const void *a, const void *b)
{
	const struct clientcount_row *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return memcmp(x->ip, y->ip, sizeof(x->ip));
}

static void swap(struct clientcount_row *a, struct clientcount_row *b)
{
	const struct clientcount_row old = *a;

	*a = *b;
	*b = old;
}

static void sift_up(struct clientcount *c, uint32_t i)
{
	for (; i > 0 && rank(&c->top[i], &c->top[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		swap(&c->top[i], &c->top[(i - 1) / 2]);
}

static void sift_down(struct clientcount *c)
{
	for (uint32_t i = 0, child; (child = 2 * i + 1) < c->n_top; i = child) {
		if (child + 1 < c->n_top && rank(&c->top[child + 1], &c->top[child]) > 0)
			child++;
		if (rank(&c->top[i], &c->top[child]) >= 0)
			return;
		swap(&c->top[i], &c->top[child]);
	}
}

bool clientcount_select_some(struct clientcount *c)
{
	const struct clientcount_row *from = c->slots + c->at;
	const uint32_t n = take_step(c, SELECT_STEP);

	for (uint32_t i = 0; i < n; i++) {
		if (from[i].count == 0)
			continue;
		if (c->n_top < c->n_top_max) {
			c->top[c->n_top] = from[i];
			sift_up(c, c->n_top++);
		} else if (c->n_top > 0 && rank(&from[i], &c->top[0]) < 0) {
			c->top[0] = from[i];
			sift_down(c);
		}
	}
	if (c->at < c->n_slots)
		return false;
	qsort(c->top, c->n_top, sizeof(*c->top), rank);
	return true;
}

const struct clientcount_row *clientcount_top(const struct clientcount *c, uint32_t *n)
{
	*n = c->n_top;
	return c->top;
}
