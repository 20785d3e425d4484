/* SPDX-License-Identifier: BSD-3-Clause */
/* evict_fifo — the oldest goes, whether it was asked for or not. */
#include "kv/evict.h"

static void on_hits(const struct evict *e, struct assoc_probe *probes, unsigned n)
{
	(void)e, (void)probes, (void)n;
}

static struct evict_verdict decide(struct evict *e, uint8_t queue, uint64_t hash, uint8_t state)
{
	(void)e, (void)queue, (void)hash, (void)state;
	return (struct evict_verdict){.is_kept = false};
}

const struct evict_ops evict_fifo = {
	.name = "fifo",
	.on_hits = on_hits,
	.admit = evict_admit,
	.next_queue = evict_first_queue,
	.decide = decide,
};
