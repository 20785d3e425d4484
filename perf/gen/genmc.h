/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genmc — gets and sets of memcached's text protocol (doc/protocol.txt) for numbers: which key a request is for, whether it stores and what its
 * answer must be follow from its number, so that nothing has to be remembered until the answer comes (what is remembered of the last ones is a
 * cache: the table that keys are drawn from is larger than a CPU's). Every byte of a value is compared. gencache.h carries them over UDP, genctcp.h over TCP.
 */
#include "genonce.h"
#include "genzipf.h"

#define GENMC_KEY 16u
#define GENMC_REQUEST_MAX (64u + GENOPT_VALUE_MAX)
#define GENMC_ANSWER_MAX (64u + GENOPT_VALUE_MAX)
#define GENMC_RECENT 16384u /* requests that are remembered */

/* What answers said. w: lcore  r: main thread, between trials */
struct genmc_counts {
	uint64_t hits, misses, stored;
	uint64_t refused; /* SERVER_ERROR and the like: not counted as answered */
	uint64_t wrong;   /* another key's, another length, other bytes */
};

void genmc_counts_add(struct genmc_counts *to, const struct genmc_counts *from);

enum genmc_answer {
	GENMC_MORE, /* not whole yet */
	GENMC_HIT,
	GENMC_MISS,
	GENMC_STORED,
	GENMC_REFUSED,
	GENMC_WRONG,
};

struct genmc_request {
	uint32_t key;
	bool is_set;
};

/* A length as text, and the end of a line: "32\r\n". */
struct genmc_len {
	uint64_t text; /* as bytes; those behind it are 0 */
	uint32_t n_bytes;
};

struct genmc {
	struct genzipf keys;
	bool has_keys_of_first;                 /* the table is another's */
	uint32_t n_keys, value_min, value_span; /* span: lengths that there are */
	uint64_t seed;
	uint32_t set_limit;  /* of 2^32 */
	uint64_t shift_step; /* requests after which other keys are hot; 0: never */
	bool is_storing; /* all keys, until each is stored; set between trials, as the next one */
	uint64_t first;  /* number of a trial's first request, when it is not storing */
	struct genonce stored;
	struct genmc_counts counts;
	struct genmc_len lens[GENOPT_VALUE_MAX + 1];
	uint32_t recent[GENMC_RECENT]; /* of the number modulo that: the key, and IS_SET */
};

/* Of a thread of genopt_threads(), each of which draws other keys, all from the table of the first, which stays until they are gone; for that
 * one `first` is NULL. 0, or -ENOMEM, told. */
int genmc_init(struct genmc *c, const struct genopt *o, unsigned thread, const struct genmc *first);
void genmc_fini(struct genmc *c);

/* Begins a mixed trial of that rate, which is the thread's own. */
void genmc_begin(struct genmc *c, const struct genrun *r, double rate, double shift_seconds);

/* Stores all keys. c: of each thread of r. 0, or -errno, told. Between trials. */
int genmc_load(struct genmc *const *c, struct genrun *r, const struct genopt *o);

/* Hot. Of a number of the trial. */
struct genmc_request genmc_of(const struct genmc *c, uint64_t number);

/* Hot. Of n numbers from `first` on, and remembers them. */
void genmc_of_bulk(struct genmc *c, uint64_t first, unsigned n, struct genmc_request *q);

/* Hot. As genmc_of(), of a number of this trial that genmc_of_bulk() had; next: the one after the last that it had. */
struct genmc_request genmc_recall(const struct genmc *c, uint64_t number, uint64_t next);

/* Hot. At most GENMC_REQUEST_MAX bytes, of which those behind the request are of no use. Returns the end of it. */
uint8_t *genmc_write(const struct genmc *c, uint8_t *to, struct genmc_request q);

/* Hot. What the n bytes begin with, and how many bytes of them that is (not with GENMC_MORE; GENMC_WRONG: of no use). */
enum genmc_answer genmc_judge(const struct genmc *c, const uint8_t *p, uint32_t n,
	struct genmc_request q, uint32_t *n_used);

/* Hot. Counts the answer to a request, which came in a frame of n_bytes. */
void genmc_answered(
	struct genmc *c, struct genrun *r, uint64_t number, enum genmc_answer a, uint32_t n_bytes);
