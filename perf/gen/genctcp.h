/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genctcp — the work `cache-tcp`: requests of genmc.h over many connections of gentcp.h, a TCP for generators. `depth` requests that follow
 * each other are due at once and go to one connection, the next ones to the next; each one's time counts from when they were
 * due until its own answer was read. A connection whose window is full, or on which very many answers are missing, keeps what is due for
 * later: nothing is lost but time, until the trial ends. Connections are opened before, and again when they broke; requests that
 * were on the way then have no answer, and are lost.
 *
 * With --once there are none before: a request opens one, its time counts from when it was due until the answer was read, and then the
 * connection is closed. Where as many as --flows are there already, the request is lost.
 */
#include "genmc.h"
#include "gentcp.h"

struct genctcp {
	struct genmc *mc;
	struct gentcp tcp;
	uint32_t n_conns, depth;
	bool is_once; /* each request has a connection of its own, which is closed when it is answered */
	uint64_t next_drawn;            /* the number whose request has not been drawn yet */
	uint32_t next_conn, next_place; /* whose the next request is, and which of the depth */
	/* Of each connection the requests without an answer, as they were sent: request s is at s modulo n_ahead, a power of two. */
	uint32_t *asked;
	uint32_t n_ahead;
	uint8_t *partial; /* of each connection GENMC_ANSWER_MAX: an answer that is not whole */
	uint64_t *open_number;    /* of each connection: the number that asked for it last */
	uint32_t *idle;           /* is_once: connections that are none now, first in first out */
	uint32_t idle_at, n_idle; /* is_once */
	bool is_opening;          /* set between trials */
	struct genonce opened;
	struct genrun *run; /* the one whose trial runs */
	struct genwork work;
};

/* Of thread p->slice, with its part of the clients and of --flows connections. 0 or -errno, told. */
int genctcp_init(struct genctcp *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p, struct genrun *run);
/* Resets the connections and frees all; NULL-safe for one that was never made. */
void genctcp_fini(struct genctcp *c);

/* Opens what is not open; connections on which something is still to come are reset first. c: of each thread of r. 0 or -errno, told.
 * Between trials. */
int genctcp_connect(struct genctcp *const *c, struct genrun *r);

/* Packet buffers that it may hold. */
uint32_t genctcp_buffers(void);
