/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tcp_serve — memcached over TCP through the whole packet path of one worker, in memory: from a received buffer with a segment of
 * --depth gets to a sent one with their answers, which the next segment of the connection acknowledges, as a client does that
 * always waits. --conns connections in turn, bursts of 32 segments, one tick of the timers per batch, checksums made and checked in software.
 * Beside it in the same run: the same requests over UDP, through the same worker and to the same cache; and the reference, which makes
 * the segments and moves the buffers only. Net is what a request costs above that. perf/README.md says how to read the table.
 */
#include "base/csum.h"
#include "harness.h"
#include "instrcount.h"
#include "keyload.h"
#include "pages.h"
#include "proto/mc_udp.h"
#include "shim.h"

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_malloc.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include <getopt.h>

#define NORTH 0u
#define PORT 11211u
#define L3 RTE_ETHER_HDR_LEN
#define L4 (L3 + sizeof(struct rte_ipv4_hdr))
#define TCP_OPTIONS 12u
#define TCP_TEXT (L4 + sizeof(struct rte_tcp_hdr) + TCP_OPTIONS)
#define UDP_TEXT (L4 + sizeof(struct rte_udp_hdr) + MC_UDP_HEADER)
#define DEPTH_MAX 32u
#define N_BURSTS 64u /* per batch */
#define N_ASKS (1u << 20)
#define N_MBUFS 65535u
#define VALUE_ONE 1000u  /* of an answer in one datagram */
#define VALUE_MAX 14000u /* ... that goes at once: the initial window */

struct client {
	uint32_t src;
	rte_be16_t sport;
	uint32_t seq, ack, ts;
};

enum way { OVER_TCP, OVER_UDP, NOTHING, N_WAYS };

static struct {
	uint32_t n_conns, n_keys, value_len, depth, n_rounds;
	double skew;
	bool is_counted;                 /* instructions, instead of cycles */
	bool writes_csums, takes_chains; /* what the port's device would do */
	uint16_t tso_mbufs;
} o = {.n_conns = 10000,
	.n_keys = 1000000,
	.value_len = 32,
	.depth = 1,
	.n_rounds = 9,
	.skew = 0.99};

static struct harness h;
static bool has_huge;
static struct client *clients;
static uint32_t *draws, next_draw, next_client;
static struct rte_mbuf *rx[SHIM_MBUFS], *sent[SHIM_MBUFS];
static unsigned rx_at, sent_at;
static uint32_t answer_len; /* to one get */

static void fail(const char *what)
{
	fprintf(stderr, "tcp_serve: %s\n", what);
	exit(1);
}

/* --- what is asked for --- */

/* n gets, behind each other. Returns their bytes. */
static unsigned write_gets(uint8_t *to, unsigned n)
{
	static const uint8_t line[] = "get " KEYLOAD_FIXED "00000000\r\n";
	uint8_t *p = to;

	for (unsigned i = 0; i < n; i++) {
		memcpy(p, line, sizeof(line) - 1);
		keyload_digits(p + 4 + sizeof(KEYLOAD_FIXED) - 1, draws[next_draw++ % N_ASKS]);
		p += sizeof(line) - 1;
	}
	return (unsigned)(p - to);
}

static uint8_t *write_l3(uint8_t *to, const struct client *c, uint8_t proto, unsigned n_l4)
{
	const struct rte_ether_hdr eth = {.dst_addr = {SHIM_MAC},
		.src_addr = {{2, 0, 0, 0, 0xc, 1}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.time_to_live = 64,
		.next_proto_id = proto,
		.src_addr = c->src,
		.dst_addr = RTE_BE32(RTE_IPV4(10, 9, 200, 1)),
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(ip) + n_l4))};

	ip.hdr_checksum = csum_of(&ip, sizeof(ip));
	memcpy(to, &eth, sizeof(eth));
	memcpy(to + L3, &ip, sizeof(ip));
	return to + L4;
}

