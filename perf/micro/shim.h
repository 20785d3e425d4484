/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * shim — what the cases share: random numbers that repeat, a sink for results, packet buffers, frames.
 */
#include "bench.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIM_BURST 32u /* packets that come together */

/* xorshift64*: fast, and the same in every run. *state must not be 0. */
static inline uint64_t shim_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ull;
}

/* Makes the compiler believe that somebody wants the value. */
static inline void shim_use(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* Memory for streams of input, in large pages where there are some; zeroed. Exits without memory: nothing
 * is left to measure then. */
void *shim_alloc(size_t bytes);

/* 0..n-1 in random order. */
uint32_t *shim_shuffled(uint32_t n);

/* Packet buffers as a receive ring would cycle through them: more than fits the L1 cache, less than L2. */
#define SHIM_MBUFS 512u
struct rte_mbuf **shim_mbufs(void);

/* A frame of 64 bytes on the wire, FCS included (IPv6/TCP: 78). */
struct shim_frame {
	unsigned len;
	uint8_t bytes[128];
};
void shim_frame(struct shim_frame *f, unsigned family, uint8_t proto, uint8_t tcp_flags);
#define SHIM_MAC \
	{ \
		2, 0, 0, 0, 0, 1 \
	} /* its destination */
