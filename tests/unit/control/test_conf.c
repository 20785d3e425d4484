/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_conf — the configuration loader: what a good file means, and what is said, where, about a bad
 * one. The argument is the example configuration, which must stay valid.
 */
#include "lib/confobj.h"
#include "lib/confreport.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *demo_path;

static char *read_file(const char *path, size_t *len)
{
	char *text = malloc(1 << 16);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	*len = fread(text, 1, (1 << 16) - 1, f);
	text[*len] = '\0';
	fclose(f);
	return text;
}

/* A small good file; each bad one replaces a piece of it. */
static const char base_text[] = "version: 1\n"
				"network:\n"
				"  ports:\n"
				"    north: { addresses: [10.1.0.1/24, \"fd00:1::1/64\"] }\n"
				"    south: { addresses: [10.2.0.1/24] }\n"
				"  snat: [10.2.0.100-10.2.0.101]\n"
				"checks:\n"
				"  ok: { type: http, interval: 1s }\n"
				"pools:\n"
				"  web:\n"
				"    check: ok\n"
				"    backends:\n"
				"      - { name: a, ip: 10.2.0.11, port: 80 }\n"
				"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n"
				"services:\n"
				"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n";

/* base_text with the first occurrence of from replaced. */
static char *edited(const char *from, const char *to)
{
	const char *at = strstr(base_text, from);
	const size_t size = sizeof(base_text) + strlen(to);
	char *text = malloc(size);

	assert_non_null(at);
	snprintf(text, size, "%.*s%s%s", (int)(at - base_text), base_text, to, at + strlen(from));
	return text;
}

static int load(struct conf **c, struct confreport **r, const char *text)
{
	return conf_create(c, r, text, strlen(text), "x.yaml", CONF_SECRETS_SKIP);
}

static void demo_is_valid(void **state)
{
	struct confreport *r;
	struct conf *c = NULL;
	size_t len;
	char *text = read_file(demo_path, &len);

	assert_int_equal(conf_create(&c, &r, text, len, "demo.yaml", CONF_SECRETS_NEED), 0);
	assert_int_equal(r->n_items, 0);
	assert_int_equal(c->n_services, 4);
	assert_int_equal(c->n_pools, 4);
	assert_int_equal(c->n_ports, 2);
	assert_int_equal(c->n_snats, 3);
	assert_string_equal(conf_find_service(c, "shop6")->pool->name, "web6");
	assert_int_equal(conf_find_backend(conf_find_pool(c, "web"), "web3")->weight, 50);
	assert_int_equal(conf_find_check(c, "http-ok")->timeout_ms, 300);
	assert_null(conf_find_port(c, "west"));
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
}

static void defaults_are_filled_in(void **state)
{
	struct confreport *r;
	struct conf *c = NULL;
	const struct conf_service *s;
	const struct conf_check *k;

	assert_int_equal(load(&c, &r, base_text), 0);
	s = conf_find_service(c, "shop");
	k = conf_find_check(c, "ok");
	assert_int_equal(s->proto, MR_PROTO_TCP);
	assert_int_equal(s->sched, MR_SCHED_MAGLEV);
	assert_int_equal(s->established_timeout_ms, 900000);
	assert_ptr_equal(s->pool->check, k);
	assert_int_equal(s->pool->backends[0].weight, 100);
	assert_int_equal(s->pool->backends[1].weight, 7);
	assert_string_equal(k->path, "/");
	assert_int_equal(k->interval_ms, 1000);
	assert_int_equal(k->timeout_ms, 1000);
	assert_int_equal(k->rise, 2);
	assert_int_equal(k->fall, 3);
	assert_int_equal(k->jitter_pct, 10);
	assert_int_equal(k->n_expect, 1);
	assert_int_equal(k->expect[0].first, 200);
	assert_int_equal(k->expect[0].last, 299);
	confreport_destroy(&r);
	conf_destroy(&c);
}

/* A backend's own limit goes before that of its pool. */
static void limits_reach_the_objects(void **state)
{
	static const struct {
		const char *from, *to;
		uint32_t of_service, of_a, of_b, flow_rate, source_rate, source_rate_prefix;
	} rows[] = {
		{"pool: web }", "pool: web }", 0, 0, 0, 0, 0, 0},
		{"pool: web }", "pool: web, max_connections: 900 }", 900, 0, 0, 0, 0, 0},
		{"check: ok\n", "check: ok\n    max_connections: 70\n", 0, 70, 70, 0, 0, 0},
		{"    backends:\n      - { name: a, ",
			"    max_connections: 70\n    backends:\n      - { max_connections: 5, name: a, ",
			0, 5, 70, 0, 0, 0},
		{"pool: web }", "pool: web, new_connections_per_second: 1000, source_rate: 20 }", 0,
			0, 0, 1000, 20, 0},
		{"pool: web }", "pool: web, source_rate: 1, source_rate_prefix: 24 }", 0, 0, 0, 0,
			1, 24},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *c = NULL;
		struct confreport *r;
		struct mr_object *o;
		size_t n, k = 0;
		char *text = edited(rows[i].from, rows[i].to);

		assert_int_equal(load(&c, &r, text), 0);
		assert_int_equal(confobj_create(&o, &n, c), 0);
		while (k < n && o[k].type != MR_OBJ_SERVICE)
			k++;
		assert_true(k + 3 <= n); /* its backends follow it */
		assert_int_equal(o[k].service.max_conns, rows[i].of_service);
		assert_int_equal(o[k].service.flow_rate, rows[i].flow_rate);
		assert_int_equal(o[k].service.source_rate, rows[i].source_rate);
		assert_int_equal(o[k].service.source_rate_prefix, rows[i].source_rate_prefix);
		assert_int_equal(o[k + 1].backend.max_conns, rows[i].of_a);
		assert_int_equal(o[k + 2].backend.max_conns, rows[i].of_b);
		free(o);
		confreport_destroy(&r);
		conf_destroy(&c);
		free(text);
	}
}

