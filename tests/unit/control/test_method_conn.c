/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_method_conn — conn.show, conn.count and conn.kill: what the dataplane is asked for a filter, and what
 * becomes of its rows. The whole daemon, with a fake dataplane that answers with given ones.
 */
#include "ctlfix.h"
#include "daemon/ctlsrv.h"
#include "daemon/loop.h"
#include "fakedp.h"
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
	"network:\n"
	"  ports: { north: { addresses: [10.1.0.1/24] } }\n"
	"  snat: [10.1.0.100]\n"
	"pools:\n"
	"  web:\n"
	"    backends:\n"
	"      - { name: web1, ip: 10.1.0.11, port: 80 }\n"
	"      - { name: web2, ip: 10.1.0.12, port: 80 }\n"
	"  api: { backends: [ { name: web1, ip: 10.1.0.13, port: 80 } ] }\n"
	"  spare: { backends: [ { name: old, ip: 10.1.0.14, port: 80 } ] }\n"
	"services:\n"
	"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n"
	"  blog: { vip: 10.1.0.80, port: 81, mode: full-nat, pool: web }\n"
	"  calls: { vip: 10.1.0.80, port: 82, mode: full-nat, pool: api }\n";

#define ROW(s, b, st, n) \
	{ \
		.service = s, .backend = b, .state = MR_CONN_##st, .count = n, \
		.proto = MR_PROTO_TCP \
	}
static const struct mr_conn_row rows[] = {
	ROW("shop", "web1", SYN, 3),
	ROW("shop", "web1", ESTABLISHED, 40),
	ROW("blog", "web1", ESTABLISHED, 2),
	ROW("blog", "web2", FIN, 2),
	ROW("calls", "web1", SYN, 100),
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

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
	dp->conns = rows;
	dp->n_conns = N_ROWS;
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
	dp->n_conn_filters = 0;
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

/* "KEY N, KEY N, …", and "…" when there are more. */
static const char *counts(const char *params)
{
	static char text[512];
	const json_t *result = ask("conn.count", params), *item;
	size_t i;

	text[0] = '\0';
	json_array_foreach(json_object_get(result, "items"), i, item)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %lld",
			i > 0 ? ", " : "", text_of(item, "key"),
			(long long)json_integer_value(json_object_get(item, "count")));
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s",
		json_is_true(json_object_get(result, "more")) ? ", ..." : "");
	return text;
}

static void a_filter_becomes_the_question(void **state)
{
	const struct mr_conn_filter *f = dp->conn_filters;
	char ip[INET6_ADDRSTRLEN];

	(void)state;
	ask("conn.show",
		"\"service\": \"shop\", \"client\": \"10.0.0.0/8\", \"state\": \"fin\", "
		"\"older_than_ms\": 11, \"younger_than_ms\": 12, \"idle_longer_than_ms\": 13, "
		"\"idle_shorter_than_ms\": 2592000000, \"limit\": 7");
	assert_int_equal(dp->n_conn_filters, 1);
	assert_string_equal(f->service, "shop");
	assert_string_equal(f->backend, "");
	assert_string_equal(mr_ip_text(&f->client, ip, sizeof(ip)), "10.0.0.0");
	assert_int_equal(f->client_len, 8);
	assert_int_equal(f->state, MR_CONN_FIN);
	assert_int_equal(f->age_min_ms, 11);
	assert_int_equal(f->age_below_ms, 12);
	assert_int_equal(f->idle_min_ms, 13);
	assert_int_equal(f->idle_below_ms, 2592000000u);
	assert_int_equal(f->limit, 8);
	assert_int_equal(f->count_only, 0);

	ask("conn.show", "\"client\": \"fd00::1\"");
	assert_int_equal(f->client_len, 128);
	assert_string_equal(f->service, "");

	/* POOL/NAME: a question for each service of the pool */
	ask("conn.count", "\"backend\": \"web/web1\"");
	assert_int_equal(dp->n_conn_filters, 2);
	assert_string_equal(f[0].backend, "web1");
	assert_string_equal(f[1].backend, "web1");
	assert_true(strcmp(f[0].service, f[1].service) != 0);
	/* a name alone: of every pool */
	ask("conn.count", "\"backend\": \"web1\"");
	assert_int_equal(dp->n_conn_filters, 1);
	assert_string_equal(f[0].backend, "web1");
	assert_string_equal(f[0].service, "");
	/* a pool that nothing uses has no connections */
	assert_string_equal(counts("\"backend\": \"spare/old\""), "");
	assert_int_equal(dp->n_conn_filters, 0);

	ask("conn.count", "\"by\": \"client\", \"prefix\": 24, \"prefix6\": 48, \"top\": 3");
	assert_int_equal(f->count_only, 2);
	assert_int_equal(f->len4, 24);
	assert_int_equal(f->len6, 48);
	assert_int_equal(f->limit, 4);
	ask("conn.count", "\"by\": \"client\"");
	assert_int_equal(f->limit, 21);
}

