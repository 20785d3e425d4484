/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A cache against a naive one: random verbs with a controlled clock, few keys, so that each is met often. In a large cache every
 * answer must be the same; in one that is far too small a key may be gone, but what is there must be right, and what the index
 * names must be what the segments count. For every policy, with several writers taking turns.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/kv.h"
#include "unit.h"

#include <rte_malloc.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define N_KEYS 3000u
#define N_WRITERS 3u
#define VALUE_MAX 2000u
#define EPOCH 1700000000ll

struct entry { /* of the naive cache */
	bool is_there;
	bool is_stale, is_won;
	uint32_t len, flags, when; /* when: second of expiry, 0 never */
	uint64_t cas;
	bool has_own_cas; /* the cache's own number */
	uint8_t value[VALUE_MAX];
};

static struct entry entries[N_KEYS];
static struct rte_rcu_qsbr *readers;
static struct kv *kv;
static uint32_t now, flush_at;
static uint64_t seed;
static struct kv_stats told; /* what the answers come to */
static bool may_lose;        /* the cache is too small for all */

static uint32_t rnd(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)((seed >> 11) % below);
}

static uint32_t key_of(uint32_t i, char key[ITEM_KEY_MAX])
{
	return (uint32_t)snprintf(
		key, ITEM_KEY_MAX, "%s:%0*u", i % 3 ? "a" : "bb", i % 7 == 0 ? 200 : 5, i);
}

static void open_cache(uint64_t bytes, enum evict_policy policy)
{
	const struct kv_params params = {.memory_bytes = bytes,
		.value_max = VALUE_MAX,
		.n_writers = N_WRITERS,
		.policy = (uint8_t)policy};

	assert_int_equal(0, kv_create(&kv, &params, readers));
	memset(entries, 0, sizeof(entries));
	memset(&told, 0, sizeof(told));
	now = 10;
	flush_at = 0;
	may_lose = bytes < (8u << 20);
}

static struct kv_writer *some_writer(void)
{
	struct kv_writer *w = kv_writer_of(kv, rnd(N_WRITERS));

	rte_rcu_qsbr_quiescent(readers, 0);
	kv_writer_begin(w, now, EPOCH + now, (uint64_t)now * 1000);
	kv_sweep(w);
	return w;
}

static uint32_t when_of(int64_t exptime)
{
	if (exptime == 0)
		return 0;
	if (exptime > 60 * 60 * 24 * 30)
		exptime -= EPOCH + now;
	if (exptime >= (1ll << 28) - 1 - now)
		return 0; /* more than the time line has */
	return exptime <= 0 ? now : now + (uint32_t)exptime;
}

static int32_t ttl_of(uint32_t when)
{
	return when == 0 ? -1 : when > now ? (int32_t)(when - now) : 0;
}

static void expire(struct entry *e)
{
	if (e->is_there && e->when != 0 && e->when <= now)
		e->is_there = false;
}

static int64_t some_exptime(void)
{
	static const int64_t edges[] = {60 * 60 * 24 * 30, 60 * 60 * 24 * 30 + 1, 1ll << 28,
		EPOCH + (1ll << 28) - 2, EPOCH + (1ll << 28) - 1, EPOCH + (1ll << 28), INT64_MAX,
		INT64_MIN, EPOCH, 1};

	switch (rnd(6)) {
	case 0:
		return rnd(3) ? -1 : edges[rnd(sizeof(edges) / sizeof(edges[0]))];
	case 1:
		return EPOCH + now + rnd(40) - 5;
	case 2:
	case 3:
		return 1 + rnd(300);
	default:
		return 0;
	}
}

/* The cache may have given the key up. */
static bool is_lost(struct entry *e, bool is_there)
{
	if (!may_lose || is_there || !e->is_there)
		return false;
	e->is_there = false;
	return true;
}

