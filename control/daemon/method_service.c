/* SPDX-License-Identifier: BSD-3-Clause */
/* method_service — service.show: what is configured, how many backends serve, and what flows. */
#include "daemon/fetch.h"
#include "daemon/method.h"
#include "daemon/rates.h"
#include "daemon/rowjson.h"
#include "lib/prefix.h"

static const struct mr_service_row *find_row(const struct fetch_result *result, const char *name)
{
	const struct mr_service_row *rows = result->rows;

	for (size_t i = 0; i < result->n_rows; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

static void put_backends(json_t *item, const struct loop *l, const struct conf_pool *p)
{
	static const char *const keys[] = {
		"backends_total", "backends_up", "backends_drain", "backends_down"};
	struct method_census n = {0};

	for (size_t i = 0; p == NULL && i < sizeof(keys) / sizeof(keys[0]); i++)
		json_object_set_new(item, keys[i], json_null());
	if (p == NULL)
		return;
	method_count_pool(l, (size_t)(p - loop_desired(l)->conf->pools), &n);
	json_object_set_new(item, "backends_total", json_integer((json_int_t)p->n_backends));
	json_object_set_new(item, "backends_up", json_integer(n.n_up));
	json_object_set_new(item, "backends_drain", json_integer(n.n_drained));
	json_object_set_new(item, "backends_down", json_integer(n.n_down));
}

/* The counters of the row, and its path MTU; null where there is none. */
static void put_counters(json_t *item, const struct mr_service_row *row)
{
	for (unsigned i = 0; i < mr_service_row_msg.n_fields; i++) {
		const struct mr_field *f = &mr_service_row_msg.fields[i];
		uint64_t v = 0;

		if (f->kind != MR_U64)
			continue;
		if (row != NULL)
			memcpy(&v, (const uint8_t *)row + f->offset, sizeof(v));
		json_object_set_new(
			item, f->name, row != NULL ? json_integer((json_int_t)v) : json_null());
	}
	json_object_set_new(item, "path_mtu",
		row != NULL && row->path_mtu != 0 ? json_integer(row->path_mtu) : json_null());
}

static void put_rates(json_t *item, const struct rates *rates, const char *name)
{
	struct rates_values v = {0};
	const bool is_known = rates_find(rates, name, &v);
	const struct {
		const char *key;
		double value;
	} fields[] = {
		{"conns_per_second", v.conns},
		{"rx_packets_per_second", v.rx_packets},
		{"rx_bytes_per_second", v.rx_bytes},
		{"tx_packets_per_second", v.tx_packets},
		{"tx_bytes_per_second", v.tx_bytes},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		json_object_set_new(
			item, fields[i].key, is_known ? json_real(fields[i].value) : json_null());
}

/* The lists themselves, which may be long, only where one service is asked for. */
static void put_prefixes(
	json_t *item, const char *list, const struct conf_prefixes *p, bool is_whole)
{
	char key[32], text[PREFIX_TEXT_MAX];
	json_t *prefixes;

	snprintf(key, sizeof(key), "%s_prefixes", list);
	json_object_set_new(item, key, p->n != 0 ? json_integer((json_int_t)p->n) : json_null());
	if (!is_whole)
		return;
	prefixes = json_array();
	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(
			prefixes, json_string(prefix_text(text, &p->items[i].ip, p->items[i].len)));
	json_object_set_new(item, list, prefixes);
}

static void put_limits(json_t *item, const struct conf_service *s)
{
	const struct {
		const char *key;
		uint32_t limit; /* 0: none */
	} limits[] = {
		{"max_connections", s->max_conns},
		{"new_connections_per_second", s->flow_rate},
		{"source_rate", s->source_rate},
		{"source_rate_prefix", s->source_rate_prefix},
		{"insert_rate", s->insert_rate},
		{"syn_cookies", s->syn_cookies},
		{"packets_per_second", s->packet_rate},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		json_object_set_new(item, limits[i].key,
			limits[i].limit != 0 ? json_integer(limits[i].limit) : json_null());
}

static void put_quic(json_t *item, const struct conf_quic *q)
{
	json_object_set_new(item, "quic_server_id_length",
		q->id_len != 0 ? json_integer(q->id_len) : json_null());
	json_object_set_new(item, "quic_server_id_offset",
		q->id_len != 0 ? json_integer(q->id_offset) : json_null());
	json_object_set_new(item, "quic_config_id",
		q->config_id >= 0 ? json_integer(q->config_id) : json_null());
}

static void put_panic(json_t *item, const struct loop *l, const struct conf_service *s)
{
	const int64_t since = loop_panic_since_ms(l, (size_t)(s - loop_desired(l)->conf->services));

	json_object_set_new(item, "panic_threshold_percent",
		s->panic_pct != 0 ? json_integer(s->panic_pct) : json_null());
	json_object_set_new(item, "panic_since", rowjson_time(since));
}

/* What a service has that is served from a cache, and what only others have. */
static void put_kind(json_t *item, const struct conf_service *s)
{
	const struct conf_pool *p = s->pool;
	const uint64_t rate_kb = s->reply_rate_kb != 0 ? s->reply_rate_kb : MR_REPLY_RATE_KB;
	const bool is_cache = s->cache != NULL;

	json_object_set_new(
		item, "scheduler", rowjson_text(is_cache ? "" : mr_sched_name(s->sched)));
	json_object_set_new(
		item, "on_backend_down", rowjson_text(is_cache ? "" : mr_down_name(s->on_down)));
	json_object_set_new(item, "pool", rowjson_text(p != NULL ? p->name : ""));
	json_object_set_new(
		item, "check", rowjson_text(p != NULL && p->check != NULL ? p->check->name : ""));
	json_object_set_new(item, "cache", rowjson_text(is_cache ? s->cache->name : ""));
	json_object_set_new(item, "reply_rate_bytes_per_second",
		is_cache && s->proto == MR_PROTO_UDP ? json_integer((json_int_t)(rate_kb << 10))
						     : json_null());
}

static json_t *build_item(const struct loop *l, const struct conf_service *s,
	const struct mr_service_row *row, bool is_whole)
{
	json_t *item = json_pack("{s:s, s:o, s:i, s:s, s:s}", "name", s->name, "vip",
		rowjson_ip(&s->vip), "port", s->port, "proto", mr_proto_name(s->proto), "mode",
		mr_mode_name(s->mode));

	put_kind(item, s);
	json_object_set_new(item, "gue_port",
		s->mode == MR_MODE_GUE ? json_integer(s->gue_port != 0 ? s->gue_port : MR_GUE_PORT)
				       : json_null());
	put_quic(item, &s->quic);
	json_object_set_new(item, "mss", s->mss != 0 ? json_integer(s->mss) : json_null());
	json_object_set_new(item, "client_address",
		s->client_address != MR_CLIENT_ADDRESS_NONE
			? json_string(mr_client_address_name(s->client_address))
			: json_null());
	json_object_set_new(item, "hash",
		mr_sched_is_hashing(s->sched) ? json_string(mr_hash_name(s->hash)) : json_null());
	json_object_set_new(item, "source_prefix",
		s->source_prefix != 0 ? json_integer(s->source_prefix) : json_null());
	json_object_set_new(item, "load_bound_percent",
		s->load_bound_pct != 0 ? json_integer(s->load_bound_pct) : json_null());
	put_prefixes(item, "allow", &s->allow, is_whole);
	put_prefixes(item, "deny", &s->deny, is_whole);
	put_limits(item, s);
	put_panic(item, l, s);
	put_backends(item, l, s->pool);
	put_counters(item, row);
	put_rates(item, loop_rates(l), s->name);
	return item;
}

static void on_rows(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct conf *c = loop_desired(r->loop)->conf;
	const char *name = json_string_value(json_object_get(r->params, "name"));
	json_t *items = json_array();

	for (size_t i = 0; i < c->n_services; i++) {
		const struct conf_service *s = &c->services[i];

		if (name == NULL || strcmp(name, s->name) == 0)
			json_array_append_new(items,
				build_item(r->loop, s, find_row(result, s->name), name != NULL));
	}
	ctlsrv_answer(r, "service", items, NULL);
}

void method_service_show(struct ctlsrv_request *r)
{
	const char *name = NULL;

	if (!method_unpack(r, "{s?s}", "name", &name)
		|| (name != NULL && method_find_service(r, name) < 0))
		return;
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_SERVICES, &mr_empty_msg, NULL,
		    &mr_service_row_msg, on_rows, r)
		!= 0)
		method_no_memory(r);
}
