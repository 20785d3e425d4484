/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * loop — the daemon itself: the three states of backends, the parts that change them (operators,
 * files, probes) and the part that makes the dataplane follow (push). After every change the loop computes
 * what the dataplane should run and gives it to push. One thread: the event loop's.
 */
#include "daemon/admin.h"
#include "daemon/desired.h"
#include "daemon/observed.h"
#include "daemon/push.h"

struct event_base;
struct fetch;
struct keep;
struct loop;
struct rates;

struct loop_params {
	const char *config_file; /* NULL: none */
	const char *state_dir;
	const char *dataplane; /* socket */
	bool allows_exec;      /* checks may run commands */
};

enum loop_verdict {
	LOOP_APPLIED,  /* in force and saved */
	LOOP_PENDING,  /* saved; the dataplane is away and gets it when it is back */
	LOOP_REFUSED,  /* by the dataplane; the old configuration runs on */
	LOOP_CONFLICT, /* if_generation is not the current one */
	LOOP_UNSAVED,  /* the disk would not have it; the old configuration runs on */
};

/* How an apply ended. object and message are "" where there is nothing to say. */
struct loop_applied {
	enum loop_verdict verdict;
	uint64_t generation; /* the current one now */
	const char *object;
	const char *message;
};

typedef void loop_applied_fn(void *arg, const struct loop_applied *result);

/* Loads the state directory, or the configuration file when there is none yet. 0 or -errno; on failure
 * the reason has been said on stderr. */
int loop_create(struct loop **out, struct event_base *base, const struct loop_params *params);
void loop_destroy(struct loop **l); /* NULL-safe; saves what health checks have seen */

/* Milliseconds since 1970. */
int64_t loop_now_ms(void);

/* Reading, for the methods of the control socket. */
const struct desired *loop_desired(const struct loop *l);
const struct admin *loop_admin(const struct loop *l);
const struct observed_backend *loop_observed(const struct loop *l, size_t pool, size_t backend);
const struct push *loop_push(const struct loop *l);
struct fetch *loop_fetch(const struct loop *l);
/* What traffic shows of a backend, and whether it is ejected for it. */
const struct passive_backend *loop_passive(const struct loop *l, size_t pool, size_t backend);

const struct rates *loop_rates(const struct loop *l);
const struct loop_params *loop_params(const struct loop *l);
struct conf_host loop_host(const struct loop *l); /* what configurations may do here */
/* By health, whatever services are in panic. */
struct weight_result loop_effective(const struct loop *l, size_t pool, size_t backend);
int64_t loop_panic_since_ms(const struct loop *l, size_t service); /* 0: not in panic */
bool loop_is_in_sync(const struct loop *l);        /* the dataplane runs what follows from it all */
bool loop_is_pending(const struct loop *l);        /* an apply waits for the dataplane */
const char *loop_last_error(const struct loop *l); /* of push; "": none since the last success */
bool loop_config_differs(const struct loop *l);    /* --config file against what is applied */
int64_t loop_started_ms(const struct loop *l);

#define LOOP_ANY_GENERATION UINT64_MAX

/* Replaces the configuration; takes `to` over, whose generation is set here. if_generation 0: none yet. fn is
 * called exactly once, later. Applies queue up behind each other; if_generation is looked at when the
 * turn comes. 0 or -ENOMEM. */
int loop_apply(
	struct loop *l, struct desired *to, uint64_t if_generation, loop_applied_fn *fn, void *arg);

/* As admin_set(), and the dataplane follows. */
int loop_override(struct loop *l, const struct admin_override *o);
