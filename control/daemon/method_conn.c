/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_conn — conn.show, conn.count and conn.kill. What a filter means can take several questions to the
 * dataplane (connfilter.h); they are asked one after the other, and what a method does with the rows
 * is in its struct ops.
 */
#include "daemon/connfilter.h"
#include "daemon/fetch.h"
#include "daemon/logline.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"
#include "lib/prefix.h"

#include <errno.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 1000
#define TOP_CLIENTS_DEFAULT 20
#define LIMIT_MAX \
	20000 /* one less than rows of a CONNS reply: the last tells that there are more */

struct question;

struct ops {
	enum mr_request request;
	const struct mr_msg *row_msg;
	bool (*on_rows)(struct question *q, const void *rows, size_t n_rows); /* false: no memory */
	void (*finish)(struct question *q);                                   /* answers */
	void (*on_failure)(struct question *q); /* before it is refused; NULL: nothing to do */
};

struct count {
	char key[2 * MR_NAME_MAX];
	uint64_t n;
};

struct question {
	const struct ops *ops;
	struct ctlsrv_request *r;
	struct connfilter which;
	size_t at;      /* services asked about */
	uint32_t left;  /* rows still wanted: show; count: in all */
	bool has_more;  /* than were wanted */
	json_t *items;  /* show */
	const char *by; /* count; in r */
	struct count *counts;
	size_t n_counts;
	uint64_t n_killed;
};

static void forget(struct question *q)
{
	connfilter_fini(&q->which);
	json_decref(q->items);
	free(q->counts);
	free(q);
}

const char *method_conn_backend_text(
	const struct loop *l, const char *service, const char *name, char buf[2 * MR_NAME_MAX])
{
	const struct conf_service *s = conf_find_service(loop_desired(l)->conf, service);

	if (s != NULL && s->pool != NULL)
		snprintf(buf, 2 * MR_NAME_MAX, "%s/%s", s->pool->name, name);
	else
		snprintf(buf, 2 * MR_NAME_MAX, "%s", name);
	return buf;
}

static void on_answer(void *arg, const struct fetch_result *result);

static void ask_next(struct question *q)
{
	struct ctlsrv_request *r = q->r;

	if (q->at == q->which.n_services || q->has_more) {
		q->ops->finish(q);
		forget(q);
		return;
	}
	memcpy(q->which.filter.service, q->which.services[q->at++], MR_NAME_MAX);
	/* a row too many tells that there are more; counts by names are only summed up here */
	q->which.filter.limit = q->which.filter.count_only == 1 ? 0 : q->left + 1;
	if (fetch_rows(loop_fetch(r->loop), q->ops->request, &mr_conn_filter_msg, &q->which.filter,
		    q->ops->row_msg, on_answer, q)
		!= 0) {
		forget(q);
		method_no_memory(r);
	}
}

static void on_answer(void *arg, const struct fetch_result *result)
{
	struct question *q = arg;

	if (result->status == 0) {
		if (q->ops->on_rows(q, result->rows, result->n_rows)) {
			ask_next(q);
		} else {
			method_no_memory(q->r);
			forget(q);
		}
		return;
	}
	if (q->ops->on_failure != NULL)
		q->ops->on_failure(q);
	if (result->status == -EREMOTEIO)
		ctlsrv_refuse(
			q->r, "invalid", NULL, NULL, "the dataplane refuses: %s", result->message);
	else
		method_unreachable(q->r, result->message);
	forget(q);
}

/* A question with nothing in it but what is wanted; NULL: refused, r is gone. */
static struct question *begin(struct ctlsrv_request *r, const struct ops *ops,
	const struct connfilter_params *p, uint32_t limit)
{
	struct question *q = calloc(1, sizeof(*q));

	if (q == NULL) {
		method_no_memory(r);
		return NULL;
	}
	q->ops = ops;
	q->r = r;
	q->left = limit;
	if (connfilter_read(&q->which, r, p))
		return q;
	free(q);
	return NULL;
}

/* False: refused. */
static bool check_limit(struct ctlsrv_request *r, const char *key, json_int_t limit)
{
	if (limit >= 1 && limit <= LIMIT_MAX)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "%s must be 1..%d", key, LIMIT_MAX);
	return false;
}

/* --- conn.show */

/* What a connection that ends here has not is null. What only such a one has is left out of others: there can be thousands, and an
 * answer has an end. */
