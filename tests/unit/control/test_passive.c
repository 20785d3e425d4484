/* SPDX-License-Identifier: BSD-3-Clause */
/* When traffic takes backends out and lets them in again: figures, times, shares. */
#include "daemon/passive.h"
#include "unit.h"

#include <stdlib.h>

static struct conf_backend backends[4] = {
	{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
static struct conf_pool pool = {.name = "web", .backends = backends, .n_backends = 4};
static struct conf_service services[2] = {{.name = "s", .proto = MR_PROTO_TCP, .pool = &pool},
	{.name = "u", .proto = MR_PROTO_UDP, .pool = &pool}};
static const struct conf conf = {
	.pools = &pool, .n_pools = 1, .services = services, .n_services = 2};

struct fix {
	struct passive *p;
	struct mr_backend_row rows[8]; /* of s, then of u */
	int64_t now_ms;
	unsigned n_events;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	pool.passive = (struct conf_passive){.is_on = true,
		.failures = 3,
		.rate_pct = 50,
		.min_flows = 10,
		.ejection_ms = 30000,
		.max_ejected_pct = 50};
	pool.n_backends = 4;
	assert_non_null(f);
	f->now_ms = 1700000000000;
	for (unsigned i = 0; i < 8; i++) {
		snprintf(f->rows[i].service, MR_NAME_MAX, "%s", services[i / 4].name);
		snprintf(f->rows[i].name, MR_NAME_MAX, "%s", backends[i % 4].name);
	}
	assert_int_equal(passive_create(&f->p), 0);
	assert_int_equal(passive_adapt(f->p, &conf, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	passive_destroy(&f->p);
	assert_null(f->p);
	free(f);
	return 0;
}

static void on_event(void *arg, const struct conf_pool *p, const struct conf_backend *b,
	const struct passive_backend *state)
{
	struct fix *f = arg;

	assert_ptr_equal(p, &pool);
	assert_true(b >= backends && b < backends + 4);
	f->n_events++;
}

/* A second later the dataplane has counted so many more of backend i. */
static bool more(struct fix *f, unsigned i, unsigned opened, unsigned failed)
{
	f->rows[i].opened += opened;
	f->rows[i].open_failures += failed;
	f->now_ms += 1000;
	return passive_read(f->p, &conf, f->rows, 8, f->now_ms, on_event, f);
}

static bool is_out(const struct fix *f, unsigned i)
{
	return passive_at(f->p, 0, i)->until_ms != 0;
}

static void what_was_before_does_not_count(void **state)
{
	struct fix *f = *state;

	assert_true(passive_is_wanted(f->p));
	assert_false(more(f, 0, 5, 1000));
	assert_false(is_out(f, 0));
	/* nor what another run of the dataplane has counted */
	f->rows[0].opened = 2;
	f->rows[0].open_failures = 900;
	assert_false(more(f, 0, 0, 0));
}

static void failures_in_a_row(void **state)
{
	struct fix *f = *state;

	more(f, 0, 0, 0);
	assert_false(more(f, 0, 0, 2));
	assert_false(more(f, 0, 1, 2)); /* one that was opened begins the row anew */
	assert_false(more(f, 0, 0, 2));
	assert_true(more(f, 0, 0, 1));
	assert_true(is_out(f, 0));
	assert_int_equal(f->n_events, 1);
	assert_int_equal(passive_at(f->p, 0, 0)->until_ms, f->now_ms + 30000);
	assert_string_equal(passive_at(f->p, 0, 0)->reason, "3 flows in a row failed");
	assert_false(is_out(f, 1));
}

static void rate_of_failures(void **state)
{
	struct fix *f = *state;

	pool.passive.failures = 0;
	more(f, 1, 0, 0);
	assert_false(more(f, 1, 0, 9)); /* too few flows to say */
	assert_true(more(f, 1, 5, 0));
	assert_string_equal(passive_at(f->p, 0, 1)->reason, "9 of 14 flows failed");
	more(f, 2, 6, 5);
	assert_false(is_out(f, 2)); /* 45 % */
	f->now_ms += 10000;         /* another window */
	more(f, 2, 0, 6);
	assert_false(is_out(f, 2));
	more(f, 2, 4, 0);
	assert_true(is_out(f, 2));
}

static void off_is_off(void **state)
{
	struct fix *f = *state;

	pool.passive.failures = 0;
	pool.passive.rate_pct = 0;
	more(f, 0, 0, 0);
	assert_false(more(f, 0, 0, 100000));
}

static void datagrams_that_come_back_are_good(void **state)
{
	struct fix *f = *state;

	more(f, 4, 0, 0);
	more(f, 4, 0, 2);
	f->rows[4].tx_packets++;
	more(f, 4, 0, 2);
	assert_false(is_out(f, 0));
	more(f, 4, 0, 3);
	assert_true(is_out(f, 0));
}

static void services_of_a_pool_count_together(void **state)
{
	struct fix *f = *state;

	more(f, 0, 0, 0);
	f->rows[4].open_failures += 2; /* u */
	assert_true(more(f, 0, 0, 1)); /* s */
	assert_true(is_out(f, 0));
}

static void no_more_than_the_share(void **state)
{
	struct fix *f = *state;

	more(f, 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		f->rows[i].open_failures += 10;
	more(f, 0, 0, 0);
	assert_int_equal(is_out(f, 0) + is_out(f, 1) + is_out(f, 2) + is_out(f, 3), 2);
	assert_int_equal(f->n_events, 2);
	/* who waited goes when a place is free, if it still fails */
	f->rows[3].opened++;
	f->now_ms += 30000;
	more(f, 2, 0, 0);
	assert_false(is_out(f, 0));
	assert_false(is_out(f, 1));
	assert_true(is_out(f, 2));
	assert_false(is_out(f, 3));
}

static void the_last_one_stays(void **state)
{
	struct fix *f = *state;

	pool.n_backends = 1;
	assert_int_equal(passive_adapt(f->p, &conf, NULL), 0);
	more(f, 0, 0, 0);
	assert_false(more(f, 0, 0, 1000));
	pool.passive.max_ejected_pct = 100;
	assert_true(more(f, 0, 0, 0));
}

/* 30 s, 60 s, 90 s …; at most ten times; and it is forgotten by and by. */
static void each_time_longer(void **state)
{
	struct fix *f = *state;

	more(f, 0, 0, 0);
	for (unsigned n = 1; n <= 12; n++) {
		const int64_t ms = 30000 * (int64_t)(n < 10 ? n : 10);

		assert_true(more(f, 0, 0, 3));
		assert_int_equal(passive_at(f->p, 0, 0)->until_ms - f->now_ms, ms);
		f->now_ms += ms - 2000;
		assert_false(more(f, 0, 0, 50)); /* what it shows meanwhile is of flows before */
		assert_true(more(f, 0, 0, 0));
		assert_false(is_out(f, 0));
	}
	for (unsigned s = 0; s < 31 * 10; s++)
		assert_false(more(f, 0, 1, 0));
	assert_int_equal(passive_at(f->p, 0, 0)->n_ejections, 0);
	assert_true(more(f, 0, 0, 3));
	assert_int_equal(passive_at(f->p, 0, 0)->until_ms - f->now_ms, 30000);
}

static void another_configuration_keeps_the_state(void **state)
{
	struct fix *f = *state;
	struct conf_backend others[2] = {{.name = "c"}, {.name = "a"}};
	struct conf_pool other = pool;
	struct conf to = conf;

	more(f, 0, 0, 0);
	assert_true(more(f, 0, 0, 3));
	other.backends = others;
	other.n_backends = 2;
	to.pools = &other;
	assert_int_equal(passive_adapt(f->p, &to, &conf), 0);
	assert_int_equal(passive_at(f->p, 0, 0)->until_ms, 0);
	assert_int_equal(passive_at(f->p, 0, 1)->until_ms, f->now_ms + 30000);
	/* without `passive` nobody is out */
	other.passive.is_on = false;
	assert_int_equal(passive_adapt(f->p, &to, &to), 0);
	assert_int_equal(passive_at(f->p, 0, 1)->until_ms, 0);
	assert_false(passive_is_wanted(f->p));
}

static void rows_of_strangers_are_nobodys(void **state)
{
	struct fix *f = *state;

	more(f, 0, 0, 0);
	snprintf(f->rows[0].service, MR_NAME_MAX, "gone");
	snprintf(f->rows[5].name, MR_NAME_MAX, "gone");
	f->rows[5].open_failures = 50;
	assert_false(more(f, 0, 0, 50));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_before_does_not_count),
		TEST(failures_in_a_row),
		TEST(rate_of_failures),
		TEST(off_is_off),
		TEST(datagrams_that_come_back_are_good),
		TEST(services_of_a_pool_count_together),
		TEST(no_more_than_the_share),
		TEST(the_last_one_stays),
		TEST(each_time_longer),
		TEST(another_configuration_keeps_the_state),
		TEST(rows_of_strangers_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
