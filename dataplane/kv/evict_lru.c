/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict_lru — the least recently used goes, nearly. The state is when an item was last asked for, in ticks; one is a part of
 * the time in which the memory is written once. An item of the oldest segment stays if that was in the nearer half of what
 * its segment has seen; so none goes that was asked for a moment ago, and few stay much longer than they would in a list
 * that each reader changes.
 */
#include "kv/evict.h"

#define TICKS 64u /* in the time in which the memory is written once */

static uint8_t now(const struct evict *e)
{
	/* sequence numbers of segments count what is written */
	return (uint8_t)(__atomic_load_n(&e->pool->seq, __ATOMIC_RELAXED) * (uint64_t)TICKS
		/ e->pool->n);
}

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	const uint8_t tick = now(e);

	for (unsigned i = 0; i < n; i++)
		if (probes[i].item != NULL && probes[i].state != tick)
			assoc_set_state(probes[i].slot, tick);
}

static struct evict_verdict admit(struct evict *e, uint64_t hash)
{
	(void)hash;
	return (struct evict_verdict){.is_kept = true, .state = now(e)};
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	(void)queue, (void)hash;
	return (struct evict_verdict){
		.is_kept = (uint8_t)(now(e) - state) < TICKS / 2, .state = state};
}

const struct evict_ops evict_lru = {
	.name = "lru",
	.on_hits = on_hits,
	.admit = admit,
	.next_queue = evict_first_queue,
	.decide = decide,
};
