/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_icmp — ICMP errors about segments of ours (RFC 5927). What they can do is little: a number that is on its way has to be quoted,
 * an open connection is never ended by them, and a path MTU that is smaller than what has already got through is
 * believed only when a time-out agrees (RFC 5927 7.2). tcp_icmp() is in tcp.h. Context: the stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* The first byte of the queue is acknowledged up to `ack`. */
static inline void tcp_icmp_on_ack(struct tcb *c, uint32_t ack)
{
	struct tcp_seg *s = tcp_seg(c->snd_head);

	if (s->len > c->mss_seen && seq_leq(s->seq + s->len, ack))
		c->mss_seen = s->len;
	if (unlikely(c->has_claim) && seq_lt(c->mss_claimed_seq, ack))
		c->has_claim = false; /* that segment has got there */
}

/* The retransmission time-out has come. */
void tcp_icmp_on_timeout(struct tcb *c);
