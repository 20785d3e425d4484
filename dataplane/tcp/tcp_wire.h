/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_wire — sequence arithmetic (RFC 9293 3.4) and the options of a TCP header, read and written. Pure, any thread.
 */
#include <rte_tcp.h>

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_leq(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? b : a;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
	return seq_lt(a, b) ? a : b;
}

#define TCP_WIRE_OPTIONS_MAX 40u
#define TCP_WIRE_SACKS_MAX 4u
#define TCP_WIRE_TS_BYTES 12u   /* the timestamp option with its padding (RFC 7323 appendix A) */
#define TCP_WIRE_WSCALE_MAX 14u /* RFC 7323 2.3 */

struct tcp_sack {
	uint32_t left, right; /* [left, right) */
};

struct tcp_opts {
	bool has_mss, has_wscale, has_ts, sack_ok;
	uint8_t wscale; /* as sent: a reader limits it to TCP_WIRE_WSCALE_MAX */
	uint8_t n_sacks;
	uint16_t mss;
	uint32_t tsval, tsecr;
	struct tcp_sack sacks[TCP_WIRE_SACKS_MAX]; /* last: those behind n_sacks mean nothing */
};

/* Reads the options of a header whose data offset has been checked against the packet. Those of a wrong length end the
 * list; MSS, window scale and SACK-permitted count with a SYN only (RFC 9293 3.1). */
void tcp_wire_parse(struct tcp_opts *o, const struct rte_tcp_hdr *h);

/* Writes what is set, padded to whole words, at most TCP_WIRE_OPTIONS_MAX bytes: SACK blocks that do not fit are left
 * out. Returns the bytes. */
uint32_t tcp_wire_build(uint8_t *to, const struct tcp_opts *o);
