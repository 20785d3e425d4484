/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshot — see snapshot.h. One pointer and liburcu's QSBR flavour. The store that publishes pairs
 * with the load in snapshot_get(): a reader that sees the pointer sees everything built before it. A grace
 * period ends when every online reader has been at a quiescent point after it began; by then none can
 * hold the old pointer, which the manager may free.
 */
#include "core/snapshot.h"

#include "base/tsan.h"

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#include <urcu-qsbr.h>

#include <errno.h>
#include <time.h>

static const struct snapshot *running; /* w: manager (release)  r: workers (acquire) */
static char grace; /* only its address: the edge reader → manager for ThreadSanitizer */

static struct rte_rcu_qsbr *items;    /* w: manager while no reader runs  r: all */
static __thread unsigned item_reader; /* this thread among them */

const struct snapshot *snapshot_get(void)
{
	/* acquire, not consume: compilers promote it anyway, and on x86 it is a plain load */
	return __atomic_load_n(&running, __ATOMIC_ACQUIRE); /* pairs(snap-publish) */
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void snapshot_synchronize(void)
{
	urcu_qsbr_synchronize_rcu();
	TSAN_ACQUIRE(&grace);
}

struct snapshot *snapshot_publish(struct snapshot *next, uint32_t *wait_us)
{
	const uint64_t start = now_ns();
	union {
		const struct snapshot *in;
		struct snapshot *out;
	} old = {.in = running};

	__atomic_store_n(&running, next, __ATOMIC_RELEASE); /* pairs(snap-publish) */
	snapshot_synchronize();
	if (wait_us != NULL)
		*wait_us = (uint32_t)((now_ns() - start) / 1000);
	return old.out;
}

int snapshot_items_create(unsigned n_readers)
{
	items = rte_zmalloc("readers", rte_rcu_qsbr_get_memsize(n_readers), RTE_CACHE_LINE_SIZE);
	if (items == NULL)
		return -ENOMEM;
	return rte_rcu_qsbr_init(items, n_readers) == 0 ? 0 : -EINVAL;
}

void snapshot_items_destroy(void)
{
	rte_free(items);
	items = NULL;
}

struct rte_rcu_qsbr *snapshot_items(void)
{
	return items;
}

void snapshot_items_enter(unsigned id)
{
	rte_rcu_qsbr_thread_register(items, id);
	rte_rcu_qsbr_thread_online(items, id);
}

void snapshot_items_leave(unsigned id)
{
	TSAN_RELEASE(&items->acked_token);
	rte_rcu_qsbr_thread_offline(items, id);
	rte_rcu_qsbr_thread_unregister(items, id);
}

void snapshot_reader_up(unsigned id)
{
	urcu_qsbr_register_thread();
	item_reader = id;
	if (items != NULL)
		snapshot_items_enter(id);
}

void snapshot_reader_down(void)
{
	TSAN_RELEASE(&grace);
	urcu_qsbr_unregister_thread();
	if (items != NULL)
		snapshot_items_leave(item_reader);
}

void snapshot_quiescent(void)
{
	TSAN_RELEASE(&grace);
	urcu_qsbr_quiescent_state();
	if (items != NULL) {
		TSAN_RELEASE(&items->acked_token);
		rte_rcu_qsbr_quiescent(items, item_reader);
	}
}

void snapshot_offline(void)
{
	TSAN_RELEASE(&grace);
	urcu_qsbr_thread_offline();
	if (items != NULL) {
		TSAN_RELEASE(&items->acked_token);
		rte_rcu_qsbr_thread_offline(items, item_reader);
	}
}

void snapshot_online(void)
{
	urcu_qsbr_thread_online();
	if (items != NULL)
		rte_rcu_qsbr_thread_online(items, item_reader);
}
