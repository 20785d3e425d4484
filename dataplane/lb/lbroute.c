/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lbroute — the backend records of a generation: addresses, state, route and pinned next hop, of
 * backends in the model and of absent ones that still have flows (I3 of lbconf.c).
 *
 * The neighbour table counts one pin per neighbour for all of us; pins[] counts our records. So a
 * generation in which no route changed never asks the neighbour table. Context: manager.
 */
#include "lb/lbconf_pvt.h"

#include <errno.h>
#include <stdlib.h>

static void pin_ref(struct lb_registry *r, uint32_t ref)
{
	r->pins[ref & 0xffffff]++;
}

void lbroute_unpin(struct lb_registry *r, uint32_t ref)
{
	if (--r->pins[ref & 0xffffff] == 0)
		neigh_unpin(r->neigh, ref);
}

/* Pins the record's next hop: the previous generation's pin when the route is the same. */
static int pin_next_hop(struct build *b, struct lb_backend *be, const struct lb_backend *prev)
{
	struct neigh_key key = {.family = be->family, .iface = be->iface};
	uint32_t ref;

	if (prev != NULL && prev->neigh_ref != NEIGH_NONE && prev->family == be->family
		&& prev->iface == be->iface && memcmp(prev->next_hop, be->next_hop, 16) == 0) {
		be->neigh_ref = prev->neigh_ref;
		pin_ref(b->r, be->neigh_ref);
		return 0;
	}
	memcpy(key.ip, be->next_hop, sizeof(key.ip));
	ref = neigh_pin(b->r->neigh, &key, b->spec->now_ms);
	if (ref == NEIGH_NONE)
		return -ENOSPC;
	if (b->r->pins[ref & 0xffffff] > 0)
		neigh_unpin(b->r->neigh, ref); /* one pin stands for all our records */
	pin_ref(b->r, ref);
	be->neigh_ref = ref;
	return 0;
}

/* Sets iface and next_hop. Routes are asked again only when the addresses may have changed. */
static bool route_backend(
	const struct build *b, struct lb_backend *be, const struct lb_backend *prev)
{
	if (prev != NULL && b->prev->addrs == b->spec->addrs && prev->neigh_ref != NEIGH_NONE
		&& prev->family == be->family && memcmp(prev->ip, be->ip, sizeof(be->ip)) == 0) {
		be->iface = prev->iface;
		memcpy(be->next_hop, prev->next_hop, sizeof(be->next_hop));
		return true;
	}
	return addr_route(b->spec->addrs, be->family, be->ip, &be->iface, be->next_hop);
}

static const struct lb_backend *record_before(const struct build *b, uint32_t slot)
{
	if (b->prev == NULL || slot >= b->prev->c.n_backends)
		return NULL;
	return &b->prev->c.backends[slot];
}

static int fill_backend(struct build *b, const struct lb_service *s, unsigned i)
{
	const struct mr_backend *m = &s->backends[i];
	const uint32_t slot = s->backend_idx[i];
	const struct lb_backend *prev = record_before(b, slot);
	struct lb_backend *be = &b->next->c.backends[slot];
	char ip[INET6_ADDRSTRLEN];

	memcpy(be->ip, m->ip.bytes, sizeof(be->ip));
	be->port = rte_cpu_to_be_16(m->port);
	be->family = m->ip.family;
	be->state = m->state;
	be->mode = s->spec.mode;
	be->weight = m->weight;
	be->max_conns = lbconf_share(b->r, m->max_conns);
	be->service_idx = s->idx;
	if (!route_backend(b, be, prev))
		return lbspec_refuse_backend(b->err, -EINVAL, m,
			"no route to %s; give a port an address of its network, or add a gateway",
			mr_ip_text(&m->ip, ip, sizeof(ip)));
	if (be->mode == MR_MODE_DSR_L2 && memcmp(be->next_hop, be->ip, sizeof(be->ip)) != 0)
		return lbspec_refuse_backend(b->err, -EINVAL, m,
			"%s is not on a connected network, which dsr-l2 needs; give a port an "
			"address of its network, or use full-nat",
			mr_ip_text(&m->ip, ip, sizeof(ip)));
	if (pin_next_hop(b, be, prev) != 0)
		return lbspec_refuse_backend(b->err, -ENOSPC, m,
			"the neighbour table is full (%u entries); restart millraced with a larger "
			"--neighs, or reach the backends over a gateway",
			b->r->neigh->n_slots);
	return 0;
}

/* I3. A route that is gone leaves the old one in place: its flows have nothing better. */
static int keep_absent(struct build *b, uint32_t slot)
{
	const struct lb_backend *prev = record_before(b, slot);
	struct lb_backend *be = &b->next->c.backends[slot];

	if (prev == NULL || prev->neigh_ref == NEIGH_NONE
		|| (slots_refs(b->r->backends, slot) == 0
			&& !lbconf_in_use(&b->r->backend_users, slot)))
		return 0;
	*be = *prev;
	be->state = 0;
	be->neigh_ref = NEIGH_NONE;
	if (!route_backend(b, be, prev)) {
		be->iface = prev->iface;
		memcpy(be->next_hop, prev->next_hop, sizeof(be->next_hop));
	}
	if (pin_next_hop(b, be, prev) != 0) { /* back to the pin that cannot fail */
		be->iface = prev->iface;
		memcpy(be->next_hop, prev->next_hop, sizeof(be->next_hop));
		return pin_next_hop(b, be, prev);
	}
	return 0;
}

int lbroute_build(struct build *b)
{
	struct lb_conf *c = &b->next->c;
	const uint32_t n = slots_count(b->r->backends);
	int rc = 0;

	c->backends = aligned_alloc(64, (n + 1) * sizeof(c->backends[0]));
	if (c->backends == NULL)
		return -ENOMEM;
	memset(c->backends, 0, (n + 1) * sizeof(c->backends[0]));
	for (uint32_t i = 0; i < n; i++)
		c->backends[i].neigh_ref = NEIGH_NONE;
	c->n_backends = n;
	for (uint32_t i = 0; i < c->n_services; i++) {
		for (unsigned k = 0; c->services[i] != NULL && k < c->services[i]->n_backends;
			k++) {
			rc = fill_backend(b, c->services[i], k);
			if (rc != 0)
				return rc;
		}
	}
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		if (c->backends[i].state == 0)
			rc = keep_absent(b, i);
	}
	return rc;
}
