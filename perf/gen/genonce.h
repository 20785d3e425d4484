/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genonce — things that have to be sent until each was answered, before anything is measured: flows that are begun, keys that are stored. They
 * go out in passes, slower when much was lost, and what was not answered goes out again. Of several threads each has a share of the things.
 */
#include "genrun.h"

struct genonce {
	uint32_t n; /* things are 0 to n - 1 */
	uint32_t share,
		n_shares;  /* of which those that are share modulo n_shares are this thread's */
	uint32_t *list;    /* of a pass */
	uint64_t *is_done; /* a bit for each thing */
	uint64_t first;    /* number of the pass's first frame */
};

/* n: at least 1; share is below n_shares. 0 or -ENOMEM; 4.2 bytes each. */
int genonce_create(struct genonce *o, uint32_t n, uint32_t share, uint32_t n_shares);
void genonce_destroy(struct genonce *o);

/* Hot. The thing that this frame of a pass is for. */
static inline uint32_t genonce_of(const struct genonce *o, uint64_t number)
{
	return o->list[number - o->first];
}

/* Hot. Its answer has come. */
static inline void genonce_answered(struct genonce *o, uint64_t number)
{
	const uint32_t thing = genonce_of(o, number);

	o->is_done[thing / 64] |= 1ull << thing % 64;
}

struct genonce_params {
	double rate;      /* of the first pass */
	const char *what; /* in progress lines */
};

/* Main thread. o: of each thread of r. 0 when all are answered; -EIO when a pass brought nothing or there were too many: *n_missing are not;
 * -EINTR, -ENOMEM. */
int genonce_run(struct genonce *const *o, struct genrun *r, const struct genonce_params *p,
	uint32_t *n_missing);
