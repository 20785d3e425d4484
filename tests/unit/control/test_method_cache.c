/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_method_cache — cache.show, cache.stats, cache.get and cache.purge, and service.show and tcp.show of what is served from a cache: what the
 * dataplane is asked, and what becomes of its rows. The whole daemon, with a fake dataplane that answers with given ones.
 */
#include "ctlfix.h"
#include "daemon/ctlsrv.h"
#include "daemon/loop.h"
#include "fakedp.h"
#include "lib/text.h"
#include "unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct event_base *base;
static struct fakedp *dp;
static struct loop *daemon_loop;
static struct ctlsrv *server;
static struct bufferevent *bev;
static char dir[64], path[108], dp_path[108], state_dir[96], config[96];

static const char conf_text[] =
	"version: 1\n"
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n"
	"pools: { web: { backends: [ { name: a, ip: 10.1.0.11, port: 80 } ] } }\n"
	"caches:\n"
	"  hot: { memory: 256MB, lease: 5s, early_refresh: 1.5, serve_stale: 30s }\n"
	"  cold: { memory: 1GB, eviction: lru, value_max: 64KB, item_size: 300 }\n"
	"services:\n"
	"  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, proto: udp, cache: hot, allow: [10.0.0.0/8],\n"
	"    reply_rate: 10MB }\n"
	"  pages: { kind: cache, vip: 10.1.0.101, port: 11211, proto: udp, cache: hot, allow: [10.0.0.0/8] }\n"
	"  talks: { kind: cache, vip: 10.1.0.101, port: 11211, cache: cold, max_connections: 50, source_rate: 5 }\n"
	"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n";

/* The dataplane has only one of the two. */
static const struct mr_cache_row rows[] = {{.name = "hot",
	.eviction = MR_EVICTION_S3FIFO,
	.memory_bytes = 256u << 20,
	.item_bytes = 1000,
	.items = 10,
	.gets = 200,
	.hits = 150,
	.no_memory = 7,
	.expiry_lag_s = 2}};

static bool is_in_sync(void *arg)
{
	return loop_is_in_sync(daemon_loop);
}

