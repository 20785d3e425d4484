/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_conn — conn.show and conn.count. The dataplane knows backends by service and name; POOL/NAME
 * therefore becomes one question for each service of the pool, asked one after the other until the
 * limit is reached.
 */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 20000 /* rows of one CONNS reply */

struct question {
	struct ctlsrv_request *r;
	struct mr_conn_filter filter;
	char (*services)[MR_NAME_MAX]; /* to ask about, one after the other; "" is all */
	size_t n_services, at;
	uint32_t left; /* rows still wanted */
	json_t *items;
};

static void forget(struct question *q)
{
	json_decref(q->items);
	free(q->services);
	free(q);
}

/* Writes POOL/NAME, or just the name when the service has left the configuration. */
static const char *backend_text(
	const struct loop *l, const char *service, const char *name, char buf[2 * MR_NAME_MAX])
{
	const struct conf_service *s = conf_find_service(loop_desired(l)->conf, service);

	if (s != NULL)
		snprintf(buf, 2 * MR_NAME_MAX, "%s/%s", s->pool->name, name);
	else
		snprintf(buf, 2 * MR_NAME_MAX, "%s", name);
	return buf;
}

static void on_rows(void *arg, const struct fetch_result *result);

static void ask_next(struct question *q)
{
	struct ctlsrv_request *r = q->r;

	if (q->at == q->n_services || q->left == 0) {
		ctlsrv_answer(r, "conn", json_incref(q->items), NULL);
		forget(q);
		return;
	}
	memcpy(q->filter.service, q->services[q->at++], MR_NAME_MAX);
	q->filter.limit = q->left;
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CONNS, &mr_conn_filter_msg, &q->filter,
		    &mr_conn_row_msg, on_rows, q)
		!= 0) {
		forget(q);
		method_no_memory(r);
	}
}

static void on_rows(void *arg, const struct fetch_result *result)
{
	struct question *q = arg;
	const struct mr_conn_row *rows = result->rows;
	char backend[2 * MR_NAME_MAX];

	if (result->status != 0) {
		method_unreachable(q->r, result->message);
		forget(q);
		return;
	}
	for (size_t i = 0; i < result->n_rows && q->left > 0; i++, q->left--) {
		json_t *item = rowjson_build(&mr_conn_row_msg, &rows[i]);

		json_object_del(item, "count");
		json_object_set_new(item, "backend",
			json_string(backend_text(
				q->r->loop, rows[i].service, rows[i].backend, backend)));
		json_array_append_new(q->items, item);
	}
	ask_next(q);
}

/* Fills q->services with the services of the pool, or the one wanted among them. False: refused. */
static bool select_backend(struct question *q, const char *service, const char *backend)
{
	const struct conf *c = loop_desired(q->r->loop)->conf;
	const char *slash = strchr(backend, '/');
	char pool[MR_NAME_MAX] = "";
	ssize_t i;

	if (slash == NULL || slash - backend >= MR_NAME_MAX) {
		ctlsrv_refuse(q->r, "usage", NULL, NULL,
			"a backend is written POOL/NAME, not '%.128s'", backend);
		return false;
	}
	memcpy(pool, backend, (size_t)(slash - backend));
	i = method_find_pool(q->r, pool);
	if (i < 0 || method_find_backend(q->r, &c->pools[i], slash + 1) < 0)
		return false;
	snprintf(q->filter.backend, sizeof(q->filter.backend), "%s", slash + 1);
	for (size_t k = 0; k < c->n_services; k++) {
		if (c->services[k].pool == &c->pools[i]
			&& (service == NULL || strcmp(service, c->services[k].name) == 0))
			memcpy(q->services[q->n_services++], c->services[k].name, MR_NAME_MAX);
	}
	return true;
}

static bool select_client(struct question *q, const char *client)
{
	if (mr_ip_parse(&q->filter.client, client) == 0)
		return true;
	ctlsrv_refuse(q->r, "usage", NULL, NULL, "a client is an IPv4 or IPv6 address, not '%.64s'",
		client);
	return false;
}

