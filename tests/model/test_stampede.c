/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thousand clients and one hot key that expires: how many fetch it anew, and how many find nothing meanwhile, in each mode of
 * stampede control. Clients ask in turn of simulated time, each through one of several writers whose clocks are not quite the
 * same; who is not told that another one is about it fetches, which takes a while, and stores. The figures are printed.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>

#define N_CLIENTS 1000u
#define N_WRITERS 3u
#define EPOCH 1700000000ll
#define START_MS 5000u
#define TTL_S 5u
#define TTLS 6u /* so many times it expires, if nobody is early */
#define FETCH_MS 200u
#define LEASE_MS_OF_TEST 1000u

struct client {
	uint64_t next_ms;
	bool is_fetching;
	bool is_dead; /* its fetch never ends */
};

struct outcome {
	unsigned n_fetches, n_at_once,
		n_dead; /* fetches begun after the first value was there, at the same time at most */
	unsigned n_nothing; /* answers without a value to clients that do not fetch */
	unsigned n_stale, n_hits;
};

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static struct client clients[N_CLIENTS];
static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % below);
}

static void store(struct kv_writer *w, const struct kv_key *key)
{
	const struct kv_store s = {.value = "value", .value_len = 5, .exptime = TTL_S};

	assert_int_equal(KV_OK, kv_store(w, key, &s, NULL));
}

/* Asks, or ends its fetch. die_pct: of those that begin to fetch. */
static void act(
	struct client *c, struct kv_writer *w, uint64_t ms, unsigned die_pct, struct outcome *o)
{
	const struct kv_key key = kv_key_of("hot", 3);
	struct assoc_probe p = {.key = key.data, .key_len = key.len, .hash = key.hash};

	c->next_ms = ms + 10 + rnd(20);
	if (c->is_fetching && !c->is_dead)
		store(w, &key);
	c->is_fetching = c->is_dead = false;
	kv_get_bulk(w, &p, 1);
	if (p.item != NULL) {
		o->n_hits++;
		o->n_stale += (p.marks & KV_STALE) != 0;
		assert_int_equal(0, p.marks & KV_WON);
	} else if (p.marks & KV_TAKEN) {
		o->n_nothing++;
	} else {
		o->n_fetches++;
		c->is_fetching = true;
		c->is_dead = rnd(100) < die_pct;
		o->n_dead += c->is_dead;
		c->next_ms = c->is_dead ? UINT64_MAX : ms + FETCH_MS - 50 + rnd(100);
	}
}

static struct outcome play(const char *name, const struct kv_stampede *s, unsigned die_pct)
{
	const struct kv_params params = {
		.memory_bytes = 4u << 20, .value_max = 2000, .n_writers = N_WRITERS};
	const struct kv_key key = kv_key_of("hot", 3);
	struct outcome o = {0};
	struct kv_stats stats;

	seed = 88172645463325252ull;
	assert_int_equal(0, kv_create(&kv, &params, readers));
	kv_set_stampede(kv, s);
	memset(clients, 0, sizeof(clients));
	for (unsigned i = 0; i < N_CLIENTS; i++)
		clients[i].next_ms = START_MS + 250 + rnd(30);
	for (uint64_t ms = START_MS; ms < START_MS + TTLS * (TTL_S * 1000 + 1000); ms++) {
		unsigned n_at_once = 0;

		rte_rcu_qsbr_quiescent(readers, 0);
		for (unsigned i = 0; i < N_WRITERS; i++) {
			const uint64_t mine = ms - i; /* behind the others */

			kv_writer_begin(kv_writer_of(kv, i), (uint32_t)(mine / 1000),
				EPOCH + (int64_t)mine / 1000, mine);
			kv_sweep(kv_writer_of(kv, i));
		}
		if (ms == START_MS || ms == START_MS + FETCH_MS) {
			/* the first one, alone: the time that it takes is known from then on */
			struct assoc_probe p = {
				.key = key.data, .key_len = key.len, .hash = key.hash};

			kv_get_bulk(kv_writer_of(kv, 0), &p, 1);
			if (ms != START_MS)
				store(kv_writer_of(kv, 0), &key);
		}
		for (unsigned i = 0; i < N_CLIENTS; i++) {
			if (clients[i].next_ms <= ms)
				act(&clients[i], kv_writer_of(kv, i % N_WRITERS), ms, die_pct, &o);
			n_at_once += clients[i].is_fetching && !clients[i].is_dead;
		}
		o.n_at_once = RTE_MAX(o.n_at_once, n_at_once);
	}
	kv_stats_sum(kv, &stats);
	printf("%-28s %5u fetches (%u never ended), %4u at once; %7u hits, %6u of them stale; %6u times nothing; "
	       "%lu leases, %lu early\n",
		name, o.n_fetches, o.n_dead, o.n_at_once, o.n_hits, o.n_stale, o.n_nothing,
		(unsigned long)stats.leases, (unsigned long)stats.early);
	kv_check(kv);
	kv_destroy(&kv);
	return o;
}

