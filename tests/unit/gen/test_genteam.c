/* SPDX-License-Identifier: BSD-3-Clause */
/* Several threads as one generator, over ports of rings between which a target moves frames as devices and dataplanes do: by other queues, out of
 * order, twice, or not at all. What all of them counted is what the target did, to the frame. */
#include "genflood.h"
#include "unit.h"

#include <rte_cycles.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_ring.h>

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#define THREADS_MAX 3u
#define RING 8192u
#define HOLD 64u /* frames that the target mixes */
#define LATE_US 150000u

static struct rte_mempool *pool;
static struct rte_ring *there[THREADS_MAX], *back[THREADS_MAX];
static struct genport port;
static struct genteam team;
static struct genrun runs[THREADS_MAX];
static struct genflood floods[THREADS_MAX];
static struct gennet nets[THREADS_MAX];
static unsigned n_threads, n_rx;

/* What the target does, and has done. */
static struct target {
	enum { STRAIGHT, NEXT_QUEUE, MIXED } how;
	unsigned lose, twice; /* one frame of so many; 0: none */
	uint64_t random;
	struct rte_mbuf *held[HOLD];
	unsigned n_held;
	uint64_t n_seen, n_lost, n_twice;
	bool is_over;
} target;

/* --- the target --- */

static void put(struct rte_mbuf *m, unsigned queue)
{
	if (rte_ring_enqueue(back[queue], m) != 0)
		fail_msg("a ring is full");
}

static void send_on(struct rte_mbuf *m, unsigned from)
{
	const unsigned to = target.how == STRAIGHT ? from % n_rx
		: target.how == NEXT_QUEUE         ? (from + 1) % n_rx
					   : (unsigned)genzipf_random(&target.random) % n_rx;

	if (target.lose > 0 && genzipf_random(&target.random) % target.lose == 0) {
		target.n_lost++;
		rte_pktmbuf_free(m);
		return;
	}
	if (target.twice > 0 && genzipf_random(&target.random) % target.twice == 0) {
		struct rte_mbuf *copy = rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);

		assert_non_null(copy);
		put(copy, (unsigned)genzipf_random(&target.random) % n_rx);
		target.n_twice++;
	}
	put(m, to);
}

/* With MIXED one of those that are held goes, not the one that came. */
static void on_frame(struct rte_mbuf *m, unsigned from)
{
	unsigned i;

	target.n_seen++;
	if (target.how != MIXED) {
		send_on(m, from);
		return;
	}
	if (target.n_held < HOLD) {
		target.held[target.n_held++] = m;
		return;
	}
	i = (unsigned)genzipf_random(&target.random) % HOLD;
	send_on(target.held[i], from);
	target.held[i] = m;
}

static int be_target(void *arg)
{
	unsigned n_idle = 0;

	(void)arg;
	while (!__atomic_load_n(&target.is_over, __ATOMIC_RELAXED)) {
		bool is_idle = true;

		for (unsigned q = 0; q < n_threads; q++) {
			void *m;

			if (rte_ring_dequeue(there[q], &m) != 0)
				continue;
			on_frame(m, q);
			is_idle = false;
		}
		n_idle = is_idle ? n_idle + 1 : 0;
		if (n_idle > 20 && target.n_held > 0) {
			const unsigned i = --target.n_held;

			send_on(target.held[i], i % n_threads);
		}
		if (is_idle)
			sched_yield();
	}
	return 0;
}

/* --- the generator --- */

