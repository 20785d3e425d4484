/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_conn — the connection table with flows in random order, against librte_hash with its own default
 * hash on the same keys and no entries beside them. The table is as large as its flows, as on a machine sized
 * for its load.
 */
#include "lb/conn.h"
#include "shim.h"

#include <rte_hash.h>
#include <rte_ip.h>

#define BATCH 8192u

struct conn_bench {
	struct conn_table *table;
	struct rte_hash *hash;
	struct conn_key4 *k4; /* keys in the order they are asked for */
	struct conn_key6 *k6;
	uint32_t n, at;
	uint32_t *idx; /* entry of key i, for churn */
};

static void down(void *ctx)
{
	struct conn_bench *x = ctx;

	conn_table_destroy(&x->table);
	rte_hash_free(x->hash);
	free(x->k4);
	free(x->k6);
	free(x->idx);
	free(x);
}

static void set_key(struct conn_bench *x, uint32_t at, uint32_t flow)
{
	const uint32_t ip = rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 0) + flow / 8);
	const rte_be16_t sport = rte_cpu_to_be_16((uint16_t)(20000 + flow % 8 * 1237));

	if (x->k6 == NULL) {
		x->k4[at] = (struct conn_key4){.src = ip,
			.dst = RTE_BE32(RTE_IPV4(10, 9, 0, 1)),
			.sport = sport,
			.dport = RTE_BE16(80),
			.proto = MR_PROTO_TCP};
	} else {
		x->k6[at] = (struct conn_key6){.src = {0x20, 1, 0xd, 0xb8},
			.dst = {0xfd, 9, [15] = 1},
			.sport = sport,
			.dport = RTE_BE16(80),
			.proto = MR_PROTO_TCP};
		memcpy(x->k6[at].src + 12, &ip, 4);
	}
}

static const void *key_at(const struct conn_bench *x, uint32_t i)
{
	return x->k6 == NULL ? (const void *)&x->k4[i] : (const void *)&x->k6[i];
}

static uint32_t add(struct conn_bench *x, uint32_t i)
{
	return x->k6 == NULL ? conn_add4(x->table, &x->k4[i], 0)
			     : conn_add6(x->table, &x->k6[i], 0);
}

static bool fill(struct conn_bench *x)
{
	uint32_t *order = shim_shuffled(x->n);
	bool is_ok = true;

	for (uint32_t i = 0; i < x->n; i++)
		set_key(x, i, order[i]);
	free(order);
	/* entries in another order than the lookups'; 7919 is prime and divides none of the sizes */
	for (uint64_t i = 0; i < x->n && is_ok; i++) {
		const uint32_t at = (uint32_t)(i * 7919 % x->n);

		x->idx[at] = add(x, at);
		is_ok = x->idx[at] != CONN_NONE && rte_hash_add_key(x->hash, key_at(x, at)) >= 0;
	}
	return is_ok;
}

static void *up(const struct bench_case *c)
{
	const bool six = c->kind == 6;
	const struct conn_params p = {.n_max4 = six ? 64 : c->size + BATCH,
		.n_max6 = six ? c->size + BATCH : 64,
		.socket_id = SOCKET_ID_ANY};
	const struct rte_hash_parameters hp = {.name = "bench_conn",
		.entries = c->size + BATCH,
		.key_len = six ? sizeof(struct conn_key6) : sizeof(struct conn_key4),
		.socket_id = SOCKET_ID_ANY,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE};
	struct conn_bench *x = shim_alloc(sizeof(*x));

	x->n = c->size;
	if (six)
		x->k6 = shim_alloc(x->n * sizeof(x->k6[0]));
	else
		x->k4 = shim_alloc(x->n * sizeof(x->k4[0]));
	x->idx = shim_alloc(x->n * sizeof(x->idx[0]));
	x->hash = rte_hash_create(&hp);
	if (x->hash == NULL || conn_table_create(&x->table, &p) != 0 || !fill(x)) {
		down(x);
		return NULL;
	}
	return x;
}

/* The next burst of keys, going round. */
static uint32_t next_burst(struct conn_bench *x)
{
	const uint32_t at = x->at;

	x->at = at + 2 * SHIM_BURST > x->n ? 0 : at + SHIM_BURST;
	return at;
}

/* Lookup, and the entry's line read, as every packet does. */
static unsigned find(void *ctx)
{
	struct conn_bench *x = ctx;
	uint32_t idx[SHIM_BURST];

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		if (x->k6 == NULL)
			conn_find_bulk4(x->table, &x->k4[at], SHIM_BURST, idx);
		else
			conn_find_bulk6(x->table, &x->k6[at], SHIM_BURST, idx);
		for (unsigned k = 0; k < SHIM_BURST; k++) {
			if (idx[k] != x->idx[at + k])
				return 0;
			shim_use(conn_at(x->table, idx[k])->last_seen_ms);
		}
	}
	return BATCH;
}

static unsigned find_ref(void *ctx)
{
	struct conn_bench *x = ctx;
	const void *keys[SHIM_BURST];
	int32_t position[SHIM_BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		for (unsigned k = 0; k < SHIM_BURST; k++)
			keys[k] = key_at(x, at + k);
		rte_hash_lookup_bulk(x->hash, keys, SHIM_BURST, position);
		for (unsigned k = 0; k < SHIM_BURST; k++)
			n += position[k] >= 0;
	}
	return n == BATCH ? n : 0;
}

/* A flow ends and begins again, others in between. */
static unsigned churn(void *ctx)
{
	struct conn_bench *x = ctx;

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		for (unsigned k = 0; k < SHIM_BURST; k++)
			conn_del(x->table, x->idx[at + k]);
		for (unsigned k = 0; k < SHIM_BURST; k++) {
			x->idx[at + k] = add(x, at + k);
			if (x->idx[at + k] == CONN_NONE)
				return 0;
		}
	}
	return BATCH;
}

static unsigned churn_ref(void *ctx)
{
	struct conn_bench *x = ctx;

	for (unsigned i = 0; i < BATCH; i += SHIM_BURST) {
		const uint32_t at = next_burst(x);

		for (unsigned k = 0; k < SHIM_BURST; k++)
			rte_hash_del_key(x->hash, key_at(x, at + k));
		for (unsigned k = 0; k < SHIM_BURST; k++) {
			if (rte_hash_add_key(x->hash, key_at(x, at + k)) < 0)
				return 0;
		}
	}
	return BATCH;
}

#define FIND(family, text, flows) \
	{ \
		.name = "conn/find/ipv" #family "/" text, .size = (flows), .kind = (family), \
		.up = up, .run = find, .ref = find_ref, .down = down, \
		.reference = "rte_hash_lookup_bulk" \
	}
#define CHURN(text, flows) \
	{ \
		.name = "conn/del+add/ipv4/" text, .size = (flows), .kind = 4, .up = up, \
		.run = churn, .ref = churn_ref, .down = down, \
		.reference = "rte_hash_del_key, rte_hash_add_key" \
	}

static const struct bench_case cases[] = {
	FIND(4, "1k", 1000),
	FIND(4, "100k", 100000),
	FIND(4, "1M", 1000000),
	FIND(6, "1k", 1000),
	FIND(6, "1M", 1000000),
	CHURN("1k", 1000),
	CHURN("1M", 1000000),
};
BENCH_SUBJECT(bench_conn, cases);
