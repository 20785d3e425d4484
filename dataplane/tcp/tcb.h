/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcb — what the files of this folder share: the connection, the other records of a flow, the stack, and who calls whom.
 *
 *  I1  a connection not CLOSED is in the flow table and has a deadline in the wheel
 *  I2  snd_una ≤ snd_nxt; segments of the send queue follow each other without a gap from snd_una, those before snd_unsent end
 *      at snd_nxt
 *  I3  bytes of the receive queue are rcv_bytes and end at rcv_nxt, its FIN not counted
 *  I4  the out-of-order store is sorted, without overlaps, beyond rcv_nxt and within its bounds; n_ooo is the number of its ranges
 *  I5  sacked, lost, retrans, n_sacked and snd_fack are what the flags of the segments say; a lost one is not sacked; retransmitted
 *      is only a lost one; without has_marks all of them are 0
 *  I6  n_bufs is the number of mbufs in all queues, n_rcv_bufs of those received
 *  I7  is_sole: the first of the send queue was sent at stuck_us and never again, in no chain; nothing was on its way then
 *  I8  is_held: marked dirty, and in the list of its port's, for which there is no room; it is not CLOSED, and is in the wheel
 *
 * Queues are chains of mbufs with a struct tcp_seg in their second cache line, where DPDK leaves room for dynamic fields. A segment to send
 * is one mbuf whose payload begins at TCP_PAYLOAD_AT; headers are written in front of it, and the driver gets a
 * reference of its own. While it has that, nothing of the mbuf is written: a retransmission is then a copy. One that refers to other memory
 * (tcp_write_ref()) goes behind a mbuf with the headers. Where devices cut frames into segments, several of the queue may go as one. Chains are
 * the driver's affair, the queue frees one at a time.
 */
#include "base/wheel.h"
#include "tcp/tcp.h"
#include "tcp/tcp_flow.h"
#include "tcp/tcp_seg.h"
#include "tcp/tcp_wire.h"

#include <sys/queue.h>

#define TCP_NEVER UINT64_MAX
#define TCP_SPARES_MAX BURST_MAX
#define TCP_MARKED_MAX BURST_MAX
#define TCP_RTO_FIRST_US 1000000u
#define TCP_RTO_MAX_US 60000000u
#define TCP_ACK_DELAY_US 40000u /* RFC 9293 3.8.6.3 allows 500 ms */
#define TCP_TIME_WAIT_US 60000000u
#define TCP_SYN_TRIES 5u
#define TCP_RCV_WSCALE 5u /* of all: a cookie does not say which it was; windows up to 2 MiB */

/* How frames get to the peer: back where the last acceptable segment came from. */
struct tcp_link {
	struct rte_ether_addr mac;
	uint8_t iface;
	uint8_t has_vlan;
	rte_be16_t vlan_tci;
};

#define TCP_F_TS 0x0001
#define TCP_F_SACK 0x0002
#define TCP_F_DIRTY 0x0004 /* in the list of those with something to send */
#define TCP_F_READY 0x0008 /* in the list of those to tell the application about */
#define TCP_F_AGAIN 0x0010 /* in the list of those to tell about at the next poll */
#define TCP_F_ACK_NOW 0x0020
#define TCP_F_FIN_WANTED 0x0040 /* tcp_close() */
#define TCP_F_FIN_QUEUED 0x0080 /* the last segment of the queue has it */
#define TCP_F_FIN_RCVD 0x0100   /* rcv_nxt is behind the peer's FIN */
#define TCP_F_WANT_ROOM 0x0200
#define TCP_F_RECOVERY 0x0400  /* until recover is acknowledged: after losses */
#define TCP_F_TIMED_OUT 0x0800 /* the same, after a time-out */
#define TCP_F_OPENED 0x1000    /* on_open() was called, or it is of tcp_open() */
#define TCP_F_RST 0x2000       /* send one when it is taken down */
#define TCP_F_REMEMBER 0x8000  /* it goes through TIME-WAIT */
#define TCP_F_PERSIST 0x4000   /* rtx_us is about a probe of the closed window */

#define TCB_HOT_BYTES 256u

