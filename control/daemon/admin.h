/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * admin — the administrative state of backends: what operators ordered on the running system, by whom
 * and when. Saved in overrides.json on every change, so it survives restarts and new configurations; it
 * goes when the operator takes it back or the backend leaves the configuration. Daemon thread; changes
 * block on the disk.
 */
#include "lib/conf.h"

#define ADMIN_AUTHOR_MAX 64

struct admin;
struct keep;

struct admin_override {
	char pool[MR_NAME_MAX];
	char name[MR_NAME_MAX];
	bool is_drained;
	int64_t deadline_ms; /* since 1970: when flows of the drained one end; 0: never */
	bool has_weight;
	uint16_t weight; /* with has_weight */
	char author[ADMIN_AUTHOR_MAX];
	int64_t time_ms; /* since 1970 */
};

/* Reads overrides.json. 0, -ENOMEM, or why the file cannot be read. One that is damaged gives -EBADMSG
 * with what is good of it in *out; it is kept aside (keep.h). */
int admin_create(struct admin **out, struct keep *keep);
void admin_destroy(struct admin **a); /* NULL-safe */

/* The override of this backend or NULL. Dies at the next change. */
const struct admin_override *admin_find(const struct admin *a, const char *pool, const char *name);

/* The first deadline of a drain after now_ms; 0: there is none. */
int64_t admin_next_deadline(const struct admin *a, int64_t now_ms);

/* Replaces the override of o->pool/o->name; one that says nothing is taken out. 0 when saved; -errno:
 * nothing has changed. */
int admin_set(struct admin *a, const struct admin_override *o);

/* Takes out overrides of backends that c does not have. Returns how many. */
size_t admin_prune(struct admin *a, const struct conf *c);
