/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ghost — the hashes of what left a cache lately, for S3-FIFO: a table of fingerprints of fixed size in buckets of a cache line;
 * a new one replaces the oldest of its bucket. About as many as it was made for are remembered. Shared by all writers:
 * words are atomic and relaxed, and a race may forget one.
 */
#include <stdbool.h>
#include <stdint.h>

struct ghost;

/* Memory of a table for about n hashes. */
uint64_t ghost_size(uint64_t n);

/* Makes one in memory of that size, cache-aligned and zeroed, which stays the caller's. */
struct ghost *ghost_init(void *memory, uint64_t n);

/* Any thread. */
void ghost_add(struct ghost *g, uint64_t hash);

/* Whether it is there; it no longer is. Any thread. */
bool ghost_take(struct ghost *g, uint64_t hash);
