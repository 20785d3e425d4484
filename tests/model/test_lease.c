/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is to fetch anew: memcached's marks in the sequences that its documentation promises, the lease table against a naive one,
 * and what clients that say nothing are told in each mode, with a controlled clock. What the random refreshes come to is compared
 * with the formula.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "kv/lease.h"
#include "unit.h"

#include <rte_malloc.h>

#include <math.h>
#include <stdlib.h>

#define N_WRITERS 2u
#define EPOCH 1700000000ll
#define START_MS 10000u

static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static uint64_t now_ms;

static void begin_all(void)
{
	const uint32_t now = (uint32_t)(now_ms / 1000);

	rte_rcu_qsbr_quiescent(readers, 0);
	for (unsigned i = 0; i < N_WRITERS; i++) {
		kv_writer_begin(kv_writer_of(kv, i), now, EPOCH + now, now_ms);
		while (kv_sweep(kv_writer_of(kv, i)))
			;
	}
}

static void at(uint64_t ms)
{
	now_ms = START_MS + ms;
	begin_all();
}

static void open_cache(uint32_t lease_ms, uint16_t early_pct, uint32_t stale_s)
{
	const struct kv_params params = {
		.memory_bytes = 4u << 20, .value_max = 2000, .n_writers = N_WRITERS};
	const struct kv_stampede s = {
		.lease_ms = lease_ms, .early_pct = early_pct, .stale_s = stale_s};

	assert_int_equal(0, kv_create(&kv, &params, readers));
	kv_set_stampede(kv, &s);
	at(0);
}

static void close_cache(void)
{
	kv_check(kv);
	kv_destroy(&kv);
}

static struct kv_writer *writer(unsigned i)
{
	return kv_writer_of(kv, i % N_WRITERS);
}

static struct kv_key key(const char *name)
{
	return kv_key_of(name, (uint32_t)strlen(name));
}

static uint64_t set(const char *name, const char *value, int64_t exptime)
{
	const struct kv_key k = key(name);
	const struct kv_store s = {
		.value = value, .value_len = (uint32_t)strlen(value), .exptime = exptime};
	uint64_t cas;

	assert_int_equal(KV_OK, kv_store(writer(0), &k, &s, &cas));
	return cas;
}

static void invalidate(const char *name, int64_t exptime)
{
	const struct kv_key k = key(name);
	const struct kv_mark m = {
		.is_invalidating = true, .has_exptime = exptime != 0, .exptime = exptime};

	assert_int_equal(KV_OK, kv_mark(writer(0), &k, &m));
}

/* mg, by another writer each time. value NULL: a miss. */
static struct kv_found mg(const char *name, struct kv_get g, const char *value, uint8_t marks)
{
	static unsigned n;
	const struct kv_key k = key(name);
	struct kv_found f;

	assert_int_equal(
		value != NULL ? KV_OK : KV_NOT_FOUND, kv_get_meta(writer(n++), &k, &g, &f));
	assert_int_equal(marks, f.marks);
	assert_int_equal(value != NULL, f.item != NULL);
	if (value != NULL) {
		assert_int_equal(strlen(value), item_value_len(f.item));
		assert_memory_equal(value, item_value(f.item), strlen(value));
	}
	return f;
}

#define N(t) ((struct kv_get){.has_vivify = true, .vivify = (t)})
#define R(t) ((struct kv_get){.has_recache = true, .recache = (t)})
#define PLAIN ((struct kv_get){0})

/* get, likewise. */
static void get(const char *name, const char *value, uint8_t marks)
{
	static unsigned n;
	const struct kv_key k = key(name);
	struct assoc_probe p = {.key = k.data, .key_len = k.len, .hash = k.hash};

	kv_get_bulk(writer(n++), &p, 1);
	assert_int_equal(marks, p.marks);
	assert_int_equal(value != NULL, p.item != NULL);
	if (value != NULL) {
		assert_int_equal(strlen(value), item_value_len(p.item));
		assert_memory_equal(value, item_value(p.item), strlen(value));
	}
}

static struct kv_stats stats(void)
{
	struct kv_stats s;

	kv_stats_sum(kv, &s);
	return s;
}

/* mg k N30: W, then Z; a set clears it. */
static void vivified(void **state)
{
	(void)state;
	open_cache(0, 0, 0);
	assert_int_equal(30, mg("k", N(30), "", KV_WON).ttl);
	mg("k", N(30), "", KV_TAKEN);
	mg("k", PLAIN, "", KV_TAKEN);
	set("k", "new", 0);
	assert_int_equal(-1, mg("k", N(30), "new", 0).ttl);
	close_cache();
}

