/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * harness — a whole dataplane in one thread for packet tests and path benchmarks: the real pipeline.c,
 * workers, neighbours and configuration path, ports made of rings, time in the caller's hands. The kernel
 * side is a callback. Every function is called from one thread that is all workers and the manager.
 */
#include "api/apply.h"
#include "core/nic.h"
#include "lb/balance.h"
#include "serve/serve.h"

#include <rte_ring.h>

#define HARNESS_IFACES 2 /* north, south */
#define HARNESS_WORKERS_MAX 16

struct harness {
	unsigned n_workers;
	uint32_t now_ms;
	struct iface_set ifaces;
	struct rte_mempool *pool;
	struct rte_ring *rx[HARNESS_IFACES][HARNESS_WORKERS_MAX]; /* what the ports receive */
	struct rte_ring *tx[HARNESS_IFACES][HARNESS_WORKERS_MAX]; /* what they have sent */
	struct nic_set *nics;
	struct mailbox *mail;
	struct tally_set *tallies;
	struct neigh_table *neigh;
	struct lb_registry *registry;
	struct worker *workers[HARNESS_WORKERS_MAX];
	struct apply_env env;
	struct model *model; /* edit with model_put/model_del, then harness_apply() */
	uint64_t generation;
	/* what would go to the kernel; NULL: counted and freed. Takes the mbuf. */
	void (*on_kernel)(void *ctx, unsigned iface, struct rte_mbuf *m);
	void *ctx;
};

struct harness_params {
	unsigned n_workers;
	unsigned n_queues; /* receive queues per port, 1 or n_workers */
	uint32_t n_conns4, n_conns6;
	uint32_t n_mbufs;
	uint32_t n_neighs;    /* 0 = 4096 */
	uint32_t hold_max;    /* packets a neighbour may wait with; 0 = 8 */
	uint32_t n_services;  /* 0 = 64 */
	uint32_t n_backends;  /* 0 = 1024 */
	uint32_t n_snats;     /* 0 = 32 */
	uint32_t cache_mb;    /* of all caches; 0: there can be none */
	uint32_t n_tcp_conns; /* to caches, of a worker; 0 = 256 */
	uint32_t n_tcp_bufs;  /* that they hold; 0 = n_mbufs / 4 */
	struct rte_mempool *tcp_pools[HARNESS_WORKERS_MAX]; /* of their segments; NULL: the pool */
	uint64_t seed; /* of the box's own secrets, which no other box knows */
};

/* EAL must run (tests/lib/eal.h). Dies with a message when something cannot be had. */
void harness_init(struct harness *h, const struct harness_params *p);
void harness_fini(struct harness *h);

/* Builds and publishes the edited model. 0, or -errno with *err. */
int harness_apply(struct harness *h, struct mr_error *err);

/* A packet buffer with these bytes. */
struct rte_mbuf *harness_mbuf(struct harness *h, const void *frame, unsigned len);

/* The queue of a port that a worker receives from, where there are as many as workers. */
unsigned harness_queue(const struct harness *h, unsigned worker, unsigned iface);

/* Lets the port receive the packet on a queue at the next poll. */
void harness_receive(struct harness *h, unsigned iface, unsigned queue, struct rte_mbuf *m);

/* One loop of every worker and of the manager. Returns packets moved. */
unsigned harness_poll(struct harness *h);

/* Polls until nothing moves. */
void harness_settle(struct harness *h);

/* Takes a sent frame, NULL when there is none. */
struct rte_mbuf *harness_sent(struct harness *h, unsigned iface);

/* True when the identity of counters.h holds. */
bool harness_balanced(struct harness *h, struct tally *sum);
