/* SPDX-License-Identifier: BSD-3-Clause */
/* confcache — see confcache.h. A default that is written out is no difference: it reads as if it were not there. */
#include "lib/confcache.h"

#include "millrace/api_lb.h"

#define N_OF(a) ((unsigned)(sizeof(a) / sizeof((a)[0])))

enum {
	CACHE_MEMORY,
	CACHE_EVICTION,
	CACHE_VALUE_MAX,
	CACHE_ITEM_SIZE,
	CACHE_LEASE,
	CACHE_EARLY_REFRESH,
	CACHE_SERVE_STALE,
	CACHE_KEYS,
};
static const struct confread_key cache_keys[CACHE_KEYS] = {
	[CACHE_MEMORY] = {"memory", true},
	[CACHE_EVICTION] = {"eviction", false},
	[CACHE_VALUE_MAX] = {"value_max", false},
	[CACHE_ITEM_SIZE] = {"item_size", false},
	[CACHE_LEASE] = {"lease", false},
	[CACHE_EARLY_REFRESH] = {"early_refresh", false},
	[CACHE_SERVE_STALE] = {"serve_stale", false},
};

#define WORD_TEXT(sym, value, text) text,
#define WORD_VALUE(sym, value, text) value,
static const char *const eviction_words[] = {MR_EVICTIONS(WORD_TEXT)};
static const enum mr_eviction eviction_values[] = {MR_EVICTIONS(WORD_VALUE)};

static void read_sizes(
	struct confread *r, struct conf_cache *c, const struct yamltree_node *const *at)
{
	uint64_t v;

	if (at[CACHE_MEMORY] != NULL)
		confread_size(r, at[CACHE_MEMORY], "memory", MR_CACHE_MEMORY_MIN,
			CONF_CACHE_MEMORY_MAX, &c->memory_bytes);
	if (at[CACHE_VALUE_MAX] != NULL
		&& confread_size(r, at[CACHE_VALUE_MAX], "value_max", 1, MR_CACHE_VALUE_LIMIT, &v)
		&& v != MR_CACHE_VALUE_MAX)
		c->value_max = (uint32_t)v;
	if (at[CACHE_ITEM_SIZE] != NULL
		&& confread_size(r, at[CACHE_ITEM_SIZE], "item_size", 1, MR_CACHE_VALUE_LIMIT, &v)
		&& v != MR_CACHE_ITEM_BYTES)
		c->item_bytes = (uint32_t)v;
}

static void read_stampede(
	struct confread *r, struct conf_cache *c, const struct yamltree_node *const *at)
{
	const struct yamltree_node *stale = at[CACHE_SERVE_STALE];
	uint32_t v;

	if (at[CACHE_LEASE] != NULL)
		confread_duration(
			r, at[CACHE_LEASE], "lease", 0, MR_CACHE_LEASE_MAX_MS, &c->lease_ms);
	if (at[CACHE_EARLY_REFRESH] != NULL
		&& confread_hundredths(
			r, at[CACHE_EARLY_REFRESH], "early_refresh", MR_CACHE_EARLY_MAX_PCT, &v))
		c->early_pct = (uint16_t)v;
	if (stale == NULL
		|| !confread_duration(r, stale, "serve_stale", 0, MR_CACHE_STALE_MAX_S * 1000u, &v))
		return;
	if (v % 1000 != 0)
		CONFREAD_ERROR(r, stale, "%s.serve_stale must be whole seconds, got '%s'", r->path,
			stale->text);
	c->stale_s = v / 1000;
}

void confcache_read(struct confread *r, struct conf_cache *c, const struct yamltree_node *key,
	const struct yamltree_node *value)
{
	const struct yamltree_node *at[CACHE_KEYS];
	unsigned word;

	c->eviction = MR_EVICTION_S3FIFO;
	confread_path(r, "caches");
	confread_name(r, key, "NAME", c->name);
	confread_path(r, "caches.%.63s", key->text);
	if (!confread_map(r, value, key, cache_keys, N_OF(cache_keys), at))
		return;
	if (at[CACHE_EVICTION] != NULL
		&& confread_word(r, at[CACHE_EVICTION], "eviction", eviction_words,
			N_OF(eviction_words), &word))
		c->eviction = eviction_values[word];
	read_sizes(r, c, at);
	read_stampede(r, c, at);
}

/* --- of services --- */

enum for_kind { FOR_BALANCE, FOR_CACHE, FOR_BOTH };

/* Limits of connections: a cache over UDP has none. */
static const enum confdraft_service_key conn_keys[] = {
	CONFDRAFT_SERVICE_MAX_CONNECTIONS,
	CONFDRAFT_SERVICE_FLOW_RATE,
	CONFDRAFT_SERVICE_SOURCE_RATE,
	CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX,
	CONFDRAFT_SERVICE_TIMEOUTS,
};

/* Keys that are not in the list are for services that balance. */
static enum for_kind kind_of_key(unsigned key)
{
	static const uint8_t others[CONFDRAFT_SERVICE_KEYS] = {
		[CONFDRAFT_SERVICE_VIP] = FOR_BOTH,
		[CONFDRAFT_SERVICE_PORT] = FOR_BOTH,
		[CONFDRAFT_SERVICE_PROTO] = FOR_BOTH,
		[CONFDRAFT_SERVICE_KIND] = FOR_BOTH,
		[CONFDRAFT_SERVICE_ALLOW] = FOR_BOTH,
		[CONFDRAFT_SERVICE_DENY] = FOR_BOTH,
		[CONFDRAFT_SERVICE_MAX_CONNECTIONS] = FOR_BOTH,
		[CONFDRAFT_SERVICE_FLOW_RATE] = FOR_BOTH,
		[CONFDRAFT_SERVICE_SOURCE_RATE] = FOR_BOTH,
		[CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX] = FOR_BOTH,
		[CONFDRAFT_SERVICE_TIMEOUTS] = FOR_BOTH,
		[CONFDRAFT_SERVICE_CACHE] = FOR_CACHE,
		[CONFDRAFT_SERVICE_REPLY_RATE] = FOR_CACHE,
	};

