/* SPDX-License-Identifier: BSD-3-Clause */
/* cacheset — see cacheset.h. A list: caches are few. */
#include "serve/cacheset.h"

#include "core/snapshot.h"
#include "core/worker.h"

#include <rte_malloc.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

struct cacheset {
	struct cacheset_params params;
	uint64_t used_bytes;
	struct cache **caches;
	unsigned n, cap;
	struct cache
		*going; /* of no generation, and drivers still have mbufs with values: by `next` */
};

_Static_assert((int)MR_EVICTION_FIFO == EVICT_FIFO + 1 && (int)MR_EVICTION_LRU == EVICT_LRU + 1
		&& (int)MR_EVICTION_LFU == EVICT_LFU + 1
		&& (int)MR_EVICTION_S3FIFO == EVICT_S3FIFO + 1
		&& (int)MR_EVICTION_SIEVE == EVICT_SIEVE + 1,
	"policies have the order of their names");

int cacheset_create(struct cacheset **out, const struct cacheset_params *params)
{
	struct cacheset *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->params = *params;
	*out = s;
	return 0;
}

uint64_t cacheset_memory_used(const struct cacheset *s)
{
	return s->used_bytes;
}

static bool is_same(const struct mr_cache *a, const struct mr_cache *b)
{
	return strcmp(a->name, b->name) == 0 && a->memory_bytes == b->memory_bytes
		&& a->eviction == b->eviction && a->value_max == b->value_max
		&& a->item_bytes == b->item_bytes;
}

__attribute__((format(printf, 4, 5))) static int refuse(
	struct mr_error *err, int rc, const struct mr_cache *spec, const char *format, ...)
{
	va_list ap;

	err->code = rc == -EINVAL ? MR_ERR_INVALID : rc == -ENOSPC ? MR_ERR_LIMIT : MR_ERR_MEMORY;
	snprintf(err->object, sizeof(err->object), "cache/%s", spec->name);
	va_start(ap, format);
	vsnprintf(err->message, sizeof(err->message), format, ap);
	va_end(ap);
	return rc;
}

static uint64_t to_mb(uint64_t bytes)
{
	return bytes >> 20;
}

/* Whether a cache of this name is there, so that the two have to be side by side for a moment. */
static bool has_name(const struct cacheset *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->caches[i]->spec.name, name) == 0)
			return true;
	}
	return false;
}

static int check_room(const struct cacheset *s, const struct mr_cache *spec, struct mr_error *err)
{
	const uint64_t left = s->params.memory_bytes - s->used_bytes;

	if (s->params.memory_bytes == 0)
		return refuse(err, -ENOSPC, spec,
			"this dataplane has no memory for caches; restart millraced with --cache-memory "
			"%" PRIu64 " or more",
			to_mb(spec->memory_bytes) + 1);
	if (spec->memory_bytes <= left)
		return 0;
	if (has_name(s, spec->name))
		return refuse(err, -ENOSPC, spec,
			"its memory, eviction or sizes change, so it begins anew beside the one that is there: %" PRIu64
			" MB wanted, %" PRIu64 " of %" PRIu64
			" MB are left; take it out first, or restart millraced with a larger --cache-memory",
			to_mb(spec->memory_bytes), to_mb(left), to_mb(s->params.memory_bytes));
	return refuse(err, -ENOSPC, spec,
		"%" PRIu64 " MB wanted, %" PRIu64 " of %" PRIu64
		" MB are left; lower memory, or restart millraced with a larger --cache-memory",
		to_mb(spec->memory_bytes), to_mb(left), to_mb(s->params.memory_bytes));
}

_Static_assert(sizeof(struct cache_watch) + (192u << 10) <= CACHE_WATCH_BYTES, "with its sketch");

static int make_watches(const struct cacheset *s, struct cache *c)
{
	int rc = 0;

	c->watches = rte_zmalloc_socket("watch", s->params.n_workers * sizeof(*c->watches),
		RTE_CACHE_LINE_SIZE, s->params.socket_id);
	if (c->watches == NULL)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < s->params.n_workers; i++)
		rc = hotkey_create(&c->watches[i].hot, s->params.socket_id);
	return rc;
}

static void drop(const struct cacheset *s, struct cache *c)
{
	for (unsigned i = 0; c->watches != NULL && i < s->params.n_workers; i++) {
		if (c->watches[i].hot != NULL)
			hotkey_destroy(&c->watches[i].hot);
	}
	rte_free(c->watches);
	kv_destroy(&c->kv);
	free(c);
}

static int make(
	struct cacheset *s, const struct mr_cache *spec, struct cache **out, struct mr_error *err)
{
	const uint64_t watch_bytes = (uint64_t)s->params.n_workers * CACHE_WATCH_BYTES;
	const struct kv_params params = {.memory_bytes = spec->memory_bytes > watch_bytes
			? spec->memory_bytes - watch_bytes
			: 0,
		.item_bytes = spec->item_bytes,
		.value_max = spec->value_max,
		.n_writers = (uint16_t)(s->params.n_workers + 1),
		.n_guests = 1, /* the manager */
		.policy = (uint8_t)(spec->eviction - 1),
		.socket_id = s->params.socket_id};
	const uint64_t least = kv_memory_min(&params) + watch_bytes;
	struct cache *c;
	int rc;

