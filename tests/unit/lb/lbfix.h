/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * lbfix — a small world for tests of the balancer: two logical ports, a model that tests edit, and one
 * worker whose packets go through the real parser, VIP table and balancing stages. Time is a field.
 *
 *     client 203.0.113.x ── gateway 192.0.2.254 ── wan [ worker ] lan ── backends 10.0.0.x
 *            2001:db8:c::x          2001:db8:1::fe                        2001:db8:2::x
 */
#include "core/tally.h"
#include "lb/balance.h"

#include <rte_mbuf.h>

#define FIX_WAN 0
#define FIX_LAN 1
#define FIX_SERVICES 1024
#define FIX_BACKENDS 10240

struct fix_model {
	struct mr_addr addrs[8];
	struct mr_gateway gateways[2];
	struct mr_snat snats[80];
	struct mr_service *services;
	struct mr_backend *backends;
	unsigned n_addrs, n_gateways, n_snats, n_services, n_backends;
	uint8_t hash_key[16];
};

struct fix {
	struct fix_model model;
	struct iface_set ifaces;
	struct rte_mempool *pool;
	struct tally_set *tallies;
	struct tally *tally;
	struct neigh_table *neigh;
	struct lb_registry *registry;
	struct addr_conf *addrs;
	struct lb_conf *conf;
	struct worker *w;
	struct mr_error err;
	unsigned n_given; /* slots that got a new holder */
};

struct fix_options {
	unsigned n_workers; /* shares of the SNAT ports; 0 = 1 */
	uint32_t n_conns;   /* per family; 0 = 1024 */
	struct lb_limits limits;
};

/* Starts EAL once per process; 0 or -1. */
int fix_eal(const char *program);
void fix_up(struct fix *f, const struct fix_options *o);
void fix_down(struct fix *f);

/* Model. Addresses are text; added objects are up, of weight 1 and, for services, TCP. */
struct mr_ip fix_ip(const char *text);
struct mr_service *fix_service(struct fix *f, const char *name, const char *vip, uint16_t port,
	unsigned mode, unsigned sched);
struct mr_backend *fix_backend(
	struct fix *f, const char *service, const char *name, const char *ip, uint16_t port);
struct mr_backend *fix_find_backend(struct fix *f, const char *service, const char *name);
void fix_del_backend(struct fix *f, const char *service, const char *name);
void fix_snat(struct fix *f, const char *ip);

/* Builds the model as the next generation and replaces the running one. 0 or what lb_conf_create() or
 * lb_registry_snats() said, with f->err filled and nothing changed. */
int fix_apply(struct fix *f);
/* All neighbours that are known answer; next hop i has MAC 02:00:00:00:hi:lo of its slot. */
void fix_resolve(struct fix *f);
/* Destination MAC fix_resolve() gave this next hop; false when the table has none. */
bool fix_mac(struct fix *f, unsigned iface, const char *ip, struct rte_ether_addr *mac);
/* The manager's part for a held packet: an entry for the next hop, resolved. */
void fix_learn(struct fix *f, unsigned iface, const char *ip);

uint32_t fix_service_slot(const struct fix *f, const char *name);
uint32_t fix_backend_slot(const struct fix *f, const char *service, const char *name);

/* A frame as it comes from the wire, checksums right, with n_payload bytes after the L4 header. */
struct fix_frame {
	const char *src, *dst;
	uint16_t sport, dport;
	uint8_t proto; /* 0 = TCP */
	uint8_t tcp_flags;
	uint8_t ttl;         /* 0 = 64 */
	uint8_t has_no_csum; /* UDP over IPv4 */
	uint16_t n_payload;
};
struct rte_mbuf *fix_mbuf(struct fix *f, const struct fix_frame *frame);

/* Runs m[0..n) through the stages as one burst received on iface; verdicts are in f->w->burst.p. The
 * mbufs stay the caller's. */
void fix_run(struct fix *f, unsigned iface, struct rte_mbuf **m, unsigned n);
/* One packet; its verdict, or −1 − reason for drops. The mbuf is in *out unless out is NULL: then freed. */
int fix_one(struct fix *f, unsigned iface, const struct fix_frame *frame, struct rte_mbuf **out);
#define FIX_DROP(reason) (-1 - (int)PKT_DROP_##reason)

/* Asserts addresses, ports and time to live of a frame, and every checksum in it by full computation. */
void fix_expect(struct rte_mbuf *m, const struct fix_frame *want);
/* Reads addresses and ports of a frame. */
struct fix_seen {
	struct mr_ip src, dst;
	uint16_t sport, dport;
};
struct fix_seen fix_see(const struct rte_mbuf *m);

/* The entry of a client flow, or NULL. */
struct conn *fix_conn(struct fix *f, const struct fix_frame *frame);