/* md k I T30: X W once, then Z X; a set clears it, a touch does not. */
static void invalidated(void **state)
{
	const struct kv_key k = key("k");
	struct kv_found f;
	uint64_t cas;

	(void)state;
	open_cache(0, 0, 0);
	cas = set("k", "old", 0);
	invalidate("k", 30);
	f = mg("k", PLAIN, "old", KV_STALE | KV_WON);
	assert_int_equal(30, f.ttl);
	assert_true(item_cas(f.item) > cas);
	mg("k", PLAIN, "old", KV_STALE | KV_TAKEN);
	assert_non_null(kv_touch(writer(0), &k, 90));
	assert_int_equal(90, mg("k", PLAIN, "old", KV_STALE | KV_TAKEN).ttl);
	invalidate("k", 0);
	assert_int_equal(90, mg("k", R(5), "old", KV_STALE | KV_WON).ttl);
	get("k", "old", 0); /* a get sees nothing of it */
	set("k", "new", 0);
	mg("k", PLAIN, "new", 0);
	close_cache();
}

/* ms k C I with a cas from before: stored, stale, with the time and the win of what was there. */
static void set_late(void **state)
{
	const struct kv_key k = key("k");
	struct kv_store s = {.value = "late",
		.value_len = 4,
		.mode = KV_CAS,
		.has_cas = true,
		.is_invalidating = true};
	struct kv_found f;
	uint64_t cas;

	(void)state;
	open_cache(0, 0, 0);
	s.cas = set("k", "old", 50);
	invalidate("k", 0);
	f = mg("k", PLAIN, "old", KV_STALE | KV_WON);
	assert_int_equal(KV_OK, kv_store(writer(0), &k, &s, &cas));
	assert_int_equal(50, mg("k", PLAIN, "late", KV_STALE | KV_TAKEN).ttl);
	s.cas = cas + 1000; /* of the future */
	assert_int_equal(KV_EXISTS, kv_store(writer(0), &k, &s, NULL));
	s.cas = 0;
	assert_int_equal(KV_EXISTS, kv_store(writer(0), &k, &s, NULL));
	s.cas = item_cas(f.item);
	s.is_invalidating = false;
	assert_int_equal(KV_EXISTS, kv_store(writer(0), &k, &s, NULL));
	s.cas = cas;
	assert_int_equal(KV_OK, kv_store(writer(0), &k, &s, NULL));
	assert_int_equal(-1, mg("k", PLAIN, "late", 0).ttl);
	close_cache();
}

/* mg k R30 with 10 seconds left: W once, then Z. */
static void recached(void **state)
{
	(void)state;
	open_cache(0, 0, 0);
	set("k", "value", 10);
	mg("k", R(10), "value", 0);
	mg("k", R(30), "value", KV_WON);
	mg("k", R(30), "value", KV_TAKEN);
	set("k", "value", 40);
	mg("k", R(30), "value", 0);
	at(15000);
	mg("k", R(30), "value", KV_WON);
	set("k", "value", 0);
	mg("k", R(1000000), "value", 0); /* never expires */
	close_cache();
}

static void gat(const char *name, int64_t exptime, const char *value)
{
	static unsigned n;
	const struct kv_key k = key(name);
	const struct item *it = kv_get_and_touch(writer(n++), &k, exptime);

	assert_int_equal(value != NULL, it != NULL);
	if (value != NULL)
		assert_memory_equal(value, item_value(it), strlen(value));
}

/* gat misses once and waits as get does; what it finds in time has the new time, an old value keeps its own. */
static void get_and_touch(void **state)
{
	(void)state;
	open_cache(5000, 0, 30);
	gat("k", 100, NULL);
	gat("k", 100, NULL);
	get("k", NULL, KV_TAKEN);
	assert_true(stats().leases == 1 && stats().lease_waits == 2);
	set("k", "value", 10);
	gat("k", 20, "value");
	assert_int_equal(20, mg("k", PLAIN, "value", 0).ttl);
	at(21000);
	gat("k", 100, NULL);
	gat("k", 100, "value");
	get("k", "value", KV_STALE | KV_TAKEN);
	assert_int_equal(2, stats().stale_served);
	assert_int_equal(0, mg("k", PLAIN, "value", KV_STALE | KV_TAKEN).ttl);
	assert_true(stats().touches == 2 && stats().touch_misses == 3);
	set("k", "new", 50);
	gat("k", 0, "new");
	assert_int_equal(-1, mg("k", PLAIN, "new", 0).ttl);
	/* what a client has marked stays as it is marked */
	invalidate("k", 0);
	gat("k", 60, "new");
	assert_int_equal(60, mg("k", PLAIN, "new", KV_STALE | KV_WON).ttl);
	close_cache();
	open_cache(0, 0, 0);
	gat("k", 100, NULL);
	set("k", "value", 10);
	gat("k", 20, "value");
	assert_int_equal(20, mg("k", PLAIN, "value", 0).ttl);
	assert_int_equal(0, stats().leases);
	close_cache();
}