static void rows_are_shown_up_to_the_limit(void **state)
{
	const json_t *v = ask("conn.show", "\"limit\": 5");

	(void)state;
	assert_int_equal(json_array_size(json_object_get(v, "items")), 5);
	assert_true(json_is_false(json_object_get(v, "more")));
	assert_string_equal(
		text_of(json_array_get(json_object_get(v, "items"), 0), "backend"), "web/web1");
	v = ask("conn.show", "\"limit\": 4");
	assert_int_equal(json_array_size(json_object_get(v, "items")), 4);
	assert_true(json_is_true(json_object_get(v, "more")));
	/* over two questions: nothing is left for the second, but it knows of more */
	v = ask("conn.show", "\"backend\": \"web/web1\", \"limit\": 5");
	assert_int_equal(json_array_size(json_object_get(v, "items")), 5);
	assert_int_equal(dp->n_conn_filters, 2);
	assert_int_equal(dp->conn_filters[1].limit, 1);
	assert_true(json_is_true(json_object_get(v, "more")));
}

static const json_t *row_of(const json_t *result, size_t i)
{
	return json_array_get(json_object_get(result, "items"), i);
}

static void assert_number(const json_t *item, const char *key, json_int_t want)
{
	if (!json_is_integer(json_object_get(item, key)))
		fail_msg("no %s in %s", key, json_dumps(item, 0));
	assert_int_equal(json_integer_value(json_object_get(item, key)), want);
}

/* What ends here has no backend; what does not has no TCP of ours. */
static void what_a_connection_has_not_is_not_told(void **state)
{
	static const char *const of_flow[] = {"backend", "snat", "snat_port", "backend_ip",
		"backend_port", "packets", "expires_ms", "srtt_us"};
	static const char *const of_served[] = {"tcp_state", "srtt_us", "rto_us", "cwnd_bytes",
		"in_flight_bytes", "queued_bytes", "unread_bytes", "partial_bytes", "retransmits",
		"requests"};
	static const struct mr_conn_row mixed[] = {
		{.service = "shop",
			.proto = MR_PROTO_TCP,
			.state = MR_CONN_FIN,
			.tcp_state = "CLOSE-WAIT",
			.expires_ms = MR_CONN_EXPIRES_NEVER,
			.rto_us = 1000000,
			.cwnd_bytes = 14600,
			.requests = 7,
			.count = 3},
		{.service = "shop",
			.proto = MR_PROTO_TCP,
			.state = MR_CONN_ESTABLISHED,
			.tcp_state = "ESTABLISHED",
			.expires_ms = 0,
			.srtt_us = 90,
			.count = 1},
		ROW("calls", "web1", SYN, 5),
	};
	const json_t *v, *item;

	(void)state;
	dp->conns = mixed;
	dp->n_conns = 3;
	v = ask("conn.show", "\"tcp\": true, \"service\": \"shop\"");
	assert_int_equal(dp->conn_filters[0].served, 1);
	assert_string_equal(dp->conn_filters[0].service, "shop");
	item = row_of(v, 0);
	assert_string_equal(text_of(item, "tcp_state"), "CLOSE-WAIT");
	assert_string_equal(text_of(item, "state"), "fin");
	assert_number(item, "rto_us", 1000000);
	assert_number(item, "cwnd_bytes", 14600);
	assert_number(item, "unread_bytes", 0);
	assert_number(item, "requests", 7);
	for (size_t i = 0; i < sizeof(of_flow) / sizeof(of_flow[0]); i++)
		assert_true(json_is_null(json_object_get(item, of_flow[i])));
	item = row_of(v, 1);
	assert_number(item, "srtt_us", 90);
	assert_number(item, "expires_ms", 0);
	v = ask("conn.show", "\"tcp\": false");
	assert_int_equal(dp->conn_filters[0].served, 0);
	item = row_of(v, 2);
	assert_string_equal(text_of(item, "backend"), "api/web1");
	assert_number(item, "packets", 0);
	for (size_t i = 0; i < sizeof(of_served) / sizeof(of_served[0]); i++)
		assert_null(json_object_get(item, of_served[i]));
	v = ask("conn.count", "\"by\": \"backend\"");
	assert_string_equal(text_of(row_of(v, 0), "key"), "api/web1");
	assert_true(json_is_null(json_object_get(row_of(v, 1), "key")));
	assert_number(row_of(v, 1), "count", 4);
	assert_string_equal(counts("\"by\": \"state\""), "syn 5, fin 3, established 1");
	assert_string_equal(text_of(ask("conn.kill", "\"tcp\": true"), "code"), "usage");
}

