/* SPDX-License-Identifier: BSD-3-Clause */
/* The vectors that the authors of SipHash publish with it: key 00 01 … 0f, input 00 01 … of each length. */
#include "base/siphash.h"
#include "unit.h"

static void published_vectors(void **state)
{
	static const struct {
		uint32_t len;
		uint64_t hash;
	} rows[] = {{0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd}, {2, 0x0d6c8009d9a94f5a},
		{7, 0xab0200f58b01d137}, {8, 0x93f5f5799a932462}, {9, 0x9e0082df0ba9e4b0},
		{15, 0xa129ca6149be45e5}};
	uint8_t key_bytes[16], in[16];
	uint64_t key[2];

	(void)state;
	for (uint8_t i = 0; i < 16; i++)
		key_bytes[i] = in[i] = i;
	memcpy(key, key_bytes, sizeof(key));
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(siphash(key, in, rows[i].len), rows[i].hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(published_vectors)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
