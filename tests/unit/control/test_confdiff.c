/* SPDX-License-Identifier: BSD-3-Clause */
/* test_confdiff — differences between configurations are about meaning, not spelling. */
#include "lib/confdiff.h"
#include "lib/confobj.h"
#include "lib/confreport.h"
#include "unit.h"

#include <stdlib.h>

static struct conf *load(const char *text)
{
	struct confreport *r;
	struct conf *c = NULL;

	if (conf_create(&c, &r, text, strlen(text), "x", CONF_SECRETS_SKIP) != 0)
		fail_msg("%s", r->items[0].text);
	confreport_destroy(&r);
	return c;
}

static const char one[] =
	"version: 1\n"
	"network:\n"
	"  ports: { p: { addresses: [10.0.0.1/24] } }\n"
	"  snat: [10.0.0.2]\n"
	"pools:\n"
	"  web: { backends: [{ name: a, ip: 10.0.0.3 }, { name: b, ip: 10.0.0.4 }] }\n"
	"services:\n"
	"  s: { vip: 10.0.0.9, port: 80, mode: full-nat, pool: web }\n";

/* The same, written otherwise. */
static const char same[] =
	"version: 1\n"
	"services:\n"
	"  s: { pool: web, mode: full-nat, port: 80, vip: 10.0.0.9, proto: tcp, scheduler: maglev,\n"
	"       timeouts: { syn: 10000ms } }\n"
	"pools:\n"
	"  web:\n"
	"    backends:\n"
	"      - { weight: 100, ip: 10.0.0.4, name: b }\n"
	"      - { name: a, ip: 10.0.0.3 }\n"
	"network:\n"
	"  snat: [10.0.0.2-10.0.0.2]\n"
	"  ports: { p: { addresses: [10.0.0.1/24] } }\n";

static const char other[] = "version: 1\n"
			    "network:\n"
			    "  ports: { p: { addresses: [10.0.0.1/24] } }\n"
			    "  snat: [10.0.0.2]\n"
			    "pools:\n"
			    "  web: { backends: [{ name: a, ip: 10.0.0.3, weight: 5 }, "
			    "{ name: c, ip: 10.0.0.5 }] }\n"
			    "services:\n"
			    "  s: { vip: 10.0.0.9, port: 80, mode: full-nat, pool: web, "
			    "scheduler: wrr }\n";

#define UDP_TEXT(id, quic) \
	"version: 1\n" \
	"network: { ports: { p: { addresses: [10.0.0.1/24] } } }\n" \
	"pools: { web: { backends: [{ name: a, ip: 10.0.0.3" id " }] } }\n" \
	"services:\n" \
	"  s: { vip: 10.0.0.9, port: 443, proto: udp, mode: dsr-l2, pool: web" quic " }\n"

static const char udp[] = UDP_TEXT("", "");
static const char quic[] = UDP_TEXT(", quic_server_id: 0A0b", ", quic: { server_id_length: 2 }");
static const char quic_other[] = UDP_TEXT(", quic_server_id: 0a0b0c",
	", quic: { server_id_length: 3, server_id_offset: 4, config_id: 0 }");

static void spelling_does_not_count(void **state)
{
	struct conf *a = load(one), *b = load(same);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 0);
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* The file with this line for its check, behind that backend, for its pool and for its service. */
static struct conf *load_with(const char *check, const char *backend, const char *pool,
	const char *vip, const char *service)
{
	const char *ip = strchr(vip, ':') != NULL ? "fd00::3" : "10.0.0.3";
	char text[1024];

	snprintf(text, sizeof(text),
		"version: 1\n"
		"network:\n"
		"  ports: { p: { addresses: [10.0.0.1/24, \"fd00::1/64\"] } }\n"
		"  snat: [10.0.0.2, \"fd00::2\"]\n"
		"checks: { c: { %s } }\n"
		"pools: { web: { %scheck: c, backends: [{ name: a, ip: \"%s\"%s, quic_server_id: 0a }] } }\n"
		"services: { s: { vip: \"%s\", port: 80, %s, pool: web } }\n",
		check, pool, ip, backend, vip, service);
	return load(text);
}

static void assert_same_objects(const struct conf *a, const struct conf *b)
{
	struct mr_object *o[2];
	size_t n[2];

	assert_int_equal(confobj_create(&o[0], &n[0], a), 0);
	assert_int_equal(confobj_create(&o[1], &n[1], b), 0);
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(o[0], o[1], n[0] * sizeof(*o[0]));
	free(o[0]);
	free(o[1]);
}

#define TCP "type: tcp"
#define HTTP "type: http"
#define FNAT "mode: full-nat"
#define V4 "10.0.0.9"
#define V6 "fd00::9"
#define QUIC FNAT ", proto: udp, quic: { server_id_length: 1"

