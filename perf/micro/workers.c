/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * workers — what more workers bring: the whole packet path in memory, by one worker and by more, each on a CPU of its own. Each is given the
 * packets of its own flows, as a device would that spreads them by their hash. In the same run the same threads only move the frames:
 * two CPUs of one machine are seldom twice one.
 *
 * With --bursts, also how long one turn of a worker's loop took, of all the turns: a mean rate hides that a few are a thousand times as long.
 * Turns in which the thread lost the CPU, as the kernel counts it, are left out.
 */
#include "../gen/genident.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/keyhash.h"
#include "lane.h"
#include "pages.h"

#include <rte_ethdev.h>
#include <rte_lcore.h>

#include <getopt.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define N_BURSTS 64u /* between two looks at whether it is over */
#define ROUNDS_MAX 99u

static const struct laneload *const loads[] = {&lane_dsr, &lane_ipip, &lane_fullnat, &lane_get};

static struct {
	const struct laneload *load;
	struct lane_options of;
	uint32_t n_rounds, n_max; /* workers; 0: all CPUs */
	double seconds;
	const char *json;
	bool has_bursts;
} o = {.of = {.n_flows = 100000,
	       .n_keys = 1000000,
	       .memory_mb = 512,
	       .value_min = 32,
	       .value_max = 32,
	       .skew = 0.99},
	.n_rounds = 5,
	.seconds = 1};

/* w: its thread while that runs */
struct pair {
	struct lane lane;
	int cpu;
	pthread_t thread;
	bool moves_only;
	struct rte_mbuf *rx[SHIM_MBUFS], *sent[SHIM_MBUFS];
	unsigned rx_at, sent_at;
	unsigned queue[HARNESS_IFACES]; /* that the worker receives from */
	uint64_t n_done;
	double seconds;
	long n_lost;             /* times that the thread lost the CPU */
	struct histogram bursts; /* cycles */
} __rte_cache_aligned;

static struct harness *h;
static struct pair pairs[LANE_MAX];
static unsigned n_pairs;
static bool has_huge;
static bool is_over; /* w: main  r: pairs (relaxed) */
static pthread_barrier_t start;
static double rates[2][LANE_MAX]
		   [ROUNDS_MAX]; /* frames moved only or not, workers less one, round */

static void fail(const char *what)
{
	fprintf(stderr, "workers: %s\n", what);
	exit(1);
}

/* --- a worker and its client --- */

/* Buffers go into the worker's ring and come from its other one in turn, as with a device whose rings hold 512. */
static void feed(struct pair *x)
{
	struct rte_mbuf **m = &x->rx[x->rx_at];

	o.load->emit(&x->lane, m);
	rte_ring_enqueue_bulk(
		h->rx[x->lane.in][x->queue[x->lane.in]], (void **)m, SHIM_BURST, NULL);
	if (rte_pktmbuf_alloc_bulk(h->pool, m, SHIM_BURST) != 0)
		fail("packet buffers get lost");
	x->rx_at = (x->rx_at + SHIM_BURST) % SHIM_MBUFS;
}

static void take(struct pair *x)
{
	struct rte_mbuf **m = &x->sent[x->sent_at];
	void *got[SHIM_BURST];

	if (rte_ring_dequeue_bulk(h->tx[x->lane.out][x->lane.id], got, SHIM_BURST, NULL)
		!= SHIM_BURST)
		fail("packets were not sent, or not there");
	rte_pktmbuf_free_bulk(m, SHIM_BURST);
	memcpy(m, got, sizeof(got));
	if (!x->moves_only && o.load->look != NULL)
		o.load->look(&x->lane, m);
	x->n_done += SHIM_BURST;
	x->sent_at = (x->sent_at + SHIM_BURST) % SHIM_MBUFS;
}

static long times_lost(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_nivcsw + use.ru_nvcsw;
}

static void poll_once(struct pair *x)
{
	const uint64_t now_us = h->now_ms * 1000ull + clock_us(); /* after the setting up */
	const uint64_t begun = rte_rdtsc();
	uint64_t took;
	long n_lost;

	worker_poll(h->workers[x->lane.id], now_us);
	if (!o.has_bursts)
		return;
	took = rte_rdtsc() - begun;
	n_lost = times_lost();
	if (n_lost == x->n_lost)
		histogram_add(&x->bursts, took);
	x->n_lost = n_lost;
}