struct tcb {
	struct tcp_tuple tuple;
	struct tcp *t;
	uint16_t flags;
	uint8_t state, rack; /* rack: TCP_RACK_* and TCP_CC_* */
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss; /* payload of a full segment, timestamps taken off */
	struct rte_mbuf *snd_head;
	/* 64 */
	uint32_t snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2, max_wnd;
	uint32_t rcv_nxt, rcv_adv; /* rcv_adv: end of the window that the peer knows of */
	uint32_t ts_recent, ts_offset, last_ack_sent;
	uint32_t rcv_bytes, snd_bytes; /* unread; queued */
	uint32_t
		armed_ms; /* where it is in the wheel: low bits; once that is past, it may be in none */
	uint32_t rcvd_ms;     /* low bits of when the last segment came */
	uint32_t rack_due_us; /* low bits of the deadline that rack_timer is for */
	/* 128 */
	struct rte_mbuf *snd_tail, *snd_unsent;
	struct rte_mbuf *writing; /* of tcp_write_begin(), not in the queue yet */
	struct rte_mbuf *rcv_head, *rcv_tail;
	uint64_t rtx_us, ack_us, stuck_us; /* deadlines, and when progress ended; TCP_NEVER: none */
	/* 192 */
	const struct tcp_profile *profile;
	void *app;
	uint32_t srtt_us, rttvar_us, rto_us;
	uint32_t cwnd;
	uint32_t rack_rtt_us, rtt_min_us; /* of rack_sent_us, below */
	uint16_t rtt_min_sec;             /* low bits of when rtt_min_us was measured */
	uint16_t mss_seen;  /* a payload that got through, the longest that was noticed */
	uint16_t unread_us; /* low bits of the time since when there has been something unread */
	uint16_t paws_min;  /* minutes, low bits of when ts_recent was set */
	struct tcp_link link;
	uint8_t rack_timer; /* enum tcp_rack_timer */
	uint8_t n_backoffs, n_probes, n_unacked, n_ooo;
	bool is_sole : 1, is_held : 1;
	/* opt: whether any of sacked, lost, retrans, n_sacked, or of cc, may not be 0, and there is mss_claimed */
	bool has_marks : 1, has_cc : 1, has_claim : 1;
	uint8_t why : 3; /* enum tcp_reason */
	/* what comes as expected needs no more */
	uint32_t sacked, lost, retrans; /* bytes of segments with these flags */
	uint32_t
		n_sacked; /* segments that are there out of order; without SACK: duplicates that said so */
	union {           /* of congestion avoidance, all 0 when it begins */
		uint32_t acked_bytes; /* NewReno: towards the next segment of cwnd */
		struct {
			uint32_t w_est, k_ms, epoch_ms; /* RFC 9438 4.1; w_est 0: no epoch */
		} cubic;
		uint32_t prior_ssthresh; /* while TCP_CC_UNDOABLE */
	} cc;
	uint32_t w_max;      /* CUBIC: cwnd when it last was too much, or less (RFC 9438 4.7) */
	uint32_t limited_ms; /* low bits of when what is out of the window is answered again */
	uint32_t mss_claimed_seq;
	uint32_t n_retransmits;
	uint32_t ssthresh, recover;
	uint32_t ooo_stamp; /* segments that came out of order: which range had the last */
	/* RFC 8985 5.3: of the segment that was sent last among those delivered; low bits of times */
	uint32_t rack_sent_us, rack_end;
	uint32_t rack_round;  /* snd_nxt when a DSACK came */
	uint32_t reduced_us;  /* low bits of when losses last made ssthresh smaller */
	uint32_t prior_cwnd;  /* before it last became smaller */
	uint16_t mss_claimed; /* with has_claim: of a path MTU that is not believed yet */
	uint8_t reo_mult, reo_persist;
	struct rte_mbuf *snd_fack; /* the last segment with TCP_SEG_SACKED; NULL: none */
	struct rte_mbuf *ooo;
	union {
		struct tcb *dirty_next;
		TAILQ_ENTRY(tcb) held; /* with is_held */
	};
	TAILQ_ENTRY(tcb) again;
};
_Static_assert(TCP_N_REASONS <= 8, "bits of why");
_Static_assert(sizeof(struct tcb) <= 384, "six cache lines");
_Static_assert(offsetof(struct tcb, snd_una) == 64 && offsetof(struct tcb, snd_tail) == 128
		&& offsetof(struct tcb, profile) == 192
		&& offsetof(struct tcb, sacked) == TCB_HOT_BYTES,
	"of which a request takes four, and finds the next one's address in the first");

/* Free entries of an array, and which come next for reuse. */
struct tcp_pool {
	uint32_t *free;
	uint32_t n_free, n;
};

