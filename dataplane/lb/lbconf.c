/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lbconf — see lbconf.h. A generation is built in four steps: SNAT addresses get their slots; every
 * service is taken over from the previous generation when it, its backends and its prefixes are equal, else built
 * anew with its scheduler table; the backend array is filled, with routes and next hops; the VIP
 * table is taken over when the services are the same. Each step leaves the half-built generation in a state
 * that lb_conf_destroy() undoes, which is all there is to a failed build.
 *
 *  I1  a generation holds a reference on the slot of each service, backend and SNAT address in its model
 *  I2  it holds a pin on the neighbour of every backend record it has, absent ones included
 *  I3  a backend that left is kept, absent, while a live generation or a connection names its slot: a
 *      worker may still open flows to it until the next generation is published
 *  I4  a change of mode is none to flows that have entries: they go on by the mode they began with, so what that
 *      needs of a record or of the tables is there for every mode
 *
 * Cost of a generation with one changed backend: a comparison and a copy per backend, tens of nanoseconds
 * each, plus the tables of the one service. lbspec.c groups and checks the model, lbroute.c fills the backend
 * records, slots.c gives out slots.
 */
#define XXH_INLINE_ALL
#include "lb/lbconf.h"

#include "lb/fwd.h"
#include "lb/lbconf_pvt.h"
#include "net/addr.h"

#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>

#define FLOW_RATE_BURST_MS 100u
#define PACKET_RATE_BURST_MS 100u
#define SOURCE_RATE_BURST_MS 1000u /* a page's connections come at once */

_Static_assert(LB_FLOW_SECRET_BYTES >= XXH3_SECRET_SIZE_MIN, "secret of XXH3");

/* --- registry --- */

int lb_registry_create(struct lb_registry **out, const struct lb_limits *limits,
	struct neigh_table *neigh,
	uint64_t (*in_use)(void *ctx, enum lb_slot_kind kind, uint32_t slot), void *ctx)
{
	struct lb_registry *r = calloc(1, sizeof(*r));

	if (limits->n_snats > LB_SNATS_MAX) {
		free(r);
		return -EINVAL;
	}
	if (r == NULL)
		return -ENOMEM;
	r->limits = *limits;
	r->neigh = neigh;
	r->service_users = (struct slots_users){LB_SLOT_SERVICE, in_use, NULL, ctx};
	r->backend_users = (struct slots_users){LB_SLOT_BACKEND, in_use, NULL, ctx};
	r->snat_users = (struct slots_users){LB_SLOT_SNAT, in_use, NULL, ctx};
	r->pins = calloc(neigh->n_slots, sizeof(r->pins[0]));
	if (r->pins == NULL || slots_create(&r->services, limits->n_services) != 0
		|| slots_create(&r->backends, limits->n_backends) != 0
		|| slots_create(&r->snats, limits->n_snats) != 0) {
		lb_registry_destroy(&r);
		return -ENOMEM;
	}
	*out = r;
	return 0;
}

void lb_registry_destroy(struct lb_registry **r)
{
	if (*r == NULL)
		return;
	slots_destroy(&(*r)->services);
	slots_destroy(&(*r)->backends);
	slots_destroy(&(*r)->snats);
	free((*r)->pins);
	free(*r);
	*r = NULL;
}

void lb_registry_set_on_give(
	struct lb_registry *r, void (*on_give)(void *ctx, enum lb_slot_kind kind, uint32_t slot))
{
	r->service_users.on_give = on_give;
	r->backend_users.on_give = on_give;
	r->snat_users.on_give = on_give;
}

const char *lb_registry_service_name(const struct lb_registry *r, uint32_t idx)
{
	const struct slot_key *k = slots_key(r->services, idx);

	return k == NULL ? NULL : k->name;
}

const char *lb_registry_backend_name(const struct lb_registry *r, uint32_t idx)
{
	const struct slot_key *k = slots_key(r->backends, idx);

	return k == NULL ? NULL : k->name;
}

/* --- SNAT addresses --- */

