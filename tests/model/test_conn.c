/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection table against a naive map: random adds, bulk look-ups, deletes and expiry in virtual time,
 * IPv4 and IPv6 mixed, up to and beyond the table's size. */
#include "base/keyhash.h"
#include "eal.h"
#include "lb/conn.h"
#include "unit.h"

#include <rte_memory.h>

#include <stdlib.h>

#define N_FLOWS 600u /* more than the table holds */
#define N_MAX 256u
#define STEPS 300000u

struct flow {         /* the naive map: one place per possible flow */
	uint32_t idx; /* CONN_NONE = absent */
	uint32_t deadline_ms;
	uint32_t mark;
};

static struct flow flows[2][N_FLOWS];

static void key4(struct conn_key4 *k, unsigned i)
{
	*k = (struct conn_key4){
		.src = 0x0a000001u + i * 7, .dst = 1, .sport = (uint16_t)i, .proto = 6};
}

static void key6(struct conn_key6 *k, unsigned i)
{
	memset(k, 0, sizeof(*k));
	memcpy(k->src, &i, sizeof(i));
	k->sport = (uint16_t)(i / 3);
	k->proto = 17;
}

static uint32_t find(const struct conn_table *t, bool is_v6, unsigned i)
{
	struct conn_key4 k4;
	struct conn_key6 k6;
	uint32_t idx;

	key4(&k4, i);
	key6(&k6, i);
	if (is_v6)
		conn_find_bulk6(t, &k6, 1, &idx);
	else
		conn_find_bulk4(t, &k4, 1, &idx);
	return idx;
}

static uint32_t add(struct conn_table *t, bool is_v6, unsigned i, uint32_t now_ms)
{
	struct conn_key4 k4;
	struct conn_key6 k6;

	key4(&k4, i);
	key6(&k6, i);
	return is_v6 ? conn_add6(t, &k6, now_ms) : conn_add4(t, &k4, now_ms);
}

/* Takes the due entries out and checks that each was due and none was forgotten. */
static void expire(struct conn_table *t, uint32_t now_ms, uint32_t n_there[2])
{
	uint32_t idx[16];
	unsigned n;

	while ((n = conn_due_bulk(t, now_ms, idx, 16)) > 0) {
		for (unsigned i = 0; i < n; i++) {
			const uint32_t mark = conn_at(t, idx[i])->client_neigh;
			const bool is_v6 = (idx[i] & CONN_V6) != 0;
			struct flow *f = &flows[is_v6][mark];

			assert_int_equal(f->idx, idx[i]);
			if ((int32_t)(now_ms - f->deadline_ms) < 0) {
				conn_watch(t, idx[i], f->deadline_ms); /* beyond the horizon */
				continue;
			}
			conn_del(t, idx[i]);
			f->idx = CONN_NONE;
			n_there[is_v6]--;
		}
	}
	for (unsigned v = 0; v < 2; v++) {
		for (unsigned i = 0; i < N_FLOWS; i++) {
			/* never later than two ticks of the wheel */
			if (flows[v][i].idx != CONN_NONE)
				assert_true((int32_t)(now_ms - flows[v][i].deadline_ms) < 600);
		}
	}
}

static void step(struct conn_table *t, uint32_t now_ms, uint32_t n_there[2])
{
	const bool is_v6 = rand() % 2;
	const unsigned i = (unsigned)rand() % N_FLOWS;
	struct flow *f = &flows[is_v6][i];

	assert_int_equal(find(t, is_v6, i), f->idx);
	if (f->idx != CONN_NONE)
		assert_int_equal(conn_at(t, f->idx)->client_neigh, i);
	switch (rand() % 4) {
	case 0:
		if (f->idx == CONN_NONE)
			break;
		conn_del(t, f->idx);
		f->idx = CONN_NONE;
		n_there[is_v6]--;
		break;
	case 1:
		if (f->idx == CONN_NONE)
			break;
		f->deadline_ms = now_ms + (uint32_t)rand() % 2000000;
		conn_watch(t, f->idx, f->deadline_ms);
		break;
	default:
		if (f->idx != CONN_NONE)
			break;
		f->idx = add(t, is_v6, i, now_ms);
		assert_int_equal(f->idx == CONN_NONE, n_there[is_v6] == N_MAX);
		if (f->idx == CONN_NONE)
			break;
		n_there[is_v6]++;
		conn_at(t, f->idx)->client_neigh = i;
		f->deadline_ms = now_ms + (uint32_t)rand() % 60000;
		conn_watch(t, f->idx, f->deadline_ms);
	}
}

