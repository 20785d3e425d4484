/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CACHES, CACHE_GET and CACHE_PURGE from the socket to a cache and back: what is told of it is what is in it, looking at a key changes
 * nothing, a purge is of what was said.
 */
#include "api/server_pvt.h"
#include "eal.h"
#include "harness.h"
#include "millrace/api_cache.h"
#include "serve/serveconf.h"
#include "unit.h"

#include <rte_cycles.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ROWS_MAX 256u

static struct harness h;
static struct api_server *server;
static char dir[] = "/tmp/millrace-cachereq.XXXXXX", path[64];
static int fd;

/* What the last request was answered. */
static struct mr_cache_row caches[ROWS_MAX];
static struct mr_cache_value_row value;
static struct mr_cache_hotkey_row hots[ROWS_MAX];
static struct mr_cache_latency_row times[ROWS_MAX];
static struct mr_cache_bigkey_row bigs[ROWS_MAX];
static unsigned n_rows;
static bool is_error;
static struct mr_error refusal;

static uint32_t now_ms(void)
{
	return h.now_ms;
}

/* --- the socket --- */

static void send_request(enum mr_request type, const struct mr_msg *msg, const void *object)
{
	uint8_t buf[4096];
	struct mr_writer w;
	uint32_t at;

	mr_writer_init(&w, buf, sizeof(buf));
	at = mr_frame_begin(&w, (uint16_t)type, 0, 1);
	mr_msg_encode(&w, msg, object);
	assert_int_equal(mr_frame_end(&w, at), 0);
	assert_int_equal(send(fd, buf, w.len, MSG_NOSIGNAL), w.len);
}

static void decode(const struct mr_frame *f, const struct mr_msg *msg, void *row)
{
	const struct mr_field *bad;

	assert_int_equal(mr_msg_decode(msg, row, f->body, f->body_len, &bad), 0);
}

static void take_frame(const struct mr_frame *f)
{
	if (f->flags & MR_F_ERROR) {
		is_error = true;
		decode(f, &mr_error_msg, &refusal);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CACHES) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_cache_row_msg, &caches[n_rows++]);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CACHE_GET) {
		decode(f, &mr_cache_value_row_msg, &value);
		n_rows++;
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CACHE_HOTKEYS) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_cache_hotkey_row_msg, &hots[n_rows++]);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CACHE_BIGKEYS) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_cache_bigkey_row_msg, &bigs[n_rows++]);
	} else if (f->flags & MR_F_MORE && f->type == MR_REQ_CACHE_LATENCY) {
		assert_true(n_rows < ROWS_MAX);
		decode(f, &mr_cache_latency_row_msg, &times[n_rows++]);
	}
}

static void await(void)
{
	static uint8_t in[1u << 16];
	uint32_t n = 0, at = 0;
	bool is_whole = false;

	n_rows = 0;
	is_error = false;
	for (unsigned i = 0; !is_whole; i++) {
		struct mr_frame f;
		ssize_t got;
		int size;

		assert_true(i < 100000);
		harness_poll(&h);
		api_server_poll(server, 0);
		while ((got = recv(fd, in + n, sizeof(in) - n, 0)) > 0)
			n += (uint32_t)got;
		while ((size = mr_frame_parse(&f, in + at, n - at)) > 0) {
			take_frame(&f);
			at += (uint32_t)size;
			is_whole |= !(f.flags & MR_F_MORE);
		}
	}
	assert_int_equal(at, n);
}

static void connect_client(void)
{
	const struct mr_hello hello = {.version = MR_API_VERSION, .client = "test"};
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
	send_request(MR_REQ_HELLO, &mr_hello_msg, &hello);
	await();
}

static struct mr_data data_of(const void *bytes, size_t n)
{
	struct mr_data d = {.n = (uint16_t)n};

	assert_true(n <= sizeof(d.bytes));
	memcpy(d.bytes, bytes, n);
	return d;
}

static void ask_all(void)
{
	send_request(MR_REQ_CACHES, &mr_empty_msg, &(struct mr_empty){0});
	await();
	if (is_error)
		fail_msg("%s", refusal.message);
}

