/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients of a cache over TCP are refused, and what ends their connections: times to the millisecond, limits and lists of a
 * service, generations, buffers for requests. And what must not end them.
 */
#include "eal.h"
#include "tcpbox.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <stdlib.h>

#define REQUEST_MS 30000u
#define CLOSE_MS 10000u
#define KEEPALIVE_MS 75000u

static int set_up(void **state)
{
	(void)state;
	tcpbox_up(&(struct tcpbox_params){.value_max = 65536});
	return 0;
}

static int set_up_long(void **state)
{
	(void)state;
	tcpbox_up(&(struct tcpbox_params){0});
	return 0;
}

static int set_up_workers(void **state)
{
	(void)state;
	tcpbox_up(&(struct tcpbox_params){.n_workers = 3, .value_max = 65536});
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tcpbox_down();
	return 0;
}

static void finish(struct tcphost_conn *k, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		tcphost_abort(&k[i]);
	tcpbox_pass(2);
	for (unsigned i = 0; i < n; i++)
		tcphost_fini(&k[i]);
}

/* --- time --- */

/* The next segment of what is said comes in the next millisecond, and time counts from there. */
static void expect_reset_after(struct tcphost_conn *k, uint32_t ms)
{
	tcpbox_pass(ms);
	assert_non_null(k->c);
	tcpbox_pass(1);
	assert_null(k->c);
	assert_int_equal(k->why, TCP_WHY_RESET);
	tcphost_fini(k);
}

static void half_a_request_has_30_seconds(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_pass(REQUEST_MS * 2);
	tcpbox_say(&k, "get a\r\nset a 0 0 10\r\nxx");
	expect_reset_after(&k, REQUEST_MS);
	assert_int_equal(tcpbox_stats().request_timeouts, 1);
}

static void bytes_that_trickle_in_do_not_extend_it(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "get ");
	for (unsigned i = 0; i < REQUEST_MS / 1000 - 1; i++) {
		tcpbox_pass(1000);
		tcpbox_say(&k, "a");
	}
	expect_reset_after(&k, 1000);
	assert_int_equal(tcpbox_stats().request_timeouts, 1);
}

/* One who stores without a pause always has part of a request there. */
static void each_request_has_30_seconds_of_its_own(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "set a 0 0 10\r\n01234");
	for (unsigned i = 0; i < 100; i++) {
		tcpbox_pass(1000);
		tcpbox_say(&k, "56789\r\nset a 0 0 10\r\n01234");
		tcpbox_expect(&k, "STORED\r\n");
	}
	assert_int_equal(tcpbox_stats().request_timeouts, 0);
	expect_reset_after(&k, REQUEST_MS - 1); /* it has come already */
	assert_int_equal(tcpbox_stats().request_timeouts, 1);
}

static void who_does_not_close_too_is_reset(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "quit\r\n");
	expect_reset_after(&k, CLOSE_MS);
	assert_int_equal(tcpbox_stats().close_timeouts, 1);
	/* what it sends meanwhile is thrown away, and gives it little more time */
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "quit\r\n");
	for (unsigned i = 0; i < 2 * CLOSE_MS - 1; i++) {
		tcpbox_pass(1);
		tcpbox_say(&k, "get a\r\nget a\r\n");
		assert_true(tcpbox_usage().n_bufs <= 1);
	}
	expect_reset_after(&k, 1);
	assert_int_equal(tcpbox_stats().close_timeouts, 2);
}

static void answers_may_be_read_slowly_after_the_close(void **state)
{
	struct tcphost_conn k = {0};
	const uint32_t n = 60000;

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_store(&k, "a", n);
	k.pace = 10;
	tcpbox_say(&k, "get a\r\nget a\r\nget a\r\nget a\r\nquit\r\n");
	tcpbox_pass(4 * n / 10 + 1000);
	assert_int_equal(k.n_in, 4 * (n + strlen("VALUE a 0 60000\r\n\r\nEND\r\n")));
	assert_true(k.is_eof);
	assert_non_null(k.c);
	assert_int_equal(tcpbox_stats().close_timeouts, 0);
	tcpbox_close(&k);
}

