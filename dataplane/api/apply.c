/* SPDX-License-Identifier: BSD-3-Clause */
/* apply — see apply.h. */
#include "api/apply.h"

#include "base/log.h"
#include "lb/fwd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

LOG_TYPE(apply)

__rte_format_printf(3, 4) static int refuse(
	struct mr_error *err, const struct mr_object *o, const char *format, ...)
{
	va_list ap;

	memset(err, 0, sizeof(*err));
	err->code = MR_ERR_INVALID;
	mr_object_key_text(o, err->object, sizeof(err->object));
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	return -EINVAL;
}

/* The names that configuration files may have: letters, digits, '.', '_', '-', the first a letter or digit.
 * They are parts of keys ("backend/SERVICE/POOL/NAME") and of log lines: a slash or a line break in one
 * would make it look like another object. parts: how many of them may be there, with slashes between. */
static bool is_name(const char *s, unsigned parts)
{
	for (bool is_first = true; *s != '\0'; s++) {
		const bool is_alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')
			|| (*s >= '0' && *s <= '9');

		if (*s == '/' && !is_first && s[1] != '\0' && parts > 1) {
			parts--;
			is_first = true;
			continue;
		}
		if (!is_alnum && (is_first || strchr("._-", *s) == NULL))
			return false;
		is_first = false;
	}
	return true;
}

static int check_timeouts(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;
	const uint32_t ms[] = {
		s->syn_timeout_ms, s->established_timeout_ms, s->fin_timeout_ms, s->udp_timeout_ms};

	for (unsigned i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		if (ms[i] > MR_FLOW_TIMEOUT_MAX_MS)
			return refuse(err, o, "timeout of %u ms is above %u", ms[i],
				MR_FLOW_TIMEOUT_MAX_MS);
	}
	return 0;
}

/* What the scheduler is to hash, and the bound on what it chooses. */
static int check_hash(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;
	const bool is_hashing = mr_sched_is_hashing(s->sched);
	const bool is_source = s->sched == MR_SCHED_SH || s->hash != MR_HASH_FLOW;

	if (s->hash > MR_HASH_SOURCE_PORT)
		return refuse(err, o, "hash %u is unknown", s->hash);
	if (s->hash != MR_HASH_FLOW && !is_hashing)
		return refuse(err, o, "scheduler %s hashes nothing", mr_sched_name(s->sched));
	if (s->hash == MR_HASH_SOURCE_PORT && s->sched == MR_SCHED_SH)
		return refuse(err, o, "scheduler sh hashes the source alone");
	if (s->source_prefix != 0 && (!is_hashing || !is_source))
		return refuse(err, o, "source_prefix without a hash of the source");
	if (s->source_prefix > 8 * mr_ip_len(&s->vip))
		return refuse(err, o, "source_prefix %u is above %u", s->source_prefix,
			8 * mr_ip_len(&s->vip));
	if (s->load_bound_pct != 0 && !is_hashing)
		return refuse(err, o, "load_bound_pct is for schedulers that hash, not for %s",
			mr_sched_name(s->sched));
	if (s->load_bound_pct != 0
		&& (s->load_bound_pct < MR_LOAD_BOUND_MIN_PCT
			|| s->load_bound_pct > MR_LOAD_BOUND_MAX_PCT))
		return refuse(err, o, "load_bound_pct %u is not 0 or %d..%d", s->load_bound_pct,
			MR_LOAD_BOUND_MIN_PCT, MR_LOAD_BOUND_MAX_PCT);
	return 0;
}

static int check_rates(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;

	if (s->flow_rate > MR_FLOW_RATE_MAX)
		return refuse(err, o, "flow_rate %u is above %u", s->flow_rate, MR_FLOW_RATE_MAX);
	if (s->insert_rate > MR_FLOW_RATE_MAX)
		return refuse(
			err, o, "insert_rate %u is above %u", s->insert_rate, MR_FLOW_RATE_MAX);
	if (s->packet_rate > MR_PACKET_RATE_MAX)
		return refuse(
			err, o, "packet_rate %u is above %u", s->packet_rate, MR_PACKET_RATE_MAX);
	if (s->source_rate > MR_SOURCE_RATE_MAX)
		return refuse(
			err, o, "source_rate %u is above %u", s->source_rate, MR_SOURCE_RATE_MAX);
	if (s->source_rate_prefix != 0 && s->source_rate == 0)
		return refuse(err, o, "source_rate_prefix without a source_rate");
	if (s->source_rate_prefix > 8 * mr_ip_len(&s->vip))
		return refuse(err, o, "source_rate_prefix %u is above %u", s->source_rate_prefix,
			8 * mr_ip_len(&s->vip));
	return 0;
}