/* References on the slots of the model's SNAT addresses, slot of snats[i] in held[i]. On failure none. */
static int get_snats(struct lb_registry *r, const struct mr_snat *snats, unsigned n, uint32_t *held,
	struct mr_error *err)
{
	for (unsigned i = 0; i < n; i++) {
		const struct slot_key key = {.ip = snats[i].ip};

		held[i] = i < LB_SNATS_MAX ? slots_get(r->snats, &key, &r->snat_users) : SLOT_NONE;
		if (held[i] != SLOT_NONE)
			continue;
		for (unsigned k = 0; k < i; k++)
			slots_put(r->snats, held[k]);
		return lbspec_refuse_snat(err, -ENOSPC, &snats[i],
			"%u SNAT addresses do not fit into %u slots, some of which old flows may "
			"still use; use fewer, or wait for those flows to end",
			n, r->limits.n_snats);
	}
	return 0;
}

/* Fills ips[] by slot, with the model's addresses (referenced) and those that old flows need. */
static void fill_snats(struct lb_registry *r, struct mr_ip *ips)
{
	const uint32_t n = slots_count(r->snats);

	memset(ips, 0, LB_SNATS_MAX * sizeof(ips[0]));
	for (uint32_t i = 0; i < n; i++) {
		if (slots_refs(r->snats, i) > 0 || lbconf_in_use(&r->snat_users, i))
			ips[i] = slots_key(r->snats, i)->ip;
	}
}

int lb_registry_snats(struct lb_registry *r, const struct mr_snat *snats, unsigned n,
	struct mr_ip *ips, struct mr_error *err)
{
	uint32_t held[LB_SNATS_MAX];
	const int rc = get_snats(r, snats, n, held, err);

	if (rc != 0)
		return rc;
	fill_snats(r, ips);
	for (unsigned i = 0; i < n; i++)
		slots_put(r->snats, held[i]);
	return (int)slots_count(r->snats);
}

static int build_snats(struct build *b)
{
	struct lb_conf *c = &b->next->c;
	uint32_t held[LB_SNATS_MAX];
	const int rc = get_snats(b->r, b->spec->snats, b->spec->n_snats, held, b->err);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < b->spec->n_snats; i++) {
		const unsigned six = b->spec->snats[i].ip.family == 6;

		if (c->snat_active[held[i]]) { /* given twice */
			slots_put(b->r->snats, held[i]);
			continue;
		}
		c->snat_active[held[i]] = true;
		c->snat_choice[six][c->n_snat_choice[six]++] = (uint8_t)held[i];
	}
	fill_snats(b->r, c->snats);
	c->n_snats = slots_count(b->r->snats);
	return 0;
}

/* --- services --- */

static void copy_name(char to[MR_NAME_MAX], const char *from)
{
	memcpy(to, from, strnlen(from, MR_NAME_MAX - 1));
}

static bool service_equal(const struct mr_service *a, const struct mr_service *b)
{
	return memcmp(a, b, sizeof(*a)) == 0
		|| (strcmp(a->name, b->name) == 0 && mr_ip_equal(&a->vip, &b->vip)
			&& a->port == b->port && a->proto == b->proto && a->mode == b->mode
			&& a->sched == b->sched && a->maglev_size == b->maglev_size
			&& a->syn_timeout_ms == b->syn_timeout_ms
			&& a->established_timeout_ms == b->established_timeout_ms
			&& a->fin_timeout_ms == b->fin_timeout_ms
			&& a->udp_timeout_ms == b->udp_timeout_ms && a->hash == b->hash
			&& a->source_prefix == b->source_prefix
			&& a->load_bound_pct == b->load_bound_pct && a->max_conns == b->max_conns
			&& a->flow_rate == b->flow_rate && a->source_rate == b->source_rate
			&& a->source_rate_prefix == b->source_rate_prefix
			&& a->packet_rate == b->packet_rate && a->insert_rate == b->insert_rate
			&& a->gue_port == b->gue_port && a->on_down == b->on_down
			&& a->quic_id_len == b->quic_id_len
			&& a->quic_id_offset == b->quic_id_offset
			&& a->quic_config == b->quic_config && a->syn_cookies == b->syn_cookies
			&& a->mss == b->mss && a->client_address == b->client_address
			&& a->reply_rate == b->reply_rate && strcmp(a->cache, b->cache) == 0);
}