/* Nobody is asked to fetch, and nothing is kept, where nothing is configured. */
static void no_mode(void **state)
{
	const struct kv_key k = key("k");
	struct assoc_probe p = {.key = k.data, .key_len = k.len, .hash = k.hash};

	(void)state;
	open_cache(0, 0, 0);
	get("k", NULL, 0);
	get("k", NULL, 0);
	mg("k", PLAIN, NULL, 0);
	set("k", "value", 2);
	get("k", "value", 0);
	/* writer 1 meets it before writer 0 has swept its own */
	kv_writer_begin(writer(1), (START_MS + 2000) / 1000, EPOCH, START_MS + 2000);
	kv_get_bulk(writer(1), &p, 1);
	assert_null(p.item);
	assert_int_equal(1, stats().get_expired);
	at(3000);
	get("k", NULL, 0);
	assert_int_equal(0, stats().leases + stats().lease_waits);
	assert_int_equal(0, stats().items);
	close_cache();
}

static void lease_mode(void **state)
{
	const struct kv_key k = key("k");

	(void)state;
	open_cache(3000, 0, 0);
	get("k", NULL, KV_WON);
	get("k", NULL, KV_TAKEN);
	mg("k", PLAIN, NULL, KV_TAKEN);
	at(2999);
	get("k", NULL, KV_TAKEN);
	at(3000);
	mg("k", PLAIN, NULL, KV_WON);
	get("k", NULL, KV_TAKEN);
	kv_delete(writer(0), &k, 0); /* what is being fetched may be what was deleted */
	get("k", NULL, KV_WON);
	set("k", "value", 1);
	get("k", "value", 0);
	at(4000);
	get("k", NULL, KV_WON);
	get("k", NULL, KV_TAKEN);
	assert_int_equal(4, stats().leases);
	assert_int_equal(5, stats().lease_waits);
	/* a client's own mark counts as old for those who say nothing, and the two kinds of winner know of each other */
	set("k", "value", 0);
	invalidate("k", 0);
	get("k", NULL, KV_WON);
	get("k", "value", KV_STALE | KV_TAKEN);
	mg("k", PLAIN, "value", KV_STALE | KV_TAKEN);
	invalidate("k", 0);
	mg("k", PLAIN, "value", KV_STALE | KV_WON);
	get("k", "value", KV_STALE | KV_TAKEN);
	set("k", "value", 0);
	get("k", "value", 0);
	close_cache();
}

static void stale_mode(void **state)
{
	const struct kv_key k = key("k");
	const struct kv_store add = {.value = "add", .value_len = 3, .mode = KV_ADD};
	struct kv_usage usage;

	(void)state;
	open_cache(0, 0, 60);
	get("k", NULL, 0); /* without a lease all who miss are on their own */
	get("k", NULL, 0);
	set("k", "value", 10);
	at(10000);
	get("k", NULL, KV_WON);
	get("k", "value", KV_STALE | KV_TAKEN);
	assert_int_equal(0, mg("k", PLAIN, "value", KV_STALE | KV_TAKEN).ttl);
	at(10000 + KV_LEASE_MS - 1);
	get("k", "value", KV_STALE | KV_TAKEN);
	at(10000 + KV_LEASE_MS);
	mg("k", PLAIN, NULL, KV_WON);
	/* for all that write it is not there */
	assert_null(kv_touch(writer(0), &k, 100));
	assert_int_equal(KV_OK, kv_store(writer(0), &k, &add, NULL));
	get("k", "add", 0);
	assert_int_equal(KV_OK, kv_delete(writer(0), &k, 0));
	get("k", NULL, 0);
	/* to the last second, and not longer */
	set("k", "value", 10);
	at(84000);
	kv_usage(kv, &usage);
	assert_int_equal(1, usage.n_items);
	assert_int_equal(0, usage.expiry_lag_s);
	get("k", NULL, KV_WON);
	get("k", "value", KV_STALE | KV_TAKEN);
	at(85000);
	get("k", NULL, 0);
	at(86000);
	kv_usage(kv, &usage);
	assert_int_equal(0, usage.n_items);
	assert_int_equal(0, usage.expiry_lag_s);
	/* deleted, or written to have expired: nothing is kept; purged likewise */
	set("k", "value", 1);
	at(88000);
	assert_int_equal(KV_NOT_FOUND, kv_delete(writer(0), &k, 0));
	get("k", NULL, 0);
	set("k", "value", -1);
	get("k", NULL, 0);
	set("k", "value", 1);
	assert_non_null(kv_touch(writer(0), &k, -1));
	get("k", NULL, 0);
	set("k", "value", 1);
	at(90000);
	get("k", NULL, KV_WON);
	assert_int_equal(0, kv_purge(writer(0), "", 0));
	begin_all();
	get("k", NULL, 0);
	close_cache();
}

