/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * maglev — consistent hashing by a lookup table, weighted, where changes of health move nothing but the slots
 * concerned, and changes of members or weights little more. After Eisenbud et al., "Maglev", NSDI 2016, section
 * 3.4: a table of prime size, a permutation of it for each member. Who gets a slot that several want is
 * decided otherwise (maglevfill.c).
 */
#include "lb/sched.h"

extern const struct sched_ops maglev_ops;

/* Slots a table for n members gets: the wish, or the smallest of a list of primes ≥ 100 × n. */
uint32_t maglev_size(uint32_t wish, unsigned n);

/* For tests and `explain`: number of slots, the slot of a hash, the backend of a slot. */
uint32_t maglev_n_slots(const struct sched_table *t);
uint32_t maglev_slot_backend(const struct sched_table *t, uint32_t slot);

/* Asks the cache for what a pick of this hash will read. Context: worker. */
void maglev_prefetch(const struct sched_table *t, uint64_t hash);
