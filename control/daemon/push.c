/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * push — see push.h. The states and what moves between them:
 *
 *     AWAY ──HELLO──▶ DUMPING ──dump──▶ IDLE ──target differs──▶ SENDING ──commit──▶ IDLE
 *       ▲ connection lost, any state       ▲                        │ conflict, digest
 *       └──────────────────────────────    └────────────DUMPING◀────┘
 *
 * Requests of a change are pipelined, at most WINDOW in flight. The first refusal stops the sending and
 * an ABORT follows; its answer ends the change.
 */
#include "daemon/push.h"

#include "daemon/logline.h"
#include "daemon/reconcile.h"
#include "lib/client.h"

#include <event2/event.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define WINDOW 4096u
#define CONNECT_TIMEOUT_MS 5000u
#define REQUEST_TIMEOUT_MS 30000u /* PREPARE of a big model builds tables */
#define RETRY_FIRST_MS 50u
#define RETRY_MAX_MS 1000u
#define CONFLICTS_MAX 5 /* in a row, before the connection is made anew */

enum push_state { STATE_AWAY, STATE_DUMPING, STATE_IDLE, STATE_SENDING };

struct push {
	struct event_base *base;
	struct client *client;
	struct event *retry;
	uint32_t retry_ms;
	struct event *kick; /* reports that must not come from inside push_set_target() */
	void (*on_report)(void *arg, const struct push_report *report);
	void *arg;
	char socket[128];
	char away_reason[256];

	enum push_state state;
	struct mr_status status; /* the dataplane's, when last read */
	struct objset running;   /* P1; valid in IDLE and SENDING */
	struct mr_object *dump;  /* being received */
	size_t n_dump, dump_cap;

	struct objset target;
	bool has_target, is_reported, is_refused;
	struct objset next; /* arrived while sending */
	bool has_next;

	/* the change under way */
	struct reconcile_plan plan;
	size_t n_sent;      /* operations of the plan */
	unsigned n_waiting; /* BEGIN and operations without an answer */
	bool is_prepare_sent;
	uint64_t generation;
	bool is_failed;
	unsigned n_conflicts;
	struct mr_error error; /* with is_failed */
};

static void advance(struct push *p);
static void start_dump(struct push *p);

/* While another target waits, the owner would take a report on this one for a report on that. */
static void report(
	struct push *p, enum push_outcome outcome, const char *object, const char *message)
{
	const struct push_report r = {outcome, object, message};

	if (!p->has_target || p->is_reported || p->has_next)
		return;
	p->is_reported = outcome != PUSH_AWAY;
	if (outcome != PUSH_AWAY)
		p->retry_ms = RETRY_FIRST_MS; /* this connection was good for something */
	p->on_report(p->arg, &r);
}

static void arm(struct event *event, uint32_t ms)
{
	const struct timeval tv = {ms / 1000, (ms % 1000) * 1000};

	evtimer_add(event, &tv);
}

static void forget_change(struct push *p)
{
	reconcile_fini(&p->plan);
	p->n_sent = 0;
	p->n_waiting = 0;
	p->is_prepare_sent = false;
	p->is_failed = false;
}

/* The target that waited takes its turn. */
static void take_next(struct push *p)
{
	if (!p->has_next)
		return;
	objset_fini(&p->target);
	p->target = p->next;
	memset(&p->next, 0, sizeof(p->next));
	p->has_next = false;
	p->has_target = true;
	p->is_reported = false;
	p->is_refused = false;
	p->n_conflicts = 0;
}

static void refuse(struct push *p, const char *object, const char *message)
{
	p->is_refused = true;
	logline_write(LOGLINE_ERR, "dataplane", "refused the new configuration: %s%s%s", object,
		object[0] != '\0' ? ": " : "", message);
	report(p, PUSH_REFUSED, object, message);
}

/* What we believed to run was not what runs: our own mistake or another writer's work. */
static bool is_conflict(uint16_t code)
{
	return code == MR_ERR_CONFLICT || code == MR_ERR_DIGEST || code == MR_ERR_BUSY
		|| code == MR_ERR_NOT_FOUND || code == MR_ERR_TXN;
}

