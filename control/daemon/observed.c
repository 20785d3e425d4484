/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * observed — see observed.h. Entries lie in one array with the offset of each pool beside it; taking
 * states over to a new configuration is a merge of two arrays sorted by name.
 */
#include "daemon/observed.h"

#include "daemon/keep.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>

#define FILE_NAME "observed.json"

#define AGO_MAX_MS (INT64_C(1) << 53) /* beyond that a damaged file speaks */
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_MAX 64

struct observed {
	struct keep *keep;
	char boot[BOOT_MAX]; /* which run of the machine this is; "": that is not known */
	struct observed_backend *items;
	size_t n_items;
	size_t *pool_at; /* index of each pool's first entry */
};

static int by_name(const void *a, const void *b)
{
	const struct observed_backend *x = *(const struct observed_backend *const *)a;
	const struct observed_backend *y = *(const struct observed_backend *const *)b;
	const int d = strcmp(x->pool, y->pool);

	return d != 0 ? d : strcmp(x->name, y->name);
}

static void read_boot(char boot[BOOT_MAX])
{
	FILE *f = fopen(BOOT_FILE, "re");

	if (f == NULL || fgets(boot, BOOT_MAX, f) == NULL)
		boot[0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (f != NULL)
		fclose(f);
}

/* By the clock of the run of the machine that wrote it, if it is this one; else by the wall clock. */
static int64_t read_risen(
	const json_t *risen, int64_t since_ms, bool is_same_boot, const struct observed_time *now)
{
	int64_t risen_ms;

	if (json_is_null(risen) || since_ms < 0)
		return OBSERVED_LONG_AGO;
	risen_ms = now->mono_ms - (now->wall_ms > since_ms ? now->wall_ms - since_ms : 0);
	if (is_same_boot && json_is_integer(risen))
		risen_ms = json_integer_value(risen);
	if (risen_ms < -AGO_MAX_MS)
		return OBSERVED_LONG_AGO;
	return risen_ms < now->mono_ms ? risen_ms : now->mono_ms;
}

static bool read_item(struct observed_backend *b, json_t *item, bool is_same_boot,
	const struct observed_time *now)
{
	const char *pool, *name, *state, *reason;
	json_int_t since_ms;
	int health;

	if (json_unpack(item, "{s:s, s:s, s:s, s:s, s:I}", "pool", &pool, "name", &name, "state",
		    &state, "reason", &reason, "since_ms", &since_ms)
			!= 0
		|| strlen(pool) >= MR_NAME_MAX || strlen(name) >= MR_NAME_MAX)
		return false;
	health = weight_health_find(state);
	if (health != WEIGHT_UP && health != WEIGHT_DOWN)
		return false;
	memset(b, 0, sizeof(*b));
	memcpy(b->pool, pool, strlen(pool));
	memcpy(b->name, name, strlen(name));
	snprintf(b->reason, sizeof(b->reason), "%s", reason);
	b->state = (enum weight_health)health;
	b->since_ms = since_ms;
	b->risen_ms = read_risen(json_object_get(item, "risen_ms"), since_ms, is_same_boot, now);
	b->latency_seconds = -1;
	return true;
}

static int load(struct observed *o, const struct observed_time *now)
{
	json_t *file, *list, *item;
	const char *boot;
	bool is_same_boot;
	size_t i;

	if (keep_read_json(o->keep, FILE_NAME, &file) != 0)
		return 0; /* states are found out again by probing */
	list = json_object_get(file, "backends");
	boot = json_string_value(json_object_get(file, "boot"));
	is_same_boot = boot != NULL && o->boot[0] != '\0' && strcmp(boot, o->boot) == 0;
	o->items = calloc(json_array_size(list) + 1, sizeof(*o->items));
	if (o->items != NULL)
		json_array_foreach(list, i, item) {
			if (read_item(&o->items[o->n_items], item, is_same_boot, now))
				o->n_items++;
		}
	json_decref(file);
	return o->items != NULL ? 0 : -ENOMEM;
}

int observed_create(struct observed **out, struct keep *keep, const struct observed_time *now)
{
	struct observed *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return -ENOMEM;
	o->keep = keep;
	read_boot(o->boot);
	if (load(o, now) != 0) {
		free(o);
		return -ENOMEM;
	}
	*out = o;
	return 0;
}

void observed_destroy(struct observed **op)
{
	struct observed *o = *op;

	*op = NULL;
	if (o == NULL)
		return;
	free(o->items);
	free(o->pool_at);
	free(o);
}

static const struct observed_backend **sorted(const struct observed_backend *items, size_t n)
{
	const struct observed_backend **list = calloc(n + 1, sizeof(*list));

	for (size_t i = 0; list != NULL && i < n; i++)
		list[i] = &items[i];
	if (list != NULL && n > 0)
		qsort(list, n, sizeof(*list), by_name);
	return list;
}

enum weight_health observed_next(const struct observed_backend *was, bool is_checked)
{
	if (!is_checked)
		return WEIGHT_UNCHECKED;
	if (was == NULL)
		return WEIGHT_CHECKING;
	return was->state == WEIGHT_UNCHECKED ? WEIGHT_UP : was->state;
}

static void forget_probes(struct observed_backend *b)
{
	b->passes = b->failures = 0;
	b->result[0] = '\0';
	b->latency_seconds = -1;
	b->checked_ms = 0;
}

/* What the new entry takes over from the old one of the same name, if there is one. */
static void begin(struct observed_backend *b, const struct observed_backend *was,
	const struct conf_check *check, int64_t now_ms)
{
	const enum weight_health state = observed_next(was, check != NULL);
	const enum conf_check_type type = check != NULL ? check->type : CONF_CHECK_NONE;

	if (was != NULL)
		*b = *was;
	if (was == NULL || was->check_type != type)
		forget_probes(b);
	b->check_type = type;
	if (was != NULL && was->state == state)
		return;
	b->state = state;
	b->since_ms = now_ms;
	b->risen_ms = OBSERVED_LONG_AGO;
	snprintf(b->reason, sizeof(b->reason), "%s",
		state == WEIGHT_UNCHECKED          ? "the pool has no check"
			: state == WEIGHT_CHECKING ? "no probe has ended yet"
						   : "in use when the pool got its check");
}

int observed_adapt(struct observed *o, const struct conf *c, int64_t now_ms)
{
	const struct observed_backend **was = sorted(o->items, o->n_items);
	struct observed_backend *items, *b;
	size_t n = 0, *pool_at = calloc(c->n_pools + 1, sizeof(*pool_at));

	for (size_t i = 0; i < c->n_pools; i++)
		n += c->pools[i].n_backends;
	items = calloc(n + 1, sizeof(*items));
	if (was == NULL || pool_at == NULL || items == NULL) {
		free(was);
		free(pool_at);
		free(items);
		return -ENOMEM;
	}
	b = items;
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct conf_pool *p = &c->pools[i];

		pool_at[i] = (size_t)(b - items);
		for (size_t k = 0; k < p->n_backends; k++, b++) {
			const struct observed_backend *key = b, *const * hit;

			memcpy(b->pool, p->name, sizeof(b->pool));
			memcpy(b->name, p->backends[k].name, sizeof(b->name));
			hit = bsearch(&key, was, o->n_items, sizeof(*was), by_name);
			begin(b, hit != NULL ? *hit : NULL, p->check, now_ms);
		}
	}
	free(was);
	free(o->items);
	free(o->pool_at);
	o->items = items;
	o->n_items = n;
	o->pool_at = pool_at;
	return 0;
}

