/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * exact — eviction policies as their papers have them, with a list or a heap of items and a capacity in items: what the engine's
 * are measured against. One thread, no regard for speed.
 */
#include "kv/evict.h"

struct exact;

/* Keys are below n_keys. Ends the program when there is no memory. */
struct exact *exact_create(enum evict_policy policy, uint32_t capacity, uint32_t n_keys);
void exact_destroy(struct exact **x);

/* Whether the key is there; it is, afterwards. */
bool exact_get(struct exact *x, uint32_t key);
