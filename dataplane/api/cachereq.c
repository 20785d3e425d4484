/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cachereq — the requests about caches: what they have and count, what is there for a key, purges. Runs on the manager's thread,
 * which reads and writes a cache as one more of its writers, between cacheset_enter() and cacheset_leave().
 */
#include "api/server_pvt.h"
#include "millrace/api_cache.h"
#include "serve/serveconf.h"

#include <errno.h>

_Static_assert(MR_CACHE_KEY_MAX == ITEM_KEY_MAX, "what a client can store can be asked for");
_Static_assert(MR_CACHE_SHOWN_MAX <= MR_DATA_MAX, "a row has room for it");

static void fill(const struct cache *c, struct mr_cache_row *row)
{
	struct kv_usage u;
	struct kv_stats st;

	kv_usage(c->kv, &u);
	kv_stats_sum(c->kv, &st);
	memset(row, 0, sizeof(*row));
#define COPY(symbol, help) row->symbol = st.symbol;
	KV_STATS(COPY)
#undef COPY
	memcpy(row->name, c->spec.name, sizeof(row->name));
	row->eviction = c->spec.eviction;
	row->memory_bytes = c->spec.memory_bytes; /* the engine has not all of it */
	row->item_bytes = u.item_bytes;
	row->items = u.n_items; /* not the sum, in which a key can be missing for a moment */
	row->segments = u.n_segs;
	row->segments_free = u.n_free;
	row->segment_bytes = u.seg_bytes;
	row->expiry_lag_s = u.expiry_lag_s;
}

int cachereq_on_caches(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	const struct serve_conf *conf = serve_conf_of(snapshot_get());

	(void)s;
	(void)err;
	for (unsigned i = 0; i < conf->n_caches; i++) {
		struct mr_cache_row row;

		fill(conf->caches[i], &row);
		server_row(c, f, &mr_cache_row_msg, &row);
	}
	return 0;
}

int cachereq_find(struct cache **out, const char *name, struct mr_error *err)
{
	*out = serveconf_find(serve_conf_of(snapshot_get()), name);
	if (*out != NULL)
		return 0;
	return server_refuse(err, -ENOENT, MR_ERR_NOT_FOUND, name,
		"there is no cache '%s' in generation %llu", name,
		(unsigned long long)snapshot_get()->generation);
}

int cachereq_check_top(const struct mr_cache_top *ask, struct mr_error *err)
{
	if (ask->limit <= MR_CACHE_TOP_MAX)
		return 0;
	return server_refuse(err, -EINVAL, MR_ERR_INVALID, "limit", "limit %u is above %u",
		ask->limit, MR_CACHE_TOP_MAX);
}

/* --- CACHE_GET */

static void fill_value(
	const struct kv_writer *w, const struct item *it, struct mr_cache_value_row *row)
{
	const uint32_t n = item_value_len(it), when = item_when(it);
	const int32_t ttl = kv_ttl(w, it);

	memset(row, 0, sizeof(*row));
	row->value_bytes = n;
	row->flags = item_flags(it);
	row->cas = item_cas(it);
	row->ttl_s = ttl < 0 ? MR_CACHE_TTL_NEVER : (uint32_t)ttl;
	row->is_stale = (when & ITEM_STALE) != 0 || ttl == 0;
	row->is_won = (when & ITEM_WON) != 0;
	row->value.n = (uint16_t)(n < MR_CACHE_SHOWN_MAX ? n : MR_CACHE_SHOWN_MAX);
	memcpy(row->value.bytes, item_value(it), row->value.n);
}

int cachereq_on_get(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_cache_value_row row;
	const struct item *it;
	struct mr_cache_key ask;
	struct kv_writer *w;
	struct cache *cache;
	struct kv_key key;
	int rc = server_decode(f, &mr_cache_key_msg, &ask, err);

	if (rc == 0)
		rc = cachereq_find(&cache, ask.name, err);
	if (rc != 0)
		return rc;
	if (ask.key.n == 0 || ask.key.n > MR_CACHE_KEY_MAX)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "key",
			"the key has %u bytes; keys have 1 to %u", ask.key.n, MR_CACHE_KEY_MAX);
	key = kv_key_of(ask.key.bytes, ask.key.n);
	w = cacheset_enter(s->p.env.caches, cache);
	it = kv_get_peek(w, &key);
	if (it != NULL)
		fill_value(w, it, &row);
	cacheset_leave(s->p.env.caches);
	return it != NULL ? server_row(c, f, &mr_cache_value_row_msg, &row) : 0;
}

/* --- CACHE_PURGE */

static int check_prefix(const struct mr_cache_purge *ask, struct mr_error *err)
{
	if (ask->prefix.n > MR_CACHE_KEY_MAX)
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "prefix",
			"the prefix has %u bytes; keys have at most %u", ask->prefix.n,
			MR_CACHE_KEY_MAX);
	if ((ask->prefix.n > 0) == (ask->all != 0))
		return server_refuse(err, -EINVAL, MR_ERR_INVALID, "all",
			ask->all ? "all goes without a prefix"
				 : "say which keys by their prefix, or that it is all of them");
	return 0;
}

int cachereq_on_purge(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct mr_cache_purge ask;
	struct kv_writer *w;
	struct cache *cache;
	int rc = server_decode(f, &mr_cache_purge_msg, &ask, err);

	(void)c;
	if (rc == 0)
		rc = check_prefix(&ask, err);
	if (rc == 0)
		rc = cachereq_find(&cache, ask.name, err);
	if (rc != 0)
		return rc;
	w = cacheset_enter(s->p.env.caches, cache);
	rc = kv_purge(w, ask.prefix.bytes, ask.prefix.n);
	cacheset_leave(s->p.env.caches);
	if (rc == -EAGAIN)
		return server_refuse(err, rc, MR_ERR_BUSY, ask.name,
			"cache '%s' is still about earlier purges, of which there can be %u; try "
			"again in a moment",
			ask.name, KV_PURGES_MAX);
	if (rc != 0)
		return server_refuse(err, rc, MR_ERR_INTERNAL, ask.name,
			"cache '%s' cannot be purged: %s", ask.name, strerror(-rc));
	return 0;
}
