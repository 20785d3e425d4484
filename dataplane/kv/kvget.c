/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvget — reading, and who is to fetch anew. There are two ways of telling a client to. One that asks for it (mg with N or R, or a
 * key that was marked stale) gets memcached's marks, which lie in the item itself and stay until something is stored. For all
 * others kv_set_stampede() says what is done: one of those who find nothing, or something too old, misses and so fetches it,
 * and has a lease (lease.h) for that long; the others are given the old value, or told to wait.
 *
 * Reading takes no lock. Where a client may win, what was read without is only a reason to look again under the stripe: there
 * the key may have been stored meanwhile, and the second of two that come at once finds the first one's mark or lease.
 *
 * Early refresh is XFetch (Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015): a hit is
 * a miss if now - delta * beta * ln(u) is past the time of expiry, u in (0, 1] by chance; delta, how long fetching takes, is
 * measured for the whole cache by its leases. Through the lease one client at a time misses so. Items expire as the process's
 * second changes, and it is that moment, in milliseconds, from which the rest is counted: the value is refreshed before this
 * cache would drop it, whatever fraction of a second the client meant. An item of few seconds, or of less than it takes to
 * fetch it, is refreshed over and over, but never by two at once.
 */
#include "kv/kvget.h"

#include "kv/kvroom.h"
#include "kv/kvverb.h"

#include <rte_branch_prediction.h>

#include <errno.h>

#define LOG_MAX 23u /* no chance is so small that -ln(u) is more: ln(2^32) = 22.2 */

void kvget_begin(struct kv_writer *w)
{
	const struct kv_stampede *s = &w->kv->stampede;
	uint64_t ahead;

	w->stampede.lease_ms = __atomic_load_n(&s->lease_ms, __ATOMIC_RELAXED);
	w->stampede.early_pct = __atomic_load_n(&s->early_pct, __ATOMIC_RELAXED);
	w->stampede.stale_s = __atomic_load_n(&s->stale_s, __ATOMIC_RELAXED);
	w->is_guarded = (w->stampede.lease_ms | w->stampede.early_pct | w->stampede.stale_s) != 0;
	if (likely(!w->is_guarded))
		return;
	w->lease_ms = w->stampede.lease_ms != 0 ? w->stampede.lease_ms : KV_LEASE_MS;
	ahead = (uint64_t)lease_took_ms(w->kv->leases) * w->stampede.early_pct / 100;
	w->early_ms = (uint32_t)RTE_MIN(ahead, (uint64_t)UINT32_MAX / LOG_MAX);
	w->early_s = w->early_ms * LOG_MAX / 1000 + (w->early_ms != 0);
}

int32_t kv_ttl(const struct kv_writer *w, const struct item *it)
{
	const uint32_t seconds = item_seconds(it);

	if (seconds == 0)
		return -1;
	return seconds > w->now ? (int32_t)(seconds - w->now) : 0;
}

/* What a key is worth to a client that says nothing. */
enum worth {
	NOTHING, /* not there, purged, or expired and not kept */
	OLD,     /* expired, or marked stale, but better than nothing */
	GOOD,
};

static enum worth worth_of(const struct kv_writer *w, const struct item *it)
{
	if (it == NULL || kv_is_gone(w, it) || kv_is_purged(w->kv, it))
		return NOTHING;
	return item_is_expired(it, w->now) || (item_when(it) & ITEM_STALE) ? OLD : GOOD;
}

const struct item *kv_get_peek(const struct kv_writer *w, const struct kv_key *key)
{
	struct assoc_probe p = {.key = key->data, .key_len = key->len, .hash = key->hash};

	assoc_find_bulk(w->kv->index, &p, 1);
	return worth_of(w, p.item) != NOTHING ? p.item : NULL;
}

static uint32_t random_of(struct kv_writer *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (uint32_t)((w->random * 2685821657736338717ull) >> 32);
}

