/* SPDX-License-Identifier: BSD-3-Clause */
/* bench_vip — packets to random services, against librte_hash on keys of the same bytes. */
#include "base/keyhash.h"
#include "lb/vip.h"
#include "shim.h"

#include <rte_hash.h>

#define N_PACKETS 4096u /* of different services, in turn */

struct ref_key {
	uint8_t ip[16];
	uint64_t tail;
};

struct vip {
	struct vip_table *table;
	struct rte_hash *hash;
	struct pkt p[N_PACKETS];
	struct ref_key keys[N_PACKETS];
	const void *key_ptrs[N_PACKETS];
};

static void set_packet(struct vip *x, unsigned i, const struct vip_entry *e)
{
	struct pkt *p = &x->p[i];

	p->family = e->ip.family;
	p->proto = e->proto;
	p->dport = rte_cpu_to_be_16(e->port);
	memcpy(p->dst, e->ip.bytes, sizeof(p->dst));
	memcpy(x->keys[i].ip, p->dst, sizeof(p->dst));
	x->keys[i].tail = (uint64_t)p->family << 32 | (uint64_t)p->proto << 16 | p->dport;
	x->key_ptrs[i] = &x->keys[i];
}

static void down(void *ctx)
{
	struct vip *x = ctx;

	vip_table_destroy(&x->table);
	rte_hash_free(x->hash);
	free(x);
}

static void *up(const struct bench_case *c)
{
	const struct rte_hash_parameters hp = {.name = "bench_vip",
		.entries = 2 * c->size,
		.key_len = sizeof(struct ref_key),
		.hash_func = keyhash_rte};
	struct vip_entry *e = shim_alloc(c->size * sizeof(*e));
	struct vip *x = shim_alloc(sizeof(*x));
	uint64_t seed = 3;

	for (uint32_t i = 0; i < c->size; i++) {
		e[i].ip = (struct mr_ip){
			.family = 4, .bytes = {10, 9, (uint8_t)(i >> 8), (uint8_t)i}};
		e[i].port = 80;
		e[i].proto = MR_PROTO_TCP;
		e[i].service_idx = i;
	}
	x->hash = rte_hash_create(&hp);
	if (x->hash == NULL || vip_table_create(&x->table, e, c->size) != 0) {
		down(x);
		return NULL;
	}
	for (unsigned i = 0; i < N_PACKETS; i++) {
		set_packet(x, i, &e[i < c->size ? i : shim_random(&seed) % c->size]);
		if (i < c->size)
			rte_hash_add_key(x->hash, &x->keys[i]);
	}
	for (unsigned i = 0; i < c->size; i++)
		set_packet(x, i, &e[shim_random(&seed) % c->size]);
	free(e);
	return x;
}

static unsigned find(void *ctx)
{
	struct vip *x = ctx;

	for (unsigned i = 0; i < N_PACKETS; i += SHIM_BURST)
		vip_find_bulk(x->table, &x->p[i], SHIM_BURST);
	for (unsigned i = 0; i < N_PACKETS; i += 512) {
		if (x->p[i].service_idx == VIP_NONE)
			return 0;
	}
	return N_PACKETS;
}

static unsigned find_ref(void *ctx)
{
	struct vip *x = ctx;
	int32_t position[SHIM_BURST];
	unsigned n = 0;

	for (unsigned i = 0; i < N_PACKETS; i += SHIM_BURST) {
		rte_hash_lookup_bulk(x->hash, &x->key_ptrs[i], SHIM_BURST, position);
		shim_use((uint64_t)position[0]);
		n += position[0] >= 0 ? SHIM_BURST : 0;
	}
	return n;
}

#define CASE(text, n) \
	{ \
		.name = "vip/find/" text, .size = (n), .up = up, .run = find, .ref = find_ref, \
		.down = down, .reference = "rte_hash_lookup_bulk, same keys" \
	}

static const struct bench_case cases[] = {CASE("16", 16), CASE("1k", 1000)};
BENCH_SUBJECT(bench_vip, cases);
