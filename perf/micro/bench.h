/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * bench — what a micro-benchmark is: a case measures one thing in batches, beside a reference in the same
 * run. Cases are data (bench_*.c, one file per subject); micro_main.cc gives them to Google Benchmark. Everything
 * runs on one thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bench_case {
	const char *name; /* SUBJECT/VARIANT/SIZE */
	uint32_t size;    /* flows, VIPs, backends…: up() knows */
	uint32_t kind;    /* up() knows */
	/* Makes what run() and ref() work on; NULL when it cannot be had. */
	void *(*up)(const struct bench_case *c);
	void (*reset)(void *ctx);   /* before every run(), not timed; NULL = nothing to do */
	unsigned (*run)(void *ctx); /* one batch; returns operations done, 0 = wrong result */
	unsigned (*ref)(void *ctx); /* the same for the reference; NULL = there is none */
	void (*down)(void *ctx);
	const char *reference; /* what ref() does, in a few words */
	bool is_net; /* run() includes what ref() does: the difference is worth a column */
};

struct bench_subject {
	const struct bench_case *cases;
	size_t n;
};

extern const struct bench_subject bench_acl, bench_cache, bench_cache_large, bench_conn, bench_csum,
	bench_hash, bench_mailbox, bench_natport, bench_parse, bench_path, bench_publish,
	bench_sched, bench_shaped, bench_steer, bench_tcp, bench_vip;

/* All subjects in the order they run. */
extern const struct bench_subject *const bench_subjects[];
extern const size_t bench_n_subjects;

#define BENCH_SUBJECT(subject, table) \
	const struct bench_subject subject = {table, sizeof(table) / sizeof((table)[0])}

/* Pages that the tables live in: they decide what a million flows cost. */
enum bench_pages {
	BENCH_PAGES_AUTO, /* the first of the others that can be had, in this order */
	BENCH_PAGES_HUGE, /* reserved hugepages */
	BENCH_PAGES_THP,  /* transparent hugepages: 2 MB as well, no reservation, no root */
	BENCH_PAGES_4K,
};

/* What the cases of bench_shaped find: DSR services over IPv4, flows over all of them alike. Set before
 * bench_start(). They do not run beside others: there is one dataplane in a process. */
struct bench_shape {
	uint32_t n_flows, n_services,
		n_backends; /* n_backends: of the first service; the others have 10 */
};
extern struct bench_shape bench_shape;

/* Memory of the caches of bench_cache; those of bench_cache_large, which run only where they are asked for, need more. Set before
 * bench_start(). */
#define BENCH_CACHE_MB 1024u
#define BENCH_CACHE_LARGE_MB 2304u
extern uint32_t bench_cache_mb;

/* Starts DPDK. 0, or -errno with a line on stderr. */
int bench_start(enum bench_pages pages);
const char *bench_pages_name(void); /* in words, of what bench_start() got */
uint64_t bench_tsc_hz(void);

/* Cycles per operation of one batch of the case or of its reference. A batch during which the thread
 * lost the CPU is thrown away and measured again. Negative: up(), run() or ref() failed. */
double bench_run(const struct bench_case *c);
double bench_ref(const struct bench_case *c);

/* Has the instructions counted (instrcount.h) of one batch, as NAME, and where the case includes what the reference does, of one of the
 * reference, as "NAME, reference". A batch of each goes before, uncounted. False: one failed. */
bool bench_count(const struct bench_case *c);

/* Takes down what the last case needed. */
void bench_stop(void);

#ifdef __cplusplus
}
#endif
