/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * framegen — valid frames of every kind that the packet path tells apart, to and from what everymode.h configures,
 * and where the fields of their headers are. What a frame has in it (service, flags, options, extension headers,
 * lengths) is chosen by a random number: the same number makes the same frame. Checksums of outer headers are left
 * to who sends the frame; lengths and inner IPv4 headers are right.
 */
#include <stdbool.h>
#include <stdint.h>

#define FRAMEGEN_MAX 2047u /* bytes of a frame: what fuzz_pipeline takes */
#define FRAMEGEN_FIELDS_MAX 400u
#define FRAMEGEN_CHAIN_MAX 240u /* IPv6 extension headers of one frame: as many as fit */

struct framegen_field {
	const char *name;
	uint16_t bit; /* from the start of the frame */
	uint8_t n_bits;
};

struct framegen {
	uint64_t random; /* not 0 */
	bool is_south;   /* comes in by the servers' port */
	uint32_t n;
	unsigned n_fields;
	struct framegen_field fields[FRAMEGEN_FIELDS_MAX]; /* those beyond are not told */
	uint8_t bytes[FRAMEGEN_MAX];
	/* while it is built */
	uint32_t bit;
	unsigned n_lengths, n_sums;
	struct {
		uint16_t at, from; /* the length of what is from there to the end */
	} lengths[8];
	uint16_t sums[8]; /* IPv4 headers */
};

/* 0 … n-1. */
uint32_t framegen_random(struct framegen *g, uint32_t n);

unsigned framegen_kinds(void);
const char *framegen_name(unsigned kind);

void framegen_build(struct framegen *g, unsigned kind);

/* A TCP segment or UDP datagram behind n IPv6 extension headers of n_bytes each (a multiple of 8), of one type or,
 * with 0, of types by chance. */
void framegen_build_chain(struct framegen *g, uint8_t type, unsigned n, unsigned n_bytes);

/* While a frame is built: a field of 8, 16 or 32 bits, of any value if it is -1; name may be NULL. Left out where there is no
 * room. */
void framegen_put(struct framegen *g, const char *name, uint8_t n_bits, int64_t value);

uint32_t framegen_read(const struct framegen *g, const struct framegen_field *f);
void framegen_write(struct framegen *g, const struct framegen_field *f, uint32_t value);