static bool none(bool to_box, const uint8_t *frame, uint32_t len)
{
	(void)to_box;
	(void)frame;
	(void)len;
	return false;
}

static void a_client_that_is_gone_is_found_out(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_say(&k, "get a\r\n");
	tcpbox_expect(&k, "END\r\n");
	tcpbox_pass(100);
	tcpbox_is_passed = none;
	tcpbox_skip(4 * KEEPALIVE_MS - 1000, 10);
	assert_int_equal(tcpbox_usage().n_conns, 1);
	assert_int_equal(tcpbox_tcp_stats().keepalives, 3);
	tcpbox_skip(1000, 10);
	assert_int_equal(tcpbox_usage().n_conns, 0);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 0);
	assert_int_equal(tcpbox_tcp_stats().keepalives, 3);
	finish(&k, 1);
}

static void an_idle_client_stays_for_hours(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_open(&k, 6, 1);
	tcpbox_skip(5 * 3600 * 1000, 50);
	assert_in_range(tcpbox_tcp_stats().keepalives, 5 * 3600 / 76, 5 * 3600 / 75);
	tcpbox_expect_alive(&k);
	tcpbox_close(&k);
}

static void a_service_may_say_how_long_one_may_be_idle(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	struct tcphost_conn k[3] = {{0}};

	(void)state;
	s.established_timeout_ms = 5000;
	tcpbox_open(&k[2], 4, 3); /* before it is said */
	tcpbox_put(&s);
	tcpbox_apply();
	tcpbox_open(&k[0], 4, 1);
	tcpbox_open(&k[1], 4, 2);
	for (unsigned i = 0; i < 3; i++) {
		tcpbox_pass(1500);
		tcpbox_expect_alive(&k[1]);
		assert_non_null(k[0].c);
	}
	tcpbox_expect_end(&k[0], TCP_WHY_RESET, 600);
	tcpbox_expect_end(&k[2], TCP_WHY_RESET, 1);
	tcpbox_expect_alive(&k[1]);
	assert_int_equal(tcpbox_tcp_stats().keepalives, 0);
	finish(k, 3);
}

/* --- limits and lists --- */

static unsigned count_open(const struct tcphost_conn *k, unsigned n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum += k[i].is_open && k[i].c != NULL;
	return sum;
}

static void a_service_has_so_many_connections(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	struct tcphost_conn k[8] = {{0}};

	(void)state;
	s.max_conns = 3;
	tcpbox_put(&s);
	tcpbox_apply();
	for (unsigned i = 0; i < 3; i++)
		tcpbox_open(&k[i], 4, i);
	tcpbox_ask(&k[3], 4, 3);
	tcpbox_pass(900);
	assert_false(k[3].is_open);
	assert_int_equal(tcpbox_drops(PKT_DROP_service_limit), 1);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).drops, 1);
	tcpbox_close(&k[0]);
	tcpbox_pass(1000); /* it asks again */
	assert_true(k[3].is_open);
	tcpbox_expect_alive(&k[3]);
	finish(k, 4);
	/* handshakes that were all begun below the limit */
	for (unsigned i = 0; i < 8; i++)
		tcpbox_ask(&k[i], 4, i);
	tcpbox_pass(2);
	assert_int_equal(count_open(k, 8), 3);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 3);
	for (unsigned i = 0; i < 8; i++)
		if (k[i].c != NULL)
			tcpbox_expect_alive(&k[i]);
		else
			assert_int_equal(k[i].why, TCP_WHY_RESET);
	finish(k, 8);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 0);
}

