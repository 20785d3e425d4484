/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The schedulers beside Maglev and weighted round robin: shares against the weights, what moves when a
 * member goes down, comes back, joins or leaves, and connection counts against a naive model.
 */
#include "lb/balance.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define N_MAX 64u
#define N_FLOWS 100000u

static const uint8_t fleet_key[16] = {7, 1};
static const struct sched_params params = {.hash_key = fleet_key, .service = "test"};
static struct lb_backend_tally tallies[N_MAX];

static uint64_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return sched_mix(*state, 0);
}

static void make_members(struct sched_member *m, unsigned n, bool has_weights)
{
	for (unsigned i = 0; i < n; i++) {
		m[i] = (struct sched_member){.backend_idx = i,
			.weight = (uint16_t)(has_weights ? 10 + 30 * (i % 4) : 100),
			.is_available = true};
		snprintf(m[i].name, sizeof(m[i].name), "pool/web-%u", i);
	}
}

static struct sched_table *build(
	const struct sched_ops *ops, const struct sched_member *m, unsigned n)
{
	struct sched_table *t = NULL;

	assert_int_equal(ops->build(&t, m, n, &params, NULL), 0);
	return t;
}

static uint32_t pick(
	const struct sched_ops *ops, const struct sched_table *t, uint64_t hash, uint32_t *cursor)
{
	const struct sched_ask ask = {.hash = hash, .cursor = cursor, .backends = tallies};

	return ops->pick(t, &ask);
}

static const unsigned all[] = {MR_SCHED_RR, MR_SCHED_WLC, MR_SCHED_LC, MR_SCHED_P2C, MR_SCHED_SH,
	MR_SCHED_RENDEZVOUS, MR_SCHED_MAGLEV, MR_SCHED_WRR};
static const unsigned hashing[] = {MR_SCHED_SH, MR_SCHED_RENDEZVOUS, MR_SCHED_MAGLEV};

static void names_are_those_of_the_configuration(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(all); i++) {
		const struct sched_ops *ops = sched_ops_of(all[i]);

		assert_non_null(ops);
		assert_string_equal(ops->name, mr_sched_name(all[i]));
		assert_int_equal(ops->is_consistent, mr_sched_is_hashing(all[i]));
	}
	assert_null(sched_ops_of(0));
	assert_null(sched_ops_of(99));
}

/* Nobody, one, all but one down; weight 0; and the same whatever the order of the members is. */
static void only_available_members_are_chosen(void **state)
{
	uint64_t random = 3;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(all); i++) {
		const struct sched_ops *ops = sched_ops_of(all[i]);
		struct sched_member m[N_MAX], turned[N_MAX];
		struct sched_table *t = build(ops, NULL, 0), *other;
		uint32_t cursor = 77, cursor2 = 77;

		assert_int_equal(pick(ops, t, 1, &cursor), SCHED_NONE);
		ops->destroy(&t);
		assert_null(t);
		make_members(m, N_MAX, true);
		for (unsigned k = 0; k < N_MAX; k++) {
			m[k].is_available = k == 41;
			m[k].weight = k % 2 == 0 ? 0 : m[k].weight;
		}
		t = build(ops, m, N_MAX);
		for (unsigned k = 0; k < 1000; k++)
			assert_int_equal(pick(ops, t, next_random(&random), &cursor), 41);
		ops->destroy(&t);
		m[41].is_available = false;
		t = build(ops, m, N_MAX);
		assert_int_equal(pick(ops, t, 1, &cursor), SCHED_NONE);
		ops->destroy(&t);
		make_members(m, N_MAX, true);
		for (unsigned k = 0; k < N_MAX; k++)
			turned[k] = m[N_MAX - 1 - k];
		t = build(ops, m, N_MAX);
		other = build(ops, turned, N_MAX);
		cursor = cursor2 = 5;
		for (unsigned k = 0; k < 1000; k++) {
			const uint64_t hash = next_random(&random);

			assert_int_equal(
				pick(ops, t, hash, &cursor), pick(ops, other, hash, &cursor2));
		}
		ops->destroy(&t);
		ops->destroy(&other);
	}
}

