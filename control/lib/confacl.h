/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confacl — the lists of client prefixes of a service, allow and deny: reading them, and saying what is in one
 * and not in another. Part of the loader (conf.h) and of confdiff.
 */
#include "lib/confread.h"

/* Reads both lists into s, whose VIP has been read; a node is NULL where the list is not given. */
void confacl_read(struct confread *r, struct conf_service *s, const struct yamltree_node *allow,
	const struct yamltree_node *deny);

bool confacl_is_same(const struct conf_prefixes *a, const struct conf_prefixes *b);

/* A short list as it is; of a long one how many there are and, with another one, some that are not in that. */
void confacl_print(FILE *out, const struct conf_prefixes *p, const struct conf_prefixes *other);
