/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * method_cache — the methods cache.*. A cache is one of the applied configuration; what is in it, and
 * its counters, the dataplane says. Keys and values are any bytes: as parameters and in results they are text with escapes (lib/text.h).
 */
#include "daemon/fetch.h"
#include "daemon/logline.h"
#include "daemon/method.h"
#include "daemon/rowjson.h"
#include "lib/text.h"
#include "millrace/api_cache.h"

#include <inttypes.h>

/* --- cache.show, cache.stats */

static const struct mr_cache_row *find_row(const struct fetch_result *result, const char *name)
{
	const struct mr_cache_row *rows = result->rows;

	for (size_t i = 0; i < result->n_rows; i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

static json_t *positive(uint64_t v)
{
	return v != 0 ? json_integer((json_int_t)v) : json_null();
}

static json_t *services_of(const struct conf *c, const struct conf_cache *k)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_services; i++) {
		if (c->services[i].cache == k)
			json_array_append_new(list, json_string(c->services[i].name));
	}
	return list;
}

/* What is configured, defaults filled in; what is not done is null. */
static json_t *build_configured(const struct conf *c, const struct conf_cache *k)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "name", k->name,
		"eviction", mr_eviction_name(k->eviction), "memory_bytes",
		(json_int_t)k->memory_bytes, "value_max_bytes",
		(json_int_t)(k->value_max != 0 ? k->value_max : MR_CACHE_VALUE_MAX),
		"expected_item_bytes",
		(json_int_t)(k->item_bytes != 0 ? k->item_bytes : MR_CACHE_ITEM_BYTES), "lease_ms",
		positive(k->lease_ms), "early_refresh",
		k->early_pct != 0 ? json_real(k->early_pct / 100.0) : json_null(), "serve_stale_s",
		positive(k->stale_s), "services", services_of(c, k));
}

/* The rest of the row, null where there is none. */
static json_t *build_cache(
	const struct conf *c, const struct conf_cache *k, const struct mr_cache_row *row)
{
	json_t *item = build_configured(c, k), *fields, *value;
	const struct mr_cache_row none = {.name = ""};
	const char *key;

	fields = rowjson_build(&mr_cache_row_msg, row != NULL ? row : &none);
	json_object_foreach(fields, key, value) {
		if (json_object_get(item, key) == NULL)
			json_object_set_new(
				item, key, row != NULL ? json_incref(value) : json_null());
	}
	json_decref(fields);
	return item;
}

static void on_caches(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct conf *c = loop_desired(r->loop)->conf;
	const char *name = json_string_value(json_object_get(r->params, "name"));
	json_t *items = json_array();

	for (size_t i = 0; i < c->n_caches; i++) {
		if (name == NULL || strcmp(name, c->caches[i].name) == 0)
			json_array_append_new(items,
				build_cache(c, &c->caches[i], find_row(result, c->caches[i].name)));
	}
	ctlsrv_answer(r, "cache", items, NULL);
}

void method_cache_show(struct ctlsrv_request *r)
{
	const char *name = NULL;

	if (!method_unpack(r, "{s?s}", "name", &name)
		|| (name != NULL && method_find_cache(r, name) < 0))
		return;
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CACHES, &mr_empty_msg, NULL, &mr_cache_row_msg,
		    on_caches, r)
		!= 0)
		method_no_memory(r);
}

static void on_stats(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const char *name = json_string_value(json_object_get(r->params, "name"));
	const struct mr_cache_row *row;

	if (!method_is_answered(r, result))
		return;
	row = find_row(result, name);
	if (row == NULL)
		ctlsrv_refuse(r, "not_found", "`millrace status` tells what it waits for", NULL,
			"the dataplane has no cache '%.64s' yet", name);
	else
		ctlsrv_answer(r, "cache.stats",
			json_pack("[o]", rowjson_build(&mr_cache_row_msg, row)), NULL);
}

void method_cache_stats(struct ctlsrv_request *r)
{
	const char *name;

	if (!method_unpack(r, "{s:s}", "name", &name) || method_find_cache(r, name) < 0)
		return;
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CACHES, &mr_empty_msg, NULL, &mr_cache_row_msg,
		    on_stats, r)
		!= 0)
		method_no_memory(r);
}

/* --- cache.get */

/* False: refused. */
static bool read_key(
	struct ctlsrv_request *r, const char *what, const char *text, struct mr_data *out)
{
	size_t n;
	int byte;