static void new_connections_have_a_rate(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	struct tcphost_conn k[40] = {{0}};

	(void)state;
	s.flow_rate = 100; /* a tenth of a second gathers */
	tcpbox_put(&s);
	tcpbox_apply();
	tcpbox_pass(1000);
	for (unsigned i = 0; i < 40; i++)
		tcpbox_ask(&k[i], 4, i);
	tcpbox_pass(1);
	assert_int_equal(count_open(k, 40), 10);
	assert_int_equal(tcpbox_drops(PKT_DROP_service_rate), 30);
	finish(k, 40);
	s.flow_rate = 0;
	s.source_rate = 5;
	tcpbox_put(&s);
	tcpbox_apply();
	tcpbox_pass(1000);
	for (unsigned i = 0; i < 40; i++)
		tcpbox_ask(&k[i], 4, i % 4);
	tcpbox_pass(1);
	assert_int_equal(count_open(k, 40), 20);
	assert_int_equal(tcpbox_drops(PKT_DROP_source_rate), 20);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).drops, 50);
	finish(k, 40);
}

static void lists_say_who_may_open(void **state)
{
	struct tcphost_conn k[3] = {{0}};

	(void)state;
	tcpbox_list("mc", "10.1.1.0", 24, MR_ACL_ALLOW);
	tcpbox_list("mc", "10.1.1.7", 32, MR_ACL_DENY);
	tcpbox_list("mc6", "fd00:1::", 112, MR_ACL_ALLOW);
	tcpbox_apply();
	tcpbox_open(&k[0], 4, 6);
	tcpbox_ask(&k[1], 4, 7);
	tcpbox_ask(&k[2], 6, 7);
	tcpbox_pass(500);
	assert_false(k[1].is_open || k[2].is_open);
	assert_int_equal(tcpbox_drops(PKT_DROP_acl), 2);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).acl_drops, 1);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc6")).acl_drops, 1);
	tcpbox_expect_alive(&k[0]);
	finish(k, 3);
}

/* --- generations --- */

#define OLD 24u

static void open_some(struct tcphost_conn *k, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		tcpbox_open(&k[i], 4, i);
		tcpbox_expect_alive(&k[i]);
	}
}

static void expect_all(struct tcphost_conn *k, unsigned n, bool is_alive)
{
	tcpbox_pass(2);
	for (unsigned i = 0; i < n; i++) {
		if (is_alive) {
			tcpbox_expect_alive(&k[i]);
		} else {
			assert_null(k[i].c);
			assert_int_equal(k[i].why, TCP_WHY_RESET);
			tcphost_fini(&k[i]);
		}
	}
}

