/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_wire — sequence arithmetic (RFC 9293 3.4) and the options of a TCP header, read and written. Pure, any thread.
 */
#include <rte_byteorder.h>
#include <rte_tcp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* None of them. */
static inline void tcp_wire_init(struct tcp_opts *o)
{
	memset(o, 0, offsetof(struct tcp_opts, sacks));
}

/* Whether it is timestamps alone: what nearly all segments have. */
static inline bool tcp_wire_is_ts(const struct tcp_opts *o)
{
	return o->has_ts & !(o->has_mss | o->has_wscale | o->sack_ok | (o->n_sacks > 0));
}

#define TCP_WIRE_TS_HEAD 0x0101080au /* two NOPs, the option's kind and length */

/* Then: writes the TCP_WIRE_TS_BYTES, and returns the sum of their words (base/csum.h). */
static inline uint64_t tcp_wire_put_ts(uint8_t *to, const struct tcp_opts *o)
{
	const rte_be32_t w[3] = {
		RTE_BE32(TCP_WIRE_TS_HEAD), rte_cpu_to_be_32(o->tsval), rte_cpu_to_be_32(o->tsecr)};

	memcpy(to, &w[0],
		4); /* opt: one by one, as what is written in pieces is slow to read whole */
	memcpy(to + 4, &w[1], 4);
	memcpy(to + 8, &w[2], 4);
	return (uint64_t)w[0] + w[1] + w[2];
}

/* As tcp_wire_parse(), of any options. */
void tcp_wire_parse_slow(struct tcp_opts *o, const struct rte_tcp_hdr *h);

/* Reads the options of a header whose data offset has been checked against the packet. Those of a wrong length end the
 * list; MSS, window scale and SACK-permitted count with a SYN only (RFC 9293 3.1). */
static inline void tcp_wire_parse(struct tcp_opts *o, const struct rte_tcp_hdr *h)
{
	rte_be32_t w[TCP_WIRE_TS_BYTES / 4];

	/* opt: timestamps alone, as RFC 7323 appendix A has them, are what nearly all segments have */
	if (h->data_off >> 4 != (sizeof(*h) + sizeof(w)) / 4) {
		tcp_wire_parse_slow(o, h);
		return;
	}
	memcpy(w, h + 1, sizeof(w));
	if (w[0] != RTE_BE32(TCP_WIRE_TS_HEAD)) {
		tcp_wire_parse_slow(o, h);
		return;
	}
	tcp_wire_init(o);
	o->has_ts = true;
	o->tsval = rte_be_to_cpu_32(w[1]);
	o->tsecr = rte_be_to_cpu_32(w[2]);
}

/* Writes what is set, padded to whole words, at most TCP_WIRE_OPTIONS_MAX bytes: SACK blocks that do not fit are left
 * out. Returns the bytes. */
uint32_t tcp_wire_build(uint8_t *to, const struct tcp_opts *o);
