/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * check — probes the backends of every pool that has a check and that a service uses, each at its own
 * pace: one timer a backend, the first probe soon after it appeared, the next one an interval after
 * the last began, give or take the jitter. At most one probe of a backend is under way. Daemon thread.
 */
#include "lib/conf.h"

struct check;
struct event_base;

/* How a probe ended. text is one line and dies with the call. A probe that the daemon could not make for
 * want of its own (descriptors, ports, memory) says nothing about the backend: it is logged, not told. */
struct check_result {
	bool is_pass;
	const char *text;
	double latency_seconds;
};

/* For c->pools[pool].backends[backend] of the configuration given last. */
typedef void check_result_fn(
	void *arg, size_t pool, size_t backend, const struct check_result *result);

int check_create(
	struct check **out, struct event_base *base, check_result_fn *on_result, void *arg);
void check_destroy(struct check **c); /* NULL-safe; probes under way are given up */

/* Probes what conf says from now on. A backend that is probed in the same way as before (same pool, name,
 * address, port and kind of check) keeps its timer and its probe under way. conf must live until the
 * next call. 0 or -ENOMEM (then nothing has changed). */
int check_adapt(struct check *c, const struct conf *conf);
