/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confrule — see confrule.h. Uniqueness is found by sorting: all addresses of the file that belong to
 * this box (ports, VIPs, SNAT) go into one sorted array with their role and place, and every backend
 * is looked up in it. O(n log n) in the size of the file.
 */
#include "lib/confrule.h"

#include "lib/confindex.h"
#include "lib/confprobe.h"
#include "millrace/api_lb.h"

#include <stdlib.h>

enum role { ROLE_PORT, ROLE_SNAT, ROLE_VIP };

static const char *const role_names[] = {"a port's address", "a SNAT address", "a VIP"};

/* An address of this box, or with ROLE_VIP one service's endpoint. */
struct owned {
	struct mr_ip ip;
	uint16_t port;
	uint8_t proto;
	enum role role;
	size_t service; /* with ROLE_VIP: its index */
	const struct yamltree_node *at;
};

struct rules {
	struct confdraft *d;
	struct confread *r;
	struct conf *c;
	struct owned *owned; /* sorted by address, role, port, protocol, then place */
	size_t n_owned;
	struct confindex checks, pools, caches;
};

static int by_ip(const struct mr_ip *a, const struct mr_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int by_owned(const void *a, const void *b)
{
	const struct owned *x = a, *y = b;
	int d = by_ip(&x->ip, &y->ip);

	if (d == 0)
		d = (int)x->role - (int)y->role;
	if (d == 0)
		d = (int)x->port - (int)y->port;
	if (d == 0)
		d = (int)x->proto - (int)y->proto;
	if (d == 0)
		d = x->at->span.line != y->at->span.line
			? (x->at->span.line < y->at->span.line ? -1 : 1)
			: (x->at->span.col < y->at->span.col ? -1 : 1);
	return d;
}

static int by_owned_ip(const void *key, const void *item)
{
	return by_ip(key, &((const struct owned *)item)->ip);
}

/* Any owner of the address, or NULL. */
static const struct owned *find_owned(const struct rules *u, const struct mr_ip *ip)
{
	if (u->n_owned == 0)
		return NULL;
	return bsearch(ip, u->owned, u->n_owned, sizeof(*u->owned), by_owned_ip);
}

static void own(struct rules *u, enum role role, const struct mr_ip *ip, size_t service,
	const struct yamltree_node *at)
{
	struct owned *o = &u->owned[u->n_owned];

	if (ip->family == 0 || at == NULL)
		return;
	*o = (struct owned){.ip = *ip, .role = role, .service = service, .at = at};
	if (role == ROLE_VIP) {
		o->port = u->c->services[service].port;
		o->proto = u->c->services[service].proto;
	}
	u->n_owned++;
}

static void collect_owned(struct rules *u)
{
	const struct conf *c = u->c;
	size_t n = c->n_snats + c->n_services;

	for (size_t i = 0; i < c->n_ports; i++)
		n += c->ports[i].n_addresses;
	u->owned = calloc(n + 1, sizeof(*u->owned));
	if (u->owned == NULL) {
		u->r->is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < c->n_ports; i++) {
		const struct yamltree_node *list = u->d->ports[i].at[CONFDRAFT_PORT_ADDRESSES];

		for (size_t k = 0; k < c->ports[i].n_addresses; k++)
			own(u, ROLE_PORT, &c->ports[i].addresses[k].ip, 0, list->items[k]);
	}
	for (size_t i = 0; i < c->n_snats; i++)
		own(u, ROLE_SNAT, &c->snats[i], 0, u->d->snats[i]);
	for (size_t i = 0; i < c->n_services; i++)
		own(u, ROLE_VIP, &c->services[i].vip, i,
			u->d->services[i].at[CONFDRAFT_SERVICE_VIP]);
	qsort(u->owned, u->n_owned, sizeof(*u->owned), by_owned);
}

static void check_owned(struct rules *u)
{
	char ip[INET6_ADDRSTRLEN];

	for (size_t i = 1; i < u->n_owned; i++) {
		const struct owned *a = &u->owned[i - 1], *b = &u->owned[i];

		if (by_ip(&a->ip, &b->ip) != 0)
			continue;
		mr_ip_text(&b->ip, ip, sizeof(ip));
		if (a->role != b->role)
			CONFREAD_ERROR(u->r, b->at, "%s cannot be %s: it is %s already (line %u)",
				ip, role_names[b->role], role_names[a->role], a->at->span.line);
		else if (b->role != ROLE_VIP)
			CONFREAD_ERROR(u->r, b->at, "%s is %s already (line %u)", ip,
				role_names[b->role], a->at->span.line);
		else if (b->port != 0 && a->port == b->port && a->proto == b->proto)
			CONFREAD_ERROR(u->r, b->at,
				"services.%s has the VIP, port and protocol of services.%s (line %u)",
				u->c->services[b->service].name, u->c->services[a->service].name,
				a->at->span.line);
	}
}

/* The address is on a network of some port. */
static bool is_connected(const struct conf *c, const struct mr_ip *ip)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		for (size_t k = 0; k < c->ports[i].n_addresses; k++) {
			if (c->ports[i].addresses[k].ip.family != 0
				&& confread_contains(&c->ports[i].addresses[k], ip))
				return true;
		}
	}
	return false;
}

