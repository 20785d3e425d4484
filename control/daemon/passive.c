/* SPDX-License-Identifier: BSD-3-Clause */
/* passive — see passive.h. The counters of a backend are summed over the services of its pool first. */
#include "daemon/passive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define WINDOW_MS 10000   /* of the rate */
#define EJECTIONS_MAX 10u /* an ejection lasts at most so many times `ejection` */

struct sum {
	uint64_t opened, failed;
	bool is_known;
};

struct passive {
	struct passive_backend *items;
	struct sum *sums;
	size_t *pool_at;
	size_t n_items;
	bool is_wanted;
};

int passive_create(struct passive **out)
{
	*out = calloc(1, sizeof(**out));
	return *out != NULL ? 0 : -ENOMEM;
}

void passive_destroy(struct passive **pp)
{
	struct passive *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	free(p->items);
	free(p->sums);
	free(p->pool_at);
	free(p);
}

/* States of the backends of a pool, from the pool of that name before. */
static void keep_pool(const struct passive *p, const struct conf *from,
	const struct conf_pool *pool, struct passive_backend *items)
{
	const struct conf_pool *old = from != NULL ? conf_find_pool(from, pool->name) : NULL;

	for (size_t k = 0; old != NULL && k < pool->n_backends; k++) {
		const struct conf_backend *b = k < old->n_backends
				&& strcmp(old->backends[k].name, pool->backends[k].name) == 0
			? &old->backends[k]
			: conf_find_backend(old, pool->backends[k].name);

		if (b != NULL)
			items[k] = p->items[p->pool_at[old - from->pools]
				+ (size_t)(b - old->backends)];
		if (!pool->passive.is_on)
			items[k].until_ms = 0;
	}
}

int passive_adapt(struct passive *p, const struct conf *c, const struct conf *from)
{
	size_t n = 0, *pool_at = calloc(c->n_pools + 1, sizeof(*pool_at));
	struct passive_backend *items;
	struct sum *sums;
	bool is_wanted = false;

	for (size_t i = 0; pool_at != NULL && i < c->n_pools; i++) {
		pool_at[i] = n;
		n += c->pools[i].n_backends;
		is_wanted = is_wanted || c->pools[i].passive.is_on;
	}
	items = calloc(n + 1, sizeof(*items));
	sums = calloc(n + 1, sizeof(*sums));
	if (pool_at == NULL || items == NULL || sums == NULL) {
		free(pool_at);
		free(items);
		free(sums);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->n_pools; i++)
		keep_pool(p, from, &c->pools[i], &items[pool_at[i]]);
	free(p->items);
	free(p->sums);
	free(p->pool_at);
	p->items = items;
	p->sums = sums;
	p->pool_at = pool_at;
	p->n_items = n;
	p->is_wanted = is_wanted;
	return 0;
}

bool passive_is_wanted(const struct passive *p)
{
	return p->is_wanted;
}

const struct passive_backend *passive_at(const struct passive *p, size_t pool, size_t backend)
{
	return &p->items[p->pool_at[pool] + backend];
}

/* Rows come service by service, backends in the file's order: the next one is the likeliest. */
static void sum_rows(
	struct passive *p, const struct conf *c, const struct mr_backend_row *rows, size_t n_rows)
{
	const struct conf_service *s = NULL;
	size_t guess = 0;

	memset(p->sums, 0, p->n_items * sizeof(*p->sums));
	for (size_t i = 0; i < n_rows; i++) {
		const struct conf_backend *b;
		struct sum *sum;

		if (s == NULL || strcmp(s->name, rows[i].service) != 0) {
			s = conf_find_service(c, rows[i].service);
			guess = 0;
		}
		if (s == NULL || s->pool == NULL || !s->pool->passive.is_on)
			continue;
		b = guess < s->pool->n_backends
				&& strcmp(s->pool->backends[guess].name, rows[i].name) == 0
			? &s->pool->backends[guess]
			: conf_find_backend(s->pool, rows[i].name);
		if (b == NULL)
			continue;
		guess = (size_t)(b - s->pool->backends) + 1;
		sum = &p->sums[p->pool_at[s->pool - c->pools] + guess - 1];
		/* a datagram that comes back is as good as an answered SYN */
		sum->opened += s->proto == MR_PROTO_UDP ? rows[i].tx_packets : rows[i].opened;
		sum->failed += rows[i].open_failures;
		sum->is_known = true;
	}
}

