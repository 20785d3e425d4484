/* SPDX-License-Identifier: BSD-3-Clause */
/* fakedp — see fakedp.h. */
#include "fakedp.h"

#include "unit.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct peer {
	LIST_ENTRY(peer) link;
	struct fakedp *dp;
	struct bufferevent *bev;
	struct evbuffer *slow; /* with is_dribbling: what has not left yet */
	struct event *drip;
	bool said_hello, is_ending;
};

struct fakedp_pvt {
	struct evconnlistener *listener;
	LIST_HEAD(, peer) peers;
	struct peer *txn_owner;
	struct model *txn;
	uint64_t txn_generation; /* 0: not prepared */
};

static void drop_txn(struct fakedp *dp)
{
	model_destroy(&dp->pvt->txn);
	dp->pvt->txn_owner = NULL;
	dp->pvt->txn_generation = 0;
}

static void end_peer(struct peer *p)
{
	if (p->dp->pvt->txn_owner == p)
		drop_txn(p->dp);
	LIST_REMOVE(p, link);
	bufferevent_free(p->bev);
	evbuffer_free(p->slow);
	event_free(p->drip);
	free(p);
}

static void on_drip(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval at_once;
	struct peer *p = arg;
	uint8_t byte;

	if (evbuffer_remove(p->slow, &byte, 1) == 1)
		bufferevent_write(p->bev, &byte, 1);
	if (evbuffer_get_length(p->slow) > 0)
		evtimer_add(p->drip, &at_once);
}

static void send_bytes(struct peer *p, const void *data, size_t len)
{
	static const struct timeval at_once;

	if (!p->dp->is_dribbling) {
		bufferevent_write(p->bev, data, len);
		return;
	}
	evbuffer_add(p->slow, data, len);
	evtimer_add(p->drip, &at_once);
}

static void reply(struct peer *p, const struct mr_frame *f, unsigned flags,
	const struct mr_msg *msg, const void *object)
{
	uint8_t buf[4096];
	struct mr_writer w;
	uint32_t at;

	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, f->type, (uint16_t)(MR_F_REPLY | flags), f->request);
	if (f->type == MR_REQ_DUMP && object != NULL)
		mr_object_encode(&w, object);
	else if (msg != NULL)
		mr_msg_encode(&w, msg, object);
	assert_int_equal(mr_frame_end(&w, at), 0);
	send_bytes(p, buf, w.len);
}

static void refuse(struct peer *p, const struct mr_frame *f, unsigned code, const char *object,
	const char *message)
{
	struct mr_error e = {.code = (uint16_t)code};

	snprintf(e.object, sizeof(e.object), "%s", object != NULL ? object : "");
	snprintf(e.message, sizeof(e.message), "%s", message != NULL ? message : "");
	reply(p, f, MR_F_ERROR, &mr_error_msg, &e);
}

static void tell_status(struct peer *p, const struct mr_frame *f, bool is_lie)
{
	const struct fakedp *dp = p->dp;
	struct mr_status st = {.version = dp->version,
		.program = "fakedp",
		.pid = 1,
		.instance = dp->instance,
		.generation = dp->generation};

	mr_digest_bytes(model_digest(dp->model), st.digest);
	st.digest[0] ^= is_lie;
	reply(p, f, MR_F_MORE, &mr_status_msg, &st);
}

/* Each handler returns 0 (answered with an empty reply) or the code it refused with. */
static unsigned on_hello(struct peer *p, const struct mr_frame *f, bool is_lie)
{
	const struct mr_field *bad;
	struct mr_hello hello;

	assert_int_equal(mr_msg_decode(&mr_hello_msg, &hello, f->body, f->body_len, &bad), 0);
	if (hello.version != p->dp->version) {
		p->dp->n_hellos_refused++;
		p->is_ending = true;
		return MR_ERR_VERSION;
	}
	p->said_hello = true;
	tell_status(p, f, is_lie);
	return 0;
}

