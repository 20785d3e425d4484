/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * servetcp_pvt — what servetcp.c and servetcpview.c share: the connections of a worker. Context of everything: worker.
 */
#include "lb/rate.h"
#include "serve/mcstream.h"
#include "serve/serve_pvt.h"
#include "serve/serveref.h"
#include "serve/servetcp.h"

#include <rte_tcp.h>

#include <sys/queue.h>

enum conn_list { LIST_NONE, LIST_WAITING, LIST_CLOSING };

struct conn {
	struct mcstream stream;
	struct tcb *c;                  /* NULL: free */
	uint64_t n_requests, n_written; /* written: bytes of answers */
	uint32_t service_idx;           /* VIP_NONE: it was not served, and is going */
	uint8_t list;                   /* enum conn_list */
	bool is_starved;                /* it waits for a buffer: in the list of those */
	bool has_grace;                 /* closed, and had its last answers taken late */
	/* 56: requests need no more */
	TAILQ_ENTRY(conn) link, starved;
	uint32_t begun_ms, since_ms; /* since_ms: in its list */
	uint32_t marked_ms,
		mark; /* tcp_info.progress when it was looked at as buffers were short */
} __rte_cache_aligned;
_Static_assert(
	offsetof(struct conn, link) <= RTE_CACHE_LINE_SIZE, "a request takes one line of it");
TAILQ_HEAD(conn_list_head, conn);

/* What connections of a service slot have in common. */
struct listener {
	struct tcp_profile profile; /* first: it is how a connection names its listener */
	struct rate_bucket flows;
};

/* A connection of a run. */
struct run_conn {
	struct mcstream_conn mc; /* first: what mcstream gives back */
	struct servetcp *st;
	struct conn *conn;
	uint8_t *begin; /* of what is being written; NULL: nothing is */
};

/* Frames of connections with one profile, or of none, that leave by one port together. */
struct sending {
	const struct tcp_profile *profile;
	uint64_t n_bytes;
	uint16_t n;
	uint8_t iface;
	struct rte_mbuf *m[BURST_MAX];
};

struct servetcp {
	struct tcp *tcp;
	struct worker *w;
	const struct serve_conf *conf;
	const struct lb_conf *lb;
	struct serve_tally *tallies;
	struct listener *listeners;
	struct mcstream_stock *stock;
	struct serveref *refs;
	struct kv *kv;              /* of the service whose requests are executed */
	struct conn *conns, *spare; /* spare: a list by link.tqe_next */
	struct conn_list_head waiting, closing;
	struct conn_list_head starved; /* of `waiting`, by when they are asked again */
	uint32_t n_services, n_conns, n_bufs;
	uint32_t n_starved;
	uint32_t n_used,
		n_kept; /* buffers, in on_ready(): and among them those that answers to come are to have */
	uint32_t look_at, n_to_look;  /* the next connection to be looked at, and how many more */
	bool is_tight;                /* in on_ready(): how long an answer will be is asked first */
	bool is_short, is_very_short; /* of buffers, at the last tick */
	uint32_t short_ms;            /* since when */
	uint64_t generation;          /* that the listeners are of */
	uint64_t begun;               /* cycle: of this call */
	uint32_t n_answer_bufs;       /* that answers may have, but for the short ones' own */
	struct servetcp_stats stats;
	struct sending sending;
	struct run_conn run[BURST_MAX];
	uint8_t is_done[BURST_MAX];
};

/* What the stack has sent goes to the worker. After each call into it that may send. */
void servetcp_send(struct servetcp *st);

static inline bool servetcp_is_syn(const struct pkt *p)
{
	return (p->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG))
		== RTE_TCP_SYN_FLAG;
}