/* Puts the reading into the figures that decide. */
static void take_reading(struct passive_backend *b, const struct sum *sum, int64_t now_ms)
{
	const bool is_fresh = !b->has_reading || sum->opened < b->opened || sum->failed < b->failed;
	const uint64_t opened = is_fresh ? 0 : sum->opened - b->opened;
	const uint64_t failed = is_fresh ? 0 : sum->failed - b->failed;

	b->has_reading = true;
	b->opened = sum->opened;
	b->failed = sum->failed;
	if (now_ms - b->window_ms >= WINDOW_MS || now_ms < b->window_ms) {
		b->n_opened = b->n_failed = 0;
		b->window_ms = now_ms;
	}
	b->n_opened += opened;
	b->n_failed += failed;
	b->in_a_row = opened > 0 ? 0 : b->in_a_row + (uint32_t)failed;
}

static void forget_figures(struct passive_backend *b, int64_t now_ms)
{
	b->in_a_row = 0;
	b->n_opened = b->n_failed = 0;
	b->window_ms = now_ms;
}

/* Whether the figures are bad enough; says why. */
static bool is_bad(struct passive_backend *b, const struct conf_passive *c)
{
	const uint64_t n = b->n_opened + b->n_failed;

	if (c->failures != 0 && b->in_a_row >= c->failures) {
		snprintf(b->reason, sizeof(b->reason), "%" PRIu32 " flows in a row failed",
			b->in_a_row);
		return true;
	}
	if (c->rate_pct != 0 && n >= c->min_flows && b->n_failed * 100 >= n * c->rate_pct) {
		snprintf(b->reason, sizeof(b->reason), "%" PRIu64 " of %" PRIu64 " flows failed",
			b->n_failed, n);
		return true;
	}
	return false;
}

static void eject(struct passive_backend *b, const struct conf_passive *c, int64_t now_ms)
{
	if (b->n_ejections < EJECTIONS_MAX)
		b->n_ejections++;
	b->until_ms = now_ms + (int64_t)c->ejection_ms * b->n_ejections;
	b->calm_ms = b->until_ms + c->ejection_ms;
}

/* What time changes. Returns whether the backend came back. */
static bool pass_time(struct passive_backend *b, const struct conf_passive *c, int64_t now_ms)
{
	if (b->until_ms != 0) {
		if (now_ms < b->until_ms)
			return false;
		b->until_ms = 0;
		forget_figures(b, now_ms);
		return true;
	}
	if (b->n_ejections > 0 && now_ms >= b->calm_ms) {
		b->n_ejections--;
		b->calm_ms = now_ms + c->ejection_ms;
	}
	return false;
}

static bool read_pool(struct passive *p, const struct conf_pool *pool, size_t at, int64_t now_ms,
	passive_fn *fn, void *arg)
{
	const struct conf_passive *c = &pool->passive;
	size_t n_out = 0;
	bool has_changed = false;

	for (size_t k = 0; k < pool->n_backends; k++) {
		struct passive_backend *b = &p->items[at + k];

		if (pass_time(b, c, now_ms)) {
			has_changed = true;
			fn(arg, pool, &pool->backends[k], b);
		}
		n_out += b->until_ms != 0;
	}
	for (size_t k = 0; k < pool->n_backends; k++) {
		struct passive_backend *b = &p->items[at + k];

		if (p->sums[at + k].is_known)
			take_reading(b, &p->sums[at + k], now_ms);
		if (b->until_ms != 0 || !is_bad(b, c)
			|| (n_out + 1) * 100 > pool->n_backends * c->max_ejected_pct)
			continue;
		eject(b, c, now_ms);
		n_out++;
		has_changed = true;
		fn(arg, pool, &pool->backends[k], b);
	}
	return has_changed;
}

bool passive_read(struct passive *p, const struct conf *c, const struct mr_backend_row *rows,
	size_t n_rows, int64_t now_ms, passive_fn *fn, void *arg)
{
	bool has_changed = false;

	sum_rows(p, c, rows, n_rows);
	for (size_t i = 0; i < c->n_pools; i++) {
		if (c->pools[i].passive.is_on
			&& read_pool(p, &c->pools[i], p->pool_at[i], now_ms, fn, arg))
			has_changed = true;
	}
	return has_changed;
}
