/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline way of 16 bytes and the general one, whatever the secret and the bytes. */
#include "base/keyhash.h"
#include "unit.h"

static uint64_t random64(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state ^ *state >> 29;
}

static void pair_is_sixteen_bytes(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t words[2] = {random64(&seed), random64(&seed)};

		if (i % 500 == 0)
			keyhash_init_seed(i);
		if (i % 7 == 0)
			words[1] &= 0xffffffffff;
		if (i % 11 == 0)
			words[0] = 0;
		assert_true(keyhash_pair(words[0], words[1]) == keyhash(words, sizeof(words)));
	}
	assert_int_equal(keyhash_init(), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		const uint64_t words[2] = {i, ~i};

		assert_true(keyhash_pair(i, ~i) == keyhash(words, sizeof(words)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pair_is_sixteen_bytes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
