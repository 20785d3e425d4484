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

/* A client is not read from while so much of its own is under way … */
#define REQUESTS_MAX 256
#define OUT_BYTES_PAUSE (1u << 20) /* answers it has not read */
/* … and is given up when answers pile up nevertheless, or none has gone out for so long. */
#define OUT_BYTES_MAX (64u << 20)
#define WRITE_TIMEOUT_SEC 30
#define ACCEPT_PAUSE_SEC 1 /* without descriptors */

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
	size_t n_scanned; /* bytes of the input that hold no line end */
	bool is_paused;   /* not read from for a while */
	bool is_closing;  /* nothing is read any more; ends when the answers are out */
	bool is_dropped;  /* its answers go nowhere; ends as soon as the loop sees it */
};

struct ctlsrv {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *accept_again;
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

static void send_json(struct ctlsrv_client *c, json_t *value);

/* In place of an answer that cannot be sent: a request without an answer would be waited for for ever. */
static void send_error(struct ctlsrv_client *c, json_t *id, const char *code, const char *message,
	const char *hint)
{
	json_t *line = json_pack("{s:O, s:{s:s, s:s, s:s}}", "id", id, "error", "code", code,
		"message", message, "hint", hint);

	if (line != NULL)
		send_json(c, line);
	json_decref(line);
}

/* Callers still use c: the end comes from the loop, when writing fails. */
static void drop_client(struct ctlsrv_client *c)
{
	logline_write(LOGLINE_WARNING, "control socket", "uid %u does not read its answers: closed",
		c->cred.uid);
	bufferevent_disable(c->bev, EV_READ);
	c->is_closing = c->is_dropped = true;
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

static size_t n_unread(const struct ctlsrv_client *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

static void send_json(struct ctlsrv_client *c, json_t *value)
{
	char *text = c->is_dropped ? NULL : json_dumps(value, JSON_COMPACT);
	const size_t len = text != NULL ? strlen(text) : 0;

	if (c->is_dropped)
		return;
	if (text != NULL && len <= CTLSRV_LINE_MAX) {
		bufferevent_write(c->bev, text, len);
		bufferevent_write(c->bev, "\n", 1);
	}
	free(text);
	if (text == NULL)
		logline_write(LOGLINE_ERR, "control socket", "no memory for an answer");
	else if (len > CTLSRV_LINE_MAX)
		send_error(c, json_object_get(value, "id"), "invalid",
			"the answer would be longer than 16 MiB", "ask for less, as with --limit");
	if (n_unread(c) > OUT_BYTES_MAX && !c->is_dropped)
		drop_client(c);
}

static bool has_enough(const struct ctlsrv_client *c)
{
	return c->n_requests >= REQUESTS_MAX || n_unread(c) >= OUT_BYTES_PAUSE;
}

/* Goes on with the lines that have come already, from the loop. */
static void resume(struct ctlsrv_client *c)
{
	if (!c->is_paused || c->is_closing || has_enough(c))
		return;
	c->is_paused = false;
	bufferevent_enable(c->bev, EV_READ);
	bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
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
		else
			send_error(c, r->id, "internal", "the answer could not be made",
				"the daemon may be out of memory");
		json_decref(line);
		resume(c);
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
	error = json_pack("{s:s, s:o}", "code", code, "message", rowjson_text(message));
	if (hint != NULL)
		json_object_set_new(error, "hint", json_string(hint));
	if (details != NULL)
		json_object_set_new(error, "details", details);
	finish(r, "error", error);
}

/* Whether the peer has the group among its supplementary ones (unix(7)). */
static bool has_group(int fd, gid_t group)
{
	gid_t groups[256]; /* with more than that, the primary one must do */
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static bool may_change(const struct ctlsrv_client *c)
{
	return c->cred.uid == 0 || c->cred.uid == geteuid() || c->cred.gid == c->server->gid
		|| has_group(bufferevent_getfd(c->bev), c->server->gid);
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
	if (m == NULL) {
		ctlsrv_refuse(r, "usage", "the CLI and the daemon may be of different releases",
			NULL, "there is no method '%.64s'", name);
	} else if (m->is_change && !may_change(r->client)) {
		ctlsrv_refuse(r, "denied", "run it as root or as a member of the daemon's group",
			NULL, "%s changes the running system, which uid %u may not do", name,
			r->client->cred.uid);
	} else {
		if (m->is_change) /* the name service may take its time: not for every question */
			name_author(r->author_text, sizeof(r->author_text), r->client->cred.uid);
		m->run(r);
	}
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

/* The next whole line without its end (free it), or NULL. What was searched once is not searched again: a
 * line may be 16 MiB long and comes in small pieces. */
static char *take_line(struct ctlsrv_client *c, struct evbuffer *in, size_t *len)
{
	struct evbuffer_ptr from, eol;
	char *line;

	if (evbuffer_ptr_set(in, &from, c->n_scanned, EVBUFFER_PTR_SET) != 0)
		return NULL;
	eol = evbuffer_search_eol(in, &from, NULL, EVBUFFER_EOL_LF);
	if (eol.pos < 0) {
		c->n_scanned = evbuffer_get_length(in);
		return NULL;
	}
	c->n_scanned = 0;
	*len = (size_t)eol.pos;
	line = malloc(*len + 1);
	if (line != NULL)
		evbuffer_remove(in, line, *len);
	else
		evbuffer_drain(in, *len);
	evbuffer_drain(in, 1);
	return line;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct ctlsrv_client *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len;
	char *line;

	while (!c->is_closing && !has_enough(c) && (line = take_line(c, in, &len)) != NULL) {
		if (len > CTLSRV_LINE_MAX)
			reject_client(c, "the line is longer than 16 MiB");
		else
			on_line(c, line, len);
		free(line);
	}
	if (c->is_closing)
		return;
	if (has_enough(c)) {
		c->is_paused = true;
		bufferevent_disable(bev, EV_READ);
	} else if (evbuffer_get_length(in) > CTLSRV_LINE_MAX) {
		reject_client(c, "the line is longer than 16 MiB");
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct ctlsrv_client *c = arg;

	if (c->is_closing && c->n_requests == 0 && n_unread(c) == 0)
		destroy_client(c);
	else
		resume(c);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct ctlsrv_client *c = arg;

	if (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) {
		if (what & BEV_EVENT_TIMEOUT)
			logline_write(LOGLINE_WARNING, "control socket",
				"uid %u has read nothing for %d s: closed", c->cred.uid,
				WRITE_TIMEOUT_SEC);
		destroy_client(c);
	} else if (what & BEV_EVENT_EOF) { /* it may still read: `echo … | socat` does */
		c->is_closing = true;
		on_written(bev, c);
	}
}

static void refuse_client(int fd)
{
	static const char line[] =
		"{\"id\":null,\"error\":{\"code\":\"internal\",\"message\":\"256 clients are "
		"connected already\",\"hint\":\"wait for one of them to end, then try again\"}}\n";

	send(fd, line, sizeof(line) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	logline_write(LOGLINE_WARNING, "control socket",
		"a client was refused: there are %d already", CTLSRV_CLIENTS_MAX);
}

static void on_accept(
	struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct ctlsrv *s = arg;
	static const struct timeval write_timeout = {WRITE_TIMEOUT_SEC, 0};
	struct ctlsrv_client *c = calloc(1, sizeof(*c));
	socklen_t cred_len = sizeof(c->cred);

	if (s->n_clients >= CTLSRV_CLIENTS_MAX) {
		refuse_client(fd);
		goto err;
	}
	if (c == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &cred_len) != 0)
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
	bufferevent_set_timeouts(c->bev, NULL, &write_timeout);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;
err:
	free(c);
	close(fd);
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct ctlsrv *s = arg;

	evconnlistener_enable(s->listener);
}

/* The client that could not be accepted still waits: asked at once, the loop would do nothing else. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	static const struct timeval pause = {ACCEPT_PAUSE_SEC, 0};
	struct ctlsrv *s = arg;

	logline_write(LOGLINE_WARNING, "control socket", "a client could not be accepted: %s",
		strerror(errno));
	evconnlistener_disable(l);
	evtimer_add(s->accept_again, &pause);
}

/* Takes away a socket that nobody listens on. 0 or -errno; what is no socket is not ours to remove. */
static int clear_path(const struct sockaddr_un *sun)
{
	struct stat st;
	int fd, rc;

	if (lstat(sun->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* EAGAIN: somebody listens who is too busy to accept */
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN
		? -EADDRINUSE
		: 0;
	close(fd);
	if (rc == 0 && unlink(sun->sun_path) != 0)
		rc = -errno;
	return rc;
}

static int bind_socket(const struct ctlsrv *s, int fd)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	memcpy(sun.sun_path, s->path, sizeof(s->path));
	rc = clear_path(&sun);
	if (rc != 0)
		return rc;
	mask = umask(0117); /* 0660 from the start */
	rc = bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == 0 ? 0 : -errno;
	umask(mask);
	if (rc == 0 && chown(s->path, (uid_t)-1, s->gid) != 0)
		rc = -errno;
	return rc;
}

/* The group must be able to get at the socket. */
static void make_directory(const char *path, gid_t gid)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL || slash == dir)
		return;
	*slash = '\0';
	/* bind says what is wrong if it is not there now */
	if (mkdir(dir, 0750) == 0 && chown(dir, (uid_t)-1, gid) != 0)
		logline_write(LOGLINE_WARNING, "control socket",
			"%s could not be given to group %u: %s", dir, gid, strerror(errno));
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
	make_directory(s->path, s->gid);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -errno : bind_socket(s, fd);
	if (rc == 0) {
		s->accept_again = evtimer_new(base, on_accept_again, s);
		rc = s->accept_again != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0) {
		s->listener = evconnlistener_new(
			base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64, fd);
		rc = s->listener != NULL ? 0 : -EIO;
	}
	if (rc != 0) {
		logline_write(LOGLINE_ERR, "control socket", "%s: %s%s", s->path, strerror(-rc),
			rc == -EADDRINUSE ? ": another millrace-controld listens there"
				: rc == -ENOTSOCK
				? ": something else is there; give another path with --socket"
				: "");
		if (fd >= 0)
			close(fd);
		if (s->accept_again != NULL)
			event_free(s->accept_again);
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
	event_free(s->accept_again);
	evconnlistener_free(s->listener);
	unlink(s->path);
	free(s);
}