static void connections_end_with_their_service(void **state)
{
	struct mr_service s = tcpbox_service("other", "10.1.0.101", TCPBOX_PORT, "main");
	struct tcphost_conn k[OLD] = {{0}}, six = {0};
	uint32_t slot, other;

	(void)state;
	open_some(k, OLD);
	tcpbox_open(&six, 6, 1);
	slot = tcpbox_slot("mc");
	tcpbox_del("service/mc");
	tcpbox_put(&s);
	tcpbox_apply();
	other = tcpbox_slot("other"); /* it has connections still */
	assert_int_not_equal(other, slot);
	expect_all(k, OLD, false);
	tcpbox_expect_alive(&six);
	assert_int_equal(tcpbox_stats().unserved, OLD);
	assert_int_equal(tcpbox_tally(slot).conns, 0);
	s = tcpbox_service("third", "10.1.0.100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	tcpbox_apply();
	assert_int_equal(tcpbox_slot("third"), slot); /* it is free now */
	assert_int_equal(tcpbox_slot("other"), other);
	assert_int_equal(tcpbox_tally(slot).conns_total, 0);
	open_some(k, OLD);
	assert_int_equal(tcpbox_tally(slot).conns, OLD);
	finish(k, OLD);
	tcpbox_close(&six);
}

static void connections_end_with_their_address(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.101", TCPBOX_PORT, "main");
	struct tcphost_conn k[OLD] = {{0}};

	(void)state;
	open_some(k, OLD);
	tcpbox_put(&s); /* another address */
	tcpbox_apply();
	expect_all(k, OLD, false);
	s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	tcpbox_apply();
	open_some(k, OLD);
	s.port = TCPBOX_PORT + 1;
	tcpbox_put(&s); /* another port */
	tcpbox_apply();
	expect_all(k, OLD, false);
	assert_int_equal(tcpbox_stats().unserved, 2 * OLD);
}

static void connections_go_on_with_another_cache(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "second");
	struct tcphost_conn k[OLD] = {{0}}, six = {0};

	(void)state;
	open_some(k, OLD);
	tcpbox_open(&six, 6, 1);
	tcpbox_say(&k[0], "set a 0 0 1\r\nx\r\n");
	tcpbox_expect(&k[0], "STORED\r\n");
	tcpbox_cache("second", 8u << 20, 65536);
	tcpbox_put(&s);
	tcpbox_apply();
	expect_all(k, OLD, true);
	tcpbox_say(&k[0], "get a\r\n");
	tcpbox_expect(&k[0], "END\r\n");
	tcpbox_say(&six, "get a\r\n");
	tcpbox_expect(&six, "VALUE a 0 1\r\nx\r\nEND\r\n");
	/* and back, with half a request there */
	tcpbox_say(&k[0], "get a\r\nset b 0 0 5\r\nab");
	tcpbox_expect(&k[0], "END\r\n");
	s = tcpbox_service("mc", "10.1.0.100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	tcpbox_apply();
	tcpbox_say(&k[0], "cde\r\nget a\r\nget b\r\n");
	tcpbox_expect(
		&k[0], "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nVALUE b 0 5\r\nabcde\r\nEND\r\n");
	assert_int_equal(tcpbox_stats().unserved, 0);
	finish(k, OLD);
	tcpbox_close(&six);
}

static void connections_end_that_lists_refuse_now(void **state)
{
	struct tcphost_conn k[OLD] = {{0}};

	(void)state;
	open_some(k, OLD);
	tcpbox_list("mc", "10.1.1.0", 29, MR_ACL_ALLOW); /* the first 8 */
	tcpbox_apply();
	expect_all(k, 8, true);
	expect_all(k + 8, OLD - 8, false);
	assert_int_equal(tcpbox_stats().unserved, OLD - 8);
	finish(k, 8);
}

static bool are_acks_held;

static bool hold_acks(bool to_box, const uint8_t *frame, uint32_t len)
{
	const struct rte_tcp_hdr *th = (const void *)(frame + 14 + 20);

	(void)len;
	return !are_acks_held || !to_box || th->tcp_flags & RTE_TCP_SYN_FLAG;
}

/* A SYN that was admitted says nothing about the generation that its handshake ends in. */
static void a_handshake_that_a_change_overtakes_is_not_served(void **state)
{
	struct mr_service s = tcpbox_service("mc", "10.1.0.101", TCPBOX_PORT, "main");
	struct tcphost_conn k[2] = {{0}};

	(void)state;
	tcpbox_is_passed = hold_acks;
	are_acks_held = true;
	tcpbox_open(&k[0], 4, 9);
	tcpbox_list("mc", "10.1.1.0", 29, MR_ACL_ALLOW);
	tcpbox_apply();
	tcpbox_pass(10);
	are_acks_held = false;
	tcpbox_say(&k[0], "mn\r\n");
	tcpbox_expect_end(&k[0], TCP_WHY_RESET, 1000);
	assert_int_equal(k[0].n_received, 0);
	/* the same when the address is another service's now */
	are_acks_held = true;
	tcpbox_open(&k[1], 4, 3);
	tcpbox_put(&s);
	s = tcpbox_service("new", "10.1.0.100", TCPBOX_PORT, "main");
	tcpbox_put(&s);
	tcpbox_apply();
	tcpbox_pass(10);
	are_acks_held = false;
	tcpbox_say(&k[1], "mn\r\n");
	tcpbox_expect_end(&k[1], TCP_WHY_RESET, 1000);
	assert_int_equal(k[1].n_received, 0);
	assert_int_equal(tcpbox_tally(tcpbox_slot("new")).conns_total, 0);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).conns, 0);
	finish(k, 2);
}

