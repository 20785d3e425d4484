/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp — the TCP of one worker (RFC 9293) as a library: segments go in, callbacks and frames come out. No globals and no
 * clock: time is a parameter, in microseconds of a line that only goes forward, so that two stacks run in one test in
 * virtual time. One thread calls everything about one struct tcp. Nothing allocates after tcp_create() but mbufs of the
 * pool that was given, nothing blocks.
 *
 * A callback may call everything of this header about the same stack but tcp_input(), tcp_poll() and tcp_destroy().
 * Frames go out when tcp_input(), tcp_poll() or tcp_flush() end: answers to a burst coalesce, and acknowledge it.
 */
#include "core/burst.h"
#include "core/iface.h"

#include <rte_mbuf_core.h>
#include <rte_mempool.h>

#include <stdbool.h>
#include <stdint.h>

struct tcp;
struct tcb; /* a connection; good from on_open() or tcp_open() until on_close() returns */

/* Why a connection ended. */
enum tcp_reason {
	TCP_WHY_CLOSED,      /* both sides sent all and have had it acknowledged */
	TCP_WHY_RESET,       /* the peer's RST */
	TCP_WHY_REFUSED,     /* RST in answer to tcp_open() */
	TCP_WHY_UNREACHABLE, /* ICMP error in answer to tcp_open() */
	TCP_WHY_ABORTED,     /* tcp_abort() */
	TCP_WHY_TIMEOUT, /* user_timeout_ms without progress (RFC 9293 3.8.3), or no answer to probes */
	TCP_WHY_IDLE,      /* idle_ms without a segment */
	TCP_WHY_DESTROYED, /* tcp_destroy() */
	TCP_N_REASONS
};

/* How much may be on its way: RFC 9438, which takes back sooner what a loss took on long fat paths, or RFC 5681 with RFC 6582. */
enum tcp_cc { TCP_CC_CUBIC, TCP_CC_NEWRENO, TCP_N_CCS };

/* What connections of a listener have in common. Outlives them; 0 stands for the value in brackets. */
struct tcp_profile {
	uint32_t idle_ms; /* without a segment, then reset [600000] */
	uint32_t
		user_timeout_ms; /* unacknowledged data or a closed window for so long: reset [60000] */
	uint32_t keepalive_ms; /* probe of an idle connection (RFC 9293 3.8.4) [never] */
	uint32_t rto_min_ms;   /* floor of the retransmission time-out [200] */
	uint32_t rcv_max;      /* bytes of receive buffer, 2 KiB to 1 MiB [65536] */
	uint32_t
		snd_max; /* bytes that tcp_write() queues at most, acknowledged ones not counted [262144] */
	enum tcp_cc cc; /* [TCP_CC_CUBIC] */
};

struct tcp_ops {
	/* May this peer open? p: its SYN, or the ACK of a valid cookie. NULL: it is dropped. May be asked again for the
	 * same connection. */
	const struct tcp_profile *(*on_syn)(void *ctx, const struct pkt *p);
	/* Established: the first call about a connection. */
	void (*on_open)(void *ctx, struct tcb *c);
	/* n ≥ 1 connections, each once, that have unread bytes or a new end of file, or room again after
	 * tcp_want_room(), or for which tcp_again() was called: once for a burst, so that lookups can be in bulk. One that
	 * leaves bytes unread is called again when more come, or after tcp_again(). */
	void (*on_ready)(void *ctx, struct tcb *const *c, unsigned n);
	/* The last call about a connection, exactly once for each on_open() and each tcp_open(). */
	void (*on_close)(void *ctx, struct tcb *c, enum tcp_reason why);
	/* A whole Ethernet frame for this logical port, of a connection with this profile, or NULL: of none. Takes m, which
	 * must not be written to. One of several mbufs is for the device to cut into segments (RTE_MBUF_F_TX_TCP_SEG). */
	void (*output)(
		void *ctx, uint8_t iface, struct rte_mbuf *m, const struct tcp_profile *profile);
};

