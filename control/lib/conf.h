/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * conf — the configuration file as a typed, checked value. conf_create() reads a text and either
 * gives a struct conf in which every reference is resolved, every default is filled in and every
 * rule of control/README.md holds, or a report of all that is wrong; warnings come with both. A
 * struct conf never changes after it was made and holds no pointers into the text.
 *
 * Used by the daemon and by `millrace config check` (offline). Any thread; nothing global. The only
 * I/O is reading node.hash_key_file and looking for commands; enum conf_secrets says whether to.
 */
#include "millrace/types.h"

#define CONF_TEXT_MAX (16u << 20) /* bytes of a file */
#define CONF_DEPTH_MAX 16         /* mappings and sequences within each other */
#define CONF_SNAT_MAX 64          /* addresses, ranges expanded */
#define CONF_BACKENDS_MAX 262144u /* backends of all services, a shared pool counted each time */
#define CONF_PREFIXES_MAX 262144u /* allow and deny prefixes of all services */
#define CONF_WEIGHT_DEFAULT 100
#define CONF_QUIC_ID_MAX 15 /* bytes */
#define CONF_CACHE_MEMORY_MAX (UINT64_C(16384) << 30)

struct conf;
struct confreport;

/* What to do about node.hash_key_file. Commands that are not there are warnings, but with SKIP. */
enum conf_secrets {
	CONF_SECRETS_SKIP, /* do not touch the file system; hash_key stays zero */
	CONF_SECRETS_TRY, /* offline: a file that cannot be read is a warning, a bad one an error */
	CONF_SECRETS_NEED, /* daemon: the file must be readable */
};

/* Symbol and text. */
#define CONF_CHECK_TYPES(X) \
	X(TCP, "tcp") \
	X(HTTP, "http") \
	X(MEMCACHED, "memcached") \
	X(REDIS, "redis") \
	X(UDP, "udp") \
	X(ICMP, "icmp") \
	X(EXEC, "exec")

#define CONF_CHECK_TYPE_VALUE(sym, text) CONF_CHECK_##sym,
enum conf_check_type {
	CONF_CHECK_NONE, /* only while the file is read */
	CONF_CHECK_TYPES(CONF_CHECK_TYPE_VALUE) CONF_CHECK_TYPES_END
};

/* What the host of a configuration lets it do. */
struct conf_host {
	enum conf_secrets secrets;
	bool is_exec_refused; /* checks that run commands are errors */
};

struct conf_prefix {
	struct mr_ip ip; /* as written, host bits kept */
	uint8_t len;
};

/* Of clients: ascending by address and length, no host bits, none twice. */
struct conf_prefixes {
	struct conf_prefix *items;
	size_t n; /* 0: the list is not given */
};

/* Arrays are in the order of the file. Names are unique in their array. */
struct conf_port {
	char name[MR_NAME_MAX];
	struct conf_prefix *addresses;
	size_t n_addresses; /* ≥ 1 */
	struct mr_ip *gateways;
	size_t n_gateways;
};

struct conf_status_range {
	uint16_t first, last; /* HTTP status codes, both included */
};

struct conf_bytes {
	uint8_t *data; /* any bytes; NULL when there are none */
	size_t len;
};

struct conf_check {
	char name[MR_NAME_MAX];
	enum conf_check_type type;
	bool is_via_service; /* by the path of a service's traffic, not straight to the backends */
	uint16_t port;       /* 0: the backend's */
	char *path;          /* http: request path; others: NULL */
	char *host;          /* http: Host header, NULL: the backend's address */
	struct conf_status_range *expect; /* http: ascending, at least one; others: NULL */
	size_t n_expect;
	struct conf_bytes send;   /* udp: the datagram */
	struct conf_bytes answer; /* udp: the answer begins so */
	char **command;           /* exec: path and arguments, NULL-terminated; others: NULL */
	size_t n_command;
	uint32_t interval_ms;
	uint32_t timeout_ms; /* ≤ interval_ms */
	uint16_t rise, fall;
	uint8_t jitter_pct; /* of interval_ms */
};

/* Where the server id is in the connection ids of a service's QUIC packets. */
struct conf_quic {
	uint8_t id_len; /* 0: packets are not routed by it */
	uint8_t id_offset;
	int8_t config_id; /* -1: any */
};

struct conf_backend {
	char name[MR_NAME_MAX]; /* unique in its pool */
	struct mr_ip ip;
	uint16_t port; /* 0: the service's */
	uint16_t weight;
	uint32_t max_conns; /* of each service; 0: no limit */
	uint8_t quic_id_len;
	uint8_t quic_id[CONF_QUIC_ID_MAX];
	uint16_t probe_port; /* source port of its probes where its pool has via */
};

/* When traffic takes a backend out (control/daemon/passive.h). */
struct conf_passive {
	bool is_on;
	uint8_t rate_pct;        /* of the flows failed; 0: does not count */
	uint8_t max_ejected_pct; /* of the pool's backends, at a time */
	uint16_t failures;       /* in a row; 0: does not count */
	uint32_t min_flows;      /* for rate_pct, in ten seconds */
	uint32_t ejection_ms;    /* the first time; longer each time after */
};