static int check_quic(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;

	if (s->quic_id_len == 0) {
		if (s->quic_id_offset != 0 || s->quic_config != 0)
			return refuse(err, o, "quic_id_offset or quic_config without quic_id_len");
		return 0;
	}
	if (s->proto != MR_PROTO_UDP)
		return refuse(
			err, o, "quic_id_len is for udp, not for %s", mr_proto_name(s->proto));
	if (s->quic_id_len > MR_QUIC_ID_MAX)
		return refuse(err, o, "quic_id_len %u is above %d", s->quic_id_len, MR_QUIC_ID_MAX);
	if (s->quic_id_offset + s->quic_id_len > MR_QUIC_CID_MAX)
		return refuse(err, o, "a server id of %u bytes at %u: connection ids have %d",
			s->quic_id_len, s->quic_id_offset, MR_QUIC_CID_MAX);
	if (s->quic_config > 1 + MR_QUIC_CONFIG_MAX)
		return refuse(err, o, "quic_config %u is above %d", s->quic_config,
			1 + MR_QUIC_CONFIG_MAX);
	if (s->quic_config != 0 && s->quic_id_offset == 0)
		return refuse(err, o, "quic_config and a server id have the same first byte");
	return 0;
}

static int check_syn_cookies(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;

	if (s->syn_cookies == 0)
		return 0;
	if (s->syn_cookies > MR_FLOW_RATE_MAX)
		return refuse(
			err, o, "syn_cookies %u is above %u", s->syn_cookies, MR_FLOW_RATE_MAX);
	if (s->proto != MR_PROTO_TCP)
		return refuse(
			err, o, "syn_cookies is for tcp, not for %s", mr_proto_name(s->proto));
	if (s->mode != MR_MODE_FULLNAT && s->mode != MR_MODE_DNAT)
		return refuse(err, o,
			"syn_cookies is for full-nat and dnat: with %s answers do not pass here, use "
			"insert_rate",
			mr_mode_name(s->mode));
	return 0;
}

/* What is changed in packets besides their addresses: only modes that see both directions can. */
static int check_edits(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;
	const char *mode = mr_mode_name(s->mode);

	if (s->mss != 0 && s->mss < MR_MSS_MIN)
		return refuse(err, o, "mss %u is not 0 or %u..%u", s->mss, MR_MSS_MIN, UINT16_MAX);
	if (s->mss != 0 && s->proto != MR_PROTO_TCP)
		return refuse(err, o, "mss is for tcp, not for %s", mr_proto_name(s->proto));
	if (s->mss != 0 && s->mode != MR_MODE_FULLNAT && s->mode != MR_MODE_DNAT)
		return refuse(err, o,
			"mss is for full-nat and dnat: with %s the SYN+ACK does not pass here",
			mode);
	if (s->client_address > MR_CLIENT_ADDRESS_PROXY_V2)
		return refuse(err, o, "client_address %u is unknown", s->client_address);
	if (s->client_address != MR_CLIENT_ADDRESS_NONE && s->mode != MR_MODE_FULLNAT)
		return refuse(
			err, o, "client_address is for full-nat: with %s backends see it", mode);
	if (s->client_address == MR_CLIENT_ADDRESS_TOA && s->proto != MR_PROTO_TCP)
		return refuse(err, o, "client_address toa is for tcp, not for %s",
			mr_proto_name(s->proto));
	return 0;
}

