/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ctlsrv — the control socket with the whole daemon behind it and a fake dataplane: lines of every
 * kind and size in, answers of the contract out, and clients that do not behave.
 */
#include "ctlfix.h"
#include "daemon/ctlsrv.h"
#include "daemon/loop.h"
#include "fakedp.h"
#include "unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct caller {
	struct bufferevent *bev;
	bool is_closed;
	unsigned n_wanted; /* lines, for has_lines() */
};

struct fix {
	struct event_base *base;
	struct fakedp *dp;
	struct loop *loop;
	struct ctlsrv *server;
	char dir[64], run_dir[80], socket[108], dp_socket[108], state_dir[96];
	char config[96]; /* the daemon keeps the pointer */
};

static const char conf_text[] = "version: 1\n"
				"network:\n"
				"  ports: { north: { addresses: [10.1.0.1/24] } }\n"
				"  snat: [10.1.0.100]\n"
				"pools:\n"
				"  web:\n"
				"    backends:\n"
				"      - { name: web1, ip: 10.1.0.11, port: 80 }\n"
				"      - { name: web2, ip: 10.1.0.12, port: 80 }\n"
				"services:\n"
				"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, pool: web }\n";

static bool is_in_sync(void *arg)
{
	const struct fix *f = arg;

	return loop_is_in_sync(f->loop);
}

static void start_daemon(struct fix *f, const char *config)
{
	const struct loop_params params = {
		.config_file = config, .state_dir = f->state_dir, .dataplane = f->dp_socket};
	const struct ctlsrv_params sp = {.socket = f->socket};
	struct ctlsrv_params with_loop = sp;

	assert_int_equal(loop_create(&f->loop, f->base, &params), 0);
	with_loop.loop = f->loop;
	assert_int_equal(ctlsrv_create(&f->server, f->base, &with_loop), 0);
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	ctlfix_dir(f->dir);
	snprintf(f->run_dir, sizeof(f->run_dir), "%s/run", f->dir);
	snprintf(f->socket, sizeof(f->socket), "%s/control.sock", f->run_dir);
	snprintf(f->dp_socket, sizeof(f->dp_socket), "%s/dataplane.sock", f->dir);
	snprintf(f->state_dir, sizeof(f->state_dir), "%s/state", f->dir);
	snprintf(f->config, sizeof(f->config), "%s/conf-\xe9.yaml",
		f->dir); /* not UTF-8: a path may be */
	ctlfix_write(f->dir, "conf-\xe9.yaml", conf_text);
	f->base = event_base_new();
	f->dp = fakedp_start(f->base, f->dp_socket);
	start_daemon(f, f->config);
	ctlfix_run_until(f->base, is_in_sync, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	ctlsrv_destroy(&f->server);
	loop_destroy(&f->loop);
	fakedp_stop(&f->dp);
	ctlfix_run_ready(f->base);
	event_base_free(f->base);
	ctlfix_rm(f->dir);
	free(f);
	return 0;
}

/* --- a client */

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct caller *c = arg;

	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		c->is_closed = true;
}