static bool backend_equal(const struct mr_backend *a, const struct mr_backend *b)
{
	return memcmp(a, b, sizeof(*a)) == 0
		|| (strcmp(a->service, b->service) == 0 && strcmp(a->name, b->name) == 0
			&& mr_ip_equal(&a->ip, &b->ip) && a->port == b->port
			&& a->weight == b->weight && a->state == b->state
			&& a->max_conns == b->max_conns
			&& memcmp(a->quic_server_id, b->quic_server_id, sizeof(a->quic_server_id))
				== 0
			&& a->probe_port == b->probe_port);
}

static bool same_hash_key(const struct build *b)
{
	return memcmp(b->prev->hash_key, b->next->hash_key, sizeof(b->next->hash_key)) == 0;
}

static bool is_acl_of(const struct lb_service *s, const struct lbspec_group *g)
{
	return s->acl == NULL ? g->n_acls == 0 : acl_is_of(s->acl, g->acls, g->n_acls);
}

static bool can_share(
	const struct build *b, const struct lb_service *s, const struct lbspec_group *g)
{
	if (!same_hash_key(b) || s->n_backends != g->n_backends
		|| !service_equal(&s->spec, g->service))
		return false;
	for (unsigned i = 0; i < g->n_backends; i++) {
		if (!backend_equal(&s->backends[i], g->backends[i]))
			return false;
	}
	return is_acl_of(s, g);
}

/* Gives back n_slots backend slots and frees; table may not be there yet. */
static void service_free(struct lb_registry *r, struct lb_service *s, unsigned n_slots)
{
	for (unsigned i = 0; i < n_slots; i++)
		slots_put(r->backends, s->backend_idx[i]);
	if (s->table != NULL)
		s->sched->destroy(&s->table);
	acl_put(&s->acl);
	quic_table_destroy(&s->quic);
	probe_table_destroy(&s->probes);
	free(s->backends);
	free(s->backend_idx);
	free(s);
}

static struct lb_service *service_alloc(const struct lbspec_group *g, uint32_t slot)
{
	struct lb_service *s = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*s), 64));

	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	s->idx = slot;
	s->n_refs = 1;
	s->spec = *g->service;
	s->sched = sched_ops_of(g->service->sched);
	s->n_backends = g->n_backends;
	memcpy(s->vip, g->service->vip.bytes, sizeof(s->vip));
	s->gue_port = rte_cpu_to_be_16(s->spec.gue_port ? s->spec.gue_port : MR_GUE_PORT);
	s->mss = s->spec.mss ? s->spec.mss : UINT16_MAX;
	s->fwd = fwd_of(&s->spec);
	connfsm_timeouts(&s->timeouts, &s->spec);
	s->backends = calloc(g->n_backends + 1, sizeof(s->backends[0]));
	s->backend_idx = calloc(g->n_backends + 1, sizeof(s->backend_idx[0]));
	if (s->backends == NULL || s->backend_idx == NULL) {
		service_free(NULL, s, 0);
		return NULL;
	}
	return s;
}

/* Slots for the service's backends; how many got one in *n_slots. */
static int get_backend_slots(
	struct build *b, struct lb_service *s, const struct lbspec_group *g, unsigned *n_slots)
{
	for (*n_slots = 0; *n_slots < g->n_backends; (*n_slots)++) {
		const struct mr_backend *be = g->backends[*n_slots];
		struct slot_key key = {.ip = be->ip, .port = be->port};
		uint32_t slot;

		copy_name(key.scope, be->service);
		copy_name(key.name, be->name);
		slot = slots_get(b->r->backends, &key, &b->r->backend_users);
		if (slot == SLOT_NONE)
			return lbspec_refuse_backend(b->err, -ENOSPC, be,
				"all %u backend slots are taken, by backends or by flows of former "
				"ones; restart millraced with a larger --backends",
				b->r->limits.n_backends);
		s->backends[*n_slots] = *be;
		s->backend_idx[*n_slots] = slot;
	}
	return 0;
}

