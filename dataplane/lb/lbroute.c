/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lbroute — the backend records of a generation: addresses, state, route and pinned next hop, of
 * backends in the model and of absent ones that still have flows (I3 and I4 of lbconf.c).
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

/* A backend's record, the address of its next hop, and both before. */
struct route {
	struct lb_backend *be;
	const struct lb_backend *prev; /* or NULL */
	struct next_hop *hop;
	const struct next_hop *prev_hop;
};

static struct route route_of(const struct build *b, uint32_t slot)
{
	struct route r = {.be = &b->next->c.backends[slot], .hop = &b->next->next_hops[slot]};

	if (b->prev != NULL && slot < b->prev->c.n_backends) {
		r.prev = &b->prev->c.backends[slot];
		r.prev_hop = &b->prev->next_hops[slot];
	}
	return r;
}

/* Pins the record's next hop: the previous generation's pin when the route is the same. */
static int pin_next_hop(struct build *b, const struct route *r)
{
	struct neigh_key key = {.family = r->be->family, .iface = r->be->iface};
	uint32_t ref;

	if (r->prev != NULL && r->prev->neigh_ref != NEIGH_NONE && r->prev->family == r->be->family
		&& r->prev->iface == r->be->iface
		&& memcmp(r->prev_hop, r->hop, sizeof(*r->hop)) == 0) {
		r->be->neigh_ref = r->prev->neigh_ref;
		pin_ref(b->r, r->be->neigh_ref);
		return 0;
	}
	memcpy(key.ip, r->hop->ip, sizeof(key.ip));
	ref = neigh_pin(b->r->neigh, &key, b->spec->now_ms);
	if (ref == NEIGH_NONE)
		return -ENOSPC;
	if (b->r->pins[ref & 0xffffff] > 0)
		neigh_unpin(b->r->neigh, ref); /* one pin stands for all our records */
	pin_ref(b->r, ref);
	r->be->neigh_ref = ref;
	return 0;
}

/* Sets iface and next hop. Routes are asked again only when the addresses may have changed. */
static bool route_backend(const struct build *b, const struct route *r)
{
	const struct lb_backend *prev = r->prev;
	struct lb_backend *be = r->be;

	if (prev != NULL && b->prev->addrs == b->spec->addrs && prev->neigh_ref != NEIGH_NONE
		&& prev->family == be->family && memcmp(prev->ip, be->ip, sizeof(be->ip)) == 0) {
		be->iface = prev->iface;
		*r->hop = *r->prev_hop;
		return true;
	}
	return addr_route(b->spec->addrs, be->family, be->ip, &be->iface, r->hop->ip);
}

/* Our address towards the backend, and how much goes there at once. There is an address: the route came from a network of
 * the port. What has been learned of the path comes with the publication (pathmtu.c). */
static void set_tunnel(const struct build *b, struct lb_backend *be)
{
	addr_source(b->spec->addrs, be->iface, be->family, be->ip, be->tunnel_src);
	be->mtu_max = b->spec->ifaces->of[be->iface].mtu_bytes;
	be->path_mtu = be->mtu_max;
}

/* What becomes of the flows it has. */
static void set_pinned(struct lb_backend *be, uint8_t on_down)
{
	be->is_out = be->state != MR_BACKEND_UP && be->state != MR_BACKEND_DRAIN;
	if (be->is_out)
		be->on_packet = on_down;
	if (be->state == MR_BACKEND_EVICT && on_down == MR_DOWN_KEEP)
		be->on_packet = MR_DOWN_RESET;
}

/* I4. Flows that began with DNAT need the way back when the service's mode has changed. The generation of the change keeps
 * it for those that a worker still opens by the one before; later ones while there are flows, of whatever mode: an entry of
 * the table that finds none does no harm. */
static bool is_reverted(const struct build *b, const struct route *r, uint32_t slot)
{
	const struct lb_backend *be = r->be, *prev = r->prev;

	if (be->mode == MR_MODE_DNAT)
		return true;
	return prev != NULL && prev->is_reverted && prev->port == be->port
		&& prev->service_idx == be->service_idx
		&& memcmp(prev->ip, be->ip, sizeof(be->ip)) == 0
		&& (prev->mode == MR_MODE_DNAT || lbconf_in_use(&b->r->backend_users, slot));
}

