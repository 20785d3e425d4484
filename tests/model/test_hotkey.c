/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hot keys against exact counts. The model counts every request of every key, halved when a second ends, without rounding; a rate that a
 * sketch reports must not differ by more than its stated error, whatever the stream: Zipf, with a scan beside it, few keys that fight for
 * the entries, several workers, samples, pauses.
 */
#include "base/keyhash.h"
#include "eal.h"
#include "kv/hotkey.h"
#include "unit.h"

#include <rte_common.h>
#include <rte_memory.h>

#include <math.h>
#include <stdlib.h>

#define KEYS (1u << 20) /* Zipf's; those of a scan come after */
#define ALL_KEYS (3 * KEYS)
#define WORKERS 4u
#define SKEW 0.99

static double weight[ALL_KEYS], sums[KEYS];
static double seconds; /* that have ended, by their weight */
static uint32_t now;
static struct hotkey *sketches[WORKERS];
static struct hotkey_top top[2 * WORKERS * HOTKEY_ENTRIES];
static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717ull;
}

static uint32_t zipf(void)
{
	const double want = (double)(rnd() >> 11) * 0x1p-53 * sums[KEYS - 1];
	uint32_t low = 0, high = KEYS - 1;

	while (low < high) {
		const uint32_t mid = (low + high) / 2;

		if (sums[mid] <= want)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Of different lengths, up to the longest. */
static uint32_t key_text(uint32_t i, char key[ITEM_KEY_MAX + 1])
{
	return (uint32_t)snprintf(
		key, ITEM_KEY_MAX + 1, "key:%0*u", i % 16 == 0 ? 246 : (int)(8 + i % 30), i);
}

static void ask(uint32_t i, unsigned worker, bool is_shown)
{
	char key[ITEM_KEY_MAX + 1];

	weight[i]++;
	if (is_shown) {
		const uint32_t len = key_text(i, key);

		hotkey_seen(sketches[worker], key, len, keyhash(key, len), now);
	}
}

/* The second ends. The model has then what rates are made of, until the next request. */
static void end_second(void)
{
	now++;
	seconds = seconds / 2 + 1;
}

static void begin_second(void)
{
	for (uint32_t i = 0; i < ALL_KEYS; i++)
		weight[i] /= 2;
}

static void start(uint64_t from)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		hotkey_destroy(&sketches[i]);
		assert_int_equal(hotkey_create(&sketches[i], SOCKET_ID_ANY), 0);
	}
	memset(weight, 0, sizeof(weight));
	seconds = 0;
	now = 1000;
	seed = from;
}

static uint32_t key_of(const struct hotkey_top *t)
{
	char key[ITEM_KEY_MAX + 1], text[ITEM_KEY_MAX + 1] = {0};
	uint32_t i;

	memcpy(text, t->key, t->len);
	i = (uint32_t)strtoul(text + 4, NULL, 10);
	assert_true(i < ALL_KEYS);
	assert_int_equal(key_text(i, key), t->len);
	assert_string_equal(key, text);
	return i;
}

/* Merges and holds each rate against the model; returns how many there are. */
static unsigned check_rates(unsigned n_workers, uint32_t sample_every, unsigned max)
{
	const unsigned n = hotkey_merge(sketches, n_workers, now, sample_every, top, max);

	assert_true(n <= max);
	for (unsigned i = 0; i < n_workers; i++)
		assert_true(hotkey_check(sketches[i]));
	for (unsigned i = 0; i < n; i++) {
		const uint32_t key = key_of(&top[i]);
		const double rate = weight[key] / seconds;

		if (fabs(top[i].per_second - rate) > top[i].error)
			fail_msg("key %u: %.1f, not %.1f +- %.1f", key, rate, top[i].per_second,
				top[i].error);
		assert_true(i == 0 || top[i].per_second <= top[i - 1].per_second);
		for (unsigned k = 0; k < i; k++)
			assert_true(top[k].len != top[i].len
				|| memcmp(top[k].key, top[i].key, top[i].len) != 0);
	}
	return n;
}

/* The first n are the n keys of the highest weight. */
static void check_top(unsigned n)
{
	double least = INFINITY;
	unsigned n_above = 0;

	for (unsigned rank = 0; rank < n; rank++)
		least = fmin(least, weight[key_of(&top[rank])]);
	for (uint32_t i = 0; i < ALL_KEYS; i++)
		n_above += weight[i] > least;
	assert_true(n_above < n);
}

static void sum_zipf(void)
{
	double sum = 0;

	for (uint32_t i = 0; i < KEYS; i++)
		sums[i] = sum += pow(i + 1, -SKEW);
}

/* Each second 200,000 requests by Zipf, and as many of a scan, that go on for some seconds. */
static void run_zipf(unsigned n_workers, uint32_t sample_every, bool has_scan, double error_max)
{
	uint32_t scan = KEYS;

	start(7);
	for (unsigned second = 0; second < 6; second++) {
		begin_second();
		for (unsigned i = 0; i < 200000; i++) {
			ask(zipf(), (unsigned)(rnd() >> 32) % n_workers,
				(rnd() >> 32) % sample_every == 0);
			if (has_scan)
				ask(scan++, (unsigned)(rnd() >> 32) % n_workers,
					(rnd() >> 32) % sample_every == 0);
		}
		end_second();
		assert_int_equal(check_rates(n_workers, sample_every, 10), 10);
		check_top(sample_every == 1 ? 10 : 3); /* beyond, chance decides */
		for (unsigned i = 0; i < 10; i++)
			if (top[i].error > error_max)
				fail_msg("rank %u: %.0f +- %.0f", i, top[i].per_second,
					top[i].error);
	}
	printf("%u workers, 1 of %u%s: first %.0f +- %.0f, tenth %.0f +- %.0f\n", n_workers,
		sample_every, has_scan ? ", scan" : "", top[0].per_second, top[0].error,
		top[9].per_second, top[9].error);
}

