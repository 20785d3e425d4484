/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ackbed — a sender against acknowledgements of a script, in virtual time. The server at 10.0.0.1 port 7 sends segments of 1000
 * bytes, which are named by their number from 0 on; the client at 10.0.0.2 only acknowledges. Time counts in microseconds from
 * the end of the handshake, which took ACKBED_RTT_US. Timers have ticks of a millisecond, and run in the one after that of their
 * deadline. Everything fails the cmocka test when something is not as it should be.
 */
#include "tcp/tcp.h"

#include <stdbool.h>
#include <stdint.h>

#define ACKBED_SEG 1000u
#define ACKBED_RTT_US 20000u
#define ACKBED_BLOCKS 3u
#define IW 10u /* segments that go at first (RFC 6928) */

struct out {
	uint32_t seg, len;
	bool has_fin;
	uint64_t at_us;
};

/* Segments [from, to) that are there. */
struct block {
	uint32_t from, to;
};

struct ackbed {
	struct tcp *t;
	struct rte_mempool *pool; /* of the test's main() */
	struct iface_set ifaces;
	struct burst b;
	struct tcp_profile profile;
	struct out out[512];
	unsigned n_out, n_taken;
	unsigned n_bufs_out; /* frames, and none of them is two, as they were given to the device */
	uint32_t iss, tsval; /* tsval: sent last */
	struct tcb *c;
	uint64_t now_us, begin_us;
	uint16_t wnd; /* of the client */
	bool has_sack, has_ts;
};
extern struct ackbed ackbed;

/* A server; the profile may be changed until the client connects, which has these options. */
void ackbed_up(bool has_sack, bool has_ts);
void ackbed_establish(void);
void ackbed_down(void);

/* Timers run until this time, which it is then. */
void ackbed_at(uint64_t us);

/* All before segment una is there, and the blocks; a timestamp echoes tsecr. */
void ackbed_ack(uint32_t una, uint32_t tsecr, const struct block *blocks);
/* With the timestamp sent last: what makes it was sent just now. */
#define ACK(una, ...) \
	ackbed_ack(una, ackbed.tsval, (const struct block[ACKBED_BLOCKS]){__VA_ARGS__})
#define ACK_OF(ts, una, ...) ackbed_ack(una, ts, (const struct block[ACKBED_BLOCKS]){__VA_ARGS__})

/* Of what goes out, next are the segments [from, to) at this time. */
void ackbed_expect(uint32_t from, uint32_t to, uint64_t at_us);
void ackbed_expect_none(void);

/* The application writes n segments. */
void ackbed_send(uint32_t n);
struct tcp_info ackbed_info(void);