static bool select_state(struct question *q, const char *state)
{
	const int v = mr_conn_state_find(state);

	q->filter.state = (uint8_t)v;
	if (v > 0)
		return true;
	ctlsrv_refuse(q->r, "usage", "states: syn, syn-ack, established, fin, closed, udp", NULL,
		"there is no connection state '%.64s'", state);
	return false;
}

static bool select_limit(struct question *q, json_int_t limit)
{
	q->left = (uint32_t)limit;
	if (limit >= 1 && limit <= LIMIT_MAX)
		return true;
	ctlsrv_refuse(q->r, "usage", NULL, NULL, "limit must be 1..%d", LIMIT_MAX);
	return false;
}

/* Reads the parameters into q. False: refused. */
static bool read_filter(struct question *q)
{
	const char *service = NULL, *backend = NULL, *client = NULL, *state = NULL;
	json_int_t limit = LIMIT_DEFAULT;

	if (!method_unpack(q->r, "{s?s, s?s, s?s, s?s, s?I}", "service", &service, "backend",
		    &backend, "client", &client, "state", &state, "limit", &limit)
		|| !select_limit(q, limit) || (client != NULL && !select_client(q, client))
		|| (state != NULL && !select_state(q, state))
		|| (service != NULL && method_find_service(q->r, service) < 0))
		return false;
	if (backend != NULL)
		return select_backend(q, service, backend);
	if (service != NULL)
		snprintf(q->services[0], MR_NAME_MAX, "%s", service);
	q->n_services = 1;
	return true;
}

void method_conn_show(struct ctlsrv_request *r)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q != NULL) {
		q->r = r;
		q->items = json_array();
		q->services =
			calloc(loop_desired(r->loop)->conf->n_services + 1, sizeof(*q->services));
	}
	if (q == NULL || q->services == NULL) {
		if (q != NULL)
			forget(q);
		method_no_memory(r);
	} else if (read_filter(q)) {
		ask_next(q);
	} else {
		forget(q);
	}
}

struct count {
	char key[2 * MR_NAME_MAX];
	uint64_t n;
};

static int by_count(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return strcmp(x->key, y->key);
}

static const char *count_key(const struct loop *l, const char *by, const struct mr_conn_row *row,
	char buf[2 * MR_NAME_MAX])
{
	if (strcmp(by, "backend") == 0)
		return backend_text(l, row->service, row->backend, buf);
	return strcmp(by, "state") == 0 ? mr_conn_state_name(row->state) : row->service;
}

static void on_counts(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const char *by = json_string_value(json_object_get(r->params, "by"));
	const struct mr_conn_row *rows = result->rows;
	struct count *counts;
	char buf[2 * MR_NAME_MAX];
	size_t n = 0;
	json_t *items;

	if (result->status != 0) {
		method_unreachable(r, result->message);
		return;
	}
	counts = calloc(result->n_rows + 1, sizeof(*counts));
	if (counts == NULL) {
		method_no_memory(r);
		return;
	}
	for (size_t i = 0; i < result->n_rows; i++) {
		const char *key = count_key(r->loop, by != NULL ? by : "service", &rows[i], buf);
		size_t k = 0;

		while (k < n && strcmp(counts[k].key, key) != 0)
			k++;
		if (k == n)
			snprintf(counts[n++].key, sizeof(counts[k].key), "%s", key);
		counts[k].n += rows[i].count;
	}
	qsort(counts, n, sizeof(*counts), by_count);
	items = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(items,
			json_pack("{s:s, s:I}", "key", counts[i].key, "count",
				(json_int_t)counts[i].n));
	free(counts);
	ctlsrv_answer(r, "conn.count", items, NULL);
}

void method_conn_count(struct ctlsrv_request *r)
{
	const struct mr_conn_filter filter = {.count_only = 1};
	const char *by = "service";

	if (!method_unpack(r, "{s?s}", "by", &by))
		return;
	if (strcmp(by, "service") != 0 && strcmp(by, "backend") != 0 && strcmp(by, "state") != 0)
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"by must be 'service', 'backend' or 'state', not '%.64s'", by);
	else if (fetch_rows(loop_fetch(r->loop), MR_REQ_CONNS, &mr_conn_filter_msg, &filter,
			 &mr_conn_row_msg, on_counts, r)
		!= 0)
		method_no_memory(r);
}
