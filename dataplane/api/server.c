/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server — see server.h. One epoll set; clients are non-blocking stream sockets. A request is refused
 * with an error reply when it is well framed and wrong, and its client is closed when the bytes
 * themselves make no sense (length out of range, first frame not HELLO, another API version).
 */
#include "api/explain.h"
#include "api/server_pvt.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

LOG_TYPE(api)

#define IN_STEP 65536u
#define FRAMES_PER_POLL 256 /* of one client, so that a busy one does not starve the others */

/* ---- replies ---- */

int server_refuse(
	struct mr_error *err, int rc, unsigned code, const char *object, const char *format, ...)
{
	va_list ap;

	memset(err, 0, sizeof(*err));
	err->code = (uint16_t)code;
	snprintf(err->object, sizeof(err->object), "%s", object);
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	return rc;
}

int server_decode(
	const struct mr_frame *f, const struct mr_msg *msg, void *object, struct mr_error *err)
{
	const struct mr_field *bad;

	if (mr_msg_decode(msg, object, f->body, f->body_len, &bad) == 0)
		return 0;
	return server_refuse(err, -EBADMSG, MR_ERR_PROTO, bad ? bad->name : msg->name,
		bad ? "field '%s' of %s is missing, repeated, too long or has the wrong size"
		    : "the fields are cut short%s%s",
		bad ? bad->name : "", bad ? msg->name : "");
}

/* Makes room for n more bytes of replies; a client that lets them grow too long gets no more. */
static int reserve_out(struct api_client *c, uint32_t n)
{
	uint32_t cap = c->out_cap ? c->out_cap : IN_STEP;
	uint8_t *out;

	if (c->out_len + n > API_OUT_MAX)
		c->is_closing = true;
	if (c->is_closing)
		return -ENOBUFS;
	while (cap < c->out_len + n)
		cap *= 2;
	if (cap == c->out_cap)
		return 0;
	out = realloc(c->out, cap);
	if (out == NULL) {
		c->is_closing = true;
		return -ENOMEM;
	}
	c->out = out;
	c->out_cap = cap;
	return 0;
}

/* Encodes one frame at the end of the out buffer. obj, when given, is written with its type. */
static int append_frame(struct api_client *c, uint16_t type, uint16_t flags, uint32_t request,
	const struct mr_msg *msg, const void *object, const struct mr_object *obj)
{
	struct mr_writer w;
	uint32_t at;
	int rc = reserve_out(c, 4096);

	if (rc != 0)
		return rc;
	mr_writer_init(&w, c->out + c->out_len, c->out_cap - c->out_len);
	at = mr_frame_begin(&w, type, flags, request);
	if (obj != NULL)
		mr_object_encode(&w, obj);
	else if (msg != NULL)
		mr_msg_encode(&w, msg, object);
	if (mr_frame_end(&w, at) != 0)
		return -ENOBUFS;
	c->out_len += w.len;
	return 0;
}

int server_reply(struct api_client *c, uint16_t type, uint16_t flags, uint32_t request,
	const struct mr_msg *msg, const void *object)
{
	return append_frame(c, type, flags, request, msg, object, NULL);
}

int server_reply_object(struct api_client *c, const struct mr_frame *f, const struct mr_object *o)
{
	return append_frame(c, f->type, MR_F_REPLY | MR_F_MORE, f->request, NULL, NULL, o);
}

void server_reply_end(struct api_client *c, uint16_t type, uint32_t request)
{
	append_frame(c, type, MR_F_REPLY, request, NULL, NULL, NULL);
}

/* ---- requests ---- */

bool server_has_jobs(const struct api_server *s)
{
	return conndump_is_running(s) || explain_is_running(s) || tcpreq_is_running(s);
}

static int on_hello(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_hello hello;
	int rc = server_decode(f, &mr_hello_msg, &hello, err);

	if (rc != 0) {
		c->is_closing = true;
		return rc;
	}
	if (hello.version != MR_API_VERSION) {
		c->is_closing = true;
		return server_refuse(err, -EPROTONOSUPPORT, MR_ERR_VERSION, "version",
			"client speaks version %u, this dataplane %d: install the same release of both",
			hello.version, MR_API_VERSION);
	}
	memcpy(c->name, hello.client, sizeof(c->name));
	c->said_hello = true;
	return rows_on_status(s, c, f, err);
}