/* Flows that are never closed, by weight: within 5 standard deviations for those that choose by chance, and
 * by at most one connection for those that count. */
static void shares_follow_the_weights(void **state)
{
	uint64_t random = 9;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(all); i++) {
		const struct sched_ops *ops = sched_ops_of(all[i]);
		const bool is_even = all[i] == MR_SCHED_RR || all[i] == MR_SCHED_LC;
		struct sched_member m[12];
		struct sched_table *t;
		uint32_t cursor = 0, sum = 0;

		make_members(m, 12, true);
		for (unsigned k = 0; k < 12; k++)
			sum += is_even ? 1 : m[k].weight;
		memset(tallies, 0, sizeof(tallies));
		t = build(ops, m, 12);
		for (unsigned k = 0; k < N_FLOWS; k++)
			tallies[pick(ops, t, next_random(&random), &cursor)].conns++;
		for (unsigned k = 0; k < 12; k++) {
			const double share = (is_even ? 1.0 : m[k].weight) / sum;
			const double want = N_FLOWS * share, is = (double)tallies[k].conns;
			const double slack = mr_sched_is_hashing(all[i])
				? 5 * sqrt(want * (1 - share)) + 0.02 * want
				: all[i] == MR_SCHED_P2C ? 0.02 * want
							 : 1.5;

			if (fabs(is - want) > slack)
				fail_msg("%s: member %u has %.0f of %.0f", ops->name, k, is, want);
		}
		ops->destroy(&t);
	}
}

/* A member that goes down gives its flows to others by weight, nobody else's move, and all come back. */
static void a_member_down_moves_its_own_flows_only(void **state)
{
	static uint32_t before[N_FLOWS];

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(hashing); i++) {
		const struct sched_ops *ops = sched_ops_of(hashing[i]);
		struct sched_member m[16];
		struct sched_table *t;
		uint64_t random = 1;
		uint32_t cursor = 0, n_moved[16] = {0}, n_moved_all = 0;

		make_members(m, 16, true);
		t = build(ops, m, 16);
		for (unsigned k = 0; k < N_FLOWS; k++)
			before[k] = pick(ops, t, next_random(&random), &cursor);
		ops->destroy(&t);
		m[3].is_available = false;
		t = build(ops, m, 16);
		random = 1;
		for (unsigned k = 0; k < N_FLOWS; k++) {
			const uint32_t now = pick(ops, t, next_random(&random), &cursor);

			if (before[k] != 3) {
				assert_int_equal(now, before[k]);
				continue;
			}
			n_moved[now]++;
			n_moved_all++;
		}
		for (unsigned k = 0; k < 16; k++) {
			/* 100 of 880 weights are gone; the rest is 780 */
			const double want = k == 3 ? 0 : n_moved_all * m[k].weight / 780.0;

			assert_true(fabs(n_moved[k] - want) <= 6 * sqrt(want) + 0.05 * want);
		}
		ops->destroy(&t);
	}
}

/* Rendezvous: a member more takes its share from the others, and nothing else moves. */
static void rendezvous_moves_the_least(void **state)
{
	const struct sched_ops *ops = sched_ops_of(MR_SCHED_RENDEZVOUS);

	(void)state;
	for (unsigned has_weights = 0; has_weights < 2; has_weights++) {
		struct sched_member m[16];
		struct sched_table *small, *large;
		uint64_t random = 5;
		uint32_t cursor = 0, n_moved = 0;
		double share = 0;

		make_members(m, 16, has_weights);
		small = build(ops, m, 15);
		large = build(ops, m, 16);
		for (unsigned k = 0; k < 16; k++)
			share += m[k].weight;
		share = m[15].weight / share;
		for (unsigned k = 0; k < N_FLOWS; k++) {
			const uint64_t hash = next_random(&random);
			const uint32_t now = pick(ops, large, hash, &cursor);

			if (now == 15)
				n_moved++;
			else
				assert_int_equal(pick(ops, small, hash, &cursor), now);
		}
		assert_true(fabs(n_moved - share * N_FLOWS) < 5 * sqrt(share * N_FLOWS));
		ops->destroy(&small);
		ops->destroy(&large);
	}
}

