/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * netfix — what the tests of dataplane/net share: frames as text, two ports with addresses, one worker
 * whose manager is the test. Buffers of the frames end exactly where the frame ends, so that a read past
 * it is seen by AddressSanitizer.
 */
#include "core/worker.h"
#include "net/neigh.h"

#define NET_WAN 0
#define NET_LAN 1

struct net {
	struct iface_set ifaces;
	struct addr_conf *addrs;
	struct rte_mempool *pool;
	struct mailbox *mail;
	struct tally_set *tallies;
	struct neigh_table *neigh; /* empty */
	struct worker *w;
	struct burst *b; /* the worker's */
};

/* EAL, once per program. */
int net_eal(const char *program);

/* Ports wan 02:00:00:00:00:01 (192.0.2.1/24, 2001:db8:1::1/64) and lan 02:00:00:00:00:02 (10.0.0.1/16,
 * 2001:db8:2::1/64), gateways 192.0.2.254 and 2001:db8:1::fe, VIPs 203.0.113.10 and 2001:db8:f::10, SNAT
 * addresses 10.0.255.1 and 2001:db8:2::ff. */
void net_up(struct net *n);
void net_down(struct net *n); /* also checks that no packet was lost */

/* An address of a literal; fails the test when it is none. */
struct mr_ip net_ip(const char *text);

/* Bytes of a hex text, blanks and line ends ignored: a heap block of exactly *len bytes. */
uint8_t *net_bytes(const char *hex, uint32_t *len);

/* An mbuf whose data is a copy of the bytes in a heap block that ends right after them (room = 0) or room
 * bytes later. */
struct rte_mbuf *net_mbuf(struct net *n, const void *frame, uint32_t len, uint32_t room);

/* The frame of this text as the only packet of the burst, parsed as if it came in by iface. */
struct rte_mbuf *net_receive(struct net *n, unsigned iface, const char *hex, uint32_t room);

/* Fails unless the packet's bytes are these. */
void net_expect(const struct rte_mbuf *m, const char *hex);

/* What the worker gave to the manager, NULL when nothing. */
struct rte_mbuf *net_at_manager(struct net *n);
