/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quic — see quic.h. The table is like that of vip.c: open addressing, at most half full, keyed hash, never
 * written to after it was made. Clients choose what is looked up in it, but not what is in it: they cannot
 * make a probe longer than the longest run, which a quarter to a half of full slots keeps short.
 *
 * Which connection ids a server chose (RFC 9000 7.2): a client's first Initial and its 0-RTT packets carry one
 * that it drew itself. Later Initials carry the server's, but cannot be told from the first; they come from
 * the addresses and ports of the first, whose flow is known by then. Handshake and short header packets are sent
 * only when the server's first packet has come, so theirs is the server's.
 *
 *  I1  an empty slot has backend_idx QUIC_NONE; ids are unique
 */
#include "lb/quic.h"

#include "base/keyhash.h"

#include <rte_branch_prediction.h>

#include <errno.h>
#include <stdlib.h>

#define LONG_HEADER 0x80
#define DCID_AT 6u   /* in a long header; its length is in the byte before */
#define DCID_MAX 20u /* RFC 9000 17.2, which version 2 has kept */
#define VERSION_1 0x00000001u
#define VERSION_2 0x6b3343cfu /* RFC 9369 */
#define TYPE_HANDSHAKE_1 2u   /* RFC 9000 17.2 */
#define TYPE_HANDSHAKE_2 3u   /* RFC 9369 3.2 */

struct quic_table {
	struct quic_layout layout;
	uint32_t mask;
	struct quic_entry slots[];
};

static inline uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Of a version nobody here knows, the types are not known either. Version 0 is a server's answer. */
static inline bool is_handshake(const uint8_t *payload)
{
	const unsigned type = (payload[0] >> 4) & 3u;

	switch (load32(payload + 1)) {
	case VERSION_1:
		return type == TYPE_HANDSHAKE_1;
	case VERSION_2:
		return type == TYPE_HANDSHAKE_2;
	default:
		return false;
	}
}

/* dcid[0..len): of a short header len is all that follows, which is more than the DCID. */
static enum quic_kind read_dcid(
	const struct quic_layout *layout, const uint8_t *dcid, uint32_t len, struct quic_id *id)
{
	if (len < (uint32_t)layout->id_offset + layout->id_len)
		return QUIC_UNROUTABLE;
	if (layout->config != 0 && (dcid[0] >> 5) + 1u != layout->config)
		return QUIC_UNROUTABLE;
	memset(id, 0, sizeof(*id));
	memcpy(id->bytes, dcid + layout->id_offset, layout->id_len);
	return QUIC_ROUTABLE;
}

enum quic_kind quic_parse(
	const struct quic_layout *layout, const uint8_t *payload, uint32_t len, struct quic_id *id)
{
	uint32_t dcid_len;

	if (unlikely(len == 0))
		return QUIC_CLIENTS;
	if (likely(!(payload[0] & LONG_HEADER)))
		return read_dcid(layout, payload + 1, len - 1, id);
	if (len < DCID_AT)
		return QUIC_CLIENTS;
	dcid_len = payload[DCID_AT - 1];
	if (dcid_len > DCID_MAX || dcid_len > len - DCID_AT || !is_handshake(payload))
		return QUIC_CLIENTS;
	return read_dcid(layout, payload + DCID_AT, dcid_len, id);
}

struct quic_id quic_id_of(const struct mr_backend *b)
{
	struct quic_id id = {{0}};

	memcpy(id.bytes, b->quic_server_id + 1, MR_QUIC_ID_MAX);
	return id;
}

static inline struct quic_entry *probe(const struct quic_table *t, const struct quic_id *id)
{
	uint32_t at = (uint32_t)keyhash(id, sizeof(*id)) & t->mask;

	while (t->slots[at].backend_idx != QUIC_NONE
		&& memcmp(&t->slots[at].id, id, sizeof(*id)) != 0)
		at = (at + 1) & t->mask;
	return (struct quic_entry *)(uintptr_t)&t->slots[at];
}

int quic_table_create(struct quic_table **out, const struct quic_layout *layout,
	const struct quic_entry *entries, unsigned n)
{
	struct quic_table *t;
	uint32_t size = 16;

	while (size < 2 * n)
		size *= 2;
	t = malloc(sizeof(*t) + size * sizeof(t->slots[0]));
	if (t == NULL)
		return -ENOMEM;
	t->layout = *layout;
	t->mask = size - 1;
	for (uint32_t i = 0; i < size; i++)
		t->slots[i].backend_idx = QUIC_NONE;
	for (unsigned i = 0; i < n; i++) {
		struct quic_entry *slot = probe(t, &entries[i].id);

		if (slot->backend_idx != QUIC_NONE) {
			free(t);
			return -EEXIST;
		}
		*slot = entries[i];
	}
	*out = t;
	return 0;
}

void quic_table_destroy(struct quic_table **t)
{
	free(*t);
	*t = NULL;
}

const struct quic_layout *quic_layout_of(const struct quic_table *t)
{
	return &t->layout;
}

uint32_t quic_find(const struct quic_table *t, const struct quic_id *id)
{
	return probe(t, id)->backend_idx;
}
