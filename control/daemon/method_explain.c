/* SPDX-License-Identifier: BSD-3-Clause */
/* method_explain — what the dataplane would do with a packet, asked of it and told with the names of pools. */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"
#include "lib/endpoint.h"

#include <errno.h>

/* Numbers that are enumerations, and 0 where nothing is to be told. */
static void put_enums(json_t *item, const struct mr_explain_row *row)
{
	const struct {
		const char *key, *text;
		unsigned v;
	} enums[] = {
		{"verdict", mr_verdict_name(row->verdict), row->verdict},
		{"mode", mr_mode_name(row->mode), row->mode},
		{"scheduler", mr_sched_name(row->scheduler), row->scheduler},
		{"conn_state", mr_conn_state_name(row->conn_state), row->conn_state},
		{"backend_state", mr_backend_state_name(row->backend_state), row->backend_state},
		{"neigh_state", mr_neigh_state_name(row->neigh_state), row->neigh_state},
		{"answer_neigh_state", mr_neigh_state_name(row->answer_neigh_state),
			row->answer_neigh_state},
	};

	for (size_t i = 0; i < sizeof(enums) / sizeof(enums[0]); i++)
		json_object_set_new(item, enums[i].key,
			enums[i].v != 0 ? json_string(enums[i].text) : json_null());
	if (row->backend[0] != '\0' && row->backend_state == 0)
		json_object_set_new(item, "backend_state", json_string("absent"));
}

/* What is there only in some cases is null in the others, never 0. */
static void put_nulls(json_t *item, const struct mr_explain_row *row, bool is_tcp)
{
	const bool is_balanced = row->service[0] != '\0' && row->mode != MR_MODE_CACHE;
	const bool has_conns = is_balanced || (row->service[0] != '\0' && is_tcp);
	const struct {
		const char *key;
		bool is_told;
	} keys[] = {
		{"worker", row->n_workers != 0},
		{"n_workers", row->n_workers != 0},
		{"rss_hash", row->n_workers != 0},
		{"age_ms", row->has_entry},
		{"idle_ms", row->has_entry},
		{"expires_ms", row->has_entry && row->expires_ms != MR_CONN_EXPIRES_NEVER},
		{"packets", row->has_entry && is_balanced},
		{"service_conns", has_conns},
		{"service_conns_max", has_conns && row->service_conns_max != MR_EXPLAIN_NO_LIMIT},
		{"flows_left", has_conns && row->flows_left != MR_EXPLAIN_NO_LIMIT},
		{"source_left", has_conns && row->source_left != MR_EXPLAIN_NO_LIMIT},
		{"syns_left", is_balanced && row->syns_left != MR_EXPLAIN_NO_LIMIT},
		{"packets_left", is_balanced && row->packets_left != MR_EXPLAIN_NO_LIMIT},
		{"flow_hash", is_balanced},
		{"backend_port", row->backend[0] != '\0'},
		{"backend_weight", row->backend[0] != '\0'},
		{"backend_conns", row->backend[0] != '\0'},
		{"backend_conns_max",
			row->backend[0] != '\0' && row->backend_conns_max != MR_EXPLAIN_NO_LIMIT},
		{"snat_port", row->snat_port != 0},
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (!keys[i].is_told)
			json_object_set_new(item, keys[i].key, json_null());
	}
}

static void put_backend(const struct ctlsrv_request *r, json_t *item, const char *key,
	const char *service, const char *name)
{
	char text[2 * MR_NAME_MAX];

	if (name[0] != '\0')
		json_object_set_new(item, key,
			json_string(method_conn_backend_text(r->loop, service, name, text)));
}

/* The cache that the service is served from, as configured. */
static void put_cache(
	const struct ctlsrv_request *r, json_t *item, const struct mr_explain_row *row)
{
	const struct conf_service *s = conf_find_service(loop_desired(r->loop)->conf, row->service);

	json_object_set_new(item, "cache",
		s != NULL && s->cache != NULL ? json_string(s->cache->name) : json_null());
}

static void put_hash(json_t *item, const char *key, uint64_t v, int digits)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%0*llx", digits, (unsigned long long)v);
	if (!json_is_null(json_object_get(item, key)))
		json_object_set_new(item, key, json_string(text));
}

static json_t *build_item(const struct ctlsrv_request *r, const struct mr_explain_row *row)
{
	const char *proto = json_string_value(json_object_get(r->params, "proto"));
	json_t *item = rowjson_build(&mr_explain_row_msg, row);

	put_enums(item, row);
	put_nulls(item, row, mr_proto_find(proto) == MR_PROTO_TCP);
	put_backend(r, item, "conn_backend", row->service, row->conn_backend);
	put_backend(r, item, "scheduled", row->service, row->scheduled);
	put_backend(r, item, "backend", row->service, row->backend);
	put_cache(r, item, row);
	put_hash(item, "rss_hash", row->rss_hash, 8);
	put_hash(item, "flow_hash", row->flow_hash, 16);
	json_object_set_new(item, "has_entry", json_boolean(row->has_entry));
	json_object_set_new(item, "is_new", json_boolean(row->is_new));
	json_object_set_new(item, "is_stateless", json_boolean(row->is_stateless));
	json_object_set_new(item, "may_be_cookie", json_boolean(row->may_be_cookie));
	return item;
}

static void on_row(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;

	if (result->status == -EREMOTEIO)
		ctlsrv_refuse(
			r, "invalid", NULL, NULL, "the dataplane refuses: %s", result->message);
	else if (result->status != 0 || result->n_rows == 0)
		method_unreachable(r, result->status != 0 ? result->message : "no answer");
	else
		ctlsrv_answer(r, "explain", json_pack("[o]", build_item(r, result->rows)), NULL);
}

/* False: refused. */
static bool read_endpoint(struct ctlsrv_request *r, const char *key, const char *text,
	struct mr_ip *ip, uint16_t *port)
{
	char why[ENDPOINT_WHY_MAX];

	if (endpoint_parse(ip, port, text, why) == 0)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "%s: %s", key, why);
	return false;
}

void method_explain_flow(struct ctlsrv_request *r)
{
	const char *proto, *client, *vip;
	struct mr_explain ask;
	int is_segment = 0;

	memset(&ask, 0, sizeof(ask));
	if (!method_unpack(r, "{s:s, s:s, s:s, s?b}", "proto", &proto, "client", &client, "vip",
		    &vip, "segment", &is_segment))
		return;
	if (mr_proto_find(proto) < 0) {
		ctlsrv_refuse(r, "usage", "protocols: tcp, udp", NULL,
			"there is no protocol '%.64s'", proto);
		return;
	}
	if (is_segment && mr_proto_find(proto) != MR_PROTO_TCP) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"segment is for tcp: a datagram is the same in a flow and before it");
		return;
	}
	ask.proto = (uint8_t)mr_proto_find(proto);
	ask.segment = is_segment != 0;
	if (!read_endpoint(r, "client", client, &ask.client, &ask.client_port)
		|| !read_endpoint(r, "vip", vip, &ask.vip, &ask.vip_port))
		return;
	if (ask.client.family != ask.vip.family) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"client and VIP are of different families: %s and %s", client, vip);
		return;
	}
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_EXPLAIN, &mr_explain_msg, &ask,
		    &mr_explain_row_msg, on_row, r)
		!= 0)
		method_no_memory(r);
}
