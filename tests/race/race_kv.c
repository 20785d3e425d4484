/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small cache with few keys, written and read by several threads, so that items are replaced, given up, copied on and expire
 * under the readers' eyes. A value says which key it is of, and fills its length with one byte: a reader that sees another one
 * has found memory that was used again too early. Counters that all threads increment, by incr and by cas, must end at
 * the sum, and what one thread alone writes must read as written: no update is lost, no value comes back.
 */
#include "base/keyhash.h"
#include "base/tsan.h"
#include "eal.h"
#include "kv/kv.h"
#include "race.h"

#include <rte_malloc.h>

#include <string.h>

#define THREADS 3u
#define TURNS 8000u
#define KEYS 6000u
#define BRIEF_KEYS 24000u
#define COUNTS 300u /* of each thread, to each of the two counters */
#define VALUE_MAX 3000u

#ifdef TSAN_BUILD
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#endif

static struct rte_rcu_qsbr *readers;
static pthread_barrier_t end;
static struct kv *kv;

static struct kv_key make_key(char key[32], const char *kind, uint32_t i)
{
	return kv_key_of(key, (uint32_t)snprintf(key, 32, "%s:%u", kind, i));
}

static uint32_t fill(uint8_t *value, uint32_t i, uint64_t *rnd)
{
	const uint32_t len = 8 + race_random(rnd) % (race_random(rnd) % 16 ? 100 : VALUE_MAX - 8);
	const uint8_t byte = (uint8_t)race_random(rnd);

	memset(value, byte, len);
	memcpy(value, &i, sizeof(i));
	return len;
}

static void look(const struct item *it, uint32_t i)
{
	const uint8_t *v = item_value(it);
	const uint32_t len = item_value_len(it);
	uint32_t of;

	memcpy(&of, v, sizeof(of));
	RACE_CHECK(len >= 8 && len <= VALUE_MAX && of == i, "key %u: value of %u, %u bytes", i, of,
		len);
	for (uint32_t n = 4; n < len; n++)
		RACE_CHECK(v[n] == v[4], "key %u: byte %u of %u is another one's", i, n, len);
}

static void get(struct kv_writer *w, uint64_t *rnd, uint32_t n_keys)
{
	char keys[8][32];
	uint32_t which[8];
	struct assoc_probe probes[8];

	for (unsigned n = 0; n < 8; n++) {
		which[n] = race_random(rnd) % n_keys;
		const struct kv_key k = make_key(keys[n], "k", which[n]);
		probes[n] = (struct assoc_probe){.key = k.data, .key_len = k.len, .hash = k.hash};
	}
	kv_get_bulk(w, probes, 8);
	for (unsigned n = 0; n < 8; n++)
		if (probes[n].item != NULL)
			look(probes[n].item, which[n]);
}

#define TIMES 14u

static void change(struct kv_writer *w, uint64_t *rnd, uint32_t n_keys, const int64_t times[TIMES])
{
	uint8_t value[VALUE_MAX];
	char key[32];
	const uint32_t i = race_random(rnd) % n_keys;
	const struct kv_key k = make_key(key, "k", i);
	struct kv_store s = {.value = value, .exptime = times[race_random(rnd) % TIMES]};
	const struct item *it;

	switch (race_random(rnd) % 16) {
	case 0:
		kv_delete(w, &k, 0);
		break;
	case 1:
		it = kv_touch(w, &k, times[race_random(rnd) % TIMES]);
		if (it != NULL)
			look(it, i);
		break;
	case 2:
		if (race_random(rnd) % 64 == 0)
			kv_purge(w, "k:3", 3);
		break;
	default:
		s.value_len = fill(value, i, rnd);
		s.mode = race_random(rnd) % 4 ? KV_SET : KV_ADD;
		kv_store(w, &k, &s, NULL);
	}
}