/* In the order of the addresses, once each. */
static void lists_reach_the_objects(void **state)
{
	static const char *const keys[] = {"acl/shop/10.0.0.0/8", "acl/shop/10.0.0.0/9",
		"acl/shop/192.0.2.1/32", "acl/shop/0.0.0.0/0", "acl/shop/10.0.0.0/16"};
	char *text = edited("pool: web }",
		"pool: web, deny: [10.0.0.0/16, 0.0.0.0/0],\n"
		"    allow: [192.0.2.1, 10.0.0.0/9, 10.0.0.0/8, 192.0.2.1/32] }");
	struct confreport *r;
	struct conf *c = NULL;
	struct mr_object *o;
	char key[MR_TEXT_MAX];
	size_t n, k = 0;

	assert_int_equal(load(&c, &r, text), 0);
	assert_int_equal(r->n_warnings, 1);
	assert_string_equal(r->items[0].message,
		"services.shop.allow[3]: 192.0.2.1 is there already (line 17)");
	assert_int_equal(confobj_create(&o, &n, c), 0);
	while (k < n && o[k].type != MR_OBJ_ACL)
		k++;
	assert_int_equal(n - k, sizeof(keys) / sizeof(keys[0]));
	for (size_t i = 0; k + i < n; i++) {
		assert_string_equal(mr_object_key_text(&o[k + i], key, sizeof(key)), keys[i]);
		assert_int_equal(o[k + i].acl.action, i < 3 ? MR_ACL_ALLOW : MR_ACL_DENY);
	}
	free(o);
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
}

/* A file with n services of so many prefixes each. */
static char *long_lists(unsigned n, unsigned n_prefixes)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	fputs("version: 1\nnetwork: { ports: { p: { addresses: [10.1.0.1/24] } } }\n"
	      "pools: { web: { backends: [{ name: a, ip: 10.1.0.11 }] } }\nservices:\n",
		f);
	for (unsigned s = 0; s < n; s++) {
		fprintf(f, "  s%u: { vip: 10.1.0.80, port: %u, mode: dsr-l2, pool: web, deny: [", s,
			s + 1);
		for (unsigned i = 0; i < n_prefixes; i++)
			fprintf(f, "%s10.%u.%u.%u", i > 0 ? "," : "", i >> 16, i >> 8 & 255,
				i & 255);
		fputs("] }\n", f);
	}
	fclose(f);
	return text;
}

