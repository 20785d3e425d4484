/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached over TCP with devices that make checksums, take chains of buffers, cut frames into segments, or none of that: long answers are
 * the same byte by byte, also where they are sent from where they lie in the cache, whatever becomes of the items, of the cache, and of
 * packets on their way.
 */
#include "eal.h"
#include "tcpbox.h"

#include <stdlib.h>

#define SMALL_CACHE 100000u /* value_max of a cache of 8 MB: 57 segments of 128 KB */

static bool has_loss;
static uint64_t random_state = 7;

/* One frame in fifty is lost. */
static bool is_passed(bool to_box, const uint8_t *frame, uint32_t len)
{
	(void)to_box;
	(void)frame;
	(void)len;
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return !has_loss || (random_state >> 33) % 50 != 0;
}

static void set_devices(bool writes_csums, bool takes_chains, uint16_t tso_mbufs)
{
	struct iface *f = &tcpbox.ifaces.of[0];

	f->writes_csums = writes_csums;
	f->takes_chains = takes_chains;
	f->tso_mbufs = tso_mbufs;
	f->writes_ip_csums = tso_mbufs > 0;
}

static void up(uint32_t value_max)
{
	tcpbox_up(&(struct tcpbox_params){.value_max = value_max, .n_bufs = 16384});
	set_devices(true, true, 64);
	tcpbox_is_passed = is_passed;
	has_loss = false;
}

static uint32_t answer_of(const char *key, uint32_t n, uint8_t *to)
{
	const uint32_t n_head = (uint32_t)snprintf((char *)to, 64, "VALUE %s 0 %u\r\n", key, n);

	for (uint32_t i = 0; i < n; i++)
		to[n_head + i] = tcpbox_byte(key, i);
	memcpy(to + n_head + n, "\r\nEND\r\n", 7);
	return n_head + n + 7;
}

static void ask(struct tcphost_conn *k, const char *key)
{
	char line[64];

	snprintf(line, sizeof(line), "get %s\r\n", key);
	tcpbox_say(k, line);
}

static void expect(struct tcphost_conn *k, const char *key, uint32_t n)
{
	uint8_t *answer = malloc(n + 100);

	tcpbox_expect_bytes(k, answer, answer_of(key, n, answer));
	free(answer);
}

static void get(struct tcphost_conn *k, const char *key, uint32_t n)
{
	ask(k, key);
	expect(k, key, n);
}

static void answers_are_the_same_with_all_devices(void **state)
{
	static const struct {
		bool writes_csums, takes_chains;
		uint16_t tso_mbufs;
	} rows[] = {{false, false, 0}, {false, true, 0}, {true, false, 0}, {true, true, 0},
		{true, true, 64}, {true, true, 5}};
	static const uint32_t lens[] = {100, 8191, 8192, 11584, 30000, MR_CACHE_VALUE_MAX};

	(void)state;
	up(0);
	for (unsigned row = 0; row < 2 * RTE_DIM(rows); row++) {
		const struct servetcp_stats before = tcpbox_stats();
		const struct tcp_stats tcp_before = tcpbox_tcp_stats();
		struct tcphost_conn k = {0};

		has_loss = row % 2;
		set_devices(rows[row / 2].writes_csums, rows[row / 2].takes_chains,
			rows[row / 2].tso_mbufs);
		tcpbox_ask(&k, row % 4 < 2 ? 4 : 6, row);
		for (unsigned i = 0; !k.is_open && i < 10000; i++)
			tcpbox_pass(1);
		for (unsigned i = 0; i < RTE_DIM(lens); i++) {
			const char key[] = {'k', (char)('0' + i), 0};

			tcpbox_store(&k, key, lens[i]);
			get(&k, key, lens[i]);
		}
		tcphost_close(&k);
		tcpbox_expect_end(&k, TCP_WHY_CLOSED, 10000);
		tcphost_fini(&k);
		assert_int_equal(tcpbox_tcp_stats().frames_cut > tcp_before.frames_cut,
			rows[row / 2].tso_mbufs > 0);
		/* from 8192 bytes on behind those that fill the first segment */
		assert_int_equal(tcpbox_stats().refs - before.refs,
			rows[row / 2].writes_csums && rows[row / 2].takes_chains ? 3 : 0);
		assert_int_equal(tcpbox_stats().refs_refused, 0);
	}
	tcpbox_down();
}

