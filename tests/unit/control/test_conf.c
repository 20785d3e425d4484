/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_conf — the configuration loader: what a good file means, and what is said, where, about a bad
 * one. The argument is the example configuration, which must stay valid.
 */
#include "conftext.h"
#include "lib/confobj.h"

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

static void demo_is_valid(void **state)
{
	struct confreport *r;
	struct conf *c = NULL;
	size_t len;
	char *text = read_file(demo_path, &len);

	assert_int_equal(conf_create(&c, &r, text, len, "demo.yaml", CONF_SECRETS_NEED), 0);
	assert_int_equal(r->n_items, 0);
	assert_int_equal(c->n_services, 6);
	assert_int_equal(c->n_caches, 1);
	assert_int_equal(c->n_pools, 4);
	assert_int_equal(c->n_ports, 2);
	assert_int_equal(c->n_snats, 3);
	assert_string_equal(conf_find_service(c, "shop6")->pool->name, "web6");
	assert_string_equal(conf_find_service(c, "cache")->cache->name, "sessions");
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

	assert_int_equal(conftext_load(&c, &r, conftext_base), 0);
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
		uint32_t of_service, of_a, of_b, flow_rate, source_rate, source_rate_prefix,
			packet_rate;
	} rows[] = {
		{"pool: web }", "pool: web }", 0, 0, 0, 0, 0, 0, 0},
		{"pool: web }", "pool: web, max_connections: 900 }", 900, 0, 0, 0, 0, 0, 0},
		{"check: ok\n", "check: ok\n    max_connections: 70\n", 0, 70, 70, 0, 0, 0, 0},
		{"    backends:\n      - { name: a, ",
			"    max_connections: 70\n    backends:\n      - { max_connections: 5, name: a, ",
			0, 5, 70, 0, 0, 0, 0},
		{"pool: web }", "pool: web, new_connections_per_second: 1000, source_rate: 20 }", 0,
			0, 0, 1000, 20, 0, 0},
		{"pool: web }", "pool: web, source_rate: 1, source_rate_prefix: 24 }", 0, 0, 0, 0,
			1, 24, 0},
		{"pool: web }", "pool: web, packets_per_second: 5000 }", 0, 0, 0, 0, 0, 0, 5000},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *c = NULL;
		struct confreport *r;
		struct mr_object *o;
		size_t n, k = 0;
		char *text = conftext_edited(rows[i].from, rows[i].to);

		assert_int_equal(conftext_load(&c, &r, text), 0);
		assert_int_equal(confobj_create(&o, &n, c), 0);
		while (k < n && o[k].type != MR_OBJ_SERVICE)
			k++;
		assert_true(k + 3 <= n); /* its backends follow it */
		assert_int_equal(o[k].service.max_conns, rows[i].of_service);
		assert_int_equal(o[k].service.flow_rate, rows[i].flow_rate);
		assert_int_equal(o[k].service.source_rate, rows[i].source_rate);
		assert_int_equal(o[k].service.source_rate_prefix, rows[i].source_rate_prefix);
		assert_int_equal(o[k].service.packet_rate, rows[i].packet_rate);
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
	char *text = conftext_edited("pool: web }",
		"pool: web, deny: [10.0.0.0/16, 0.0.0.0/0],\n"
		"    allow: [192.0.2.1, 10.0.0.0/9, 10.0.0.0/8, 192.0.2.1/32] }");
	struct confreport *r;
	struct conf *c = NULL;
	struct mr_object *o;
	char key[MR_TEXT_MAX];
	size_t n, k = 0;

	assert_int_equal(conftext_load(&c, &r, text), 0);
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

		assert_int_equal(
			conftext_load(&c, &r, text), rows[i].message == NULL ? 0 : -EINVAL);
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
		text = conftext_edited("pool: web }", to);
		assert_int_equal(conftext_load(&c, &r, text), 0);
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
		assert_int_equal(conftext_load(&c, &r, text), 0);
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

/* Checks by the path of a service: which one, and the ports in its backends' objects. */
#define VIA_FILE(type, backends, services) \
	"version: 1\n" \
	"network: { ports: { north: { addresses: [10.2.0.1/24] } }, snat: [10.2.0.100] }\n" \
	"checks: { c: { type: " type ", via: service } }\n" \
	"pools: { p: { check: c, backends: [" backends "] } }\n" \
	"services: {" services "}\n"
#define VIA_A "{ name: a, ip: 10.2.0.11, port: 80 }"
#define VIA_B "{ name: b, ip: 10.2.0.12, port: 80 }"
#define VIA_C "{ name: c, ip: 10.2.0.13, port: 80 }"
#define VIA_NAT "n: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: p }"
#define VIA_TCP "t: { vip: 10.1.0.81, port: 80, mode: ipip, pool: p }"
#define VIA_MORE "m: { vip: 10.1.0.82, port: 80, mode: dsr-l2, pool: p }"
#define VIA_UDP "u: { vip: 10.1.0.83, port: 80, proto: udp, mode: gue, pool: p }"

/* The port of each backend by name, of services that have any; *via is the one. Returns how many. */
static unsigned probe_ports(const char *text, uint16_t by_name[128], const char **via)
{
	static char service[MR_NAME_MAX];
	struct mr_object *o;
	struct confreport *r;
	struct conf *c = NULL;
	unsigned n_ports = 0;
	size_t n;

	assert_int_equal(conftext_load(&c, &r, text), 0);
	assert_int_equal(confobj_create(&o, &n, c), 0);
	memset(by_name, 0, 128 * sizeof(by_name[0]));
	*via = NULL;
	for (size_t i = 0; i < n; i++) {
		if (o[i].type != MR_OBJ_BACKEND || o[i].backend.probe_port == 0)
			continue;
		assert_true(*via == NULL || strcmp(service, o[i].backend.service) == 0);
		snprintf(service, sizeof(service), "%s", o[i].backend.service);
		*via = service;
		by_name[(uint8_t)o[i].backend.name[0]] = o[i].backend.probe_port;
		assert_true(o[i].backend.probe_port >= MR_PROBE_PORT_MIN);
		n_ports++;
	}
	free(o);
	confreport_destroy(&r);
	conf_destroy(&c);
	return n_ports;
}

static void probes_go_by_the_first_service_that_can(void **state)
{
	static const struct {
		const char *text, *via;
	} rows[] = {
		{VIA_FILE("tcp", VIA_A, VIA_NAT ", " VIA_UDP ", " VIA_TCP ", " VIA_MORE), "t"},
		{VIA_FILE("http", VIA_A, VIA_MORE ", " VIA_TCP), "m"},
		{VIA_FILE("udp", VIA_A, VIA_TCP ", " VIA_UDP), "u"},
		{VIA_FILE("redis", VIA_A, ""), NULL}, /* nobody uses the pool */
	};
	uint16_t ports[128];
	const char *via;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(probe_ports(rows[i].text, ports, &via), rows[i].via != NULL);
		assert_int_equal(via != NULL, rows[i].via != NULL);
		if (via != NULL)
			assert_string_equal(via, rows[i].via);
	}
}