static int fill_backend(struct build *b, const struct lb_service *s, unsigned i)
{
	const struct mr_backend *m = &s->backends[i];
	const uint32_t slot = s->backend_idx[i];
	const struct route r = route_of(b, slot);
	struct lb_backend *be = r.be;
	char ip[INET6_ADDRSTRLEN];

	memcpy(be->ip, m->ip.bytes, sizeof(be->ip));
	be->port = rte_cpu_to_be_16(m->port);
	be->family = m->ip.family;
	be->state = m->state;
	be->mode = s->spec.mode;
	be->weight = m->weight;
	be->is_quic = s->quic != NULL;
	be->max_conns = lbconf_share(b->r, m->max_conns);
	be->service_idx = s->idx;
	be->is_reverted = is_reverted(b, &r, slot);
	set_pinned(be, s->spec.on_down);
	if (!route_backend(b, &r))
		return lbspec_refuse_backend(b->err, -EINVAL, m,
			"no route to %s; give a port an address of its network, or add a gateway",
			mr_ip_text(&m->ip, ip, sizeof(ip)));
	set_tunnel(b, be);
	if (be->mode == MR_MODE_DSR_L2 && memcmp(r.hop->ip, be->ip, sizeof(be->ip)) != 0)
		return lbspec_refuse_backend(b->err, -EINVAL, m,
			"%s is not on a connected network, which dsr-l2 needs; give a port an "
			"address of its network, or use a tunnel (ipip, gue) or full-nat",
			mr_ip_text(&m->ip, ip, sizeof(ip)));
	if (pin_next_hop(b, &r) != 0)
		return lbspec_refuse_backend(b->err, -ENOSPC, m,
			"the neighbour table is full (%u entries); restart millraced with a larger "
			"--neighs, or reach the backends over a gateway",
			b->r->neigh->n_slots);
	return 0;
}

/* I3. A route that is gone leaves the old one in place: its flows have nothing better. */
static int keep_absent(struct build *b, uint32_t slot)
{
	const struct route r = route_of(b, slot);
	const struct lb_backend *prev = r.prev;
	const struct lb_service *s;
	struct lb_backend *be = r.be;
	int rc;

	if (prev == NULL || prev->neigh_ref == NEIGH_NONE
		|| (slots_refs(b->r->backends, slot) == 0
			&& !lbconf_in_use(&b->r->backend_users, slot)))
		return 0;
	*be = *prev;
	be->state = 0;
	be->neigh_ref = NEIGH_NONE;
	s = be->service_idx < b->next->c.n_services ? b->next->c.services[be->service_idx] : NULL;
	set_pinned(be, s != NULL ? s->spec.on_down : MR_DOWN_KEEP);
	if (!route_backend(b, &r)) {
		be->iface = prev->iface;
		*r.hop = *r.prev_hop;
	}
	rc = pin_next_hop(b, &r);
	if (rc != 0) { /* back to the pin that cannot fail */
		be->iface = prev->iface;
		*r.hop = *r.prev_hop;
		rc = pin_next_hop(b, &r);
	}
	set_tunnel(b, be);
	return rc;
}

int lbroute_build(struct build *b)
{
	struct lb_conf *c = &b->next->c;
	const uint32_t n = slots_count(b->r->backends);
	int rc = 0;

	c->backends = aligned_alloc(64, (n + 1) * sizeof(c->backends[0]));
	b->next->next_hops = calloc(n + 1, sizeof(b->next->next_hops[0]));
	if (c->backends == NULL || b->next->next_hops == NULL)
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

/* --- backends with DNAT flows, by address: whose packets are turned back --- */

struct revert {
	struct vip_entry entry;
	bool is_left; /* the backend, or the mode, is not in the model any more */
};

static int by_endpoint(const void *a, const void *b)
{
	const struct revert *x = a, *y = b;
	int c = memcmp(&x->entry.ip, &y->entry.ip, sizeof(x->entry.ip));

	if (c == 0)
		c = (x->entry.port > y->entry.port) - (x->entry.port < y->entry.port);
	if (c == 0)
		c = (x->entry.proto > y->entry.proto) - (x->entry.proto < y->entry.proto);
	return c;
}

/* Of equal ones, those of the model first. */
static int by_endpoint_and_state(const void *a, const void *b)
{
	const struct revert *x = a, *y = b;
	const int c = by_endpoint(a, b);

	return c != 0 ? c : x->is_left - y->is_left;
}

static unsigned collect_reverts(const struct lb_conf *c, struct revert *r)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < c->n_backends; i++) {
		const struct lb_backend *be = &c->backends[i];
		const struct lb_service *s =
			be->service_idx < c->n_services ? c->services[be->service_idx] : NULL;

		if (be->neigh_ref == NEIGH_NONE || !be->is_reverted || s == NULL)
			continue;
		memset(&r[n], 0, sizeof(r[n]));
		r[n].entry.ip.family = be->family;
		memcpy(r[n].entry.ip.bytes, be->ip, sizeof(be->ip));
		r[n].entry.port = rte_be_to_cpu_16(be->port);
		r[n].entry.proto = s->spec.proto;
		r[n].entry.service_idx = s->idx;
		r[n++].is_left = be->state == 0 || be->mode != MR_MODE_DNAT;
	}
	return n;
}

