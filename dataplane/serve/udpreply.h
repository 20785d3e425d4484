/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * udpreply — an answer over UDP while it is written: buffers with the headers of frames back to where the request came from, and
 * room for bytes behind them; a new one is begun where one is full. Context: worker.
 */
#include "core/worker.h"
#include "proto/mc.h"

#define UDPREPLY_HEADERS_MAX 128u

struct udpreply {
	struct mc_out out; /* first: what grow() gets */
	struct rte_mempool *pool;
	struct rte_mbuf *first, *last; /* by their notes' next */
	uint32_t n;                    /* buffers */
	uint32_t n_bytes;              /* of all frames, once finished */
	uint16_t id;                   /* of memcached's frame */
	uint16_t room;                 /* bytes of the protocol in a frame */
	uint16_t headers_len, l3_off;
	uint8_t family;
	bool is_short; /* there was no buffer */
	uint8_t headers
		[UDPREPLY_HEADERS_MAX]; /* Ethernet, IP, UDP; lengths and checksums are set for each */
};

/* Hot. Answers to packet i of the burst, which has UDP; mtu: of the port. The headers of a request stay the same for all
 * answers to it. */
void udpreply_init(
	struct udpreply *a, const struct worker *w, const struct burst *b, unsigned i, uint16_t id);

/* Hot. Begins an answer; bytes go to a->out. */
void udpreply_begin(struct udpreply *a);

/* Hot. The answer is whole: lengths, checksums and numbers. Returns its first buffer, the others by pkt_note()->next; NULL
 * when there is nothing to be said, or no buffer for it (is_short). */
struct rte_mbuf *udpreply_finish(struct udpreply *a);

/* Hot. Takes it back. */
void udpreply_free(struct rte_mbuf *first);
