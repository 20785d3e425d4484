/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * objset — see objset.h. Objects are compared field by field rather than by key text: sorting a
 * hundred thousand of them must not format strings.
 */
#include "daemon/objset.h"

#include <errno.h>
#include <stdlib.h>

static int compare_ip(const struct mr_ip *a, const struct mr_ip *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int compare_addr(const struct mr_addr *a, const struct mr_addr *b)
{
	int d = strcmp(a->port, b->port);

	if (d == 0)
		d = compare_ip(&a->ip, &b->ip);
	return d != 0 ? d : (int)a->prefix_len - (int)b->prefix_len;
}

int objset_compare(const struct mr_object *a, const struct mr_object *b)
{
	int d;

	if (a->type != b->type)
		return (int)a->type - (int)b->type;
	switch (a->type) {
	case MR_OBJ_ADDR:
		return compare_addr(&a->addr, &b->addr);
	case MR_OBJ_GATEWAY:
		return (int)a->gateway.ip.family - (int)b->gateway.ip.family;
	case MR_OBJ_SNAT:
		return compare_ip(&a->snat.ip, &b->snat.ip);
	case MR_OBJ_SERVICE:
		return strcmp(a->service.name, b->service.name);
	case MR_OBJ_BACKEND:
		d = strcmp(a->backend.service, b->backend.service);
		return d != 0 ? d : strcmp(a->backend.name, b->backend.name);
	case MR_OBJ_CACHE:
		return strcmp(a->cache.name, b->cache.name);
	case MR_OBJ_ACL:
		d = strcmp(a->acl.service, b->acl.service);
		if (d == 0)
			d = compare_ip(&a->acl.ip, &b->acl.ip);
		return d != 0 ? d : (int)a->acl.prefix_len - (int)b->acl.prefix_len;
	default: /* MR_OBJ_SETTINGS: there is one */
		return 0;
	}
}

static int compare_qsort(const void *a, const void *b)
{
	return objset_compare(a, b);
}

bool objset_is_same(const struct mr_object *a, const struct mr_object *b)
{
	uint8_t x[1024], y[1024];
	struct mr_writer wx, wy;

	mr_writer_init(&wx, x, sizeof(x));
	mr_writer_init(&wy, y, sizeof(y));
	mr_object_encode(&wx, a);
	mr_object_encode(&wy, b);
	return wx.len == wy.len && memcmp(x, y, wx.len) == 0;
}

int objset_init(struct objset *s, struct mr_object *items, size_t n_items)
{
	memset(s, 0, sizeof(*s));
	if (n_items > 0)
		qsort(items, n_items, sizeof(*items), compare_qsort);
	for (size_t i = 1; i < n_items; i++) {
		if (objset_compare(&items[i - 1], &items[i]) == 0) {
			free(items);
			return -EEXIST;
		}
	}
	for (size_t i = 0; i < n_items; i++)
		mr_digest_add(&s->digest, &items[i]);
	s->items = items;
	s->n_items = n_items;
	return 0;
}

void objset_fini(struct objset *s)
{
	free(s->items);
	memset(s, 0, sizeof(*s));
}

int objset_copy(struct objset *out, const struct objset *s)
{
	struct mr_object *items = malloc((s->n_items + 1) * sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	if (s->n_items > 0)
		memcpy(items, s->items, s->n_items * sizeof(*items));
	*out = (struct objset){.items = items, .n_items = s->n_items, .digest = s->digest};
	return 0;
}

const struct mr_object *objset_find(const struct objset *s, const struct mr_object *key)
{
	if (s->n_items == 0)
		return NULL;
	return bsearch(key, s->items, s->n_items, sizeof(*key), compare_qsort);
}
