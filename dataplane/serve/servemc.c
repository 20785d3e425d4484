/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * servemc — see servemc.h. One function for each kind of request; the table at the end says which. What a cache does about
 * misses at once (kv/lease.h) comes with the marks of what it finds: of a plain get they only decide what is a hit,
 * a meta get shows them.
 */
#include "serve/servemc.h"

#include "serve/servestat.h"

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include <errno.h>

static enum mc_outcome outcome_of(enum kv_result rc)
{
	switch (rc) {
	case KV_OK:
		return MC_STORED;
	case KV_NOT_FOUND:
		return MC_NOT_FOUND;
	case KV_NOT_STORED:
		return MC_NOT_STORED;
	case KV_EXISTS:
		return MC_EXISTS;
	case KV_TOO_LARGE:
		return MC_TOO_LARGE;
	case KV_NOT_NUMBER:
		return MC_NOT_NUMBER;
	default:
		return MC_NO_MEMORY;
	}
}

static struct kv_key key_of(const struct mc_request *r)
{
	return kv_key_of(r->key, r->key_len);
}

static inline void show_item(struct mc_result *to, const struct item *it)
{
	to->flags = item_flags(it);
	to->cas = item_cas(it);
	to->value = item_value(it);
	to->value_len = item_value_len(it);
}

static inline void show_marks(struct mc_result *to, uint8_t marks)
{
	to->is_won = marks & KV_WON;
	to->is_stale = marks & KV_STALE;
	to->is_taken = marks & KV_TAKEN;
}

bool servemc_is_lookup(const struct mc_request *r)
{
	return (r->verb == MC_GET && r->more == r->more_end)
		|| (r->verb == MC_META_GET && (r->has & ~MC_BASE64) == 0);
}

void servemc_probe(const struct mc_request *r, struct assoc_probe *probe)
{
	probe->key = r->key;
	probe->key_len = r->key_len;
	probe->hash = assoc_hash(r->key, r->key_len);
}

#define ANSWER_HEAD 96u /* what is around a value, but for the key */

uint32_t servemc_answer_bytes(const struct assoc_probe *probe)
{
	return ANSWER_HEAD
		+ (probe->item != NULL ? probe->key_len + item_value_len(probe->item) : 0);
}

uint32_t servemc_get_bytes(const struct servemc *s, const struct mc_request *r)
{
	struct assoc_probe probes[ASSOC_BULK];
	struct mc_request keys = *r;
	uint64_t sum = 0;
	bool is_more = true;

	while (is_more) {
		unsigned n = 0;

		do {
			servemc_probe(&keys, &probes[n++]);
			is_more = r->verb != MC_META_GET && mc_next_key(&keys);
		} while (is_more && n < ASSOC_BULK);
		kv_get_find_bulk(s->writer, probes, n);
		for (unsigned i = 0; i < n; i++)
			sum += servemc_answer_bytes(&probes[i]);
	}
	return (uint32_t)RTE_MIN(sum, (uint64_t)UINT32_MAX);
}

static void tell_lookups(const struct servemc *s, const struct assoc_probe *probes, unsigned n)
{
	if (s->on_lookups != NULL)
		s->on_lookups(s->ctx, probes, n);
}

static void tell_key(const struct servemc *s, const struct kv_key *key)
{
	const struct assoc_probe probe = {.key = key->data, .key_len = key->len, .hash = key->hash};

	tell_lookups(s, &probe, 1);
}

static void get(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	struct assoc_probe probes[ASSOC_BULK];
	bool is_more = true;

	while (is_more) {
		const uint8_t *next;
		uint8_t next_len;
		unsigned n = 0;

		do {
			servemc_probe(r, &probes[n++]);
			is_more = mc_next_key(r);
		} while (is_more && n < ASSOC_BULK);
		tell_lookups(s, probes, n);
		next = r->key;
		next_len = r->key_len;
		kv_get_bulk(s->writer, probes, n);
		for (unsigned i = 0; i < n; i++) {
			struct mc_result result = {.outcome = MC_MISS};

			if (probes[i].item != NULL) {
				result.outcome = MC_HIT;
				show_item(&result, probes[i].item);
			}
			r->key = probes[i].key;
			r->key_len = (uint8_t)probes[i].key_len;
			mc_reply(out, r, &result);
		}
		r->key = next;
		r->key_len = next_len;
	}
	mc_reply_end(out, r);
}