/* As many values as the cache has room for twice. */
static void replace_all(struct tcphost_conn *k)
{
	for (unsigned i = 0; i < 160; i++) {
		char key[16];

		snprintf(key, sizeof(key), "other-%u", i);
		tcpbox_store(k, key, SMALL_CACHE - 100);
	}
}

static void pinned(struct kv_usage *u)
{
	kv_usage(serveconf_find(serve_conf_of(snapshot_get()), "main")->kv, u);
}

static void a_value_on_its_way_may_be_replaced(void **state)
{
	struct tcphost_conn reader = {.is_narrow = true}, writer = {0};
	struct kv_usage u;

	(void)state;
	up(SMALL_CACHE);
	tcpbox_open(&reader, 4, 1);
	tcpbox_open(&writer, 4, 2);
	tcpbox_store(&writer, "a", 90000);
	reader.is_paused = true;
	ask(&reader, "a");
	tcpbox_pass(10);
	assert_int_equal(tcpbox_stats().refs, 1);
	pinned(&u);
	assert_int_equal(u.n_pinned, 1);
	tcpbox_say(&writer, "delete a\r\n");
	tcpbox_expect(&writer, "DELETED\r\n");
	replace_all(&writer);
	tcphost_resume(&reader);
	expect(&reader, "a", 90000);
	tcpbox_pass(100);
	pinned(&u);
	assert_int_equal(u.n_pinned, 0);
	tcpbox_close(&reader);
	tcpbox_close(&writer);
	tcpbox_down();
}

/* Who does not read has the cache's memory as long as there is little of that; then his answers are copied. */
static void clients_that_do_not_read_pin_a_part(void **state)
{
	enum { N = 40 };
	static struct tcphost_conn readers[N];
	struct tcphost_conn writer = {0};
	char keys[N][8];
	struct kv_usage u;

	(void)state;
	up(SMALL_CACHE);
	tcpbox_open(&writer, 4, 1000);
	memset(readers, 0, sizeof(readers));
	for (unsigned i = 0; i < N; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%c", 'A' + i);
		tcpbox_store(&writer, keys[i], 80000);
		readers[i].is_narrow = true;
		tcpbox_open(&readers[i], i % 2 ? 4 : 6, i);
		readers[i].is_paused = true;
		ask(&readers[i], keys[i]);
		tcpbox_pass(5);
	}
	pinned(&u);
	assert_int_equal(u.n_pinned, u.n_segs / SEG_PIN_PART);
	assert_int_equal(tcpbox_stats().refs, u.n_pinned);
	assert_int_equal(tcpbox_stats().refs_refused, N - u.n_pinned);
	replace_all(&writer);
	for (unsigned i = 0; i < N; i++) {
		tcphost_resume(&readers[i]);
		expect(&readers[i], keys[i], 80000);
		if (i % 2)
			tcpbox_close(&readers[i]);
	}
	tcpbox_pass(100);
	pinned(&u);
	assert_int_equal(u.n_pinned, 0);
	for (unsigned i = 0; i < N; i += 2)
		tcpbox_close(&readers[i]);
	tcpbox_close(&writer);
	tcpbox_down();
}

