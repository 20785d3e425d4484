/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * server — the dataplane's Unix socket: accepts clients, checks who they are, reads frames, calls the
 * handler of each request and writes the replies. Everything runs on the manager's thread and never
 * blocks on a client. A frame that cannot be understood closes its client and touches nobody else; so does
 * keeping others waiting: without HELLO, with a transaction left open or with replies left unread for
 * API_PATIENCE_MS.
 */
#include "api/apply.h"
#include "core/nic.h"
#include "core/worker.h"

#include <sys/types.h>

#define API_CLIENTS_MAX 32
#define API_OUT_MAX (32u << 20) /* bytes of unsent replies per client */
#define API_PATIENCE_MS 10000
#define API_CONNS_MAX 20001u /* rows of one CONNS reply: one tells that there are more */

struct api_server;

struct api_params {
	const char *socket_path;
	gid_t group; /* may change things, and owns the socket; (gid_t)-1 = only root and our own user */
	struct apply_env env;
	struct model *model; /* running model, empty at start; the server owns it from here on */
	struct worker **workers;
	unsigned n_workers;
	struct tally_set *tallies;
	const struct nic_set *nics;
	struct neigh_table *neigh;
	const struct rte_mempool *pool;
	uint64_t instance;  /* random at start */
	uint64_t conns_max; /* table sizes, all workers */
	uint32_t (*now_ms)(void);
};

/* Listens. Directory 0750 and socket 0660 are made here; the socket of a dead dataplane is replaced, a
 * live one is -EADDRINUSE. What to do is logged. */
int api_server_create(struct api_server **out, const struct api_params *p);
void api_server_destroy(struct api_server **s); /* closes clients, removes the socket */

/* An epoll descriptor to wait on. */
int api_server_fd(const struct api_server *s);

/* Serves what is ready, up to timeout_ms (0: do not wait), and moves connection dumps on. True while
 * a dump is under way: poll again soon. */
bool api_server_poll(struct api_server *s, int timeout_ms);