static void a_probe_port_follows_from_the_name(void **state)
{
	uint16_t two[128], three[128];
	const char *via;

	assert_int_equal(probe_ports(VIA_FILE("tcp", VIA_A ", " VIA_B, VIA_TCP), two, &via), 2);
	assert_int_equal(
		probe_ports(VIA_FILE("tcp", VIA_C ", " VIA_B ", " VIA_A, VIA_TCP), three, &via), 3);
	assert_int_equal(two['a'], three['a']);
	assert_int_equal(two['b'], three['b']);
	assert_int_not_equal(three['a'], three['b']);
	assert_int_not_equal(three['b'], three['c']);
}

/* n backends; whether all have ports, each its own. False: the file is refused. */
static bool has_ports_for(unsigned n)
{
	static bool is_taken[MR_PROBE_PORTS];
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	struct confreport *r;
	struct conf *c = NULL;
	int rc;

	assert_non_null(out);
	fputs("version: 1\nnetwork: { ports: { n: { addresses: [10.0.0.1/8] } } }\n"
	      "checks: { c: { type: tcp, via: service } }\n"
	      "services: { s: { vip: 10.1.0.81, port: 80, mode: ipip, pool: p } }\n"
	      "pools:\n  p:\n    check: c\n    backends:\n",
		out);
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "      - { name: w%u, ip: 10.2.%u.%u }\n", i, i / 250, i % 250 + 1);
	fclose(out);
	rc = conftext_load(&c, &r, text);
	memset(is_taken, 0, sizeof(is_taken));
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const unsigned k = c->pools[0].backends[i].probe_port - MR_PROBE_PORT_MIN;

		assert_true(k < MR_PROBE_PORTS && !is_taken[k]);
		is_taken[k] = true;
	}
	if (rc != 0)
		assert_non_null(strstr(r->items[0].message,
			"pools.p has 4537 backends, and checks 'via: service' have source ports for "
			"4536"));
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
	return rc == 0;
}

