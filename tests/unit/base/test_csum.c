/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums: known vectors, the incremental update against a full recomputation over random packets and
 * over the corner cases of RFC 1624, and UDP's rule about zero. */
#include "base/csum.h"
#include "unit.h"

#include <stdlib.h>

/* The definition, a byte at a time: what the checksum field of data would be. */
static uint16_t naive(const uint8_t *data, uint32_t len)
{
	uint32_t sum = 0;
	uint8_t field[2];
	uint16_t v;

	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum & 0xffff;
	field[0] = (uint8_t)(sum >> 8);
	field[1] = (uint8_t)sum;
	memcpy(&v, field, 2);
	return v;
}

static void fill(uint8_t *data, uint32_t len)
{
	/* words of all zeroes and all ones are where one's complement has two zeroes */
	for (uint32_t i = 0; i < len; i += 2) {
		const int r = rand() % 8;

		data[i] = r == 0 ? 0 : r == 1 ? 0xff : (uint8_t)rand();
		if (i + 1 < len)
			data[i + 1] = r == 0 ? 0 : r == 1 ? 0xff : (uint8_t)rand();
	}
}

static void known_header_has_its_known_checksum(void **state)
{
	/* the header everybody uses: checksum field b861 at offset 10 */
	uint8_t header[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8,
		0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	const uint8_t field[2] = {0xb8, 0x61};
	uint16_t got;

	(void)state;
	assert_int_equal(csum_of(header, sizeof(header)), 0);
	header[10] = header[11] = 0;
	got = csum_of(header, sizeof(header));
	assert_memory_equal(&got, field, 2);
	header[3] ^= 1;
	assert_int_not_equal(csum_of(header, sizeof(header)), got);
}

static void any_length_agrees_with_the_definition(void **state)
{
	(void)state;
	srand(1071);
	for (uint32_t len = 0; len < 700; len++) {
		uint8_t *data = malloc(len + 1);

		fill(data, len);
		assert_int_equal(csum_of(data, len), naive(data, len));
		free(data);
	}
}

static void long_sums_do_not_overflow(void **state)
{
	const uint32_t len = 65535;
	uint8_t *data = malloc(len);

	(void)state;
	memset(data, 0xff, len);
	assert_int_equal(csum_of(data, len), naive(data, len));
	free(data);
	assert_int_equal(csum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(csum_fold(0), 0);
	assert_int_equal(csum_fold(0x1fffe), 0xffff);
}

/* Equal as one's-complement numbers: 0x0000 and 0xffff are both zero. */
static bool is_same_sum(uint16_t a, uint16_t b)
{
	return a == b || (a == 0 && b == 0xffff) || (a == 0xffff && b == 0);
}

static void incremental_update_agrees_with_full_one(void **state)
{
	(void)state;
	srand(1624);
	for (unsigned k = 0; k < 200000; k++) {
		uint8_t data[64], old[16];
		const uint32_t n = 2u << rand() % 4, at = (uint32_t)rand() % (64 - n) & ~1u;
		uint16_t field, after;

		fill(data, sizeof(data));
		data[0] |= 1; /* a packet is never all zeroes: RFC 1624 section 3 */
		field = csum_of(data, sizeof(data));
		memcpy(old, data + at, n);
		fill(data + at, n);
		data[0] |= 1;
		if (at == 0)
			old[0] |= 1;
		after = csum_apply(field, csum_delta(old, data + at, n));
		assert_true(is_same_sum(after, csum_of(data, sizeof(data))));
		/* what a receiver checks: sum over everything is all ones */
		assert_int_equal(csum_fold(csum_words(data, sizeof(data)) + after), 0xffff);
	}
}

static void corner_cases_of_rfc_1624_come_out_right(void **state)
{
	/* section 4: field dd2f, a word changes from 5555 to 3285: the field becomes 0000, where
	 * equation 2 would give ffff */
	const uint8_t old[2] = {0x55, 0x55}, new_[2] = {0x32, 0x85}, field[2] = {0xdd, 0x2f};
	uint16_t f, delta;

	(void)state;
	memcpy(&f, field, 2);
	delta = csum_delta(old, new_, 2);
	assert_int_equal(csum_apply(f, delta), 0x0000);
	/* and back again */
	assert_int_equal(csum_apply(0x0000, csum_delta(new_, old, 2)), f);
}

static void a_change_to_the_same_leaves_every_field_valid(void **state)
{
	const uint8_t words[][2] = {{0, 0}, {0xff, 0xff}, {0x12, 0x34}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const uint16_t delta = csum_delta(words[i], words[i], 2);

		for (uint32_t field = 0; field <= 0xffff; field++)
			assert_true(
				is_same_sum(csum_apply((uint16_t)field, delta), (uint16_t)field));
	}
}

static void deltas_add_up(void **state)
{
	(void)state;
	srand(3);
	for (unsigned k = 0; k < 50000; k++) {
		uint8_t data[24], changed[24];
		uint16_t a, b, field, after;

		fill(data, sizeof(data));
		data[23] = 1;
		memcpy(changed, data, sizeof(data));
		fill(changed, 4);
		fill(changed + 12, 8);
		a = csum_delta(data, changed, 4);
		b = csum_delta(data + 12, changed + 12, 8);
		field = csum_of(data, sizeof(data));
		after = csum_apply(field, csum_add(a, b));
		assert_int_equal(after, csum_apply(csum_apply(field, a), b));
		assert_int_equal(csum_fold(csum_words(changed, sizeof(changed)) + after), 0xffff);
	}
}

static void udp_without_checksum_stays_without(void **state)
{
	(void)state;
	for (uint32_t delta = 0; delta <= 0xffff; delta += 7)
		assert_int_equal(csum_apply_udp(0, (uint16_t)delta), 0);
}

static void udp_never_becomes_without_checksum(void **state)
{
	(void)state;
	for (uint32_t field = 1; field <= 0xffff; field++) {
		/* this delta makes the sum zero */
		const uint16_t delta = (uint16_t)field;

		assert_int_equal(csum_apply((uint16_t)field, delta), 0);
		assert_int_equal(csum_apply_udp((uint16_t)field, delta), 0xffff);
	}
}

static void pseudo_header_is_part_of_the_sum(void **state)
{
	uint8_t flat[256];

	(void)state;
	srand(6);
	for (unsigned k = 0; k < 2000; k++) {
		const uint32_t ip_len = k % 2 ? 4 : 16, l4_len = 8 + (uint32_t)rand() % 100;
		uint8_t src[16], dst[16], l4[128];
		uint32_t n = 0;

		fill(src, 16);
		fill(dst, 16);
		fill(l4, l4_len);
		memcpy(flat, src, ip_len);
		memcpy(flat + ip_len, dst, ip_len);
		n = 2 * ip_len;
		memset(flat + n, 0, 8); /* RFC 8200 8.1; IPv4's is the same sum */
		flat[n + 2] = (uint8_t)(l4_len >> 8);
		flat[n + 3] = (uint8_t)l4_len;
		flat[n + 7] = 17;
		memcpy(flat + n + 8, l4, l4_len);
		assert_int_equal(
			csum_l4(src, dst, ip_len, 17, l4, l4_len), naive(flat, n + 8 + l4_len));
	}
}

static void time_to_live_has_a_shorter_way(void **state)
{
	(void)state;
	for (uint32_t field = 0; field <= 0xffff; field++) {
		const uint8_t ttl = (uint8_t)(field % 253 + 2), proto = (uint8_t)(field >> 3);
		uint8_t ip[4] = {ttl, proto}, out[4] = {1, proto};
		uint16_t sum = (uint16_t)field;

		memcpy(ip + 2, &sum, 2);
		assert_true(csum_step_ttl(ip));
		assert_int_equal(ip[0], ttl - 1);
		assert_int_equal(ip[1], proto);
		memcpy(&sum, ip + 2, 2);
		assert_int_equal(sum, csum_apply((uint16_t)field, CSUM_TTL_DELTA));
		out[0] = (uint8_t)(field & 1);
		assert_false(csum_step_ttl(out));
		assert_int_equal(out[0], field & 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_header_has_its_known_checksum),
		cmocka_unit_test(any_length_agrees_with_the_definition),
		cmocka_unit_test(long_sums_do_not_overflow),
		cmocka_unit_test(incremental_update_agrees_with_full_one),
		cmocka_unit_test(corner_cases_of_rfc_1624_come_out_right),
		cmocka_unit_test(a_change_to_the_same_leaves_every_field_valid),
		cmocka_unit_test(deltas_add_up),
		cmocka_unit_test(udp_without_checksum_stays_without),
		cmocka_unit_test(udp_never_becomes_without_checksum),
		cmocka_unit_test(pseudo_header_is_part_of_the_sum),
		cmocka_unit_test(time_to_live_has_a_shorter_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