static unsigned on_begin(struct peer *p, const struct mr_frame *f)
{
	struct fakedp *dp = p->dp;
	const struct mr_field *bad;
	struct mr_begin begin;

	assert_int_equal(mr_msg_decode(&mr_begin_msg, &begin, f->body, f->body_len, &bad), 0);
	if (dp->pvt->txn_owner != NULL)
		return MR_ERR_BUSY;
	if (begin.base_generation != dp->generation)
		return MR_ERR_CONFLICT;
	assert_int_equal(model_copy(&dp->pvt->txn, dp->model), 0);
	dp->pvt->txn_owner = p;
	return 0;
}

static unsigned on_edit(struct peer *p, const struct mr_frame *f)
{
	struct fakedp_pvt *v = p->dp->pvt;
	const struct mr_field *bad;
	struct mr_object_key key;
	struct mr_object o;

	if (v->txn_owner != p || v->txn_generation != 0)
		return MR_ERR_TXN;
	if (f->type == MR_REQ_PUT) {
		assert_int_equal(mr_object_decode(&o, f->body, f->body_len, &bad), 0);
		assert_int_equal(model_put(v->txn, &o), 0);
		return 0;
	}
	assert_int_equal(mr_msg_decode(&mr_object_key_msg, &key, f->body, f->body_len, &bad), 0);
	return model_del(v->txn, key.key) != 0 ? MR_ERR_NOT_FOUND : 0;
}

static unsigned on_prepare(struct peer *p, const struct mr_frame *f)
{
	struct fakedp *dp = p->dp;
	const struct mr_field *bad;
	struct mr_prepare prepare;
	uint8_t digest[16];
	unsigned code = 0;

	assert_int_equal(mr_msg_decode(&mr_prepare_msg, &prepare, f->body, f->body_len, &bad), 0);
	if (dp->pvt->txn_owner != p || dp->pvt->txn_generation != 0)
		return MR_ERR_TXN;
	mr_digest_bytes(model_digest(dp->pvt->txn), digest);
	if (prepare.generation <= dp->generation)
		code = MR_ERR_CONFLICT;
	else if (memcmp(digest, prepare.digest, sizeof(digest)) != 0)
		code = MR_ERR_DIGEST;
	if (code != 0)
		drop_txn(dp);
	else
		dp->pvt->txn_generation = prepare.generation;
	return code;
}

static unsigned on_commit(struct peer *p, const struct mr_frame *f)
{
	struct fakedp *dp = p->dp;

	if (dp->pvt->txn_owner != p || dp->pvt->txn_generation == 0)
		return MR_ERR_TXN;
	model_destroy(&dp->model);
	dp->model = dp->pvt->txn;
	dp->pvt->txn = NULL;
	dp->generation = dp->pvt->txn_generation;
	drop_txn(dp);
	return 0;
}

static unsigned on_dump(struct peer *p, const struct mr_frame *f, bool is_lie)
{
	static const struct mr_object unknown = {.type = 99};

	for (unsigned i = 0; i < model_size(p->dp->model); i++)
		reply(p, f, MR_F_MORE, NULL, model_at(p->dp->model, i));
	if (is_lie) { /* type 99 has no fields to encode: a type byte alone */
		uint8_t buf[64];
		struct mr_writer w;
		uint32_t at;

		mr_writer_init(&w, buf, sizeof(buf));
		at = mr_frame_begin(&w, f->type, MR_F_REPLY | MR_F_MORE, f->request);
		mr_put_field(&w, MR_TAG_OBJ, &unknown.type, 1);
		mr_frame_end(&w, at);
		send_bytes(p, buf, w.len);
	}
	return 0;
}

static unsigned on_conns(struct peer *p, const struct mr_frame *f)
{
	struct fakedp *dp = p->dp;
	const struct mr_field *bad;
	const struct mr_conn_kill_row killed = {.killed = dp->n_conns};
	struct mr_conn_filter filter;

	assert_int_equal(
		mr_msg_decode(&mr_conn_filter_msg, &filter, f->body, f->body_len, &bad), 0);
	if (dp->n_conn_filters < 8)
		dp->conn_filters[dp->n_conn_filters++] = filter;
	if (f->type == MR_REQ_CONN_KILL)
		reply(p, f, MR_F_MORE, &mr_conn_kill_row_msg, &killed);
	for (unsigned i = 0; f->type == MR_REQ_CONNS && i < dp->n_conns; i++) {
		if (filter.limit == 0 || i < filter.limit)
			reply(p, f, MR_F_MORE, &mr_conn_row_msg, &dp->conns[i]);
	}
	return 0;
}

