/* SPDX-License-Identifier: BSD-3-Clause */
/* servestat — see servestat.h. */
#include "serve/servestat.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct call {
	const struct servemc *s;
	const struct mc_request *r;
	struct mc_out *out;
	struct kv_stats stats;
	struct kv_usage usage;
	uint64_t conns_now, conns_ever;
};

static void say(struct call *x, const char *name, const char *text)
{
	mc_reply_stat(x->out, x->r, name, text);
}

static void say_number(struct call *x, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	say(x, name, text);
}

/* What was to be stored, as memcached counts it: with what found another number than it was to replace. */
static uint64_t n_set(const struct kv_stats *st)
{
	return st->sets + st->cas_misses + st->cas_mismatches;
}

static void general(struct call *x)
{
	const struct kv_stats *st = &x->stats;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{"pid", (uint64_t)getpid()},
		{"uptime", x->s->now_ms / 1000},
		{"time", (uint64_t)x->s->unix_now},
		{"pointer_size", 8 * sizeof(void *)},
		{"curr_connections", x->conns_now},
		{"total_connections", x->conns_ever},
		{"cmd_get", st->gets},
		{"cmd_set", n_set(st)},
		{"cmd_touch", st->touches + st->touch_misses},
		{"get_hits", st->hits},
		{"get_misses", st->gets - st->hits},
		{"get_expired", st->get_expired},
		{"get_flushed", st->get_flushed},
		{"delete_hits", st->deletes},
		{"delete_misses", st->delete_misses},
		{"incr_hits", st->incr_hits},
		{"incr_misses", st->incr_misses},
		{"decr_hits", st->decr_hits},
		{"decr_misses", st->decr_misses},
		{"cas_hits", st->cas_hits},
		{"cas_misses", st->cas_misses},
		{"cas_badval", st->cas_mismatches},
		{"touch_hits", st->touches},
		{"touch_misses", st->touch_misses},
		{"store_too_large", st->too_large},
		{"store_no_memory", st->no_memory},
		{"limit_maxbytes", x->s->memory_bytes},
		{"threads", x->s->n_workers},
		{"bytes", x->usage.item_bytes},
		{"curr_items", x->usage.n_items},
		{"total_items", st->sets},
		{"evictions", st->evicted},
		{"reclaimed", st->expired},
		{"millrace_purged", st->purged},
		{"millrace_kept", st->kept},
		{"millrace_leases", st->leases},
		{"millrace_lease_waits", st->lease_waits},
		{"millrace_stale_served", st->stale_served},
		{"millrace_early_refreshes", st->early},
		{"millrace_expiry_lag_seconds", x->usage.expiry_lag_s},
	};

	say(x, "version", SERVEMC_VERSION);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		say_number(x, rows[i].name, rows[i].value);
}

/* There are no slab classes: one set of segments has items of all sizes, and is shown as class 1. */
static void slabs(struct call *x)
{
	const struct kv_usage *u = &x->usage;

	say_number(x, "1:chunk_size", u->seg_bytes);
	say_number(x, "1:chunks_per_page", 1);
	say_number(x, "1:total_pages", u->n_segs);
	say_number(x, "1:total_chunks", u->n_segs);
	say_number(x, "1:used_chunks", u->n_segs - u->n_free);
	say_number(x, "1:free_chunks", u->n_free);
	say_number(x, "1:free_chunks_end", 0);
	say_number(x, "1:mem_requested", u->item_bytes);
	say_number(x, "1:get_hits", x->stats.hits);
	say_number(x, "1:cmd_set", n_set(&x->stats));
	say_number(x, "1:delete_hits", x->stats.deletes);
	say_number(x, "1:incr_hits", x->stats.incr_hits);
	say_number(x, "1:decr_hits", x->stats.decr_hits);
	say_number(x, "1:cas_hits", x->stats.cas_hits);
	say_number(x, "1:cas_badval", x->stats.cas_mismatches);
	say_number(x, "1:touch_hits", x->stats.touches);
	say_number(x, "active_slabs", 1);
	say_number(x, "total_malloced", u->memory_bytes);
}

static void items(struct call *x)
{
	say_number(x, "items:1:number", x->usage.n_items);
	say_number(x, "items:1:mem_requested", x->usage.item_bytes);
	say_number(x, "items:1:evicted", x->stats.evicted);
	say_number(x, "items:1:outofmemory", x->stats.no_memory);
	say_number(x, "items:1:reclaimed", x->stats.expired);
}

static void settings(struct call *x)
{
	say_number(x, "maxbytes", x->usage.memory_bytes);
	say_number(x, "item_size_max", x->s->value_max);
	say_number(x, "num_threads", x->s->n_workers);
	say(x, "evictions", "on");
	say(x, "cas_enabled", "yes");
	say(x, "flush_enabled", "yes");
	say(x, "track_sizes", "no");
}

/* How many items there are of each size is nothing that a cache keeps: it would be work for each write, and to count them is to
 * read all. memcached says so as well unless it was told to keep it, which here is refused as it refuses it without cas. */
static void sizes(struct call *x)
{
	say(x, "sizes_status", "disabled");
}

static void sizes_enable(struct call *x)
{
	say(x, "sizes_status", "error");
	say(x, "sizes_error", "not_supported");
}

void servestat_answer(const struct servemc *s, struct mc_request *r, struct mc_out *out)
{
	static const struct {
		const char *name;
		void (*say)(struct call *x);
		bool has_no_end; /* as a line, in memcached */
	} kinds[] = {{"", general, false}, {"items", items, false}, {"slabs", slabs, false},
		{"settings", settings, false}, {"sizes", sizes, false},
		{"sizes_enable", sizes_enable, true}, {"sizes_disable", sizes, true}};
	struct call x = {.s = s, .r = r, .out = out};

	kv_stats_sum(s->kv, &x.stats);
	kv_usage(s->kv, &x.usage);
	if (s->count_conns != NULL)
		s->count_conns(s->ctx, &x.conns_now, &x.conns_ever);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i].name) == r->key_len
			&& memcmp(kinds[i].name, r->key, r->key_len) == 0) {
			kinds[i].say(&x);
			if (!kinds[i].has_no_end || r->protocol == MC_BINARY)
				mc_reply_end(out, r);
			return;
		}
	}
	mc_reply(out, r, &(struct mc_result){.outcome = MC_NOT_FOUND});
}
