/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serve — services of MR_MODE_CACHE on a worker: memcached over UDP (serveudp.h) and TCP (servetcp.h) from the caches of its generation.
 */
#include "core/worker.h"
#include "serve/serveconf.h"
#include "serve/servetcp.h"

struct serve_worker;

/* Per worker and service slot. w: worker  r: manager (relaxed) */
struct serve_tally {
	uint64_t rx_packets, rx_bytes; /* frames of clients */
	uint64_t tx_packets, tx_bytes; /* frames to clients */
	uint64_t requests;             /* each of those that come together */
	uint64_t drops, acl_drops;     /* the second among the first */
	uint64_t conns, conns_total;   /* over TCP: now, and ever */
};

struct serve_worker_params {
	struct worker *w;
	struct worker *const *workers; /* all of them, read once packets come */
	uint32_t n_services;           /* slots */
	struct servetcp_params tcp;
	int socket_id;
};

/* Cold. Context: manager, before workers start: w->serve, which is NULL, is made. 0, -ENOMEM, or -EINVAL: sizes of tcp. */
int serve_worker_create(const struct serve_worker_params *p);
void serve_worker_destroy(struct worker *w); /* clears w->serve, which may be NULL */

/* Hot. Packets sel[0..n) have PKT_SERVE and service_idx. Afterwards each is PKT_REPLY, PKT_GONE or PKT_DROP. */
void serve_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n);

/* Hot. Packet i has PKT_ICMP_ERROR and is to a VIP. False: it is about no connection of ours, and as it was. Else it is PKT_GONE. */
bool serve_icmp_error(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, unsigned i);

/* Caches' time and sweeps, connections' timers; once per tick. */
void serve_tick(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb);

/* What worker.is_unfinished was set for. */
void serve_go_on(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb);

/* Context: manager. */
const struct serve_tally *serve_worker_tally(const struct serve_worker *sw, uint32_t service_idx);
/* Connections to the slot, which is somebody's while there are any. */
uint64_t serve_worker_conns(const struct serve_worker *sw, uint32_t service_idx);
void serve_worker_clear(struct serve_worker *sw, uint32_t service_idx); /* as lb_worker_clear() */
