/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc_mget — a meta get that only looks, and its answer: `mg KEY` with any of the flags c f k O q s t v, once each, which is all there is. Read
 * and written as the codecs (mc.h) would, without a request and a result between. Pure, any thread.
 */
#include "proto/mc_get.h"

#define MC_MGET_WORD 3u /* bytes before the key */

struct mc_mget {
	const uint8_t *key, *opaque; /* in the line */
	uint8_t key_len;             /* 0: the line is something else, or wrong */
	uint8_t opaque_len;
	uint8_t n;          /* flags that are shown, in the request's order, but for the value */
	uint8_t letters[6]; /* these */
	bool has_value, is_quiet;
};

/* What is found, as far as it is shown. */
struct mc_mget_item {
	const uint8_t *value;
	uint32_t value_len, flags;
	uint64_t cas;
	int32_t ttl; /* seconds; -1: never expires */
};

/* Hot. Reads the line at p, with its end len bytes. opt: sixteen bytes at a time, so MC_GET_BEHIND more are read, whatever they are. */
void mc_mget_parse(struct mc_mget *g, const uint8_t *p, uint32_t len);

/* Bytes that an answer has at most. */
static inline uint32_t mc_mget_bytes_max(const struct mc_mget *g, uint32_t value_len)
{
	/* VA and a length; f, s and t; c; k and O; what ends lines */
	return 13 + 3 * 12 + 22 + (2 + g->key_len) + (2 + g->opaque_len) + 2 + value_len + 2;
}

/* Hot. Writes the answer, mc_mget_bytes_max() at most, and returns its end; neither the line nor the value is where it goes. */
uint8_t *mc_mget_hit(uint8_t *to, const struct mc_mget *g, const struct mc_mget_item *it);
uint8_t *mc_mget_miss(uint8_t *to, const struct mc_mget *g);
