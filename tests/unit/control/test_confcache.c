/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_confcache — caches in the configuration, and the services that are served from them: what a good file becomes, and what is
 * said, where, about a bad one.
 */
#include "lib/confdiff.h"
#include "lib/confobj.h"
#include "lib/confreport.h"
#include "lib/text.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD \
	"version: 1\n" \
	"network: { ports: { north: { addresses: [10.1.0.1/24] } }, snat: [10.1.0.9] }\n" \
	"pools: { web: { backends: [{ name: a, ip: 10.1.0.11 }] } }\n" \
	"caches:\n"
#define CACHE "  hot: { memory: 256MB"
#define MIDDLE \
	" }\n" \
	"  cold: { memory: 1GB }\n" \
	"services:\n"
#define SERVICE \
	"  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, proto: udp, cache: hot, allow: [10.1.0.0/24]"
#define TAIL " }\n"

static char *text_of(const char *cache, const char *service)
{
	char *text;

	assert_true(asprintf(&text, "%s%s%s%s%s", HEAD, cache, MIDDLE, service, TAIL) > 0);
	return text;
}

static struct conf *load(const char *cache, const char *service)
{
	char *text = text_of(cache, service);
	struct confreport *r;
	struct conf *c = NULL;

	if (conf_create(&c, &r, text, strlen(text), "x.yaml", CONF_SECRETS_SKIP) != 0)
		fail_msg("%s", r->items[0].text);
	confreport_destroy(&r);
	free(text);
	return c;
}

/* The object of that key; it lives until the next call. */
static const struct mr_object *object_of(const struct conf *c, const char *key)
{
	static struct mr_object *o;
	char text[MR_TEXT_MAX];
	size_t n;

	free(o);
	assert_int_equal(confobj_create(&o, &n, c), 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(mr_object_key_text(&o[i], text, sizeof(text)), key) == 0)
			return &o[i];
	}
	fail_msg("there is no %s", key);
	return NULL;
}

/* As they are sent: structs have holes. */
static void assert_same(const struct mr_msg *msg, const void *a, const void *b)
{
	uint8_t x[1024], y[1024];
	struct mr_writer wx, wy;

	mr_writer_init(&wx, x, sizeof(x));
	mr_writer_init(&wy, y, sizeof(y));
	mr_msg_encode(&wx, msg, a);
	mr_msg_encode(&wy, msg, b);
	assert_false(wx.overflow || wy.overflow);
	assert_int_equal(wx.len, wy.len);
	assert_memory_equal(x, y, wx.len);
}

