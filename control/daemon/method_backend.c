/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_backend — backend.show with the three states side by side, and the operator's orders: drain,
 * undrain, weight.
 */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/passive.h"
#include "daemon/rowjson.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define DEADLINE_MAX_MS (30 * 86400 * INT64_C(1000))

/* Which backends an answer is about; −1: all. */
struct selection {
	ssize_t pool, backend;
};

struct waiting {
	struct ctlsrv_request *r;
	struct selection which;
};

static json_t *build_administrative(const struct admin_override *o)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o}", "drained", o != NULL && o->is_drained,
		"deadline", rowjson_time(o != NULL ? o->deadline_ms : 0), "weight",
		o != NULL && o->has_weight ? json_integer(o->weight) : json_null(), "author",
		rowjson_text(o != NULL ? o->author : ""), "time",
		rowjson_time(o != NULL ? o->time_ms : 0));
}

/* Counters of the backend, summed over the services of its pool, and the smallest of their path MTUs; null when there is no
 * row, or no tunnel. */
static void put_counters(json_t *item, const struct conf *c, const struct conf_pool *p,
	const struct conf_backend *b, const struct fetch_result *result)
{
	const struct mr_backend_row *rows = result->rows;
	uint64_t sums[16] = {0};
	uint16_t path_mtu = 0;
	bool is_known = false;

	static_assert(
		sizeof(mr_backend_row_fields) / sizeof(mr_backend_row_fields[0]) <= 16, "sums");
	for (size_t i = 0; i < result->n_rows; i++) {
		const struct conf_service *s = conf_find_service(c, rows[i].service);

		if (s == NULL || s->pool != p || strcmp(rows[i].name, b->name) != 0)
			continue;
		is_known = true;
		for (unsigned f = 0; f < mr_backend_row_msg.n_fields; f++) {
			const struct mr_field *field = &mr_backend_row_msg.fields[f];
			const void *v = (const uint8_t *)&rows[i] + field->offset;

			if (field->kind == MR_U64)
				sums[f] += *(const uint64_t *)v;
		}
		if (rows[i].path_mtu != 0 && (path_mtu == 0 || rows[i].path_mtu < path_mtu))
			path_mtu = rows[i].path_mtu;
	}
	for (unsigned f = 0; f < mr_backend_row_msg.n_fields; f++) {
		const struct mr_field *field = &mr_backend_row_msg.fields[f];

		if (field->kind == MR_U64)
			json_object_set_new(item, field->name,
				is_known ? json_integer((json_int_t)sums[f]) : json_null());
	}
	json_object_set_new(item, "path_mtu", path_mtu != 0 ? json_integer(path_mtu) : json_null());
}

static json_t *build_services(const struct loop *l, const struct conf_pool *p, bool is_panic_only)
{
	const struct conf *c = loop_desired(l)->conf;
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_services; i++) {
		if (c->services[i].pool == p && (!is_panic_only || loop_panic_since_ms(l, i) != 0))
			json_array_append_new(list, json_string(c->services[i].name));
	}
	return list;
}

static json_t *build_item(
	const struct loop *l, size_t pool, size_t backend, const struct fetch_result *result)
{
	const struct conf *c = loop_desired(l)->conf;
	const struct conf_pool *p = &c->pools[pool];
	const struct conf_backend *b = &p->backends[backend];
	const struct observed_backend *o = loop_observed(l, pool, backend);
	const struct passive_backend *t = loop_passive(l, pool, backend);
	const struct weight_result w = loop_effective(l, pool, backend);
	const uint32_t max_conns = conf_backend_max_conns(p, b);
	char server_id[2 * CONF_QUIC_ID_MAX + 1];
	json_t *item = json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:{s:i}, s:o, s:{s:s, s:o, s:o}, s:{s:i, "
		"s:s}}",
		"pool", p->name, "name", b->name, "ip", rowjson_ip(&b->ip), "port",
		b->port != 0 ? json_integer(b->port) : json_null(), "services",
		build_services(l, p, false), "desired", "weight", b->weight, "administrative",
		build_administrative(admin_find(loop_admin(l), p->name, b->name)), "operational",
		"state", o->ejected_ms != 0 ? "ejected" : weight_health_name(o->state), "since",
		rowjson_time(o->since_ms), "reason",
		rowjson_text(o->ejected_ms != 0 ? t->reason : o->reason), "effective", "weight",
		w.weight, "state", mr_backend_state_name(w.state));

	json_object_set_new(item, "panic_services", build_services(l, p, true));
	json_object_set_new(
		item, "max_connections", max_conns != 0 ? json_integer(max_conns) : json_null());
	json_object_set_new(
		item, "quic_server_id", rowjson_text(conf_backend_quic_id(b, server_id)));
	json_object_set_new(item, "ejected_until", rowjson_time(o->ejected_ms));
	put_counters(item, c, p, b, result);
	return item;
}