static void lists_have_limits(void **state)
{
	static const struct {
		unsigned n, n_prefixes;
		const char *message;
	} rows[] = {
		{1, 10000, NULL},
		{1, 10001,
			"services.s0 may have at most 10000 prefixes in 'allow' and 'deny' together, got 10001"},
		{27, 10000,
			"the services up to here have more than 262144 allow and deny prefixes in all"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = long_lists(rows[i].n, rows[i].n_prefixes);
		struct confreport *r;
		struct conf *c = NULL;

		assert_int_equal(load(&c, &r, text), rows[i].message == NULL ? 0 : -EINVAL);
		assert_int_equal(r->n_errors, rows[i].message != NULL);
		if (rows[i].message != NULL)
			assert_string_equal(r->items[0].message, rows[i].message);
		confreport_destroy(&r);
		conf_destroy(&c);
		free(text);
	}
}

static void what_is_hashed_reaches_the_object(void **state)
{
	static const struct {
		const char *more;
		uint8_t sched, hash, source_prefix;
		uint16_t load_bound_pct;
	} rows[] = {
		{"", MR_SCHED_MAGLEV, MR_HASH_FLOW, 0, 0},
		{", scheduler: sh", MR_SCHED_SH, MR_HASH_SOURCE, 0, 0},
		{", scheduler: sh, source_prefix: 20", MR_SCHED_SH, MR_HASH_SOURCE, 20, 0},
		{", scheduler: rendezvous, hash: source-port, load_bound: 150%",
			MR_SCHED_RENDEZVOUS, MR_HASH_SOURCE_PORT, 0, 150},
		{", scheduler: p2c", MR_SCHED_P2C, MR_HASH_FLOW, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct confreport *r;
		struct conf *c = NULL;
		struct mr_object *o;
		char to[128], *text;
		size_t n, k = 0;

		snprintf(to, sizeof(to), "pool: web%s }", rows[i].more);
		text = edited("pool: web }", to);
		assert_int_equal(load(&c, &r, text), 0);
		assert_int_equal(confobj_create(&o, &n, c), 0);
		while (k < n && o[k].type != MR_OBJ_SERVICE)
			k++;
		assert_true(k < n);
		assert_int_equal(o[k].service.sched, rows[i].sched);
		assert_int_equal(o[k].service.hash, rows[i].hash);
		assert_int_equal(o[k].service.source_prefix, rows[i].source_prefix);
		assert_int_equal(o[k].service.load_bound_pct, rows[i].load_bound_pct);
		free(o);
		confreport_destroy(&r);
		conf_destroy(&c);
		free(text);
	}
}

static void server_ids_reach_the_objects_of_quic_services(void **state)
{
	static const struct {
		const char *quic;
		uint8_t len, offset, config;
	} cases[] = {
		{"", 0, 0, 0},
		{"quic: { server_id_length: 2 }, ", 2, 1, 0},
		{"quic: { server_id_length: 2, server_id_offset: 0 }, ", 2, 0, 0},
		{"quic: { server_id_length: 2, config_id: 0 }, ", 2, 1, 1},
		{"quic: { server_id_length: 2, server_id_offset: 18, config_id: 6 }, ", 2, 18, 7},
	};
	static const uint8_t none[16], id[16] = {2, 0x0a, 0xff};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[1024];
		struct mr_object *o;
		struct conf *c;
		struct confreport *r;
		size_t n;

		snprintf(text, sizeof(text),
			"version: 1\n"
			"network: { ports: { north: { addresses: [10.2.0.1/24] } } }\n"
			"pools: { p: { backends: [{ name: a, ip: 10.2.0.11, quic_server_id: 0aFF }] } }\n"
			"services: { s: { vip: 10.1.0.80, port: 443, proto: udp, mode: dsr-l2, %spool: p } }\n",
			cases[i].quic);
		assert_int_equal(load(&c, &r, text), 0);
		assert_int_equal(confobj_create(&o, &n, c), 0);
		assert_int_equal(o[n - 2].service.quic_id_len, cases[i].len);
		assert_int_equal(o[n - 2].service.quic_id_offset, cases[i].offset);
		assert_int_equal(o[n - 2].service.quic_config, cases[i].config);
		assert_memory_equal(
			o[n - 1].backend.quic_server_id, cases[i].len != 0 ? id : none, 16);
		free(o);
		confreport_destroy(&r);
		conf_destroy(&c);
	}
}

static void objects_follow_from_the_file(void **state)
{
	struct mr_object *o;
	struct confreport *r;
	struct conf *c = NULL;
	char key[MR_TEXT_MAX];
	size_t n;
	static const char *const keys[] = {"settings", "addr/north/10.1.0.1/24",
		"addr/north/fd00:1::1/64", "addr/south/10.2.0.1/24", "snat/10.2.0.100",
		"snat/10.2.0.101", "service/shop", "backend/shop/a", "backend/shop/b"};

	assert_int_equal(load(&c, &r, base_text), 0);
	assert_int_equal(confobj_create(&o, &n, c), 0);
	assert_int_equal(n, sizeof(keys) / sizeof(keys[0]));
	for (size_t i = 0; i < n; i++)
		assert_string_equal(mr_object_key_text(&o[i], key, sizeof(key)), keys[i]);
	assert_int_equal(o[8].backend.weight, 7);
	assert_int_equal(o[8].backend.port, 80);
	assert_int_equal(o[8].backend.state, MR_BACKEND_UP);
	free(o);
	confreport_destroy(&r);
	conf_destroy(&c);
}

struct bad {
	const char *from, *to;
	const char *place;   /* LINE:COL */
	const char *message; /* part of it */
	const char *hint;    /* or NULL */
};

/* Service keys that came later than the rest. */
static const struct bad bad_services[] = {
	{"check: ok", "passive: { failures: 1001 }", "11:26",
		"pools.web.passive.failures must be 0..1000, got '1001'", NULL},
	{"check: ok", "passive: { rate: 50 }", "11:22", "pools.web.passive.rate must be", NULL},
	{"check: ok", "passive: { ejection: 1ms }", "11:26",
		"pools.web.passive.ejection must be a duration 1s..1h", NULL},
	{"check: ok", "passive: { faliures: 1 }", "11:16", "unknown key 'faliures'",
		"did you mean 'failures'?"},
	{"check: ok", "passive: {}", "", NULL, NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, on_backend_down: kill", "16:70",
		"services.shop.on_backend_down must be 'keep', 'move' or 'reset', got 'kill'",
		NULL},
};

static const struct bad bads[] = {
	{"version: 1\n", "", "1:1", "'version' is missing", NULL},
	{"version: 1", "version: 2", "1:10", "version must be 1..1, got '2'", NULL},
	{"checks:", "cheks:", "7:1", "unknown key 'cheks'", "did you mean 'checks'?"},
	{"pool: web }", "pool: web, timeout: 1s }", "16:64",
		"unknown key 'timeout' in services.shop",
		"did you mean 'timeouts'?"}, /* the longest schema */
	{"weight: 7", "weigth: 7", "14:45", "unknown key 'weigth' in pools.web.backends[1]",
		"did you mean 'weight'?"},
	{"weight: 7", "weight: 1001", "14:53",
		"pools.web.backends[1].weight must be 0..1000, got "
		"'1001'",
		NULL},
	{"check: ok", "check: okk", "11:12", "pools.web.check: there is no 'okk' in checks",
		"did you mean 'ok'?"},
	{"pool: web", "pool: wep", "16:59", "there is no 'wep' in pools", "did you mean 'web'?"},
	{"name: b", "name: a", "14:17", "pools.web has a backend 'a' already (line 13)", NULL},
	{"10.2.0.12", "10.2.0.300", "14:24", "must be an IPv4 or IPv6 address, got '10.2.0.300'",
		NULL},
	{"10.2.0.12", "10.2.0.1", "14:24", "it is a port's address of this box (line 5)", NULL},
	{"10.2.0.12", "\"fd00::1\"", "14:24", "mixes IPv4 and IPv6", NULL},
	{"10.2.0.12", "224.0.0.1", "14:24", "not an address a host can have", NULL},
	{"interval: 1s", "interval: 1", "8:31", "checks.ok.interval must be a duration 50ms..1h",
		NULL},
	{"interval: 1s", "interval: 1s, timeout: 2s", "8:44",
		"timeout must not be longer than its interval", NULL},
	{"type: http", "type: tcp, path: /x", "8:26", "is only for checks of type 'http'", NULL},
	{"type: http", "type: htp", "8:15",
		"must be 'tcp', 'http', 'memcached', 'redis', 'udp', 'icmp' or 'exec', got 'htp'",
		"did you mean 'http'?"},
	{"full-nat", "dsr-l3", "16:43", "must be 'full-nat', 'dsr-l2', 'ipip', 'gue' or 'dnat'",
		"did you mean 'dsr-l2'?"},
	{"  snat: [10.2.0.100-10.2.0.101]\n", "", "15:43", "needs an IPv4 address in network.snat",
		NULL},
	{"10.2.0.100-10.2.0.101", "10.2.0.100-10.2.3.101", "6:10",
		"there can be at most 64 addresses", NULL},
	{"10.2.0.100-10.2.0.101", "10.1.0.80", "16:16",
		"10.1.0.80 cannot be a VIP: it is a SNAT address already (line 6)", NULL},
	{"10.1.0.80, port: 80,", "\"fd00:1::80\", port: 80,", "16:46",
		"needs an IPv6 address in network.snat", NULL},
	{"port: 80, mode: full-nat", "port: 81, mode: gue", "13:41",
		"is gue on port 81, so its backend 'a' must have that port, not 80", NULL},
	{"mode: full-nat", "mode: full-nat, gue_port: 6080", "16:63",
		"services.shop.gue_port is only for mode 'gue'", NULL},
	{"mode: full-nat", "mode: gue, gue_port: 0", "16:58",
		"services.shop.gue_port must be 1..65535, got '0'", NULL},
	{"mode: full-nat", "mode: gue, gue_port: 5555, on_backend_down: move", "", NULL, NULL},
	{"10.1.0.80, port: 80, mode: full-nat", "\"fd00:1::80\", port: 80, mode: ipip", "", NULL,
		NULL}, /* valid */
	{"10.1.0.80, port: 80, mode: full-nat", "\"fd00:1::80\", port: 80, mode: dsr-l2", "16:60",
		"services.shop is IPv6, the backends of pools.web are IPv4, which only", NULL},
	{"mode: full-nat, pool: web }",
		"mode: dnat, pool: web }\n  also: { vip: 10.1.0.81, port: 80, mode: dnat, pool: web }",
		"17:55",
		"services.also and services.shop are dnat with a backend 10.2.0.11 port 80 in both",
		NULL},
	{"mode: full-nat, pool: web }",
		"mode: dnat, pool: web }\n  also: { vip: 10.1.0.81, port: 80, proto: udp, mode: dnat, pool: web }",
		"", NULL, NULL}, /* valid */
	{"10.1.0.1/24", "10.1.0.0/24", "4:26", "the network's or the broadcast address", NULL},
	{"10.1.0.1/24", "10.1.0.1/33", "4:26", "prefix length must be 1..32", NULL},
	{"10.1.0.1/24, ", "", "", NULL, NULL}, /* stays valid */
	{"south: { addresses: [10.2.0.1/24] }", "south: { addresses: [10.1.0.1/24] }", "5:26",
		"10.1.0.1 is a port's address already (line 4)", NULL},
	{"south: { addresses: [10.2.0.1/24] }",
		"south: { addresses: [10.2.0.1/24], gateways: [10.9.0.1] }", "5:51",
		"is on no network of network.ports.south", NULL},
	{"pool: web }", "pool: web, maglev_size: 100 }", "16:77", "must be a prime, got 100", NULL},
	{"pool: web }", "pool: web, scheduler: wlv }", "16:75",
		"must be 'maglev', 'wrr', 'rr', 'wlc', 'lc', 'p2c', 'sh' or 'rendezvous'",
		"did you mean 'wlc'?"},
	{"pool: web }", "pool: web, scheduler: wlc, hash: source }", "16:86",
		"services.shop.hash is only for schedulers that hash", NULL},
	{"pool: web }", "pool: web, scheduler: sh, hash: flow }", "16:85",
		"scheduler 'sh' hashes the source", NULL},
	{"pool: web }", "pool: web, hash: src }", "16:70",
		"services.shop.hash must be 'flow', 'source' or 'source-port', got 'src'", NULL},
	{"pool: web }", "pool: web, source_prefix: 24 }", "16:79",
		"source_prefix needs scheduler 'sh', or 'hash: source'", NULL},
	{"pool: web }", "pool: web, hash: source, source_prefix: 33 }", "16:93",
		"services.shop.source_prefix must be 1..32, got '33'", NULL},
	{"pool: web }", "pool: web, load_bound: 100% }", "16:76",
		"services.shop.load_bound must be 101%..1000%, got '100%'", NULL},
	{"pool: web }", "pool: web, load_bound: 125 }", "16:76", "must be 101%..1000%, got '125'",
		NULL},
	{"pool: web }", "pool: web, scheduler: lc, load_bound: 125% }", "16:91",
		"services.shop.load_bound is only for schedulers that hash", NULL},
	{"pool: web }", "pool: web, hash: source-port, source_prefix: 24, load_bound: 125% }", "",
		NULL, NULL}, /* valid */
	{"pool: web }", "pool: web, scheduler: sh, hash: source, source_prefix: 32 }", "", NULL,
		NULL}, /* valid */
	{"check: ok\n", "check: ok\n    slow_start: 500ms\n", "12:17",
		"pools.web.slow_start must be a duration 1s..1h", NULL},
	{"    check: ok\n", "    slow_start: 30s\n", "11:17", "pools.web.slow_start needs a check",
		NULL},
	{"pool: web }", "pool: web, max_connections: 0 }", "16:81",
		"services.shop.max_connections must be 1..1000000000, got '0'", NULL},
	{"check: ok\n", "check: ok\n    max_connections: many\n", "12:22",
		"pools.web.max_connections must be 1..1000000000, got 'many'", NULL},
	{"pool: web }", "pool: web, new_connections_per_second: 1.5 }", "16:92",
		"new_connections_per_second must be 1..1000000000, got '1.5'", NULL},
	{"pool: web }", "pool: web, source_rate: 1000001 }", "16:77",
		"services.shop.source_rate must be 1..1000000, got '1000001'", NULL},
	{"pool: web }", "pool: web, source_rate: 10, source_rate_prefix: 33 }", "16:101",
		"services.shop.source_rate_prefix must be 1..32, got '33'", NULL},
	{"pool: web }", "pool: web, insert_rate: 100 }", "16:77",
		"services.shop.insert_rate is only for dsr-l2, ipip and gue with", NULL},
	{"full-nat, pool: web }", "dsr-l2, pool: web, insert_rate: 100 }", "", NULL,
		NULL}, /* valid */
	{"full-nat, pool: web }", "dsr-l2, pool: web, scheduler: rr, insert_rate: 100 }", "16:90",
		"services.shop.insert_rate is only for dsr-l2, ipip and gue with", NULL},
	{"full-nat, pool: web }", "dsr-l2, pool: web, max_connections: 9, insert_rate: 100 }",
		"16:95", "without load_bound and max_connections", NULL},
	{"pool: web }", "pool: web, source_rate_prefix: 24 }", "16:84",
		"services.shop.source_rate_prefix needs a source_rate", NULL},
	{"mode: full-nat", "mode: full-nat, mode: dsr-l2", "16:53", "mode", NULL},
	{"shop: {", "shop: &x {", "16:", "anchor", NULL},
	{"shop: {", "shop: !!map {", "16:", "tag", NULL},
	{"  shop", "\tshop", "16:1", "a tab cannot indent", NULL},
};

/* Of checks. */
static const struct bad check_bads[] = {
	{"type: http", "type: memcached, host: x", "8:32",
		"checks.ok.host is only for checks of type", NULL},
	{"type: http", "type: memcached", "", NULL, NULL}, /* valid */
	{"type: http", "type: redis, expect: 200", "8:30",
		"checks.ok.expect is only for checks of type 'http' and 'udp'", NULL},
	{"type: http", "type: Redis", "8:15", "got 'Redis'", "did you mean 'redis'?"},
	{"type: http", "type: redis, port: 6379", "", NULL, NULL}, /* valid */
	{"type: http", "type: tcp, send: x", "8:26",
		"checks.ok.send is only for checks of type 'udp'", NULL},
	{"type: http", "type: udp, send: '\\0'", "8:26",
		"checks.ok.send: '\\0' is no escape; there are \\r \\n \\t \\\\ and \\xNN", NULL},
	{"type: http", "type: udp, expect: '\\x1'", "8:28", "checks.ok.expect: '\\x' is no escape",
		NULL},
	{"type: http", "type: udp, send: 'x\\'", "8:26", "checks.ok.send: '\\' is no escape", NULL},
	{"type: http", "type: udp, send: [x]", "8:26", "checks.ok.send must be text, got a list",
		NULL},
	{"type: http", "type: udp, send: \"\\r\\n\"", "8:26", "without control characters", NULL},
	{"type: http", "type: udp, send: '', expect: ''", "", NULL, NULL}, /* valid */
	{"type: http", "type: icmp, port: 7", "8:27",
		"checks.ok.port is only for checks of type other than 'icmp', which has no ports",
		NULL},
	{"type: http", "type: icmp, send: x", "8:27",
		"checks.ok.send is only for checks of type 'udp'", NULL},
	{"type: http", "type: icmp", "", NULL, NULL}, /* valid */
	{"type: http", "type: tcp, command: [/bin/true]", "8:29",
		"checks.ok.command is only for checks of type 'exec'", NULL},
	{"type: http", "type: exec", "8:3", "'command' is missing in checks.ok", NULL},
	{"type: http", "type: exec, command: /bin/true", "8:30",
		"checks.ok.command must be a list, got '/bin/true'", NULL},
	{"type: http", "type: exec, command: []", "8:30",
		"checks.ok.command must have 1..64 entries, got 0", NULL},
	{"type: http", "type: exec, command: [check, -v]", "8:31",
		"checks.ok.command[0] must be an absolute path, as nothing searches for it, got 'check'",
		NULL},
	{"type: http", "type: exec, command: [/bin/true, [x]]", "8:42",
		"checks.ok.command[1] must be text, got a list", NULL},
	{"type: http", "type: exec, port: 7, command: [/bin/true, '', a b]", "", NULL,
		NULL}, /* valid */
};

/* Of panic thresholds. */
static const struct bad panic_bads[] = {
	{"pool: web }", "pool: web, panic_threshold: 50 }", "16:81",
		"services.shop.panic_threshold must be 0%..100%, got '50'", NULL},
	{"pool: web }", "pool: web, panic_threshold: 101% }", "16:81",
		"must be 0%..100%, got '101%'", NULL},
	{"    check: ok\n    backends:\n      - { name: a, ip: 10.2.0.11, port: 80 }\n      - { name: b, ip: "
	 "10.2.0.12, port: 80, weight: 7 }\nservices:\n  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, "
	 "pool: web }",
		"    backends: [{ name: a, ip: 10.2.0.11 }]\nservices:\n"
		"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web, panic_threshold: 5% }",
		"13:81", "services.shop.panic_threshold needs a check of pools.web", NULL},
	{"pool: web }", "pool: web, panic_threshold: 0% }", "", NULL, NULL},   /* valid */
	{"pool: web }", "pool: web, panic_threshold: 100% }", "", NULL, NULL}, /* valid */
};

/* Of allow and deny lists. */
static const struct bad bad_lists[] = {
	{"pool: web }", "pool: web, deny: [0.0.0.0/0, 10.0.0.0/8], allow: [10.1.2.3] }", "", NULL,
		NULL}, /* valid */
	{"pool: web }", "pool: web, allow: 10.0.0.0/8 }", "16:71",
		"services.shop.allow must be a list, got '10.0.0.0/8'", NULL},
	{"pool: web }", "pool: web, deny: [] }", "16:70", "services.shop.deny is empty", NULL},
	{"pool: web }", "pool: web, deny: [10.0.0.0/8, [10.1.0.0/16]] }", "16:83",
		"services.shop.deny[1] must be ADDRESS or ADDRESS/LENGTH, got a list", NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.0/33] }", "16:72",
		"services.shop.allow[0]: the prefix length of 10.0.0.0 must be 0...32, got '33'",
		NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.1, 10.1.2.3/24] }", "16:82",
		"services.shop.allow[1]: 10.1.2.3/24 has bits beyond its prefix: for the network "
		"write 10.1.2.0/24",
		NULL},
	{"pool: web }", "pool: web, deny: [shop.example] }", "16:71",
		"services.shop.deny[0]: 'shop.example' is not an IP address", NULL},
	{"pool: web }", "pool: web, deny: [\"::/0\"] }", "16:71",
		"services.shop.deny[0]: ::/0 is IPv6, the service's clients are IPv4", NULL},
	{"pool: web }", "pool: web, allow: [10.0.0.0/8, 10.1.0.1], deny: [10.1.0.1/32] }", "16:102",
		"services.shop.deny[0]: 10.1.0.1 is in 'allow' already (line 16)", NULL},
	{"pool: web }", "pool: web, deny: [10.0.0.0/8], allow: [10.0.0.0/8] }", "16:92",
		"services.shop.allow[0]: 10.0.0.0/8 is in 'deny' already (line 16)", NULL},
};

