/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * keyload — what programs that measure a cache in memory ask for: keys of 16 bytes that differ in eight digits, drawn by Zipf, and all of
 * them stored before. One thread.
 */
#include "harness.h"

#define KEYLOAD_LEN 16u
#define KEYLOAD_FIXED "key-0123" /* what differs is eight digits behind it */

/* Writes the eight digits of a key. */
void keyload_digits(uint8_t *to, uint32_t key);

/* n keys of n_keys, the same in every run; from shim_alloc(). */
uint32_t *keyload_draw(uint32_t n_keys, double skew, uint32_t n);

/* Stores all keys, with values of so many bytes, in the cache named "cache", by worker 0, whose time goes on. False: one found no room. */
bool keyload_fill(struct harness *h, uint32_t n_keys, uint32_t value_len);