/* Frames with its values are with the driver when a cache goes: its memory stays until they are sent. */
static void a_cache_may_go_while_its_values_are_on_their_way(void **state)
{
	struct tcphost_conn k = {0};
	uint64_t used;

	(void)state;
	up(SMALL_CACHE);
	tcpbox_open(&k, 4, 1);
	tcpbox_store(&k, "a", 90000);
	ask(&k, "a");
	for (unsigned i = 0; tcpbox_stats().refs == 0 && i < 10; i++)
		harness_poll(&tcpbox);
	used = cacheset_memory_used(tcpbox.env.caches);
	assert_true(used > 0);
	tcpbox_del("service/mc");
	tcpbox_del("service/mc6");
	tcpbox_del("cache/main");
	tcpbox_apply();
	for (unsigned i = 0; tcpbox_usage().n_conns > 0 && i < 10; i++) {
		tcpbox.now_ms++;
		harness_poll(&tcpbox);
	}
	assert_int_equal(tcpbox_usage().n_bufs, 0);
	assert_int_equal(cacheset_memory_used(tcpbox.env.caches), used);
	tcpbox_expect_end(&k, TCP_WHY_RESET, 1000);
	tcphost_fini(&k);
	tcpbox_cache("main", 8u << 20, 50000);
	tcpbox_apply();
	assert_true(cacheset_memory_used(tcpbox.env.caches) <= used);
	tcpbox_down();
}

/* Another's frames fill it, and nothing is sent twice, nor lost: those of one connection wait with the worker, the others with theirs. */
static void answers_wait_for_room_on_the_port(void **state)
{
	enum { N = 20 };
	static struct tcphost_conn k[N];
	struct rte_ring *port;
	struct tcp_stats tcp;
	const uint8_t junk[60] = {0};
	unsigned n_junk = 0;

	(void)state;
	up(SMALL_CACHE);
	memset(k, 0, sizeof(k));
	for (unsigned i = 0; i < N; i++)
		tcpbox_open(&k[i], i % 2 ? 4 : 6, i);
	tcpbox_store(&k[0], "a", 9000);
	tcpbox_pass(100);
	port = tcpbox.tx[0][0];
	for (; rte_ring_free_count(port) > 0; n_junk++)
		rte_ring_enqueue(port, harness_mbuf(&tcpbox, junk, sizeof(junk)));
	for (unsigned i = 0; i < N; i++) {
		ask(&k[i], "a");
		for (unsigned loop = 0; loop < 3; loop++)
			harness_poll(&tcpbox);
	}
	assert_int_equal(tcpbox.workers[0]->tx_blocked, 1);
	assert_true(tcpbox.workers[0]->n_tx_pending < BURST_MAX);
	tcp = tcpbox_tcp_stats();
	assert_int_equal(tcp.held, N - 1);
	/* one ends meanwhile, and one that waited goes on in the turn after that in which the port takes what there is */
	tcphost_abort(&k[N - 1]);
	harness_poll(&tcpbox);
	for (; n_junk > 0; n_junk--) {
		void *m = NULL;

		assert_int_equal(rte_ring_dequeue(port, &m), 0);
		rte_pktmbuf_free(m);
	}
	for (unsigned i = 0; i < N - 1; i++)
		expect(&k[i], "a", 9000);
	tcp = tcpbox_tcp_stats();
	assert_int_equal(tcp.retransmits + tcp.tail_probes + tcp.timeouts, 0);
	assert_int_equal(tcpbox_drops(PKT_DROP_tx_full), 0);
	tcpbox_expect_end(&k[N - 1], TCP_WHY_ABORTED, 1000);
	tcphost_fini(&k[N - 1]);
	for (unsigned i = 0; i < N - 1; i++)
		tcpbox_close(&k[i]);
	tcpbox_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_same_with_all_devices),
		cmocka_unit_test(a_value_on_its_way_may_be_replaced),
		cmocka_unit_test(clients_that_do_not_read_pin_a_part),
		cmocka_unit_test(a_cache_may_go_while_its_values_are_on_their_way),
		cmocka_unit_test(answers_wait_for_room_on_the_port),
	};

	if (eal_start("test_servetcp_devices", 768) != 0)
		return 1;
	return cmocka_run_group_tests_name("servetcp_devices", tests, NULL, NULL);
}
