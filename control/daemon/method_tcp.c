/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_tcp — tcp.show: the services of caches over TCP, and what the TCP of the dataplane uses and counts. Two questions, one after
 * the other: the second one's answer completes the result of the first.
 */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"

#include <stdlib.h>

struct question {
	struct ctlsrv_request *r;
	json_t *items; /* of services */
};

static void forget(struct question *q)
{
	json_decref(q->items);
	free(q);
}

static bool is_over_tcp(const struct conf_service *s)
{
	return s->cache != NULL && s->proto == MR_PROTO_TCP;
}

static const struct mr_service_row *find_row(const struct fetch_result *result, const char *name)
{
	const struct mr_service_row *rows = result->rows;

	for (size_t i = 0; i < result->n_rows; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

/* The counters are null while the dataplane has no such service yet. */
static json_t *build_service(const struct conf_service *s, const struct mr_service_row *row)
{
	static const struct mr_service_row none;
	json_t *item = json_pack("{s:s, s:o, s:i, s:s, s:o, s:o}", "name", s->name, "vip",
		rowjson_ip(&s->vip), "port", s->port, "cache", s->cache->name, "max_connections",
		s->max_conns != 0 ? json_integer(s->max_conns) : json_null(), "idle_timeout_ms",
		s->established_timeout_ms != 0 ? json_integer(s->established_timeout_ms)
					       : json_null());
	json_t *fields = rowjson_build(&mr_service_row_msg, row != NULL ? row : &none), *value;
	const char *key;

	json_object_del(fields, "path_mtu");
	json_object_foreach(fields, key, value) {
		if (json_object_get(item, key) == NULL)
			json_object_set_new(
				item, key, row != NULL ? json_incref(value) : json_null());
	}
	json_decref(fields);
	return item;
}

static void on_tcp(void *arg, const struct fetch_result *result)
{
	const struct mr_tcp_row *rows = result->rows;
	json_t *usage, *counters;
	struct question *q = arg;

	if (!method_is_answered(q->r, result)) {
		forget(q);
		return;
	}
	usage = json_array();
	counters = json_array();
	for (size_t i = 0; i < result->n_rows; i++) {
		json_t *item = rowjson_build(&mr_tcp_row_msg, &rows[i]);

		json_object_del(item, "group");
		if (rows[i].group == MR_TCP_USAGE) {
			json_array_append_new(usage, item);
			continue;
		}
		json_object_del(item, "max");
		json_object_set_new(
			item, "of", json_string(rows[i].group == MR_TCP_STACK ? "tcp" : "cache"));
		json_array_append_new(counters, item);
	}
	ctlsrv_answer(q->r, "tcp", json_incref(q->items),
		json_pack("{s:o, s:o}", "usage", usage, "counters", counters));
	forget(q);
}

static void on_services(void *arg, const struct fetch_result *result)
{
	struct question *q = arg;
	struct ctlsrv_request *r = q->r;
	const struct conf *c = loop_desired(r->loop)->conf;
	const char *name = json_string_value(json_object_get(r->params, "name"));

	if (!method_is_answered(r, result)) {
		forget(q);
		return;
	}
	for (size_t i = 0; i < c->n_services; i++) {
		const struct conf_service *s = &c->services[i];

		if (is_over_tcp(s) && (name == NULL || strcmp(name, s->name) == 0))
			json_array_append_new(
				q->items, build_service(s, find_row(result, s->name)));
	}
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_TCP, &mr_empty_msg, NULL, &mr_tcp_row_msg,
		    on_tcp, q)
		!= 0) {
		forget(q);
		method_no_memory(r);
	}
}

/* False: refused. */
static bool check_service(struct ctlsrv_request *r, const char *name)
{
	const ssize_t i = method_find_service(r, name);

	if (i < 0)
		return false;
	if (is_over_tcp(&loop_desired(r->loop)->conf->services[i]))
		return true;
	ctlsrv_refuse(r, "invalid", "`millrace tcp show` lists those that are", NULL,
		"service '%.64s' is no cache over tcp", name);
	return false;
}

void method_tcp_show(struct ctlsrv_request *r)
{
	const char *name = NULL;
	struct question *q;

	if (!method_unpack(r, "{s?s}", "name", &name) || (name != NULL && !check_service(r, name)))
		return;
	q = calloc(1, sizeof(*q));
	if (q == NULL) {
		method_no_memory(r);
		return;
	}
	q->r = r;
	q->items = json_array();
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_SERVICES, &mr_empty_msg, NULL,
		    &mr_service_row_msg, on_services, q)
		!= 0) {
		forget(q);
		method_no_memory(r);
	}
}
