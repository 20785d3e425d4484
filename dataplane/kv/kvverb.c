/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kvverb — writing to a cache, with the rules of memcached (its doc/protocol.txt). Each verb makes room, then decides and changes the
 * index under the stripe of its key. Where the new item does not depend on the old one it is written before that.
 */
#include "kv/kvroom.h"

#include <rte_branch_prediction.h>

#include <errno.h>

#define RELATIVE_MAX (60 * 60 * 24 * 30) /* seconds; above that a time of expiry is absolute */
#define DIGITS_MAX 20u                   /* of 2^64 - 1 */

/* What is at hand about a key while its stripe is locked. */
struct found {
	union assoc_slot *slot; /* NULL: not in the index */
	struct item *item;      /* NULL: not there, or dead */
	struct item *dead;      /* there, but expired or purged */
};

static uint32_t when_of(const struct kv_writer *w, int64_t exptime)
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

static uint32_t next_number(struct kv_writer *w)
{
	struct kv *kv = w->kv;
	/* pairs(kv-era): numbers taken before a purge are below its own */
	const uint32_t era = __atomic_load_n(&kv->era, __ATOMIC_ACQUIRE);

	if (w->number == w->number_end || w->number_era != era) {
		w->number = __atomic_fetch_add(&kv->number, KV_NUMBERS, __ATOMIC_RELAXED);
		w->number_end = w->number + KV_NUMBERS;
		w->number_era = era;
	}
	return w->number++;
}

static struct found find(struct kv_writer *w, const struct kv_key *key)
{
	struct found f = {0};

	f.slot = assoc_find_locked(w->kv->index, key->hash, key->data, key->len, &f.item);
	if (f.slot == NULL)
		f.item = NULL;
	if (f.item != NULL && kv_is_dead(w, f.item)) {
		f.dead = f.item;
		f.item = NULL;
	}
	return f;
}

static void remove_found(struct kv_writer *w, const struct found *f)
{
	if (f->slot != NULL)
		kvroom_remove(w, f->slot, f->item != NULL ? f->item : f->dead);
}

