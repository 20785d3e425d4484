/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * conn — which backend an established flow belongs to. One table per worker, single writer, no locks:
 * steering keeps both directions of a flow on one worker. IPv4 and IPv6 apart; an entry is one cache line
 * of an array, found through one line of buckets; a lazy timer wheel ages them (a packet only stores
 * last_seen_ms). The key of an entry must not be changed. Never grows.
 */
#include "millrace/types.h"

#include <rte_byteorder.h>
#include <rte_common.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define CONN_NONE UINT32_MAX
#define CONN_MIN 64u        /* entries of a family a table has at least */
#define CONN_V6 0x80000000u /* this bit of an index: entry of the IPv6 table */

/* The entries, by family and position. What else a table has is conn.c's. */
struct conn_table {
	struct conn *entries4, *entries6;
};

struct conn_key4 {         /* client to VIP; hashed and compared as bytes */
	uint32_t src, dst; /* network order */
	rte_be16_t sport, dport;
	uint8_t proto;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct conn_key4) == 16, "compared as two words");

struct conn_key6 {
	uint8_t src[16], dst[16];
	rte_be16_t sport, dport;
	uint8_t proto;
	uint8_t zero[3];
};
_Static_assert(sizeof(struct conn_key6) == 40, "compared as five words");

struct conn {
	uint32_t last_seen_ms;
	uint32_t service_idx; /* stable slot, lbconf.h */
	uint32_t backend_idx; /* stable slot, lbconf.h */
	union {
		uint32_t
			client_neigh; /* neigh_ref of the client's next hop, NAT; NEIGH_NONE = ask */
		uint32_t isn;         /* fwd_cookie.c, until the backend has answered */
	};
	/* the end of the key: what conn.c compares at once */
	rte_be16_t client_port;
	rte_be16_t vip_port;
	uint8_t proto;
	uint8_t family;
	uint8_t state; /* enum mr_conn_state */
	uint8_t mode;  /* index in fwd_modes[]: enum mr_mode, or one of fwd.h's own */
	uint16_t snat_slot;
	uint16_t snat_port; /* host order; 0 = none (direct return) */
	/* checksum corrections, one's complement, RFC 1624: add to what the packet carries. The way back has the
	 * complement of these, see fwd_nat.c */
	uint16_t fwd_l3, fwd_l4;
	uint32_t iss;          /* the client's first sequence number: fwd_edit.c, fwd_cookie.c */
	uint8_t client_ip[16]; /* IPv4: its four bytes, then four of the VIP's; conn_client() */
	uint8_t client_iface;
	uint8_t fins; /* connfsm: who has sent FIN; the others are fwd_edit.c's, fwd_cookie.c's */
	uint16_t route_gen; /* of client_neigh: lb_conf */
	uint32_t n_packets;
	uint32_t began_ms; /* the flow that has the entry now */
} __rte_aligned(64);
_Static_assert(sizeof(struct conn) == 64, "one cache line");

/* The client's address, IPv4 with zeros behind it. */
static inline void conn_client(const struct conn *e, uint8_t ip[16])
{
	memset(ip, 0, 16);
	memcpy(ip, e->client_ip, e->family == 4 ? 4 : 16);
}

struct conn_params {
	uint32_t n_max4, n_max6; /* entries */
	int socket_id;
};

/* Cold. Context: manager, before workers start. 0, -EINVAL, -ENOMEM. */
int conn_table_create(struct conn_table **out, const struct conn_params *p);
void conn_table_destroy(struct conn_table **t);

/* Hot. Context: owning worker. idx[i] = entry or CONN_NONE; entries are prefetched. n ≤ BURST_MAX. */
void conn_find_bulk4(
	const struct conn_table *t, const struct conn_key4 *keys, unsigned n, uint32_t *idx);
void conn_find_bulk6(
	const struct conn_table *t, const struct conn_key6 *keys, unsigned n, uint32_t *idx);

/* The entries of a family; an index without CONN_V6 is the position in them. */
static inline struct conn *conn_entries(const struct conn_table *t, bool is_v6)
{
	return is_v6 ? t->entries6 : t->entries4;
}

/* The entry at idx; valid until conn_del() of it. */
static inline struct conn *conn_at(const struct conn_table *t, uint32_t idx)
{
	return &conn_entries(t, idx & CONN_V6)[idx & ~CONN_V6];
}

/* Adds a zeroed entry, or CONN_NONE when full. The key must not be there. */
uint32_t conn_add4(struct conn_table *t, const struct conn_key4 *key, uint32_t now_ms);
uint32_t conn_add6(struct conn_table *t, const struct conn_key6 *key, uint32_t now_ms);

/* Removes the entry. The caller has given back its SNAT port and counts (lb/balance.c). */
void conn_del(struct conn_table *t, uint32_t idx);

/* Puts the entry where the wheel will look at it at deadline_ms (again after it was returned by
 * conn_due_bulk(); or earlier than planned, when the state's timeout became shorter). */
void conn_watch(struct conn_table *t, uint32_t idx, uint32_t deadline_ms);

/* Entries whose deadline has passed, at most n, bounded work. The caller closes each, or watches it
 * again when last_seen_ms moved its deadline. */
unsigned conn_due_bulk(struct conn_table *t, uint32_t now_ms, uint32_t *idx, unsigned n);

/* More than three quarters of the family's entries are taken. */
bool conn_is_crowded(const struct conn_table *t, bool is_v6);

/* All are taken: the next conn_add4() or conn_add6() gives CONN_NONE. */
bool conn_is_full(const struct conn_table *t, bool is_v6);

uint32_t conn_count(const struct conn_table *t);
uint32_t conn_max(const struct conn_table *t);

/* Walks live entries from *cursor (0 first), at most n looked at; returns how many idx it filled, and
 * sets *cursor to UINT64_MAX at the end. Context: owning worker (a job). */
unsigned conn_walk(const struct conn_table *t, uint64_t *cursor, uint32_t *idx, unsigned n);

/* Assert-only: walks everything. */
bool conn_check(const struct conn_table *t);
