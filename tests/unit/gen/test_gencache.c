/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests over UDP as they go out, and their answers from a server of this test: each is found again, whatever the order, and one that
 * differs in a byte is not taken for right. */
#include "base/csum.h"
#include "gencache.h"
#include "proto/mc_udp.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdio.h>

#define ROOM 2048u
#define HEAD 42u /* Ethernet, IPv4, UDP */

static uint8_t room[GENRUN_BURST_MAX][RTE_PKTMBUF_HEADROOM + ROOM];
static struct rte_mbuf bufs[GENRUN_BURST_MAX], *m[GENRUN_BURST_MAX];
static struct genmc mc;
static struct gencache cache, other;
static struct genrun r;

static void init_thread(double set_pct, unsigned thread, unsigned n_threads)
{
	const struct genopt_net client = {.family = 4, .len = 24, .ip = {10, 1, 128, 0}},
				target = {.family = 4, .len = 32, .ip = {10, 1, 0, 80}};
	struct genframe_params p = {.client = &client,
		.target = &target,
		.target_port = 11211,
		.proto = IPPROTO_UDP,
		.slice = thread,
		.n_slices = n_threads};
	const struct genopt o = {.n_keys = 3000,
		.value_min = 5,
		.value_max = 300,
		.set_pct = set_pct,
		.skew = 0.99,
		.seed = 7,
		.n_cpus = n_threads,
		.n_flows = 1024};

	memset(&r, 0, sizeof(r));
	assert_int_equal(genmc_init(&mc, &o, thread, NULL), 0);
	assert_int_equal(gencache_init(&cache, &mc, &o, &p), 0);
	p.slice = (thread + 1) % n_threads;
	assert_int_equal(gencache_init(&other, &mc, &o, &p), 0);
	r.hz = 2450000000;
	assert_int_equal(genrun_init(&r), 0);
	r.first = r.first_counted = r.next;
	r.end = UINT64_MAX;
	genpace_init(&r.pace, 0, r.hz, 1e6);
	genmc_begin(&mc, &r, 1e6, 0);
	for (unsigned i = 0; i < GENRUN_BURST_MAX; i++) {
		bufs[i] = (struct rte_mbuf){.buf_addr = room[i],
			.data_off = RTE_PKTMBUF_HEADROOM,
			.buf_len = sizeof(room[i]),
			.nb_segs = 1};
		m[i] = &bufs[i];
	}
}

static void init(double set_pct)
{
	init_thread(set_pct, 0, 1);
}

static void fini(void)
{
	genmc_fini(&mc);
	genrun_fini(&r);
}

/* The answer to a request, as a server has it that was sent all sets. Returns its bytes. */
static uint32_t answer_of(uint8_t *to, const uint8_t *request)
{
	uint8_t set[GENMC_REQUEST_MAX];
	unsigned key, len;
	int head, n;

	if (sscanf((const char *)request, "set key:%u 0 0 %u", &key, &len) == 2)
		return (uint32_t)snprintf((char *)to, 64, "STORED\r\n");
	head = 0;
	assert_int_equal(sscanf((const char *)request, "get key:%u\r\n%n", &key, &head), 1);
	assert_int_equal(head, 22);
	genmc_write(&mc, set, (struct genmc_request){key, true});
	assert_int_equal(sscanf((const char *)set, "set key:%*u 0 0 %u%n", &len, &head), 1);
	head += 2;
	n = snprintf((char *)to, 64, "VALUE key:%012u 0 %u\r\n", key, len);
	memcpy(to + n, set + head, len);
	memcpy(to + n + len, "\r\nEND\r\n", 7);
	return (uint32_t)n + len + 7;
}

static void put16(uint8_t *to, uint32_t v)
{
	const uint16_t be = htons((uint16_t)v);

	memcpy(to, &be, 2);
}

/* What is sent is a whole frame with its checksums. It becomes its answer. */
static void serve(struct rte_mbuf *b)
{
	uint8_t *frame = rte_pktmbuf_mtod(b, uint8_t *), *ip = frame + 14, *udp = ip + 20;
	uint8_t *text = udp + 8 + MC_UDP_HEADER, answer[GENMC_ANSWER_MAX], was[4];
	const uint32_t n_udp = b->data_len - 34u;
	uint32_t n;

	assert_int_equal(b->pkt_len, b->data_len);
	assert_int_equal(ip[2] << 8 | ip[3], b->data_len - 14);
	assert_int_equal(udp[4] << 8 | udp[5], n_udp);
	assert_int_equal(csum_of(ip, 20), 0);
	assert_int_equal(csum_l4(ip + 12, ip + 16, 4, IPPROTO_UDP, udp, n_udp), 0);
	frame[b->data_len] = '\0';
	n = answer_of(answer, text);
	memcpy(text, answer, n);
	memcpy(was, ip + 12, 4);
	memcpy(ip + 12, ip + 16, 4);
	memcpy(ip + 16, was, 4);
	memcpy(was, udp, 2);
	memcpy(udp, udp + 2, 2);
	memcpy(udp + 2, was, 2);
	put16(ip + 2, 20 + 8 + MC_UDP_HEADER + n);
	put16(udp + 4, 8 + MC_UDP_HEADER + n);
	b->data_len = (uint16_t)(HEAD + MC_UDP_HEADER + n);
	b->pkt_len = b->data_len;
}

