/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache_workers — what a second worker brings: memcached over UDP through the whole packet path in memory, by one worker and by two that
 * share the cache, each on a CPU of its own. Each is given the packets of its own flows, as a device would that spreads
 * them by their hash. In the same run the same threads only move the frames: two CPUs of one machine are seldom twice one. UDP checksums
 * are made, and not sent by the clients.
 */
#include "base/clock.h"
#include "base/csum.h"
#include "harness.h"
#include "keyload.h"
#include "pages.h"
#include "proto/mc_udp.h"
#include "shim.h"

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_udp.h>

#include <getopt.h>
#include <pthread.h>
#include <unistd.h>

#define NORTH 0u
#define PORT 11211u
#define L3 RTE_ETHER_HDR_LEN
#define L4 (L3 + sizeof(struct rte_ipv4_hdr))
#define TEXT (L4 + sizeof(struct rte_udp_hdr) + MC_UDP_HEADER)
#define VALUE_MAX 1000u
#define N_CLIENTS 1000u
#define N_WORKERS 2u
#define N_ASKS (1u << 20)
#define N_BURSTS 64u /* between two looks at whether it is over */
#define ROUNDS_MAX 99u

static struct {
	uint32_t n_keys, value_len, set_pct, n_rounds;
	double skew, seconds;
} o = {.n_keys = 1000000, .value_len = 32, .n_rounds = 5, .skew = 0.99, .seconds = 1};

/* A frame with all but client, port and key. */
struct frame {
	uint8_t bytes[TEXT + 64 + VALUE_MAX];
	unsigned len, key_at;
};

struct ask {
	uint8_t digits[8];
	bool is_set;
};

/* A worker with its client. w: its thread while that runs */
struct pair {
	unsigned id;
	int cpu;
	pthread_t thread;
	bool moves_only;
	struct rte_mbuf *rx[SHIM_MBUFS], *sent[SHIM_MBUFS];
	unsigned rx_at, sent_at;
	uint32_t ask_at;
	uint64_t n_answers, n_short, n_gets; /* short: too short to have a value */
	double seconds;
} __rte_cache_aligned;

static struct harness h;
static bool has_huge;
static struct pair pairs[N_WORKERS];
static struct frame get, set;
static struct ask *asks;
static uint16_t client_sums[N_CLIENTS]; /* of gets' IP headers */
static uint16_t client_set_sums[N_CLIENTS];
static bool is_over; /* w: main  r: pairs (relaxed) */
static pthread_barrier_t start;

static void fail(const char *what)
{
	fprintf(stderr, "cache_workers: %s\n", what);
	exit(1);
}

void *shim_alloc(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (p == NULL)
		fail("out of memory");
	return p;
}

/* --- requests --- */

static rte_be32_t client_ip(uint32_t i)
{
	return rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 1) + i);
}

static void frame_init(struct frame *f, uint16_t *sums, const char *line, uint32_t value_len)
{
	const struct rte_ether_hdr eth = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0xc, 1}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.dst_addr = RTE_BE32(RTE_IPV4(10, 9, 200, 1))};
	struct rte_udp_hdr udp = {.dst_port = RTE_BE16(PORT)};
	unsigned n = (unsigned)strlen(line);

	memcpy(f->bytes + TEXT, line, n);
	if (value_len > 0) {
		memset(f->bytes + TEXT + n, 'v', value_len);
		memcpy(f->bytes + TEXT + n + value_len, "\r\n", 2);
		n += value_len + 2;
	}
	f->len = (unsigned)TEXT + n;
	f->key_at = (unsigned)TEXT + 4 + (unsigned)strlen(KEYLOAD_FIXED);
	mc_udp_build(f->bytes + TEXT - MC_UDP_HEADER, 7, 0, 1);
	udp.dgram_len = rte_cpu_to_be_16((uint16_t)(f->len - L4));
	ip.total_length = rte_cpu_to_be_16((uint16_t)(f->len - L3));
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		ip.src_addr = client_ip(i);
		sums[i] = csum_of(&ip, sizeof(ip));
	}
	memcpy(f->bytes, &eth, sizeof(eth));
	memcpy(f->bytes + L3, &ip, sizeof(ip));
	memcpy(f->bytes + L4, &udp, sizeof(udp));
}

static void frames_init(void)
{
	char line[64];

	frame_init(&get, client_sums, "get " KEYLOAD_FIXED "00000000\r\n", 0);
	snprintf(line, sizeof(line), "set " KEYLOAD_FIXED "00000000 0 0 %u\r\n", o.value_len);
	frame_init(&set, client_set_sums, line, o.value_len);
}

static void draw(void)
{
	uint32_t *keys = keyload_draw(o.n_keys, o.skew, N_ASKS);
	uint64_t seed = 29;

	asks = shim_alloc(N_ASKS * sizeof(*asks));
	for (uint32_t i = 0; i < N_ASKS; i++) {
		keyload_digits(asks[i].digits, keys[i]);
		asks[i].is_set = shim_random(&seed) % 100 < o.set_pct;
	}
	free(keys);
}

