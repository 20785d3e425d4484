/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mbufs — how many packet buffers and how much memory the process needs, and the one pool. All sizes
 * follow from the options; running out is met at start, not in traffic. Context: main thread at start.
 */
#include "core/opt.h"

#include <rte_mempool.h>

#define MBUFS_MAILBOX_SIZE 1024u      /* packets in each ring of the mailbox square */
#define MBUFS_FRAGMENTS_HELD_MAX 256u /* packets of a worker that wait for their first fragment */

/* Buffers that queues, rings, hold queues and caches can hold at one time. o: resolved. Pure. */
uint32_t mbufs_need(const struct opt *o);

/* Memory for the pool and the tables, with some room. o: resolved, n_mbufs set. Pure. */
uint32_t mbufs_memory_mb(const struct opt *o);

struct mbufs_huge {
	uint64_t free_mb; /* all sizes */
	uint64_t page_kb; /* smallest size: what vm.nr_hugepages counts; 0 = no hugepages */
	uint64_t n_pages; /* of that size, now reserved */
};

/* What the kernel has. */
void mbufs_huge_find(struct mbufs_huge *huge);

/* Fills n_mbufs and memory_mb where they were left open; checks them where not, and that there are
 * hugepages enough if they are to be used. 0, -EINVAL or -ENOMEM with a sentence in err. Pure. */
int mbufs_plan(struct opt *o, const struct mbufs_huge *huge, char *err, size_t err_size);

/* 0 or -errno, logged with the option to change. Context: after EAL. */
int mbufs_create(struct rte_mempool **out, const struct opt *o);
void mbufs_destroy(struct rte_mempool **pool); /* NULL-safe, clears *pool */