static unsigned on_rows(struct peer *p, const struct mr_frame *f)
{
	struct fakedp_rows *r = &p->dp->rows[f->type];

	assert_true(f->body_len <= sizeof(r->body));
	memcpy(r->body, f->body, f->body_len);
	r->body_len = f->body_len;
	for (unsigned i = 0; r->msg != NULL && i < r->n; i++)
		reply(p, f, MR_F_MORE, r->msg, (const uint8_t *)r->rows + i * r->msg->size);
	return 0;
}

static unsigned run(struct peer *p, const struct mr_frame *f, bool is_lie)
{
	switch (f->type) {
	case MR_REQ_HELLO:
		return on_hello(p, f, is_lie);
	case MR_REQ_STATUS:
		tell_status(p, f, is_lie);
		return 0;
	case MR_REQ_BEGIN:
		return on_begin(p, f);
	case MR_REQ_PUT:
	case MR_REQ_DEL:
		return on_edit(p, f);
	case MR_REQ_PREPARE:
		return on_prepare(p, f);
	case MR_REQ_COMMIT:
		return on_commit(p, f);
	case MR_REQ_ABORT:
		if (p->dp->pvt->txn_owner == p)
			drop_txn(p->dp);
		return 0;
	case MR_REQ_DUMP:
		return on_dump(p, f, is_lie);
	case MR_REQ_CONNS:
	case MR_REQ_CONN_KILL:
		return on_conns(p, f);
	default:
		return on_rows(p, f);
	}
}

static const struct fakedp_rule *match(struct fakedp *dp, const struct mr_frame *f)
{
	static struct fakedp_rule now;

	if (dp->rule.type != f->type || dp->rule.times == 0)
		return NULL;
	if (dp->rule.skip > 0) {
		dp->rule.skip--;
		return NULL;
	}
	dp->rule.times--;
	now = dp->rule;
	return &now;
}

/* False: the peer is gone, or its request is held. */
static bool serve(struct peer *p, const struct mr_frame *f)
{
	static const uint8_t garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
	struct fakedp *dp = p->dp;
	const struct fakedp_rule *rule;
	struct mr_frame foreign = *f;
	unsigned code;

	if (!p->said_hello && f->type != MR_REQ_HELLO)
		fail_msg("request %u before HELLO", f->type);
	rule = match(dp, f);
	if (rule != NULL && rule->act == FAKEDP_HOLD) {
		dp->is_holding = true;
		return false;
	}
	assert_true(f->type < sizeof(dp->n_requests) / sizeof(dp->n_requests[0]));
	dp->n_requests[f->type]++;
	if (rule != NULL && rule->act == FAKEDP_CLOSE) {
		end_peer(p);
		return false;
	}
	if (rule != NULL && rule->act == FAKEDP_GARBAGE) {
		send_bytes(p, garbage, sizeof(garbage) - 1);
		return true;
	}
	if (rule != NULL && rule->act == FAKEDP_FOREIGN) {
		foreign.request += 77;
		reply(p, &foreign, 0, NULL, NULL);
		return true;
	}
	if (rule != NULL && rule->act == FAKEDP_REFUSE) {
		if (f->type == MR_REQ_PREPARE)
			drop_txn(dp);
		refuse(p, f, rule->code, rule->object, rule->message);
		return true;
	}
	if (rule != NULL && rule->act == FAKEDP_HALF) {
		/* no row and no end: the first bytes of a header and nothing more */
		run(p, f, false);
		send_bytes(p, "\x08\x00\x00", 3);
		p->is_ending = true;
		return true;
	}
	code = run(p, f, rule != NULL && rule->act == FAKEDP_LIE);
	if (rule != NULL && rule->act == FAKEDP_CLOSE_AFTER) {
		end_peer(p);
		return false;
	}
	if (code != 0)
		refuse(p, f, code, "", "refused by the fake");
	else
		reply(p, f, 0, NULL, NULL);
	return true;
}

