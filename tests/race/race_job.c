/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The worker's job slot, with a real worker_run(): the manager posts jobs that read and write plain memory
 * of both sides, in pieces; when worker_job_done() says so, the manager must see all of it. Snapshots are
 * published meanwhile, and the idle policy sleeps.
 */
#include "core/worker.h"
#include "race.h"

#define JOBS 3000u
#define PIECES 3u

static struct worker worker; /* no ports, no queues */
static bool stop;
static uint64_t owned_by_worker; /* never touched by the manager while the worker runs */
static uint64_t n_ticks;

struct sum {
	struct worker_job job;
	uint64_t in, out; /* w: both, in turn */
	unsigned n_pieces;
};

static bool run(struct worker *w, struct worker_job *job)
{
	struct sum *s = job->ctx;

	owned_by_worker += s->in;
	s->out += s->in * 2;
	return ++s->n_pieces == PIECES;
}

static void on_burst(struct worker *w, struct burst *b, bool is_handover)
{
	RACE_CHECK(false, "a packet from nowhere");
}

static void on_tick(struct worker *w)
{
	RACE_CHECK(w->snap != NULL, "tick without a snapshot");
	n_ticks++;
}

static void *body(void *arg)
{
	worker_run(&worker, &stop);
	return NULL;
}

int main(void)
{
	static const struct worker_ops ops = {.on_burst = on_burst, .on_tick = on_tick};
	static struct iface_set ifaces;
	static struct snapshot snaps[2];
	struct tally_set *tallies = NULL;
	struct sum s = {.job = {.run = run}};
	uint64_t total = 0;
	pthread_t thread;

	s.job.ctx = &s;
	RACE_CHECK(tally_set_create(&tallies, 1) == 0, "no memory");
	RACE_CHECK(mailbox_create(&worker.mail, 2, 64) == 0, "no memory");
	worker.n_workers = 1;
	worker.idle_us = 20;
	worker.tick_ms = 1; /* the clock stands at 0 without EAL: one tick is due */
	worker.ops = &ops;
	worker.ifaces = &ifaces;
	worker.tally = tally_of(tallies, 0);
	snapshot_publish(&snaps[0], NULL);
	thread = race_start(body, NULL);
	for (unsigned i = 0; i < JOBS; i++) {
		s.in = i;
		s.out = 1;
		s.n_pieces = 0;
		RACE_CHECK(worker_job_post(&worker, &s.job) == 0, "job %u: busy", i);
		if (i % 64 == 0)
			snapshot_publish(&snaps[i / 64 % 2], NULL);
		while (!worker_job_done(&worker))
			sched_yield();
		RACE_CHECK(s.out == 1 + 2ull * PIECES * i && s.n_pieces == PIECES,
			"job %u: out %llu", i, (unsigned long long)s.out);
		total += (uint64_t)PIECES * i;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	RACE_CHECK(owned_by_worker == total, "worker's own sum is wrong");
	RACE_CHECK(worker.tally->loops > 0 && n_ticks == 1, "worker did not run");
	snapshot_publish(NULL, NULL);
	mailbox_destroy(&worker.mail);
	tally_set_destroy(&tallies);
	return 0;
}
