/* SPDX-License-Identifier: BSD-3-Clause */
/* method_health — health.show: what the checks see of each backend. */
#include "daemon/method.h"
#include "daemon/rowjson.h"

/* The port a check probes: that of the service by whose path it goes, none, or its own, else the backend's, else that of the pool's first service. */
static json_t *probed_port(
	const struct conf *c, const struct conf_pool *p, const struct conf_backend *b)
{
	if (p->via != NULL)
		return json_integer(p->via->port);
	if (p->check != NULL && p->check->type == CONF_CHECK_ICMP)
		return json_null();
	if (p->check != NULL && p->check->port != 0)
		return json_integer(p->check->port);
	if (b->port != 0)
		return json_integer(b->port);
	for (size_t i = 0; i < c->n_services; i++) {
		if (c->services[i].pool == p)
			return json_integer(c->services[i].port);
	}
	return json_null();
}

static json_t *build_item(const struct loop *l, size_t pool, size_t backend)
{
	const struct conf *c = loop_desired(l)->conf;
	const struct conf_pool *p = &c->pools[pool];
	const struct conf_backend *b = &p->backends[backend];
	const struct conf_check *k = p->check;
	const struct observed_backend *o = loop_observed(l, pool, backend);
	json_t *item = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "pool", p->name,
		"name", b->name, "ip", rowjson_ip(&b->ip), "port", probed_port(c, p, b), "check",
		rowjson_text(k != NULL ? k->name : ""), "type",
		rowjson_text(k != NULL ? conf_check_type_name(k->type) : ""), "state",
		weight_health_name(o->state), "since", rowjson_time(o->since_ms));

	json_object_set_new(item, "via", rowjson_text(p->via != NULL ? p->via->name : ""));
	json_object_set_new(
		item, "probe_port", b->probe_port != 0 ? json_integer(b->probe_port) : json_null());
	json_object_set_new(item, "rise", k != NULL ? json_integer(k->rise) : json_null());
	json_object_set_new(item, "fall", k != NULL ? json_integer(k->fall) : json_null());
	json_object_set_new(item, "passes", json_integer(o->passes));
	json_object_set_new(item, "failures", json_integer(o->failures));
	json_object_set_new(item, "result", rowjson_text(o->result));
	json_object_set_new(item, "latency_seconds",
		o->latency_seconds >= 0 ? json_real(o->latency_seconds) : json_null());
	json_object_set_new(item, "checked", rowjson_time(o->checked_ms));
	return item;
}

void method_health_show(struct ctlsrv_request *r)
{
	const struct conf *c = loop_desired(r->loop)->conf;
	const char *pool = NULL;
	ssize_t only = -1;
	json_t *items;

	if (!method_unpack(r, "{s?s}", "pool", &pool))
		return;
	if (pool != NULL) {
		only = method_find_pool(r, pool);
		if (only < 0)
			return;
	}
	items = json_array();
	for (size_t i = 0; i < c->n_pools; i++) {
		for (size_t k = 0; (only < 0 || (size_t)only == i) && k < c->pools[i].n_backends;
			k++)
			json_array_append_new(items, build_item(r->loop, i, k));
	}
	ctlsrv_answer(r, "health", items, NULL);
}
