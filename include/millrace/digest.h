/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * digest — one 16-byte value for a whole configuration model, the same on both sides of the socket:
 * the sum modulo 2^64, half by half, of XXH3-128 over each object's encoding. A sum does not depend
 * on the order of objects and is updated by one addition per change. It detects drift between two
 * honest programs; it is no defence against somebody who can write to the socket.
 */
#define XXH_INLINE_ALL
#include "millrace/api_lb.h"

#include <xxhash.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mr_digest {
	uint64_t lo, hi;
};

static inline struct mr_digest mr_digest_object(const struct mr_object *o)
{
	struct mr_digest d;
	struct mr_writer w;
	uint8_t buf[1024];
	XXH128_hash_t h;

	mr_writer_init(&w, buf, sizeof(buf));
	mr_object_encode(&w, o);
	h = XXH3_128bits(buf, w.len);
	d.lo = h.low64;
	d.hi = h.high64;
	return d;
}

static inline void mr_digest_add(struct mr_digest *d, const struct mr_object *o)
{
	const struct mr_digest h = mr_digest_object(o);

	d->lo += h.lo;
	d->hi += h.hi;
}

static inline void mr_digest_sub(struct mr_digest *d, const struct mr_object *o)
{
	const struct mr_digest h = mr_digest_object(o);

	d->lo -= h.lo;
	d->hi -= h.hi;
}

/* Little-endian bytes, as in PREPARE and STATUS. */
static inline void mr_digest_bytes(const struct mr_digest *d, uint8_t out[16])
{
	mr_put_le(out, d->lo, 8);
	mr_put_le(out + 8, d->hi, 8);
}

#ifdef __cplusplus
}
#endif
