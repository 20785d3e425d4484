/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * observed — the operational state of backends: what health checks have seen. One entry for each
 * backend of each pool of the configuration, in its order. States are saved in observed.json, so that
 * a restart of the daemon does not begin with a world in which everything is down. Times are since 1970, for
 * people; but how long a backend has been up is measured by the monotonic clock, which nobody sets. It goes on
 * over a restart of the daemon; over one of the machine the other has to do. Daemon thread.
 */
#include "daemon/weight.h"
#include "lib/conf.h"

#define OBSERVED_REASON_MAX 128

struct keep;
struct observed;

#define OBSERVED_LONG_AGO INT64_MIN

/* One moment on both clocks. */
struct observed_time {
	int64_t wall_ms; /* since 1970 */
	int64_t mono_ms;
};

struct observed_backend {
	char pool[MR_NAME_MAX];
	char name[MR_NAME_MAX];
	enum weight_health state;
	int64_t since_ms; /* when the state began */
	int64_t risen_ms; /* monotonic: when checks brought it up; OBSERVED_LONG_AGO: it was in use before */
	enum conf_check_type check_type;  /* of the probes counted here; NONE: there is no check */
	char reason[OBSERVED_REASON_MAX]; /* why it is in this state */
	uint32_t passes, failures;        /* in a row; one of them is 0 */
	char result[OBSERVED_REASON_MAX]; /* of the last probe; "": none yet */
	double latency_seconds;           /* of the last probe that passed; < 0: none yet */
	int64_t checked_ms;               /* end of the last probe; 0: none yet */
	int64_t ejected_ms; /* taken out by traffic until then (passive.h); 0: it is not. Not saved */
};

/* Outcome of one probe. */
struct observed_probe {
	bool is_pass;
	const char *result; /* "200 in 1.2 ms", "connection refused" */
	double latency_seconds;
	struct observed_time now;
};

/* Reads observed.json; one that is corrupt or not there counts as empty. 0 or -ENOMEM. */
int observed_create(struct observed **out, struct keep *keep, const struct observed_time *now);
void observed_destroy(struct observed **o); /* NULL-safe */

/* The state that a backend begins with under another configuration. One whose pool has no check is UNCHECKED.
 * Else it keeps the state it had in the pool, and is UP if it was in use there unchecked: a check that is new
 * must find it down before it counts as down. was NULL: it is new to the pool, CHECKING. */
enum weight_health observed_next(const struct observed_backend *was, bool is_checked);

/* Makes the entries those of c: states by observed_next() from the backend of the same pool and name. Probes
 * that were counted are forgotten where the kind of check is another. 0 or -ENOMEM (then nothing has
 * changed). */
int observed_adapt(struct observed *o, const struct conf *c, int64_t now_ms);

/* The entry of c->pools[pool].backends[backend]; dies at the next observed_adapt(). */
struct observed_backend *observed_at(const struct observed *o, size_t pool, size_t backend);

/* Counts a probe. A state changes after `rise` passes or `fall` failures in a row; the first probe
 * of all decides at once. Returns whether it changed. */
bool observed_probe(struct observed_backend *b, const struct conf_check *check,
	const struct observed_probe *probe);

/* Writes observed.json. 0 or -errno. */
int observed_save(const struct observed *o);
