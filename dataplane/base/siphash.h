/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * siphash — SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012): a keyed hash whose key cannot
 * be found from what it gives, where keyhash.h only keeps collisions from being made. Pure, any thread.
 */
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, uint32_t len);
