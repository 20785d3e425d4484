/* SPDX-License-Identifier: BSD-3-Clause */
/* confindex — see confindex.h. A sorted array of pointers: built once, searched often. */
#include "lib/confindex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int confindex_init(struct confindex *x, const void *array, size_t n, size_t size)
{
	x->n_names = 0;
	x->names = calloc(n + 1, sizeof(*x->names));
	if (x->names == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *name = (const char *)array + i * size;

		if (name[0] != '\0')
			x->names[x->n_names++] = name;
	}
	qsort(x->names, x->n_names, sizeof(*x->names), by_name);
	return 0;
}

void confindex_fini(struct confindex *x)
{
	free(x->names);
	x->names = NULL;
	x->n_names = 0;
}

const void *confindex_find(const struct confindex *x, const char *name)
{
	const char **hit = bsearch(&name, x->names, x->n_names, sizeof(*x->names), by_name);

	return hit != NULL ? *hit : NULL;
}
