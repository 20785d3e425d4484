/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cache against a naive one: random verbs with a controlled clock, few keys, so that each is met often. In a large cache every
 * answer must be the same; in one that is far too small a key may be gone, but what is there must be right, and what the index
 * names must be what the segments count. For every policy, with several writers taking turns.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>

#include <inttypes.h>
#include <stdlib.h>

#define N_KEYS 3000u
#define N_WRITERS 3u
#define VALUE_MAX 2000u
#define EPOCH 1700000000ll

struct entry { /* of the naive cache */
	bool is_there;
	uint32_t len, flags, when; /* when: second of expiry, 0 never */
	uint64_t cas;
	uint8_t value[VALUE_MAX];
};

static struct entry entries[N_KEYS];
static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static uint32_t now;
static uint64_t seed;
static bool may_lose; /* the cache is too small for all */

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % below);
}

static uint32_t key_of(uint32_t i, char key[ITEM_KEY_MAX])
{
	return (uint32_t)snprintf(
		key, ITEM_KEY_MAX, "%s:%0*u", i % 3 ? "a" : "bb", i % 7 == 0 ? 200 : 5, i);
}

static void open_cache(uint64_t bytes, enum evict_policy policy)
{
	const struct kv_params params = {.memory_bytes = bytes,
		.value_max = VALUE_MAX,
		.n_writers = N_WRITERS,
		.policy = (uint8_t)policy};

	assert_int_equal(0, kv_create(&kv, &params, readers));
	memset(entries, 0, sizeof(entries));
	now = 10;
	may_lose = bytes < (8u << 20);
}

static struct kv_writer *some_writer(void)
{
	struct kv_writer *w = kv_writer_of(kv, rnd(N_WRITERS));

	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(w, now, EPOCH + now, (uint64_t)now * 1000);
	return w;
}

static uint32_t when_of(int64_t exptime)
{
	if (exptime == 0)
		return 0;
	if (exptime > 60 * 60 * 24 * 30)
		exptime -= EPOCH + now;
	return exptime <= 0 ? now : now + (uint32_t)exptime;
}

static void expire(struct entry *e)
{
	if (e->is_there && e->when != 0 && e->when <= now)
		e->is_there = false;
}

static int64_t some_exptime(void)
{
	switch (rnd(6)) {
	case 0:
		return -1;
	case 1:
		return EPOCH + now + rnd(40) - 5;
	case 2:
	case 3:
		return 1 + rnd(300);
	default:
		return 0;
	}
}

/* The cache may have given the key up. */
static bool is_lost(struct entry *e, bool is_there)
{
	if (!may_lose || is_there || !e->is_there)
		return false;
	e->is_there = false;
	return true;
}

static void check_get(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const uint32_t len = key_of(i, key);
	struct assoc_probe probe = {.key = key, .key_len = len, .hash = assoc_hash(key, len)};
	struct entry *e = &entries[i];

	kv_get_bulk(w, &probe, 1);
	expire(e);
	if (is_lost(e, probe.item != NULL))
		return;
	assert_int_equal(e->is_there, probe.item != NULL);
	if (probe.item == NULL)
		return;
	assert_int_equal(e->len, item_value_len(probe.item));
	assert_memory_equal(e->value, item_value(probe.item), e->len);
	assert_int_equal(e->flags, item_flags(probe.item));
	assert_int_equal(e->cas, item_cas(probe.item));
	assert_int_equal(e->when, item_when(probe.item) & ITEM_SECONDS);
}

