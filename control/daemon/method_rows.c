/* SPDX-License-Identifier: BSD-3-Clause */
/* method_rows — what the dataplane's rows say, passed on as they are: ports, neighbours, workers, drops. */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"

static json_t *build_items(const struct mr_msg *msg, const struct fetch_result *result)
{
	const uint8_t *p = result->rows;
	json_t *items = json_array();

	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items, rowjson_build(msg, p + i * msg->size));
	return items;
}

static void ask(struct ctlsrv_request *r, enum mr_request type, const struct mr_msg *row_msg,
	void (*on_rows)(void *, const struct fetch_result *))
{
	if (fetch_rows(loop_fetch(r->loop), type, &mr_empty_msg, NULL, row_msg, on_rows, r) != 0)
		method_no_memory(r);
}

static void on_ports(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const char *name = json_string_value(json_object_get(r->params, "name"));
	const struct mr_port_row *rows = result->rows;
	json_t *items;

	if (result->status != 0) {
		method_unreachable(r, result->message);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++) {
		if (name == NULL || strcmp(rows[i].name, name) == 0)
			json_array_append_new(items, rowjson_build(&mr_port_row_msg, &rows[i]));
	}
	if (name != NULL && json_array_size(items) == 0) {
		json_decref(items);
		ctlsrv_refuse(r, "not_found", "`millrace port show` lists them", NULL,
			"the dataplane has no port '%.64s'", name);
		return;
	}
	ctlsrv_answer(r, "port", items, NULL);
}

void method_rows_port(struct ctlsrv_request *r)
{
	const char *name;

	if (method_unpack(r, "{s?s}", "name", &name))
		ask(r, MR_REQ_PORTS, &mr_port_row_msg, on_ports);
}

static void on_neighs(void *arg, const struct fetch_result *result)
{
	if (result->status != 0)
		method_unreachable(arg, result->message);
	else
		ctlsrv_answer(arg, "neigh", build_items(&mr_neigh_row_msg, result), NULL);
}

void method_rows_neigh(struct ctlsrv_request *r)
{
	if (method_unpack(r, "{}"))
		ask(r, MR_REQ_NEIGHS, &mr_neigh_row_msg, on_neighs);
}

static void on_workers(void *arg, const struct fetch_result *result)
{
	if (result->status != 0)
		method_unreachable(arg, result->message);
	else
		ctlsrv_answer(arg, "worker", build_items(&mr_worker_row_msg, result), NULL);
}

void method_rows_worker(struct ctlsrv_request *r)
{
	if (method_unpack(r, "{}"))
		ask(r, MR_REQ_WORKERS, &mr_worker_row_msg, on_workers);
}

static void on_counters(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const bool is_all = json_is_true(json_object_get(r->params, "all"));
	const struct mr_counter_row *rows = result->rows;
	json_t *items;

	if (result->status != 0) {
		method_unreachable(r, result->message);
		return;
	}
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++) {
		if (is_all || (rows[i].is_drop && rows[i].value != 0))
			json_array_append_new(items, rowjson_build(&mr_counter_row_msg, &rows[i]));
	}
	ctlsrv_answer(r, "drops", items, NULL);
}

void method_rows_drops(struct ctlsrv_request *r)
{
	int is_all;

	if (method_unpack(r, "{s?b}", "all", &is_all))
		ask(r, MR_REQ_COUNTERS, &mr_counter_row_msg, on_counters);
}