static bool has_gateway(const struct conf *c, uint8_t family)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		for (size_t k = 0; k < c->ports[i].n_gateways; k++) {
			if (c->ports[i].gateways[k].family == family)
				return true;
		}
	}
	return false;
}

static bool is_port_connected(const struct conf_port *p, const struct mr_ip *ip)
{
	for (size_t k = 0; k < p->n_addresses; k++) {
		if (p->addresses[k].ip.family != 0 && confread_contains(&p->addresses[k], ip))
			return true;
	}
	return false;
}

static void check_gateways(struct rules *u)
{
	const struct yamltree_node *first[7] = {NULL}; /* by family */
	char ip[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < u->c->n_ports; i++) {
		const struct conf_port *p = &u->c->ports[i];
		const struct yamltree_node *list = u->d->ports[i].at[CONFDRAFT_PORT_GATEWAYS];

		for (size_t k = 0; k < p->n_gateways; k++) {
			const struct mr_ip *gw = &p->gateways[k];

			if (gw->family == 0)
				continue;
			mr_ip_text(gw, ip, sizeof(ip));
			if (first[gw->family] != NULL)
				CONFREAD_ERROR(u->r, list->items[k],
					"gateway %s is the second of IPv%u (first: line %u); there "
					"can be one",
					ip, gw->family, first[gw->family]->span.line);
			else
				first[gw->family] = list->items[k];
			if (find_owned(u, gw) != NULL)
				CONFREAD_ERROR(u->r, list->items[k],
					"gateway %s is an address of this box itself", ip);
			else if (!is_port_connected(p, gw))
				CONFREAD_ERROR(u->r, list->items[k],
					"gateway %s is on no network of network.ports.%s", ip,
					p->name);
		}
	}
}

static void check_checks(struct rules *u)
{
	for (size_t i = 0; i < u->c->n_checks; i++) {
		const struct conf_check *k = &u->c->checks[i];
		const struct confdraft_check *at = &u->d->checks[i];
		const struct yamltree_node *place = at->at[CONFDRAFT_CHECK_TIMEOUT];

		if (k->timeout_ms > k->interval_ms && place != NULL)
			CONFREAD_ERROR(u->r, place,
				"checks.%s.timeout must not be longer than its interval (%u ms > "
				"%u ms)",
				k->name, k->timeout_ms, k->interval_ms);
		if (k->is_via_service && at->at[CONFDRAFT_CHECK_PORT] != NULL)
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_CHECK_PORT],
				"checks.%s.port is not for 'via: service', which probes the service's",
				k->name);
	}
}