static int refuse_twice(struct build *b, const struct revert *r)
{
	const struct lb_registry *reg = b->r;
	char ip[INET6_ADDRSTRLEN];

	b->err->code = MR_ERR_INVALID;
	snprintf(b->err->object, sizeof(b->err->object), "service/%s",
		lb_registry_service_name(reg, r[1].entry.service_idx));
	snprintf(b->err->message, sizeof(b->err->message),
		"its backend %s port %u is one of service \"%s\" too, which is dnat as well: what it "
		"sends could not be told apart; give it another port for one of them",
		mr_ip_text(&r->entry.ip, ip, sizeof(ip)), r->entry.port,
		lb_registry_service_name(reg, r->entry.service_idx));
	return -EINVAL;
}

/* One of each address: what is left of flows ends when another DNAT service has the address now. */
static int unite_reverts(struct build *b, struct revert *r, unsigned *n)
{
	unsigned n_kept = 0;

	qsort(r, *n, sizeof(*r), by_endpoint_and_state);
	for (unsigned i = 0; i < *n; i++) {
		if (n_kept == 0 || by_endpoint(&r[n_kept - 1], &r[i]) != 0)
			r[n_kept++] = r[i];
		else if (!r[i].is_left && r[i].entry.service_idx != r[n_kept - 1].entry.service_idx)
			return refuse_twice(b, (const struct revert[2]){r[n_kept - 1], r[i]});
	}
	*n = n_kept;
	return 0;
}

int lbroute_build_reverts(struct build *b)
{
	struct lb_conf *c = &b->next->c;
	struct revert *r = calloc(c->n_backends + 1, sizeof(*r));
	struct vip_entry *e = calloc(2 * (size_t)c->n_backends + 1, sizeof(*e));
	int rc = r == NULL || e == NULL ? -ENOMEM : 0;
	unsigned n = 0, n_entries = 0;

	if (rc == 0) {
		n = collect_reverts(c, r);
		rc = unite_reverts(b, r, &n);
	}
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		e[n_entries++] = r[i].entry;
		if (i > 0 && memcmp(&r[i - 1].entry.ip, &r[i].entry.ip, sizeof(r[i].entry.ip)) == 0)
			continue;
		e[n_entries] = r[i].entry; /* the address alone: its fragments have no port */
		e[n_entries].port = 0;
		e[n_entries++].proto = 0;
	}
	if (rc == 0 && n > 0)
		rc = vip_table_create(&c->reverts, e, n_entries);
	free(r);
	free(e);
	return rc;
}

/* --- addresses of backends, and the port each is behind --- */

static bool same_sources(const struct build *b)
{
	const struct lb_conf *c = &b->next->c, *prev = b->prev != NULL ? &b->prev->c : NULL;

	if (prev == NULL || prev->n_backends != c->n_backends)
		return false;
	for (uint32_t i = 0; i < c->n_backends; i++) {
		const struct lb_backend *x = &prev->backends[i], *y = &c->backends[i];

		if ((x->state == 0) != (y->state == 0))
			return false;
		if (y->state != 0
			&& (x->iface != y->iface || x->family != y->family
				|| memcmp(x->ip, y->ip, sizeof(x->ip)) != 0))
			return false;
	}
	return true;
}

/* An address is a backend's as long as it is in the model: an absent one's may be a client's by now. In several
 * services it has one route, so its entries are equal. */
static int fill_sources(const struct lb_conf *c, struct vip_table **out)
{
	struct vip_entry *e = calloc(c->n_backends + 1, sizeof(*e));
	unsigned n = 0;
	int rc;

	if (e == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_backends; i++) {
		const struct lb_backend *be = &c->backends[i];

		if (be->state == 0)
			continue;
		e[n].ip.family = be->family;
		memcpy(e[n].ip.bytes, be->ip, sizeof(be->ip));
		e[n++].service_idx = be->iface;
	}
	rc = vip_table_create(out, e, n);
	free(e);
	return rc;
}

int lbroute_build_sources(struct build *b)
{
	struct conf_pvt *next = b->next;
	int rc = 0;

	if (same_sources(b)) {
		next->sources = b->prev->sources;
		next->sources->n_refs++;
	} else {
		next->sources = calloc(1, sizeof(*next->sources));
		if (next->sources == NULL)
			return -ENOMEM;
		next->sources->n_refs = 1;
		rc = fill_sources(&next->c, &next->sources->table);
	}
	next->c.sources = next->sources->table;
	return rc;
}
