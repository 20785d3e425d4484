/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kvsweep — removes what has expired or was purged, inside a cache; see kvsweep.c.
 */
#include "kv/kv_pvt.h"

/* Purges all, if a flush_all has said to at this time. Context: the writer's thread, once in a loop. */
void kvsweep_flush(struct kv_writer *w);

/* Forgets the purges of which nothing is left. Context: one writer's thread. */
void kvsweep_end_purges(struct kv *kv);