static void gat(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	do {
		const struct kv_key key = key_of(r);
		const struct item *it = kv_get_and_touch(s->writer, &key, r->exptime);
		struct mc_result result = {.outcome = MC_MISS};

		tell_key(s, &key);
		if (it != NULL) {
			result.outcome = MC_HIT;
			show_item(&result, it);
		}
		mc_reply(out, r, &result);
	} while (mc_next_key(r));
	mc_reply_end(out, r);
}

/* Whether T of a meta command came before N and R, which then see what it has done. */
static bool is_touch_first(const struct mc_request *r)
{
	bool is_letter = true;

	if (!(r->has & MC_HAS_EXPTIME)) /* and so no meta command: it has no tokens */
		return false;
	for (uint32_t i = 0; i < r->tokens_len; is_letter = r->tokens[i++] == ' ') {
		if (!is_letter)
			continue;
		if (r->tokens[i] == 'T')
			return true;
		if (r->tokens[i] == 'N' || r->tokens[i] == 'R')
			return false;
	}
	return false;
}

static enum kv_store_mode store_mode(unsigned verb)
{
	static const uint8_t modes[] = {[MC_SET] = KV_SET,
		[MC_ADD] = KV_ADD,
		[MC_REPLACE] = KV_REPLACE,
		[MC_APPEND] = KV_APPEND,
		[MC_PREPEND] = KV_PREPEND,
		[MC_CAS] = KV_CAS};

	return (enum kv_store_mode)modes[verb];
}

static void store(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const struct kv_key key = key_of(r);
	const bool is_meta = r->verb == MC_META_SET;
	const struct kv_store to = {.value = r->value,
		.value_len = r->value_len,
		.flags = r->flags,
		.exptime = r->exptime,
		.cas = r->cas,
		.new_cas = r->new_cas,
		.mode = (uint8_t)store_mode(is_meta ? r->mode : r->verb),
		.has_cas = r->has & MC_HAS_CAS,
		.is_invalidating = r->has & MC_INVALIDATE,
		.has_vivify = r->has & MC_HAS_VIVIFY,
		.vivify = r->vivify};
	struct mc_result result = {0};

	result.outcome = (uint8_t)outcome_of(kv_store(s->writer, &key, &to, &result.cas));
	result.value_len = r->value_len;
	result.flags = r->flags;
	mc_reply(out, r, &result);
}

static void delete (const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const struct kv_key key = key_of(r);
	struct mc_result result = {0};

	result.outcome = (uint8_t)outcome_of(kv_delete(s->writer, &key, r->cas));
	mc_reply(out, r, &result);
}

static void count(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const unsigned verb = r->verb == MC_META_ARITH ? r->mode : r->verb;
	const struct kv_key key = key_of(r);
	const struct kv_count to = {.delta = r->delta,
		.is_down = verb == MC_DECR,
		.cas = r->cas,
		.new_cas = r->new_cas,
		.has_cas = r->has & MC_HAS_CAS,
		.has_vivify = r->has & MC_HAS_VIVIFY,
		.vivify = r->vivify,
		.initial = r->initial,
		.has_exptime = r->has & MC_HAS_EXPTIME,
		.is_touch_first = is_touch_first(r),
		.exptime = r->exptime};
	struct kv_counted counted = {0};
	struct mc_result result = {0};

	result.outcome = (uint8_t)outcome_of(kv_count(s->writer, &key, &to, &counted));
	result.number = counted.value;
	result.cas = counted.cas;
	result.ttl = counted.ttl;
	mc_reply(out, r, &result);
}

static void touch(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const struct kv_key key = key_of(r);
	const struct item *it = kv_touch(s->writer, &key, r->exptime);
	struct mc_result result = {.outcome = MC_NOT_FOUND};

	if (it != NULL) {
		result.outcome = MC_STORED;
		show_item(&result, it);
	}
	mc_reply(out, r, &result);
}

static void flush_all(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	/* no room in the list of purges, for a moment: said, as what is not done must not look so */
	const bool is_done = kv_flush_at(s->writer, r->exptime) == 0;
	const struct mc_result result = {.outcome = is_done ? MC_STORED : MC_NO_MEMORY};

	mc_reply(out, r, &result);
}