/* At once a few times, then with the pauses of a new connection. */
static void look_again(struct push *p, const char *why)
{
	if (p->n_conflicts++ < CONFLICTS_MAX)
		start_dump(p);
	else
		client_close(p->client, -ESTALE, why);
}

/* The change was refused and the dataplane has dropped its copy. */
static void on_refused(struct push *p)
{
	const struct mr_error e = p->error;

	forget_change(p);
	p->state = STATE_IDLE;
	if (is_conflict(e.code)) {
		look_again(p, e.message); /* somebody else changed it */
	} else if (p->has_next) {
		take_next(p);
		advance(p);
	} else {
		refuse(p, e.object, e.message);
	}
}

static void fail(struct push *p, const struct mr_error *error)
{
	if (p->is_failed)
		return;
	p->is_failed = true;
	p->error = *error;
}

static void on_abort(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;

	if (reply->is_last && (reply->status == 0 || reply->status == -EREMOTEIO))
		on_refused(p);
}

/* The connection could not take a request: it is of no use. */
static void give_up(struct push *p, int rc)
{
	char text[96];

	snprintf(text, sizeof(text), "request could not be sent: %s", strerror(-rc));
	client_close(p->client, rc, text);
}

static void abort_change(struct push *p)
{
	const int rc = client_send(
		p->client, MR_REQ_ABORT, &mr_empty_msg, NULL, REQUEST_TIMEOUT_MS, on_abort, p);

	if (rc != 0)
		give_up(p, rc);
}

static void on_commit(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;

	if (!reply->is_last)
		return;
	if (reply->status == -EREMOTEIO) {
		fail(p, reply->error);
		abort_change(p);
	}
	if (reply->status != 0)
		return;
	p->status.generation = p->generation;
	objset_fini(&p->running);
	forget_change(p);
	p->state = STATE_IDLE;
	p->n_conflicts = 0;
	if (objset_copy(&p->running, &p->target) != 0)
		start_dump(p); /* without memory for the copy, ask again */
	logline_write(LOGLINE_INFO, "dataplane", "runs generation %" PRIu64, p->generation);
	report(p, PUSH_IN_FORCE, "", "");
	take_next(p);
	advance(p);
}

static void on_prepare(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;
	struct mr_commit commit = {.generation = p->generation};
	int rc;

	if (!reply->is_last)
		return;
	if (reply->status == -EREMOTEIO) {
		fail(p, reply->error);
		abort_change(p);
	}
	if (reply->status != 0)
		return;
	rc = client_send(p->client, MR_REQ_COMMIT, &mr_commit_msg, &commit, REQUEST_TIMEOUT_MS,
		on_commit, p);
	if (rc != 0)
		give_up(p, rc);
}

static void send_more(struct push *p);

static void on_op(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;

	if (!reply->is_last || (reply->status != 0 && reply->status != -EREMOTEIO))
		return;
	p->n_waiting--;
	if (reply->status == -EREMOTEIO)
		fail(p, reply->error);
	if (p->is_failed && p->n_waiting == 0)
		abort_change(p);
	else if (!p->is_failed)
		send_more(p);
}

static int send_op(struct push *p, const struct reconcile_op *op)
{
	struct mr_object_key key;

	p->n_waiting++;
	if (!op->is_del)
		return client_send_object(p->client, op->obj, REQUEST_TIMEOUT_MS, on_op, p);
	mr_object_key_text(op->obj, key.key, sizeof(key.key));
	return client_send(
		p->client, MR_REQ_DEL, &mr_object_key_msg, &key, REQUEST_TIMEOUT_MS, on_op, p);
}

