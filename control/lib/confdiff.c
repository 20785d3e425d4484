/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confdiff — see confdiff.h. Both configurations are flattened into objects (a path and its fields as
 * text, defaults filled in), the objects of one side are indexed by path, and two passes compare: what
 * the new side has, then what only the old side has. Any out-of-memory is remembered and ends it.
 */
#include "lib/confdiff.h"

#include "lib/confacl.h"
#include "lib/confcheck.h"
#include "lib/confread.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#define FIELDS_MAX 40

enum section {
	SECTION_NODE,
	SECTION_NETWORK,
	SECTION_PORT,
	SECTION_CHECK,
	SECTION_POOL,
	SECTION_BACKEND,
	SECTION_CACHE,
	SECTION_SERVICE,
	N_SECTIONS,
};

/* What adding, removing and changing does to traffic. */
static const char *const effect_of_add[N_SECTIONS] = {
	[SECTION_NODE] = "none on traffic",
	[SECTION_NETWORK] = "full-nat services get their source addresses",
	[SECTION_PORT] = "the port answers on these addresses",
	[SECTION_CHECK] = "none until a pool uses it",
	[SECTION_POOL] = "none until a service uses it",
	[SECTION_BACKEND] = "takes new flows once it is up",
	[SECTION_CACHE] = "its memory is taken; none on traffic until a service uses it",
	[SECTION_SERVICE] = "the VIP starts to take traffic",
};

static const char *const effect_of_remove[N_SECTIONS] = {
	[SECTION_NODE] = "none on traffic",
	[SECTION_NETWORK] = "full-nat flows end",
	[SECTION_PORT] = "the port stops answering on these addresses",
	[SECTION_CHECK] = "none on traffic",
	[SECTION_POOL] = "none on traffic",
	[SECTION_BACKEND] = "takes no new flows; its flows go on until they end",
	[SECTION_CACHE] = "everything in it is forgotten",
	[SECTION_SERVICE] = "the VIP stops taking traffic; its flows end",
};

struct effect {
	enum section section;
	const char *field; /* NULL: every other one */
	const char *text;
};

static const struct effect effects_of_change[] = {
	{SECTION_NODE, "hash_key", "new flows are spread anew; flows stay where they are"},
	{SECTION_NODE, NULL, "none on traffic"},
	{SECTION_NETWORK, NULL, "new flows use the new addresses; flows stay on removed ones"},
	{SECTION_PORT, NULL, "the port answers on the new addresses only"},
	{SECTION_CHECK, NULL, "none on traffic: the next probe uses it, states are kept"},
	{SECTION_POOL, "slow_start", "the share of backends that have just come up; flows stay"},
	{SECTION_POOL, "passive", "traffic takes backends out by it from now on; flows stay"},
	{SECTION_POOL, "max_connections", "it counts for new flows; flows stay"},
	{SECTION_POOL, NULL, "backends are checked in the new way"},
	{SECTION_BACKEND, "weight", "its share of new flows changes; flows stay"},
	{SECTION_BACKEND, "max_connections", "it counts for new flows; flows stay"},
	{SECTION_BACKEND, "quic_server_id", "packets with the new id go to it at once"},
	{SECTION_BACKEND, NULL, "new flows go to the new address"},
	{SECTION_CACHE, "lease", "it counts from the next request on; items stay"},
	{SECTION_CACHE, "early_refresh", "it counts from the next request on; items stay"},
	{SECTION_CACHE, "serve_stale", "it counts from the next request on; items stay"},
	{SECTION_CACHE, NULL, "the cache is replaced by an empty one"},
	{SECTION_SERVICE, "kind", "the service is replaced: its flows end"},
	{SECTION_SERVICE, "cache", "requests are served from the other cache at once"},
	{SECTION_SERVICE, "reply_rate", "it counts from the next reply on"},
	{SECTION_SERVICE, "vip", "the service is replaced: its flows end"},
	{SECTION_SERVICE, "port", "the service is replaced: its flows end"},
	{SECTION_SERVICE, "proto", "the service is replaced: its flows end"},
	{SECTION_SERVICE, "mode", "new flows go in the new mode; flows go on as they began"},
	{SECTION_SERVICE, "gue_port", "packets go to it at once, but for flows of a mode before"},
	{SECTION_SERVICE, "quic.server_id_length", "packets go by the new server ids at once"},
	{SECTION_SERVICE, "quic.server_id_offset", "packets go by the new server ids at once"},
	{SECTION_SERVICE, "quic.config_id", "packets go by the new server ids at once"},
	{SECTION_SERVICE, "mss", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "client_address", "new flows tell it so; flows go on as they began"},
	{SECTION_SERVICE, "pool", "new flows go to the new pool; flows stay"},
	{SECTION_SERVICE, "scheduler", "new flows are spread anew; flows stay"},
	{SECTION_SERVICE, "hash", "new flows are spread anew; flows stay"},
	{SECTION_SERVICE, "source_prefix", "new flows are spread anew; flows stay"},
	{SECTION_SERVICE, "load_bound", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "allow", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "deny", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "max_connections", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "new_connections_per_second", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "source_rate", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "source_rate_prefix", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "insert_rate", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "syn_cookies", "it counts for new flows; flows stay"},
	{SECTION_SERVICE, "packets_per_second",
		"it counts for each packet from now on; flows stay"},
	{SECTION_SERVICE, "on_backend_down", "flows go by it from their next packet on"},
	{SECTION_SERVICE, "maglev_size", "new flows are spread anew; flows stay"},
	{SECTION_SERVICE, "panic_threshold", "which backends new flows may get; flows stay"},
	{SECTION_SERVICE, NULL, "flows age by it from their next packet on"},
};

