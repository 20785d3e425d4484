/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * wire — frames and TLV fields of the dataplane socket: bounded readers and writers over memory the
 * caller owns. Pure functions, no allocation, any thread. Every length is checked against what is
 * there before a byte is read; nothing aliases the input after return but the value pointers of
 * mr_reader_next(), which live as long as the buffer.
 *
 *     frame  = length:u32 (of what follows) type:u16 flags:u16 request:u32 field*
 *     field  = tag:u16 length:u16 value
 *
 * All integers are little-endian. A reply repeats type and request id and sets MR_F_REPLY. Replies
 * of several rows set MR_F_MORE on every frame but the last; the last one has no fields. An error
 * reply sets MR_F_ERROR and carries struct mr_error (api.h).
 */
#include "millrace/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MR_FRAME_HDR 12u        /* bytes, length included */
#define MR_FRAME_MAX (1u << 20) /* bytes, header included: larger frames close the client */
#define MR_FIELD_MAX UINT16_MAX

#define MR_F_REPLY 0x1u
#define MR_F_MORE 0x2u
#define MR_F_ERROR 0x4u

struct mr_frame {
	uint16_t type;
	uint16_t flags;
	uint32_t request;
	const uint8_t *body;
	uint32_t body_len;
};

/* Writes into buf[0..cap). Once something did not fit, overflow is set and nothing more is written:
 * check it once at the end. */
struct mr_writer {
	uint8_t *buf;
	uint32_t cap;
	uint32_t len;
	bool overflow;
};

struct mr_reader {
	const uint8_t *p;
	uint32_t left;
};

struct mr_tlv {
	uint16_t tag;
	uint16_t len;
	const uint8_t *value;
};

static inline void mr_put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint64_t mr_get_le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static inline void mr_writer_init(struct mr_writer *w, void *buf, uint32_t cap)
{
	w->buf = (uint8_t *)buf;
	w->cap = cap;
	w->len = 0;
	w->overflow = false;
}

static inline uint8_t *mr_writer_reserve(struct mr_writer *w, uint32_t n)
{
	uint8_t *p;

	if (w->overflow || n > w->cap - w->len) {
		w->overflow = true;
		return NULL;
	}
	p = w->buf + w->len;
	w->len += n;
	return p;
}

/* Starts a frame at the writer's current end. Returns its offset, for mr_frame_end(). */
static inline uint32_t mr_frame_begin(
	struct mr_writer *w, uint16_t type, uint16_t flags, uint32_t request)
{
	const uint32_t at = w->len;
	uint8_t *p = mr_writer_reserve(w, MR_FRAME_HDR);

	if (p != NULL) {
		mr_put_le(p, 0, 4);
		mr_put_le(p + 4, type, 2);
		mr_put_le(p + 6, flags, 2);
		mr_put_le(p + 8, request, 4);
	}
	return at;
}

/* Writes the length of the frame begun at offset at. Returns 0, or -1 on overflow. */
static inline int mr_frame_end(struct mr_writer *w, uint32_t at)
{
	if (w->overflow || w->len - at > MR_FRAME_MAX) {
		w->overflow = true;
		return -1;
	}
	mr_put_le(w->buf + at, w->len - at - 4, 4);
	return 0;
}

/* Takes one frame from the front of buf[0..len). Returns its size in bytes (header included) and
 * fills *f; 0 when more bytes are needed; -1 when the length field is out of range. */
static inline int mr_frame_parse(struct mr_frame *f, const uint8_t *buf, uint32_t len)
{
	uint32_t n;

	if (len < 4)
		return 0;
	n = (uint32_t)mr_get_le(buf, 4);
	if (n < MR_FRAME_HDR - 4 || n > MR_FRAME_MAX - 4)
		return -1;
	if (len - 4 < n)
		return 0;
	f->type = (uint16_t)mr_get_le(buf + 4, 2);
	f->flags = (uint16_t)mr_get_le(buf + 6, 2);
	f->request = (uint32_t)mr_get_le(buf + 8, 4);
	f->body = buf + MR_FRAME_HDR;
	f->body_len = n + 4 - MR_FRAME_HDR;
	return (int)(n + 4);
}

static inline void mr_put_field(struct mr_writer *w, uint16_t tag, const void *value, uint32_t len)
{
	uint8_t *p;

	if (len > MR_FIELD_MAX) {
		w->overflow = true;
		return;
	}
	p = mr_writer_reserve(w, 4 + len);
	if (p == NULL)
		return;
	mr_put_le(p, tag, 2);
	mr_put_le(p + 2, len, 2);
	if (len > 0)
		memcpy(p + 4, value, len);
}

static inline void mr_reader_init(struct mr_reader *r, const void *p, uint32_t len)
{
	r->p = (const uint8_t *)p;
	r->left = len;
}

/* Next field: 1 and fills *t; 0 at the end; -1 when the rest is not a whole field. */
static inline int mr_reader_next(struct mr_reader *r, struct mr_tlv *t)
{
	if (r->left == 0)
		return 0;
	if (r->left < 4)
		return -1;
	t->tag = (uint16_t)mr_get_le(r->p, 2);
	t->len = (uint16_t)mr_get_le(r->p + 2, 2);
	if (t->len > r->left - 4)
		return -1;
	t->value = r->p + 4;
	r->p += 4u + t->len;
	r->left -= 4u + t->len;
	return 1;
}

#ifdef __cplusplus
}
#endif