/* Puts a written item into the index, in place of what was found. 0, -ENOSPC: the index wants memory. */
static int put(struct kv_writer *w, const struct kv_key *key, const struct found *f,
	const struct item *it, uint8_t state)
{
	struct kv *kv = w->kv;
	const struct item *old = f->item != NULL ? f->item : f->dead;
	int rc;

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

static enum kv_result may_store(const struct kv_store *s, const struct found *f)
{
	switch (s->mode) {
	case KV_ADD:
		return f->item == NULL ? KV_OK : KV_NOT_STORED;
	case KV_REPLACE:
	case KV_APPEND:
	case KV_PREPEND:
		if (f->item == NULL)
			return KV_NOT_STORED;
		return s->cas == 0 || s->cas == item_cas(f->item) ? KV_OK : KV_EXISTS;
	case KV_CAS:
		if (f->item == NULL)
			return KV_NOT_FOUND;
		return s->cas == item_cas(f->item) ? KV_OK : KV_EXISTS;
	default:
		return KV_OK;
	}
}

/* append and prepend: the new item has the old one's flags and time. */
static bool joins(const struct kv_store *s)
{
	return s->mode == KV_APPEND || s->mode == KV_PREPEND;
}

/* Under the stripe: decides and stores. -ENOSPC, -ENOMEM, or an enum kv_result. */
static int store_locked(struct kv_writer *w, const struct kv_key *key, const struct kv_store *s,
	struct item_head *h, struct evict_verdict *v)
{
	const struct found f = find(w, key);
	const uint32_t n_old = joins(s) && f.item != NULL ? item_value_len(f.item) : 0;
	enum kv_result rc = may_store(s, &f);
	struct item *it;
	uint8_t *to;

	if (rc != KV_OK)
		return (int)rc;
	h->value_len = s->value_len + n_old;
	if (h->value_len > w->kv->value_max)
		return KV_TOO_LARGE;
	if (joins(s)) {
		h->when = item_when(f.item);
		h->flags = item_flags(f.item);
	}
	it = kvroom_reserve(w, v->queue, h->when, item_size_for(h));
	if (unlikely(it == NULL))
		return -ENOMEM;
	h->number = next_number(w);
	to = item_write(it, h);
	if (s->mode == KV_APPEND)
		memcpy(to, item_value(f.item), n_old);
	memcpy(to + (s->mode == KV_APPEND ? n_old : 0), s->value, s->value_len);
	if (s->mode == KV_PREPEND)
		memcpy(to + s->value_len, item_value(f.item), n_old);
	return put(w, key, &f, it, f.item != NULL ? assoc_state(f.slot) : v->state);
}

/* Counts what could not be stored; what was to be set takes the old value with it, which is not to be served any more. */
static enum kv_result refuse(
	struct kv_writer *w, const struct kv_key *key, bool is_set, enum kv_result why)
{
	struct found f;

	if (why == KV_TOO_LARGE)
		KV_COUNT(w, too_large, 1);
	else
		KV_COUNT(w, no_memory, 1);
	if (!is_set)
		return why;
	assoc_lock(w->kv->index, key->hash);
	f = find(w, key);
	remove_found(w, &f);
	assoc_unlock(w->kv->index, key->hash);
	return why;
}

enum kv_result kv_store(
	struct kv_writer *w, const struct kv_key *key, const struct kv_store *s, uint64_t *cas)
{
	struct kv *kv = w->kv;
	struct item_head h = {.key = key->data,
		.key_len = key->len,
		.when = when_of(w, s->exptime),
		.flags = s->flags,
		.cas = s->new_cas};
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
	if (rc == KV_OK) {
		KV_COUNT(w, sets, 1);
		if (cas != NULL)
			*cas = h.cas != 0 ? h.cas : h.number;
	}
	return (enum kv_result)rc;
}

enum kv_result kv_delete(struct kv_writer *w, const struct kv_key *key, uint64_t cas)
{
	enum kv_result rc = KV_OK;
	struct found f;

	assoc_lock(w->kv->index, key->hash);
	f = find(w, key);
	if (f.item != NULL && cas != 0 && cas != item_cas(f.item))
		rc = KV_EXISTS;
	else if (f.item == NULL)
		rc = KV_NOT_FOUND;
	if (rc != KV_EXISTS)
		remove_found(w, &f);
	assoc_unlock(w->kv->index, key->hash);
	if (rc == KV_OK)
		KV_COUNT(w, deletes, 1);
	return rc;
}

const struct item *kv_touch(struct kv_writer *w, const struct kv_key *key, int64_t exptime)
{
	const uint32_t when = when_of(w, exptime);
	struct found f;

	assoc_lock(w->kv->index, key->hash);
	f = find(w, key);
	if (f.item != NULL) {
		const uint32_t marks = item_when(f.item) & ~ITEM_SECONDS;

		__atomic_store_n(&f.item->when, marks | when, __ATOMIC_RELAXED);
		kvroom_lower(w->kv, f.item, when);
	}
	assoc_unlock(w->kv->index, key->hash);
	if (f.item != NULL)
		KV_COUNT(w, touches, 1);
	return f.item;
}

/* The number in a value; false: it is none, or above 2^64 - 1. */
static bool parse_number(const struct item *it, uint64_t *number)
{
	const uint8_t *s = item_value(it);
	uint32_t len = item_value_len(it), i;
	uint64_t n = 0;

	while (len > 1 && s[len - 1] == ' ')
		len--; /* what a shorter number was filled up with */
	if (len == 0 || len > DIGITS_MAX)
		return false;
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || __builtin_mul_overflow(n, 10, &n)
			|| __builtin_add_overflow(n, s[i] - '0', &n))
			return false;
	}
	*number = n;
	return true;
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

static int count_locked(struct kv_writer *w, const struct kv_key *key, uint64_t delta, bool is_down,
	uint64_t cas, uint64_t *value)
{
	const struct found f = find(w, key);
	struct item_head h = {.key = key->data, .key_len = key->len};
	uint8_t digits[DIGITS_MAX], *to;
	struct item *it;
	uint32_t n;

	if (f.item == NULL)
		return KV_NOT_FOUND;
	if (cas != 0 && cas != item_cas(f.item))
		return KV_EXISTS;
	if (!parse_number(f.item, value))
		return KV_NOT_NUMBER;
	if (is_down)
		*value = *value > delta ? *value - delta : 0;
	else
		*value += delta;
	n = print_number(*value, digits);
	/* a number that became shorter keeps its length, filled up with spaces */
	h.value_len = RTE_MAX(n, item_value_len(f.item));
	h.when = item_when(f.item);
	h.flags = item_flags(f.item);
	it = kvroom_reserve(
		w, w->kv->pool.segs[seg_of(&w->kv->pool, f.item)].queue, h.when, item_size_for(&h));
	if (unlikely(it == NULL))
		return -ENOMEM;
	h.number = next_number(w);
	to = item_write(it, &h);
	memset(to, ' ', h.value_len);
	memcpy(to, digits + DIGITS_MAX - n, n);
	return put(w, key, &f, it, assoc_state(f.slot));
}

enum kv_result kv_count(struct kv_writer *w, const struct kv_key *key, uint64_t delta, bool is_down,
	uint64_t cas, uint64_t *value)
{
	int rc;

	kvroom_make(w, key->len + DIGITS_MAX);
	assoc_lock(w->kv->index, key->hash);
	rc = count_locked(w, key, delta, is_down, cas, value);
	assoc_unlock(w->kv->index, key->hash);
	if (unlikely(rc < 0))
		return refuse(w, key, false, KV_NO_MEMORY);
	if (rc == KV_OK)
		KV_COUNT(w, sets, 1);
	return (enum kv_result)rc;
}
