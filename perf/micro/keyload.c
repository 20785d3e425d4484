/* SPDX-License-Identifier: BSD-3-Clause */
/* keyload — see keyload.h. */
#include "keyload.h"

#include "shim.h"

#include <math.h>

void keyload_digits(uint8_t *to, uint32_t key)
{
	static const char hex[] = "0123456789abcdef";

	for (unsigned i = 0; i < 8; i++)
		to[i] = (uint8_t)hex[key >> (28 - 4 * i) & 15];
}

uint32_t *keyload_draw(uint32_t n_keys, double skew, uint32_t n)
{
	double *sums = shim_alloc(n_keys * sizeof(*sums)), sum = 0;
	uint32_t *draws = shim_alloc(n * sizeof(*draws));
	uint64_t seed = 23;

	for (uint32_t i = 0; i < n_keys; i++)
		sums[i] = sum += pow((double)i + 1, -skew);
	for (uint32_t i = 0; i < n; i++) {
		const double want = (double)(shim_random(&seed) >> 11) * 0x1p-53 * sum;
		uint32_t low = 0, high = n_keys - 1;

		while (low < high) {
			const uint32_t mid = low + (high - low) / 2;

			if (sums[mid] <= want)
				low = mid + 1;
			else
				high = mid;
		}
		draws[i] = low;
	}
	free(sums);
	return draws;
}

bool keyload_fill(struct harness *h, uint32_t n_keys, uint32_t value_len)
{
	const struct cache *c = serveconf_find(serve_conf_of(snapshot_get()), "cache");
	struct kv_writer *w = kv_writer_of(c->kv, 0);
	uint8_t key[KEYLOAD_LEN] = KEYLOAD_FIXED;
	char *value = shim_alloc(value_len + 1);
	bool is_stored = true;

	memset(value, 'v', value_len);
	for (uint32_t i = 0; is_stored && i < n_keys; i++) {
		const struct kv_store s = {.mode = KV_SET, .value = value, .value_len = value_len};
		struct kv_key k;

		keyload_digits(key + sizeof(KEYLOAD_FIXED) - 1, i);
		k = kv_key_of(key, KEYLOAD_LEN);
		is_stored = kv_store(w, &k, &s, NULL) == KV_OK;
		if (i % 4096 == 0) {
			h->now_ms++;
			worker_poll(h->workers[0], h->now_ms * 1000ull);
		}
	}
	free(value);
	return is_stored;
}
