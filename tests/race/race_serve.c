/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two workers serve caches while the manager changes everything about them that may change: generations with other times against
 * stampedes, a cache and its service that come and go, purges, and figures that are summed. Each worker's thread is its own
 * client, by rings that nobody else uses. A value says which key it is of and has one byte in all the rest of it; what both
 * workers have counted up in a cache that nobody purges must be as much as they were told.
 */
#include "base/clock.h"
#include "base/csum.h"
#include "base/tsan.h"
#include "eal.h"
#include "harness.h"
#include "race.h"

#include <rte_ip.h>
#include <rte_udp.h>

#include <inttypes.h>

#define THREADS 2u
#define RUN_MS 3000u
#define KEYS 400u
#define VALUE_MAX 1200u
#define BATCH 24u
#define HEADERS (14u + 20u + 8u + 8u)

enum { HOT = 11211, SUMS = 11212, SIDE = 11213 }; /* ports, of one cache each */

#ifdef TSAN_BUILD
#define IS_TSAN 1
/* A token that was passed before is read plainly there, and written atomically. */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:rte_rcu_qsbr_check\n";
}
#else
#define IS_TSAN 0
#endif

struct client {
	unsigned id;
	uint64_t rnd;
	struct rte_mempool *pool;
	uint64_t n_sent, n_answers, n_hits, n_counted;
};

static struct harness h;
static struct client clients[THREADS];
static pthread_barrier_t end;
static bool is_over;

/* --- a client --- */

/* Where TSan looks on, a port of a flow that the client's worker owns: of what pools order when another worker frees a buffer it
 * sees nothing. Else any. */
static uint16_t flow_to(struct client *c, uint16_t port)
{
	struct pkt p = {.family = 4, .proto = IPPROTO_UDP, .dport = rte_cpu_to_be_16(port)};
	uint16_t flow;

	memcpy(p.src, "\12\1\0\12", 4);
	memcpy(p.dst, "\12\1\0\143", 4);
	do {
		flow = (uint16_t)(40000 + race_random(&c->rnd) % 64);
		p.sport = rte_cpu_to_be_16(flow);
	} while (IS_TSAN && NIC_RSS_OWNER(nic_softrss(&p), THREADS) != c->id);
	return flow;
}

static void send_request(struct client *c, uint16_t port, const void *request, uint32_t n)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(c->pool);
	struct rte_ether_hdr *eh;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *uh;

	RACE_CHECK(m != NULL, "no buffer");
	eh = (void *)rte_pktmbuf_append(m, (uint16_t)(HEADERS + n));
	ip = (void *)(eh + 1);
	uh = (void *)(ip + 1);
	*eh = (struct rte_ether_hdr){.dst_addr = h.ifaces.of[0].mac,
		.src_addr = {.addr_bytes = {2, 0xbb, 0, 0, 0, (uint8_t)c->id}},
		.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(HEADERS - 14 + n)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 10)),
		.dst_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 99))};
	ip->hdr_checksum = csum_of(ip, sizeof(*ip));
	*uh = (struct rte_udp_hdr){.src_port = rte_cpu_to_be_16(flow_to(c, port)),
		.dst_port = rte_cpu_to_be_16(port),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(16 + n))};
	memcpy(uh + 1, "\0\7\0\0\0\1\0\0", 8);
	memcpy((char *)(uh + 1) + 8, request, n);
	harness_receive(&h, 0, c->id, m);
	c->n_sent++;
}

__attribute__((format(printf, 3, 4))) static void ask(
	struct client *c, uint16_t port, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	send_request(c, port, text, (uint32_t)vsnprintf(text, sizeof(text), format, ap));
	va_end(ap);
}

static void ask_set(struct client *c, uint16_t port)
{
	static const int times[] = {0, 0, 0, 1, 2, 3, -1};
	const uint32_t key = race_random(&c->rnd) % KEYS,
		       len = 8
		+ race_random(&c->rnd) % (race_random(&c->rnd) % 8 ? 60 : VALUE_MAX - 8);
	char text[VALUE_MAX + 100];
	const int at = snprintf(text, sizeof(text), "set k:%u 0 %d %u\r\n%08u", key,
		times[race_random(&c->rnd) % RTE_DIM(times)], len, key);

	memset(text + at, 'a' + (int)(race_random(&c->rnd) % 26), len - 8);
	memcpy(text + at + len - 8, "\r\n", 2);
	send_request(c, port, text, (uint32_t)at + len - 6);
}