static void turn(struct pair *x)
{
	feed(x);
	if (x->moves_only) {
		const struct iface *ifaces = h->ifaces.of;
		struct rte_mbuf *m[BURST_MAX];
		const uint16_t n = rte_eth_rx_burst(
			ifaces[x->lane.in].nics[0], (uint16_t)x->queue[x->lane.in], m, BURST_MAX);

		rte_eth_tx_burst(ifaces[x->lane.out].nics[0], (uint16_t)x->lane.id, m, n);
	} else {
		poll_once(x);
	}
	take(x);
}

static void *run(void *arg)
{
	struct pair *x = arg;
	cpu_set_t cpus;
	uint64_t begun;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned)x->cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0)
		fail("no such CPU");
	if (rte_thread_register() != 0) /* for a cache of packet buffers of its own */
		fail("DPDK has no room for the thread");
	snapshot_reader_up(x->lane.id);
	pthread_barrier_wait(&start);
	begun = rte_rdtsc();
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED))
		for (unsigned i = 0; i < N_BURSTS; i++)
			turn(x);
	x->seconds = (double)(rte_rdtsc() - begun) / (double)rte_get_tsc_hz();
	snapshot_reader_down();
	rte_thread_unregister();
	return NULL;
}

/* Packets a second of n workers. */
static double measure(unsigned n, bool moves_only)
{
	double rate = 0;

	is_over = false;
	pthread_barrier_init(&start, NULL, n + 1);
	for (unsigned i = 0; i < n; i++) {
		pairs[i].moves_only = moves_only;
		pairs[i].n_done = 0;
		if (pthread_create(&pairs[i].thread, NULL, run, &pairs[i]) != 0)
			fail("no thread");
	}
	pthread_barrier_wait(&start);
	usleep((useconds_t)(o.seconds * 1e6));
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n; i++) {
		struct pair *x = &pairs[i];

		pthread_join(x->thread, NULL);
		rate += (double)x->n_done / x->seconds;
		if (o.load->are_hits != NULL && !o.load->are_hits(&x->lane) && !moves_only)
			fail("gets were not hits: the cache has no room for all keys; fewer, or shorter values (--keys, --value)");
	}
	pthread_barrier_destroy(&start);
	return rate;
}

/* --- what came of it --- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *of, unsigned n)
{
	double v[ROUNDS_MAX];

	memcpy(v, of, n * sizeof(*v));
	qsort(v, n, sizeof(*v), compare);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void about(char *to, size_t size)
{
	if (o.load == &lane_get)
		snprintf(to, size,
			"%s: %u MB, %u keys by Zipf %.2f, values of %u to %u bytes, %u %% sets",
			o.load->about, o.of.memory_mb, o.of.n_keys, o.of.skew, o.of.value_min,
			o.of.value_max, o.of.set_pct);
	else
		snprintf(
			to, size, "%s: %u known flows of each worker", o.load->about, o.of.n_flows);
}

static void print(void)
{
	char text[160];

	about(text, sizeof(text));
	printf("%s; %u rounds of %.1f s, medians; %s\n", text, o.n_rounds, o.seconds,
		PAGES_NAME(has_huge));
	printf("%-8s %14s %6s %18s %6s\n", "workers", "a second", "ratio", "frames moved only",
		"ratio");
	for (unsigned n = 1; n <= n_pairs; n++) {
		const double rate = median(rates[0][n - 1], o.n_rounds),
			     moved = median(rates[1][n - 1], o.n_rounds);

		printf("%-8u %14.0f %6.2f %18.0f %6.2f\n", n, rate,
			rate / median(rates[0][0], o.n_rounds), moved,
			moved / median(rates[1][0], o.n_rounds));
	}
}

static void print_bursts(void)
{
	struct histogram *all = shim_alloc(sizeof(*all));

	for (unsigned i = 0; i < n_pairs; i++)
		histogram_sum(all, &pairs[i].bursts);
	printf("cycles of a turn with %u packets, %lu turns: mean %.0f  p50 %lu  p90 %lu  p99 %lu  p99.9 %lu  p99.99 %lu  max %lu\n",
		SHIM_BURST, histogram_count(all), histogram_mean(all), histogram_quantile(all, 0.5),
		histogram_quantile(all, 0.9), histogram_quantile(all, 0.99),
		histogram_quantile(all, 0.999), histogram_quantile(all, 0.9999),
		histogram_max(all));
	free(all);
}

static json_t *samples(void)
{
	json_t *all = json_array();

	for (unsigned r = 0; r < o.n_rounds; r++)
		for (unsigned is_move = 0; is_move < 2; is_move++)
			for (unsigned n = 1; n <= n_pairs; n++)
				json_array_append_new(all,
					json_pack("{s:i, s:i, s:b, s:f}", "workers", (int)n,
						"round", (int)r + 1, "moved_only", (int)is_move,
						"per_second", rates[is_move][n - 1][r]));
	return all;
}

static void write_json(const char *time_text, json_t *machine)
{
	char text[160];
	json_t *doc;

	about(text, sizeof(text));
	doc = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o}", "schema", "millrace.workers/1",
		"name", o.load->name, "about", text, "time", time_text, "machine", machine, "build",
		genident_build(), "pages", PAGES_NAME(has_huge), "samples", samples());
	if (doc == NULL || json_dump_file(doc, o.json, JSON_INDENT(1)) != 0)
		fail("the document could not be written");
	json_decref(doc);
}

/* --- options --- */

