/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serveref — see serveref.h. The worker takes them in a circle: they are given back about in the order in which they were taken, and where
 * the next ones are not, there are few left.
 *
 *  R1  a reference with kv != NULL is in use, and pins its value; only the worker makes it so, only the last holder ends it
 */
#include "serve/serveref.h"

#include "base/tsan.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include <errno.h>

#define LOOK 8u

struct ref {
	struct rte_mbuf_ext_shared_info shared;
	struct kv *kv; /* pairs(serveref-free) */
	const void *at;
} __rte_aligned(64);

struct serveref {
	uint32_t n, next;
	struct ref refs[];
};

/* The last of its mbufs is freed. Context: whoever does that. */
static void on_free(void *addr, void *opaque)
{
	struct ref *r = opaque;
	struct kv *kv = r->kv;
	const void *at = r->at;

	(void)addr;
	/* Who finds the count at 1 is the last, and has read it without an order (rte_mbuf.h). What others have read of the value is behind their own
	 * decrements, which are releases; and what is done here depends on the count, so that it does not come before. */
	TSAN_ACQUIRE(&r->shared.refcnt);
	/* pairs(serveref-free): who takes it has it alone. First, as behind the other the cache may be gone, and with it who waits for that */
	__atomic_store_n(&r->kv, NULL, __ATOMIC_RELEASE);
	kv_unpin(kv, at);
}

int serveref_create(struct serveref **out, uint32_t n, int socket_id)
{
	struct serveref *s = rte_zmalloc_socket(
		"serveref", sizeof(*s) + n * sizeof(s->refs[0]), RTE_CACHE_LINE_SIZE, socket_id);

	if (s == NULL)
		return -ENOMEM;
	s->n = n;
	*out = s;
	return 0;
}

void serveref_destroy(struct serveref **s)
{
	if (*s != NULL && serveref_used(*s) == 0)
		rte_free(*s);
	*s = NULL;
}

static bool is_free(const struct ref *r)
{
	/* pairs(serveref-free): the last holder has done with it */
	return __atomic_load_n(&r->kv, __ATOMIC_ACQUIRE) == NULL;
}

struct rte_mbuf_ext_shared_info *serveref_get(struct serveref *s, struct kv *kv, const void *at)
{
	for (unsigned i = 0; i < LOOK; i++) {
		struct ref *r = &s->refs[s->next];

		s->next = s->next + 1 < s->n ? s->next + 1 : 0;
		if (unlikely(!is_free(r)))
			continue;
		if (unlikely(!kv_pin(kv, at)))
			return NULL;
		r->kv = kv;
		r->at = at;
		r->shared.free_cb = on_free;
		r->shared.fcb_opaque = r;
		rte_mbuf_ext_refcnt_set(&r->shared, 1);
		return &r->shared;
	}
	return NULL;
}

void serveref_put(struct rte_mbuf_ext_shared_info *ref)
{
	if (rte_mbuf_ext_refcnt_update(ref, -1) == 0)
		ref->free_cb(NULL, ref->fcb_opaque);
}

uint32_t serveref_used(const struct serveref *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += !is_free(&s->refs[i]);
	return n;
}

uint32_t serveref_max(const struct serveref *s)
{
	return s->n;
}
