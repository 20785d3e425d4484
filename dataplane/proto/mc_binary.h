/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mc_binary — memcached's binary protocol, version 1.6, behind the contract of mc.h: a request of 24 bytes of header, then extras,
 * key and value, and answers of the same shape. What mc.h leaves open, and how it is here:
 *
 *  - MC_BAD with r->error set: mc_binary_reply_error() answers it, then the connection ends. memcached does so where a header contradicts
 *    its opcode. In a datagram, which nothing follows, the same is MC_ERROR with everything consumed. MC_BAD with r->error 0: these bytes
 *    are not even a header, and are not answered.
 *  - A value above limits->value_max: MC_E_TOO_LARGE with verb, key and value_len as they were read, and value NULL. Of MC_SET the old
 *    value must then go (memcached's rule: better none than a stale one).
 *  - set, add and replace with a cas are MC_CAS.
 *  - r->exptime and r->vivify are the 32 bits of the wire, never negative.
 *  - An item that was read or touched: result's flags, cas and, but for MC_TOUCH, value. One that was stored: cas. One that was counted:
 *    cas and number.
 *
 * Pure, any thread; nothing blocks or allocates. r->opaque must stay readable until the answer is written.
 */
#include "proto/mc.h"

/* Hot. Like mc_parse(); p[0] has not been looked at. */
enum mc_status mc_binary_parse(
	struct mc_request *r, const uint8_t *p, uint32_t len, const struct mc_limits *limits);

/* Hot. Like mc_reply(). What a quiet opcode keeps to itself: a miss of get and gat, a success of anything else. */
void mc_binary_reply(
	struct mc_out *out, const struct mc_request *r, const struct mc_result *result);

/* Like mc_reply_end(): of MC_STATS the empty answer that ends the list. Nothing else has an end. */
void mc_binary_reply_end(struct mc_out *out, const struct mc_request *r);

/* Like mc_reply_error(), to what ended with r->error set; never quiet. */
void mc_binary_reply_error(struct mc_out *out, const struct mc_request *r);

/* Like mc_reply_version(), mc_reply_stat(). */
void mc_binary_reply_version(struct mc_out *out, const struct mc_request *r, const char *version);
void mc_binary_reply_stat(
	struct mc_out *out, const struct mc_request *r, const char *name, const char *value);
