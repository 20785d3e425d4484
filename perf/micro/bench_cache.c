/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_cache — memcached over UDP through the whole packet path: from a received buffer with a request to a sent one with its
 * answer, worker_poll() over in-memory ports as in bench_path.c, bursts of 32, one tick of the timers per batch.
 *
 * Clients are 1,000 addresses. Keys have 16 bytes; which are asked for, and which requests are sets, is drawn before. A cache has
 * room for half as much again as its items take. UDP checksums are there and checked in software, both ways.
 *
 * As a driver would, the generator fills 512 buffers in turn and takes new ones from the pool for those that were received; sent
 * ones go back to the pool 512 later. The reference does all that around a loop that only moves bursts.
 *
 * path/cache/stage/ is a part of the work alone: what stands under `net` is the part, the reference what has to be done before it.
 */
#include "base/csum.h"
#include "net/parse.h"
#include "proto/mc_udp.h"
#include "serve/servemc.h"
#include "serve/udpreply.h"
#include "world.h"

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <math.h>

#define N_BURSTS 256u /* per batch */
#define N_CLIENTS 1000u
#define NORTH 0u
#define PORT 11211u
#define KEY_LEN 16u
#define KEY_FIXED "key-0123" /* what differs is eight digits behind it */
#define L3 RTE_ETHER_HDR_LEN
#define L4 (L3 + sizeof(struct rte_ipv4_hdr))
#define PAYLOAD (L4 + sizeof(struct rte_udp_hdr))
#define TEXT (PAYLOAD + MC_UDP_HEADER)
#define CACHE_BYTES_MIN (128ull << 20)
#define N_ASKS (1u << 20) /* drawn requests of a stream, which goes round; more for more keys */

enum verb { GET, META };
enum part { WHOLE, PARSE, LOOKUP, REPLY };

#define KIND(verb, value_len, set_pct, is_zipf, stage) \
	((verb) << 28 | (stage) << 24 | (unsigned)(is_zipf) << 20 | (set_pct) << 12 | (value_len))

/* A frame with all but what ask differs in. */
struct template
{
	uint8_t bytes[1536];
	unsigned len, key_at;
	unsigned answer_len; /* of the frame that comes back */
};

struct ask {
	uint64_t digits; /* of the key */
	uint32_t src;
	rte_be16_t sport;
	uint16_t ip_csum, udp_csum;
	bool is_set;
};

struct cached {
	struct harness *h;
	struct template get, set;
	struct ask *asks;
	uint32_t n_asks, at;
	enum part stage;
	bool has_sets;
	uint64_t n_bytes;                  /* of answers to what was sent in this batch */
	struct rte_mbuf *rx[SHIM_MBUFS];   /* the receive ring's */
	struct rte_mbuf *sent[SHIM_MBUFS]; /* the transmit ring's */
	unsigned rx_at, sent_at;
	struct burst burst; /* of a stage */
	struct mc_request requests[SHIM_BURST];
	uint8_t copies[SHIM_BURST][320]; /* of requests, for the stages */
	uint16_t copy_lens[SHIM_BURST];
};

static struct cached cached;

/* The cache that is there, and what is in it. */
static struct {
	uint32_t n, value_len;
	bool is_worn; /* by sets: something may have been given up */
	struct mr_object cache, service, clients;
} filled;

/* --- what is in the world --- */

static void take_out(struct harness *h)
{
	const struct mr_object *const all[] = {&filled.clients, &filled.service, &filled.cache};
	struct mr_error err;
	char key[256];

	if (filled.n == 0)
		return;
	for (unsigned i = 0; i < RTE_DIM(all); i++)
		model_del(h->model, mr_object_key_text(all[i], key, sizeof(key)));
	filled.n = 0;
	if (harness_apply(h, &err) != 0)
		fprintf(stderr, "bench_cache: %s: %s\n", err.object, err.message);
}

