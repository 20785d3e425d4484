/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * maglevfill — which member has which slot of a Maglev table when all are available. A function of the members
 * alone: the same from any history, on any box.
 */
#include <stdint.h>

#define MAGLEVFILL_NONE UINT16_MAX

struct maglevfill_member {
	uint64_t hash;   /* of its name: its permutation */
	uint32_t weight; /* 1 … 65,535 */
};

/* Fills base[n_slots], n_slots a prime below 2^24, with positions in m. n: 1 … 65,534, members that tie
 * are served in this order. 0 or -ENOMEM. Context: manager. */
int maglevfill_run(uint16_t *base, uint32_t n_slots, const struct maglevfill_member *m, uint32_t n);
