/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * natport — see natport.h. For each (slot, protocol): owner[] says which connection has a port of our
 * block, free_ports[] is a ring of the others, oldest at head.
 *
 *  I1  a port is in the ring exactly when its owner is CONN_NONE
 */
#include "lb/natport.h"

#include "core/nic.h"
#include "lb/conn.h"
#include "lb/natrss.h"

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
	unsigned n_slots, worker_id, n_workers;
	struct natrss *rss;                        /* NULL: it is not followed */
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
	np->worker_id = worker_id;
	np->n_workers = n_workers;
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
	free((*np)->rss);
	free(*np);
	*np = NULL;
}

int natport_follow_rss(struct natport *np)
{
	if (np->n_workers == 1 || np->n_ports / np->n_workers < NATPORT_FITTING_MIN)
		return 0;
	np->rss = malloc(sizeof(*np->rss));
	if (np->rss == NULL)
		return -ENOMEM;
	natrss_init(np->rss);
	return 0;
}

static uint32_t place(const struct natport *np, const struct block *b, uint32_t n)
{
	return b->head + n < np->n_ports ? b->head + n : b->head + n - np->n_ports;
}

/* One of n_workers ports fits: among sixteen times as many there is one, unless most are in use. */
uint32_t natport_misfits(
	const struct natport *np, unsigned slot, uint8_t proto, const struct natport_peer *peer)
{
	const struct block *b = &np->blocks[slot][proto == MR_PROTO_UDP];
	uint32_t limit;
	uint8_t hash;

	if (likely(np->rss == NULL) || slot >= np->n_slots)
		return 0;
	hash = natrss_answer(np->rss, peer->family, peer->ip, peer->port, peer->snat);
	limit = RTE_MIN(b->n_free, 16 * np->n_workers);
	for (uint32_t n = 0; n < limit; n++) {
		const uint16_t port = b->free_ports[place(np, b, n)];

		if (NIC_RSS_OWNER(hash ^ natrss_port(np->rss, peer->family, port), np->n_workers)
			== np->worker_id)
			return n;
	}
	return 0;
}

void natport_pass(struct natport *np, unsigned slot, uint8_t proto, uint32_t n)
{
	struct block *b = block_of(np, slot, proto);

	for (; n > 0; n--) {
		/* the same place, when all are free */
		b->free_ports[place(np, b, b->n_free)] = b->free_ports[b->head];
		b->head = place(np, b, 1);
	}
}

uint16_t natport_get(struct natport *np, unsigned slot, uint8_t proto, uint32_t conn_idx)
{
	struct block *b = block_of(np, slot, proto);
	uint16_t port;

	if (slot >= np->n_slots || b->n_free == 0)
		return 0;
	port = b->free_ports[b->head];
	b->head = place(np, b, 1);
	__atomic_store_n(&b->n_free, b->n_free - 1, __ATOMIC_RELAXED);
	b->owner[port - np->first] = conn_idx;
	/* opt: ports are in no order, so the next one's line is in no cache; n_free may be 0, the place is there */
	rte_prefetch0(&b->owner[b->free_ports[b->head] - np->first]);
	return port;
}

uint16_t natport_peek(const struct natport *np, unsigned slot, uint8_t proto, uint32_t n)
{
	const struct block *b = &np->blocks[slot][proto == MR_PROTO_UDP];

	return slot >= np->n_slots || b->n_free <= n ? 0 : b->free_ports[place(np, b, n)];
}

void natport_put(struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	struct block *b = block_of(np, slot, proto);

	b->owner[port - np->first] = CONN_NONE;
	b->free_ports[place(np, b, b->n_free)] = port;
	__atomic_store_n(&b->n_free, b->n_free + 1, __ATOMIC_RELAXED);
}

const uint32_t *natport_at(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	static const uint32_t nobody = CONN_NONE;
	const uint32_t i = port - np->first;

	if (unlikely(slot >= np->n_slots || i >= np->n_ports))
		return &nobody;
	return &np->blocks[slot][proto == MR_PROTO_UDP].owner[i];
}

uint32_t natport_find(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port)
{
	return *natport_at(np, slot, proto, port);
}

uint32_t natport_used(const struct natport *np, unsigned slot)
{
	uint32_t n = 0;

	for (unsigned k = 0; slot < np->n_slots && k < 2; k++)
		n += np->n_ports - __atomic_load_n(&np->blocks[slot][k].n_free, __ATOMIC_RELAXED);
	return n;
}
