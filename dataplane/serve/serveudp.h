/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serveudp — memcached over UDP on the worker that has the datagram. Requests are looked up in one go for the whole burst; answers
 * are written into buffers of their own and go back the way the requests came. Any worker could serve any request: nothing here
 * belongs to a flow.
 */
#include "core/worker.h"
#include "serve/serveconf.h"

struct serveudp; /* of one worker */

/* Cold. 0 or -ENOMEM. */
int serveudp_create(struct serveudp **out, int socket_id);
void serveudp_destroy(struct serveudp **u); /* NULL-safe, clears *u */

/* Hot. Packets sel[0..n) are UDP and have PKT_SERVE and service_idx. Afterwards each is PKT_REPLY, PKT_GONE or PKT_DROP. The caches
 * have begun. */
void serveudp_input(struct worker *w, const struct serve_conf *c, const struct lb_conf *lb,
	struct burst *b, const uint8_t *sel, unsigned n);