static int setup(void **state)
{
	struct loop_params params = {
		.config_file = config, .state_dir = state_dir, .dataplane = dp_path};
	struct ctlsrv_params sp = {.socket = path};
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	(void)state;
	ctlfix_dir(dir);
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	snprintf(dp_path, sizeof(dp_path), "%s/dp.sock", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	snprintf(config, sizeof(config), "%s/conf.yaml", dir);
	ctlfix_write(dir, "conf.yaml", conf_text);
	base = event_base_new();
	dp = fakedp_start(base, dp_path);
	dp->rows[MR_REQ_CACHES] =
		(struct fakedp_rows){.msg = &mr_cache_row_msg, .rows = rows, .n = 1};
	assert_int_equal(loop_create(&daemon_loop, base, &params), 0);
	sp.loop = daemon_loop;
	assert_int_equal(ctlsrv_create(&server, base, &sp), 0);
	ctlfix_run_until(base, is_in_sync, NULL);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memcpy(sun.sun_path, path, sizeof(sun.sun_path));
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bufferevent_free(bev);
	ctlsrv_destroy(&server);
	loop_destroy(&daemon_loop);
	fakedp_stop(&dp);
	ctlfix_run_ready(base);
	event_base_free(base);
	ctlfix_rm(dir);
	return 0;
}

static bool has_line(void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	return evbuffer_search(in, "\n", 1, NULL).pos >= 0;
}

/* The result, or the error; the next call frees it. */
static const json_t *ask(const char *method, const char *params)
{
	static json_t *answer;
	size_t len;
	char *line;

	json_decref(answer);
	evbuffer_add_printf(bufferevent_get_output(bev),
		"{\"id\": 1, \"method\": \"%s\", \"params\": {%s}}\n", method, params);
	ctlfix_run_until(base, has_line, NULL);
	line = evbuffer_readln(bufferevent_get_input(bev), &len, EVBUFFER_EOL_LF);
	answer = json_loadb(line, len, 0, NULL);
	free(line);
	return json_object_get(
		answer, json_object_get(answer, "error") != NULL ? "error" : "result");
}

static const char *text_of(const json_t *v, const char *key)
{
	const char *text = json_string_value(json_object_get(v, key));

	if (text == NULL)
		fail_msg("no %s in %s", key, json_dumps(v, 0));
	return text;
}

/* The only item. */
static const json_t *item_of(const json_t *result)
{
	const json_t *items = json_object_get(result, "items");

	assert_int_equal(json_array_size(items), 1);
	return json_array_get(items, 0);
}

static json_int_t number_of(const json_t *v, const char *key)
{
	if (!json_is_integer(json_object_get(v, key)))
		fail_msg("no number %s in %s", key, json_dumps(v, 0));
	return json_integer_value(json_object_get(v, key));
}

static void assert_null_at(const json_t *v, const char *key)
{
	if (!json_is_null(json_object_get(v, key)))
		fail_msg("%s is not null in %s", key, json_dumps(v, 0));
}

static void caches_are_shown_as_configured_and_used(void **state)
{
	const json_t *result = ask("cache.show", ""), *item;
	const json_t *items = json_object_get(result, "items");

	(void)state;
	assert_string_equal(text_of(result, "schema"), "millrace.cache/1");
	assert_int_equal(json_array_size(items), 2);
	item = json_array_get(items, 0);
	assert_string_equal(text_of(item, "name"), "hot");
	assert_string_equal(text_of(item, "eviction"), "s3fifo");
	assert_int_equal(number_of(item, "memory_bytes"), 256u << 20);
	assert_int_equal(number_of(item, "value_max_bytes"), MR_CACHE_VALUE_MAX);
	assert_int_equal(number_of(item, "expected_item_bytes"), 128);
	assert_int_equal(number_of(item, "lease_ms"), 5000);
	assert_true(json_real_value(json_object_get(item, "early_refresh")) == 1.5);
	assert_int_equal(number_of(item, "serve_stale_s"), 30);
	assert_int_equal(number_of(item, "items"), 10);
	assert_int_equal(number_of(item, "gets"), 200);
	assert_int_equal(number_of(item, "no_memory"), 7);
	assert_int_equal(json_array_size(json_object_get(item, "services")), 2);
	item = json_array_get(items, 1);
	assert_string_equal(text_of(item, "name"), "cold");
	assert_string_equal(text_of(item, "eviction"), "lru");
	assert_int_equal(number_of(item, "value_max_bytes"), 65536);
	assert_int_equal(number_of(item, "expected_item_bytes"), 300);
	assert_null_at(item, "lease_ms");
	assert_null_at(item, "early_refresh");
	assert_null_at(item, "serve_stale_s");
	assert_null_at(item, "items"); /* the dataplane does not know it */
	assert_null_at(item, "gets");
	assert_int_equal(number_of(item, "memory_bytes"), 1u << 30);
	assert_int_equal(json_array_size(json_object_get(item, "services")), 1);
	assert_string_equal(
		text_of(item_of(ask("cache.show", "\"name\": \"cold\"")), "name"), "cold");
	assert_string_equal(
		text_of(ask("cache.show", "\"name\": \"colt\""), "hint"), "did you mean 'cold'?");
}

static void what_is_configured_is_known_without_the_dataplane(void **state)
{
	const json_t *item;

	(void)state;
	dp->rule = (struct fakedp_rule){.type = MR_REQ_CACHES, .act = FAKEDP_CLOSE, .times = 1};
	item = item_of(ask("cache.show", "\"name\": \"hot\""));
	assert_int_equal(number_of(item, "memory_bytes"), 256u << 20);
	assert_null_at(item, "items");
	dp->rule = (struct fakedp_rule){.type = MR_REQ_CACHES, .act = FAKEDP_CLOSE, .times = 1};
	assert_string_equal(
		text_of(ask("cache.stats", "\"name\": \"hot\""), "code"), "unreachable");
}

static void stats_are_the_row(void **state)
{
	const json_t *item = item_of(ask("cache.stats", "\"name\": \"hot\""));

	(void)state;
	assert_int_equal(json_object_size(item), mr_cache_row_msg.n_fields);
	assert_string_equal(text_of(item, "eviction"), "s3fifo");
	assert_int_equal(number_of(item, "hits"), 150);
	assert_int_equal(number_of(item, "expiry_lag_s"), 2);
	assert_string_equal(text_of(ask("cache.stats", "\"name\": \"cold\""), "message"),
		"the dataplane has no cache 'cold' yet");
	assert_string_equal(text_of(ask("cache.stats", ""), "code"), "usage");
}

/* --- keys */

static struct mr_cache_value_row value = {
	.value_bytes = 5000,
	.flags = 77,
	.cas = UINT64_MAX,
	.ttl_s = 60,
	.is_won = 1,
	.value = {.n = 9, .bytes = "a\\b\n\x00\xff\xc3\xa4z"},
};

static void answer_with_the_value(void)
{
	dp->rows[MR_REQ_CACHE_GET] =
		(struct fakedp_rows){.msg = &mr_cache_value_row_msg, .rows = &value, .n = 1};
}

/* The last CACHE_GET. */
static const struct mr_cache_key *asked(void)
{
	static struct mr_cache_key key;
	const struct fakedp_rows *r = &dp->rows[MR_REQ_CACHE_GET];
	const struct mr_field *bad;

	assert_int_equal(mr_msg_decode(&mr_cache_key_msg, &key, r->body, r->body_len, &bad), 0);
	return &key;
}

static void a_value_is_shown_with_escapes(void **state)
{
	const json_t *item;

	(void)state;
	answer_with_the_value();
	item = item_of(ask("cache.get", "\"name\": \"hot\", \"key\": \"user:1\""));
	assert_string_equal(asked()->name, "hot");
	assert_int_equal(asked()->key.n, 6);
	assert_memory_equal(asked()->key.bytes, "user:1", 6);
	assert_string_equal(text_of(item, "value"), "a\\\\b\\n\\x00\\xff\xc3\xa4z");
	assert_int_equal(number_of(item, "value_bytes"), 5000);
	assert_int_equal(number_of(item, "shown_bytes"), 9);
	assert_int_equal(number_of(item, "flags"), 77);
	assert_string_equal(text_of(item, "cas"), "18446744073709551615");
	assert_int_equal(number_of(item, "ttl_s"), 60);
	assert_true(json_is_false(json_object_get(item, "is_stale")));
	assert_true(json_is_true(json_object_get(item, "is_won")));
	value.ttl_s = MR_CACHE_TTL_NEVER;
	assert_null_at(item_of(ask("cache.get", "\"name\": \"hot\", \"key\": \"x\"")), "ttl_s");
}

static void keys_are_any_bytes(void **state)
{
	static const struct {
		const char *text, *bytes;
		size_t n;
	} good[] = {
		{"\\\\x00\\\\xFfz", "\x00\xffz", 3},
		{"\\\\\\\\ \\\\r\\\\n\\\\t", "\\ \r\n\t", 5},
		{"\xc3\xa4", "\xc3\xa4", 2},
	};
	static const char *const bad[] = {"", "\\\\", "\\\\x1", "\\\\q", "a\\\\x"};
	char params[1200];

	(void)state;
	answer_with_the_value();
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(
			params, sizeof(params), "\"name\": \"hot\", \"key\": \"%s\"", good[i].text);
		item_of(ask("cache.get", params));
		assert_int_equal(asked()->key.n, good[i].n);
		assert_memory_equal(asked()->key.bytes, good[i].bytes, good[i].n);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(params, sizeof(params), "\"name\": \"hot\", \"key\": \"%s\"", bad[i]);
		assert_string_equal(text_of(ask("cache.get", params), "code"), "usage");
	}
	for (unsigned n = 250; n <= 251; n++) {
		snprintf(params, sizeof(params), "\"name\": \"hot\", \"key\": \"%0*d\"", (int)n, 0);
		if (n == 250)
			item_of(ask("cache.get", params));
		else
			assert_string_equal(text_of(ask("cache.get", params), "message"),
				"key must have 1..250 bytes");
	}
}

