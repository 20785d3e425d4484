/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genrun — the open loop: on one lcore, sends frames when they are due and takes what comes back, for one trial of so many frames. What
 * the frames are and what is an answer is the work's (struct genwork). The main thread waits, and looks at the counts each second. Several
 * of them, on an lcore each, make a team (genteam.h), and what is asked of the first is then done by all.
 *
 * Honesty. A frame's time counts from when it was due, so what a stalled generator or a full ring delays is in the figures (no
 * coordinated omission); frames sent too long after that are counted as late, and a trial with too many of them
 * has no figure: it is the generator that was measured (genjudge.h, which also says which trials are void). A frame that finds no
 * room on shared memory is lost, as it would be on a wire whose receiver does not read.
 *
 * Frames are numbered from 0 on through all trials; the lower 32 bits, or fewer, travel. A number that is older than this trial is
 * an answer that was given up before.
 */
#include "genhist.h"
#include "genjudge.h"
#include "gennet.h"
#include "genpace.h"
#include "genport.h"
#include "genteam.h"
#include "genwatch.h"

#include <semaphore.h>

#define GENRUN_BURST_MAX 64
/* Frames whose answers are remembered. One that comes after GENRUN_OPEN others were sent is lost: its bit is about to be another's. */
#define GENRUN_WINDOW (1u << 24)
#define GENRUN_OPEN (GENRUN_WINDOW - 64)
#define GENRUN_OUT_MAX 4096u
#define GENRUN_SAMPLES_MAX 3600u
#define GENRUN_PAUSES 24u

struct genrun;

/* What a work says of frames that came in, a bit each. Those of none are looked at for ARP and NDP, and freed. */
struct genwork_seen {
	uint64_t taken;  /* of this work, to be freed */
	uint64_t turned; /* go back by the port where they came in */
	uint64_t kept;   /* the work's own now */
};

struct genwork {
	/* Hot. Fills n frames, numbers first to first + n - 1; a burst at most. NULL where there is submit(). */
	void (*build)(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first);
	/* Hot. So many requests are due; their frames go out by genrun_send(), when the work sees fit. */
	void (*submit)(void *ctx, struct genrun *r, unsigned n, uint64_t first);
	/* Hot. With submit(): in each round. Timers; frames that wait. */
	void (*poll)(void *ctx, struct genrun *r);
	/* Hot. Looks at n frames that came in; answers are told with genrun_answered(). *seen is zero. */
	void (*input)(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
		struct genwork_seen *seen);
	/* Main thread, before each trial, when r->first is known; may be NULL. */
	void (*begin)(void *ctx, struct genrun *r);
	/* Of a team, of a frame that input() did not want: whose it is, or -1. May be asked of any thread's. */
	int (*owner)(const void *ctx, const struct rte_mbuf *m);
	uint32_t group; /* of struct genpace */
	void *ctx;
};

/* One trial's. w: the lcore  r: the main thread, relaxed */
struct genrun_counts {
	uint64_t offered, offered_bytes;   /* frames that were due, after the warm-up */
	uint64_t received, received_bytes; /* their answers, each once */
	uint64_t no_room;                  /* of those offered: the port had no room */
	uint64_t late;                     /* of those offered */
	uint64_t duplicates, overdue, reordered;
	uint64_t turned, turn_no_room;   /* at the backends */
	uint64_t others;                 /* frames that are nothing of ours */
	uint64_t neighbours;             /* ARP and NDP answered */
	uint64_t no_buffer;              /* times that the pool was empty */
	uint64_t beside, beside_no_room; /* of those that are not measured: sent, and not */
	uint64_t too_late; /* of those received: after the deadline, and lost therefore */
	uint64_t handed, hand_no_room; /* to other threads; and those that they had no room for */
	uint64_t late_most_cyc, gap_most_cyc; /* longest between two rounds of the loop */
	uint64_t paused_cyc; /* of rounds that were long enough to make frames late */
	uint64_t pauses
		[GENRUN_PAUSES]; /* rounds of 2^(i-1) us at least and below 2^i, from 2 us on */
};

struct genrun_sample {
	double seconds; /* since the first frame */
	uint64_t offered, received, late;
	uint64_t p50_ns, p99_ns, max_ns; /* of this second; max: of all so far */
};

enum genrun_verdict {
	GENRUN_DONE,
	GENRUN_TOO_SLOW, /* the generator is, for this rate */
	GENRUN_VOID,     /* somebody lost a CPU: see `why` */
	GENRUN_STOPPED,  /* by genrun_stop() */
};

struct genrun_trial {
	double rate; /* frames a second */
	uint64_t n_warm, n_frames;
	double before_s;        /* measured before, of the same: for progress lines and samples */
	bool is_quiet;          /* no progress lines */
	bool is_loose;          /* lateness does not matter: a warm-up, not a measurement */
	const char *what;       /* in progress lines */
	const uint64_t *n_each; /* frames of each thread, where there is no warm-up; NULL: evenly */
};

struct genrun_result {
	struct genrun_trial trial;
	enum genrun_verdict verdict;
	enum genjudge_verdict why;
	struct genrun_counts counts;
	double waited_s, stolen_s; /* of the watch, while frames were sent */
	double seconds;            /* in which the counted frames were due */
	double received_rate;      /* answers by these */
	double loss_ratio;
	uint64_t n_switches; /* times that the kernel took the CPU away, of the whole trial */
	unsigned n_samples;
	struct genrun_sample *samples; /* the result's; genrun_result_fini() */
	struct genhist latency_ns;
};

