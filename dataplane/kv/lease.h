/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lease — who is about to fetch a key anew, and since when: a small table that many threads read and write without a lock. It
 * forgets nothing that is in it before its time; what finds no room in it is not noted, and whoever asks then is told
 * LEASE_FULL.
 *
 * An entry is one word: 28 bits of the key's hash and when the lease was granted. With the 13 bits that choose a set of eight at
 * the most, two keys are taken for one once in 2^41 pairs; then one of them waits for the other's lease.
 *
 *  L1  takes of one key come one after the other: the caller holds what its stripe in the index guards (kv/assoc.h)
 *  L2  an entry is changed by one compare-and-exchange from what was read: two keys never get the same place
 */
#include <stdbool.h>
#include <stdint.h>

#define LEASE_WAYS 8u
#define LEASE_MIN 1024u
#define LEASE_MAX 65536u
#define LEASE_LATE \
	4u /* a store so many times the lease after its grant has nothing to do with it */

struct lease_table;

enum lease_result { LEASE_WON, LEASE_TAKEN, LEASE_FULL };

/* n: LEASE_MIN to LEASE_MAX, a power of two. Memory: cache-aligned and zeroed, the caller's. Context: before other threads. */
uint64_t lease_size(uint32_t n);
struct lease_table *lease_init(void *memory, uint32_t n);

/* Whether one is about it. now_ms: of the process, 1 or more; that of other threads may be a bit behind or ahead. Hot. */
bool lease_is_taken(const struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms);

/* Grants it, if nobody has it. L1. Hot. */
enum lease_result lease_take(
	struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms);

/* The key was stored, or is to be fetched anew whatever comes of the lease. L1. Hot. */
void lease_end(struct lease_table *t, uint64_t hash);

/* The key was stored: likewise, and how long it took since the grant goes into lease_took_ms(). L1. Hot. */
void lease_end_stored(struct lease_table *t, uint64_t hash, uint64_t now_ms, uint32_t lease_ms);

/* How long it takes from a grant to the store, on the average of the last ones; 0: nothing is known. Hot. */
uint32_t lease_took_ms(const struct lease_table *t);
