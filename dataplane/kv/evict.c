/* SPDX-License-Identifier: BSD-3-Clause */
/* evict — see evict.h. */
#include "kv/evict.h"

const struct evict_ops *const evict_policies[EVICT_N] = {
	[EVICT_FIFO] = &evict_fifo,
	[EVICT_LRU] = &evict_lru,
	[EVICT_LFU] = &evict_lfu,
	[EVICT_S3FIFO] = &evict_s3fifo,
	[EVICT_SIEVE] = &evict_sieve,
};

enum evict_policy evict_find(const char *name)
{
	unsigned i;

	for (i = 0; i < EVICT_N; i++)
		if (strcmp(evict_policies[i]->name, name) == 0)
			break;
	return (enum evict_policy)i;
}

struct evict_verdict evict_admit(struct evict *e, uint64_t hash)
{
	(void)e, (void)hash;
	return (struct evict_verdict){.is_kept = true};
}

uint8_t evict_first_queue(struct evict *e)
{
	(void)e;
	return 0;
}
