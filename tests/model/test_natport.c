/* SPDX-License-Identifier: BSD-3-Clause */
/* SNAT ports against a naive owner map, for several worker counts: blocks do not overlap, every port names its
 * owner, a port given back rests longest. */
#include "lb/conn.h"
#include "lb/natport.h"
#include "unit.h"

#include <stdlib.h>

static void blocks_are_disjoint_and_name_their_owner(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 7; n++) {
		static uint8_t seen[65536];

		memset(seen, 0, sizeof(seen));
		for (unsigned w = 0; w < n; w++) {
			struct natport *np = NULL;
			uint16_t port;

			assert_int_equal(natport_create(&np, w, n, 1, 99), 0);
			while ((port = natport_get(np, 0, 6, 1)) != 0) {
				assert_int_equal(natport_owner(port, n), w);
				assert_true(port >= NATPORT_FIRST);
				assert_int_equal(seen[port]++, 0);
			}
			assert_int_equal(natport_used(np, 0), (65536 - NATPORT_FIRST) / n);
			natport_destroy(&np);
		}
	}
}

static void random_use_agrees_with_a_naive_map(void **state)
{
	static uint32_t owner[2][2][65536]; /* slot, protocol, port */
	struct natport *np = NULL;

	(void)state;
	srand(4);
	memset(owner, 0xff, sizeof(owner));
	assert_int_equal(natport_create(&np, 1, 4, 2, 5), 0);
	for (unsigned s = 0; s < 400000; s++) {
		const unsigned slot = (unsigned)rand() % 2, k = (unsigned)rand() % 2;
		const uint8_t proto = k ? 17 : 6;
		const uint16_t probe = (uint16_t)rand();
		uint16_t port;

		assert_int_equal(natport_find(np, slot, proto, probe), owner[slot][k][probe]);
		if (rand() % 5 < 3) {
			port = natport_get(np, slot, proto, s);
			if (port == 0)
				continue;
			assert_int_equal(owner[slot][k][port], CONN_NONE);
			owner[slot][k][port] = s;
		} else if (owner[slot][k][probe] != CONN_NONE) {
			natport_put(np, slot, proto, probe);
			owner[slot][k][probe] = CONN_NONE;
		}
	}
	natport_destroy(&np);
}

static void a_port_given_back_rests_longest(void **state)
{
	struct natport *np = NULL;
	uint16_t first;

	(void)state;
	assert_int_equal(natport_create(&np, 0, 1, 1, 5), 0);
	first = natport_get(np, 0, 6, 1);
	natport_put(np, 0, 6, first);
	for (unsigned i = 0; i + 1 < 65536 - NATPORT_FIRST; i++)
		assert_int_not_equal(natport_get(np, 0, 6, 2), first);
	assert_int_equal(natport_get(np, 0, 6, 3), first);
	assert_int_equal(natport_get(np, 0, 6, 3), 0);
	assert_int_not_equal(natport_get(np, 0, 17, 3), 0);
	natport_destroy(&np);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_disjoint_and_name_their_owner),
		cmocka_unit_test(random_use_agrees_with_a_naive_map),
		cmocka_unit_test(a_port_given_back_rests_longest),
	};

	return cmocka_run_group_tests_name("natport", tests, NULL, NULL);
}