static void ask_something(struct client *c)
{
	const uint16_t port = race_random(&c->rnd) % 4 ? HOT : SIDE;
	const uint32_t key = race_random(&c->rnd) % KEYS, other = race_random(&c->rnd) % KEYS;

	switch (race_random(&c->rnd) % 16) {
	case 0:
		ask(c, port, "delete k:%u\r\n", key);
		break;
	case 1:
		ask(c, port, "md k:%u I T3\r\n", key);
		break;
	case 2:
		ask(c, port, "gat 2 k:%u k:%u\r\n", key, other);
		break;
	case 3:
		ask(c, port, "mg k:%u k v N3 R2\r\n", key); /* a new one is empty: below 8 bytes */
		break;
	case 4:
		ask(c, SUMS, "incr sum 1\r\n");
		break;
	case 5:
		if (race_random(&c->rnd) % 64 == 0)
			ask(c, port, "flush_all\r\nstats\r\n");
		else
			ask(c, port, "touch k:%u 2\r\n", key);
		break;
	case 6:
	case 7:
	case 8:
		ask_set(c, port);
		break;
	case 9:
		ask(c, port, "get k:%u k:%u\r\nmg k:%u k v t c\r\n", key, other, key);
		break;
	default:
		ask(c, port, "get k:%u\r\n", key);
	}
}

static bool is_of(uint32_t key, const char *v, uint32_t len)
{
	char digits[9];
	uint32_t i = 9;

	snprintf(digits, sizeof(digits), "%08u", key);
	while (i < len && v[i] == v[8])
		i++;
	return len >= 8 && memcmp(v, digits, 8) == 0 && i >= len;
}

static void look_at_value(uint32_t key, const char *v, uint32_t len, const char *text_end)
{
	RACE_CHECK(v + len + 2 <= text_end && v[len] == '\r' && v[len + 1] == '\n',
		"key %u: a value of %u bytes does not end", key, len);
	if (len == 0)
		return;
	RACE_CHECK(is_of(key, v, len), "key %u: %u bytes, %.*s", key, len, (int)len, v);
}

/* Of one datagram; answers of two begin with lines of it as well. */
static void look(struct client *c, const struct rte_mbuf *m)
{
	static __thread char text[2048];
	const uint32_t n = m->pkt_len - HEADERS;
	unsigned key, len;
	char *v;

	RACE_CHECK(m->pkt_len > HEADERS && n < sizeof(text), "an answer of %u bytes", m->pkt_len);
	memcpy(text, rte_pktmbuf_mtod_offset(m, const char *, HEADERS), n);
	text[n] = '\0';
	c->n_answers++;
	v = strstr(text, "\r\n");
	RACE_CHECK(v != NULL, "no line: %.60s", text);
	if (sscanf(text, "VALUE k:%u 0 %u", &key, &len) == 2
		|| sscanf(text, "VA %u kk:%u", &len, &key) == 2) {
		look_at_value(key, v + 2, len, text + n);
		c->n_hits++;
	} else if (text[0] >= '0' && text[0] <= '9') {
		c->n_counted++;
	} else {
		RACE_CHECK(strstr(text, "ERROR") == NULL || strstr(text, "out of memory") != NULL,
			"%.60s", text);
	}
}

static void take_answers(struct client *c)
{
	void *m;

	while (rte_ring_dequeue(h.tx[0][c->id], &m) == 0) {
		look(c, m);
		rte_pktmbuf_free(m);
	}
}

static void *body(void *arg)
{
	struct client *c = arg;
	struct worker *w = h.workers[c->id];
	timer_t timer;

	snapshot_reader_up(c->id);
	timer = race_make_timer();
	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		const unsigned n = 1 + race_random(&c->rnd) % BATCH;

		for (unsigned i = 0; i < n; i++)
			ask_something(c);
		if (race_random(&c->rnd) % 4 == 0)
			race_interrupt(timer, race_random(&c->rnd));
		while (worker_poll(w, clock_us()) > 0)
			take_answers(c);
		take_answers(c);
	}
	timer_delete(timer);
	snapshot_offline();
	pthread_barrier_wait(&end);
	snapshot_online();
	do { /* what was handed over before all came to the end */
		worker_poll(w, clock_us());
		take_answers(c);
	} while (mailbox_count(h.mail) > 0);
	snapshot_offline();
	/* TSan does not see what unregistering orders: not while others serve */
	pthread_barrier_wait(&end);
	snapshot_online();
	snapshot_reader_down();
	return NULL;
}

