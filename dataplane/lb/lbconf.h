/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lbconf — the balancing half of a generation: services with their scheduler tables, backends with
 * their next hops, the VIP table and the SNAT addresses. Immutable once built, in snapshot slot
 * SNAPSHOT_LB. Services that did not change are shared between generations (reference counts, touched
 * by the manager only), so changing one never rebuilds the others.
 *
 * Services, backends and SNAT addresses live in stable slots: connections name them across generations.
 * The registry (manager's) gives out slots and takes one back only when no generation and no connection
 * is left in it. A backend that left the model keeps its slot, marked absent, until then; its flows go on
 * (policy keep). What a connection takes for granted is part of a holder's identity: a service is its
 * name, VIP, port and protocol, a backend its service, name, address and port; changing one of these makes
 * a new holder, and flows of the old one end by themselves.
 */
#include "core/snapshot.h"
#include "lb/acl.h"
#include "lb/connfsm.h"
#include "lb/natport.h"
#include "lb/probe.h"
#include "lb/quic.h"
#include "lb/rate.h"
#include "lb/sched.h"
#include "lb/vip.h"
#include "net/neigh.h"

struct lb_service {
	uint32_t idx;    /* slot */
	uint32_t n_refs; /* w, r: manager */
	const struct sched_ops *sched;
	struct sched_table *table;
	struct quic_table *quic;    /* NULL: the service is not routed by connection id */
	struct probe_table *probes; /* NULL: no backend is probed by the service's path */
	uint8_t vip[16];            /* as in spec: hot */
	uint8_t hash;               /* enum mr_hash: of what the scheduler wants a hash */
	uint16_t load_bound_pct;
	bool is_guarded;         /* something is to be asked of each new flow (guard.c) */
	bool has_backend_limits; /* of any backend: max_conns */
	bool is_stateless_able;  /* may be forwarded by hash without entries */
	struct acl *acl;         /* NULL: every client may begin flows */
	uint32_t max_conns;      /* a worker's share; UINT32_MAX: no limit */
	rte_be16_t gue_port;     /* of a mode that is another by now: as it was */
	uint16_t mss;            /* UINT16_MAX: no limit */
	uint8_t fwd;             /* of new flows: fwd_of() */
	uint32_t sum_weight;     /* of backends that take new flows */
	uint8_t source_mask[16]; /* of the client's address, where that is hashed */
	struct connfsm_timeouts timeouts;
	struct rate_limit flow_rate, source_rate, insert_rate, syn_rate, packet_rate;
	uint8_t source_rate_mask[16];
	struct mr_service spec;
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
	uint8_t tunnel_src[16]; /* ours towards it: outer source of tunnels */
	uint32_t max_conns;     /* a worker's share; UINT32_MAX: no limit */
	bool is_out;            /* its flows begin again elsewhere: DOWN, EVICT, absent */
	uint8_t on_packet; /* enum mr_down: of a TCP client in the midst of a flow, while it is out */
	bool is_quic;      /* packets of its flows may be for others: newflow_follow_id() */
	bool is_reverted; /* there may be DNAT flows of it, of another mode as well: in reverts */
	uint16_t
		path_mtu; /* of its tunnel: mtu_max, or what pathmtu.c learned  w: manager  r: workers (relaxed) */
	uint16_t mtu_max; /* of the port that leads there */
	uint8_t spare[4];
};
_Static_assert(sizeof(struct lb_backend) == 64, "one cache line");

#define LB_SNATS_MAX NATPORT_SLOTS_MAX
#define LB_FLOW_SECRET_BYTES 192

/* The slots of an older generation are within the arrays of a newer one: counts never shrink. */
struct lb_conf {
	struct vip_table *vips;
	struct vip_table *reverts;        /* backends with DNAT flows; NULL: there are none */
	struct vip_table *sources;        /* addresses of backends in the model → iface */
	struct lb_service **services;     /* by slot; NULL = free */
	bool *is_served;                  /* by slot: MR_MODE_CACHE; NULL: none is */
	bool *is_policed;                 /* by slot: it has a packet_rate; NULL: none has */
	struct lb_backend *backends;      /* by slot */
	uint32_t n_services, n_backends;  /* slots */
	struct mr_ip snats[LB_SNATS_MAX]; /* by slot; family 0 = free */
	uint32_t n_snats;
	bool snat_active[LB_SNATS_MAX]; /* false: only old flows use it */
	/* slots of active addresses, [0] IPv4, [1] IPv6: what a new flow chooses from */
	uint8_t snat_choice[2][LB_SNATS_MAX];
	uint32_t n_snat_choice[2];
	uint16_t route_gen; /* differs from the previous generation's when routes may */
	/* hashes flows for scheduling; from the fleet's hash key, so that two boxes choose alike */
	uint8_t flow_secret[LB_FLOW_SECRET_BYTES];
};

struct lb_registry; /* names → slots; manager's */

struct lb_limits {
	uint32_t n_services, n_backends, n_snats; /* slots, fixed at start */
	uint32_t n_workers;                       /* what is limited is divided among them */
};

struct lb_spec {
	const struct mr_service *services;
	const struct mr_backend *backends;
	const struct mr_snat *snats;
	const struct mr_acl *acls;
	unsigned n_services, n_backends, n_snats, n_acls;
	const uint8_t *hash_key;       /* 16 bytes */
	const struct addr_conf *addrs; /* of the same generation: routes to backends */
	const struct iface_set *ifaces;
	uint32_t now_ms;
};

/* Context: manager. in_use(ctx, kind, slot): connections of a slot over all workers. */
enum lb_slot_kind { LB_SLOT_SERVICE, LB_SLOT_BACKEND, LB_SLOT_SNAT };
int lb_registry_create(struct lb_registry **out, const struct lb_limits *limits,
	struct neigh_table *neigh,
	uint64_t (*in_use)(void *ctx, enum lb_slot_kind kind, uint32_t slot), void *ctx);
void lb_registry_destroy(struct lb_registry **r); /* NULL-safe, clears *r; after all generations */

/* on_give(ctx, kind, slot), ctx as above: the slot gets a new holder; nobody else touches its counters
 * at this moment (lb_worker_clear()). */
void lb_registry_set_on_give(
	struct lb_registry *r, void (*on_give)(void *ctx, enum lb_slot_kind kind, uint32_t slot));

/* Slots the SNAT addresses of the model would have: fills ips[0..LB_SNATS_MAX) by slot (for
 * addr_conf_create(), which comes before lb_conf_create()). Addresses that left the model are there while
 * old flows use them. Returns the number of slots, or -ENOSPC with *err filled. */
int lb_registry_snats(struct lb_registry *r, const struct mr_snat *snats, unsigned n,
	struct mr_ip *ips, struct mr_error *err);

/* Builds the next generation. Validates all that needs the whole model (services of backends and prefixes exist,
 * families agree, full-nat has a SNAT address of its family, dsr-l2 ports equal, backend on-link for
 * dsr-l2, routes exist, VIP unique, limits). prev: running one or NULL. Nothing visible changes. 0, or -errno with
 * *err filled. */
int lb_conf_create(struct lb_conf **out, struct lb_registry *r, const struct lb_spec *spec,
	const struct lb_conf *prev, struct mr_error *err);

/* After the conf is published and its predecessor retired, or when it was never published. */
void lb_conf_destroy(struct lb_conf **c, struct lb_registry *r);

/* Slot → names, for rows; of the last holder when it is gone, NULL for a slot never given out. Lives until
 * the slot is given away (manager). */
const char *lb_registry_service_name(const struct lb_registry *r, uint32_t idx);
const char *lb_registry_backend_name(const struct lb_registry *r, uint32_t idx);

static inline const struct lb_conf *lb_conf_of(const struct snapshot *s)
{
	return (const struct lb_conf *)s->slot[SNAPSHOT_LB];
}
