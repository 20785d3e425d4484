/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kvverb — what reading that writes needs of writing, inside a cache; see kvverb.c. All of it by a writer's own thread.
 */
#include "kv/kv_pvt.h"

/* What is at hand about a key while its stripe is locked. */
struct kvverb_found {
	union assoc_slot *slot; /* NULL: not in the index */
	struct item *item;      /* NULL: not there, or dead */
	struct item *dead;      /* there, but expired or purged */
};

struct kvverb_found kvverb_find(struct kv_writer *w, const struct kv_key *key);

/* memcached's time of expiry on the cache's time line: 0 never, now or before: at once. */
uint32_t kvverb_when(const struct kv_writer *w, int64_t exptime);

/* Gives the item another time, its stripe locked; one that has passed takes it out of the index. */
void kvverb_touch(struct kv_writer *w, const struct kvverb_found *f, uint32_t when);

/* Stores an empty item with this `when` in place of what was found dead, if anything. -ENOSPC: the index wants
 * kvroom_give_index(); -ENOMEM. */
int kvverb_vivify(struct kv_writer *w, const struct kv_key *key, const struct kvverb_found *f,
	uint32_t when, uint64_t new_cas, struct item **it);
