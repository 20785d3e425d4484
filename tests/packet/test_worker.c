/* SPDX-License-Identifier: BSD-3-Clause */
/* One turn of a worker: how much it takes of what the others hand to it, and what becomes of what a port does not take. */
#include "eal.h"
#include "harness.h"
#include "unit.h"

#define N_WORKERS 4u

static struct harness h;

static void put(unsigned from, unsigned n)
{
	const uint8_t frame[64] = {0};

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = harness_mbuf(&h, frame, sizeof(frame));

		pkt_note(m)->kind = NOTE_TX;
		pkt_note(m)->iface = 0;
		assert_int_equal(mailbox_send_bulk(h.mail, from, 0, &m, 1), 1);
	}
}

static unsigned n_sent(void)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = harness_sent(&h, 0)) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

/* A worker that sends for all gets a burst from each in every turn of theirs. Were it to take less, it would
 * go on receiving packets, and the ring would drop them after all the work is done. */
static void a_turn_takes_a_burst_from_every_worker(void **state)
{
	(void)state;
	for (unsigned from = 1; from < N_WORKERS; from++)
		put(from, BURST_MAX);
	assert_int_equal(
		worker_poll(h.workers[0], h.now_ms * 1000ull), (N_WORKERS - 1) * BURST_MAX);
	assert_int_equal(n_sent(), (N_WORKERS - 1) * BURST_MAX);
	assert_int_equal(worker_poll(h.workers[0], h.now_ms * 1000ull), 0);
}

/* Or it would not come to its ports and timers. */
static void a_turn_ends_however_much_there_is(void **state)
{
	(void)state;
	put(1, 1000);
	assert_int_equal(worker_poll(h.workers[0], h.now_ms * 1000ull), N_WORKERS * BURST_MAX);
	harness_settle(&h);
	assert_int_equal(n_sent(), 1000);
}

/* Empty loops are not, however many there are; nor is one in which this thread lost its CPU: then it is one of the next. */
static void one_loop_of_many_is_timed(void **state)
{
	struct worker *w = h.workers[0];
	const struct stage_times before = w->tally->stages;
	uint64_t n_timed, sum = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * STAGE_SAMPLE; i++)
		worker_poll(w, h.now_ms * 1000ull);
	assert_int_equal(w->tally->stages.packets, before.packets);
	for (unsigned i = 0; i < 3 * STAGE_SAMPLE; i++) {
		put(1, 4);
		assert_int_equal(worker_poll(w, h.now_ms * 1000ull), 4);
		assert_int_equal(n_sent(), 4);
	}
	n_timed = w->tally->stages.packets - before.packets;
	assert_int_equal(n_timed % 4, 0);
	assert_in_range(n_timed / 4, 2, 3);
	for (unsigned i = 0; i < STAGE_N; i++)
		sum += w->tally->stages.cycles[i] - before.cycles[i];
	assert_true(w->tally->stages.cycles[STAGE_timers] > before.cycles[STAGE_timers]);
	assert_true(sum <= 3ull * STAGE_LOOP_MAX_CYC);
}

/* A connection had its share in the last loop, and in this one there is no cache any more. */
static void what_is_unfinished_may_have_no_cache_left(void **state)
{
	struct worker *w = h.workers[0];
	struct mr_error err;

	(void)state;
	assert_int_equal(harness_apply(&h, &err), 0);
	w->is_unfinished = true;
	assert_int_equal(worker_poll(w, h.now_ms * 1000ull), 0);
	assert_false(w->is_unfinished);
}

static void send_numbered(struct worker *w, uint32_t first, unsigned n)
{
	for (uint32_t i = first; i < first + n; i++) {
		uint8_t frame[64] = {0};

		memcpy(frame, &i, sizeof(i));
		worker_tx(w, 0, harness_mbuf(&h, frame, sizeof(frame)));
	}
}

/* The next n that were sent have these numbers. */
static void expect_sent(uint32_t first, unsigned n)
{
	for (uint32_t i = first; i < first + n; i++) {
		struct rte_mbuf *m = harness_sent(&h, 0);
		uint32_t is;

		assert_non_null(m);
		memcpy(&is, rte_pktmbuf_mtod(m, const void *), sizeof(is));
		assert_int_equal(is, i);
		rte_pktmbuf_free(m);
	}
}

/* Some, in order, and another port goes on; beyond that the last are dropped. */
static void what_a_full_port_has_no_room_for_waits(void **state)
{
	struct worker *w = h.workers[0];
	const unsigned n_ring = rte_ring_get_capacity(h.tx[0][0]);
	const uint64_t tx = w->tally->tx, bytes = w->tally->tx_bytes;
	const uint64_t *n_full = &w->tally->drops[PKT_DROP_tx_full];
	const uint8_t frame[64] = {0};

	(void)state;
	assert_int_equal(*n_full, 0);
	send_numbered(w, 0, n_ring + WORKER_TX_WAITING_MAX);
	worker_poll(w, h.now_ms * 1000ull);
	assert_int_equal(w->tally->tx - tx, n_ring);
	assert_int_equal(w->tally->tx_bytes - bytes, n_ring * 64u);
	assert_int_equal(w->tx_blocked, 1);
	assert_int_equal(*n_full, 0);
	send_numbered(w, 1000000, 300);
	worker_tx(w, 1, harness_mbuf(&h, frame, sizeof(frame)));
	worker_poll(w, h.now_ms * 1000ull);
	assert_int_equal(*n_full, 300);
	assert_int_equal(rte_ring_count(h.tx[1][0]), 1);
	rte_pktmbuf_free(harness_sent(&h, 1));
	/* a part of them */
	expect_sent(0, 100);
	worker_poll(w, h.now_ms * 1000ull);
	assert_int_equal(w->tally->tx - tx, n_ring + 101);
	assert_int_equal(w->tx_blocked, 1);
	assert_false(w->is_unfinished);
	/* the rest, and one that is new */
	expect_sent(100, n_ring);
	send_numbered(w, n_ring + WORKER_TX_WAITING_MAX, 1);
	worker_poll(w, h.now_ms * 1000ull);
	assert_int_equal(w->tx_blocked, 0);
	assert_true(w->is_unfinished);
	assert_int_equal(w->n_tx_pending, 0);
	expect_sent(n_ring + 100, WORKER_TX_WAITING_MAX - 100 + 1);
	assert_int_equal(n_sent(), 0);
	assert_int_equal(w->tally->tx_bytes - bytes, (n_ring + WORKER_TX_WAITING_MAX + 2) * 64u);
	assert_int_equal(*n_full, 300);
	worker_poll(w, h.now_ms * 1000ull);
	assert_false(w->is_unfinished);
}

int main(int argc, char **argv)
{
	const struct harness_params p = {.n_workers = N_WORKERS,
		.n_queues = 1,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 8191,
		.cache_mb = 4};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_takes_a_burst_from_every_worker),
		cmocka_unit_test(a_turn_ends_however_much_there_is),
		cmocka_unit_test(one_loop_of_many_is_timed),
		cmocka_unit_test(what_a_full_port_has_no_room_for_waits),
		cmocka_unit_test(what_is_unfinished_may_have_no_cache_left),
	};
	int rc;

	(void)argc;
	if (eal_start(argv[0], 256) != 0)
		return 1;
	harness_init(&h, &p);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	harness_fini(&h);
	return rc;
}
