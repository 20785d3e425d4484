/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * objset — a whole configuration model as a sorted array: by type in the order of enum mr_obj, then
 * by key. Keys are unique. What reconcile compares and push sends. Pure but for allocation.
 */
#include "millrace/digest.h"

struct objset {
	struct mr_object *items; /* sorted by objset_compare(), no two equal */
	size_t n_items;
	struct mr_digest digest;
};

/* Orders two objects by type and identity (what mr_object_key_text() is made of): <0, 0, >0. */
int objset_compare(const struct mr_object *a, const struct mr_object *b);

/* Whether the encodings are equal; a and b are of one type. */
bool objset_is_same(const struct mr_object *a, const struct mr_object *b);

/* Takes the array over, sorts it and computes the digest. Returns 0, or -EEXIST (items is freed,
 * *s is empty) when two objects have one key. */
int objset_init(struct objset *s, struct mr_object *items, size_t n_items);
void objset_fini(struct objset *s);

/* 0 or -ENOMEM. */
int objset_copy(struct objset *out, const struct objset *s);

const struct mr_object *objset_find(const struct objset *s, const struct mr_object *key);
