/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * keyhash — keyed, non-linear hashes for bytes that strangers choose: XXH3 with a secret from the
 * kernel's random source. (A seeded CRC is linear: keys that collide under one seed collide under all.)
 */
#include <stdint.h>

/* Draws the secret. 0 or -errno. Context: manager, once, before any table is made. */
int keyhash_init(void);

/* For tests and benchmarks that must repeat: a secret made from the seed. */
void keyhash_init_seed(uint64_t seed);

/* 64-bit hash of len bytes. Any thread after init. */
uint64_t keyhash(const void *key, uint32_t len);

/* The same of four bytes. opt: without asking how many they are. */
uint64_t keyhash_4(const void *key);

/* A word, for tables to which strangers cannot add: they may look for what they like, and find runs as long as those who
 * fill the table have made them. One multiplication; flipping bits of words flips the same bits of no hash. */
extern uint64_t keyhash_word_key[2];
static inline uint64_t keyhash_word(uint64_t word)
{
	const unsigned __int128 product =
		(unsigned __int128)(word ^ keyhash_word_key[0]) * keyhash_word_key[1];

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* keyhash() of the 16 bytes that these words are in memory. opt: XXH3's way with keys of 9 to 16 bytes, inline. */
extern uint64_t keyhash_pair_key[2];
static inline uint64_t keyhash_pair(uint64_t first, uint64_t second)
{
	const uint64_t low = first ^ keyhash_pair_key[0], high = second ^ keyhash_pair_key[1];
	const unsigned __int128 product = (unsigned __int128)low * high;
	uint64_t h = 16 + __builtin_bswap64(low) + high;

	h += (uint64_t)product ^ (uint64_t)(product >> 64);
	h = (h ^ h >> 37) * 0x165667919e3779f9u;
	return h ^ h >> 32;
}

/* The same as keyhash(), as an rte_hash_function. */
uint32_t keyhash_rte(const void *key, uint32_t len, uint32_t unused);