static void on_rows(void *arg, const struct fetch_result *result)
{
	struct waiting *w = arg;
	const struct loop *l = w->r->loop;
	const struct conf *c = loop_desired(l)->conf;
	json_t *items = json_array();

	for (size_t i = 0; i < c->n_pools; i++) {
		for (size_t k = 0; k < c->pools[i].n_backends; k++) {
			if ((w->which.pool < 0 || w->which.pool == (ssize_t)i)
				&& (w->which.backend < 0 || w->which.backend == (ssize_t)k))
				json_array_append_new(items, build_item(l, i, k, result));
		}
	}
	ctlsrv_answer(w->r, "backend", items, NULL);
	free(w);
}

static void show(struct ctlsrv_request *r, struct selection which)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (w != NULL)
		*w = (struct waiting){r, which};
	if (w == NULL
		|| fetch_rows(loop_fetch(r->loop), MR_REQ_BACKENDS, &mr_empty_msg, NULL,
			   &mr_backend_row_msg, on_rows, w)
			!= 0) {
		free(w);
		method_no_memory(r);
	}
}

/* False: refused. */
static bool select_backend(
	struct ctlsrv_request *r, const char *pool, const char *name, struct selection *out)
{
	out->pool = method_find_pool(r, pool);
	if (out->pool < 0)
		return false;
	out->backend = method_find_backend(r, &loop_desired(r->loop)->conf->pools[out->pool], name);
	return out->backend >= 0;
}

void method_backend_show(struct ctlsrv_request *r)
{
	const char *pool = NULL, *name = NULL;
	struct selection which = {-1, -1};

	if (!method_unpack(r, "{s?s, s?s}", "pool", &pool, "name", &name))
		return;
	if (name != NULL && pool == NULL) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "a backend is named with its pool");
		return;
	}
	if (name != NULL && !select_backend(r, pool, name, &which))
		return;
	if (name == NULL && pool != NULL) {
		which.pool = method_find_pool(r, pool);
		if (which.pool < 0)
			return;
	}
	show(r, which);
}

/* The override of the backend as it is, to be changed and set. */
static struct admin_override current(
	const struct ctlsrv_request *r, const char *pool, const char *name)
{
	const struct admin_override *old = admin_find(loop_admin(r->loop), pool, name);
	struct admin_override o = {.time_ms = 0};

	if (old != NULL)
		o = *old;
	snprintf(o.pool, sizeof(o.pool), "%s", pool);
	snprintf(o.name, sizeof(o.name), "%s", name);
	snprintf(o.author, sizeof(o.author), "%s", r->author);
	o.time_ms = loop_now_ms();
	return o;
}

static void order(struct ctlsrv_request *r, const struct admin_override *o, struct selection which)
{
	const int rc = loop_override(r->loop, o);

	if (rc != 0)
		ctlsrv_refuse(r, "internal", "make room on the disk and try again", NULL,
			"the order could not be saved, so it was not carried out: %s",
			strerror(-rc));
	else
		show(r, which);
}

void method_backend_drain(struct ctlsrv_request *r)
{
	const char *pool, *name;
	json_int_t deadline_ms = 0; /* from now; 0: none */
	struct selection which;
	struct admin_override o;

	if (!method_unpack(
		    r, "{s:s, s:s, s?I}", "pool", &pool, "name", &name, "deadline_ms", &deadline_ms)
		|| !select_backend(r, pool, name, &which))
		return;
	if (deadline_ms < 0 || deadline_ms > DEADLINE_MAX_MS) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "a deadline must be 1 ms to 30 days");
		return;
	}
	o = current(r, pool, name);
	o.is_drained = true;
	o.deadline_ms = deadline_ms != 0 ? o.time_ms + deadline_ms : 0;
	order(r, &o, which);
}

void method_backend_undrain(struct ctlsrv_request *r)
{
	const char *pool, *name;
	struct selection which;
	struct admin_override o;

	if (!method_unpack(r, "{s:s, s:s}", "pool", &pool, "name", &name)
		|| !select_backend(r, pool, name, &which))
		return;
	o = current(r, pool, name);
	o.is_drained = false;
	o.deadline_ms = 0;
	order(r, &o, which);
}

void method_backend_weight(struct ctlsrv_request *r)
{
	const char *pool, *name;
	struct selection which;
	struct admin_override o;
	json_t *weight;

	if (!method_unpack(r, "{s:s, s:s, s:o}", "pool", &pool, "name", &name, "weight", &weight)
		|| !select_backend(r, pool, name, &which))
		return;
	if (!json_is_null(weight)
		&& (!json_is_integer(weight) || json_integer_value(weight) < 0
			|| json_integer_value(weight) > MR_WEIGHT_MAX)) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"a weight must be 0..%d, or null for the one of the file", MR_WEIGHT_MAX);
		return;
	}
	o = current(r, pool, name);
	o.has_weight = json_is_integer(weight);
	o.weight = (uint16_t)json_integer_value(weight);
	order(r, &o, which);
}