static void random_operations_agree_with_a_naive_map(void **state)
{
	const struct conn_params p = {.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY};
	uint32_t now_ms = 0, n_there[2] = {0, 0};
	struct conn_table *t = NULL;

	(void)state;
	for (unsigned v = 0; v < 2; v++) {
		for (unsigned i = 0; i < N_FLOWS; i++)
			flows[v][i].idx = CONN_NONE;
	}
	srand(3);
	assert_int_equal(conn_table_create(&t, &p), 0);
	for (unsigned s = 0; s < STEPS; s++) {
		step(t, now_ms, n_there);
		now_ms += (uint32_t)rand() % 40;
		if (s % 16 == 0)
			expire(t, now_ms, n_there);
		if (s % 30000 == 0)
			assert_true(conn_check(t));
		assert_int_equal(conn_count(t), n_there[0] + n_there[1]);
	}
	conn_table_destroy(&t);
	assert_null(t);
}

/* However many of one family are due, the other gets half of each turn; alone it gets all. */
static void families_share_a_turn(void **state)
{
	const struct conn_params p = {.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY};
	struct conn_table *t = NULL;
	uint32_t idx[16];
	unsigned n[2] = {0, 0};

	(void)state;
	assert_int_equal(conn_table_create(&t, &p), 0);
	for (unsigned i = 0; i < 100; i++)
		conn_watch(t, add(t, i >= 50, i, 0), 1000);
	assert_int_equal(conn_due_bulk(t, 5000, idx, 16), 16);
	for (unsigned i = 0; i < 16; i++)
		n[(idx[i] & CONN_V6) != 0]++;
	assert_int_equal(n[0], 8);
	assert_int_equal(n[1], 8);
	while (conn_due_bulk(t, 5000, idx, 16) > 0)
		;
	for (unsigned v = 0; v < 2; v++) {
		for (unsigned i = 100; i < 116; i++)
			conn_watch(t, add(t, v == 1, i, 5000), 6000 + 4000 * v);
		assert_int_equal(conn_due_bulk(t, 9000 + 4000 * v, idx, 16), 16);
	}
	conn_table_destroy(&t);
}

static void walk_visits_every_entry_once(void **state)
{
	const struct conn_params p = {.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY};
	struct conn_table *t = NULL;
	uint64_t cursor = 0;
	uint32_t idx[10], n = 0, sum = 0;

	(void)state;
	assert_int_equal(conn_table_create(&t, &p), 0);
	for (unsigned i = 0; i < 100; i++)
		conn_at(t, add(t, i % 2, i, 0))->client_neigh = i;
	while (cursor != UINT64_MAX) {
		const unsigned got = conn_walk(t, &cursor, idx, 10);

		for (unsigned i = 0; i < got; i++)
			sum += conn_at(t, idx[i])->client_neigh;
		n += got;
	}
	assert_int_equal(n, 100);
	assert_int_equal(sum, 99 * 100 / 2);
	conn_table_destroy(&t);
}

/* Keys that an attacker would want: all of the first bucket, if so asked the first N_ALIKE of them, more than a
 * bucket's slots, of one tag. A table of N_TIGHT has eleven buckets, and the tag is bits 49 to 63. */
#define N_TIGHT CONN_MIN
#define N_ALIKE 16u

static void tight_keys(struct conn_key4 *keys, unsigned n, bool is_one_tag)
{
	struct conn_key4 k = {.dst = 1, .proto = 6};
	unsigned got = 0;

	while (got < n) {
		uint64_t hash;

		k.src++;
		hash = keyhash(&k, sizeof(k));
		if ((uint32_t)hash < UINT32_MAX / 16
			&& (!is_one_tag || got >= N_ALIKE || hash >> 49 == 0x2d2d))
			keys[got++] = k;
	}
}

