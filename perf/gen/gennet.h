/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gennet — ARP and NDP of the generator: it answers for its own addresses, clients and backends alike, and asks for the MAC address that
 * requests go to. Whatever asks is answered with the MAC of the port that was asked. One thread at a time.
 */
#include "genopt.h"

#include <rte_mbuf.h>

#define GENNET_OWN_MAX (GENOPT_OWN_MAX + 1)
#define GENNET_FRAME_MAX 86u /* of what is built here */

struct gennet {
	struct genopt_net own[GENNET_OWN_MAX];
	unsigned n_own;
	struct genopt_net next_hop;
	struct genopt_net source; /* who asks for it: the first of the clients */
	bool has_mac;
	struct rte_ether_addr next_hop_mac;
};

enum gennet_verdict {
	GENNET_OTHER,  /* not ours, or nothing to say */
	GENNET_ANSWER, /* the frame has become our answer */
	GENNET_HEARD,  /* the next hop's MAC address, or another answer */
};

void gennet_init(struct gennet *g, const struct genopt *o);

/* Hot. mac: of the port that m came from; m has one segment. */
enum gennet_verdict gennet_input(
	struct gennet *g, const struct rte_ether_addr *mac, struct rte_mbuf *m);

/* Writes a question for the next hop. Returns its bytes. */
unsigned gennet_ask(
	const struct gennet *g, const struct rte_ether_addr *mac, uint8_t frame[GENNET_FRAME_MAX]);
