/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_reass — received payload: the queue of what is in order, and the bounded store of what is not. Context: the stack's
 * thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* Payload in->off, in->len and the FIN in `flags` of an acceptable segment, cut to the window: rcv_nxt, queues and
 * TCP_F_FIN_RCVD follow. Takes in->m; is_in_order: rcv_nxt has moved. */
void tcp_reass_add(struct tcb *c, struct tcp_in *in, bool *is_in_order);

/* Adds SACK blocks of what is out of order, as many as there are or have room: that of the last segment first, then those that were
 * first before (RFC 2018 4). */
void tcp_reass_sacks(const struct tcb *c, struct tcp_opts *o);

/* mbufs out of order: a look at each range. */
uint32_t tcp_reass_n_bufs(const struct tcb *c);

/* All of what is out of order goes. */
void tcp_reass_free(struct tcb *c);

/* Assert-only: I4. Adds the mbufs to *n. */
bool tcp_reass_check(const struct tcb *c, uint32_t *n);
