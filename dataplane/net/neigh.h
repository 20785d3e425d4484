/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * neigh — link-layer addresses of next hops, IPv4 and IPv6. The manager is the only writer: it
 * creates entries, sends ARP requests and neighbour solicitations, learns, ages, and keeps a few
 * packets for each unresolved next hop. Workers look next hops up in bulk and read a neighbour's MAC
 * address with one 64-bit load; the rest of a packet's way never takes a lock.
 *
 * A neigh_ref names an entry for longer than a burst (backends, connections): slot index and an
 * 8-bit age that changes when the slot gets a new owner, so that an old reference is detected, not
 * obeyed. Entries of backends and gateways are pinned and never given away.
 */
#include "core/worker.h"
#include "net/addr.h"

#define NEIGH_NONE UINT32_MAX
#define NEIGH_HOLD_DEFAULT 32 /* packets: what a busy client begins within one round trip of ARP */

/* slot word: MAC in the low 48 bits, age 8 bits, state 8 bits (0 = free, else enum mr_neigh_state) */
struct neigh_slot {
	uint64_t
		word; /* w: manager (release)  r: workers (relaxed: the word is the whole message) */
};

struct neigh_table {
	struct neigh_slot *slots;
	uint8_t *used; /* w: workers (relaxed, 1 = a packet used the entry)  r, cleared: manager */
	uint32_t n_slots;
	struct neigh_pvt *pvt; /* manager's half and the hash tables */
};

struct neigh_key {
	uint8_t ip[16];
	uint8_t family;
	uint8_t iface;
	uint8_t zero[6];
};

/* What a neighbour message says about an address on its link. */
struct neigh_claim {
	struct neigh_key key;
	struct rte_ether_addr mac;
	bool has_mac;
	bool is_override; /* may replace another MAC address */
	bool is_answer;   /* to a question of ours: the neighbour can be reached */
};

/* Cold. Context: manager, before workers start. hold_max: packets kept per unresolved neighbour.
 * output: how the manager sends a complete frame (production: mailbox to a worker; tests: capture). */
struct neigh_params {
	uint32_t n_slots;         /* default 65536 */
	uint32_t hold_max;        /* at least 1; NEIGH_HOLD_DEFAULT */
	struct rte_mempool *pool; /* for solicitations */
	const struct iface_set *ifaces;
	struct tally *tally; /* the manager's */
	void (*output)(void *ctx, unsigned iface, struct rte_mbuf *m);
	void *output_ctx;
};
int neigh_table_create(struct neigh_table **out, const struct neigh_params *p);
void neigh_table_destroy(struct neigh_table **t);

/* Hot. Context: worker (snapshot reader). ref[i] = reference, or NEIGH_NONE when unknown. */
void neigh_find_bulk(const struct neigh_table *t, const struct neigh_key *const *keys, unsigned n,
	uint32_t *ref);

/* MAC and state of ref in one word; 0 when the entry has a new owner. */
static inline uint64_t neigh_word(const struct neigh_table *t, uint32_t ref)
{
	const uint64_t word = __atomic_load_n(&t->slots[ref & 0xffffff].word, __ATOMIC_RELAXED);

	return (uint8_t)(word >> 48) == ref >> 24 ? word : 0;
}

/* The state of ref, enum mr_neigh_state, and its MAC where it has one; 0: unknown. Unlike neigh_fill() it is no
 * use of the entry. Context: worker. */
static inline unsigned neigh_look(
	const struct neigh_table *t, uint32_t ref, struct rte_ether_addr *mac)
{
	const uint64_t word = ref != NEIGH_NONE ? neigh_word(t, ref) : 0;

	memcpy(mac, &word, 6); /* little-endian: the low six bytes are the address */
	return (unsigned)(word >> 56);
}

/* Hot. Writes the destination MAC of ref. False when the entry is unresolved, failed or has a new
 * owner: hold the packet (worker: PKT_HOLD with the note). */
static inline bool neigh_fill(const struct neigh_table *t, uint32_t ref, struct rte_ether_addr *dst)
{
	const uint32_t idx = ref & 0xffffff;
	uint64_t word;
	uint32_t low;
	uint16_t high;

	_Static_assert(MR_NEIGH_STALE == MR_NEIGH_REACHABLE + 1, "one bit apart");
	if (ref == NEIGH_NONE)
		return false;
	word = __atomic_load_n(&t->slots[idx].word, __ATOMIC_RELAXED);
	/* opt: the age that it has, and a state of the two, at once */
	if (((uint32_t)(word >> 48) - (MR_NEIGH_REACHABLE << 8 | ref >> 24)) & ~0x100u)
		return false;
	low = (uint32_t)word; /* little-endian: the low six bytes are the address */
	high = (uint16_t)(word >> 32);
	memcpy(dst->addr_bytes, &low, 4);
	memcpy(dst->addr_bytes + 4, &high, 2);
	if (__atomic_load_n(&t->used[idx], __ATOMIC_RELAXED) == 0)
		__atomic_store_n(&t->used[idx], 1, __ATOMIC_RELAXED);
	return true;
}

/* Hot. The sender of m, an ARP request or neighbour solicitation that came in by iface, may be a neighbour
 * whose MAC address we do not know or no longer: then a copy of m goes to the manager (NOTE_LEARN). m is only
 * read. Context: worker. */
void neigh_notice(struct worker *w, const struct rte_mbuf *m, unsigned iface);

/* The rest: manager only. */

/* Finds or creates the entry, counts a pin, starts resolution. NEIGH_NONE when the table is full. */
uint32_t neigh_pin(struct neigh_table *t, const struct neigh_key *k, uint32_t now_ms);
void neigh_unpin(struct neigh_table *t, uint32_t ref);

/* A packet with NOTE_HOLD: resolve its next hop, keep or send it. conf: the running addresses. */
void neigh_hold(
	struct neigh_table *t, struct rte_mbuf *m, const struct addr_conf *conf, uint32_t now_ms);

/* A packet with NOTE_NEIGH (ARP reply, neighbour advertisement) or NOTE_LEARN: updates an entry that exists and
 * releases its held packets; claims for unknown entries are ignored. What is no answer to a question of ours
 * leaves a new MAC address STALE, to be verified. The mbuf is only read. */
void neigh_learn(struct neigh_table *t, const struct rte_mbuf *m, uint32_t now_ms);

/* Ageing, retries, hold time-outs: bounded work, call every few milliseconds. */
void neigh_run(struct neigh_table *t, const struct addr_conf *conf, uint32_t now_ms);

/* Packets now in hold queues. */
uint32_t neigh_held(const struct neigh_table *t);

/* Calls on_row for every entry. */
void neigh_walk(const struct neigh_table *t, uint32_t now_ms,
	void (*on_row)(void *ctx, const struct neigh_key *k, const struct rte_ether_addr *mac,
		unsigned state, uint32_t age_ms),
	void *ctx);
