/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * natport — see natport.h. For each (slot, protocol): owner[] says which connection has a port of our
 * block, free_ports[] is a ring of the others, oldest at head.
 *
 *  I1  a port is in the ring exactly when its owner is CONN_NONE
 */
#include "lb/natport.h"

#include "lb/conn.h"

#include <rte_prefetch.h>

#include <errno.h>
#include <stdlib.h>

struct block {
	uint32_t *owner;      /* by port − first */
	uint16_t *free_ports; /* ring of n_ports places */
	uint32_t head, n_free;
};

struct natport {
	uint32_t first, n_ports; /* our block of every address */
	unsigned n_slots;
	struct block blocks[NATPORT_SLOTS_MAX][2]; /* TCP, UDP */
};

static struct block *block_of(struct natport *np, unsigned slot, uint8_t proto)
{
	return &np->blocks[slot][proto == MR_PROTO_UDP];
}

/* Numerical Recipes' 64-bit mix: the order ports are first given out in must differ, not be secret. */
static uint64_t mix(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static int block_init(struct block *b, const struct natport *np, uint64_t *seed)
{
	b->owner = malloc(np->n_ports * sizeof(*b->owner));
	b->free_ports = malloc(np->n_ports * sizeof(*b->free_ports));
	if (b->owner == NULL || b->free_ports == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < np->n_ports; i++) {
		const uint32_t at = (uint32_t)(mix(seed) % (i + 1));

		b->owner[i] = CONN_NONE;
		b->free_ports[i] = b->free_ports[at];
		b->free_ports[at] = (uint16_t)(np->first + i);
	}
	b->n_free = np->n_ports;
	return 0;
}

int natport_create(struct natport **out, unsigned worker_id, unsigned n_workers, unsigned n_slots,
	uint64_t seed)
{
	struct natport *np;

	if (n_slots > NATPORT_SLOTS_MAX || worker_id >= n_workers)
		return -EINVAL;
	np = calloc(1, sizeof(*np));
	if (np == NULL)
		return -ENOMEM;
	np->n_ports = (65536u - NATPORT_FIRST) / n_workers;
	np->first = NATPORT_FIRST + worker_id * np->n_ports;
	np->n_slots = n_slots;
	for (unsigned s = 0; s < n_slots; s++) {
		if (block_init(&np->blocks[s][0], np, &seed) != 0
			|| block_init(&np->blocks[s][1], np, &seed) != 0) {
			natport_destroy(&np);
			return -ENOMEM;
		}
	}
	*out = np;
	return 0;
}

void natport_destroy(struct natport **np)
{
	if (*np == NULL)
		return;
	for (unsigned s = 0; s < NATPORT_SLOTS_MAX; s++) {
		for (unsigned k = 0; k < 2; k++) {
			free((*np)->blocks[s][k].owner);
			free((*np)->blocks[s][k].free_ports);
		}
	}
	free(*np);
	*np = NULL;
}

uint16_t natport_get(struct natport *np, unsigned slot, uint8_t proto, uint32_t conn_idx)
{
	struct block *b = block_of(np, slot, proto);
	uint16_t port;

	if (slot >= np->n_slots || b->n_free == 0)
		return 0;
	port = b->free_ports[b->head];
	b->head = b->head + 1 == np->n_ports ? 0 : b->head + 1;
	__atomic_store_n(&b->n_free, b->n_free - 1, __ATOMIC_RELAXED);
	b->owner[port - np->first] = conn_idx;
	/* opt: ports are in no order, so the next one's line is in no cache; n_free may be 0, the place is there */
	rte_prefetch0(&b->owner[b->free_ports[b->head] - np->first]);
	return port;
}

uint16_t natport_peek(const struct natport *np, unsigned slot, uint8_t proto)
{
	const struct block *b = &np->blocks[slot][proto == MR_PROTO_UDP];

	return slot >= np->n_slots || b->n_free == 0 ? 0 : b->free_ports[b->head];
}

void natport_put(struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	struct block *b = block_of(np, slot, proto);
	uint32_t tail = b->head + b->n_free;

	if (tail >= np->n_ports)
		tail -= np->n_ports;
	b->owner[port - np->first] = CONN_NONE;
	b->free_ports[tail] = port;
	__atomic_store_n(&b->n_free, b->n_free + 1, __ATOMIC_RELAXED);
}

uint32_t natport_find(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	const uint32_t i = port - np->first;

	if (slot >= np->n_slots || i >= np->n_ports)
		return CONN_NONE;
	return np->blocks[slot][proto == MR_PROTO_UDP].owner[i];
}

void natport_prefetch(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	const uint32_t i = port - np->first;

	if (slot < np->n_slots && i < np->n_ports)
		rte_prefetch0(&np->blocks[slot][proto == MR_PROTO_UDP].owner[i]);
}

uint32_t natport_used(const struct natport *np, unsigned slot)
{
	uint32_t n = 0;

	for (unsigned k = 0; slot < np->n_slots && k < 2; k++)
		n += np->n_ports - __atomic_load_n(&np->blocks[slot][k].n_free, __ATOMIC_RELAXED);
	return n;
}