/* Every key whose default is a value that one could write (control/README.md has the list). */
static const struct {
	const char *check, *check_out, *backend_out, *pool, *pool_out, *vip, *service, *service_out;
} defaults[] = {
	{TCP, TCP ", interval: 2s", "", "", "", V4, FNAT, FNAT},
	{TCP, TCP ", timeout: 1s", "", "", "", V4, FNAT, FNAT},
	{TCP ", interval: 500ms", TCP ", interval: 500ms, timeout: 500ms", "", "", "", V4, FNAT,
		FNAT},
	{TCP, TCP ", rise: 2, fall: 3, jitter: 10%", "", "", "", V4, FNAT, FNAT},
	{HTTP, HTTP ", path: /", "", "", "", V4, FNAT, FNAT},
	{HTTP, HTTP ", expect: 200-299", "", "", "", V4, FNAT, FNAT},
	{HTTP, HTTP ", expect: [250-299, 200-249]", "", "", "", V4, FNAT, FNAT},
	{"type: udp", "type: udp, send: ''", "", "", "", V4, FNAT, FNAT},
	{TCP, TCP, ", weight: 100", "", "", V4, FNAT, FNAT},
	{TCP, TCP, "", "passive: {}, ", "passive: { failures: 5 }, ", V4, FNAT, FNAT},
	{TCP, TCP, "", "passive: {}, ", "passive: { rate: 50% }, ", V4, FNAT, FNAT},
	{TCP, TCP, "", "passive: {}, ", "passive: { min_flows: 20 }, ", V4, FNAT, FNAT},
	{TCP, TCP, "", "passive: {}, ", "passive: { ejection: 30s }, ", V4, FNAT, FNAT},
	{TCP, TCP, "", "passive: {}, ", "passive: { max_ejected: 50% }, ", V4, FNAT, FNAT},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", proto: tcp"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", kind: balance"},
	{TCP, TCP, "", "", "", V4, "mode: gue", "mode: gue, gue_port: 6080"},
	{TCP, TCP, "", "", "", V4, QUIC " }", QUIC ", server_id_offset: 1 }"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", client_address: none"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", scheduler: maglev"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", hash: flow"},
	{TCP, TCP, "", "", "", V4, FNAT ", scheduler: rendezvous",
		FNAT ", scheduler: rendezvous, hash: flow"},
	{TCP, TCP, "", "", "", V4, FNAT ", scheduler: sh", FNAT ", scheduler: sh, hash: source"},
	{TCP, TCP, "", "", "", V4, FNAT ", scheduler: sh",
		FNAT ", scheduler: sh, source_prefix: 32"},
	{TCP, TCP, "", "", "", V6, FNAT ", hash: source",
		FNAT ", hash: source, source_prefix: 128"},
	{TCP, TCP, "", "", "", V4, FNAT ", source_rate: 9",
		FNAT ", source_rate: 9, source_rate_prefix: 32"},
	{TCP, TCP, "", "", "", V6, FNAT ", source_rate: 9",
		FNAT ", source_rate: 9, source_rate_prefix: 64"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", on_backend_down: keep"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", panic_threshold: 0%"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", timeouts: { syn: 10s }"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", timeouts: { established: 15m }"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", timeouts: { fin: 30s }"},
	{TCP, TCP, "", "", "", V4, FNAT, FNAT ", timeouts: { udp: 60s }"},
};

/* Neither to the reader of a diff nor to the dataplane. */
static void a_default_written_out_is_no_difference(void **state)
{
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		struct conf *a = load_with(defaults[i].check, "", defaults[i].pool, defaults[i].vip,
			defaults[i].service);
		struct conf *b = load_with(defaults[i].check_out, defaults[i].backend_out,
			defaults[i].pool_out, defaults[i].vip, defaults[i].service_out);
		struct confdiff *d;

		assert_int_equal(confdiff_create(&d, a, b), 0);
		if (d->n_rows != 0)
			fail_msg("row %zu: %s %s: '%s' -> '%s'", i, d->rows[0].object,
				d->rows[0].field, d->rows[0].from, d->rows[0].to);
		assert_same_objects(a, b);
		confdiff_destroy(&d);
		conf_destroy(&a);
		conf_destroy(&b);
	}
}

static void assert_row(const struct confdiff_row *r, char op, const char *object, const char *field,
	const char *from, const char *to)
{
	assert_int_equal(r->op, op);
	assert_string_equal(r->object, object);
	if (field != NULL)
		assert_string_equal(r->field, field);
	else
		assert_null(r->field);
	if (from != NULL)
		assert_string_equal(r->from, from);
	else
		assert_null(r->from);
	if (to != NULL)
		assert_string_equal(r->to, to);
	else
		assert_null(r->to);
	assert_true(strlen(r->effect) > 0);
}