static void nothing_is_done(void **state)
{
	const struct kv_stampede s = {0};
	const struct outcome o = play("none", &s, 0);

	(void)state;
	assert_in_range(o.n_at_once, N_CLIENTS / 2, N_CLIENTS); /* this is what it is about */
	assert_int_equal(0, o.n_stale + o.n_nothing);
}

static void leases(void **state)
{
	const struct kv_stampede s = {.lease_ms = LEASE_MS_OF_TEST};
	const struct outcome o = play("lease", &s, 0);

	(void)state;
	assert_in_range(o.n_fetches, TTLS - 1, TTLS + 1);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_stale);
	assert_true(o.n_nothing > 0);
}

static void leases_and_stale(void **state)
{
	const struct kv_stampede s = {.lease_ms = LEASE_MS_OF_TEST, .stale_s = 10};
	const struct outcome o = play("lease, stale", &s, 0);

	(void)state;
	assert_in_range(o.n_fetches, TTLS - 1, TTLS + 1);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_nothing);
	assert_true(o.n_stale > 0);
}

static void stale_alone(void **state)
{
	const struct kv_stampede s = {.stale_s = 10};
	const struct outcome o = play("stale", &s, 0);

	(void)state;
	assert_in_range(o.n_fetches, TTLS - 1, TTLS + 1);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_nothing);
}

/* Nobody ever finds nothing, or something old, and one fetches at a time. */
static void early(void **state)
{
	const struct kv_stampede alone = {.early_pct = 100},
				 all = {.lease_ms = LEASE_MS_OF_TEST,
					 .early_pct = 100,
					 .stale_s = 10};
	struct outcome o;

	(void)state;
	o = play("early", &alone, 0);
	assert_in_range(o.n_fetches, TTLS - 1, 2 * TTLS);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_stale + o.n_nothing);
	o = play("lease, early, stale", &all, 0);
	assert_in_range(o.n_fetches, TTLS - 1, 2 * TTLS);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_stale + o.n_nothing);
}

/* Of those who are to fetch half never do: the next one is told after the lease. */
static void some_die(void **state)
{
	const struct kv_stampede lease = {.lease_ms = LEASE_MS_OF_TEST},
				 stale = {.lease_ms = LEASE_MS_OF_TEST, .stale_s = 10},
				 all = {.lease_ms = LEASE_MS_OF_TEST,
					 .early_pct = 100,
					 .stale_s = 10};
	struct outcome o;

	(void)state;
	o = play("lease, half die", &lease, 50);
	assert_int_equal(1, o.n_at_once);
	assert_in_range(o.n_fetches - o.n_dead, 1, TTLS + 1);
	o = play("lease, stale, half die", &stale, 50);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_nothing);
	o = play("lease, early, stale, half die", &all, 50);
	assert_int_equal(1, o.n_at_once);
	assert_int_equal(0, o.n_nothing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_done),
		cmocka_unit_test(leases),
		cmocka_unit_test(leases_and_stale),
		cmocka_unit_test(stale_alone),
		cmocka_unit_test(early),
		cmocka_unit_test(some_die),
	};

	if (eal_start("test_stampede", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
