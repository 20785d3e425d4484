/* SPDX-License-Identifier: BSD-3-Clause */
/* boot: up in order, down in reverse, a failing step undoes what came before it and nothing else. */
#include "core/boot.h"
#include "unit.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static char trace[64];

static void note(const char *what)
{
	strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static int up_a(void *ctx)
{
	note("+a");
	return 0;
}

static void down_a(void *ctx)
{
	note("-a");
}

static int up_b(void *ctx)
{
	note("+b");
	return 0;
}

static int up_c(void *ctx)
{
	note("+c");
	return *(int *)ctx;
}

static void down_c(void *ctx)
{
	note("-c");
}

static const struct boot_step steps[] = {
	{"a", up_a, down_a}, {"b", up_b, NULL}, {"c", up_c, down_c}, {"a again", up_a, down_a}};

static void test_order(void **state)
{
	int rc = 0;

	trace[0] = '\0';
	assert_int_equal(boot_up(steps, 4, &rc), 0);
	assert_string_equal(trace, "+a+b+c+a");
	boot_down(steps, 4, &rc);
	assert_string_equal(trace, "+a+b+c+a-a-c-a");
}

static void test_failure(void **state)
{
	int rc = -EPERM;

	trace[0] = '\0';
	assert_int_equal(boot_up(steps, 4, &rc), -EPERM);
	assert_string_equal(trace, "+a+b+c-a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order), cmocka_unit_test(test_failure)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