static void meta_get(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const struct kv_key key = key_of(r);
	const struct kv_get how = {.exptime = r->exptime,
		.vivify = r->vivify,
		.recache = r->recache,
		.has_exptime = r->has & MC_HAS_EXPTIME,
		.has_vivify = r->has & MC_HAS_VIVIFY,
		.has_recache = r->has & MC_HAS_RECACHE,
		.is_touch_first = is_touch_first(r)};
	struct kv_found found = {0};
	struct mc_result result = {.outcome = MC_MISS};
	const enum kv_result rc = kv_get_meta(s->writer, &key, &how, &found);

	tell_key(s, &key);
	if (rc == KV_OK && found.item != NULL) {
		result.outcome = MC_HIT;
		show_item(&result, found.item);
		show_marks(&result, found.marks);
		result.ttl = found.ttl;
	} else if (rc == KV_NO_MEMORY) {
		result.outcome = MC_NO_MEMORY;
	}
	mc_reply(out, r, &result);
}

void servemc_answer(const struct servemc *s, struct mc_request *r, const struct assoc_probe *probe,
	struct mc_out *out)
{
	struct mc_result result = {.outcome = MC_MISS};

	if (r->verb == MC_META_GET && probe->item != NULL
		&& unlikely(item_when(probe->item) & (ITEM_STALE | ITEM_WON))) {
		meta_get(s, r, out); /* who comes first wins, which is more than a look */
		return;
	}
	if (likely(probe->item != NULL)) {
		result.outcome = MC_HIT;
		show_item(&result, probe->item);
		show_marks(&result, probe->marks);
		if (r->show & MC_SHOW_TTL)
			result.ttl = kv_ttl(s->writer, probe->item);
	}
	mc_reply(out, r, &result);
	if (r->verb == MC_GET)
		mc_reply_end(out, r);
}

static void meta_delete(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	const struct kv_key key = key_of(r);
	const struct kv_mark how = {.cas = r->cas,
		.new_cas = r->new_cas,
		.exptime = r->exptime,
		.has_cas = r->has & MC_HAS_CAS,
		.is_invalidating = r->has & MC_INVALIDATE,
		.has_exptime = r->has & MC_HAS_EXPTIME,
		.drops_value = r->has & MC_DROP_VALUE};
	struct mc_result result = {0};

	result.outcome = (uint8_t)outcome_of(kv_mark(s->writer, &key, &how));
	mc_reply(out, r, &result);
}

/* What memcached's `me` shows is of its own insides; an item that is there shows what there is here. */
static void meta_debug(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	struct assoc_probe probe;
	struct mc_result result = {.outcome = MC_MISS};

	servemc_probe(r, &probe);
	kv_get_bulk(s->writer, &probe, 1);
	if (probe.item != NULL) {
		result.outcome = MC_HIT;
		show_item(&result, probe.item);
		result.ttl = kv_ttl(s->writer, probe.item);
	}
	mc_reply(out, r, &result);
}

static void version(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	mc_reply_version(out, r, SERVEMC_VERSION);
}

/* Nothing to do but to say so. */
static void done(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	mc_reply(out, r, &(struct mc_result){.outcome = MC_STORED});
}

/* Over a stream it ends it, which is the transport's affair. */
static void quit(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	if (r->protocol == MC_BINARY)
		done(s, r, out);
}

void servemc_refuse(const struct servemc *s, const struct mc_request *r, struct mc_out *out)
{
	const bool is_set = r->verb == MC_SET || (r->verb == MC_META_SET && r->mode == MC_SET);

	if (r->error == MC_E_TOO_LARGE && is_set) {
		const struct kv_key key = key_of(r);

		kv_delete(s->writer, &key, 0);
	}
	mc_reply_error(out, r);
}

void servemc_execute(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	static void (*const by_verb[])(
		const struct servemc *s, struct mc_request *r, struct mc_out *out) = {
		[MC_GET] = get,
		[MC_GAT] = gat,
		[MC_SET] = store,
		[MC_ADD] = store,
		[MC_REPLACE] = store,
		[MC_APPEND] = store,
		[MC_PREPEND] = store,
		[MC_CAS] = store,
		[MC_DELETE] = delete,
		[MC_INCR] = count,
		[MC_DECR] = count,
		[MC_TOUCH] = touch,
		[MC_FLUSH_ALL] = flush_all,
		[MC_VERSION] = version,
		[MC_VERBOSITY] = done,
		[MC_STATS] = servestat_answer,
		[MC_QUIT] = quit,
		[MC_NOOP] = done,
		[MC_META_GET] = meta_get,
		[MC_META_SET] = store,
		[MC_META_DELETE] = meta_delete,
		[MC_META_ARITH] = count,
		[MC_META_DEBUG] = meta_debug,
	};

	by_verb[r->verb](s, r, out);
}
