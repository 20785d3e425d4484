/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * tcp_flow — from addresses and ports to what is kept about them: a connection, a SYN entry or a TIME-WAIT record, all in
 * one table so that one lookup finds any. Entries stay in arrays of their own, each beginning with its tuple; the table
 * has 32 bits of a keyed hash and a reference for each, eight in a cache line. Owned by one thread.
 */
#include "core/burst.h"

#include <stdbool.h>
#include <stdint.h>

#define TCP_FLOW_NONE 0u
#define TCP_FLOW_BULK_MAX BURST_MAX

/* As incoming packets name them: src is the peer. Zero-padded, compared as bytes. */
struct tcp_tuple {
	uint8_t src[16], dst[16];
	rte_be16_t sport, dport;
	uint8_t family, pad[3];
};
_Static_assert(sizeof(struct tcp_tuple) == 40, "hashed as raw bytes");

enum tcp_kind { TCP_KIND_TCB = 1, TCP_KIND_SYN, TCP_KIND_WAIT, TCP_N_KINDS };

#define TCP_FLOW_REF(kind, idx) ((uint32_t)(kind) << 30 | (idx))
#define TCP_FLOW_KIND(ref) ((ref) >> 30)
#define TCP_FLOW_IDX(ref) ((ref) & ((1u << 30) - 1))

struct tcp_flow;

/* Where the entries of a kind are. */
struct tcp_flow_array {
	const void *base;
	uint32_t stride;
	uint32_t n_fetched; /* bytes that are fetched when one is looked for in bulk */
};

/* Cold. For n entries of all kinds; arrays[kind]. 0 or -ENOMEM. */
int tcp_flow_create(
	struct tcp_flow **out, uint32_t n, const struct tcp_flow_array *arrays, int socket_id);
void tcp_flow_destroy(struct tcp_flow **f); /* NULL-safe, clears *f */

static inline void tcp_flow_tuple(struct tcp_tuple *to, const struct pkt *p)
{
	memcpy(to->src, p->src, sizeof(to->src));
	memcpy(to->dst, p->dst, sizeof(to->dst));
	to->sport = p->sport;
	to->dport = p->dport;
	to->family = p->family;
	memset(to->pad, 0, sizeof(to->pad));
}

/* Hot. Hash of each of n ≤ TCP_FLOW_BULK_MAX tuples, and its reference or TCP_FLOW_NONE. */
void tcp_flow_find_bulk(const struct tcp_flow *f, const struct tcp_tuple *tuples, unsigned n,
	uint32_t *hashes, uint32_t *refs);

/* Hot. The same for one. */
uint32_t tcp_flow_find(const struct tcp_flow *f, const struct tcp_tuple *tuple);

/* Hot. Adds an entry that is in its array and not in the table; false: there is no room within the bounded probe. */
bool tcp_flow_add(struct tcp_flow *f, uint32_t ref);
/* Hot. Takes the entry out. Its tuple is still in its array. */
void tcp_flow_del(struct tcp_flow *f, uint32_t ref);

/* Entries in the table. Walks: for checks. */
uint32_t tcp_flow_count(const struct tcp_flow *f);