	if (spec->memory_bytes < least)
		return refuse(err, -EINVAL, spec,
			"memory of %" PRIu64
			" KB is too little for values of %u bytes and %u workers: at least "
			"%" PRIu64 " KB, or a smaller value_max",
			spec->memory_bytes >> 10, cacheset_value_max(spec), s->params.n_workers,
			(least >> 10) + 1);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->spec = *spec;
	rc = kv_create(&c->kv, &params, snapshot_items());
	if (rc == 0)
		rc = make_watches(s, c);
	if (rc != 0) {
		drop(s, c);
		return refuse(err, rc, spec,
			"%" PRIu64
			" MB in one piece are not there, though not given away: memory is in pieces "
			"after caches came and went; restart millraced",
			to_mb(spec->memory_bytes));
	}
	cacheset_update(c, spec);
	*out = c;
	return 0;
}

static int add(struct cacheset *s, struct cache *c)
{
	if (s->n == s->cap) {
		struct cache **more = realloc(s->caches, (s->cap + 8) * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		s->caches = more;
		s->cap += 8;
	}
	s->caches[s->n++] = c;
	s->used_bytes += c->spec.memory_bytes;
	return 0;
}

/* Frees those that have gone, and whose last values drivers have sent. */
static void reap(struct cacheset *s)
{
	struct cache **at = &s->going;

	while (*at != NULL) {
		struct cache *c = *at;

		if (kv_is_pinned(c->kv)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		s->used_bytes -= c->spec.memory_bytes;
		drop(s, c);
	}
}

void cacheset_destroy(struct cacheset **s)
{
	if (*s == NULL)
		return;
	reap(*s);
	while ((*s)->going != NULL) {
		struct cache *c = (*s)->going;

		(*s)->going = c->next;
		c->kv = NULL; /* drivers that are closed later give mbufs back that point there: the process's end has it */
		drop(*s, c);
	}
	free((*s)->caches);
	free(*s);
	*s = NULL;
}

int cacheset_get(
	struct cacheset *s, const struct mr_cache *spec, struct cache **out, struct mr_error *err)
{
	struct cache *c = NULL;
	int rc;

	for (unsigned i = 0; i < s->n; i++) {
		if (is_same(&s->caches[i]->spec, spec)) {
			*out = s->caches[i];
			(*out)->n_refs++;
			return 0;
		}
	}
	reap(s);
	rc = check_room(s, spec, err);
	if (rc == 0)
		rc = make(s, spec, &c, err);
	if (rc != 0)
		return rc;
	rc = add(s, c);
	if (rc != 0) {
		drop(s, c);
		return rc;
	}
	c->n_refs = 1;
	*out = c;
	return 0;
}

void cacheset_put(struct cacheset *s, struct cache **cp)
{
	struct cache *c = *cp;

	*cp = NULL;
	if (c == NULL || --c->n_refs > 0)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		if (s->caches[i] == c) {
			s->caches[i] = s->caches[--s->n];
			break;
		}
	}
	c->next = s->going;
	s->going = c;
	reap(s);
}

void cacheset_update(struct cache *c, const struct mr_cache *spec)
{
	const struct kv_stampede stampede = {
		.lease_ms = spec->lease_ms, .early_pct = spec->early_pct, .stale_s = spec->stale_s};

	/* all else is the same, and workers read it */
	c->spec.lease_ms = spec->lease_ms;
	c->spec.early_pct = spec->early_pct;
	c->spec.stale_s = spec->stale_s;
	kv_set_stampede(c->kv, &stampede);
}

struct kv_writer *cacheset_enter(const struct cacheset *s, struct cache *c)
{
	struct kv_writer *w = kv_writer_of(c->kv, s->params.n_workers);
	const uint32_t now = __atomic_load_n(&c->now_s, __ATOMIC_RELAXED);

	snapshot_items_enter(s->params.n_workers);
	kv_writer_begin(w, now != 0 ? now : 1, time(NULL), (uint64_t)now * 1000);
	return w;
}

void cacheset_leave(const struct cacheset *s)
{
	snapshot_items_leave(s->params.n_workers);
}

unsigned cacheset_hot(
	const struct cacheset *s, const struct cache *c, struct hotkey_top *out, unsigned max)
{
	struct hotkey *sketches[WORKER_MAX];

	for (unsigned i = 0; i < s->params.n_workers; i++)
		sketches[i] = c->watches[i].hot;
	return hotkey_merge(sketches, s->params.n_workers,
		__atomic_load_n(&c->now_s, __ATOMIC_RELAXED), CACHE_HOT_SAMPLE, out, max);
}

void cacheset_latency(const struct cacheset *s, const struct cache *c, enum cache_kind kind,
	struct histogram *sum)
{
	histogram_init(sum);
	for (unsigned i = 0; i < s->params.n_workers; i++)
		histogram_sum(sum, &c->watches[i].latency[kind]);
}