static void what_is_not_there_is_not_found(void **state)
{
	const json_t *e = ask("cache.get", "\"name\": \"hot\", \"key\": \"x\\\\x01\"");

	(void)state;
	assert_string_equal(text_of(e, "code"), "not_found");
	assert_string_equal(text_of(e, "message"), "cache 'hot' has no key 'x\\x01'");
	assert_string_equal(text_of(ask("cache.get", "\"name\": \"hut\", \"key\": \"x\""), "hint"),
		"did you mean 'hot'?");
}

/* What text_escape() writes, text_unescape() reads; and it is UTF-8 that drives no terminal. */
static void escapes_lead_back_to_the_bytes(void **state)
{
	uint8_t bytes[300];
	char text[TEXT_ESCAPED_MAX(sizeof(bytes))];

	(void)state;
	srand(5);
	for (unsigned round = 0; round < 3000; round++) {
		const size_t n_bytes = (size_t)rand() % sizeof(bytes);
		size_t n = 0, len;

		for (size_t i = 0; i < n_bytes; i++)
			bytes[i] = (uint8_t)(round % 3 == 0 ? rand()
							    : "\\x0a\xc3\xa4\x9f"[rand() % 7]);
		text_escape(text, sizeof(text), bytes, n_bytes);
		assert_true(strlen(text) < sizeof(text));
		for (const char *s = text; *s != '\0'; s += len) {
			uint32_t code = 0;
			int byte;

			len = text_utf8_len(s, strlen(s), &code);
			assert_true(len > 0 && code >= 0x20 && (code < 0x7f || code >= 0xa0));
			if (*s == '\\') {
				byte = text_unescape(s, &len);
				assert_true(byte >= 0 && n < n_bytes);
				assert_int_equal(bytes[n++], byte);
				continue;
			}
			assert_true(n + len <= n_bytes);
			assert_memory_equal(bytes + n, s, len);
			n += len;
		}
		assert_int_equal(n, n_bytes);
	}
}