static void check_get(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const uint32_t len = key_of(i, key);
	struct assoc_probe probe = {.key = key, .key_len = len, .hash = assoc_hash(key, len)};
	struct entry *e = &entries[i];

	kv_get_bulk(w, &probe, 1);
	told.gets++;
	told.hits += probe.item != NULL;
	expire(e);
	if (is_lost(e, probe.item != NULL))
		return;
	assert_int_equal(e->is_there, probe.item != NULL);
	if (probe.item == NULL)
		return;
	assert_int_equal(e->len, item_value_len(probe.item));
	assert_memory_equal(e->value, item_value(probe.item), e->len);
	assert_int_equal(e->flags, item_flags(probe.item));
	assert_int_equal(e->cas, item_cas(probe.item));
	assert_int_equal(e->when, item_seconds(probe.item));
	assert_int_equal(e->is_stale, (item_when(probe.item) & ITEM_STALE) != 0);
	assert_int_equal(e->is_won, (item_when(probe.item) & ITEM_WON) != 0);
	assert_int_equal(0, probe.marks);
	assert_int_equal(ttl_of(e->when), kv_ttl(w, probe.item));
}

/* What is stored now has this number; what the cache gives grows. */
static void renumber(struct entry *e, uint64_t new_cas, uint64_t cas)
{
	assert_true(cas != 0);
	if (new_cas != 0)
		assert_true(cas == new_cas);
	else if (e->is_there && e->has_own_cas)
		assert_true((int32_t)(cas - e->cas) > 0);
	e->cas = cas;
	e->has_own_cas = new_cas == 0;
}

/* A number to compare with: often the right one, an older or a newer one, none at all. */
static uint64_t some_cas(const struct entry *e)
{
	switch (rnd(6)) {
	case 0:
		return 0;
	case 1:
		return e->cas - 1 - rnd(100);
	case 2:
		return e->cas + 1 + rnd(100);
	default:
		return e->cas;
	}
}

static bool is_older(uint64_t cas, const struct entry *e)
{
	if (cas == 0)
		return false;
	return e->has_own_cas && cas <= UINT32_MAX ? (int32_t)(e->cas - cas) > 0 : cas < e->cas;
}

/* What the naive cache answers to a store. */
static enum kv_result wanted(const struct kv_store *s, const struct entry *e)
{
	const bool joins = s->mode == KV_APPEND || s->mode == KV_PREPEND;
	const bool is_cas =
		s->mode == KV_CAS || (s->has_cas && (s->mode == KV_SET || s->mode == KV_REPLACE));

	if (s->value_len > VALUE_MAX)
		return KV_TOO_LARGE;
	if (s->mode == KV_ADD && e->is_there)
		return KV_NOT_STORED;
	if (!e->is_there && (joins ? !s->has_vivify : s->mode == KV_REPLACE && !is_cas))
		return KV_NOT_STORED;
	if (is_cas && !e->is_there)
		return KV_NOT_FOUND;
	if (is_cas && s->cas != e->cas && !(s->is_invalidating && is_older(s->cas, e)))
		return KV_EXISTS;
	if (joins && e->is_there && s->cas != 0 && s->cas != e->cas)
		return KV_EXISTS;
	if (joins && e->is_there && s->value_len + e->len > VALUE_MAX)
		return KV_TOO_LARGE;
	return KV_OK;
}

static void keep(const struct kv_store *s, struct entry *e, uint64_t cas)
{
	const bool joins = s->mode == KV_APPEND || s->mode == KV_PREPEND;
	const uint32_t n_old = joins && e->is_there ? e->len : 0;
	const bool is_late = e->is_there && s->is_invalidating && s->cas != e->cas
		&& (s->mode == KV_CAS
			|| (s->has_cas && (s->mode == KV_SET || s->mode == KV_REPLACE)));

	if (s->mode == KV_PREPEND)
		memmove(e->value + s->value_len, e->value, n_old);
	memcpy(e->value + (s->mode == KV_APPEND ? n_old : 0), s->value, s->value_len);
	e->len = n_old + s->value_len;
	if (!joins || !e->is_there)
		e->flags = s->flags;
	if (!is_late && (!joins || !e->is_there))
		e->when = when_of(joins ? s->vivify : s->exptime);
	e->is_won = is_late && e->is_won;
	e->is_stale = is_late;
	renumber(e, s->new_cas, cas);
	e->is_there = true;
}

