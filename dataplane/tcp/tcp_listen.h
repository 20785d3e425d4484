/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_listen — flows before and after they are connections: SYN entries and cookies (RFC 4987), initial numbers (RFC 6528),
 * TIME-WAIT records. Context: the stack's thread, inside of a call into it. Each function that gets a segment takes its mbuf,
 * but where it returns a connection: the caller goes on with it there.
 */
#include "tcp/tcb.h"

struct tcp_syn {
	struct tcp_tuple tuple;
	struct tcp_link link;
	uint16_t mss;
	uint8_t flags, snd_wscale; /* TCP_F_TS, TCP_F_SACK */
	uint8_t has_wscale, n_tries;
	uint32_t iss, irs, ts_recent, ts_offset;
	uint64_t due_us, sent_us;
	const struct tcp_profile *profile; /* NULL: free */
};
_Static_assert(sizeof(struct tcp_syn) <= 128, "two cache lines");

struct tcp_wait {
	struct tcp_tuple tuple;
	uint32_t snd_nxt, rcv_nxt, ts_recent, ts_offset;
	uint64_t due_us;
	bool has_ts, is_used;
};
_Static_assert(sizeof(struct tcp_wait) <= 72, "small: there may be many");

/* The first number of a flow, 4 microseconds to a step, and the start of its timestamps. */
uint32_t tcp_listen_isn(const struct tcp *t, const struct tcp_tuple *tuple, uint32_t *ts_offset);

/* Options of our SYN to this family by this port, without timestamps. */
void tcp_listen_syn_opts(
	const struct tcp *t, const struct tcp_tuple *tuple, uint8_t iface, struct tcp_opts *o);

/* Payload of full segments to a peer that announced this MSS (0: none). */
uint16_t tcp_listen_mss(const struct tcp *t, const struct tcp_tuple *tuple, uint8_t iface,
	uint16_t peer_mss, bool has_ts);

/* A segment of no flow. A connection: it completes the handshake of a cookie. */
struct tcb *tcp_listen_input(struct tcp *t, struct tcp_in *in);

/* A segment of SYN entry idx. A connection: it completes the handshake. */
struct tcb *tcp_listen_syn(struct tcp *t, uint32_t idx, struct tcp_in *in);
/* Its deadline: SYN+ACK again, or no longer. */
void tcp_listen_syn_due(struct tcp *t, uint32_t idx);

/* A segment of a flow in TIME-WAIT. A connection: as of tcp_listen_input(). */
struct tcb *tcp_listen_wait(struct tcp *t, uint32_t idx, struct tcp_in *in);
void tcp_listen_wait_due(struct tcp *t, uint32_t idx);

/* The connection, which has ended and left the flow table, is remembered for TCP_TIME_WAIT_US. */
void tcp_listen_remember(struct tcp *t, const struct tcb *c);