/* Fills the window; behind the last operation goes PREPARE. */
static void send_more(struct push *p)
{
	struct mr_prepare prepare = {.generation = p->generation};
	int rc = 0;

	while (rc == 0 && p->n_sent < p->plan.n_ops && p->n_waiting < WINDOW) {
		rc = send_op(p, &p->plan.ops[p->n_sent]);
		p->n_sent++;
	}
	if (rc == 0 && p->n_sent == p->plan.n_ops && p->n_waiting == 0 && !p->is_prepare_sent) {
		mr_digest_bytes(&p->target.digest, prepare.digest);
		p->is_prepare_sent = true;
		rc = client_send(p->client, MR_REQ_PREPARE, &mr_prepare_msg, &prepare,
			REQUEST_TIMEOUT_MS, on_prepare, p);
	}
	if (rc != 0)
		give_up(p, rc);
}

static void start_change(struct push *p)
{
	struct mr_begin begin = {.base_generation = p->status.generation};
	int rc = reconcile_build(&p->plan, &p->running, &p->target);

	if (rc != 0) {
		refuse(p, "", "the daemon has no memory for the change");
		return;
	}
	p->state = STATE_SENDING;
	p->generation = p->status.generation + 1;
	p->n_waiting = 1;
	rc = client_send(
		p->client, MR_REQ_BEGIN, &mr_begin_msg, &begin, REQUEST_TIMEOUT_MS, on_op, p);
	if (rc != 0)
		give_up(p, rc);
}

/* In IDLE: is there anything to do? */
static void advance(struct push *p)
{
	if (p->state != STATE_IDLE || !p->has_target || p->is_refused)
		return;
	if (p->status.generation != 0
		&& memcmp(&p->running.digest, &p->target.digest, sizeof(p->running.digest)) == 0)
		report(p, PUSH_IN_FORCE, "", "");
	else
		start_change(p);
}

static void on_dump_row(struct push *p, const struct mr_frame *row)
{
	const struct mr_field *bad;

	if (p->n_dump == p->dump_cap) {
		const size_t cap = p->dump_cap == 0 ? 64 : 2 * p->dump_cap;
		struct mr_object *o = reallocarray(p->dump, cap, sizeof(*o));

		if (o == NULL) {
			client_close(p->client, -ENOMEM, "no memory for the dataplane's model");
			return;
		}
		p->dump = o;
		p->dump_cap = cap;
	}
	if (mr_object_decode(&p->dump[p->n_dump], row->body, row->body_len, &bad) != 0)
		client_close(p->client, -EPROTO, "the dataplane dumped an object we do not know");
	else
		p->n_dump++;
}

static void forget_dump(struct push *p)
{
	free(p->dump);
	p->dump = NULL;
	p->n_dump = p->dump_cap = 0;
}

static void on_dump(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;
	uint8_t digest[16];

	if (reply->row != NULL && p->state == STATE_DUMPING)
		on_dump_row(p, reply->row);
	if (!reply->is_last || reply->status != 0 || p->state != STATE_DUMPING)
		return;
	objset_fini(&p->running);
	if (objset_init(&p->running, p->dump, p->n_dump) != 0)
		memset(&p->running, 0, sizeof(p->running));
	p->dump = NULL;
	forget_dump(p);
	mr_digest_bytes(&p->running.digest, digest);
	if (memcmp(digest, p->status.digest, sizeof(digest)) != 0) {
		look_again(p, "the model it dumps is not the one its digest means");
		return;
	}
	p->state = STATE_IDLE;
	take_next(p);
	advance(p);
}

static void on_status(void *arg, const struct client_reply *reply)
{
	struct push *p = arg;
	const struct mr_field *bad;
	struct mr_status status;

	if (reply->row != NULL
		&& mr_msg_decode(
			   &mr_status_msg, &status, reply->row->body, reply->row->body_len, &bad)
			== 0)
		p->status = status;
}

/* STATUS and DUMP back to back; both are answered from one generation unless it changes between. */
static void start_dump(struct push *p)
{
	int rc;

	p->state = STATE_DUMPING;
	forget_dump(p);
	rc = client_send(
		p->client, MR_REQ_STATUS, &mr_empty_msg, NULL, REQUEST_TIMEOUT_MS, on_status, p);
	if (rc == 0)
		rc = client_send(p->client, MR_REQ_DUMP, &mr_empty_msg, NULL, REQUEST_TIMEOUT_MS,
			on_dump, p);
	if (rc != 0)
		give_up(p, rc);
}

