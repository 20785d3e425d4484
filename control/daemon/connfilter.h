/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * connfilter — which connections a conn.* method is about: its parameters, and what the dataplane is to
 * be asked. The dataplane knows backends by service and name; POOL/NAME therefore becomes one question
 * for each service of the pool, and a name alone one question for all. Daemon thread.
 */
#include "daemon/method.h"
#include "millrace/api_stats.h"

#define CONNFILTER_MS_MAX 2592000000 /* 30 days, as of any duration */

/* The parameters as they came; absent: NULL or -1. */
struct connfilter_params {
	const char *service, *backend, *client, *state;
	json_int_t older_than_ms, younger_than_ms, idle_longer_than_ms, idle_shorter_than_ms;
};

#define CONNFILTER_PARAMS_NONE \
	{ \
		.older_than_ms = -1, .younger_than_ms = -1, .idle_longer_than_ms = -1, \
		.idle_shorter_than_ms = -1 \
	}

/* For method_unpack(), among a method's own parameters. */
#define CONNFILTER_FORMAT "s?s, s?s, s?s, s?s, s?I, s?I, s?I, s?I"
#define CONNFILTER_UNPACK(p) \
	"service", &(p)->service, "backend", &(p)->backend, "client", &(p)->client, "state", \
		&(p)->state, "older_than_ms", &(p)->older_than_ms, "younger_than_ms", \
		&(p)->younger_than_ms, "idle_longer_than_ms", &(p)->idle_longer_than_ms, \
		"idle_shorter_than_ms", &(p)->idle_shorter_than_ms

struct connfilter {
	struct mr_conn_filter filter;  /* but for .service */
	char (*services)[MR_NAME_MAX]; /* to ask about; "" is all */
	size_t n_services;
};

/* Fills *f. False: refused, r is gone, nothing to give back. */
bool connfilter_read(
	struct connfilter *f, struct ctlsrv_request *r, const struct connfilter_params *p);
void connfilter_fini(struct connfilter *f);

/* Whether there is any parameter. */
bool connfilter_is_narrow(const struct connfilter_params *p);
