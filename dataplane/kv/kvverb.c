/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvverb — writing to a cache, with the rules of memcached (its doc/protocol.txt). Each verb makes room, then decides and changes the
 * index under the stripe of its key. Where the new item does not depend on the old one it is written before that.
 */
#include "kv/kvverb.h"

#include "kv/kvroom.h"

#include <rte_branch_prediction.h>

#include <errno.h>

#define RELATIVE_MAX (60 * 60 * 24 * 30) /* seconds; above that a time of expiry is absolute */
#define DIGITS_MAX 20u                   /* of 2^64 - 1 */

uint32_t kvverb_when(const struct kv_writer *w, int64_t exptime)
{
	int64_t left = exptime;

	if (exptime == 0)
		return 0;
	if (exptime > RELATIVE_MAX)
		left = exptime - w->unix_now;
	if (left <= 0)
		return w->now; /* has expired */
	return left >= ITEM_SECONDS - w->now ? 0 : w->now + (uint32_t)left;
}

/* K3. What is found is what it is to replace. */
static uint32_t next_number(struct kv_writer *w, const struct kvverb_found *f)
{
	const struct item *old = f->item != NULL ? f->item : f->dead;
	struct kv *kv = w->kv;
	/* pairs(kv-era): numbers taken before a purge are below its own */
	const uint32_t era = __atomic_load_n(&kv->era, __ATOMIC_ACQUIRE);
	uint32_t number;

	if (w->number == w->number_end || w->number_era != era) {
		w->number = __atomic_fetch_add(&kv->number, KV_NUMBERS, __ATOMIC_RELAXED);
		w->number_end = w->number + KV_NUMBERS;
		w->number_era = era;
	}
	number = w->number++;
	/* those at hand may be lower than what another writer has used for this key; and 0 is no item's */
	while (number == 0 || (old != NULL && (int32_t)(number - old->number) <= 0))
		number = __atomic_fetch_add(&kv->number, 1, __ATOMIC_RELAXED);
	return number;
}

struct kvverb_found kvverb_find(struct kv_writer *w, const struct kv_key *key)
{
	struct kvverb_found f = {0};

	f.slot = assoc_find_locked(w->kv->index, key->hash, key->data, key->len, &f.item);
	if (f.slot == NULL)
		f.item = NULL;
	if (f.item != NULL && kv_is_dead(w, f.item)) {
		f.dead = f.item;
		f.item = NULL;
	}
	return f;
}

static void remove_found(struct kv_writer *w, const struct kvverb_found *f)
{
	if (f->slot != NULL)
		kvroom_remove(w, f->slot, f->item != NULL ? f->item : f->dead);
}

/* Puts a written item into the index, in place of what was found. One that has expired already is not worth it: it takes what was
 * found away, and may not be read. 0, -ENOSPC: the index wants memory. */
static int put(struct kv_writer *w, const struct kv_key *key, const struct kvverb_found *f,
	const struct item *it, uint8_t state)
{
	struct kv *kv = w->kv;
	const struct item *old = f->item != NULL ? f->item : f->dead;
	int rc;

	if (unlikely(item_is_expired(it, w->now))) {
		remove_found(w, f);
		return 0;
	}
	if (f->slot == NULL) {
		rc = assoc_add_locked(kv->index, key->hash, kv_addr(kv, it), state);
		if (rc != 0)
			return rc;
		KV_COUNT(w, items, 1);
	}
	kvroom_commit(w, it, kv_item_size(it));
	if (f->slot != NULL) {
		assoc_set_locked(f->slot, kv_addr(kv, it), state);
		seg_add_live(&kv->pool, old, -(int32_t)kv_item_size(old));
	}
	return 0;
}

/* Whoever was to fetch the key anew has, or is not to be waited for. */
static void end_lease(struct kv_writer *w, const struct kv_key *key, bool is_fetched)
{
	if (likely(!w->is_guarded))
		return;
	if (is_fetched)
		lease_end_stored(w->kv->leases, key->hash, w->now_ms, w->lease_ms);
	else
		lease_end(w->kv->leases, key->hash);
}

/* append and prepend: the new item has the old one's flags and time. */
static bool joins(const struct kv_store *s)
{
	return s->mode == KV_APPEND || s->mode == KV_PREPEND;
}

