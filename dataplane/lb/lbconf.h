/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lbconf — the balancing half of a generation: services with their scheduler tables, backends with
 * their next hops, the VIP table and the SNAT addresses. Immutable once built, in snapshot slot
 * SNAPSHOT_LB. Services that did not change are shared between generations (reference counts, touched
 * by the manager only), so changing one never rebuilds the others.
 *
 * Services, backends and SNAT addresses live in stable slots: connections name them across generations.
 * The registry (manager's) gives out slots and takes one back only when no worker has a
 * connection in it. A backend that left the model keeps its slot, marked absent, until then; its flows
 * go on (policy keep).
 */
#include "core/snapshot.h"
#include "lb/connfsm.h"
#include "lb/sched.h"
#include "lb/vip.h"
#include "net/neigh.h"

struct lb_service {
	uint32_t idx;    /* slot */
	uint32_t n_refs; /* w, r: manager */
	struct mr_service spec;
	const struct sched_ops *sched;
	struct sched_table *table;
	struct connfsm_timeouts timeouts;
	struct mr_backend *backends; /* as configured: equal → the service is shared */
	uint32_t *backend_idx;
	unsigned n_backends;
};

struct lb_backend { /* hot: one line */
	uint8_t ip[16];
	rte_be16_t port;
	uint8_t family;
	uint8_t state; /* enum mr_backend_state; 0 = slot free or backend absent from the model */
	uint8_t iface;
	uint8_t mode; /* of its service */
	uint16_t weight;
	uint32_t neigh_ref; /* pinned */
	uint32_t service_idx;
	uint8_t next_hop[16];
	uint8_t spare[16];
};
_Static_assert(sizeof(struct lb_backend) == 64, "one cache line");

struct lb_conf {
	struct vip_table *vips;
	struct lb_service **services;    /* by slot; NULL = free */
	struct lb_backend *backends;     /* by slot */
	uint32_t n_services, n_backends; /* slots */
	struct mr_ip snats[64];          /* by slot; family 0 = free */
	uint32_t n_snats;
	bool snat_active[64]; /* false: only old flows use it */
};

struct lb_registry; /* names → slots; manager's */

struct lb_limits {
	uint32_t n_services, n_backends, n_snats; /* slots, fixed at start */
};

struct lb_spec {
	const struct mr_service *services;
	const struct mr_backend *backends;
	const struct mr_snat *snats;
	unsigned n_services, n_backends, n_snats;
	const uint8_t *hash_key;       /* 16 bytes */
	const struct addr_conf *addrs; /* of the same generation: routes to backends */
	uint32_t now_ms;
};

/* Context: manager. in_use(ctx, kind, slot): connections of a slot over all workers. */
enum lb_slot_kind { LB_SLOT_SERVICE, LB_SLOT_BACKEND, LB_SLOT_SNAT };
int lb_registry_create(struct lb_registry **out, const struct lb_limits *limits,
	struct neigh_table *neigh,
	uint64_t (*in_use)(void *ctx, enum lb_slot_kind kind, uint32_t slot), void *ctx);
void lb_registry_destroy(struct lb_registry **r);

/* Slots the SNAT addresses of the model would have: fills ips[] by slot (for addr_conf_create(), which
 * comes before lb_conf_create()). Returns the number of slots, or -ENOSPC with *err filled. */
int lb_registry_snats(struct lb_registry *r, const struct mr_snat *snats, unsigned n,
	struct mr_ip *ips, struct mr_error *err);

/* Builds the next generation. Validates all that needs the whole model (services of backends exist,
 * families agree, full-nat has a SNAT address of its family, dsr-l2 ports equal, backend on-link for
 * dsr-l2, routes exist, VIP unique, limits). prev: running one or NULL. Nothing visible changes. 0, or -errno with
 * *err filled. */
int lb_conf_create(struct lb_conf **out, struct lb_registry *r, const struct lb_spec *spec,
	const struct lb_conf *prev, struct mr_error *err);

/* After the conf is published and its predecessor retired, or when it was never published. */
void lb_conf_destroy(struct lb_conf **c, struct lb_registry *r);

/* Slot → names, for rows; NULL when free. Lives until the slot is given away (manager). */
const char *lb_registry_service_name(const struct lb_registry *r, uint32_t idx);
const char *lb_registry_backend_name(const struct lb_registry *r, uint32_t idx);

static inline const struct lb_conf *lb_conf_of(const struct snapshot *s)
{
	return (const struct lb_conf *)s->slot[SNAPSHOT_LB];
}