/* Two counters in a cache of their own, with room: one by incr, one by gets and cas. */
static void count(struct kv_writer *w)
{
	char key[32];
	const struct kv_key by_incr = kv_key_of("incr", 4), by_cas = kv_key_of("cas", 3);
	struct assoc_probe probe = {.key = "cas", .key_len = 3, .hash = by_cas.hash};
	const struct kv_count one = {.delta = 1};
	struct kv_counted counted;
	struct kv_store s = {.value = key, .mode = KV_CAS};
	enum kv_result rc;

	RACE_CHECK(kv_count(w, &by_incr, &one, &counted) == KV_OK, "incr");
	do {
		kv_get_bulk(w, &probe, 1);
		RACE_CHECK(probe.item != NULL, "the counter is gone");
		memcpy(key, item_value(probe.item), item_value_len(probe.item));
		key[item_value_len(probe.item)] = '\0';
		s.value_len =
			(uint32_t)snprintf(key, sizeof(key), "%lu", strtoul(key, NULL, 10) + 1);
		s.cas = item_cas(probe.item);
		rc = kv_store(w, &by_cas, &s, NULL);
		RACE_CHECK(rc == KV_OK || rc == KV_EXISTS, "cas: %d", rc);
	} while (rc != KV_OK);
}

static struct kv *counters;
static struct kv *brief; /* with room, an index that is small for it, and nothing that lives long */

static void *body(void *arg)
{
	static const int64_t some[TIMES] = {[10] = 1, 2, 3, -1};
	static const int64_t soon[TIMES] = {1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3};
	const unsigned id = (unsigned)(uintptr_t)arg;
	struct kv_writer *w = kv_writer_of(kv, id), *c = kv_writer_of(counters, id);
	struct kv_writer *b = kv_writer_of(brief, id);
	uint64_t rnd = id + 77;
	uint64_t mine = 0;
	char key[32];
	const struct kv_key own = make_key(key, "own", id);

	timer_t timer;

	rte_rcu_qsbr_thread_register(readers, id);
	rte_rcu_qsbr_thread_online(readers, id);
	timer = race_make_timer();
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		struct assoc_probe probe = {.key = own.data, .key_len = own.len, .hash = own.hash};
		struct kv_store s = {.value = &mine, .value_len = sizeof(mine)};

		rte_rcu_qsbr_quiescent(readers, id);
		if (turn % 16 == 0)
			sched_yield(); /* fewer cores than threads: one that waits keeps all memory from being used again */
		kv_writer_begin(w, 1 + turn / 500, 0, 1000 + turn * 2);
		kv_writer_begin(c, 1, 0, 1);
		kv_writer_begin(b, 1 + turn / 2000, 0, 1000 + turn / 2);
		kv_sweep(w);
		kv_sweep(c);
		kv_sweep(b);
		get(w, &rnd, KEYS);
		change(w, &rnd, KEYS, some);
		get(b, &rnd, BRIEF_KEYS);
		for (unsigned n = 0; n < 4; n++)
			change(b, &rnd, BRIEF_KEYS, soon);
		if (turn % (TURNS / COUNTS) == 0) {
			race_interrupt(timer, race_random(&rnd));
			count(c);
		}
		/* nobody else writes this key, and there is room for it: it reads as it was written */
		kv_get_bulk(c, &probe, 1);
		RACE_CHECK((probe.item != NULL) == (mine != 0), "turn %u: own key", turn);
		if (probe.item != NULL)
			RACE_CHECK(memcmp(item_value(probe.item), &mine, sizeof(mine)) == 0,
				"turn %u", turn);
		mine++;
		RACE_CHECK(kv_store(c, &own, &s, NULL) == KV_OK, "turn %u", turn);
	}
	timer_delete(timer);
	rte_rcu_qsbr_thread_offline(readers, id);
	/* TSan does not see what unregistering orders: not while others write */
	pthread_barrier_wait(&end);
	rte_rcu_qsbr_thread_unregister(readers, id);
	return NULL;
}

/* Looks for the largest items over and over, as the manager does, until all writers have ended. */
static bool is_over;

static void *watch(void *arg)
{
	static struct kv_big big[20];
	struct kv_biggest b = {.items = big, .n_max = 20};
	const unsigned id = THREADS;
	unsigned n_walks = 0;

	(void)arg;
	rte_rcu_qsbr_thread_register(readers, id);
	rte_rcu_qsbr_thread_online(readers, id);
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED) || n_walks == 0) {
		if (kv_find_biggest(kv, &b)) {
			for (uint32_t i = 0; i < b.n; i++)
				RACE_CHECK(big[i].value_len <= VALUE_MAX && big[i].key[1] == ':'
						&& (i == 0 || big[i].size <= big[i - 1].size),
					"walk %u: item %u of %u", n_walks, i, b.n);
			n_walks++;
			b = (struct kv_biggest){.items = big, .n_max = 20};
		}
		rte_rcu_qsbr_thread_offline(readers, id);
		usleep(2000);
		rte_rcu_qsbr_thread_online(readers, id);
	}
	rte_rcu_qsbr_thread_offline(readers, id);
	rte_rcu_qsbr_thread_unregister(readers, id);
	return NULL;
}

