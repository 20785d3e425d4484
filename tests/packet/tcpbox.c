/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpbox — see tcpbox.h. */
#include "tcpbox.h"

#include <rte_mempool.h>

#include <stdlib.h>

#define PATIENCE_MS 20000u

struct harness tcpbox;
struct tcphost *tcpbox_clients;
unsigned tcpbox_loops;
bool (*tcpbox_is_passed)(bool to_box, const uint8_t *frame, uint32_t len);

static bool is_passed(void *ctx, bool to_box, const uint8_t *frame, uint32_t len)
{
	(void)ctx;
	return tcpbox_is_passed == NULL || tcpbox_is_passed(to_box, frame, len);
}

/* --- the configuration --- */

static struct mr_ip ip_of(const char *text)
{
	struct mr_ip ip;

	if (mr_ip_parse(&ip, text) != 0)
		fail_msg("%s is no address", text);
	return ip;
}

static void put(const struct mr_object *o)
{
	assert_int_equal(model_put(tcpbox.model, o), 0);
}

struct mr_service tcpbox_service(
	const char *name, const char *vip, uint16_t port, const char *cache)
{
	struct mr_service s = {.vip = ip_of(vip),
		.port = port,
		.proto = MR_PROTO_TCP,
		.mode = MR_MODE_CACHE,
		.sched = MR_SCHED_RR};

	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.cache, sizeof(s.cache), "%s", cache);
	return s;
}

void tcpbox_put(const struct mr_service *s)
{
	const struct mr_object o = {.type = MR_OBJ_SERVICE, .service = *s};

	put(&o);
}

void tcpbox_del(const char *key)
{
	if (model_del(tcpbox.model, key) != 0)
		fail_msg("there is no %s", key);
}

void tcpbox_list(
	const char *service, const char *network, uint8_t prefix_len, enum mr_acl_action action)
{
	struct mr_object o = {.type = MR_OBJ_ACL,
		.acl = {.ip = ip_of(network), .prefix_len = prefix_len, .action = (uint8_t)action}};

	snprintf(o.acl.service, sizeof(o.acl.service), "%s", service);
	put(&o);
}

void tcpbox_cache(const char *name, uint64_t memory_bytes, uint32_t value_max)
{
	struct mr_object o = {.type = MR_OBJ_CACHE,
		.cache = {.memory_bytes = memory_bytes,
			.eviction = MR_EVICTION_S3FIFO,
			.value_max = value_max}};

	snprintf(o.cache.name, sizeof(o.cache.name), "%s", name);
	put(&o);
}

void tcpbox_apply(void)
{
	struct mr_error err;

	snapshot_offline();
	if (harness_apply(&tcpbox, &err) != 0)
		fail_msg("%s: %s", err.object, err.message);
	snapshot_online();
}

static void put_addr(const char *ip, uint8_t prefix_len)
{
	struct mr_object o = {.type = MR_OBJ_ADDR,
		.addr = {.port = "north", .ip = ip_of(ip), .prefix_len = prefix_len}};

	put(&o);
}

