/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lbconf_pvt — what lbconf.c and lbroute.c share: the registry, the manager's half of a generation, and a
 * build under way. Context: manager.
 */
#include "lb/lbconf.h"
#include "lb/lbspec.h"
#include "lb/slots.h"

struct vip_share {
	struct vip_table *table;
	uint32_t n_refs;
};

struct next_hop {
	uint8_t ip[16];
};

/* What only the manager needs of a generation. */
struct conf_pvt {
	struct lb_conf c; /* first: what lb_conf_create() gives out */
	struct vip_share *vips, *sources;
	const struct addr_conf *addrs; /* routes were asked here; compared, not used */
	uint8_t hash_key[16];
	uint32_t cap_services;
	struct next_hop *next_hops; /* by backend slot */
};

struct lb_registry {
	struct lb_limits limits;
	struct neigh_table *neigh;
	uint32_t *pins; /* by neighbour: backend records of live generations */
	struct slots *services, *backends, *snats;
	struct slots_users service_users, backend_users, snat_users;
};

/* One build under way. */
struct build {
	struct lb_registry *r;
	const struct lb_spec *spec;
	const struct conf_pvt *prev; /* or NULL */
	struct conf_pvt *next;
	struct lbspec model;
	struct mr_error *err;
};

static inline bool lbconf_in_use(const struct slots_users *u, uint32_t slot)
{
	return u->in_use(u->ctx, u->kind, slot) > 0;
}

/* What each worker may have of a limit (0: none): together not less, and less than one per worker more. */
uint32_t lbconf_share(const struct lb_registry *r, uint32_t limit);

/* Fills the backend array of b->next, whose services are complete. 0, or -errno with *err filled. */
int lbroute_build(struct build *b);

/* Fills the table of DNAT backends of b->next, from its backend records. As above. */
int lbroute_build_reverts(struct build *b);

/* The table of backends' addresses of b->next, the previous one where it says the same. 0 or -ENOMEM. */
int lbroute_build_sources(struct build *b);

/* Gives back what one backend record of a generation holds. */
void lbroute_unpin(struct lb_registry *r, uint32_t neigh_ref);
