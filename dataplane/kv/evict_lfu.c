/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict_lfu — the least frequently used goes, with ageing: the state counts how often an item was asked for; each time the walk
 * comes by, it is halved, and an item that has none left goes. So what was popular once does not stay for ever.
 */
#include "kv/evict.h"

#define COUNT_MAX 255u

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	(void)e;
	for (unsigned i = 0; i < n; i++)
		if (probes[i].item != NULL && probes[i].state < COUNT_MAX)
			assoc_set_state(probes[i].slot, probes[i].state + 1);
}

static struct evict_verdict admit(struct evict *e, uint64_t hash)
{
	(void)e, (void)hash;
	return (struct evict_verdict){.is_kept = true};
}

static uint8_t next_queue(struct evict *e)
{
	(void)e;
	return 0;
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	(void)e, (void)queue, (void)hash;
	return (struct evict_verdict){.is_kept = state > 0, .state = state / 2};
}

const struct evict_ops evict_lfu = {
	.name = "lfu",
	.on_hits = on_hits,
	.admit = admit,
	.next_queue = next_queue,
	.decide = decide,
};
