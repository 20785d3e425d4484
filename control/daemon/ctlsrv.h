/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ctlsrv — the control socket: one JSON object per line in each direction (control/README.md). Reads
 * requests, checks who asks (SO_PEERCRED), finds the method and sends its answer, now or later. A
 * client may have several requests under way; answers carry its ids and may come in any order. A line
 * that is too long or no JSON object ends that client only. Daemon thread.
 */
#include <jansson.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CTLSRV_LINE_MAX (16u << 20)
#define CTLSRV_CLIENTS_MAX 256

struct ctlsrv;
struct event_base;
struct loop;

/* One request under way. Lives until it is answered. */
struct ctlsrv_request {
	struct loop *loop;
	const json_t *params;         /* an object, never NULL */
	const char *author;           /* changes: who asks, user name or "uid N" */
	struct ctlsrv_client *client; /* ctlsrv's; NULL when it has gone */
	json_t *id;
	json_t *owned_params;
	char author_text[64];
};

/* A method answers with one of the two functions below, before it returns or later. */
struct ctlsrv_method {
	const char *name;
	bool is_change; /* needs the role to change things */
	void (*run)(struct ctlsrv_request *r);
};

/* Every method of the daemon; ends with a NULL name. */
extern const struct ctlsrv_method method_table[];

struct ctlsrv_params {
	const char *socket;
	const char *group; /* NULL: the daemon's own */
	struct loop *loop;
};

/* Makes the socket's directory (0750) if it is not there, takes a socket over that nobody listens on, and
 * listens (0660). 0 or -errno; on failure the reason has been logged. */
int ctlsrv_create(struct ctlsrv **out, struct event_base *base, const struct ctlsrv_params *params);
void ctlsrv_destroy(struct ctlsrv **s); /* NULL-safe; removes the socket */

/* Answers with {"schema": "millrace.TOPIC/1", "generation": …, "time": …, "items": items} and, if not
 * NULL, the keys of extra. Both are taken over; r is gone after the call. */
void ctlsrv_answer(struct ctlsrv_request *r, const char *topic, json_t *items, json_t *extra);

/* Answers with an error of a code of the contract. hint may be NULL; details may be NULL and is taken
 * over. */
void ctlsrv_refuse(struct ctlsrv_request *r, const char *code, const char *hint, json_t *details,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
