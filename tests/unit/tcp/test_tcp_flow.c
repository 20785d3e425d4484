/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow table against a naive array of flags: random adds, deletes and lookups, up to more entries than it is made for. */
#include "base/keyhash.h"
#include "eal.h"
#include "tcp/tcp_flow.h"
#include "unit.h"

#include <stdlib.h>

#define N 4096u

struct entry {
	struct tcp_tuple tuple;
	uint32_t rest[6];
};

static struct entry tcbs[N], waits[N];
static bool is_in[2][N];

static void fill(struct entry *e, unsigned kind, uint32_t i)
{
	memset(e, 0, sizeof(*e));
	memcpy(e->tuple.src, &i, sizeof(i));
	e->tuple.sport = (rte_be16_t)(i * 7);
	e->tuple.dport = (rte_be16_t)kind;
	e->tuple.family = i % 3 == 0 ? 6 : 4;
}

static void look_for_all(const struct tcp_flow *f)
{
	for (unsigned kind = 0; kind < 2; kind++)
		for (uint32_t i = 0; i < N; i += 32) {
			uint32_t hashes[32], refs[32];
			struct tcp_tuple tuples[32];

			for (unsigned k = 0; k < 32; k++)
				tuples[k] = (kind ? waits : tcbs)[i + k].tuple;
			tcp_flow_find_bulk(f, tuples, 32, hashes, refs);
			for (unsigned k = 0; k < 32; k++)
				assert_int_equal(refs[k],
					is_in[kind][i + k] ? TCP_FLOW_REF(
						kind ? TCP_KIND_WAIT : TCP_KIND_TCB, i + k)
							   : TCP_FLOW_NONE);
		}
}

static void finds_what_is_in(void **state)
{
	const struct tcp_flow_array arrays[TCP_N_KINDS] = {
		[TCP_KIND_TCB] = {tcbs, sizeof(tcbs[0]), sizeof(tcbs[0])},
		[TCP_KIND_WAIT] = {waits, sizeof(waits[0]), sizeof(waits[0])}};
	struct tcp_flow *f;
	uint32_t n = 0, n_full = 0;

	(void)state;
	for (uint32_t i = 0; i < N; i++) {
		fill(&tcbs[i], 0, i);
		fill(&waits[i], 1, i);
	}
	assert_int_equal(tcp_flow_create(&f, N, arrays, SOCKET_ID_ANY), 0);
	srand(3);
	for (unsigned step = 0; step < 400000; step++) {
		const unsigned kind = (unsigned)rand() % 2;
		const uint32_t i = (uint32_t)rand() % N;
		const uint32_t ref = TCP_FLOW_REF(kind ? TCP_KIND_WAIT : TCP_KIND_TCB, i);
		/* now nearly empty, now with all 2 N entries, twice what it is made for */
		const bool wants = (unsigned)rand() % 100 < (step / 50000 % 2 ? 98u : 10u);

		if (is_in[kind][i] == wants)
			continue;
		if (!wants) {
			tcp_flow_del(f, ref);
		} else if (!tcp_flow_add(f, ref)) {
			n_full++;
			continue;
		}
		is_in[kind][i] = wants;
		n += wants ? 1u : -1u;
		if (step % 4096 == 0)
			look_for_all(f);
	}
	assert_int_equal(tcp_flow_count(f), n);
	look_for_all(f);
	assert_true(n_full > 0);
	for (unsigned kind = 0; kind < 2; kind++)
		for (uint32_t i = 0; i < N; i++)
			if (is_in[kind][i])
				tcp_flow_del(
					f, TCP_FLOW_REF(kind ? TCP_KIND_WAIT : TCP_KIND_TCB, i));
	assert_int_equal(tcp_flow_count(f), 0);
	memset(is_in, 0, sizeof(is_in));
	for (uint32_t i = 0; i < N; i++) { /* what it is made for fits */
		is_in[0][i] = tcp_flow_add(f, TCP_FLOW_REF(TCP_KIND_TCB, i));
		assert_true(is_in[0][i]);
	}
	look_for_all(f);
	tcp_flow_destroy(&f);
	assert_null(f);
}

/* A full table of the size that is meant. */
static void a_million_fit(void **state)
{
	const uint32_t n = 1000000;
	struct tcp_tuple *tuples = calloc(n, sizeof(*tuples));
	const struct tcp_flow_array arrays[TCP_N_KINDS] = {
		[TCP_KIND_TCB] = {tuples, sizeof(tuples[0]), sizeof(tuples[0])}};
	struct tcp_flow *f;

	(void)state;
	assert_int_equal(tcp_flow_create(&f, n, arrays, SOCKET_ID_ANY), 0);
	for (uint32_t i = 0; i < n; i++) {
		memcpy(tuples[i].src, &i, sizeof(i));
		assert_true(tcp_flow_add(f, TCP_FLOW_REF(TCP_KIND_TCB, i)));
	}
	for (uint32_t i = 0; i < n; i += 997)
		assert_int_equal(tcp_flow_find(f, &tuples[i]), TCP_FLOW_REF(TCP_KIND_TCB, i));
	tcp_flow_destroy(&f);
	free(tuples);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_is_in), cmocka_unit_test(a_million_fit)};

	keyhash_init_seed(7);
	if (eal_start("test_tcp_flow", 64) != 0)
		return 1;
	return cmocka_run_group_tests_name("tcp_flow", tests, NULL, NULL);
}
