/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * worker — one poll-mode thread: its receive queues, transmit buffers, counters and the state its
 * flows live in. Run to completion: worker_poll() receives, runs the pipeline on each burst, flushes,
 * runs timers and mailboxes, and reports a quiescent state. Everything here belongs to the worker's
 * thread once it runs, except what says otherwise.
 */
#include "core/burst.h"
#include "core/iface.h"
#include "core/mailbox.h"
#include "core/snapshot.h"
#include "core/tally.h"

#define WORKER_MAX 32
#define WORKER_QUEUES_MAX 32
/* Frames for a device before it is called, in the midst of a turn; those that a full one is offered again in the next turns. */
#define WORKER_TX_AT_ONCE (2 * BURST_MAX)
#define WORKER_TX_WAITING_MAX 512

struct capture;      /* core/capture.h */
struct frag_table;   /* net/frag.h */
struct lb_worker;    /* lb/balance.h */
struct neigh_table;  /* net/neigh.h */
struct serve_worker; /* serve/serve.h */
struct worker;

struct worker_queue {
	uint16_t nic;
	uint16_t queue;
	uint8_t iface;
	uint8_t has_rss; /* mbuf hash.rss is our Toeplitz over addresses and ports */
};

struct worker_txq {
	uint16_t nic;
	uint16_t queue;
	uint16_t
		owner; /* worker that sends on this queue: itself, or another where a device has too few */
	uint16_t n;
	uint16_t n_waiting; /* of m, the first: the device had no room for them */
	struct rte_mbuf *m[WORKER_TX_WAITING_MAX + WORKER_TX_AT_ONCE];
};

/* Work the manager asks a worker to do on the worker's own state, a bounded piece per loop. run()
 * returns true when finished. One at a time per worker. */
struct worker_job {
	bool (*run)(struct worker *w, struct worker_job *job);
	void *ctx;
};

/* What pipeline.c gives to the worker: called with a burst of received packets of one logical port
 * (is_handover: they came by mailbox from another worker; the worker cuts bursts so that in_iface is
 * one), and for timers. */
struct worker_ops {
	void (*on_burst)(struct worker *w, struct burst *b, bool is_handover);
	void (*on_probe)(struct worker *w, struct burst *b); /* one packet with NOTE_PROBE */
	void (*on_tick)(struct worker *w);                   /* at most once per millisecond */
	void (*on_unfinished)(struct worker *w); /* in the loop after is_unfinished was set */
};

/* What has been taken in the second that began at since_ms. */
struct worker_budget {
	uint32_t since_ms, n;
};

struct worker {
	/* fixed at start; r: all */
	uint16_t id;
	uint16_t n_workers;
	uint16_t lcore;
	uint16_t n_queues;
	uint32_t idle_us; /* longest sleep of the idle policy; 0 = poll */
	struct worker_queue queues[WORKER_QUEUES_MAX];
	const struct worker_ops *ops;
	const struct iface_set *ifaces;
	struct mailbox *mail;
	struct tally *tally; /* w: owner  r: manager */
	struct neigh_table *neigh;
	struct frag_table *frag;
	struct lb_worker *lb;
	struct serve_worker *serve;

	/* w: owner */
	const struct snapshot *snap; /* of this loop */
	struct capture *capture;     /* of this loop; NULL: nobody looks at packets */
	uint64_t now_us;             /* of this loop */
	uint32_t now_ms;             /* the same; wraps after 49 days: compare differences */
	uint32_t tick_ms;            /* when on_tick ran last */
	uint32_t n_tx_pending;       /* frames in tx[] */
	/* Logical ports, a bit each, for which frames wait: who can wait with more should, and is_unfinished is set once that is over. */
	uint32_t tx_blocked;
	struct stage_clock clock;
	bool is_unfinished; /* a stage has had its share of this loop and has more to do */
	struct worker_budget echo_budget, error_budget; /* of ICMP, net/icmp_pvt.h */
	uint32_t n_loose; /* outer packets that routers may fragment (lb/fwd_tunnel.c) */
	struct worker_txq tx[IFACE_MAX];
	struct burst burst;

	/* w: manager sets, worker clears  r: both  pairs(worker-job) */
	struct worker_job *job;
	struct capture *capture_next; /* w: manager  r: worker  pairs(capture-next) */
} __rte_cache_aligned;

/* One loop: receive, pipeline, mailbox, job, tick, flush, quiescent. Returns packets received, by port or
 * mailbox. now_us: clock_us(), or a test's own time. Context: the worker's thread (tests: any single
 * thread registered with snapshot_reader_up()). */
unsigned worker_poll(struct worker *w, uint64_t now_us);

/* Registers as a reader and polls until *stop (relaxed) becomes true, with the idle policy. Context: the
 * worker's thread. */
void worker_run(struct worker *w, const bool *stop);

_Static_assert(IFACE_MAX <= 32, "a bit of tx_blocked each");

/* Queues a complete frame, or n, for sending on a logical port; flushes when there are many. Takes the mbufs. Those that a device has no room
 * for wait for the next turns, WORKER_TX_WAITING_MAX of them at most (tx_full). */
void worker_tx(struct worker *w, unsigned iface, struct rte_mbuf *m);
void worker_tx_bulk(struct worker *w, unsigned iface, struct rte_mbuf *const *m, unsigned n);
void worker_tx_flush(struct worker *w);

/* Hands the packet to the manager with the note already filled in; counts a drop when full. */
void worker_to_manager(struct worker *w, struct rte_mbuf *m);

/* Frees the packet and counts the reason. A capture does not see it: on_burst() has shown it those of the burst. */
void worker_drop(struct worker *w, struct rte_mbuf *m, enum pkt_drop reason);

/* The same for a packet that was to leave, so that on_burst() has not shown it. */
void worker_drop_late(struct worker *w, struct rte_mbuf *m, unsigned iface, enum pkt_drop reason);

/* Context: manager. The worker shows its packets to c from its next loop on, NULL: to nobody; snapshot_synchronize()
 * waits until it no longer uses what it had. */
void worker_set_capture(struct worker *w, struct capture *c);

/* Context: manager. Gives the worker a job; -EBUSY while it still has one. */
int worker_job_post(struct worker *w, struct worker_job *job);
/* Context: manager. True when the job posted last has finished (acquire: its results are visible). */
bool worker_job_done(const struct worker *w);