/* Entries of one bucket, most of them in its chain, come and go in random order, up to a full table. */
static void one_bucket_holds_a_full_table(void **state)
{
	const struct conn_params p = {
		.n_max4 = N_TIGHT, .n_max6 = CONN_MIN, .socket_id = SOCKET_ID_ANY};
	struct conn_key4 keys[N_TIGHT + 8];
	uint32_t idx[N_TIGHT + 8], found[N_TIGHT + 8], n_there;
	struct conn_table *t;

	(void)state;
	srand(5);
	for (unsigned tag = 0; tag < 2; tag++) {
		tight_keys(keys, N_TIGHT + 8, tag == 1);
		memset(idx, 0xff, sizeof(idx));
		n_there = 0;
		t = NULL;
		assert_int_equal(conn_table_create(&t, &p), 0);
		for (unsigned s = 0; s < 4000; s++) {
			const unsigned i = (unsigned)rand() % (N_TIGHT + 8);
			/* fills, then empties, then fills ... */
			const bool is_add = rand() % 4 != 0 ? s % 1000 < 500 : s % 1000 >= 500;

			if (is_add && idx[i] == CONN_NONE) {
				assert_int_equal(conn_is_full(t, false), n_there == N_TIGHT);
				idx[i] = conn_add4(t, &keys[i], 0);
				assert_int_equal(idx[i] == CONN_NONE, n_there == N_TIGHT);
				n_there += idx[i] != CONN_NONE;
			} else if (!is_add && idx[i] != CONN_NONE) {
				conn_del(t, idx[i]);
				idx[i] = CONN_NONE;
				n_there--;
			}
			conn_find_bulk4(t, keys, 64, found);
			conn_find_bulk4(t, keys + 64, N_TIGHT + 8 - 64, found + 64);
			assert_memory_equal(found, idx, sizeof(idx));
			assert_true(conn_check(t));
		}
		conn_table_destroy(&t);
	}
}

/* Two keys that differ in one bit only are two flows, whatever the bit. */
static void every_bit_of_a_key_counts(void **state)
{
	const struct conn_params p = {
		.n_max4 = N_MAX, .n_max6 = 2 * N_MAX, .socket_id = SOCKET_ID_ANY};
	struct conn_table *t = NULL;

	(void)state;
	assert_int_equal(conn_table_create(&t, &p), 0);
	for (unsigned v = 0; v < 2; v++) {
		const unsigned n_bits = (v ? 37 : 13) * 8;
		uint32_t idx[37 * 8], found;
		uint8_t key[40];

		for (unsigned pass = 0; pass < 2; pass++) {
			for (unsigned i = 0; i < n_bits; i++) {
				memset(key, 0xa5, n_bits / 8);
				memset(key + n_bits / 8, 0, sizeof(key) - n_bits / 8);
				key[i / 8] ^= (uint8_t)(1 << i % 8);
				if (pass == 0)
					idx[i] = v ? conn_add6(t, (struct conn_key6 *)key, 0)
						   : conn_add4(t, (struct conn_key4 *)key, 0);
				if (v)
					conn_find_bulk6(t, (struct conn_key6 *)key, 1, &found);
				else
					conn_find_bulk4(t, (struct conn_key4 *)key, 1, &found);
				assert_int_not_equal(found, CONN_NONE);
				assert_int_equal(found, idx[i]);
			}
		}
		memset(key, 0xa5, n_bits / 8);
		if (v)
			conn_find_bulk6(t, (struct conn_key6 *)key, 1, &found);
		else
			conn_find_bulk4(t, (struct conn_key4 *)key, 1, &found);
		assert_int_equal(found, CONN_NONE);
	}
	assert_true(conn_check(t));
	conn_table_destroy(&t);
}

/* What a walk shows may be deleted in its midst: the others are shown still, once. */
static void walk_goes_on_while_entries_go(void **state)
{
	const struct conn_params p = {.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY};
	struct conn_table *t = NULL;
	uint64_t cursor = 0;
	uint32_t idx[10], n = 0;

	(void)state;
	assert_int_equal(conn_table_create(&t, &p), 0);
	for (unsigned i = 0; i < 2 * N_MAX; i++)
		assert_int_not_equal(add(t, i % 2, i, 0), CONN_NONE);
	while (cursor != UINT64_MAX) {
		const unsigned got = conn_walk(t, &cursor, idx, 10);

		for (unsigned i = 0; i < got; i++)
			conn_del(t, idx[i]);
		n += got;
		assert_int_equal(conn_count(t), 2 * N_MAX - n);
		assert_true(conn_check(t));
	}
	assert_int_equal(n, 2 * N_MAX);
	conn_table_destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_a_naive_map),
		cmocka_unit_test(families_share_a_turn),
		cmocka_unit_test(one_bucket_holds_a_full_table),
		cmocka_unit_test(every_bit_of_a_key_counts),
		cmocka_unit_test(walk_visits_every_entry_once),
		cmocka_unit_test(walk_goes_on_while_entries_go),
	};

	if (eal_start("test_conn", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
