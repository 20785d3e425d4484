/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict_s3fifo — S3-FIFO (Yang et al., SOSP 2023). New items go to a small queue, a tenth of the memory; those that are asked
 * for more than once there move to the main queue, the others go and leave their hash in a ghost table. What comes again
 * while its ghost is there goes to the main queue at once. In the main queue an item that was asked for goes round again,
 * with one less of its count of at most three.
 */
#include "kv/evict.h"
#include "kv/ghost.h"

#define SMALL 0
#define MAIN 1
#define SMALL_SHARE 10u /* one in so many segments */
#define COUNT_MAX 3u

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	(void)e;
	evict_count_hits(probes, n, COUNT_MAX);
}

static struct evict_verdict admit(struct evict *e, uint64_t hash)
{
	return (struct evict_verdict){
		.is_kept = true, .queue = ghost_take(e->ghost, hash) ? MAIN : SMALL};
}

static uint8_t next_queue(struct evict *e)
{
	const struct seg_pool *p = e->pool;
	const uint32_t n_small = __atomic_load_n(&p->n_queue[SMALL], __ATOMIC_RELAXED);
	const uint32_t n_main = __atomic_load_n(&p->n_queue[MAIN], __ATOMIC_RELAXED);

	if (n_small * SMALL_SHARE >= n_small + n_main)
		return seg_has_sealed(p, SMALL) ? SMALL : MAIN;
	return seg_has_sealed(p, MAIN) ? MAIN : SMALL;
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	if (queue == MAIN)
		return (struct evict_verdict){
			.is_kept = state > 0, .queue = MAIN, .state = state > 0 ? state - 1 : 0};
	if (state > 1)
		return (struct evict_verdict){.is_kept = true, .queue = MAIN};
	ghost_add(e->ghost, hash);
	return (struct evict_verdict){.is_kept = false};
}

const struct evict_ops evict_s3fifo = {
	.name = "s3fifo",
	.has_ghost = true,
	.on_hits = on_hits,
	.admit = admit,
	.next_queue = next_queue,
	.decide = decide,
};