/* The hash that the device would give: one whose owner this worker is. */
static void emit(struct pair *x, struct rte_mbuf *m)
{
	const struct ask *a = &asks[x->ask_at];
	const struct frame *f = a->is_set ? &set : &get;
	const uint32_t client = (x->ask_at * 7919u) % N_CLIENTS;
	const rte_be32_t ip = client_ip(client);
	const rte_be16_t port = rte_cpu_to_be_16((uint16_t)(20000 + x->ask_at % 1000));
	uint8_t *to = rte_pktmbuf_mtod(m, uint8_t *);

	memcpy(to, f->bytes, f->len);
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, src_addr), &ip, sizeof(ip));
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, hdr_checksum),
		a->is_set ? &client_set_sums[client] : &client_sums[client], 2);
	memcpy(to + L4, &port, sizeof(port));
	memcpy(to + f->key_at, a->digits, sizeof(a->digits));
	m->data_len = (uint16_t)f->len;
	m->pkt_len = f->len;
	m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	m->hash.rss = x->id;
	x->n_gets += !a->is_set;
	x->ask_at = (x->ask_at + 1) % N_ASKS;
}

/* --- a worker and its client --- */

static void feed(struct pair *x)
{
	struct rte_mbuf **m = &x->rx[x->rx_at];

	for (unsigned i = 0; i < SHIM_BURST; i++)
		emit(x, m[i]);
	rte_ring_enqueue_bulk(h.rx[NORTH][x->id], (void **)m, SHIM_BURST, NULL);
	if (rte_pktmbuf_alloc_bulk(h.pool, m, SHIM_BURST) != 0)
		fail("packet buffers get lost");
	x->rx_at = (x->rx_at + SHIM_BURST) % SHIM_MBUFS;
}

static void take(struct pair *x)
{
	struct rte_mbuf **m = &x->sent[x->sent_at];
	void *got[SHIM_BURST];

	if (rte_ring_dequeue_bulk(h.tx[NORTH][x->id], got, SHIM_BURST, NULL) != SHIM_BURST)
		fail("requests were not answered");
	rte_pktmbuf_free_bulk(m, SHIM_BURST);
	memcpy(m, got, sizeof(got));
	for (unsigned i = 0; i < SHIM_BURST; i++)
		x->n_short += m[i]->pkt_len < TEXT + 6 + KEYLOAD_LEN + o.value_len;
	x->n_answers += SHIM_BURST;
	x->sent_at = (x->sent_at + SHIM_BURST) % SHIM_MBUFS;
}