static void call(struct fix *f, struct caller *c)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(c, 0, sizeof(*c));
	memcpy(sun.sun_path, f->socket, strlen(f->socket) + 1);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	c->bev = bufferevent_socket_new(f->base, fd, BEV_OPT_CLOSE_ON_FREE);
	assert_non_null(c->bev);
	bufferevent_setcb(c->bev, NULL, NULL, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void hang_up(struct caller *c)
{
	bufferevent_free(c->bev);
	c->bev = NULL;
}

static void say(struct caller *c, const char *text)
{
	bufferevent_write(c->bev, text, strlen(text));
}

static unsigned count_lines(const struct caller *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	const size_t len = evbuffer_get_length(in);
	const char *p = len > 0 ? (const char *)evbuffer_pullup(in, (ev_ssize_t)len) : "";
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += p[i] == '\n';
	return n;
}

static bool has_lines(void *arg)
{
	const struct caller *c = arg;

	return count_lines(c) >= c->n_wanted || c->is_closed;
}

static bool is_closed(void *arg)
{
	const struct caller *c = arg;

	return c->is_closed;
}

/* The next line, which must be an object of id and exactly one of result and error. */
static json_t *hear(struct fix *f, struct caller *c)
{
	size_t len;
	char *line;
	json_t *v;

	c->n_wanted = 1;
	ctlfix_run_until(f->base, has_lines, c);
	line = evbuffer_readln(bufferevent_get_input(c->bev), &len, EVBUFFER_EOL_LF);
	assert_non_null(line);
	v = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	free(line);
	assert_true(json_is_object(v));
	assert_non_null(json_object_get(v, "id"));
	assert_true(
		(json_object_get(v, "result") == NULL) != (json_object_get(v, "error") == NULL));
	assert_int_equal(json_object_size(v), 2);
	return v;
}

/* Says the line, hears the answer, and checks its error: code and part of the message; and of the hint. */
static void expect_error(struct fix *f, struct caller *c, const char *line, const char *code,
	const char *message, const char *hint)
{
	json_t *v;
	const char *is_code, *is_message, *is_hint;

	say(c, line);
	v = hear(f, c);
	is_code = json_string_value(json_object_get(json_object_get(v, "error"), "code"));
	is_message = json_string_value(json_object_get(json_object_get(v, "error"), "message"));
	is_hint = json_string_value(json_object_get(json_object_get(v, "error"), "hint"));
	if (is_code == NULL || is_message == NULL)
		fail_msg("no error for %.200s", line);
	assert_string_equal(is_code, code);
	if (strstr(is_message, message) == NULL
		|| (hint != NULL && (is_hint == NULL || strstr(is_hint, hint) == NULL)))
		fail_msg("%.200s: '%s', hint '%s'", line, is_message,
			is_hint != NULL ? is_hint : "(none)");
	json_decref(v);
}

/* Says the line; the first item of the result (borrowed from *answer, which the caller gives back). */
static json_t *expect_item(struct fix *f, struct caller *c, const char *line, json_t **answer)
{
	json_t *items;

	say(c, line);
	*answer = hear(f, c);
	items = json_object_get(json_object_get(*answer, "result"), "items");
	if (!json_is_array(items))
		fail_msg("%.200s: no items in %s", line, json_dumps(*answer, 0));
	return json_array_get(items, 0);
}

/* --- lines */

static void envelopes_are_those_of_the_contract(void **state)
{
	struct fix *f = *state;
	struct caller c;
	json_t *v, *r;

	call(f, &c);
	say(&c, "{\"id\": \"any text\", \"method\": \"status\", \"params\": {}}\n");
	v = hear(f, &c);
	assert_string_equal(json_string_value(json_object_get(v, "id")), "any text");
	r = json_object_get(v, "result");
	assert_string_equal(json_string_value(json_object_get(r, "schema")), "millrace.status/1");
	assert_int_equal(json_integer_value(json_object_get(r, "generation")), 1);
	assert_int_equal(strlen(json_string_value(json_object_get(r, "time"))), 24);
	assert_int_equal(json_array_size(json_object_get(r, "items")), 1);
	assert_int_equal(json_object_size(r), 4);
	json_decref(v);
	/* without params, and without an id */
	say(&c, "{\"method\": \"health.show\"}\n");
	v = hear(f, &c);
	assert_true(json_is_null(json_object_get(v, "id")));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(v, "result"), "items")), 2);
	json_decref(v);
	hang_up(&c);
}

static const char *const garbage[] = {"\n", "garbage\n", "{\n", "[]\n", "7\n", "null\n",
	"\"text\"\n", "{\"id\": 1} {\"id\": 2}\n",
	"{\"id\": 1, \"id\": 2, \"method\": \"status\"}\n", "\xff\xfe\n",
	"{\"method\": \"\\u0000\"}\n", "GET / HTTP/1.1\r\n\r\n"};

/* Said why, then closed: what follows such a line can only be misunderstood. Others are not touched. */
static void garbage_ends_its_client_only(void **state)
{
	struct fix *f = *state;
	struct caller good, bad;
	json_t *v;

	call(f, &good);
	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		call(f, &bad);
		expect_error(f, &bad, garbage[i], "usage", "the line is no JSON object", NULL);
		ctlfix_run_until(f->base, is_closed, &bad);
		hang_up(&bad);
	}
	expect_item(f, &good, "{\"id\": 1, \"method\": \"status\"}\n", &v);
	json_decref(v);
	hang_up(&good);
}

static char *long_line(size_t n)
{
	static const char head[] =
		"{\"id\": 1, \"method\": \"health.show\", \"params\": {\"pool\": \"";
	static const char tail[] = "\"}}\n";
	char *line = malloc(n + 2);

	assert_non_null(line);
	memset(line, 'x', n);
	memcpy(line, head, sizeof(head) - 1);
	memcpy(line + n + 1 - (sizeof(tail) - 1), tail, sizeof(tail));
	return line;
}