/* Room is made by cleaning: it stays until its time, as what lies around it is deleted, and others come and go. */
static void stale_is_kept(void **state)
{
	char name[16], value[1001];

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	open_cache(0, 0, 60);
	for (unsigned i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "old:%u", i);
		set(name, i % 2 ? value : "value", 5);
	}
	for (unsigned i = 1; i < 600; i += 2) {
		const struct kv_key k =
			kv_key_of(name, (uint32_t)snprintf(name, sizeof(name), "old:%u", i));

		assert_int_equal(KV_OK, kv_delete(writer(0), &k, 0));
	}
	at(6000);
	for (unsigned i = 0; i < 20000; i++) {
		begin_all();
		snprintf(name, sizeof(name), "new:%u", i % 500);
		set(name, value, 100);
	}
	for (unsigned i = 0; i < 600; i += 2) {
		snprintf(name, sizeof(name), "old:%u", i);
		get(name, NULL, KV_WON);
		get(name, "value", KV_STALE | KV_TAKEN);
	}
	assert_int_equal(0, stats().evicted);
	assert_in_range(stats().kept, 250, 1000000);
	close_cache();
}

/* The share of hits that begin a refresh is exp(-left / (delta * beta)), a bit more as the logarithm is not exact. */
static void early_mode(void **state)
{
	static const uint32_t lefts[] = {50, 100, 200, 400, 800, 1000};

	(void)state;
	open_cache(0, 200, 0);
	get("k", NULL, 0); /* nothing is enforced, but noted */
	at(100);
	set("k", "value", 0); /* delta: 100 ms, so delta * beta: 200 */
	for (unsigned i = 0; i < RTE_DIM(lefts); i++) {
		const unsigned n = 20000;
		unsigned n_early = 0;
		double expected = exp(-(double)lefts[i] / 200);

		for (unsigned t = 0; t < n; t++) {
			const struct kv_key k = key("t");
			struct assoc_probe p = {.key = k.data, .key_len = k.len, .hash = k.hash};

			at(20000);
			set("t", "value", 10);
			at(30000 - lefts[i]);
			kv_get_bulk(writer(t), &p, 1);
			assert_true(p.marks == 0 ? p.item != NULL : p.item == NULL);
			if (p.marks == 0)
				continue;
			assert_int_equal(KV_WON, p.marks);
			n_early++;
			get("t", "value", 0);
			/* ends the lease, and is no measure of fetching */
			kv_delete(writer(0), &k, 0);
		}
		printf("%u ms before the time: %.4f refresh, by the formula %.4f\n", lefts[i],
			(double)n_early / n, expected);
		assert_true((double)n_early / n > expected - 0.02);
		assert_true((double)n_early / n < expected * 1.1 + 0.02);
	}
	close_cache();
}

/* Changed while it is used, and back. */
static void changed(void **state)
{
	const struct kv_stampede none = {0}, stale = {.stale_s = 100};

	(void)state;
	open_cache(1000, 0, 0);
	set("k", "value", 5);
	kv_set_stampede(kv, &stale);
	at(7000);
	at(8000);
	get("k", NULL, KV_WON);
	get("k", "value", KV_STALE | KV_TAKEN);
	kv_set_stampede(kv, &none);
	begin_all();
	get("k", NULL, 0);
	at(9000);
	at(10000);
	assert_int_equal(0, stats().items);
	close_cache();
}

#define TABLE LEASE_MIN
#define KEYS 3000u
#define SETS (TABLE / LEASE_WAYS)

static uint64_t rnd(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return s;
}

