/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * acl — which clients a service lets in: its allow and deny prefixes as one table. The longest matching prefix
 * decides; a source that matches none is let in unless there are allow prefixes. Immutable once built; a
 * service that is built anew with the same list keeps the table of the one before it.
 */
#include "millrace/api_lb.h"

struct acl; /* opaque */

/* Context: manager. The table of a service of this family, with one reference. The list has prefixes of the
 * family, without bits beyond their length. 0, -EEXIST for a prefix given twice, -ENOMEM. */
int acl_create(struct acl **out, uint8_t family, const struct mr_acl *const *list, unsigned n);

/* Context: manager. One more user; the last one to put it frees it. */
struct acl *acl_get(struct acl *a);
void acl_put(struct acl **a); /* NULL-safe, clears *a */

/* Context: manager. Whether it was made of this list, in this order. */
bool acl_is_of(const struct acl *a, const struct mr_acl *const *list, unsigned n);

/* Context: manager. Whether a client has to be let in by a prefix. */
bool acl_has_allow(const struct acl *a);

/* Hot. Whether a client at this address, of the table's family and in network order, may begin flows. */
bool acl_allows(const struct acl *a, const uint8_t *ip);
