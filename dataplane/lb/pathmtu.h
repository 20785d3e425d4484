/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pathmtu — what routers between here and the backends of tunnels say about the size of our packets: ICMP
 * "fragmentation needed" (RFC 1191) and ICMPv6 "packet too big" (RFC 8201) to an own address, quoting an outer
 * packet. It lowers the path MTU of the backend for ten minutes, and goes on to the client that sent the inner packet
 * where enough of that is quoted. Context of everything: manager.
 *
 * The limit itself is in the backend's record of the running generation, path_mtu. The manager alone writes it, as it
 * alone publishes records: relaxed stores of one half-word, which says all that there is to know. A worker that reads
 * the old value sends one more packet that does not fit.
 */
#include "core/worker.h"
#include "lb/lbconf.h"

struct pathmtu;

struct pathmtu_params {
	struct lb_registry *registry;
	struct neigh_table *neigh;
	const struct iface_set *ifaces;
	struct tally *tally; /* the manager's */
	uint32_t n_backends; /* slots, as in struct lb_limits */
};

/* 0 or -ENOMEM. */
int pathmtu_create(struct pathmtu **out, const struct pathmtu_params *p);
void pathmtu_destroy(struct pathmtu **pm); /* NULL-safe, clears *pm */

/* A packet of class PUNT_TOO_BIG that came in by iface. True: it is about a tunnel of ours, and has been taken, counted
 * and freed or sent on. False: it is not, and still the caller's. */
bool pathmtu_input(struct pathmtu *pm, struct rte_mbuf *m, unsigned iface,
	const struct snapshot *running, uint32_t now_ms);

/* Before next is published in place of prev (NULL: it is the first): next gets what has been learned of backends that
 * keep their address. */
void pathmtu_publish(struct pathmtu *pm, const struct lb_conf *prev, const struct lb_conf *next);

/* Forgets what is old; bounded work, call every few milliseconds. */
void pathmtu_run(struct pathmtu *pm, const struct lb_conf *running, uint32_t now_ms);