	out->n = 0;
	for (const char *s = text; *s != '\0'; s += n) {
		n = 1;
		byte = *s == '\\' ? text_unescape(s, &n) : (unsigned char)*s;
		if (byte < 0 || out->n == MR_CACHE_KEY_MAX) {
			ctlsrv_refuse(r, "usage", NULL, NULL,
				byte < 0
					? "%s: there is a '\\' that begins no escape; there are \\r "
					  "\\n \\t \\\\ and \\xNN"
					: "%s must have 1..250 bytes",
				what);
			return false;
		}
		out->bytes[out->n++] = (uint8_t)byte;
	}
	if (out->n > 0)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "%s must have 1..250 bytes", what);
	return false;
}

static json_t *text_of(const struct mr_data *d)
{
	char text[TEXT_ESCAPED_MAX(MR_DATA_MAX)];

	return json_string(text_escape(text, sizeof(text), d->bytes, d->n));
}

static json_t *ttl_of(uint32_t ttl_s)
{
	return ttl_s != MR_CACHE_TTL_NEVER ? json_integer(ttl_s) : json_null();
}

static json_t *build_value(const struct ctlsrv_request *r, const struct mr_cache_value_row *row)
{
	json_t *item = json_object();
	char cas[24];

	snprintf(cas, sizeof(cas), "%" PRIu64, row->cas);
	json_object_set(item, "name", json_object_get(r->params, "name"));
	json_object_set(item, "key", json_object_get(r->params, "key"));
	json_object_set_new(item, "value_bytes", json_integer(row->value_bytes));
	json_object_set_new(item, "flags", json_integer(row->flags));
	json_object_set_new(item, "cas", json_string(cas));
	json_object_set_new(item, "ttl_s", ttl_of(row->ttl_s));
	json_object_set_new(item, "is_stale", json_boolean(row->is_stale));
	json_object_set_new(item, "is_won", json_boolean(row->is_won));
	json_object_set_new(item, "value", text_of(&row->value));
	json_object_set_new(item, "shown_bytes", json_integer(row->value.n));
	return item;
}

static void on_value(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;

	if (!method_is_answered(r, result))
		return;
	if (result->n_rows == 0)
		ctlsrv_refuse(r, "not_found", NULL, NULL, "cache '%.64s' has no key '%.128s'",
			json_string_value(json_object_get(r->params, "name")),
			json_string_value(json_object_get(r->params, "key")));
	else
		ctlsrv_answer(r, "cache.get", json_pack("[o]", build_value(r, result->rows)), NULL);
}

void method_cache_get(struct ctlsrv_request *r)
{
	struct mr_cache_key ask;
	const char *name, *key;

	memset(&ask, 0, sizeof(ask));
	if (!method_unpack(r, "{s:s, s:s}", "name", &name, "key", &key)
		|| method_find_cache(r, name) < 0 || !read_key(r, "key", key, &ask.key))
		return;
	snprintf(ask.name, sizeof(ask.name), "%s", name);
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CACHE_GET, &mr_cache_key_msg, &ask,
		    &mr_cache_value_row_msg, on_value, r)
		!= 0)
		method_no_memory(r);
}

/* --- cache.purge */

static void on_purged(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	json_t *name = json_object_get(r->params, "name");
	json_t *prefix = json_object_get(r->params, "prefix");

	if (!method_is_answered(r, result))
		return;
	if (prefix != NULL)
		logline_write(LOGLINE_NOTICE, "cache", "%s: keys that begin with '%s' purged by %s",
			json_string_value(name), json_string_value(prefix), r->author);
	else
		logline_write(LOGLINE_NOTICE, "cache", "%s: all keys purged by %s",
			json_string_value(name), r->author);
	ctlsrv_answer(
		r, "cache.purge", json_pack("[{s:O, s:O?}]", "name", name, "prefix", prefix), NULL);
}

