/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * msg — messages declared once. A field list (X-macro) gives the struct, the table that encodes,
 * decodes and prints it, and therefore the server, the client and the JSON form:
 *
 *     #define MR_PING_FIELDS(F, T) F(T, U32, n, 2, MR_REQUIRED, "count")
 *     MR_MSG(mr_ping, MR_PING_FIELDS)
 *
 * gives struct mr_ping and the descriptor mr_ping_msg. Encoding writes every field in list order,
 * so equal structs give equal bytes (digest.h relies on it). Decoding ignores unknown tags (newer
 * peers), refuses repeated, missing and wrongly sized ones, and always fills the whole struct.
 * Tags are never reused; tag 1 is the object type where frames carry objects. Pure, any thread.
 */
#include "millrace/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

enum mr_kind { MR_U8, MR_U16, MR_U32, MR_U64, MR_IP, MR_NAME, MR_TEXT, MR_BLOB16, MR_MAC, MR_DATA };

#define MR_DATA_MAX 2048 /* bytes */

/* Bytes that are nobody's text: packets, programs. What is not used is 0. */
struct mr_data {
	uint16_t n;
	uint8_t bytes[MR_DATA_MAX];
};

#define MR_OPTIONAL 0
#define MR_REQUIRED 1

struct mr_field {
	const char *name;
	const char *help;
	uint16_t tag;
	uint16_t offset; /* in the struct */
	uint16_t size;   /* in the struct, bytes */
	uint8_t kind;    /* enum mr_kind */
	uint8_t required;
};

struct mr_msg {
	const char *name;
	const struct mr_field *fields;
	uint16_t n_fields;
	uint16_t size; /* of the struct, bytes */
};

#define MR_CTYPE_U8(n) uint8_t n
#define MR_CTYPE_U16(n) uint16_t n
#define MR_CTYPE_U32(n) uint32_t n
#define MR_CTYPE_U64(n) uint64_t n
#define MR_CTYPE_IP(n) struct mr_ip n
#define MR_CTYPE_NAME(n) char n[MR_NAME_MAX]
#define MR_CTYPE_TEXT(n) char n[MR_TEXT_MAX]
#define MR_CTYPE_BLOB16(n) uint8_t n[16]
#define MR_CTYPE_MAC(n) uint8_t n[6]
#define MR_CTYPE_DATA(n) struct mr_data n