/* The table against an array: a lease is never granted twice within its time, and found for all of it. */
static void table(void **state)
{
	static uint64_t hashes[KEYS], granted[KEYS]; /* 0: none */
	struct lease_table *t;
	uint64_t now = 1;
	unsigned n_full = 0, n_won = 0;

	(void)state;
	t = rte_zmalloc(NULL, lease_size(TABLE), RTE_CACHE_LINE_SIZE);
	lease_init(t, TABLE);
	memset(granted, 0, sizeof(granted));
	for (unsigned i = 0; i < KEYS; i++)
		hashes[i] = rnd();
	for (unsigned n = 0; n < 2000000; n++) {
		const unsigned i = (unsigned)(rnd() % KEYS);
		const uint32_t lease_ms = 500;

		now += rnd() % 2;
		if (granted[i] != 0 && now - granted[i] >= lease_ms)
			granted[i] = 0;
		assert_int_equal(granted[i] != 0, lease_is_taken(t, hashes[i], now, lease_ms));
		if (rnd() % 4 == 0) {
			lease_end(t, hashes[i]);
			granted[i] = 0;
			continue;
		}
		switch (lease_take(t, hashes[i], now, lease_ms)) {
		case LEASE_WON:
			assert_int_equal(0, granted[i]);
			granted[i] = now;
			n_won++;
			break;
		case LEASE_TAKEN:
			assert_true(granted[i] != 0);
			break;
		case LEASE_FULL:
			assert_int_equal(0, granted[i]);
			n_full++;
			break;
		}
	}
	printf("%u leases, %u times no room\n", n_won, n_full);
	assert_true(n_won > 100000);
	rte_free(t);
}

/* A set holds eight; the ninth finds no room until one is over. */
static void table_full(void **state)
{
	struct lease_table *t = rte_zmalloc(NULL, lease_size(TABLE), RTE_CACHE_LINE_SIZE);

	(void)state;
	lease_init(t, TABLE);
	for (uint64_t i = 0; i < LEASE_WAYS; i++)
		assert_int_equal(LEASE_WON, lease_take(t, i << 40, 100 + i, 1000));
	assert_int_equal(LEASE_FULL, lease_take(t, 99ull << 40, 1099, 1000));
	assert_int_equal(LEASE_WON, lease_take(t, 99ull << 40, 1100, 1000));
	assert_int_equal(LEASE_FULL, lease_take(t, 98ull << 40, 1100, 1000));
	lease_end(t, 99ull << 40);
	assert_int_equal(LEASE_WON, lease_take(t, 98ull << 40, 1100, 1000));
	rte_free(t);
}

/* The average of what fetching takes; what is stored long after a lease has nothing to do with it. */
static void took(void **state)
{
	struct lease_table *t = rte_zmalloc(NULL, lease_size(TABLE), RTE_CACHE_LINE_SIZE);

	(void)state;
	lease_init(t, TABLE);
	assert_int_equal(0, lease_took_ms(t));
	lease_end_stored(t, 7, 50, 1000); /* nobody had it */
	assert_int_equal(0, lease_took_ms(t));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(LEASE_WON, lease_take(t, 7, 1000 + 10000 * i, 1000));
		lease_end_stored(t, 7, 1000 + 10000 * i + 300, 1000);
		assert_int_equal(300, lease_took_ms(t));
	}
	lease_take(t, 7, 2000000, 1000);
	lease_end_stored(t, 7, 2000000 + 4001, 1000);
	assert_int_equal(300, lease_took_ms(t));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(LEASE_WON, lease_take(t, 7, 3000000 + 10000 * i, 1000));
		lease_end_stored(t, 7, 3000000 + 10000 * i + 1500, 1000);
	}
	assert_in_range(lease_took_ms(t), 1490, 1500);
	lease_take(t, 7, 5000000, 1000);
	lease_end_stored(t, 7, 4999999, 1000); /* another thread's clock is behind */
	assert_in_range(lease_took_ms(t), 1300, 1320);
	rte_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vivified),
		cmocka_unit_test(invalidated),
		cmocka_unit_test(set_late),
		cmocka_unit_test(recached),
		cmocka_unit_test(no_mode),
		cmocka_unit_test(lease_mode),
		cmocka_unit_test(stale_mode),
		cmocka_unit_test(stale_is_kept),
		cmocka_unit_test(early_mode),
		cmocka_unit_test(get_and_touch),
		cmocka_unit_test(changed),
		cmocka_unit_test(table),
		cmocka_unit_test(table_full),
		cmocka_unit_test(took),
	};

	if (eal_start("test_lease", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
