/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Several threads ask for one key at the same moment, round after round: one of them is told to fetch it, whatever it is that
 * makes the key want fetching, and all others that one is. Meanwhile items around it are replaced, so that it is copied on, and
 * touched.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "race.h"

#include <rte_malloc.h>

#include <string.h>

#define THREADS 4u
#define ROUNDS 3000u
#define CHURN_KEYS 400u
#define VALUE_LEN 700u

#ifdef TSAN_BUILD
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

/* Why the key wants fetching, and how it is asked for. */
enum kind {
	MISSING,  /* guarded, get */
	EXPIRED,  /* guarded, get: an old value is kept */
	MARKED,   /* md I, mg */
	VIVIFIED, /* mg N */
	NEAR,     /* mg R */
	MIXED,    /* md I, guarded; some get, some mg */
	EARLY,    /* guarded, get: its time is near; by chance */
	FETCHED,  /* guarded, get: who has won stores at once, and no other one wins after that */
	KINDS
};

static struct rte_rcu_qsbr *readers;
static struct kv *guarded, *plain;
static pthread_barrier_t barrier;
static uint32_t n_arrived;
static uint32_t n_won, n_taken, n_hits; /* of the round; atomic */
static uint32_t n_of[KINDS], n_early;

static struct kv *cache_of(enum kind kind)
{
	return kind == MARKED || kind == VIVIFIED || kind == NEAR ? plain : guarded;
}

static struct kv_key key_of(char name[32], uint32_t round)
{
	return kv_key_of(name, (uint32_t)snprintf(name, 32, "hot:%u", round));
}

static void begin(uint32_t id, uint32_t now)
{
	rte_rcu_qsbr_quiescent(readers, id);
	kv_writer_begin(kv_writer_of(guarded, id), now, now, now * 1000 + 999);
	kv_writer_begin(kv_writer_of(plain, id), now, now, now * 1000 + 999);
	kv_sweep(kv_writer_of(guarded, id));
	kv_sweep(kv_writer_of(plain, id));
}

static void wait_for_all(uint32_t id)
{
	rte_rcu_qsbr_thread_offline(readers, id);
	pthread_barrier_wait(&barrier);
	rte_rcu_qsbr_thread_online(readers, id);
}

static void prepare(uint32_t id, enum kind kind, uint32_t round)
{
	struct kv_writer *w = kv_writer_of(cache_of(kind), id);
	char name[32];
	const struct kv_key k = key_of(name, round);
	const struct kv_mark stale = {.is_invalidating = true};
	/* EARLY: it has a second more, of which 1 ms is left when all ask */
	const struct kv_store s = {.value = "value",
		.value_len = 5,
		.exptime = kind == EXPIRED ? 1
			: kind == EARLY    ? 2
					   : 100};
	struct assoc_probe p = {.key = k.data, .key_len = k.len, .hash = k.hash};

	if (kind == MISSING || kind == VIVIFIED || kind == FETCHED)
		return;
	if (kind == EARLY)
		kv_get_bulk(w, &p, 1); /* a lease, so that the time it takes is known */
	RACE_CHECK(kv_store(w, &k, &s, NULL) == KV_OK, "round %u", round);
	if (kind == MARKED || kind == MIXED)
		RACE_CHECK(kv_mark(w, &k, &stale) == KV_OK, "round %u", round);
}

/* Others' keys: those in the same segments die, and what lives there is copied on. */
static void churn(struct kv_writer *w, uint64_t *rnd)
{
	static const uint8_t value[VALUE_LEN];
	const struct kv_store s = {.value = value, .value_len = VALUE_LEN, .exptime = 900};
	char name[32];

	for (unsigned i = race_random(rnd) % 20; i > 0; i--) {
		const struct kv_key k = kv_key_of(
			name, (uint32_t)snprintf(name, 32, "k:%u", race_random(rnd) % CHURN_KEYS));

		RACE_CHECK(kv_store(w, &k, &s, NULL) == KV_OK, "%s", name);
	}
}

