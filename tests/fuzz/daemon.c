/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon — see daemon.h. */
#include "daemon.h"

#include "daemon/ctlsrv.h"
#include "daemon/logline.h"
#include "fuzz.h"

#include <curl/curl.h>
#include <event2/event.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define TURNS_MAX 4000
#define IN_STEP 65536u

static struct event_base *base;
static struct loop *loop;
static struct ctlsrv *server;
static const char *dir;
static char control_path[128], dataplane_path[128], text_path[128];

/* Pools without checks: health is not what is fuzzed, and probes take time. */
static const char config[] =
	"version: 1\n"
	"node: { name: box }\n"
	"network:\n"
	"  ports:\n"
	"    north: { addresses: [10.1.0.1/24, \"fd00:1::1/64\"], gateways: [10.1.0.254] }\n"
	"    south: { addresses: [10.2.0.1/24, \"fd00:2::1/64\"] }\n"
	"  snat: [10.2.0.100]\n"
	"pools:\n"
	"  web: { backends: [ { name: w1, ip: 10.2.0.11 }, { name: w2, ip: 10.2.0.12 } ] }\n"
	"  six: { backends: [ { name: w1, ip: \"fd00:2::11\" } ] }\n"
	"caches: { hot: { memory: 64MB } }\n"
	"services:\n"
	"  memo: { kind: cache, vip: 10.1.0.81, port: 11211, proto: udp, cache: hot, allow: [10.1.0.0/24] }\n"
	"  talk: { kind: cache, vip: 10.1.0.81, port: 11211, cache: hot, max_connections: 9 }\n"
	"  shop: { vip: 10.1.0.80, port: 80, mode: full-nat, maglev_size: 251, pool: web }\n"
	"  six: { vip: \"fd00:1::80\", port: 53, proto: udp, mode: dsr-l2, pool: six }\n";

void daemon_init(void)
{
	FUZZ_NEED(unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
		"a network namespace is needed, so that no probe leaves this process");
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT); /* once, not with each daemon */
	dir = fuzz_dir();
	snprintf(control_path, sizeof(control_path), "%s/control.sock", dir);
	snprintf(dataplane_path, sizeof(dataplane_path), "%s/dataplane.sock", dir);
	snprintf(text_path, sizeof(text_path), "%s/config.yaml", dir);
	base = event_base_new();
	FUZZ_NEED(base != NULL, "event base");
	logline_set_level(LOGLINE_ERR);
}

const char *daemon_dir(void)
{
	return dir;
}

const char *daemon_dataplane(void)
{
	return dataplane_path;
}

struct loop *daemon_loop(void)
{
	return loop;
}

