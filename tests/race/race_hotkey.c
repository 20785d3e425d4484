/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hot keys are merged while workers feed their sketches with more keys than these watch, at seconds that pass quickly. A key says
 * how long it is and with what byte it is filled: one that was read while it changed would not agree with itself. One key has
 * a tenth of all requests, so it is the first of every report, and its rate is within the error.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/hotkey.h"
#include "race.h"

#include <rte_memory.h>

#include <string.h>

#define WORKERS 2u
#define SECONDS 60u
#define REQUESTS 4000u /* of a worker in a second */
#define KEYS 3000u
#define REPORTS_MIN 20u
#define TOP 300u

static struct hotkey *sketches[WORKERS];
static uint32_t seconds[WORKERS]; /* that each has begun */

/* Length and filling follow from the number, which is in the first four bytes. */
static uint32_t fill(uint8_t key[ITEM_KEY_MAX], uint32_t i)
{
	const uint32_t len = 5 + i * 7 % (ITEM_KEY_MAX - 4);

	memset(key, (int)(i % 251), len);
	memcpy(key, &i, sizeof(i));
	return len;
}

static void *body(void *arg)
{
	const unsigned id = (unsigned)(uintptr_t)arg;
	uint64_t rnd = id + 7;
	uint8_t key[ITEM_KEY_MAX];

	for (uint32_t second = 1; second <= SECONDS; second++) {
		__atomic_store_n(&seconds[id], second, __ATOMIC_RELAXED);
		for (uint32_t n = 0; n < REQUESTS; n++) {
			const uint32_t r = race_random(&rnd);
			const uint32_t i = r % 10 == 0 ? 1 : r / 10 % KEYS;
			const uint32_t len = fill(key, i);

			hotkey_seen(sketches[id], key, len, keyhash(key, len), second);
			if (n % 256 == 0)
				sched_yield();
		}
	}
	__atomic_store_n(&seconds[id], UINT32_MAX, __ATOMIC_RELAXED);
	return NULL;
}

static bool is_over(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (__atomic_load_n(&seconds[i], __ATOMIC_RELAXED) != UINT32_MAX)
			return false;
	return true;
}

static void look(const struct hotkey_top *t)
{
	uint8_t key[ITEM_KEY_MAX];
	uint32_t i;

	RACE_CHECK(t->len >= 5 && t->len <= ITEM_KEY_MAX, "%u bytes", t->len);
	memcpy(&i, t->key, sizeof(i));
	RACE_CHECK(i < KEYS && fill(key, i) == t->len && memcmp(key, t->key, t->len) == 0,
		"key %u, %u bytes, is of two", i, t->len);
	RACE_CHECK(
		t->per_second > 0 && t->error > 0, "key %u: %f +- %f", i, t->per_second, t->error);
}

/* The last second that all have begun, or 0. */
static uint32_t now_of_all(void)
{
	uint32_t now = SECONDS + 1;

	for (unsigned i = 0; i < WORKERS; i++)
		now = RTE_MIN(now, __atomic_load_n(&seconds[i], __ATOMIC_RELAXED));
	return now;
}

int main(void)
{
	static struct hotkey_top top[TOP];
	pthread_t threads[WORKERS];
	unsigned n = 0, reports = 0;
	uint32_t hot;

	RACE_CHECK(eal_start("race_hotkey", 256) == 0, "EAL did not start");
	keyhash_init_seed(1);
	for (unsigned i = 0; i < WORKERS; i++)
		RACE_CHECK(hotkey_create(&sketches[i], SOCKET_ID_ANY) == 0, "no memory");
	for (unsigned i = 0; i < WORKERS; i++)
		threads[i] = race_start(body, (void *)(uintptr_t)i);
	while (!is_over()) {
		n = hotkey_merge(sketches, WORKERS, now_of_all(), 1, top, TOP);
		for (unsigned i = 0; i < n; i++)
			look(&top[i]);
		reports += n > 0;
	}
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	n = hotkey_merge(sketches, WORKERS, SECONDS + 1, 1, top, TOP);
	RACE_CHECK(n > 100 && reports >= REPORTS_MIN, "%u keys, %u reports", n, reports);
	memcpy(&hot, top[0].key, sizeof(hot));
	RACE_CHECK(hot == 1 && top[0].per_second > REQUESTS / 10.0 * WORKERS * 0.9
			&& top[0].per_second < REQUESTS / 10.0 * WORKERS * 1.1,
		"key %u: %.0f +- %.0f", hot, top[0].per_second, top[0].error);
	printf("%u reports, %u keys, the first %.0f +- %.0f\n", reports, n, top[0].per_second,
		top[0].error);
	for (unsigned i = 0; i < WORKERS; i++)
		hotkey_destroy(&sketches[i]);
	return 0;
}
