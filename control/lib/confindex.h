/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confindex — finds the parts of a configuration by name in log n. Works on any array of structs that
 * begin with their name (the arrays of struct conf do). Part of the loader (conf.h).
 */
#include <stddef.h>

struct confindex {
	const char **names; /* sorted; each is also the address of its struct */
	size_t n_names;     /* entries without a name are left out */
};

/* 0 or -ENOMEM. The array must outlive the index. */
int confindex_init(struct confindex *x, const void *array, size_t n, size_t size);
void confindex_fini(struct confindex *x);

/* The struct of that name or NULL. */
const void *confindex_find(const struct confindex *x, const char *name);
