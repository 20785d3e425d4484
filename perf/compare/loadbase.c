/* SPDX-License-Identifier: BSD-3-Clause */
/* loadbase — see loadbase.h. */
#include "loadbase.h"

#include <arpa/inet.h>
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

static uint64_t due_of(const struct loadbase_pace *p)
{
	return p->begin_ns + (uint64_t)((double)p->n_taken * p->step_ns);
}

struct loadbase_pace loadbase_pace_of(double rate, double seconds)
{
	const uint64_t now = loadbase_now_ns();

	return (struct loadbase_pace){
		.begin_ns = now, .end_ns = now + (uint64_t)(seconds * 1e9), .step_ns = 1e9 / rate};
}

bool loadbase_pace_take(struct loadbase_pace *p, uint64_t now_ns, uint64_t *due_ns)
{
	*due_ns = due_of(p);
	if (*due_ns > now_ns || *due_ns >= p->end_ns)
		return false;
	p->n_taken++;
	p->n_late += now_ns - *due_ns > LOADBASE_LATE_NS;
	return true;
}

bool loadbase_pace_is_over(const struct loadbase_pace *p)
{
	return due_of(p) >= p->end_ns;
}

uint64_t loadbase_pace_total(const struct loadbase_pace *p)
{
	return (uint64_t)ceil((double)(p->end_ns - p->begin_ns) / p->step_ns);
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

socklen_t loadbase_address(const char *host, uint16_t port, union loadbase_address *to)
{
	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, host, &to->v4.sin_addr) == 1) {
		to->v4.sin_family = AF_INET;
		to->v4.sin_port = htons(port);
		return sizeof(to->v4);
	}
	if (inet_pton(AF_INET6, host, &to->v6.sin6_addr) != 1)
		loadbase_die("%s: not an address", host);
	to->v6.sin6_family = AF_INET6;
	to->v6.sin6_port = htons(port);
	return sizeof(to->v6);
}

void loadbase_print_times(const struct histogram *ns, bool is_json)
{
	printf(is_json ? "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f"
		       : "p50 %.1f us, p99 %.1f us, p99.9 %.1f us, max %.1f us",
		(double)histogram_quantile(ns, 0.5) / 1e3,
		(double)histogram_quantile(ns, 0.99) / 1e3,
		(double)histogram_quantile(ns, 0.999) / 1e3, (double)histogram_max(ns) / 1e3);
}