static void a_line_may_be_16_mib_long_and_no_longer(void **state)
{
	struct fix *f = *state;
	char *line = long_line(CTLSRV_LINE_MAX);
	struct caller c;

	call(f, &c);
	expect_error(f, &c, line, "not_found", "there is no pool 'xxxx", NULL);
	free(line);
	line = long_line(CTLSRV_LINE_MAX + 1);
	expect_error(f, &c, line, "usage", "longer than 16 MiB", NULL);
	free(line);
	ctlfix_run_until(f->base, is_closed, &c);
	hang_up(&c);
	/* a line that does not end is not waited for */
	line = long_line(CTLSRV_LINE_MAX + (1 << 20));
	line[CTLSRV_LINE_MAX + (1 << 20)] = 'x';
	call(f, &c);
	expect_error(f, &c, line, "usage", "longer than 16 MiB", NULL);
	free(line);
	hang_up(&c);
}

static void half_a_line_waits_for_the_rest(void **state)
{
	static const char line[] = "{\"id\": 5, \"method\": \"health.show\"}\n";
	struct fix *f = *state;
	struct caller c;
	json_t *v;

	call(f, &c);
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		assert_int_equal(count_lines(&c), 0);
		bufferevent_write(c.bev, &line[i], 1);
		ctlfix_run_ready(f->base);
	}
	v = hear(f, &c);
	assert_int_equal(json_integer_value(json_object_get(v, "id")), 5);
	json_decref(v);
	say(&c, "{\"id\": 6, \"method\": \"health"); /* and then it goes */
	ctlfix_run_ready(f->base);
	hang_up(&c);
	ctlfix_run_ready(f->base);
}

/* `printf … | socat`: all lines at once, then the end of the input; every answer still comes. */
static void a_batch_is_answered_after_the_end_of_input(void **state)
{
	struct fix *f = *state;
	unsigned seen = 0;
	struct caller c;

	call(f, &c);
	for (unsigned i = 0; i < 20; i++) {
		char line[64];

		snprintf(line, sizeof(line), "{\"id\": %u, \"method\": \"%s\"}\n", i,
			i % 2 ? "status" : "health.show");
		say(&c, line);
	}
	ctlfix_run_ready(f->base);
	shutdown(bufferevent_getfd(c.bev), SHUT_WR);
	for (unsigned i = 0; i < 20; i++) {
		json_t *v = hear(f, &c);

		seen |= 1u << json_integer_value(json_object_get(v, "id"));
		assert_non_null(json_object_get(v, "result"));
		json_decref(v);
	}
	assert_int_equal(seen, (1u << 20) - 1);
	ctlfix_run_until(f->base, is_closed, &c);
	hang_up(&c);
}

/* More than a client may have under way: it is made to wait, not thrown out. */
static void a_thousand_requests_at_once_are_all_answered(void **state)
{
	struct fix *f = *state;
	struct caller c;

	call(f, &c);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_STATUS, .act = FAKEDP_HOLD, .times = 1};
	for (unsigned i = 0; i < 1000; i++)
		say(&c, "{\"id\": 1, \"method\": \"status\"}\n");
	ctlfix_run_ready(f->base);
	assert_int_equal(count_lines(&c), 0);
	fakedp_release(f->dp);
	c.n_wanted = 1000;
	ctlfix_run_until(f->base, has_lines, &c);
	assert_false(c.is_closed);
	assert_int_equal(count_lines(&c), 1000);
	hang_up(&c);
}

/* --- methods */

#define CONN(verb, params) "{\"id\": 1, \"method\": \"conn." verb "\", \"params\": {" params "}}\n"