/* set and replace with a cas are the same as cas; 0, which no item has, is then another one's. */
static uint8_t mode_of(const struct kv_store *s)
{
	return s->has_cas && (s->mode == KV_SET || s->mode == KV_REPLACE) ? KV_CAS : s->mode;
}

/* Whether the item's number is a later one than this. Numbers of the cache's own wrap, those of clients do not. */
static bool is_later(const struct item *it, uint64_t cas)
{
	if (cas == 0)
		return false;
	if ((item_when(it) & ITEM_HAS_CAS) || cas > UINT32_MAX)
		return cas < item_cas(it);
	return (int32_t)(it->number - (uint32_t)cas) > 0;
}

static enum kv_result may_store(const struct kv_store *s, const struct kvverb_found *f)
{
	switch (mode_of(s)) {
	case KV_ADD:
		return f->item == NULL ? KV_OK : KV_NOT_STORED;
	case KV_REPLACE:
		return f->item == NULL ? KV_NOT_STORED : KV_OK;
	case KV_APPEND:
	case KV_PREPEND:
		if (f->item == NULL)
			return s->has_vivify ? KV_OK : KV_NOT_STORED;
		return s->cas == 0 || s->cas == item_cas(f->item) ? KV_OK : KV_EXISTS;
	case KV_CAS:
		if (f->item == NULL)
			return KV_NOT_FOUND;
		if (s->cas == item_cas(f->item))
			return KV_OK;
		return s->is_invalidating && is_later(f->item, s->cas) ? KV_OK : KV_EXISTS;
	default:
		return KV_OK;
	}
}

/* The new item's time, marks and flags, where they depend on what was found. */
static void inherit(const struct kv_writer *w, const struct kv_store *s,
	const struct kvverb_found *f, struct item_head *h)
{
	h->when = kvverb_when(w, joins(s) ? s->vivify : s->exptime);
	h->flags = s->flags;
	if (f->item == NULL)
		return;
	if (joins(s)) {
		h->when = item_seconds(f->item);
		h->flags = item_flags(f->item);
	} else if (mode_of(s) == KV_CAS && s->cas != item_cas(f->item)) {
		/* is_invalidating: fetched before somebody changed or invalidated it */
		h->when = item_seconds(f->item) | ITEM_STALE | (item_when(f->item) & ITEM_WON);
	}
}

static void copy_value(uint8_t *to, const struct item *it, uint32_t len)
{
	if (len > 0)
		memcpy(to, item_value(it), len);
}

/* Under the stripe: decides and stores. -ENOSPC, -ENOMEM, or an enum kv_result. */
static int store_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_store *s,
	struct item_head *h, struct evict_verdict *v)
{
	const struct kvverb_found f = kvverb_find(w, key);
	const uint32_t n_old = joins(s) && f.item != NULL ? item_value_len(f.item) : 0;
	enum kv_result rc = may_store(s, &f);
	struct item *it;
	uint8_t *to;
	int rc_put;

	if (rc != KV_OK)
		return (int)rc;
	h->value_len = s->value_len + n_old;
	if (h->value_len > w->kv->value_max)
		return KV_TOO_LARGE;
	inherit(w, s, &f, h);
	it = kvroom_reserve(w, v->queue, h->when, item_size_for(h));
	if (unlikely(it == NULL))
		return -ENOMEM;
	h->number = next_number(w, &f);
	to = item_write(it, h);
	if (s->mode == KV_APPEND)
		copy_value(to, f.item, n_old);
	memcpy(to + (s->mode == KV_APPEND ? n_old : 0), s->value, s->value_len);
	if (s->mode == KV_PREPEND)
		copy_value(to + s->value_len, f.item, n_old);
	rc_put = put(w, key, &f, it, f.item != NULL ? assoc_state(f.slot) : v->state);
	if (rc_put == 0 && !joins(s) && !(h->when & ITEM_STALE))
		end_lease(w, key, true);
	return rc_put;
}

/* Counts what could not be stored; what was to be set takes the old value with it, which is not to be served any more. */
static enum kv_result refuse(
	struct kv_writer *w, const struct kv_key *key, bool is_set, enum kv_result why)
{
	struct kvverb_found f;