/* The service routes by server ids of 2 bytes; those of its backends. */
#define QUIC_FROM \
	"      - { name: a, ip: 10.2.0.11, port: 80 }\n" \
	"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7 }\n" \
	"services:\n" \
	"  shop: { vip: 10.1.0.80, port: 80,"
#define QUIC_TO(a, b) \
	"      - { name: a, ip: 10.2.0.11, port: 80, quic_server_id: " a " }\n" \
	"      - { name: b, ip: 10.2.0.12, port: 80, weight: 7, quic_server_id: " b " }\n" \
	"services:\n" \
	"  shop: { vip: 10.1.0.80, port: 80, proto: udp, quic: { server_id_length: 2 },"

static const struct bad quic_bads[] = {
	{"mode: full-nat", "mode: full-nat, quic: { server_id_length: 2 }", "16:59",
		"services.shop.quic is only for 'proto: udp'", NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_length: 2 }", "16:71",
		"services.shop has quic, so its backend 'a' of pools.web needs a quic_server_id",
		NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_length: 16 }", "16:91",
		"services.shop.quic.server_id_length must be 1..15, got '16'", NULL},
	{"mode: full-nat", "mode: full-nat, proto: udp, quic: { server_id_offset: 1 }", "16:71",
		"server_id_length", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 15, server_id_offset: 6 }",
		"16:113", "services.shop.quic.server_id_offset must be 0..5, got '6'", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 4, server_id_offset: 0, config_id: 0 }",
		"16:112", "services.shop.quic.server_id_offset must be 1..16, got '0'", NULL},
	{"mode: full-nat",
		"mode: full-nat, proto: udp, quic: { server_id_length: 4, config_id: 7 }", "16:105",
		"services.shop.quic.config_id must be 0..6, got '7'", NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0a0 }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal, two digits each, got '0a0'",
		NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0g }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal, two digits each, got '0g'",
		NULL},
	{"port: 80 }", "port: 80, quic_server_id: 000102030405060708090a0b0c0d0e0f }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal", NULL},
	{"port: 80 }", "port: 80, quic_server_id: \"\" }", "13:61",
		"quic_server_id must be 1..15 bytes in hexadecimal", NULL},
	{"port: 80 }", "port: 80, quic_server_id: 0A0f }", "", NULL, NULL}, /* no service asks */
	{QUIC_FROM, QUIC_TO("0a01", "0a02"), "", NULL, NULL},               /* valid */
	{QUIC_FROM, QUIC_TO("0a01", "0A01"), "14:72",
		"services.shop: backend 'b' has the quic_server_id of 'a' (line 13)", NULL},
	{QUIC_FROM, QUIC_TO("0a01", "0a0203"), "14:72",
		"services.shop has server ids of 2 bytes, the quic_server_id of its backend 'b' has 3",
		NULL},
};

