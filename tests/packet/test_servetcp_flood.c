/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients that behave well beside those that do not. Twenty of them, over IPv4 and IPv6, ask at a fixed pace in virtual time, and each of
 * their answers is compared; beside them comes a flood. They have to complete 99 % of what they asked by the end of each test, which is as much as
 * without it, none of them is ever reset, no limit of the stack is exceeded, and in the end everything is given back.
 *
 * Workers have so many loops in a millisecond as makes a million packets a second. FLOOD_MS=60000 makes each flood last that long, and
 * FLOOD='half*' chooses some of them.
 */
#include "base/csum.h"
#include "eal.h"
#include "tcpbox.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#include <stdlib.h>

#define GOOD 20u
#define BAD_MAX 1600u
#define N_CONNS 1536u /* more than there are buffers for requests of all sizes */
#define N_BUFS 8192u
#define LOOPS 16u
#define BIG MR_CACHE_VALUE_MAX

/* --- clients that behave well --- */

/* One goes through these for ever, one in each millisecond. */
struct exchange {
	char ask[6000];
	char answer[24000];
	uint32_t n_ask, n_answer;
};

#define TURNS 8u

static struct exchange turns[TURNS];

struct good {
	struct tcphost_conn k;
	uint64_t n_asked, n_answered;
	uint64_t at; /* bytes of the answer that is coming */
};

static struct good good[GOOD];
static struct tcphost_conn bad[BAD_MAX];
static uint64_t rnd_state = 88172645463325252ull;

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)(rnd_state >> 32);
}

static uint32_t flood_ms(void)
{
	const char *text = getenv("FLOOD_MS");

	return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 2500;
}

static void make_get(struct exchange *x, const char *key, uint32_t n)
{
	uint32_t at = (uint32_t)snprintf(x->answer, sizeof(x->answer), "VALUE %s 0 %u\r\n", key, n);

	x->n_ask = (uint32_t)snprintf(x->ask, sizeof(x->ask), "get %s\r\n", key);
	for (uint32_t i = 0; i < n; i++)
		x->answer[at++] = (char)tcpbox_byte(key, i);
	memcpy(x->answer + at, "\r\nEND\r\n", 7);
	x->n_answer = at + 7;
}

static void make_set(struct exchange *x, const char *key, uint32_t n)
{
	uint32_t at = (uint32_t)snprintf(x->ask, sizeof(x->ask), "set %s 0 0 %u\r\n", key, n);

	for (uint32_t i = 0; i < n; i++)
		x->ask[at++] = (char)tcpbox_byte(key, i);
	memcpy(x->ask + at, "\r\n", 2);
	x->n_ask = at + 2;
	x->n_answer = (uint32_t)snprintf(x->answer, sizeof(x->answer), "STORED\r\n");
}

static void take_answer(struct tcphost_conn *k, const uint8_t *p, uint32_t len)
{
	struct good *g = k->app;

	while (len > 0) {
		const struct exchange *x = &turns[g->n_answered % TURNS];
		const uint32_t n = RTE_MIN(len, x->n_answer - (uint32_t)g->at);

		assert_memory_equal(p, x->answer + g->at, n);
		g->at += n;
		if (g->at == x->n_answer) {
			g->n_answered++;
			g->at = 0;
		}
		p += n;
		len -= n;
	}
}

static int set_up(void **state)
{
	struct tcphost_conn k = {0};

	(void)state;
	tcpbox_up(&(struct tcpbox_params){.n_conns = N_CONNS,
		.n_bufs = N_BUFS,
		.n_client_conns = 2048,
		.n_client_bufs = 32768});
	make_set(&turns[0], "s", 700);
	make_get(&turns[1], "s", 700);
	make_get(&turns[2], "m", 4000);
	make_set(&turns[3], "m", 4000);
	make_get(&turns[4], "s", 700);
	make_get(&turns[5], "l", 20000);
	make_get(&turns[6], "s", 700);
	make_set(&turns[7], "m", 4000);
	tcpbox_open(&k, 4, 0);
	tcpbox_store(&k, "m", 4000);
	tcpbox_store(&k, "l", 20000);
	tcpbox_store(&k, "big", BIG);
	tcpbox_close(&k);
	memset(good, 0, sizeof(good));
	memset(bad, 0, sizeof(bad));
	for (unsigned i = 0; i < GOOD; i++) {
		tcpbox_open(&good[i].k, i % 2 ? 6 : 4, 1 + i);
		good[i].k.on_data = take_answer;
		good[i].k.app = &good[i];
	}
	tcpbox_loops = LOOPS;
	return 0;
}