/* A segment with n gets, which acknowledges all there is. A SYN says the MSS too. */
static unsigned write_segment(uint8_t *to, struct client *c, uint8_t flags, unsigned n)
{
	const rte_be32_t opts[4] = {RTE_BE32(0x0101080a), rte_cpu_to_be_32(h.now_ms),
		rte_cpu_to_be_32(c->ts), RTE_BE32(0x020405b4)};
	const unsigned n_opts = TCP_OPTIONS + (flags & RTE_TCP_SYN_FLAG ? 4 : 0);
	struct rte_tcp_hdr th = {.src_port = c->sport,
		.dst_port = RTE_BE16(PORT),
		.sent_seq = rte_cpu_to_be_32(c->seq),
		.recv_ack = rte_cpu_to_be_32(c->ack),
		.data_off = (uint8_t)((sizeof(th) + n_opts) / 4 << 4),
		.tcp_flags = flags,
		.rx_win = RTE_BE16(65000)};
	const unsigned n_text = write_gets(to + L4 + sizeof(th) + n_opts, n);
	const unsigned n_l4 = (unsigned)sizeof(th) + n_opts + n_text;
	uint8_t *l4 = write_l3(to, c, IPPROTO_TCP, n_l4);

	memcpy(l4, &th, sizeof(th));
	memcpy(l4 + sizeof(th), opts, n_opts);
	th.cksum = csum_l4(to + L3 + 12, to + L3 + 16, 4, IPPROTO_TCP, l4, n_l4);
	memcpy(l4 + offsetof(struct rte_tcp_hdr, cksum), &th.cksum, 2);
	c->seq += n_text + (flags & RTE_TCP_SYN_FLAG ? 1 : 0);
	c->ack += n * answer_len;
	return (unsigned)L4 + n_l4;
}

static unsigned write_datagram(uint8_t *to, const struct client *c, unsigned n)
{
	const unsigned n_text = write_gets(to + UDP_TEXT, n);
	struct rte_udp_hdr uh = {.src_port = c->sport, .dst_port = RTE_BE16(PORT)};
	const unsigned n_l4 = (unsigned)sizeof(uh) + MC_UDP_HEADER + n_text;
	uint8_t *l4 = write_l3(to, c, IPPROTO_UDP, n_l4);
	uint16_t sum;

	uh.dgram_len = rte_cpu_to_be_16((uint16_t)n_l4);
	memcpy(l4, &uh, sizeof(uh));
	mc_udp_build(l4 + sizeof(uh), 7, 0, 1);
	sum = csum_l4(to + L3 + 12, to + L3 + 16, 4, IPPROTO_UDP, l4, n_l4);
	uh.dgram_cksum = sum != 0 ? sum : 0xffff;
	memcpy(l4 + offsetof(struct rte_udp_hdr, dgram_cksum), &uh.dgram_cksum, 2);
	return (unsigned)L4 + n_l4;
}

/* --- in and out --- */

static struct client *take_client(void)
{
	struct client *c = &clients[next_client];

	next_client = next_client + 1 < o.n_conns ? next_client + 1 : 0;
	return c;
}

/* A burst from clients in turn; as a driver would, new buffers take the place of those that were received. */
static void feed(enum way way, uint8_t flags, unsigned depth)
{
	struct rte_mbuf **m = &rx[rx_at];

	for (unsigned i = 0; i < SHIM_BURST; i++) {
		uint8_t *to = rte_pktmbuf_mtod(m[i], uint8_t *);
		struct client *c = take_client();

		m[i]->data_len = (uint16_t)(way == OVER_UDP ? write_datagram(to, c, depth)
							    : write_segment(to, c, flags, depth));
		m[i]->pkt_len = m[i]->data_len;
	}
	rte_ring_enqueue_bulk(h.rx[NORTH][0], (void **)m, SHIM_BURST, NULL);
	if (rte_pktmbuf_alloc_bulk(h.pool, m, SHIM_BURST) != 0)
		fail("packet buffers get lost");
	rx_at = (rx_at + SHIM_BURST) % SHIM_MBUFS;
}