/* mss, client_address */
static const struct bad bad_edits[] = {
	{"mode: full-nat", "mode: full-nat, mss: 87", "16:58",
		"services.shop.mss must be 88..65535, got '87'", NULL},
	{"mode: full-nat", "mode: dsr-l2, mss: 1400", "16:56",
		"services.shop.mss is only for full-nat and dnat: with dsr-l2 the backend's SYN+ACK "
		"does not pass here",
		NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, mss: 1400", "16:70",
		"services.shop.mss is only for tcp", NULL},
	{"mode: full-nat", "mode: dnat, mss: 1400", "", NULL, NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, client_address: proxy-v1", "16:69",
		"services.shop.client_address must be 'none', 'toa' or 'proxy-v2', got 'proxy-v1'",
		"did you mean 'proxy-v2'?"},
	{"mode: full-nat", "mode: dnat, client_address: toa", "16:65",
		"services.shop.client_address is only for full-nat: with dnat the backends see",
		NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, client_address: toa", "16:81",
		"services.shop.client_address: 'toa' is a TCP option, the service is udp", NULL},
	{"mode: full-nat", "proto: udp, mode: full-nat, client_address: proxy-v2", "", NULL,
		NULL}, /* valid */
	{"mode: full-nat", "mode: full-nat, mss: 1400, client_address: toa", "", NULL,
		NULL}, /* valid */
};

