/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame of memcached over UDP. What of it is looked at was found out by asking memcached 1.6.18.
 */
#include "proto/mc_udp.h"
#include "unit.h"

#include <stdlib.h>

static const struct {
	const char *what;
	uint8_t bytes[12];
	uint8_t len;
	enum mc_udp_verdict verdict;
	uint16_t id;
} requests[] = {
	{"a request", {0x12, 0x34, 0, 0, 0, 1, 0, 0, 'm', 'n', '\r', '\n'}, 12, MC_UDP_REQUEST,
		0x1234},
	{"one byte", {0xff, 0xff, 0, 0, 0, 1, 0, 0, 'm'}, 9, MC_UDP_REQUEST, 0xffff},
	{"request id 0", {0, 0, 0, 0, 0, 1, 0, 0, 'm'}, 9, MC_UDP_REQUEST, 0},
	{"nothing behind the header", {0x12, 0x34, 0, 0, 0, 1}, 8, MC_UDP_SHORT, 0},
	{"half a header", {0x12, 0x34, 0, 0}, 4, MC_UDP_SHORT, 0},
	{"nothing", {0}, 0, MC_UDP_SHORT, 0},
	{"one of two", {0, 1, 0, 0, 0, 2, 0, 0, 'm'}, 9, MC_UDP_PARTS, 0},
	{"one of none", {0, 1, 0, 0, 0, 0, 0, 0, 'm'}, 9, MC_UDP_PARTS, 0},
	{"one of 257", {0, 1, 0, 0, 1, 1, 0, 0, 'm'}, 9, MC_UDP_PARTS, 0},
	{"a sequence is not looked at", {0, 1, 0xff, 5, 0, 1, 0, 0, 'm'}, 9, MC_UDP_REQUEST, 1},
	{"nor what is reserved", {0, 2, 0, 0, 0, 1, 0xff, 0xee, 'm'}, 9, MC_UDP_REQUEST, 2},
};

static void what_is_a_request(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		uint8_t *exact =
			malloc(requests[i].len); /* a byte too far is a sanitizer's affair */
		uint16_t id = 0x5a5a;
		enum mc_udp_verdict verdict;

		assert_true(exact != NULL || requests[i].len == 0);
		if (requests[i].len > 0)
			memcpy(exact, requests[i].bytes, requests[i].len);
		verdict = mc_udp_parse(exact, requests[i].len, &id);
		if (verdict != requests[i].verdict)
			fail_msg("%s: %d", requests[i].what, verdict);
		assert_int_equal(id, verdict == MC_UDP_REQUEST ? requests[i].id : 0x5a5a);
		free(exact);
	}
}

static void header_of_an_answer(void **state)
{
	static const uint8_t one[] = {0xab, 0xcd, 0x01, 0x02, 0, 1, 0, 0, 0x77};
	static const uint8_t many[] = {0xab, 0xcd, 0x01, 0x02, 0x03, 0xff, 0, 0, 0x77};
	uint8_t p[9];

	(void)state;
	memset(p, 0x77, sizeof(p));
	mc_udp_build(p, 0xabcd, 0x0102, 1);
	assert_memory_equal(p, one, sizeof(one));
	mc_udp_build(p, 0xabcd, 0x0102, 0x03ff);
	assert_memory_equal(p, many, sizeof(many));
}

/* memcached cuts an answer to a value of 5,000 bytes into 1,400, 1,400, 1,400 and 857 bytes. */
static void datagrams_of_an_answer(void **state)
{
	static const struct {
		uint32_t bytes, n;
	} rows[] = {
		{0, 0},
		{1, 1},
		{1392, 1},
		{1393, 2},
		{1400 * 3 + 857 - 4 * 8, 4},
		{1392u * 65535, 65535},
		{1392u * 65535 + 1, 65536},
		{UINT32_MAX, 3085466},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(mc_udp_count(rows[i].bytes), rows[i].n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_a_request),
		cmocka_unit_test(header_of_an_answer),
		cmocka_unit_test(datagrams_of_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
