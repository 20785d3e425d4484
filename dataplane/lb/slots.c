/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slots — see slots.h. A chained hash table from key to slot, and a queue of vacant slots, the one
 * vacant for longest in front.
 *
 *  I1  a slot below n_given is in exactly one chain, that of its key
 *  I2  a slot is in the vacant queue exactly if it was given out and has no references
 *  I3  a vacant slot changes its key only while nothing uses it (in_use() == 0)
 *
 * A vacant slot is preferred to a fresh one, which keeps the arrays of a generation dense; but only the
 * first few are asked for while there are fresh ones, so that many slots still in use do not make each new
 * name slow. Cost of slots_get(): O(1); O(vacant) when nothing fresh is left.
 */
#define XXH_INLINE_ALL
#include "lb/slots.h"

#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#define ASK_WHILE_FRESH 8u

struct slot {
	struct slot_key key;
	uint32_t next; /* in the chain, or SLOT_NONE */
	uint32_t n_refs;
	TAILQ_ENTRY(slot) vacant;
};

struct slots {
	uint32_t n_max;
	uint32_t n_given;
	uint32_t n_vacant;
	uint32_t mask;
	uint32_t *heads;
	TAILQ_HEAD(, slot) vacant;
	struct slot at[];
};

int slots_create(struct slots **out, uint32_t n_max)
{
	struct slots *s = calloc(1, sizeof(*s) + n_max * sizeof(s->at[0]));
	uint32_t n_heads = 16;

	if (s == NULL)
		return -ENOMEM;
	while (n_heads < n_max)
		n_heads *= 2;
	s->heads = malloc(n_heads * sizeof(s->heads[0]));
	if (s->heads == NULL) {
		free(s);
		return -ENOMEM;
	}
	memset(s->heads, 0xff, n_heads * sizeof(s->heads[0]));
	s->mask = n_heads - 1;
	s->n_max = n_max;
	TAILQ_INIT(&s->vacant);
	*out = s;
	return 0;
}

void slots_destroy(struct slots **s)
{
	if (*s == NULL)
		return;
	free((*s)->heads);
	free(*s);
	*s = NULL;
}

static uint32_t *head_of(struct slots *s, const struct slot_key *key)
{
	return &s->heads[(uint32_t)XXH3_64bits(key, sizeof(*key)) & s->mask];
}

static void chain_add(struct slots *s, uint32_t slot, const struct slot_key *key)
{
	uint32_t *head = head_of(s, key);

	s->at[slot].key = *key;
	s->at[slot].next = *head;
	*head = slot;
}

static void chain_del(struct slots *s, uint32_t slot)
{
	uint32_t *link = head_of(s, &s->at[slot].key);

	while (*link != slot)
		link = &s->at[*link].next;
	*link = s->at[slot].next;
}

/* A vacant slot that nothing uses any more, or SLOT_NONE after asking for n_ask of them; those asked for
 * go to the end of the queue. */
static uint32_t find_unused(struct slots *s, const struct slots_users *users, uint32_t n_ask)
{
	for (; n_ask > 0; n_ask--) {
		struct slot *v = TAILQ_FIRST(&s->vacant);
		const uint32_t slot = (uint32_t)(v - s->at);

		if (users->in_use(users->ctx, users->kind, slot) == 0)
			return slot;
		TAILQ_REMOVE(&s->vacant, v, vacant);
		TAILQ_INSERT_TAIL(&s->vacant, v, vacant);
	}
	return SLOT_NONE;
}

uint32_t slots_get(struct slots *s, const struct slot_key *key, const struct slots_users *users)
{
	const bool has_fresh = s->n_given < s->n_max;
	uint32_t slot, n_ask = s->n_vacant;

	for (slot = *head_of(s, key); slot != SLOT_NONE; slot = s->at[slot].next) {
		if (memcmp(&s->at[slot].key, key, sizeof(*key)) == 0) {
			slots_ref(s, slot);
			return slot;
		}
	}
	if (has_fresh && n_ask > ASK_WHILE_FRESH)
		n_ask = ASK_WHILE_FRESH;
	slot = find_unused(s, users, n_ask);
	if (slot != SLOT_NONE) {
		chain_del(s, slot);
		chain_add(s, slot, key);
		slots_ref(s, slot);
	} else if (has_fresh) {
		slot = s->n_given++;
		chain_add(s, slot, key);
		s->at[slot].n_refs = 1;
	} else {
		return SLOT_NONE;
	}
	if (users->on_give != NULL)
		users->on_give(users->ctx, users->kind, slot);
	return slot;
}

void slots_ref(struct slots *s, uint32_t slot)
{
	if (s->at[slot].n_refs++ > 0)
		return;
	TAILQ_REMOVE(&s->vacant, &s->at[slot], vacant);
	s->n_vacant--;
}

void slots_put(struct slots *s, uint32_t slot)
{
	if (--s->at[slot].n_refs > 0)
		return;
	TAILQ_INSERT_TAIL(&s->vacant, &s->at[slot], vacant);
	s->n_vacant++;
}

uint32_t slots_refs(const struct slots *s, uint32_t slot)
{
	return s->at[slot].n_refs;
}

uint32_t slots_count(const struct slots *s)
{
	return s->n_given;
}

const struct slot_key *slots_key(const struct slots *s, uint32_t slot)
{
	return slot < s->n_given ? &s->at[slot].key : NULL;
}