static const struct {
	const char *line, *code, *message, *hint;
} refusals[] = {
	{"{\"id\": 1}\n", "usage", "has no \"method\"", NULL},
	{"{\"id\": 1, \"method\": 7}\n", "usage", "has no \"method\"", NULL},
	{"{\"id\": 1, \"method\": \"status\", \"params\": []}\n", "usage", "must be an object",
		NULL},
	{"{\"id\": 1, \"method\": \"status\", \"params\": null}\n", "usage", "must be an object",
		NULL},
	{"{\"id\": 1, \"method\": \"backend.drian\"}\n", "usage",
		"there is no method 'backend.drian'", "different releases"},
	/* a name that is cut within a character is still an answer */
	{"{\"id\": 1, \"method\": \"x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
	 "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
	 "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
	 "\xc3\xa9\xc3\xa9\xc3\xa9\"}\n",
		"usage", "there is no method 'x", NULL},
	{"{\"id\": 1, \"method\": \"status\", \"params\": {\"x\": 1}}\n", "usage",
		"parameters:", NULL},
	{"{\"id\": 1, \"method\": \"service.show\", \"params\": {\"name\": 7}}\n", "usage",
		"parameters:", NULL},
	{"{\"id\": 1, \"method\": \"service.show\", \"params\": {\"name\": \"shpo\"}}\n",
		"not_found", "there is no service 'shpo'", "did you mean 'shop'?"},
	{"{\"id\": 1, \"method\": \"explain\", \"params\": {\"proto\": \"udp\", \"client\": "
	 "\"10.1.0.9:1\", \"vip\": \"10.1.0.80:53\", \"segment\": true}}\n",
		"usage", "segment is for tcp", NULL},
	{"{\"id\": 1, \"method\": \"backend.drain\"}\n", "usage", "parameters:", NULL},
	{"{\"id\": 1, \"method\": \"backend.drain\", \"params\": {\"pool\": \"wep\", \"name\": "
	 "\"web1\"}}\n",
		"not_found", "there is no pool 'wep'", "did you mean 'web'?"},
	{"{\"id\": 1, \"method\": \"backend.drain\", \"params\": {\"pool\": \"web\", \"name\": "
	 "\"web9\"}}\n",
		"not_found", "'web9'", "did you mean 'web1'?"},
	{"{\"id\": 1, \"method\": \"backend.weight\", \"params\": {\"pool\": \"web\", \"name\": "
	 "\"web1\", \"weight\": 1001}}\n",
		"usage", "0..1000", NULL},
	{"{\"id\": 1, \"method\": \"backend.weight\", \"params\": {\"pool\": \"web\", \"name\": "
	 "\"web1\", \"weight\": \"5\"}}\n",
		"usage", "0..1000", NULL},
	{"{\"id\": 1, \"method\": \"backend.weight\", \"params\": {\"pool\": \"web\", \"name\": "
	 "\"web1\", \"weight\": 5.5}}\n",
		"usage", "0..1000", NULL},
	{"{\"id\": 1, \"method\": \"backend.show\", \"params\": {\"name\": \"web1\"}}\n", "usage",
		"with its pool", NULL},
	{"{\"id\": 1, \"method\": \"conn.show\", \"params\": {\"limit\": 0}}\n", "usage",
		"limit must be", NULL},
	{"{\"id\": 1, \"method\": \"conn.show\", \"params\": {\"limit\": 100001}}\n", "usage",
		"limit must be", NULL},
	{"{\"id\": 1, \"method\": \"conn.show\", \"params\": {\"client\": \"10.1.0\"}}\n", "usage",
		"address", NULL},
	{"{\"id\": 1, \"method\": \"conn.show\", \"params\": {\"state\": \"up\"}}\n", "usage",
		"no connection state 'up'", "established"},
	{CONN("show", "\"backend\": \"web9\""), "not_found", "no pool has a backend 'web9'", NULL},
	{CONN("show", "\"backend\": \"web/web9\""), "not_found", "'web9'", "did you mean 'web1'?"},
	{CONN("show", "\"client\": \"10.1.0.0/33\""), "usage", "must be 1...32", NULL},
	{CONN("show", "\"client\": \"10.1.0.1/24\""), "usage", "10.1.0.0/24", NULL},
	{CONN("show", "\"older_than_ms\": 0"), "usage", "older_than_ms must be 1..2592000000",
		NULL},
	{CONN("show", "\"younger_than_ms\": -1"), "usage", "younger_than_ms must be", NULL},
	{CONN("show", "\"idle_longer_than_ms\": 2592000001"), "usage", "idle_longer_than_ms", NULL},
	{CONN("show", "\"idle_shorter_than_ms\": 1.5"), "usage", "parameters:", NULL},
	{CONN("show", "\"older_than_ms\": 5, \"younger_than_ms\": 5"), "usage",
		"older_than_ms must be less than younger_than_ms", NULL},
	{CONN("show", "\"all\": true"), "usage", "parameters:", NULL},
	{CONN("count", "\"by\": \"colour\""), "usage", "'colour'", NULL},
	{CONN("count", "\"prefix\": 24"), "usage", "by 'client' only", NULL},
	{CONN("count", "\"by\": \"client\", \"prefix\": 33"), "usage", "prefix must be 1..32",
		NULL},
	{CONN("count", "\"by\": \"client\", \"prefix6\": 0"), "usage", "prefix6 1..128", NULL},
	{CONN("count", "\"top\": 0"), "usage", "top must be 1..20000", NULL},
	{CONN("kill", ""), "usage", "say which connections", NULL},
	{CONN("kill", "\"all\": false"), "usage", "say which connections", NULL},
	{CONN("kill", "\"all\": true, \"state\": \"syn\""), "usage", "without a filter", NULL},
	{CONN("kill", "\"service\": \"shpo\""), "not_found", "no service", "did you mean 'shop'?"},
	{"{\"id\": 1, \"method\": \"port.show\", \"params\": {\"name\": \"west\"}}\n", "not_found",
		"no port 'west'", "millrace port show"},
	{"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 1\"}}\n",
		"usage", "parameters:", NULL},
	{"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 2\", \"name\": "
	 "\"x\"}}\n",
		"invalid", "x: 1 error", NULL},
	{"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 1\", \"name\": "
	 "\"x\", \"if_generation\": 9}}\n",
		"conflict", "the applied generation is 1", "millrace config diff"},
};

