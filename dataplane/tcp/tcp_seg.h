/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_seg — what a mbuf in a queue of a connection says of its segment. Context: the stack's thread.
 */
#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

#define TCP_SEG_SACKED 0x01
#define TCP_SEG_LOST 0x02
#define TCP_SEG_RETRANS 0x04 /* sent again since it was found lost */
#define TCP_SEG_EVER 0x08    /* sent more than once: no round-trip time from it */
#define TCP_SEG_FIN 0x10     /* takes a sequence number behind its bytes */

struct tcp_seg {
	struct rte_mbuf *next;
	uint32_t seq;
	uint32_t sent_us;  /* low bits of the time */
	uint16_t len, off; /* payload: bytes, and their offset in the buffer */
	uint8_t flags;
	uint8_t pad[3];
};
/* opt: the private area would be a third line of every mbuf in a queue. tcp_create() reserves the bytes. */
#define TCP_SEG_AT RTE_ALIGN_CEIL(offsetof(struct rte_mbuf, dynfield1), 8u)
_Static_assert(TCP_SEG_AT + sizeof(struct tcp_seg) <= sizeof(struct rte_mbuf), "fits in there");

/* Where a frame with an IPv4 header and timestamps begins where one that was received does: in lines that are in the cache when
 * the answer to the next request takes the buffer of one. Headers of any length find room in front of it. */
#define TCP_PAYLOAD_AT (RTE_PKTMBUF_HEADROOM + 66u)

static inline struct tcp_seg *tcp_seg(struct rte_mbuf *m)
{
	return (struct tcp_seg *)(void *)((uint8_t *)(void *)m + TCP_SEG_AT);
}

static inline const uint8_t *tcp_seg_data(struct rte_mbuf *m)
{
	return (const uint8_t *)m->buf_addr + tcp_seg(m)->off;
}

/* Sequence numbers that it takes. */
static inline uint32_t tcp_seg_span(struct rte_mbuf *m)
{
	return tcp_seg(m)->len + (tcp_seg(m)->flags & TCP_SEG_FIN ? 1u : 0);
}

/* The sequence number behind it. */
static inline uint32_t tcp_seg_end(struct rte_mbuf *m)
{
	return tcp_seg(m)->seq + tcp_seg_span(m);
}