/* What was sent; how many frames, and their bytes. The buffers go back to the pool 512 later. */
static unsigned take(uint64_t *n_bytes, struct rte_mbuf **out)
{
	void *got[2 * SHIM_BURST];
	const unsigned n = rte_ring_dequeue_burst(h.tx[NORTH][0], got, SHIM_BURST, NULL);

	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *m = got[i];

		*n_bytes += m->pkt_len;
		rte_pktmbuf_free(sent[sent_at]);
		sent[sent_at] = m;
		sent_at = (sent_at + 1) % SHIM_MBUFS;
		if (out != NULL)
			out[i] = m;
	}
	return n;
}

/* --- the world --- */

static void put(const struct mr_object *obj)
{
	if (model_put(h.model, obj) != 0)
		fail("out of memory");
}

static void configure(void)
{
	const struct mr_object settings = {.type = MR_OBJ_SETTINGS};
	struct mr_object addr = {.type = MR_OBJ_ADDR,
		.addr = {.port = "north",
			.ip = {.family = 4, .bytes = {10, 9, 0, 1}},
			.prefix_len = 16}};
	struct mr_object cache = {.type = MR_OBJ_CACHE,
		.cache = {.name = "cache",
			.memory_bytes = 1ull << 29,
			.eviction = MR_EVICTION_S3FIFO,
			.item_bytes = KEYLOAD_LEN + o.value_len}};
	struct mr_object service = {.type = MR_OBJ_SERVICE,
		.service = {.name = "tcp",
			.vip = {.family = 4, .bytes = {10, 9, 200, 1}},
			.port = PORT,
			.proto = MR_PROTO_TCP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "cache"}};
	struct mr_object acl = {.type = MR_OBJ_ACL,
		.acl = {.service = "udp",
			.ip = {.family = 4, .bytes = {172, 16}},
			.prefix_len = 12,
			.action = MR_ACL_ALLOW}};
	struct mr_error err;

	put(&settings);
	put(&addr);
	put(&cache);
	put(&service);
	memcpy(service.service.name, "udp", sizeof("udp"));
	service.service.proto = MR_PROTO_UDP;
	service.service.reply_rate = MR_REPLY_RATE_MAX_KB;
	put(&service);
	put(&acl);
	if (harness_apply(&h, &err) != 0)
		fail(err.message);
}

/* Every key, from within: as the worker would store it. */
static void take_syn_acks(void)
{
	struct rte_mbuf *m[SHIM_BURST];
	uint64_t n_bytes = 0;
	const uint32_t first = (next_client + o.n_conns - SHIM_BURST) % o.n_conns;

	if (take(&n_bytes, m) != SHIM_BURST)
		fail("a SYN was not answered");
	for (unsigned i = 0; i < SHIM_BURST; i++) {
		const struct rte_tcp_hdr *th =
			rte_pktmbuf_mtod_offset(m[i], const struct rte_tcp_hdr *, L4);
		struct client *c = &clients[(first + i) % o.n_conns];

		if (th->dst_port != c->sport || !(th->tcp_flags & RTE_TCP_SYN_FLAG))
			fail("a SYN was not answered as it should be");
		c->ack = rte_be_to_cpu_32(th->sent_seq) + 1;
		c->ts = 0;
	}
}

static void open_all(void)
{
	for (uint32_t done = 0; done < o.n_conns; done += SHIM_BURST) {
		const uint32_t first = next_client;

		feed(OVER_TCP, RTE_TCP_SYN_FLAG, 0);
		h.now_ms++;
		worker_poll(h.workers[0], h.now_ms * 1000ull);
		take_syn_acks();
		next_client = first;
		feed(OVER_TCP, RTE_TCP_ACK_FLAG, 0);
		worker_poll(h.workers[0], h.now_ms * 1000ull);
	}
}

/* --- what is measured --- */