static void what_is_wrong_is_said_and_the_client_stays(void **state)
{
	struct fix *f = *state;
	struct caller c;
	json_t *v;

	call(f, &c);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect_error(f, &c, refusals[i].line, refusals[i].code, refusals[i].message,
			refusals[i].hint);
	expect_item(f, &c, "{\"id\": 1, \"method\": \"status\"}\n", &v);
	json_decref(v);
	assert_int_equal(f->dp->generation, 1);
	hang_up(&c);
}

#define ON_WEB1(method, more) \
	"{\"id\": 1, \"method\": \"" method \
	"\", \"params\": {\"pool\": \"web\", \"name\": \"web1\"" more "}}\n"

static void orders_are_attributed_and_carried_out(void **state)
{
	struct fix *f = *state;
	const struct mr_object *o;
	struct caller c;
	json_t *v, *item, *admin;

	call(f, &c);
	item = expect_item(f, &c, ON_WEB1("backend.weight", ", \"weight\": 7"), &v);
	admin = json_object_get(item, "administrative");
	assert_string_equal(json_string_value(json_object_get(admin, "author")), "root");
	assert_int_equal(json_integer_value(json_object_get(admin, "weight")), 7);
	assert_true(json_is_false(json_object_get(admin, "drained")));
	json_decref(v);
	item = expect_item(f, &c, ON_WEB1("backend.drain", ", \"deadline_ms\": 60000"), &v);
	assert_true(json_is_string(
		json_object_get(json_object_get(item, "administrative"), "deadline")));
	json_decref(v);
	item = expect_item(f, &c, ON_WEB1("backend.drain", ""), &v);
	assert_true(
		json_is_null(json_object_get(json_object_get(item, "administrative"), "deadline")));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(item, "effective"), "state")),
		"drain");
	json_decref(v);
	ctlfix_run_until(f->base, is_in_sync, f);
	o = fakedp_find(f->dp, "backend/shop/web1");
	assert_int_equal(o->backend.weight, 7);
	assert_int_equal(o->backend.state, MR_BACKEND_DRAIN);
	/* the daemon is restarted: the drain is still there, and nothing was sent meanwhile */
	hang_up(&c);
	ctlsrv_destroy(&f->server);
	loop_destroy(&f->loop);
	memset(f->dp->n_requests, 0, sizeof(f->dp->n_requests));
	start_daemon(f, NULL);
	ctlfix_run_until(f->base, is_in_sync, f);
	assert_int_equal(f->dp->n_requests[MR_REQ_BEGIN], 0);
	call(f, &c);
	item = expect_item(f, &c, ON_WEB1("backend.show", ""), &v);
	assert_true(
		json_is_true(json_object_get(json_object_get(item, "administrative"), "drained")));
	json_decref(v);
	expect_item(f, &c, ON_WEB1("backend.undrain", ""), &v);
	json_decref(v);
	item = expect_item(f, &c, ON_WEB1("backend.weight", ", \"weight\": null"), &v);
	assert_true(
		json_is_null(json_object_get(json_object_get(item, "administrative"), "author")));
	json_decref(v);
	ctlfix_run_until(f->base, is_in_sync, f);
	o = fakedp_find(f->dp, "backend/shop/web1");
	assert_int_equal(o->backend.weight, 100);
	assert_int_equal(o->backend.state, MR_BACKEND_UP);
	hang_up(&c);
}