/* Finds the thing a value names; reports a name that is not there with the nearest one. */
static const void *resolve(struct rules *u, const struct yamltree_node *node,
	const struct confindex *index, const char *path, const char *section)
{
	char hint[MR_NAME_MAX + 32];
	const void *hit;

	if (node->kind != YAMLTREE_SCALAR) {
		if (node->kind != YAMLTREE_BAD)
			CONFREAD_ERROR(u->r, node, "%s must be a name of %s, got %s", path, section,
				yamltree_kind_name(node->kind));
		return NULL;
	}
	hit = confindex_find(index, node->text);
	if (hit == NULL)
		confreport_sink_add(u->r->sink, CONFREPORT_ERROR, node->span,
			confread_hint(u->r, hint, sizeof(hint), node->text, index->names,
				(unsigned)index->n_names),
			"%s: there is no '%.64s' in %s", path, node->text, section);
	return hit;
}

struct named {
	const char *name;
	const struct yamltree_node *at;
};

static int by_named(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	const int d = strcmp(x->name, y->name);

	if (d != 0)
		return d;
	return x->at->span.line < y->at->span.line
			|| (x->at->span.line == y->at->span.line
				&& x->at->span.col < y->at->span.col)
		? -1
		: 1;
}

static void check_backend_names(struct rules *u, size_t pool)
{
	const struct conf_pool *p = &u->c->pools[pool];
	struct named *names = calloc(p->n_backends + 1, sizeof(*names));
	size_t n = 0;

	if (names == NULL) {
		u->r->is_out_of_memory = true;
		return;
	}
	for (size_t i = 0; i < p->n_backends; i++) {
		if (p->backends[i].name[0] != '\0')
			names[n++] = (struct named){p->backends[i].name,
				u->d->pools[pool].backends[i].at[CONFDRAFT_BACKEND_NAME]};
	}
	qsort(names, n, sizeof(*names), by_named);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(names[i - 1].name, names[i].name) == 0)
			CONFREAD_ERROR(u->r, names[i].at,
				"pools.%s has a backend '%s' already (line %u)", p->name,
				names[i].name, names[i - 1].at->span.line);
	}
	free(names);
}

static void check_backend_address(
	struct rules *u, const struct conf_backend *b, const struct yamltree_node *at)
{
	const struct owned *o = find_owned(u, &b->ip);
	char ip[INET6_ADDRSTRLEN];

	mr_ip_text(&b->ip, ip, sizeof(ip));
	if (o != NULL)
		CONFREAD_ERROR(u->r, at,
			"a backend cannot be at %s: it is %s of this box (line %u)", ip,
			role_names[o->role], o->at->span.line);
	else if (!is_connected(u->c, &b->ip) && !has_gateway(u->c, b->ip.family))
		CONFREAD_WARNING(u->r, at,
			"%s is on no connected network and there is no gateway for IPv%u: traffic to "
			"it will be dropped",
			ip, b->ip.family);
}

static void check_pool(struct rules *u, size_t i)
{
	const struct conf_pool *p = &u->c->pools[i];
	const struct confdraft_pool *at = &u->d->pools[i];
	uint8_t family = 0;

	if (p->n_backends == 0 && at->at[CONFDRAFT_POOL_BACKENDS] != NULL)
		CONFREAD_WARNING(u->r, at->at[CONFDRAFT_POOL_BACKENDS],
			"pools.%s has no backends: its services will refuse everything", p->name);
	for (size_t k = 0; k < p->n_backends; k++) {
		const struct conf_backend *b = &p->backends[k];
		const struct yamltree_node *place = at->backends[k].at[CONFDRAFT_BACKEND_IP];

		if (b->ip.family == 0)
			continue;
		if (family == 0)
			family = b->ip.family;
		if (b->ip.family != family)
			CONFREAD_ERROR(u->r, place,
				"pools.%s mixes IPv4 and IPv6 backends; make one pool for each",
				p->name);
		check_backend_address(u, b, place);
	}
	check_backend_names(u, i);
}