/* A previous table is of use where the algorithm and its parameters are the same. */
static const struct sched_table *table_before(
	const struct build *b, const struct lb_service *s, const struct lb_service *prev)
{
	if (prev == NULL || prev->sched != s->sched || !same_hash_key(b)
		|| prev->spec.maglev_size != s->spec.maglev_size)
		return NULL;
	return prev->table;
}

/* What the service hashes of a packet. */
static void set_hash(struct lb_service *s)
{
	s->hash = s->spec.sched == MR_SCHED_SH ? MR_HASH_SOURCE : s->spec.hash;
	s->load_bound_pct = s->spec.load_bound_pct;
	addr_mask(s->source_mask, s->spec.source_prefix ? s->spec.source_prefix : 128);
}

uint32_t lbconf_share(const struct lb_registry *r, uint32_t limit)
{
	return limit == 0 ? UINT32_MAX : (limit + r->limits.n_workers - 1) / r->limits.n_workers;
}

/* Which clients may begin flows. A change of backends, each of health too, leaves the table as it is. */
static int set_acl(struct build *b, struct lb_service *s, const struct lbspec_group *g,
	const struct lb_service *prev)
{
	int rc;

	if (g->n_acls == 0)
		return 0;
	if (prev != NULL && is_acl_of(prev, g)) {
		s->acl = acl_get(prev->acl);
		return 0;
	}
	rc = acl_create(&s->acl, s->spec.vip.family, g->acls, g->n_acls);
	if (rc == -EEXIST)
		return lbspec_refuse_service(b->err, -EINVAL, &s->spec,
			"a prefix of its allow and deny lists is given twice; leave one out");
	return rc;
}

/* What is limited, and what that forbids: who forwards without entries counts nothing. */
static int set_limits(struct build *b, struct lb_service *s)
{
	const struct lb_registry *r = b->r;

	s->max_conns = lbconf_share(r, s->spec.max_conns);
	s->flow_rate = rate_limit_of(s->spec.flow_rate, r->limits.n_workers, FLOW_RATE_BURST_MS);
	s->insert_rate =
		rate_limit_of(s->spec.insert_rate, r->limits.n_workers, FLOW_RATE_BURST_MS);
	s->source_rate =
		rate_limit_of(s->spec.source_rate, r->limits.n_workers, SOURCE_RATE_BURST_MS);
	s->syn_rate = rate_limit_of(s->spec.syn_cookies, r->limits.n_workers, FLOW_RATE_BURST_MS);
	s->packet_rate =
		rate_limit_of(s->spec.packet_rate, r->limits.n_workers, PACKET_RATE_BURST_MS);
	/* an IPv6 network of 64 bits is one client's: counting its addresses limits nobody */
	addr_mask(
		s->source_rate_mask, s->spec.source_rate_prefix ? s->spec.source_rate_prefix : 64);
	s->is_guarded = s->acl != NULL || s->spec.max_conns != 0 || s->spec.flow_rate != 0
		|| s->spec.source_rate != 0;
	for (unsigned i = 0; i < s->n_backends; i++)
		s->has_backend_limits |= s->backends[i].max_conns != 0;
	s->is_stateless_able = s->sched->is_consistent && mr_mode_is_direct(s->spec.mode)
		&& s->load_bound_pct == 0 && s->spec.max_conns == 0 && !s->has_backend_limits;
	if (s->spec.insert_rate != 0 && !s->is_stateless_able)
		return lbspec_refuse_service(b->err, -EINVAL, &s->spec,
			"insert_rate needs a service that goes by hash alone: dsr-l2, a scheduler "
			"that hashes, no load bound and no limit of connections");
	return 0;
}

