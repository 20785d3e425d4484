/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reconcile — see reconcile.h. One merge over the two sorted sets marks what to delete and what to
 * put; the marks are then read backwards for deletions and forwards for puts, which is the order of
 * R3 because enum mr_obj, and so the sets, are in dependency order. O(n), plus a binary search for
 * each backend and prefix, for R4.
 */
#include "daemon/reconcile.h"

#include <errno.h>
#include <stdlib.h>

static_assert(MR_OBJ_SETTINGS < MR_OBJ_ADDR && MR_OBJ_ADDR < MR_OBJ_GATEWAY
		&& MR_OBJ_GATEWAY < MR_OBJ_SNAT && MR_OBJ_SNAT < MR_OBJ_SERVICE
		&& MR_OBJ_SERVICE < MR_OBJ_BACKEND && MR_OBJ_BACKEND < MR_OBJ_CACHE
		&& MR_OBJ_CACHE < MR_OBJ_ACL,
	"R3 reads the order of dependency from the order of types");

/* Whether a changed object must go before it comes back (R4). */
static bool is_replaced(const struct mr_object *from, const struct mr_object *to)
{
	if (from->type == MR_OBJ_GATEWAY)
		return true;
	if (from->type != MR_OBJ_SERVICE)
		return false;
	return !mr_ip_equal(&from->service.vip, &to->service.vip)
		|| from->service.port != to->service.port
		|| from->service.proto != to->service.proto
		|| from->service.mode != to->service.mode;
}

/* Whether the object belongs to a service that is in both sets and replaced. */
static bool is_service_replaced(
	const struct mr_object *o, const struct objset *running, const struct objset *wanted)
{
	struct mr_object key = {.type = MR_OBJ_SERVICE};
	const struct mr_object *from, *to;

	if (o->type != MR_OBJ_BACKEND && o->type != MR_OBJ_ACL)
		return false;
	memcpy(key.service.name, o->type == MR_OBJ_ACL ? o->acl.service : o->backend.service,
		sizeof(key.service.name));
	from = objset_find(running, &key);
	to = objset_find(wanted, &key);
	return from != NULL && to != NULL && is_replaced(from, to);
}

/* What to do with an object that is in both sets. */
static void mark_common(bool *is_del, bool *is_put, const struct mr_object *from,
	const struct mr_object *to, const struct objset *running, const struct objset *wanted)
{
	const bool is_same = objset_is_same(from, to);

	if (is_service_replaced(from, running, wanted))
		*is_del = *is_put = true;
	else if (!is_same) {
		*is_put = true;
		*is_del = is_replaced(from, to);
	}
}

static void mark(
	bool *is_del, bool *is_put, const struct objset *running, const struct objset *wanted)
{
	size_t i = 0, j = 0;

	while (i < running->n_items || j < wanted->n_items) {
		const int d = i == running->n_items ? 1
			: j == wanted->n_items
			? -1
			: objset_compare(&running->items[i], &wanted->items[j]);

		if (d < 0)
			is_del[i++] = true;
		else if (d > 0)
			is_put[j++] = true;
		else {
			mark_common(&is_del[i], &is_put[j], &running->items[i], &wanted->items[j],
				running, wanted);
			i++;
			j++;
		}
	}
}

int reconcile_build(
	struct reconcile_plan *plan, const struct objset *running, const struct objset *wanted)
{
	const size_t n = running->n_items + wanted->n_items;
	bool *marks = calloc(n + 1, sizeof(*marks));
	struct reconcile_op *ops = calloc(n + 1, sizeof(*ops));
	bool *is_put = marks == NULL ? NULL : marks + running->n_items;

	memset(plan, 0, sizeof(*plan));
	if (marks == NULL || ops == NULL) {
		free(marks);
		free(ops);
		return -ENOMEM;
	}
	mark(marks, is_put, running, wanted);
	for (size_t i = running->n_items; i-- > 0;) {
		if (marks[i])
			ops[plan->n_ops++] = (struct reconcile_op){true, &running->items[i]};
	}
	plan->n_dels = plan->n_ops;
	for (size_t j = 0; j < wanted->n_items; j++) {
		if (is_put[j])
			ops[plan->n_ops++] = (struct reconcile_op){false, &wanted->items[j]};
	}
	free(marks);
	plan->ops = ops;
	return 0;
}

void reconcile_fini(struct reconcile_plan *plan)
{
	free(plan->ops);
	memset(plan, 0, sizeof(*plan));
}