/* Whether the key is there; then value is what was told of it. */
static bool ask(const char *cache, const void *key, size_t n)
{
	struct mr_cache_key k = {.key = data_of(key, n)};

	snprintf(k.name, sizeof(k.name), "%s", cache);
	send_request(MR_REQ_CACHE_GET, &mr_cache_key_msg, &k);
	await();
	assert_true(n_rows <= 1);
	return !is_error && n_rows == 1;
}

static void purge(const char *cache, const char *prefix, uint8_t all)
{
	struct mr_cache_purge p = {.prefix = data_of(prefix, strlen(prefix)), .all = all};

	snprintf(p.name, sizeof(p.name), "%s", cache);
	send_request(MR_REQ_CACHE_PURGE, &mr_cache_purge_msg, &p);
	await();
}

static void ask_top(enum mr_request type, const char *cache, uint16_t limit)
{
	struct mr_cache_top t = {.limit = limit};

	snprintf(t.name, sizeof(t.name), "%s", cache);
	send_request(type, &mr_cache_top_msg, &t);
	await();
}

static void ask_times(const char *cache)
{
	struct mr_cache_name n;

	memset(&n, 0, sizeof(n));
	snprintf(n.name, sizeof(n.name), "%s", cache);
	send_request(MR_REQ_CACHE_LATENCY, &mr_cache_name_msg, &n);
	await();
}

static void expect_refusal(unsigned code, const char *object)
{
	assert_true(is_error);
	assert_int_equal(refusal.code, code);
	assert_string_equal(refusal.object, object);
	assert_true(refusal.message[0] != '\0');
}

/* --- the caches --- */

struct entry {
	const char *cache;
	const void *key;
	uint32_t key_len;
	const void *value;
	uint32_t value_len;
	uint32_t flags;
	int64_t exptime;
	uint64_t cas;
};

static void store(const struct entry *e)
{
	struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), e->cache);
	const struct kv_key k = kv_key_of(e->key, e->key_len);
	const struct kv_store s = {.value = e->value,
		.value_len = e->value_len,
		.flags = e->flags,
		.exptime = e->exptime,
		.new_cas = e->cas,
		.mode = KV_SET};

	/* as the first worker, which this thread is as well: the manager stores nothing */
	harness_poll(&h);
	assert_int_equal(kv_store(kv_writer_of(c->kv, 0), &k, &s, NULL), KV_OK);
}

static void store_text(const char *cache, const char *key, const char *text, int64_t exptime)
{
	store(&(struct entry){.cache = cache,
		.key = key,
		.key_len = (uint32_t)strlen(key),
		.value = text,
		.value_len = (uint32_t)strlen(text),
		.exptime = exptime});
}

static void put_cache(const char *name, uint8_t eviction, uint64_t memory, uint32_t stale_s)
{
	struct mr_object o = {.type = MR_OBJ_CACHE,
		.cache = {.eviction = eviction,
			.memory_bytes = memory,
			.value_max = 4096,
			.stale_s = stale_s}};

	snprintf(o.cache.name, sizeof(o.cache.name), "%s", name);
	assert_int_equal(model_put(h.model, &o), 0);
}

static void put_service(void)
{
	struct mr_object addr = {.type = MR_OBJ_ADDR,
		.addr = {.port = "north", .ip = {4, {10, 1, 0, 1}}, .prefix_len = 24}};
	struct mr_object s = {.type = MR_OBJ_SERVICE,
		.service = {.name = "sessions",
			.vip = {4, {10, 1, 0, 100}},
			.port = 11211,
			.proto = MR_PROTO_UDP,
			.mode = MR_MODE_CACHE,
			.sched = MR_SCHED_RR,
			.cache = "cold"}};
	struct mr_object acl = {.type = MR_OBJ_ACL,
		.acl = {.service = "sessions",
			.ip = {4, {10, 1, 0, 0}},
			.prefix_len = 24,
			.action = MR_ACL_ALLOW}};

	assert_int_equal(model_put(h.model, &addr), 0);
	assert_int_equal(model_put(h.model, &s), 0);
	assert_int_equal(model_put(h.model, &acl), 0);
}

