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
	const struct conn_params p = {
		.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY, .worker_id = 2};
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
	const struct conn_params p = {
		.n_max4 = N_MAX, .n_max6 = N_MAX, .socket_id = SOCKET_ID_ANY, .worker_id = 1};
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_a_naive_map),
		cmocka_unit_test(families_share_a_turn),
		cmocka_unit_test(walk_visits_every_entry_once),
	};

	if (eal_start("test_conn", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