static void counts_are_added_up(void **state)
{
	static struct mr_conn_row clients[3] = {{.count = 9}, {.count = 4}, {.count = 4}};

	(void)state;
	assert_string_equal(counts(""), "calls 100, shop 43, blog 4");
	assert_string_equal(counts("\"by\": \"backend\""), "api/web1 100, web/web1 45, web/web2 2");
	assert_string_equal(
		counts("\"by\": \"state\", \"top\": 2"), "syn 103, established 42, ...");
	assert_string_equal(counts("\"backend\": \"web/web1\", \"top\": 3"),
		"calls 200, shop 86, blog 8"); /* the fake answers both questions with all */

	mr_ip_parse(&clients[0].client, "fd00::");
	mr_ip_parse(&clients[1].client, "10.2.0.0");
	mr_ip_parse(&clients[2].client, "10.1.0.0");
	dp->conns = clients;
	dp->n_conns = 3;
	assert_string_equal(counts("\"by\": \"client\", \"prefix\": 16, \"prefix6\": 64"),
		"fd00::/64 9, 10.1.0.0/16 4, 10.2.0.0/16 4");
	assert_string_equal(counts("\"by\": \"client\", \"top\": 1"), "fd00:: 9, ...");
	assert_string_equal(
		text_of(ask("conn.count", "\"by\": \"client\", \"backend\": \"web/web1\""),
			"message"),
		"2 services use the pool of 'web/web1': name one of them with service");
	assert_string_equal(
		counts("\"by\": \"client\", \"backend\": \"web/web1\", \"service\": \"blog\", \"top\": 1"),
		"fd00:: 9, ...");
}

static void a_kill_is_counted_and_attributed(void **state)
{
	const json_t *v;
	const char *log;

	(void)state;
	ctlfix_log_begin();
	v = ask("conn.kill", "\"backend\": \"web/web1\", \"client\": \"10.1.0.7\"");
	log = ctlfix_log_end();
	assert_int_equal(json_integer_value(json_object_get(
				 json_array_get(json_object_get(v, "items"), 0), "killed")),
		2 * N_ROWS);
	assert_int_equal(dp->n_requests[MR_REQ_CONN_KILL], 2);
	assert_int_equal(dp->conn_filters[0].all, 0);
	assert_int_equal(dp->conn_filters[1].client_len, 32);
	if (strstr(log, "10 killed by root: {\"backend\":\"web/web1\",\"client\":\"10.1.0.7\"}")
		== NULL)
		fail_msg("log: %s", log);
	ask("conn.kill", "\"all\": true");
	assert_int_equal(dp->conn_filters[0].all, 1);
	assert_int_equal(dp->n_requests[MR_REQ_CONN_KILL], 3);
}

static void a_refusal_of_the_dataplane_is_told_as_one(void **state)
{
	const json_t *v;
	const char *log;

	(void)state;
	dp->rule = (struct fakedp_rule){.type = MR_REQ_CONN_KILL,
		.act = FAKEDP_REFUSE,
		.skip = 1,
		.times = 1,
		.code = MR_ERR_BUSY,
		.message = "retry"};
	ctlfix_log_begin();
	v = ask("conn.kill", "\"backend\": \"web/web1\"");
	log = ctlfix_log_end();
	assert_string_equal(text_of(v, "code"), "invalid");
	assert_string_equal(text_of(v, "message"), "the dataplane refuses: retry");
	/* what had been killed before is not forgotten */
	assert_non_null(strstr(log, "5 killed by root"));
	dp->rule = (struct fakedp_rule){.type = MR_REQ_CONNS, .act = FAKEDP_CLOSE, .times = 1};
	assert_string_equal(text_of(ask("conn.count", ""), "code"), "unreachable");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_filter_becomes_the_question),
		TEST(rows_are_shown_up_to_the_limit),
		TEST(what_a_connection_has_not_is_not_told),
		TEST(counts_are_added_up),
		TEST(a_kill_is_counted_and_attributed),
		TEST(a_refusal_of_the_dataplane_is_told_as_one),
	};

	return cmocka_run_group_tests_name("method_conn", tests, NULL, NULL);
}
