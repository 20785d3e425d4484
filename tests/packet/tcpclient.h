/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpclient — a client of a cache over TCP, segment by segment: what a test says goes out, what comes back is counted. It never sends
 * by itself, so nothing is acknowledged that the test does not. North of the harness.
 */
#include "harness.h"

struct tcpclient {
	struct mr_ip ip, vip;
	uint16_t sport, dport;
	uint32_t snd_nxt, rcv_nxt;
	/* of all that came back since tcpclient_talk() */
	uint8_t flags;
	unsigned n_bytes;
};

/* Sends a segment with this text, lets the dataplane work, and takes what it answers. */
void tcpclient_talk(struct harness *h, struct tcpclient *c, uint8_t flags, const char *text);

/* Takes all frames that were sent north; those to others are lost. */
void tcpclient_take(struct harness *h, struct tcpclient *c);
