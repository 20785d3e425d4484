/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP options and sequence numbers: literal bytes in, literal values out, and the other way round. */
#include "tcp/tcp_wire.h"
#include "unit.h"

#include <stdlib.h>

/* A header with these options in a heap block that ends where they end. */
static struct rte_tcp_hdr *header(const uint8_t *opts, uint32_t n, uint8_t flags)
{
	const uint32_t padded = (n + 3) & ~3u;
	struct rte_tcp_hdr *h = calloc(1, sizeof(*h) + padded);

	memcpy(h + 1, opts, n);
	h->data_off = (uint8_t)((sizeof(*h) + padded) / 4 << 4);
	h->tcp_flags = flags;
	return h;
}

static struct tcp_opts parsed(const uint8_t *opts, uint32_t n, uint8_t flags)
{
	struct rte_tcp_hdr *h = header(opts, n, flags);
	struct tcp_opts o;

	tcp_wire_parse(&o, h);
	free(h);
	return o;
}

#define PARSED(flags, ...) \
	parsed((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), flags)

static void syn_of_linux(void **state)
{
	const struct tcp_opts o = PARSED(
		RTE_TCP_SYN_FLAG, 2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7);

	(void)state;
	assert_true(o.has_mss && o.has_wscale && o.has_ts && o.sack_ok);
	assert_int_equal(o.mss, 1460);
	assert_int_equal(o.wscale, 7);
	assert_int_equal(o.tsval, 0x01020304);
	assert_int_equal(o.tsecr, 0);
}

static void options_of_syn_count_with_syn_only(void **state)
{
	const struct tcp_opts o = PARSED(RTE_TCP_ACK_FLAG, 2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7);

	(void)state;
	assert_false(o.has_mss || o.has_wscale || o.sack_ok);
}

static void wrong_lengths_end_the_list(void **state)
{
	(void)state;
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 9, 0, 1, 1, 2, 4, 5, 0xb4).has_mss);
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 9, 1, 1, 1, 2, 4, 5, 0xb4).has_mss);
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 1, 1, 1, 8).has_ts);
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 1, 1, 2, 4).has_mss);
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 2, 5, 5, 0xb4, 0, 0, 0, 0).has_mss);
	assert_int_equal(PARSED(RTE_TCP_ACK_FLAG, 5, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0).n_sacks, 0);
	assert_int_equal(PARSED(RTE_TCP_ACK_FLAG, 5, 255, 0, 0).n_sacks, 0);
	assert_false(PARSED(RTE_TCP_SYN_FLAG, 0, 2, 4, 5, 0xb4, 0, 0, 0).has_mss);
}

static void what_is_built_is_read(void **state)
{
	(void)state;
	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		struct tcp_opts o = {.has_mss = rand() % 2,
			.has_wscale = rand() % 2,
			.has_ts = rand() % 2,
			.sack_ok = rand() % 2,
			.n_sacks = (uint8_t)(rand() % 5)};
		uint8_t bytes[TCP_WIRE_OPTIONS_MAX];
		struct tcp_opts back;
		uint32_t n, at;

		if (o.has_mss)
			o.mss = (uint16_t)rand();
		if (o.has_wscale)
			o.wscale = (uint8_t)rand();
		if (o.has_ts) {
			o.tsval = (uint32_t)rand();
			o.tsecr = (uint32_t)rand();
		}
		for (unsigned i = 0; i < o.n_sacks; i++)
			o.sacks[i] = (struct tcp_sack){(uint32_t)rand(), (uint32_t)rand()};
		n = tcp_wire_build(bytes, &o);
		assert_int_equal(n % 4, 0);
		assert_true(n <= TCP_WIRE_OPTIONS_MAX);
		back = parsed(bytes, n, RTE_TCP_SYN_FLAG);
		/* as many blocks as fit: none is left out while eight bytes are free */
		at = n + (back.n_sacks == 0 ? 4 : 0) + 8;
		assert_true(back.n_sacks == o.n_sacks || at > TCP_WIRE_OPTIONS_MAX);
		o.n_sacks = back.n_sacks;
		assert_memory_equal(&o, &back,
			offsetof(struct tcp_opts, sacks) + o.n_sacks * sizeof(o.sacks[0]));
	}
}

static void random_options_stay_inside(void **state)
{
	(void)state;
	srand(2);
	for (unsigned round = 0; round < 100000; round++) {
		uint8_t bytes[TCP_WIRE_OPTIONS_MAX];

		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(rand() % 12);
		assert_true(parsed(bytes, (uint32_t)rand() % 41, (uint8_t)(rand() % 3)).n_sacks
			<= TCP_WIRE_SACKS_MAX);
	}
}

static void sequence_numbers_wrap(void **state)
{
	(void)state;
	assert_true(seq_lt(UINT32_MAX, 0));
	assert_false(seq_lt(0, UINT32_MAX));
	assert_true(seq_leq(5, 5));
	assert_int_equal(seq_max(UINT32_MAX - 1, 3), 3);
	assert_int_equal(seq_min(UINT32_MAX - 1, 3), UINT32_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syn_of_linux),
		cmocka_unit_test(options_of_syn_count_with_syn_only),
		cmocka_unit_test(wrong_lengths_end_the_list),
		cmocka_unit_test(what_is_built_is_read),
		cmocka_unit_test(random_options_stay_inside),
		cmocka_unit_test(sequence_numbers_wrap),
	};

	return cmocka_run_group_tests_name("tcp_wire", tests, NULL, NULL);
}
