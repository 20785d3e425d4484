/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * wirefix — what the tests of the wire format share: every message of the API, random values with a
 * fixed seed, and memory of exactly the size that is used, so that AddressSanitizer sees one byte too
 * many.
 */
#include "millrace/api_cache.h"
#include "millrace/api_lb.h"
#include "millrace/api_stats.h"

extern const struct mr_msg *const wirefix_msgs[];
extern const unsigned wirefix_n_msgs;

/* splitmix64. Equal seeds give equal sequences on every machine. */
uint64_t wirefix_random(uint64_t *state);

/* Zeroes the struct of msg and gives every field a random value that the wire can carry; strings have
 * every length from none to the longest. */
void wirefix_fill(const struct mr_msg *msg, void *object, uint64_t *state);

/* The same with every integer and byte at its greatest and every string at its longest. */
void wirefix_fill_max(const struct mr_msg *msg, void *object);

/* A heap copy of exactly len bytes; free() it. Of 0 bytes too: reading one is an error then. */
uint8_t *wirefix_exact(const void *bytes, uint32_t len);
