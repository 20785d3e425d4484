/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mailbox — packets between threads: a square of single-producer single-consumer rings, one for
 * each ordered pair of ends. Ends 0 … n_workers-1 are the workers, end n_workers is the manager.
 * Each packet carries a pkt_note that says what to do with it. No locks, no system calls; a full
 * ring refuses and the sender counts a drop.
 */
#include <rte_mbuf.h>

struct mailbox;

/* Cold. Context: manager, before workers start. size: packets per ring, a power of two. 0, -EINVAL
 * or -ENOMEM. */
int mailbox_create(struct mailbox **out, unsigned n_ends, unsigned size);
void mailbox_destroy(struct mailbox **mb); /* frees packets still inside; NULL-safe, clears *mb */

/* Hot. Context: the thread that is end `from`. Returns how many of m[0..n) were taken, from the
 * front; the others still belong to the caller. */
unsigned mailbox_send_bulk(
	struct mailbox *mb, unsigned from, unsigned to, struct rte_mbuf **m, unsigned n);

/* Hot. Context: the thread that is end `from`. Less than a quarter of the ring is free: what can be done
 * without should not be sent. */
bool mailbox_is_crowded(struct mailbox *mb, unsigned from, unsigned to);

/* Hot. Context: the thread that is end `to`. Takes up to n packets, rings in turn. */
unsigned mailbox_receive_bulk(struct mailbox *mb, unsigned to, struct rte_mbuf **m, unsigned n);

/* Context: any thread; a moment's view. Packets now inside, all rings. */
unsigned mailbox_count(const struct mailbox *mb);