struct observed_backend *observed_at(const struct observed *o, size_t pool, size_t backend)
{
	return &o->items[o->pool_at[pool] + backend];
}

bool observed_probe(struct observed_backend *b, const struct conf_check *check,
	const struct observed_probe *probe)
{
	const enum weight_health to = probe->is_pass ? WEIGHT_UP : WEIGHT_DOWN;
	const uint32_t needed = probe->is_pass ? check->rise : check->fall;

	b->passes = probe->is_pass ? b->passes + 1 : 0;
	b->failures = probe->is_pass ? 0 : b->failures + 1;
	b->checked_ms = probe->now.wall_ms;
	snprintf(b->result, sizeof(b->result), "%s", probe->result);
	if (probe->is_pass)
		b->latency_seconds = probe->latency_seconds;
	if (b->state == to || (b->state != WEIGHT_CHECKING && b->passes + b->failures < needed))
		return false;
	if (b->state == WEIGHT_CHECKING)
		snprintf(b->reason, sizeof(b->reason), "first check: %.100s", probe->result);
	else
		snprintf(b->reason, sizeof(b->reason), "%u checks in a row: %.90s", needed,
			probe->result);
	b->state = to;
	b->since_ms = probe->now.wall_ms;
	b->risen_ms = probe->now.mono_ms;
	return true;
}

int observed_save(const struct observed *o)
{
	json_t *list = json_array(), *file;
	int rc;

	for (size_t i = 0; i < o->n_items; i++) {
		const struct observed_backend *b = &o->items[i];

		if (b->state == WEIGHT_UP || b->state == WEIGHT_DOWN)
			json_array_append_new(list,
				json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "pool", b->pool, "name",
					b->name, "state", weight_health_name(b->state), "reason",
					b->reason, "since_ms", (json_int_t)b->since_ms, "risen_ms",
					b->risen_ms != OBSERVED_LONG_AGO ? json_integer(b->risen_ms)
									 : json_null()));
	}
	file = json_pack("{s:s, s:o}", "boot", o->boot, "backends", list);
	rc = file == NULL ? -ENOMEM : keep_write_json(o->keep, FILE_NAME, file);
	json_decref(file);
	return rc;
}