/* -ln(u) * 2^16 for u = (r + 1) / 2^32; up to 0.06 too much, as the logarithm between powers of two is taken for straight. */
static uint64_t minus_ln(uint32_t r)
{
	const uint64_t u = (uint64_t)r + 1;
	const uint32_t n = 63 - (uint32_t)__builtin_clzll(u);
	const uint64_t log2 = ((uint64_t)n << 16) + (((u << (32 - n)) & UINT32_MAX) >> 16);

	return ((32ull << 16) - log2) * 45426 >> 16; /* ln(2) * 2^16 */
}

static bool is_early(struct kv_writer *w, const struct item *it)
{
	const uint32_t left_s = item_seconds(it) - w->now; /* of what never expires, very many */

	if (likely(left_s > w->early_s))
		return false;
	return (uint64_t)left_s * 1000 - w->now_ms % 1000 <= minus_ln(random_of(w)) * w->early_ms
		>> 16;
}

static void count_dead(struct kv_writer *w, const struct item *it)
{
	if (item_is_expired(it, w->now))
		KV_COUNT(w, get_expired, 1);
	else
		KV_COUNT(w, get_flushed, 1);
}

/* This client is to fetch it: for it there is nothing. */
static void win(struct kv_writer *w, struct assoc_probe *p)
{
	p->item = NULL;
	p->marks = KV_WON;
	KV_COUNT(w, leases, 1);
}

/* Another client is about it. */
static void wait(struct kv_writer *w, struct assoc_probe *p, enum worth worth)
{
	if (worth == GOOD)
		return; /* an early refresh is nobody else's concern */
	if (worth == NOTHING && w->stampede.lease_ms == 0) {
		p->item = NULL;
		return; /* who misses is on his own: noted for the time that it takes */
	}
	p->marks = KV_TAKEN;
	KV_COUNT(w, lease_waits, 1);
	if (worth == OLD) {
		p->marks |= KV_STALE;
		KV_COUNT(w, stale_served, 1);
	} else {
		p->item = NULL;
	}
}

/* Whether the key needs fetching, and this client is to do it, decided under the stripe. was: what it was when read without. */
static void decide(struct kv_writer *w, struct assoc_probe *p)
{
	const struct kv_key key = {p->key, p->key_len, p->hash};
	const struct item *was = p->item;
	struct kvverb_found f;
	enum lease_result lease;
	enum worth worth;

	assoc_lock(w->kv->index, p->hash);
	f = kvverb_find(w, &key);
	p->item = f.item != NULL ? f.item : f.dead;
	p->slot = f.slot;
	if (f.slot != NULL)
		p->state = assoc_state(f.slot);
	worth = worth_of(w, p->item);
	/* good, and not the one that was to be refreshed early: somebody has stored it */
	lease = worth == GOOD && p->item != was
		? LEASE_TAKEN
		: lease_take(w->kv->leases, p->hash, w->now_ms, w->lease_ms);
	assoc_unlock(w->kv->index, p->hash);
	if (lease == LEASE_TAKEN || (lease == LEASE_FULL && worth == GOOD)) {
		wait(w, p, worth);
	} else if (worth == NOTHING && w->stampede.lease_ms == 0) {
		p->item = NULL;
	} else {
		if (worth == GOOD)
			KV_COUNT(w, early, 1);
		win(w, p);
	}
}

/* One key that was looked up, for a client that says nothing. */
static void guard(struct kv_writer *w, struct assoc_probe *p)
{
	const enum worth worth = worth_of(w, p->item);
	const struct item *found = p->item;

	if (worth == GOOD && likely(!is_early(w, p->item)))
		return;
	if (worth == NOTHING && w->stampede.lease_ms == 0 && w->stampede.early_pct == 0)
		p->item = NULL;
	else if (lease_is_taken(w->kv->leases, p->hash, w->now_ms, w->lease_ms))
		wait(w, p, worth);
	else
		decide(w, p);
	if (p->item == NULL && found != NULL && kv_is_dead(w, found))
		count_dead(w, found);
}

static unsigned guard_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n)
{
	unsigned n_hits = 0;

	for (unsigned i = 0; i < n; i++) {
		probes[i].marks = 0;
		guard(w, &probes[i]);
		n_hits += probes[i].item != NULL;
	}
	return n_hits;
}