/* --- the manager --- */

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	RACE_CHECK(mr_ip_parse(&ip, text) == 0, "%s", text);
	return ip;
}

static void put(const struct mr_object *o)
{
	RACE_CHECK(model_put(h.model, o) == 0, "no memory");
}

static void put_cache(const char *name, uint32_t mb, unsigned times)
{
	struct mr_object o = {.type = MR_OBJ_CACHE,
		.cache = {.memory_bytes = (uint64_t)mb << 20,
			.eviction = MR_EVICTION_S3FIFO,
			.value_max = VALUE_MAX,
			.lease_ms = times & 1 ? 50 : 0,
			.early_pct = times & 2 ? 200 : 0,
			.stale_s = times & 4 ? 1 : 0}};

	snprintf(o.cache.name, sizeof(o.cache.name), "%s", name);
	put(&o);
}

static void put_service(const char *cache, uint16_t port)
{
	struct mr_object o = {.type = MR_OBJ_SERVICE,
		.service = {.vip = ip_of("10.1.0.99"),
			.port = port,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.reply_rate = MR_REPLY_RATE_MAX_KB}};
	struct mr_object acl = {.type = MR_OBJ_ACL,
		.acl = {.ip = ip_of("10.1.0.0"), .prefix_len = 24, .action = MR_ACL_ALLOW}};

	snprintf(o.service.name, sizeof(o.service.name), "%s", cache);
	snprintf(o.service.cache, sizeof(o.service.cache), "%s", cache);
	snprintf(acl.acl.service, sizeof(acl.acl.service), "%s", cache);
	put(&o);
	put(&acl);
}

static void apply(void)
{
	struct mr_error err;

	h.now_ms = clock_ms();
	RACE_CHECK(harness_apply(&h, &err) == 0, "%s: %s", err.object, err.message);
}

static void configure(void)
{
	struct mr_object addr = {
		.type = MR_OBJ_ADDR, .addr = {.ip = ip_of("10.1.0.1"), .prefix_len = 24}};
	static const struct mr_object settings = {.type = MR_OBJ_SETTINGS};

	snprintf(addr.addr.port, sizeof(addr.addr.port), "north");
	put(&settings);
	put(&addr);
	put_cache("hot", 2, 7);
	put_cache("sums", 2, 0);
	put_service("hot", HOT);
	put_service("sums", SUMS);
	apply();
}

static void change_side(unsigned turn)
{
	if (model_del(h.model, "service/side") == 0) {
		model_del(h.model, "acl/side/10.1.0.0/24");
		model_del(h.model, "cache/side");
	} else {
		put_cache("side", 2 + turn % 2, turn);
		put_service("side", SIDE);
	}
}

static struct cache *find(const char *name)
{
	return serveconf_find(serve_conf_of(snapshot_get()), name);
}

static void purge(unsigned turn)
{
	struct kv_writer *w = cacheset_enter(h.env.caches, find("hot"));
	char prefix[16];
	const struct kv_key key =
		kv_key_of(prefix, (uint32_t)snprintf(prefix, sizeof(prefix), "k:%u", turn % KEYS));
	const struct item *it = kv_get_peek(w, &key);

	if (it != NULL && item_value_len(it) > 0)
		RACE_CHECK(is_of(turn % KEYS, (const char *)item_value(it), item_value_len(it)),
			"key %u: %u bytes, %.*s", turn % KEYS, item_value_len(it),
			(int)item_value_len(it), (const char *)item_value(it));
	kv_purge(w, prefix, turn % 8 ? key.len : 3);
	cacheset_leave(h.env.caches);
}