static void up(unsigned n, unsigned n_rx_queues)
{
	static unsigned n_ups;
	struct genrun *of[THREADS_MAX] = {NULL};
	struct rte_eth_conf conf = {0};
	char name[32];
	int id;

	n_threads = n;
	n_rx = n_rx_queues;
	memset(&target, 0, sizeof(target));
	target.random = 7;
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		snprintf(name, sizeof(name), "there%u-%u", n_ups, i);
		there[i] = rte_ring_create(name, RING, SOCKET_ID_ANY, 0);
		snprintf(name, sizeof(name), "back%u-%u", n_ups, i);
		back[i] = rte_ring_create(name, RING, SOCKET_ID_ANY, 0);
		assert_true(there[i] != NULL && back[i] != NULL);
	}
	snprintf(name, sizeof(name), "wire%u", n_ups++);
	id = rte_eth_from_rings(name, back, n_rx, there, n, 0);
	assert_true(id >= 0);
	assert_int_equal(
		rte_eth_dev_configure((uint16_t)id, (uint16_t)n_rx, (uint16_t)n, &conf), 0);
	for (uint16_t q = 0; q < n_rx; q++)
		assert_int_equal(rte_eth_rx_queue_setup((uint16_t)id, q, 512, 0, NULL, pool), 0);
	for (uint16_t q = 0; q < n; q++)
		assert_int_equal(rte_eth_tx_queue_setup((uint16_t)id, q, 512, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start((uint16_t)id), 0);
	port = (struct genport){
		.id = (uint16_t)id, .n_rx_queues = (uint16_t)n_rx, .n_tx_queues = (uint16_t)n};
	for (unsigned i = 0; i < n; i++) {
		struct genrun *r = &runs[i];

		*r = (struct genrun){.tx = &port,
			.rx = &port,
			.pool = pool,
			.net = &nets[i],
			.burst = 32,
			.late_us = LATE_US,
			.n_ring = RING,
			.rx_first = (uint16_t)(i * n_rx / n),
			.rx_end = (uint16_t)((i + 1) * n_rx / n),
			.tx_first = (uint16_t)i,
			.tx_end = (uint16_t)(i + 1),
			.lcore = i + 1};
		assert_int_equal(genrun_init(r), 0);
		of[i] = r;
	}
	if (n > 1)
		assert_int_equal(genteam_init(&team, of, n, RING), 0);
	rte_eal_remote_launch(be_target, NULL, THREADS_MAX + 1);
}