static uint64_t n_asked(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GOOD; i++)
		n += good[i].n_asked;
	return n;
}

static uint64_t n_answered(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GOOD; i++)
		n += good[i].n_answered;
	return n;
}

static void check_usage(void)
{
	const struct tcp_usage u = tcpbox_usage();

	assert_true(u.n_bufs - u.n_rcv_bufs <= N_BUFS / 2 && u.n_rcv_bufs <= N_BUFS / 2);
	assert_true(u.n_conns <= N_CONNS && u.n_syns <= 1024 && u.n_time_waits <= 1024);
}

/* A millisecond of theirs, beside what `flood` does in it. */
static void live(void (*flood)(unsigned at_ms), uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i++) {
		for (unsigned c = 0; c < GOOD; c++) {
			const struct exchange *x = &turns[good[c].n_asked % TURNS];

			tcphost_send(&good[c].k, x->ask, x->n_ask);
			good[c].n_asked++;
		}
		if (flood != NULL)
			flood(i);
		tcpbox_pass(1);
		check_usage();
		for (unsigned c = 0; c < GOOD; c++)
			if (good[c].k.c == NULL)
				fail_msg("client %u was ended after %u ms", c, i);
	}
}

static void withstand(const char *what, void (*flood)(unsigned at_ms))
{
	const uint64_t asked_before = n_asked(), answered_before = n_answered();
	uint64_t asked, answered;

	live(flood, flood_ms());
	asked = n_asked() - asked_before;
	answered = n_answered() - answered_before;
	print_message("%s: %llu asked, %llu answered\n", what, (unsigned long long)asked,
		(unsigned long long)answered);
	assert_true(asked == flood_ms() * GOOD);
	assert_true(answered * 100 >= asked * 99);
}

static void end_bad(void)
{
	for (unsigned i = 0; i < BAD_MAX; i++)
		tcphost_abort(&bad[i]);
	tcpbox_pass(2);
	for (unsigned i = 0; i < BAD_MAX; i++)
		tcphost_fini(&bad[i]);
}

static int tear_down(void **state)
{
	(void)state;
	end_bad();
	for (unsigned i = 0; n_answered() < n_asked() && i < 2000; i++)
		tcpbox_pass(1); /* all that was asked is answered once the flood is over */
	assert_true(n_answered() == n_asked());
	for (unsigned i = 0; i < GOOD; i++)
		tcpbox_close(&good[i].k);
	tcpbox_loops = 64;
	tcpbox_skip(100000, 10); /* SYN entries and TIME-WAITs go */
	assert_int_equal(tcpbox_usage().n_syns, 0);
	assert_int_equal(tcpbox_usage().n_time_waits, 0);
	tcpbox_down();
	return 0;
}

/* --- raw segments --- */

struct raw {
	uint8_t src[4];
	uint16_t sport;
	uint32_t seq, ack;
	uint8_t flags;
	uint32_t n; /* bytes of payload */
};

static void send_raw(const struct raw *r)
{
	uint8_t frame[14 + 20 + 20 + 1460] = {2, 0, 0, 0, 0, 1, 2, 0xee, 0, 0, 0, 9, 0x08, 0x00};
	struct rte_ipv4_hdr *ip = (void *)(frame + 14);
	struct rte_tcp_hdr *th = (void *)(ip + 1);
	const uint32_t n_tcp = (uint32_t)sizeof(*th) + r->n;
	struct rte_mbuf *m;

	*ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + n_tcp)),
		.time_to_live = 64,
		.next_proto_id = IPPROTO_TCP,
		.dst_addr = RTE_BE32(RTE_IPV4(10, 1, 0, 100))};
	memcpy(&ip->src_addr, r->src, 4);
	ip->hdr_checksum = csum_of(ip, sizeof(*ip));
	*th = (struct rte_tcp_hdr){.src_port = rte_cpu_to_be_16(r->sport),
		.dst_port = rte_cpu_to_be_16(TCPBOX_PORT),
		.sent_seq = rte_cpu_to_be_32(r->seq),
		.recv_ack = rte_cpu_to_be_32(r->ack),
		.data_off = sizeof(*th) / 4 << 4,
		.tcp_flags = r->flags,
		.rx_win = 0xffff};
	memset(th + 1, 'a', r->n);
	th->cksum = csum_l4(&ip->src_addr, &ip->dst_addr, 4, IPPROTO_TCP, th, n_tcp);
	m = rte_pktmbuf_alloc(tcpbox.pool);
	if (m == NULL || rte_ring_full(tcpbox.rx[0][0])) { /* as a NIC would do it */
		rte_pktmbuf_free(m);
		return;
	}
	memcpy(rte_pktmbuf_append(m, (uint16_t)(34 + n_tcp)), frame, 34 + n_tcp);
	harness_receive(&tcpbox, 0, 0, m);
}

