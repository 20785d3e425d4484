/* SPDX-License-Identifier: BSD-3-Clause */
/* admin — see admin.h. Few entries: a plain array, searched from end to end. */
#include "daemon/admin.h"

#include "daemon/keep.h"
#include "millrace/api_lb.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>

#define FILE_NAME "overrides.json"

struct admin {
	struct keep *keep;
	struct admin_override *items;
	size_t n_items;
};

static bool is_of(const struct admin_override *o, const char *pool, const char *name)
{
	return strcmp(o->pool, pool) == 0 && strcmp(o->name, name) == 0;
}

static bool says_nothing(const struct admin_override *o)
{
	return !o->is_drained && !o->has_weight;
}

static int save(const struct admin *a)
{
	json_t *list = json_array(), *file;
	int rc;

	for (size_t i = 0; i < a->n_items; i++) {
		const struct admin_override *o = &a->items[i];

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:b, s:I, s:o, s:s, s:I}", "pool", o->pool, "name",
				o->name, "drained", o->is_drained, "deadline_ms",
				(json_int_t)o->deadline_ms, "weight",
				o->has_weight ? json_integer(o->weight) : json_null(), "author",
				o->author, "time_ms", (json_int_t)o->time_ms));
	}
	file = json_pack("{s:o}", "overrides", list);
	rc = file == NULL ? -ENOMEM : keep_write_json(a->keep, FILE_NAME, file);
	json_decref(file);
	return rc;
}

static bool read_item(struct admin_override *o, const json_t *item)
{
	const char *pool, *name, *author;
	int is_drained;
	json_int_t time_ms, deadline_ms = 0;
	json_t *weight;

	if (json_unpack((json_t *)(uintptr_t)item, "{s:s, s:s, s:b, s?I, s:o, s:s, s:I}", "pool",
		    &pool, "name", &name, "drained", &is_drained, "deadline_ms", &deadline_ms,
		    "weight", &weight, "author", &author, "time_ms", &time_ms)
			!= 0
		|| strlen(pool) >= MR_NAME_MAX || strlen(name) >= MR_NAME_MAX)
		return false;
	memset(o, 0, sizeof(*o));
	memcpy(o->pool, pool, strlen(pool));
	memcpy(o->name, name, strlen(name));
	snprintf(o->author, sizeof(o->author), "%s", author);
	o->is_drained = is_drained;
	o->deadline_ms = is_drained ? deadline_ms : 0;
	o->has_weight = json_is_integer(weight);
	o->weight = (uint16_t)json_integer_value(weight);
	o->time_ms = time_ms;
	return json_is_null(weight)
		|| (json_is_integer(weight) && json_integer_value(weight) >= 0
			&& json_integer_value(weight) <= MR_WEIGHT_MAX);
}

static int load(struct admin *a)
{
	json_t *file, *list, *item;
	size_t i;
	int rc = keep_read_json(a->keep, FILE_NAME, &file);

	if (rc == -ENOENT)
		return 0;
	if (rc != 0)
		return rc;
	list = json_object_get(file, "overrides");
	if (!json_is_array(list))
		rc = -EBADMSG;
	a->items = calloc(json_array_size(list) + 1, sizeof(*a->items));
	if (a->items == NULL)
		rc = -ENOMEM;
	else
		json_array_foreach(list, i, item) {
			if (read_item(&a->items[a->n_items], item))
				a->n_items++;
			else
				rc = -EBADMSG;
		}
	json_decref(file);
	if (rc == -EBADMSG)
		keep_copy_aside(a->keep, FILE_NAME);
	return rc;
}

int admin_create(struct admin **out, struct keep *keep)
{
	struct admin *a = calloc(1, sizeof(*a));
	int rc;

	if (a == NULL)
		return -ENOMEM;
	a->keep = keep;
	rc = load(a);
	if (rc == 0 || rc == -EBADMSG)
		*out = a;
	else
		admin_destroy(&a);
	return rc;
}

void admin_destroy(struct admin **ap)
{
	struct admin *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	free(a->items);
	free(a);
}

const struct admin_override *admin_find(const struct admin *a, const char *pool, const char *name)
{
	for (size_t i = 0; i < a->n_items; i++) {
		if (is_of(&a->items[i], pool, name))
			return &a->items[i];
	}
	return NULL;
}

int64_t admin_next_deadline(const struct admin *a, int64_t now_ms)
{
	int64_t first = 0;

	for (size_t i = 0; i < a->n_items; i++) {
		const int64_t at = a->items[i].deadline_ms;

		if (at > now_ms && (first == 0 || at < first))
			first = at;
	}
	return first;
}

int admin_set(struct admin *a, const struct admin_override *o)
{
	struct admin_override *old = a->items;
	const size_t n_old = a->n_items;
	int rc;

	a->items = calloc(n_old + 1, sizeof(*a->items));
	if (a->items == NULL) {
		a->items = old;
		return -ENOMEM;
	}
	a->n_items = 0;
	for (size_t i = 0; i < n_old; i++) {
		if (!is_of(&old[i], o->pool, o->name))
			a->items[a->n_items++] = old[i];
	}
	if (!says_nothing(o))
		a->items[a->n_items++] = *o;
	rc = save(a);
	if (rc != 0) { /* what is not on disk is not ordered */
		free(a->items);
		a->items = old;
		a->n_items = n_old;
		return rc;
	}
	free(old);
	return 0;
}

size_t admin_prune(struct admin *a, const struct conf *c)
{
	const size_t before = a->n_items;
	size_t n = 0;

	for (size_t i = 0; i < before; i++) {
		const struct conf_pool *p = conf_find_pool(c, a->items[i].pool);

		if (p != NULL && conf_find_backend(p, a->items[i].name) != NULL)
			a->items[n++] = a->items[i];
	}
	a->n_items = n;
	if (n != before)
		save(a); /* a failure leaves entries in the file that the next start takes out */
	return before - n;
}
