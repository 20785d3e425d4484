/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * servemc — executes memcached's requests on a cache: from what a codec has read to what it is to write. Knows nothing of how bytes
 * come and go. Context: the worker whose writer it is, between two of its quiescent reports.
 */
#include "kv/kv.h"
#include "proto/mc.h"

struct servemc {
	/* Hears of each key that is asked for, found or not; NULL: nobody does. */
	void (*on_lookups)(void *ctx, const struct assoc_probe *probes, unsigned n);
	/* Connections to the cache, now and ever, for `stats`; NULL: there are none. */
	void (*count_conns)(const void *ctx, uint64_t *now, uint64_t *ever);
	void *ctx;
	struct kv *kv;
	struct kv_writer *writer; /* begun in this loop: kv_writer_begin() */
	uint32_t value_max;
	/* what `stats` says */
	uint64_t memory_bytes, now_ms;
	int64_t unix_now;
	uint32_t n_workers;
};

/* What clients are told: the release of memcached whose behaviour this is, and our own. */
#define SERVEMC_VERSION "1.6.18-millrace-" MILLRACE_VERSION

/* Hot. Whether the request is one lookup of one key, so that several of them may be made at once: then its answer is
 * servemc_answer() of what kv_get_bulk() has found. */
bool servemc_is_lookup(const struct mc_request *r);
void servemc_probe(const struct mc_request *r, struct assoc_probe *probe);
void servemc_answer(const struct servemc *s, struct mc_request *r, const struct assoc_probe *probe,
	struct mc_out *out);

/* Hot. Bytes of the answer at most, about: of what kv_get_find_bulk() has found, which may yet be nothing. */
uint32_t servemc_answer_bytes(const struct assoc_probe *probe);

/* The same of a get of any number of keys, by looks at them all that leave no trace. */
uint32_t servemc_get_bytes(const struct servemc *s, const struct mc_request *r);

/* Answers what ended with MC_ERROR. A set of too large a value takes the old one with it, as in memcached. */
void servemc_refuse(const struct servemc *s, const struct mc_request *r, struct mc_out *out);

/* Hot. Executes any other, and lookups too; writes the answer, which may be none. */
void servemc_execute(const struct servemc *s, struct mc_request *r, struct mc_out *out);