static void there_are_as_many_probe_ports_as_is_said(void **state)
{
	assert_true(has_ports_for(MR_PROBE_PORTS));
	assert_false(has_ports_for(MR_PROBE_PORTS + 1));
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

	assert_int_equal(conftext_load(&c, &r, conftext_base), 0);
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

	assert_int_equal(conftext_load(&c, &r, text), -EINVAL);
	/* rise, typ, type missing, no check c, ip missing */
	assert_int_equal(r->n_errors, 5);
	for (size_t i = 1; i < r->n_items; i++)
		assert_true(r->items[i - 1].line <= r->items[i].line);
	confreport_destroy(&r);
}

static void report_shows_the_line(void **state)
{
	char *text = conftext_edited("weight: 7", "weigth: 7");
	struct confreport *r;
	struct conf *c;

	assert_int_equal(conftext_load(&c, &r, text), -EINVAL);
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
	char *text = conftext_edited("type: http", "type: exec, command: [/bin/true, '', a b]");
	struct confreport *r;
	struct conf *c = NULL;
	const struct conf_check *k;

	assert_int_equal(conftext_load(&c, &r, text), 0);
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
	char *text = conftext_edited("type: http", "type: exec, command: [/nonexistent/check, x]");
	struct confreport *r;
	struct conf *c = NULL;

	assert_int_equal(conf_create(&c, &r, text, strlen(text), "x.yaml", CONF_SECRETS_NEED), 0);
	assert_int_equal(r->n_warnings, 1);
	assert_int_equal(strncmp(r->items[0].text, "x.yaml:8:31: warning: ", 22), 0);
	assert_string_equal(r->items[0].message,
		"checks.ok.command cannot be run here: No such file or directory");
	confreport_destroy(&r);
	conf_destroy(&c);
	assert_int_equal(conftext_load(&c, &r, text), 0); /* does not look */
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

	text = conftext_edited(
		"type: http", "type: udp, expect: \\x00ok, send: 'P\\r\\n\\t\\\\\\x00\\xFfx '");
	assert_int_equal(conftext_load(&c, &r, text), 0);
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
	text = conftext_edited("type: http", to);
	assert_int_equal(conftext_load(&c, &r, text), 0);
	assert_int_equal(conf_find_check(c, "ok")->send.len, 512);
	confreport_destroy(&r);
	conf_destroy(&c);
	free(text);
	snprintf(to + n, sizeof(to) - n, "b'");
	text = conftext_edited("type: http", to);
	assert_int_equal(conftext_load(&c, &r, text), -EINVAL);
	assert_string_equal(r->items[0].message, "checks.ok.send must have at most 512 bytes");
	confreport_destroy(&r);
	free(text);
}

static void what_is_odd_is_warned_about(void **state)
{
	char *text = conftext_edited("10.2.0.12", "10.7.0.12");
	struct confreport *r;
	struct conf *c = NULL;

	assert_int_equal(conftext_load(&c, &r, text), 0);
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
	char text[sizeof(conftext_base)];
	unsigned seed = 1;

	for (size_t n = 0; n < sizeof(conftext_base); n++) {
		struct confreport *r = NULL;
		struct conf *c = NULL;
		char *exact = malloc(n + 1);
		int rc;

		memcpy(exact, conftext_base, n);
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

		memcpy(text, conftext_base, sizeof(text));
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
		cmocka_unit_test(probes_go_by_the_first_service_that_can),
		cmocka_unit_test(a_probe_port_follows_from_the_name),
		cmocka_unit_test(there_are_as_many_probe_ports_as_is_said),
		cmocka_unit_test(objects_follow_from_the_file),
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
