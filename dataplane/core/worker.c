/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * worker — see worker.h. The loop on one screen is worker_poll(); what packets go through is the
 * pipeline's business (worker_ops). Idle policy: with idle_us == 0 the loop never stops; else, after
 * IDLE_LOOPS loops without a packet, it sleeps, each time twice as long up to idle_us, offline for RCU so
 * that a publication does not wait for it.
 */
#include "core/worker.h"

#include "base/clock.h"
#include "core/capture.h"

#include <rte_ethdev.h>

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>

#define IDLE_LOOPS 32u
#define IDLE_FIRST_US 8u

void worker_drop(struct worker *w, struct rte_mbuf *m, enum pkt_drop reason)
{
	w->tally->drops[reason]++;
	rte_pktmbuf_free(m);
}

void worker_drop_late(struct worker *w, struct rte_mbuf *m, unsigned iface, enum pkt_drop reason)
{
	if (unlikely(w->capture != NULL))
		capture_burst(w->capture, &m, 1,
			&(struct capture_at){MR_POINT_DROP, (uint8_t)iface, (uint8_t)reason});
	worker_drop(w, m, reason);
}

/* Whether frames are for the device to cut. */
static bool has_cut(const struct worker_txq *q, uint16_t n)
{
	uint64_t ol_flags = 0;

	for (uint16_t i = 0; i < n; i++)
		ol_flags |= q->m[i]->ol_flags;
	return ol_flags & RTE_MBUF_F_TX_TCP_SEG;
}

/* Frames from the first one on with what their devices do to them, which some drivers want to see before. Leaves those that can be sent. */
static uint16_t prepare(struct worker *w, struct worker_txq *q, uint16_t first, uint16_t n)
{
	uint16_t n_ready = first;

	for (;;) {
		n_ready = (uint16_t)(n_ready
			+ rte_eth_tx_prepare(
				q->nic, q->queue, q->m + n_ready, (uint16_t)(n - n_ready)));
		if (likely(n_ready == n))
			return n;
		worker_drop_late(w, q->m[n_ready], (unsigned)(q - w->tx), PKT_DROP_tx_refused);
		n--;
		memmove(q->m + n_ready, q->m + n_ready + 1, (n - n_ready) * sizeof(q->m[0]));
	}
}

/* Keeps the frames m[n_sent..n) that the device had no room for, the oldest of them. Returns the bytes of all. */
static uint64_t keep(struct worker *w, struct worker_txq *q, uint16_t n_sent, uint16_t n)
{
	const unsigned iface = (unsigned)(q - w->tx);
	const uint16_t n_kept = RTE_MIN((uint16_t)(n - n_sent), (uint16_t)WORKER_TX_WAITING_MAX);
	uint64_t n_bytes = 0;

	for (unsigned i = n_sent; i < n; i++)
		n_bytes += q->m[i]->pkt_len;
	for (unsigned i = n_sent + n_kept; i < n; i++)
		worker_drop_late(w, q->m[i], iface, PKT_DROP_tx_full);
	memmove(q->m, q->m + n_sent, n_kept * sizeof(q->m[0]));
	q->n = q->n_waiting = n_kept;
	w->n_tx_pending += n_kept;
	w->tx_blocked |= 1u << iface;
	return n_bytes;
}

/* The device has taken those that waited. */
static void unblock(struct worker *w, struct worker_txq *q)
{
	q->n_waiting = 0;
	w->tx_blocked &= ~(1u << (q - w->tx));
	w->is_unfinished = true;
}

