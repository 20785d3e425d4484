/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * client — the near end of the dataplane socket: connects, says HELLO, sends requests and hands
 * every reply row to the callback of its request. Requests are pipelined; replies come in order.
 * One request at a time is timed, the oldest, and every row it gets starts its time again; when it
 * runs out the whole connection is given up, because nothing behind it can be answered any more.
 *
 * Everything runs on the thread of the event base. Callbacks may send and may close, but must not
 * destroy the client.
 */
#include "millrace/api_lb.h"

struct client;
struct event_base;

#define CLIENT_OUTSTANDING_MAX \
	65536 /* requests without an answer; more are refused with -ENOBUFS */

struct client_reply {
	const struct mr_frame *row;   /* NULL: this call brings no row */
	bool is_last;                 /* nothing follows for this request */
	int status;                   /* with is_last: 0, -EREMOTEIO (refused: see error), or what
				       * ended the connection: -ETIMEDOUT, -ECONNRESET, -EPROTO,
				       * -ECANCELED */
	const struct mr_error *error; /* with -EREMOTEIO */
};

typedef void client_reply_fn(void *arg, const struct client_reply *reply);

struct client_params {
	const char *path;            /* of the socket; copied */
	const char *name;            /* program name for HELLO; copied */
	uint32_t connect_timeout_ms; /* for HELLO's answer */
	/* HELLO was answered: requests may be sent. */
	void (*on_up)(void *arg, const struct mr_status *status);
	/* The connection ended, or could not be made; every request has been answered before. */
	void (*on_down)(void *arg, int status, const char *reason);
	void *arg;
};

int client_create(struct client **out, struct event_base *base, const struct client_params *params);
void client_destroy(struct client **c); /* NULL-safe; tells nobody */

/* Starts a connection. 0: on_up or on_down will be called. -errno: it could not even start, nothing
 * will be called. */
int client_connect(struct client *c);

/* Ends the connection: outstanding requests get -ECANCELED, then on_down is called. */
void client_close(struct client *c, int status, const char *reason);

bool client_is_up(const struct client *c);
size_t client_n_outstanding(const struct client *c);

/* Sends a request; object NULL: it has no fields. fn is called for every row and for the end, never from
 * inside this call. -ENOTCONN, -ENOBUFS, -ENOMEM: not sent, fn will not be called. */
int client_send(struct client *c, enum mr_request type, const struct mr_msg *msg,
	const void *object, uint32_t timeout_ms, client_reply_fn *fn, void *arg);
int client_send_object(struct client *c, const struct mr_object *object, uint32_t timeout_ms,
	client_reply_fn *fn, void *arg);
