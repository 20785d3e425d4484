/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vip — see vip.h. Two immutable open-addressed tables at most a quarter full, keyed hash, linear probing. Address,
 * port, protocol and family of IPv4 are one word: hashed by one multiplication, compared at once. Those of IPv6 are
 * three. Nobody ever writes to a published table, so none of librte_hash's machinery for writers is needed, and building
 * one per generation is a malloc and n inserts; perf/micro shows both lookups side by side.
 *
 *  I1  an empty slot has tail 0; keys are unique
 */
#include "lb/vip.h"

#include "base/keyhash.h"

#include <errno.h>
#include <stdlib.h>

struct slot4 {
	uint64_t tail; /* family, protocol, port, address */
	uint32_t service_idx;
	uint32_t spare;
};

struct key6 {
	uint8_t ip[16];
	uint64_t tail; /* family, protocol, port, 0 */
};

struct slot6 {
	struct key6 key;
	uint32_t service_idx;
	uint32_t spare;
};

#define FOLD_BITS 12u

struct vip_table {
	uint64_t folds[(1u << FOLD_BITS) / 64]; /* bit fold_of(ip): an entry has such an address */
	uint32_t mask4, mask6;
	struct slot4 *v4;
	struct slot6 *v6;
};

/* Bits of the whole address, for a first look. Not keyed: who finds addresses that fold alike gets the lookup that
 * all others had without it. */
static inline uint32_t fold_of(const uint8_t *ip)
{
	uint64_t half[2];

	memcpy(half, ip, sizeof(half));
	return (uint32_t)((half[0] ^ half[1]) * 0x9e3779b97f4a7c15u >> (64 - FOLD_BITS));
}

static inline uint64_t tail_of(uint8_t family, uint8_t proto, rte_be16_t port)
{
	return (uint64_t)family << 56 | (uint64_t)proto << 48 | (uint64_t)port << 32;
}

static inline uint64_t key4_of(const uint8_t ip[4], uint64_t tail)
{
	uint32_t address;

	memcpy(&address, ip, sizeof(address));
	return tail | address;
}

/* The slot of the key, or the empty one where it would be. */
static inline uint32_t place4(const struct vip_table *t, uint64_t key)
{
	uint32_t at = (uint32_t)keyhash_word(key) & t->mask4;

	while (t->v4[at].tail != key && t->v4[at].tail != 0)
		at = (at + 1) & t->mask4;
	return at;
}

static inline uint32_t place6(const struct vip_table *t, const struct key6 *key)
{
	uint32_t at = (uint32_t)keyhash(key, sizeof(*key)) & t->mask6;

	while (t->v6[at].key.tail != 0 && memcmp(&t->v6[at].key, key, sizeof(*key)) != 0)
		at = (at + 1) & t->mask6;
	return at;
}

static inline uint32_t find4(
	const struct slot4 *slots, uint32_t mask, const uint8_t *ip, uint64_t tail)
{
	const uint64_t key = key4_of(ip, tail);
	uint32_t at = (uint32_t)keyhash_word(key) & mask;

	while (unlikely(slots[at].tail != key)) {
		if (slots[at].tail == 0)
			return VIP_NONE;
		at = (at + 1) & mask;
	}
	return slots[at].service_idx;
}

static __rte_noinline uint32_t find6(const struct vip_table *t, const uint8_t *ip, uint64_t tail)
{
	struct key6 key = {.tail = tail};
	const struct slot6 *s;

	memcpy(key.ip, ip, sizeof(key.ip));
	s = &t->v6[place6(t, &key)];
	return s->key.tail != 0 ? s->service_idx : VIP_NONE;
}

static uint32_t size_for(unsigned n)
{
	uint32_t size = 16;

	while (size < 4 * n)
		size *= 2;
	return size;
}

static int table_init(struct vip_table *t, const struct vip_entry *e, unsigned n)
{
	unsigned n4 = 0;

	for (unsigned i = 0; i < n; i++)
		n4 += e[i].ip.family == 4;
	t->mask4 = size_for(n4) - 1;
	t->mask6 = size_for(n - n4) - 1;
	t->v4 = calloc(t->mask4 + 1, sizeof(*t->v4));
	t->v6 = calloc(t->mask6 + 1, sizeof(*t->v6));
	return t->v4 == NULL || t->v6 == NULL ? -ENOMEM : 0;
}

/* -EEXIST: it is there and says something else. */
static int add(struct vip_table *t, const struct vip_entry *e)
{
	const uint64_t tail = tail_of(e->ip.family, e->proto, rte_cpu_to_be_16(e->port));
	const uint32_t fold = fold_of(e->ip.bytes);

	t->folds[fold / 64] |= 1ull << fold % 64;
	if (e->ip.family == 4) {
		const uint64_t key = key4_of(e->ip.bytes, tail);
		struct slot4 *s = &t->v4[place4(t, key)];

		if (s->tail != 0)
			return s->service_idx == e->service_idx ? 0 : -EEXIST;
		s->tail = key;
		s->service_idx = e->service_idx;
	} else {
		struct key6 key = {.tail = tail};
		struct slot6 *s;

		memcpy(key.ip, e->ip.bytes, sizeof(key.ip));
		s = &t->v6[place6(t, &key)];
		if (s->key.tail != 0)
			return s->service_idx == e->service_idx ? 0 : -EEXIST;
		s->key = key;
		s->service_idx = e->service_idx;
	}
	return 0;
}

int vip_table_create(struct vip_table **out, const struct vip_entry *e, unsigned n)
{
	struct vip_table *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return -ENOMEM;
	rc = table_init(t, e, n);
	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = add(t, &e[i]);
	if (rc == 0)
		*out = t;
	else
		vip_table_destroy(&t);
	return rc;
}

void vip_table_destroy(struct vip_table **t)
{
	if (*t != NULL) {
		free((*t)->v4);
		free((*t)->v6);
	}
	free(*t);
	*t = NULL;
}

/* One pass: a packet's slot does not depend on another's, so their misses overlap without being asked for. */
void vip_find_bulk(const struct vip_table *t, struct pkt *p, unsigned n)
{
	const struct slot4 *const v4 = t->v4;
	const uint32_t mask4 = t->mask4;

	for (unsigned i = 0; i < n; i++) {
		/* tail_of(family, proto, dport), which stand behind one another */
		const uint64_t tail = pkt_ports(&p[i]) >> 16 << 32;

		if (unlikely(p[i].verdict != PKT_UNSEEN))
			continue;
		p[i].service_idx = likely(p[i].family == 4) ? find4(v4, mask4, p[i].dst, tail)
							    : find6(t, p[i].dst, tail);
	}
}

static inline uint32_t find_source(const struct vip_table *t, const struct pkt *p, uint64_t tail)
{
	return p->family == 4 ? find4(t->v4, t->mask4, p->src, tail) : find6(t, p->src, tail);
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