/* A datagram of a client with this request, and its answer thrown away. */
static void request(const char *text)
{
	const unsigned n = (unsigned)strlen(text);
	uint8_t frame[256] = {2, 0, 0, 0, 0, 1, 2, 0xaa, 0, 0, 0, 0x10, 0x08, 0x00};
	struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(20 + 8 + 8 + n)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, 0, 10)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 1, 0, 100))};
	const struct rte_udp_hdr udp = {.src_port = rte_cpu_to_be_16(40000),
		.dst_port = rte_cpu_to_be_16(11211),
		.dgram_len = rte_cpu_to_be_16((uint16_t)(8 + 8 + n))};
	static const uint8_t header[8] = {0, 7, 0, 0, 0, 1, 0, 0};
	struct rte_mbuf *m;

	ip.hdr_checksum = rte_ipv4_cksum(&ip);
	memcpy(frame + 14, &ip, 20);
	memcpy(frame + 34, &udp, 8);
	memcpy(frame + 42, header, 8);
	memcpy(frame + 50, text, n);
	harness_receive(&h, 0, 0, harness_mbuf(&h, frame, 50 + n));
	harness_settle(&h);
	m = harness_sent(&h, 0);
	assert_non_null(m);
	rte_pktmbuf_free(m);
}

/* The workers' caches learn the time. */
static void pass(uint32_t ms)
{
	h.now_ms += ms;
	for (unsigned i = 0; i < 4; i++)
		harness_poll(&h);
}

static int setup(void **state)
{
	const struct harness_params p = {.n_workers = 2,
		.n_queues = 2,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = 1023,
		.cache_mb = 64};
	struct api_params ap = {.group = (gid_t)-1, .socket_path = path, .now_ms = now_ms};
	struct mr_error err;

	(void)state;
	harness_init(&h, &p);
	put_cache("cold", MR_EVICTION_LRU, 8u << 20, 0);
	put_cache("hot", MR_EVICTION_S3FIFO, 16u << 20, 30);
	put_service();
	if (harness_apply(&h, &err) != 0)
		fail_msg("%s: %s", err.object, err.message);
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/dataplane.sock", dir);
	ap.env = h.env;
	ap.model = h.model;
	ap.workers = h.workers;
	ap.n_workers = h.n_workers;
	ap.tallies = h.tallies;
	ap.nics = h.nics;
	ap.neigh = h.neigh;
	ap.pool = h.pool;
	if (api_server_create(&server, &ap) != 0)
		return -1;
	h.model = NULL; /* the server's from here on */
	connect_client();
	pass(1000);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	api_server_destroy(&server);
	harness_fini(&h);
	rmdir(dir);
	return 0;
}

/* --- tests: one after the other on the same caches, the first on empty ones --- */

static void every_cache_has_a_row(void **state)
{
	(void)state;
	store_text("hot", "a", "1", 0);
	store_text("hot", "b", "22", 0);
	ask_all();
	assert_int_equal(n_rows, 2);
	assert_string_equal(caches[0].name, "cold");
	assert_int_equal(caches[0].eviction, MR_EVICTION_LRU);
	assert_int_equal(caches[0].items, 0);
	assert_int_equal(caches[0].sets, 0);
	assert_string_equal(caches[1].name, "hot");
	assert_int_equal(caches[1].eviction, MR_EVICTION_S3FIFO);
	assert_int_equal(caches[1].memory_bytes, 16u << 20);
	assert_int_equal(caches[1].items, 2);
	assert_int_equal(caches[1].sets, 2);
	assert_int_equal(caches[1].item_bytes, 2 * 16); /* 12 of a head, key and value, padding */
	assert_int_equal(caches[1].gets, 0);
	assert_true(caches[1].segments >= KV_SEGS_MIN);
	assert_true(caches[1].segments_free > 0 && caches[1].segments_free < caches[1].segments);
	assert_true(caches[1].segment_bytes >= 4096);
}

static void a_key_is_shown_as_it_is_and_nothing_changes(void **state)
{
	static const uint8_t key[] = {0, '\\', 0xff};
	uint8_t bytes[3000];
	struct mr_cache_row before;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(7 * i);
	store(&(struct entry){
		"hot", key, sizeof(key), bytes, sizeof(bytes), 77, 60, UINT64_MAX - 1});
	store_text("hot", "for ever", "x", 0);
	ask_all();
	before = caches[1];
	assert_true(ask("hot", key, sizeof(key)));
	assert_int_equal(value.value_bytes, sizeof(bytes));
	assert_int_equal(value.flags, 77);
	assert_true(value.cas == UINT64_MAX - 1);
	assert_int_equal(value.ttl_s, 60);
	assert_int_equal(value.is_stale, 0);
	assert_int_equal(value.is_won, 0);
	assert_int_equal(value.value.n, MR_CACHE_SHOWN_MAX);
	assert_memory_equal(value.value.bytes, bytes, MR_CACHE_SHOWN_MAX);
	assert_true(ask("hot", "for ever", 8));
	assert_int_equal(value.ttl_s, MR_CACHE_TTL_NEVER);
	assert_int_equal(value.value_bytes, 1);
	assert_int_equal(value.value.n, 1);
	assert_false(ask("hot", "nothing", 7));
	assert_false(is_error);
	assert_false(ask("cold", "for ever", 8));
	assert_false(is_error);
	ask_all();
	assert_memory_equal(&before, &caches[1], sizeof(before));
}

