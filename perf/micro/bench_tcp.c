/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_tcp — TCP's flow table: a burst of segments of flows in random order finds its connections, whose first line is read in
 * doing so; against librte_hash with its own default hash on the same keys and no entries beside them.
 */
#include "shim.h"
#include "tcp/tcb.h"

#include <rte_hash.h>

#define BATCH 8192u

struct tcp_bench {
	struct tcp_flow *flow;
	struct rte_hash *hash;
	struct tcb *tcbs;
	struct tcp_tuple *asked; /* in the order they are asked for */
	uint32_t *idx;           /* of tcbs, for each */
	uint32_t n, at;
};

static void down(void *ctx)
{
	struct tcp_bench *x = ctx;

	tcp_flow_destroy(&x->flow);
	rte_hash_free(x->hash);
	free(x->tcbs);
	free(x->asked);
	free(x->idx);
	free(x);
}

static bool fill(struct tcp_bench *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const uint32_t ip = rte_cpu_to_be_32(0x0a000000 + i / 8);
		struct tcp_tuple *tuple = &x->tcbs[i].tuple;

		memcpy(tuple->src, &ip, sizeof(ip));
		tuple->sport = rte_cpu_to_be_16((uint16_t)(20000 + i % 8 * 1237));
		tuple->dport = RTE_BE16(11211);
		tuple->family = 4;
		if (!tcp_flow_add(x->flow, TCP_FLOW_REF(TCP_KIND_TCB, i))
			|| rte_hash_add_key(x->hash, tuple) < 0)
			return false;
	}
	for (uint32_t i = 0; i < x->n; i++)
		x->asked[i] = x->tcbs[x->idx[i]].tuple;
	return true;
}

static void *up(const struct bench_case *c)
{
	struct tcp_flow_array arrays[TCP_N_KINDS] = {0};
	const struct rte_hash_parameters hp = {.name = "bench_tcp",
		.entries = c->size + BATCH,
		.key_len = sizeof(struct tcp_tuple),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
	struct tcp_bench *x = shim_alloc(sizeof(*x));

	x->n = c->size;
	x->tcbs = shim_alloc(x->n * sizeof(x->tcbs[0]));
	x->asked = shim_alloc(x->n * sizeof(x->asked[0]));
	x->idx = shim_shuffled(x->n);
	x->hash = rte_hash_create(&hp);
	arrays[TCP_KIND_TCB] = (struct tcp_flow_array){x->tcbs, sizeof(x->tcbs[0])};
	if (x->hash == NULL || tcp_flow_create(&x->flow, x->n, arrays, SOCKET_ID_ANY) != 0
		|| !fill(x)) {
		down(x);
		return NULL;
	}
	return x;
}

/* The next burst, going round. */
static uint32_t next_burst(struct tcp_bench *x)
{
	const uint32_t at = x->at;

	x->at = at + 2 * SHIM_BURST > x->n ? 0 : at + SHIM_BURST;
	return at;
}

static unsigned find(void *ctx)
{
	struct tcp_bench *x = ctx;
	uint32_t hashes[SHIM_BURST], refs[SHIM_BURST];

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		tcp_flow_find_bulk(x->flow, &x->asked[at], SHIM_BURST, hashes, refs);
		for (unsigned k = 0; k < SHIM_BURST; k++)
			if (refs[k] != TCP_FLOW_REF(TCP_KIND_TCB, x->idx[at + k]))
				return 0;
	}
	return BATCH;
}

static unsigned find_ref(void *ctx)
{
	struct tcp_bench *x = ctx;
	const void *keys[SHIM_BURST];
	int32_t position[SHIM_BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		for (unsigned k = 0; k < SHIM_BURST; k++)
			keys[k] = &x->asked[at + k];
		if (rte_hash_lookup_bulk(x->hash, keys, SHIM_BURST, position) != 0)
			return 0;
		for (unsigned k = 0; k < SHIM_BURST; k++)
			n += position[k] >= 0;
	}
	return n;
}

#define CASE(n, text) \
	{ \
		.name = "tcp/find/" text, .size = (n), .up = up, .run = find, .ref = find_ref, \
		.down = down, .reference = "rte_hash_lookup_bulk" \
	}

static const struct bench_case cases[] = {CASE(10000, "10k"), CASE(1000000, "1M")};
BENCH_SUBJECT(bench_tcp, cases);
