/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * push — keeps the dataplane's model equal to a target. Holds the connection (and makes it again, with
 * growing pauses), knows what the dataplane runs, and sends only the difference, as one two-phase
 * change. Daemon thread; callbacks come from the event loop, never from inside push_set_target().
 *
 * P1  What is believed to run is only what the dataplane confirmed: a dump whose digest fits its
 *     status, or a commit it answered. A new connection, a conflict or a digest that differs empties
 *     the belief, and a dump fills it again.
 * P2  One change at a time. A target that arrives meanwhile waits; of several only the last counts.
 * P3  A refused target is not sent again until another one is set or the dataplane has restarted.
 */
#include "daemon/objset.h"

struct client;
struct event_base;
struct push;

enum push_outcome {
	PUSH_IN_FORCE, /* the dataplane runs the target */
	PUSH_REFUSED,  /* the dataplane will not have it: see message */
	PUSH_AWAY,     /* no dataplane: the target is sent when it is back */
};

struct push_report {
	enum push_outcome outcome;
	const char *object;  /* PUSH_REFUSED: what it is about, may be "" */
	const char *message; /* PUSH_REFUSED, PUSH_AWAY */
};

struct push_params {
	const char *socket; /* of the dataplane; copied */
	/* The current target reached this outcome. May set another target. */
	void (*on_report)(void *arg, const struct push_report *report);
	void *arg;
};

int push_create(struct push **out, struct event_base *base, const struct push_params *params);
void push_destroy(struct push **p); /* NULL-safe */

/* Takes target over. It is reported as in force or refused once for each connection, and as away each
 * time the connection is lost or cannot be made, unless another one replaces it before. */
void push_set_target(struct push *p, struct objset *target);

/* The connection, for reading requests; down while client_is_up() says so. */
struct client *push_client(const struct push *p);

bool push_is_in_sync(const struct push *p);

/* Why there is no connection, "" when there is one. */
const char *push_away_reason(const struct push *p);
