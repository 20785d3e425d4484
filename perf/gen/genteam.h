/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genteam — several threads that are one generator: each has a struct genrun with queues, numbers, counts and times of its own, and sends
 * each n-th frame. They begin a trial at one moment, and none leaves it before all have what they wait for.
 *
 * An answer comes by whatever queue the target, or a device that spreads frames, has put it in. Who receives one that another has asked for hands
 * it over, with the moment at which it came, and nobody else ever looks at a frame's number: a thread's window of answers, its counts
 * and its connections are its own. So there are no locks on the way, and
 *
 *  T1  a frame is handed over once at most: its owner, as the work tells it (struct genwork), keeps it or drops it
 *  T2  a frame that is handed over is counted by who gave it (handed, or hand_no_room), and beside that only by its owner
 *  T3  until all threads have what they wait for, all receive: an answer that one of them still waits for is not left in another's queue
 *
 * Cycles are those of the time stamp counter, which all CPUs have to have alike.
 */
#include <rte_mbuf.h>

#include <stdbool.h>
#include <stdint.h>

#define GENTEAM_MAX 16u

struct genport;
struct genrun;
struct mailbox;

struct genteam {
	unsigned n;
	struct genrun *of[GENTEAM_MAX];
	struct mailbox *handed;
	unsigned n_ring; /* frames that a thread has room for, from each other one */
	/* of a trial; w: genteam_begin(), then any thread */
	uint64_t begin_cyc; /* 0: somebody is not ready */
	uint32_t n_ready, n_sent, n_answered, n_done;
};

/* What stands in the private area of a frame that is handed over. */
struct genteam_note {
	uint64_t rx_cyc; /* when it came in */
	const struct genport *port;
};

static inline struct genteam_note *genteam_note(struct rte_mbuf *m)
{
	return (struct genteam_note *)rte_mbuf_to_priv(m);
}

/* Main thread. Makes a team of n threads, at least 2, whose lcores exist. n_ring: frames that come to a thread while it does not look. 0 or
 * -ENOMEM. */
int genteam_init(struct genteam *t, struct genrun *const *of, unsigned n, unsigned n_ring);
void genteam_fini(
	struct genteam *t); /* frames still inside are freed; for one that is all zero too */

/* Packet buffers that wait in it at most. */
uint32_t genteam_buffers(unsigned n, unsigned n_ring);

/* Main thread, before the threads are launched. */
void genteam_begin(struct genteam *t);

/* Each thread, once in a trial. Waits for the others; returns when it began, to all alike. */
uint64_t genteam_start(struct genteam *t);

/* Each thread, once in a trial for each counter: it has come so far. True: as the last one. */
bool genteam_arrive(const struct genteam *t, uint32_t *counter);

/* Any thread. Whether all have. */
bool genteam_has_all(const struct genteam *t, const uint32_t *counter);

/* Hot. m, whose note is written, goes from thread `from` to another. False: there is no room, and it is the caller's. */
bool genteam_give(struct genteam *t, unsigned from, unsigned to, struct rte_mbuf *m);

/* Hot. What has been given to a thread, n at most. */
unsigned genteam_take(struct genteam *t, unsigned to, struct rte_mbuf **m, unsigned n);