static void on_up(void *arg, const struct mr_status *status)
{
	struct push *p = arg;

	logline_write(LOGLINE_NOTICE, "dataplane", "connected: %s, pid %u, generation %" PRIu64,
		status->program, status->pid, status->generation);
	p->status = *status;
	p->away_reason[0] = '\0';
	p->is_refused = false;
	p->n_conflicts = 0;
	start_dump(p);
}

static void go_away(struct push *p, const char *reason)
{
	if (strcmp(p->away_reason, reason) != 0)
		logline_write(LOGLINE_WARNING, "dataplane",
			"not connected: %s; it goes on with what it has, trying again", reason);
	snprintf(p->away_reason, sizeof(p->away_reason), "%s", reason);
	p->state = STATE_AWAY;
	p->is_reported = false; /* what runs may be another dataplane, with an older model */
	forget_change(p);
	forget_dump(p);
	objset_fini(&p->running);
	arm(p->retry, p->retry_ms);
	p->retry_ms = p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2 : RETRY_MAX_MS;
	take_next(p);
	report(p, PUSH_AWAY, "", p->away_reason);
}

static void on_down(void *arg, int status, const char *reason)
{
	go_away(arg, reason);
}

static void connect_now(struct push *p)
{
	char reason[224];
	const int rc = client_connect(p->client);

	if (rc == 0)
		return;
	snprintf(reason, sizeof(reason), "%s: %s%s", p->socket, strerror(-rc),
		rc == -ENOENT || rc == -ECONNREFUSED ? " (is millraced running?)" : "");
	go_away(p, reason);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	connect_now(arg);
}

static void on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct push *p = arg;

	if (p->state == STATE_AWAY && p->away_reason[0] != '\0')
		report(p, PUSH_AWAY, "", p->away_reason);
	else
		advance(p);
}

int push_create(struct push **out, struct event_base *base, const struct push_params *params)
{
	struct push *p = calloc(1, sizeof(*p));
	struct client_params cp = {
		.path = params->socket,
		.name = "millrace-controld",
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.on_up = on_up,
		.on_down = on_down,
		.arg = p,
	};
	int rc;

	if (p == NULL)
		return -ENOMEM;
	p->base = base;
	p->on_report = params->on_report;
	p->arg = params->arg;
	p->retry_ms = RETRY_FIRST_MS;
	snprintf(p->socket, sizeof(p->socket), "%s", params->socket);
	p->retry = evtimer_new(base, on_retry, p);
	p->kick = evtimer_new(base, on_kick, p);
	rc = p->retry == NULL || p->kick == NULL ? -ENOMEM : client_create(&p->client, base, &cp);
	if (rc != 0) {
		push_destroy(&p);
		return rc;
	}
	arm(p->retry, 0);
	*out = p;
	return 0;
}

void push_destroy(struct push **pp)
{
	struct push *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	client_destroy(&p->client);
	if (p->retry != NULL)
		event_free(p->retry);
	if (p->kick != NULL)
		event_free(p->kick);
	forget_change(p);
	forget_dump(p);
	objset_fini(&p->running);
	objset_fini(&p->target);
	objset_fini(&p->next);
	free(p);
}

void push_set_target(struct push *p, struct objset *target)
{
	objset_fini(&p->next);
	p->next = *target;
	p->has_next = true;
	memset(target, 0, sizeof(*target));
	if (p->state == STATE_SENDING)
		return;
	take_next(p);
	arm(p->kick, 0);
}

struct client *push_client(const struct push *p)
{
	return p->client;
}

bool push_is_in_sync(const struct push *p)
{
	return p->state == STATE_IDLE && p->has_target && !p->has_next && p->status.generation != 0
		&& memcmp(&p->running.digest, &p->target.digest, sizeof(p->running.digest)) == 0;
}

const char *push_away_reason(const struct push *p)
{
	return p->state == STATE_AWAY && p->away_reason[0] == '\0' ? "connecting" : p->away_reason;
}