/* How many of the rows are answered in another way than they say. */
static unsigned count_wrong(const struct bad *bad, size_t n)
{
	unsigned n_wrong = 0;

	for (size_t i = 0; i < n; i++) {
		const struct bad *b = &bad[i];
		struct confreport *r = NULL;
		struct conf *c = NULL;
		char *text = edited(b->from, b->to), where[32];
		const int rc = load(&c, &r, text);

		if (b->message == NULL) {
			assert_int_equal(rc, 0);
			confreport_destroy(&r);
			conf_destroy(&c);
			free(text);
			continue;
		}
		assert_int_equal(rc, -EINVAL);
		assert_null(c);
		assert_true(r->n_errors >= 1);
		snprintf(where, sizeof(where), "x.yaml:%s", b->place);
		if (strstr(r->items[0].text, where) != r->items[0].text
			|| strstr(r->items[0].message, b->message) == NULL
			|| (b->hint != NULL
				&& (r->items[0].hint == NULL
					|| strcmp(r->items[0].hint, b->hint) != 0)))
			n_wrong += fprintf(stderr, "'%s' for '%s': expected %s %s, got %s", b->to,
					   b->from, b->place, b->message, r->items[0].text)
				> 0;
		confreport_destroy(&r);
		free(text);
	}
	return n_wrong;
}