/* Of services of a cache, where these are not as others. */
static const struct effect effects_of_cache_change[] = {
	{SECTION_SERVICE, "allow",
		"it counts at once: connections of clients that it keeps out end"},
	{SECTION_SERVICE, "deny",
		"it counts at once: connections of clients that it keeps out end"},
};

struct flat_field {
	const char *name;
	char *value;                          /* NULL: not there */
	const struct conf_prefixes *prefixes; /* compared instead of the value, if there */
	bool is_secret;
};

struct flat {
	enum section section;
	char *path;
	struct flat_field fields[FIELDS_MAX];
	unsigned n_fields;
	bool is_cache; /* a service of one */
};

struct flats {
	struct flat *items;
	size_t n_items, cap;
	bool is_out_of_memory;
};

__attribute__((format(printf, 2, 0))) static char *text_of(
	struct flats *f, const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) >= 0)
		return s;
	f->is_out_of_memory = true;
	return NULL;
}

__attribute__((format(printf, 3, 4))) static struct flat *add_flat(
	struct flats *f, enum section section, const char *fmt, ...)
{
	struct flat *o;
	va_list ap;

	if (f->n_items == f->cap) {
		const size_t cap = f->cap == 0 ? 64 : 2 * f->cap;
		struct flat *p = reallocarray(f->items, cap, sizeof(*p));

		if (p == NULL) {
			f->is_out_of_memory = true;
			return NULL;
		}
		f->items = p;
		f->cap = cap;
	}
	o = &f->items[f->n_items];
	memset(o, 0, sizeof(*o));
	o->section = section;
	va_start(ap, fmt);
	o->path = text_of(f, fmt, ap);
	va_end(ap);
	if (o->path == NULL)
		return NULL;
	f->n_items++;
	return o;
}

