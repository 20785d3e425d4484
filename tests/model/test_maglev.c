/* SPDX-License-Identifier: BSD-3-Clause */
/* Maglev against what it promises: shares, weights, what moves when members, weights and health change, and that
 * tables depend on the configuration alone, whatever came before. */
#include "lb/maglev.h"
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N 1000u

static const uint8_t fleet_key[16] = "sixteen byte key";

static void make_members(struct sched_member *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		m[i] = (struct sched_member){
			.backend_idx = i + 5, .weight = 100, .is_available = true};
		snprintf(m[i].name, sizeof(m[i].name), "web%u", i);
	}
}

static struct sched_table *build_sized(
	const struct sched_member *m, unsigned n, const struct sched_table *prev, uint32_t n_slots)
{
	const struct sched_params p = {
		.hash_key = fleet_key, .maglev_size = n_slots, .service = "test"};
	struct sched_table *t = NULL;

	assert_int_equal(maglev_ops.build(&t, m, n, &p, prev), 0);
	return t;
}

static struct sched_table *build(
	const struct sched_member *m, unsigned n, const struct sched_table *prev)
{
	return build_sized(m, n, prev, 0);
}

static void count(const struct sched_table *t, uint32_t *hits, unsigned n)
{
	memset(hits, 0, n * sizeof(*hits));
	for (uint32_t s = 0; s < maglev_n_slots(t); s++) {
		const uint32_t b = maglev_slot_backend(t, s);

		assert_true(b >= 5 && b < 5 + n);
		hits[b - 5]++;
	}
}

static void assert_same(const struct sched_table *a, const struct sched_table *b)
{
	assert_int_equal(maglev_n_slots(a), maglev_n_slots(b));
	for (uint32_t s = 0; s < maglev_n_slots(a); s++)
		assert_int_equal(maglev_slot_backend(a, s), maglev_slot_backend(b, s));
}

static uint32_t n_moved(const struct sched_table *a, const struct sched_table *b, uint32_t except)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < maglev_n_slots(a); s++) {
		const uint32_t was = maglev_slot_backend(a, s);

		n += was != except && was != maglev_slot_backend(b, s);
	}
	return n;
}

/* As maglevfill.c says: at most 0.5 √k (or 1 %) above, at most √k (or 2 %) below, each rounded. */
static void assert_shares(const struct sched_table *t, const struct sched_member *m, unsigned n)
{
	static uint32_t hits[N];
	double sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += m[i].weight;
	count(t, hits, n);
	for (unsigned i = 0; i < n; i++) {
		const double k = maglev_n_slots(t) / sum * m[i].weight;

		assert_true(hits[i] <= k + fmax(sqrt(k) / 2, k / 100) + 1);
		assert_true(hits[i] >= k - fmax(sqrt(k), k / 50) - 1);
	}
}

static void shares_are_even(void **state)
{
	static const unsigned sizes[] = {1, 2, 3, 10, 30, 100, 300, N};
	static struct sched_member m[N];

	(void)state;
	make_members(m, N);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct sched_table *t = build(m, sizes[i], NULL);

		assert_shares(t, m, sizes[i]);
		maglev_ops.destroy(&t);
	}
}

static void shares_follow_weights(void **state)
{
	static struct sched_member m[100];
	struct sched_table *t;

	(void)state;
	make_members(m, 100);
	for (unsigned i = 0; i < 100; i++)
		m[i].weight = (uint16_t)(i % 5 * 30);
	for (unsigned n = 5; n <= 100; n += 19) {
		t = build(m, n, NULL);
		assert_shares(t, m, n);
		maglev_ops.destroy(&t);
	}
}

/* Members so light that they are due a slot between them, if that, do not keep the heavy one waiting. */
static void one_heavy_member_among_many_light_ones(void **state)
{
	static struct sched_member m[N];
	struct sched_table *t;

	(void)state;
	make_members(m, N);
	for (unsigned i = 0; i < N; i++)
		m[i].weight = i == 500 ? UINT16_MAX : 1;
	t = build(m, N, NULL);
	assert_shares(t, m, N);
	maglev_ops.destroy(&t);
}

/* The point of the two layers: down moves only its own slots, back restores everything, in any order of
 * events and with or without the previous table. */