static void every_mistake_is_located(void **state)
{
	assert_int_equal(count_wrong(bads, sizeof(bads) / sizeof(bads[0])), 0);
	assert_int_equal(
		count_wrong(bad_services, sizeof(bad_services) / sizeof(bad_services[0])), 0);
	assert_int_equal(count_wrong(check_bads, sizeof(check_bads) / sizeof(check_bads[0])), 0);
	assert_int_equal(count_wrong(panic_bads, sizeof(panic_bads) / sizeof(panic_bads[0])), 0);
	assert_int_equal(count_wrong(quic_bads, sizeof(quic_bads) / sizeof(quic_bads[0])), 0);
	assert_int_equal(count_wrong(bad_lists, sizeof(bad_lists) / sizeof(bad_lists[0])), 0);
	assert_int_equal(count_wrong(bad_edits, sizeof(bad_edits) / sizeof(bad_edits[0])), 0);
}

static void all_mistakes_come_at_once(void **state)
{
	static const char text[] = "version: 1\n"
				   "checks:\n"
				   "  a: { type: tcp, rise: 0 }\n"
				   "  b: { typ: tcp }\n"
				   "pools:\n"
				   "  p: { check: c, backends: [{ name: x }] }\n";
	struct confreport *r;
	struct conf *c;

	assert_int_equal(load(&c, &r, text), -EINVAL);
	/* rise, typ, type missing, no check c, ip missing */
	assert_int_equal(r->n_errors, 5);
	for (size_t i = 1; i < r->n_items; i++)
		assert_true(r->items[i - 1].line <= r->items[i].line);
	confreport_destroy(&r);
}

static void report_shows_the_line(void **state)
{
	char *text = edited("weight: 7", "weigth: 7");
	struct confreport *r;
	struct conf *c;

	assert_int_equal(load(&c, &r, text), -EINVAL);
	assert_string_equal(r->items[0].text,
		"x.yaml:14:45: error: unknown key 'weigth' in pools.web.backends[1]\n"
		"        - { name: b, ip: 10.2.0.12, port: 80, weigth: 7 }\n"
		"                                              ^~~~~~ did you mean 'weight'?\n");
	confreport_destroy(&r);
	free(text);
}

static void a_host_may_refuse_commands(void **state)
{
	static const struct conf_host host = {.is_exec_refused = true};
	char *text = edited("type: http", "type: exec, command: [/bin/true, '', a b]");
	struct confreport *r;
	struct conf *c = NULL;
	const struct conf_check *k;

	assert_int_equal(load(&c, &r, text), 0);
	k = conf_find_check(c, "ok");
	assert_int_equal(k->n_command, 3);
	assert_string_equal(k->command[0], "/bin/true");
	assert_string_equal(k->command[1], "");
	assert_string_equal(k->command[2], "a b");
	assert_null(k->command[3]);
	confreport_destroy(&r);
	conf_destroy(&c);
	assert_int_equal(conf_create_on(&c, &r, text, strlen(text), "x.yaml", &host), -EINVAL);
	assert_int_equal(r->n_errors, 1);
	assert_int_equal(strncmp(r->items[0].text, "x.yaml:8:15: error: ", 20), 0);
	assert_non_null(strstr(r->items[0].message, "--allow-exec-checks"));
	confreport_destroy(&r);
	free(text);
}

static void a_command_that_is_not_here_is_warned_about(void **state)
{
	char *text = edited("type: http", "type: exec, command: [/nonexistent/check, x]");
	struct confreport *r;
	struct conf *c = NULL;

	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x.yaml", CONF_SECRETS_NEED), 0);
	assert_int_equal(r->n_warnings, 1);
	assert_int_equal(strncmp(r->items[0].text, "x.yaml:8:31: warning: ", 22), 0);
	assert_string_equal(r->items[0].message,
		"checks.ok.command cannot be run here: No such file or directory");
	confreport_destroy(&r);
	conf_destroy(&c);
	assert_int_equal(load(&c, &r, text), 0); /* does not look */
	assert_int_equal(r->n_warnings, 0);
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
}

