/* SPDX-License-Identifier: BSD-3-Clause */
/* The timer wheel against a naive list of deadlines, across the wrap of the 32-bit clock. */
#include "base/wheel.h"
#include "unit.h"

#include <stdlib.h>

#define N 200u

static void run(uint32_t tick_shift)
{
	static struct wheel w;
	static struct wheel_link links[N];
	static uint32_t deadline[N];
	static bool is_in[N];
	uint32_t now = UINT32_MAX - 4000000;

	memset(is_in, 0, sizeof(is_in));
	srand(9);
	wheel_init(&w, links, N, now, tick_shift);
	for (unsigned s = 0; s < 500000; s++) {
		const uint32_t i = (uint32_t)rand() % N;
		uint32_t due[8];
		unsigned n;

		if (rand() % 8 == 0) {
			wheel_del(&w, i);
			is_in[i] = false;
		} else {
			deadline[i] = now + (uint32_t)rand() % 3000000;
			wheel_add(&w, i, deadline[i]);
			is_in[i] = true;
		}
		now += (uint32_t)rand() % 32;
		while ((n = wheel_due_bulk(&w, now, due, 8)) > 0) {
			for (unsigned k = 0; k < n; k++) {
				assert_true(is_in[due[k]]);
				is_in[due[k]] = false;
				if ((int32_t)(now - deadline[due[k]])
					< 0) { /* beyond the horizon */
					wheel_add(&w, due[k], deadline[due[k]]);
					is_in[due[k]] = true;
				}
			}
		}
		if (s % 64 == 0) {
			for (unsigned k = 0; k < N; k++)
				assert_true(!is_in[k]
					|| (int32_t)(now - deadline[k])
						< (int32_t)((2u << tick_shift) + 32));
		}
	}
	assert_true(now < 100000000); /* it has wrapped */
}

static void deadlines_come_on_time_across_the_wrap(void **state)
{
	(void)state;
	run(0);
	run(WHEEL_TICK_SHIFT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlines_come_on_time_across_the_wrap)};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
