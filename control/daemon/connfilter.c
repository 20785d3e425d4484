/* SPDX-License-Identifier: BSD-3-Clause */
/* connfilter — see connfilter.h. */
#include "daemon/connfilter.h"

#include "lib/prefix.h"
#include "lib/text.h"

#include <stdlib.h>

static void add_service(struct connfilter *f, const char *name)
{
	snprintf(f->services[f->n_services++], MR_NAME_MAX, "%s", name);
}

/* A name without a pool: of every pool that has it, at least one. */
static bool select_name(
	struct connfilter *f, struct ctlsrv_request *r, const char *service, const char *name)
{
	const struct conf *c = loop_desired(r->loop)->conf;

	for (size_t i = 0; i < c->n_pools; i++) {
		if (conf_find_backend(&c->pools[i], name) == NULL)
			continue;
		snprintf(f->filter.backend, sizeof(f->filter.backend), "%s", name);
		add_service(f, service != NULL ? service : "");
		return true;
	}
	ctlsrv_refuse(r, "not_found", "millrace backend show", NULL,
		"no pool has a backend '%.64s'", name);
	return false;
}

/* The services of the pool, or the one wanted among them. */
static bool select_backend(
	struct connfilter *f, struct ctlsrv_request *r, const char *service, const char *backend)
{
	const struct conf *c = loop_desired(r->loop)->conf;
	const char *slash = strchr(backend, '/');
	char pool[MR_NAME_MAX] = "";
	ssize_t i;

	if (slash == NULL)
		return select_name(f, r, service, backend);
	if (slash - backend >= MR_NAME_MAX) {
		ctlsrv_refuse(r, "usage", NULL, NULL,
			"a backend is written POOL/NAME, not '%.128s'", backend);
		return false;
	}
	memcpy(pool, backend, (size_t)(slash - backend));
	i = method_find_pool(r, pool);
	if (i < 0 || method_find_backend(r, &c->pools[i], slash + 1) < 0)
		return false;
	snprintf(f->filter.backend, sizeof(f->filter.backend), "%s", slash + 1);
	for (size_t k = 0; k < c->n_services; k++) {
		if (c->services[k].pool == &c->pools[i]
			&& (service == NULL || strcmp(service, c->services[k].name) == 0))
			add_service(f, c->services[k].name);
	}
	return true;
}

static bool select_client(struct connfilter *f, struct ctlsrv_request *r, const char *client)
{
	char why[PREFIX_WHY_MAX];
	unsigned len;

	if (prefix_parse(&f->filter.client, &len, client, why) == 0) {
		f->filter.client_len = (uint8_t)len;
		return true;
	}
	ctlsrv_refuse(r, "usage", NULL, NULL, "client: %s", why);
	return false;
}

static bool select_state(struct connfilter *f, struct ctlsrv_request *r, const char *state)
{
	const int v = mr_conn_state_find(state);

	f->filter.state = (uint8_t)v;
	if (v > 0)
		return true;
	ctlsrv_refuse(r, "usage", "states: syn, syn-ack, established, fin, closed, udp", NULL,
		"there is no connection state '%.64s'", state);
	return false;
}

/* One end of a span of time; -1: absent. */
static bool select_ms(struct ctlsrv_request *r, const char *key, json_int_t ms, uint32_t *out)
{
	if (ms == -1 && json_object_get(r->params, key) == NULL)
		return true;
	*out = (uint32_t)ms;
	if (ms >= 1 && ms <= CONNFILTER_MS_MAX)
		return true;
	ctlsrv_refuse(
		r, "usage", NULL, NULL, "%s must be 1..%lld", key, (long long)CONNFILTER_MS_MAX);
	return false;
}

/* A span that ends before it begins has no connection in it. */
static bool check_span(struct ctlsrv_request *r, const char *min, uint32_t min_ms,
	const char *below, uint32_t below_ms)
{
	if (min_ms == 0 || below_ms == 0 || min_ms < below_ms)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "%s must be less than %s, else nothing can match",
		min, below);
	return false;
}

static bool select_times(
	struct connfilter *f, struct ctlsrv_request *r, const struct connfilter_params *p)
{
	struct mr_conn_filter *m = &f->filter;

	return select_ms(r, "older_than_ms", p->older_than_ms, &m->age_min_ms)
		&& select_ms(r, "younger_than_ms", p->younger_than_ms, &m->age_below_ms)
		&& select_ms(r, "idle_longer_than_ms", p->idle_longer_than_ms, &m->idle_min_ms)
		&& select_ms(r, "idle_shorter_than_ms", p->idle_shorter_than_ms, &m->idle_below_ms)
		&& check_span(r, "older_than_ms", m->age_min_ms, "younger_than_ms", m->age_below_ms)
		&& check_span(r, "idle_longer_than_ms", m->idle_min_ms, "idle_shorter_than_ms",
			m->idle_below_ms);
}

/* False: refused. */
static bool select_all(
	struct connfilter *f, struct ctlsrv_request *r, const struct connfilter_params *p)
{
	if ((p->client != NULL && !select_client(f, r, p->client))
		|| (p->state != NULL && !select_state(f, r, p->state)) || !select_times(f, r, p)
		|| (p->service != NULL && method_find_service(r, p->service) < 0))
		return false;
	if (p->backend != NULL)
		return select_backend(f, r, p->service, p->backend);
	add_service(f, p->service != NULL ? p->service : "");
	return true;
}

bool connfilter_read(
	struct connfilter *f, struct ctlsrv_request *r, const struct connfilter_params *p)
{
	memset(f, 0, sizeof(*f));
	f->services = calloc(loop_desired(r->loop)->conf->n_services + 1, sizeof(*f->services));
	if (f->services == NULL) {
		method_no_memory(r);
		return false;
	}
	if (select_all(f, r, p))
		return true;
	connfilter_fini(f);
	return false;
}

void connfilter_fini(struct connfilter *f)
{
	free(f->services);
	f->services = NULL;
}

bool connfilter_is_narrow(const struct connfilter_params *p)
{
	return p->service != NULL || p->backend != NULL || p->client != NULL || p->state != NULL
		|| p->older_than_ms != -1 || p->younger_than_ms != -1
		|| p->idle_longer_than_ms != -1 || p->idle_shorter_than_ms != -1;
}
