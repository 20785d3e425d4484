/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * slots — small numbers for named things, stable across generations: services, backends and SNAT
 * addresses. Connections and counters carry the number; the name of a number changes only when no
 * generation and no connection uses it any more. Context of everything: manager.
 */
#include "lb/lbconf.h"

#define SLOT_NONE UINT32_MAX

/* Identity of a holder; unused parts are zero. What a connection takes for granted is part of it: a
 * backend that changes its address is another backend. */
struct slot_key {
	char scope[MR_NAME_MAX]; /* backends: their service */
	char name[MR_NAME_MAX];
	struct mr_ip ip;
	uint8_t proto;
	uint16_t port;
};
_Static_assert(sizeof(struct slot_key) == 148, "hashed and compared as bytes");

struct slots;

struct slots_users {
	enum lb_slot_kind kind;
	uint64_t (*in_use)(void *ctx, enum lb_slot_kind kind, uint32_t slot);
	void (*on_give)(void *ctx, enum lb_slot_kind kind, uint32_t slot); /* may be NULL */
	void *ctx;
};

/* 0 or -ENOMEM. */
int slots_create(struct slots **out, uint32_t n_max);
void slots_destroy(struct slots **s); /* NULL-safe, clears *s */

/* The slot of this key with one more reference: the one it has (or had last, if nobody got it since),
 * a slot never used, or one whose holder is gone and forgotten. SLOT_NONE when there is none. */
uint32_t slots_get(struct slots *s, const struct slot_key *key, const struct slots_users *users);
void slots_ref(struct slots *s, uint32_t slot);
void slots_put(struct slots *s, uint32_t slot);

/* References now: generations that are alive and have the holder in their model. */
uint32_t slots_refs(const struct slots *s, uint32_t slot);

/* Slots [0, n) have been given out at least once; never shrinks. */
uint32_t slots_count(const struct slots *s);

/* Key of the holder, the last one if it is gone; NULL for a slot never given out. */
const struct slot_key *slots_key(const struct slots *s, uint32_t slot);
