/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_natport — SNAT ports of 16 addresses: taken and given back by short flows, and looked up by return
 * packets.
 */
#include "lb/conn.h"
#include "lb/natport.h"
#include "shim.h"

#define N_SLOTS 16u
#define N_HELD 4096u /* ports taken before the first is given back */
#define N_LOOKUPS 65536u

struct natport_bench {
	struct natport *ports;
	uint16_t stack[65536];
	uint32_t n_stack;
	uint16_t held[N_HELD];
	uint32_t lookups[N_LOOKUPS]; /* slot << 16 | port */
	uint32_t *owner;             /* of a bare array of the same size */
};

static void down(void *ctx)
{
	struct natport_bench *x = ctx;

	natport_destroy(&x->ports);
	free(x->owner);
	free(x);
}

enum { CHURN, FIND };

static void *up(const struct bench_case *c)
{
	struct natport_bench *x = shim_alloc(sizeof(*x));
	uint64_t seed = 9;

	x->owner = shim_alloc(N_SLOTS * 65536 * sizeof(x->owner[0]));
	if (natport_create(&x->ports, 0, 1, N_SLOTS, 1) != 0) {
		down(x);
		return NULL;
	}
	for (uint32_t i = NATPORT_FIRST; i < 65536; i++)
		x->stack[x->n_stack++] = (uint16_t)i;
	for (unsigned s = 0; c->kind == FIND && s < N_SLOTS; s++) {
		while (natport_get(x->ports, s, MR_PROTO_TCP, 1) != 0)
			;
	}
	for (unsigned i = 0; i < N_LOOKUPS; i++) {
		const uint64_t r = shim_random(&seed);

		x->lookups[i] = (uint32_t)(r >> 60) << 16
			| (NATPORT_FIRST + (uint32_t)r % (65536 - NATPORT_FIRST));
	}
	return x;
}

static unsigned churn(void *ctx)
{
	struct natport_bench *x = ctx;

	for (unsigned i = 0; i < N_HELD; i++) {
		x->held[i] = natport_get(x->ports, i % N_SLOTS, MR_PROTO_TCP, i);
		if (x->held[i] == 0)
			return 0;
	}
	for (unsigned i = 0; i < N_HELD; i++)
		natport_put(x->ports, i % N_SLOTS, MR_PROTO_TCP, x->held[i]);
	return N_HELD;
}

static unsigned stack(void *ctx)
{
	struct natport_bench *x = ctx;

	for (unsigned i = 0; i < N_HELD; i++) {
		x->held[i] = x->stack[--x->n_stack];
		x->owner[x->held[i]] = i;
		shim_use(x->n_stack);
	}
	for (unsigned i = 0; i < N_HELD; i++) {
		x->owner[x->held[i]] = CONN_NONE;
		x->stack[x->n_stack++] = x->held[i];
		shim_use(x->n_stack);
	}
	return N_HELD;
}

/* As lb_return() does: all of a burst prefetched, then looked up. */
static unsigned find(void *ctx)
{
	struct natport_bench *x = ctx;
	uint32_t n_none = 0;

	for (unsigned i = 0; i < N_LOOKUPS; i += SHIM_BURST) {
		const uint32_t *at = &x->lookups[i], *owner[SHIM_BURST];

		for (unsigned k = 0; k < SHIM_BURST; k++) {
			owner[k] = natport_at(x->ports, at[k] >> 16, MR_PROTO_TCP, (uint16_t)at[k]);
			rte_prefetch0(owner[k]);
		}
		for (unsigned k = 0; k < SHIM_BURST; k++)
			n_none += *owner[k] == CONN_NONE;
	}
	return n_none == 0 ? N_LOOKUPS : 0;
}

static unsigned index_ref(void *ctx)
{
	struct natport_bench *x = ctx;

	for (unsigned i = 0; i < N_LOOKUPS; i++)
		shim_use(x->owner[x->lookups[i]]);
	return N_LOOKUPS;
}

static const struct bench_case cases[] = {
	{.name = "natport/get+put",
		.kind = CHURN,
		.up = up,
		.run = churn,
		.ref = stack,
		.down = down,
		.reference = "push and pop of an array"},
	{.name = "natport/find/1M",
		.kind = FIND,
		.up = up,
		.run = find,
		.ref = index_ref,
		.down = down,
		.reference = "reading an array at random"},
};
BENCH_SUBJECT(bench_natport, cases);
