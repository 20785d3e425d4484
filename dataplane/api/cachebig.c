/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cachebig — CACHE_BIGKEYS: a walk over all items of a cache, a part in each turn of the manager, as there can be millions. One at a
 * time. The cache stays for the walk, though a generation without it comes meanwhile.
 */
#include "api/server_pvt.h"
#include "millrace/api_cache.h"
#include "serve/serveconf.h"

#include <errno.h>
#include <stdlib.h>

struct cachebig {
	struct cache *cache;       /* with a reference; NULL: no walk is under way */
	struct api_client *client; /* who waits for it */
	struct kv_biggest walk;
	struct kv_big items[MR_CACHE_TOP_MAX];
};

int cachebig_create(struct cachebig **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void cachebig_destroy(struct api_server *s)
{
	if (s->big != NULL)
		cacheset_put(s->p.env.caches, &s->big->cache);
	free(s->big);
	s->big = NULL;
}

int cachebig_on_bigkeys(
	struct api_server *s, struct api_client *c, const struct mr_frame *f, struct mr_error *err)
{
	struct cachebig *x = s->big;
	struct mr_cache_top ask;
	struct cache *cache;
	int rc = server_decode(f, &mr_cache_top_msg, &ask, err);

	if (rc == 0)
		rc = cachereq_find(&cache, ask.name, err);
	if (rc == 0)
		rc = cachereq_check_top(&ask, err);
	if (rc != 0)
		return rc;
	if (x->cache != NULL)
		return server_refuse(err, -EBUSY, MR_ERR_BUSY, ask.name,
			"another client is looking for large items: retry in a moment");
	rc = cacheset_get(s->p.env.caches, &cache->spec, &x->cache, err);
	if (rc != 0)
		return rc;
	x->walk = (struct kv_biggest){
		.items = x->items, .n_max = ask.limit != 0 ? ask.limit : MR_CACHE_TOP};
	x->client = c;
	c->is_blocked = true;
	c->dump_request = f->request;
	return API_LATER;
}

static void answer(const struct cachebig *x, struct api_client *c)
{
	const struct mr_frame f = {.type = MR_REQ_CACHE_BIGKEYS, .request = c->dump_request};

	for (uint32_t i = 0; i < x->walk.n; i++) {
		const struct kv_big *b = &x->items[i];
		struct mr_cache_bigkey_row row = {.key = {.n = b->key_len},
			.item_bytes = b->size,
			.value_bytes = b->value_len,
			.ttl_s = b->ttl < 0 ? MR_CACHE_TTL_NEVER : (uint32_t)b->ttl};

		memcpy(row.key.bytes, b->key, b->key_len);
		server_row(c, &f, &mr_cache_bigkey_row_msg, &row);
	}
	server_reply_end(c, MR_REQ_CACHE_BIGKEYS, c->dump_request);
}

bool cachebig_poll(struct api_server *s)
{
	struct cachebig *x = s->big;
	bool is_last;

	if (x->cache == NULL)
		return false;
	cacheset_enter(s->p.env.caches, x->cache);
	is_last = kv_find_biggest(x->cache->kv, &x->walk);
	cacheset_leave(s->p.env.caches);
	if (!is_last)
		return true;
	cacheset_put(s->p.env.caches, &x->cache);
	answer(x, x->client);
	x->client->is_blocked = false;
	x->client = NULL;
	return false;
}

void cachebig_forget(struct api_server *s, const struct api_client *c)
{
	if (s->big->client != c)
		return;
	s->big->client = NULL;
	cacheset_put(s->p.env.caches, &s->big->cache);
}