static void store(struct kv_writer *w, uint32_t i)
{
	static uint8_t value[VALUE_MAX + 10];
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	struct kv_store s = {.value = value,
		.value_len = rnd(20) == 0 ? rnd(VALUE_MAX + 10) : rnd(40),
		.flags = rnd(2) ? rnd(70000) : 0,
		.exptime = some_exptime(),
		.mode = (uint8_t)rnd(6),
		.new_cas = rnd(8) == 0 ? (uint64_t)rnd(1000) << 34 : 0};
	const bool joins = s.mode == KV_APPEND || s.mode == KV_PREPEND;
	enum kv_result want = KV_OK, rc;
	uint32_t n_old;
	uint64_t cas = 0;

	if (rnd(4) == 0) /* a number, for count() */
		s.value_len = (uint32_t)snprintf((char *)value, sizeof(value), "%u", rnd(1000));
	else
		for (uint32_t n = 0; n < s.value_len; n++)
			value[n] = (uint8_t)rnd(256);
	check_get(w, i); /* whether it is still there */
	expire(e);
	if (s.mode == KV_CAS)
		s.cas = rnd(3) ? e->cas : 12345678;
	n_old = e->is_there && joins ? e->len : 0;
	if (s.value_len > VALUE_MAX)
		want = KV_TOO_LARGE;
	else if (s.mode == KV_ADD && e->is_there)
		want = KV_NOT_STORED;
	else if ((s.mode == KV_REPLACE || joins) && !e->is_there)
		want = KV_NOT_STORED;
	else if (s.mode == KV_CAS && !e->is_there)
		want = KV_NOT_FOUND;
	else if (s.mode == KV_CAS && s.cas != e->cas)
		want = KV_EXISTS;
	else if (s.value_len + n_old > VALUE_MAX)
		want = KV_TOO_LARGE;
	rc = kv_store(w, &k, &s, &cas);
	assert_int_equal(want, rc);
	if (rc == KV_TOO_LARGE && s.mode == KV_SET)
		e->is_there = false;
	if (rc != KV_OK)
		return;
	if (s.mode == KV_PREPEND)
		memmove(e->value + s.value_len, e->value, n_old);
	memcpy(e->value + (s.mode == KV_APPEND ? n_old : 0), value, s.value_len);
	e->len = n_old + s.value_len;
	if (!joins) {
		e->flags = s.flags;
		e->when = when_of(s.exptime);
	}
	assert_true(s.new_cas != 0 ? cas == s.new_cas : cas != 0 && cas != e->cas);
	e->cas = cas;
	e->is_there = true;
}

static void erase(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	uint64_t cas;

	check_get(w, i);
	cas = rnd(2) ? 0 : rnd(2) ? e->cas : 99;
	assert_int_equal(!e->is_there               ? KV_NOT_FOUND
			: cas != 0 && cas != e->cas ? KV_EXISTS
						    : KV_OK,
		kv_delete(w, &k, cas));
	if (cas == 0 || cas == e->cas)
		e->is_there = false;
}

static void touch(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	const int64_t exptime = some_exptime();
	struct entry *e = &entries[i];

	check_get(w, i);
	assert_int_equal(e->is_there, kv_touch(w, &k, exptime) != NULL);
	e->when = when_of(exptime);
}

static void count(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX], text[VALUE_MAX + 1], *end;
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	const uint64_t delta = rnd(10) ? rnd(500) : UINT64_MAX - rnd(5);
	const bool is_down = rnd(2);
	const struct kv_count c = {.delta = delta, .is_down = is_down};
	struct kv_counted counted;
	uint64_t old;
	bool is_number;

	check_get(w, i);
	memcpy(text, e->value, e->len);
	text[e->len] = '\0';
	old = strtoull(text, &end, 10);
	while (end != text && *end == ' ')
		end++;
	is_number = e->len > 0 && e->len <= 20 && text[0] >= '0' && text[0] <= '9'
		&& end == text + e->len;
	assert_int_equal(!e->is_there ? KV_NOT_FOUND
			: is_number   ? KV_OK
				      : KV_NOT_NUMBER,
		kv_count(w, &k, &c, &counted));
	if (!e->is_there || !is_number)
		return;
	old = is_down ? (old > delta ? old - delta : 0) : old + delta;
	assert_true(old == counted.value);
	snprintf(text, sizeof(text), "%-*" PRIu64, (int)e->len, old);
	e->len = (uint32_t)strlen(text);
	memcpy(e->value, text, e->len);
	/* a number of its own again */
	struct assoc_probe probe = {.key = key, .key_len = k.len, .hash = k.hash};

	kv_get_bulk(w, &probe, 1);
	assert_non_null(probe.item);
	assert_true(item_cas(probe.item) != e->cas);
	e->cas = item_cas(probe.item);
}

static void purge(struct kv_writer *w)
{
	const char *prefix = rnd(3) == 0 ? "" : rnd(2) ? "bb:" : "a:0001";
	const int rc = kv_purge(w, prefix, (uint32_t)strlen(prefix));
	char key[ITEM_KEY_MAX];

	if (rc == -EAGAIN)
		return; /* the last one's list is still read */
	assert_int_equal(0, rc);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		key_of(i, key);
		if (strncmp(key, prefix, strlen(prefix)) == 0)
			entries[i].is_there = false;
	}
}