static void store(struct kv_writer *w, uint32_t i)
{
	static uint8_t value[VALUE_MAX + 10];
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	struct kv_store s = {.value = value,
		.value_len = rnd(20) == 0 ? rnd(VALUE_MAX + 10) : rnd(40),
		.flags = rnd(2) ? rnd(70000) : 0,
		.exptime = some_exptime(),
		.mode = (uint8_t)rnd(6),
		.has_cas = rnd(4) == 0,
		.is_invalidating = rnd(2),
		.has_vivify = rnd(2),
		.vivify = some_exptime(),
		.new_cas = rnd(8) == 0 ? (uint64_t)rnd(1000) << 34 : 0};
	enum kv_result want, rc;
	uint64_t cas = 0;

	if (rnd(4) == 0) /* a number, for count() */
		s.value_len = (uint32_t)snprintf((char *)value, sizeof(value), "%s%u%s",
			rnd(9) ? "" : " +", rnd(1000), rnd(9) ? "" : " x");
	else
		for (uint32_t n = 0; n < s.value_len; n++)
			value[n] = (uint8_t)rnd(256);
	check_get(w, i); /* whether it is still there */
	expire(e);
	if (s.mode == KV_CAS || s.has_cas)
		s.cas = some_cas(e);
	want = wanted(&s, e);
	rc = kv_store(w, &k, &s, &cas);
	assert_int_equal(want, rc);
	told.sets += rc == KV_OK;
	told.too_large += rc == KV_TOO_LARGE;
	if (s.mode == KV_CAS || (s.has_cas && (s.mode == KV_SET || s.mode == KV_REPLACE))) {
		told.cas_hits += rc == KV_OK;
		told.cas_misses += rc == KV_NOT_FOUND;
		told.cas_mismatches += rc == KV_EXISTS;
	}
	if (rc == KV_TOO_LARGE && s.mode == KV_SET)
		e->is_there = false;
	if (rc == KV_OK)
		keep(&s, e, cas);
}

static void erase(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	enum kv_result rc;
	uint64_t cas;

	check_get(w, i);
	cas = some_cas(e);
	rc = kv_delete(w, &k, cas);
	assert_int_equal(!e->is_there               ? KV_NOT_FOUND
			: cas != 0 && cas != e->cas ? KV_EXISTS
						    : KV_OK,
		rc);
	told.deletes += rc == KV_OK;
	told.delete_misses += rc != KV_OK;
	if (cas == 0 || cas == e->cas)
		e->is_there = false;
}

static void mark(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	struct kv_mark m = {.has_cas = rnd(3) == 0,
		.new_cas = rnd(8) == 0 ? (uint64_t)rnd(1000) << 34 : 0,
		.exptime = some_exptime(),
		.has_exptime = rnd(2),
		.is_invalidating = rnd(4) != 0,
		.drops_value = rnd(4) == 0};
	struct assoc_probe probe = {.key = key, .key_len = k.len, .hash = k.hash};
	enum kv_result want;

	check_get(w, i);
	m.cas = some_cas(e);
	want = !e->is_there ? KV_NOT_FOUND : m.has_cas && m.cas != e->cas ? KV_EXISTS : KV_OK;
	assert_int_equal(want, kv_mark(w, &k, &m));
	told.delete_misses += want != KV_OK;
	told.marks += want == KV_OK && m.is_invalidating;
	told.deletes += want == KV_OK && !m.is_invalidating;
	if (want != KV_OK)
		return;
	if (!m.is_invalidating && !m.drops_value) {
		e->is_there = false;
		return;
	}
	if (m.has_exptime)
		e->when = when_of(m.exptime);
	else if (m.drops_value)
		e->when = 0;
	if (m.drops_value)
		e->len = e->flags = 0;
	e->is_stale = m.is_invalidating;
	e->is_won = false;
	expire(e);
	kv_get_bulk(w, &probe, 1);
	told.gets++;
	told.hits += probe.item != NULL;
	if (probe.item == NULL) {
		assert_false(e->is_there && !may_lose);
		return;
	}
	if (!m.is_invalidating && m.new_cas == 0)
		assert_true(item_cas(probe.item) == e->cas); /* an empty value is no news */
	else
		renumber(e, m.new_cas, item_cas(probe.item));
	e->has_own_cas = !(item_when(probe.item) & ITEM_HAS_CAS);
}