	if (why == KV_TOO_LARGE)
		KV_COUNT(w, too_large, 1);
	else
		KV_COUNT(w, no_memory, 1);
	if (!is_set)
		return why;
	assoc_lock(w->kv->index, key->hash);
	f = kvverb_find(w, key);
	remove_found(w, &f);
	end_lease(w, key, false);
	assoc_unlock(w->kv->index, key->hash);
	return why;
}

static void count_store(struct kv_writer *w, const struct kv_store *s, int rc)
{
	if (rc == KV_OK)
		KV_COUNT(w, sets, 1);
	else if (rc == KV_TOO_LARGE) /* with what it was joined to */
		KV_COUNT(w, too_large, 1);
	if (likely(mode_of(s) != KV_CAS))
		return;
	if (rc == KV_OK)
		KV_COUNT(w, cas_hits, 1);
	else if (rc == KV_NOT_FOUND)
		KV_COUNT(w, cas_misses, 1);
	else if (rc == KV_EXISTS)
		KV_COUNT(w, cas_mismatches, 1);
}

enum kv_result kv_store(
	struct kv_writer *w, const struct kv_key *key, const struct kv_store *s, uint64_t *cas)
{
	struct kv *kv = w->kv;
	struct item_head h = {.key = key->data, .key_len = key->len, .cas = s->new_cas};
	struct evict_verdict v;
	int rc;

	if (s->value_len > kv->value_max)
		return refuse(w, key, s->mode == KV_SET, KV_TOO_LARGE);
	v = kv->evict.ops->admit(&kv->evict, key->hash);
	kvroom_make(w, s->value_len + key->len);
	for (;;) {
		assoc_lock(kv->index, key->hash);
		rc = store_locked(w, key, s, &h, &v);
		assoc_unlock(kv->index, key->hash);
		if (likely(rc != -ENOSPC) || kvroom_give_index(kv) != 0)
			break;
	}
	if (unlikely(rc < 0))
		return refuse(w, key, s->mode == KV_SET, KV_NO_MEMORY);
	count_store(w, s, rc);
	if (rc == KV_OK && cas != NULL)
		*cas = h.cas != 0 ? h.cas : h.number;
	return (enum kv_result)rc;
}

/* What is written in place of an item keeps its queue and state. */
static struct evict_verdict verdict_on(
	struct kv_writer *w, const struct kv_key *key, const struct kvverb_found *f)
{
	struct kv *kv = w->kv;

	if (f->item == NULL)
		return kv->evict.ops->admit(&kv->evict, key->hash);
	return (struct evict_verdict){.queue = kv->pool.segs[seg_of(&kv->pool, f->item)].queue,
		.state = assoc_state(f->slot)};
}

/* Writes what a marked item becomes, under the stripe. -ENOMEM, 0. */
static int change_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_mark *m,
	const struct kvverb_found *f)
{
	struct item_head h = {.key = key->data,
		.key_len = key->len,
		.value_len = m->drops_value ? 0 : item_value_len(f->item),
		.flags = m->drops_value ? 0 : item_flags(f->item),
		.cas = m->new_cas};
	const struct evict_verdict v = verdict_on(w, key, f);
	struct item *it;

	if (m->has_exptime)
		h.when = kvverb_when(w, m->exptime);
	else if (!m->drops_value)
		h.when = item_seconds(f->item);
	if (m->is_invalidating)
		h.when |= ITEM_STALE;
	else if (h.cas == 0)
		h.cas = item_cas(f->item); /* an empty value is no news */
	it = kvroom_reserve(w, v.queue, h.when, item_size_for(&h));
	if (unlikely(it == NULL))
		return -ENOMEM;
	h.number = next_number(w, f);
	copy_value(item_write(it, &h), f->item, h.value_len);
	return put(w, key, f, it, v.state);
}

static int mark_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_mark *m)
{
	const struct kvverb_found f = kvverb_find(w, key);
	int rc = f.item != NULL ? KV_OK : KV_NOT_FOUND;

	if (f.item != NULL && m->has_cas && m->cas != item_cas(f.item))
		return KV_EXISTS;
	if (f.item != NULL && (m->is_invalidating || m->drops_value))
		rc = change_locked(w, key, m, &f);
	else
		remove_found(w, &f);
	end_lease(w, key, false); /* what is being fetched may be as old */
	return rc;
}