static void changes_are_rows(void **state)
{
	struct conf *a = load(one), *b = load(other);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 4);
	assert_row(&d->rows[0], '~', "pools.web.backends.a", "weight", "100", "5");
	assert_row(&d->rows[1], '+', "pools.web.backends.c", NULL, NULL, "ip 10.0.0.5, weight 100");
	assert_row(&d->rows[2], '-', "pools.web.backends.b", NULL, "ip 10.0.0.4, weight 100", NULL);
	assert_row(&d->rows[3], '~', "services.s", "scheduler", "maglev", "wrr");
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* What is told of a change of mode is what the dataplane does: tests/packet/test_mode_change.py. */
static void a_change_of_mode_ends_no_flow(void **state)
{
	static const char before[] = UDP_TEXT("", "");
	char after[sizeof(before) + 32];
	struct conf *a = load(before), *b;
	const char *mode = strstr(before, "dsr-l2");
	struct confdiff *d;

	snprintf(after, sizeof(after), "%.*sgue, gue_port: 7000%s", (int)(mode - before), before,
		mode + strlen("dsr-l2"));
	b = load(after);
	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 2);
	assert_row(&d->rows[0], '~', "services.s", "mode", "dsr-l2", "gue");
	assert_string_equal(
		d->rows[0].effect, "new flows go in the new mode; flows go on as they began");
	assert_row(&d->rows[1], '~', "services.s", "gue_port", NULL, "7000");
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* The word of the file, and nothing where there is no limit. */
static void limits_are_rows(void **state)
{
	static const char limited[] = UDP_TEXT("", ", packets_per_second: 5000");
	struct conf *a = load(udp), *b = load(limited);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 1);
	assert_row(&d->rows[0], '~', "services.s", "packets_per_second", NULL, "5000");
	confdiff_destroy(&d);
	assert_int_equal(confdiff_create(&d, b, a), 0);
	assert_row(&d->rows[0], '~', "services.s", "packets_per_second", "5000", NULL);
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* Written back, payloads are what the file could have; the spelling of a byte is no difference. */
static void payloads_of_checks_are_compared(void **state)
{
	static const char first[] = "version: 1\n"
				    "checks: { u: { type: udp, send: 'a\\x0d\\n\\x00' } }\n";
	static const char second[] =
		"version: 1\n"
		"checks: { u: { type: udp, send: '\\x61\\r\\x0A\\x00', expect: "
		"'\\\\\\xfe' } }\n";
	struct conf *a = load(first), *b = load(second);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 1);
	assert_row(&d->rows[0], '~', "checks.u", "expect", NULL, "\\\\\\xfe");
	confdiff_destroy(&d);
	assert_int_equal(confdiff_create(&d, NULL, a), 0);
	assert_non_null(strstr(d->rows[0].to, "send a\\r\\n\\x00,"));
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

/* Commands that differ look different, whatever is in their words. */
static void the_way_of_checks_is_compared(void **state)
{
	struct conf *a = load("version: 1\nchecks: { x: { type: tcp } }\n");
	struct conf *b = load("version: 1\nchecks: { x: { type: tcp, via: service } }\n");
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 1);
	assert_row(&d->rows[0], '~', "checks.x", "via", NULL, "service");
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
}

static void commands_of_checks_are_compared(void **state)
{
	static const struct {
		const char *list, *text;
	} rows[] = {
		{"[/bin/a, b, c]", "[/bin/a, b, c]"},
		{"[/bin/a, b c]", "[/bin/a, 'b c']"},
		{"[/bin/a, 'b, c']", "[/bin/a, 'b, c']"},
		{"[/bin/a, \"b', 'c\"]", "[/bin/a, 'b'', ''c']"},
		{"[/bin/a, '', -H]", "[/bin/a, '', -H]"},
	};
	char first[128], second[128];
	struct confdiff *d;

	snprintf(first, sizeof(first),
		"version: 1\nchecks: { x: { type: exec, command: [/bin/a] } }\n");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *a = load(first), *b;

		snprintf(second, sizeof(second),
			"version: 1\nchecks: { x: { type: exec, command: %s } }\n", rows[i].list);
		b = load(second);
		assert_int_equal(confdiff_create(&d, a, b), 0);
		assert_int_equal(d->n_rows, 1);
		assert_row(&d->rows[0], '~', "checks.x", "command", "[/bin/a]", rows[i].text);
		confdiff_destroy(&d);
		conf_destroy(&a);
		conf_destroy(&b);
	}
}