/* --- cache.purge */

static const struct mr_cache_purge *purged(void)
{
	static struct mr_cache_purge p;
	const struct fakedp_rows *r = &dp->rows[MR_REQ_CACHE_PURGE];
	const struct mr_field *bad;

	assert_int_equal(mr_msg_decode(&mr_cache_purge_msg, &p, r->body, r->body_len, &bad), 0);
	return &p;
}

static void a_purge_says_of_what_and_is_attributed(void **state)
{
	const json_t *item;
	const char *log;

	(void)state;
	ctlfix_log_begin();
	item = item_of(ask("cache.purge", "\"name\": \"hot\", \"prefix\": \"user:\\\\x00\""));
	log = ctlfix_log_end();
	assert_string_equal(text_of(item, "prefix"), "user:\\x00");
	assert_non_null(
		strstr(log, "cache: hot: keys that begin with 'user:\\x00' purged by root"));
	assert_string_equal(purged()->name, "hot");
	assert_int_equal(purged()->all, 0);
	assert_int_equal(purged()->prefix.n, 6);
	assert_memory_equal(purged()->prefix.bytes, "user:", 6);
	ctlfix_log_begin();
	item = item_of(ask("cache.purge", "\"name\": \"hot\", \"all\": true"));
	log = ctlfix_log_end();
	assert_null_at(item, "prefix");
	assert_non_null(strstr(log, "cache: hot: all keys purged by root"));
	assert_int_equal(purged()->all, 1);
	assert_int_equal(purged()->prefix.n, 0);
	assert_int_equal(dp->n_requests[MR_REQ_CACHE_PURGE], 2);
}