static void check_pools(struct rules *u)
{
	char path[2 * MR_NAME_MAX];

	for (size_t i = 0; i < u->c->n_pools; i++) {
		struct conf_pool *p = &u->c->pools[i];
		const struct yamltree_node *node = u->d->pools[i].at[CONFDRAFT_POOL_CHECK];

		if (node != NULL) {
			snprintf(path, sizeof(path), "pools.%s.check", p->name);
			p->check = resolve(u, node, &u->checks, path, "checks");
		} else if (p->slow_start_ms != 0) {
			CONFREAD_ERROR(u->r, u->d->pools[i].at[CONFDRAFT_POOL_SLOW_START],
				"pools.%s.slow_start needs a check: without one nothing says when a "
				"backend comes up",
				p->name);
		}
		check_pool(u, i);
	}
}

/* With direct return the backend has the VIP: no port can be changed; and dsr-l2 hands the frame to the
 * backend's own MAC address. */
static void check_direct(struct rules *u, const struct conf_service *s)
{
	const struct confdraft_pool *at = &u->d->pools[s->pool - u->c->pools];
	char ip[INET6_ADDRSTRLEN];

	for (size_t k = 0; k < s->pool->n_backends; k++) {
		const struct conf_backend *b = &s->pool->backends[k];
		const struct yamltree_node *ip_at = at->backends[k].at[CONFDRAFT_BACKEND_IP];

		if (b->ip.family == 0)
			continue;
		if (conf_backend_port(s, b) != s->port && s->port != 0)
			CONFREAD_ERROR(u->r, at->backends[k].at[CONFDRAFT_BACKEND_PORT],
				"services.%s is %s on port %u, so its backend '%s' must have that "
				"port, not %u",
				s->name, mr_mode_name(s->mode), s->port, b->name, b->port);
		if (s->mode == MR_MODE_DSR_L2 && !is_connected(u->c, &b->ip))
			CONFREAD_ERROR(u->r, ip_at,
				"services.%s is dsr-l2, so its backend %s must be on a network of a "
				"port; a tunnel (ipip, gue) reaches it over routers",
				s->name, mr_ip_text(&b->ip, ip, sizeof(ip)));
	}
}

static bool has_snat(const struct conf *c, uint8_t family)
{
	for (size_t i = 0; i < c->n_snats; i++) {
		if (c->snats[i].family == family)
			return true;
	}
	return false;
}

static void check_service_pool(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	const size_t n = s->pool->n_backends;

	if (s->vip.family == 0)
		return;
	if (n > 0 && s->pool->backends[0].ip.family != 0
		&& s->pool->backends[0].ip.family != s->vip.family && !mr_mode_is_tunnel(s->mode))
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_POOL],
			"services.%s is IPv%u, the backends of pools.%s are IPv%u, which only the "
			"tunnels (ipip, gue) can do",
			s->name, s->vip.family, s->pool->name, s->pool->backends[0].ip.family);
	if (mr_mode_is_direct(s->mode))
		check_direct(u, s);
	if (s->maglev_size != 0 && s->maglev_size < n)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_MAGLEV_SIZE],
			"services.%s.maglev_size must be at least the number of backends (%zu)",
			s->name, n);
	else if (s->maglev_size != 0 && s->maglev_size < 100 * n)
		CONFREAD_WARNING(u->r, at->at[CONFDRAFT_SERVICE_MAGLEV_SIZE],
			"services.%s.maglev_size is less than 100 x %zu backends: shares will be "
			"uneven",
			s->name, n);
}

struct server_id {
	const struct conf_backend *b;
	const struct yamltree_node *at;
};

static int by_server_id(const void *a, const void *b)
{
	const struct server_id *x = a, *y = b;
	const int d = memcmp(x->b->quic_id, y->b->quic_id, sizeof(x->b->quic_id));

	return d != 0 ? d : (x->b > y->b) - (x->b < y->b);
}

/* All of one length, which the caller has seen to. */
static void check_server_ids_differ(
	struct rules *u, const struct conf_service *s, struct server_id *ids, size_t n)
{
	qsort(ids, n, sizeof(*ids), by_server_id);
	for (size_t i = 1; i < n; i++) {
		if (memcmp(ids[i - 1].b->quic_id, ids[i].b->quic_id, sizeof(ids[i].b->quic_id))
			== 0)
			CONFREAD_ERROR(u->r, ids[i].at,
				"services.%s: backend '%s' has the quic_server_id of '%s' (line "
				"%u)",
				s->name, ids[i].b->name, ids[i - 1].b->name,
				ids[i - 1].at->span.line);
	}
}

