/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replay — plays a trace of requests through the cache engine, a get and, where it misses, a set, and prints the hit ratio of each
 * policy at each size beside that of the same policy done exactly, with lists, for as many items as the engine
 * held on average once it was full. perf/README.md says how to read it.
 */
#include "base/keyhash.h"
#include "exact.h"
#include "kv/kv.h"
#include "trace.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_malloc.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SIZES_MAX 16u

static struct rte_rcu_qsbr *readers;
static uint8_t value[ITEM_VALUE_LIMIT];

struct options {
	uint64_t bytes[SIZES_MAX];
	unsigned n_bytes;
	bool has_policy[EVICT_N];
	bool has_exact;
	uint32_t value_len; /* 0: the trace's */
};

struct result {
	uint64_t n_hits, n_kept;
	uint64_t n_items; /* on average in the second half of the trace */
	uint64_t cycles;
};

static void usage(void)
{
	fputs("usage: replay [--bytes N,...] [--policy NAME,...] [--value BYTES] [--no-exact] TRACE\n"
	      "\n"
	      "  TRACE       FILE.csv (time,key,size,op[,ttl]), FILE.oracleGeneral[.bin], or made here:\n"
	      "              KIND:KEYS:REQUESTS:SKEW[:SEED], KIND zipf, scan or churn\n"
	      "  --bytes     memory of the cache, such as 64m,1g; default 1 and 10 % of what the keys need\n"
	      "  --policy    fifo, lru, lfu, s3fifo, sieve; default all\n"
	      "  --value     length of every value, instead of the trace's\n"
	      "  --no-exact  leaves the exact policies out\n",
		stderr);
	exit(2);
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "error: %s: %s\n", what, why);
	exit(1);
}

static void play(struct kv *kv, const struct trace *t, const struct options *o, struct result *r)
{
	struct kv_writer *w = kv_writer_of(kv, 0);
	const uint64_t begin = rte_rdtsc();
	uint64_t n_samples = 0;
	struct kv_stats stats;

	for (uint64_t i = 0; i < t->n; i++) {
		const struct trace_request *q = &t->requests[i];
		uint64_t key[2] = {q->key, 0x6b6b6b6b6b6b6b6b};
		const struct kv_key k = kv_key_of(key, sizeof(key));
		struct assoc_probe probe = {.key = key, .key_len = sizeof(key), .hash = k.hash};

		rte_rcu_qsbr_quiescent(readers, 0);
		kv_writer_begin(w, q->time_s + 1, 0, (uint64_t)q->time_s * 1000 + 1);
		while (kv_sweep(w))
			;
		kv_get_bulk(w, &probe, 1);
		if (probe.item == NULL) {
			const struct kv_store s = {.value = value,
				.value_len = o->value_len != 0 ? o->value_len : q->value_len,
				.exptime = q->ttl_s};

			kv_store(w, &k, &s, NULL);
		}
		if (i >= t->n / 2 && i % 256 == 0) {
			kv_stats_sum(kv, &stats);
			r->n_items += stats.items;
			n_samples++;
		}
	}
	r->cycles = rte_rdtsc() - begin;
	kv_stats_sum(kv, &stats);
	r->n_hits = stats.hits;
	r->n_items /= n_samples;
	r->n_kept = stats.kept;
}

static double pct(uint64_t part, uint64_t whole)
{
	return 100.0 * (double)part / (double)whole;
}

