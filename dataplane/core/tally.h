/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tally — per-worker counters: plain increments by their owner, summed by the manager. One struct
 * per worker plus one for the manager itself (index n_workers). 64-bit aligned loads do not tear
 * on the platforms DPDK supports; the manager reads them relaxed and may be a moment behind.
 */
#include "core/burst.h"
#include "core/stage.h"

#include <stdbool.h>

#define TALLY_FIELD(sym, unit, help) uint64_t sym;
struct tally {
	MR_COUNTERS(TALLY_FIELD)            /* w: owner  r: manager */
	uint64_t drops[PKT_N_DROPS];        /* w: owner  r: manager */
	uint64_t loops, busy_loops, sleeps; /* w: owner  r: manager */
	struct stage_times stages;          /* w: owner  r: manager */
} __rte_cache_aligned;

struct tally_set;

/* Cold. Context: manager, before workers start. n_workers + 1 zeroed structs. 0 or -ENOMEM. */
int tally_set_create(struct tally_set **out, unsigned n_workers);
void tally_set_destroy(struct tally_set **s); /* NULL-safe, clears *s */

/* The struct of worker id, or of the manager (id == n_workers). Lives as long as the set. */
struct tally *tally_of(struct tally_set *s, unsigned id);

/* Sums all structs into *sum. Context: manager. */
void tally_sum(struct tally_set *s, struct tally *sum);

/* Calls on_row for every counter and every drop reason, in list order. Context: manager. */
void tally_walk(const struct tally *sum,
	void (*on_row)(void *ctx, const char *name, const char *unit, bool is_drop, uint64_t value,
		const char *help),
	void *ctx);
