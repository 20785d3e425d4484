/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_loss — what acknowledgements say: round-trip time (RFC 6298), which segments are there or lost (SACK scoreboard of
 * RFC 6675; without SACK as in RFC 6582), and how much may be on its way (RFC 5681). Flags of the queue's segments are the
 * scoreboard; sums of them are in the connection. Context: the stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* A connection whose mss is known. */
void tcp_loss_init(struct tcb *c);

/* A round trip took so long. */
void tcp_loss_rtt(struct tcb *c, uint32_t rtt_us);

/* snd_una ≤ ack ≤ snd_nxt: what is acknowledged leaves the queue; losses are marked, the windows move. is_dup: by RFC 5681 2. */
void tcp_loss_ack(struct tcb *c, const struct tcp_in *in, bool is_dup);

/* The retransmission time-out: all that is not acknowledged is lost. */
void tcp_loss_timeout(struct tcb *c);

/* What was sent in segments longer than mss has been dropped for that alone: it is to be sent again, and the window stays as it is. */
void tcp_loss_too_big(struct tcb *c);
