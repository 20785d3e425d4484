/* SPDX-License-Identifier: BSD-3-Clause */
/* method_status — status: the daemon, the dataplane as it answers just now, and totals. */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"

#include <unistd.h>

static json_t *build_daemon(const struct loop *l)
{
	const struct desired *d = loop_desired(l);
	const struct loop_params *p = loop_params(l);
	char host[MR_NAME_MAX] = "";

	gethostname(host, sizeof(host) - 1);
	return json_pack("{s:i, s:s, s:s, s:f, s:o, s:b, s:I, s:o, s:o, s:b, s:o}", "pid", getpid(),
		"version", MILLRACE_VERSION, "node",
		d->conf->node_name[0] != '\0' ? d->conf->node_name : host, "uptime_seconds",
		(double)(loop_now_ms() - loop_started_ms(l)) / 1000, "config_file",
		rowjson_text(p->config_file != NULL ? p->config_file : ""), "config_differs",
		loop_config_differs(l), "generation", (json_int_t)d->generation, "applied",
		rowjson_time(d->time_ms), "author", rowjson_text(d->author), "pending",
		loop_is_pending(l), "last_error", rowjson_text(loop_last_error(l)));
}

static json_t *build_dataplane(const struct loop *l, const struct mr_status *st)
{
	json_t *o = json_pack("{s:b, s:s, s:b}", "connected", st != NULL, "socket",
		loop_params(l)->dataplane, "in_sync", loop_is_in_sync(l));
	json_t *row;
	const char *key;
	json_t *value;
	char digest[33], instance[17];

	if (st == NULL) {
		static const char *const unknown[] = {"program", "pid", "instance", "generation",
			"digest", "n_workers", "n_ports", "conns", "conns_max", "uptime_seconds",
			"generations_published", "publish_us", "mbufs_max", "mbufs"};

		for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
			json_object_set_new(o, unknown[i], json_null());
		return o;
	}
	row = rowjson_build(&mr_status_msg, st);
	json_object_foreach(row, key, value) {
		if (strcmp(key, "version") != 0 && strcmp(key, "uptime_ms") != 0)
			json_object_set(o, key, value);
	}
	json_decref(row);
	for (size_t i = 0; i < sizeof(st->digest); i++)
		snprintf(digest + 2 * i, 3, "%02x", st->digest[i]);
	snprintf(instance, sizeof(instance), "%016llx", (unsigned long long)st->instance);
	json_object_set_new(o, "digest", json_string(digest));
	json_object_set_new(o, "instance", json_string(instance));
	json_object_set_new(o, "uptime_seconds", json_real((double)st->uptime_ms / 1000));
	return o;
}

static json_t *count_backends(const struct loop *l)
{
	const struct conf *c = loop_desired(l)->conf;
	struct method_census n = {0};

	for (size_t i = 0; i < c->n_pools; i++)
		method_count_pool(l, i, &n);
	return json_pack("{s:I, s:I, s:I, s:I}", "total", n.n_up + n.n_drained + n.n_down, "up",
		n.n_up, "drain", n.n_drained, "down", n.n_down);
}

static void on_status(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct loop *l = r->loop;
	const bool is_known = result->status == 0 && result->n_rows == 1;

	ctlsrv_answer(r, "status",
		json_pack("[{s:o, s:o, s:{s:I}, s:o}]", "daemon", build_daemon(l), "dataplane",
			build_dataplane(l, is_known ? result->rows : NULL), "services", "total",
			(json_int_t)loop_desired(l)->conf->n_services, "backends",
			count_backends(l)),
		NULL);
}

void method_status_show(struct ctlsrv_request *r)
{
	if (method_unpack(r, "{}")
		&& fetch_rows(loop_fetch(r->loop), MR_REQ_STATUS, &mr_empty_msg, NULL,
			   &mr_status_msg, on_status, r)
			!= 0)
		method_no_memory(r);
}
