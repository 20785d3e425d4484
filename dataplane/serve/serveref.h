/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serveref — values that are sent from where they lie in a cache: a fixed number of references for a worker, each of which keeps one value as
 * it is until all mbufs with parts of it have been freed, by queues and by drivers.
 */
#include "kv/kv.h"

#include <rte_mbuf_core.h>

struct serveref; /* of one worker */

/* Cold. Context: manager, before workers start. 0 or -ENOMEM. */
int serveref_create(struct serveref **out, uint32_t n, int socket_id);
/* NULL-safe, clears *s. While drivers still have mbufs, the memory stays until the process ends. Context: manager, after workers. */
void serveref_destroy(struct serveref **s);

/* For a value of an item that was found since the last quiescent report; at: in its bytes. The caller's reference is the only one. NULL: none is
 * left, or the cache pins no more. Context: the worker. Hot. */
struct rte_mbuf_ext_shared_info *serveref_get(struct serveref *s, struct kv *kv, const void *at);
/* The caller's reference goes. Context: any. Hot. */
void serveref_put(struct rte_mbuf_ext_shared_info *ref);

/* How many there are in use, and in all. Walks. Context: the worker. */
uint32_t serveref_used(const struct serveref *s);
uint32_t serveref_max(const struct serveref *s);
