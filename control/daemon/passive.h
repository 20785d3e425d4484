/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * passive — takes backends out by what traffic shows of them: flows that they refuse, do not answer or cannot be
 * reached for, as the dataplane counts them. One entry for each backend of each pool of the configuration, in
 * its order. A backend that is taken out (ejected) comes back by itself after a time that grows with each
 * ejection; no more than a share of a pool is out at a time. Nothing of it is saved: after a restart of the
 * daemon all are in, and traffic says again. Daemon thread; no I/O.
 */
#include "lib/conf.h"
#include "millrace/api_stats.h"

#define PASSIVE_REASON_MAX 96

struct passive;

struct passive_backend {
	uint64_t opened, failed; /* counters at the last reading */
	bool has_reading;
	uint32_t in_a_row;           /* failures since the last flow that was opened */
	uint64_t n_opened, n_failed; /* in the window of the rate */
	int64_t window_ms;           /* when that began */
	uint32_t n_ejections;        /* in short succession: one less for each `ejection` without */
	int64_t until_ms;            /* it is out until then; 0: it is in */
	int64_t calm_ms;             /* when n_ejections goes down next */
	char reason[PASSIVE_REASON_MAX]; /* of the last ejection */
};

/* Called for each backend that goes out or comes back. */
typedef void passive_fn(void *arg, const struct conf_pool *pool, const struct conf_backend *b,
	const struct passive_backend *state);

/* 0 or -ENOMEM. */
int passive_create(struct passive **out);
void passive_destroy(struct passive **p); /* NULL-safe */

/* Makes the entries those of c; a backend of the same pool and name in from (NULL: none) keeps its state. 0 or
 * -ENOMEM (then nothing has changed). */
int passive_adapt(struct passive *p, const struct conf *c, const struct conf *from);

/* Whether any pool of the configuration wants it. */
bool passive_is_wanted(const struct passive *p);

/* Takes the dataplane's counters and the time. c is the configuration of the last adapt. Returns whether any
 * backend went out or came back. */
bool passive_read(struct passive *p, const struct conf *c, const struct mr_backend_row *rows,
	size_t n_rows, int64_t now_ms, passive_fn *fn, void *arg);

/* The entry of c->pools[pool].backends[backend]; dies at the next passive_adapt(). */
const struct passive_backend *passive_at(const struct passive *p, size_t pool, size_t backend);
