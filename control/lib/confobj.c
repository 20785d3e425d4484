/* SPDX-License-Identifier: BSD-3-Clause */
/* confobj — see confobj.h. */
#include "lib/confobj.h"

#include <errno.h>
#include <stdlib.h>

_Static_assert(CONF_QUIC_ID_MAX == MR_QUIC_ID_MAX, "what can be read can be sent");

static size_t n_backends(const struct conf_service *s)
{
	return s->pool != NULL ? s->pool->n_backends : 0;
}

static size_t count_objects(const struct conf *c)
{
	size_t n = 1 + c->n_snats + c->n_caches + c->n_services;

	for (size_t i = 0; i < c->n_ports; i++)
		n += c->ports[i].n_addresses + c->ports[i].n_gateways;
	for (size_t i = 0; i < c->n_services; i++)
		n += n_backends(&c->services[i]) + c->services[i].allow.n + c->services[i].deny.n;
	return n;
}

static void copy_name(char to[MR_NAME_MAX], const char from[MR_NAME_MAX])
{
	memcpy(to, from, MR_NAME_MAX);
}

static struct mr_object *put_ports(struct mr_object *o, const struct conf *c)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		const struct conf_port *p = &c->ports[i];

		for (size_t k = 0; k < p->n_addresses; k++, o++) {
			o->type = MR_OBJ_ADDR;
			copy_name(o->addr.port, p->name);
			o->addr.ip = p->addresses[k].ip;
			o->addr.prefix_len = p->addresses[k].len;
		}
	}
	for (size_t i = 0; i < c->n_ports; i++) {
		const struct conf_port *p = &c->ports[i];

		for (size_t k = 0; k < p->n_gateways; k++, o++) {
			o->type = MR_OBJ_GATEWAY;
			copy_name(o->gateway.port, p->name);
			o->gateway.ip = p->gateways[k];
		}
	}
	return o;
}

static struct mr_object *put_prefixes(struct mr_object *o, const struct conf_service *s,
	const struct conf_prefixes *p, enum mr_acl_action action)
{
	for (size_t i = 0; i < p->n; i++, o++) {
		o->type = MR_OBJ_ACL;
		copy_name(o->acl.service, s->name);
		o->acl.ip = p->items[i].ip;
		o->acl.prefix_len = p->items[i].len;
		o->acl.action = (uint8_t)action;
	}
	return o;
}

static struct mr_object *put_caches(struct mr_object *o, const struct conf *c)
{
	for (size_t i = 0; i < c->n_caches; i++, o++) {
		const struct conf_cache *k = &c->caches[i];

		o->type = MR_OBJ_CACHE;
		copy_name(o->cache.name, k->name);
		o->cache.memory_bytes = k->memory_bytes;
		o->cache.eviction = (uint8_t)k->eviction;
		o->cache.value_max = k->value_max;
		o->cache.item_bytes = k->item_bytes;
		o->cache.lease_ms = k->lease_ms;
		o->cache.early_pct = k->early_pct;
		o->cache.stale_s = k->stale_s;
	}
	return o;
}

static struct mr_object *put_service(struct mr_object *o, const struct conf_service *s)
{
	o->type = MR_OBJ_SERVICE;
	copy_name(o->service.name, s->name);
	o->service.vip = s->vip;
	o->service.port = s->port;
	o->service.proto = (uint8_t)s->proto;
	o->service.mode = (uint8_t)s->mode;
	o->service.gue_port = s->gue_port;
	o->service.quic_id_len = s->quic.id_len;
	o->service.quic_id_offset = s->quic.id_offset;
	o->service.quic_config = (uint8_t)(s->quic.config_id + 1);
	o->service.mss = s->mss;
	o->service.client_address = (uint8_t)s->client_address;
	o->service.sched = (uint8_t)s->sched;
	o->service.maglev_size = s->maglev_size;
	o->service.hash = (uint8_t)s->hash;
	o->service.source_prefix = s->source_prefix;
	o->service.load_bound_pct = s->load_bound_pct;
	o->service.max_conns = s->max_conns;
	o->service.flow_rate = s->flow_rate;
	o->service.source_rate = s->source_rate;
	o->service.source_rate_prefix = s->source_rate_prefix;
	o->service.insert_rate = s->insert_rate;
	o->service.syn_cookies = s->syn_cookies;
	o->service.packet_rate = s->packet_rate;
	o->service.on_down = (uint8_t)s->on_down;
	o->service.syn_timeout_ms = s->syn_timeout_ms;
	o->service.established_timeout_ms = s->established_timeout_ms;
	o->service.fin_timeout_ms = s->fin_timeout_ms;
	o->service.udp_timeout_ms = s->udp_timeout_ms;
	if (s->cache != NULL)
		copy_name(o->service.cache, s->cache->name);
	o->service.reply_rate = s->reply_rate_kb;
	o++;
	for (size_t i = 0; i < n_backends(s); i++, o++) {
		const struct conf_backend *b = &s->pool->backends[i];

		o->type = MR_OBJ_BACKEND;
		copy_name(o->backend.service, s->name);
		copy_name(o->backend.name, b->name);
		o->backend.ip = b->ip;
		o->backend.port = conf_backend_port(s, b);
		o->backend.weight = b->weight;
		o->backend.max_conns = conf_backend_max_conns(s->pool, b);
		if (s->quic.id_len != 0) {
			o->backend.quic_server_id[0] = b->quic_id_len;
			memcpy(o->backend.quic_server_id + 1, b->quic_id, b->quic_id_len);
		}
		o->backend.probe_port = s->pool->via == s ? b->probe_port : 0;
		o->backend.state = MR_BACKEND_UP;
	}
	o = put_prefixes(o, s, &s->allow, MR_ACL_ALLOW);
	return put_prefixes(o, s, &s->deny, MR_ACL_DENY);
}

int confobj_create(struct mr_object **out, size_t *n_out, const struct conf *c)
{
	const size_t n = count_objects(c);
	struct mr_object *objects = calloc(n, sizeof(*objects)), *o = objects;

	if (objects == NULL)
		return -ENOMEM;
	o->type = MR_OBJ_SETTINGS;
	memcpy(o->settings.hash_key, c->hash_key, sizeof(o->settings.hash_key));
	o = put_ports(o + 1, c);
	for (size_t i = 0; i < c->n_snats; i++, o++) {
		o->type = MR_OBJ_SNAT;
		o->snat.ip = c->snats[i];
	}
	o = put_caches(o, c);
	for (size_t i = 0; i < c->n_services; i++)
		o = put_service(o, &c->services[i]);
	*out = objects;
	*n_out = n;
	return 0;
}