/* A name of a file and a comment of any length, cut or refused but never in the way of the apply. */
static void long_names_and_comments_do_not_fail_an_apply(void **state)
{
	struct fix *f = *state;
	char line[4096], name[302] = "x", comment[257] = "";
	struct caller c;
	json_t *v, *item;

	for (size_t i = 1; i < sizeof(name) - 1;
		i++) /* 301 bytes: byte 255 is within a character */
		name[i] = i % 2 != 0 ? '\xc3' : '\xa9';
	memset(comment, 'c', sizeof(comment) - 1);
	call(f, &c);
	snprintf(line, sizeof(line),
		"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 1\\n\", "
		"\"name\": \"%s\", \"comment\": \"because\"}}\n",
		name);
	expect_item(f, &c, line, &v);
	json_decref(v);
	item = expect_item(f, &c, "{\"id\": 1, \"method\": \"config.export\"}\n", &v);
	assert_string_equal(json_string_value(json_object_get(item, "text")), "version: 1\n");
	assert_string_equal(json_string_value(json_object_get(item, "comment")), "because");
	assert_int_equal(json_string_length(json_object_get(item, "name")), 255);
	json_decref(v);
	snprintf(line, sizeof(line),
		"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"text\": \"version: 1\\n\", "
		"\"name\": \"x\", \"comment\": \"%s\"}}\n",
		comment);
	expect_error(f, &c, line, "usage", "comment is longer than 255 bytes", NULL);
	hang_up(&c);
}

/* conf_text with a list for its service, which is the last line. */
static void apply_list(struct fix *f, struct caller *c, const char *list)
{
	char text[sizeof(conf_text) + 256], line[2 * sizeof(text)];
	size_t n;
	json_t *v;

	snprintf(text, sizeof(text), "%.*s, %s }\n", (int)(strlen(conf_text) - 3), conf_text, list);
	v = json_pack("{s:i, s:s, s:{s:s, s:s}}", "id", 1, "method", "config.apply", "params",
		"name", "x", "text", text);
	n = json_dumpb(v, line, sizeof(line) - 2, JSON_COMPACT);
	json_decref(v);
	assert_true(n > 0 && n < sizeof(line) - 2);
	memcpy(line + n, "\n", 2);
	memset(f->dp->n_requests, 0, sizeof(f->dp->n_requests));
	expect_item(f, c, line, &v);
	json_decref(v);
	ctlfix_run_until(f->base, is_in_sync, f);
}

static void a_list_that_changes_alone_is_sent_and_shown(void **state)
{
	struct fix *f = *state;
	struct caller c;
	json_t *v, *item;

	call(f, &c);
	apply_list(f, &c, "allow: [10.0.0.0/8], deny: [10.9.0.0/16, 10.9.0.1]");
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT], 3);
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 0);
	assert_int_equal(fakedp_find(f->dp, "acl/shop/10.0.0.0/8")->acl.action, MR_ACL_ALLOW);
	assert_int_equal(fakedp_find(f->dp, "acl/shop/10.9.0.1/32")->acl.action, MR_ACL_DENY);
	apply_list(f, &c, "allow: [10.0.0.0/8, 10.9.0.1], deny: [10.9.0.0/17]");
	assert_int_equal(f->dp->n_requests[MR_REQ_PUT], 2); /* the one that changed sides too */
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 1);
	assert_int_equal(fakedp_find(f->dp, "acl/shop/10.9.0.1/32")->acl.action, MR_ACL_ALLOW);
	assert_null(fakedp_find(f->dp, "acl/shop/10.9.0.0/16"));
	item = expect_item(f, &c,
		"{\"id\": 1, \"method\": \"service.show\", \"params\": {\"name\": \"shop\"}}\n",
		&v);
	assert_int_equal(json_integer_value(json_object_get(item, "allow_prefixes")), 2);
	assert_int_equal(json_integer_value(json_object_get(item, "deny_prefixes")), 1);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(item, "allow"), 1)), "10.9.0.1");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(item, "deny"), 0)), "10.9.0.0/17");
	assert_non_null(json_object_get(item, "acl_drops"));
	assert_true(json_is_null(json_object_get(item, "path_mtu"))); /* no tunnel */
	json_decref(v);
	item = expect_item(f, &c, "{\"id\": 1, \"method\": \"service.show\"}\n", &v);
	assert_int_equal(json_integer_value(json_object_get(item, "allow_prefixes")), 2);
	assert_null(json_object_get(item, "allow"));
	json_decref(v);
	apply_list(f, &c, "proto: tcp");
	assert_int_equal(f->dp->n_requests[MR_REQ_DEL], 3);
	hang_up(&c);
}