/* Every backend has a server id, of the service's length, that no other one has. */
static void check_quic_pool(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	const struct confdraft_pool *pool = &u->d->pools[s->pool - u->c->pools];
	struct server_id *ids = calloc(s->pool->n_backends + 1, sizeof(*ids));
	size_t n = 0;

	if (ids == NULL) {
		u->r->is_out_of_memory = true;
		return;
	}
	for (size_t k = 0; k < s->pool->n_backends; k++) {
		const struct conf_backend *b = &s->pool->backends[k];
		const struct yamltree_node *place =
			pool->backends[k].at[CONFDRAFT_BACKEND_QUIC_SERVER_ID];

		if (place == NULL)
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_QUIC],
				"services.%s has quic, so its backend '%s' of pools.%s needs a "
				"quic_server_id",
				s->name, b->name, s->pool->name);
		else if (b->quic_id_len != 0 && b->quic_id_len != s->quic.id_len)
			CONFREAD_ERROR(u->r, place,
				"services.%s has server ids of %u bytes, the quic_server_id of its "
				"backend '%s' has %u",
				s->name, s->quic.id_len, b->name, b->quic_id_len);
		else if (b->quic_id_len != 0)
			ids[n++] = (struct server_id){b, place};
	}
	check_server_ids_differ(u, s, ids, n);
	free(ids);
}

/* Keys that say how to hash are for schedulers that do. */
static void check_hash(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	const struct yamltree_node *hash = at->at[CONFDRAFT_SERVICE_HASH];
	const bool is_hashing = mr_sched_is_hashing(s->sched);

	if (hash != NULL && !is_hashing)
		CONFREAD_ERROR(u->r, hash,
			"services.%s.hash is only for schedulers that hash: maglev and rendezvous",
			s->name);
	else if (hash != NULL && s->sched == MR_SCHED_SH && s->hash != MR_HASH_SOURCE)
		CONFREAD_ERROR(u->r, hash,
			"services.%s.hash: scheduler 'sh' hashes the source; use maglev or "
			"rendezvous for '%s'",
			s->name, hash->text);
	if (at->at[CONFDRAFT_SERVICE_SOURCE_PREFIX] != NULL
		&& (!is_hashing || s->hash == MR_HASH_FLOW))
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_SOURCE_PREFIX],
			"services.%s.source_prefix needs scheduler 'sh', or 'hash: source' or "
			"'hash: source-port' with maglev or rendezvous",
			s->name);
	if (s->load_bound_pct != 0 && !is_hashing)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_LOAD_BOUND],
			"services.%s.load_bound is only for schedulers that hash: maglev, sh and "
			"rendezvous",
			s->name);
}

/* Who answers for the backend must see what the backend answers. */
static void check_syn_cookies(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	const struct yamltree_node *place = at->at[CONFDRAFT_SERVICE_SYN_COOKIES];

	if (s->syn_cookies == 0)
		return;
	if (s->proto != MR_PROTO_TCP)
		CONFREAD_ERROR(u->r, place, "services.%s.syn_cookies is only for tcp", s->name);
	else if (mr_mode_is_direct(s->mode))
		CONFREAD_ERROR(u->r, place,
			"services.%s.syn_cookies is only for full-nat and dnat: with %s the backend's "
			"answers do not pass here; insert_rate is for that",
			s->name, mr_mode_name(s->mode));
}