static bool put_in(struct harness *h, uint32_t n, uint32_t value_len)
{
	const uint64_t item =
		item_size(KEY_LEN, value_len, 0) + 10; /* and its place in the index */
	struct mr_error err;

	filled.cache = (struct mr_object){.type = MR_OBJ_CACHE,
		.cache = {.name = "cache",
			.memory_bytes = RTE_MAX(n * item * 3 / 2, CACHE_BYTES_MIN),
			.eviction = MR_EVICTION_S3FIFO,
			.item_bytes = KEY_LEN + value_len}};
	filled.service = (struct mr_object){.type = MR_OBJ_SERVICE,
		.service = {.name = "cached",
			.vip = {.family = 4, .bytes = {10, 9, 200, 1}},
			.port = PORT,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_MAGLEV,
			.cache = "cache",
			.reply_rate = MR_REPLY_RATE_MAX_KB}};
	filled.clients = (struct mr_object){.type = MR_OBJ_ACL,
		.acl = {.service = "cached",
			.ip = {.family = 4, .bytes = {172, 16}},
			.prefix_len = 12,
			.action = MR_ACL_ALLOW}};
	model_put(h->model, &filled.cache);
	model_put(h->model, &filled.service);
	model_put(h->model, &filled.clients);
	filled.n = n;
	filled.value_len = value_len;
	if (harness_apply(h, &err) == 0)
		return true;
	fprintf(stderr, "bench_cache: %s: %s\n", err.object, err.message);
	return false;
}

/* --- requests --- */

static void template_init(struct template *t, const char *line, unsigned value_len, bool has_value)
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

	memset(t, 0, sizeof(*t));
	memcpy(t->bytes + TEXT, line, n);
	if (has_value) {
		memset(t->bytes + TEXT + n, 'x', value_len);
		memcpy(t->bytes + TEXT + n + value_len, "\r\n", 2);
		n += value_len + 2;
	}
	t->len = (unsigned)TEXT + n;
	t->key_at = (unsigned)TEXT
		+ (unsigned)(strstr(line, KEY_FIXED) - line + (int)strlen(KEY_FIXED));
	mc_udp_build(t->bytes + PAYLOAD, 7, 0, 1);
	udp.dgram_len = rte_cpu_to_be_16((uint16_t)(t->len - L4));
	ip.total_length = rte_cpu_to_be_16((uint16_t)(t->len - L3));
	memcpy(t->bytes, &eth, sizeof(eth));
	memcpy(t->bytes + L3, &ip, sizeof(ip));
	memcpy(t->bytes + L4, &udp, sizeof(udp));
}

static void templates_init(struct cached *x, enum verb verb, unsigned value_len)
{
	static const char key[] = KEY_FIXED "00000000";
	char line[128], head[64];

	snprintf(line, sizeof(line), verb == META ? "mg %s v\r\n" : "get %s\r\n", key);
	template_init(&x->get, line, value_len, false);
	if (verb == META)
		snprintf(head, sizeof(head), "VA %u\r\n", value_len);
	else
		snprintf(head, sizeof(head), "VALUE %s 0 %u\r\nEND\r\n", key, value_len);
	x->get.answer_len = (unsigned)(TEXT + strlen(head)) + value_len + 2;
	snprintf(line, sizeof(line), "set %s 0 0 %u\r\n", key, value_len);
	template_init(&x->set, line, value_len, true);
	x->set.answer_len = (unsigned)(TEXT + strlen("STORED\r\n"));
}

static uint64_t digits_of(uint32_t key)
{
	uint64_t digits;
	char text[9];

	snprintf(text, sizeof(text), "%08x", key);
	memcpy(&digits, text, sizeof(digits));
	return digits;
}

static void write_ask(const struct ask *a, const struct template *t, uint8_t *to)
{
	memcpy(to, t->bytes, t->len);
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, src_addr), &a->src, sizeof(a->src));
	memcpy(to + L3 + offsetof(struct rte_ipv4_hdr, hdr_checksum), &a->ip_csum, 2);
	memcpy(to + L4 + offsetof(struct rte_udp_hdr, src_port), &a->sport, 2);
	memcpy(to + L4 + offsetof(struct rte_udp_hdr, dgram_cksum), &a->udp_csum, 2);
	memcpy(to + t->key_at, &a->digits, sizeof(a->digits));
}

static void ask_init(
	const struct cached *x, struct ask *a, uint32_t key, bool is_set, uint64_t random)
{
	const struct template *t = is_set ? &x->set : &x->get;
	uint8_t frame[sizeof(t->bytes)];
	uint16_t sum;

	*a = (struct ask){.digits = digits_of(key),
		.is_set = is_set,
		.src = rte_cpu_to_be_32(RTE_IPV4(172, 16, 0, 1) + (uint32_t)random % N_CLIENTS),
		.sport = rte_cpu_to_be_16((uint16_t)(20000 + (random >> 32) % 1000))};
	write_ask(a, t, frame);
	a->ip_csum = csum_of(frame + L3, sizeof(struct rte_ipv4_hdr));
	sum = csum_l4(frame + L3 + 12, frame + L3 + 16, 4, IPPROTO_UDP, frame + L4,
		t->len - (uint32_t)L4);
	a->udp_csum = sum != 0 ? sum : 0xffff;
}