static void configure(uint64_t memory_bytes, uint32_t value_max)
{
	const struct mr_object settings = {.type = MR_OBJ_SETTINGS};
	struct mr_service s;

	put(&settings);
	put_addr("10.1.0.1", 16);
	put_addr("fd00:1::1", 64);
	tcpbox_cache("main", memory_bytes, value_max);
	s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	s = tcpbox_service("mc6", "fd00:1::100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	tcpbox_apply();
}

void tcpbox_up(const struct tcpbox_params *p)
{
	const uint32_t n_bufs = p->n_bufs != 0 ? p->n_bufs : 8192;
	const uint32_t memory_mb = p->value_max != 0 ? 8 : 96;
	const struct harness_params hp = {.n_workers = p->n_workers != 0 ? p->n_workers : 1,
		.n_queues = 1,
		.n_conns4 = 64,
		.n_conns6 = 64,
		.n_mbufs = n_bufs * 4, /* the harness gives connections a quarter */
		.cache_mb = memory_mb + 16,
		.n_tcp_conns = p->n_conns,
		.n_snats = 1,
		.n_neighs = 64, /* all are looked at in each loop */
		.seed = 7};
	const struct tcphost_params cp = {.h = &tcpbox,
		.n_conns = p->n_client_conns != 0 ? p->n_client_conns : 1024,
		.n_bufs = p->n_client_bufs != 0 ? p->n_client_bufs : 16384,
		.seed = 9,
		.is_passed = is_passed};

	tcpbox_loops = 64;
	tcpbox_is_passed = NULL;
	harness_init(&tcpbox, &hp);
	tcphost_create(&tcpbox_clients, &cp);
	configure((uint64_t)memory_mb << 20, p->value_max);
	tcpbox_pass(2);
}

void tcpbox_down(void)
{
	struct tcp_usage u;
	struct tally sum;

	tcpbox_is_passed = NULL;
	for (unsigned i = 0; tcpbox_usage().n_conns > 0 && i < 100; i++)
		tcpbox_pass(100);
	u = tcpbox_usage();
	assert_int_equal(u.n_conns, 0);
	assert_int_equal(u.n_bufs, 0);
	assert_int_equal(rte_mempool_in_use_count(tcpbox.pool), 0);
	assert_true(harness_balanced(&tcpbox, &sum));
	tcphost_destroy(&tcpbox_clients);
	harness_fini(&tcpbox);
}

/* --- time --- */

static void step(uint32_t ms)
{
	tcpbox.now_ms += ms;
	tcphost_poll(tcpbox_clients);
	for (unsigned i = 0; i < tcpbox_loops; i++) {
		unsigned n = harness_poll(&tcpbox);

		n += tcphost_take(tcpbox_clients) + mailbox_count(tcpbox.mail);
		for (unsigned w = 0; w < tcpbox.n_workers; w++)
			n += tcpbox.workers[w]->is_unfinished;
		if (n == 0)
			break;
	}
}

void tcpbox_pass(uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i++)
		step(1);
}

void tcpbox_skip(uint32_t ms, uint32_t step_ms)
{
	for (uint32_t done = 0; done < ms; done += step_ms)
		step(RTE_MIN(step_ms, ms - done));
}

/* --- clients --- */

void tcpbox_ask_port(struct tcphost_conn *k, uint8_t family, unsigned n, uint16_t port)
{
	struct tcphost_to to = {.family = family, .port = port};
	struct mr_ip ip = ip_of(family == 4 ? "10.1.0.100" : "fd00:1::100");

	memcpy(to.peer, ip.bytes, sizeof(to.peer));
	ip = ip_of(family == 4 ? "10.1.1.0" : "fd00:1::1000:0");
	ip.bytes[family == 4 ? 2 : 14] = (uint8_t)(ip.bytes[family == 4 ? 2 : 14] + (n >> 8));
	ip.bytes[family == 4 ? 3 : 15] = (uint8_t)n;
	memcpy(to.local, ip.bytes, sizeof(to.local));
	assert_true(tcphost_open(tcpbox_clients, k, &to));
}

void tcpbox_ask(struct tcphost_conn *k, uint8_t family, unsigned n)
{
	tcpbox_ask_port(k, family, n, TCPBOX_PORT);
}

void tcpbox_open(struct tcphost_conn *k, uint8_t family, unsigned n)
{
	tcpbox_ask(k, family, n);
	tcpbox_pass(1);
	assert_true(k->is_open);
	assert_non_null(k->c);
}

void tcpbox_say(struct tcphost_conn *k, const char *text)
{
	tcphost_send(k, text, (uint32_t)strlen(text));
}

void tcpbox_expect_bytes(struct tcphost_conn *k, const void *bytes, uint32_t n)
{
	for (unsigned i = 0; k->n_in < n && k->c != NULL && i < PATIENCE_MS; i++)
		tcpbox_pass(1);
	assert_int_equal(k->n_in, n);
	assert_memory_equal(k->in, bytes, n);
	tcphost_clear(k);
}

