/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * quic — which server a QUIC packet is for, by the server id in its connection id: the reader of what RFC 8999
 * says every version has, and a service's table of server ids. What the packet path does with the answer is in
 * newflow.c.
 *
 *     long header    1ttttttt | version 4 | length of the DCID 1 | DCID …       RFC 8999 5.1
 *     short header   0ttttttt | DCID …                                         5.2: its length is not there
 *     DCID           id_offset bytes | server id, id_len bytes | what the server likes
 *
 * In the plaintext form of draft-ietf-quic-load-balancers the first byte of the DCID has the id of a configuration
 * in its three high bits (7: not routable); the server id follows, then a nonce.
 */
#include "millrace/api_lb.h"

#define QUIC_NONE UINT32_MAX

/* Where the server id is. */
struct quic_layout {
	uint8_t id_len; /* 1..MR_QUIC_ID_MAX */
	uint8_t id_offset;
	uint8_t config; /* 1 + configuration id; 0: the first byte of the DCID says nothing */
};

struct quic_id {
	uint8_t bytes[16]; /* the rest is 0: hashed and compared as two words */
};

enum quic_kind {
	/* The DCID may be the client's own, as that of its first flight is, or cannot be read. */
	QUIC_CLIENTS,
	QUIC_UNROUTABLE, /* one that a server gave, or should have: there is no server id in it */
	QUIC_ROUTABLE,
};

/* Any thread. What the UDP payload's first packet is; with QUIC_ROUTABLE *id is set. */
enum quic_kind quic_parse(
	const struct quic_layout *layout, const uint8_t *payload, uint32_t len, struct quic_id *id);

/* The id that a backend of the model has. */
struct quic_id quic_id_of(const struct mr_backend *b);

struct quic_entry {
	struct quic_id id;
	uint32_t backend_idx;
};

struct quic_table; /* immutable; part of a service */

/* Cold. Context: manager. 0, -ENOMEM, or -EEXIST where two entries have one id. */
int quic_table_create(struct quic_table **out, const struct quic_layout *layout,
	const struct quic_entry *entries, unsigned n);
void quic_table_destroy(struct quic_table **t); /* NULL-safe, clears *t */

/* Hot. Context: worker. */
const struct quic_layout *quic_layout_of(const struct quic_table *t);
uint32_t quic_find(const struct quic_table *t, const struct quic_id *id); /* or QUIC_NONE */