struct tcp {
	struct tcp_params p;
	struct tcp_stats stats;
	struct tcp_flow *flow;
	struct wheel wheel; /* entries: connections, then SYN entries, then TIME-WAITs */
	struct wheel_link *links;
	struct tcb *tcbs;
	struct tcp_syn *syns;
	struct tcp_wait *waits;
	struct tcp_pool tcb_pool, syn_pool, wait_pool;
	uint64_t cookies_until_us; /* an ACK may answer a cookie */
	uint32_t wait_hand;        /* the next TIME-WAIT to go when there is no free one */
	uint32_t n_bufs, n_rcv_bufs;
	/* Buffers that nobody has any more: the next to be written to, or given back when the call into the stack ends. opt: a
	 * request's holds the answer to the next, and its lines are in the cache. */
	uint32_t n_spares;
	struct rte_mbuf *spares[TCP_SPARES_MAX];
	uint64_t now_us;
	uint32_t now_ms; /* the same, low bits */
	uint16_t now_min;
	/* Those marked, in the order in which they were. opt: a burst's need no line of their own; more dirty ones are a list. */
	uint32_t n_ready, n_dirty, dirty_at; /* dirty_at: the next to be sent for */
	struct tcb *ready[TCP_MARKED_MAX], *dirty[TCP_MARKED_MAX];
	struct tcb *more_dirty, **more_dirty_end;
	/* Of the dirty ones, those that wait for room on their port, in the order in which they came; of which ports there are any. */
	TAILQ_HEAD(, tcb) held[IFACE_MAX];
	uint32_t held_ifaces;
	TAILQ_HEAD(, tcb) agains; /* in the order in which they asked */
	uint32_t n_agains;
	uint64_t limit_us; /* of challenge ACKs and RSTs: bucket as a time */
	uint16_t port_next;
};

/* A segment of the burst. */
struct tcp_in {
	struct rte_mbuf *m;
	const struct pkt *p;
	const struct tcp_tuple *tuple;
	uint32_t seq, ack, len; /* len: payload */
	uint32_t off;           /* of the payload in the frame */
	struct tcp_link link;
	uint16_t wnd; /* as it is in the header */
	uint8_t flags;
	struct tcp_opts o;
};

static inline bool tcb_is_used(const struct tcb *c)
{
	return c->t != NULL;
}

/* Low bits of milliseconds. */
static inline uint32_t tcp_now_ms(const struct tcp *t)
{
	return t->now_ms;
}

static inline uint16_t tcp_now_min(const struct tcp *t)
{
	return t->now_min;
}

static inline void tcp_set_now(struct tcp *t, uint64_t now_us)
{
	t->now_us = now_us;
	t->now_ms = (uint32_t)(now_us / 1000);
	t->now_min = (uint16_t)(now_us / 60000000);
}

static inline uint32_t tcb_flight(const struct tcb *c)
{
	return c->snd_nxt - c->snd_una;
}

/* Bytes that are thought to be on their way (RFC 6675 4). */
static inline uint32_t tcb_pipe(const struct tcb *c)
{
	return tcb_flight(c) - (unlikely(c->has_marks) ? c->sacked + c->lost - c->retrans : 0);
}

/* Of those before the last segment that is there out of order, the ones that are not. */
static inline uint32_t tcb_holes(const struct tcb *c)
{
	return c->snd_fack == NULL ? 0 : tcp_seg_end(c->snd_fack) - c->snd_una - c->sacked;
}

/* There is no room for frames on its port. */
static inline bool tcb_is_blocked(const struct tcb *c)
{
	return unlikely(*c->t->p.blocked >> c->link.iface & 1);
}

/* What a profile says, or the default. */
static inline uint32_t tcp_rcv_max(const struct tcp_profile *p)
{
	const uint32_t max = p->rcv_max != 0 ? p->rcv_max : 65536;

	return RTE_MIN(RTE_MAX(max, 2048u), 1u << 20);
}

static inline uint32_t tcp_snd_max(const struct tcp_profile *p)
{
	return p->snd_max != 0 ? p->snd_max : 262144;
}

/* tcp.c */
void tcp_put_dirty(struct tcp *t, struct tcb *c);
static inline void tcp_mark_dirty(struct tcp *t, struct tcb *c)
{
	if (!(c->flags & TCP_F_DIRTY))
		tcp_put_dirty(t, c);
}
void tcp_mark_ready(struct tcp *t, struct tcb *c);
struct tcb *tcp_take_tcb(struct tcp *t, const struct tcp_tuple *tuple, const struct tcp_link *link,
	const struct tcp_profile *profile);
/* It ends: its state is CLOSED at once, on_close() and the memory follow at the end of the call into the stack. */
void tcp_end(struct tcb *c, enum tcp_reason why);
/* For a send queue, unless these hold n_max or the pool is empty (counted). */
struct rte_mbuf *tcp_buf_take(struct tcp *t, uint32_t n_max);
void tcp_buf_free(struct tcp *t, struct rte_mbuf *m);
void tcp_buf_free_sole(struct tcp *t, struct rte_mbuf *m); /* one that was in no chain */
void tcp_buf_free_rcv(struct tcp *t, struct rte_mbuf *m);  /* one that was received */

/* tcp_check.c: I2 to I5 and I7. Adds the mbufs that it sends and has received. */
bool tcp_check_queues(const struct tcb *c, uint32_t *n_snd, uint32_t *n_rcv);
