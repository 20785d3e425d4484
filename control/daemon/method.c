/* SPDX-License-Identifier: BSD-3-Clause */
/* method — see method.h. */
#include "daemon/method.h"

#include "daemon/fetch.h"
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>

const struct ctlsrv_method method_table[] = {
	{"status", false, method_status_show},
	{"config.apply", true, method_config_apply},
	{"config.diff", false, method_config_diff},
	{"config.export", false, method_config_export},
	{"service.show", false, method_service_show},
	{"backend.show", false, method_backend_show},
	{"backend.drain", true, method_backend_drain},
	{"backend.undrain", true, method_backend_undrain},
	{"backend.weight", true, method_backend_weight},
	{"health.show", false, method_health_show},
	{"conn.show", false, method_conn_show},
	{"conn.count", false, method_conn_count},
	{"conn.kill", true, method_conn_kill},
	{"explain", false, method_explain_flow},
	{"capture.start", true, method_capture_start},
	{"capture.read", true, method_capture_read},
	{"capture.stop", true, method_capture_stop},
	{"trace.read", true, method_capture_trace_read},
	{"cache.show", false, method_cache_show},
	{"cache.stats", false, method_cache_stats},
	{"cache.get", true, method_cache_get},
	{"cache.purge", true, method_cache_purge},
	{"cache.hotkeys", false, method_cache_hotkeys},
	{"cache.bigkeys", false, method_cache_bigkeys},
	{"cache.latency", false, method_cache_latency},
	{"tcp.show", false, method_tcp_show},
	{"port.show", false, method_rows_port},
	{"port.stats", false, method_rows_port},
	{"neigh.show", false, method_rows_neigh},
	{"worker.show", false, method_rows_worker},
	{"drops.show", false, method_rows_drops},
	{NULL, false, NULL},
};

bool method_unpack(struct ctlsrv_request *r, const char *format, ...)
{
	json_error_t error;
	va_list ap;
	int rc;

	va_start(ap, format);
	rc = json_vunpack_ex(r->owned_params, &error, JSON_STRICT, format, ap);
	va_end(ap);
	if (rc == 0)
		return true;
	ctlsrv_refuse(r, "usage", NULL, NULL, "parameters: %s", error.text);
	return false;
}

/* The index of name in an array of structs that begin with their name. */
static ssize_t find(struct ctlsrv_request *r, const char *what, const char *name, const void *array,
	size_t n, size_t size)
{
	const char **names = calloc(n + 1, sizeof(*names));
	char hint[MR_NAME_MAX + 32] = "";
	const char *near;

	for (size_t i = 0; i < n; i++) {
		const char *p = (const char *)array + i * size;

		if (strcmp(p, name) == 0) {
			free(names);
			return (ssize_t)i;
		}
		if (names != NULL)
			names[i] = p;
	}
	near = names != NULL ? text_nearest(name, names, (unsigned)n) : NULL;
	if (near != NULL)
		snprintf(hint, sizeof(hint), "did you mean '%s'?", near);
	ctlsrv_refuse(r, "not_found", near != NULL ? hint : NULL, NULL, "there is no %s '%.64s'",
		what, name);
	free(names);
	return -1;
}

ssize_t method_find_pool(struct ctlsrv_request *r, const char *name)
{
	const struct conf *c = loop_desired(r->loop)->conf;

	return find(r, "pool", name, c->pools, c->n_pools, sizeof(*c->pools));
}

ssize_t method_find_cache(struct ctlsrv_request *r, const char *name)
{
	const struct conf *c = loop_desired(r->loop)->conf;

	return find(r, "cache", name, c->caches, c->n_caches, sizeof(*c->caches));
}

ssize_t method_find_service(struct ctlsrv_request *r, const char *name)
{
	const struct conf *c = loop_desired(r->loop)->conf;

	return find(r, "service", name, c->services, c->n_services, sizeof(*c->services));
}

ssize_t method_find_backend(
	struct ctlsrv_request *r, const struct conf_pool *pool, const char *name)
{
	char what[MR_NAME_MAX + 32];

	snprintf(what, sizeof(what), "backend in pool '%s' named", pool->name);
	return find(r, what, name, pool->backends, pool->n_backends, sizeof(*pool->backends));
}

void method_count_pool(const struct loop *l, size_t pool, struct method_census *census)
{
	const struct conf_pool *p = &loop_desired(l)->conf->pools[pool];

	for (size_t k = 0; k < p->n_backends; k++) {
		const struct admin_override *o =
			admin_find(loop_admin(l), p->name, p->backends[k].name);
		const bool is_drained = o != NULL && o->is_drained;
		const bool is_up = loop_effective(l, pool, k).state == MR_BACKEND_UP;

		census->n_drained += is_drained;
		census->n_up += !is_drained && is_up;
		census->n_down += !is_drained && !is_up;
	}
}

void method_unreachable(struct ctlsrv_request *r, const char *message)
{
	ctlsrv_refuse(r, "unreachable", "is millraced running? `millrace status` tells", NULL,
		"the dataplane does not answer: %s", message);
}

bool method_is_answered(struct ctlsrv_request *r, const struct fetch_result *result)
{
	if (result->status == 0)
		return true;
	if (result->status == -EREMOTEIO)
		ctlsrv_refuse(
			r, "invalid", NULL, NULL, "the dataplane refuses: %s", result->message);
	else
		method_unreachable(r, result->message);
	return false;
}

void method_no_memory(struct ctlsrv_request *r)
{
	ctlsrv_refuse(r, "internal", NULL, NULL, "the daemon is out of memory");
}