/* --- which keys --- */

/* The sums of the popularities of keys 0 to n-1, NULL: they are all alike. */
static double *popularity(uint32_t n, bool is_zipf)
{
	double *sums, sum = 0;

	if (!is_zipf)
		return NULL;
	sums = shim_alloc(n * sizeof(*sums));
	for (uint32_t i = 0; i < n; i++)
		sums[i] = sum += pow((double)i + 1, -0.99);
	return sums;
}

static uint32_t draw(const double *sums, uint32_t n, uint64_t random)
{
	uint32_t low = 0, high = n - 1;
	double want;

	if (sums == NULL)
		return (uint32_t)((random >> 32) * n >> 32);
	want = (double)(random >> 11) * 0x1p-53 * sums[n - 1];
	while (low < high) {
		const uint32_t mid = low + (high - low) / 2;

		if (sums[mid] <= want)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void draw_asks(struct cached *x, uint32_t n, unsigned set_pct, bool is_zipf)
{
	double *sums = popularity(n, is_zipf);
	uint64_t seed = 23;

	free(x->asks);
	x->n_asks = n > 4 * N_ASKS ? 4 * N_ASKS : N_ASKS;
	x->asks = shim_alloc(x->n_asks * sizeof(*x->asks));
	x->at = 0;
	for (uint32_t i = 0; i < x->n_asks; i++) {
		const uint32_t key = draw(sums, n, shim_random(&seed));
		const bool is_set = shim_random(&seed) % 100 < set_pct;

		ask_init(x, &x->asks[i], key, is_set, shim_random(&seed));
	}
	free(sums);
}

/* --- in and out --- */

static void emit(struct cached *x, struct rte_mbuf *m)
{
	const struct ask *a = &x->asks[x->at];
	const struct template *t = a->is_set ? &x->set : &x->get;

	write_ask(a, t, rte_pktmbuf_mtod(m, uint8_t *));
	m->data_len = (uint16_t)t->len;
	m->pkt_len = t->len;
	x->n_bytes += t->answer_len;
	x->at = x->at + 1 == x->n_asks ? 0 : x->at + 1;
}

static void fill_rings(struct cached *x)
{
	if (x->rx[0] != NULL)
		return;
	if (rte_pktmbuf_alloc_bulk(x->h->pool, x->rx, SHIM_MBUFS) != 0
		|| rte_pktmbuf_alloc_bulk(x->h->pool, x->sent, SHIM_MBUFS) != 0) {
		fprintf(stderr, "bench_cache: no packet buffers\n");
		exit(2);
	}
}

static struct rte_mbuf **write_burst(struct cached *x)
{
	struct rte_mbuf **m = &x->rx[x->rx_at];

	for (unsigned i = 0; i < SHIM_BURST; i++)
		emit(x, m[i]);
	x->rx_at = (x->rx_at + SHIM_BURST) % SHIM_MBUFS;
	return m;
}

static void feed(struct cached *x)
{
	struct rte_mbuf **m = write_burst(x);

	rte_ring_enqueue_bulk(x->h->rx[NORTH][0], (void **)m, SHIM_BURST, NULL);
	if (rte_pktmbuf_alloc_bulk(x->h->pool, m, SHIM_BURST) != 0) {
		fprintf(stderr, "bench_cache: packet buffers get lost\n");
		exit(2);
	}
}

/* Returns the bytes of what was sent. */
static uint64_t take(struct cached *x)
{
	struct rte_mbuf **m = &x->sent[x->sent_at];
	uint64_t n_bytes = 0;
	void *got[SHIM_BURST];
	const unsigned n = rte_ring_dequeue_bulk(x->h->tx[NORTH][0], got, SHIM_BURST, NULL);

	if (n != SHIM_BURST)
		return 0;
	rte_pktmbuf_free_bulk(m, SHIM_BURST);
	memcpy(m, got, sizeof(got));
	for (unsigned i = 0; i < SHIM_BURST; i++)
		n_bytes += m[i]->pkt_len;
	x->sent_at = (x->sent_at + SHIM_BURST) % SHIM_MBUFS;
	return n_bytes;
}

static unsigned serve(void *ctx)
{
	struct cached *x = ctx;
	uint64_t n_bytes = 0;

	x->h->now_ms++;
	x->n_bytes = 0;
	for (unsigned r = 0; r < N_BURSTS; r++) {
		feed(x);
		worker_poll(x->h->workers[0], x->h->now_ms * 1000ull);
		n_bytes += take(x);
	}
	/* Every get was a hit. Where something is stored all the time, a policy may give up an item now and then. */
	if (x->has_sets ? n_bytes < x->n_bytes / 100 * 90 : n_bytes != x->n_bytes)
		return 0;
	return N_BURSTS * SHIM_BURST;
}

static unsigned io_forward(void *ctx)
{
	struct cached *x = ctx;
	const uint16_t nic = x->h->ifaces.of[NORTH].nics[0];
	uint64_t n_bytes = 0;

	for (unsigned r = 0; r < N_BURSTS; r++) {
		struct rte_mbuf *m[BURST_MAX];
		uint16_t n_rx;

		feed(x);
		n_rx = rte_eth_rx_burst(nic, 0, m, BURST_MAX);
		rte_eth_tx_burst(nic, 0, m, n_rx);
		n_bytes += take(x);
	}
	return n_bytes != 0 ? N_BURSTS * SHIM_BURST : 0;
}

/* --- stages --- */

/* What worker_poll() has found out before the first stage. */
static void receive(struct cached *x)
{
	struct burst *b = &x->burst;

	memcpy(b->m, write_burst(x), SHIM_BURST * sizeof(b->m[0]));
	b->n = SHIM_BURST;
	parse_burst(b, &x->h->ifaces.of[NORTH].mac, NORTH);
}

static void parse(struct cached *x)
{
	const struct mc_limits limits = {.value_max = MR_CACHE_VALUE_MAX, .is_datagram = true};

	for (unsigned i = 0; i < SHIM_BURST; i++) {
		const struct rte_mbuf *m = x->burst.m[i];
		const uint32_t len = m->data_len - (uint32_t)TEXT;

		memcpy(x->copies[i], rte_pktmbuf_mtod_offset(m, const uint8_t *, TEXT), len);
		x->copy_lens[i] = (uint16_t)len;
		mc_parse(&x->requests[i], x->copies[i], len, &limits);
	}
}

static void reply(struct cached *x, const struct servemc *s, const struct assoc_probe *probes)
{
	struct udpreply_stock stock;

	udpreply_stock_take(&stock, x->h->pool, 0);
	for (unsigned i = 0; i < SHIM_BURST; i++) {
		const struct udpreply_request request = {
			.i = i, .id = 7, .copy = x->copies[i], .copy_len = x->copy_lens[i]};
		struct udpreply a;

		udpreply_init(&a, &stock, x->h->workers[0], &x->burst, &request);
		udpreply_begin(&a, true);
		servemc_answer(s, &x->requests[i], &probes[i], &a.out);
		if (udpreply_end(&a))
			udpreply_seal(&a); /* in the request's buffer, which is written anew */
		x->n_bytes -= a.n_bytes;
	}
}

static unsigned up_to(struct cached *x, enum part stage)
{
	const struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), "cache");
	struct servemc s = {
		.kv = c->kv, .writer = kv_writer_of(c->kv, 0), .value_max = MR_CACHE_VALUE_MAX};
	struct assoc_probe probes[SHIM_BURST];

	x->n_bytes = 0;
	for (unsigned r = 0; r < N_BURSTS; r++) {
		receive(x);
		if (stage >= PARSE)
			parse(x);
		for (unsigned i = 0; stage >= LOOKUP && i < SHIM_BURST; i++)
			servemc_probe(&x->requests[i], &probes[i]);
		if (stage >= LOOKUP)
			kv_get_bulk(s.writer, probes, SHIM_BURST);
		if (stage >= REPLY)
			reply(x, &s, probes);
	}
	return stage < REPLY || x->n_bytes == 0 ? N_BURSTS * SHIM_BURST : 0;
}

