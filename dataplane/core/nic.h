/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * nic — DPDK devices: probing, queues, offload negotiation, RSS. A device that cannot do what we wish
 * gets a software path, and what was agreed is printed at start. Context of everything: manager; set-up
 * before workers start.
 */
#include "core/iface.h"
#include "core/worker.h"
#include "millrace/api_stats.h"

#include <rte_mempool.h>

struct nic_params {
	unsigned n_workers;
	unsigned n_rx_queues;  /* wish per device; 0 = one per worker */
	uint16_t n_rxd, n_txd; /* wish; 0 = driver's default */
	uint16_t mtu_bytes;    /* wish; 0 = keep */
	struct rte_mempool *pool;
	bool has_tcp; /* segments of our own are sent: somebody keeps a reference to their mbufs (tcp/tcb.h) */
};

struct nic_set;

/* Configures and starts the devices of every logical port. devices[i] names the DPDK port ids of
 * logical port i (filled from argv by opt.c and EAL). On failure logs object, reason and remedy, returns -errno. */
int nic_set_create(struct nic_set **out, struct iface_set *ifaces, const struct nic_params *p);
void nic_set_destroy(struct nic_set **s); /* stops and closes */

/* Deals receive queues and transmit queues out to the workers (fills queues[], n_queues, tx[]). Each
 * worker has a transmit queue of every logical port, shared with nobody; devices with too few
 * transmit queues get a lock-free software path: the worker hands frames to the queue's owner. */
int nic_assign(const struct nic_set *s, struct worker **workers, unsigned n_workers);

/* Whether all devices bring TCP and UDP to worker NIC_RSS_OWNER(hash): SPREAD `rss`. */
bool nic_is_steered(const struct nic_set *s);

/* Row of the PORTS request. */
void nic_row(const struct nic_set *s, const struct iface_set *ifaces, unsigned iface,
	struct mr_port_row *row);

/* Worker that owns a client flow of this hash. nic.c fills entry i of every redirection table with queue
 * (i & 127) modulo the number of queues, so that a device with as many queues as workers delivers each
 * flow to its owner. */
#define NIC_RSS_OWNER(hash, n_workers) (((hash)&127u) % (n_workers))

/* Software Toeplitz over the same key and tuple the devices were given; for packets without hash.rss. */
uint32_t nic_softrss(const struct pkt *p);
