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