static void batch(enum way way)
{
	const uint32_t n_text = way == OVER_UDP ? (uint32_t)UDP_TEXT : (uint32_t)TCP_TEXT;
	const uint64_t want_len = (uint64_t)answer_len * o.depth * N_BURSTS * SHIM_BURST;
	const uint16_t nic = h.ifaces.of[NORTH].nics[0];
	uint64_t n_bytes = 0;
	unsigned n = 0;

	h.now_ms++;
	for (unsigned r = 0; r < N_BURSTS; r++) {
		feed(way == NOTHING ? OVER_UDP : way, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG, o.depth);
		if (way == NOTHING) {
			struct rte_mbuf *m[BURST_MAX];
			const uint16_t n_rx = rte_eth_rx_burst(nic, 0, m, BURST_MAX);

			rte_eth_tx_burst(nic, 0, m, n_rx);
		} else {
			worker_poll(h.workers[0], h.now_ms * 1000ull);
		}
		for (unsigned got; (got = take(&n_bytes, NULL)) > 0;)
			n += got;
	}
	n_bytes -= (uint64_t)n * n_text;
	if (way != NOTHING && n_bytes != want_len) {
		fprintf(stderr,
			"tcp_serve: %u frames of %" PRIu64 " bytes of answers, not of %" PRIu64
			"\n",
			n, n_bytes, want_len);
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(void)
{
	static const char *const names[N_WAYS] = {"over TCP", "over UDP", "reference"};
	const unsigned n_tries = o.n_rounds * 32;
	double *cycles[N_WAYS], ref;

	for (unsigned way = 0; way < N_WAYS; way++)
		cycles[way] = shim_alloc(n_tries * sizeof(double));
	for (unsigned i = 0; i < n_tries; i++)
		for (unsigned way = 0; way < N_WAYS; way++) {
			const uint64_t begun = rte_rdtsc();

			if (way == OVER_UDP && o.value_len > VALUE_ONE)
				continue;
			batch((enum way)way);
			cycles[way][i] =
				(double)(rte_rdtsc() - begun) / (N_BURSTS * SHIM_BURST * o.depth);
		}
	for (unsigned way = 0; way < N_WAYS; way++)
		qsort(cycles[way], n_tries, sizeof(double), by_value);
	ref = cycles[NOTHING][n_tries / 2];
	printf("%u connections, depth %u, %u keys by Zipf %.2f, values of %u bytes; %.0f MHz, %s\n",
		o.n_conns, o.depth, o.n_keys, o.skew, o.value_len, (double)rte_get_tsc_hz() / 1e6,
		PAGES_NAME(has_huge));
	printf("%-10s %14s %8s %8s %14s   cycles of a request\n", "", "median", "lowest", "net",
		"requests/s net");
	for (unsigned way = 0; way < N_WAYS; way++) {
		const double net = cycles[way][n_tries / 2] - ref;

		if (way == OVER_UDP && o.value_len > VALUE_ONE)
			continue;
		printf("%-10s %14.0f %8.0f", names[way], cycles[way][n_tries / 2], cycles[way][0]);
		if (way != NOTHING)
			printf(" %8.0f %14.0f", net, (double)rte_get_tsc_hz() / net);
		printf("\n");
		free(cycles[way]);
	}
}

/* The instructions of a batch each way, and of the reference, once all connections have asked twice. */
static void count(void)
{
	static const char *const names[N_WAYS] = {
		"tcp_serve/get/tcp", "tcp_serve/get/udp", "tcp_serve/get, reference"};

	if (!instrcount_can())
		exit(1);
	for (unsigned way = 0; way < N_WAYS; way++) {
		for (uint32_t done = 0; done < 2 * o.n_conns; done += N_BURSTS * SHIM_BURST)
			batch((enum way)way);
		instrcount_begin();
		batch((enum way)way);
		instrcount_end(names[way], N_BURSTS * SHIM_BURST * o.depth);
	}
}

static void usage(void)
{
	fputs("usage: tcp_serve [--conns N] [--depth N] [--keys N] [--value BYTES] [--zipf SKEW] [--rounds N]\n"
	      "                 [--device none|checksums|chains|tso|tso-copied] [--count]\n"
	      "defaults: 10000, 1, 1000000, 32, 0.99, 9 rounds of 32 batches\n",
		stderr);
	exit(2);
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"conns", 1, NULL, 'n'}, {"depth", 1, NULL, 'd'},
		{"keys", 1, NULL, 'k'}, {"value", 1, NULL, 'v'}, {"zipf", 1, NULL, 'z'},
		{"rounds", 1, NULL, 'r'}, {"device", 1, NULL, 'D'}, {"count", 0, NULL, 'c'},
		{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		const double v = optarg != NULL ? strtod(optarg, NULL) : 0;

		switch (c) {
		case 'n':
			o.n_conns = (uint32_t)v;
			break;
		case 'd':
			o.depth = (uint32_t)v;
			break;
		case 'k':
			o.n_keys = (uint32_t)v;
			break;
		case 'v':
			o.value_len = (uint32_t)v;
			break;
		case 'z':
			o.skew = v;
			break;
		case 'r':
			o.n_rounds = (uint32_t)v;
			break;
		case 'c':
			o.is_counted = true;
			break;
		case 'D':
			o.writes_csums = strcmp(optarg, "none") != 0;
			o.takes_chains =
				strcmp(optarg, "chains") == 0 || strcmp(optarg, "tso") == 0;
			o.tso_mbufs = strncmp(optarg, "tso", 3) == 0 ? 64 : 0;
			break;
		default:
			usage();
		}
	}
	o.n_conns = (o.n_conns + SHIM_BURST - 1) / SHIM_BURST * SHIM_BURST;
	if (optind != argc || o.n_conns < SHIM_BURST || o.n_conns > 11000 || o.depth < 1
		|| o.depth > DEPTH_MAX || o.n_keys < 1 || o.n_rounds < 1 || o.value_len > VALUE_MAX)
		usage();
}

int main(int argc, char **argv)
{
	char program[] = "tcp_serve", no_huge[] = "--no-huge", no_pci[] = "--no-pci",
	     no_telemetry[] = "--no-telemetry", no_conf[] = "--no-shconf",
	     level[] = "--log-level=4", iova[] = "--iova-mode=va", m[] = "-m", mb[] = "1536",
	     lcores[] = "-l", zero[] = "0";
	char *eal[] = {program, no_huge, no_pci, no_telemetry, no_conf, level, iova, lcores, zero,
		m, mb, NULL};
	struct harness_params p = {.n_workers = 1,
		.n_queues = 1,
		.n_conns4 = 1024,
		.n_conns6 = 1024,
		.n_mbufs = N_MBUFS,
		.cache_mb = 600,
		.seed = 7};
	char head[64];

	parse(argc, argv);
	p.n_tcp_conns = o.n_conns + 64;
	p.n_tcp_bufs =
		48000; /* half of them for answers, and half of these for clients that have just come */
	if (rte_eal_init(11, eal) < 0)
		fail("DPDK does not start");
	has_huge = pages_advise();
	answer_len = (uint32_t)snprintf(
			     head, sizeof(head), "VALUE %16s 0 %u\r\nEND\r\n", "", o.value_len)
		+ o.value_len + 2;
	harness_init(&h, &p);
	h.ifaces.of[NORTH].writes_csums = o.writes_csums;
	h.ifaces.of[NORTH].takes_chains = o.takes_chains;
	h.ifaces.of[NORTH].tso_mbufs = o.tso_mbufs;
	configure();
	if (!keyload_fill(&h, o.n_keys, o.value_len))
		fail("an item could not be stored");
	draws = keyload_draw(o.n_keys, o.skew, N_ASKS);
	clients = shim_alloc(o.n_conns * sizeof(*clients));
	for (uint32_t i = 0; i < o.n_conns; i++)
		clients[i] =
			(struct client){.src = rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 1) + i % 1000),
				.sport = rte_cpu_to_be_16((uint16_t)(20000 + i / 1000)),
				.seq = i * 7919};
	if (rte_pktmbuf_alloc_bulk(h.pool, rx, SHIM_MBUFS) != 0
		|| rte_pktmbuf_alloc_bulk(h.pool, sent, SHIM_MBUFS) != 0)
		fail("no packet buffers");
	open_all();
	if (o.is_counted)
		count();
	else
		measure();
	return 0;
}
