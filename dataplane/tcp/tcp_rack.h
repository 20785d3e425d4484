/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_rack — which segments are lost, by time (RFC 8985, for connections with SACK): what was sent before something that
 * has been delivered, and is not there a reordering window later. A retransmission is found lost like any other segment. When
 * acknowledgements stop coming, the last segment is sent again, or one that is new, so that there is something to go by.
 * Context: the stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* Of tcb.rack. */
#define TCP_RACK_VALID 0x01     /* something of what was on its way has been delivered */
#define TCP_RACK_REORDERED 0x02 /* segments overtake each other on this path */
#define TCP_RACK_ROUND 0x04     /* a DSACK came, of before rack_round */
#define TCP_RACK_MOVED \
	0x08 /* something was acknowledged or sent anew: the time for a probe begins */
#define TCP_RACK_PROBED \
	0x10 /* a probe was sent, and what it is for is not acknowledged: until recover is */
#define TCP_RACK_PROBED_OLD 0x20 /* by a segment that had been sent */
#define TCP_CC_LIMITED 0x40      /* cwnd is what keeps it from sending more */
#define TCP_CC_UNDOABLE 0x80 /* the recovery that begins may be for nothing: prior_cwnd is right */

/* What is to be done at rack_due_us. */
enum tcp_rack_timer {
	TCP_RACK_TIMER_NONE,
	TCP_RACK_TIMER_REO, /* what has not come by then is lost */
	TCP_RACK_TIMER_PTO, /* a probe */
};

/* Whether the acknowledgement that advances to or over the segment was made by an earlier transmission of it than the last
 * (RFC 3522 3.2); false where nothing tells. For the first of the queue, which is what timestamps echo of. */
bool tcp_rack_is_of_earlier(const struct tcb *c, const struct tcp_seg *s, const struct tcp_in *in);

/* A round trip of a segment sent once, or of the handshake. */
void tcp_rack_rtt(struct tcb *c, uint32_t rtt_us);

/* The segment, still in the queue, is delivered; in: the acknowledgement that says so. In order of sequence (6.2, steps 1 to 3). */
void tcp_rack_delivered(struct tcb *c, struct rte_mbuf *m, const struct tcp_in *in);

/* What the acknowledgement, after its segments, says of the reordering window (6.2, step 4). is_over: a recovery ends. */
void tcp_rack_adapt(struct tcb *c, const struct tcp_in *in, bool is_over);

/* Marks what is lost by now, and sets the timer for what may be (6.2, step 5). Whether a retransmission is lost that was sent since
 * reduced_us. Cost: the segments up to the last hole of the scoreboard, and those behind it sent before what was delivered. */
bool tcp_rack_detect(struct tcb *c);

/* The retransmission time-out (6.3). */
void tcp_rack_timeout(struct tcb *c);

/* Sets the timer for a probe of the tail if one may be needed; rtx_us is set (7.2). */
void tcp_rack_schedule(struct tcb *c);

/* The probe that is due is to be sent a little later. */
void tcp_rack_put_off(struct tcb *c);

/* A probe was sent, one that had been sent before or a new one (7.3). */
void tcp_rack_on_probe(struct tcb *c, bool is_old);

/* Before the segments of the acknowledgement: whether it shows that a probe has made good a loss that nothing else will
 * show (7.4.2). is_dup: as of tcp_loss_ack(). */
bool tcp_rack_has_repaired(struct tcb *c, const struct tcp_in *in, bool is_dup);

/* TCP_NEVER: none. */
static inline uint64_t tcp_rack_due_us(const struct tcb *c)
{
	const uint64_t now_us = c->t->now_us;

	if (c->rack_timer == TCP_RACK_TIMER_NONE)
		return TCP_NEVER;
	return now_us + (uint64_t)(int64_t)(int32_t)(c->rack_due_us - (uint32_t)now_us);
}