/* What goes by hash alone beyond insert_rate cannot depend on counts. */
static void check_insert_rate(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	bool is_limited = s->max_conns != 0 || s->load_bound_pct != 0;

	if (s->insert_rate == 0)
		return;
	for (size_t i = 0; i < s->pool->n_backends; i++)
		is_limited |= conf_backend_max_conns(s->pool, &s->pool->backends[i]) != 0;
	if (!mr_mode_is_direct(s->mode) || !mr_sched_is_hashing(s->sched) || is_limited)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_INSERT_RATE],
			"services.%s.insert_rate is only for dsr-l2, ipip and gue with scheduler "
			"maglev, sh or rendezvous, without load_bound and max_connections",
			s->name);
}

/* Direct return: what backends answer does not pass here. */
static void warn_blind_passive(
	struct rules *u, const struct conf_service *s, const struct yamltree_node *place)
{
	if (s->pool->passive.is_on && mr_mode_is_direct(s->mode))
		CONFREAD_WARNING(u->r, place,
			"services.%s is %s, so its traffic says nothing to pools.%s.passive: what the "
			"backends answer does not pass here",
			s->name, mr_mode_name(s->mode), s->pool->name);
}

/* A check that is named but not there has been told. */
static void check_panic(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	const size_t pool = (size_t)(s->pool - u->c->pools);

	if (s->panic_pct != 0 && u->d->pools[pool].at[CONFDRAFT_POOL_CHECK] == NULL
		&& !s->pool->passive.is_on)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_PANIC_THRESHOLD],
			"services.%s.panic_threshold needs a check of pools.%s: without one its "
			"backends are always up",
			s->name, s->pool->name);
}

/* Each prefix is an object of the dataplane's model. */
static void check_prefixes(struct rules *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->c->n_services; i++) {
		const struct conf_service *s = &u->c->services[i];
		const struct confdraft_service *at = &u->d->services[i];

		if (n <= CONF_PREFIXES_MAX && n + s->allow.n + s->deny.n > CONF_PREFIXES_MAX)
			CONFREAD_ERROR(u->r,
				at->at[s->allow.n > 0 ? CONFDRAFT_SERVICE_ALLOW
						      : CONFDRAFT_SERVICE_DENY],
				"the services up to here have more than %u allow and deny prefixes "
				"in all",
				CONF_PREFIXES_MAX);
		n += s->allow.n + s->deny.n;
	}
}

/* What is changed in packets besides their addresses: only modes that see both directions can. */
static void check_edits(
	struct rules *u, const struct conf_service *s, const struct confdraft_service *at)
{
	if (s->mss != 0 && s->proto != MR_PROTO_TCP)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_MSS],
			"services.%s.mss is only for tcp", s->name);
	if (s->mss != 0 && mr_mode_is_direct(s->mode))
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_MSS],
			"services.%s.mss is only for full-nat and dnat: with %s the backend's SYN+ACK "
			"does not pass here; set the route's advmss on the backends",
			s->name, mr_mode_name(s->mode));
	if (s->client_address == MR_CLIENT_ADDRESS_NONE)
		return;
	if (s->mode != MR_MODE_FULLNAT)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_CLIENT_ADDRESS],
			"services.%s.client_address is only for full-nat: with %s the backends see the "
			"client's address",
			s->name, mr_mode_name(s->mode));
	if (s->client_address == MR_CLIENT_ADDRESS_TOA && s->proto != MR_PROTO_TCP)
		CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_CLIENT_ADDRESS],
			"services.%s.client_address: 'toa' is a TCP option, the service is %s; use "
			"'proxy-v2'",
			s->name, mr_proto_name(s->proto));
}

/* UDP says nothing about who asks: a reply can be sent to whoever a packet claims to come from, many times as long as
 * the request. Clients that are known are the first of the remedies, reply_rate is the second. */
static void check_cache_service(
	struct rules *u, struct conf_service *s, const struct confdraft_service *at)
{
	const struct yamltree_node *cache = at->at[CONFDRAFT_SERVICE_CACHE];
	char path[2 * MR_NAME_MAX];

