/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpscript — one TCP stack in virtual time and the frames of its peers, IPv4 or IPv6: segments are given and seen with the
 * numbers that are on the wire. The stack's address ends in .1 and its port is 7, the peers' ends in .2, and port 4000 is that of the
 * peer whose connection is looked at; what goes to other ports is dropped.
 */
#include "tcp/tcp.h"
#include "tcp/tcp_wire.h"

#include <stdbool.h>
#include <stdint.h>

#define TCPSCRIPT_PORT 4000u
#define TCPSCRIPT_OUT_MAX 128u

struct tcpscript_seg {
	uint8_t flags;
	uint16_t wnd;
	uint32_t seq, ack, len;
	struct tcp_opts o;
};

struct tcpscript {
	struct rte_mempool *pool; /* given, kept by tcpscript_up() */
	uint32_t n_bufs;          /* the same; 0: 256 */
	uint8_t family;
	struct tcp *t;
	struct tcb *c; /* that was opened and is not closed */
	struct iface_set ifaces;
	struct burst b;
	struct tcp_profile profile;
	struct tcpscript_seg out[TCPSCRIPT_OUT_MAX];
	unsigned n_out, n_taken;
	unsigned n_open, n_ready, n_close;
	enum tcp_reason why;
	uint64_t now_us;
};

/* A stack as small as can be, at 1 second. The profile is all 0. */
void tcpscript_up(struct tcpscript *x, uint8_t family, enum tcp_cookies cookies);
/* No buffer may be left. */
void tcpscript_down(struct tcpscript *x);

/* A segment of the peer; its payload counts up from its number. The invariants are checked behind it. */
void tcpscript_in(struct tcpscript *x, uint16_t port, const struct tcpscript_seg *s);

/* An IP packet of l4_len bytes from the peer. */
void tcpscript_packet(struct tcpscript *x, uint8_t proto, const void *l4, uint32_t l4_len);

/* The stack opens a connection to the peer. */
void tcpscript_open(struct tcpscript *x);

/* Time goes on, timers run when they are due. */
void tcpscript_wait_us(struct tcpscript *x, uint64_t us);

/* The next segment that has come out; NULL: none. */
const struct tcpscript_seg *tcpscript_next(struct tcpscript *x);