/* An empty item that this client is to fill. */
static void expect_new(struct entry *e, const struct kv_get *g, const struct kv_found *f)
{
	const bool is_touched = g->has_exptime && !g->is_touch_first;
	const struct item *it = f->item;

	assert_non_null(it);
	assert_int_equal(KV_WON, f->marks);
	assert_int_equal(0, item_value_len(it));
	*e = (struct entry){.is_won = true, .when = when_of(is_touched ? g->exptime : g->vivify)};
	renumber(e, g->new_cas, item_cas(it));
	e->is_there = true;
	assert_int_equal(ttl_of(e->when), f->ttl);
}

static void expect_found(struct entry *e, const struct kv_get *g, const struct kv_found *f)
{
	const uint32_t touched = g->has_exptime ? when_of(g->exptime) : e->when;
	const uint32_t compared = g->is_touch_first ? touched : e->when;
	uint8_t marks = (e->is_stale ? KV_STALE : 0) | (e->is_won ? KV_TAKEN : 0);
	bool wins = e->is_stale;

	if (g->has_recache && g->recache > 0 && compared != 0) {
		const uint32_t before = when_of(g->recache);

		wins |= before == 0 || compared < before;
	}
	if (wins && !e->is_won)
		marks |= KV_WON;
	e->is_won |= wins;
	e->when = touched;
	assert_non_null(f->item);
	assert_int_equal(marks, f->marks);
	assert_int_equal(e->len, item_value_len(f->item));
	assert_memory_equal(e->value, item_value(f->item), e->len);
	assert_int_equal(ttl_of(e->when), f->ttl);
}

static void get_meta(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	const struct kv_get g = {.exptime = some_exptime(),
		.vivify = some_exptime(),
		.recache = some_exptime(),
		.has_exptime = rnd(4) == 0,
		.has_vivify = rnd(4) == 0,
		.has_recache = rnd(2),
		.is_touch_first = rnd(2),
		.new_cas = rnd(8) == 0 ? (uint64_t)rnd(1000) << 34 : 0};
	struct kv_found f;
	enum kv_result rc;

	check_get(w, i);
	rc = kv_get_meta(w, &k, &g, &f);
	told.touches += g.has_exptime && rc == KV_OK;
	told.touch_misses += g.has_exptime && rc != KV_OK;
	told.gets += !g.has_exptime;
	told.hits += !g.has_exptime && rc == KV_OK;
	told.leases += (f.marks & KV_WON) != 0;
	if (!e->is_there && g.has_vivify) {
		assert_int_equal(KV_OK, rc);
		expect_new(e, &g, &f);
	} else if (!e->is_there) {
		assert_int_equal(KV_NOT_FOUND, rc);
		assert_null(f.item);
		assert_int_equal(0, f.marks);
	} else {
		assert_int_equal(KV_OK, rc);
		expect_found(e, &g, &f);
	}
}

static void touch(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	const int64_t exptime = some_exptime();
	struct entry *e = &entries[i];

	check_get(w, i);
	assert_int_equal(e->is_there, kv_touch(w, &k, exptime) != NULL);
	told.touches += e->is_there;
	told.touch_misses += !e->is_there;
	e->when = when_of(exptime);
}

/* The number that a value begins with, by the C library. */
static bool number_of(const struct entry *e, uint64_t *number)
{
	char text[VALUE_MAX + 1], *end;

	memcpy(text, e->value, e->len);
	text[e->len] = '\0';
	errno = 0;
	*number = strtoull(text, &end, 10);
	return end != text && errno == 0 && memchr(text, '-', (size_t)(end - text)) == NULL
		&& (*end == '\0' || isspace((unsigned char)*end));
}