struct conf_pool {
	char name[MR_NAME_MAX];
	const struct conf_check *check; /* NULL: always up */
	const struct conf_service *via; /* by whose path the check goes; NULL: straight */
	uint32_t slow_start_ms;         /* 0: none */
	struct conf_passive passive;
	uint32_t max_conns;            /* of each backend that says nothing itself; 0: no limit */
	struct conf_backend *backends; /* of one family; may be empty */
	size_t n_backends;
};

/* What is not given is as the wire has it: 0 (include/millrace/api_lb.h). */
struct conf_cache {
	char name[MR_NAME_MAX];
	uint64_t memory_bytes;
	enum mr_eviction eviction;
	uint32_t value_max;  /* bytes; 0: the default */
	uint32_t item_bytes; /* of key and value, as expected; 0: the default */
	uint32_t lease_ms;   /* 0: none */
	uint16_t early_pct;  /* beta of early refresh; 0: none */
	uint32_t stale_s;    /* 0: never */
};

struct conf_service {
	char name[MR_NAME_MAX];
	struct mr_ip vip;
	uint16_t port;
	enum mr_proto proto;
	enum mr_mode mode;
	uint16_t gue_port; /* mode gue; 0: the default */
	struct conf_quic quic;
	uint16_t mss; /* 0: no limit */
	enum mr_client_address client_address;
	enum mr_sched sched;
	enum mr_hash hash;       /* of what; scheduler sh: source */
	uint8_t source_prefix;   /* 0: the whole address */
	uint16_t load_bound_pct; /* 0: none */
	struct conf_prefixes allow, deny;
	uint32_t max_conns;             /* 0: no limit */
	uint32_t flow_rate;             /* new connections per second; 0: no limit */
	uint32_t source_rate;           /* of one source; 0: no limit */
	uint8_t source_rate_prefix;     /* 0: 32, with IPv6 64 */
	uint32_t insert_rate;           /* 0: every flow has an entry */
	uint32_t syn_cookies;           /* 0: none, every SYN has an entry */
	uint32_t packet_rate;           /* packets of clients per second; 0: no limit */
	enum mr_down on_down;           /* keep unless told otherwise */
	uint32_t maglev_size;           /* 0: chosen by the dataplane */
	uint8_t panic_pct;              /* less of its backends usable: all are used; 0: never */
	const struct conf_pool *pool;   /* NULL: mode cache */
	const struct conf_cache *cache; /* mode cache; NULL: every other */
	uint32_t reply_rate_kb;         /* of replies to one source in a second; 0: the default */
	/* 0 with mode cache */
	uint32_t syn_timeout_ms, established_timeout_ms, fin_timeout_ms, udp_timeout_ms;
};

struct conf {
	char node_name[MR_NAME_MAX]; /* "": not given, the host name counts */
	char *hash_key_file;         /* NULL: not given, hash_key is zero */
	uint8_t hash_key[16];
	bool hash_key_is_read; /* false: not given, or not read (enum conf_secrets) */
	struct conf_port *ports;
	size_t n_ports;
	struct mr_ip *snats; /* ranges expanded, in the order of the file */
	size_t n_snats;
	struct conf_check *checks;
	size_t n_checks;
	struct conf_pool *pools;
	size_t n_pools;
	struct conf_cache *caches;
	size_t n_caches;
	struct conf_service *services;
	size_t n_services;
};

/* Reads text[0..len), which may hold any bytes. name is what messages call the file. On success 0
 * and *out is set; -EINVAL when the text is not a valid configuration; -ENOMEM. *report is set with
 * 0 and -EINVAL (never NULL then), and NULL with -ENOMEM. */
int conf_create(struct conf **out, struct confreport **report, const char *text, size_t len,
	const char *name, enum conf_secrets secrets);
/* The same on a host that may refuse more. */
int conf_create_on(struct conf **out, struct confreport **report, const char *text, size_t len,
	const char *name, const struct conf_host *host);
void conf_destroy(struct conf **c); /* NULL-safe */

/* By name; NULL when there is none. */
const struct conf_port *conf_find_port(const struct conf *c, const char *name);
const struct conf_check *conf_find_check(const struct conf *c, const char *name);
const struct conf_pool *conf_find_pool(const struct conf *c, const char *name);
const struct conf_cache *conf_find_cache(const struct conf *c, const char *name);
const struct conf_service *conf_find_service(const struct conf *c, const char *name);
const struct conf_backend *conf_find_backend(const struct conf_pool *p, const char *name);

/* Port traffic for this backend of the service goes to. */
static inline uint16_t conf_backend_port(const struct conf_service *s, const struct conf_backend *b)
{
	return b->port != 0 ? b->port : s->port;
}

/* As the file has it. */
const char *conf_check_type_name(enum conf_check_type type);

/* Limit of connections to the backend, of each service that uses the pool; 0: none. */
static inline uint32_t conf_backend_max_conns(
	const struct conf_pool *p, const struct conf_backend *b)
{
	return b->max_conns != 0 ? b->max_conns : p->max_conns;
}

/* The backend's QUIC server id in hexadecimal, "" where it has none. Returns buf. */
static inline const char *conf_backend_quic_id(
	const struct conf_backend *b, char buf[2 * CONF_QUIC_ID_MAX + 1])
{
	buf[0] = '\0';
	for (unsigned i = 0; i < b->quic_id_len; i++)
		snprintf(buf + 2 * i, 3, "%02x", b->quic_id[i]);
	return buf;
}
