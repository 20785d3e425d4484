/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * udpreply — an answer over UDP while it is written: buffers with room for the headers of frames back to where the request came
 * from, and for bytes behind them; a new one is begun where one is full. Headers are written when the answer is whole. Context:
 * worker.
 */
#include "core/worker.h"
#include "proto/mc.h"

/* Buffers that were taken at once, for answers to a burst. */
struct udpreply_stock {
	struct rte_mempool *pool;
	unsigned n;
	struct rte_mbuf *m[BURST_MAX];
};

struct udpreply {
	struct mc_out out; /* first: what grow() gets */
	struct udpreply_stock *stock;
	const struct rte_mbuf *request;
	const struct pkt *p; /* of the request */
	const struct rte_ether_addr *mac;
	struct rte_mbuf *first, *last; /* by udpreply_next() */
	uint32_t n;                    /* buffers */
	uint32_t n_bytes;              /* of all frames, once finished */
	uint16_t id;                   /* of memcached's frame */
	uint16_t room;                 /* bytes of the protocol in a frame */
	uint16_t headers_len;          /* Ethernet, IP, UDP */
	bool is_short;                 /* there was no buffer */
};

/* Hot. Takes n ≤ BURST_MAX buffers, or none if there are not so many: then each is taken when it is needed. */
void udpreply_stock_take(struct udpreply_stock *s, struct rte_mempool *pool, unsigned n);
/* Hot. Gives back what was not used. */
void udpreply_stock_give(struct udpreply_stock *s);

/* Hot. Answers to packet i of the burst, which has UDP; it stays until the last of them is finished. */
void udpreply_init(struct udpreply *a, struct udpreply_stock *stock, const struct worker *w,
	const struct burst *b, unsigned i, uint16_t id);

/* Hot. Begins an answer; bytes go to a->out. is_likely: there will be some, so that a buffer is taken at once. */
void udpreply_begin(struct udpreply *a, bool is_likely);

/* Hot. The answer is whole: headers, lengths, checksums and numbers. Returns its first buffer, the others by
 * udpreply_next(); NULL when there is nothing to be said, or no buffer for it (is_short). */
struct rte_mbuf *udpreply_finish(struct udpreply *a);

/* The buffer behind this one, NULL if it is the last. opt: the line of the note is touched only where there are several. */
static inline struct rte_mbuf *udpreply_next(const struct udpreply *a, struct rte_mbuf *m)
{
	return m == a->last ? NULL : pkt_note(m)->next;
}

/* Hot. Takes the answer back. */
void udpreply_free(struct udpreply *a);
