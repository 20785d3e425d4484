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
	evict_count_hits(probes, n, COUNT_MAX);
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	(void)e, (void)queue, (void)hash;
	return (struct evict_verdict){.is_kept = state > 0, .state = state / 2};
}

const struct evict_ops evict_lfu = {
	.name = "lfu",
	.on_hits = on_hits,
	.admit = evict_admit,
	.next_queue = evict_first_queue,
	.decide = decide,
};