static void turn(struct pair *x)
{
	feed(x);
	if (x->moves_only) {
		const uint16_t nic = h.ifaces.of[NORTH].nics[0];
		struct rte_mbuf *m[BURST_MAX];
		const uint16_t n = rte_eth_rx_burst(nic, (uint16_t)x->id, m, BURST_MAX);

		rte_eth_tx_burst(nic, (uint16_t)x->id, m, n);
	} else {
		worker_poll(
			h.workers[x->id], h.now_ms * 1000ull + clock_us()); /* after the filling */
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
	snapshot_reader_up(x->id);
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

/* Answers a second of n workers. */
static double measure(unsigned n, bool moves_only)
{
	double rate = 0;

	is_over = false;
	pthread_barrier_init(&start, NULL, n + 1);
	for (unsigned i = 0; i < n; i++) {
		pairs[i].moves_only = moves_only;
		pairs[i].n_answers = pairs[i].n_short = pairs[i].n_gets = 0;
		if (pthread_create(&pairs[i].thread, NULL, run, &pairs[i]) != 0)
			fail("no thread");
	}
	pthread_barrier_wait(&start);
	usleep((useconds_t)(o.seconds * 1e6));
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n; i++) {
		struct pair *x = &pairs[i];

		pthread_join(x->thread, NULL);
		rate += (double)x->n_answers / x->seconds;
		/* sets have short answers; a policy may give up an item where there are sets */
		if (!moves_only
			&& (double)x->n_short > (double)(x->n_answers - x->n_gets)
					+ (o.set_pct > 0 ? 0.1 * (double)x->n_gets : 0))
			fail("gets were not hits: the cache of 512 MB has no room for all keys; fewer, or shorter values (--keys, --value)");
	}
	pthread_barrier_destroy(&start);
	return rate;
}

/* --- the box --- */

static void put(struct mr_object o_)
{
	model_put(h.model, &o_);
}

static void configure(void)
{
	struct mr_error err;

	put((struct mr_object){.type = MR_OBJ_SETTINGS});
	put((struct mr_object){.type = MR_OBJ_ADDR,
		.addr = {.port = "north",
			.ip = {.family = 4, .bytes = {10, 9, 0, 1}},
			.prefix_len = 16}});
	put((struct mr_object){.type = MR_OBJ_CACHE,
		.cache = {.name = "cache",
			.memory_bytes = 1ull << 29,
			.eviction = MR_EVICTION_S3FIFO,
			.item_bytes = KEYLOAD_LEN + o.value_len}});
	put((struct mr_object){.type = MR_OBJ_SERVICE,
		.service = {.name = "cached",
			.vip = {.family = 4, .bytes = {10, 9, 200, 1}},
			.port = PORT,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "cache",
			.reply_rate = MR_REPLY_RATE_MAX_KB}});
	put((struct mr_object){.type = MR_OBJ_ACL,
		.acl = {.service = "cached",
			.ip = {.family = 4, .bytes = {172, 16}},
			.prefix_len = 12,
			.action = MR_ACL_ALLOW}});
	if (harness_apply(&h, &err) != 0)
		fail(err.message);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void report(void)
{
	static const char *const names[] = {"requests", "frames moved only"};
	double rates[2][N_WORKERS][ROUNDS_MAX];

	for (uint32_t r = 0; r < o.n_rounds; r++)
		for (unsigned is_move = 0; is_move < 2; is_move++)
			for (unsigned n = 1; n <= N_WORKERS; n++)
				rates[is_move][n - 1][r] = measure(n, is_move);
	printf("%u keys, values of %u bytes, %u %% sets, zipf %.2f, %u rounds of %.1f s, medians; %s\n",
		o.n_keys, o.value_len, o.set_pct, o.skew, o.n_rounds, o.seconds,
		PAGES_NAME(has_huge));
	printf("%-18s %14s %14s %6s\n", "a second", "one worker", "two", "ratio");
	for (unsigned is_move = 0; is_move < 2; is_move++) {
		const double one = median(rates[is_move][0], o.n_rounds);
		const double two = median(rates[is_move][1], o.n_rounds);

		printf("%-18s %14.0f %14.0f %6.2f\n", names[is_move], one, two, two / one);
	}
}

static void usage(void)
{
	fail("usage: cache_workers [--keys N] [--value BYTES (1 to 1000)] [--set PERCENT] [--zipf EXPONENT]"
	     " [--rounds N (1 to 99)] [--seconds S]");
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"keys", 1, NULL, 'k'}, {"value", 1, NULL, 'v'},
		{"set", 1, NULL, 's'}, {"zipf", 1, NULL, 'z'}, {"rounds", 1, NULL, 'r'},
		{"seconds", 1, NULL, 't'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		const double v = optarg != NULL ? strtod(optarg, NULL) : 0;

		switch (c) {
		case 'k':
			o.n_keys = (uint32_t)v;
			break;
		case 'v':
			o.value_len = (uint32_t)v;
			break;
		case 's':
			o.set_pct = (uint32_t)v;
			break;
		case 'z':
			o.skew = v;
			break;
		case 'r':
			o.n_rounds = (uint32_t)v;
			break;
		case 't':
			o.seconds = v;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || o.n_keys < 1 || o.value_len < 1 || o.value_len > VALUE_MAX
		|| o.set_pct > 100 || o.n_rounds < 1 || o.n_rounds > ROUNDS_MAX
		|| !(o.seconds >= 0.01 && o.seconds <= 600))
		usage();
}

/* The first CPUs that this process may use. */
static void choose_cpus(void)
{
	cpu_set_t cpus;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0)
		fail("its CPUs are not known");
	for (int i = 0; i < CPU_SETSIZE && n < N_WORKERS; i++)
		if (CPU_ISSET(i, &cpus))
			pairs[n++].cpu = i;
	if (n < N_WORKERS)
		fail("two workers need two CPUs, and this process may use one");
}

int main(int argc, char **argv)
{
	char program[] = "cache_workers", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
	     no_telemetry[] = "--no-telemetry", no_conf[] = "--no-shconf",
	     level[] = "--log-level=4", iova[] = "--iova-mode=va", m[] = "-m", mb[] = "1536",
	     lcores[] = "-l", zero[] = "0";
	char *eal[] = {program, no_huge, no_pci, no_telemetry, no_conf, level, iova, lcores, zero,
		m, mb, NULL};
	const struct harness_params p = {.n_workers = N_WORKERS,
		.n_queues = N_WORKERS,
		.n_conns4 = 1024,
		.n_conns6 = 1024,
		.n_mbufs = 16383,
		.cache_mb = 600,
		.seed = 7};

	parse(argc, argv);
	choose_cpus();
	if (rte_eal_init(11, eal) < 0)
		fail("DPDK does not start");
	has_huge = pages_advise();
	harness_init(&h, &p);
	configure();
	if (!keyload_fill(&h, o.n_keys, o.value_len))
		fail("an item could not be stored");
	frames_init();
	draw();
	for (unsigned i = 0; i < N_WORKERS; i++) {
		struct pair *x = &pairs[i];

		x->id = i;
		x->ask_at = i * (N_ASKS / N_WORKERS);
		for (unsigned q = 0; q < h.workers[i]->n_queues; q++)
			h.workers[i]->queues[q].has_rss = 1;
		if (rte_pktmbuf_alloc_bulk(h.pool, x->rx, SHIM_MBUFS) != 0
			|| rte_pktmbuf_alloc_bulk(h.pool, x->sent, SHIM_MBUFS) != 0)
			fail("no packet buffers");
	}
	snapshot_reader_down(); /* harness_init() made this thread one */
	report();
	return 0;
}
