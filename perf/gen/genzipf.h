/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genzipf — numbers below n as Zipf has them: i comes with a probability that goes with (i + 1)^-skew. Walker's alias method, tables built
 * as by Vose (1991): a draw is one cell of 8 bytes whatever n is, so that ten million keys are drawn at line rate, without a
 * shorter list of draws that would be repeated. With a skew of 0 there is no table.
 */
#include <stddef.h>
#include <stdint.h>

struct genzipf_cell {
	uint32_t limit; /* of the draw's low half: below it the cell's own number, else its alias */
	uint32_t alias;
};

struct genzipf {
	uint32_t n;
	struct genzipf_cell *cells; /* NULL: uniform */
};

/* n: at least 1. 0, or -ENOMEM: 8 bytes a number stay, 12 more are needed meanwhile. */
int genzipf_create(struct genzipf *z, uint32_t n, double skew);
void genzipf_destroy(struct genzipf *z);

/* Hot. random: 64 random bits. */
static inline uint32_t genzipf_draw(const struct genzipf *z, uint64_t random)
{
	const uint32_t i = (uint32_t)((random >> 32) * z->n >> 32);

	if (z->cells == NULL || (uint32_t)random < z->cells[i].limit)
		return i;
	return z->cells[i].alias;
}

/* Hot. Has the cell of a draw fetched, for one that follows: most are in no cache where n is large. */
static inline void genzipf_prefetch(const struct genzipf *z, uint64_t random)
{
	if (z->cells != NULL)
		__builtin_prefetch(&z->cells[(random >> 32) * z->n >> 32]);
}

/* Hot. The next 64 random bits (xorshift64*); the state is not 0. */
static inline uint64_t genzipf_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ull;
}
