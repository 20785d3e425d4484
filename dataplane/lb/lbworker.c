/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lbworker — a worker's balancing state: memory taken at start, and the manager's view of the counters.
 */
#define XXH_INLINE_ALL
#include "lb/balance_pvt.h"

#include <rte_malloc.h>

#include <xxhash.h>

#include <errno.h>
#include <stdlib.h>

int lb_worker_create(struct lb_worker **out, const struct lb_worker_params *p)
{
	const struct conn_params conns = {
		.n_max4 = p->n_conns4, .n_max6 = p->n_conns6, .socket_id = p->socket_id};
	struct lb_worker *lw = calloc(1, sizeof(*lw));
	int rc;

	if (lw == NULL)
		return -ENOMEM;
	lw->limits = p->limits;
	syncookie_init(&lw->cookies, p->cookie_seed);
	lw->backends = rte_zmalloc_socket("lb_backends",
		(p->limits.n_backends + 1) * sizeof(lw->backends[0]), RTE_CACHE_LINE_SIZE,
		p->socket_id);
	lw->services = rte_zmalloc_socket("lb_services",
		(p->limits.n_services + 1) * sizeof(lw->services[0]), RTE_CACHE_LINE_SIZE,
		p->socket_id);
	rc = lw->backends == NULL || lw->services == NULL ? -ENOMEM : 0;
	if (rc == 0)
		rc = rate_sources_create(&lw->sources, p->socket_id);
	if (rc == 0)
		rc = conn_table_create(&lw->conns, &conns);
	if (rc == 0)
		rc = natport_create(
			&lw->ports, p->worker_id, p->n_workers, p->limits.n_snats, p->seed);
	if (rc == 0 && p->is_steered)
		rc = natport_follow_rss(lw->ports);
	if (rc != 0) {
		lb_worker_destroy(&lw);
		return rc;
	}
	/* workers must not walk a weighted sequence in step */
	for (uint32_t i = 0; i < p->limits.n_services; i++)
		lw->services[i].cursor = (uint32_t)XXH64(&i, sizeof(i), p->seed + p->worker_id);
	*out = lw;
	return 0;
}

void lb_worker_destroy(struct lb_worker **lw)
{
	if (*lw == NULL)
		return;
	conn_table_destroy(&(*lw)->conns);
	natport_destroy(&(*lw)->ports);
	rate_sources_destroy(&(*lw)->sources);
	rte_free((*lw)->backends);
	rte_free((*lw)->services);
	free(*lw);
	*lw = NULL;
}

const struct lb_backend_tally *lb_worker_backend_tally(
	const struct lb_worker *lw, uint32_t backend_idx)
{
	return &lw->backends[backend_idx];
}

uint64_t lb_worker_service_drops(const struct lb_worker *lw, uint32_t service_idx)
{
	return __atomic_load_n(&lw->services[service_idx].drops, __ATOMIC_RELAXED);
}

uint64_t lb_worker_service_acl_drops(const struct lb_worker *lw, uint32_t service_idx)
{
	return __atomic_load_n(&lw->services[service_idx].acl_drops, __ATOMIC_RELAXED);
}

uint64_t lb_worker_service_conns(const struct lb_worker *lw, uint32_t service_idx)
{
	return __atomic_load_n(&lw->services[service_idx].conns, __ATOMIC_RELAXED);
}

uint32_t lb_worker_snat_used(const struct lb_worker *lw, uint32_t snat_slot)
{
	return natport_used(lw->ports, snat_slot);
}

const struct conn_table *lb_worker_conns(const struct lb_worker *lw)
{
	return lw->conns;
}

uint64_t lb_worker_in_use(const struct lb_worker *lw, enum lb_slot_kind kind, uint32_t slot)
{
	switch (kind) {
	case LB_SLOT_SERVICE:
		return lb_worker_service_conns(lw, slot);
	case LB_SLOT_BACKEND:
		return __atomic_load_n(&lw->backends[slot].conns, __ATOMIC_RELAXED);
	default:
		return lb_worker_snat_used(lw, slot);
	}
}

void lb_worker_clear(struct lb_worker *lw, enum lb_slot_kind kind, uint32_t slot)
{
	if (kind == LB_SLOT_BACKEND)
		memset(&lw->backends[slot], 0, sizeof(lw->backends[slot]));
	if (kind != LB_SLOT_SERVICE)
		return;
	__atomic_store_n(&lw->services[slot].drops, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&lw->services[slot].acl_drops, 0, __ATOMIC_RELAXED);
}
