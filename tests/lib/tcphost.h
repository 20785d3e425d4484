/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcphost — clients in front of a dataplane of lib/harness.h: a TCP stack of their own, whose frames the north port receives and
 * which takes what that port has sent. Neighbours need not be resolved: answers go to the MAC that a segment came from. Time is the
 * harness's. One thread calls everything.
 */
#include "harness.h"
#include "tcp/tcp.h"

struct tcphost;

#define TCPHOST_NARROW 4096u

struct tcphost_params {
	struct harness *h;
	uint32_t n_conns; /* at a time, 16 at least */
	uint32_t n_bufs;  /* packets that are received and not read, or sent and not acknowledged */
	uint32_t rcv_max; /* of struct tcp_profile; 0: its default */
	uint64_t seed;
	/* Sees each frame first, in its direction; false: it is lost. NULL: none is. */
	bool (*is_passed)(void *ctx, bool to_box, const uint8_t *frame, uint32_t len);
	void *ctx;
};

/* Whose connection it is, and to what. Addresses as struct pkt has them. */
struct tcphost_to {
	uint8_t family;
	uint8_t local[16], peer[16];
	uint16_t port;
};

/* A client's connection; the caller's memory, zero at first, until it has ended. What it receives is collected in `in` unless
 * on_data() takes it. */
struct tcphost_conn {
	struct tcphost *host;
	struct tcb *c; /* NULL: it has ended */
	enum tcp_reason why;
	bool is_open, is_eof;
	bool is_narrow; /* set before it is opened: it has a window of TCPHOST_NARROW bytes */
	bool is_paused; /* nothing is read: the window closes; tcphost_resume() */
	uint32_t pace;  /* bytes read in a millisecond at most; 0: all there are */
	uint32_t pace_left, paced_ms;
	uint64_t n_received;
	uint8_t *in;
	uint32_t n_in, in_size;
	uint8_t *out; /* what is to be sent, from out_at on */
	uint32_t out_at, n_out, out_size;
	bool is_closing; /* a FIN behind it */
	void (*on_data)(struct tcphost_conn *k, const uint8_t *p, uint32_t len);
	void *app;
};

/* Dies with a message when something cannot be had. There is one at a time. */
void tcphost_create(struct tcphost **out, const struct tcphost_params *p);
/* Connections end without a word. NULL-safe, clears *host. All of the host's buffers are back, or it dies. */
void tcphost_destroy(struct tcphost **host);

/* Opens a connection; false: none is free. */
bool tcphost_open(struct tcphost *host, struct tcphost_conn *k, const struct tcphost_to *to);
/* Bytes behind those that are still to be sent. */
void tcphost_send(struct tcphost_conn *k, const void *data, uint32_t n);
/* A FIN behind all that was sent. */
void tcphost_close(struct tcphost_conn *k);
void tcphost_abort(struct tcphost_conn *k);
void tcphost_resume(struct tcphost_conn *k);
/* Forgets what was received. */
void tcphost_clear(struct tcphost_conn *k);
/* Gives memory back and makes it zero; it has ended. */
void tcphost_fini(struct tcphost_conn *k);

/* Timers and paced readers, at the harness's time. */
void tcphost_poll(struct tcphost *host);
/* What the north port has sent; frames to another MAC are freed and counted. Returns how many frames there were. */
unsigned tcphost_take(struct tcphost *host);

struct tcphost_counts {
	uint64_t n_to_box, n_from_box;
	uint64_t n_lost;  /* by is_passed(), or the port's queue or the pool was full */
	uint64_t n_other; /* to another MAC */
};
const struct tcphost_counts *tcphost_counts(const struct tcphost *host);
const struct tcp_stats *tcphost_stats(const struct tcphost *host);
/* Its own MAC. */
const struct rte_ether_addr *tcphost_mac(const struct tcphost *host);
