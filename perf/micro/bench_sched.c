/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_sched — picking a backend, and building the tables picked from. The reference for Maglev's build is
 * the paper's own loop (Eisenbud et al., NSDI 2016, pseudocode 1): no weights, no second layer.
 */
#include "lb/balance.h"
#include "shim.h"

#include <rte_jhash.h>

#define N_PICKS 4096u
#define N_SLOTS 65537u

#define HAS_WEIGHTS 0x100 /* beside enum mr_sched: 1 to 4, else all 1 */

struct sched_bench {
	const struct sched_ops *ops;
	struct sched_member *members;
	unsigned n, n_members;
	struct sched_params params;
	struct sched_table *table;
	uint64_t hashes[N_PICKS];
	uint32_t cursor;
	struct lb_backend_tally *tallies;
	int32_t entry[N_SLOTS]; /* of the reference */
	uint32_t *at, *skip;
};

static void down(void *ctx)
{
	struct sched_bench *x = ctx;

	if (x->table != NULL)
		x->ops->destroy(&x->table);
	free(x->members);
	free(x->tallies);
	free(x->at);
	free(x->skip);
	free(x);
}

static void *up(const struct bench_case *c)
{
	static const uint8_t key[16] = {1};
	struct sched_bench *x = shim_alloc(sizeof(*x));
	uint64_t seed = 11;

	x->ops = sched_ops_of((unsigned)c->kind & 0xff);
	x->n = x->n_members = c->size;
	x->tallies = shim_alloc(x->n * sizeof(x->tallies[0]));
	x->members = shim_alloc(x->n * sizeof(x->members[0]));
	x->at = shim_alloc(x->n * sizeof(x->at[0]));
	x->skip = shim_alloc(x->n * sizeof(x->skip[0]));
	x->params =
		(struct sched_params){.hash_key = key, .maglev_size = N_SLOTS, .service = "bench"};
	for (unsigned i = 0; i < x->n; i++) {
		struct sched_member *m = &x->members[i];

		*m = (struct sched_member){.backend_idx = i, .weight = 1, .is_available = true};
		x->tallies[i].conns = shim_random(&seed) % 64;
		if (c->kind & HAS_WEIGHTS)
			m->weight = (uint16_t)(1 + i % 4);
		snprintf(m->name, sizeof(m->name), "pool/backend-%u", i);
	}
	for (unsigned i = 0; i < N_PICKS; i++)
		x->hashes[i] = shim_random(&seed);
	if (x->ops->build(&x->table, x->members, x->n, &x->params, NULL) != 0) {
		down(x);
		return NULL;
	}
	return x;
}

static unsigned pick(void *ctx)
{
	struct sched_bench *x = ctx;

	for (unsigned i = 0; i < N_PICKS; i++) {
		const struct sched_ask ask = {x->hashes[i], &x->cursor, x->tallies};

		shim_use(x->ops->pick(x->table, &ask));
	}
	return N_PICKS;
}

static unsigned pick_ref(void *ctx)
{
	struct sched_bench *x = ctx;

	for (unsigned i = 0; i < N_PICKS; i++)
		shim_use((uint64_t)x->entry[(uint32_t)(((x->hashes[i] >> 32) * N_SLOTS) >> 32)]);
	return N_PICKS;
}

static unsigned build(void *ctx)
{
	struct sched_bench *x = ctx;
	struct sched_table *t = NULL;

	if (x->ops->build(&t, x->members, x->n, &x->params, NULL) != 0)
		return 0;
	x->ops->destroy(&t);
	return 1;
}

/* What a failed check of one backend's health costs: the same members, one of them not available. */
static unsigned rebuild(void *ctx)
{
	struct sched_bench *x = ctx;
	struct sched_table *t = NULL;

	x->members[0].is_available = !x->members[0].is_available;
	if (x->ops->build(&t, x->members, x->n, &x->params, x->table) != 0)
		return 0;
	x->ops->destroy(&x->table);
	x->table = t;
	return 1;
}

