/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * udpreply — an answer over UDP while it is written: buffers with room for the headers of frames back to where the request came
 * from, and for bytes behind them; a new one is begun where one is full. The first may be the request's own, if its bytes have been
 * copied. Headers are written when the answer is to leave. Context: worker.
 */
#include "core/worker.h"
#include "net/reply.h"
#include "proto/mc.h"
#include "proto/mc_udp.h"

#include <rte_udp.h>

/* Buffers that were taken at once, for answers to a burst. */
struct udpreply_stock {
	struct rte_mempool *pool;
	unsigned n;
	struct rte_mbuf *m[BURST_MAX];
};

struct udpreply {
	struct mc_out out; /* first: what grow() gets */
	struct udpreply_stock *stock;
	struct rte_mbuf *request;
	const uint8_t *
		copy; /* of what the datagram brought, copy_len bytes; NULL: it is read where it lies */
	const struct pkt *p; /* of the request */
	uint8_t ether[RTE_ETHER_HDR_LEN
		+ RTE_VLAN_HLEN];      /* of all frames: with a tag, or bytes that do not count */
	struct rte_mbuf *first, *last; /* by udpreply_next() */
	uint32_t n;                    /* buffers */
	uint32_t n_bytes;              /* of all frames, once finished */
	uint16_t id;                   /* of memcached's frame */
	uint16_t room;                 /* bytes of the protocol in a frame */
	uint16_t headers_len;          /* Ethernet, IP, UDP */
	uint16_t copy_len;
	bool is_short;    /* there was no buffer */
	bool is_own;      /* the request's buffer is free for the next answer */
	bool is_in_place; /* ... and is the first of this one */
};

/* What is answered: packet i of the burst, which has UDP. */
struct udpreply_request {
	unsigned i;
	uint16_t id;       /* of memcached's frame */
	uint16_t copy_len; /* bytes behind that */
	const uint8_t *
		copy; /* a copy of them, which stays until the last answer has been sealed; NULL: there is none */
};

/* Hot. Takes n ≤ BURST_MAX buffers, or none if there are not so many: then each is taken when it is needed. */
void udpreply_stock_take(struct udpreply_stock *s, struct rte_mempool *pool, unsigned n);
/* Hot. Gives back what was not used. */
void udpreply_stock_give(struct udpreply_stock *s);

/* Hot. The burst's packet stays until the last answer to it is sealed. */
void udpreply_init(struct udpreply *a, struct udpreply_stock *stock, const struct worker *w,
	const struct burst *b, const struct udpreply_request *r);

/* Hot. Begins an answer; bytes go to a->out. is_likely: there will be some, so that a buffer is taken at once. */
void udpreply_begin(struct udpreply *a, bool is_likely);

/* Hot. The answer is whole: n_bytes is known. false: there is nothing to be said, or no buffer for it (is_short). */
bool udpreply_end(struct udpreply *a);

/* Hot. Headers, checksums and numbers of what has ended. Returns its first buffer, the others by udpreply_next(). */
struct rte_mbuf *udpreply_seal(struct udpreply *a);

/* The buffer behind this one, NULL if it is the last. opt: the line of the note is touched only where there are several. */
static inline struct rte_mbuf *udpreply_next(const struct udpreply *a, struct rte_mbuf *m)
{
	return m == a->last ? NULL : pkt_note(m)->next;
}

/* Hot. Takes the answer back, which has not been sealed: the request is as it was. */
void udpreply_free(struct udpreply *a);

/* Hot. Bytes of the protocol that a frame of an answer has room for. */
uint16_t udpreply_room(const struct iface *iface, uint8_t family);

/* Hot. Whether the request's buffer, whose bytes are no longer needed, takes an answer of one frame: its headers lie where theirs will
 * be, and there is room. */
static inline bool udpreply_takes(const struct rte_mbuf *m, const struct pkt *p, uint16_t room)
{
	const uint32_t n_l3 = reply_ip_bytes(p->family);

	return p->l4_off == p->l3_off + n_l3
		&& m->data_off + p->l4_off + (uint32_t)sizeof(struct rte_udp_hdr) + MC_UDP_HEADER
			+ room
		<= m->buf_len
		&& m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}

/* Hot. The request's frame becomes its answer's, whose length it has and whose bytes are where the request's were: headers, checksums and
 * numbers. mac: our own. */
void udpreply_turn(
	struct rte_mbuf *m, const struct pkt *p, const struct rte_ether_addr *mac, uint16_t id);
