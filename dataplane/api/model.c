/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model — see model.h. A sorted array of pointers to counted objects: lookups are binary searches,
 * inserts move pointers, a copy is one memcpy and n increments. At 10,000 objects a copy costs about
 * 30 µs, which is what every transaction pays; a tree would make it dearer and nothing cheaper.
 *
 *  I1  of[] is strictly ascending by (type, key)
 *  I2  digest is the sum over of[]
 *  I3  an object's n_refs is the number of models that hold it
 */
#include "api/model.h"

#include <errno.h>
#include <stdlib.h>

struct model_object {
	struct mr_object o;
	unsigned n_refs;
	char key[];
};

struct model {
	struct model_object **of;
	unsigned n, cap;
	struct mr_digest digest;
};

static void object_put(struct model_object *x)
{
	if (--x->n_refs == 0)
		free(x);
}

static struct model_object *object_create(const struct mr_object *o)
{
	char key[MR_TEXT_MAX];
	struct model_object *x;
	size_t len;

	mr_object_key_text(o, key, sizeof(key));
	len = strlen(key) + 1;
	x = malloc(sizeof(*x) + len);
	if (x == NULL)
		return NULL;
	x->o = *o;
	x->n_refs = 1;
	memcpy(x->key, key, len);
	return x;
}

/* Type of a key: its text up to the first slash names it. */
static unsigned key_type(const char *key)
{
	const size_t len = strcspn(key, "/");

#define MODEL_KEY_TYPE(sym, value, name, type, member) \
	if (len == sizeof(name) - 1 && memcmp(key, name, len) == 0) \
		return value;
	MR_OBJS(MODEL_KEY_TYPE)
	return 0;
}

/* Index of the first element not less than (type, key). */
static unsigned lower_bound(const struct model *m, unsigned type, const char *key)
{
	unsigned lo = 0, hi = m->n;

	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		const struct model_object *x = m->of[mid];

		if (x->o.type < type || (x->o.type == type && strcmp(x->key, key) < 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct model *m, unsigned i, const char *key)
{
	return i < m->n && strcmp(m->of[i]->key, key) == 0;
}

static int reserve(struct model *m, unsigned n)
{
	struct model_object **of;
	unsigned cap = m->cap ? m->cap : 16;

	while (cap < n)
		cap *= 2;
	if (cap == m->cap)
		return 0;
	of = realloc(m->of, cap * sizeof(*of));
	if (of == NULL)
		return -ENOMEM;
	m->of = of;
	m->cap = cap;
	return 0;
}

int model_create(struct model **out)
{
	struct model *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return -ENOMEM;
	*out = m;
	return 0;
}

void model_destroy(struct model **m)
{
	if (*m == NULL)
		return;
	for (unsigned i = 0; i < (*m)->n; i++)
		object_put((*m)->of[i]);
	free((*m)->of);
	free(*m);
	*m = NULL;
}

int model_copy(struct model **out, const struct model *m)
{
	struct model *c;
	int rc;

	rc = model_create(&c);
	if (rc != 0)
		return rc;
	rc = reserve(c, m->n);
	if (rc != 0) {
		model_destroy(&c);
		return rc;
	}
	for (unsigned i = 0; i < m->n; i++) {
		c->of[i] = m->of[i];
		c->of[i]->n_refs++;
	}
	c->n = m->n;
	c->digest = m->digest;
	*out = c;
	return 0;
}

int model_put(struct model *m, const struct mr_object *o)
{
	struct model_object *x = object_create(o);
	unsigned i;

	if (x == NULL || reserve(m, m->n + 1) != 0) {
		free(x);
		return -ENOMEM;
	}
	i = lower_bound(m, o->type, x->key);
	if (is_at(m, i, x->key)) {
		mr_digest_sub(&m->digest, &m->of[i]->o);
		object_put(m->of[i]);
	} else {
		memmove(&m->of[i + 1], &m->of[i], (m->n - i) * sizeof(*m->of));
		m->n++;
	}
	m->of[i] = x;
	mr_digest_add(&m->digest, &x->o);
	return 0;
}

int model_del(struct model *m, const char *key)
{
	const unsigned i = lower_bound(m, key_type(key), key);

	if (!is_at(m, i, key))
		return -ENOENT;
	mr_digest_sub(&m->digest, &m->of[i]->o);
	object_put(m->of[i]);
	m->n--;
	memmove(&m->of[i], &m->of[i + 1], (m->n - i) * sizeof(*m->of));
	return 0;
}

unsigned model_count(const struct model *m, unsigned type, unsigned *first)
{
	*first = lower_bound(m, type, "");
	return lower_bound(m, type + 1, "") - *first;
}

unsigned model_size(const struct model *m)
{
	return m->n;
}

const struct mr_object *model_at(const struct model *m, unsigned i)
{
	return &m->of[i]->o;
}

const struct mr_digest *model_digest(const struct model *m)
{
	return &m->digest;
}
