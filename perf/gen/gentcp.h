/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gentcp — TCP (RFC 9293) as the clients of a load generator need it: connections to one address and port, which send requests and read
 * answers at once. A connection is a cache line that its port names, and no packet buffer is kept: the bytes of a request follow
 * from its number, so what has to go again is written again, and what comes out of order is for the peer to send again. So it costs a fraction of the
 * TCP that it measures.
 *
 * What the peer sees is a Linux client: MSS, SACK permitted, timestamps and window scale in the SYN (RFC 9293 3.7.1, RFC 2018, RFC
 * 7323), timestamps in each segment and echoed, a window of 64 KiB, acknowledgements on the next request, or alone for more than a full
 * segment, or after GENTCP_ACK_MS. Not as Linux: nothing bounds what is on the way but the peer's window and ahead_max, time-outs are
 * fixed, from GENTCP_RTO_MS on and doubled, all that was not acknowledged goes again after one, and no SACK block is sent.
 * Checksums of what comes are verified here, as devices may not.
 *
 *  G1  snd_una ≤ snd_nxt; between them are bytes of requests below n_sent, out_off bytes of request n_sent, and a FIN in GENTCP_CLOSING
 *  G2  on_bytes() gets each byte of a connection once and in order
 *  G3  an address and port of ours name one connection, and it is told by its generation from those that had the port before
 *
 * Pure but for packet buffers: time is a parameter. One thread calls everything about one struct gentcp.
 */
#include "genframe.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#define GENTCP_RTO_MS 200u
#define GENTCP_SYN_RTO_MS 1000u
#define GENTCP_ACK_MS 32u  /* with the next line 40 ms, as Linux waits */
#define GENTCP_SWEEP_MS 8u /* timers run so late at most */
#define GENTCP_STOCK 64u   /* buffers that are kept at hand */
#define GENTCP_BURST_MAX 64u

enum gentcp_state { GENTCP_CLOSED, GENTCP_OPENING, GENTCP_OPEN, GENTCP_CLOSING /* FIN sent */ };

enum gentcp_why {
	GENTCP_WHY_CLOSED,  /* after gentcp_close(), by both sides */
	GENTCP_WHY_RESET,   /* by the peer; opening: refused */
	GENTCP_WHY_EOF,     /* the peer closed first; it was reset */
	GENTCP_WHY_ABORTED, /* gentcp_abort(), or on_bytes() said so */
};

/* What happened, of all connections. */
#define GENTCP_STATS(X) \
	X(opened, "connections opened") \
	X(resets, "connections that the target reset or refused") \
	X(closed, "connections that the target closed first") \
	X(aborted, "connections reset by the generator") \
	X(timeouts, "times that a connection waited too long for an acknowledgement") \
	X(retransmits, "segments sent again") \
	X(pure_acks, "segments that only acknowledge") \
	X(out_of_order, "segments in front of which something was missing") \
	X(duplicates, "segments with nothing new") \
	X(bad_checksum, "segments whose checksum is wrong") \
	X(bad_header, "segments with impossible lengths or flags") \
	X(unacceptable, "segments of another time: numbers outside of the window, old timestamps") \
	X(strays, "segments of no connection") \
	X(no_buffer, "segments that were not sent at once for want of a buffer")

#define GENTCP_STATS_FIELD(name, help) uint64_t name;
struct gentcp_stats {
	GENTCP_STATS(GENTCP_STATS_FIELD)
};

void gentcp_stats_add(struct gentcp_stats *to, const struct gentcp_stats *from);

/* A connection. The caller writes n_due, n_answered, n_partial, and all three counts while it is GENTCP_CLOSED or nothing is on its way. */
struct gentcp_conn {
	uint32_t snd_una, snd_nxt, snd_wnd;
	uint32_t rcv_nxt, rcv_acked; /* acknowledged are all bytes below rcv_acked */
	uint32_t ts_recent;
	uint32_t sent_ms;                   /* since then nothing was acknowledged */
	uint32_t n_due, n_sent, n_answered; /* requests, in order */
	uint32_t generation;                /* of its port: G3 */
	rte_be32_t client;                  /* address, or its last four bytes */
	rte_be16_t port;
	uint16_t sum;     /* of addresses, ports and protocol (base/csum.h) */
	uint16_t mss;     /* bytes of requests in a segment at most */
	uint16_t out_off; /* G1 */
	uint16_t ack_ms;  /* when what is not acknowledged began to come */
	uint16_t n_partial;
	uint8_t state, opts, wscale, backoff;
} __rte_cache_aligned;
static_assert(sizeof(struct gentcp_conn) == RTE_CACHE_LINE_SIZE, "one line each");

