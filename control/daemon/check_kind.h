/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * check_kind — what check.c needs of a kind of check: start one probe, or give it up. The kinds are the
 * files check_tcp.c, check_http.c, check_line.c, check_udp.c, check_icmp.c and check_exec.c; check.c has the table.
 */
#include "daemon/check.h"

struct check_http; /* connections of all http probes */
struct check_exec; /* processes of all exec probes */

/* What to probe. Borrowed for the call of start only, unless said otherwise. */
struct check_target {
	struct event_base *base;
	struct check_http *http;
	struct check_exec *exec;
	const struct conf_check *check;
	const char *service; /* the first that uses the pool */
	const struct mr_ip *ip;
	uint16_t port;
	uint16_t local_port; /* the probe comes from; 0: from any */
	/* Called exactly once unless the probe is given up, never from inside start. error: the errno that
	 * the probe failed with on our side, or 0. */
	void (*on_end)(void *arg, int error, const struct check_result *result);
	void *arg;
};

struct check_kind {
	/* 0 with the probe in *probe; -errno: it could not even begin, on_end is not called. */
	int (*start)(void **probe, const struct check_target *target);
	void (*cancel)(void *probe);
	/* When the error is one of our side that only this kind has: what to do about it; else NULL. May be
	 * NULL itself. */
	const char *(*remedy)(int error);
};

extern const struct check_kind check_tcp_kind;
extern const struct check_kind check_http_kind;
extern const struct check_kind check_line_memcached_kind;
extern const struct check_kind check_line_redis_kind;
extern const struct check_kind check_udp_kind;
extern const struct check_kind check_icmp_kind;
extern const struct check_kind check_exec_kind;

int check_http_create(struct check_http **out, struct event_base *base);
void check_http_destroy(struct check_http **h); /* NULL-safe; no probe may be under way */

int check_exec_create(struct check_exec **out, struct event_base *base);
void check_exec_destroy(struct check_exec **x); /* NULL-safe; all probes have been given up */

/* Seconds on a clock that never goes back. */
double check_now(void);