void method_cache_purge(struct ctlsrv_request *r)
{
	const char *name, *prefix = NULL;
	struct mr_cache_purge ask;
	int is_all = 0;

	memset(&ask, 0, sizeof(ask));
	if (!method_unpack(r, "{s:s, s?s, s?b}", "name", &name, "prefix", &prefix, "all", &is_all)
		|| method_find_cache(r, name) < 0)
		return;
	if ((prefix != NULL) == (is_all != 0)) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			is_all ? "all goes without a prefix"
			       : "say which keys with a prefix, or that it is all of them");
		return;
	}
	if (prefix != NULL && !read_key(r, "prefix", prefix, &ask.prefix))
		return;
	snprintf(ask.name, sizeof(ask.name), "%s", name);
	ask.all = is_all != 0;
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CACHE_PURGE, &mr_cache_purge_msg, &ask,
		    &mr_empty_msg, on_purged, r)
		!= 0)
		method_no_memory(r);
}

/* --- cache.hotkeys, cache.bigkeys, cache.latency */

/* Which cache, and how many of its keys. False: refused. */
static bool read_top(struct ctlsrv_request *r, struct mr_cache_top *ask)
{
	json_int_t limit = MR_CACHE_TOP;
	const char *name;

	memset(ask, 0, sizeof(*ask));
	if (!method_unpack(r, "{s:s, s?I}", "name", &name, "limit", &limit)
		|| method_find_cache(r, name) < 0)
		return false;
	if (limit < 1 || limit > MR_CACHE_TOP_MAX) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "limit must be 1..%u", MR_CACHE_TOP_MAX);
		return false;
	}
	snprintf(ask->name, sizeof(ask->name), "%s", name);
	ask->limit = (uint16_t)limit;
	return true;
}

static void on_hot(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct mr_cache_hotkey_row *rows = result->rows;
	json_t *items;

	if (!method_is_answered(r, result))
		return;
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items,
			json_pack("{s:o, s:f, s:f}", "key", text_of(&rows[i].key), "per_second",
				(double)rows[i].milli_per_second / 1000, "error",
				(double)rows[i].milli_error / 1000));
	ctlsrv_answer(r, "cache.hotkeys", items, NULL);
}

void method_cache_hotkeys(struct ctlsrv_request *r)
{
	struct mr_cache_top ask;

	if (read_top(r, &ask)
		&& fetch_rows(loop_fetch(r->loop), MR_REQ_CACHE_HOTKEYS, &mr_cache_top_msg, &ask,
			   &mr_cache_hotkey_row_msg, on_hot, r)
			!= 0)
		method_no_memory(r);
}

static json_t *build_big(const struct mr_cache_bigkey_row *row)
{
	json_t *item = json_object();

	json_object_set_new(item, "key", text_of(&row->key));
	json_object_set_new(item, "item_bytes", json_integer(row->item_bytes));
	json_object_set_new(item, "value_bytes", json_integer(row->value_bytes));
	json_object_set_new(item, "ttl_s", ttl_of(row->ttl_s));
	return item;
}

static void on_big(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct mr_cache_bigkey_row *rows = result->rows;
	json_t *items;

	if (!method_is_answered(r, result))
		return;
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items, build_big(&rows[i]));
	ctlsrv_answer(r, "cache.bigkeys", items, NULL);
}

void method_cache_bigkeys(struct ctlsrv_request *r)
{
	struct mr_cache_top ask;

	if (read_top(r, &ask)
		&& fetch_rows(loop_fetch(r->loop), MR_REQ_CACHE_BIGKEYS, &mr_cache_top_msg, &ask,
			   &mr_cache_bigkey_row_msg, on_big, r)
			!= 0)
		method_no_memory(r);
}

static void on_latency(void *arg, const struct fetch_result *result)
{
	struct ctlsrv_request *r = arg;
	const struct mr_cache_latency_row *rows = result->rows;
	json_t *items;

	if (!method_is_answered(r, result))
		return;
	items = json_array();
	for (size_t i = 0; i < result->n_rows; i++)
		json_array_append_new(items, rowjson_build(&mr_cache_latency_row_msg, &rows[i]));
	ctlsrv_answer(r, "cache.latency", items, NULL);
}

void method_cache_latency(struct ctlsrv_request *r)
{
	struct mr_cache_name ask;
	const char *name;

	memset(&ask, 0, sizeof(ask));
	if (!method_unpack(r, "{s:s}", "name", &name) || method_find_cache(r, name) < 0)
		return;
	snprintf(ask.name, sizeof(ask.name), "%s", name);
	if (fetch_rows(loop_fetch(r->loop), MR_REQ_CACHE_LATENCY, &mr_cache_name_msg, &ask,
		    &mr_cache_latency_row_msg, on_latency, r)
		!= 0)
		method_no_memory(r);
}
