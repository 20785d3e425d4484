/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serve — services of MR_MODE_CACHE on a worker: memcached over UDP (serveudp.h) and TCP (servetcp.h) from the caches of its generation.
 */
#include "core/worker.h"
#include "serve/serveconf.h"

struct serve_worker;

/* Per worker and service slot. w: worker  r: manager (relaxed) */
struct serve_tally {
	uint64_t rx_packets, rx_bytes; /* requests' frames */
	uint64_t tx_packets, tx_bytes; /* answers' frames */
	uint64_t requests;             /* those of one datagram each */
	uint64_t drops, acl_drops;     /* the second among the first */
};

struct serve_worker_params {
	uint32_t n_services; /* slots */
	int socket_id;
};

/* Cold. Context: manager, before workers start. 0 or -ENOMEM. */
int serve_worker_create(struct serve_worker **out, const struct serve_worker_params *p);
void serve_worker_destroy(struct serve_worker **sw); /* NULL-safe, clears *sw */

/* Hot. Packets sel[0..n) have PKT_SERVE and service_idx. Afterwards each is PKT_REPLY, PKT_GONE or PKT_DROP. */
void serve_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n);

/* Caches' time and sweeps; once per tick. */
void serve_tick(struct worker *w, const struct serve_conf *c);

/* Context: manager. */
const struct serve_tally *serve_worker_tally(const struct serve_worker *sw, uint32_t service_idx);
void serve_worker_clear(struct serve_worker *sw, uint32_t service_idx); /* as lb_worker_clear() */