/* Sends one queue's frames: to the device, or to the worker that owns its queue. */
static void flush_txq(struct worker *w, struct worker_txq *q)
{
	const uint16_t n_seen = q->n_waiting;
	uint64_t n_bytes = 0;
	uint16_t n = q->n, n_sent;

	q->n = 0;
	w->n_tx_pending -= n;
	if (unlikely(q->owner != w->id)) {
		n_sent = (uint16_t)mailbox_send_bulk(w->mail, w->id, q->owner, q->m, n);
		for (uint16_t i = n_sent; i < n; i++)
			worker_drop_late(w, q->m[i], (unsigned)(q - w->tx), PKT_DROP_mailbox_full);
		return;
	}
	if (unlikely(w->capture != NULL))
		capture_burst(w->capture, q->m + n_seen, n - n_seen,
			&(struct capture_at){MR_POINT_TX, (uint8_t)(q - w->tx), 0});
	if (unlikely(w->ifaces->of[q - w->tx].tso_mbufs > 0) && has_cut(q, n))
		n = prepare(w, q, n_seen, n);
	BURST_UNROLL
	for (unsigned i = 0; i < n; i++)
		n_bytes += q->m[i]->pkt_len;
	n_sent = rte_eth_tx_burst(q->nic, q->queue, q->m, n);
	w->tally->tx += n_sent;
	if (unlikely(n_sent < n))
		n_bytes -= keep(w, q, n_sent, n);
	else if (unlikely(n_seen > 0))
		unblock(w, q);
	w->tally->tx_bytes += n_bytes;
}

void worker_tx_bulk(struct worker *w, unsigned iface, struct rte_mbuf *const *m, unsigned n)
{
	struct worker_txq *q = &w->tx[iface];

	for (unsigned i = 0; unlikely(q->owner != w->id) && i < n; i++) {
		struct pkt_note *note = pkt_note(m[i]);

		note->kind = NOTE_TX;
		note->iface = (uint8_t)iface;
	}
	while (n > 0) {
		const unsigned room = WORKER_TX_AT_ONCE - (unsigned)(q->n - q->n_waiting);
		const unsigned k = n < room ? n : room;

		memcpy(&q->m[q->n], m, k * sizeof(*m));
		q->n = (uint16_t)(q->n + k);
		w->n_tx_pending += k;
		m += k;
		n -= k;
		if (k == room)
			flush_txq(w, q);
	}
}

void worker_tx(struct worker *w, unsigned iface, struct rte_mbuf *m)
{
	worker_tx_bulk(w, iface, &m, 1);
}

void worker_tx_flush(struct worker *w)
{
	for (unsigned i = 0; i < w->ifaces->n; i++) {
		if (w->tx[i].n > 0)
			flush_txq(w, &w->tx[i]);
	}
}

void worker_to_manager(struct worker *w, struct rte_mbuf *m)
{
	if (mailbox_send_bulk(w->mail, w->id, w->n_workers, &m, 1) == 0)
		worker_drop_late(w, m, pkt_note(m)->iface, PKT_DROP_mailbox_full);
}

static unsigned poll_queue(struct worker *w, const struct worker_queue *q)
{
	struct burst *b = &w->burst;
	uint64_t n_bytes = 0;

	b->n = rte_eth_rx_burst(q->nic, q->queue, b->m, BURST_MAX);
	if (b->n == 0) {
		stage_mark(&w->clock, STAGE_rx);
		return 0;
	}
	b->in_iface = q->iface;
	b->has_rss = q->has_rss;
	BURST_UNROLL
	for (unsigned i = 0; i < b->n; i++)
		n_bytes += b->m[i]->pkt_len;
	w->tally->rx += b->n;
	w->tally->rx_bytes += n_bytes;
	if (unlikely(w->capture != NULL))
		capture_burst(
			w->capture, b->m, b->n, &(struct capture_at){MR_POINT_RX, b->in_iface, 0});
	stage_mark(&w->clock, STAGE_rx);
	w->ops->on_burst(w, b, false);
	return b->n;
}

static void run_handed_over(struct worker *w)
{
	struct burst *b = &w->burst;

	if (b->n == 0)
		return;
	b->has_rss = 0;
	w->ops->on_burst(w, b, true);
	b->n = 0;
}

/* They are few: each is a burst of its own. */
static void run_probe(struct worker *w, struct rte_mbuf *m)
{
	struct burst *b = &w->burst;

	run_handed_over(w);
	b->in_iface = pkt_note(m)->iface;
	b->has_rss = 0;
	b->m[0] = m;
	b->n = 1;
	w->ops->on_probe(w, b);
	b->n = 0;
}

