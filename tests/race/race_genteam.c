/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Threads of a generator (perf/gen/genteam.h) through trials in a row: each begins at the same moment, hands frames to the others while it takes
 * what it is handed, and leaves when all have done their part. Every frame arrives once, in order from each sender, with the note and the
 * bytes that were written before it went, and none is left when the last one has left. What a full ring refuses stays with its sender.
 */
#include "genrun.h"
#include "race.h"

#define THREADS 4u
#define ROOM 48u /* of a team's n_ring: a ring of 16 from each to each */
#define TRIALS 40u
#define EACH 500u /* frames of a thread in a trial, to each other one */
#define BATCH 24u

struct parcel {
	struct rte_mbuf m;
	struct genteam_note note;
	uint32_t from, number, n_read;
};

static struct genteam team;
static struct genrun runs[THREADS];
static struct parcel *parcels[THREADS]; /* by sender: THREADS × EACH */
static uint64_t began[THREADS];         /* by thread */
static struct {
	uint32_t handed, refused, taken;
} counts[THREADS] __rte_cache_aligned;
static pthread_barrier_t between; /* with the main thread, as launching is */

static void take(unsigned me, uint32_t *expected)
{
	struct rte_mbuf *m[BATCH];
	const unsigned n = genteam_take(&team, me, m, BATCH);

	for (unsigned i = 0; i < n; i++) {
		struct parcel *p = (struct parcel *)(void *)m[i];

		RACE_CHECK(p->from < THREADS && p->from != me, "from %u, at %u", p->from, me);
		RACE_CHECK(p->number == expected[p->from], "%u→%u: %u instead of %u", p->from, me,
			p->number, expected[p->from]);
		RACE_CHECK(genteam_note(m[i])->rx_cyc == began[me] + p->number, "another's note");
		expected[p->from]++;
		p->n_read++;
	}
	counts[me].taken += n;
}

static void trial(unsigned me, uint64_t *rnd)
{
	uint32_t expected[THREADS] = {0}, sent[THREADS] = {0}, n_left = EACH * (THREADS - 1);

	began[me] = genteam_start(&team);
	while (n_left > 0) {
		const unsigned to = race_random(rnd) % THREADS;
		struct parcel *p = &parcels[me][to * EACH + sent[to] % EACH];

		if (to != me && sent[to] < EACH) {
			p->from = me;
			p->number = sent[to];
			*genteam_note(&p->m) =
				(struct genteam_note){.rx_cyc = began[me] + p->number};
			if (genteam_give(&team, me, to, &p->m)) {
				sent[to]++;
				n_left--;
				counts[me].handed++;
			} else {
				counts[me].refused++;
				sched_yield(); /* fewer cores than threads */
			}
		}
		if (race_random(rnd) % 4)
			take(me, expected);
	}
	genteam_arrive(&team, &team.n_answered);
	while (!genteam_has_all(&team, &team.n_answered))
		take(me, expected);
	for (unsigned i = 0; i < 1 + EACH * THREADS / BATCH;
		i++) /* what was given before the last one came */
		take(me, expected);
	for (unsigned from = 0; from < THREADS; from++)
		RACE_CHECK(from == me || expected[from] == EACH, "%u of %u from %u at %u",
			expected[from], EACH, from, me);
	genteam_arrive(&team, &team.n_done);
}

static void *thread(void *arg)
{
	const unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t rnd = me + 1;

	for (unsigned i = 0; i < TRIALS; i++) {
		pthread_barrier_wait(&between);
		trial(me, &rnd);
		pthread_barrier_wait(&between);
	}
	return NULL;
}

static void check_trial(unsigned n_trials)
{
	uint32_t handed = 0, taken = 0;

	RACE_CHECK(genteam_has_all(&team, &team.n_done), "not all have left");
	for (unsigned i = 0; i < THREADS; i++) {
		RACE_CHECK(began[i] == began[0], "%u began at another moment", i);
		handed += counts[i].handed;
		taken += counts[i].taken;
		for (unsigned k = 0; k < THREADS * EACH; k++)
			RACE_CHECK(parcels[i][k].n_read == (k / EACH == i ? 0 : n_trials),
				"read %u times", parcels[i][k].n_read);
	}
	RACE_CHECK(handed == taken && taken == n_trials * THREADS * (THREADS - 1) * EACH,
		"%u handed, %u taken", handed, taken);
}

int main(void)
{
	struct genrun *of[THREADS];
	pthread_t threads[THREADS];
	uint32_t n_refused = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		const size_t bytes = sizeof(struct parcel) * THREADS * EACH;

		of[i] = &runs[i];
		parcels[i] =
			aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN(bytes, RTE_CACHE_LINE_SIZE));
		RACE_CHECK(parcels[i] != NULL, "no memory");
		memset(parcels[i], 0, bytes);
	}
	RACE_CHECK(genteam_init(&team, of, THREADS, ROOM) == 0, "no memory");
	RACE_CHECK(genteam_buffers(THREADS, ROOM) == THREADS * (THREADS - 1) * team.n_ring,
		"other buffers");
	pthread_barrier_init(&between, NULL, THREADS + 1);
	for (unsigned i = 0; i < THREADS; i++) {
		RACE_CHECK(runs[i].team == &team && runs[i].member == i, "no member");
		threads[i] = race_start(thread, (void *)(uintptr_t)i);
	}
	for (unsigned i = 0; i < TRIALS; i++) {
		genteam_begin(&team);
		pthread_barrier_wait(&between);
		pthread_barrier_wait(&between);
		check_trial(i + 1);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		n_refused += counts[i].refused;
		free(parcels[i]);
	}
	RACE_CHECK(n_refused > 0, "no ring was ever full");
	genteam_fini(&team);
	return 0;
}
