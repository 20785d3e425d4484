/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * hotkey — which keys of a cache are asked for most, and how often in a second. Each worker has a sketch of fixed size, which it
 * feeds with a sample of its requests; the manager reads all of them while they are fed, and merges them.
 *
 * A rate is the mean over the last whole seconds, each counting half as much as the one after it: two seconds in all, so what
 * got hot, or is no longer, shows within one. The second in which the first key was seen counts as a whole one.
 */
#include "kv/item.h"

#include <stdbool.h>
#include <stdint.h>

struct hotkey;

#define HOTKEY_ENTRIES 256u /* keys that a sketch watches */

struct hotkey_top {
	uint8_t key[ITEM_KEY_MAX];
	uint8_t len;
	/* Requests in a second, and by how much the true rate may differ. That is certain where every request was seen (but for
	 * what changes while the manager looks); of a sample, three standard deviations of it are in there. */
	double per_second, error;
};

/* About 190 KB, on that socket. 0 or -ENOMEM. Context: manager. */
int hotkey_create(struct hotkey **out, int socket_id);
void hotkey_destroy(struct hotkey **h);

/* One request of the sample, found or not. len: 1 to ITEM_KEY_MAX. hash: a keyed one of the key, kv_key.hash; now: second of
 * the process, 1 or more, not less than at the last call. Constant time, and once in a second a pass over 30 KB. Hot; the owner. */
void hotkey_seen(struct hotkey *h, const void *key, uint32_t len, uint64_t hash, uint32_t now);

/* Writes the at most max keys of the highest rates, the highest first, and returns how many; sketches that are NULL count as
 * empty. sample_every: one request of so many was shown, the same for all sketches. Of each sketch's keys that are below the
 * `error` of others, some may be missing. Context: one thread at a time, the manager; takes about 0.1 ms for each sketch, and that
 * again for each pair of them. */
unsigned hotkey_merge(struct hotkey *const *sketches, unsigned n, uint32_t now,
	uint32_t sample_every, struct hotkey_top *out, unsigned max);

/* Assert-only: walks everything. The owner. */
bool hotkey_check(const struct hotkey *h);