/* After its time a value is there as long as it is served as a stale one, and shown as that. */
static void what_has_expired_is_gone_unless_it_is_kept(void **state)
{
	(void)state;
	store_text("hot", "k", "v", 2);
	store_text("cold", "k", "v", 2);
	pass(1000);
	assert_true(ask("hot", "k", 1) && value.ttl_s == 1 && !value.is_stale);
	assert_true(ask("cold", "k", 1) && value.ttl_s == 1 && !value.is_stale);
	pass(2000);
	assert_true(ask("hot", "k", 1) && value.ttl_s == 0 && value.is_stale);
	assert_false(ask("cold", "k", 1));
	pass(40000);
	assert_false(ask("hot", "k", 1));
	ask_all();
	assert_int_equal(caches[1].gets, 0);
	assert_int_equal(caches[1].leases, 0);
}

static void a_purge_is_of_what_begins_so(void **state)
{
	(void)state;
	store_text("hot", "user:1", "a", 0);
	store_text("hot", "user:2", "b", 0);
	store_text("hot", "page:1", "c", 0);
	store_text("cold", "user:1", "d", 0);
	purge("hot", "user:", 0);
	assert_false(is_error);
	assert_false(ask("hot", "user:1", 6));
	assert_false(ask("hot", "user:2", 6));
	assert_true(ask("hot", "page:1", 6));
	assert_true(ask("cold", "user:1", 6));
	store_text("hot", "user:1", "again", 0);
	assert_true(ask("hot", "user:1", 6));
	pass(1000);
	purge("hot", "", 1);
	assert_false(is_error);
	assert_false(ask("hot", "user:1", 6));
	assert_false(ask("hot", "page:1", 6));
	assert_true(ask("cold", "user:1", 6));
}

/* What the workers would note: key i of 30 is asked for 100 + i times in each of them. */
static void hot_keys_of_all_workers_are_one_list(void **state)
{
	struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), "hot");
	const uint32_t now = __atomic_load_n(&c->now_s, __ATOMIC_RELAXED);
	char key[16];

	(void)state;
	ask_top(MR_REQ_CACHE_HOTKEYS, "hot", 0);
	assert_false(is_error);
	assert_int_equal(n_rows, 0);
	for (unsigned w = 0; w < h.n_workers; w++) {
		for (unsigned i = 0; i < 30; i++) {
			struct kv_key k;

			snprintf(key, sizeof(key), "hot:%02u", i);
			k = kv_key_of(key, 6);
			for (unsigned n = 0; n < 100 + i; n++)
				hotkey_seen(c->watches[w].hot, key, 6, k.hash, now);
		}
	}
	pass(1000);
	ask_top(MR_REQ_CACHE_HOTKEYS, "hot", 5);
	assert_int_equal(n_rows, 5);
	for (unsigned i = 0; i < n_rows; i++) {
		const uint64_t rate = 1000ull * CACHE_HOT_SAMPLE * h.n_workers * (129 - i);

		snprintf(key, sizeof(key), "hot:%02u", 29 - i);
		assert_int_equal(hots[i].key.n, 6);
		assert_memory_equal(hots[i].key.bytes, key, 6);
		/* the share of its second in the mean is the sketch's affair */
		assert_true(hots[i].milli_per_second > rate / 4
			&& hots[i].milli_per_second <= rate + hots[i].milli_error);
	}
	ask_top(MR_REQ_CACHE_HOTKEYS, "hot", 0);
	assert_int_equal(n_rows, MR_CACHE_TOP);
	ask_top(MR_REQ_CACHE_HOTKEYS, "hot", MR_CACHE_TOP_MAX);
	assert_int_equal(n_rows, 30);
	ask_top(MR_REQ_CACHE_HOTKEYS, "cold", 0);
	assert_int_equal(n_rows, 0);
	ask_top(MR_REQ_CACHE_HOTKEYS, "hot", MR_CACHE_TOP_MAX + 1);
	expect_refusal(MR_ERR_INVALID, "limit");
	ask_top(MR_REQ_CACHE_HOTKEYS, "hut", 0);
	expect_refusal(MR_ERR_NOT_FOUND, "hut");
}

