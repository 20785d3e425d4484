/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts of clients against a naive list of them: prefixes, order, more clients than there is room for. */
#include "api/clientcount.h"
#include "base/keyhash.h"
#include "lb/conn.h"
#include "unit.h"

#include <stdlib.h>

#define N_CONNS 20000u

struct naive {
	uint8_t family, ip[16];
	uint32_t count;
};

static struct naive naive[N_CONNS];
static unsigned n_naive;

static struct conn random_conn(void)
{
	struct conn e = {.family = rand() % 3 ? 4 : 6};
	/* few clients with many connections, many with few */
	const int r = rand() % 4 ? rand() % 64 : rand() % 4096;

	e.client_ip[0] = 10;
	e.client_ip[2] = (uint8_t)(r >> 8);
	e.client_ip[3] = (uint8_t)r;
	if (e.family == 6)
		e.client_ip[15] = (uint8_t)rand();
	return e;
}

static void naive_add(const struct conn *e, unsigned len4, unsigned len6)
{
	const unsigned len = e->family == 4 ? len4 : len6;
	struct naive key = {.family = e->family};
	unsigned k = 0;

	for (unsigned bit = 0; bit < len; bit++)
		key.ip[bit / 8] |= (uint8_t)(e->client_ip[bit / 8] & 0x80 >> bit % 8);
	while (k < n_naive
		&& (naive[k].family != key.family || memcmp(naive[k].ip, key.ip, 16) != 0))
		k++;
	if (k == n_naive)
		naive[n_naive++] = key;
	naive[k].count++;
}

static int by_rank(const void *a, const void *b)
{
	const struct naive *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->family != y->family ? x->family - y->family : memcmp(x->ip, y->ip, 16);
}

static struct clientcount *make(uint64_t n_conns, unsigned len4, unsigned len6, uint32_t n_top)
{
	struct clientcount *c = NULL;

	assert_int_equal(clientcount_create(&c, n_conns, len4, len6, n_top), 0);
	while (!clientcount_clear_some(c))
		;
	return c;
}

static void add(struct clientcount *c, const struct conn *e)
{
	uint8_t ip[16];

	conn_client(e, ip);
	clientcount_add(c, e->family, ip);
}

static void counts_agree_with_a_naive_list(void **state)
{
	static const struct {
		unsigned len4, len6;
		uint32_t n_top;
	} cases[] = {
		{32, 128, 20}, {32, 128, 20000}, {24, 24, 7}, {31, 127, 1}, {1, 1, 5}, {9, 64, 0}};

	(void)state;
	srand(7);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct clientcount *c =
			make(N_CONNS / 2, cases[i].len4, cases[i].len6, cases[i].n_top);
		const struct clientcount_row *top;
		uint32_t n, n_want;

		n_naive = 0;
		memset(naive, 0, sizeof(naive));
		for (unsigned k = 0; k < N_CONNS; k++) {
			const struct conn e = random_conn();

			add(c, &e);
			naive_add(&e, cases[i].len4, cases[i].len6);
		}
		assert_false(clientcount_is_full(c));
		qsort(naive, n_naive, sizeof(naive[0]), by_rank);
		while (!clientcount_select_some(c))
			;
		top = clientcount_top(c, &n);
		n_want = cases[i].n_top < n_naive ? cases[i].n_top : n_naive;
		assert_int_equal(n, n_want);
		for (uint32_t k = 0; k < n; k++) {
			assert_int_equal(top[k].count, naive[k].count);
			assert_int_equal(top[k].family, naive[k].family);
			assert_memory_equal(top[k].ip, naive[k].ip, 16);
		}
		clientcount_destroy(&c);
	}
}

static void more_clients_than_room_are_told(void **state)
{
	struct clientcount *c = make(0, 32, 128, 1);
	struct conn e = {.family = 4};
	uint32_t n = 0;

	(void)state;
	while (!clientcount_is_full(c) && n < 100000) {
		memcpy(e.client_ip, &n, sizeof(n));
		add(c, &e);
		n++;
	}
	assert_true(n > 1000 && n < 100000);
	n = 0; /* one that is there is counted on */
	memcpy(e.client_ip, &n, sizeof(n));
	add(c, &e);
	while (!clientcount_select_some(c))
		;
	assert_int_equal(clientcount_top(c, &n)->count, 2);
	clientcount_destroy(&c);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_agree_with_a_naive_list),
		cmocka_unit_test(more_clients_than_room_are_told),
	};

	keyhash_init_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