static void usage(void)
{
	fail("usage: workers [--load dsr-l2|ipip|full-nat|get] [--workers MOST (1 to 16)] [--rounds N (1 to 99)] [--seconds S] [--json FILE]\n"
	     "       [--flows N of each worker] [--memory MB (32 to 512)] [--keys N] [--value BYTES[-MOST]] [--set PERCENT] [--zipf EXPONENT] [--bursts]");
}

static const struct laneload *load_named(const char *name)
{
	for (unsigned i = 0; i < RTE_DIM(loads); i++)
		if (strcmp(loads[i]->name, name) == 0)
			return loads[i];
	fprintf(stderr, "workers: --load %s: must be dsr-l2, ipip, full-nat or get\n", name);
	exit(1);
}

static double real(const char *option, const char *text, double low, double high)
{
	char *end;
	const double v = strtod(text, &end);

	if (end != text && *end == '\0' && v >= low && v <= high)
		return v;
	fprintf(stderr, "workers: --%s %s: must be a number from %g to %g\n", option, text, low,
		high);
	exit(1);
}

static uint32_t number(const char *option, const char *text, uint32_t low, uint32_t high)
{
	const double v = real(option, text, low, high);

	if (v == (uint32_t)v)
		return (uint32_t)v;
	fprintf(stderr, "workers: --%s %s: must be a whole number\n", option, text);
	exit(1);
}

/* Lengths of values: N, or N-M. */
static void lengths(const char *text)
{
	char low[16];
	const char *dash = strchr(text, '-');

	snprintf(low, sizeof(low), "%.*s", dash != NULL ? (int)(dash - text) : 15, text);
	o.of.value_min = number("value", low, 1, 1000);
	o.of.value_max =
		dash != NULL ? number("value", dash + 1, o.of.value_min, 1000) : o.of.value_min;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"load", 1, NULL, 'l'}, {"workers", 1, NULL, 'w'},
		{"flows", 1, NULL, 'f'}, {"keys", 1, NULL, 'k'}, {"value", 1, NULL, 'v'},
		{"set", 1, NULL, 's'}, {"memory", 1, NULL, 'm'}, {"bursts", 0, NULL, 'b'},
		{"zipf", 1, NULL, 'z'}, {"rounds", 1, NULL, 'r'}, {"seconds", 1, NULL, 't'},
		{"json", 1, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c, at;

	o.load = &lane_get;
	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		switch (c) {
		case 'l':
			o.load = load_named(optarg);
			break;
		case 'w':
			o.n_max = number(longs[at].name, optarg, 1, LANE_MAX);
			break;
		case 'f':
			o.of.n_flows = number(longs[at].name, optarg, SHIM_BURST, 1u << 22);
			break;
		case 'k':
			o.of.n_keys = number(longs[at].name, optarg, 1, 1u << 24);
			break;
		case 'v':
			lengths(optarg);
			break;
		case 'm':
			o.of.memory_mb = number(longs[at].name, optarg, 32, 512);
			break;
		case 'b':
			o.has_bursts = true;
			break;
		case 's':
			o.of.set_pct = number(longs[at].name, optarg, 0, 100);
			break;
		case 'z':
			o.of.skew = real(longs[at].name, optarg, 0, 10);
			break;
		case 'r':
			o.n_rounds = number(longs[at].name, optarg, 1, ROUNDS_MAX);
			break;
		case 't':
			o.seconds = real(longs[at].name, optarg, 0.01, 600);
			break;
		case 'j':
			o.json = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind != argc)
		usage();
}