static struct raw random_source(uint8_t flags)
{
	struct raw r = {.sport = (uint16_t)(1024 + rnd() % 60000),
		.seq = rnd(),
		.ack = rnd(),
		.flags = flags};
	const uint32_t ip = rnd();

	memcpy(r.src, &ip, 4);
	r.src[0] = (uint8_t)(11 + ip % 100); /* none of ours, no multicast */
	return r;
}

static void syns(unsigned at_ms)
{
	(void)at_ms;
	for (unsigned i = 0; i < 300; i++) {
		const struct raw r = random_source(RTE_TCP_SYN_FLAG);

		send_raw(&r);
	}
}

static void a_syn_flood(void **state)
{
	struct tcphost_conn late[4] = {{0}};

	(void)state;
	withstand("SYNs", syns);
	assert_true(tcpbox_tcp_stats().cookies_sent > 100000 / 3);
	assert_int_equal(tcpbox_usage().n_syns, 1024);
	/* and others come in by cookies */
	for (unsigned i = 0; i < 4; i++)
		tcpbox_ask(&late[i], i % 2 ? 6 : 4, 100 + i);
	live(syns, 5);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(late[i].is_open);
		tcpbox_say(&late[i], "mn\r\n");
	}
	live(syns, 2);
	for (unsigned i = 0; i < 4; i++) {
		tcpbox_expect(&late[i], "MN\r\n");
		tcpbox_close(&late[i]);
	}
	assert_int_equal(tcpbox_tcp_stats().cookies_good, 4);
}

static void strays(unsigned at_ms)
{
	static const uint8_t flags[] = {RTE_TCP_ACK_FLAG, RTE_TCP_RST_FLAG,
		RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG, 0,
		RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG, RTE_TCP_PSH_FLAG | RTE_TCP_ACK_FLAG};

	(void)at_ms;
	for (unsigned i = 0; i < 300; i++) {
		struct raw r = random_source(flags[rnd() % RTE_DIM(flags)]);

		r.n = rnd() % 3 ? 0 : rnd() % 1400;
		send_raw(&r);
	}
}

static void segments_of_no_connection(void **state)
{
	(void)state;
	withstand("segments of no connection", strays);
	assert_true(tcpbox_tcp_stats().no_flow >= 300u * flood_ms());
	assert_true(tcpbox_tcp_stats().answers_limited > 100u * flood_ms());
	/* a hundred in a second, and 20 at once */
	assert_true(tcpbox_tcp_stats().resets_out <= flood_ms() / 10 + 21);
}

/* --- connections --- */

static void open_bad(unsigned n)
{
	live(NULL, 500); /* the others have been there for a while */
	for (unsigned i = 0; i < n; i++) {
		bad[i].is_narrow = true;
		tcpbox_ask(&bad[i], i % 2 ? 6 : 4, 256 + i);
		if (i % 64 == 63)
			live(NULL, 1);
	}
	live(NULL, 2);
	for (unsigned i = 0; i < n; i++)
		assert_true(bad[i].is_open);
}

static void bytes(unsigned at_ms)
{
	static const char text[] = "get aaaaaaaaaaaaaaaa\r\n";

	for (unsigned i = 0; i < 300; i++)
		tcphost_send(&bad[i], &text[at_ms % (sizeof(text) - 1)], 1);
}

