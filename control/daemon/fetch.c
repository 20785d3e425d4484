/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fetch — see fetch.h. A request waits in `waiting` until the connection is up, then in the client's own
 * queue. Whatever ends the connection ends both.
 */
#include "daemon/fetch.h"

#include "lib/client.h"

#include <event2/event.h>

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#define TIMEOUT_MS \
	5000u /* less than the CLI waits: what is known without the dataplane is to arrive */
#define REQUEST_BYTES 2304

struct ask {
	TAILQ_ENTRY(ask) link;
	struct fetch *owner;
	enum mr_request type;
	const struct mr_msg *request_msg, *row_msg;
	_Alignas(uint64_t) uint8_t request[REQUEST_BYTES];
	fetch_fn *fn;
	void *arg;
	uint8_t *rows;
	size_t n_rows, cap;
	bool is_out_of_memory, is_malformed;
};

TAILQ_HEAD(ask_list, ask);

struct fetch {
	struct client *client;
	struct event *start;
	struct ask_list waiting;
	struct ask_list sent;
	char socket[128];
};

static void end(struct ask *a, int status, const char *message)
{
	const struct fetch_result r = {status, message, a->rows, status == 0 ? a->n_rows : 0};

	a->fn(a->arg, &r);
	free(a->rows);
	free(a);
}

static void keep_row(struct ask *a, const struct mr_frame *row)
{
	const struct mr_field *bad;

	if (a->n_rows == a->cap) {
		const size_t cap = a->cap == 0 ? 32 : 2 * a->cap;
		uint8_t *rows = reallocarray(a->rows, cap, a->row_msg->size);

		if (rows == NULL) {
			a->is_out_of_memory = true;
			return;
		}
		a->rows = rows;
		a->cap = cap;
	}
	if (mr_msg_decode(a->row_msg, a->rows + a->n_rows * a->row_msg->size, row->body,
		    row->body_len, &bad)
		!= 0)
		a->is_malformed = true;
	else
		a->n_rows++;
}

static void on_reply(void *arg, const struct client_reply *reply)
{
	struct ask *a = arg;

	if (reply->row != NULL && !a->is_out_of_memory && !a->is_malformed)
		keep_row(a, reply->row);
	if (!reply->is_last)
		return;
	TAILQ_REMOVE(&a->owner->sent, a, link);
	if (reply->status == -EREMOTEIO)
		end(a, -EREMOTEIO, reply->error->message);
	else if (reply->status != 0)
		end(a, reply->status, "the connection to the dataplane broke");
	else if (a->is_out_of_memory)
		end(a, -ENOMEM, "the daemon has no memory for the answer");
	else if (a->is_malformed)
		end(a, -EPROTO, "the dataplane sent a row we do not understand");
	else
		end(a, 0, NULL);
}

static void send_waiting(struct fetch *f)
{
	struct ask *a;
	int rc;

	while ((a = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, a, link);
		rc = client_send(
			f->client, a->type, a->request_msg, a->request, TIMEOUT_MS, on_reply, a);
		if (rc == 0)
			TAILQ_INSERT_TAIL(&f->sent, a, link);
		else
			end(a, rc, strerror(-rc));
	}
}

static void fail_waiting(struct fetch *f, int status, const char *message)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(&f->waiting)) != NULL) {
		TAILQ_REMOVE(&f->waiting, a, link);
		end(a, status, message);
	}
}

static void on_up(void *arg, const struct mr_status *status)
{
	send_waiting(arg);
}

static void on_down(void *arg, int status, const char *reason)
{
	fail_waiting(arg, status, reason);
}

static void on_start(evutil_socket_t fd, short what, void *arg)
{
	struct fetch *f = arg;
	char reason[256];
	int rc;

	if (client_is_up(f->client)) {
		send_waiting(f);
		return;
	}
	rc = client_connect(f->client);
	if (rc == 0 || rc == -EISCONN)
		return;
	snprintf(reason, sizeof(reason), "%s: %s", f->socket, strerror(-rc));
	fail_waiting(f, rc, reason);
}

int fetch_create(struct fetch **out, struct event_base *base, const char *socket)
{
	struct fetch *f = calloc(1, sizeof(*f));
	const struct client_params params = {
		.path = socket,
		.name = "millrace-controld-read",
		.connect_timeout_ms = TIMEOUT_MS,
		.on_up = on_up,
		.on_down = on_down,
		.arg = f,
	};
	int rc;

	if (f == NULL)
		return -ENOMEM;
	TAILQ_INIT(&f->waiting);
	TAILQ_INIT(&f->sent);
	snprintf(f->socket, sizeof(f->socket), "%s", socket);
	f->start = evtimer_new(base, on_start, f);
	rc = f->start == NULL ? -ENOMEM : client_create(&f->client, base, &params);
	if (rc != 0) {
		fetch_destroy(&f);
		return rc;
	}
	*out = f;
	return 0;
}

static void forget(struct ask_list *list)
{
	struct ask *a;

	while ((a = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, a, link);
		free(a->rows);
		free(a);
	}
}

void fetch_destroy(struct fetch **fp)
{
	struct fetch *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	client_destroy(&f->client);
	if (f->start != NULL)
		event_free(f->start);
	forget(&f->waiting);
	forget(&f->sent);
	free(f);
}

int fetch_rows(struct fetch *f, enum mr_request type, const struct mr_msg *request_msg,
	const void *request, const struct mr_msg *row_msg, fetch_fn *fn, void *arg)
{
	static const struct timeval at_once;
	struct ask *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return -ENOMEM;
	static_assert(sizeof(struct mr_capture) <= REQUEST_BYTES, "the largest request");
	a->owner = f;
	a->type = type;
	a->request_msg = request_msg;
	a->row_msg = row_msg;
	if (request != NULL)
		memcpy(a->request, request, request_msg->size);
	a->fn = fn;
	a->arg = arg;
	TAILQ_INSERT_TAIL(&f->waiting, a, link);
	evtimer_add(f->start, &at_once);
	return 0;
}