static int build_table(struct build *b, struct lb_service *s, const struct lb_service *prev)
{
	const struct sched_params params = {.hash_key = b->next->hash_key,
		.maglev_size = s->spec.maglev_size,
		.service = s->spec.name};
	struct sched_member *members = calloc(s->n_backends + 1, sizeof(*members));
	int rc;

	if (members == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n_backends; i++) {
		members[i].backend_idx = s->backend_idx[i];
		members[i].weight = s->backends[i].weight;
		members[i].is_available = s->backends[i].state == MR_BACKEND_UP;
		copy_name(members[i].name, s->backends[i].name);
		if (members[i].is_available)
			s->sum_weight += members[i].weight;
	}
	rc = s->sched->build(&s->table, members, s->n_backends, &params, table_before(b, s, prev));
	free(members);
	if (rc == -EINVAL)
		return lbspec_refuse_service(b->err, rc, &s->spec,
			"scheduler %s refused its parameters (maglev_size %u, %u backends); "
			"maglev_size must be a prime above the number of backends, or left out",
			s->sched->name, s->spec.maglev_size, s->n_backends);
	return rc;
}

/* Server ids to backend slots, of backends in any state: whether one serves is in its record. */
static int build_quic(struct build *b, struct lb_service *s)
{
	const struct quic_layout layout = {.id_len = s->spec.quic_id_len,
		.id_offset = s->spec.quic_id_offset,
		.config = s->spec.quic_config};
	struct quic_entry *e;
	int rc;

	if (layout.id_len == 0)
		return 0;
	e = calloc(s->n_backends + 1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n_backends; i++) {
		e[i].id = quic_id_of(&s->backends[i]);
		e[i].backend_idx = s->backend_idx[i];
	}
	rc = quic_table_create(&s->quic, &layout, e, s->n_backends);
	free(e);
	if (rc == -EEXIST)
		return lbspec_refuse_service(b->err, -EINVAL, &s->spec,
			"two backends have one quic_server_id; each needs its own");
	return rc;
}

/* GUE flows that began before the mode was changed go on to the port they had. */
static void keep_gue_port(struct lb_service *s, const struct lb_service *prev)
{
	if (s->spec.mode != MR_MODE_GUE && prev != NULL)
		s->gue_port = prev->gue_port;
}

/* Probe ports to backend slots, of backends in any state: one that is down is probed. */
static int build_probes(struct build *b, struct lb_service *s)
{
	int rc = 0;

	for (unsigned i = 0; i < s->n_backends && rc == 0; i++) {
		if (s->backends[i].probe_port != 0)
			rc = probe_table_add(
				&s->probes, s->backends[i].probe_port, s->backend_idx[i]);
		if (rc == -EEXIST)
			return lbspec_refuse_backend(b->err, -EINVAL, &s->backends[i],
				"probe_port %u is another backend's; each needs its own",
				s->backends[i].probe_port);
	}
	return rc;
}

/* The service of this group in slot, made anew. */
static int build_service(
	struct build *b, const struct lbspec_group *g, uint32_t slot, const struct lb_service *prev)
{
	struct lb_service *s;
	unsigned n_slots = 0;
	int rc = lbspec_check_group(g, b->err);

	if (rc != 0)
		return rc;
	s = service_alloc(g, slot);
	if (s == NULL)
		return -ENOMEM;
	set_hash(s);
	keep_gue_port(s, prev);
	rc = get_backend_slots(b, s, g, &n_slots);
	if (rc == 0)
		rc = set_acl(b, s, g, prev);
	if (rc == 0)
		rc = set_limits(b, s);
	if (rc == 0)
		rc = build_table(b, s, prev);
	if (rc == 0)
		rc = build_quic(b, s);
	if (rc == 0)
		rc = build_probes(b, s);
	if (rc != 0) {
		service_free(b->r, s, n_slots);
		return rc;
	}
	b->next->c.services[slot] = s;
	return 0;
}

/* Takes the service over from the previous generation. */
static void share_service(struct build *b, struct lb_service *s)
{
	s->n_refs++;
	for (unsigned i = 0; i < s->n_backends; i++)
		slots_ref(b->r->backends, s->backend_idx[i]);
	b->next->c.services[s->idx] = s;
}