/* When a SYN is answered with a cookie and forgotten (RFC 4987 3.6). */
enum tcp_cookies { TCP_COOKIES_AUTO /* no entry free */, TCP_COOKIES_ALWAYS, TCP_COOKIES_NEVER };

struct tcp_params {
	uint32_t n_conns, n_syns, n_time_waits; /* at a time: 16 to 2^24 of each */
	uint32_t
		n_bufs; /* mbufs that queues of all connections hold at most: half what was written, half what was received */
	struct rte_mempool *
		pool; /* BURST_MBUF_PRIV of private area; RTE_PKTMBUF_HEADROOM and room for an MSS */
	const struct iface_set *ifaces; /* MACs, MTUs, and what the devices do with segments */
	/* Logical ports, a bit each, that have no room for frames: connections wait with theirs until tcp_poll() finds that they do. NULL: all
	 * have, always. */
	const uint32_t *blocked;
	const struct tcp_ops *ops;
	void *ctx;          /* of the ops */
	uint64_t secret[4]; /* from the kernel's random source */
	enum tcp_cookies cookies;
	uint16_t port_first, port_n; /* local ports of tcp_open(); port_n 0: none */
	uint16_t worker_id,
		n_workers; /* who runs this stack, of how many: tcp_open() chooses ports so that answers come to it; 0, 0: alone */
	uint64_t now_us;   /* start of time */
	int socket_id;     /* of the memory */
};

/* Cold. Memory for all connections. 0, -EINVAL (a range above) or -ENOMEM. */
int tcp_create(struct tcp **out, const struct tcp_params *p);
/* Cold. Ends all connections with TCP_WHY_DESTROYED and without a segment; NULL-safe, clears *t. */
void tcp_destroy(struct tcp **t);

/* Hot. Packets sel[0..n) of the burst are TCP, no fragments, for addresses of ours, in the first segment of their mbuf;
 * checksums are verified here, as what drivers say that were not asked is not to be believed. Takes all: PKT_GONE, or PKT_DROP with a reason. */
void tcp_input(struct tcp *t, struct burst *b, const uint8_t *sel, unsigned n, uint64_t now_us);

/* Hot. Packet i of the burst is an ICMP or ICMPv6 error to an address of ours. False: it quotes no segment of a flow of this stack, and
 * is as it was. Else it is PKT_GONE; a connection may have ended or send in smaller segments, which is told and done when
 * the next tcp_poll() or tcp_flush() ends. Path MTU: RFC 1191, RFC 8201; all else: RFC 5927. */
bool tcp_icmp(struct tcp *t, struct burst *b, unsigned i, uint64_t now_us);

/* Hot. Runs timers that are due, at most a bounded number, and on_ready() after tcp_again(); sends what waited for room on a port, as do
 * tcp_input() and tcp_flush(). */
void tcp_poll(struct tcp *t, uint64_t now_us);

/* When tcp_poll() next has something to do, at the latest; UINT64_MAX: never. Walks: for tests in virtual time. */
uint64_t tcp_next_us(const struct tcp *t);

/* Hot. Sends what was written, opened and closed outside of callbacks. */
void tcp_flush(struct tcp *t, uint64_t now_us);

/* Opens a connection from local to peer (as an incoming packet names them: family; src is the peer, sport its port, dst
 * ours; dport 0: a port of port_first…, with which the peer's segments come to NIC_RSS_OWNER() worker_id). gateway: the next hop's MAC; iface: by which port. on_open() or on_close() tells
 * the outcome. NULL: no connection, or no port free. */
struct tcb *tcp_open(struct tcp *t, const struct tcp_profile *profile, const struct pkt *peer,
	uint8_t iface, const struct rte_ether_addr *gateway, uint64_t now_us);

/* The application's own pointer, NULL at first. */
void tcp_set_app(struct tcb *c, void *app);
void *tcp_app(const struct tcb *c);
/* What on_syn() or the caller of tcp_open() gave it. */
const struct tcp_profile *tcp_profile_of(const struct tcb *c);