/* The bytes of a payload, at most 512 of them however they are written. */
static void payloads_are_bytes(void **state)
{
	static const uint8_t sent[] = {'P', '\r', '\n', '\t', '\\', 0, 0xff, 'x', ' '};
	char to[4096], *text;
	size_t n;
	struct confreport *r;
	struct conf *c = NULL;
	const struct conf_check *k;

	text = edited(
		"type: http", "type: udp, expect: \\x00ok, send: 'P\\r\\n\\t\\\\\\x00\\xFfx '");
	assert_int_equal(load(&c, &r, text), 0);
	k = conf_find_check(c, "ok");
	assert_int_equal(k->send.len, sizeof(sent));
	assert_memory_equal(k->send.data, sent, sizeof(sent));
	assert_int_equal(k->answer.len, 3);
	assert_memory_equal(k->answer.data, "\0ok", 3);
	assert_int_equal(k->n_expect, 0);
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
	n = (size_t)snprintf(to, sizeof(to), "type: udp, send: '");
	for (unsigned i = 0; i < 512; i++)
		n += (size_t)snprintf(to + n, sizeof(to) - n, "\\xaa");
	snprintf(to + n, sizeof(to) - n, "'");
	text = edited("type: http", to);
	assert_int_equal(load(&c, &r, text), 0);
	assert_int_equal(conf_find_check(c, "ok")->send.len, 512);
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
	snprintf(to + n, sizeof(to) - n, "b'");
	text = edited("type: http", to);
	assert_int_equal(load(&c, &r, text), -EINVAL);
	assert_string_equal(r->items[0].message, "checks.ok.send must have at most 512 bytes");
	confreport_destroy(&r);
	free(text);
}

static void what_is_odd_is_warned_about(void **state)
{
	char *text = edited("10.2.0.12", "10.7.0.12");
	struct confreport *r;
	struct conf *c = NULL;

	assert_int_equal(load(&c, &r, text), 0);
	assert_int_equal(r->n_warnings, 1);
	assert_non_null(strstr(r->items[0].message, "on no connected network"));
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
}

static void hash_key_file_is_read(void **state)
{
	char path[] = "/tmp/millrace-key-XXXXXX", text[256];
	const int fd = mkstemp(path);
	struct confreport *r;
	struct conf *c = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "000102030405060708090a0b0c0D0e0f\n", 33), 33);
	snprintf(text, sizeof(text), "version: 1\nnode: { hash_key_file: %s }\n", path);
	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x", CONF_SECRETS_NEED), 0);
	assert_true(c->hash_key_is_read);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(c->hash_key[i], i);
	confreport_destroy(&r);
	conf_destroy(&c);
	/* others can read it: refused */
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x", CONF_SECRETS_TRY), -EINVAL);
	assert_non_null(strstr(r->items[0].message, "chmod 600"));
	confreport_destroy(&r);
	close(fd);
	unlink(path);
	/* not there: an error for the daemon, a warning offline */
	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x", CONF_SECRETS_NEED), -EINVAL);
	confreport_destroy(&r);
	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x", CONF_SECRETS_TRY), 0);
	assert_int_equal(r->n_warnings, 1);
	confreport_destroy(&r);
	conf_destroy(&c);
}

/* Any prefix of a file and any single byte changed: an answer, never a crash. */
static void damaged_files_get_an_answer(void **state)
{
	char text[sizeof(base_text)];
	unsigned seed = 1;

	for (size_t n = 0; n < sizeof(base_text); n++) {
		struct confreport *r = NULL;
		struct conf *c = NULL;
		char *exact = malloc(n + 1);
		int rc;

		memcpy(exact, base_text, n);
		rc = conf_create(&c, &r, exact, n, "x", CONF_SECRETS_SKIP);
		assert_true(rc == 0 || (rc == -EINVAL && r->n_errors > 0));
		confreport_destroy(&r);
		conf_destroy(&c);
		free(exact);
	}
	for (unsigned i = 0; i < 3000; i++) {
		struct confreport *r = NULL;
		struct conf *c = NULL;
		int rc;

		memcpy(text, base_text, sizeof(text));
		for (unsigned k = 0; k < 3; k++) {
			seed = seed * 1103515245u + 12345u;
			text[(seed >> 8) % (sizeof(text) - 1)] = (char)(seed >> 20);
		}
		rc = conf_create(&c, &r, text, sizeof(text) - 1, "x", CONF_SECRETS_SKIP);
		assert_true(rc == 0 || (rc == -EINVAL && r->n_errors > 0));
		confreport_destroy(&r);
		conf_destroy(&c);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(demo_is_valid),
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(what_is_hashed_reaches_the_object),
		cmocka_unit_test(limits_reach_the_objects),
		cmocka_unit_test(lists_reach_the_objects),
		cmocka_unit_test(lists_have_limits),
		cmocka_unit_test(server_ids_reach_the_objects_of_quic_services),
		cmocka_unit_test(objects_follow_from_the_file),
		cmocka_unit_test(every_mistake_is_located),
		cmocka_unit_test(all_mistakes_come_at_once),
		cmocka_unit_test(report_shows_the_line),
		cmocka_unit_test(a_host_may_refuse_commands),
		cmocka_unit_test(a_command_that_is_not_here_is_warned_about),
		cmocka_unit_test(payloads_are_bytes),
		cmocka_unit_test(what_is_odd_is_warned_about),
		cmocka_unit_test(hash_key_file_is_read),
		cmocka_unit_test(damaged_files_get_an_answer),
	};

	if (argc != 2)
		return 2;
	demo_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