/* Over TCP a cache has limits of connections, over UDP of answers; of what happens to packets that are forwarded it has nothing. */
static int check_served(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;
	const struct {
		const char *name;
		uint32_t value;
	} never[] = {{"insert_rate", s->insert_rate}, {"packet_rate", s->packet_rate},
		{"syn_timeout_ms", s->syn_timeout_ms}, {"fin_timeout_ms", s->fin_timeout_ms},
		{"udp_timeout_ms", s->udp_timeout_ms}},
	  over_tcp[] = {{"max_conns", s->max_conns}, {"flow_rate", s->flow_rate},
		  {"source_rate", s->source_rate}, {"source_rate_prefix", s->source_rate_prefix},
		  {"established_timeout_ms", s->established_timeout_ms}};

	if (s->cache[0] == '\0')
		return refuse(err, o, "mode cache without a cache");
	for (unsigned i = 0; i < RTE_DIM(never); i++) {
		if (never[i].value != 0)
			return refuse(err, o, "%s is not for mode cache", never[i].name);
	}
	for (unsigned i = 0; i < RTE_DIM(over_tcp) && s->proto != MR_PROTO_TCP; i++) {
		if (over_tcp[i].value != 0)
			return refuse(err, o, "%s is for a cache over tcp, not over %s",
				over_tcp[i].name, mr_proto_name(s->proto));
	}
	if (s->reply_rate != 0 && s->proto != MR_PROTO_UDP)
		return refuse(err, o, "reply_rate is for a cache over udp, not over %s",
			mr_proto_name(s->proto));
	return 0;
}

/* What a service is served from. */
static int check_mode(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;

	if (s->reply_rate > MR_REPLY_RATE_MAX_KB)
		return refuse(err, o, "reply_rate %u is above %u KB", s->reply_rate,
			MR_REPLY_RATE_MAX_KB);
	if (s->mode == MR_MODE_CACHE)
		return check_served(o, err);
	if (s->mode >= FWD_N_MODES || fwd_modes[s->mode] == NULL)
		return refuse(err, o, "forwarding mode %u is unknown", s->mode);
	if (s->cache[0] != '\0' || s->reply_rate != 0)
		return refuse(err, o, "cache and reply_rate are for mode cache, not for %s",
			mr_mode_name(s->mode));
	return 0;
}

static int check_service(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_service *s = &o->service;

	if (s->name[0] == '\0')
		return refuse(err, o, "name is empty");
	if (!is_name(s->name, 1))
		return refuse(err, o, "name has other characters than letters, digits, . _ -");
	if (mr_ip_len(&s->vip) == 0)
		return refuse(err, o, "vip is missing");
	if (s->port == 0)
		return refuse(err, o, "port must be 1..65535");
	if (s->proto != MR_PROTO_TCP && s->proto != MR_PROTO_UDP)
		return refuse(err, o, "protocol %u is neither tcp (6) nor udp (17)", s->proto);
	if (check_mode(o, err) != 0)
		return -EINVAL;
	if (s->gue_port != 0 && s->mode != MR_MODE_GUE)
		return refuse(
			err, o, "gue_port is for mode gue, not for %s", mr_mode_name(s->mode));
	if (sched_ops_of(s->sched) == NULL)
		return refuse(err, o, "scheduler %u is unknown", s->sched);
	if (s->maglev_size > MR_MAGLEV_SIZE_MAX)
		return refuse(
			err, o, "maglev_size %u is above %u", s->maglev_size, MR_MAGLEV_SIZE_MAX);
	if (s->max_conns > MR_MAX_CONNS_MAX)
		return refuse(err, o, "max_conns %u is above %u", s->max_conns, MR_MAX_CONNS_MAX);
	if (s->on_down > MR_DOWN_RESET)
		return refuse(err, o, "on_down %u is unknown", s->on_down);
	if (check_quic(o, err) != 0 || check_hash(o, err) != 0 || check_rates(o, err) != 0
		|| check_edits(o, err) != 0 || check_syn_cookies(o, err) != 0)
		return -EINVAL;
	return check_timeouts(o, err);
}

/* A length of at most 15, and zeroes behind the id: equal ids are equal bytes. */
static bool is_server_id(const uint8_t id[16])
{
	if (id[0] > MR_QUIC_ID_MAX)
		return false;
	for (unsigned i = 1u + id[0]; i < 16; i++) {
		if (id[i] != 0)
			return false;
	}
	return true;
}