/* The first contiguous unread bytes and how many; NULL: none. Good until tcp_consume() or the callback's end. */
const uint8_t *tcp_peek(const struct tcb *c, uint32_t *len);
/* The same behind the first `skip` of them. */
const uint8_t *tcp_peek_at(const struct tcb *c, uint32_t skip, uint32_t *len);
/* Unread bytes in all. */
uint32_t tcp_unread(const struct tcb *c);
/* n ≤ tcp_unread() bytes are done with: opens the window. */
void tcp_consume(struct tcb *c, uint32_t n);
/* The peer has closed and all it sent has been consumed. */
bool tcp_is_eof(const struct tcb *c);

/* Room to write to, [*p, *end), at least a byte; false: snd_max is reached, no buffer, or closed. tcp_write_end() with
 * the end of what was written (*p if nothing) before any other call about the connection but those that read. */
bool tcp_write_begin(struct tcb *c, uint8_t **p, uint8_t **end);
void tcp_write_end(struct tcb *c, uint8_t *p);
/* Copies; returns how many of len bytes were queued. */
uint32_t tcp_write(struct tcb *c, const void *data, uint32_t len);
/* Whether tcp_write_ref() may be of use: the port's devices take chains of mbufs, and make the checksums. */
bool tcp_write_takes_refs(const struct tcb *c);
/* Whole segments of the len bytes, without a copy: a multiple of the segment size, how many were queued; 0: none, for want of a buffer, as
 * the port takes no such frames or a copied segment is not full yet. They are in memory of rte_malloc(), and stay as they are until
 * by->free_cb is called, by any thread: each segment takes a reference of it beside the caller's, which is the only one at first. */
uint32_t tcp_write_ref(
	struct tcb *c, const void *data, uint32_t len, struct rte_mbuf_ext_shared_info *by);
/* Written bytes that are not acknowledged. */
uint32_t tcp_queued(const struct tcb *c);
/* on_ready() once when half of snd_max is free. */
void tcp_want_room(struct tcb *c);
/* on_ready() at the next tcp_poll(). */
void tcp_again(struct tcb *c);

/* FIN after what is queued; nothing can be written from now on, reading goes on. Repeating it does nothing. */
void tcp_close(struct tcb *c);
/* RST, queues are thrown away; on_close() with TCP_WHY_ABORTED follows when the call into the stack ends. */
void tcp_abort(struct tcb *c);

/* RFC 9293 3.3.2, but that handshakes of clients are in no connection yet. */
enum tcp_state {
	TCP_S_CLOSED,
	TCP_S_SYN_SENT,
	TCP_S_ESTABLISHED,
	TCP_S_FIN_WAIT_1,
	TCP_S_FIN_WAIT_2,
	TCP_S_CLOSE_WAIT,
	TCP_S_CLOSING,
	TCP_S_LAST_ACK,
	TCP_S_TIME_WAIT,
	TCP_N_STATES
};

struct tcp_info {
	uint8_t family, state; /* enum tcp_state; tcp_state_name() */
	uint8_t peer[16], local[16];
	rte_be16_t peer_port, local_port;
	uint32_t srtt_us, rto_us, cwnd, ssthresh, snd_wnd, rcv_wnd; /* windows in bytes */
	uint32_t in_flight, queued, unread, mss;
	uint64_t n_retransmits, idle_us;
	uint64_t
		stuck_us; /* so long what was sent, or waits for a window, has brought no progress */
	uint32_t
		progress; /* bytes acknowledged, and received and consumed: what it grows by, modulo 2³² */
	uint32_t n_out_of_order; /* packet buffers of what has something missing in front of it */
	bool has_sack, has_timestamps;
};