static unsigned with_stage(void *ctx)
{
	struct cached *x = ctx;

	return up_to(x, x->stage);
}

static unsigned without_stage(void *ctx)
{
	struct cached *x = ctx;

	return up_to(x, x->stage - 1);
}

/* --- cases --- */

/* Stores every key, in random order, the way clients do. */
static bool fill(struct cached *x, uint32_t n)
{
	uint32_t *order = shim_shuffled(n);
	bool is_ok = true;

	free(x->asks);
	x->n_asks = (n + SHIM_BURST - 1) / SHIM_BURST * SHIM_BURST;
	x->asks = shim_alloc(x->n_asks * sizeof(*x->asks));
	x->at = 0;
	for (uint32_t i = 0; i < x->n_asks; i++)
		ask_init(x, &x->asks[i], order[i % n], true, i);
	for (uint32_t done = 0; is_ok && done < x->n_asks; done += SHIM_BURST) {
		x->n_bytes = 0;
		feed(x);
		x->h->now_ms += done % 65536 == 0;
		worker_poll(x->h->workers[0], x->h->now_ms * 1000ull);
		is_ok = take(x) == x->n_bytes;
	}
	free(order);
	if (!is_ok)
		fprintf(stderr, "bench_cache: an item could not be stored\n");
	return is_ok;
}