/* fmt NULL: the field is not there. o NULL: memory has run out before. */
static void add_field(struct flats *f, struct flat *o, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add_field(struct flats *f, struct flat *o, const char *name, const char *fmt, ...)
{
	struct flat_field *field;
	va_list ap;

	if (o == NULL)
		return;
	assert(o->n_fields < FIELDS_MAX);
	field = &o->fields[o->n_fields++];
	field->name = name;
	field->value = NULL;
	field->prefixes = NULL;
	field->is_secret = false;
	if (fmt == NULL)
		return;
	va_start(ap, fmt);
	field->value = text_of(f, fmt, ap);
	va_end(ap);
}

static void add_duration(struct flats *f, struct flat *o, const char *name, uint32_t ms)
{
	char text[32];

	add_field(f, o, name, "%s", confread_duration_text(text, sizeof(text), ms));
}

static void add_port_number(struct flats *f, struct flat *o, uint16_t port)
{
	if (port != 0)
		add_field(f, o, "port", "%u", port);
	else
		add_field(f, o, "port", NULL);
}

/* A list grows in a memory stream; its text is the field's value. */
static void add_list(struct flats *f, struct flat *o, const char *name,
	void (*print)(FILE *out, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL) {
		f->is_out_of_memory = true;
		return;
	}
	print(out, arg);
	if (fclose(out) != 0)
		f->is_out_of_memory = true;
	else
		add_field(f, o, name, "%s", text);
	free(text);
}

static void print_addresses(FILE *out, const void *arg)
{
	const struct conf_port *p = arg;
	char ip[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < p->n_addresses; i++)
		fprintf(out, "%s%s/%u", i > 0 ? ", " : "",
			mr_ip_text(&p->addresses[i].ip, ip, sizeof(ip)), p->addresses[i].len);
}

static void print_gateways(FILE *out, const void *arg)
{
	const struct conf_port *p = arg;
	char ip[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < p->n_gateways; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : "",
			mr_ip_text(&p->gateways[i], ip, sizeof(ip)));
}

static void print_snats(FILE *out, const void *arg)
{
	const struct conf *c = arg;
	char ip[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < c->n_snats; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : "", mr_ip_text(&c->snats[i], ip, sizeof(ip)));
}

static void print_bytes(FILE *out, const void *arg)
{
	confcheck_print_bytes(out, arg);
}

static void print_command(FILE *out, const void *arg)
{
	confcheck_print_command(out, arg);
}

static void print_expect(FILE *out, const void *arg)
{
	const struct conf_check *k = arg;

	for (size_t i = 0; i < k->n_expect; i++) {
		fprintf(out, "%s%u", i > 0 ? ", " : "", k->expect[i].first);
		if (k->expect[i].last != k->expect[i].first)
			fprintf(out, "-%u", k->expect[i].last);
	}
}

static void print_prefixes(FILE *out, const void *arg)
{
	confacl_print(out, arg, NULL);
}

static void add_prefixes(
	struct flats *f, struct flat *o, const char *name, const struct conf_prefixes *p)
{
	if (p->n > 0)
		add_list(f, o, name, print_prefixes, p);
	else
		add_field(f, o, name, NULL);
	if (o != NULL && !f->is_out_of_memory)
		o->fields[o->n_fields - 1].prefixes = p;
}

static void flatten_node(struct flats *f, const struct conf *c)
{
	struct flat *o = add_flat(f, SECTION_NODE, "node");
	char key[33];

	add_field(f, o, "name", c->node_name[0] != '\0' ? "%s" : NULL, c->node_name);
	add_field(f, o, "hash_key_file", c->hash_key_file != NULL ? "%s" : NULL, c->hash_key_file);
	for (size_t i = 0; i < sizeof(c->hash_key); i++)
		snprintf(key + 2 * i, 3, "%02x", c->hash_key[i]);
	add_field(f, o, "hash_key", c->hash_key_is_read ? "%s" : NULL, key);
	if (o != NULL)
		o->fields[o->n_fields - 1].is_secret = true;
}

static void flatten_network(struct flats *f, const struct conf *c)
{
	struct flat *o = add_flat(f, SECTION_NETWORK, "network");

	if (c->n_snats > 0)
		add_list(f, o, "snat", print_snats, c);
	else
		add_field(f, o, "snat", NULL);
	for (size_t i = 0; i < c->n_ports; i++) {
		o = add_flat(f, SECTION_PORT, "network.ports.%s", c->ports[i].name);
		add_list(f, o, "addresses", print_addresses, &c->ports[i]);
		if (c->ports[i].n_gateways > 0)
			add_list(f, o, "gateways", print_gateways, &c->ports[i]);
		else
			add_field(f, o, "gateways", NULL);
	}
}

static void flatten_check(struct flats *f, const struct conf_check *k)
{
	struct flat *o = add_flat(f, SECTION_CHECK, "checks.%s", k->name);

	add_field(f, o, "type", "%s", conf_check_type_name(k->type));
	add_field(f, o, "via", k->is_via_service ? "service" : NULL);
	add_port_number(f, o, k->port);
	add_field(f, o, "path", k->path != NULL ? "%s" : NULL, k->path);
	add_field(f, o, "host", k->host != NULL ? "%s" : NULL, k->host);
	if (k->n_expect > 0)
		add_list(f, o, "expect", print_expect, k);
	else if (k->answer.len > 0)
		add_list(f, o, "expect", print_bytes, &k->answer);
	else
		add_field(f, o, "expect", NULL);
	if (k->send.len > 0)
		add_list(f, o, "send", print_bytes, &k->send);
	else
		add_field(f, o, "send", NULL);
	if (k->n_command > 0)
		add_list(f, o, "command", print_command, k);
	else
		add_field(f, o, "command", NULL);
	add_duration(f, o, "interval", k->interval_ms);
	add_duration(f, o, "timeout", k->timeout_ms);
	add_field(f, o, "rise", "%u", k->rise);
	add_field(f, o, "fall", "%u", k->fall);
	add_field(f, o, "jitter", "%u%%", k->jitter_pct);
}

static void add_limit(struct flats *f, struct flat *o, const char *name, uint32_t limit)
{
	if (limit != 0)
		add_field(f, o, name, "%u", limit);
	else
		add_field(f, o, name, NULL);
}

/* One field: whoever changes a part of it wants to see all. */
static void add_passive(struct flats *f, struct flat *o, const struct conf_passive *p)
{
	char ejection[32];

	add_field(f, o, "passive",
		p->is_on ? "failures %u, rate %u%% of %u flows, ejection %s, max_ejected %u%%"
			 : NULL,
		p->failures, p->rate_pct, p->min_flows,
		confread_duration_text(ejection, sizeof(ejection), p->ejection_ms),
		p->max_ejected_pct);
}

static void add_server_id(struct flats *f, struct flat *o, const struct conf_backend *b)
{
	char hex[2 * CONF_QUIC_ID_MAX + 1];

	add_field(f, o, "quic_server_id", b->quic_id_len != 0 ? "%s" : NULL,
		conf_backend_quic_id(b, hex));
}

static void flatten_pool(struct flats *f, const struct conf_pool *p)
{
	struct flat *o = add_flat(f, SECTION_POOL, "pools.%s", p->name);
	char ip[INET6_ADDRSTRLEN];

	add_field(f, o, "check", p->check != NULL ? "%s" : NULL,
		p->check != NULL ? p->check->name : "");
	if (p->slow_start_ms != 0)
		add_duration(f, o, "slow_start", p->slow_start_ms);
	else
		add_field(f, o, "slow_start", NULL);
	add_passive(f, o, &p->passive);
	add_limit(f, o, "max_connections", p->max_conns);
	for (size_t i = 0; i < p->n_backends; i++) {
		const struct conf_backend *b = &p->backends[i];

		o = add_flat(f, SECTION_BACKEND, "pools.%s.backends.%s", p->name, b->name);
		add_field(f, o, "ip", "%s", mr_ip_text(&b->ip, ip, sizeof(ip)));
		add_port_number(f, o, b->port);
		add_field(f, o, "weight", "%u", b->weight);
		add_limit(f, o, "max_connections", b->max_conns);
		add_server_id(f, o, b);
	}
}

/* 0: not given. */
static void add_size(struct flats *f, struct flat *o, const char *name, uint64_t bytes)
{
	char text[TEXT_BYTES_MAX];

	add_field(f, o, name, bytes != 0 ? "%s" : NULL, text_bytes(text, sizeof(text), bytes));
}

/* 0: there is none. */
static void add_timeout(struct flats *f, struct flat *o, const char *name, uint32_t ms)
{
	if (ms != 0)
		add_duration(f, o, name, ms);
	else
		add_field(f, o, name, NULL);
}

static void flatten_cache(struct flats *f, const struct conf_cache *k)
{
	struct flat *o = add_flat(f, SECTION_CACHE, "caches.%s", k->name);

	add_size(f, o, "memory", k->memory_bytes);
	add_field(f, o, "eviction", "%s", mr_eviction_name(k->eviction));
	add_size(f, o, "value_max", k->value_max);
	add_size(f, o, "item_size", k->item_bytes);
	add_timeout(f, o, "lease", k->lease_ms);
	add_field(f, o, "early_refresh", k->early_pct != 0 ? "%u.%02u" : NULL, k->early_pct / 100,
		k->early_pct % 100);
	add_timeout(f, o, "serve_stale", k->stale_s * 1000u);
}

static void flatten_service(struct flats *f, const struct conf_service *s)
{
	struct flat *o = add_flat(f, SECTION_SERVICE, "services.%s", s->name);
	const bool is_cache = s->mode == MR_MODE_CACHE;
	char ip[INET6_ADDRSTRLEN];

	if (o != NULL)
		o->is_cache = is_cache;
	add_field(f, o, "vip", "%s", mr_ip_text(&s->vip, ip, sizeof(ip)));
	add_field(f, o, "port", "%u", s->port);
	add_field(f, o, "proto", "%s", mr_proto_name(s->proto));
	add_field(f, o, "kind", is_cache ? "cache" : NULL);
	add_field(f, o, "cache", is_cache ? "%s" : NULL, is_cache ? s->cache->name : "");
	add_size(f, o, "reply_rate", (uint64_t)s->reply_rate_kb << 10);
	add_field(f, o, "mode", is_cache ? NULL : "%s", mr_mode_name(s->mode));
	add_field(f, o, "gue_port", s->gue_port != 0 ? "%u" : NULL, s->gue_port);
	add_field(f, o, "quic.server_id_length", s->quic.id_len != 0 ? "%u" : NULL, s->quic.id_len);
	add_field(f, o, "quic.server_id_offset", s->quic.id_len != 0 ? "%u" : NULL,
		s->quic.id_offset);
	add_field(f, o, "quic.config_id", s->quic.config_id >= 0 ? "%d" : NULL, s->quic.config_id);
	add_limit(f, o, "mss", s->mss);
	add_field(f, o, "client_address", s->client_address != MR_CLIENT_ADDRESS_NONE ? "%s" : NULL,
		mr_client_address_name(s->client_address));
	add_field(f, o, "scheduler", is_cache ? NULL : "%s", mr_sched_name(s->sched));
	add_field(f, o, "hash", s->hash != MR_HASH_FLOW && s->sched != MR_SCHED_SH ? "%s" : NULL,
		mr_hash_name(s->hash));
	add_field(f, o, "source_prefix", s->source_prefix != 0 ? "%u" : NULL, s->source_prefix);
	add_field(f, o, "load_bound", s->load_bound_pct != 0 ? "%u%%" : NULL, s->load_bound_pct);
	add_prefixes(f, o, "allow", &s->allow);
	add_prefixes(f, o, "deny", &s->deny);
	add_limit(f, o, "max_connections", s->max_conns);
	add_limit(f, o, "new_connections_per_second", s->flow_rate);
	add_limit(f, o, "source_rate", s->source_rate);
	add_limit(f, o, "source_rate_prefix", s->source_rate_prefix);
	add_limit(f, o, "insert_rate", s->insert_rate);
	add_limit(f, o, "syn_cookies", s->syn_cookies);
	add_limit(f, o, "packets_per_second", s->packet_rate);
	add_field(f, o, "on_backend_down", s->on_down != MR_DOWN_KEEP ? "%s" : NULL,
		mr_down_name(s->on_down));
	if (s->maglev_size != 0)
		add_field(f, o, "maglev_size", "%u", s->maglev_size);
	else
		add_field(f, o, "maglev_size", NULL);
	add_field(f, o, "panic_threshold", s->panic_pct != 0 ? "%u%%" : NULL, s->panic_pct);
	add_field(f, o, "pool", is_cache ? NULL : "%s", is_cache ? "" : s->pool->name);
	add_timeout(f, o, "timeouts.syn", s->syn_timeout_ms);
	add_timeout(f, o, "timeouts.established", s->established_timeout_ms);
	add_timeout(f, o, "timeouts.fin", s->fin_timeout_ms);
	add_timeout(f, o, "timeouts.udp", s->udp_timeout_ms);
}

static void flatten(struct flats *f, const struct conf *c)
{
	memset(f, 0, sizeof(*f));
	if (c == NULL)
		return;
	flatten_node(f, c);
	flatten_network(f, c);
	for (size_t i = 0; i < c->n_checks; i++)
		flatten_check(f, &c->checks[i]);
	for (size_t i = 0; i < c->n_pools; i++)
		flatten_pool(f, &c->pools[i]);
	for (size_t i = 0; i < c->n_caches; i++)
		flatten_cache(f, &c->caches[i]);
	for (size_t i = 0; i < c->n_services; i++)
		flatten_service(f, &c->services[i]);
}

static void free_flats(struct flats *f)
{
	for (size_t i = 0; i < f->n_items; i++) {
		for (unsigned k = 0; k < f->items[i].n_fields; k++)
			free(f->items[i].fields[k].value);
		free(f->items[i].path);
	}
	free(f->items);
}

static int by_path(const void *a, const void *b)
{
	const struct flat *x = *(const struct flat *const *)a, *y = *(const struct flat *const *)b;

	/* The section too: names may hold dots, so paths alone can look alike. */
	return x->section != y->section ? (int)x->section - (int)y->section
					: strcmp(x->path, y->path);
}

/* The objects of f sorted by path; NULL without memory. */
static const struct flat **index_flats(const struct flats *f)
{
	const struct flat **index = calloc(f->n_items + 1, sizeof(*index));

	if (index == NULL)
		return NULL;
	for (size_t i = 0; i < f->n_items; i++)
		index[i] = &f->items[i];
	if (f->n_items > 0)
		qsort(index, f->n_items, sizeof(*index), by_path);
	return index;
}

static const struct flat *find_flat(
	const struct flat *const *index, size_t n, const struct flat *like)
{
	const struct flat *const *hit = bsearch(&like, index, n, sizeof(*index), by_path);

	return hit != NULL ? *hit : NULL;
}

struct writer {
	struct confdiff *d;
	size_t cap;
	bool is_out_of_memory;
};

static char *copy(struct writer *w, const char *s)
{
	char *p;

	if (s == NULL)
		return NULL;
	p = strdup(s);
	if (p == NULL)
		w->is_out_of_memory = true;
	return p;
}

static void add_row(struct writer *w, char op, const struct flat *o, const char *field,
	const char *from, const char *to, const char *effect)
{
	struct confdiff *d = w->d;

	if (d->n_rows == w->cap) {
		const size_t cap = w->cap == 0 ? 32 : 2 * w->cap;
		struct confdiff_row *p = reallocarray(d->rows, cap, sizeof(*p));

		if (p == NULL) {
			w->is_out_of_memory = true;
			return;
		}
		d->rows = p;
		w->cap = cap;
	}
	d->rows[d->n_rows++] = (struct confdiff_row){
		.op = op,
		.object = copy(w, o->path),
		.field = copy(w, field),
		.from = copy(w, from),
		.to = copy(w, to),
		.effect = copy(w, effect),
	};
}

/* "ip 10.0.0.1, port 80": all fields that are there. */
static char *summarize(struct writer *w, const struct flat *o)
{
	char *text = NULL;
	size_t len, n = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL) {
		w->is_out_of_memory = true;
		return NULL;
	}
	for (unsigned k = 0; k < o->n_fields; k++) {
		if (o->fields[k].value == NULL || o->fields[k].is_secret)
			continue;
		fprintf(out, "%s%s %s", n++ > 0 ? ", " : "", o->fields[k].name, o->fields[k].value);
	}
	if (fclose(out) != 0)
		w->is_out_of_memory = true;
	return text;
}