#define MR_MSG_MEMBER(T, kind, name, tag, req, help) MR_CTYPE_##kind(name);
#define MR_MSG_FIELD(T, kind_, name_, tag_, req_, help_) \
	{#name_, help_, tag_, (uint16_t)offsetof(struct T, name_), \
		(uint16_t)sizeof(((struct T *)0)->name_), MR_##kind_, req_},

#define MR_MSG(T, FIELDS) \
	struct T { \
		FIELDS(MR_MSG_MEMBER, T) \
	}; \
	static const struct mr_field T##_fields[] = {FIELDS(MR_MSG_FIELD, T)}; \
	static const struct mr_msg T##_msg __attribute__((unused)) = {#T, T##_fields, \
		(uint16_t)(sizeof(T##_fields) / sizeof(T##_fields[0])), \
		(uint16_t)sizeof(struct T)};

/* Appends every field of *object. On overflow the writer says so. */
static inline void mr_msg_encode(struct mr_writer *w, const struct mr_msg *msg, const void *object)
{
	for (unsigned i = 0; i < msg->n_fields; i++) {
		const struct mr_field *f = &msg->fields[i];
		const uint8_t *p = (const uint8_t *)object + f->offset;
		uint8_t tmp[17];
		uint64_t v = 0;

		switch (f->kind) {
		case MR_U8:
		case MR_U16:
		case MR_U32:
		case MR_U64:
			v = f->size == 1       ? *p
				: f->size == 2 ? *(const uint16_t *)(const void *)p
				: f->size == 4 ? *(const uint32_t *)(const void *)p
					       : *(const uint64_t *)(const void *)p;
			mr_put_le(tmp, v, f->size);
			mr_put_field(w, f->tag, tmp, f->size);
			break;
		case MR_IP: {
			const struct mr_ip *ip = (const struct mr_ip *)(const void *)p;

			tmp[0] = ip->family;
			memcpy(tmp + 1, ip->bytes, 16);
			mr_put_field(w, f->tag, tmp, 1 + mr_ip_len(ip));
			break;
		}
		case MR_DATA:
			mr_put_field(w, f->tag, p + offsetof(struct mr_data, bytes),
				*(const uint16_t *)(const void *)p); /* n */
			break;
		case MR_NAME:
		case MR_TEXT:
			mr_put_field(
				w, f->tag, p, (uint32_t)strnlen((const char *)p, f->size - 1u));
			break;
		default:
			mr_put_field(w, f->tag, p, f->size);
		}
	}
}

static inline int mr_msg_decode_field(
	const struct mr_field *f, void *object, const struct mr_tlv *t)
{
	uint8_t *p = (uint8_t *)object + f->offset;

	switch (f->kind) {
	case MR_U8:
	case MR_U16:
	case MR_U32:
	case MR_U64: {
		if (t->len != f->size)
			return -1;
		const uint64_t v = mr_get_le(t->value, t->len);

		if (f->size == 1)
			*p = (uint8_t)v;
		else if (f->size == 2)
			*(uint16_t *)(void *)p = (uint16_t)v;
		else if (f->size == 4)
			*(uint32_t *)(void *)p = (uint32_t)v;
		else
			*(uint64_t *)(void *)p = v;
		return 0;
	}
	case MR_IP: {
		struct mr_ip ip;

		memset(&ip, 0, sizeof(ip));
		if (t->len < 1)
			return -1;
		ip.family = t->value[0];
		if ((ip.family != 0 && mr_ip_len(&ip) == 0) || t->len != 1 + mr_ip_len(&ip))
			return -1;
		memcpy(ip.bytes, t->value + 1, mr_ip_len(&ip));
		memcpy(p, &ip, sizeof(ip));
		return 0;
	}
	case MR_DATA:
		if (t->len > f->size - offsetof(struct mr_data, bytes))
			return -1;
		memset(p, 0, f->size);
		memcpy(p, &t->len, sizeof(t->len)); /* n */
		memcpy(p + offsetof(struct mr_data, bytes), t->value, t->len);
		return 0;
	case MR_NAME:
	case MR_TEXT:
		if (t->len >= f->size || memchr(t->value, 0, t->len) != NULL)
			return -1;
		memset(p, 0, f->size);
		memcpy(p, t->value, t->len);
		return 0;
	default:
		if (t->len != f->size)
			return -1;
		memcpy(p, t->value, t->len);
		return 0;
	}
}

/* Reads a message from its fields. Returns 0; on failure −1, and *bad names the field at fault
 * (NULL when the TLV structure itself is broken). *object is zeroed first in every case. */
static inline int mr_msg_decode(const struct mr_msg *msg, void *object, const void *body,
	uint32_t len, const struct mr_field **bad)
{
	struct mr_reader r;
	struct mr_tlv t;
	uint64_t seen = 0;
	int more;

	memset(object, 0, msg->size);
	*bad = NULL;
	mr_reader_init(&r, body, len);
	while ((more = mr_reader_next(&r, &t)) == 1) {
		for (unsigned i = 0; i < msg->n_fields; i++) {
			const struct mr_field *f = &msg->fields[i];

			if (f->tag != t.tag)
				continue;
			*bad = f;
			if ((seen >> i) & 1u || mr_msg_decode_field(f, object, &t) != 0)
				return -1;
			*bad = NULL;
			seen |= 1ull << i;
		}
	}
	if (more < 0)
		return -1;
	for (unsigned i = 0; i < msg->n_fields; i++) {
		if (msg->fields[i].required && !((seen >> i) & 1u)) {
			*bad = &msg->fields[i];
			return -1;
		}
	}
	return 0;
}

#ifdef __cplusplus
}
#endif