static void quic_is_compared(void **state)
{
	struct conf *a = load(udp), *b = load(quic), *c = load(quic_other);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, a, b), 0);
	assert_int_equal(d->n_rows, 3);
	assert_row(&d->rows[0], '~', "pools.web.backends.a", "quic_server_id", NULL, "0a0b");
	assert_row(&d->rows[1], '~', "services.s", "quic.server_id_length", NULL, "2");
	assert_row(&d->rows[2], '~', "services.s", "quic.server_id_offset", NULL, "1");
	confdiff_destroy(&d);
	assert_int_equal(confdiff_create(&d, b, c), 0);
	assert_int_equal(d->n_rows, 4);
	assert_row(&d->rows[0], '~', "pools.web.backends.a", "quic_server_id", "0a0b", "0a0b0c");
	assert_row(&d->rows[1], '~', "services.s", "quic.server_id_length", "2", "3");
	assert_row(&d->rows[2], '~', "services.s", "quic.server_id_offset", "1", "4");
	assert_row(&d->rows[3], '~', "services.s", "quic.config_id", NULL, "0");
	confdiff_destroy(&d);
	conf_destroy(&a);
	conf_destroy(&b);
	conf_destroy(&c);
}

static void from_nothing_everything_is_added(void **state)
{
	struct conf *a = load(one);
	struct confdiff *d;

	assert_int_equal(confdiff_create(&d, NULL, a), 0);
	assert_int_equal(d->n_rows, 6);
	for (size_t i = 0; i < d->n_rows; i++)
		assert_int_equal(d->rows[i].op, '+');
	confdiff_destroy(&d);
	conf_destroy(&a);
}

/* one[] with a list for its service. */
static struct conf *with_list(const char *list)
{
	char text[sizeof(one) + 4096];

	snprintf(text, sizeof(text), "%.*s, %s }\n", (int)(strlen(one) - 3), one, list);
	return load(text);
}

static void lists_are_compared_as_sets(void **state)
{
	static const struct {
		const char *from, *to, *field, *from_text, *to_text; /* field NULL: no difference */
	} rows[] = {
		{"deny: [10.0.0.0/8, 192.0.2.1]", "deny: [192.0.2.1/32, 10.0.0.0/8]", NULL, NULL,
			NULL},
		{"proto: tcp", "deny: [10.0.0.0/8]", "deny", NULL, "10.0.0.0/8"},
		{"allow: [10.0.0.0/8, 10.1.0.0/16]", "allow: [10.0.0.0/8]", "allow",
			"10.0.0.0/8, 10.1.0.0/16", "10.0.0.0/8"},
		{"deny: [1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4, 1.0.0.5, 1.0.0.6, 1.0.0.7, 1.0.0.8, 1.0.0.9]",
			"deny: [1.0.0.9, 1.0.0.2, 1.0.0.3, 1.0.0.4, 1.0.0.5, 1.0.0.6, 1.0.0.7, 1.0.0.8, "
			"1.0.0.10, 1.0.1.0/24]",
			"deny", "9 prefixes, only here 1.0.0.1",
			"10 prefixes, only here 1.0.0.10, 1.0.1.0/24"},
		{"proto: tcp",
			"deny: [1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4, 1.0.0.5, 1.0.0.6, 1.0.0.7, 1.0.0.8, 1.0.0.9]",
			"deny", NULL,
			"9 prefixes, only here 1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4, 1.0.0.5, 1.0.0.6, 1.0.0.7, "
			"1.0.0.8 and 1 more"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct conf *a = with_list(rows[i].from), *b = with_list(rows[i].to);
		struct confdiff *d;

		assert_int_equal(confdiff_create(&d, a, b), 0);
		assert_int_equal(d->n_rows, rows[i].field != NULL);
		if (rows[i].field != NULL)
			assert_row(&d->rows[0], '~', "services.s", rows[i].field, rows[i].from_text,
				rows[i].to_text);
		confdiff_destroy(&d);
		conf_destroy(&a);
		conf_destroy(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spelling_does_not_count),
		cmocka_unit_test(a_default_written_out_is_no_difference),
		cmocka_unit_test(changes_are_rows),
		cmocka_unit_test(a_change_of_mode_ends_no_flow),
		cmocka_unit_test(limits_are_rows),
		cmocka_unit_test(payloads_of_checks_are_compared),
		cmocka_unit_test(the_way_of_checks_is_compared),
		cmocka_unit_test(commands_of_checks_are_compared),
		cmocka_unit_test(quic_is_compared),
		cmocka_unit_test(from_nothing_everything_is_added),
		cmocka_unit_test(lists_are_compared_as_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