/* The first CPUs that this process may use. */
static void choose_cpus(void)
{
	const unsigned n_most = o.n_max > 0 ? o.n_max : LANE_MAX;
	cpu_set_t cpus;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		fail("its CPUs are not known");
	for (int i = 0; i < CPU_SETSIZE && n_pairs < n_most; i++)
		if (CPU_ISSET(i, &cpus))
			pairs[n_pairs++].cpu = i;
	if (n_pairs < o.n_max) {
		fprintf(stderr,
			"workers: %u workers need as many CPUs, and this process may use %u\n",
			o.n_max, n_pairs);
		exit(1);
	}
}

static void start_dpdk(void)
{
	char program[] = "workers", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
	     no_telemetry[] = "--no-telemetry", no_conf[] = "--no-shconf",
	     level[] = "--log-level=4", iova[] = "--iova-mode=va", m[] = "-m", mb[16],
	     lcores[] = "-l", cpu[8];
	char *eal[] = {program, no_huge, no_pci, no_telemetry, no_conf, level, iova, lcores, cpu, m,
		mb, NULL};

	snprintf(cpu, sizeof(cpu), "%d", pairs[0].cpu);
	snprintf(mb, sizeof(mb), "%u",
		o.load->memory_mb
			+ (o.load->lane_mb + o.of.n_flows / 4000)
				* n_pairs); /* of 250 bytes at most */
	if (rte_eal_init(11, eal) < 0)
		fail("DPDK does not start");
	has_huge = pages_advise();
	clock_init();
	keyhash_init_seed(42);
}

int main(int argc, char **argv)
{
	const time_t now = time(NULL);
	char time_text[32];
	json_t *machine;

	parse(argc, argv);
	choose_cpus();
	strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	start_dpdk();
	machine = genident_machine();
	h = o.load->up(&o.of, n_pairs);
	if (h == NULL)
		return 1;
	for (unsigned i = 0; i < n_pairs; i++) {
		struct pair *x = &pairs[i];

		x->lane.id = i;
		x->lane.h = h;
		for (unsigned p = 0; p < HARNESS_IFACES; p++)
			x->queue[p] = harness_queue(h, i, p);
		if (!o.load->lane_up(&x->lane, &o.of))
			return 1;
		if (rte_pktmbuf_alloc_bulk(h->pool, x->rx, SHIM_MBUFS) != 0
			|| rte_pktmbuf_alloc_bulk(h->pool, x->sent, SHIM_MBUFS) != 0)
			fail("no packet buffers");
	}
	snapshot_reader_down(); /* the set-up made this thread one */
	if (o.has_bursts) {
		measure(n_pairs, false); /* until the cache is as it then stays */
		for (unsigned i = 0; i < n_pairs; i++)
			histogram_init(&pairs[i].bursts);
	}
	for (uint32_t r = 0; r < o.n_rounds; r++)
		for (unsigned is_move = 0; is_move < 2; is_move++)
			for (unsigned n = 1; n <= n_pairs; n++)
				rates[is_move][n - 1][r] = measure(n, is_move);
	print();
	if (o.has_bursts)
		print_bursts();
	if (o.json != NULL)
		write_json(time_text, machine);
	else
		json_decref(machine);
	return 0;
}