static uint64_t sum_figures(void)
{
	const struct serve_conf *c = serve_conf_of(snapshot_get());
	struct hotkey_top top[8];
	struct histogram latency;
	struct kv_stats stats;
	struct kv_usage usage;
	uint64_t n = 0;

	for (unsigned i = 0; i < c->n_caches; i++) {
		kv_stats_sum(c->caches[i]->kv, &stats);
		kv_usage(c->caches[i]->kv, &usage);
		n += cacheset_hot(h.env.caches, c->caches[i], top, RTE_DIM(top));
		for (unsigned k = 0; k < CACHE_N_KINDS; k++)
			cacheset_latency(h.env.caches, c->caches[i], (enum cache_kind)k, &latency);
	}
	for (unsigned w = 0; w < h.n_workers; w++)
		for (uint32_t i = 0; i < c->n_services; i++)
			n += __atomic_load_n(&serve_worker_tally(h.workers[w]->serve, i)->requests,
				__ATOMIC_RELAXED);
	return n;
}

static unsigned manage(void)
{
	const uint32_t start = clock_ms();
	unsigned turn = 0;

	for (; clock_ms() - start < RUN_MS; turn++) {
		if (turn % 4 == 0)
			change_side(turn / 4);
		if (turn % 2 == 0) {
			put_cache("hot", 2, turn);
			put_cache("sums", 2, turn + 1);
			apply();
		}
		purge(turn);
		RACE_CHECK(sum_figures() > 0 || turn < 100, "nothing is served");
		usleep(1000);
	}
	return turn;
}

static void check_sums(uint64_t n)
{
	struct kv_writer *w = cacheset_enter(h.env.caches, find("sums"));
	const struct kv_key key = kv_key_of("sum", 3);
	struct kv_counted counted;

	RACE_CHECK(kv_count(w, &key, &(struct kv_count){0}, &counted) == KV_OK, "the sum is gone");
	RACE_CHECK(counted.value == n, "%" PRIu64 " counted, %" PRIu64 " told", counted.value, n);
	cacheset_leave(h.env.caches);
	for (unsigned i = 0; i < 2; i++)
		kv_check(find(i == 0 ? "hot" : "sums")->kv);
}

static void store_zero(void)
{
	struct kv_writer *w = cacheset_enter(h.env.caches, find("sums"));
	const struct kv_key key = kv_key_of("sum", 3);
	const struct kv_store s = {.value = "0", .value_len = 1};

	RACE_CHECK(kv_store(w, &key, &s, NULL) == KV_OK, "set");
	cacheset_leave(h.env.caches);
}

int main(void)
{
	const struct harness_params p = {.n_workers = THREADS,
		.n_queues = THREADS,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 511,
		.n_neighs = 64,
		.cache_mb = 16};
	pthread_t threads[THREADS];
	struct tally sum;
	unsigned n_turns;

	RACE_CHECK(eal_start("race_serve", 192) == 0, "EAL did not start");
	harness_init(&h, &p);
	snapshot_reader_down(); /* this thread is the manager alone */
	configure();
	store_zero();
	pthread_barrier_init(&end, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "client%u", i);
		clients[i] = (struct client){.id = i,
			.rnd = i + 99,
			.pool = rte_pktmbuf_pool_create(name, 2047, 0, BURST_MBUF_PRIV,
				RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY)};
		RACE_CHECK(clients[i].pool != NULL, "no pool");
		threads[i] = race_start(body, &clients[i]);
	}
	n_turns = manage();
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		printf("worker %u: %" PRIu64 " requests, %" PRIu64 " answers, %" PRIu64
		       " values, %" PRIu64 " counted\n",
			i, clients[i].n_sent, clients[i].n_answers, clients[i].n_hits,
			clients[i].n_counted);
		RACE_CHECK(clients[i].n_hits > 100 && clients[i].n_counted > 100,
			"too little was served");
		RACE_CHECK(rte_mempool_in_use_count(clients[i].pool) == 0, "%u buffers are missing",
			rte_mempool_in_use_count(clients[i].pool));
	}
	printf("%u turns of the manager, generation %" PRIu64 "\n", n_turns, h.generation);
	check_sums(clients[0].n_counted + clients[1].n_counted);
	snapshot_reader_up(0);
	RACE_CHECK(harness_balanced(&h, &sum), "packets are missing");
	harness_fini(&h);
	return 0;
}
