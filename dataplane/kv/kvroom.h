/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kvroom — memory for items, inside a cache; see kvroom.c. All of it by a writer's own thread.
 */
#include "kv/kv_pvt.h"

/* How many classes of times to live there shall be, and into how many, in bits, each power of two is cut. Context: manager. */
uint32_t kvroom_classes(uint32_t n_segs, uint32_t n_writers, uint32_t *bits);

/* Once in a loop: what may be done at once is counted anew. */
void kvroom_begin(struct kv_writer *w);

/* Walks so that there will be room, in proportion to size; see kvroom.c for the most that it does. Holding no stripe. */
void kvroom_make(struct kv_writer *w, uint32_t size);

/* Where the next item of this queue and time of expiry is to be written; it counts from kvroom_commit() on, and until then may
 * be given up by reserving again. NULL: no memory. May hold a stripe. */
struct item *kvroom_reserve(struct kv_writer *w, uint8_t queue, uint32_t when, uint32_t size);
void kvroom_commit(struct kv_writer *w, const struct item *it, uint32_t size);

/* A part, of about 40 us, of emptying a VICTIM that is the writer's but not the one that it walks: what lives in it from *at bytes on is
 * copied on. *at: 0, and then as it was left. true: it is limbo. Holding no stripe. */
bool kvroom_empty(struct kv_writer *w, uint32_t no, uint32_t *at);

/* The item may expire at this time, 0: never. Its stripe is locked, unless nobody else knows it. */
void kvroom_note_when(struct kv *kv, const struct item *it, uint32_t when);

/* Its segment is to be looked at then; 0: never. */
void kvroom_lower(struct kv *kv, const struct item *it, uint32_t when);

/* Takes the item out of the index. Its stripe is locked. */
void kvroom_remove(struct kv_writer *w, union assoc_slot *slot, const struct item *it);

/* A segment for the index's overflow buckets. 0, -ENOMEM. Holding no stripe. */
int kvroom_give_index(struct kv *kv);
