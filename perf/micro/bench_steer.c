/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_steer — which worker owns a packet whose device computed no RSS hash. */
#include "core/nic.h"
#include "shim.h"

#include <rte_hash_crc.h>

#define N_PACKETS 256u
#define ROUNDS 4u

struct steer {
	struct pkt p[N_PACKETS];
};

static void *up(const struct bench_case *c)
{
	struct steer *x = shim_alloc(sizeof(*x));
	uint64_t seed = 5;

	for (unsigned i = 0; i < N_PACKETS; i++) {
		struct pkt *p = &x->p[i];

		p->family = (uint8_t)c->kind;
		for (unsigned k = 0; k < (c->kind == 4 ? 4 : 16); k++) {
			p->src[k] = (uint8_t)(shim_random(&seed) >> 56);
			p->dst[k] = (uint8_t)(shim_random(&seed) >> 56);
		}
		p->sport = (uint16_t)shim_random(&seed);
		p->dport = (uint16_t)shim_random(&seed);
	}
	return x;
}

static unsigned softrss(void *ctx)
{
	const struct steer *x = ctx;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < N_PACKETS; i++)
			shim_use(nic_softrss(&x->p[i]));
	}
	return ROUNDS * N_PACKETS;
}

static unsigned crc(void *ctx)
{
	const struct steer *x = ctx;

	for (unsigned r = 0; r < ROUNDS; r++) {
		for (unsigned i = 0; i < N_PACKETS; i++) {
			const struct pkt *p = &x->p[i];
			const uint32_t len = p->family == 4 ? 4 : 16;

			shim_use(rte_hash_crc(p->src, len, rte_hash_crc(p->dst, len, p->sport)));
		}
	}
	return ROUNDS * N_PACKETS;
}

#define CASE(text, family) \
	{ \
		.name = "steer/softrss/" text, .kind = (family), .up = up, .run = softrss, \
		.ref = crc, .down = free, .reference = "rte_hash_crc of the addresses" \
	}

static const struct bench_case cases[] = {CASE("ipv4", 4), CASE("ipv6", 6)};
BENCH_SUBJECT(bench_steer, cases);