static const char *effect_of_change(const struct flat *o, const char *field)
{
	const size_t n = sizeof(effects_of_cache_change) / sizeof(effects_of_cache_change[0]);
	const struct effect *e = effects_of_change;

	for (size_t i = 0; o->is_cache && i < n; i++) {
		if (strcmp(effects_of_cache_change[i].field, field) == 0)
			return effects_of_cache_change[i].text;
	}
	while (e->section != o->section || (e->field != NULL && strcmp(e->field, field) != 0))
		e++;
	return e->text;
}

/* Whether there is anything to say of an object that only one side has. */
static bool has_values(const struct flat *o)
{
	for (unsigned k = 0; k < o->n_fields; k++) {
		if (o->fields[k].value != NULL)
			return true;
	}
	return o->section != SECTION_NODE && o->section != SECTION_NETWORK;
}

/* NULL for a list that is not given. */
static char *tell_prefixes(
	struct writer *w, const struct conf_prefixes *p, const struct conf_prefixes *other)
{
	char *text = NULL;
	size_t len;
	FILE *out = p->n > 0 ? open_memstream(&text, &len) : NULL;

	if (out != NULL) {
		confacl_print(out, p, other);
		w->is_out_of_memory |= fclose(out) != 0;
	} else if (p->n > 0) {
		w->is_out_of_memory = true;
	}
	return text;
}

