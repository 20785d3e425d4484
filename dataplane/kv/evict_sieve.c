/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evict_sieve — SIEVE (Zhang et al., NSDI 2024): a hand walks from the oldest item to the newest; what was asked for since it
 * came by last stays where it is, the others go. What is before the hand is one queue, what it has passed the other: survivors
 * go there in order, new items to the end of what is before it. When nothing is before the hand any more, it is
 * at the newest item and begins again at the oldest: the queues change places.
 */
#include "kv/evict.h"

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	(void)e;
	evict_count_hits(probes, n, 1);
}

static uint8_t ahead(const struct evict *e)
{
	return (uint8_t)__atomic_load_n(&e->ahead, __ATOMIC_RELAXED);
}

static struct evict_verdict admit(struct evict *e, uint64_t hash)
{
	(void)hash;
	return (struct evict_verdict){.is_kept = true, .queue = ahead(e)};
}

static uint8_t next_queue(struct evict *e)
{
	uint8_t queue = ahead(e);

	if (!seg_has_sealed(e->pool, queue)) {
		queue ^= 1;
		__atomic_store_n(&e->ahead, queue, __ATOMIC_RELAXED);
	}
	return queue;
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	(void)e, (void)hash;
	return (struct evict_verdict){.is_kept = state != 0, .queue = queue ^ 1};
}

const struct evict_ops evict_sieve = {
	.name = "sieve",
	.on_hits = on_hits,
	.admit = admit,
	.next_queue = next_queue,
	.decide = decide,
};
