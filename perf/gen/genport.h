/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genport — a DPDK port of the generator: as many queues each way as asked for, no offloads, so that the bytes sent are those that were built.
 * A device that can spreads what it receives over its queues. Main thread.
 */
#include <rte_ether.h>
#include <rte_mempool.h>

#include <stdbool.h>
#include <stdint.h>

struct genport {
	uint16_t id;
	uint16_t n_rx_queues, n_tx_queues;
	bool is_open;
	bool is_memory; /* shared memory: room on it is what the other side has read */
	char name[64], driver[32];
	char listens[128]; /* memif's socket, of a server, where it is a file; "": none */
	struct rte_ether_addr mac;
};

struct genport_params {
	const char *device;
	uint16_t n_rxd, n_txd, n_rx_queues, n_tx_queues;
	struct rte_mempool *pool;
};

/* Before EAL: what can be seen to be wrong with the string. 0, or -errno, told. */
int genport_check(const char *device);

/* After EAL. 0, or -errno, told with the remedy; *p is written only then. */
int genport_open(struct genport *p, const struct genport_params *params);
void genport_close(struct genport *p); /* NULL-safe for one that is not open */

bool genport_is_up(const struct genport *p);
