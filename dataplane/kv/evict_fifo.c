/* SPDX-License-Identifier: BSD-3-Clause */
/* evict_fifo — the oldest goes, whether it was asked for or not. */
#include "kv/evict.h"

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	(void)e, (void)probes, (void)n;
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
	(void)e, (void)queue, (void)hash, (void)state;
	return (struct evict_verdict){.is_kept = false};
}

const struct evict_ops evict_fifo = {
	.name = "fifo",
	.on_hits = on_hits,
	.admit = admit,
	.next_queue = next_queue,
	.decide = decide,
};