static void count(struct kv_writer *w, uint32_t i)
{
	char key[ITEM_KEY_MAX], text[VALUE_MAX + 1];
	const struct kv_key k = kv_key_of(key, key_of(i, key));
	struct entry *e = &entries[i];
	struct kv_count c = {.delta = rnd(10) ? rnd(500) : UINT64_MAX - rnd(5),
		.is_down = rnd(2),
		.cas = 0,
		.new_cas = rnd(8) == 0 ? (uint64_t)rnd(1000) << 34 : 0,
		.initial = rnd(3) ? rnd(1000) : UINT64_MAX,
		.exptime = some_exptime(),
		.vivify = some_exptime(),
		.has_vivify = rnd(3) == 0,
		.has_exptime = rnd(4) == 0,
		.is_touch_first = rnd(2)};
	struct kv_counted counted;
	enum kv_result want = KV_OK;
	uint64_t number = 0;

	check_get(w, i);
	c.cas = rnd(2) ? 0 : some_cas(e);
	if (!e->is_there)
		want = c.has_vivify ? KV_OK : KV_NOT_FOUND;
	else if (c.cas != 0 && c.cas != e->cas && e->len > 0)
		want = KV_EXISTS;
	else if (!number_of(e, &number))
		want = KV_NOT_NUMBER;
	assert_int_equal(want, kv_count(w, &k, &c, &counted));
	told.incr_hits += want == KV_OK && e->is_there && !c.is_down;
	told.decr_hits += want == KV_OK && e->is_there && c.is_down;
	told.incr_misses += want == KV_NOT_FOUND && !c.is_down;
	told.decr_misses += want == KV_NOT_FOUND && c.is_down;
	if (want != KV_OK)
		return;
	if (!e->is_there) {
		*e = (struct entry){
			.when = when_of(c.has_exptime && !c.is_touch_first ? c.exptime : c.vivify)};
		number = c.initial;
	} else {
		number = !c.is_down ? number + c.delta : number > c.delta ? number - c.delta : 0;
		e->when = c.has_exptime ? when_of(c.exptime) : e->when;
	}
	assert_true(number == counted.value);
	assert_int_equal(ttl_of(e->when), counted.ttl);
	snprintf(text, sizeof(text), "%-*" PRIu64, (int)e->len, number);
	e->len = (uint32_t)strlen(text);
	memcpy(e->value, text, e->len);
	renumber(e, c.new_cas, counted.cas);
	e->is_there = true;
}

static void forget_all(void)
{
	for (uint32_t i = 0; i < N_KEYS; i++)
		entries[i].is_there = false;
}

static void purge(struct kv_writer *w)
{
	const char *prefix = rnd(3) == 0 ? "" : rnd(2) ? "bb:" : "a:0001";
	const int rc = kv_purge(w, prefix, (uint32_t)strlen(prefix));
	char key[ITEM_KEY_MAX];

	if (rc == -EAGAIN && prefix[0] != '\0')
		return; /* the last one's list is still read */
	assert_int_equal(0, rc);
	for (uint32_t i = 0; i < N_KEYS; i++) {
		key_of(i, key);
		if (strncmp(key, prefix, strlen(prefix)) == 0)
			entries[i].is_there = false;
	}
}

/* flush_all, some of them for later: the last one counts. */
static void flush(struct kv_writer *w)
{
	static const int64_t times[] = {0, -1, 1, 2, EPOCH, 1ll << 29};
	const int64_t exptime = rnd(2) ? times[rnd(6)] : EPOCH + now + rnd(5) - 2;

	assert_int_equal(0, kv_flush_at(w, exptime));
	flush_at = exptime > 0 ? when_of(exptime) : now;
	if (flush_at != 0 && flush_at <= now) {
		forget_all();
		flush_at = 0;
	}
}

static void tick(void)
{
	now++;
	if (flush_at != 0 && flush_at <= now) {
		forget_all();
		flush_at = 0;
	}
}