/* Serves the whole frames that have come. False: the peer is gone or waits. */
static bool serve_all(struct peer *p)
{
	struct evbuffer *in = bufferevent_get_input(p->bev);
	struct mr_frame f;
	uint8_t *copy;

	while (!p->is_ending && !p->dp->is_holding) {
		const uint32_t have = (uint32_t)evbuffer_get_length(in);
		const int n = mr_frame_parse(
			&f, have > 0 ? evbuffer_pullup(in, (ev_ssize_t)have) : NULL, have);

		assert_true(n >= 0);
		if (n == 0)
			return true;
		copy = malloc((size_t)n); /* serve() may end the peer with its buffer */
		assert_non_null(copy);
		evbuffer_copyout(in, copy, (size_t)n);
		assert_int_equal(mr_frame_parse(&f, copy, (uint32_t)n), n);
		if (!serve(p, &f)) {
			free(copy);
			return false;
		}
		free(copy);
		evbuffer_drain(in, (size_t)n);
	}
	return !p->dp->is_holding;
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct peer *p = arg;

	if (p->is_ending && evbuffer_get_length(bufferevent_get_output(bev)) == 0
		&& evbuffer_get_length(p->slow) == 0)
		end_peer(p);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	serve_all(arg);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		end_peer(arg);
}

static void on_accept(
	struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int len, void *arg)
{
	struct fakedp *dp = arg;
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->dp = dp;
	p->bev = bufferevent_socket_new(dp->base, fd, BEV_OPT_CLOSE_ON_FREE);
	p->slow = evbuffer_new();
	p->drip = evtimer_new(dp->base, on_drip, p);
	assert_true(p->bev != NULL && p->slow != NULL && p->drip != NULL);
	LIST_INSERT_HEAD(&dp->pvt->peers, p, link);
	bufferevent_setcb(p->bev, on_read, on_written, on_event, p);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

struct fakedp *fakedp_start(struct event_base *base, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct fakedp *dp = calloc(1, sizeof(*dp));
	static uint64_t n_instances;

	assert_non_null(dp);
	dp->pvt = calloc(1, sizeof(*dp->pvt));
	assert_non_null(dp->pvt);
	dp->base = base;
	dp->version = MR_API_VERSION;
	dp->instance = ++n_instances;
	assert_int_equal(model_create(&dp->model), 0);
	snprintf(dp->path, sizeof(dp->path), "%s", path);
	memcpy(sun.sun_path, dp->path, sizeof(sun.sun_path));
	unlink(path);
	LIST_INIT(&dp->pvt->peers);
	dp->pvt->listener = evconnlistener_new_bind(base, on_accept, dp,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16, (const struct sockaddr *)&sun,
		sizeof(sun));
	assert_non_null(dp->pvt->listener);
	return dp;
}

void fakedp_stop(struct fakedp **dpp)
{
	struct fakedp *dp = *dpp;
	struct peer *p;

	*dpp = NULL;
	if (dp == NULL)
		return;
	while ((p = LIST_FIRST(&dp->pvt->peers)) != NULL)
		end_peer(p);
	evconnlistener_free(dp->pvt->listener);
	unlink(dp->path);
	drop_txn(dp);
	model_destroy(&dp->model);
	free(dp->pvt);
	free(dp);
}

void fakedp_release(struct fakedp *dp)
{
	struct peer *p, *next;

	assert_true(dp->is_holding);
	dp->is_holding = false;
	memset(&dp->rule, 0, sizeof(dp->rule));
	for (p = LIST_FIRST(&dp->pvt->peers); p != NULL; p = next) {
		next = LIST_NEXT(p, link);
		serve_all(p);
	}
}

void fakedp_put(struct fakedp *dp, const struct mr_object *o)
{
	assert_int_equal(model_put(dp->model, o), 0);
	dp->generation++;
}

const struct mr_object *fakedp_find(const struct fakedp *dp, const char *key)
{
	char text[MR_TEXT_MAX];

	for (unsigned i = 0; i < model_size(dp->model); i++) {
		const struct mr_object *o = model_at(dp->model, i);

		if (strcmp(mr_object_key_text(o, text, sizeof(text)), key) == 0)
			return o;
	}
	return NULL;
}
