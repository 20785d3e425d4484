/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * connfsm — connection tracking states as a table: (state, direction, kind of segment) → state, and
 * the idle timeout of each state. A balancer watches, it does not police: no sequence numbers. With
 * direct return only the client's direction is seen. Pure, any thread.
 */
#include "millrace/api_lb.h"

/* Both sides have closed, or one has reset: long enough for the last ACK and a repeated FIN. */
#define CONNFSM_CLOSED_MS 4000u

enum connfsm_dir { CONNFSM_CLIENT, CONNFSM_BACKEND };

/* Next state for a TCP segment with these header flags. A FIN from each side closes: *fins (of the
 * entry, 0 at first) remembers in two bits who has sent one. */
enum mr_conn_state connfsm_tcp(
	enum mr_conn_state s, enum connfsm_dir dir, uint8_t tcp_flags, uint8_t *fins);

/* True if the segment may begin a flow: SYN without ACK, RST, FIN. */
static inline bool connfsm_opens(uint8_t tcp_flags)
{
	return (tcp_flags & 0x17) == 0x02;
}

/* True when a SYN on an entry in this state is a new flow of the same addresses and ports. */
bool connfsm_reusable(enum mr_conn_state s);

struct connfsm_timeouts {
	uint32_t ms[8]; /* by enum mr_conn_state */
};

/* Timeouts of a service with defaults for those it leaves 0. */
void connfsm_timeouts(struct connfsm_timeouts *t, const struct mr_service *s);