static void a_purge_of_nothing_said_is_refused(void **state)
{
	static const char *const params[] = {
		"\"name\": \"hot\"",
		"\"name\": \"hot\", \"all\": false",
		"\"name\": \"hot\", \"all\": true, \"prefix\": \"x\"",
		"\"name\": \"hot\", \"prefix\": \"\"",
		"\"all\": true",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		assert_string_equal(text_of(ask("cache.purge", params[i]), "code"), "usage");
	dp->rule = (struct fakedp_rule){.type = MR_REQ_CACHE_PURGE,
		.act = FAKEDP_REFUSE,
		.times = 1,
		.code = MR_ERR_BUSY,
		.message = "again"};
	assert_string_equal(
		text_of(ask("cache.purge", "\"name\": \"hot\", \"all\": true"), "message"),
		"the dataplane refuses: again");
}

/* --- keys that stand out, times */

/* What was asked of that request last. */
static const struct mr_cache_top *asked_top(enum mr_request type)
{
	static struct mr_cache_top t;
	const struct fakedp_rows *r = &dp->rows[type];
	const struct mr_field *bad;

	assert_int_equal(mr_msg_decode(&mr_cache_top_msg, &t, r->body, r->body_len, &bad), 0);
	return &t;
}

static void assert_limits(const char *method, enum mr_request type)
{
	ask(method, "\"name\": \"hot\", \"limit\": 2");
	assert_string_equal(asked_top(type)->name, "hot");
	assert_int_equal(asked_top(type)->limit, 2);
	ask(method, "\"name\": \"hot\"");
	assert_int_equal(asked_top(type)->limit, MR_CACHE_TOP);
	ask(method, "\"name\": \"hot\", \"limit\": 256");
	assert_int_equal(asked_top(type)->limit, MR_CACHE_TOP_MAX);
	assert_string_equal(
		text_of(ask(method, "\"name\": \"hot\", \"limit\": 0"), "code"), "usage");
	assert_string_equal(text_of(ask(method, "\"name\": \"hot\", \"limit\": 257"), "message"),
		"limit must be 1..256");
	assert_string_equal(text_of(ask(method, "\"name\": \"hut\""), "code"), "not_found");
}

static void the_hottest_keys_are_listed(void **state)
{
	static const struct mr_cache_hotkey_row hot[] = {
		{.key = {.n = 3, .bytes = "a\\x"}, .milli_per_second = 12500, .milli_error = 250},
		{.key = {.n = 1, .bytes = "\x01"}, .milli_per_second = 1},
	};
	const json_t *items;

	(void)state;
	dp->rows[MR_REQ_CACHE_HOTKEYS] =
		(struct fakedp_rows){.msg = &mr_cache_hotkey_row_msg, .rows = hot, .n = 2};
	items = json_object_get(ask("cache.hotkeys", "\"name\": \"hot\""), "items");
	assert_int_equal(json_array_size(items), 2);
	assert_string_equal(text_of(json_array_get(items, 0), "key"), "a\\\\x");
	assert_true(
		json_real_value(json_object_get(json_array_get(items, 0), "per_second")) == 12.5);
	assert_true(json_real_value(json_object_get(json_array_get(items, 0), "error")) == 0.25);
	assert_string_equal(text_of(json_array_get(items, 1), "key"), "\\x01");
	assert_true(
		json_real_value(json_object_get(json_array_get(items, 1), "per_second")) == 0.001);
	assert_limits("cache.hotkeys", MR_REQ_CACHE_HOTKEYS);
}

static void the_largest_items_are_listed(void **state)
{
	static const struct mr_cache_bigkey_row big[] = {
		{.key = {.n = 3, .bytes = "a\\x"},
			.item_bytes = 900,
			.value_bytes = 800,
			.ttl_s = 7},
		{.key = {.n = 1, .bytes = "\x01"},
			.item_bytes = 90,
			.value_bytes = 80,
			.ttl_s = MR_CACHE_TTL_NEVER},
	};
	const json_t *items, *item;

	(void)state;
	dp->rows[MR_REQ_CACHE_BIGKEYS] =
		(struct fakedp_rows){.msg = &mr_cache_bigkey_row_msg, .rows = big, .n = 2};
	items = json_object_get(ask("cache.bigkeys", "\"name\": \"hot\""), "items");
	assert_int_equal(json_array_size(items), 2);
	item = json_array_get(items, 0);
	assert_string_equal(text_of(item, "key"), "a\\\\x");
	assert_int_equal(number_of(item, "item_bytes"), 900);
	assert_int_equal(number_of(item, "value_bytes"), 800);
	assert_int_equal(number_of(item, "ttl_s"), 7);
	item = json_array_get(items, 1);
	assert_string_equal(text_of(item, "key"), "\\x01");
	assert_null_at(item, "ttl_s");
	assert_limits("cache.bigkeys", MR_REQ_CACHE_BIGKEYS);
}

static void times_are_told_by_kind(void **state)
{
	static const struct mr_cache_latency_row row = {
		.kind = "get", .sampled = 9, .p50_ns = 50, .p999_ns = 999};
	const json_t *item;

	(void)state;
	dp->rows[MR_REQ_CACHE_LATENCY] =
		(struct fakedp_rows){.msg = &mr_cache_latency_row_msg, .rows = &row, .n = 1};
	item = item_of(ask("cache.latency", "\"name\": \"hot\""));
	assert_string_equal(text_of(item, "kind"), "get");
	assert_int_equal(number_of(item, "sampled"), 9);
	assert_int_equal(number_of(item, "p50_ns"), 50);
	assert_int_equal(number_of(item, "p999_ns"), 999);
	assert_string_equal(
		text_of(ask("cache.latency", "\"name\": \"hut\""), "code"), "not_found");
}

/* --- services */

static void a_service_of_a_cache_has_no_backends(void **state)
{
	static const char *const nulls[] = {"scheduler", "pool", "check", "hash", "on_backend_down",
		"backends_total", "backends_up", "backends_drain", "backends_down", "panic_since"};
	const json_t *item = item_of(ask("service.show", "\"name\": \"sessions\""));

	(void)state;
	assert_string_equal(text_of(item, "mode"), "cache");
	assert_string_equal(text_of(item, "cache"), "hot");
	assert_int_equal(number_of(item, "reply_rate_bytes_per_second"), 10 << 20);
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		assert_null_at(item, nulls[i]);
	item = item_of(ask("service.show", "\"name\": \"pages\""));
	assert_int_equal(number_of(item, "reply_rate_bytes_per_second"), 100000 << 10);
	item = item_of(ask("service.show", "\"name\": \"talks\""));
	assert_string_equal(text_of(item, "proto"), "tcp");
	assert_int_equal(number_of(item, "max_connections"), 50);
	assert_int_equal(number_of(item, "source_rate"), 5);
	assert_null_at(item, "new_connections_per_second");
	assert_null_at(item, "reply_rate_bytes_per_second");
	item = item_of(ask("service.show", "\"name\": \"shop\""));
	assert_string_equal(text_of(item, "pool"), "web");
	assert_null_at(item, "cache");
	assert_null_at(item, "reply_rate_bytes_per_second");
	assert_int_equal(number_of(item, "backends_total"), 1);
	assert_int_equal(json_array_size(json_object_get(ask("service.show", ""), "items")), 4);
	assert_int_equal(
		number_of(json_object_get(item_of(ask("status", "")), "services"), "total"), 4);
	assert_int_equal(
		number_of(json_object_get(item_of(ask("status", "")), "backends"), "total"), 1);
}

/* What only flows have is told of no request to a cache. */
static void a_request_to_a_cache_is_explained_as_one(void **state)
{
	static const struct mr_explain_row row = {.verdict = MR_VERDICT_SERVED,
		.service = "sessions",
		.mode = MR_MODE_CACHE,
		.n_workers = 2};
	static const char *const nulls[] = {"service_conns", "service_conns_max", "flows_left",
		"source_left", "syns_left", "packets_left", "flow_hash", "scheduler", "backend"};
	const json_t *item;

	(void)state;
	dp->rows[MR_REQ_EXPLAIN] =
		(struct fakedp_rows){.msg = &mr_explain_row_msg, .rows = &row, .n = 1};
	item = item_of(ask("explain",
		"\"proto\": \"udp\", \"client\": \"10.1.0.7:4000\", "
		"\"vip\": \"10.1.0.100:11211\""));
	assert_string_equal(text_of(item, "verdict"), "served");
	assert_string_equal(text_of(item, "mode"), "cache");
	assert_string_equal(text_of(item, "cache"), "hot");
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		assert_null_at(item, nulls[i]);
}

/* Over TCP there are connections, and limits of them. */
static void a_segment_to_a_cache_is_explained_by_its_connection(void **state)
{
	static const char ask_text[] = "\"proto\": \"tcp\", \"client\": \"10.1.0.7:4000\", "
				       "\"vip\": \"10.1.0.101:11211\"";
	static const char *const nulls[] = {"service_conns_max", "flows_left", "syns_left",
		"packets_left", "flow_hash", "scheduler", "backend", "conn_backend", "packets",
		"expires_ms"};
	struct mr_explain_row row = {.verdict = MR_VERDICT_SERVED,
		.service = "talks",
		.mode = MR_MODE_CACHE,
		.n_workers = 2,
		.has_entry = 1,
		.conn_state = MR_CONN_ESTABLISHED,
		.age_ms = 9000,
		.idle_ms = 500,
		.expires_ms = MR_CONN_EXPIRES_NEVER,
		.service_conns = 4,
		.service_conns_max = MR_EXPLAIN_NO_LIMIT,
		.flows_left = MR_EXPLAIN_NO_LIMIT,
		.source_left = 3,
		.syns_left = MR_EXPLAIN_NO_LIMIT,
		.packets_left = MR_EXPLAIN_NO_LIMIT};
	const json_t *item;

	(void)state;
	dp->rows[MR_REQ_EXPLAIN] =
		(struct fakedp_rows){.msg = &mr_explain_row_msg, .rows = &row, .n = 1};
	item = item_of(ask("explain", ask_text));
	assert_string_equal(text_of(item, "verdict"), "served");
	assert_string_equal(text_of(item, "cache"), "cold");
	assert_string_equal(text_of(item, "conn_state"), "established");
	assert_int_equal(number_of(item, "age_ms"), 9000);
	assert_int_equal(number_of(item, "service_conns"), 4);
	assert_int_equal(number_of(item, "source_left"), 3);
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		assert_null_at(item, nulls[i]);
	row.expires_ms = 0;
	row.service_conns_max = 4;
	item = item_of(ask("explain", ask_text));
	assert_int_equal(number_of(item, "expires_ms"), 0);
	assert_int_equal(number_of(item, "service_conns_max"), 4);
}

static void tcp_is_told_by_service_resource_and_counter(void **state)
{
	static const struct mr_service_row services[] = {{.name = "shop", .conns = 8},
		{.name = "talks",
			.conns = 5,
			.conns_total = 70,
			.requests = 900,
			.rx_bytes = 1u << 20}};
	static const struct mr_tcp_row numbers[] = {{.name = "connections",
							    .group = MR_TCP_USAGE,
							    .value = 5,
							    .max = 1024,
							    .help = "open"},
		{.name = "segments_in", .group = MR_TCP_STACK, .value = 1234, .help = "taken"},
		{.name = "resets_out", .group = MR_TCP_STACK},
		{.name = "slow_readers", .group = MR_TCP_SERVING, .value = 1}};
	const json_t *result, *item, *list;

	(void)state;
	dp->rows[MR_REQ_SERVICES] =
		(struct fakedp_rows){.msg = &mr_service_row_msg, .rows = services, .n = 2};
	dp->rows[MR_REQ_TCP] =
		(struct fakedp_rows){.msg = &mr_tcp_row_msg, .rows = numbers, .n = 4};
	result = ask("tcp.show", "");
	item = item_of(result);
	assert_string_equal(text_of(item, "name"), "talks");
	assert_string_equal(text_of(item, "cache"), "cold");
	assert_string_equal(text_of(item, "vip"), "10.1.0.101");
	assert_int_equal(number_of(item, "port"), 11211);
	assert_int_equal(number_of(item, "max_connections"), 50);
	assert_null_at(item, "idle_timeout_ms");
	assert_int_equal(number_of(item, "conns"), 5);
	assert_int_equal(number_of(item, "conns_total"), 70);
	assert_int_equal(number_of(item, "requests"), 900);
	assert_int_equal(number_of(item, "rx_bytes"), 1u << 20);
	assert_int_equal(number_of(item, "drops"), 0);
	list = json_object_get(result, "usage");
	assert_int_equal(json_array_size(list), 1);
	item = json_array_get(list, 0);
	assert_string_equal(text_of(item, "name"), "connections");
	assert_int_equal(number_of(item, "value"), 5);
	assert_int_equal(number_of(item, "max"), 1024);
	list = json_object_get(result, "counters");
	assert_int_equal(json_array_size(list), 3);
	item = json_array_get(list, 0);
	assert_string_equal(text_of(item, "name"), "segments_in");
	assert_string_equal(text_of(item, "of"), "tcp");
	assert_string_equal(text_of(item, "help"), "taken");
	assert_int_equal(number_of(item, "value"), 1234);
	assert_int_equal(number_of(json_array_get(list, 1), "value"), 0);
	assert_string_equal(text_of(json_array_get(list, 2), "of"), "cache");
	dp->rows[MR_REQ_SERVICES].n = 1; /* the service is not there yet */
	item = item_of(ask("tcp.show", "\"name\": \"talks\""));
	assert_null_at(item, "conns");
	assert_null_at(item, "acl_drops");
	assert_int_equal(number_of(item, "port"), 11211);
}

static void what_tcp_cannot_be_told_of_is_refused(void **state)
{
	(void)state;
	assert_string_equal(text_of(ask("tcp.show", "\"name\": \"sessions\""), "message"),
		"service 'sessions' is no cache over tcp");
	assert_string_equal(text_of(ask("tcp.show", "\"name\": \"shop\""), "message"),
		"service 'shop' is no cache over tcp");
	assert_string_equal(
		text_of(ask("tcp.show", "\"name\": \"talk\""), "hint"), "did you mean 'talks'?");
	assert_string_equal(text_of(ask("tcp.show", "\"all\": true"), "code"), "usage");
	dp->rule = (struct fakedp_rule){.type = MR_REQ_SERVICES, .act = FAKEDP_CLOSE, .times = 1};
	assert_string_equal(text_of(ask("tcp.show", ""), "code"), "unreachable");
	dp->rule = (struct fakedp_rule){.type = MR_REQ_TCP,
		.act = FAKEDP_REFUSE,
		.times = 1,
		.code = MR_ERR_BUSY,
		.message = "retry"};
	assert_string_equal(
		text_of(ask("tcp.show", ""), "message"), "the dataplane refuses: retry");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(caches_are_shown_as_configured_and_used),
		TEST(what_is_configured_is_known_without_the_dataplane),
		TEST(stats_are_the_row),
		TEST(a_value_is_shown_with_escapes),
		TEST(keys_are_any_bytes),
		TEST(what_is_not_there_is_not_found),
		cmocka_unit_test(escapes_lead_back_to_the_bytes),
		TEST(a_purge_says_of_what_and_is_attributed),
		TEST(a_purge_of_nothing_said_is_refused),
		TEST(the_hottest_keys_are_listed),
		TEST(the_largest_items_are_listed),
		TEST(times_are_told_by_kind),
		TEST(a_service_of_a_cache_has_no_backends),
		TEST(a_request_to_a_cache_is_explained_as_one),
		TEST(a_segment_to_a_cache_is_explained_by_its_connection),
		TEST(tcp_is_told_by_service_resource_and_counter),
		TEST(what_tcp_cannot_be_told_of_is_refused),
	};

	return cmocka_run_group_tests_name("method_cache", tests, NULL, NULL);
}
