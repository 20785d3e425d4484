/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcpbox — a box that serves memcached over TCP (lib/harness.h), its clients (lib/tcphost.h), and time that goes by for both in
 * steps of a millisecond. The service "mc" is at 10.1.0.100 and "mc6" at fd00:1::100, both of the cache "main".
 */
#include "tcphost.h"
#include "unit.h"

#define TCPBOX_PORT 11211u

struct tcpbox_params {
	unsigned n_workers; /* 0: 1. All receive by one queue */
	uint32_t n_conns;   /* of a worker; 0: 256 */
	uint32_t n_bufs;    /* that queues of a worker's connections hold; 0: 8192 */
	uint32_t value_max; /* of the cache; 0: the largest there is */
	uint32_t n_client_bufs, n_client_conns; /* 0: 16384, 1024 */
};

extern struct harness tcpbox;
extern struct tcphost *tcpbox_clients;
/* Loops of every worker in a millisecond, at most. */
extern unsigned tcpbox_loops;
/* What each frame is shown to (tcphost_params.is_passed); NULL: all pass. */
extern bool (*tcpbox_is_passed)(bool to_box, const uint8_t *frame, uint32_t len);

void tcpbox_up(const struct tcpbox_params *p);
/* Ends all connections; everything is given back, and every packet accounted for. */
void tcpbox_down(void);

/* --- the configuration: put, then tcpbox_apply() --- */

struct mr_service tcpbox_service(
	const char *name, const char *vip, uint16_t port, const char *cache);
void tcpbox_put(const struct mr_service *s);
void tcpbox_del(const char *key);
void tcpbox_list(
	const char *service, const char *network, uint8_t prefix_len, enum mr_acl_action action);
void tcpbox_cache(const char *name, uint64_t memory_bytes, uint32_t value_max);
void tcpbox_apply(void);

/* --- time --- */

void tcpbox_pass(uint32_t ms);
/* In steps of step_ms, for hours. */
void tcpbox_skip(uint32_t ms, uint32_t step_ms);

/* --- clients --- */

/* Client number n, of 10.1.0.0/16 or fd00:1::/64, asks for a connection. */
void tcpbox_ask(struct tcphost_conn *k, uint8_t family, unsigned n);
void tcpbox_ask_port(struct tcphost_conn *k, uint8_t family, unsigned n, uint16_t port);
/* The same, and it is there. */
void tcpbox_open(struct tcphost_conn *k, uint8_t family, unsigned n);
void tcpbox_say(struct tcphost_conn *k, const char *text);
/* Milliseconds pass until it has received what is expected, and nothing else. */
void tcpbox_expect(struct tcphost_conn *k, const char *text);
void tcpbox_expect_bytes(struct tcphost_conn *k, const void *bytes, uint32_t n);
/* Ended within so long: `why` as the client sees it. */
void tcpbox_expect_end(struct tcphost_conn *k, enum tcp_reason why, uint32_t within_ms);
/* It is still there, and answered. */
void tcpbox_expect_alive(struct tcphost_conn *k);
/* Closes it as a client does, waits for the end, and frees it. */
void tcpbox_close(struct tcphost_conn *k);
/* Stores a value of n bytes that say which key it is of; and that value. Through a connection that is there. */
void tcpbox_store(struct tcphost_conn *k, const char *key, uint32_t n);
uint8_t tcpbox_byte(const char *key, uint32_t at);

/* --- what the box says --- */

/* Sums over workers. */
struct servetcp_stats tcpbox_stats(void);
struct tcp_stats tcpbox_tcp_stats(void);
struct tcp_usage tcpbox_usage(void);
struct serve_tally tcpbox_tally(uint32_t service_idx);
uint64_t tcpbox_drops(enum pkt_drop reason);
/* The slot of a service of the generation, by name. */
uint32_t tcpbox_slot(const char *name);
