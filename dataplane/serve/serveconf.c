/* SPDX-License-Identifier: BSD-3-Clause */
/* serveconf — see serveconf.h. */
#include "serve/serveconf.h"

#include "lb/lbspec.h"

#include <errno.h>
#include <stdlib.h>

#define REPLY_BURST_MS 1000u

/* The longest answer over UDP is to fit what gathers, and units are 32 bits. */
_Static_assert((uint64_t)MR_REPLY_RATE_MAX_KB *REPLY_BURST_MS <= UINT32_MAX, "see lb/rate.c");

struct cache *serveconf_find(const struct serve_conf *c, const char *name)
{
	for (unsigned i = 0; i < c->n_caches; i++) {
		if (strcmp(c->caches[i]->spec.name, name) == 0)
			return c->caches[i];
	}
	return NULL;
}

static int add_service(
	struct serve_conf *c, const struct lb_service *s, uint32_t n_workers, struct mr_error *err)
{
	struct serve_service *to = &c->services[s->idx];
	const uint32_t rate = s->spec.reply_rate != 0 ? s->spec.reply_rate : MR_REPLY_RATE_KB;

	if (s->spec.proto == MR_PROTO_UDP && (s->acl == NULL || !acl_has_allow(s->acl)))
		return lbspec_refuse_service(err, -EINVAL, &s->spec,
			"anybody could have a cache over UDP send long answers to a forged source; say with "
			"allow which clients it is for");
	to->cache = serveconf_find(c, s->spec.cache);
	if (to->cache == NULL)
		return lbspec_refuse_service(err, -EINVAL, &s->spec,
			"there is no cache '%s'; add it to caches, or name another", s->spec.cache);
	to->reply = rate_limit_of(rate, n_workers, REPLY_BURST_MS);
	return 0;
}

static int add_services(struct serve_conf *c, const struct serve_spec *spec, struct mr_error *err)
{
	int rc = 0;

	c->n_services = spec->lb->n_services;
	c->services = calloc(c->n_services + 1, sizeof(*c->services));
	if (c->services == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < c->n_services; i++) {
		const struct lb_service *s = spec->lb->services[i];

		if (s != NULL && s->spec.mode == MR_MODE_CACHE)
			rc = add_service(c, s, spec->n_workers, err);
	}
	return rc;
}

static int add_caches(struct serve_conf *c, struct cacheset *set, const struct serve_spec *spec,
	struct mr_error *err)
{
	c->caches = calloc(spec->n_caches + 1, sizeof(*c->caches));
	c->specs = calloc(spec->n_caches + 1, sizeof(*c->specs));
	if (c->caches == NULL || c->specs == NULL)
		return -ENOMEM;
	for (; c->n_caches < spec->n_caches; c->n_caches++) {
		const int rc =
			cacheset_get(set, &spec->caches[c->n_caches], &c->caches[c->n_caches], err);

		if (rc != 0)
			return rc;
		c->specs[c->n_caches] = spec->caches[c->n_caches];
	}
	return 0;
}

int serveconf_create(struct serve_conf **out, struct cacheset *set, const struct serve_spec *spec,
	struct mr_error *err)
{
	struct serve_conf *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return -ENOMEM;
	rc = add_caches(c, set, spec, err);
	if (rc == 0)
		rc = add_services(c, spec, err);
	if (rc != 0) {
		serveconf_destroy(&c, set);
		return rc;
	}
	*out = c;
	return 0;
}

void serveconf_destroy(struct serve_conf **cp, struct cacheset *set)
{
	struct serve_conf *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	for (unsigned i = 0; i < c->n_caches; i++)
		cacheset_put(set, &c->caches[i]);
	free(c->caches);
	free(c->specs);
	free(c->services);
	free(c);
}

void serveconf_commit(const struct serve_conf *c)
{
	for (unsigned i = 0; i < c->n_caches; i++)
		cacheset_update(c->caches[i], &c->specs[i]);
}