/* --- buffers for requests --- */

#define LARGE 200000u

static void part_of_a_set(struct tcphost_conn *k, char key, bool is_first)
{
	const char name[] = {key, 0};
	uint8_t value[1000];
	char line[64];

	snprintf(line, sizeof(line), "set %s 0 0 %u\r\n", name, LARGE);
	if (is_first)
		tcpbox_say(k, line);
	for (uint32_t i = is_first ? 0 : LARGE - 20000; i < (is_first ? LARGE - 20000 : LARGE);
		i += sizeof(value)) {
		for (uint32_t j = 0; j < sizeof(value); j++)
			value[j] = tcpbox_byte(name, i + j);
		tcphost_send(k, value, sizeof(value));
	}
	if (!is_first)
		tcpbox_say(k, "\r\n");
}

static void check_large(struct tcphost_conn *k, char key)
{
	const char name[] = {key, 0};
	char text[64];
	uint32_t n;

	snprintf(text, sizeof(text), "get %s\r\n", name);
	tcpbox_say(k, text);
	n = (uint32_t)snprintf(text, sizeof(text), "VALUE %s 0 %u\r\n", name, LARGE);
	tcpbox_pass(50);
	assert_int_equal(k->n_in, n + LARGE + strlen("\r\nEND\r\n"));
	for (uint32_t i = 0; i < LARGE; i++)
		assert_int_equal(k->in[n + i], tcpbox_byte(name, i));
	tcphost_clear(k);
}

/* There are four buffers for values as long as these. */
static void who_finds_no_buffer_waits(void **state)
{
	struct tcphost_conn k[6] = {{0}}, other = {0};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		tcpbox_open(&k[i], i % 2 ? 6 : 4, i);
		part_of_a_set(&k[i], (char)('a' + i), true);
		tcpbox_pass(100);
	}
	tcpbox_open(&other, 4, 9);
	assert_int_equal(tcpbox_stats().no_request_buffer, 2);
	tcpbox_expect_alive(&other);
	part_of_a_set(&k[5], 'f', false);
	tcpbox_pass(100);
	assert_int_equal(k[5].n_in, 0);
	tcphost_abort(&k[1]); /* one gives its buffer back, which the first that waits takes */
	tcpbox_pass(100);
	assert_int_equal(k[5].n_in, 0);
	part_of_a_set(&k[4], 'e', false);
	tcpbox_expect(&k[4], "STORED\r\n");
	tcpbox_expect(&k[5], "STORED\r\n");
	part_of_a_set(&k[0], 'a', false);
	tcpbox_expect(&k[0], "STORED\r\n");
	check_large(&k[0], 'a');
	check_large(&k[4], 'e');
	check_large(&k[5], 'f');
	for (unsigned i = 2; i < 4; i++) {
		part_of_a_set(&k[i], (char)('a' + i), false);
		tcpbox_expect(&k[i], "STORED\r\n");
		check_large(&other, (char)('a' + i));
	}
	assert_int_equal(tcpbox_stats().request_timeouts, 0);
	finish(k, 6);
	tcpbox_close(&other);
}

/* --- workers, and frames that are not for the stack --- */

static void segments_find_the_worker_that_owns_them(void **state)
{
	struct tcphost_conn k[96] = {{0}};
	struct tally sum;
	struct tcp_usage u;

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(k); i++)
		tcpbox_open(&k[i], i % 2 ? 6 : 4, i);
	for (unsigned w = 0; w < tcpbox.n_workers; w++) {
		servetcp_usage(tcpbox.workers[w], &u);
		assert_in_range(u.n_conns, 10, 60);
	}
	for (unsigned turn = 0; turn < 10; turn++) {
		char line[64], expected[64];

		snprintf(line, sizeof(line), "set k 0 0 1\r\n%u\r\n", turn);
		tcpbox_say(&k[turn], line);
		tcpbox_expect(&k[turn], "STORED\r\n");
		snprintf(expected, sizeof(expected), "VALUE k 0 1\r\n%u\r\nEND\r\n", turn);
		for (unsigned i = 0; i < RTE_DIM(k); i++)
			tcpbox_say(&k[i], "get k\r\n");
		for (unsigned i = 0; i < RTE_DIM(k); i++)
			tcpbox_expect(&k[i], expected);
	}
	tally_sum(tcpbox.tallies, &sum);
	assert_true(sum.handed_over > 600);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).requests, 10 + 10 * 48 - 5);
	assert_int_equal(tcphost_counts(tcpbox_clients)->n_lost, 0);
	finish(k, RTE_DIM(k));
}