static void put_absent(json_t *item, const struct mr_conn_row *row)
{
	static const char *const of_flow[] = {"snat_port", "backend_port", "packets"};
	static const char *const of_served[] = {"tcp_state", "srtt_us", "rto_us", "cwnd_bytes",
		"in_flight_bytes", "queued_bytes", "unread_bytes", "partial_bytes", "retransmits",
		"requests"};
	const bool is_served = row->tcp_state[0] != '\0';

	for (size_t i = 0; is_served && i < sizeof(of_flow) / sizeof(of_flow[0]); i++)
		json_object_set_new(item, of_flow[i], json_null());
	for (size_t i = 0; !is_served && i < sizeof(of_served) / sizeof(of_served[0]); i++)
		json_object_del(item, of_served[i]);
	if (is_served && row->srtt_us == 0)
		json_object_set_new(item, "srtt_us", json_null());
	if (row->expires_ms == MR_CONN_EXPIRES_NEVER)
		json_object_set_new(item, "expires_ms", json_null());
}

static bool on_conns(struct question *q, const void *array, size_t n_rows)
{
	const struct mr_conn_row *rows = array;
	char backend[2 * MR_NAME_MAX];

	for (size_t i = 0; i < n_rows; i++) {
		json_t *item;

		if (q->left == 0) {
			q->has_more = true;
			return true;
		}
		item = rowjson_build(&mr_conn_row_msg, &rows[i]);
		json_object_del(item, "count");
		put_absent(item, &rows[i]);
		if (rows[i].backend[0] != '\0')
			json_object_set_new(item, "backend",
				json_string(method_conn_backend_text(
					q->r->loop, rows[i].service, rows[i].backend, backend)));
		json_array_append_new(q->items, item);
		q->left--;
	}
	return true;
}

static void answer_conns(struct question *q)
{
	ctlsrv_answer(q->r, "conn", json_incref(q->items), json_pack("{s:b}", "more", q->has_more));
}

void method_conn_show(struct ctlsrv_request *r)
{
	static const struct ops ops = {
		.request = MR_REQ_CONNS,
		.row_msg = &mr_conn_row_msg,
		.on_rows = on_conns,
		.finish = answer_conns,
	};
	struct connfilter_params p = CONNFILTER_PARAMS_NONE;
	json_int_t limit = LIMIT_DEFAULT;
	struct question *q;
	int is_tcp = 0;

	if (!method_unpack(r, "{" CONNFILTER_FORMAT ", s?I, s?b}", CONNFILTER_UNPACK(&p), "limit",
		    &limit, "tcp", &is_tcp)
		|| !check_limit(r, "limit", limit))
		return;
	q = begin(r, &ops, &p, (uint32_t)limit);
	if (q == NULL)
		return;
	q->which.filter.served = is_tcp != 0;
	q->items = json_array();
	ask_next(q);
}

/* --- conn.count */

static int by_key(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int by_count(const void *a, const void *b)
{
	const struct count *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void put_key(
	const struct question *q, const struct mr_conn_row *row, char key[2 * MR_NAME_MAX])
{
	const struct mr_conn_filter *f = &q->which.filter;

	if (strcmp(q->by, "backend") == 0 && row->backend[0] == '\0')
		key[0] = '\0'; /* it ends here */
	else if (strcmp(q->by, "backend") == 0)
		method_conn_backend_text(q->r->loop, row->service, row->backend, key);
	else if (strcmp(q->by, "state") == 0)
		snprintf(key, 2 * MR_NAME_MAX, "%s", mr_conn_state_name(row->state));
	else if (strcmp(q->by, "client") == 0)
		prefix_text(key, &row->client, row->client.family == 4 ? f->len4 : f->len6);
	else
		snprintf(key, 2 * MR_NAME_MAX, "%s", row->service);
}

/* Rows of equal keys become one. */
static void merge(struct question *q)
{
	size_t n = 0;

	qsort(q->counts, q->n_counts, sizeof(*q->counts), by_key);
	for (size_t i = 0; i < q->n_counts; i++) {
		if (n > 0 && strcmp(q->counts[n - 1].key, q->counts[i].key) == 0)
			q->counts[n - 1].n += q->counts[i].n;
		else
			q->counts[n++] = q->counts[i];
	}
	q->n_counts = n;
}

static bool on_counts(struct question *q, const void *array, size_t n_rows)
{
	const struct mr_conn_row *rows = array;
	struct count *counts;

	if (n_rows == 0)
		return true;
	counts = reallocarray(q->counts, q->n_counts + n_rows, sizeof(*counts));
	if (counts == NULL)
		return false;
	q->counts = counts;
	for (size_t i = 0; i < n_rows; i++) {
		put_key(q, &rows[i], counts[q->n_counts].key);
		counts[q->n_counts++].n = rows[i].count;
	}
	merge(q);
	return true;
}

static void answer_counts(struct question *q)
{
	json_t *items = json_array();
	const size_t n = q->n_counts < q->left ? q->n_counts : q->left;

	if (q->n_counts > 0)
		qsort(q->counts, q->n_counts, sizeof(*q->counts), by_count);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(items,
			json_pack("{s:o, s:I}", "key", rowjson_text(q->counts[i].key), "count",
				(json_int_t)q->counts[i].n));
	ctlsrv_answer(q->r, "conn.count", items, json_pack("{s:b}", "more", n < q->n_counts));
}

/* Lengths of clients' prefixes and the key. False: refused. */
static bool check_by(
	struct ctlsrv_request *r, const char *by, json_int_t prefix, json_int_t prefix6)
{
	const bool is_client = strcmp(by, "client") == 0;

	if (!is_client && strcmp(by, "service") != 0 && strcmp(by, "backend") != 0
		&& strcmp(by, "state") != 0) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"by must be 'service', 'backend', 'state' or 'client', not '%.64s'", by);
		return false;
	}
	if (!is_client
		&& (json_object_get(r->params, "prefix") != NULL
			|| json_object_get(r->params, "prefix6") != NULL)) {
		ctlsrv_refuse(
			r, "usage", NULL, NULL, "prefix and prefix6 go with by 'client' only");
		return false;
	}
	if (prefix >= 1 && prefix <= 32 && prefix6 >= 1 && prefix6 <= 128)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "prefix must be 1..32 and prefix6 1..128");
	return false;
}

