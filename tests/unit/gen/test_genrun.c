/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers as the loop counts them, against a bit for each number that there ever was: once each, not of other trials, and none that is older
 * than the window. */
#include "genrun.h"
#include "genzipf.h"
#include "unit.h"

#include <stdlib.h>

#define HZ 2450000000ull
#define RATE 1e6

static struct genrun r;

static void init(uint64_t first, uint64_t n_warm)
{
	memset(&r, 0, sizeof(r));
	r.hz = HZ;
	assert_int_equal(genrun_init(&r), 0);
	r.next = r.first = first;
	r.first_counted = first + n_warm;
	r.end = UINT64_MAX;
	genpace_init(&r.pace, 1000, HZ, RATE);
}

/* The model: what happened to each number. */
struct model {
	uint64_t *answered; /* a bit each, from r.first on */
	uint64_t received, duplicates, overdue, reordered, highest, n_bytes;
};

static void answer(struct model *m, uint64_t number)
{
	const bool is_ours = number >= r.first && number < r.next && r.next - number <= GENRUN_OPEN;
	const uint64_t at = number - r.first;
	bool counts = false;

	if (!is_ours) {
		m->overdue++;
	} else if (m->answered[at / 64] & 1ull << at % 64) {
		m->duplicates++;
	} else {
		m->answered[at / 64] |= 1ull << at % 64;
		counts = number >= r.first_counted;
	}
	if (counts) {
		m->received++;
		m->n_bytes += 64;
		m->reordered += number < m->highest;
		m->highest = number > m->highest ? number : m->highest;
	}
	if (genrun_answered(&r, number, 60) != counts)
		fail_msg("number %lu of %lu to %lu", number, r.first, r.next);
}

static void each_number_is_answered_once(void **state)
{
	const uint64_t first = 12345, n_all = GENRUN_WINDOW + GENRUN_WINDOW / 4;
	struct model m = {.answered = calloc(n_all / 64 + 2, 8)};
	uint64_t random = 3;

	(void)state;
	init(first, 1000);
	while (r.next - first < n_all) {
		const uint64_t at = r.next, x = genzipf_random(&random);
		const unsigned n = 1 + (unsigned)(x % GENRUN_BURST_MAX);

		assert_int_equal(genrun_take(&r, n), at);
		assert_int_equal(r.next, at + n);
		r.now = genpace_due(&r.pace, r.next - first) + x % 50000;
		for (unsigned i = 0; i < n; i++) /* nine of ten, most of them in order */
			if (genzipf_random(&random) % 10 != 0)
				answer(&m, at + i);
		if (x % 8 != 0)
			continue;
		answer(&m, r.next + x % 100); /* not sent yet */
		answer(&m, first - 1 - x % 100);
		answer(&m, at - x / 8 % (at - first + 50));   /* of any time before */
		answer(&m, r.next - GENRUN_OPEN + x % 3 - 1); /* about where the window begins */
	}
	assert_int_equal(r.counts.received, m.received);
	assert_int_equal(r.counts.received_bytes, m.n_bytes);
	assert_int_equal(r.counts.duplicates, m.duplicates);
	assert_int_equal(r.counts.overdue, m.overdue);
	assert_int_equal(r.counts.reordered, m.reordered);
	assert_int_equal(genhist_count(&r.latency_ns), m.received);
	assert_true(m.duplicates > 1000 && m.overdue > 1000 && m.reordered > 1000);
	free(m.answered);
	genrun_fini(&r);
}

/* From when it was due, to the nanosecond that its bucket tells, and up to minutes. */
static void times_count_from_due(void **state)
{
	(void)state;
	for (uint64_t late_ns = 0; late_ns < 100000000000ull; late_ns = late_ns * 3 / 2 + 1) {
		uint64_t got;

		init(1, 0);
		r.deadline_cyc = HZ / 1000; /* a millisecond */
		genrun_take(&r, 10);
		r.now = genpace_due(&r.pace, 7) + (late_ns * (HZ / 1000000) + 999) / 1000;
		assert_true(genrun_answered(&r, 8, 0));
		got = genhist_max(&r.latency_ns);
		if (got + 1 < late_ns || got > late_ns + 1 + late_ns / 1000000000)
			fail_msg("%lu ns became %lu", late_ns, got);
		assert_int_equal(r.counts.too_late, late_ns > 1000000);
		assert_int_equal(r.counts.received_bytes, 0);
		genrun_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_number_is_answered_once),
		cmocka_unit_test(times_count_from_due),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