static void without_the_dataplane_what_is_known_is_told(void **state)
{
	struct fix *f = *state;
	struct caller c;
	json_t *v, *item;

	fakedp_stop(&f->dp);
	call(f, &c);
	item = expect_item(f, &c, "{\"id\": 1, \"method\": \"service.show\"}\n", &v);
	assert_true(json_is_null(json_object_get(item, "conns")));
	assert_int_equal(json_integer_value(json_object_get(item, "backends_up")), 2);
	json_decref(v);
	item = expect_item(f, &c, "{\"id\": 1, \"method\": \"status\"}\n", &v);
	item = json_object_get(item, "dataplane");
	assert_true(json_is_false(json_object_get(item, "connected")));
	assert_true(json_is_false(json_object_get(item, "in_sync")));
	assert_true(json_is_null(json_object_get(item, "generation")));
	json_decref(v);
	expect_error(f, &c, "{\"id\": 1, \"method\": \"conn.show\"}\n", "unreachable",
		"the dataplane does not answer", "is millraced running?");
	hang_up(&c);
}

/* --- clients */

static void clients_beyond_the_limit_are_told_so(void **state)
{
	static struct caller c[CTLSRV_CLIENTS_MAX + 1];
	struct fix *f = *state;
	const unsigned n_fds = ctlfix_n_fds();
	json_t *v;

	for (unsigned i = 0; i < CTLSRV_CLIENTS_MAX; i++) {
		call(f, &c[i]);
		if (i % 16 == 0)
			ctlfix_run_ready(f->base); /* the queue of the socket is shorter */
	}
	for (unsigned i = 0; i < CTLSRV_CLIENTS_MAX; i++) {
		expect_item(f, &c[i], "{\"id\": 1, \"method\": \"health.show\"}\n", &v);
		json_decref(v);
	}
	ctlfix_log_begin();
	call(f, &c[CTLSRV_CLIENTS_MAX]);
	v = hear(f, &c[CTLSRV_CLIENTS_MAX]);
	assert_non_null(strstr(ctlfix_log_end(), "a client was refused"));
	assert_non_null(json_object_get(json_object_get(v, "error"), "hint"));
	json_decref(v);
	ctlfix_run_until(f->base, is_closed, &c[CTLSRV_CLIENTS_MAX]);
	hang_up(&c[CTLSRV_CLIENTS_MAX]);
	hang_up(&c[0]); /* one goes: the next may come */
	ctlfix_run_ready(f->base);
	call(f, &c[0]);
	expect_item(f, &c[0], "{\"id\": 1, \"method\": \"health.show\"}\n", &v);
	json_decref(v);
	for (unsigned i = 0; i < CTLSRV_CLIENTS_MAX; i++)
		hang_up(&c[i]);
	ctlfix_run_ready(f->base);
	assert_int_equal(ctlfix_n_fds(), n_fds);
}

/* A hundred thousand questions and never a look at the answers: the daemon stops reading, it does not
 * hoard; and when the client reads after all, every answer is there. */
static void a_client_that_does_not_read_is_not_read_from(void **state)
{
	static const char line[] = "{\"id\": 1, \"method\": \"config.export\"}\n";
	struct fix *f = *state;
	struct rusage before, after;
	struct caller c;
	json_t *v;
	size_t n_sent = 0;
	int fd;

	call(f, &c);
	fd = bufferevent_getfd(c.bev);
	bufferevent_disable(c.bev, EV_READ | EV_WRITE);
	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = 0; k < 1000; k++) {
			const ssize_t n = send(fd, line, sizeof(line) - 1, MSG_DONTWAIT);

			if (n != sizeof(line) - 1) { /* whole lines or none: a stream may split */
				assert_true(n < 0);
				break;
			}
			n_sent++;
		}
		event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_true(n_sent > 1000);
	assert_true(after.ru_maxrss - before.ru_maxrss < 32 << 10); /* KiB */
	bufferevent_enable(c.bev, EV_READ);
	for (size_t i = 0; i < n_sent; i++) {
		v = hear(f, &c);
		assert_non_null(json_object_get(v, "result"));
		json_decref(v);
	}
	assert_false(c.is_closed);
	hang_up(&c);
}

