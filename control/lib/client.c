/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client — see client.h. A connection is a bufferevent and a queue of requests in the order they
 * were sent. Whatever ends it (end of file, timeout, a frame that makes no sense) goes through
 * finish(): first the connection is gone, then every queued request hears of it, then the owner.
 * A callback that closes or reconnects in the middle of reading is noticed by the epoch number.
 */
#include "lib/client.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OBJECT_BYTES 4096 /* more than any message of fixed fields needs */

struct client_req {
	TAILQ_ENTRY(client_req) link;
	uint32_t id;
	uint16_t type;
	uint32_t timeout_ms;
	client_reply_fn *fn;
	void *arg;
};

TAILQ_HEAD(client_req_list, client_req);

struct client {
	struct event_base *base;
	struct bufferevent *bev; /* NULL: not connected */
	struct event *timer;     /* deadline of the oldest request */
	struct client_req_list reqs;
	size_t n_reqs;
	uint32_t next_id;
	uint32_t epoch; /* grows with every connection made or ended */
	bool is_up;     /* HELLO answered */
	bool has_hello; /* hello is the answer of this connection */
	struct mr_status hello;
	uint32_t connect_timeout_ms;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char name[MR_NAME_MAX];
	void (*on_up)(void *arg, const struct mr_status *status);
	void (*on_down)(void *arg, int status, const char *reason);
	void *arg;
};

static void arm_timer(struct client *c)
{
	const struct client_req *head = TAILQ_FIRST(&c->reqs);
	struct timeval tv;

	if (head == NULL) {
		evtimer_del(c->timer);
		return;
	}
	tv.tv_sec = head->timeout_ms / 1000;
	tv.tv_usec = (head->timeout_ms % 1000) * 1000;
	evtimer_add(c->timer, &tv);
}

/* Ends the connection and tells everybody. */
static void finish(struct client *c, int status, const char *reason)
{
	struct client_reply reply = {.is_last = true, .status = status};
	struct client_req_list reqs = TAILQ_HEAD_INITIALIZER(reqs);
	struct client_req *r;

	if (c->bev == NULL)
		return;
	bufferevent_free(c->bev);
	c->bev = NULL;
	c->is_up = false;
	c->epoch++;
	evtimer_del(c->timer);
	TAILQ_CONCAT(&reqs, &c->reqs, link);
	c->n_reqs = 0;
	while ((r = TAILQ_FIRST(&reqs)) != NULL) {
		TAILQ_REMOVE(&reqs, r, link);
		r->fn(r->arg, &reply);
		free(r);
	}
	c->on_down(c->arg, status, reason);
}

static int queue_frame(struct client *c, enum mr_request type, struct mr_writer *w,
	uint32_t timeout_ms, client_reply_fn *fn, void *arg)
{
	struct client_req *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return -ENOMEM;
	r->id = c->next_id++;
	r->type = type;
	r->timeout_ms = timeout_ms;
	r->fn = fn;
	r->arg = arg;
	mr_put_le(w->buf + 8, r->id, 4);
	if (bufferevent_write(c->bev, w->buf, w->len) != 0) {
		free(r);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&c->reqs, r, link);
	if (c->n_reqs++ == 0)
		arm_timer(c);
	return 0;
}

static int send_request(struct client *c, enum mr_request type, const struct mr_msg *msg,
	const void *object, uint32_t timeout_ms, client_reply_fn *fn, void *arg)
{
	uint8_t buf[OBJECT_BYTES];
	struct mr_writer w;
	uint32_t at;

	if (c->bev == NULL)
		return -ENOTCONN;
	if (c->n_reqs >= CLIENT_OUTSTANDING_MAX)
		return -ENOBUFS;
	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, (uint16_t)type, 0, 0);
	if (type == MR_REQ_PUT)
		mr_object_encode(&w, object);
	else if (object != NULL)
		mr_msg_encode(&w, msg, object);
	if (mr_frame_end(&w, at) != 0)
		return -EMSGSIZE;
	return queue_frame(c, type, &w, timeout_ms, fn, arg);
}

static void on_hello(void *arg, const struct client_reply *reply)
{
	struct client *c = arg;
	const struct mr_field *bad;
	char text[MR_TEXT_MAX + 64];

	if (reply->row != NULL)
		c->has_hello = mr_msg_decode(&mr_status_msg, &c->hello, reply->row->body,
				       reply->row->body_len, &bad)
			== 0;
	if (!reply->is_last)
		return;
	if (reply->status == -EREMOTEIO) {
		snprintf(text, sizeof(text), "HELLO refused: %s", reply->error->message);
		finish(c, -EREMOTEIO, text);
		return;
	}
	if (reply->status != 0)
		return; /* finish() is telling the owner already */
	if (!c->has_hello) {
		finish(c, -EPROTO, "answer to HELLO is malformed");
		return;
	}
	if (c->hello.version != MR_API_VERSION) {
		snprintf(text, sizeof(text), "dataplane speaks version %u, we speak %u",
			c->hello.version, MR_API_VERSION);
		finish(c, -EPROTO, text);
		return;
	}
	c->is_up = true;
	c->on_up(c->arg, &c->hello);
}