	if (cache != NULL) {
		snprintf(path, sizeof(path), "services.%s.cache", s->name);
		s->cache = resolve(u, cache, &u->caches, path, "caches");
	}
	if (s->proto == MR_PROTO_UDP && at->at[CONFDRAFT_SERVICE_ALLOW] == NULL)
		CONFREAD_ERROR(u->r, at->key,
			"services.%s serves a cache over udp, where anybody can ask in the name of "
			"others and have long replies sent to them; list its clients, such as "
			"'allow: [%s]'",
			s->name, s->vip.family == 6 ? "2001:db8::/64" : "10.1.0.0/24");
}

static void check_services(struct rules *u)
{
	char path[2 * MR_NAME_MAX];
	size_t n_backends = 0;

	for (size_t i = 0; i < u->c->n_services; i++) {
		struct conf_service *s = &u->c->services[i];
		const struct confdraft_service *at = &u->d->services[i];
		const struct yamltree_node *pool = at->at[CONFDRAFT_SERVICE_POOL];

		if (s->mode == MR_MODE_CACHE)
			check_cache_service(u, s, at);
		if (s->mode == MR_MODE_CACHE || s->sched == 0) /* 0: its kind was refused */
			continue;
		if (s->mode == MR_MODE_FULLNAT && s->vip.family != 0
			&& !has_snat(u->c, s->vip.family))
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_MODE],
				"services.%s is full-nat, which needs an IPv%u address in "
				"network.snat",
				s->name, s->vip.family);
		if (at->at[CONFDRAFT_SERVICE_GUE_PORT] != NULL && s->mode != MR_MODE_GUE)
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_GUE_PORT],
				"services.%s.gue_port is only for mode 'gue'", s->name);
		if (at->at[CONFDRAFT_SERVICE_QUIC] != NULL && s->proto != MR_PROTO_UDP)
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_QUIC],
				"services.%s.quic is only for 'proto: udp'", s->name);
		check_edits(u, s, at);
		if (s->sched != MR_SCHED_MAGLEV && s->maglev_size != 0)
			CONFREAD_ERROR(u->r, at->at[CONFDRAFT_SERVICE_MAGLEV_SIZE],
				"services.%s.maglev_size is only for scheduler 'maglev'", s->name);
		check_hash(u, s, at);
		if (pool == NULL)
			continue;
		snprintf(path, sizeof(path), "services.%s.pool", s->name);
		s->pool = resolve(u, pool, &u->pools, path, "pools");
		if (s->pool == NULL)
			continue;
		check_service_pool(u, s, at);
		check_insert_rate(u, s, at);
		check_syn_cookies(u, s, at);
		warn_blind_passive(u, s, pool);
		check_panic(u, s, at);
		if (s->quic.id_len != 0)
			check_quic_pool(u, s, at);
		if (n_backends <= CONF_BACKENDS_MAX
			&& n_backends + s->pool->n_backends > CONF_BACKENDS_MAX)
			CONFREAD_ERROR(u->r, pool,
				"the services up to here have more than %u backends in all",
				CONF_BACKENDS_MAX);
		n_backends += s->pool->n_backends;
	}
}

/* --- backends of DNAT services --- */

struct endpoint {
	struct mr_ip ip;
	uint16_t port;
	uint8_t proto;
	size_t service;
};

static int by_address(const struct endpoint *x, const struct endpoint *y)
{
	int d = by_ip(&x->ip, &y->ip);

	if (d == 0)
		d = (int)x->port - (int)y->port;
	if (d == 0)
		d = (int)x->proto - (int)y->proto;
	return d;
}

static int by_endpoint(const void *a, const void *b)
{
	const struct endpoint *x = a, *y = b;
	const int d = by_address(x, y);

	return d != 0 ? d : (x->service > y->service) - (x->service < y->service);
}

static bool has_endpoints(const struct conf_service *s)
{
	return s->mode == MR_MODE_DNAT && s->pool != NULL;
}

static size_t count_endpoints(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_services; i++)
		n += has_endpoints(&c->services[i]) ? c->services[i].pool->n_backends : 0;
	return n;
}