	return (enum for_kind)others[key];
}

/* Required by its kind. */
static bool is_needed(unsigned key)
{
	return key == CONFDRAFT_SERVICE_MODE || key == CONFDRAFT_SERVICE_POOL
		|| key == CONFDRAFT_SERVICE_CACHE;
}

static void check_keys(struct confread *r, const struct confdraft_service *at,
	const struct confread_key *keys, enum for_kind kind)
{
	for (unsigned i = 0; i < CONFDRAFT_SERVICE_KEYS; i++) {
		const enum for_kind of = kind_of_key(i);

		if (of == FOR_BOTH)
			continue;
		if (of == kind && at->at[i] == NULL && is_needed(i))
			CONFREAD_ERROR(r, at->key, "'%s' is missing in %s", keys[i].name, r->path);
		else if (of == FOR_CACHE && kind != FOR_CACHE && at->at[i] != NULL)
			CONFREAD_ERROR(r, at->at[i], "%s.%s is only for 'kind: cache'", r->path,
				keys[i].name);
		else if (of == FOR_BALANCE && kind != FOR_BALANCE && at->at[i] != NULL)
			CONFREAD_ERROR(r, at->at[i],
				"%s.%s is not for 'kind: cache', which answers from the cache and "
				"forwards nothing",
				r->path, keys[i].name);
	}
}

/* There is a mode of that name, but only between the daemon and the dataplane. */
static bool is_mode_cache(const struct yamltree_node *mode)
{
	return mode != NULL && mode->kind == YAMLTREE_SCALAR && strcmp(mode->text, "cache") == 0;
}

enum confcache_kind confcache_read_kind(
	struct confread *r, const struct confdraft_service *at, const struct confread_key *keys)
{
	static const char *const words[] = {"balance", "cache"};
	const struct yamltree_node *kind = at->at[CONFDRAFT_SERVICE_KIND];
	const struct yamltree_node *mode = at->at[CONFDRAFT_SERVICE_MODE];
	unsigned word = 0;

	if (kind != NULL && !confread_word(r, kind, "kind", words, N_OF(words), &word))
		return CONFCACHE_KIND_UNREAD;
	if (word == 0 && is_mode_cache(mode)) {
		confreport_sink_add(r->sink, CONFREPORT_ERROR, mode->span,
			"use 'kind: cache', without a mode", "%s.mode: no mode serves from a cache",
			r->path);
		return CONFCACHE_KIND_UNREAD;
	}
	check_keys(r, at, keys, word == 0 ? FOR_BALANCE : FOR_CACHE);
	return word == 0 ? CONFCACHE_KIND_BALANCE : CONFCACHE_KIND_CACHE;
}

static void read_reply_rate(
	struct confread *r, struct conf_service *s, const struct yamltree_node *rate)
{
	uint64_t v;

	if (!confread_size(r, rate, "reply_rate", 1024, (uint64_t)MR_REPLY_RATE_MAX_KB << 10, &v))
		return;
	if (v % 1024 != 0)
		CONFREAD_ERROR(
			r, rate, "%s.reply_rate must be whole KB, got '%s'", r->path, rate->text);
	if (v >> 10 != MR_REPLY_RATE_KB)
		s->reply_rate_kb = (uint32_t)(v >> 10);
}

static void refuse_conn_keys(
	struct confread *r, const struct confdraft_service *at, const struct confread_key *keys)
{
	for (unsigned i = 0; i < N_OF(conn_keys); i++) {
		if (at->at[conn_keys[i]] != NULL)
			CONFREAD_ERROR(r, at->at[conn_keys[i]],
				"%s.%s is for a cache over tcp: over udp there are no connections",
				r->path, keys[conn_keys[i]].name);
	}
}

/* A protocol that could not be read has been reported, and says nothing about the other keys. */
static bool is_proto_read(const struct conf_service *s, const struct yamltree_node *proto)
{
	return proto == NULL
		|| (proto->kind == YAMLTREE_SCALAR
			&& strcmp(proto->text, mr_proto_name(s->proto)) == 0);
}

bool confcache_read_service(struct confread *r, struct conf_service *s,
	const struct confdraft_service *at, const struct confread_key *keys)
{
	const struct yamltree_node *rate = at->at[CONFDRAFT_SERVICE_REPLY_RATE];

	s->mode = MR_MODE_CACHE;
	s->sched = MR_SCHED_RR;
	s->hash = MR_HASH_FLOW;
	if (!is_proto_read(s, at->at[CONFDRAFT_SERVICE_PROTO]))
		return false;
	if (s->proto == MR_PROTO_UDP) {
		refuse_conn_keys(r, at, keys);
		if (rate != NULL)
			read_reply_rate(r, s, rate);
	} else if (rate != NULL) {
		CONFREAD_ERROR(r, rate,
			"%s.reply_rate is for a cache over udp: over tcp nobody can ask in the name of "
			"others",
			r->path);
	}
	return s->proto == MR_PROTO_TCP;
}

void confcache_check_timeouts(struct confread *r, const struct confdraft_service *at)
{
	for (unsigned k = 0; k < CONFDRAFT_TIMEOUT_KEYS; k++) {
		if (k != CONFDRAFT_TIMEOUT_ESTABLISHED && at->timeouts[k] != NULL)
			CONFREAD_ERROR(r, at->timeouts[k],
				"%s: a cache over tcp has no other than 'established'", r->path);
	}
}