/* Every second request is for one key, every sixteenth always for another: what is sampled follows no such rhythm. */
static void a_rhythm_of_requests_does_not_hide_a_key(void **state)
{
	char text[32];

	(void)state;
	for (unsigned i = 0; i < 4096; i++) {
		snprintf(text, sizeof(text), "get k%u\r\n", i % 2 == 0 ? 1000 : i % 16);
		request(text);
	}
	pass(1000);
	ask_top(MR_REQ_CACHE_HOTKEYS, "cold", 1);
	assert_int_equal(n_rows, 1);
	assert_int_equal(hots[0].key.n, 5);
	assert_memory_equal(hots[0].key.bytes, "k1000", 5);
}

static void assert_near(uint64_t got, double want)
{
	if ((double)got < want * (1 - HISTOGRAM_ERROR) - 1
		|| (double)got > want * (1 + HISTOGRAM_ERROR) + 1)
		fail_msg("%llu ns, not about %.0f", (unsigned long long)got, want);
}

/* 1 to 1000 microseconds, half of them on each worker. */
static void times_of_all_workers_are_one_row_by_kind(void **state)
{
	struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), "hot");
	const double us = (double)rte_get_tsc_hz() / 1e6;

	(void)state;
	ask_times("hot");
	assert_false(is_error);
	assert_int_equal(n_rows, 0);
	for (unsigned i = 1; i <= 1000; i++)
		histogram_add(
			&c->watches[i % h.n_workers].latency[CACHE_SET], (uint64_t)(i * us + 0.5));
	histogram_add(&c->watches[0].latency[CACHE_GET], (uint64_t)(5 * us));
	ask_times("hot");
	assert_int_equal(n_rows, 2);
	assert_string_equal(times[0].kind, "get");
	assert_int_equal(times[0].sampled, 1);
	assert_near(times[0].p50_ns, 5000);
	assert_string_equal(times[1].kind, "set");
	assert_int_equal(times[1].sampled, 1000);
	assert_near(times[1].mean_ns, 500500);
	assert_near(times[1].p50_ns, 500000);
	assert_near(times[1].p90_ns, 900000);
	assert_near(times[1].p99_ns, 990000);
	assert_near(times[1].p999_ns, 999000);
	assert_true(times[1].max_ns >= 999999 && times[1].max_ns <= 1000001);
	ask_times("cold");
	assert_int_equal(n_rows, 0);
	ask_times("hut");
	expect_refusal(MR_ERR_NOT_FOUND, "hut");
}

/* Item i of 1008 has a value of 3 i bytes; they are stored in another order. */
static void the_largest_items_come_first(void **state)
{
	static uint8_t bytes[4096];
	char key[16];

	(void)state;
	purge("hot", "", 1);
	pass(1000);
	ask_top(MR_REQ_CACHE_BIGKEYS, "hot", 0);
	assert_false(is_error);
	assert_int_equal(n_rows, 0);
	for (unsigned k = 1; k <= 1008; k++) {
		const unsigned i = k * 123 % 1009; /* a prime */

		snprintf(key, sizeof(key), "big:%05u", i);
		store(&(struct entry){"hot", key, 9, bytes, 3 * i, 0, i % 2 == 0 ? 100 : 0, 0});
	}
	ask_top(MR_REQ_CACHE_BIGKEYS, "hot", 5);
	assert_int_equal(n_rows, 5);
	for (unsigned k = 0; k < n_rows; k++) {
		const unsigned i = 1008 - k;

		assert_int_equal(bigs[k].value_bytes, 3 * i);
		assert_int_equal(bigs[k].item_bytes, (12 + 9 + 3 * i + 3) & ~3u);
		snprintf(key, sizeof(key), "big:%05u", i);
		assert_int_equal(bigs[k].key.n, 9);
		assert_memory_equal(bigs[k].key.bytes, key, 9);
		assert_int_equal(bigs[k].ttl_s, i % 2 == 0 ? 100 : MR_CACHE_TTL_NEVER);
	}
	ask_top(MR_REQ_CACHE_BIGKEYS, "hot", 0);
	assert_int_equal(n_rows, MR_CACHE_TOP);
	ask_top(MR_REQ_CACHE_BIGKEYS, "hot", MR_CACHE_TOP_MAX);
	assert_int_equal(n_rows, MR_CACHE_TOP_MAX);
	for (unsigned i = 1; i < n_rows; i++)
		assert_true(bigs[i].item_bytes <= bigs[i - 1].item_bytes);
	ask_top(MR_REQ_CACHE_BIGKEYS, "hot", MR_CACHE_TOP_MAX + 1);
	expect_refusal(MR_ERR_INVALID, "limit");
	ask_top(MR_REQ_CACHE_BIGKEYS, "hut", 1);
	expect_refusal(MR_ERR_NOT_FOUND, "hut");
}