/* The length of the value, as it is now, for the room that it will need again. */
static uint32_t size_of(const struct kv *kv, const struct kv_key *key)
{
	struct assoc_probe probe = {.key = key->data, .key_len = key->len, .hash = key->hash};

	assoc_find_bulk(kv->index, &probe, 1);
	return probe.item != NULL ? kv_item_size(probe.item) : 0;
}

enum kv_result kv_mark(struct kv_writer *w, const struct kv_key *key, const struct kv_mark *m)
{
	struct kv *kv = w->kv;
	int rc;

	if (m->is_invalidating || m->drops_value)
		kvroom_make(w, size_of(kv, key));
	assoc_lock(kv->index, key->hash);
	rc = mark_locked(w, key, m);
	assoc_unlock(kv->index, key->hash);
	if (unlikely(rc < 0)) /* it must not be served as if it were good */
		return refuse(w, key, true, KV_NO_MEMORY);
	if (rc != KV_OK)
		KV_COUNT(w, delete_misses, 1);
	else if (m->is_invalidating)
		KV_COUNT(w, marks, 1);
	else
		KV_COUNT(w, deletes, 1);
	return (enum kv_result)rc;
}

enum kv_result kv_delete(struct kv_writer *w, const struct kv_key *key, uint64_t cas)
{
	const struct kv_mark m = {.cas = cas, .has_cas = cas != 0};

	return kv_mark(w, key, &m);
}

void kvverb_touch(struct kv_writer *w, const struct kvverb_found *f, uint32_t when)
{
	item_set_when(f->item, (item_when(f->item) & ~ITEM_SECONDS) | when);
	if (unlikely(item_is_expired(f->item, w->now)))
		kvroom_remove(w, f->slot, f->item);
	else
		kvroom_note_when(w->kv, f->item, when);
}

const struct item *kv_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime)
{
	struct assoc_probe probe = {0};
	struct kvverb_found f;

	assoc_lock(w->kv->index, key->hash);
	f = kvverb_find(w, key);
	if (f.item != NULL) {
		probe = (struct assoc_probe){
			.slot = f.slot, .item = f.item, .state = assoc_state(f.slot)};
		kvverb_touch(w, &f, kvverb_when(w, exptime));
	}
	assoc_unlock(w->kv->index, key->hash);
	if (f.item == NULL) {
		KV_COUNT(w, touch_misses, 1);
		return NULL;
	}
	w->kv->evict.ops->on_hits(&w->kv->evict, &probe, 1);
	KV_COUNT(w, touches, 1);
	return f.item;
}

const struct item *kv_get_and_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime)
{
	const struct kv_get g = {.exptime = exptime, .has_exptime = true};
	struct assoc_probe probe = {.key = key->data, .key_len = key->len, .hash = key->hash};
	struct kv_found f;

	if (likely(!w->is_guarded))
		return kv_touch(w, key, exptime);
	assoc_find_bulk(w->kv->index, &probe, 1);
	/* one that a client has marked is that client's affair: a meta get would win it, and mark it as won */
	if (probe.item != NULL && (item_when(probe.item) & ITEM_STALE)
		&& !kv_is_dead(w, probe.item))
		return kv_touch(w, key, exptime);
	return kv_get_meta(w, key, &g, &f) == KV_OK ? f.item : NULL;
}

int kvverb_vivify(struct kv_writer *w, const struct kv_key *key, const struct kvverb_found *f,
	uint32_t when, uint64_t new_cas, struct item **it)
{
	const struct item_head h = {.key = key->data,
		.key_len = key->len,
		.when = when,
		.number = next_number(w, f),
		.cas = new_cas};
	const struct evict_verdict v = verdict_on(w, key, f);

	*it = kvroom_reserve(w, v.queue, when, item_size_for(&h));
	if (unlikely(*it == NULL))
		return -ENOMEM;
	item_write(*it, &h);
	return put(w, key, f, *it, v.state);
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The number that a value begins with, as memcached reads it: space before it and anything after a space, or a 0, are passed
 * over. false:
 * there is none, or it is above 2^64 - 1. */
static bool parse_number(const struct item *it, uint64_t *number)
{
	const uint8_t *s = item_value(it), *end = s + item_value_len(it), *first;
	uint64_t n = 0;

	while (s < end && is_space(*s))
		s++;
	if (s < end && *s == '+')
		s++;
	for (first = s; s < end && *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *s - '0', &n))
			return false;
	*number = n;
	return s > first && (s == end || is_space(*s) || *s == '\0');
}