static void play(uint32_t n_steps)
{
	for (uint32_t n = 0; n < n_steps; n++) {
		struct kv_writer *w = some_writer();
		const uint32_t i = rnd(N_KEYS);

		switch (rnd(16)) {
		case 0:
		case 1:
		case 2:
		case 3:
			store(w, i);
			break;
		case 4:
			erase(w, i);
			break;
		case 5:
			touch(w, i);
			break;
		case 6:
			count(w, i);
			break;
		case 7:
		case 8:
			mark(w, i);
			break;
		case 9:
		case 10:
			get_meta(w, i);
			break;
		default:
			check_get(w, i);
		}
		if (rnd(200) == 0)
			tick();
		if (rnd(5000) == 0)
			purge(w);
		if (rnd(5000) == 0)
			flush(some_writer());
		if (n % 16384 == 0)
			kv_check(kv);
	}
	for (uint32_t i = 0; i < N_KEYS; i++)
		check_get(some_writer(), i);
	kv_check(kv);
}

/* The figures are those of the answers; the others are of what happens by itself. */
static void check_stats(void)
{
	struct kv_stats s;

	kv_stats_sum(kv, &s);
#define SAME(symbol) assert_int_equal(told.symbol, s.symbol)
	SAME(gets);
	SAME(hits);
	SAME(sets);
	SAME(deletes);
	SAME(marks);
	SAME(delete_misses);
	SAME(touches);
	SAME(touch_misses);
	SAME(incr_hits);
	SAME(incr_misses);
	SAME(decr_hits);
	SAME(decr_misses);
	SAME(cas_hits);
	SAME(cas_misses);
	SAME(cas_mismatches);
	SAME(too_large);
	SAME(leases);
#undef SAME
	assert_int_equal(0, s.no_memory + s.lease_waits + s.stale_served + s.early);
	assert_true(s.get_flushed > 0 && s.get_expired + s.get_flushed <= s.gets - s.hits);
}

/* What has expired is out of the index two seconds later, though nobody asks for it. */
static void settle(void)
{
	struct kv_usage usage;
	uint64_t n = 0;

	for (unsigned turn = 0; turn < 300; turn++) {
		if (turn % 100 == 50)
			tick();
		some_writer();
	}
	for (uint32_t i = 0; i < N_KEYS; i++) {
		expire(&entries[i]);
		n += entries[i].is_there;
	}
	kv_usage(kv, &usage);
	assert_int_equal(0, usage.expiry_lag_s);
	if (!may_lose)
		assert_int_equal(n, usage.n_items);
	kv_check(kv);
}

static void run(uint64_t bytes, enum evict_policy policy, uint32_t n_steps)
{
	seed = 88172645463325252ull + bytes + policy;
	open_cache(bytes, policy);
	play(n_steps);
	check_stats();
	settle();
	kv_destroy(&kv);
}

static void large(void **state)
{
	(void)state;
	for (unsigned p = 0; p < EVICT_N; p++)
		run(16u << 20, (enum evict_policy)p, 300000);
}

static void small(void **state)
{
	(void)state;
	for (unsigned p = 0; p < EVICT_N; p++)
		run(700u << 10, (enum evict_policy)p, 300000);
}

/* An index made for items of 64 KB gets memory as it needs it. */
static void index_grows(void **state)
{
	const struct kv_params params = {.memory_bytes = 16u << 20,
		.item_bytes = 65536,
		.value_max = VALUE_MAX,
		.n_writers = N_WRITERS,
		.policy = EVICT_S3FIFO};
	struct kv_usage usage;

	(void)state;
	open_cache(16u << 20, EVICT_S3FIFO);
	kv_destroy(&kv);
	assert_int_equal(0, kv_create(&kv, &params, readers));
	for (uint32_t i = 0; i < 100000; i++) {
		char key[32];
		const struct kv_key k =
			kv_key_of(key, (uint32_t)snprintf(key, sizeof(key), "key:%u", i));
		const struct kv_store s = {.value = "x", .value_len = 1};

		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
	}
	kv_usage(kv, &usage);
	assert_int_equal(100000, usage.n_items);
	assert_true(usage.n_index_segs > 0);
	kv_check(kv);
	kv_destroy(&kv);
}

