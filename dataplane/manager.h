/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * manager — the main thread once everything is up: waits on the API socket, the kernel side and
 * signals; takes what workers pass on; resolves neighbours. Never on the packet path.
 */
#include "api/server.h"
#include "core/worker.h"
#include "lb/pathmtu.h"
#include "net/neigh.h"
#include "net/punt.h"

struct manager {
	struct worker **workers;
	unsigned n_workers;
	struct mailbox *mail;
	struct tally *tally; /* the manager's own */
	struct neigh_table *neigh;
	struct punt *punt;
	struct pathmtu *path_mtus;
	const struct iface_set *ifaces;
	struct api_server *api;
};

/* Blocks SIGTERM and SIGINT in this thread and those it will make: manager_run() reads them from a
 * descriptor. Ignores SIGPIPE. Context: main thread, before EAL. */
void manager_hold_signals(void);

/* Sends a complete frame out of a logical port, by way of the worker that has the queue; counts a drop when
 * it cannot take it. Takes the mbuf. ctx: struct manager. Context: manager. */
void manager_send(void *ctx, unsigned iface, struct rte_mbuf *m);

/* The same for a frame of the kernel side. One to our own MAC address is for a VIP (punt_sync_vips()): a worker sends it
 * to the backend it is to probe. Context: manager. */
void manager_inject(void *ctx, unsigned iface, struct rte_mbuf *m);

/* Runs until the first SIGTERM or SIGINT; a second one then kills. 0 or -errno, logged. */
int manager_run(struct manager *m);
