/* SPDX-License-Identifier: BSD-3-Clause */
/* loadbase — see loadbase.h. */
#include "loadbase.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t state = 1;

void loadbase_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("error: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

uint64_t loadbase_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void loadbase_seed(uint64_t seed)
{
	state = seed * 0x9e3779b97f4a7c15ull + 1;
}

uint64_t loadbase_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ull;
}

static double unit_random(void)
{
	return (double)(loadbase_random() >> 11) * 0x1p-53;
}

void *loadbase_must(void *memory)
{
	if (memory == NULL)
		loadbase_die("out of memory");
	return memory;
}

const uint32_t *loadbase_draw_keys(uint32_t n_keys, double skew)
{
	double *sums = loadbase_must(malloc(n_keys * sizeof(*sums))), sum = 0;

	uint32_t *draws = loadbase_must(malloc(LOADBASE_DRAWS * sizeof(*draws)));
	for (uint32_t i = 0; i < n_keys; i++)
		sums[i] = sum += pow((double)i + 1, -skew);
	for (uint32_t i = 0; i < LOADBASE_DRAWS; i++) {
		const double want = unit_random() * sum;
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

void loadbase_write_key(char key[LOADBASE_KEY_LEN + 1], uint32_t i)
{
	snprintf(key, LOADBASE_KEY_LEN + 1, "key:%012u", i);
}

void loadbase_write_value(uint8_t *to, const char *key, unsigned len)
{
	for (unsigned n = 0; n < len; n += LOADBASE_KEY_LEN)
		memcpy(to + n, key, len - n < LOADBASE_KEY_LEN ? len - n : LOADBASE_KEY_LEN);
}

double loadbase_number(const char *text, double low, double high)
{
	char *end;
	const double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= low && v <= high))
		loadbase_die("%s: a number from %g to %g is wanted", text, low, high);
	return v;
}
