/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_in — segments of connections (RFC 9293 3.10.7, with RFC 5961 and RFC 7323), and their deadlines. Context: the stack's
 * thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* Takes in->m. The connection is to be marked dirty by the caller. */
void tcp_in_segment(struct tcb *c, struct tcp_in *in);

/* When the connection has something to do. */
uint64_t tcp_in_due_us(const struct tcb *c);

/* The same without those deadlines that segments of the peer only move to later: idle times, probes of them. TCP_NEVER: none. */
uint64_t tcp_in_soon_us(const struct tcb *c);

/* What is due. */
void tcp_in_due(struct tcb *c);
