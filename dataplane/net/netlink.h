/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * netlink — the rtnetlink requests the exception path needs. Manager's thread; each opens its own
 * socket and waits for the kernel's answer (microseconds).
 */
#include "millrace/types.h"

#include <rte_ether.h>

/* Adds the address to an interface, without duplicate address detection. 0 or -errno (-EEXIST: is there). */
int netlink_addr_add(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len);

/* Removes it. 0 or -errno. */
int netlink_addr_del(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len);

/* Sets the default route of metric 4096, instead of the one over another gateway; it gives way to one of a
 * smaller metric that the host has already. 0 or -errno. */
int netlink_gateway_add(unsigned ifindex, const struct mr_ip *gateway);

/* Removes it. 0 or -errno (-ESRCH: is not there, or is over another gateway by now). */
int netlink_gateway_del(unsigned ifindex, const struct mr_ip *gateway);

/* A route to this one address over the interface, from our address source, and a neighbour entry that says who has it: mac.
 * Replaces those that are there. 0 or -errno. */
int netlink_host_add(unsigned ifindex, const struct mr_ip *ip, const struct mr_ip *source,
	const struct rte_ether_addr *mac);

/* Removes both. */
void netlink_host_del(unsigned ifindex, const struct mr_ip *ip);
