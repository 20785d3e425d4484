/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP options: lists as they should be, cut at every length and with every wrong length, in heap blocks of exactly the
 * header's size; what changed and that the checksum still holds. And the two ways to write a client's address. */
#include "base/csum.h"
#include "millrace/api_lb.h"
#include "net/proxyhdr.h"
#include "net/tcpopt.h"
#include "unit.h"

#include <stdlib.h>

struct header {
	struct rte_tcp_hdr *tcp;
	uint8_t *opts;
	uint32_t n; /* of options */
	uint8_t before[60];
};

static uint16_t sum(const struct header *h)
{
	return csum_of(h->tcp, 20 + h->n);
}

/* Options are padded with zeroes to a multiple of four. */
static struct header make(const uint8_t *opts, uint32_t n)
{
	struct header h = {.n = (n + 3) / 4 * 4};

	h.tcp = calloc(1, 20 + h.n);
	assert_non_null(h.tcp);
	h.opts = (uint8_t *)(h.tcp + 1);
	memcpy(h.opts, opts, n);
	h.tcp->data_off = (uint8_t)((20 + h.n) / 4 << 4);
	h.tcp->sent_seq = RTE_BE32(0x12345678);
	h.tcp->cksum = sum(&h);
	memcpy(h.before, h.tcp, 20 + h.n);
	return h;
}

static void done(struct header *h)
{
	assert_int_equal(sum(h), 0);
	free(h->tcp);
}

static void expect_same(const struct header *h)
{
	assert_memory_equal(h->tcp, h->before, 20 + h->n);
}

static void expect_opts(const struct header *h, const uint8_t *opts, uint32_t n)
{
	static const uint8_t zero[40];

	assert_memory_equal(h->opts, opts, n);
	assert_memory_equal(h->opts + n, zero, h->n - n);
}

#define MSS(n) 2, 4, (n) >> 8, (n)&255

static void mss_is_lowered_wherever_it_is(void **state)
{
	(void)state;
	for (unsigned at = 0; at <= 36; at++) {
		uint8_t opts[40] = {0}, want[40] = {0};
		struct header h;

		memset(opts, 1, at);
		memcpy(opts + at, (uint8_t[]){MSS(1460)}, 4);
		memcpy(want, opts, 40);
		memcpy(want + at, (uint8_t[]){MSS(1219)}, 4);
		h = make(opts, at + 4);
		assert_true(tcpopt_clamp_mss(h.tcp, 1219, 0));
		expect_opts(&h, want, at + 4);
		assert_false(tcpopt_clamp_mss(h.tcp, 1219, 0));
		done(&h);
	}
}

static void mss_leaves_room(void **state)
{
	static const struct {
		uint16_t mss, max, n_less, want;
	} cases[] = {
		{1460, 65535, 0, 1460},
		{65535, 65535, 0, 65535},
		{1460, 65535, 28, 1432},
		{1460, 1000, 52, 948},
		{140, 65535, 52, 88},
		{139, 65535, 52, 88},
		{88, 65535, 52, 88},
		{87, 65535, 52, 87},
		{0, 65535, 52, 0},
		{1460, 88, 0, 88},
		{1460, 88, 28, 88},
	};

	(void)state;
	for (unsigned i = 0; i < RTE_DIM(cases); i++) {
		const uint8_t opts[] = {1, MSS(cases[i].mss)}, want[] = {1, MSS(cases[i].want)};
		struct header h = make(opts, sizeof(opts));

		assert_int_equal(tcpopt_clamp_mss(h.tcp, cases[i].max, cases[i].n_less),
			cases[i].mss != cases[i].want);
		expect_opts(&h, want, sizeof(want));
		done(&h);
	}
}

/* The header ends at every place of the list: what is cut is not there, and nothing beyond is read or written. */
static void cut_lists(void **state)
{
	static const uint8_t opts[] = {4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7, MSS(1460),
		1, 1, 5, 18, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0};

	(void)state;
	for (uint32_t n = 0; n <= sizeof(opts) / 4 * 4; n += 4) {
		struct header h = make(opts, n);

		assert_int_equal(tcpopt_clamp_mss(h.tcp, 100, 0), n >= 20);
		tcpopt_shift_sack(h.tcp, 0, 28);
		if (n < 20)
			expect_same(&h);
		done(&h);
	}
}

/* Every length in the length byte of each option in turn, and of an option that fills the header. */
static void wrong_lengths(void **state)
{
	static const uint8_t opts[] = {
		1, MSS(1460), 5, 10, 0, 0, 9, 0, 0, 0, 9, 9, 0, 0, 8, 3, 3, 7};
	static const uint8_t lengths_at[] = {2, 6, 16};

	(void)state;
	for (unsigned k = 0; k < RTE_DIM(lengths_at); k++) {
		for (unsigned len = 0; len < 256; len++) {
			uint8_t bad[sizeof(opts)];
			struct header h;

			memcpy(bad, opts, sizeof(opts));
			bad[lengths_at[k]] = (uint8_t)len;
			h = make(bad, sizeof(bad));
			assert_int_equal(tcpopt_clamp_mss(h.tcp, 100, 0), k != 0 || len == 4);
			tcpopt_shift_sack(h.tcp, 0, 28);
			if (k == 0 && len < 2)
				expect_same(&h);
			done(&h);
		}
	}
}