static void caches_become_objects(void **state)
{
	static const struct {
		const char *keys;
		struct mr_cache o;
	} rows[] = {
		{"", {.memory_bytes = 256u << 20, .eviction = MR_EVICTION_S3FIFO}},
		{", eviction: lru, value_max: 16KB, item_size: 100, lease: 5s, early_refresh: 1.5, "
		 "serve_stale: 30s",
			{.memory_bytes = 256u << 20,
				.eviction = MR_EVICTION_LRU,
				.value_max = 16384,
				.item_bytes = 100,
				.lease_ms = 5000,
				.early_pct = 150,
				.stale_s = 30}},
		{", value_max: 16777215, item_size: 1, lease: 1h, early_refresh: 10, serve_stale: 30d",
			{.memory_bytes = 256u << 20,
				.eviction = MR_EVICTION_S3FIFO,
				.value_max = MR_CACHE_VALUE_LIMIT,
				.item_bytes = 1,
				.lease_ms = MR_CACHE_LEASE_MAX_MS,
				.early_pct = MR_CACHE_EARLY_MAX_PCT,
				.stale_s = MR_CACHE_STALE_MAX_S}},
		{", value_max: 1, early_refresh: 0.07",
			{.memory_bytes = 256u << 20,
				.eviction = MR_EVICTION_S3FIFO,
				.value_max = 1,
				.early_pct = 7}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char cache[256];
		struct mr_cache want = rows[i].o;
		struct conf *c;

		snprintf(cache, sizeof(cache), "%s%s", CACHE, rows[i].keys);
		snprintf(want.name, sizeof(want.name), "hot");
		c = load(cache, SERVICE);
		assert_same(&mr_cache_msg, &object_of(c, "cache/hot")->cache, &want);
		assert_int_equal(c->n_caches, 2);
		conf_destroy(&c);
	}
}

/* Over TCP it has limits of connections, and needs no list of clients. */
static void a_service_of_a_cache_over_tcp_becomes_an_object(void **state)
{
	static const struct {
		const char *keys;
		struct mr_service o;
	} rows[] = {
		{"", {.port = 0}},
		{", proto: tcp", {.port = 0}},
		{", max_connections: 1, new_connections_per_second: 1000000000, source_rate: 3, "
		 "source_rate_prefix: 24, timeouts: { established: 90s }",
			{.max_conns = 1,
				.flow_rate = MR_FLOW_RATE_MAX,
				.source_rate = 3,
				.source_rate_prefix = 24,
				.established_timeout_ms = 90000}},
		{", timeouts: { }", {.port = 0}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mr_service want = rows[i].o;
		char service[512];
		struct conf *c;

		want.vip = (struct mr_ip){4, {10, 1, 0, 100}};
		want.port = 11211;
		want.proto = MR_PROTO_TCP;
		want.mode = MR_MODE_CACHE;
		want.sched = MR_SCHED_RR;
		snprintf(want.name, sizeof(want.name), "s");
		snprintf(want.cache, sizeof(want.cache), "hot");
		snprintf(service, sizeof(service),
			"  s: { kind: cache, vip: 10.1.0.100, port: 11211, cache: hot%s",
			rows[i].keys);
		c = load(CACHE, service);
		assert_same(&mr_service_msg, &object_of(c, "service/s")->service, &want);
		conf_destroy(&c);
	}
}

static void a_service_of_a_cache_becomes_an_object(void **state)
{
	static const struct {
		const char *rate;
		uint32_t kb;
	} rows[] = {{"", 0}, {", reply_rate: 100MB", 102400}, {", reply_rate: 1KB", 1},
		{", reply_rate: 4000000KB", MR_REPLY_RATE_MAX_KB}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mr_service want = {.vip = {4, {10, 1, 0, 100}},
			.port = 11211,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.name = "sessions",
			.cache = "hot",
			.reply_rate = rows[i].kb};
		char service[256];
		struct conf *c;

		snprintf(service, sizeof(service), "%s%s", SERVICE, rows[i].rate);
		c = load(CACHE, service);
		assert_same(&mr_service_msg, &object_of(c, "service/sessions")->service, &want);
		assert_int_equal(
			object_of(c, "acl/sessions/10.1.0.0/24")->acl.action, MR_ACL_ALLOW);
		assert_null(conf_find_service(c, "sessions")->pool);
		assert_ptr_equal(
			conf_find_service(c, "sessions")->cache, conf_find_cache(c, "hot"));
		conf_destroy(&c);
	}
}

struct bad {
	const char *cache, *service;
	const char *place;   /* LINE:COL */
	const char *message; /* all of it; NULL: it is good */
	const char *hint;
};

#define UDP "  s: { vip: 10.1.0.100, port: 1, proto: udp, "
#define TCP "  s: { vip: 10.1.0.100, port: 1, "
#define IS_KIND "kind: cache, cache: hot, allow: [10.0.0.0/8]"
#define NOT_FOR(key) \
	"services.s." key \
	" is not for 'kind: cache', which answers from the cache and forwards nothing"
#define NO_CONNS(key) \
	"services.s." key " is for a cache over tcp: over udp there are no connections"
#define OTHER_TIMEOUT "services.s.timeouts: a cache over tcp has no other than 'established'"

static const struct bad bad_caches[] = {
	{"  hot: { eviction: lru", SERVICE, "5:3", "'memory' is missing in caches.hot", NULL},
	{"  hot: { memory: 256", SERVICE, "5:18",
		"caches.hot.memory must be a size 1MB..16384GB, in bytes or with a unit (KB, MB, GB), "
		"got '256'",
		NULL},
	{"  hot: { memory: 256M", SERVICE, "5:18",
		"caches.hot.memory must be a size 1MB..16384GB, in bytes or with a unit (KB, MB, GB), "
		"got '256M'",
		NULL},
	{"  hot: { memory: 1023KB", SERVICE, "5:18",
		"caches.hot.memory must be a size 1MB..16384GB, in bytes or with a unit (KB, MB, GB), "
		"got '1023KB'",
		NULL},
	{"  hot: { memory: 1MB", SERVICE, "", NULL, NULL},
	{"  hot: { memory: 16384GB", SERVICE, "", NULL, NULL},
	{"  hot: { memory: 16385GB", SERVICE, "5:18",
		"caches.hot.memory must be a size 1MB..16384GB, in bytes or with a unit (KB, MB, GB), "
		"got '16385GB'",
		NULL},
	{CACHE ", eviction: s3fifi", SERVICE, "5:35",
		"caches.hot.eviction must be 'fifo', 'lru', 'lfu', 's3fifo' or 'sieve', got 's3fifi'",
		"did you mean 's3fifo'?"},
	{CACHE ", value_max: 16MB", SERVICE, "5:36",
		"caches.hot.value_max must be a size 1..16777215, in bytes or with a unit (KB, MB, "
		"GB), got '16MB'",
		NULL},
	{CACHE ", value_max: 0", SERVICE, "5:36",
		"caches.hot.value_max must be a size 1..16777215, in bytes or with a unit (KB, MB, "
		"GB), got '0'",
		NULL},
	{CACHE ", item_size: [1]", SERVICE, "5:36",
		"caches.hot.item_size must be a size 1..16777215, in bytes or with a unit (KB, MB, "
		"GB), got a list",
		NULL},
	{CACHE ", lease: 5", SERVICE, "5:32",
		"caches.hot.lease must be a duration 0s..1h with its unit (ms, s, m, h), got '5'",
		NULL},
	{CACHE ", lease: 61m", SERVICE, "5:32",
		"caches.hot.lease must be a duration 0s..1h with its unit (ms, s, m, h), got '61m'",
		NULL},
	{CACHE ", early_refresh: 10.01", SERVICE, "5:40",
		"caches.hot.early_refresh must be 0..10 with at most two decimals, got '10.01'",
		NULL},
	{CACHE ", early_refresh: 1.", SERVICE, "5:40",
		"caches.hot.early_refresh must be 0..10 with at most two decimals, got '1.'", NULL},
	{CACHE ", early_refresh: .5", SERVICE, "5:40",
		"caches.hot.early_refresh must be 0..10 with at most two decimals, got '.5'", NULL},
	{CACHE ", early_refresh: 0.125", SERVICE, "5:40",
		"caches.hot.early_refresh must be 0..10 with at most two decimals, got '0.125'",
		NULL},
	{CACHE ", early_refresh: -1", SERVICE, "5:40",
		"caches.hot.early_refresh must be 0..10 with at most two decimals, got '-1'", NULL},
	{CACHE ", serve_stale: 1500ms", SERVICE, "5:38",
		"caches.hot.serve_stale must be whole seconds, got '1500ms'", NULL},
	{CACHE ", serve_stale: 31d", SERVICE, "5:38",
		"caches.hot.serve_stale must be a duration 0s..720h with its unit (ms, s, m, h), got "
		"'31d'",
		NULL},
	{CACHE ", memroy: 1GB", SERVICE, "5:25", "unknown key 'memroy' in caches.hot",
		"did you mean 'memory'?"},
	{"  hot: 256MB\n  x: { memory: 1MB", SERVICE, "5:8",
		"caches.hot must be a mapping, got text", NULL},
};

static const struct bad bad_services[] = {
	{CACHE, "  s: { vip: 10.1.0.100, port: 1, proto: udp, " IS_KIND, "", NULL, NULL},
	{CACHE, UDP "kind: cahe, cache: hot", "8:52",
		"services.s.kind must be 'balance' or 'cache', got 'cahe'",
		"did you mean 'cache'?"},
	{CACHE, UDP "kind: cache, cache: hut, allow: [10.0.0.0/8]", "8:66",
		"services.s.cache: there is no 'hut' in caches", "did you mean 'hot'?"},
	{CACHE, UDP "kind: cache, cache: [hot], allow: [10.0.0.0/8]", "8:66",
		"services.s.cache must be a name of caches, got a list", NULL},
	{CACHE, UDP "kind: cache, allow: [10.0.0.0/8]", "8:3", "'cache' is missing in services.s",
		NULL},
	{CACHE, UDP "kind: cache, cache: hot", "8:3",
		"services.s serves a cache over udp, where anybody can ask in the name of others and "
		"have long replies sent to them; list its clients, such as 'allow: [10.1.0.0/24]'",
		NULL},
	{CACHE, UDP "kind: cache, cache: hot, deny: [10.0.0.0/8]", "8:3",
		"services.s serves a cache over udp, where anybody can ask in the name of others and "
		"have long replies sent to them; list its clients, such as 'allow: [10.1.0.0/24]'",
		NULL},
	{CACHE, "  s: { vip: \"fd00::1\", port: 1, proto: udp, kind: cache, cache: hot", "8:3",
		"services.s serves a cache over udp, where anybody can ask in the name of others and "
		"have long replies sent to them; list its clients, such as 'allow: [2001:db8::/64]'",
		NULL},
	{CACHE, TCP "proto: sctp, reply_rate: 1MB, max_connections: 5, " IS_KIND, "8:41",
		"services.s.proto must be 'tcp' or 'udp', got 'sctp'", NULL},
	{CACHE, UDP "mode: cache, cache: hot, allow: [10.0.0.0/8]", "8:52",
		"services.s.mode: no mode serves from a cache",
		"use 'kind: cache', without a mode"},
	{CACHE, UDP "mode: cach, pool: web", "8:52",
		"services.s.mode must be 'full-nat', 'dsr-l2', 'ipip', 'gue' or 'dnat', got 'cach'",
		NULL},
	{CACHE, UDP "mode: cache, " IS_KIND, "8:52", NOT_FOR("mode"), NULL},
	{CACHE, UDP IS_KIND ", pool: web", "8:98", NOT_FOR("pool"), NULL},
	{CACHE, UDP IS_KIND ", scheduler: rr", "8:103", NOT_FOR("scheduler"), NULL},
	{CACHE, UDP IS_KIND ", timeouts: { udp: 1s }", "8:102", NO_CONNS("timeouts"), NULL},
	{CACHE, UDP IS_KIND ", syn_cookies: 1", "8:105", NOT_FOR("syn_cookies"), NULL},
	{CACHE, UDP IS_KIND ", gue_port: 6080", "8:102", NOT_FOR("gue_port"), NULL},
	{CACHE, UDP IS_KIND ", mss: 1400", "8:97", NOT_FOR("mss"), NULL},
	{CACHE, UDP IS_KIND ", client_address: none", "8:108", NOT_FOR("client_address"), NULL},
	{CACHE, UDP IS_KIND ", max_connections: 5", "8:109", NO_CONNS("max_connections"), NULL},
	{CACHE, UDP IS_KIND ", new_connections_per_second: 5", "8:120",
		NO_CONNS("new_connections_per_second"), NULL},
	{CACHE, UDP IS_KIND ", source_rate: 5", "8:105", NO_CONNS("source_rate"), NULL},
	{CACHE, UDP IS_KIND ", source_rate_prefix: 24", "8:112", NO_CONNS("source_rate_prefix"),
		NULL},
	{CACHE, TCP "kind: cache, cache: hot", "", NULL, NULL},
	{CACHE, TCP IS_KIND ", deny: [10.1.0.0/24], proto: tcp", "", NULL, NULL},
	{CACHE, TCP IS_KIND ", reply_rate: 1MB", "8:92",
		"services.s.reply_rate is for a cache over udp: over tcp nobody can ask in the name "
		"of others",
		NULL},
	{CACHE, TCP IS_KIND ", max_connections: 0", "8:97",
		"services.s.max_connections must be 1..1000000000, got '0'", NULL},
	{CACHE, TCP IS_KIND ", source_rate_prefix: 24", "8:100",
		"services.s.source_rate_prefix needs a source_rate", NULL},
	{CACHE, TCP IS_KIND ", timeouts: { fin: 1s }", "8:97", OTHER_TIMEOUT, NULL},
	{CACHE, TCP IS_KIND ", timeouts: { established: 1m, udp: 1s }", "8:114", OTHER_TIMEOUT,
		NULL},
	{CACHE, TCP IS_KIND ", timeouts: { established: 99ms }", "8:105",
		"services.s.timeouts.established must be a duration 100ms..24h with its unit (ms, s, "
		"m, h), got '99ms'",
		NULL},
	{CACHE, TCP IS_KIND ", packets_per_second: 5", "8:100", NOT_FOR("packets_per_second"),
		NULL},
	{CACHE, TCP IS_KIND ", syn_cookies: 5", "8:93", NOT_FOR("syn_cookies"), NULL},
	{CACHE, UDP IS_KIND ", insert_rate: 5", "8:105", NOT_FOR("insert_rate"), NULL},
	{CACHE, UDP IS_KIND ", packets_per_second: 5", "8:112", NOT_FOR("packets_per_second"),
		NULL},
	{CACHE, UDP IS_KIND ", hash: flow", "8:98", NOT_FOR("hash"), NULL},
	{CACHE, UDP IS_KIND ", source_prefix: 24", "8:107", NOT_FOR("source_prefix"), NULL},
	{CACHE, UDP IS_KIND ", load_bound: 125%", "8:104", NOT_FOR("load_bound"), NULL},
	{CACHE, UDP IS_KIND ", on_backend_down: keep", "8:109", NOT_FOR("on_backend_down"), NULL},
	{CACHE, UDP IS_KIND ", maglev_size: 65537", "8:105", NOT_FOR("maglev_size"), NULL},
	{CACHE, UDP IS_KIND ", panic_threshold: 0%", "8:109", NOT_FOR("panic_threshold"), NULL},
	{CACHE, UDP IS_KIND ", quic: { server_id_length: 1 }", "8:98", NOT_FOR("quic"), NULL},
	{CACHE, UDP IS_KIND ", reply_rate: 100", "8:104",
		"services.s.reply_rate must be a size 1KB..4000000KB, in bytes or with a unit (KB, "
		"MB, GB), got '100'",
		NULL},
	{CACHE, UDP IS_KIND ", reply_rate: 1025", "8:104",
		"services.s.reply_rate must be whole KB, got '1025'", NULL},
	{CACHE, UDP IS_KIND ", reply_rate: 4GB", "8:104",
		"services.s.reply_rate must be a size 1KB..4000000KB, in bytes or with a unit (KB, "
		"MB, GB), got '4GB'",
		NULL},
	{CACHE, TCP "mode: full-nat, pool: web", "", NULL, NULL},
	{CACHE, TCP "kind: balance, mode: full-nat, pool: web", "", NULL, NULL},
	{CACHE, TCP "mode: full-nat, pool: web, cache: hot", "8:68",
		"services.s.cache is only for 'kind: cache'", NULL},
	{CACHE, TCP "mode: full-nat, pool: web, reply_rate: 1MB", "8:73",
		"services.s.reply_rate is only for 'kind: cache'", NULL},
	{CACHE, TCP "mode: full-nat", "8:3", "'pool' is missing in services.s", NULL},
	{CACHE, TCP "pool: web", "8:3", "'mode' is missing in services.s", NULL},
};

/* How many of the rows are answered in another way than they say. Each has one mistake, told once. */
static unsigned count_wrong(const struct bad *bad, size_t n)
{
	unsigned n_wrong = 0;

	for (size_t i = 0; i < n; i++) {
		const struct bad *b = &bad[i];
		char *text = text_of(b->cache, b->service), where[32];
		struct confreport *r = NULL;
		struct conf *c = NULL;
		const int rc = conf_create(&c, &r, text, strlen(text), "x.yaml", CONF_SECRETS_SKIP);
		const struct confreport_item *item = r->n_errors > 0 ? &r->items[0] : NULL;

		while (item != NULL && item->severity != CONFREPORT_ERROR)
			item++;
		snprintf(where, sizeof(where), "x.yaml:%s:", b->place);
		if (b->message == NULL ? rc != 0
				       : rc != -EINVAL || r->n_errors != 1
					|| strncmp(item->text, where, strlen(where)) != 0
					|| strcmp(item->message, b->message) != 0
					|| strcmp(item->hint != NULL ? item->hint : "",
						   b->hint != NULL ? b->hint : "")
						!= 0) {
			print_error("%s%s: expected %s %s, got %zu errors, %s", b->cache,
				b->service, b->place, b->message != NULL ? b->message : "none",
				r->n_errors, item != NULL ? item->text : "none\n");
			n_wrong++;
		}
		confreport_destroy(&r);
		conf_destroy(&c);
		free(text);
	}
	return n_wrong;
}

static void every_mistake_is_told_once_at_its_place(void **state)
{
	assert_int_equal(count_wrong(bad_caches, sizeof(bad_caches) / sizeof(bad_caches[0])), 0);
	assert_int_equal(
		count_wrong(bad_services, sizeof(bad_services) / sizeof(bad_services[0])), 0);
}

/* A VIP, port and protocol are one service's, whatever its kind. */
static void a_cache_cannot_have_the_vip_of_another_service(void **state)
{
	static const struct bad twice = {CACHE,
		SERVICE
		" }\n  web: { vip: 10.1.0.100, port: 11211, proto: udp, mode: full-nat, pool: web",
		"9:15", "services.web has the VIP, port and protocol of services.sessions (line 8)",
		NULL};

	assert_int_equal(count_wrong(&twice, 1), 0);
}

/* --- diff */

static void assert_rows(const char *cache, const char *service, const char *to_cache,
	const char *to_service, const char *const *want, size_t n)
{
	struct conf *a = load(cache, service), *b = load(to_cache, to_service);
	struct confdiff *d;
	char text[1024];

	assert_int_equal(confdiff_create(&d, a, b), 0);
	for (size_t i = 0; i < d->n_rows && i < n; i++) {
		const struct confdiff_row *r = &d->rows[i];

		snprintf(text, sizeof(text), "%c %s %s %s -> %s: %s", r->op, r->object,
			r->field != NULL ? r->field : "", r->from != NULL ? r->from : "",
			r->to != NULL ? r->to : "", r->effect);
		assert_string_equal(text, want[i]);
	}
	assert_int_equal(d->n_rows, n);
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

static void defaults_written_out_are_no_difference(void **state)
{
	static const char *const pairs[][2] = {
		{CACHE, CACHE ", eviction: s3fifo"},
		{CACHE, CACHE ", value_max: 1048300"},
		{CACHE, CACHE ", item_size: 128"},
		{CACHE, CACHE ", lease: 0s"},
		{CACHE, CACHE ", early_refresh: 0"},
		{CACHE, CACHE ", serve_stale: 0s"},
		{"  hot: { memory: 1GB", "  hot: { memory: 1024MB"},
		{CACHE ", early_refresh: 1", CACHE ", early_refresh: 1.00"},
		{CACHE ", early_refresh: 1.5", CACHE ", early_refresh: 1.50"},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_rows(pairs[i][0], SERVICE, pairs[i][1], SERVICE, NULL, 0);
	assert_rows(CACHE, SERVICE, CACHE, SERVICE ", reply_rate: 100000KB", NULL, 0);
	assert_rows(CACHE, TCP "mode: full-nat, pool: web", CACHE,
		TCP "kind: balance, mode: full-nat, pool: web", NULL, 0);
}

static void changes_are_rows(void **state)
{
	static const char *const of_cache[] = {
		"~ caches.hot memory 256MB -> 1GB: the cache is replaced by an empty one",
		"~ caches.hot eviction s3fifo -> sieve: the cache is replaced by an empty one",
		"~ caches.hot value_max  -> 2MB: the cache is replaced by an empty one",
		"~ caches.hot item_size  -> 100: the cache is replaced by an empty one",
		"~ caches.hot lease  -> 500ms: it counts from the next request on; items stay",
		"~ caches.hot early_refresh  -> 1.05: it counts from the next request on; items stay",
		"~ caches.hot serve_stale  -> 1m: it counts from the next request on; items stay",
	};
	static const char *const of_service[] = {
		"~ services.sessions cache hot -> cold: requests are served from the other cache at "
		"once",
		"~ services.sessions reply_rate  -> 10MB: it counts from the next reply on",
	};
	static const char *const of_tcp[] = {
		"~ services.sessions deny  -> 10.1.0.9: it counts at once: connections of clients that "
		"it keeps out end",
		"~ services.sessions max_connections  -> 10: it counts for new flows; flows stay",
		"~ services.sessions source_rate 3 -> : it counts for new flows; flows stay",
		"~ services.sessions timeouts.established 1m -> 2m: flows age by it from their next "
		"packet on",
	};
	static const char *const removed[] = {
		"- caches.hot  memory 256MB, eviction s3fifo, lease 5s -> : everything in it is "
		"forgotten",
	};

	assert_rows(CACHE, SERVICE,
		"  hot: { memory: 1GB, eviction: sieve, value_max: 2MB, item_size: 100, lease: 500ms, "
		"early_refresh: 1.05, serve_stale: 60s",
		SERVICE, of_cache, sizeof(of_cache) / sizeof(of_cache[0]));
	assert_rows(CACHE, SERVICE, CACHE,
		"  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, proto: udp, cache: cold, "
		"allow: [10.1.0.0/24], reply_rate: 10MB",
		of_service, sizeof(of_service) / sizeof(of_service[0]));
	assert_rows(CACHE,
		"  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, cache: hot, source_rate: 3, "
		"timeouts: { established: 1m }",
		CACHE,
		"  sessions: { kind: cache, vip: 10.1.0.100, port: 11211, cache: hot, "
		"deny: [10.1.0.9], max_connections: 10, timeouts: { established: 2m }",
		of_tcp, sizeof(of_tcp) / sizeof(of_tcp[0]));
	assert_rows(CACHE ", lease: 5s }\n  hit: { memory: 2MB", TCP "mode: full-nat, pool: web",
		"  hit: { memory: 2MB", TCP "mode: full-nat, pool: web", removed, 1);
}

/* Every field that the one kind has and the other has not is a row, and the service has one summary. */
static void a_change_of_kind_is_told(void **state)
{
	struct conf *a = load(CACHE,
		"  sessions: { vip: 10.1.0.100, port: 11211, proto: udp, "
		"allow: [10.1.0.0/24], mode: full-nat, pool: web");
	struct conf *b = load(CACHE, SERVICE);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_true(d->n_rows > 4);
	assert_string_equal(d->rows[0].field, "kind");
	assert_null(d->rows[0].from);
	assert_string_equal(d->rows[0].to, "cache");
	assert_string_equal(d->rows[0].effect, "the service is replaced: its flows end");
	confdiff_destroy(&d);
	assert_int_equal(confdiff_create(&d, NULL, b), 0);
	assert_string_equal(d->rows[d->n_rows - 1].to,
		"vip 10.1.0.100, port 11211, proto udp, kind cache, cache hot, allow 10.1.0.0/24");
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* --- sizes */

static void sizes_are_read_and_written(void **state)
{
	static const struct {
		const char *text;
		int rc;
		uint64_t bytes;
		const char *back;
	} rows[] = {
		{"0", 0, 0, "0"},
		{"100", 0, 100, "100"},
		{"1KB", 0, 1024, "1KB"},
		{"1024KB", 0, 1u << 20, "1MB"},
		{"1025KB", 0, 1025u << 10, "1025KB"},
		{"256MB", 0, 256u << 20, "256MB"},
		{"8GB", 0, 8ull << 30, "8GB"},
		{"8589934591GB", 0, 8589934591ull << 30, "8589934591GB"},
		{"9223372036854775807", 0, INT64_MAX, "9223372036854775807"},
		{"8589934592GB", -ERANGE, 0, NULL},
		{"9223372036854775808", -ERANGE, 0, NULL},
		{"99999999999999999999", -ERANGE, 0, NULL},
		{"00000000000000000000000000000000001", -ERANGE, 0, NULL},
		{"", -EINVAL, 0, NULL},
		{"KB", -EINVAL, 0, NULL},
		{"1 KB", -EINVAL, 0, NULL},
		{"1kB", -EINVAL, 0, NULL},
		{"1B", -EINVAL, 0, NULL},
		{"1.5GB", -EINVAL, 0, NULL},
		{"-1", -EINVAL, 0, NULL},
		{"+1", -EINVAL, 0, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char back[TEXT_BYTES_MAX];
		uint64_t bytes = 7;

		if (text_bytes_parse(rows[i].text, &bytes) != rows[i].rc)
			fail_msg("'%s'", rows[i].text);
		assert_int_equal(bytes, rows[i].rc == 0 ? rows[i].bytes : 7);
		if (rows[i].rc == 0)
			assert_string_equal(text_bytes(back, sizeof(back), bytes), rows[i].back);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caches_become_objects),
		cmocka_unit_test(a_service_of_a_cache_over_tcp_becomes_an_object),
		cmocka_unit_test(a_service_of_a_cache_becomes_an_object),
		cmocka_unit_test(every_mistake_is_told_once_at_its_place),
		cmocka_unit_test(a_cache_cannot_have_the_vip_of_another_service),
		cmocka_unit_test(defaults_written_out_are_no_difference),
		cmocka_unit_test(changes_are_rows),
		cmocka_unit_test(a_change_of_kind_is_told),
		cmocka_unit_test(sizes_are_read_and_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
