/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * connmatch — the filter of CONNS and CONN_KILL in the form in which workers test entries with it: names
 * became slots, the client's prefix a mask.
 */
#include "lb/balance.h"
#include "millrace/api_stats.h"
#include "serve/servetcp.h"

struct connmatch {
	uint32_t service_idx; /* UINT32_MAX = all */
	uint32_t n_backends, n_services;
	uint8_t *is_backend; /* [slot] whether its name matches */
	bool has_backend;    /* some are wanted, so none of those that end here */
	bool is_served;      /* only those */
	uint64_t ip[2], mask[2];
	uint32_t age_min_ms, age_below_ms; /* below: 0 = no end */
	uint32_t idle_min_ms, idle_below_ms;
	uint8_t family; /* of ip; 0 = all clients */
	uint8_t state;  /* 0 = all */
};

/* Context: manager. Names mean what they mean in the generation of lb. 0, or -errno with *err and nothing
 * to give back. */
int connmatch_init(struct connmatch *m, const struct mr_conn_filter *f, const struct lb_conf *lb,
	const struct lb_registry *registry, struct mr_error *err);
void connmatch_fini(struct connmatch *m);

/* Whether the filter says anything at all. */
bool connmatch_is_narrow(const struct mr_conn_filter *f);

/* Context: worker that owns the entry; now_ms is its own time, which no entry is ahead of. */
bool connmatch_test(const struct connmatch *m, const struct conn *e, uint32_t now_ms);

/* The same of a connection that ends here. Context: its worker (a job). */
bool connmatch_test_served(const struct connmatch *m, const struct servetcp_info *i);

/* What a connection that ends here is among others. Context: any. */
enum mr_conn_state connmatch_state(enum tcp_state state);
