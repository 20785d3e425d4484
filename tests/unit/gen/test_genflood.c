/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of flows as they go out: of the length that was asked for, with whole checksums and zeros behind the mark; known flows and new ones in
 * their shares. They are found again when they come back, and go back where that is asked for. */
#include "base/csum.h"
#include "genflood.h"
#include "unit.h"

#include <rte_ip.h>
#include <rte_tcp.h>

#define ROOM 2048u
#define FLOWS 500u

static uint8_t room[GENRUN_BURST_MAX][RTE_PKTMBUF_HEADROOM + ROOM];
static struct rte_mbuf bufs[GENRUN_BURST_MAX], *m[GENRUN_BURST_MAX];
static struct genflood flood;
static struct genrun r;

static void init(uint8_t family, uint8_t proto, const char *size, double new_pct, double skew)
{
	const struct genopt_net clients[] = {{.family = 4, .len = 28, .ip = {10, 1, 128, 0}},
		{.family = 6, .len = 124, .ip = {0xfd}}},
				targets[] = {{.family = 4, .len = 32, .ip = {10, 1, 0, 80}},
					{.family = 6, .len = 128, .ip = {0xfd, 1}}};
	const struct genframe_params p = {.client = &clients[family == 6],
		.target = &targets[family == 6],
		.target_port = 80,
		.proto = proto};
	struct genopt o = {.n_flows = FLOWS, .new_pct = new_pct, .skew = skew, .seed = 3};

	memset(&r, 0, sizeof(r));
	assert_true(genpace_sizes_parse(&o.sizes, size));
	assert_int_equal(genflood_init(&flood, &o, &p, NULL), 0);
	r.hz = 2450000000;
	assert_int_equal(genrun_init(&r), 0);
	r.first = r.first_counted = r.next;
	r.end = UINT64_MAX;
	genpace_init(&r.pace, 0, r.hz, 1e6);
	for (unsigned i = 0; i < GENRUN_BURST_MAX; i++) {
		memset(room[i], 0xa5, sizeof(room[i])); /* as of frames before */
		bufs[i] = (struct rte_mbuf){.buf_addr = room[i],
			.data_off = RTE_PKTMBUF_HEADROOM,
			.buf_len = sizeof(room[i]),
			.nb_segs = 1};
		m[i] = &bufs[i];
	}
}

static void fini(void)
{
	genflood_fini(&flood);
	genrun_fini(&r);
}

/* Of a frame on its way there: that of an answer to it. */
static uint64_t flow_of(const struct genframe_seen *s)
{
	struct genframe_seen answer = *s;
	uint8_t ports[4];

	memcpy(ports + 2, s->l4, 2);
	answer.dst = s->src;
	answer.l4 = ports;
	return genframe_flow_of(&flood.frame, &answer);
}

/* A frame against what it has to be, from its bytes; returns its flow. */
static uint64_t check(const struct rte_mbuf *b, uint64_t number)
{
	uint8_t *frame = rte_pktmbuf_mtod(b, uint8_t *);
	const uint32_t at = flood.frame.head_len, n_mark = flood.is_tcp ? 0 : GENFRAME_MARK;
	uint32_t want = genpace_size(&flood.sizes, number) - GENFRAME_FCS, got;
	struct genframe_seen s;
	bool is_back;

	assert_int_equal(b->pkt_len, b->data_len);
	assert_true(genframe_read(frame, b->data_len, &s));
	assert_true(genframe_find_mark(&flood.frame, &s, &got, &is_back));
	assert_int_equal(got, (uint32_t)number);
	assert_false(is_back);
	if (s.family == 4)
		assert_int_equal(csum_of(frame + 14, 20), 0);
	assert_int_equal(csum_l4(s.src, s.dst, s.family == 4 ? 4 : 16, s.proto, s.l4, s.l4_len), 0);
	if (flood.is_tcp && s.l4[offsetof(struct rte_tcp_hdr, tcp_flags)] == RTE_TCP_SYN_FLAG)
		want = at;
	want = want > at + n_mark ? want : at + n_mark;
	assert_int_equal(b->data_len, want > 60 ? want : 60);
	for (uint32_t i = at + n_mark; i < b->data_len; i++)
		assert_int_equal(frame[i], 0);
	return flow_of(&s);
}

static void one_case(uint8_t family, uint8_t proto, const char *size, double new_pct, double skew)
{
	uint64_t n_known = 0, n_all = 0, next_new = FLOWS, n_first = 0;

	init(family, proto, size, new_pct, skew);
	for (unsigned n = 1; n_all < 20000; n = n % GENRUN_BURST_MAX + 1) {
		const uint64_t first = genrun_take(&r, n);
		struct genwork_seen seen = {0};

		flood.work.build(&flood, m, n, first);
		for (unsigned i = 0; i < n; i++) {
			const uint64_t flow = check(m[i], first + i);

			n_known += flow < FLOWS;
			n_first += flow == 0;
			if (flow >= FLOWS)
				assert_int_equal(flow, next_new++);
		}
		r.now = genpace_due(&r.pace, r.next - r.first);
		flood.work.input(&flood, &r, m, n, &seen);
		assert_true(seen.taken == UINT64_MAX >> (64 - n));
		assert_int_equal(seen.turned | seen.kept, 0);
		n_all += n;
	}
	assert_int_equal(r.counts.received, n_all);
	assert_int_equal(flood.n_arrived, n_all);
	/* a standard deviation is 0.003 of the frames at most */
	assert_true((double)n_known / (double)n_all > 1 - new_pct / 100 - 0.025);
	assert_true((double)n_known / (double)n_all < 1 - new_pct / 100 + 0.025);
	if (new_pct == 0)
		assert_int_equal(n_known, n_all);
	assert_true(skew > 0 ? n_first > n_known / 20 : n_first < n_known / 100);
	fini();
}

static void frames_are_as_asked_for(void **state)
{
	static const char *const sizes[2][5] = {
		{"64", "65", "96", "imix", "1518"}, {"76", "77", "96", "594", "1518"}};

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 4; k++)
			one_case(k & 1 ? 6 : 4, k & 2 ? IPPROTO_TCP : IPPROTO_UDP, sizes[k & 1][i],
				i % 3 * 10.0, k % 3 == 0 ? 0.99 : 0);
}

/* With --return: to the client, and counted when they are there; lost ones are not. */
static void frames_go_back(void **state)
{
	struct genwork_seen there = {0}, here = {0};

	(void)state;
	init(4, IPPROTO_UDP, "64", 0, 0);
	flood.is_returned = true;
	flood.work.build(&flood, m, 20, genrun_take(&r, 20));
	flood.work.input(&flood, &r, m, 20, &there);
	assert_int_equal(there.turned, (1u << 20) - 1);
	assert_int_equal(r.counts.received, 0);
	assert_int_equal(flood.n_arrived, 20);
	flood.work.input(&flood, &r, m, 15, &here);
	assert_int_equal(here.turned, 0);
	assert_int_equal(here.taken, (1u << 15) - 1);
	assert_int_equal(r.counts.received, 15);
	assert_int_equal(flood.n_arrived, 20);
	fini();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_as_asked_for),
		cmocka_unit_test(frames_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
