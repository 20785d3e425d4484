/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lbspec — see lbspec.h. Everything is sorted arrays and one counting sort: n log n at the most, and
 * nearly n for a model that comes sorted by key, as the API's does.
 */
#include "lb/lbspec.h"

#include "lb/fwd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

static void __rte_format_printf(4, 0) fill_error(
	struct mr_error *err, int rc, const struct mr_object *o, const char *format, va_list ap)
{
	memset(err, 0, sizeof(*err));
	err->code = rc == -ENOMEM ? MR_ERR_MEMORY : rc == -ENOSPC ? MR_ERR_LIMIT : MR_ERR_INVALID;
	mr_object_key_text(o, err->object, sizeof(err->object));
	vsnprintf(err->message, sizeof(err->message), format, ap);
}

int lbspec_refuse_service(
	struct mr_error *err, int rc, const struct mr_service *s, const char *format, ...)
{
	const struct mr_object o = {.type = MR_OBJ_SERVICE, .service = *s};
	va_list ap;

	va_start(ap, format);
	fill_error(err, rc, &o, format, ap);
	va_end(ap);
	return rc;
}

int lbspec_refuse_backend(
	struct mr_error *err, int rc, const struct mr_backend *b, const char *format, ...)
{
	const struct mr_object o = {.type = MR_OBJ_BACKEND, .backend = *b};
	va_list ap;

	va_start(ap, format);
	fill_error(err, rc, &o, format, ap);
	va_end(ap);
	return rc;
}

int lbspec_refuse_acl(struct mr_error *err, int rc, const struct mr_acl *a, const char *format, ...)
{
	const struct mr_object o = {.type = MR_OBJ_ACL, .acl = *a};
	va_list ap;

	va_start(ap, format);
	fill_error(err, rc, &o, format, ap);
	va_end(ap);
	return rc;
}

int lbspec_refuse_snat(
	struct mr_error *err, int rc, const struct mr_snat *s, const char *format, ...)
{
	const struct mr_object o = {.type = MR_OBJ_SNAT, .snat = *s};
	va_list ap;

	va_start(ap, format);
	fill_error(err, rc, &o, format, ap);
	va_end(ap);
	return rc;
}

static int compare_groups(const void *a, const void *b)
{
	return strcmp(((const struct lbspec_group *)a)->service->name,
		((const struct lbspec_group *)b)->service->name);
}

static int compare_vips(const void *a, const void *b)
{
	const struct mr_service *x = (*(const struct lbspec_group *const *)a)->service;
	const struct mr_service *y = (*(const struct lbspec_group *const *)b)->service;
	const int by_ip = memcmp(&x->vip, &y->vip, sizeof(x->vip));

	if (by_ip != 0)
		return by_ip;
	return x->port != y->port ? (int)x->port - y->port : (int)x->proto - y->proto;
}

static int compare_backends(const void *a, const void *b)
{
	return strcmp((*(const struct mr_backend *const *)a)->name,
		(*(const struct mr_backend *const *)b)->name);
}

/* Service names in order; two equal ones are refused. */
static int sort_services(struct lbspec *g, const struct lb_spec *spec, struct mr_error *err)
{
	bool is_sorted = true;

	for (unsigned i = 0; i < g->n_groups; i++) {
		g->groups[i].service = &spec->services[i];
		if (i > 0 && compare_groups(&g->groups[i - 1], &g->groups[i]) >= 0)
			is_sorted = false;
	}
	if (is_sorted)
		return 0;
	qsort(g->groups, g->n_groups, sizeof(g->groups[0]), compare_groups);
	for (unsigned i = 1; i < g->n_groups; i++) {
		if (compare_groups(&g->groups[i - 1], &g->groups[i]) == 0)
			return lbspec_refuse_service(err, -EINVAL, g->groups[i].service,
				"the name is given twice; rename one of the services");
	}
	return 0;
}

int lbspec_check_vips(const struct lbspec *g, struct mr_error *err)
{
	const struct lbspec_group **by_vip = malloc((g->n_groups + 1) * sizeof(*by_vip));
	int rc = 0;

	if (by_vip == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < g->n_groups; i++)
		by_vip[i] = &g->groups[i];
	qsort(by_vip, g->n_groups, sizeof(*by_vip), compare_vips);
	for (unsigned i = 1; i < g->n_groups && rc == 0; i++) {
		const struct mr_service *s = by_vip[i]->service;
		char ip[INET6_ADDRSTRLEN];

		if (compare_vips(&by_vip[i - 1], &by_vip[i]) == 0)
			rc = lbspec_refuse_service(err, -EINVAL, s,
				"%s port %u/%s is already service \"%s\"; give one of them another "
				"address or port",
				mr_ip_text(&s->vip, ip, sizeof(ip)), s->port,
				mr_proto_name(s->proto), by_vip[i - 1]->service->name);
	}
	free(by_vip);
	return rc;
}