/* None of these may call anything of this header, but on_bytes() gentcp_close(). */
struct gentcp_ops {
	/* Writes request `number` of connection i (0 is the first of its n_due), the same bytes each time; returns the end of at
	 * most request_max. */
	uint8_t *(*write)(void *ctx, uint32_t i, uint32_t number, uint8_t *to);
	/* It is open; n_due requests may be due already. */
	void (*on_open)(void *ctx, uint32_t i);
	/* The next n bytes, good until it returns. False: they are of no use, and the connection is reset. */
	bool (*on_bytes)(void *ctx, uint32_t i, const uint8_t *p, uint32_t n);
	/* It is GENTCP_CLOSED, and may be opened again later. */
	void (*on_end)(void *ctx, uint32_t i, enum gentcp_why why);
	/* A whole frame to be sent: takes m. */
	void (*output)(void *ctx, struct rte_mbuf *m);
};

struct gentcp_params {
	const struct genframe_params *frame;
	uint32_t n_conns;     /* at most genframe_flows_max() */
	uint32_t request_max; /* bytes, up to 1,500 */
	uint32_t ahead_max;   /* requests of a connection that are sent and not answered */
	bool is_cycling;      /* a connection has another port each time that it is opened */
	uint64_t seed;
	struct rte_mempool *pool; /* buffers of RTE_MBUF_DEFAULT_BUF_SIZE */
	const struct gentcp_ops *ops;
	void *ctx;
};

struct gentcp {
	struct gentcp_params p;
	struct genframe frame;
	struct gentcp_conn *conns;
	uint8_t head[128]; /* of a frame with timestamps; addresses, numbers and checksums 0 */
	uint8_t target[16];
	struct rte_ether_addr mac;
	uint32_t client_first;
	rte_be16_t target_port;
	uint64_t ip_sum;
	uint64_t n_generations; /* as often can a connection have another port */
	uint32_t mss;           /* that the port has room for, options among it */
	uint32_t text_room;     /* bytes behind the longest header in a buffer */
	uint32_t now_ms;
	uint64_t now_us, swept_us;
	uint32_t swept; /* the next one that is looked at for its timers */
	struct rte_mbuf *stock[GENTCP_STOCK];
	unsigned n_stock;
	struct gentcp_stats stats; /* w: the thread  r: others, between its calls */
	uint8_t scratch[2048];
};

/* Cold. 0, -EINVAL (more connections than the clients' addresses make), or -ENOMEM. */
int gentcp_init(struct gentcp *t, const struct gentcp_params *p);
/* Cold. Without a segment; NULL-safe for one that is all zero. */
void gentcp_fini(struct gentcp *t);

/* Hot. Time is this from now on; it only goes forward. */
void gentcp_at(struct gentcp *t, uint64_t now_us);

/* Hot. Opens connection i, which is GENTCP_CLOSED. on_open() or on_end() tells the outcome; it is tried for ever. What was sent when it was
 * open before counts as answered, as no answer can come any more. */
void gentcp_open(struct gentcp *t, uint32_t i);

/* Hot. Sends what is due on connection i, as far as the peer's window and ahead_max let it; does nothing for one that is not GENTCP_OPEN. The rest
 * goes as answers come. */
void gentcp_send(struct gentcp *t, uint32_t i);

/* Hot. FIN on connection i, which is GENTCP_OPEN and has had all its requests answered. */
void gentcp_close(struct gentcp *t, uint32_t i);

/* Hot. Ends connection i, with a RST where the peer knows of it; does nothing for one that is GENTCP_CLOSED. */
void gentcp_abort(struct gentcp *t, uint32_t i);

/* Hot. n frames that came in, at most GENTCP_BURST_MAX. Returns a bit for each that is a segment from the target to one of our addresses; they are
 * the caller's as before. */
uint64_t gentcp_input(struct gentcp *t, struct rte_mbuf *const *m, unsigned n);

/* Hot. Timers: looks at a part of the connections, at all of them in GENTCP_SWEEP_MS if it is called often enough. */
void gentcp_poll(struct gentcp *t);