static void compare_prefixes(struct writer *w, const struct flat_field *a, const struct flat *to,
	const struct flat_field *b)
{
	char *from_text, *to_text;

	if (confacl_is_same(a->prefixes, b->prefixes))
		return;
	from_text = tell_prefixes(w, a->prefixes, b->prefixes);
	to_text = tell_prefixes(w, b->prefixes, a->prefixes);
	add_row(w, '~', to, b->name, from_text, to_text, effect_of_change(to, b->name));
	free(from_text);
	free(to_text);
}

static void compare_fields(struct writer *w, const struct flat *from, const struct flat *to)
{
	for (unsigned k = 0; k < to->n_fields; k++) {
		const struct flat_field *a = &from->fields[k], *b = &to->fields[k];
		const bool is_same = a->value == NULL || b->value == NULL
			? a->value == b->value
			: strcmp(a->value, b->value) == 0;

		if (b->prefixes != NULL)
			compare_prefixes(w, a, to, b);
		else if (!is_same)
			add_row(w, '~', to, b->name,
				a->value != NULL && a->is_secret ? "(secret)" : a->value,
				b->value != NULL && b->is_secret ? "(secret)" : b->value,
				effect_of_change(to, b->name));
	}
}

static void compare(struct writer *w, const struct flats *from, const struct flats *to,
	const struct flat *const *from_index, const struct flat *const *to_index)
{
	char *text;

	for (unsigned section = 0; section < N_SECTIONS; section++) {
		for (size_t i = 0; i < to->n_items; i++) {
			const struct flat *o = &to->items[i];
			const struct flat *old;

			if (o->section != section)
				continue;
			old = find_flat(from_index, from->n_items, o);
			if (old != NULL) {
				compare_fields(w, old, o);
			} else if (has_values(o)) {
				text = summarize(w, o);
				add_row(w, '+', o, NULL, NULL, text, effect_of_add[section]);
				free(text);
			}
		}
		for (size_t i = 0; i < from->n_items; i++) {
			const struct flat *o = &from->items[i];

			if (o->section != section || find_flat(to_index, to->n_items, o) != NULL
				|| !has_values(o))
				continue;
			text = summarize(w, o);
			add_row(w, '-', o, NULL, text, NULL, effect_of_remove[section]);
			free(text);
		}
	}
}

int confdiff_create(struct confdiff **out, const struct conf *from, const struct conf *to)
{
	struct writer w = {.d = calloc(1, sizeof(struct confdiff))};
	const struct flat **from_index, **to_index;
	struct flats a, b;
	bool is_out_of_memory;

	flatten(&a, from);
	flatten(&b, to);
	from_index = index_flats(&a);
	to_index = index_flats(&b);
	is_out_of_memory = w.d == NULL || from_index == NULL || to_index == NULL
		|| a.is_out_of_memory || b.is_out_of_memory;
	if (!is_out_of_memory)
		compare(&w, &a, &b, from_index, to_index);
	free(from_index);
	free(to_index);
	free_flats(&a);
	free_flats(&b);
	if (is_out_of_memory || w.is_out_of_memory) {
		confdiff_destroy(&w.d);
		return -ENOMEM;
	}
	*out = w.d;
	return 0;
}

void confdiff_destroy(struct confdiff **dp)
{
	struct confdiff *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n_rows; i++) {
		free(d->rows[i].object);
		free(d->rows[i].field);
		free(d->rows[i].from);
		free(d->rows[i].to);
		free(d->rows[i].effect);
	}
	free(d->rows);
	free(d);
}
