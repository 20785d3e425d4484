/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctlsrv — see ctlsrv.h. A request that is answered later outlives its client: the client keeps a list
 * of its requests and clears their back pointer when it goes.
 */
#include "daemon/ctlsrv.h"

#include "daemon/logline.h"
#include "daemon/loop.h"
#include "daemon/rowjson.h"
#include "lib/text.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OUT_BYTES_MAX (256u << 20) /* answers a client has not read */
#define REQUESTS_MAX 256           /* of one client under way */

struct pending {
	struct ctlsrv_request r;
	LIST_ENTRY(pending) link;
};

struct ctlsrv_client {
	LIST_ENTRY(ctlsrv_client) link;
	LIST_HEAD(, pending) requests;
	unsigned n_requests;
	struct ctlsrv *server;
	struct bufferevent *bev;
	struct ucred cred;
	bool is_closing; /* nothing is read any more; ends when the answers are out */
};

struct ctlsrv {
	struct event_base *base;
	struct evconnlistener *listener;
	struct loop *loop;
	gid_t gid;
	unsigned n_clients;
	LIST_HEAD(, ctlsrv_client) clients;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void destroy_client(struct ctlsrv_client *c)
{
	struct pending *p;

	while ((p = LIST_FIRST(&c->requests)) != NULL) {
		LIST_REMOVE(p, link);
		p->r.client = NULL; /* its answer goes nowhere */
	}
	LIST_REMOVE(c, link);
	c->server->n_clients--;
	bufferevent_free(c->bev);
	free(c);
}

static void send_json(struct ctlsrv_client *c, json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	if (text == NULL) {
		logline_write(LOGLINE_ERR, "control socket", "no memory for an answer");
		return;
	}
	bufferevent_write(c->bev, text, strlen(text));
	bufferevent_write(c->bev, "\n", 1);
	free(text);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) > OUT_BYTES_MAX) {
		logline_write(LOGLINE_WARNING, "control socket",
			"uid %u does not read its answers: closed", c->cred.uid);
		bufferevent_disable(c->bev, EV_READ);
		c->is_closing = true;
	}
}

/* Sends the envelope to the client if it is still there, and ends the request. */
static void finish(struct ctlsrv_request *r, const char *key, json_t *value)
{
	struct pending *p = (struct pending *)(void *)((char *)r - offsetof(struct pending, r));
	struct ctlsrv_client *c = r->client;
	json_t *line;

	if (c != NULL) {
		LIST_REMOVE(p, link);
		c->n_requests--;
		line = json_pack("{s:O, s:O}", "id", r->id, key, value);
		if (line != NULL)
			send_json(c, line);
		json_decref(line);
	}
	json_decref(value);
	json_decref(r->id);
	json_decref(r->owned_params);
	free(p);
}

void ctlsrv_answer(struct ctlsrv_request *r, const char *topic, json_t *items, json_t *extra)
{
	char schema[64];
	json_t *result;

	snprintf(schema, sizeof(schema), "millrace.%s/1", topic);
	result = json_pack("{s:s, s:I, s:o, s:o}", "schema", schema, "generation",
		(json_int_t)loop_desired(r->loop)->generation, "time", rowjson_time(loop_now_ms()),
		"items", items);
	if (extra != NULL)
		json_object_update(result, extra);
	json_decref(extra);
	finish(r, "result", result);
}

void ctlsrv_refuse(struct ctlsrv_request *r, const char *code, const char *hint, json_t *details,
	const char *fmt, ...)
{
	char message[1024];
	json_t *error;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	text_utf8_repair(message); /* "%.64s" may cut a character, which JSON would not take */
	error = json_pack("{s:s, s:s}", "code", code, "message", message);
	if (hint != NULL)
		json_object_set_new(error, "hint", json_string(hint));
	if (details != NULL)
		json_object_set_new(error, "details", details);
	finish(r, "error", error);
}

static bool may_change(const struct ctlsrv_client *c)
{
	return c->cred.uid == 0 || c->cred.uid == geteuid() || c->cred.gid == c->server->gid;
}

static void name_author(char *out, size_t size, uid_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	if (pw != NULL)
		snprintf(out, size, "%s", pw->pw_name);
	else
		snprintf(out, size, "uid %u", uid);
}

static const struct ctlsrv_method *find_method(const char *name)
{
	const struct ctlsrv_method *m = method_table;

	while (m->name != NULL && strcmp(m->name, name) != 0)
		m++;
	return m->name != NULL ? m : NULL;
}

static void dispatch(struct ctlsrv_request *r, const json_t *request)
{
	const struct ctlsrv_method *m;
	const char *name = json_string_value(json_object_get(request, "method"));

	if (name == NULL) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "the request has no \"method\"");
		return;
	}
	if (!json_is_object(r->params)) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "\"params\" must be an object");
		return;
	}
	m = find_method(name);
	if (m == NULL)
		ctlsrv_refuse(r, "usage", "the CLI and the daemon may be of different releases",
			NULL, "there is no method '%.64s'", name);
	else if (m->is_change && !may_change(r->client))
		ctlsrv_refuse(r, "denied", "run it as root or as a member of the daemon's group",
			NULL, "%s changes the running system, which uid %u may not do", name,
			r->client->cred.uid);
	else
		m->run(r);
}

static void on_request(struct ctlsrv_client *c, json_t *request)
{
	struct pending *p = calloc(1, sizeof(*p));
	json_t *params = json_object_get(request, "params");
	json_t *id = json_object_get(request, "id");

	if (p == NULL)
		return;
	p->r.loop = c->server->loop;
	p->r.client = c;
	p->r.id = id != NULL ? json_incref(id) : json_null();
	p->r.owned_params = params != NULL ? json_incref(params) : json_object();
	p->r.params = p->r.owned_params;
	name_author(p->r.author_text, sizeof(p->r.author_text), c->cred.uid);
	p->r.author = p->r.author_text;
	LIST_INSERT_HEAD(&c->requests, p, link);
	c->n_requests++;
	dispatch(&p->r, request);
}