static int check_backend(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_backend *b = &o->backend;

	if (b->name[0] == '\0' || b->service[0] == '\0')
		return refuse(err, o, "name or service is empty");
	if (!is_name(b->service, 1) || !is_name(b->name, 2))
		return refuse(err, o, "name is not POOL/NAME of letters, digits, . _ -");
	if (mr_ip_len(&b->ip) == 0)
		return refuse(err, o, "ip is missing");
	if (b->port == 0)
		return refuse(err, o, "port must be 1..65535");
	if (b->weight > MR_WEIGHT_MAX)
		return refuse(err, o, "weight %u is above %d", b->weight, MR_WEIGHT_MAX);
	if (b->state < MR_BACKEND_UP || b->state > MR_BACKEND_EVICT)
		return refuse(err, o, "state %u is unknown", b->state);
	if (b->max_conns > MR_MAX_CONNS_MAX)
		return refuse(err, o, "max_conns %u is above %u", b->max_conns, MR_MAX_CONNS_MAX);
	if (b->probe_port != 0 && b->probe_port < MR_PROBE_PORT_MIN)
		return refuse(err, o, "probe_port %u is not 0 or %u..%u", b->probe_port,
			MR_PROBE_PORT_MIN, UINT16_MAX);
	if (!is_server_id(b->quic_server_id))
		return refuse(err, o, "quic_server_id is not a length, an id and zeroes");
	return 0;
}

static int check_acl(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_acl *a = &o->acl;
	uint8_t mask[16];

	if (a->service[0] == '\0')
		return refuse(err, o, "service is empty");
	if (!is_name(a->service, 1))
		return refuse(err, o, "service has other characters than letters, digits, . _ -");
	if (mr_ip_len(&a->ip) == 0)
		return refuse(err, o, "ip is missing");
	if (a->prefix_len > 8 * mr_ip_len(&a->ip))
		return refuse(
			err, o, "prefix_len %u is above %u", a->prefix_len, 8 * mr_ip_len(&a->ip));
	addr_mask(mask, a->prefix_len);
	for (unsigned i = 0; i < 16; i++) {
		if ((a->ip.bytes[i] & ~mask[i]) != 0)
			return refuse(err, o, "ip has bits beyond prefix_len %u", a->prefix_len);
	}
	if (a->action != MR_ACL_ALLOW && a->action != MR_ACL_DENY)
		return refuse(err, o, "action %u is neither allow (1) nor deny (2)", a->action);
	return 0;
}

static int check_cache(const struct mr_object *o, struct mr_error *err)
{
	const struct mr_cache *c = &o->cache;

	if (c->name[0] == '\0')
		return refuse(err, o, "name is empty");
	if (!is_name(c->name, 1))
		return refuse(err, o, "name has other characters than letters, digits, . _ -");
	if (strcmp(mr_eviction_name(c->eviction), "?") == 0)
		return refuse(err, o, "eviction %u is unknown", c->eviction);
	if (c->memory_bytes < MR_CACHE_MEMORY_MIN)
		return refuse(err, o, "memory_bytes %" PRIu64 " is below %u", c->memory_bytes,
			MR_CACHE_MEMORY_MIN);
	if (c->value_max > MR_CACHE_VALUE_LIMIT)
		return refuse(
			err, o, "value_max %u is above %u", c->value_max, MR_CACHE_VALUE_LIMIT);
	if (c->item_bytes > MR_CACHE_VALUE_LIMIT)
		return refuse(
			err, o, "item_bytes %u is above %u", c->item_bytes, MR_CACHE_VALUE_LIMIT);
	if (c->lease_ms > MR_CACHE_LEASE_MAX_MS)
		return refuse(
			err, o, "lease_ms %u is above %u", c->lease_ms, MR_CACHE_LEASE_MAX_MS);
	if (c->early_pct > MR_CACHE_EARLY_MAX_PCT)
		return refuse(
			err, o, "early_pct %u is above %u", c->early_pct, MR_CACHE_EARLY_MAX_PCT);
	if (c->stale_s > MR_CACHE_STALE_MAX_S)
		return refuse(err, o, "stale_s %u is above %u", c->stale_s, MR_CACHE_STALE_MAX_S);
	return 0;
}

int apply_check_object(const struct mr_object *o, struct mr_error *err)
{
	switch (o->type) {
	case MR_OBJ_SETTINGS:
		return 0;
	case MR_OBJ_ADDR:
		if (mr_ip_len(&o->addr.ip) == 0 || o->addr.prefix_len == 0
			|| o->addr.prefix_len > 8 * mr_ip_len(&o->addr.ip))
			return refuse(err, o, "address or prefix length is out of range");
		return 0;
	case MR_OBJ_GATEWAY:
		if (mr_ip_len(&o->gateway.ip) == 0)
			return refuse(err, o, "ip is missing");
		return 0;
	case MR_OBJ_SNAT:
		if (mr_ip_len(&o->snat.ip) == 0)
			return refuse(err, o, "ip is missing");
		return 0;
	case MR_OBJ_SERVICE:
		return check_service(o, err);
	case MR_OBJ_BACKEND:
		return check_backend(o, err);
	case MR_OBJ_ACL:
		return check_acl(o, err);
	case MR_OBJ_CACHE:
		return check_cache(o, err);
	default:
		return refuse(err, o, "object type %u is unknown", o->type);
	}
}