void method_conn_count(struct ctlsrv_request *r)
{
	static const struct ops ops = {
		.request = MR_REQ_CONNS,
		.row_msg = &mr_conn_row_msg,
		.on_rows = on_counts,
		.finish = answer_counts,
	};
	struct connfilter_params p = CONNFILTER_PARAMS_NONE;
	json_int_t prefix = 32, prefix6 = 128, top = -1;
	const char *by = "service";
	struct question *q;
	bool is_client;

	if (!method_unpack(r, "{" CONNFILTER_FORMAT ", s?s, s?I, s?I, s?I}", CONNFILTER_UNPACK(&p),
		    "by", &by, "prefix", &prefix, "prefix6", &prefix6, "top", &top)
		|| !check_by(r, by, prefix, prefix6))
		return;
	is_client = strcmp(by, "client") == 0;
	if (json_object_get(r->params, "top") == NULL)
		top = is_client ? TOP_CLIENTS_DEFAULT : LIMIT_DEFAULT;
	if (!check_limit(r, "top", top))
		return;
	q = begin(r, &ops, &p, (uint32_t)top);
	if (q == NULL)
		return;
	q->by = by;
	q->which.filter.count_only = is_client ? 2 : 1;
	q->which.filter.len4 = (uint8_t)prefix;
	q->which.filter.len6 = (uint8_t)prefix6;
	if (is_client && q->which.n_services > 1) {
		/* the largest of each service are not the largest of all */
		ctlsrv_refuse(r, "usage", "millrace service show", NULL,
			"%zu services use the pool of '%.128s': name one of them with service",
			q->which.n_services, p.backend);
		forget(q);
		return;
	}
	ask_next(q);
}

/* --- conn.kill */

static bool on_killed(struct question *q, const void *array, size_t n_rows)
{
	const struct mr_conn_kill_row *rows = array;

	for (size_t i = 0; i < n_rows; i++)
		q->n_killed += rows[i].killed;
	return true;
}

static void log_killed(struct question *q)
{
	char *filter = json_dumps(q->r->params, JSON_COMPACT | JSON_ENSURE_ASCII);

	logline_write(LOGLINE_NOTICE, "connections", "%llu killed by %s: %s",
		(unsigned long long)q->n_killed, q->r->author, filter != NULL ? filter : "");
	free(filter);
}

static void answer_killed(struct question *q)
{
	log_killed(q);
	ctlsrv_answer(
		q->r, "conn.kill", json_pack("[{s:I}]", "killed", (json_int_t)q->n_killed), NULL);
}

void method_conn_kill(struct ctlsrv_request *r)
{
	static const struct ops ops = {
		.request = MR_REQ_CONN_KILL,
		.row_msg = &mr_conn_kill_row_msg,
		.on_rows = on_killed,
		.finish = answer_killed,
		.on_failure = log_killed,
	};
	struct connfilter_params p = CONNFILTER_PARAMS_NONE;
	struct question *q;
	int is_all = 0;

	if (!method_unpack(
		    r, "{" CONNFILTER_FORMAT ", s?b}", CONNFILTER_UNPACK(&p), "all", &is_all))
		return;
	if (connfilter_is_narrow(&p) == (is_all != 0)) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			is_all ? "all goes without a filter"
			       : "say which connections with a filter, or that it is all of them");
		return;
	}
	q = begin(r, &ops, &p, 0);
	if (q == NULL)
		return;
	q->which.filter.all = is_all != 0;
	ask_next(q);
}