static int build_group(struct build *b, const struct lbspec_group *g)
{
	const struct mr_service *spec = g->service;
	struct slot_key key = {.ip = spec->vip, .proto = spec->proto, .port = spec->port};
	struct lb_service *prev = NULL;
	uint32_t slot;
	int rc = 0;

	if (spec->mode == MR_MODE_FULLNAT && b->next->c.n_snat_choice[spec->vip.family == 6] == 0)
		return lbspec_refuse_service(b->err, -EINVAL, spec,
			"full-nat needs a SNAT address of IPv%u; add one to network.snat",
			spec->vip.family);
	copy_name(key.name, spec->name);
	slot = slots_get(b->r->services, &key, &b->r->service_users);
	if (slot == SLOT_NONE)
		return lbspec_refuse_service(b->err, -ENOSPC, spec,
			"all %u service slots are taken, by services or by flows of former ones; "
			"restart millraced with a larger --services",
			b->r->limits.n_services);
	if (b->prev != NULL && slot < b->prev->c.n_services)
		prev = b->prev->c.services[slot];
	if (prev != NULL && can_share(b, prev, g))
		share_service(b, prev);
	else
		rc = build_service(b, g, slot, prev);
	if (rc != 0)
		slots_put(b->r->services, slot);
	return rc;
}

static bool is_policed(const struct lb_service *s)
{
	return s->packet_rate.gain != 0;
}

static bool is_served(const struct lb_service *s)
{
	return s->spec.mode == MR_MODE_CACHE;
}

/* Which services are so. As a rule none is, and there is no array: then a burst is one look. */
static int mark(const struct lb_conf *c, bool (*is_so)(const struct lb_service *s), bool **marks)
{
	for (uint32_t i = 0; i < c->n_services; i++) {
		if (c->services[i] == NULL || !is_so(c->services[i]))
			continue;
		if (*marks == NULL)
			*marks = calloc(c->n_services, sizeof(**marks));
		if (*marks == NULL)
			return -ENOMEM;
		(*marks)[i] = true;
	}
	return 0;
}

static int build_services(struct build *b)
{
	struct conf_pvt *next = b->next;

	next->cap_services = slots_count(b->r->services) + b->model.n_groups;
	if (next->cap_services > b->r->limits.n_services)
		next->cap_services = b->r->limits.n_services;
	next->c.services = calloc(next->cap_services + 1, sizeof(next->c.services[0]));
	if (next->c.services == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < b->model.n_groups; i++) {
		const int rc = build_group(b, &b->model.groups[i]);

		if (rc != 0)
			return rc;
	}
	next->c.n_services = slots_count(b->r->services);
	if (mark(&next->c, is_policed, &next->c.is_policed) != 0)
		return -ENOMEM;
	return mark(&next->c, is_served, &next->c.is_served);
}

/* --- VIP table --- */

/* The services, and so the VIPs with their slots, are those of the previous generation. */
static bool same_services(const struct build *b)
{
	const struct lb_conf *c = &b->next->c;
	uint32_t n_before = 0;

	if (b->prev == NULL)
		return false;
	for (uint32_t i = 0; i < b->prev->c.n_services; i++)
		n_before += b->prev->c.services[i] != NULL;
	if (n_before != b->model.n_groups)
		return false;
	for (uint32_t i = 0; i < c->n_services; i++) {
		if (c->services[i] != NULL
			&& (i >= b->prev->c.n_services || b->prev->c.services[i] == NULL))
			return false;
	}
	return true;
}

static int fill_vips(struct build *b, struct vip_table **out)
{
	const struct lb_conf *c = &b->next->c;
	struct vip_entry *e = calloc(b->model.n_groups + 1, sizeof(*e));
	unsigned n = 0;
	int rc;

	if (e == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_services; i++) {
		if (c->services[i] == NULL)
			continue;
		e[n].ip = c->services[i]->spec.vip;
		e[n].port = c->services[i]->spec.port;
		e[n].proto = c->services[i]->spec.proto;
		e[n++].service_idx = i;
	}
	rc = vip_table_create(out, e, n);
	free(e);
	return rc;
}