static void segments_of_a_byte(void **state)
{
	(void)state;
	open_bad(300);
	withstand("bytes", bytes);
	assert_true(tcpbox_tcp_stats().segments_in > 300u * flood_ms());
}

static struct raw gaps[400];
static unsigned n_gaps;

/* The last ACK of each handshake of the bad ones. */
static bool note_acks(bool to_box, const uint8_t *frame, uint32_t len)
{
	const struct rte_ipv4_hdr *ip = (const void *)(frame + 14);
	const struct rte_tcp_hdr *th = (const void *)(ip + 1);

	if (!to_box || frame[12] != 8 || frame[13] != 0 || len > 66
		|| th->tcp_flags != RTE_TCP_ACK_FLAG || n_gaps == RTE_DIM(gaps))
		return true;
	if (frame[14 + 14] < 2) /* not of client 256 and more */
		return true;
	gaps[n_gaps] = (struct raw){.sport = rte_be_to_cpu_16(th->src_port),
		.seq = rte_be_to_cpu_32(th->sent_seq),
		.ack = rte_be_to_cpu_32(th->recv_ack),
		.flags = RTE_TCP_ACK_FLAG};
	memcpy(gaps[n_gaps++].src, &ip->src_addr, 4);
	return true;
}

static void leave_gaps(unsigned at_ms)
{
	for (unsigned i = 0; i < 200; i++) {
		struct raw r = gaps[(at_ms * 200 + i) % n_gaps];

		r.seq += 100 + rnd() % 64 * 1000;
		r.n = 500;
		send_raw(&r);
	}
}

static void gaps_that_are_never_filled(void **state)
{
	(void)state;
	n_gaps = 0;
	tcpbox_is_passed = note_acks;
	open_bad(800);
	tcpbox_is_passed = NULL;
	assert_int_equal(n_gaps, 400);
	withstand("gaps", leave_gaps);
	assert_true(tcpbox_tcp_stats().out_of_order > N_BUFS / 4);
	assert_true(tcpbox_stats().slow_readers >= n_gaps);
}

#define FEW_GAPS 30u /* connections: not so many that buffers become short */

/* A byte, a hole of a byte, over all of the window: each would take a buffer for two bytes of it. */
static void leave_tiny_gaps(unsigned at_ms)
{
	for (unsigned i = 0; i < 200; i++) {
		struct raw r = gaps[i % FEW_GAPS];

		r.seq += 1 + 2 * (rnd() % 16000);
		r.n = 1;
		send_raw(&r);
	}
}

static void gaps_of_a_byte(void **state)
{
	(void)state;
	n_gaps = 0;
	tcpbox_is_passed = note_acks;
	open_bad(800);
	tcpbox_is_passed = NULL;
	withstand("gaps of a byte", leave_tiny_gaps);
	assert_true(tcpbox_tcp_stats().out_of_order_dropped > 100u * flood_ms());
	assert_true(tcpbox_usage().n_rcv_bufs <= FEW_GAPS * 64 + GOOD * 8);
	assert_int_equal(tcpbox_stats().slow_readers, 0);
}

/* --- half requests --- */

static void half_requests(void **state)
{
	const unsigned n = N_CONNS - GOOD;

	(void)state;
	open_bad(n);
	for (unsigned i = 0; i < n; i++) {
		tcpbox_say(&bad[i], "set x 0 0 100\r\nx");
		if (i % 64 == 63)
			live(NULL, 1);
	}
	withstand("half requests", NULL);
	assert_true(tcpbox_stats().no_request_buffer > 0);
}

/* Not more than is on its way is kept for it: the clients' buffers are those of all of them. */
static bool has_sent_all(const struct tcphost_conn *k)
{
	return k->c != NULL && k->n_out == 0 && tcp_queued(k->c) < 8192;
}

static void large_halves(unsigned at_ms)
{
	static uint8_t some[8192];

	for (unsigned i = 0; i < 300; i++) {
		if (at_ms == 0)
			tcpbox_say(&bad[i], "set x 0 0 1000000\r\n");
		if (has_sent_all(&bad[i]))
			tcphost_send(&bad[i], some, sizeof(some));
	}
}

static void half_requests_that_are_large(void **state)
{
	(void)state;
	open_bad(300);
	withstand("large half requests", large_halves);
	assert_true(tcpbox_stats().no_request_buffer > 0);
}

/* --- answers that nobody reads --- */

