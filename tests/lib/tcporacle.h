/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcporacle — what a segment does to a flow, written down from RFC 9293 3.10.7, RFC 5961 and RFC 7323, and from the list of
 * deviations in dataplane/README.md (here: D and a word). Knows nothing of the stack's own structures, has no queues and no
 * timers: numbers only.
 */
#include "tcpscript.h"

enum tcporacle_state {
	ORACLE_NONE, /* LISTEN, or CLOSED: nothing is known of the flow */
	ORACLE_SYN_RCVD,
	ORACLE_SYN_SENT,
	ORACLE_ESTABLISHED,
	ORACLE_FIN_WAIT_1,
	ORACLE_FIN_WAIT_2,
	ORACLE_CLOSE_WAIT,
	ORACLE_CLOSING,
	ORACLE_LAST_ACK,
	ORACLE_TIME_WAIT, /* and the application has not read all */
	ORACLE_RECORD,    /* TIME-WAIT: numbers are all that is left */
	ORACLE_N_STATES
};

struct tcporacle_flow {
	uint8_t state;    /* enum tcporacle_state */
	bool has_cookie;  /* NONE: its SYN was answered by a cookie: rcv_nxt, snd_nxt are of that */
	bool are_cookies; /* cookies may be out, of any flow */
	bool cookies_only; /* no SYN is kept */
	bool has_ts;
	uint32_t iss, irs;
	uint32_t rcv_nxt, rcv_wnd, last_ack; /* last_ack: the last number acknowledged */
	uint32_t snd_una, snd_nxt, snd_wnd, max_wnd, wl1, wl2;
	uint32_t ts_recent;
	uint32_t unread, unsent; /* bytes */
	bool has_hole;           /* ... before `stored` bytes at `stored_seq` */
	uint32_t stored, stored_seq;
};

struct tcporacle_says {
	enum {
		ORACLE_SILENT,
		ORACLE_AT_ONCE,
		ORACLE_LATER
	} when; /* later: in the time an acknowledgement may be late */
	uint8_t flags;
	bool any_seq; /* a number that nobody can tell */
	uint32_t seq, ack, len;
	bool opens, closes, has_news; /* what the application hears; news: bytes, end of file */
	enum tcp_reason why;
	bool restarts; /* the time of TIME-WAIT */
};

void tcporacle_take(
	struct tcporacle_flow *f, const struct tcpscript_seg *s, struct tcporacle_says *says);