static void *up(const struct bench_case *c)
{
	const unsigned value_len = c->kind & 0xfff, set_pct = c->kind >> 12 & 0xff;
	struct cached *x = &cached;

	x->h = world_get(false);
	if (x->h == NULL)
		return NULL;
	fill_rings(x);
	x->stage = (enum part)(c->kind >> 24 & 0xf);
	templates_init(x, (enum verb)(c->kind >> 28), value_len);
	x->has_sets = set_pct > 0;
	if (filled.n != c->size || filled.value_len != value_len
		|| (filled.is_worn && !x->has_sets)) {
		take_out(x->h);
		if (!put_in(x->h, c->size, value_len) || !fill(x, c->size)) {
			take_out(x->h);
			return NULL;
		}
		filled.is_worn = false;
	}
	filled.is_worn |= x->has_sets;
	draw_asks(x, c->size, set_pct, c->kind >> 20 & 1);
	return x;
}

static void down(void *ctx)
{
	(void)ctx;
}

#define ROW(text, verb, size_, value_len, set_pct, is_zipf) \
	{ \
		.name = "path/cache/" text, .size = (size_), \
		.kind = KIND(verb, value_len, set_pct, is_zipf, WHOLE), .up = up, .run = serve, \
		.ref = io_forward, .down = down, .reference = "rx burst, tx burst", .is_net = true \
	}
/* Names: what is asked for, how many sets among it, keys, bytes of a value, how keys are drawn. Lookups are first: sets wear a cache. */
#define SETS(pct, size_text, size, value_len) \
	ROW("set-" #pct "/" size_text "/" #value_len "/zipf", GET, size, value_len, pct, true), \
		ROW("set-" #pct "/" size_text "/" #value_len "/uniform", GET, size, value_len, \
			pct, false)
#define DRAWS(size_text, size, value_len) \
	ROW("get/" size_text "/" #value_len "/zipf", GET, size, value_len, 0, true), \
		ROW("get/" size_text "/" #value_len "/uniform", GET, size, value_len, 0, false), \
		SETS(5, size_text, size, value_len), SETS(50, size_text, size, value_len)
#define MGET(size_text, size, value_len) \
	ROW("mg/" size_text "/" #value_len "/zipf", META, size, value_len, 0, true), \
		ROW("mg/" size_text "/" #value_len "/uniform", META, size, value_len, 0, false)
#define STAGE(text, stage, before) \
	{ \
		.name = "path/cache/stage/" text, .size = 1000000, \
		.kind = KIND(GET, 32, 0, true, stage), .up = up, .run = with_stage, \
		.ref = without_stage, .down = down, .reference = before, .is_net = true \
	}

static const struct bench_case cases[] = {
	MGET("10k", 10000, 32),
	DRAWS("10k", 10000, 32),
	DRAWS("10k", 10000, 512),
	DRAWS("10k", 10000, 1300),
	STAGE("parse", PARSE, "frame written, parsed up to UDP"),
	STAGE("lookup", LOOKUP, "... and the request parsed"),
	STAGE("reply", REPLY, "... and its key looked up"),
	MGET("1M", 1000000, 32),
	DRAWS("1M", 1000000, 32),
	DRAWS("1M", 1000000, 512),
};
static const struct bench_case large[] = {
	DRAWS("1M", 1000000, 1300),
	MGET("10M", 10000000, 32),
	DRAWS("10M", 10000000, 32),
};
BENCH_SUBJECT(bench_cache_large, large);
BENCH_SUBJECT(bench_cache, cases);