static size_t collect_endpoints(const struct conf *c, struct endpoint *e)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct conf_service *s = &c->services[i];

		for (size_t k = 0; has_endpoints(s) && k < s->pool->n_backends; k++) {
			const struct conf_backend *b = &s->pool->backends[k];

			if (b->ip.family != 0)
				e[n++] = (struct endpoint){
					b->ip, conf_backend_port(s, b), s->proto, i};
		}
	}
	return n;
}

/* A DNAT backend is known by its address and port when it answers: those of another DNAT service would be the same.
 * Told once for each service that comes later in the file. */
static void check_dnat(struct rules *u)
{
	size_t n = count_endpoints(u->c);
	char ip[INET6_ADDRSTRLEN];
	struct endpoint *e;
	bool *is_told;

	if (n > CONF_BACKENDS_MAX) /* told already */
		return;
	e = calloc(n + 1, sizeof(*e));
	is_told = calloc(u->c->n_services + 1, sizeof(*is_told));
	n = e != NULL && is_told != NULL ? collect_endpoints(u->c, e) : 0;
	u->r->is_out_of_memory |= e == NULL || is_told == NULL;
	if (n > 1)
		qsort(e, n, sizeof(*e), by_endpoint);
	for (size_t i = 1; i < n; i++) {
		const struct conf_service *s = &u->c->services[e[i].service];

		if (by_address(&e[i - 1], &e[i]) != 0 || e[i - 1].service == e[i].service
			|| is_told[e[i].service])
			continue;
		is_told[e[i].service] = true;
		CONFREAD_ERROR(u->r, u->d->services[e[i].service].at[CONFDRAFT_SERVICE_POOL],
			"services.%s and services.%s are dnat with a backend %s port %u in both: what "
			"it sends could not be told apart; give it another port for one of them",
			s->name, u->c->services[e[i - 1].service].name,
			mr_ip_text(&e[i].ip, ip, sizeof(ip)), e[i].port);
	}
	free(e);
	free(is_told);
}

static void warn_unused(struct rules *u)
{
	bool *is_used = calloc(u->c->n_checks + u->c->n_pools + 1, sizeof(*is_used));
	bool *pool_used;

	if (is_used == NULL) {
		u->r->is_out_of_memory = true;
		return;
	}
	pool_used = is_used + u->c->n_checks;
	for (size_t i = 0; i < u->c->n_pools; i++) {
		if (u->c->pools[i].check != NULL)
			is_used[u->c->pools[i].check - u->c->checks] = true;
	}
	for (size_t i = 0; i < u->c->n_services; i++) {
		if (u->c->services[i].pool != NULL)
			pool_used[u->c->services[i].pool - u->c->pools] = true;
	}
	for (size_t i = 0; i < u->c->n_checks; i++) {
		if (!is_used[i])
			CONFREAD_WARNING(u->r, u->d->checks[i].key, "no pool uses checks.%s",
				u->c->checks[i].name);
	}
	for (size_t i = 0; i < u->c->n_pools; i++) {
		if (!pool_used[i])
			CONFREAD_WARNING(u->r, u->d->pools[i].key, "no service uses pools.%s",
				u->c->pools[i].name);
	}
	free(is_used);
}

void confrule_check(struct confdraft *d)
{
	struct rules u = {.d = d, .r = d->read, .c = d->conf};

	if (confindex_init(&u.checks, u.c->checks, u.c->n_checks, sizeof(*u.c->checks)) != 0
		|| confindex_init(&u.pools, u.c->pools, u.c->n_pools, sizeof(*u.c->pools)) != 0
		|| confindex_init(&u.caches, u.c->caches, u.c->n_caches, sizeof(*u.c->caches))
			!= 0) {
		u.r->is_out_of_memory = true;
	} else {
		collect_owned(&u);
		check_owned(&u);
		check_gateways(&u);
		check_checks(&u);
		check_pools(&u);
		check_services(&u);
		check_prefixes(&u);
		check_dnat(&u);
		confprobe_check(d);
		if (confreport_sink_n_errors(u.r->sink) == 0)
			warn_unused(&u);
	}
	free(u.owned);
	confindex_fini(&u.checks);
	confindex_fini(&u.pools);
	confindex_fini(&u.caches);
}
