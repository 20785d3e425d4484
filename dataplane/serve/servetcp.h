/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * servetcp — memcached over TCP: one stack (tcp/tcp.h) of each worker, whose connections speak memcached's protocols
 * (serve/mcstream.h) with the cache of their service. What arrives in a burst is executed before its answers leave, lookups of
 * all its connections at once.
 *
 * Every resource has a bound, of this worker: connections, buffers of all queues, buffers for requests that are not whole. A client
 * that keeps what others need is the first to go: see servetcp.c.
 */
#include "core/worker.h"
#include "serve/serveconf.h"
#include "tcp/tcp.h"

struct servetcp; /* of one worker */

struct servetcp_params {
	uint32_t n_conns; /* of this worker, 16 at least; 0: there is no TCP here */
	uint32_t n_bufs;  /* packet buffers that queues of its connections hold at most */
	struct rte_mempool *pool;
	uint64_t secret[4]; /* from the kernel's random source */
	uint64_t now_us;    /* of the worker's first loop, or before */
};

/* What ended, or was refused, beside what tcp.h counts. */
#define SERVETCP_STATS(X) \
	X(request_timeouts, "connections whose request was not whole in time") \
	X(close_timeouts, "connections closed here whose client did not close them too") \
	X(no_request_buffer, "requests that had to wait for a buffer to be put together in") \
	X(no_answer_buffer, "requests that had to wait as buffers were short") \
	X(answers_cut, \
		"connections ended as there was no buffer for an answer, or it was too long") \
	X(refs, "answers of which a part was sent from where it lies in the cache") \
	X(refs_refused, "... and that were copied, as too much was on its way so") \
	X(slow_readers, "connections ended that kept buffers for too long when these were short") \
	X(unserved, "connections ended as their service went, or refuses their client now")

#define SERVETCP_STATS_FIELD(name, help) uint64_t name;
struct servetcp_stats {
	SERVETCP_STATS(SERVETCP_STATS_FIELD)
};

/* A connection, for people. */
struct servetcp_info {
	struct tcp_info tcp;
	uint32_t service_idx;
	uint32_t age_ms;
	uint64_t n_requests;
	uint32_t n_partial; /* bytes of a request that is not whole */
};

struct serve_worker;

/* Cold. Context: manager, before workers start. 0, -EINVAL (tcp_create()) or -ENOMEM. n_services: slots. */
int servetcp_create(struct servetcp **out, const struct servetcp_params *p, struct worker *w,
	uint32_t n_services, int socket_id);
void servetcp_destroy(
	struct servetcp **st); /* NULL-safe, clears *st; connections end without a word */

/* Hot. Packets sel[0..n) are TCP and have PKT_SERVE and service_idx. Afterwards each is PKT_GONE or PKT_DROP. The caches have begun. */
void servetcp_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n);

/* Hot. As serve_icmp_error(); what a connection does about it comes with the next tick. */
bool servetcp_icmp_error(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, unsigned i);

/* Hot. Timers; once per tick. */
void servetcp_tick(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb);

/* Hot. Goes on with connections that had their share of the last loop. */
void servetcp_go_on(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb);

/* Connections from *cursor on (0 at first), at most n positions, until one for which each() returns false; *cursor: UINT32_MAX when all
 * have been seen. each() may end it: true in *is_killed. Context: the worker (a job). */
struct servetcp_walk {
	bool (*each)(void *ctx, const struct servetcp_info *info, bool *is_killed);
	void *ctx;
	uint32_t cursor;
};
void servetcp_walk(struct worker *w, struct servetcp_walk *walk, unsigned n);

/* What would become of a segment to a service of a cache, of which p is the record, and why. */
struct servetcp_trial {
	bool is_refused;
	uint8_t drop;  /* enum pkt_drop, with is_refused */
	bool is_known; /* it is of the connection that info is about */
	struct servetcp_info info;
	uint64_t conns; /* of the service, this worker's */
	/* this worker's share, and new connections admitted at once; UINT32_MAX: no limit */
	uint32_t max_conns, flows_left, source_left;
};

/* Changes nothing. Context: the worker (a job). */
void servetcp_try(
	struct worker *w, const struct lb_conf *lb, const struct pkt *p, struct servetcp_trial *t);

/* Whether the worker has a TCP: what is below is for those that have. Context: any. */
bool servetcp_is_there(const struct worker *w);

/* Context: the worker (a job). */
const struct tcp_stats *servetcp_tcp_stats(const struct worker *w);
const struct servetcp_stats *servetcp_stats(const struct worker *w);
void servetcp_usage(const struct worker *w, struct tcp_usage *u);
void servetcp_limits(const struct worker *w, struct tcp_usage *max);
/* Values that are being sent from where they lie, and how many can be. */
void servetcp_refs(const struct worker *w, uint32_t *used, uint32_t *max);