struct genrun {
	/* set by the caller */
	struct genport *tx, *rx; /* may be one */
	struct rte_mempool *pool;
	struct gennet *net;
	const struct genwork *work;
	struct genteam *team; /* NULL: it is alone */
	unsigned member;      /* which of the team */
	uint16_t rx_first, rx_end, tx_first,
		tx_end; /* its queues of each port, [first, end); to send there is one */
	unsigned burst, lcore;
	uint32_t late_us;
	uint32_t n_ring; /* sent frames whose answers the receive ring holds */
	bool loses_when_full;
	bool is_fifo; /* before all other threads of its CPU, during trials whose lateness matters */
	double deadline_s;            /* an answer that comes later is too late; 0: there is none */
	const struct genwatch *watch; /* may be NULL */
	/* Hot, in each round while frames are sent; may be NULL. Sends what is not measured. */
	void (*beside)(void *ctx, struct genrun *r);
	void *beside_ctx;

	uint64_t hz; /* of the time stamp counter; 0: as DPDK has measured it */

	/* the lcore's */
	uint64_t next, first, first_counted,
		end; /* numbers: to be sent next; of this trial, [first, end) */
	uint64_t late_cyc, deadline_cyc, highest, last_rx_cyc, begin_cyc, behind_cyc;
	uint64_t
		now; /* when the frames in hand came in, or what is due was looked for: the time in input(), submit() and poll() */
	uint64_t ns_mult; /* nanoseconds of a cycle, in 2^-32 of one */
	bool has_paused;  /* between two answers, when all was sent */
	double ns_per_cyc;
	struct genpace pace;
	struct genrun_trial trial; /* of all threads together */
	double rate,
		lag_s; /* its own: frames a second, and how long after the beginning the first one is due */
	enum genrun_verdict verdict;
	uint64_t n_switches;
	uint16_t tx_queue;         /* of the next burst */
	uint64_t sent_cyc, n_sent; /* how long sending took, and of how many */
	sem_t stage;               /* posted twice by the last lcore: all is sent; all is done */
	struct genrun_counts counts;
	struct genhist latency_ns;
	struct rte_mbuf *waiting[GENRUN_BURST_MAX]; /* built, and not taken by the port yet */
	uint32_t waiting_bytes[GENRUN_BURST_MAX];
	unsigned waiting_at, n_waiting;
	struct rte_mbuf *out[GENRUN_OUT_MAX]; /* of genrun_send(), [out_at, n_out) */
	unsigned out_at, n_out;
	uint64_t *seen; /* a bit for each number of the window */
	uint8_t stop;   /* GENRUN_STOP_*  w: any thread, a signal handler too  r: lcore */
};

#define GENRUN_STOP_ALL 1u   /* and every trial after this one */
#define GENRUN_STOP_TRIAL 2u /* as another thread has failed */

/* 0, or -ENOMEM. r's first part is set, but for the team; the lcore exists and waits. */
int genrun_init(struct genrun *r);
void genrun_fini(struct genrun *r);

/* Whether is_fifo is something that this process may ask for. 0 or -errno. */
int genrun_may_fifo(void);

/* Main thread; r is alone, or the first of its team. Blocks until the trial has ended, which it does within its own time and a few
 * seconds. The result is of all threads; what one of them is judged to be all are. 0, or -ENOMEM. */
int genrun_trial(struct genrun *r, const struct genrun_trial *t, struct genrun_result *out);
void genrun_result_fini(struct genrun_result *out);
/* Adds another trial's at the same rate, which ended well too, and takes its samples. 0, or -ENOMEM. */
int genrun_result_add(struct genrun_result *to, struct genrun_result *from);

/* How many threads there are, and each; r is alone, or the first. */
static inline unsigned genrun_threads(const struct genrun *r)
{
	return r->team != NULL ? r->team->n : 1;
}
static inline struct genrun *genrun_thread(struct genrun *r, unsigned i)
{
	return r->team != NULL ? r->team->of[i] : r;
}

/* Main thread, no trial runs. Asks for the next hop's MAC address, answering others meanwhile, until it has it. 0, -ETIMEDOUT, or
 * -EINTR after genrun_stop(). */
int genrun_resolve(struct genrun *r, unsigned seconds);

/* Any thread, signal handlers too: the trial of all threads ends, and every one after it. */
void genrun_stop(struct genrun *r);

/* Hot. The whole number of a frame of which `bits` bits came back. */
static inline uint64_t genrun_number(const struct genrun *r, uint64_t low, unsigned bits)
{
	const uint64_t mask = bits < 64 ? (1ull << bits) - 1 : UINT64_MAX, last = r->next - 1;

	return last - ((last - low) & mask);
}

/* Hot. The next n numbers, a burst at most, are given away: returns the first of them. What was answered a window ago is forgotten. */
static inline uint64_t genrun_take(struct genrun *r, unsigned n)
{
	const uint64_t first = r->next, word = (first + n - 1) / 64; /* of the last one */

	/* so few begin one word of `seen` at most */
	if (n > 0 && (first % 64 == 0 || word != first / 64))
		r->seen[word % (GENRUN_WINDOW / 64)] = 0;
	r->next += n;
	return first;
}
static_assert(GENRUN_BURST_MAX <= 64, "see genrun_take()");

/* Hot, and between trials. A frame of a work with submit(). Takes m: it waits for room, and is lost when GENRUN_OUT_MAX do. */
void genrun_send(struct genrun *r, struct rte_mbuf *m);
/* Hot. What waits, as far as there is room. */
void genrun_flush(struct genrun *r);

/* Hot. An answer to the frame of this number has come, as a frame of n_bytes, without its checksum (0: not by itself); false: it does not count, as the warm-up's do not. */
bool genrun_answered(struct genrun *r, uint64_t number, uint32_t n_bytes);