void daemon_start(void)
{
	const struct loop_params lp = {.state_dir = dir, .dataplane = dataplane_path};
	struct ctlsrv_params sp = {.socket = control_path};
	const int fd = open(text_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	FUZZ_NEED(fd >= 0 && write(fd, config, sizeof(config) - 1) == (ssize_t)sizeof(config) - 1,
		text_path);
	close(fd);
	FUZZ_NEED(loop_create(&loop, base, &lp) == 0, "daemon");
	sp.loop = loop;
	FUZZ_NEED(ctlsrv_create(&server, base, &sp) == 0, control_path);
}

void daemon_stop(void)
{
	ctlsrv_destroy(&server);
	loop_destroy(&loop);
	fuzz_dir_clear(dir);
}

bool daemon_turn(void)
{
	return event_base_loop(base, EVLOOP_NONBLOCK) == 0;
}

/* --- clients --- */

void daemon_client_open(struct daemon_client *c)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(c, 0, sizeof(*c));
	memcpy(sa.sun_path, control_path, strlen(control_path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	FUZZ_NEED(c->fd >= 0, "socket");
	FUZZ_CHECK(connect(c->fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0,
		"the daemon does not listen: %s", strerror(errno));
}

/* What the daemon owes for a line. */
static void count_line(struct daemon_client *c, const char *line, size_t n)
{
	json_t *v;

	if (c->is_over)
		return;
	v = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(v))
		c->n_owed++;
	else
		c->is_over = true;
	json_decref(v);
}

/* Cuts what is sent into the lines the daemon will see. */
static void count_lines(struct daemon_client *c, const char *bytes, size_t n)
{
	char *end;

	c->out = realloc(c->out, c->n_out + n + 1);
	FUZZ_NEED(c->out != NULL, "no memory");
	memcpy(c->out + c->n_out, bytes, n);
	c->n_out += n;
	while ((end = memchr(c->out, '\n', c->n_out)) != NULL) {
		const size_t len = (size_t)(end - c->out);

		count_line(c, c->out, len);
		c->n_out -= len + 1;
		memmove(c->out, end + 1, c->n_out);
	}
}

void daemon_client_send(struct daemon_client *c, const void *bytes, size_t n)
{
	const char *p = bytes;

	if (c->fd < 0 || c->is_closed)
		return;
	count_lines(c, p, n);
	while (n > 0) {
		const ssize_t sent = send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN) {
			daemon_client_read(c);
			return;
		}
		if (sent < 0) {
			if (c->is_over)
				return; /* it reads no more */
			daemon_turn();
			daemon_client_read(c);
			continue;
		}
		p += sent;
		n -= (size_t)sent;
	}
}

/* All codes but "internal": there is memory, and room in the state directory. */
static bool is_known_code(const char *code)
{
	static const char *const codes[] = {
		"usage", "invalid", "not_found", "conflict", "unreachable", "denied", "timeout"};

	for (size_t i = 0; code != NULL && i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (strcmp(codes[i], code) == 0)
			return true;
	}
	return false;
}

/* Not the answer to a request but why the connection ends; may come before answers that take longer. */
static bool take_farewell(struct daemon_client *c, const json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	if (message == NULL)
		return false;
	if (strncmp(message, "more than 256 requests ", 23) == 0)
		c->is_over = c->is_cut = true;
	else if (strncmp(message, "the line is ", 12) != 0)
		return false;
	FUZZ_CHECK(c->is_over && !c->is_told, "sent away: %s", message);
	c->is_told = true;
	return true;
}

/* One answer. */
static void check_answer(struct daemon_client *c, const char *line, size_t n)
{
	json_t *v = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const json_t *id = json_object_get(v, "id"), *result = json_object_get(v, "result"),
		     *error = json_object_get(v, "error");

	FUZZ_CHECK(id != NULL && json_object_size(v) == 2 && (result == NULL) != (error == NULL),
		"not an answer: %.*s", (int)n, line);
	if (result != NULL)
		FUZZ_CHECK(json_is_string(json_object_get(result, "schema"))
				&& json_is_integer(json_object_get(result, "generation"))
				&& json_is_array(json_object_get(result, "items")),
			"not a result: %.*s", (int)n, line);
	else
		FUZZ_CHECK(is_known_code(json_string_value(json_object_get(error, "code")))
				&& json_string_length(json_object_get(error, "message")) > 0,
			"not an error: %.*s", (int)n, line);
	if (!take_farewell(c, error)) {
		FUZZ_CHECK(c->n_owed > 0, "an answer too many: %.*s", (int)n, line);
		c->n_owed--;
	}
	json_decref(c->last);
	c->last = v;
}

static void check_answers(struct daemon_client *c)
{
	char *end;

	while ((end = memchr(c->in, '\n', c->n_in)) != NULL) {
		const size_t len = (size_t)(end - c->in);

		check_answer(c, c->in, len);
		c->n_in -= len + 1;
		memmove(c->in, end + 1, c->n_in);
	}
}

void daemon_client_read(struct daemon_client *c)
{
	ssize_t n;

	if (c->fd < 0)
		return;
	do {
		c->in = realloc(c->in, c->n_in + IN_STEP);
		FUZZ_NEED(c->in != NULL, "no memory");
		n = recv(c->fd, c->in + c->n_in, IN_STEP, MSG_DONTWAIT);
		if (n > 0) {
			c->n_in += (size_t)n;
			check_answers(c);
		}
	} while (n > 0);
	if (n == 0 || errno != EAGAIN)
		c->is_closed = true;
}

static bool is_settled(const struct daemon_client *c)
{
	return c->is_closed || c->is_cut || (c->n_owed == 0 && (!c->is_over || c->is_told));
}

void daemon_client_settle(struct daemon_client *c)
{
	for (unsigned i = 0; i < TURNS_MAX && !is_settled(c); i++) {
		daemon_turn();
		daemon_client_read(c);
	}
	FUZZ_CHECK(c->n_owed == 0 || c->is_cut, "%u requests are not answered", c->n_owed);
	FUZZ_CHECK(!c->is_over || c->is_told, "what made no sense was not answered");
}

void daemon_client_close(struct daemon_client *c)
{
	shutdown(c->fd, SHUT_WR);
	for (unsigned i = 0; i < TURNS_MAX && !c->is_closed; i++) {
		daemon_turn();
		daemon_client_read(c);
	}
	FUZZ_CHECK(c->is_closed, "the daemon does not end the connection");
	FUZZ_CHECK(c->n_in == 0, "half an answer: %.*s", (int)c->n_in, c->in);
	close(c->fd);
	free(c->out);
	free(c->in);
	json_decref(c->last);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

void daemon_check_alive(void)
{
	static const char ask[] = "{\"id\": 7, \"method\": \"status\"}\n";
	struct daemon_client c;
	json_int_t id = 0;
	json_t *daemon;

	daemon_client_open(&c);
	daemon_client_send(&c, ask, sizeof(ask) - 1);
	daemon_client_settle(&c);
	FUZZ_CHECK(
		json_unpack(c.last, "{s:I, s:{s:[{s:o}]}}", "id", &id, "result", "items", "daemon",
			&daemon) == 0
			&& id == 7,
		"status is not answered");
	daemon_client_close(&c);
}
