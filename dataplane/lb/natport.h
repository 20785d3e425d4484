/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * natport — source ports of full NAT. Ports 1024…65535 of every SNAT address are split into one
 * block per worker, so that the destination port of a return packet names its owner. Per worker,
 * address and protocol: a queue of free ports (the one given back longest ago goes first, so a
 * backend in TIME_WAIT does not see a port again soon) and an array port → connection. Owned by one
 * worker, no locks; memory for all slots is taken at start.
 *
 * Where devices choose the worker by RSS, ports are preferred with which they bring the answers to this worker: one
 * of as many as there are workers. Others serve as well, by a hand-over.
 */
#include <rte_byteorder.h>

#include <stdbool.h>
#include <stdint.h>

#define NATPORT_FIRST 1024u
#define NATPORT_SLOTS_MAX 64u

/* Fewer fitting ports of an address than this: a backend would see them again too soon, so none is preferred. That is
 * so with more than 8 workers. */
#define NATPORT_FITTING_MIN 1000u

struct natport;

/* A backend, as an answer names it: addresses of 4 or 16 bytes by family (4 or 6). */
struct natport_peer {
	uint8_t family;
	rte_be16_t port;
	const uint8_t *ip, *snat;
};

/* Worker that owns this port (host order) of any SNAT address; ports below NATPORT_FIRST: worker 0. */
static inline unsigned natport_owner(uint16_t port, unsigned n_workers)
{
	const uint32_t block = (65536u - NATPORT_FIRST) / n_workers;
	const uint32_t w = port < NATPORT_FIRST ? 0 : (port - NATPORT_FIRST) / block;

	return w < n_workers ? w : n_workers - 1;
}

/* Cold. Context: manager, before workers start. n_slots ≤ NATPORT_SLOTS_MAX; seed mixes the order in
 * which ports are first given out. 0, -EINVAL, -ENOMEM. */
int natport_create(struct natport **out, unsigned worker_id, unsigned n_workers, unsigned n_slots,
	uint64_t seed);
void natport_destroy(struct natport **np);

/* Cold, before the first port is taken: prefers ports by RSS. -ENOMEM: it does not. */
int natport_follow_rss(struct natport *np);

/* Hot. Context: owning worker; proto is TCP or UDP by IP number. */

/* How many ports to pass over so that answers of the peer come to this worker; 0 when none fits among those looked at,
 * and where RSS is not followed. */
uint32_t natport_misfits(
	const struct natport *np, unsigned slot, uint8_t proto, const struct natport_peer *peer);
/* Puts so many behind all others. */
void natport_pass(struct natport *np, unsigned slot, uint8_t proto, uint32_t n);
/* Takes a free port and ties it to the connection: the port (host order), 0 when none is left. */
uint16_t natport_get(struct natport *np, unsigned slot, uint8_t proto, uint32_t conn_idx);
/* The port that natport_get() would take after natport_pass() of n; it takes none. */
uint16_t natport_peek(const struct natport *np, unsigned slot, uint8_t proto, uint32_t n);
void natport_put(struct natport *np, unsigned slot, uint8_t proto, uint16_t port);

/* Connection of a port, or CONN_NONE. Ports of other workers and free ports: CONN_NONE. */
uint32_t natport_find(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port);
/* Hot. Where that is read: to be prefetched. */
const uint32_t *natport_at(const struct natport *np, unsigned slot, uint8_t proto, uint16_t port);

/* Ports in use on a slot, both protocols. Any thread; a moment's view (relaxed). */
uint32_t natport_used(const struct natport *np, unsigned slot);
