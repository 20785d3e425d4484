/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confcache — what a configuration says of caches: the caches themselves, and which keys of a service are for
 * services that are served from one. Part of the loader (conf.h).
 */
#include "lib/confdraft.h"

/* Reads the cache whose name stands at key. */
void confcache_read(struct confread *r, struct conf_cache *c, const struct yamltree_node *key,
	const struct yamltree_node *value);

enum confcache_kind {
	CONFCACHE_KIND_UNREAD, /* refused, so nothing can be said about the other keys */
	CONFCACHE_KIND_BALANCE,
	CONFCACHE_KIND_CACHE,
};

/* The kind of a service, whose path has been set. keys are those of the schema: which of them the kind needs and
 * has not, or has and must not, is reported. */
enum confcache_kind confcache_read_kind(
	struct confread *r, const struct confdraft_service *at, const struct confread_key *keys);

/* Reads what only a service of kind cache has but the cache's name; s->proto has been read. Keys that its protocol has no use for are
 * reported. True: it has connections, whose limits and timeouts may be read as for other services. */
bool confcache_read_service(struct confread *r, struct conf_service *s,
	const struct confdraft_service *at, const struct confread_key *keys);

/* Reports timeouts that connections to a cache do not have. Those of the service have been read, the path is theirs. */
void confcache_check_timeouts(struct confread *r, const struct confdraft_service *at);
