/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * netlink — the two rtnetlink requests the exception path needs. Manager's thread; each opens its own
 * socket and waits for the kernel's answer (microseconds).
 */
#include "millrace/types.h"

/* Adds the address to an interface, without duplicate address detection. 0 or -errno (-EEXIST: is there). */
int netlink_addr_add(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len);

/* Removes it. 0 or -errno. */
int netlink_addr_del(unsigned ifindex, const struct mr_ip *ip, unsigned prefix_len);
