/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * model — the configuration as a set of objects, each known by its key text. Objects are immutable and
 * counted, so copying a model (every transaction does) copies pointers only. Kept sorted by type,
 * then key: all objects of a type are one run. Context of everything: manager; may allocate.
 */
#include "millrace/digest.h"

struct model;

int model_create(struct model **out);
void model_destroy(struct model **m); /* NULL-safe, clears *m */

/* A second model with the same objects. 0 or -ENOMEM. */
int model_copy(struct model **out, const struct model *m);

/* Adds the object or replaces the one with its key. 0 or -ENOMEM (model unchanged). */
int model_put(struct model *m, const struct mr_object *o);

/* Removes the object with this key: 0 or -ENOENT. */
int model_del(struct model *m, const char *key);

/* Number of objects of a type and, from *first on, where model_at() finds them. */
unsigned model_count(const struct model *m, unsigned type, unsigned *first);
unsigned model_size(const struct model *m);
const struct mr_object *model_at(
	const struct model *m, unsigned i); /* dies with the model's object */

/* Digest of the whole, kept up to date by every change. */
const struct mr_digest *model_digest(const struct model *m);