static void ends_and_fragments_of_options(void **state)
{
	static const uint8_t ended[] = {1, 0, MSS(1460)}, kind_only[] = {1, 1, 1, 2};
	const uint8_t *lists[] = {ended, kind_only};
	const uint32_t n[] = {sizeof(ended), sizeof(kind_only)};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct header h = make(lists[i], n[i]);

		assert_false(tcpopt_clamp_mss(h.tcp, 100, 0));
		expect_same(&h);
		done(&h);
	}
}

static void put_edges(uint8_t *to, const uint32_t *edges, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(to + 4 * i, &(rte_be32_t){rte_cpu_to_be_32(edges[i])}, 4);
}

struct sack_case {
	const char *name;
	uint32_t ack, first;
	unsigned n, n_want; /* edges */
	uint32_t edges[8], want[8];
};

/* 28 bytes were put in. */
static const struct sack_case sacks[] = {
	{"beyond", 1000, 1000, 2, 2, {1500, 1600}, {1472, 1572}},
	{"around the end of numbers", 0xfffffff0, 0xfffffff0, 2, 2, {20, 40}, {0xfffffff8, 12}},
	{"duplicate of it alone", 1128, 1000, 2, 0, {1000, 1028}, {0}},
	{"a part of it", 1128, 1000, 2, 0, {1004, 1027}, {0}},
	{"it and more", 1128, 1000, 2, 2, {1000, 1100}, {1000, 1072}},
	{"first of three", 1128, 1000, 6, 4, {1000, 1028, 1200, 1300, 1400, 1500},
		{1172, 1272, 1372, 1472}},
	{"four", 5000, 1000, 8, 8, {5100, 5200, 5300, 5400, 5500, 5600, 5700, 5800},
		{5072, 5172, 5272, 5372, 5472, 5572, 5672, 5772}},
	{"long after, the same numbers again", 500, 1000, 2, 2, {1000, 1020}, {972, 992}},
};

static void sack_blocks_are_shifted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RTE_DIM(sacks); i++) {
		const struct sack_case *c = &sacks[i];

		for (unsigned at = 0; at + 2 + 4 * c->n <= 40; at++) {
			uint8_t opts[40], want[40];
			const uint32_t n = at + 2 + 4 * c->n;
			struct header h;

			memset(opts, 1, sizeof(opts));
			memset(want, 1, sizeof(want));
			opts[at] = 5;
			opts[at + 1] = (uint8_t)(2 + 4 * c->n);
			put_edges(opts + at + 2, c->edges, c->n);
			if (c->n_want > 0) {
				want[at] = 5;
				want[at + 1] = (uint8_t)(2 + 4 * c->n_want);
				put_edges(want + at + 2, c->want, c->n_want);
			}
			h = make(opts, n);
			h.tcp->recv_ack = rte_cpu_to_be_32(c->ack);
			h.tcp->cksum = 0;
			h.tcp->cksum = sum(&h);
			tcpopt_shift_sack(h.tcp, c->first, 28);
			expect_opts(&h, want, n);
			done(&h);
		}
	}
}

static struct pkt packet(uint8_t family, uint8_t proto)
{
	struct pkt p = {
		.family = family, .proto = proto, .sport = RTE_BE16(40000), .dport = RTE_BE16(443)};

	for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++) {
		p.src[i] = (uint8_t)(1 + i);
		p.dst[i] = (uint8_t)(101 + i);
	}
	return p;
}

static void clients_are_written(void **state)
{
	static const uint8_t toa4[] = {254, 8, 0x9c, 0x40, 1, 2, 3, 4};
	static const uint8_t toa6[] = {
		253, 20, 0x9c, 0x40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	static const uint8_t tcp4[] = {13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0,
		12, 1, 2, 3, 4, 101, 102, 103, 104, 0x9c, 0x40, 1, 187};
	static const uint8_t udp6[] = {13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x22, 0,
		36, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 101, 102, 103, 104, 105,
		106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 0x9c, 0x40, 1, 187};
	uint8_t got[PROXYHDR6_BYTES];
	struct pkt p4 = packet(4, MR_PROTO_TCP), p6 = packet(6, MR_PROTO_UDP);

	(void)state;
	tcpopt_put_client(got, &p4);
	assert_memory_equal(got, toa4, sizeof(toa4));
	tcpopt_put_client(got, &p6);
	assert_memory_equal(got, toa6, sizeof(toa6));
	assert_int_equal(proxyhdr_bytes(4), sizeof(tcp4));
	proxyhdr_build(got, &p4);
	assert_memory_equal(got, tcp4, sizeof(tcp4));
	assert_int_equal(proxyhdr_bytes(6), sizeof(udp6));
	proxyhdr_build(got, &p6);
	assert_memory_equal(got, udp6, sizeof(udp6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mss_is_lowered_wherever_it_is),
		cmocka_unit_test(mss_leaves_room),
		cmocka_unit_test(cut_lists),
		cmocka_unit_test(wrong_lengths),
		cmocka_unit_test(ends_and_fragments_of_options),
		cmocka_unit_test(sack_blocks_are_shifted),
		cmocka_unit_test(clients_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