/* Flows come and go at random: the choice is always one of the least loaded, as a naive search says. */
static void least_connections_are_least(void **state)
{
	static uint32_t flows[N_MAX * 50];

	(void)state;
	for (unsigned is_weighted = 0; is_weighted < 2; is_weighted++) {
		const struct sched_ops *ops =
			sched_ops_of(is_weighted ? MR_SCHED_WLC : MR_SCHED_LC);
		struct sched_member m[N_MAX];
		struct sched_table *t;
		uint64_t random = 2;
		uint32_t cursor = 0, n = 0;

		make_members(m, N_MAX, true);
		m[9].is_available = false;
		memset(tallies, 0, sizeof(tallies));
		tallies[9].conns = 5; /* its flows go on */
		t = build(ops, m, N_MAX);
		for (unsigned step = 0; step < 50000; step++) {
			if (n == RTE_DIM(flows) || (n > 0 && next_random(&random) % 9 < 4)) {
				const uint32_t at = (uint32_t)(next_random(&random) % n);

				tallies[flows[at]].conns--;
				flows[at] = flows[--n];
				continue;
			}
			flows[n] = pick(ops, t, 0, &cursor);
			for (unsigned k = 0; k < N_MAX; k++) {
				const uint64_t w = is_weighted ? m[k].weight : 1,
					       v = is_weighted ? m[flows[n]].weight : 1;

				if (k != 9)
					assert_true((tallies[flows[n]].conns + 1) * w
						<= (tallies[k].conns + 1) * v);
			}
			assert_int_not_equal(flows[n], 9);
			tallies[flows[n++]].conns++;
		}
		ops->destroy(&t);
	}
}

/* Equal loads are taken in turn: the first flows of a quiet service do not meet at one member. */
static void equal_members_take_turns(void **state)
{
	const struct sched_ops *ops = sched_ops_of(MR_SCHED_LC);
	struct sched_member m[8];
	struct sched_table *t;
	uint32_t cursor = 0, n[8] = {0};

	(void)state;
	make_members(m, 8, false);
	memset(tallies, 0, sizeof(tallies));
	t = build(ops, m, 8);
	for (unsigned k = 0; k < 80; k++)
		n[pick(ops, t, 0, &cursor)]++; /* each ends before the next begins */
	for (unsigned k = 0; k < 8; k++)
		assert_int_equal(n[k], 10);
	ops->destroy(&t);
}

/* The fullest of 64 members has at most a few more than its share where two are looked at; with one look it
 * would be about 4 standard deviations, 160 of 1,562. */
static void two_choices_are_far_more_even_than_one(void **state)
{
	const struct sched_ops *ops = sched_ops_of(MR_SCHED_P2C);
	struct sched_member m[N_MAX];
	struct sched_table *t;
	uint64_t random = 8, max = 0;
	uint32_t cursor = 0;

	(void)state;
	make_members(m, N_MAX, false);
	memset(tallies, 0, sizeof(tallies));
	t = build(ops, m, N_MAX);
	for (unsigned k = 0; k < N_FLOWS; k++)
		tallies[pick(ops, t, next_random(&random), &cursor)].conns++;
	for (unsigned k = 0; k < N_MAX; k++)
		max = tallies[k].conns > max ? tallies[k].conns : max;
	assert_true(max <= N_FLOWS / N_MAX + 8);
	ops->destroy(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_those_of_the_configuration),
		cmocka_unit_test(only_available_members_are_chosen),
		cmocka_unit_test(shares_follow_the_weights),
		cmocka_unit_test(a_member_down_moves_its_own_flows_only),
		cmocka_unit_test(rendezvous_moves_the_least),
		cmocka_unit_test(least_connections_are_least),
		cmocka_unit_test(equal_members_take_turns),
		cmocka_unit_test(two_choices_are_far_more_even_than_one),
	};

	return cmocka_run_group_tests_name("schedulers", tests, NULL, NULL);
}