static void down(void)
{
	struct rte_mbuf *m;

	__atomic_store_n(&target.is_over, true, __ATOMIC_RELAXED);
	rte_eal_wait_lcore(THREADS_MAX + 1);
	for (unsigned i = 0; i < n_threads; i++)
		genrun_fini(&runs[i]);
	genteam_fini(&team);
	memset(&team, 0, sizeof(team));
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		while (rte_ring_dequeue(back[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
		rte_ring_free(there[i]);
		rte_ring_free(back[i]);
	}
	rte_pktmbuf_free_bulk(target.held, target.n_held);
	rte_eth_dev_stop(port.id);
	rte_eth_dev_close(port.id);
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
}

/* With one the loop waits two seconds for what is missing: the target may not have a CPU. */
static void patient(void *ctx, struct genrun *r)
{
	(void)ctx;
	(void)r;
}

static void use_floods(double new_pct)
{
	static const struct genopt_net client = {.family = 4, .len = 20, .ip = {10, 1, 128, 0}},
				       to = {.family = 4, .len = 32, .ip = {10, 1, 0, 80}};
	struct genopt o = {.n_flows = 100, .new_pct = new_pct, .seed = 3, .n_cpus = n_threads};

	assert_true(genpace_sizes_parse(&o.sizes, "64"));
	for (unsigned i = 0; i < n_threads; i++) {
		const struct genframe_params p = {.client = &client,
			.target = &to,
			.target_port = 80,
			.proto = IPPROTO_UDP,
			.thread = i};

		assert_int_equal(genflood_init(&floods[i], &o, &p, i > 0 ? &floods[0] : NULL), 0);
		floods[i].work.poll = patient;
		runs[i].work = &floods[i].work;
	}
}

static void drop_floods(void)
{
	for (unsigned i = n_threads; i-- > 0;)
		genflood_fini(&floods[i]);
}

static struct genrun_result run(uint64_t n_warm, uint64_t n_frames, double rate, bool is_loose)
{
	const struct genrun_trial t = {.rate = rate,
		.n_warm = n_warm,
		.n_frames = n_frames,
		.is_quiet = true,
		.is_loose = is_loose,
		.what = "test"};
	struct genrun_result r;

	for (unsigned i = 0; i < n_threads; i++)
		floods[i].n_arrived = 0;
	target.n_seen = target.n_lost = target.n_twice = 0;
	assert_int_equal(genrun_trial(&runs[0], &t, &r), 0);
	genrun_result_fini(&r);
	return r;
}

/* What holds of each trial's counts, whatever the target did. */
static void adds_up(const struct genrun_result *r, uint64_t n_frames)
{
	uint64_t received = 0, offered = 0, handed = 0;

	assert_int_equal(r->counts.offered, n_frames);
	assert_int_equal(r->counts.offered_bytes, 64 * n_frames);
	assert_int_equal(r->counts.received_bytes, 64 * r->counts.received);
	assert_int_equal(genhist_count(&r->latency_ns), r->counts.received);
	assert_int_equal(r->counts.hand_no_room + r->counts.no_room + r->counts.no_buffer, 0);
	assert_int_equal(r->counts.overdue + r->counts.others, 0);
	for (unsigned i = 0; i < n_threads; i++) {
		received += runs[i].counts.received;
		offered += runs[i].counts.offered;
		handed += runs[i].counts.handed;
		assert_true(runs[i].counts.gap_most_cyc <= r->counts.gap_most_cyc);
	}
	assert_int_equal(received, r->counts.received);
	assert_int_equal(offered, n_frames);
	assert_int_equal(handed, r->counts.handed);
}

/* Each queue's frames come back by the next one: all are handed over, and none with one thread. */
static void all_come_by_another_queue(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= THREADS_MAX; n++) {
		struct genrun_result r;
		uint64_t n_arrived = 0;

		up(n, n);
		target.how = NEXT_QUEUE;
		use_floods(10);
		for (unsigned pass = 0; pass < 3; pass++) {
			const uint64_t n_warm = 100 + pass, n_frames = 3001 + pass;

			r = run(n_warm, n_frames, 20000, true);
			adds_up(&r, n_frames);
			assert_int_equal(r.counts.received, n_frames);
			assert_int_equal(r.counts.duplicates, 0);
			assert_int_equal(r.counts.handed, n > 1 ? n_warm + n_frames : 0);
			n_arrived = 0;
			for (unsigned i = 0; i < n; i++)
				n_arrived += floods[i].n_arrived;
			assert_int_equal(n_arrived, n_frames);
		}
		drop_floods();
		down();
	}
}

/* By any queue, in any order, some twice and some not at all; also where one queue is there for all of them. */
static void what_the_target_did_is_counted(void **state)
{
	(void)state;
	for (unsigned n_rx_queues = 1; n_rx_queues <= THREADS_MAX; n_rx_queues += 2) {
		struct genrun_result r;

		up(THREADS_MAX, n_rx_queues);
		target.how = MIXED;
		target.lose = 20;
		target.twice = 10;
		use_floods(0);
		r = run(0, 6000, 20000, true);
		adds_up(&r, 6000);
		assert_int_equal(target.n_seen, 6000);
		assert_true(target.n_lost > 200 && target.n_twice > 400);
		assert_int_equal(r.counts.received, 6000 - target.n_lost);
		assert_int_equal(r.counts.duplicates, target.n_twice);
		/* two of three, but for chance */
		assert_true(r.counts.handed > 3000 && r.counts.handed < 5000);
		assert_true(r.counts.reordered > 1000);
		drop_floods();
		down();
	}
}

/* What one thread begins is no other's, what it lost is begun again, and all are begun in the end. */
static void flows_are_begun_by_shares(void **state)
{
	struct genflood *all[THREADS_MAX] = {NULL};

	(void)state;
	up(THREADS_MAX, THREADS_MAX);
	target.how = MIXED;
	target.lose = 5;
	use_floods(0);
	for (unsigned i = 0; i < n_threads; i++)
		all[i] = &floods[i];
	assert_int_equal(genflood_begin(all, &runs[0]), 0);
	for (unsigned i = 0; i < n_threads; i++)
		for (unsigned flow = 0; flow < 100; flow++)
			assert_int_equal(floods[i].begun.is_done[flow / 64] >> flow % 64 & 1,
				flow % n_threads == i);
	drop_floods();
	down();
}

/* Frames are shared out to the last one, in groups too, and what all of them together are due at is what one thread's would be. */
static void shares_are_even(void **state)
{
	static const uint64_t counts[] = {1, 4, 5, 11, 12, 13, 1000};

	(void)state;
	up(THREADS_MAX, THREADS_MAX);
	use_floods(0);
	for (unsigned group = 1; group <= 4; group += 3) {
		for (unsigned i = 0; i < n_threads; i++)
			floods[i].work.group = group;
		for (unsigned k = 0; k < RTE_DIM(counts); k++) {
			const uint64_t n = counts[k];
			const struct genrun_result r = run(n / 3, n, 10000, true);
			struct genpace one;

			adds_up(&r, n);
			assert_int_equal(r.counts.received, n);
			genpace_init(&one, runs[0].begin_cyc, runs[0].hz, 10000);
			one.group = group;
			for (uint64_t at = 0; at < n; at++) {
				const unsigned i = (unsigned)(at / group % n_threads);
				const uint64_t own = at / group / n_threads * group + at % group;
				const uint64_t want = genpace_due(&one, at);
				const uint64_t due = genpace_due(&runs[i].pace, own);

				assert_true(due + 2 >= want && due <= want + 2);
			}
		}
	}
	drop_floods();
	down();
}

/* --- when one of them is late --- */

/* A flood that sleeps once, before it builds a frame. */
static struct slow {
	struct genwork work;
	struct genflood *flood;
	unsigned sleep_us;
} slow;

static void slow_build(void *ctx, struct rte_mbuf *const *m, unsigned n, uint64_t first)
{
	struct slow *s = ctx;
	const unsigned us = s->sleep_us;

	s->sleep_us = 0;
	if (us > 0)
		usleep(us);
	s->flood->work.build(s->flood, m, n, first);
}

static void slow_input(void *ctx, struct genrun *r, struct rte_mbuf *const *m, unsigned n,
	struct genwork_seen *seen)
{
	struct slow *s = ctx;

	s->flood->work.input(s->flood, r, m, n, seen);
}

static int slow_owner(const void *ctx, const struct rte_mbuf *m)
{
	const struct slow *s = ctx;

	return s->flood->work.owner(s->flood, m);
}

static void make_slow(unsigned thread, unsigned sleep_us)
{
	slow = (struct slow){.work = {.build = slow_build,
				     .poll = patient,
				     .input = slow_input,
				     .owner = slow_owner,
				     .ctx = &slow},
		.flood = &floods[thread],
		.sleep_us = sleep_us};
	runs[thread].work = &slow.work;
}

/* Each of them: its lateness alone makes the trial void, and with none that is late the same trial counts. */
static void one_late_thread_voids(void **state)
{
	(void)state;
	up(THREADS_MAX, THREADS_MAX);
	target.how = MIXED;
	use_floods(0);
	for (unsigned i = 0; i < n_threads; i++) {
		struct genrun_result r;
		unsigned n_tries = 0;

		make_slow(i, 0);
		do /* the machine may be busy */
			r = run(0, 900, 3000, false);
		while (r.verdict != GENRUN_DONE && ++n_tries < 20);
		assert_int_equal(r.verdict, GENRUN_DONE);
		adds_up(&r, 900);
		n_tries = 0;
		do {
			make_slow(i, 2 * LATE_US);
			r = run(0, 900, 3000, false);
			assert_true(r.verdict == GENRUN_VOID || r.verdict == GENRUN_TOO_SLOW);
		} while (r.counts.late != runs[i].counts.late && ++n_tries < 20);
		assert_true(r.counts.late > 0 && r.counts.late == runs[i].counts.late);
		assert_int_equal(r.why, GENJUDGE_GENERATOR);
		assert_true(r.counts.gap_most_cyc >= 19ull * LATE_US / 10 * (runs[i].hz / 1000000));
		runs[i].work = &floods[i].work;
	}
	drop_floods();
	down();
}

/* One that has failed ends the trial of all of them, which does not go on for its twenty seconds. */
static void a_failed_thread_ends_the_trial(void **state)
{
	const uint64_t begin = rte_rdtsc();
	struct genrun_result r;

	(void)state;
	up(THREADS_MAX, THREADS_MAX);
	use_floods(0);
	make_slow(1, 12 * LATE_US);
	r = run(0, 20000, 1000, false);
	assert_true(r.verdict == GENRUN_VOID || r.verdict == GENRUN_TOO_SLOW);
	assert_true(rte_rdtsc() - begin < 12 * rte_get_tsc_hz());
	for (unsigned i = 0; i < n_threads; i++)
		assert_true(runs[i].next < runs[i].end);
	r = run(0, 100, 10000, true); /* and the next one is whole */
	adds_up(&r, 100);
	assert_int_equal(r.verdict, GENRUN_DONE);
	drop_floods();
	down();
}

static void on_alarm(int number)
{
	(void)number;
	genrun_stop(&runs[0]);
}

static void a_signal_stops_all(void **state)
{
	const uint64_t begin = rte_rdtsc();
	struct genrun_result r;

	(void)state;
	up(THREADS_MAX, THREADS_MAX);
	use_floods(0);
	signal(SIGALRM, on_alarm);
	alarm(1);
	r = run(0, 20000, 1000, true);
	assert_int_equal(r.verdict, GENRUN_STOPPED);
	assert_true(rte_rdtsc() - begin < 10 * rte_get_tsc_hz());
	r = run(0, 100, 10000, true);
	assert_int_equal(r.verdict, GENRUN_STOPPED);
	drop_floods();
	down();
}

/* Room for what waits is counted, and what finds none makes the trial one of a generator that is too slow. */
static void what_finds_no_room_is_told(void **state)
{
	struct genrun_result r;

	(void)state;
	up(2, 2);
	target.how = NEXT_QUEUE;
	use_floods(0);
	genteam_fini(&team);
	assert_int_equal(genteam_init(&team, (struct genrun *[]){&runs[0], &runs[1]}, 2, 16), 0);
	make_slow(1, LATE_US / 2); /* not late, but what is its own is handed to it meanwhile */
	r = run(0, 6000, 10000, false);
	assert_true(r.counts.hand_no_room > 100);
	assert_int_equal(r.counts.received + r.counts.hand_no_room, r.counts.offered);
	assert_true(r.verdict == GENRUN_TOO_SLOW || r.verdict == GENRUN_VOID);
	drop_floods();
	down();
}

static int start_eal(void)
{
	char all[1024] = "", lcores[1100];
	char *argv[] = {(char[]){"test"}, (char[]){"--no-huge"}, (char[]){"--no-pci"},
		(char[]){"--no-telemetry"}, (char[]){"--no-shconf"}, (char[]){"--log-level=4"},
		(char[]){"-m"}, (char[]){"160"}, (char[]){"--lcores"}, lcores, NULL};
	cpu_set_t cpus;
	size_t len = 0;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && len < sizeof(all) - 8; cpu++)
		if (CPU_ISSET(cpu, &cpus))
			len += (size_t)snprintf(
				all + len, sizeof(all) - len, "%s%u", len > 0 ? "," : "", cpu);
	/* the main thread, the generator's, the target */
	snprintf(lcores, sizeof(lcores), "(0-%u)@(%s)", THREADS_MAX + 1, all);
	if (rte_eal_init(RTE_DIM(argv) - 1, argv) < 0)
		return -1;
	pool = rte_pktmbuf_pool_create(
		"test", 40000, 256, 64, 256 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	return pool != NULL ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_come_by_another_queue),
		cmocka_unit_test(what_the_target_did_is_counted),
		cmocka_unit_test(flows_are_begun_by_shares),
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(one_late_thread_voids),
		cmocka_unit_test(a_failed_thread_ends_the_trial),
		cmocka_unit_test(a_signal_stops_all),
		cmocka_unit_test(what_finds_no_room_is_told),
	};

	if (start_eal() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