/* Without stampede control: what is dead is not there. */
static unsigned drop_dead(struct kv_writer *w, struct assoc_probe *probes, unsigned n)
{
	unsigned n_hits = 0;

	for (unsigned i = 0; i < n; i++) {
		probes[i].marks = 0;
		if (probes[i].item != NULL && unlikely(kv_is_dead(w, probes[i].item))) {
			count_dead(w, probes[i].item);
			probes[i].item = NULL;
		}
		n_hits += probes[i].item != NULL;
	}
	return n_hits;
}

void kv_get_find_bulk(const struct kv_writer *w, struct assoc_probe *probes, unsigned n)
{
	assoc_find_bulk(w->kv->index, probes, n);
}

void kv_get_settle_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n)
{
	struct kv *kv = w->kv;
	unsigned n_hits;

	n_hits = unlikely(w->is_guarded) ? guard_bulk(w, probes, n) : drop_dead(w, probes, n);
	kv->evict.ops->on_hits(&kv->evict, probes, n);
	KV_COUNT(w, gets, n);
	KV_COUNT(w, hits, n_hits);
}

void kv_get_bulk(struct kv_writer *w, struct assoc_probe *probes, unsigned n)
{
	kv_get_find_bulk(w, probes, n);
	kv_get_settle_bulk(w, probes, n);
}

/* The second below which an item's time is near enough for R; 0: none is. */
static uint32_t recache_before(const struct kv_writer *w, const struct kv_get *g)
{
	const uint32_t when = g->has_recache ? kvverb_when(w, g->recache) : 0;

	return when == 0 && g->has_recache && g->recache > 0 ? UINT32_MAX : when;
}

/* Whether who comes now wins the item by its marks: it is stale, or its time near, and nobody has. */
static bool is_to_win(uint32_t when, uint32_t before)
{
	const uint32_t seconds = when & ITEM_SECONDS;

	return !(when & ITEM_WON) && ((when & ITEM_STALE) || (seconds != 0 && seconds < before));
}

static uint8_t marks_of(uint32_t when)
{
	return (when & ITEM_STALE ? KV_STALE : 0) | (when & ITEM_WON ? KV_TAKEN : 0);
}

static int create(struct kv_writer *w, const struct kv_key *key, const struct kv_get *g,
	const struct kvverb_found *f, struct kv_found *out)
{
	const int64_t exptime = g->has_exptime && !g->is_touch_first ? g->exptime : g->vivify;
	const uint32_t when = kvverb_when(w, exptime);
	const bool has_expired = when != 0 && when <= w->now;
	struct item *it;
	int rc;

	/* the answer shows it even if it has expired: written as one that has not, and then touched */
	rc = kvverb_vivify(w, key, f, (has_expired ? 0 : when) | ITEM_WON, g->new_cas, &it);
	if (rc != 0)
		return rc;
	if (has_expired) {
		const struct kvverb_found created = kvverb_find(w, key);

		kvverb_touch(w, &created, when);
	}
	if (w->is_guarded) /* for the time that it takes */
		lease_take(w->kv->leases, key->hash, w->now_ms, w->lease_ms);
	KV_COUNT(w, leases, 1);
	out->item = it;
	out->marks = KV_WON;
	return 0;
}

/* T and R of an item that is there, in the request's order, and whether this client wins. */
static void change(struct kv_writer *w, const struct kv_key *key, const struct kv_get *g,
	const struct kvverb_found *f, struct kv_found *out)
{
	const uint32_t found = item_when(f->item);
	uint32_t when = found;
	bool is_won;

	if (g->has_exptime)
		when = (found & ~ITEM_SECONDS) | kvverb_when(w, g->exptime);
	is_won = is_to_win(g->is_touch_first ? when : found, recache_before(w, g));
	out->item = f->item;
	out->marks = marks_of(found);
	/* a client that says nothing may be about it */
	if (is_won && w->is_guarded
		&& lease_take(w->kv->leases, key->hash, w->now_ms, w->lease_ms) == LEASE_TAKEN) {
		is_won = false;
		out->marks |= KV_TAKEN;
	}
	if (is_won) {
		when |= ITEM_WON;
		out->marks |= KV_WON;
		KV_COUNT(w, leases, 1);
	}
	if (when == found)
		return;
	item_set_when(f->item, when);
	if (g->has_exptime)
		kvverb_touch(w, f, when & ITEM_SECONDS);
}

