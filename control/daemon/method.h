/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * method — the methods of the control socket (control/README.md), one function each, in the files
 * method_*.c, and what they share: reading parameters, and finding what a name means or saying that
 * it means nothing. Each answers its request exactly once.
 */
#include "daemon/ctlsrv.h"
#include "daemon/loop.h"

struct fetch_result;

void method_status_show(struct ctlsrv_request *r);
void method_config_apply(struct ctlsrv_request *r);
void method_config_diff(struct ctlsrv_request *r);
void method_config_export(struct ctlsrv_request *r);
void method_service_show(struct ctlsrv_request *r);
void method_backend_show(struct ctlsrv_request *r);
void method_backend_drain(struct ctlsrv_request *r);
void method_backend_undrain(struct ctlsrv_request *r);
void method_backend_weight(struct ctlsrv_request *r);
void method_health_show(struct ctlsrv_request *r);
void method_conn_show(struct ctlsrv_request *r);
void method_conn_count(struct ctlsrv_request *r);
void method_conn_kill(struct ctlsrv_request *r);
void method_explain_flow(struct ctlsrv_request *r);
void method_capture_start(struct ctlsrv_request *r);
void method_capture_read(struct ctlsrv_request *r);
void method_capture_stop(struct ctlsrv_request *r);
void method_capture_trace_read(struct ctlsrv_request *r);
void method_cache_show(struct ctlsrv_request *r);
void method_cache_stats(struct ctlsrv_request *r);
void method_cache_get(struct ctlsrv_request *r);
void method_cache_purge(struct ctlsrv_request *r);
void method_cache_hotkeys(struct ctlsrv_request *r);
void method_cache_bigkeys(struct ctlsrv_request *r);
void method_cache_latency(struct ctlsrv_request *r);
void method_tcp_show(struct ctlsrv_request *r);
void method_rows_port(struct ctlsrv_request *r);
void method_rows_neigh(struct ctlsrv_request *r);
void method_rows_worker(struct ctlsrv_request *r);
void method_rows_drops(struct ctlsrv_request *r);

/* json_unpack() of the parameters, all of which the format must name. False: refused, r is gone. */
bool method_unpack(struct ctlsrv_request *r, const char *format, ...);

/* The index of the pool, cache, service or backend of the applied configuration, or −1: refused with the
 * nearest name, r is gone. */
ssize_t method_find_pool(struct ctlsrv_request *r, const char *name);
ssize_t method_find_cache(struct ctlsrv_request *r, const char *name);
ssize_t method_find_service(struct ctlsrv_request *r, const char *name);
ssize_t method_find_backend(
	struct ctlsrv_request *r, const struct conf_pool *pool, const char *name);

/* Backends by what they do for new flows. Those drained by an operator are so whether they live or not. */
struct method_census {
	json_int_t n_up, n_drained, n_down;
};

/* Adds the backends of c->pools[pool] of the applied configuration. */
void method_count_pool(const struct loop *l, size_t pool, struct method_census *census);

/* Refuses because the dataplane did not answer; message is fetch's. */
void method_unreachable(struct ctlsrv_request *r, const char *message);
void method_no_memory(struct ctlsrv_request *r);

/* Whether the dataplane has answered with rows. False: refused with what it said, r is gone. */
bool method_is_answered(struct ctlsrv_request *r, const struct fetch_result *result);

/* Writes POOL/NAME of a service's backend, or just the name when the service has left the configuration. */
const char *method_conn_backend_text(
	const struct loop *l, const char *service, const char *name, char buf[2 * MR_NAME_MAX]);