/* Writes the digits to the end of the buffer; returns how many. */
static uint32_t print_number(uint64_t number, uint8_t buffer[DIGITS_MAX])
{
	uint32_t n = 0;

	do {
		buffer[DIGITS_MAX - ++n] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	return n;
}

/* The number and the time that the item shall have, under the stripe. An enum kv_result. */
static enum kv_result reckon(const struct kv_writer *w, const struct kv_count *c,
	const struct kvverb_found *f, uint64_t *value, uint32_t *when)
{
	const int64_t created = c->has_exptime && !c->is_touch_first ? c->exptime : c->vivify;

	if (f->item == NULL) {
		*value = c->initial;
		*when = kvverb_when(w, created);
		return c->has_vivify ? KV_OK : KV_NOT_FOUND;
	}
	if (item_value_len(f->item) == 0) /* in this order, as memcached says it */
		return KV_NOT_NUMBER;
	if (c->cas != 0 && c->cas != item_cas(f->item))
		return KV_EXISTS;
	if (!parse_number(f->item, value))
		return KV_NOT_NUMBER;
	if (c->is_down)
		*value = *value > c->delta ? *value - c->delta : 0;
	else
		*value += c->delta;
	*when = item_when(f->item);
	if (c->has_exptime)
		*when = (*when & ~ITEM_SECONDS) | kvverb_when(w, c->exptime);
	return KV_OK;
}

static void tally(struct kv_writer *w, const struct kv_count *c, bool is_found)
{
	if (c->is_down && is_found)
		KV_COUNT(w, decr_hits, 1);
	else if (c->is_down)
		KV_COUNT(w, decr_misses, 1);
	else if (is_found)
		KV_COUNT(w, incr_hits, 1);
	else
		KV_COUNT(w, incr_misses, 1);
}

static int count_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_count *c,
	struct kv_counted *result)
{
	const struct kvverb_found f = kvverb_find(w, key);
	struct item_head h = {.key = key->data, .key_len = key->len, .cas = c->new_cas};
	const enum kv_result rc = reckon(w, c, &f, &result->value, &h.when);
	uint8_t digits[DIGITS_MAX], *to;
	struct evict_verdict v;
	struct item *it;
	uint32_t n;
	int rc_put;

	if (rc == KV_NOT_FOUND)
		tally(w, c, false);
	if (rc != KV_OK)
		return (int)rc;
	n = print_number(result->value, digits);
	/* a number that became shorter keeps its length, filled up with spaces */
	h.value_len = f.item != NULL ? RTE_MAX(n, item_value_len(f.item)) : n;
	h.flags = f.item != NULL ? item_flags(f.item) : 0;
	v = verdict_on(w, key, &f);
	it = kvroom_reserve(w, v.queue, h.when, item_size_for(&h));
	if (unlikely(it == NULL))
		return -ENOMEM;
	h.number = next_number(w, &f);
	to = item_write(it, &h);
	memset(to, ' ', h.value_len);
	memcpy(to, digits + DIGITS_MAX - n, n);
	result->cas = item_cas(it);
	result->ttl = kv_ttl(w, it);
	rc_put = put(w, key, &f, it, v.state);
	if (rc_put == 0 && f.item != NULL)
		tally(w, c, true);
	else if (rc_put == 0)
		end_lease(w, key, false);
	return rc_put;
}

enum kv_result kv_count(struct kv_writer *w, const struct kv_key *key, const struct kv_count *c,
	struct kv_counted *result)
{
	struct kv *kv = w->kv;
	int rc;

	kvroom_make(w, key->len + DIGITS_MAX);
	for (;;) {
		assoc_lock(kv->index, key->hash);
		rc = count_locked(w, key, c, result);
		assoc_unlock(kv->index, key->hash);
		if (likely(rc != -ENOSPC) || kvroom_give_index(kv) != 0)
			break;
	}
	if (unlikely(rc < 0))
		return refuse(w, key, false, KV_NO_MEMORY);
	return (enum kv_result)rc;
}
