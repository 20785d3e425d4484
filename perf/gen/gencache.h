/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * gencache — the work `cache-udp`: gets and sets of memcached's text protocol over UDP (doc/protocol.txt). Which key a request is for,
 * whether it stores, and from which client it comes follow from its number, so that nothing has to be remembered until
 * the answer comes: the client's address and port and the request id give the number back, and the number says what the answer must be.
 * Every byte of a value is compared.
 */
#include "genframe.h"
#include "genonce.h"
#include "genzipf.h"

#define GENCACHE_KEY 16u

/* What answers said. w: lcore  r: main thread, between trials */
struct gencache_counts {
	uint64_t hits, misses, stored;
	uint64_t refused; /* SERVER_ERROR and the like: not counted as answered */
	uint64_t wrong;   /* another key's, another length, other bytes */
};

enum gencache_mode {
	GENCACHE_MIXED,
	GENCACHE_STORE, /* the keys, each until it is stored */
};

struct gencache {
	struct genframe frame;
	struct genzipf keys;
	uint32_t n_keys, value_min, value_span; /* span: lengths that there are */
	unsigned client_bits;                   /* log2 of the clients */
	uint64_t seed;
	uint32_t set_limit;  /* of 2^32 */
	uint64_t shift_step; /* requests after which other keys are hot; 0: never */

	enum gencache_mode mode; /* set between trials, as the next one */
	uint64_t first;          /* GENCACHE_MIXED: number of the trial's first request */
	struct genonce stored;
	struct gencache_counts counts;
	struct genwork work;
};

/* 0, or -ENOMEM, or -EINVAL: more clients than the network has, told. */
int gencache_init(struct gencache *c, const struct genopt *o, const struct genframe_params *p);
void gencache_fini(struct gencache *c);

/* Stores all keys. 0, or -errno, told. Between trials. */
int gencache_load(struct gencache *c, struct genrun *r, const struct genopt *o);

/* Begins a mixed trial of that rate. */
void gencache_begin(struct gencache *c, const struct genrun *r, double rate, double shift_seconds);