void tcp_info(const struct tcb *c, struct tcp_info *info, uint64_t now_us);
const char *tcp_state_name(uint8_t state);
/* The connection that a segment like this one is of; NULL: none. */
struct tcb *tcp_find(const struct tcp *t, const struct pkt *p);
/* Calls for each connection, until one returns false. The callback may tcp_abort() and tcp_close(). */
void tcp_walk(struct tcp *t, bool (*each)(void *ctx, struct tcb *c), void *ctx);

/* Every counter: name, help. */
#define TCP_STATS(X) \
	X(segments_in, "segments taken") \
	X(segments_out, "segments sent") \
	X(frames_cut, "frames of several segments, which the device cuts into them") \
	X(opens_passive, "connections that clients opened") \
	X(opens_active, "connections opened by tcp_open()") \
	X(closes, "connections that ended") \
	X(resets_in, "connections that the peer reset") \
	X(resets_out, "RST sent") \
	X(syns, "SYN taken") \
	X(syns_refused, "SYN that on_syn() refused, or without a free entry") \
	X(syn_retransmits, "SYN+ACK sent again") \
	X(cookies_sent, "SYN answered with a cookie") \
	X(cookies_good, "connections opened by a cookie") \
	X(cookies_bad, "ACK without a connection whose cookie is not ours") \
	X(no_conn_entry, "handshakes completed without a free connection") \
	X(held, "times that a connection waited with its segments for room on its port") \
	X(bad_checksum, "segments whose checksum is wrong") \
	X(bad_header, "segments with impossible lengths or flags") \
	X(no_flow, "segments of no connection") \
	X(unacceptable, "segments outside of the window") \
	X(paws, "segments with an old timestamp (RFC 7323 5)") \
	X(bad_ack, "ACK of what was never sent, or long ago (RFC 5961 5)") \
	X(challenge_acks, "challenge ACKs sent (RFC 5961)") \
	X(answers_limited, "challenge ACKs and RSTs not sent as there were too many") \
	X(out_of_order, "segments stored out of order") \
	X(out_of_order_dropped, "segments out of order beyond the bound of the store") \
	X(duplicates, "segments with nothing new") \
	X(no_buffer, "segments or writes for which n_bufs or the pool had no mbuf") \
	X(retransmits, "segments sent again") \
	X(fast_recoveries, "losses found by acknowledgements (RFC 8985, RFC 6582)") \
	X(lost_retransmits, \
		"retransmissions found lost by acknowledgements, each time that made the window smaller") \
	X(tail_probes, "segments sent as acknowledgements did not come (RFC 8985 7)") \
	X(timeouts, "retransmission time-outs (RFC 6298)") \
	X(undos, "recoveries and time-outs for nothing, as timestamps showed (RFC 3522)") \
	X(window_probes, "probes of closed windows") \
	X(keepalives, "probes of idle connections") \
	X(time_waits, "connections that ended in TIME-WAIT") \
	X(time_wait_reuses, "new connections over one in TIME-WAIT") \
	X(icmp_ignored, "ICMP errors about nothing that is on its way (RFC 5927 4.1)") \
	X(icmp_soft, "ICMP errors that changed nothing") \
	X(icmp_hard, "opens that an ICMP error ended") \
	X(mss_claimed, "path MTUs that only a time-out makes believable (RFC 5927 7.2)") \
	X(mss_lowered, "connections that a path MTU gave smaller segments")

#define TCP_STATS_FIELD(name, help) uint64_t name;
struct tcp_stats {
	TCP_STATS(TCP_STATS_FIELD)
};

/* Counters since tcp_create(). */
const struct tcp_stats *tcp_stats(const struct tcp *t);

/* mbufs that queues hold, and of those the received ones; connections, SYN entries and TIME-WAITs in use. */
struct tcp_usage {
	uint32_t n_bufs, n_rcv_bufs, n_conns, n_syns, n_time_waits;
};
void tcp_usage(const struct tcp *t, struct tcp_usage *u);
/* The most that there can be of each. */
void tcp_limits(const struct tcp *t, struct tcp_usage *max);

/* Assert-only: whether all invariants of tcb.h hold. Walks everything. */
bool tcp_check(const struct tcp *t);