/* Two hundred answers of almost half a MiB each, all asked for before the first one was ready. */
static void a_client_whose_answers_pile_up_is_dropped(void **state)
{
	struct fix *f = *state;
	char *line = NULL;
	struct caller c;
	const char *log;
	size_t len;
	FILE *out = open_memstream(&line, &len);
	json_t *v;

	assert_non_null(out);
	fputs("{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"name\": \"x\", \"text\": "
	      "\"version: 1\\npools:\\n  web:\\n    backends:\\n",
		out);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(out, "      - { name: b%u, ip: 10.1.%u.%u, port: 80 }\\n", i, i / 250,
			i % 250 + 1);
	fputs("\"}}\n", out);
	fclose(out);
	call(f, &c);
	expect_item(f, &c, line, &v);
	json_decref(v);
	free(line);
	ctlfix_run_until(f->base, is_in_sync, f);
	f->dp->rule = (struct fakedp_rule){.type = MR_REQ_BACKENDS, .act = FAKEDP_HOLD, .times = 1};
	for (unsigned i = 0; i < 200; i++)
		say(&c, "{\"id\": 1, \"method\": \"backend.show\"}\n");
	ctlfix_run_ready(f->base);
	bufferevent_disable(c.bev, EV_READ);
	ctlfix_log_begin();
	fakedp_release(f->dp);
	ctlfix_run_ready(f->base);
	log = ctlfix_log_end();
	assert_non_null(strstr(log, "does not read its answers"));
	assert_null(strstr(strstr(log, "does not read") + 1, "does not read")); /* once */
	bufferevent_enable(c.bev, EV_READ);
	ctlfix_run_until(f->base, is_closed, &c);
	assert_true(count_lines(&c) < 200);
	hang_up(&c);
	call(f, &c); /* the daemon is well */
	expect_item(f, &c, "{\"id\": 1, \"method\": \"status\"}\n", &v);
	json_decref(v);
	hang_up(&c);
}

/* The contract allows 16 MiB a line: who would get more is told so instead. */
static void an_answer_that_would_be_too_long_is_an_error(void **state)
{
	static const char head[] =
		"{\"id\": 1, \"method\": \"config.apply\", \"params\": {\"name\": "
		"\"x\", \"text\": \"version: 1\\n#";
	static const char tail[] = "\"}}\n";
	const size_t n = CTLSRV_LINE_MAX - 60;
	char *line = malloc(n + sizeof(tail));
	struct fix *f = *state;
	struct caller c;
	json_t *v;

	assert_non_null(line);
	memset(line, 'x', n);
	memcpy(line, head, sizeof(head) - 1);
	memcpy(line + n, tail, sizeof(tail));
	call(f, &c);
	expect_item(f, &c, line, &v);
	json_decref(v);
	free(line);
	expect_error(f, &c, "{\"id\": 1, \"method\": \"config.export\"}\n", "invalid",
		"longer than 16 MiB", "ask for less");
	expect_item(f, &c, "{\"id\": 1, \"method\": \"status\"}\n", &v);
	json_decref(v);
	hang_up(&c);
}

/* Without descriptors a client waits in the queue; the loop does not spin on it. */
static void want_of_descriptors_does_not_spin(void **state)
{
	struct fix *f = *state;
	struct rlimit old, low;
	struct caller c;
	unsigned n = 0;
	json_t *v;
	const char *log;

	call(f, &c);
	say(&c, "{\"id\": 1, \"method\": \"health.show\"}\n");
	getrlimit(RLIMIT_NOFILE, &old);
	low = (struct rlimit){3, old.rlim_max};
	ctlfix_log_begin();
	setrlimit(RLIMIT_NOFILE, &low);
	ctlfix_run_ready(f->base);
	setrlimit(RLIMIT_NOFILE, &old);
	log = ctlfix_log_end();
	for (const char *p = log; (p = strstr(p, "could not be accepted")) != NULL; p++)
		n++;
	assert_int_equal(n, 1);
	v = hear(f, &c);
	json_decref(v);
	hang_up(&c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(envelopes_are_those_of_the_contract),
		TEST(garbage_ends_its_client_only),
		TEST(a_line_may_be_16_mib_long_and_no_longer),
		TEST(half_a_line_waits_for_the_rest),
		TEST(a_batch_is_answered_after_the_end_of_input),
		TEST(a_thousand_requests_at_once_are_all_answered),
		TEST(what_is_wrong_is_said_and_the_client_stays),
		TEST(orders_are_attributed_and_carried_out),
		TEST(long_names_and_comments_do_not_fail_an_apply),
		TEST(a_list_that_changes_alone_is_sent_and_shown),
		TEST(without_the_dataplane_what_is_known_is_told),
		TEST(clients_beyond_the_limit_are_told_so),
		TEST(a_client_that_does_not_read_is_not_read_from),
		TEST(a_client_whose_answers_pile_up_is_dropped),
		TEST(an_answer_that_would_be_too_long_is_an_error),
		TEST(want_of_descriptors_does_not_spin),
	};

	umask(022);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("ctlsrv", tests, NULL, NULL);
}
