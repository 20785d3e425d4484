/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fakedp — a dataplane for tests of its clients: the real model (dataplane/api/model.c) behind a socket on
 * the test's own event loop, with the phases and refusals of dataplane/api/txn.c, and rules that make it
 * misbehave at a chosen request.
 */
#include "api/model.h"
#include "millrace/api_cache.h"
#include "millrace/api_stats.h"

struct event_base;
struct fakedp;

enum fakedp_act {
	FAKEDP_REFUSE,      /* answers with code, object, message */
	FAKEDP_HOLD,        /* answers only after fakedp_release() */
	FAKEDP_CLOSE,       /* closes instead of doing it */
	FAKEDP_CLOSE_AFTER, /* does it and closes without an answer */
	FAKEDP_GARBAGE,     /* answers with bytes that are no frame */
	FAKEDP_HALF,        /* does it, sends half the answer and closes */
	FAKEDP_FOREIGN,     /* answers to a request nobody made */
	FAKEDP_LIE,         /* STATUS: tells another digest; DUMP: an object of an unknown type */
};

struct fakedp_rule {
	uint16_t type; /* enum mr_request; 0: no rule */
	enum fakedp_act act;
	unsigned skip;  /* requests of the type that pass first */
	unsigned times; /* then so many that do not */
	uint16_t code;
	const char *object, *message;
};

struct fakedp {
	struct event_base *base;
	char path[108];
	uint16_t version; /* what it says; other clients are refused */
	uint64_t instance;
	uint64_t generation;
	struct model *model;
	struct fakedp_rule rule;
	/* what CONNS and CONN_KILL answer: these rows up to the limit; as many are killed */
	const struct mr_conn_row *conns;
	unsigned n_conns;
	struct mr_conn_filter conn_filters[8]; /* the first that came, in order */
	unsigned n_conn_filters;
	/* what other requests answer, by type, and the body of the last of each */
	struct fakedp_rows {
		const struct mr_msg *msg; /* NULL: no rows */
		const void *rows;
		unsigned n;
		uint8_t body[MR_DATA_MAX + 256];
		uint32_t body_len;
	} rows[48];
	bool is_dribbling; /* answers leave one byte at a time */
	/* what came since the start, by type */
	unsigned n_requests[48];
	unsigned n_hellos_refused;
	bool is_holding; /* a request waits for fakedp_release() */
	struct fakedp_pvt *pvt;
};

/* Listens at path with an empty model and generation 0. */
struct fakedp *fakedp_start(struct event_base *base, const char *path);
void fakedp_stop(struct fakedp **dp); /* as a crash: clients lose their connections */

void fakedp_release(struct fakedp *dp);

/* Another writer's work: changes the running model and its generation. */
void fakedp_put(struct fakedp *dp, const struct mr_object *o);

const struct mr_object *fakedp_find(const struct fakedp *dp, const char *key);
