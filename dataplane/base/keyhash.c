/* SPDX-License-Identifier: BSD-3-Clause */
/* keyhash — see keyhash.h. Short keys take XXH3's multiply-fold paths: about 2 ns for 16 bytes. */
#define XXH_INLINE_ALL
#include "base/keyhash.h"

#include <xxhash.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* w: manager at start  r: all */
static uint8_t secret[XXH3_SECRET_SIZE_MIN + 56];
uint64_t keyhash_word_key[2]; /* w: manager at start  r: all */
uint64_t keyhash_pair_key[2]; /* w: manager at start  r: all */

/* Eight bytes of the secret, little-endian as XXH3 reads them. */
static uint64_t secret_at(size_t at)
{
	uint64_t v;

	memcpy(&v, secret + at, sizeof(v));
	return v;
}

static void set_inline_keys(void)
{
	keyhash_word_key[0] = keyhash("add", 3);
	keyhash_word_key[1] = keyhash("multiply", 8) | 1;
	keyhash_pair_key[0] = secret_at(24) ^ secret_at(32);
	keyhash_pair_key[1] = secret_at(40) ^ secret_at(48);
}

int keyhash_init(void)
{
	if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		return -EIO;
	set_inline_keys();
	return 0;
}

void keyhash_init_seed(uint64_t seed)
{
	for (uint32_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)XXH64(&i, sizeof(i), seed);
	set_inline_keys();
}

uint64_t keyhash(const void *key, uint32_t len)
{
	/* constant lengths let the compiler pick XXH3's path at compile time */
	if (len == 16)
		return XXH3_64bits_withSecret(key, 16, secret, sizeof(secret));
	if (len == 40)
		return XXH3_64bits_withSecret(key, 40, secret, sizeof(secret));
	return XXH3_64bits_withSecret(key, len, secret, sizeof(secret));
}

uint64_t keyhash_4(const void *key)
{
	return XXH3_64bits_withSecret(key, 4, secret, sizeof(secret));
}

uint32_t keyhash_rte(const void *key, uint32_t len, uint32_t unused)
{
	(void)unused;
	return (uint32_t)keyhash(key, len);
}