static void open_cache(
	struct kv **out, uint64_t bytes, uint32_t item_bytes, enum evict_policy policy)
{
	const struct kv_params params = {.memory_bytes = bytes,
		.item_bytes = item_bytes,
		.value_max = VALUE_MAX,
		.n_writers = THREADS,
		.policy = (uint8_t)policy};

	RACE_CHECK(kv_create(out, &params, readers) == 0, "no cache");
}

static void run(enum evict_policy policy)
{
	pthread_t threads[THREADS], watcher;
	const struct kv_key by_incr = kv_key_of("incr", 4), by_cas = kv_key_of("cas", 3);
	const struct kv_store zero = {.value = "0", .value_len = 1};
	struct assoc_probe probe = {.key = "cas", .key_len = 3, .hash = by_cas.hash};
	const struct kv_count none = {0};
	struct kv_counted counted;
	struct kv_stats stats;
	uint64_t sum;

	open_cache(&kv, 700u << 10, 0, policy);
	open_cache(&counters, 8u << 20, 0, policy);
	open_cache(&brief, 8u << 20, 2000, policy);
	kv_writer_begin(kv_writer_of(counters, 0), 1, 0, 1);
	RACE_CHECK(kv_store(kv_writer_of(counters, 0), &by_incr, &zero, NULL) == KV_OK, "set");
	RACE_CHECK(kv_store(kv_writer_of(counters, 0), &by_cas, &zero, NULL) == KV_OK, "set");
	for (unsigned i = 0; i < THREADS; i++)
		threads[i] = race_start(body, (void *)(uintptr_t)i);
	watcher = race_start(watch, NULL);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	pthread_join(watcher, NULL);
	is_over = false;
	RACE_CHECK(kv_count(kv_writer_of(counters, 0), &by_incr, &none, &counted) == KV_OK, "incr");
	sum = counted.value;
	kv_get_bulk(kv_writer_of(counters, 0), &probe, 1);
	RACE_CHECK(probe.item != NULL, "the counter is gone");
	RACE_CHECK(sum % THREADS == 0 && sum >= THREADS * COUNTS, "%lu increments",
		(unsigned long)sum);
	{
		char text[32] = {0};

		memcpy(text, item_value(probe.item), RTE_MIN(item_value_len(probe.item), 31u));
		RACE_CHECK(strtoul(text, NULL, 10) == sum, "by cas %s, by incr %lu", text,
			(unsigned long)sum);
	}
	kv_check(kv);
	kv_check(counters);
	kv_check(brief);
	kv_stats_sum(kv, &stats);
	RACE_CHECK(
		stats.evicted > 0 && stats.expired > 0 && stats.kept > 0, "nothing was given up");
	printf("%-7s %lu hits of %lu, %lu evicted, %lu expired, %lu kept, %lu purged, %lu without memory\n",
		evict_policies[policy]->name, (unsigned long)stats.hits, (unsigned long)stats.gets,
		(unsigned long)stats.evicted, (unsigned long)stats.expired,
		(unsigned long)stats.kept, (unsigned long)stats.purged,
		(unsigned long)stats.no_memory);
	kv_destroy(&kv);
	kv_destroy(&counters);
	kv_destroy(&brief);
}

int main(void)
{
	RACE_CHECK(eal_start("race_kv", 256) == 0, "EAL did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(THREADS + 1), RTE_CACHE_LINE_SIZE);
	RACE_CHECK(readers != NULL && rte_rcu_qsbr_init(readers, THREADS + 1) == 0, "no memory");
	pthread_barrier_init(&end, NULL, THREADS);
	for (unsigned p = 0; p < EVICT_N; p++)
		run((enum evict_policy)p);
	return 0;
}