static void send_some(unsigned n)
{
	cache.work.build(&cache, m, n, genrun_take(&r, n));
	for (unsigned i = 0; i < n; i++)
		serve(m[i]);
}

/* Takes it all in; returns which frames were taken for answers. */
static uint64_t receive(struct rte_mbuf **from, unsigned n)
{
	struct genwork_seen seen = {0};

	r.now = genpace_due(&r.pace, r.next - r.first);
	cache.work.input(&cache, &r, from, n, &seen);
	assert_int_equal(seen.turned | seen.kept, 0);
	return seen.taken;
}

static void answers_are_found_again(void **state)
{
	uint64_t n_all = 0;

	(void)state;
	init(25);
	for (unsigned n = 1; n_all < 300000; n = n % GENRUN_BURST_MAX + 1) {
		struct rte_mbuf *back[GENRUN_BURST_MAX];

		send_some(n);
		for (unsigned i = 0; i < n; i++) /* the other way round */
			back[i] = m[n - 1 - i];
		assert_true(receive(back, n) == UINT64_MAX >> (64 - n));
		n_all += n;
	}
	assert_int_equal(r.counts.received, n_all);
	assert_int_equal(mc.counts.hits + mc.counts.stored, n_all);
	assert_true(mc.counts.stored > n_all / 5 && mc.counts.hits > n_all / 2);
	assert_int_equal(mc.counts.wrong + mc.counts.refused + mc.counts.misses, 0);
	assert_int_equal(r.counts.duplicates + r.counts.overdue, 0);
	fini();
}

/* Any byte of an answer's text, and its id: never counted as right twice, and what is another's is told. */
static void changed_answers_are_told(void **state)
{
	(void)state;
	init(0);
	send_some(1);
	for (uint32_t at = HEAD + MC_UDP_HEADER; at < m[0]->data_len; at++) {
		const uint64_t before = mc.counts.wrong + mc.counts.refused;

		rte_pktmbuf_mtod(m[0], uint8_t *)[at] ^= 0x20;
		receive(m, 1);
		assert_int_equal(mc.counts.wrong + mc.counts.refused, before + 1);
		assert_int_equal(r.counts.received, 0);
		rte_pktmbuf_mtod(m[0], uint8_t *)[at] ^= 0x20;
	}
	/* a byte more, and one less */
	for (int more = -1; more <= 1; more += 2) {
		const uint64_t before = mc.counts.wrong;
		const uint32_t len = m[0]->data_len;

		m[0]->data_len = (uint16_t)((int)len + more);
		put16(rte_pktmbuf_mtod(m[0], uint8_t *) + 16, m[0]->data_len - 14u);
		put16(rte_pktmbuf_mtod(m[0], uint8_t *) + 38, m[0]->data_len - 34u);
		receive(m, 1);
		assert_int_equal(mc.counts.wrong, before + 1);
		m[0]->data_len = (uint16_t)len;
		put16(rte_pktmbuf_mtod(m[0], uint8_t *) + 16, len - 14);
		put16(rte_pktmbuf_mtod(m[0], uint8_t *) + 38, len - 34);
	}
	receive(m, 1);
	assert_int_equal(r.counts.received, 1);
	receive(m, 1);
	assert_int_equal(r.counts.received, 1);
	assert_int_equal(r.counts.duplicates, 1);
	fini();
}

/* One that comes when thousands of others were sent is judged as any other. */
static void late_answers_are_judged(void **state)
{
	static uint8_t late[ROOM];
	struct rte_mbuf b;

	(void)state;
	init(0);
	send_some(1);
	memcpy(late, rte_pktmbuf_mtod(m[0], uint8_t *), ROOM - RTE_PKTMBUF_HEADROOM);
	b = *m[0];
	b.buf_addr = late;
	b.data_off = 0;
	for (unsigned n_sent = 0; n_sent < 2 * GENMC_RECENT; n_sent += GENRUN_BURST_MAX)
		send_some(GENRUN_BURST_MAX);
	late[HEAD + MC_UDP_HEADER + 40] ^= 1;
	receive((struct rte_mbuf *[]){&b}, 1);
	assert_int_equal(mc.counts.wrong, 1);
	late[HEAD + MC_UDP_HEADER + 40] ^= 1;
	receive((struct rte_mbuf *[]){&b}, 1);
	assert_int_equal(mc.counts.hits, 1);
	assert_int_equal(r.counts.received, 1);
	fini();
}

/* Another thread takes none of them, and knows whose they are. */
static void answers_are_their_threads(void **state)
{
	(void)state;
	for (unsigned thread = 0; thread < 4; thread++) {
		struct genwork_seen seen = {0};

		init_thread(0, thread, 4);
		assert_int_equal(cache.client_bits, 8);
		for (unsigned round = 0; round < 2000; round++) {
			send_some(20);
			other.work.input(&other, &r, m, 20, &seen);
			assert_int_equal(seen.taken | seen.turned | seen.kept, 0);
			for (unsigned i = 0; i < 20; i++) {
				assert_int_equal(other.work.owner(&other, m[i]), thread);
				assert_int_equal(cache.work.owner(&cache, m[i]), thread);
			}
			assert_int_equal(receive(m, 20), (1u << 20) - 1);
		}
		assert_int_equal(r.counts.received, 40000);
		assert_int_equal(mc.counts.hits, 40000);
		fini();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_found_again),
		cmocka_unit_test(changed_answers_are_told),
		cmocka_unit_test(late_answers_are_judged),
		cmocka_unit_test(answers_are_their_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