struct handler {
	api_handler on_request;
	enum mr_role role;
	const char *name;
};

#define HANDLER(sym, fn) \
	[sym] = {.on_request = fn, .role = (enum mr_role)sym##_ROLE, .name = sym##_NAME}
#define REQUEST_ROLE(sym, number, name, req, row, role) sym##_ROLE = role,
enum { MR_REQUESTS(REQUEST_ROLE) };
#define REQUEST_NAME(sym, number, name, req, row, role) static const char sym##_NAME[] = name;
MR_REQUESTS(REQUEST_NAME)

static const struct handler handlers[] = {
	HANDLER(MR_REQ_HELLO, on_hello),
	HANDLER(MR_REQ_STATUS, rows_on_status),
	HANDLER(MR_REQ_BEGIN, txn_on_begin),
	HANDLER(MR_REQ_PUT, txn_on_put),
	HANDLER(MR_REQ_DEL, txn_on_del),
	HANDLER(MR_REQ_PREPARE, txn_on_prepare),
	HANDLER(MR_REQ_COMMIT, txn_on_commit),
	HANDLER(MR_REQ_ABORT, txn_on_abort),
	HANDLER(MR_REQ_DUMP, txn_on_dump),
	HANDLER(MR_REQ_PORTS, rows_on_ports),
	HANDLER(MR_REQ_COUNTERS, rows_on_counters),
	HANDLER(MR_REQ_SERVICES, rows_on_services),
	HANDLER(MR_REQ_BACKENDS, rows_on_backends),
	HANDLER(MR_REQ_CONNS, conndump_on_conns),
	HANDLER(MR_REQ_NEIGHS, rows_on_neighs),
	HANDLER(MR_REQ_WORKERS, rows_on_workers),
	HANDLER(MR_REQ_CONN_KILL, conndump_on_conn_kill),
	HANDLER(MR_REQ_EXPLAIN, explain_on_explain),
	HANDLER(MR_REQ_CAPTURE_START, capturereq_on_start),
	HANDLER(MR_REQ_CAPTURE_READ, capturereq_on_read),
	HANDLER(MR_REQ_CAPTURE_STOP, capturereq_on_stop),
	HANDLER(MR_REQ_TRACE_READ, capturereq_on_trace_read),
	HANDLER(MR_REQ_CACHES, cachereq_on_caches),
	HANDLER(MR_REQ_CACHE_GET, cachereq_on_get),
	HANDLER(MR_REQ_CACHE_PURGE, cachereq_on_purge),
	HANDLER(MR_REQ_CACHE_HOTKEYS, cachewatch_on_hotkeys),
	HANDLER(MR_REQ_CACHE_LATENCY, cachewatch_on_latency),
	HANDLER(MR_REQ_CACHE_BIGKEYS, cachebig_on_bigkeys),
	HANDLER(MR_REQ_TCP, tcpreq_on_tcp),
};
#define N_HANDLERS (sizeof(handlers) / sizeof(handlers[0]))
_Static_assert(N_HANDLERS == MR_REQ_TCP + 1, "the last request has a handler");

static int dispatch(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct handler *h = f->type < N_HANDLERS ? &handlers[f->type] : NULL;

	if (!c->said_hello && f->type != MR_REQ_HELLO) {
		c->is_closing = true;
		return server_refuse(
			err, -EPROTO, MR_ERR_REQUEST, "hello", "the first request must be HELLO");
	}
	if (h == NULL || h->on_request == NULL)
		return server_refuse(err, -ENOSYS, MR_ERR_REQUEST, "type",
			"request %u is unknown to this release", f->type);
	if (h->role == MR_ROLE_CHANGE && !c->may_change)
		return server_refuse(err, -EACCES, MR_ERR_DENIED, h->name,
			"uid %u may only read: run as root, as the dataplane's user, or in its --group",
			(unsigned)c->uid);
	return h->on_request(s, c, f, err);
}

static void on_frame(struct api_server *s, struct api_client *c, const struct mr_frame *f)
{
	struct mr_error err;
	int rc;

	memset(&err, 0, sizeof(err));
	rc = dispatch(s, c, f, &err);
	if (rc == API_LATER)
		return;
	if (rc == 0)
		server_reply_end(c, f->type, f->request);
	else {
		const bool is_closing = c->is_closing;

		LOG_DEBUG("client '%s': request %u refused: %s: %s", c->name, f->type, err.object,
			err.message);
		c->is_closing = false; /* the reason still goes out */
		server_reply(c, f->type, MR_F_REPLY | MR_F_ERROR, f->request, &mr_error_msg, &err);
		c->is_closing = is_closing;
	}
}

/* ---- clients ---- */

static void close_client(struct api_server *s, unsigned i)
{
	struct api_client *c = s->clients[i];

	if (s->txn_owner == c) {
		LOG_NOTICE("client '%s': gone with a transaction open: dropped, generation %" PRIu64
			   " runs on",
			c->name, snapshot_get()->generation);
		txn_abort(s);
	}
	conndump_forget(s, c);
	explain_forget(s, c);
	cachebig_forget(s, c);
	tcpreq_forget(s, c);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
	s->clients[i] = NULL;
}

/* Takes whole frames from the front of the in buffer. False: the bytes make no sense. */
static bool consume_frames(struct api_server *s, struct api_client *c)
{
	uint32_t at = 0;
	int n = 0;

	for (int k = 0; k < FRAMES_PER_POLL && !c->is_blocked && !c->is_closing; k++) {
		struct mr_frame f;

		n = mr_frame_parse(&f, c->in + at, c->in_len - at);
		if (n <= 0)
			break;
		on_frame(s, c, &f);
		at += (uint32_t)n;
	}
	if (at > 0) {
		c->in_len -= at;
		memmove(c->in, c->in + at, c->in_len);
	}
	if (n < 0)
		LOG_WARNING("client '%s': frame length out of range: closed", c->name);
	return n >= 0;
}

/* Reads what there is. False: end of file or error. */
static bool read_some(struct api_client *c)
{
	ssize_t n;

	if (c->in_cap - c->in_len < IN_STEP) {
		uint8_t *in;

		if (c->in_len >= MR_FRAME_MAX + IN_STEP)
			return true; /* a whole frame is there: consume first */
		in = realloc(c->in, c->in_cap + 2 * IN_STEP);
		if (in == NULL)
			return false;
		c->in = in;
		c->in_cap += 2 * IN_STEP;
	}
	n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len, MSG_DONTWAIT);
	if (n > 0)
		c->in_len += (uint32_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Sends what it can; *has_moved when that is something. False: the peer is gone. */
static bool write_some(struct api_client *c, bool *has_moved)
{
	while (c->out_sent < c->out_len) {
		const ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_sent += (uint32_t)n;
		*has_moved = true;
	}
	c->out_sent = 0;
	c->out_len = 0;
	return true;
}

static void watch(const struct api_server *s, const struct api_client *c, unsigned i, int op)
{
	struct epoll_event ev = {.data.u32 = i + 1};

	if (!c->is_blocked && !c->is_closing)
		ev.events |= EPOLLIN;
	if (c->out_sent < c->out_len)
		ev.events |= EPOLLOUT;
	epoll_ctl(s->epoll_fd, op, c->fd, &ev);
}

/* One turn of a client: read, serve, write; closes it when it is over. */
static void serve_client(struct api_server *s, unsigned i, bool is_readable)
{
	struct api_client *c = s->clients[i];
	const uint32_t n_before = c->in_len;
	bool is_alive = true, has_moved;

	if (is_readable)
		is_alive = read_some(c);
	has_moved = c->in_len > n_before;
	if (c->in_len > 0 && !consume_frames(s, c))
		c->is_closing = true;
	is_alive = write_some(c, &has_moved) && is_alive;
	/* bytes that do not amount to HELLO, or come after the end, do not count */
	if (has_moved && c->said_hello && !c->is_closing)
		c->moved_ms = s->p.now_ms();
	if (!is_alive || (c->is_closing && c->out_len == 0))
		close_client(s, i);
	else
		watch(s, c, i, EPOLL_CTL_MOD);
}

/* Whether the peer has the group among its supplementary ones (unix(7)). */
static bool has_group(int fd, gid_t group)
{
	gid_t groups[256]; /* with more than that, the primary one must do */
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (unsigned i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}

static bool may_change(const struct api_server *s, int fd, const struct ucred *cred)
{
	return cred->uid == 0 || cred->uid == geteuid()
		|| (s->p.group != (gid_t)-1
			&& (cred->gid == s->p.group || has_group(fd, s->p.group)));
}

static void accept_client(struct api_server *s)
{
	const int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct api_client *c;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	unsigned i = 0;

	if (fd < 0)
		return;
	while (i < API_CLIENTS_MAX && s->clients[i] != NULL)
		i++;
	c = i < API_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (c == NULL || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		LOG_WARNING("socket: client refused: %d clients are connected already or no memory",
			API_CLIENTS_MAX);
		free(c);
		close(fd);
		return;
	}
	c->fd = fd;
	c->uid = cred.uid;
	c->may_change = may_change(s, fd, &cred);
	c->moved_ms = s->p.now_ms();
	snprintf(c->name, sizeof(c->name), "pid %d", (int)cred.pid);
	s->clients[i] = c;
	watch(s, c, i, EPOLL_CTL_ADD);
}

/* Closes a client that takes from others, a place, memory or the transaction, and does not go on. */
static void close_late(struct api_server *s, unsigned i)
{
	const struct api_client *c = s->clients[i];
	const char *why = NULL;

	if (s->p.now_ms() - c->moved_ms < API_PATIENCE_MS)
		return;
	if (!c->said_hello)
		why = "did not say HELLO";
	else if (c->out_len > 0)
		why = "does not read its replies";
	else if (s->txn_owner == c)
		why = "does not go on with its transaction";
	if (why == NULL)
		return;
	LOG_WARNING("client '%s': %s for %d s: closed", c->name, why, API_PATIENCE_MS / 1000);
	close_client(s, i);
}

bool api_server_poll(struct api_server *s, int timeout_ms)
{
	struct epoll_event ev[API_CLIENTS_MAX + 1];
	const int n = epoll_wait(s->epoll_fd, ev, API_CLIENTS_MAX + 1, timeout_ms);
	bool is_at_work;

	for (int k = 0; k < n; k++) {
		const uint32_t id = ev[k].data.u32;

		if (id == 0)
			accept_client(s);
		else if (s->clients[id - 1] != NULL)
			serve_client(s, id - 1,
				ev[k].events & (EPOLLIN | EPOLLHUP | EPOLLERR)
					&& !s->clients[id - 1]->is_blocked);
	}
	is_at_work = conndump_poll(s);
	is_at_work |= explain_poll(s);
	is_at_work |= cachebig_poll(s);
	is_at_work |= tcpreq_poll(s);
	capturereq_poll(s);
	/* frames already read and replies of dumps do not wake epoll */
	for (unsigned i = 0; i < API_CLIENTS_MAX; i++) {
		const struct api_client *c = s->clients[i];

		if (c != NULL && !c->is_blocked && (c->in_len > 0 || c->out_len > 0))
			serve_client(s, i, false);
		if (s->clients[i] != NULL)
			close_late(s, i);
	}
	return is_at_work;
}

/* ---- the listening socket ---- */

/* Directory of the socket, made 0750 when it is missing. */
static int make_directory(const struct api_params *p)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	const char *dir;

	snprintf(path, sizeof(path), "%s", p->socket_path);
	dir = dirname(path);
	if (mkdir(dir, 0750) == 0) {
		if (p->group != (gid_t)-1 && chown(dir, (uid_t)-1, p->group) != 0)
			LOG_WARNING("%s: cannot give the directory to group %u: %s", dir,
				(unsigned)p->group, strerror(errno));
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	LOG_ERR("%s: cannot make the socket's directory: %s; create it or choose another --socket",
		dir, strerror(errno));
	return -errno;
}

/* Holds PATH.lock while it lives: two dataplanes starting at once cannot both take the socket, and a
 * socket file without a holder is known to be dead. */
static int take_lock(const char *socket_path)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s.lock", socket_path);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
	if (fd < 0) {
		LOG_ERR("%s: cannot open: %s; check the directory's permissions", path,
			strerror(errno));
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		LOG_ERR("%s: in use by another millraced: stop it or choose another --socket",
			socket_path);
		close(fd);
		return -EADDRINUSE;
	}
	return fd;
}

static int listen_on(const struct api_params *p)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, rc;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", p->socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	unlink(p->socket_path);
	old = umask(0117);
	rc = bind(fd, (const struct sockaddr *)&sa, sizeof(sa));
	umask(old);
	if (rc == 0 && p->group != (gid_t)-1)
		rc = chown(p->socket_path, (uid_t)-1, p->group);
	if (rc == 0)
		rc = listen(fd, 16);
	if (rc != 0) {
		rc = -errno;
		LOG_ERR("%s: cannot listen: %s; check the directory or choose another --socket",
			p->socket_path, strerror(errno));
		close(fd);
		return rc;
	}
	return fd;
}

int api_server_create(struct api_server **out, const struct api_params *p)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = 0};
	struct api_server *s;
	int rc;

	if (strlen(p->socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		LOG_ERR("--socket: path of %zu bytes is too long, at most %zu",
			strlen(p->socket_path), sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		return -ENAMETOOLONG;
	}
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->p = *p;
	s->model = p->model;
	s->started_ms = p->now_ms();
	s->listen_fd = s->epoll_fd = -1;
	rc = make_directory(p);
	if (rc != 0)
		goto err_server;
	rc = s->lock_fd = take_lock(p->socket_path);
	if (rc < 0)
		goto err_server;
	rc = conndump_create(&s->dump, p->n_workers);
	if (rc != 0)
		goto err_lock;
	rc = explain_create(&s->explain);
	if (rc != 0)
		goto err_dump;
	rc = capturereq_create(&s->capture, p->n_workers);
	if (rc != 0)
		goto err_explain;
	rc = cachebig_create(&s->big);
	if (rc != 0)
		goto err_capture;
	rc = tcpreq_create(&s->tcp, p->n_workers);
	if (rc != 0)
		goto err_big;
	rc = s->listen_fd = listen_on(p);
	if (rc < 0)
		goto err_tcp;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) != 0) {
		rc = -errno;
		goto err_listen;
	}
	*out = s;
	return 0;

err_listen:
	close(s->listen_fd);
	unlink(p->socket_path);
err_tcp:
	tcpreq_destroy(&s->tcp);
err_big:
	cachebig_destroy(s);
err_capture:
	capturereq_destroy(s);
err_explain:
	explain_destroy(&s->explain);
err_dump:
	conndump_destroy(&s->dump);
err_lock:
	close(s->lock_fd);
err_server:
	free(s);
	return rc;
}

void api_server_destroy(struct api_server **s)
{
	if (*s == NULL)
		return;
	for (unsigned i = 0; i < API_CLIENTS_MAX; i++) {
		if ((*s)->clients[i] != NULL)
			close_client(*s, i);
	}
	txn_abort(*s);
	conndump_destroy(&(*s)->dump);
	explain_destroy(&(*s)->explain);
	capturereq_destroy(*s);
	cachebig_destroy(*s);
	tcpreq_destroy(&(*s)->tcp);
	model_destroy(&(*s)->model);
	close((*s)->listen_fd);
	close((*s)->epoll_fd);
	unlink((*s)->p.socket_path);
	close((*s)->lock_fd);
	free(*s);
	*s = NULL;
}

int api_server_fd(const struct api_server *s)
{
	return s->epoll_fd;
}