static void ask(uint32_t id, enum kind kind, uint32_t round)
{
	struct kv_writer *w = kv_writer_of(cache_of(kind), id);
	char name[32];
	const struct kv_key k = key_of(name, round);
	struct assoc_probe p = {.key = k.data, .key_len = k.len, .hash = k.hash};
	const struct kv_get g = {.has_vivify = kind == VIVIFIED,
		.vivify = 100,
		.has_recache = kind == NEAR,
		.recache = 2000};
	const struct kv_store fetched = {.value = "value", .value_len = 5, .exptime = 1000};
	struct kv_found f = {0};
	uint8_t marks;

	if (kind == MARKED || kind == VIVIFIED || kind == NEAR || (kind == MIXED && id % 2)) {
		RACE_CHECK(kv_get_meta(w, &k, &g, &f) == KV_OK || kind == MIXED, "round %u", round);
		marks = f.marks;
	} else {
		kv_get_bulk(w, &p, 1);
		marks = p.marks;
		if (kind == FETCHED && (marks & KV_WON))
			RACE_CHECK(kv_store(w, &k, &fetched, NULL) == KV_OK, "round %u", round);
		__atomic_fetch_add(&n_hits, p.item != NULL, __ATOMIC_RELAXED);
	}
	if (kind != MISSING && kind != VIVIFIED && kind != EXPIRED && kind != FETCHED
		&& id == round % THREADS)
		kv_touch(w, &k, 1000);
	if (marks & KV_WON)
		__atomic_fetch_add(&n_won, 1, __ATOMIC_RELAXED);
	if (marks & KV_TAKEN)
		__atomic_fetch_add(&n_taken, 1, __ATOMIC_RELAXED);
	RACE_CHECK(!(marks & KV_WON) || !(marks & KV_TAKEN), "round %u: both", round);
}

static void check(enum kind kind, uint32_t round)
{
	if (kind == EARLY) {
		RACE_CHECK(n_won <= 1 && n_hits == THREADS - n_won && n_taken == 0,
			"round %u: %u refresh early, %u hits, %u wait", round, n_won, n_hits,
			n_taken);
		n_early += n_won;
	} else if (kind == FETCHED) {
		RACE_CHECK(n_won == 1 && n_hits + n_taken == THREADS - 1,
			"round %u: %u won, %u wait, %u hits", round, n_won, n_taken, n_hits);
	} else {
		RACE_CHECK(n_won == 1 && n_taken == THREADS - 1,
			"round %u, kind %d: %u won, %u wait", round, (int)kind, n_won, n_taken);
	}
	n_of[kind]++;
	n_won = n_taken = n_hits = 0;
}

static void *body(void *arg)
{
	const uint32_t id = (uint32_t)(uintptr_t)arg;
	uint64_t rnd = id + 77;

	timer_t timer;

	rte_rcu_qsbr_thread_register(readers, id);
	rte_rcu_qsbr_thread_online(readers, id);
	timer = race_make_timer();
	for (uint32_t round = 0; round < ROUNDS; round++) {
		const enum kind kind = (enum kind)(round % KINDS);

		begin(id, 10 + 3 * round);
		if (id == 0)
			prepare(id, kind, round);
		wait_for_all(id);
		begin(id, 10 + 3 * round + 1);
		churn(kv_writer_of(cache_of(kind), id), &rnd);
		rte_rcu_qsbr_quiescent(readers, id);
		race_start_line(&n_arrived, THREADS, round);
		if (race_random(&rnd) % 2)
			race_interrupt(timer, race_random(&rnd));
		ask(id, kind, round);
		churn(kv_writer_of(cache_of(kind), id), &rnd);
		wait_for_all(id);
		if (id == 0)
			check(kind, round);
	}
	timer_delete(timer);
	rte_rcu_qsbr_thread_offline(readers, id);
	rte_rcu_qsbr_thread_unregister(readers, id);
	return NULL;
}

static struct kv *open_cache(const struct kv_stampede *s)
{
	const struct kv_params params = {
		.memory_bytes = 1600u << 10, .value_max = 2000, .n_writers = THREADS};
	struct kv *kv;

	RACE_CHECK(kv_create(&kv, &params, readers) == 0, "no cache");
	kv_set_stampede(kv, s);
	return kv;
}

static void report(struct kv *kv, const char *name)
{
	struct kv_stats s;

	kv_check(kv);
	kv_stats_sum(kv, &s);
	/* what is given up is the oldest: not what this round is about */
	RACE_CHECK(s.kept > 0, "nothing was copied on");
	printf("%s: %lu leases, %lu waited, %lu stale, %lu early; %lu items copied on\n", name,
		(unsigned long)s.leases, (unsigned long)s.lease_waits,
		(unsigned long)s.stale_served, (unsigned long)s.early, (unsigned long)s.kept);
}

int main(void)
{
	const struct kv_stampede modes = {.lease_ms = 2500, .early_pct = 100, .stale_s = 2},
				 none = {0};
	pthread_t threads[THREADS];

	RACE_CHECK(eal_start("race_lease", 128) == 0, "EAL did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(THREADS), RTE_CACHE_LINE_SIZE);
	RACE_CHECK(readers != NULL && rte_rcu_qsbr_init(readers, THREADS) == 0, "no memory");
	guarded = open_cache(&modes);
	plain = open_cache(&none);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = race_start(body, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	report(guarded, "guarded");
	report(plain, "plain");
	RACE_CHECK(n_early > n_of[EARLY] / 2, "%u of %u refreshed early", n_early, n_of[EARLY]);
	kv_destroy(&guarded);
	kv_destroy(&plain);
	return 0;
}