void tcpbox_expect(struct tcphost_conn *k, const char *text)
{
	const uint32_t n = (uint32_t)strlen(text);

	for (unsigned i = 0; k->n_in < n && k->c != NULL && i < PATIENCE_MS; i++)
		tcpbox_pass(1);
	if (k->n_in != n || memcmp(k->in, text, n) != 0)
		fail_msg("expected %s, got %.*s", text, (int)k->n_in, (const char *)k->in);
	tcphost_clear(k);
}

void tcpbox_expect_end(struct tcphost_conn *k, enum tcp_reason why, uint32_t within_ms)
{
	for (unsigned i = 0; k->c != NULL && i < within_ms; i++)
		tcpbox_pass(1);
	assert_null(k->c);
	assert_int_equal(k->why, why);
}

void tcpbox_expect_alive(struct tcphost_conn *k)
{
	tcpbox_say(k, "mn\r\n");
	tcpbox_expect(k, "MN\r\n");
}

void tcpbox_close(struct tcphost_conn *k)
{
	tcphost_close(k);
	tcpbox_expect_end(k, TCP_WHY_CLOSED, 1000);
	tcphost_fini(k);
}

uint8_t tcpbox_byte(const char *key, uint32_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) * 17 + (uint8_t)key[strlen(key) - 1] * 101);
}

void tcpbox_store(struct tcphost_conn *k, const char *key, uint32_t n)
{
	uint8_t *value = malloc(n + 2);
	char line[300];

	snprintf(line, sizeof(line), "set %s 0 0 %u\r\n", key, n);
	for (uint32_t i = 0; i < n; i++)
		value[i] = tcpbox_byte(key, i);
	memcpy(value + n, "\r\n", 2);
	tcpbox_say(k, line);
	tcphost_send(k, value, n + 2);
	free(value);
	tcpbox_expect(k, "STORED\r\n");
}

/* --- what the box says --- */

struct servetcp_stats tcpbox_stats(void)
{
	struct servetcp_stats sum = {0};

	for (unsigned i = 0; i < tcpbox.n_workers; i++) {
		const struct servetcp_stats *s = servetcp_stats(tcpbox.workers[i]);

#define ADD(name, help) sum.name += s->name;
		SERVETCP_STATS(ADD)
	}
	return sum;
}

struct tcp_stats tcpbox_tcp_stats(void)
{
	struct tcp_stats sum = {0};

	for (unsigned i = 0; i < tcpbox.n_workers; i++) {
		const struct tcp_stats *s = servetcp_tcp_stats(tcpbox.workers[i]);

		TCP_STATS(ADD)
	}
	return sum;
}

struct tcp_usage tcpbox_usage(void)
{
	struct tcp_usage sum = {0};

	for (unsigned i = 0; i < tcpbox.n_workers; i++) {
		struct tcp_usage u;

		servetcp_usage(tcpbox.workers[i], &u);
		sum.n_bufs += u.n_bufs;
		sum.n_rcv_bufs += u.n_rcv_bufs;
		sum.n_conns += u.n_conns;
		sum.n_syns += u.n_syns;
		sum.n_time_waits += u.n_time_waits;
	}
	return sum;
}

struct serve_tally tcpbox_tally(uint32_t service_idx)
{
	struct serve_tally sum = {0};

	for (unsigned i = 0; i < tcpbox.n_workers; i++) {
		const struct serve_tally *t =
			serve_worker_tally(tcpbox.workers[i]->serve, service_idx);

		sum.rx_packets += t->rx_packets;
		sum.tx_packets += t->tx_packets;
		sum.requests += t->requests;
		sum.drops += t->drops;
		sum.acl_drops += t->acl_drops;
		sum.conns += t->conns;
		sum.conns_total += t->conns_total;
	}
	return sum;
}

uint64_t tcpbox_drops(enum pkt_drop reason)
{
	struct tally sum;

	tally_sum(tcpbox.tallies, &sum);
	return sum.drops[reason];
}

uint32_t tcpbox_slot(const char *name)
{
	const struct lb_conf *lb = lb_conf_of(snapshot_get());

	for (uint32_t i = 0; i < lb->n_services; i++)
		if (lb->services[i] != NULL && strcmp(lb->services[i]->spec.name, name) == 0)
			return i;
	fail_msg("there is no service %s", name);
	return 0;
}