static void pause_bad(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bad[i].is_paused = true;
}

static void ask_big(unsigned at_ms)
{
	if (at_ms % 10 == 0 && at_ms / 10 < 60)
		tcpbox_say(&bad[at_ms / 10], "get big\r\nget big\r\n");
}

static void closed_windows(void **state)
{
	(void)state;
	open_bad(60);
	pause_bad(60);
	withstand("closed windows", ask_big);
	assert_true(tcpbox_stats().slow_readers > 0);
}

/* All at once: nothing has told yet that buffers become few. */
static void ask_big_at_once(unsigned at_ms)
{
	for (unsigned i = 0; at_ms % 1500 == 100 && i < 60; i++)
		tcpbox_say(&bad[i], "get big\r\n");
}

static void closed_windows_at_once(void **state)
{
	(void)state;
	open_bad(60);
	pause_bad(60);
	withstand("closed windows at once", ask_big_at_once);
	assert_true(tcpbox_stats().slow_readers > 0);
}

static void trickle(unsigned at_ms)
{
	ask_big(at_ms);
	for (unsigned i = 0; i < 60; i++)
		bad[i].pace = 4; /* window by window, for ever */
}

static void windows_that_hardly_open(void **state)
{
	(void)state;
	open_bad(60);
	withstand("windows that hardly open", trickle);
	assert_true(tcpbox_stats().slow_readers > 0);
}

static void pipeline(unsigned at_ms)
{
	static const char gets[] =
		"get l\r\nget m\r\nget s\r\nget s\r\nget s\r\nget m\r\nget l\r\n";

	for (unsigned i = 0; i < 400; i++)
		if (at_ms % 4 == i % 4 && has_sent_all(&bad[i]))
			tcphost_send(&bad[i], gets, sizeof(gets) - 1);
}

static void pipelines_that_nobody_reads(void **state)
{
	(void)state;
	open_bad(400);
	pause_bad(400);
	withstand("pipelines", pipeline);
	assert_true(tcpbox_stats().slow_readers > 0);
}

static void small_pipeline(unsigned at_ms)
{
	static const char gets[] = "get s\r\nget s\r\nget s\r\nget s\r\n";

	for (unsigned i = 0; i < 1200; i++)
		if (at_ms % 8 == i % 8 && bad[i].c != NULL && tcp_queued(bad[i].c) < 256)
			tcphost_send(&bad[i], gets, sizeof(gets) - 1);
}

static void many_small_answers_that_nobody_reads(void **state)
{
	(void)state;
	open_bad(1200);
	pause_bad(1200);
	withstand("small pipelines", small_pipeline);
	assert_true(tcpbox_stats().slow_readers > 0);
}

static void as_many_connections_as_there_are(void **state)
{
	(void)state;
	open_bad(N_CONNS - GOOD);
	assert_int_equal(tcpbox_usage().n_conns, N_CONNS);
	for (unsigned i = N_CONNS - GOOD; i < BAD_MAX; i++)
		tcpbox_ask(&bad[i], 4, 256 + i);
	withstand("idle connections", NULL);
	assert_int_equal(tcpbox_usage().n_conns, N_CONNS);
	assert_int_equal(tcpbox_tcp_stats().no_conn_entry, BAD_MAX - (N_CONNS - GOOD));
}

static void nobody_else(void **state)
{
	(void)state;
	withstand("nobody else", NULL);
	assert_int_equal(tcpbox_tcp_stats().retransmits, 0);
	assert_int_equal(tcpbox_stats().no_request_buffer, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_else),
		TEST(a_syn_flood),
		TEST(segments_of_no_connection),
		TEST(segments_of_a_byte),
		TEST(gaps_that_are_never_filled),
		TEST(gaps_of_a_byte),
		TEST(half_requests),
		TEST(half_requests_that_are_large),
		TEST(closed_windows),
		TEST(closed_windows_at_once),
		TEST(windows_that_hardly_open),
		TEST(pipelines_that_nobody_reads),
		TEST(many_small_answers_that_nobody_reads),
		TEST(as_many_connections_as_there_are),
	};

	if (eal_start("test_servetcp_flood", 768) != 0)
		return 2;
	if (getenv("FLOOD") != NULL)
		cmocka_set_test_filter(getenv("FLOOD"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
