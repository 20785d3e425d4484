/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fetch — reads rows of the dataplane over a connection of its own, so that a long connection dump never
 * holds up a configuration change. The connection is made when it is needed. Daemon thread.
 */
#include "millrace/api_stats.h"

struct event_base;
struct fetch;

/* Rows of one request, decoded one behind the other; n_rows × row_msg->size bytes. */
struct fetch_result {
	int status;          /* 0, or -errno: no rows */
	const char *message; /* with status: why */
	const void *rows;    /* die with the call */
	size_t n_rows;
};

typedef void fetch_fn(void *arg, const struct fetch_result *result);

/* socket is the dataplane's; copied. 0, -ENAMETOOLONG or -ENOMEM. */
int fetch_create(struct fetch **out, struct event_base *base, const char *socket);
void fetch_destroy(struct fetch **f); /* NULL-safe; requests under way are forgotten */

/* Asks; fn is called exactly once, never from inside this call. request may be NULL where the request
 * has no fields. 0 or -ENOMEM (fn is not called). */
int fetch_rows(struct fetch *f, enum mr_request type, const struct mr_msg *request_msg,
	const void *request, const struct mr_msg *row_msg, fetch_fn *fn, void *arg);
