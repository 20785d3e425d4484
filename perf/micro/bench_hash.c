/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_hash — the keyed hash of the tables, against the unkeyed ones that DPDK offers. */
#include "base/keyhash.h"
#include "shim.h"

#include <rte_hash_crc.h>
#include <rte_jhash.h>

#define N_KEYS 256u
#define ROUNDS 16u
#define KEY_MAX 40u

enum { CRC, JHASH };

struct hash {
	uint32_t len;
	uint32_t kind;
	uint8_t keys[N_KEYS][KEY_MAX];
};

static void *up(const struct bench_case *c)
{
	struct hash *x = shim_alloc(sizeof(*x));
	uint64_t seed = 1;

	x->len = c->size;
	x->kind = c->kind;
	for (unsigned i = 0; i < N_KEYS; i++) {
		for (unsigned k = 0; k < KEY_MAX; k++)
			x->keys[i][k] = (uint8_t)(shim_random(&seed) >> 56);
	}
	return x;
}

static unsigned keyed(void *ctx)
{
	const struct hash *x = ctx;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < N_KEYS; i++)
			shim_use(keyhash_rte(x->keys[i], x->len, 0));
	}
	return ROUNDS * N_KEYS;
}

static unsigned unkeyed(void *ctx)
{
	const struct hash *x = ctx;
	uint32_t (*const hash)(const void *, uint32_t, uint32_t) =
		x->kind == CRC ? rte_hash_crc : rte_jhash;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < N_KEYS; i++)
			shim_use(hash(x->keys[i], x->len, 0));
	}
	return ROUNDS * N_KEYS;
}

#define CASE(bytes, family, type, text) \
	{ \
		.name = "hash/keyed/" family "/" text, .size = (bytes), .kind = (type), .up = up, \
		.run = keyed, .ref = unkeyed, .down = free, .reference = "rte_" text \
	}

static const struct bench_case cases[] = {
	CASE(16, "ipv4", CRC, "hash_crc"),
	CASE(16, "ipv4", JHASH, "jhash"),
	CASE(40, "ipv6", CRC, "hash_crc"),
	CASE(40, "ipv6", JHASH, "jhash"),
};
BENCH_SUBJECT(bench_hash, cases);