/* Gives one frame to the request it answers. Returns 0, or -1 when the frame makes no sense. */
static int give_frame(struct client *c, const struct mr_frame *f)
{
	struct client_req *r = TAILQ_FIRST(&c->reqs);
	struct client_reply reply = {0};
	const struct mr_field *bad;
	struct mr_error error;

	if (r == NULL || !(f->flags & MR_F_REPLY) || f->request != r->id || f->type != r->type)
		return -1;
	if (f->flags & MR_F_MORE) {
		reply.row = f;
		arm_timer(c);
		r->fn(r->arg, &reply);
		return 0;
	}
	reply.is_last = true;
	if (f->flags & MR_F_ERROR) {
		if (mr_msg_decode(&mr_error_msg, &error, f->body, f->body_len, &bad) != 0)
			return -1;
		reply.status = -EREMOTEIO;
		reply.error = &error;
	} else if (f->body_len > 0) {
		reply.row = f;
	}
	TAILQ_REMOVE(&c->reqs, r, link);
	c->n_reqs--;
	arm_timer(c);
	r->fn(r->arg, &reply);
	free(r);
	return 0;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct client *c = arg;
	const uint32_t epoch = c->epoch;

	for (;;) {
		const size_t have = evbuffer_get_length(in);
		struct mr_frame f;
		uint8_t head[4];
		uint32_t need;
		uint8_t *p;
		int n;

		if (evbuffer_copyout(in, head, 4) < 4)
			return;
		need = (uint32_t)mr_get_le(head, 4);
		if (need >= MR_FRAME_HDR - 4 && need <= MR_FRAME_MAX - 4 && need > have - 4)
			return;
		p = need > MR_FRAME_MAX - 4 ? head : evbuffer_pullup(in, (ev_ssize_t)need + 4);
		n = p == NULL ? -1 : mr_frame_parse(&f, p, need + 4);
		if (n <= 0 || give_frame(c, &f) != 0) {
			if (c->epoch == epoch)
				finish(c, -EPROTO,
					"dataplane sent a malformed or unexpected frame");
			return;
		}
		if (c->epoch != epoch) /* a callback ended this connection: in is gone */
			return;
		evbuffer_drain(in, (size_t)n);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;
	const int err = errno;
	char text[128];

	if (what & BEV_EVENT_EOF) {
		finish(c, -ECONNRESET, "dataplane closed the connection");
	} else if (what & BEV_EVENT_ERROR) {
		snprintf(text, sizeof(text), "connection failed: %s", strerror(err));
		finish(c, -ECONNRESET, text);
	}
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	const struct client_req *head = TAILQ_FIRST(&c->reqs);
	char text[128];

	if (head == NULL)
		return;
	snprintf(text, sizeof(text), "no answer to request %u within %u ms", head->type,
		head->timeout_ms);
	finish(c, -ETIMEDOUT, text);
}

int client_create(struct client **out, struct event_base *base, const struct client_params *params)
{
	struct client *c;

	if (strlen(params->path) >= sizeof(c->path))
		return -ENAMETOOLONG;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->base = base;
	c->timer = evtimer_new(base, on_timeout, c);
	if (c->timer == NULL) {
		free(c);
		return -ENOMEM;
	}
	TAILQ_INIT(&c->reqs);
	c->next_id = 1;
	c->connect_timeout_ms = params->connect_timeout_ms;
	snprintf(c->path, sizeof(c->path), "%s", params->path);
	snprintf(c->name, sizeof(c->name), "%s", params->name);
	c->on_up = params->on_up;
	c->on_down = params->on_down;
	c->arg = params->arg;
	*out = c;
	return 0;
}

void client_destroy(struct client **cp)
{
	struct client *c = *cp;
	struct client_req *r;

	*cp = NULL;
	if (c == NULL)
		return;
	while ((r = TAILQ_FIRST(&c->reqs)) != NULL) {
		TAILQ_REMOVE(&c->reqs, r, link);
		free(r);
	}
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	event_free(c->timer);
	free(c);
}

/* A Unix socket connects at once or not at all. Returns the descriptor or -errno. */
static int connect_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		err = errno;
		close(fd);
		return -err;
	}
	return fd;
}

int client_connect(struct client *c)
{
	struct mr_hello hello = {.version = MR_API_VERSION};
	int fd, rc;

	if (c->bev != NULL)
		return -EISCONN;
	fd = connect_unix(c->path);
	if (fd < 0)
		return fd;
	c->bev = bufferevent_socket_new(
		c->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c->bev == NULL) {
		close(fd);
		return -ENOMEM;
	}
	c->epoch++;
	c->has_hello = false;
	bufferevent_setcb(c->bev, on_read, NULL, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	memcpy(hello.client, c->name, sizeof(hello.client));
	rc = send_request(
		c, MR_REQ_HELLO, &mr_hello_msg, &hello, c->connect_timeout_ms, on_hello, c);
	if (rc != 0) {
		bufferevent_free(c->bev);
		c->bev = NULL;
	}
	return rc;
}

void client_close(struct client *c, int status, const char *reason)
{
	finish(c, status, reason);
}

bool client_is_up(const struct client *c)
{
	return c->is_up;
}

size_t client_n_outstanding(const struct client *c)
{
	return c->n_reqs;
}

int client_send(struct client *c, enum mr_request type, const struct mr_msg *msg,
	const void *object, uint32_t timeout_ms, client_reply_fn *fn, void *arg)
{
	if (!c->is_up)
		return -ENOTCONN;
	return send_request(c, type, msg, object, timeout_ms, fn, arg);
}

int client_send_object(struct client *c, const struct mr_object *object, uint32_t timeout_ms,
	client_reply_fn *fn, void *arg)
{
	return client_send(c, MR_REQ_PUT, NULL, object, timeout_ms, fn, arg);
}