/* Copies the objects of one type into an array of their own struct: what lb and net take. */
static void *collect(const struct model *m, unsigned type, size_t size, unsigned *n)
{
	unsigned first;
	char *a;

	*n = model_count(m, type, &first);
	a = calloc(*n ? *n : 1, size);
	for (unsigned i = 0; a != NULL && i < *n; i++)
		memcpy(a + i * size,
			(const char *)model_at(m, first + i) + offsetof(struct mr_object, settings),
			size);
	return a;
}

struct parts {
	struct mr_settings *settings;
	struct mr_addr *addrs;
	struct mr_gateway *gateways;
	struct mr_snat *snats;
	struct mr_service *services;
	struct mr_backend *backends;
	struct mr_acl *acls;
	struct mr_cache *caches;
	struct mr_ip *vips;
	struct mr_ip snat_slots[NATPORT_SLOTS_MAX];
	unsigned n_settings, n_addrs, n_gateways, n_snats, n_services, n_backends, n_acls, n_caches,
		n_snat_slots;
};

static void parts_fini(struct parts *p)
{
	free(p->settings);
	free(p->addrs);
	free(p->gateways);
	free(p->snats);
	free(p->services);
	free(p->backends);
	free(p->acls);
	free(p->caches);
	free(p->vips);
}

static int parts_init(struct parts *p, const struct model *m)
{
	memset(p, 0, sizeof(*p));
	p->settings = collect(m, MR_OBJ_SETTINGS, sizeof(*p->settings), &p->n_settings);
	p->addrs = collect(m, MR_OBJ_ADDR, sizeof(*p->addrs), &p->n_addrs);
	p->gateways = collect(m, MR_OBJ_GATEWAY, sizeof(*p->gateways), &p->n_gateways);
	p->snats = collect(m, MR_OBJ_SNAT, sizeof(*p->snats), &p->n_snats);
	p->services = collect(m, MR_OBJ_SERVICE, sizeof(*p->services), &p->n_services);
	p->backends = collect(m, MR_OBJ_BACKEND, sizeof(*p->backends), &p->n_backends);
	p->acls = collect(m, MR_OBJ_ACL, sizeof(*p->acls), &p->n_acls);
	p->caches = collect(m, MR_OBJ_CACHE, sizeof(*p->caches), &p->n_caches);
	p->vips = calloc(p->n_services ? p->n_services : 1, sizeof(*p->vips));
	if (!p->settings || !p->addrs || !p->gateways || !p->snats || !p->services || !p->backends
		|| !p->acls || !p->caches || !p->vips)
		return -ENOMEM;
	for (unsigned i = 0; i < p->n_services; i++)
		p->vips[i] = p->services[i].vip;
	return 0;
}

static int build_addrs(
	struct addr_conf **out, const struct apply_env *env, struct parts *p, struct mr_error *err)
{
	const int n = lb_registry_snats(env->registry, p->snats, p->n_snats, p->snat_slots, err);
	struct addr_spec spec = {.ifaces = env->ifaces,
		.addrs = p->addrs,
		.gateways = p->gateways,
		.vips = p->vips,
		.snats = p->snat_slots,
		.n_addrs = p->n_addrs,
		.n_gateways = p->n_gateways,
		.n_vips = p->n_services};

	if (n < 0)
		return n;
	spec.n_snats = (unsigned)n;
	return addr_conf_create(out, &spec, err);
}

static int build_lb(struct lb_conf **out, const struct apply_env *env, const struct parts *p,
	const struct addr_conf *addrs, const struct snapshot *running, uint32_t now_ms,
	struct mr_error *err)
{
	static const uint8_t no_key[16];
	const struct lb_spec spec = {.services = p->services,
		.backends = p->backends,
		.snats = p->snats,
		.acls = p->acls,
		.n_services = p->n_services,
		.n_backends = p->n_backends,
		.n_acls = p->n_acls,
		.n_snats = p->n_snats,
		.hash_key = p->n_settings ? p->settings[0].hash_key : no_key,
		.addrs = addrs,
		.ifaces = env->ifaces,
		.now_ms = now_ms};