/* Its walk ends without it, and the next one can begin. */
static void a_client_that_goes_leaves_no_walk(void **state)
{
	struct mr_cache_top t = {.name = "hot", .limit = 3};

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		send_request(MR_REQ_CACHE_BIGKEYS, &mr_cache_top_msg, &t);
		for (unsigned k = 0; k < i % 4; k++)
			api_server_poll(server, 0);
		close(fd);
		connect_client();
		do /* until the end of the walk, who has gone is not looked at */
			ask_top(MR_REQ_CACHE_BIGKEYS, "hot", 3);
		while (is_error && refusal.code == MR_ERR_BUSY);
		assert_false(is_error);
		assert_int_equal(n_rows, 3);
	}
}

static void what_makes_no_sense_is_refused(void **state)
{
	char long_key[MR_CACHE_KEY_MAX + 1];

	(void)state;
	memset(long_key, 'k', sizeof(long_key));
	assert_false(ask("hut", "k", 1));
	expect_refusal(MR_ERR_NOT_FOUND, "hut");
	assert_false(ask("hot", "", 0));
	expect_refusal(MR_ERR_INVALID, "key");
	assert_false(ask("hot", long_key, sizeof(long_key)));
	expect_refusal(MR_ERR_INVALID, "key");
	assert_false(ask("hot", long_key, sizeof(long_key) - 1));
	assert_false(is_error);
	purge("hut", "", 1);
	expect_refusal(MR_ERR_NOT_FOUND, "hut");
	purge("hot", "", 0);
	expect_refusal(MR_ERR_INVALID, "all");
	purge("hot", "x", 1);
	expect_refusal(MR_ERR_INVALID, "all");
}

/* There is an end to purges that are under way, and it is said. */
static void too_many_purges_at_once_are_busy(void **state)
{
	char prefix[16];
	unsigned n = 0;

	(void)state;
	for (; n < 4 * KV_PURGES_MAX; n++) {
		snprintf(prefix, sizeof(prefix), "p%u:", n);
		store_text("cold", prefix, "x", 0);
		purge("cold", prefix, 0);
		if (is_error)
			break;
	}
	assert_true(n > 0);
	expect_refusal(MR_ERR_BUSY, "cold");
	for (unsigned i = 0; is_error && i < 100; i++) {
		pass(1000);
		purge("cold", prefix, 0);
	}
	assert_false(is_error);
	assert_false(ask("cold", prefix, strlen(prefix)));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cache_has_a_row),
		cmocka_unit_test(a_key_is_shown_as_it_is_and_nothing_changes),
		cmocka_unit_test(what_has_expired_is_gone_unless_it_is_kept),
		cmocka_unit_test(a_purge_is_of_what_begins_so),
		cmocka_unit_test(hot_keys_of_all_workers_are_one_list),
		cmocka_unit_test(times_of_all_workers_are_one_row_by_kind),
		cmocka_unit_test(a_rhythm_of_requests_does_not_hide_a_key),
		cmocka_unit_test(the_largest_items_come_first),
		cmocka_unit_test(a_client_that_goes_leaves_no_walk),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(too_many_purges_at_once_are_busy),
	};

	(void)argc;
	if (eal_start(argv[0], 512) != 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
