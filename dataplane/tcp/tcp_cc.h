/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_cc — how much may be on its way: slow start, which all have in common, and congestion avoidance, of which a connection's
 * profile names one. tcp_loss says what has happened. Context: the stack's thread, inside of a call into it.
 */
#include "tcp/tcb.h"

#define TCP_CC_CWND_MAX (1u << 30)

/* An algorithm: its state is cc of the connection, all 0 after each of the events below but tcp_cc_acked(). */
struct tcp_cc_ops {
	/* n bytes were acknowledged while cwnd was the limit: it grows. */
	void (*on_acked)(struct tcb *c, uint32_t n);
	/* Losses when n bytes were on their way: the new ssthresh. */
	uint32_t (*on_loss)(struct tcb *c, uint32_t n);
	/* After that, where it was a time-out; NULL: nothing. */
	void (*on_timeout)(struct tcb *c);
	/* There was no loss: windows are what they were before on_loss(); NULL: nothing. */
	void (*on_undo)(struct tcb *c);
};

extern const struct tcp_cc_ops tcp_cc_newreno, tcp_cc_cubic;

/* The first windows (RFC 6928). mss is known. */
void tcp_cc_init(struct tcb *c);

/* n bytes were acknowledged, of flight that were on their way, and no window is being made smaller. */
void tcp_cc_acked(struct tcb *c, uint32_t n, uint32_t flight);

/* Segments are lost, found by acknowledgements, when n bytes were on their way. cwnd is ssthresh then, or stays below that. */
void tcp_cc_lost(struct tcb *c, uint32_t n);

/* A time-out: cwnd is a segment. is_first: since something was acknowledged that had not been sent then (RFC 5681 3.1). */
void tcp_cc_timed_out(struct tcb *c, bool is_first);

/* The first word about the last tcp_cc_lost() or tcp_cc_timed_out() that is TCP_CC_UNDOABLE, which it is not any more: windows
 * are what they were if it was for nothing (RFC 4015). */
void tcp_cc_undo(struct tcb *c, bool is_for_nothing);

/* What was lost has been made good. */
void tcp_cc_recovered(struct tcb *c);