static void play(uint32_t n_steps)
{
	for (uint32_t n = 0; n < n_steps; n++) {
		struct kv_writer *w = some_writer();
		const uint32_t i = rnd(N_KEYS);

		switch (rnd(12)) {
		case 0:
		case 1:
		case 2:
		case 3:
			store(w, i);
			break;
		case 4:
			erase(w, i);
			break;
		case 5:
			touch(w, i);
			break;
		case 6:
			count(w, i);
			break;
		default:
			check_get(w, i);
		}
		if (rnd(200) == 0)
			now++;
		if (rnd(5000) == 0)
			purge(w);
		if (n % 16384 == 0)
			kv_check(kv);
	}
	for (uint32_t i = 0; i < N_KEYS; i++)
		check_get(some_writer(), i);
	kv_check(kv);
}

/* What has expired is out of the index two seconds later, though nobody asks for it. */
static void settle(void)
{
	struct kv_usage usage;
	uint64_t n = 0;

	for (unsigned turn = 0; turn < 300; turn++) {
		if (turn % 100 == 50)
			now++;
		some_writer();
	}
	for (uint32_t i = 0; i < N_KEYS; i++) {
		expire(&entries[i]);
		n += entries[i].is_there;
	}
	kv_usage(kv, &usage);
	assert_int_equal(0, usage.expiry_lag_s);
	if (!may_lose)
		assert_int_equal(n, usage.n_items);
	kv_check(kv);
}

static void run(uint64_t bytes, enum evict_policy policy, uint32_t n_steps)
{
	seed = 88172645463325252ull + bytes + policy;
	open_cache(bytes, policy);
	play(n_steps);
	settle();
	kv_destroy(&kv);
}

static void large(void **state)
{
	(void)state;
	for (unsigned p = 0; p < EVICT_N; p++)
		run(16u << 20, (enum evict_policy)p, 300000);
}

static void small(void **state)
{
	(void)state;
	for (unsigned p = 0; p < EVICT_N; p++)
		run(700u << 10, (enum evict_policy)p, 300000);
}

/* An index made for items of 64 KB gets memory as it needs it. */
static void index_grows(void **state)
{
	const struct kv_params params = {.memory_bytes = 16u << 20,
		.item_bytes = 65536,
		.value_max = VALUE_MAX,
		.n_writers = N_WRITERS,
		.policy = EVICT_S3FIFO};
	struct kv_usage usage;

	(void)state;
	open_cache(16u << 20, EVICT_S3FIFO);
	kv_destroy(&kv);
	assert_int_equal(0, kv_create(&kv, &params, readers));
	for (uint32_t i = 0; i < 100000; i++) {
		char key[32];
		const struct kv_key k =
			kv_key_of(key, (uint32_t)snprintf(key, sizeof(key), "key:%u", i));
		const struct kv_store s = {.value = "x", .value_len = 1};

		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
	}
	kv_usage(kv, &usage);
	assert_int_equal(100000, usage.n_items);
	assert_true(usage.n_index_segs > 0);
	kv_check(kv);
	kv_destroy(&kv);
}

/* Values of which one fits a segment, with much room behind it: the room is not taken for something dead to be cleaned. */
static void values_of_most_of_a_segment(void **state)
{
	static uint8_t value[10000]; /* of 16 KB */
	const struct kv_params params = {.memory_bytes = 2u << 20,
		.value_max = 16000,
		.n_writers = N_WRITERS,
		.policy = EVICT_FIFO};
	struct kv_stats stats;

	(void)state;
	assert_int_equal(0, kv_create(&kv, &params, readers));
	for (uint32_t i = 0; i < 3000; i++) {
		char key[32];
		const struct kv_key k =
			kv_key_of(key, (uint32_t)snprintf(key, sizeof(key), "key:%u", i));
		const struct kv_store s = {.value = value, .value_len = sizeof(value)};

		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
	}
	kv_stats_sum(kv, &stats);
	assert_int_equal(3000, stats.evicted + stats.items);
	assert_int_equal(0, stats.kept);
	kv_check(kv);
	kv_destroy(&kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large),
		cmocka_unit_test(small),
		cmocka_unit_test(index_grows),
		cmocka_unit_test(values_of_most_of_a_segment),
	};

	if (eal_start("test_kv", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
