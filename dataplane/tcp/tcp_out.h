/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_out — segments that go out: headers, what may be sent now, acknowledgements, the window that is offered. Context: the
 * stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

/* Header of a segment of ours. */
struct tcp_head {
	uint32_t seq, ack;
	uint16_t wnd;
	uint16_t cut; /* the device cuts the payload into segments of so many bytes; 0: it is one */
	uint8_t flags;
	struct tcp_opts o;
};

/* Our timestamp (RFC 7323 4.1): milliseconds, from a start of each flow. */
static inline uint32_t tcp_out_ts(uint32_t offset, uint64_t now_us)
{
	return (uint32_t)(now_us / 1000) + offset;
}

/* Who sends a segment, and how it gets there. */
struct tcp_from {
	const struct tcp_tuple *tuple;
	const struct tcp_link *link;
	const struct tcp_profile *profile; /* NULL: it is of no connection */
};

/* Writes headers in front of the payload that is m's data, and sends it; takes m. */
void tcp_out_frame(
	struct tcp *t, struct rte_mbuf *m, const struct tcp_from *from, const struct tcp_head *h);

/* A segment without payload; nothing happens (counted) when there is no buffer. */
void tcp_out_bare(struct tcp *t, const struct tcp_from *from, const struct tcp_head *h);

/* Whether one more challenge ACK or RST may be sent: 100 a second (RFC 5961 7), 20 at once. */
bool tcp_out_may_answer(struct tcp *t);

/* RST in answer to a segment of no connection (RFC 9293 3.10.7.1). */
void tcp_out_rst(struct tcp *t, const struct tcp_in *in, const struct tcp_link *link);

/* A bare segment of the connection with these flags, from this number. */
void tcp_out_control(struct tcb *c, uint8_t flags, uint32_t seq);

/* Sends all that may be sent: what is lost, new segments, an acknowledgement if one is wanted and nothing else took it. */
void tcp_out_run(struct tcb *c);

/* A probe of the tail: the next new segment whatever cwnd says, else the last that was sent (RFC 8985 7.3). The retransmission
 * time-out begins anew. */
void tcp_out_probe(struct tcb *c);

/* Whether the window has opened so far that the peer should be told (RFC 9293 3.8.6.2.2). */
bool tcp_out_opens_window(const struct tcb *c);