	return lb_conf_create(out, env->registry, &spec, running ? lb_conf_of(running) : NULL, err);
}

static int build_serve(struct serve_conf **out, const struct apply_env *env, const struct parts *p,
	const struct lb_conf *lb, struct mr_error *err)
{
	const struct serve_spec spec = {.caches = p->caches,
		.n_caches = p->n_caches,
		.lb = lb,
		.n_workers = env->n_workers};

	return serveconf_create(out, env->caches, &spec, err);
}

int apply_build(struct snapshot **out, const struct apply_env *env, const struct model *m,
	uint64_t generation, const struct snapshot *running, uint32_t now_ms, struct mr_error *err)
{
	struct addr_conf *addrs = NULL;
	struct serve_conf *serve = NULL;
	struct lb_conf *lb = NULL;
	struct snapshot *s;
	struct parts p;
	int rc;

	memset(err, 0, sizeof(*err));
	s = calloc(1, sizeof(*s));
	rc = parts_init(&p, m);
	if (s == NULL || rc != 0) {
		rc = -ENOMEM;
		goto err_parts;
	}
	rc = build_addrs(&addrs, env, &p, err);
	if (rc != 0)
		goto err_parts;
	rc = build_lb(&lb, env, &p, addrs, running, now_ms, err);
	if (rc != 0)
		goto err_addrs;
	rc = build_serve(&serve, env, &p, lb, err);
	if (rc != 0)
		goto err_lb;
	s->generation = generation;
	mr_digest_bytes(model_digest(m), s->digest);
	s->slot[SNAPSHOT_ADDR] = addrs;
	s->slot[SNAPSHOT_LB] = lb;
	s->slot[SNAPSHOT_SERVE] = serve;
	parts_fini(&p);
	*out = s;
	return 0;

err_lb:
	lb_conf_destroy(&lb, env->registry);
err_addrs:
	addr_conf_destroy(&addrs);
err_parts:
	parts_fini(&p);
	free(s);
	if (err->code == MR_OK) {
		err->code = rc == -ENOMEM ? MR_ERR_MEMORY : MR_ERR_INVALID;
		snprintf(err->message, sizeof(err->message),
			"the generation could not be built: %s; the running one stays",
			strerror(-rc));
	}
	return rc;
}

void apply_discard(struct snapshot **s, const struct apply_env *env)
{
	struct addr_conf *addrs;
	struct serve_conf *serve;
	struct lb_conf *lb;

	if (*s == NULL)
		return;
	memcpy(&addrs, &(*s)->slot[SNAPSHOT_ADDR], sizeof(addrs));
	memcpy(&lb, &(*s)->slot[SNAPSHOT_LB], sizeof(lb));
	memcpy(&serve, &(*s)->slot[SNAPSHOT_SERVE], sizeof(serve));
	serveconf_destroy(&serve, env->caches);
	lb_conf_destroy(&lb, env->registry);
	addr_conf_destroy(&addrs);
	free(*s);
	*s = NULL;
}

/* The kernel side can ask the VIPs by whose path backends are probed. */
static void sync_probes(struct punt *punt, const struct snapshot *s)
{
	const struct lb_conf *lb = lb_conf_of(s);
	struct punt_vip *vips = calloc(lb->n_services + 1, sizeof(*vips));

	if (vips != NULL)
		punt_sync_vips(punt, addr_conf_of(s), vips, probe_vips(lb, vips));
	else
		LOG_ERR("no memory for the routes of health checks by services' paths; the next "
			"change tries again");
	free(vips);
}

uint32_t apply_publish(const struct apply_env *env, struct snapshot *next)
{
	const struct snapshot *running = snapshot_get();
	uint32_t wait_us = 0;
	struct snapshot *old;

	if (env->path_mtus != NULL)
		pathmtu_publish(
			env->path_mtus, running ? lb_conf_of(running) : NULL, lb_conf_of(next));
	serveconf_commit(serve_conf_of(next));
	old = snapshot_publish(next, &wait_us);
	apply_discard(&old, env);
	if (env->punt != NULL) {
		punt_sync(env->punt, addr_conf_of(next));
		sync_probes(env->punt, next);
	}
	return wait_us;
}