/* What cannot be answered to an id ends the client, after a word why. */
static void reject_client(struct ctlsrv_client *c, const char *why)
{
	json_t *line =
		json_pack("{s:n, s:{s:s, s:s}}", "id", "error", "code", "usage", "message", why);

	bufferevent_disable(c->bev, EV_READ);
	c->is_closing = true;
	send_json(c, line);
	json_decref(line);
}

static void on_line(struct ctlsrv_client *c, const char *line, size_t len)
{
	json_error_t error;
	char why[256];
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);

	if (json_is_object(request)) {
		on_request(c, request);
	} else {
		snprintf(why, sizeof(why), "the line is no JSON object: %s",
			request == NULL ? error.text : "it is another value");
		text_utf8_repair(why); /* jansson quotes the line, cut anywhere */
		reject_client(c, why);
	}
	json_decref(request);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct ctlsrv_client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len;
	char *line;

	while (!c->is_closing && c->n_requests < REQUESTS_MAX
		&& (line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF)) != NULL) {
		on_line(c, line, len);
		free(line);
	}
	if (!c->is_closing && c->n_requests >= REQUESTS_MAX)
		reject_client(c, "more than 256 requests under way on one connection");
	else if (!c->is_closing && evbuffer_get_length(in) > CTLSRV_LINE_MAX)
		reject_client(c, "the line is longer than 16 MiB");
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct ctlsrv_client *c = arg;

	if (c->is_closing && c->n_requests == 0
		&& evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		destroy_client(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct ctlsrv_client *c = arg;

	if (what & BEV_EVENT_ERROR) {
		destroy_client(c);
	} else if (what & BEV_EVENT_EOF) { /* it may still read: `echo … | socat` does */
		c->is_closing = true;
		on_written(bev, c);
	}
}

static void on_accept(
	struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct ctlsrv *s = arg;
	struct ctlsrv_client *c = calloc(1, sizeof(*c));
	socklen_t cred_len = sizeof(c->cred);

	if (c == NULL || s->n_clients >= CTLSRV_CLIENTS_MAX
		|| getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &cred_len) != 0)
		goto err;
	c->bev = bufferevent_socket_new(
		s->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c->bev == NULL)
		goto err;
	c->server = s;
	LIST_INIT(&c->requests);
	LIST_INSERT_HEAD(&s->clients, c, link);
	s->n_clients++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;
err:
	free(c);
	close(fd);
}

static void on_accept_error(struct evconnlistener *l, void *arg)
{
	logline_write(LOGLINE_WARNING, "control socket", "a client could not be accepted: %s",
		strerror(errno));
}

/* 0 or -errno. A socket that somebody listens on is left alone. */
static int bind_socket(const struct ctlsrv *s, int fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mode_t mask;
	int rc;

	memcpy(sun.sun_path, s->path, sizeof(s->path));
	if (probe < 0)
		return -errno;
	rc = connect(probe, (const struct sockaddr *)&sun, sizeof(sun));
	close(probe);
	if (rc == 0)
		return -EADDRINUSE;
	unlink(s->path);
	mask = umask(0117); /* 0660 from the start */
	rc = bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : -errno;
	umask(mask);
	if (rc == 0 && chown(s->path, (uid_t)-1, s->gid) != 0)
		rc = -errno;
	return rc;
}

static void make_directory(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return;
	*slash = '\0';
	mkdir(dir, 0750); /* bind says what is wrong if it is not there now */
}

static int find_group(const char *name, gid_t *gid)
{
	const struct group *gr;

	if (name == NULL) {
		*gid = getegid();
		return 0;
	}
	gr = getgrnam(name);
	if (gr == NULL) {
		logline_write(LOGLINE_ERR, "control socket",
			"there is no group '%s': create it with `groupadd --system %s`, or leave "
			"--group out",
			name, name);
		return -ENOENT;
	}
	*gid = gr->gr_gid;
	return 0;
}

int ctlsrv_create(struct ctlsrv **out, struct event_base *base, const struct ctlsrv_params *params)
{
	struct ctlsrv *s;
	int fd, rc;

	if (strlen(params->socket) >= sizeof(s->path)) {
		logline_write(LOGLINE_ERR, "control socket", "path %s is too long", params->socket);
		return -ENAMETOOLONG;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->base = base;
	s->loop = params->loop;
	LIST_INIT(&s->clients);
	snprintf(s->path, sizeof(s->path), "%s", params->socket);
	rc = find_group(params->group, &s->gid);
	if (rc != 0) {
		free(s);
		return rc;
	}
	make_directory(s->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : bind_socket(s, fd);
	if (rc == 0) {
		s->listener = evconnlistener_new(
			base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64, fd);
		rc = s->listener != NULL ? 0 : -EIO;
	}
	if (rc != 0) {
		logline_write(LOGLINE_ERR, "control socket", "%s: %s%s", s->path, strerror(-rc),
			rc == -EADDRINUSE ? ": another millrace-controld listens there" : "");
		if (fd >= 0)
			close(fd);
		free(s);
		return rc;
	}
	evconnlistener_set_error_cb(s->listener, on_accept_error);
	*out = s;
	return 0;
}

void ctlsrv_destroy(struct ctlsrv **sp)
{
	struct ctlsrv *s = *sp;
	struct ctlsrv_client *c;

	*sp = NULL;
	if (s == NULL)
		return;
	while ((c = LIST_FIRST(&s->clients)) != NULL)
		destroy_client(c);
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s);
}
