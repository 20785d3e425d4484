/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trace — see trace.h. Files:
 *
 *   .csv             time,key,size,op[,ttl] in each line, a heading allowed; key is any text without a comma. Requests other than
 *                    get and gets are left out, as what they would do depends on the application
 *   .oracleGeneral*  libCacheSim's: 24 bytes each, little-endian: u32 time, u64 key, u32 size, i64 next access
 */
#include "trace.h"

#include <rte_common.h>

#include <xxhash.h>

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_LEN 100u /* of requests that are made here */

struct ids { /* open addressing: hash of a key → its number + 1 */
	uint64_t *hashes;
	uint32_t *numbers;
	uint64_t mask;
	uint32_t n;
};

static void die(const char *name, const char *what, const char *why)
{
	fprintf(stderr, "error: trace %s: %s: %s\n", name, what, why);
	exit(1);
}

static void *must(void *memory)
{
	if (memory == NULL) {
		fputs("error: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

static void ids_grow(struct ids *ids)
{
	const struct ids old = *ids;

	ids->mask = old.hashes == NULL ? (1 << 16) - 1 : old.mask * 2 + 1;
	ids->hashes = must(calloc(ids->mask + 1, sizeof(*ids->hashes)));
	ids->numbers = must(calloc(ids->mask + 1, sizeof(*ids->numbers)));
	for (uint64_t i = 0; old.hashes != NULL && i <= old.mask; i++) {
		uint64_t at = old.hashes[i] & ids->mask;

		if (old.numbers[i] == 0)
			continue;
		while (ids->numbers[at] != 0)
			at = (at + 1) & ids->mask;
		ids->hashes[at] = old.hashes[i];
		ids->numbers[at] = old.numbers[i];
	}
	free(old.hashes);
	free(old.numbers);
}

static uint32_t ids_number(struct ids *ids, uint64_t hash)
{
	uint64_t at;

	if (ids->hashes == NULL || ids->n * 2ull > ids->mask)
		ids_grow(ids);
	for (at = hash & ids->mask; ids->numbers[at] != 0; at = (at + 1) & ids->mask)
		if (ids->hashes[at] == hash)
			return ids->numbers[at] - 1;
	ids->hashes[at] = hash;
	ids->numbers[at] = ++ids->n;
	return ids->n - 1;
}

static void add(struct trace *t, struct ids *ids, uint64_t hash, struct trace_request r)
{
	const uint32_t n_keys = ids->n;

	r.key = ids_number(ids, hash);
	if (ids->n != n_keys)
		t->value_bytes += r.value_len;
	if ((t->n & (t->n - 1)) == 0)
		t->requests =
			must(realloc(t->requests, RTE_MAX(t->n * 2, 1ull) * sizeof(*t->requests)));
	t->requests[t->n++] = r;
}

static void read_csv(struct trace *t, struct ids *ids, FILE *f)
{
	char line[1024];

	while (fgets(line, sizeof(line), f) != NULL) {
		char *at = line, *field[5] = {NULL}, *end;
		struct trace_request r = {0};

		for (unsigned i = 0; i < RTE_DIM(field) && at != NULL; i++)
			field[i] = strsep(&at, ",\n");
		if (field[3] == NULL)
			die(t->name, line, "a line has time,key,size,op");
		r.time_s = (uint32_t)strtoul(field[0], &end, 10);
		if (end == field[0] || strncmp(field[3], "get", 3) != 0)
			continue;
		r.value_len = (uint32_t)strtoul(field[2], NULL, 10);
		r.ttl_s = field[4] != NULL ? (uint32_t)strtoul(field[4], NULL, 10) : 0;
		add(t, ids, XXH3_64bits(field[1], strlen(field[1])), r);
	}
}

static void read_oracle(struct trace *t, struct ids *ids, FILE *f)
{
	uint8_t record[24];

	while (fread(record, sizeof(record), 1, f) == 1) {
		struct trace_request r = {0};

		memcpy(&r.time_s, record, 4);
		memcpy(&r.value_len, record + 12, 4);
		add(t, ids, XXH3_64bits(record + 4, 8), r);
	}
}

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 2685821657736338717ull;
}

/* Ranks of a Zipf distribution, from a table of the sums. */
static double *zipf_sums(uint64_t n_keys, double skew)
{
	double *sums = must(malloc(n_keys * sizeof(*sums))), sum = 0;

	for (uint64_t i = 0; i < n_keys; i++)
		sums[i] = sum += pow((double)(i + 1), -skew);
	return sums;
}

static uint64_t zipf_rank(const double *sums, uint64_t n_keys, uint64_t *s)
{
	const double want = (double)(next_random(s) >> 11) * 0x1p-53 * sums[n_keys - 1];
	uint64_t low = 0, high = n_keys - 1;

	while (low < high) {
		const uint64_t mid = (low + high) / 2;

		if (sums[mid] <= want)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* zipf: popularity stays. churn: each key's popularity is that of another one after a while. scan: zipf with a run over all
 * keys, once each, in between. */
static void make(struct trace *t, struct ids *ids, const char *kind, uint64_t n_keys, uint64_t n,
	double skew, uint64_t seed)
{
	double *sums = zipf_sums(n_keys, skew);
	uint64_t s = seed * 0x9e3779b97f4a7c15ull + 1;

	for (uint64_t i = 0; i < n; i++) {
		struct trace_request r = {.time_s = (uint32_t)(i / 100000), .value_len = VALUE_LEN};
		uint64_t key = zipf_rank(sums, n_keys, &s);

		if (strcmp(kind, "churn") == 0)
			key += i * 4 / n_keys
				* (n_keys
					/ 50); /* every n_keys / 4 requests 2 % of the ranks are new */
		else if (strcmp(kind, "scan") == 0 && i / n_keys % 4 == 3)
			key = n_keys + i % n_keys;
		add(t, ids, XXH3_64bits(&key, sizeof(key)), r);
	}
	free(sums);
}

static void make_named(struct trace *t, struct ids *ids)
{
	char kind[16];
	uint64_t n_keys, n, seed = 1;
	double skew;
	const int got = sscanf(t->name, "%15[a-z]:%" SCNu64 ":%" SCNu64 ":%lf:%" SCNu64, kind,
		&n_keys, &n, &skew, &seed);

	if (got < 4 || n_keys == 0 || n_keys > UINT32_MAX || n == 0)
		die(t->name, "not understood", "KIND:KEYS:REQUESTS:SKEW[:SEED], or a file's name");
	if (strcmp(kind, "zipf") != 0 && strcmp(kind, "churn") != 0 && strcmp(kind, "scan") != 0)
		die(t->name, "not understood", "the kinds are zipf, churn and scan");
	make(t, ids, kind, n_keys, n, skew, seed);
}

void trace_load(struct trace *t, const char *name)
{
	const bool is_csv = strstr(name, ".csv") != NULL,
		   is_oracle = strstr(name, "oracleGeneral") != NULL;
	struct ids ids = {0};
	FILE *f;

	*t = (struct trace){.name = name};
	if (!is_csv && !is_oracle) {
		make_named(t, &ids);
	} else {
		f = fopen(name, "r");
		if (f == NULL)
			die(name, "cannot be read", strerror(errno));
		(is_csv ? read_csv : read_oracle)(t, &ids, f);
		fclose(f);
	}
	if (t->n == 0)
		die(name, "has no requests", "is it of the format that its name says?");
	t->n_keys = ids.n;
	free(ids.hashes);
	free(ids.numbers);
}

void trace_fini(struct trace *t)
{
	free(t->requests);
	t->requests = NULL;
}