/* Values of which one fits a segment, with much room behind it: the room is not taken for something dead to be cleaned. */
static void values_of_most_of_a_segment(void **state)
{
	static uint8_t value[10000]; /* of 16 KB */
	const struct kv_params params = {.memory_bytes = 2u << 20,
		.value_max = 16000,
		.n_writers = N_WRITERS,
		.policy = EVICT_FIFO};
	struct kv_stats stats;

	(void)state;
	assert_int_equal(0, kv_create(&kv, &params, readers));
	for (uint32_t i = 0; i < 3000; i++) {
		char key[32];
		const struct kv_key k =
			kv_key_of(key, (uint32_t)snprintf(key, sizeof(key), "key:%u", i));
		const struct kv_store s = {.value = value, .value_len = sizeof(value)};

		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
	}
	kv_stats_sum(kv, &stats);
	assert_int_equal(3000, stats.evicted + stats.items);
	assert_int_equal(0, stats.kept);
	kv_check(kv);
	kv_destroy(&kv);
}

static void store_one(const char *key, uint32_t len)
{
	static const uint8_t value[VALUE_MAX];
	const struct kv_key k = kv_key_of(key, (uint32_t)strlen(key));
	const struct kv_store s = {.value = value, .value_len = len};

	assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
}

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The largest items, found in parts while others are written; what has expired or was purged is none of them. */
static void biggest(void **state)
{
	static struct kv_big big[50];
	static uint32_t sizes[4000];
	struct kv_biggest b = {.items = big, .n_max = 50};
	const uint8_t value[VALUE_MAX] = {0};
	unsigned n_parts = 1;

	(void)state;
	seed = 88172645463325252ull;
	open_cache(16u << 20, EVICT_S3FIFO);
	for (uint32_t i = 0; i < 4000; i++) {
		char key[32];
		const struct kv_key k = kv_key_of(key,
			(uint32_t)snprintf(key, sizeof(key), "%s:%u", i % 9 ? "key" : "old", i));
		const struct kv_store s = {.value = value,
			.value_len = rnd(VALUE_MAX),
			.exptime = i % 7 ? 0
				: i % 2  ? 5
					 : 100};

		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
		sizes[i] =
			i % 9 == 0 || (i % 7 == 0 && i % 2) ? 0 : item_size(k.len, s.value_len, 0);
	}
	now += 5;
	assert_int_equal(0, kv_purge(kv_writer_of(kv, 0), "old", 3));
	qsort(sizes, 4000, sizeof(sizes[0]), by_size);
	/* neither writer has swept yet, but for the one that begins now */
	kv_writer_begin(kv_writer_of(kv, 0), now, EPOCH + now, (uint64_t)now * 1000);
	for (; !kv_find_biggest(kv, &b); n_parts++) {
		const struct kv_key k = kv_key_of("small", 5);
		const struct kv_store s = {.value = value, .value_len = 1};

		rte_rcu_qsbr_quiescent(readers, 0);
		assert_int_equal(KV_OK, kv_store(some_writer(), &k, &s, NULL));
	}
	assert_true(n_parts > 1);
	assert_int_equal(50, b.n);
	for (unsigned i = 0; i < 50; i++) {
		unsigned number;

		assert_int_equal(sizes[i], big[i].size);
		assert_int_equal(1, sscanf((const char *)big[i].key, "key:%u", &number));
		assert_int_equal(number % 7 ? -1 : 95, big[i].ttl);
		assert_int_equal(sizes[i], item_size(big[i].key_len, big[i].value_len, 0));
	}
	/* more than there are, and none at all */
	b = (struct kv_biggest){.items = big, .n_max = 0};
	while (!kv_find_biggest(kv, &b))
		;
	assert_int_equal(0, b.n);
	kv_destroy(&kv);
	open_cache(16u << 20, EVICT_S3FIFO);
	store_one("a", 10);
	store_one("b", 20);
	b = (struct kv_biggest){.items = big, .n_max = 50};
	while (!kv_find_biggest(kv, &b))
		;
	assert_int_equal(2, b.n);
	assert_int_equal(20, big[0].value_len);
	assert_int_equal(10, big[1].value_len);
	kv_destroy(&kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large),
		cmocka_unit_test(small),
		cmocka_unit_test(index_grows),
		cmocka_unit_test(values_of_most_of_a_segment),
		cmocka_unit_test(biggest),
	};

	if (eal_start("test_kv", 128) != 0)
		return 1;
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
