/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * snapshot — the running configuration as one immutable pointer. The manager builds the next one
 * (may fail, nothing visible), publishes it with one release store, waits until every worker has
 * passed a quiescent point (liburcu QSBR), and then retires the old one. One opaque slot per module;
 * the owning module builds what is in it and offers the typed accessor, so lower layers never learn
 * upper types.
 *
 * What workers free themselves, the items of caches, goes by rte_rcu_qsbr beside it, whose tokens fit a poll loop. The
 * same calls report to both.
 */
#include <stdbool.h>
#include <stdint.h>

struct rte_rcu_qsbr;

enum snapshot_slot { SNAPSHOT_ADDR, SNAPSHOT_LB, SNAPSHOT_SERVE, SNAPSHOT_N_SLOTS };

struct snapshot {
	uint64_t generation;
	uint8_t digest[16];
	const void *slot[SNAPSHOT_N_SLOTS];
};

/* Context: any registered worker or the manager. Never NULL once the manager has published the
 * first one; the result lives until the caller's next snapshot_quiescent() or snapshot_offline(). */
const struct snapshot *snapshot_get(void);

/* Context: manager only. Replaces the running snapshot by next and returns after every registered
 * reader has let go of the old one (blocks; microseconds while workers poll, they are offline while
 * they sleep). Returns the old one, now private to the caller, NULL the first time. *wait_us, if not
 * NULL, gets the time from publication to the last reader's quiescent point. */
struct snapshot *snapshot_publish(struct snapshot *next, uint32_t *wait_us);

/* Context: manager only. Waits until all readers have passed a quiescent point: what was unlinked
 * before the call may be freed after it. */
void snapshot_synchronize(void);

/* Makes the grace periods of items, for readers 0 to n - 1; without this call there are none, and snapshot_items() is NULL.
 * Context: manager, before workers start, and after they have ended. 0 or -ENOMEM. */
int snapshot_items_create(unsigned n_readers);
void snapshot_items_destroy(void);
struct rte_rcu_qsbr *snapshot_items(void);

/* Reader life cycle. Context: each worker, once at start and end. id: its own among readers of items. */
void snapshot_reader_up(unsigned id);
void snapshot_reader_down(void);

/* The manager as a reader of items, for a moment: between the two it holds up no grace period but theirs. It is no reader
 * of the snapshot. Context: manager. */
void snapshot_items_enter(unsigned id);
void snapshot_items_leave(unsigned id);

/* Context: registered reader, holding nothing it got from snapshot_get(). One load and a store. */
void snapshot_quiescent(void);

/* Context: registered reader, around a sleep: the manager does not wait for an offline reader. */
void snapshot_offline(void);
void snapshot_online(void);