static struct {
	uint8_t bytes[2048];
	uint32_t len;
} seen;

static bool remember_data(bool to_box, const uint8_t *frame, uint32_t len)
{
	if (to_box && len > 70) {
		memcpy(seen.bytes, frame, len);
		seen.len = len;
	}
	return true;
}

static void send_frame(const uint8_t *frame, uint32_t len)
{
	harness_receive(&tcpbox, 0, 0, harness_mbuf(&tcpbox, frame, len));
	tcpbox_pass(1);
}

static void what_is_no_segment_for_us_alone_is_dropped(void **state)
{
	struct rte_ipv4_hdr *ip = (void *)(seen.bytes + 14);
	struct tcphost_conn k = {0};
	uint64_t n_in;

	(void)state;
	tcpbox_open(&k, 4, 1);
	tcpbox_is_passed = remember_data;
	tcpbox_say(&k, "get aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"); /* 72 bytes with TCP's */
	tcpbox_expect(&k, "END\r\n");
	tcpbox_is_passed = NULL;
	n_in = tcpbox_tcp_stats().segments_in;
	/* to everybody */
	memset(seen.bytes, 0xff, 6);
	send_frame(seen.bytes, seen.len);
	assert_int_equal(tcpbox_drops(PKT_DROP_foreign_mac), 1);
	memcpy(seen.bytes, &tcpbox.ifaces.of[0].mac, 6);
	/* a first fragment */
	ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	send_frame(seen.bytes, seen.len);
	assert_int_equal(tcpbox_drops(PKT_DROP_request_fragment), 1);
	assert_int_equal(tcpbox_tally(tcpbox_slot("mc")).drops, 2);
	assert_int_equal(tcpbox_tcp_stats().segments_in, n_in);
	/* as it was: old bytes */
	ip->fragment_offset = 0;
	ip->hdr_checksum = 0;
	ip->hdr_checksum = rte_ipv4_cksum(ip);
	send_frame(seen.bytes, seen.len);
	assert_int_equal(tcpbox_tcp_stats().segments_in, n_in + 1);
	tcpbox_expect_alive(&k);
	tcpbox_close(&k);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(half_a_request_has_30_seconds),
		TEST(bytes_that_trickle_in_do_not_extend_it),
		TEST(each_request_has_30_seconds_of_its_own),
		TEST(who_does_not_close_too_is_reset),
		TEST(answers_may_be_read_slowly_after_the_close),
		TEST(a_client_that_is_gone_is_found_out),
		TEST(an_idle_client_stays_for_hours),
		TEST(a_service_may_say_how_long_one_may_be_idle),
		TEST(a_service_has_so_many_connections),
		TEST(new_connections_have_a_rate),
		TEST(lists_say_who_may_open),
		TEST(connections_end_with_their_service),
		TEST(connections_end_with_their_address),
		TEST(connections_go_on_with_another_cache),
		TEST(connections_end_that_lists_refuse_now),
		TEST(a_handshake_that_a_change_overtakes_is_not_served),
		cmocka_unit_test_setup_teardown(who_finds_no_buffer_waits, set_up_long, tear_down),
		cmocka_unit_test_setup_teardown(
			segments_find_the_worker_that_owns_them, set_up_workers, tear_down),
		TEST(what_is_no_segment_for_us_alone_is_dropped),
	};

	if (eal_start("test_servetcp_rules", 512) != 0)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
