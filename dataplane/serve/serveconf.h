/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * serveconf — what a generation serves by itself: its caches, and which service has which. Immutable once built, in snapshot
 * slot SNAPSHOT_SERVE. Services have the slots of lbconf.h. Context: manager, but for what workers read.
 */
#include "core/snapshot.h"
#include "lb/lbconf.h"
#include "serve/cacheset.h"

struct serve_service {
	struct cache *cache;     /* NULL: not served, or no such service */
	struct rate_limit reply; /* of one source; a token is a KB */
};

struct serve_conf {
	struct cache **caches;  /* of the model, in its order */
	struct mr_cache *specs; /* of each: in force once published */
	unsigned n_caches;
	struct serve_service *services; /* by slot */
	uint32_t n_services;
};

struct serve_spec {
	const struct mr_cache *caches;
	unsigned n_caches;
	const struct lb_conf *lb; /* of the same generation */
	uint32_t n_workers;
};

/* set: NULL where there can be no caches (tests). 0, or -errno with *err: a service whose cache is not there, UDP without a
 * list of clients, what cacheset_get() refuses. */
int serveconf_create(struct serve_conf **out, struct cacheset *set, const struct serve_spec *spec,
	struct mr_error *err);

/* After its predecessor's readers have gone, or when it was never published. */
void serveconf_destroy(struct serve_conf **c, struct cacheset *set);

/* Puts in force what changes of caches that go on. Just before publication. */
void serveconf_commit(const struct serve_conf *c);

/* NULL: there is none of this name. */
struct cache *serveconf_find(const struct serve_conf *c, const char *name);

static inline const struct serve_conf *serve_conf_of(const struct snapshot *s)
{
	return (const struct serve_conf *)s->slot[SNAPSHOT_SERVE];
}