/* What a backend that is removed from the file and added again costs, each time. */
static unsigned change_members(void *ctx)
{
	struct sched_bench *x = ctx;
	struct sched_table *t = NULL;

	x->n_members = x->n_members == x->n ? x->n - 1 : x->n;
	if (x->ops->build(&t, x->members, x->n_members, &x->params, x->table) != 0)
		return 0;
	x->ops->destroy(&x->table);
	x->table = t;
	return 1;
}

static unsigned change_weight(void *ctx)
{
	struct sched_bench *x = ctx;
	struct sched_table *t = NULL;

	x->members[0].weight = x->members[0].weight == 1 ? 2 : 1;
	if (x->ops->build(&t, x->members, x->n, &x->params, x->table) != 0)
		return 0;
	x->ops->destroy(&x->table);
	x->table = t;
	return 1;
}

static unsigned build_ref(void *ctx)
{
	struct sched_bench *x = ctx;
	unsigned n = 0;

	for (unsigned i = 0; i < x->n; i++) {
		const char *name = x->members[i].name;
		const uint32_t len = (uint32_t)strlen(name);

		x->at[i] = rte_jhash(name, len, 1) % N_SLOTS;
		x->skip[i] = rte_jhash(name, len, 2) % (N_SLOTS - 1) + 1;
	}
	memset(x->entry, 0xff, sizeof(x->entry));
	for (;;) {
		for (unsigned i = 0; i < x->n; i++) {
			while (x->entry[x->at[i]] >= 0)
				x->at[i] = (x->at[i] + x->skip[i]) % N_SLOTS;
			x->entry[x->at[i]] = (int32_t)i;
			if (++n == N_SLOTS)
				return 1;
		}
	}
}

#define PICK(text, type, backends) \
	{ \
		.name = text, .size = (backends), .kind = (type), .up = up, .run = pick, \
		.ref = pick_ref, .down = down, .reference = "one read of a table of 65,537" \
	}
#define BUILD(text, fn, backends) \
	{ \
		.name = text, .size = (backends), .kind = MR_SCHED_MAGLEV, .up = up, .run = fn, \
		.ref = build_ref, .down = down, .reference = "the paper's loop, unweighted" \
	}

static const struct bench_case cases[] = {
	PICK("maglev/pick/3", MR_SCHED_MAGLEV, 3),
	PICK("maglev/pick/100", MR_SCHED_MAGLEV, 100),
	PICK("maglev/pick/1000", MR_SCHED_MAGLEV, 1000),
	PICK("wrr/pick/100", MR_SCHED_WRR | HAS_WEIGHTS, 100),
	PICK("rr/pick/100", MR_SCHED_RR, 100),
	PICK("wlc/pick/10", MR_SCHED_WLC | HAS_WEIGHTS, 10),
	PICK("wlc/pick/100", MR_SCHED_WLC | HAS_WEIGHTS, 100),
	PICK("p2c/pick/100", MR_SCHED_P2C | HAS_WEIGHTS, 100),
	PICK("sh/pick/100", MR_SCHED_SH | HAS_WEIGHTS, 100),
	PICK("rendezvous/pick/10", MR_SCHED_RENDEZVOUS, 10),
	PICK("rendezvous/pick/100", MR_SCHED_RENDEZVOUS, 100),
	PICK("rendezvous/pick-weighted/10", MR_SCHED_RENDEZVOUS | HAS_WEIGHTS, 10),
	BUILD("maglev/build/3", build, 3),
	BUILD("maglev/build/10", build, 10),
	BUILD("maglev/build/100", build, 100),
	BUILD("maglev/build/1000", build, 1000),
	BUILD("maglev/build/10000", build, 10000),
	BUILD("maglev/one-removed/1000", change_members, 1000),
	BUILD("maglev/one-weight/1000", change_weight, 1000),
	BUILD("maglev/one-down/1000", rebuild, 1000),
};
BENCH_SUBJECT(bench_sched, cases);
