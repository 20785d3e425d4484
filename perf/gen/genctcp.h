/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genctcp — the work `cache-tcp`: requests of genmc.h over many connections of the dataplane's own TCP (dataplane/tcp), which runs here as a
 * client's. `depth` requests that follow each other are due at once and go to one connection, the next ones to the next; each one's
 * time counts from when they were due until its own answer was read. A connection whose window is full keeps what is due for later: nothing is
 * lost but time, until the trial ends. Connections are opened before, and again when they broke.
 *
 * With --once there are none before: a request opens one, its time counts from when it was due until the answer was read, and then the
 * connection is closed. Where as many as --flows are there already, the request is lost.
 */
#include "genframe.h"
#include "genmc.h"
#include "tcp/tcp.h"

struct genctcp_conn;

struct genctcp {
	struct genmc *mc;
	struct genframe frame; /* for its clients */
	struct tcp *tcp;
	struct iface_set ifaces;
	struct tcp_profile profile;
	struct rte_ether_addr gateway;
	struct pkt peer; /* the target */
	struct genctcp_conn *conns;
	uint32_t n_conns, depth;
	bool is_once; /* each request has a connection of its own, which is closed when it is answered */
	uint32_t *idle, n_idle; /* is_once: connections that are none now */
	uint64_t n_opened;      /* is_once: so many were; the next one is of this flow */
	bool is_opening;        /* set between trials */
	struct genonce opened;
	struct genrun *run; /* the one whose trial runs */
	uint64_t
		n_broken; /* connections that ended by themselves  w: lcore  r: main thread, between trials */
	struct burst *burst;
	struct genwork work;
};

/* run: its pool has BURST_MBUF_PRIV bytes of private area. 0 or -errno, told. */
int genctcp_init(struct genctcp *c, struct genmc *mc, const struct genopt *o,
	const struct genframe_params *p, struct genrun *run);
/* Resets the connections and frees all; NULL-safe for one that was never made. */
void genctcp_fini(struct genctcp *c);

/* Opens what is not open; connections on which something is still to come are reset first. 0 or -errno, told. Between trials. */
int genctcp_connect(struct genctcp *c);

/* Packet buffers that the stack may hold for so many connections. */
uint32_t genctcp_buffers(uint32_t n_conns);