static void run(
	const struct trace *t, const struct options *o, uint64_t bytes, enum evict_policy policy)
{
	struct kv_params params = {.memory_bytes = bytes,
		.n_writers = 1,
		.policy = (uint8_t)policy,
		.item_bytes = 16
			+ (o->value_len != 0 ? o->value_len
					     : (uint32_t)(t->value_bytes / t->n_keys)),
		.socket_id = SOCKET_ID_ANY};
	struct result r = {0};
	struct kv *kv;
	int rc;

	for (uint64_t i = 0; i < t->n; i++)
		params.value_max = RTE_MAX(params.value_max, t->requests[i].value_len);
	if (o->value_len != 0)
		params.value_max = o->value_len;
	rc = kv_create(&kv, &params, readers);
	if (rc == -EINVAL) {
		printf("%12" PRIu64 "  %-7s needs at least %" PRIu64 " bytes\n", bytes,
			evict_policies[policy]->name, kv_memory_min(&params));
		return;
	}
	if (rc != 0)
		die("the cache", "no memory; give EAL more");
	play(kv, t, o, &r);
	kv_destroy(&kv);
	printf("%12" PRIu64 "  %-7s %10" PRIu64 " %8.1f %8.2f", bytes, evict_policies[policy]->name,
		r.n_items, (double)bytes / (double)r.n_items, pct(r.n_hits, t->n));
	if (o->has_exact) {
		struct exact *x = exact_create(policy, (uint32_t)r.n_items, t->n_keys);
		uint64_t n = 0;

		for (uint64_t i = 0; i < t->n; i++)
			n += exact_get(x, t->requests[i].key);
		exact_destroy(&x);
		printf(" %8.2f %+7.2f", pct(n, t->n), pct(r.n_hits, t->n) - pct(n, t->n));
	}
	printf(" %8.2f %8.2f\n", (double)r.n_kept / (double)(t->n - r.n_hits),
		(double)t->n * (double)rte_get_tsc_hz() / (double)r.cycles / 1e6);
}

static uint64_t parse_bytes(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*end == 'k' || *end == 'm' || *end == 'g')
		n <<= *end == 'k' ? 10 : *end == 'm' ? 20 : 30;
	if (end == text || n == 0)
		die(text, "not a size");
	return n;
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {{"bytes", required_argument, NULL, 'b'},
		{"policy", required_argument, NULL, 'p'}, {"value", required_argument, NULL, 'v'},
		{"no-exact", no_argument, NULL, 'n'}, {NULL, 0, NULL, 0}};
	bool has_any = false;
	char *word;
	int c;

	o->has_exact = true;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'b':
			while ((word = strsep(&optarg, ",")) != NULL && o->n_bytes < SIZES_MAX)
				o->bytes[o->n_bytes++] = parse_bytes(word);
			break;
		case 'p':
			while ((word = strsep(&optarg, ",")) != NULL) {
				const enum evict_policy p = evict_find(word);

				if (p == EVICT_N)
					die(word, "no such policy: fifo, lru, lfu, s3fifo, sieve");
				o->has_policy[p] = has_any = true;
			}
			break;
		case 'v':
			o->value_len =
				(uint32_t)RTE_MIN(parse_bytes(optarg), (uint64_t)ITEM_VALUE_LIMIT);
			break;
		case 'n':
			o->has_exact = false;
			break;
		default:
			usage();
		}
	for (unsigned p = 0; p < EVICT_N && !has_any; p++)
		o->has_policy[p] = true;
	if (optind != argc - 1)
		usage();
}

int main(int argc, char **argv)
{
	char *eal[] = {argv[0], (char[]){"--no-huge"}, (char[]){"--no-pci"},
		(char[]){"--no-telemetry"}, (char[]){"--no-shconf"}, (char[]){"--log-level=4"},
		(char[]){"-l"}, (char[]){"0"}, (char[]){"-m"}, (char[]){"4096"}, NULL};
	struct options o = {0};
	struct trace t;

	parse(argc, argv, &o);
	if (rte_eal_init((int)RTE_DIM(eal) - 1, eal) < 0)
		die("EAL", "did not start");
	keyhash_init_seed(1);
	readers = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	rte_rcu_qsbr_init(readers, 1);
	rte_rcu_qsbr_thread_register(readers, 0);
	rte_rcu_qsbr_thread_online(readers, 0);
	trace_load(&t, argv[argc - 1]);
	printf("%s: %" PRIu64 " requests, %u keys\n", t.name, t.n, t.n_keys);
	printf("%12s  %-7s %10s %8s %8s %8s %7s %8s %8s\n", "bytes", "policy", "items", "B/item",
		"hits %", "exact %", "diff", "copies", "M ops/s");
	if (o.n_bytes == 0) {
		const uint64_t all = o.value_len != 0 ? (uint64_t)t.n_keys * (o.value_len + 44)
						      : t.value_bytes + t.n_keys * 44ull;

		o.bytes[o.n_bytes++] = all / 100;
		o.bytes[o.n_bytes++] = all / 10;
	}
	for (unsigned i = 0; i < o.n_bytes; i++)
		for (unsigned p = 0; p < EVICT_N; p++)
			if (o.has_policy[p])
				run(&t, &o, o.bytes[i], (enum evict_policy)p);
	trace_fini(&t);
	return 0;
}
