/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_loss — what acknowledgements say: round-trip time (RFC 6298), which segments are there or lost (with SACK a
 * scoreboard, and tcp_rack; without it as in RFC 6582), and what of that is told to tcp_cc. Flags of the queue's segments are the
 * scoreboard; sums of them are in the connection. Context: the stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* A connection whose mss is known. */
void tcp_loss_init(struct tcb *c);

/* A round trip took so long. */
void tcp_loss_rtt(struct tcb *c, uint32_t rtt_us);

/* snd_una ≤ ack ≤ snd_nxt: what is acknowledged leaves the queue; losses are marked, the windows move. is_dup: by
 * RFC 5681 2, but that something is in flight. */
void tcp_loss_ack(struct tcb *c, const struct tcp_in *in, bool is_dup);

/* As tcp_loss_ack() where that is all there is to it: the queue is one segment, which was sent once, and is acknowledged; nothing is known to
 * be there out of order or lost, and nothing is being recovered, probed or undone. */
void tcp_loss_ack_only(struct tcb *c);

/* A sent segment is lost, or its retransmission is. */
void tcp_loss_mark(struct tcb *c, struct rte_mbuf *m);

/* The retransmission time-out: what is not acknowledged is lost but, with SACK, what was sent of late (RFC 8985 6.3). */
void tcp_loss_timeout(struct tcb *c);

/* What was sent in segments longer than mss has been dropped for that alone: it is to be sent again, and the window stays as it is. */
void tcp_loss_too_big(struct tcb *c);

/* tcp_rack's timer is due: the reordering window is over. */
void tcp_loss_on_timer(struct tcb *c);