static int build_vips(struct build *b)
{
	struct conf_pvt *next = b->next;
	int rc;

	if (same_services(b)) {
		next->vips = b->prev->vips;
		next->vips->n_refs++;
	} else {
		rc = lbspec_check_vips(&b->model, b->err);
		if (rc != 0)
			return rc;
		next->vips = calloc(1, sizeof(*next->vips));
		if (next->vips == NULL)
			return -ENOMEM;
		next->vips->n_refs = 1;
		rc = fill_vips(b, &next->vips->table);
		if (rc != 0)
			return rc;
	}
	next->c.vips = next->vips->table;
	return 0;
}

/* --- the whole --- */

static int build_all(struct build *b)
{
	int rc = build_snats(b);

	if (rc == 0)
		rc = build_services(b);
	if (rc == 0)
		rc = lbroute_build(b);
	if (rc == 0)
		rc = build_vips(b);
	if (rc == 0)
		rc = lbroute_build_reverts(b);
	if (rc == 0)
		rc = lbroute_build_sources(b);
	return rc;
}

int lb_conf_create(struct lb_conf **out, struct lb_registry *r, const struct lb_spec *spec,
	const struct lb_conf *prev, struct mr_error *err)
{
	struct build b = {.r = r, .spec = spec, .err = err};
	struct lb_conf *c;
	int rc;

	memset(err, 0, sizeof(*err));
	b.prev = (const struct conf_pvt *)(const void *)prev;
	b.next = calloc(1, sizeof(*b.next));
	rc = b.next == NULL ? -ENOMEM : lbspec_init(&b.model, spec, err);
	if (rc == 0) {
		b.next->addrs = spec->addrs;
		memcpy(b.next->hash_key, spec->hash_key, sizeof(b.next->hash_key));
		XXH3_generateSecret(
			b.next->c.flow_secret, LB_FLOW_SECRET_BYTES, spec->hash_key, 16);
		if (prev != NULL)
			b.next->c.route_gen =
				(uint16_t)(prev->route_gen + (b.prev->addrs != spec->addrs));
		rc = build_all(&b);
		lbspec_fini(&b.model);
	}
	if (rc == 0) {
		*out = &b.next->c;
		return 0;
	}
	if (b.next != NULL) {
		c = &b.next->c;
		lb_conf_destroy(&c, r);
	}
	if (err->code == MR_OK) {
		err->code = rc == -ENOMEM ? MR_ERR_MEMORY : MR_ERR_INTERNAL;
		snprintf(err->message, sizeof(err->message),
			"the balancing tables could not be built: %s; the running generation stays",
			strerror(-rc));
	}
	return rc;
}

static void services_put(struct lb_registry *r, struct lb_conf *c, uint32_t cap)
{
	for (uint32_t i = 0; c->services != NULL && i < cap; i++) {
		struct lb_service *s = c->services[i];

		if (s == NULL)
			continue;
		slots_put(r->services, i);
		if (--s->n_refs == 0) {
			service_free(r, s, s->n_backends);
			continue;
		}
		for (unsigned k = 0; k < s->n_backends; k++)
			slots_put(r->backends, s->backend_idx[k]);
	}
	free(c->services);
	free(c->is_policed);
	free(c->is_served);
}

static void vip_share_put(struct vip_share *v)
{
	if (v == NULL || --v->n_refs > 0)
		return;
	vip_table_destroy(&v->table);
	free(v);
}

void lb_conf_destroy(struct lb_conf **c, struct lb_registry *r)
{
	struct conf_pvt *p = (struct conf_pvt *)(void *)*c;

	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->c.n_backends; i++) {
		if (p->c.backends[i].neigh_ref != NEIGH_NONE)
			lbroute_unpin(r, p->c.backends[i].neigh_ref);
	}
	free(p->c.backends);
	free(p->next_hops);
	vip_table_destroy(&p->c.reverts);
	services_put(r, &p->c, p->cap_services);
	for (uint32_t i = 0; i < LB_SNATS_MAX; i++) {
		if (p->c.snat_active[i])
			slots_put(r->snats, i);
	}
	vip_share_put(p->vips);
	vip_share_put(p->sources);
	free(p);
	*c = NULL;
}