static void zipf_has_its_top_ten(void **state)
{
	(void)state;
	run_zipf(1, 1, false, 100);
}

static void scan_does_not_push_them_out(void **state)
{
	(void)state;
	run_zipf(1, 1, true, 100);
}

static void workers_are_added_up(void **state)
{
	(void)state;
	run_zipf(WORKERS, 1, true, 100);
}

static void sample_is_multiplied(void **state)
{
	(void)state;
	run_zipf(2, 8, false, 1200);
}

/* The bound holds for any stream: few keys, more than entries, in all orders, at all rates; and who is above it is there. */
static void bound_holds_for_keys_that_fight(void **state)
{
	static bool is_there[2000];

	(void)state;
	for (unsigned turn = 0; turn < 40; turn++) {
		const uint32_t n_keys = 1 + (uint32_t)(rnd() >> 32) % 2000;

		start(turn * 977 + 3);
		for (unsigned second = 0; second < 8; second++) {
			const uint32_t n = (uint32_t)(rnd() >> 32) % 8000;
			double others;
			unsigned n_top;

			begin_second();
			ask(0, 0, true);
			for (uint32_t i = 0; i < n; i++)
				ask((uint32_t)(turn % 3 == 0 ? i % n_keys
						    : turn % 3 == 1
						    ? (rnd() >> 32) % n_keys
						    : (rnd() >> 32) % (1 + (rnd() >> 32) % n_keys)),
					0, true);
			end_second();
			n_top = check_rates(1, 1, HOTKEY_ENTRIES);
			others = n_top < HOTKEY_ENTRIES
				? 0
				: top[n_top - 1].per_second + top[n_top - 1].error;
			memset(is_there, 0, sizeof(is_there));
			for (unsigned i = 0; i < n_top; i++)
				is_there[key_of(&top[i])] = true;
			for (uint32_t key = 0; key < n_keys; key++)
				if (!is_there[key] && weight[key] / seconds > others + 2)
					fail_msg("turn %u: key %u of %.1f is not there", turn, key,
						weight[key] / seconds);
		}
	}
}

static void what_was_hot_fades(void **state)
{
	double last;

	(void)state;
	start(11);
	for (unsigned second = 0; second < 4; second++) {
		begin_second();
		for (unsigned i = 0; i < 1000; i++)
			ask(5, second % WORKERS, true);
		end_second();
	}
	assert_int_equal(check_rates(WORKERS, 1, 10), 1);
	last = top[0].per_second;
	/* nobody asks, nobody calls: a second later it is half, and after many nothing */
	for (unsigned second = 0; second < 8; second++) {
		begin_second();
		end_second();
		assert_int_equal(check_rates(WORKERS, 1, 10), 1);
		assert_true(top[0].per_second < 0.55 * last);
		last = top[0].per_second;
	}
	/* another one takes its place within a second */
	begin_second();
	for (unsigned i = 0; i < 1000; i++)
		ask(6, 0, true);
	end_second();
	assert_int_equal(check_rates(WORKERS, 1, 1), 1);
	assert_int_equal(key_of(&top[0]), 6);
	now += 100;
	for (uint32_t i = 0; i < ALL_KEYS; i++)
		weight[i] *= 0x1p-100;
	check_rates(WORKERS, 1, 10);
	assert_true(top[0].per_second < 1e-20);
}

/* Within a second the report is of the seconds before; the owner may be a moment ahead of who looks. */
static void second_counts_once_it_is_whole(void **state)
{
	(void)state;
	start(12);
	begin_second();
	ask(5, 0, true);
	assert_int_equal(hotkey_merge(sketches, 1, now, 1, top, 10), 0);
	for (unsigned i = 0; i < 99; i++)
		ask(5, 0, true);
	end_second();
	assert_int_equal(check_rates(1, 1, 10), 1);
	assert_true(fabs(top[0].per_second - 100) <= 1);
	ask(5, 0, true);
	weight[5]--;
	assert_int_equal(check_rates(1, 1, 10), 1);
	now--;
	assert_int_equal(check_rates(1, 1, 10), 1);
}

static void empty_ones_and_none_are_nothing(void **state)
{
	struct hotkey *some[3] = {NULL};

	(void)state;
	start(13);
	assert_int_equal(hotkey_merge(sketches, WORKERS, now, 1, top, 10), 0);
	assert_int_equal(hotkey_merge(some, 3, now, 1, top, 10), 0);
	begin_second();
	ask(5, 2, true);
	end_second();
	some[1] = sketches[2];
	assert_int_equal(hotkey_merge(some, 3, now, 1, top, 10), 1);
	assert_int_equal(key_of(&top[0]), 5);
	assert_int_equal(hotkey_merge(some, 3, now, 1, top, 0), 0);
}

static int set_up(void **state)
{
	(void)state;
	keyhash_init_seed(1);
	sum_zipf();
	return eal_start("test_hotkey", 256);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zipf_has_its_top_ten),
		cmocka_unit_test(scan_does_not_push_them_out),
		cmocka_unit_test(workers_are_added_up),
		cmocka_unit_test(sample_is_multiplied),
		cmocka_unit_test(bound_holds_for_keys_that_fight),
		cmocka_unit_test(what_was_hot_fades),
		cmocka_unit_test(second_counts_once_it_is_whole),
		cmocka_unit_test(empty_ones_and_none_are_nothing),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