static void health_moves_only_the_slots_of_the_member(void **state)
{
	static struct sched_member m[N];
	struct sched_table *full, *one, *two, *fresh, *back;

	(void)state;
	make_members(m, N);
	full = build(m, N, NULL);
	m[17].is_available = false;
	one = build(m, N, full);
	assert_int_equal(n_moved(full, one, 5 + 17), 0);
	m[400].is_available = false;
	two = build(m, N, one);
	assert_int_equal(n_moved(one, two, 5 + 400), 0);
	fresh = build(m, N, NULL);
	assert_same(two, fresh);
	m[17].is_available = m[400].is_available = true;
	back = build(m, N, two);
	assert_same(full, back);
	maglev_ops.destroy(&full);
	maglev_ops.destroy(&one);
	maglev_ops.destroy(&two);
	maglev_ops.destroy(&fresh);
	maglev_ops.destroy(&back);
}

static void slots_of_a_dead_member_are_shared_out_evenly(void **state)
{
	struct sched_member m[10];
	uint32_t hits[10];
	struct sched_table *t;

	(void)state;
	make_members(m, 10);
	m[3].is_available = false;
	t = build(m, 10, NULL);
	count(t, hits, 10);
	assert_int_equal(hits[3], 0);
	for (unsigned i = 0; i < 10; i++) {
		if (i != 3)
			assert_in_range(hits[i], 65537 / 9 * 97 / 100, 65537 / 9 * 103 / 100);
	}
	maglev_ops.destroy(&t);
}

/* Few are left of many: each gets its part, not one of them what nobody else was found for. */
static void few_that_are_left_share_evenly(void **state)
{
	static struct sched_member m[N];
	static uint32_t hits[N];

	(void)state;
	make_members(m, N);
	for (unsigned n_up = 2; n_up <= 64; n_up *= 2) {
		struct sched_table *t;

		for (unsigned i = 0; i < N; i++)
			m[i].is_available = i < n_up;
		t = build(m, N, NULL);
		count(t, hits, N);
		for (unsigned i = 0; i < n_up; i++)
			assert_in_range(hits[i], maglev_n_slots(t) / n_up * 9 / 10,
				maglev_n_slots(t) / n_up * 11 / 10);
		maglev_ops.destroy(&t);
	}
}

/* Of 65,537 slots; the slots of the member itself, 0.10 %, are not counted. The paper's table moves 375. */
#define N_SLOTS 65537u
#define MOVED_MAX 98u /* 0.15 % */

static void changes_of_one_member_of_1000_move_little(void **state)
{
	static struct sched_member m[N], other[N];
	struct sched_table *full, *t;

	(void)state;
	make_members(m, N);
	full = build_sized(m, N, NULL, N_SLOTS);
	for (unsigned i = 0; i < 10; i++) {
		const unsigned at = i * 97;

		memcpy(other, m, sizeof(m));
		other[at] = m[N - 1];
		t = build_sized(other, N - 1, full, N_SLOTS);
		/* the same two tables are those of an addition */
		assert_true(n_moved(full, t, 5 + at) <= MOVED_MAX);
		maglev_ops.destroy(&t);
		other[at] = m[at];
		other[at].weight = i % 2 ? 50 : 150; /* 150: the largest weight changes for all */
		t = build_sized(other, N, full, N_SLOTS);
		if (i % 2)
			assert_true(n_moved(full, t, 5 + at) <= MOVED_MAX);
		else
			assert_true(n_moved(t, full, 5 + at) <= MOVED_MAX);
		maglev_ops.destroy(&t);
	}
	maglev_ops.destroy(&full);
}

static void shuffle(struct sched_member *m, unsigned n)
{
	for (unsigned i = n - 1; i > 0; i--) {
		const unsigned k = (unsigned)rand() % (i + 1);
		const struct sched_member tmp = m[i];

		m[i] = m[k];
		m[k] = tmp;
	}
}

#define N_NAMES 60u

/* What one change did: by health only the slots of who went or came, by membership or weight few others. */
static void assert_moved(const struct sched_table *was, const struct sched_table *is,
	const struct sched_member *changed, bool is_health)
{
	uint32_t n = 0;

	for (uint32_t s = 0; s < maglev_n_slots(was); s++) {
		const uint32_t a = maglev_slot_backend(was, s), b = maglev_slot_backend(is, s);

		n += a != b && a != changed->backend_idx && b != changed->backend_idx;
	}
	assert_true(n <= (is_health ? 0 : maglev_n_slots(was) * 3 / 1000));
}

