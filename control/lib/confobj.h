/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confobj — the objects of the dataplane model that a configuration means. Pure. Backends carry
 * what the file says: its weight, and state UP; the daemon lays overrides and health over them. A
 * pool is expanded once for each service that uses it: the object's name is the backend's, its
 * service the service's.
 */
#include "lib/conf.h"
#include "millrace/api_lb.h"

/* Order: settings, addresses, gateways, SNAT addresses, caches, then each service followed by its backends and
 * then its prefixes, all in the order of the file. 0 with an array to free() in *out; -ENOMEM. */
int confobj_create(struct mr_object **out, size_t *n_out, const struct conf *c);