/* A burst from other workers and the manager. It is cut where the port changes. */
static unsigned poll_mailbox_once(struct worker *w)
{
	struct rte_mbuf *in[BURST_MAX];
	const unsigned n = mailbox_receive_bulk(w->mail, w->id, in, BURST_MAX);
	struct burst *b = &w->burst;

	b->n = 0;
	for (unsigned i = 0; i < n; i++) {
		const struct pkt_note *note = pkt_note(in[i]);

		if (note->kind == NOTE_TX) {
			worker_tx(w, note->iface, in[i]);
			continue;
		}
		if (unlikely(note->kind == NOTE_PROBE)) {
			run_probe(w, in[i]);
			continue;
		}
		if (b->n > 0 && b->in_iface != note->iface)
			run_handed_over(w);
		b->in_iface = note->iface;
		b->m[b->n++] = in[i];
	}
	run_handed_over(w);
	return n;
}

/* As many bursts as there are workers that may each send one in a turn: what is here has been received
 * already, and a device drops earlier than a full ring. */
static unsigned poll_mailbox(struct worker *w)
{
	unsigned n = 0, got = BURST_MAX;

	for (unsigned i = 0; i < w->n_workers && got == BURST_MAX; i++) {
		got = poll_mailbox_once(w);
		n += got;
	}
	return n;
}

static void run_job(struct worker *w)
{
	struct worker_job *job = __atomic_load_n(&w->job, __ATOMIC_ACQUIRE); /* pairs(worker-job) */

	if (likely(job == NULL) || !job->run(w, job))
		return;
	/* pairs(worker-job): what the job wrote is there before the manager sees it done */
	__atomic_store_n(&w->job, NULL, __ATOMIC_RELEASE);
}

unsigned worker_poll(struct worker *w, uint64_t now_us)
{
	const uint32_t now_ms = (uint32_t)(now_us / 1000);
	unsigned n = 0;

	w->now_us = now_us;
	w->now_ms = now_ms;
	w->snap = snapshot_get();
	/* pairs(capture-next): the capture is whole before it is seen */
	w->capture = __atomic_load_n(&w->capture_next, __ATOMIC_ACQUIRE);
	stage_begin(&w->clock);
	for (unsigned i = 0; i < w->n_queues; i++)
		n += poll_queue(w, &w->queues[i]);
	n += poll_mailbox(w);
	run_job(w);
	if (unlikely(w->is_unfinished)) {
		w->is_unfinished = false;
		w->ops->on_unfinished(w);
	}
	if (now_ms != w->tick_ms) {
		w->tick_ms = now_ms;
		w->ops->on_tick(w);
	}
	stage_mark(&w->clock, STAGE_timers);
	if (w->n_tx_pending > 0)
		worker_tx_flush(w);
	stage_mark(&w->clock, STAGE_tx);
	stage_end(&w->clock, &w->tally->stages, n);
	w->tally->loops++;
	w->tally->busy_loops += n > 0;
	snapshot_quiescent();
	return n;
}

static void nap(struct worker *w, uint32_t us)
{
	const struct timespec ts = {.tv_nsec = (long)us * 1000};

	w->tally->sleeps++;
	snapshot_offline();
	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	snapshot_online();
}

void worker_run(struct worker *w, const bool *stop)
{
	uint32_t n_empty = 0, us = IDLE_FIRST_US;

	if (w->idle_us > 0)
		prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
	snapshot_reader_up(w->id);
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		if (worker_poll(w, clock_us()) > 0 || w->is_unfinished || !worker_job_done(w)) {
			n_empty = 0;
			us = IDLE_FIRST_US;
		} else if (w->idle_us > 0 && ++n_empty > IDLE_LOOPS) {
			nap(w, us < w->idle_us ? us : w->idle_us);
			us = us < w->idle_us ? us * 2 : us;
		}
	}
	snapshot_reader_down();
}

void worker_set_capture(struct worker *w, struct capture *c)
{
	__atomic_store_n(&w->capture_next, c, __ATOMIC_RELEASE); /* pairs(capture-next) */
}

int worker_job_post(struct worker *w, struct worker_job *job)
{
	if (!worker_job_done(w))
		return -EBUSY;
	__atomic_store_n(&w->job, job, __ATOMIC_RELEASE); /* pairs(worker-job) */
	return 0;
}

bool worker_job_done(const struct worker *w)
{
	return __atomic_load_n(&w->job, __ATOMIC_ACQUIRE) == NULL; /* pairs(worker-job) */
}
