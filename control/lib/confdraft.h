/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confdraft — a configuration as far as it can be read value by value, with the place of every value,
 * before references are resolved and rules over several values are looked at (confrule). What could
 * not be read is zero or empty in the conf and has been reported. Part of the loader (conf.h).
 */
#include "lib/confread.h"

enum confdraft_node_key { CONFDRAFT_NODE_NAME, CONFDRAFT_NODE_HASH_KEY_FILE, CONFDRAFT_NODE_KEYS };
enum confdraft_port_key { CONFDRAFT_PORT_ADDRESSES, CONFDRAFT_PORT_GATEWAYS, CONFDRAFT_PORT_KEYS };
enum confdraft_check_key {
	CONFDRAFT_CHECK_TYPE,
	CONFDRAFT_CHECK_VIA,
	CONFDRAFT_CHECK_PORT,
	CONFDRAFT_CHECK_PATH,
	CONFDRAFT_CHECK_HOST,
	CONFDRAFT_CHECK_EXPECT,
	CONFDRAFT_CHECK_SEND,
	CONFDRAFT_CHECK_COMMAND,
	CONFDRAFT_CHECK_INTERVAL,
	CONFDRAFT_CHECK_TIMEOUT,
	CONFDRAFT_CHECK_RISE,
	CONFDRAFT_CHECK_FALL,
	CONFDRAFT_CHECK_JITTER,
	CONFDRAFT_CHECK_KEYS,
};
enum confdraft_backend_key {
	CONFDRAFT_BACKEND_NAME,
	CONFDRAFT_BACKEND_IP,
	CONFDRAFT_BACKEND_PORT,
	CONFDRAFT_BACKEND_WEIGHT,
	CONFDRAFT_BACKEND_MAX_CONNECTIONS,
	CONFDRAFT_BACKEND_QUIC_SERVER_ID,
	CONFDRAFT_BACKEND_KEYS,
};
enum confdraft_pool_key {
	CONFDRAFT_POOL_CHECK,
	CONFDRAFT_POOL_SLOW_START,
	CONFDRAFT_POOL_PASSIVE,
	CONFDRAFT_POOL_MAX_CONNECTIONS,
	CONFDRAFT_POOL_BACKENDS,
	CONFDRAFT_POOL_KEYS,
};
enum confdraft_passive_key {
	CONFDRAFT_PASSIVE_FAILURES,
	CONFDRAFT_PASSIVE_RATE,
	CONFDRAFT_PASSIVE_MIN_FLOWS,
	CONFDRAFT_PASSIVE_EJECTION,
	CONFDRAFT_PASSIVE_MAX_EJECTED,
	CONFDRAFT_PASSIVE_KEYS,
};
enum confdraft_service_key {
	CONFDRAFT_SERVICE_VIP,
	CONFDRAFT_SERVICE_PORT,
	CONFDRAFT_SERVICE_PROTO,
	CONFDRAFT_SERVICE_KIND,
	CONFDRAFT_SERVICE_CACHE,
	CONFDRAFT_SERVICE_REPLY_RATE,
	CONFDRAFT_SERVICE_MODE,
	CONFDRAFT_SERVICE_GUE_PORT,
	CONFDRAFT_SERVICE_QUIC,
	CONFDRAFT_SERVICE_MSS,
	CONFDRAFT_SERVICE_CLIENT_ADDRESS,
	CONFDRAFT_SERVICE_SCHEDULER,
	CONFDRAFT_SERVICE_HASH,
	CONFDRAFT_SERVICE_SOURCE_PREFIX,
	CONFDRAFT_SERVICE_LOAD_BOUND,
	CONFDRAFT_SERVICE_ALLOW,
	CONFDRAFT_SERVICE_DENY,
	CONFDRAFT_SERVICE_MAX_CONNECTIONS,
	CONFDRAFT_SERVICE_FLOW_RATE,
	CONFDRAFT_SERVICE_SOURCE_RATE,
	CONFDRAFT_SERVICE_SOURCE_RATE_PREFIX,
	CONFDRAFT_SERVICE_INSERT_RATE,
	CONFDRAFT_SERVICE_SYN_COOKIES,
	CONFDRAFT_SERVICE_PACKET_RATE,
	CONFDRAFT_SERVICE_ON_DOWN,
	CONFDRAFT_SERVICE_MAGLEV_SIZE,
	CONFDRAFT_SERVICE_PANIC_THRESHOLD,
	CONFDRAFT_SERVICE_POOL,
	CONFDRAFT_SERVICE_TIMEOUTS,
	CONFDRAFT_SERVICE_KEYS,
};
enum confdraft_quic_key {
	CONFDRAFT_QUIC_SERVER_ID_LENGTH,
	CONFDRAFT_QUIC_SERVER_ID_OFFSET,
	CONFDRAFT_QUIC_CONFIG_ID,
	CONFDRAFT_QUIC_KEYS,
};
enum confdraft_timeout_key {
	CONFDRAFT_TIMEOUT_SYN,
	CONFDRAFT_TIMEOUT_ESTABLISHED,
	CONFDRAFT_TIMEOUT_FIN,
	CONFDRAFT_TIMEOUT_UDP,
	CONFDRAFT_TIMEOUT_KEYS,
};

/* Places: key is where the name stands, at[] where each value stands or NULL. The arrays run parallel
 * to those of the conf. */
struct confdraft_port {
	const struct yamltree_node *key;
	const struct yamltree_node *at[CONFDRAFT_PORT_KEYS];
};

struct confdraft_check {
	const struct yamltree_node *key;
	const struct yamltree_node *at[CONFDRAFT_CHECK_KEYS];
};

struct confdraft_backend {
	const struct yamltree_node *at[CONFDRAFT_BACKEND_KEYS];
};

struct confdraft_pool {
	const struct yamltree_node *key;
	const struct yamltree_node *at[CONFDRAFT_POOL_KEYS];
	struct confdraft_backend *backends;
};

struct confdraft_service {
	const struct yamltree_node *key;
	const struct yamltree_node *at[CONFDRAFT_SERVICE_KEYS];
	const struct yamltree_node *timeouts[CONFDRAFT_TIMEOUT_KEYS];
};

struct confdraft {
	struct conf *conf; /* not owned */
	struct confread *read;
	const struct yamltree_node *node[CONFDRAFT_NODE_KEYS];
	struct confdraft_port *ports;
	const struct yamltree_node *snats[CONF_SNAT_MAX];
	struct confdraft_check *checks;
	struct confdraft_pool *pools;
	struct confdraft_service *services;
};

/* Reads the tree into conf, which must be zero, and d. Failing allocations are remembered in
 * read->is_out_of_memory. */
void confdraft_init(struct confdraft *d, struct conf *conf, struct confread *read,
	const struct yamltree_node *root);
void confdraft_fini(struct confdraft *d);