/* One box sees every change. The other is told the members in another order and only now and then. The third
 * starts anew each time. At the end of each step they have the same table. */
static void history_does_not_matter(void **state)
{
	struct sched_member m[N_NAMES];
	struct sched_table *box, *late = NULL;

	(void)state;
	srand(7);
	make_members(m, N_NAMES);
	box = build(m, N_NAMES, NULL);
	for (unsigned step = 0; step < 150; step++) {
		struct sched_member *c = &m[(unsigned)rand() % N_NAMES], mixed[N_NAMES];
		/* a member that is down has no slots: to take it out moves what others have for it */
		const bool is_health = !c->is_available || rand() % 2;
		struct sched_table *next, *t;
		unsigned n_up = 0;

		if (is_health)
			c->is_available = !c->is_available;
		else /* weight 0 is not a member */
			c->weight = (uint16_t)(rand() % 3 ? 50 + rand() % 100 : 0);
		for (unsigned i = 0; i < N_NAMES; i++)
			n_up += m[i].is_available && m[i].weight > 0;
		next = build(m, N_NAMES, box);
		if (n_up >= N_NAMES / 3)
			assert_moved(box, next, c, is_health);
		maglev_ops.destroy(&box);
		box = next;
		if (step % 4 != 3)
			continue;
		memcpy(mixed, m, sizeof(m));
		shuffle(mixed, N_NAMES);
		next = build(mixed, N_NAMES, late);
		t = build(mixed, N_NAMES, NULL);
		assert_same(box, next);
		assert_same(box, t);
		maglev_ops.destroy(&t);
		maglev_ops.destroy(&late);
		late = next;
	}
	maglev_ops.destroy(&late);
	maglev_ops.destroy(&box);
}

static void nobody_available_gives_nobody(void **state)
{
	struct sched_member m[3];
	struct sched_table *t;

	(void)state;
	make_members(m, 3);
	for (unsigned i = 0; i < 3; i++)
		m[i].is_available = false;
	t = build(m, 3, NULL);
	for (uint64_t h = 0; h < 100; h++)
		assert_int_equal(
			maglev_ops.pick(t, &(struct sched_ask){.hash = h << 57}), SCHED_NONE);
	maglev_ops.destroy(&t);
	for (unsigned i = 0; i < 3; i++)
		m[i] = (struct sched_member){.is_available = true, .name = {(char)('a' + i)}};
	t = build(m, 3, NULL); /* of weight 0 */
	assert_int_equal(maglev_ops.pick(t, &(struct sched_ask){.hash = 1}), SCHED_NONE);
	maglev_ops.destroy(&t);
	t = build(m, 0, NULL);
	assert_int_equal(maglev_ops.pick(t, &(struct sched_ask){.hash = 1}), SCHED_NONE);
	maglev_ops.destroy(&t);
}

static void last_one_standing_gets_everything(void **state)
{
	static struct sched_member m[N];
	struct sched_table *t;

	(void)state;
	make_members(m, N);
	for (unsigned i = 0; i < N; i++)
		m[i].is_available = i == 321;
	t = build(m, N, NULL);
	for (uint32_t s = 0; s < maglev_n_slots(t); s++)
		assert_int_equal(maglev_slot_backend(t, s), 5 + 321);
	maglev_ops.destroy(&t);
}

static void sizes_that_cannot_be_filled_are_refused(void **state)
{
	const uint32_t bad[] = {1, 4, 7, 100, 65536};
	struct sched_member m[8];

	(void)state;
	make_members(m, 8);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct sched_params p = {
			.hash_key = fleet_key, .maglev_size = bad[i], .service = "test"};
		struct sched_table *t = NULL;

		assert_int_equal(maglev_ops.build(&t, m, 8, &p, NULL), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_even),
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(one_heavy_member_among_many_light_ones),
		cmocka_unit_test(health_moves_only_the_slots_of_the_member),
		cmocka_unit_test(slots_of_a_dead_member_are_shared_out_evenly),
		cmocka_unit_test(changes_of_one_member_of_1000_move_little),
		cmocka_unit_test(history_does_not_matter),
		cmocka_unit_test(nobody_available_gives_nobody),
		cmocka_unit_test(few_that_are_left_share_evenly),
		cmocka_unit_test(last_one_standing_gets_everything),
		cmocka_unit_test(sizes_that_cannot_be_filled_are_refused),
	};

	return cmocka_run_group_tests_name("maglev", tests, NULL, NULL);
}