/* What is to change changes under the stripe. -ENOSPC, -ENOMEM, or an enum kv_result. */
static int get_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_get *g,
	struct kv_found *out, struct assoc_probe *p)
{
	const struct kvverb_found f = kvverb_find(w, key);

	if (f.item == NULL && g->has_vivify)
		return create(w, key, g, &f, out);
	if (f.item == NULL)
		return KV_NOT_FOUND;
	p->item = f.item;
	p->slot = f.slot;
	p->state = assoc_state(f.slot);
	change(w, key, g, &f, out);
	return KV_OK;
}

static enum kv_result get_and_change(struct kv_writer *w, const struct kv_key *key,
	const struct kv_get *g, struct kv_found *out, struct assoc_probe *p)
{
	struct kv *kv = w->kv;
	int rc;

	p->item = NULL;
	if (g->has_vivify)
		kvroom_make(w, key->len);
	for (;;) {
		assoc_lock(kv->index, key->hash);
		rc = get_locked(w, key, g, out, p);
		assoc_unlock(kv->index, key->hash);
		if (likely(rc != -ENOSPC) || kvroom_give_index(kv) != 0)
			break;
	}
	if (unlikely(rc < 0)) {
		KV_COUNT(w, no_memory, 1);
		return KV_NO_MEMORY;
	}
	return (enum kv_result)rc;
}

static void count_get(struct kv_writer *w, const struct kv_get *g, bool is_hit)
{
	if (g->has_exptime && is_hit) {
		KV_COUNT(w, touches, 1);
	} else if (g->has_exptime) {
		KV_COUNT(w, touch_misses, 1);
	} else {
		KV_COUNT(w, gets, 1);
		KV_COUNT(w, hits, is_hit);
	}
}

/* An item that is there is given as it is, unless the request, or its marks, have something change. */
static bool is_to_change(const struct kv_writer *w, const struct kv_get *g, const struct item *it)
{
	if (it == NULL)
		return g->has_vivify;
	return g->has_exptime || is_to_win(item_when(it), recache_before(w, g));
}

enum kv_result kv_get_meta(
	struct kv_writer *w, const struct kv_key *key, const struct kv_get *g, struct kv_found *f)
{
	struct assoc_probe p = {.key = key->data, .key_len = key->len, .hash = key->hash};
	const bool is_silent = !g->has_vivify && !g->has_recache;
	enum kv_result rc;

	*f = (struct kv_found){0};
	assoc_find_bulk(w->kv->index, &p, 1);
	if (unlikely(w->is_guarded) && is_silent
		&& !(p.item != NULL && (item_when(p.item) & ITEM_STALE)
			&& !kv_is_dead(w, p.item))) {
		guard(w, &p);
	} else if (p.item != NULL && kv_is_dead(w, p.item)) {
		count_dead(w, p.item);
		p.item = NULL;
	}
	/* an old value that is served to this client has expired: nothing of it is to change */
	if (p.marks == 0 && is_to_change(w, g, p.item)) {
		rc = get_and_change(w, key, g, f, &p);
	} else {
		f->item = p.item;
		f->marks = p.marks != 0  ? p.marks
			: p.item != NULL ? marks_of(item_when(p.item))
					 : 0;
		rc = p.item != NULL ? KV_OK : KV_NOT_FOUND;
	}
	if (p.item != NULL)
		w->kv->evict.ops->on_hits(&w->kv->evict, &p, 1);
	if (f->item != NULL)
		f->ttl = kv_ttl(w, f->item);
	count_get(w, g, f->item != NULL);
	return rc;
}
