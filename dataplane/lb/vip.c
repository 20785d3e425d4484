/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vip — see vip.h. An immutable open-addressed table at most a quarter full, keyed hash, linear probing;
 * keys of both families padded to 16 bytes plus port, protocol and family in one word. Nobody ever writes to a
 * published table, so none of librte_hash's machinery for writers is needed, and building one per
 * generation is a malloc and n inserts; perf/micro shows both lookups side by side.
 *
 *  I1  an empty slot has tail 0; keys are unique
 */
#include "lb/vip.h"

#include "base/keyhash.h"

#include <errno.h>
#include <stdlib.h>

struct key {
	uint8_t ip[16];
	uint64_t tail; /* family, protocol, port */
};

struct slot {
	struct key key;
	uint32_t service_idx;
	uint32_t spare;
};

#define FOLD_BITS 12u

struct vip_table {
	uint32_t mask;
	uint64_t folds[(1u << FOLD_BITS) / 64]; /* bit fold_of(ip): an entry has such an address */
	struct slot slots[];
};

/* Bits of the whole address, for a first look. Not keyed: who finds addresses that fold alike gets the lookup that
 * all others had without it. */
static inline uint32_t fold_of(const uint8_t *ip)
{
	uint64_t half[2];

	memcpy(half, ip, sizeof(half));
	return (uint32_t)((half[0] ^ half[1]) * 0x9e3779b97f4a7c15u >> (64 - FOLD_BITS));
}

static inline uint64_t tail_of(uint8_t family, uint8_t proto, uint16_t port_be)
{
	return (uint64_t)family << 32 | (uint64_t)proto << 16 | port_be;
}

int vip_table_create(struct vip_table **out, const struct vip_entry *e, unsigned n)
{
	struct vip_table *t;
	uint32_t size = 16;

	while (size < 4 * n)
		size *= 2;
	t = calloc(1, sizeof(*t) + size * sizeof(t->slots[0]));
	if (t == NULL)
		return -ENOMEM;
	t->mask = size - 1;
	for (unsigned i = 0; i < n; i++) {
		struct key key;
		uint32_t at;

		memcpy(key.ip, e[i].ip.bytes, 16);
		key.tail = tail_of(e[i].ip.family, e[i].proto, rte_cpu_to_be_16(e[i].port));
		at = (uint32_t)keyhash(&key, sizeof(key)) & t->mask;
		while (t->slots[at].key.tail != 0) {
			if (memcmp(&t->slots[at].key, &key, sizeof(key)) == 0)
				break;
			at = (at + 1) & t->mask;
		}
		if (t->slots[at].key.tail != 0 && t->slots[at].service_idx != e[i].service_idx) {
			free(t);
			return -EEXIST;
		}
		t->folds[fold_of(key.ip) / 64] |= 1ull << fold_of(key.ip) % 64;
		t->slots[at].key = key;
		t->slots[at].service_idx = e[i].service_idx;
	}
	*out = t;
	return 0;
}

void vip_table_destroy(struct vip_table **t)
{
	free(*t);
	*t = NULL;
}

/* What an empty slot or the key's own says, from slot `at` on. */
static inline uint32_t probe(const struct vip_table *t, uint32_t at, const struct key *key)
{
	const struct slot *s = &t->slots[at];

	while (s->key.tail != 0 && memcmp(&s->key, key, sizeof(*key)) != 0) {
		at = (at + 1) & t->mask;
		s = &t->slots[at];
	}
	return s->key.tail != 0 ? s->service_idx : VIP_NONE;
}

void vip_find_bulk(const struct vip_table *t, struct pkt *p, const uint8_t *sel, unsigned n)
{
	struct key keys[BURST_MAX];
	uint32_t at[BURST_MAX];

	for (unsigned i = 0; i < n; i++) {
		const struct pkt *x = &p[sel[i]];

		memcpy(keys[i].ip, x->dst, 16);
		keys[i].tail = tail_of(x->family, x->proto, x->dport);
		at[i] = (uint32_t)keyhash(&keys[i], sizeof(keys[i])) & t->mask;
		rte_prefetch0(&t->slots[at[i]]);
	}
	for (unsigned i = 0; i < n; i++)
		p[sel[i]].service_idx = probe(t, at[i], &keys[i]);
}

static inline uint32_t find_source(const struct vip_table *t, const struct pkt *p, uint64_t tail)
{
	struct key key = {.tail = tail};

	memcpy(key.ip, p->src, 16);
	return probe(t, (uint32_t)keyhash(&key, sizeof(key)) & t->mask, &key);
}

uint32_t vip_find_source(const struct vip_table *t, const struct pkt *p)
{
	return find_source(t, p, tail_of(p->family, p->proto, p->sport));
}

uint32_t vip_find_source_address(const struct vip_table *t, const struct pkt *p)
{
	const uint32_t fold = fold_of(p->src);

	/* opt: with up to some hundred addresses most others end here */
	if (likely(!(t->folds[fold / 64] >> fold % 64 & 1)))
		return VIP_NONE;
	return find_source(t, p, tail_of(p->family, 0, 0));
}

bool vip_has_source(const struct vip_table *t, const struct pkt *p)
{
	return vip_find_source_address(t, p) != VIP_NONE;
}