/* Index of the service of this name, n_groups when there is none. hint: tried first. */
static unsigned find_group(const struct lbspec *g, const char *name, unsigned hint)
{
	unsigned lo = 0, hi = g->n_groups;

	for (unsigned i = hint; i < g->n_groups && i < hint + 2; i++) {
		if (strcmp(g->groups[i].service->name, name) == 0)
			return i;
	}
	while (lo < hi) {
		const unsigned mid = lo + (hi - lo) / 2;
		const int c = strcmp(g->groups[mid].service->name, name);

		if (c == 0)
			return mid;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return g->n_groups;
}

/* Counting sort of the backends by service. */
static int group_backends(struct lbspec *g, const struct lb_spec *spec, struct mr_error *err)
{
	unsigned *owner = malloc((spec->n_backends + 1) * sizeof(*owner));
	unsigned at = 0;
	int rc = 0;

	if (owner == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < spec->n_backends; i++) {
		const struct mr_backend *b = &spec->backends[i];

		at = find_group(g, b->service, at);
		if (at == g->n_groups) {
			rc = lbspec_refuse_backend(err, -EINVAL, b,
				"service \"%s\" does not exist; add it or remove the backend",
				b->service);
			goto out;
		}
		owner[i] = at;
		g->groups[at].n_backends++;
	}
	at = 0;
	for (unsigned i = 0; i < g->n_groups; i++) {
		g->groups[i].backends = &g->backends[at];
		at += g->groups[i].n_backends;
		g->groups[i].n_backends = 0;
	}
	for (unsigned i = 0; i < spec->n_backends; i++) {
		struct lbspec_group *group = &g->groups[owner[i]];

		group->backends[group->n_backends++] = &spec->backends[i];
	}
out:
	free(owner);
	return rc;
}

/* As above, for prefixes. */
static int group_acls(struct lbspec *g, const struct lb_spec *spec, struct mr_error *err)
{
	unsigned *owner = malloc((spec->n_acls + 1) * sizeof(*owner));
	unsigned at = 0;
	int rc = 0;

	if (owner == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < spec->n_acls; i++) {
		at = find_group(g, spec->acls[i].service, at);
		if (at == g->n_groups) {
			rc = lbspec_refuse_acl(err, -EINVAL, &spec->acls[i],
				"service \"%s\" does not exist; add it or remove the prefix",
				spec->acls[i].service);
			goto out;
		}
		owner[i] = at;
		g->groups[at].n_acls++;
	}
	at = 0;
	for (unsigned i = 0; i < g->n_groups; i++) {
		g->groups[i].acls = &g->acls[at];
		at += g->groups[i].n_acls;
		g->groups[i].n_acls = 0;
	}
	for (unsigned i = 0; i < spec->n_acls; i++) {
		struct lbspec_group *group = &g->groups[owner[i]];

		group->acls[group->n_acls++] = &spec->acls[i];
	}
out:
	free(owner);
	return rc;
}

int lbspec_init(struct lbspec *g, const struct lb_spec *spec, struct mr_error *err)
{
	int rc = -ENOMEM;

	g->n_groups = spec->n_services;
	g->groups = calloc(spec->n_services + 1, sizeof(g->groups[0]));
	g->backends = calloc(spec->n_backends + 1, sizeof(g->backends[0]));
	g->acls = calloc(spec->n_acls + 1, sizeof(g->acls[0]));
	if (g->groups != NULL && g->backends != NULL && g->acls != NULL)
		rc = sort_services(g, spec, err);
	if (rc == 0)
		rc = group_backends(g, spec, err);
	if (rc == 0)
		rc = group_acls(g, spec, err);
	if (rc != 0)
		lbspec_fini(g);
	return rc;
}

void lbspec_fini(struct lbspec *g)
{
	free(g->groups);
	free(g->backends);
	free(g->acls);
	g->groups = NULL;
	g->backends = NULL;
	g->acls = NULL;
}

static int check_backend(
	const struct mr_service *s, const struct mr_backend *b, struct mr_error *err)
{
	if (mr_ip_len(&b->ip) == 0 || b->port == 0)
		return lbspec_refuse_backend(err, -EINVAL, b, "address or port is missing");
	if (b->ip.family != s->vip.family && !mr_mode_is_tunnel(s->mode))
		return lbspec_refuse_backend(err, -EINVAL, b,
			"its address is IPv%u but the VIP is IPv%u; use one family in a service, or "
			"a tunnel (ipip, gue)",
			b->ip.family, s->vip.family);
	if (mr_mode_is_direct(s->mode) && b->port != s->port)
		return lbspec_refuse_backend(err, -EINVAL, b,
			"port %u differs from the service's %u; %s cannot change it: use the "
			"same port, full-nat or dnat",
			b->port, s->port, mr_mode_name(s->mode));
	if (b->weight > MR_WEIGHT_MAX)
		return lbspec_refuse_backend(
			err, -EINVAL, b, "weight %u is above %u", b->weight, MR_WEIGHT_MAX);
	if (b->state < MR_BACKEND_UP || b->state > MR_BACKEND_EVICT)
		return lbspec_refuse_backend(err, -EINVAL, b, "state %u is unknown", b->state);
	if (b->probe_port != 0 && !mr_mode_is_direct(s->mode))
		return lbspec_refuse_backend(err, -EINVAL, b,
			"probe_port is for dsr-l2, ipip and gue: with %s the answer to a probe would "
			"not reach who asks",
			mr_mode_name(s->mode));
	if (s->quic_id_len != 0 && b->quic_server_id[0] != s->quic_id_len)
		return lbspec_refuse_backend(err, -EINVAL, b,
			"its quic_server_id has %u bytes, those of the service have %u",
			b->quic_server_id[0], s->quic_id_len);
	return 0;
}

static int check_names(const struct lbspec_group *g, struct mr_error *err)
{
	const struct mr_backend **by_name;
	bool is_sorted = true;
	int rc = 0;

	for (unsigned i = 1; i < g->n_backends && is_sorted; i++)
		is_sorted = compare_backends(&g->backends[i - 1], &g->backends[i]) < 0;
	if (is_sorted)
		return 0;
	by_name = malloc(g->n_backends * sizeof(*by_name));
	if (by_name == NULL)
		return -ENOMEM;
	memcpy(by_name, g->backends, g->n_backends * sizeof(*by_name));
	qsort(by_name, g->n_backends, sizeof(*by_name), compare_backends);
	for (unsigned i = 1; i < g->n_backends && rc == 0; i++) {
		if (compare_backends(&by_name[i - 1], &by_name[i]) == 0)
			rc = lbspec_refuse_backend(err, -EINVAL, by_name[i],
				"the name is given twice; rename one of the backends");
	}
	free(by_name);
	return rc;
}

static int check_acls(const struct lbspec_group *g, struct mr_error *err)
{
	const struct mr_service *s = g->service;

	if (g->n_acls > MR_ACL_MAX)
		return lbspec_refuse_service(err, -ENOSPC, s,
			"%u allow and deny prefixes are more than the %u a service may have; "
			"join neighbouring ones",
			g->n_acls, MR_ACL_MAX);
	for (unsigned i = 0; i < g->n_acls; i++) {
		if (g->acls[i]->ip.family != s->vip.family)
			return lbspec_refuse_acl(err, -EINVAL, g->acls[i],
				"it is IPv%u but the VIP is IPv%u, whose clients it cannot match",
				g->acls[i]->ip.family, s->vip.family);
	}
	return 0;
}

/* One that is served here: it has clients, and nothing behind it. */
static int check_cache(const struct lbspec_group *g, struct mr_error *err)
{
	const struct mr_service *s = g->service;

	if (s->cache[0] == '\0')
		return lbspec_refuse_service(err, -EINVAL, s, "which cache is missing");
	if (g->n_backends > 0)
		return lbspec_refuse_backend(err, -EINVAL, g->backends[0],
			"its service is answered from a cache and has no backends");
	return check_acls(g, err);
}

int lbspec_check_group(const struct lbspec_group *g, struct mr_error *err)
{
	const struct mr_service *s = g->service;
	int rc;

	if (mr_ip_len(&s->vip) == 0 || s->port == 0)
		return lbspec_refuse_service(err, -EINVAL, s, "VIP or port is missing");
	if (s->proto != MR_PROTO_TCP && s->proto != MR_PROTO_UDP)
		return lbspec_refuse_service(
			err, -EINVAL, s, "protocol %u is neither tcp nor udp", s->proto);
	if (s->mode == MR_MODE_CACHE)
		return check_cache(g, err);
	if (s->mode >= FWD_N_MODES || fwd_modes[s->mode] == NULL)
		return lbspec_refuse_service(
			err, -EINVAL, s, "forwarding mode %u is unknown", s->mode);
	if (sched_ops_of(s->sched) == NULL)
		return lbspec_refuse_service(err, -EINVAL, s, "scheduler %u is unknown", s->sched);
	for (unsigned i = 0; i < g->n_backends; i++) {
		rc = check_backend(s, g->backends[i], err);
		if (rc != 0)
			return rc;
	}
	rc = check_acls(g, err);
	return rc != 0 ? rc : check_names(g, err);
}
