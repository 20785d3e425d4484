/* SPDX-License-Identifier: BSD-3-Clause */
/* SNAT ports against a naive owner map, for several worker counts: blocks do not overlap, every port names its
 * owner, a port given back rests longest; answers to ports that follow RSS have the hash of the worker that took them. */
#include "core/nic.h"
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

/* The worker to which devices bring what the backend answers to this port. */
static unsigned answered_at(const struct natport_peer *peer, uint16_t port, unsigned n)
{
	const unsigned len = peer->family == 4 ? 4 : 16;
	struct pkt p = {
		.family = peer->family, .sport = peer->port, .dport = rte_cpu_to_be_16(port)};

	memcpy(p.src, peer->ip, len);
	memcpy(p.dst, peer->snat, len);
	return NIC_RSS_OWNER(nic_softrss(&p), n);
}

/* Takes all ports of a slot, each for another backend; how many of the first half fit. */
static unsigned take_all(struct natport *np, unsigned w, unsigned n, uint8_t family)
{
	static uint8_t seen[65536];
	unsigned n_taken = 0, n_fit = 0;
	uint8_t ip[16], snat[16];
	uint16_t port, peeked;

	memset(seen, 0, sizeof(seen));
	for (;; n_taken++) {
		const struct natport_peer peer = {
			.family = family, .port = (rte_be16_t)rand(), .ip = ip, .snat = snat};
		uint32_t pass;

		for (unsigned i = 0; i < 16; i++) {
			ip[i] = (uint8_t)rand();
			snat[i] = (uint8_t)rand();
		}
		pass = natport_misfits(np, 1, 17, &peer);
		peeked = natport_peek(np, 1, 17, pass);
		natport_pass(np, 1, 17, pass);
		port = natport_get(np, 1, 17, 7);
		assert_int_equal(port, peeked);
		if (port == 0)
			break;
		assert_int_equal(natport_owner(port, n), w);
		assert_int_equal(seen[port]++, 0);
		/* none of those that might be looked at fits, or this one does */
		assert_true(pass == 0 || answered_at(&peer, port, n) == w);
		n_fit += n_taken < (65536 - NATPORT_FIRST) / n / 2
			&& answered_at(&peer, port, n) == w;
	}
	assert_int_equal(n_taken, (65536 - NATPORT_FIRST) / n);
	return n_fit;
}

static void answers_come_to_the_worker_that_took_the_port(void **state)
{
	(void)state;
	srand(8);
	for (unsigned n = 1; n <= 32; n++) {
		for (unsigned family = 4; family <= 6; family += 2) {
			const unsigned w = (unsigned)rand() % n,
				       n_ports = (65536 - NATPORT_FIRST) / n;
			struct natport *np = NULL;
			unsigned n_fit;

			assert_int_equal(natport_create(&np, w, n, 2, n), 0);
			assert_int_equal(natport_follow_rss(np), 0);
			n_fit = take_all(np, w, n, (uint8_t)family);
			if (n_ports / n >= NATPORT_FITTING_MIN)
				assert_in_range(n_fit, n_ports / 2 - n_ports / 1000, n_ports / 2);
			else
				assert_in_range(n_fit, 0, n_ports / n);
			natport_destroy(&np);
		}
	}
}

/* One backend: when the ports that fit are in use, others are taken, and fitting ones again when they are back. */
static void other_ports_serve_as_well(void **state)
{
	static uint16_t taken[65536];
	const struct natport_peer peer = {.family = 4,
		.port = rte_cpu_to_be_16(8080),
		.ip = (const uint8_t[]){10, 2, 0, 11},
		.snat = (const uint8_t[]){10, 2, 0, 100}};
	const unsigned n = 4, n_ports = (65536 - NATPORT_FIRST) / n;
	struct natport *np = NULL;
	unsigned n_taken = 0, n_fit = 0;

	(void)state;
	assert_int_equal(natport_create(&np, 2, n, 1, 3), 0);
	assert_int_equal(natport_follow_rss(np), 0);
	for (; n_taken < n_ports; n_taken++) {
		natport_pass(np, 0, 6, natport_misfits(np, 0, 6, &peer));
		taken[n_taken] = natport_get(np, 0, 6, n_taken);
		assert_int_not_equal(taken[n_taken], 0);
		if (answered_at(&peer, taken[n_taken], n) == 2)
			n_fit++;
		else
			assert_true(n_fit > n_ports / n / 2);
		assert_int_equal(natport_find(np, 0, 6, taken[n_taken]), n_taken);
	}
	assert_int_equal(natport_get(np, 0, 6, 1), 0);
	for (unsigned i = 0; i < n_ports; i++)
		natport_put(np, 0, 6, taken[i]);
	natport_pass(np, 0, 6, natport_misfits(np, 0, 6, &peer));
	assert_int_equal(answered_at(&peer, natport_get(np, 0, 6, 1), n), 2);
	natport_destroy(&np);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_disjoint_and_name_their_owner),
		cmocka_unit_test(random_use_agrees_with_a_naive_map),
		cmocka_unit_test(a_port_given_back_rests_longest),
		cmocka_unit_test(answers_come_to_the_worker_that_took_the_port),
		cmocka_unit_test(other_ports_serve_as_well),
	};

	return cmocka_run_group_tests_name("natport", tests, NULL, NULL);
}
