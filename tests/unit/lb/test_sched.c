/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighted round robin and the VIP table. */
#include "base/keyhash.h"
#include "lb/vip.h"
#include "lb/wrr.h"
#include "unit.h"

#include <errno.h>

static struct sched_table *build(const struct sched_member *m, unsigned n)
{
	const struct sched_params p = {.service = "test"};
	struct sched_table *t = NULL;

	assert_int_equal(wrr_ops.build(&t, m, n, &p, NULL), 0);
	return t;
}

static uint32_t pick(const struct sched_table *t, uint32_t *cursor)
{
	const struct sched_ask ask = {.cursor = cursor};

	return wrr_ops.pick(t, &ask);
}

static void turns_are_interleaved_by_weight(void **state)
{
	const struct sched_member m[] = {
		{.backend_idx = 1, .weight = 50, .is_available = true, .name = "a"},
		{.backend_idx = 2, .weight = 10, .is_available = true, .name = "b"},
		{.backend_idx = 3, .weight = 10, .is_available = true, .name = "c"},
		{.backend_idx = 4, .weight = 90, .is_available = false, .name = "d"},
		{.backend_idx = 5, .weight = 0, .is_available = true, .name = "e"}};
	/* the textbook sequence for weights 5, 1, 1 */
	const uint32_t want[] = {1, 1, 2, 1, 3, 1, 1};
	struct sched_table *t = build(m, 5);
	uint32_t cursor = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 7; i++)
			assert_int_equal(pick(t, &cursor), want[i]);
	}
	cursor = UINT32_MAX; /* left over from a longer table */
	assert_in_range(pick(t, &cursor), 1, 3);
	wrr_ops.destroy(&t);
}

static void long_periods_are_scaled(void **state)
{
	struct sched_member m[2] = {
		{.backend_idx = 0, .weight = 1000, .is_available = true, .name = "a"},
		{.backend_idx = 1, .weight = 1, .is_available = true, .name = "b"}};
	static struct sched_member many[500];
	uint32_t cursor = 0, hits[500] = {0};
	struct sched_table *t = build(m, 2);

	(void)state;
	for (unsigned i = 0; i < 1001; i++)
		hits[pick(t, &cursor)]++;
	assert_int_equal(hits[0], 1000);
	assert_int_equal(hits[1], 1);
	wrr_ops.destroy(&t);
	memset(hits, 0, sizeof(hits));
	for (unsigned i = 0; i < 500; i++) {
		many[i] = (struct sched_member){
			.backend_idx = i, .weight = (uint16_t)(501 + i), .is_available = true};
		many[i].name[0] = (char)('a' + i % 26);
		many[i].name[1] = (char)('a' + i / 26);
	}
	t = build(many, 500);
	cursor = 0;
	for (unsigned i = 0; i < 100000; i++)
		hits[pick(t, &cursor)]++;
	for (unsigned i = 0; i < 500; i++)
		assert_true(hits[i] > 0);
	assert_true(hits[499] > hits[0]);
	wrr_ops.destroy(&t);
}

static void nobody_available_gives_nobody(void **state)
{
	struct sched_table *t = build(NULL, 0);
	uint32_t cursor = 7;

	(void)state;
	assert_int_equal(pick(t, &cursor), SCHED_NONE);
	wrr_ops.destroy(&t);
}

static void vips_are_found_by_address_port_and_protocol(void **state)
{
	struct vip_entry e[300];
	struct vip_table *t = NULL;
	struct pkt p[4];

	(void)state;
	memset(e, 0, sizeof(e));
	for (unsigned i = 0; i < 300; i++) {
		e[i].ip.family = i % 2 ? 4 : 6;
		e[i].ip.bytes[0] = 10;
		e[i].ip.bytes[3] = (uint8_t)(i / 4);
		e[i].port = (uint16_t)(80 + i / 150);
		e[i].proto = i % 4 < 2 ? 6 : 17;
		e[i].service_idx = i;
	}
	assert_int_equal(vip_table_create(&t, e, 300), 0);
	for (unsigned i = 0; i < 300; i++) {
		memset(p, 0, sizeof(p));
		for (unsigned k = 0; k < 4; k++) {
			p[k].family = e[i].ip.family;
			p[k].proto = e[i].proto;
			p[k].dport = rte_cpu_to_be_16(e[i].port);
			memcpy(p[k].dst, e[i].ip.bytes, 16);
		}
		p[1].dport = rte_cpu_to_be_16(79);
		p[2].proto = 1;
		p[3].dst[e[i].ip.family == 4 ? 2 : 15] = 9;
		vip_find_bulk(t, p, 4);
		assert_int_equal(p[0].service_idx, i);
		for (unsigned k = 1; k < 4; k++)
			assert_int_equal(p[k].service_idx, VIP_NONE);
	}
	vip_table_destroy(&t);
	e[7] = e[8];
	assert_int_equal(vip_table_create(&t, e, 300), 0);
	vip_table_destroy(&t);
	e[7].service_idx = 7;
	assert_int_equal(vip_table_create(&t, e, 300), -EEXIST);
}

/* As many as leave hardly a bit of the first look clear, and as few as leave most. */
static void sources_are_found_by_address(void **state)
{
	static struct vip_entry e[20000];

	(void)state;
	for (unsigned n = 20; n <= 20000; n *= 1000) {
		struct vip_table *t = NULL;

		memset(e, 0, sizeof(e));
		for (unsigned i = 0; i < n; i++) {
			e[i].ip.family = i % 2 ? 4 : 6;
			memcpy(e[i].ip.bytes + (i % 2 ? 0 : 12), &i, sizeof(i));
			e[i].service_idx = i;
		}
		assert_int_equal(vip_table_create(&t, e, n), 0);
		for (unsigned i = 0; i < 2 * n; i++) {
			struct pkt p = {.family = i % 2 ? 4 : 6};

			memcpy(p.src + (i % 2 ? 0 : 12), &i, sizeof(i));
			assert_int_equal(vip_find_source_address(t, &p), i < n ? i : VIP_NONE);
			assert_int_equal(vip_has_source(t, &p), i < n);
		}
		vip_table_destroy(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(turns_are_interleaved_by_weight),
		cmocka_unit_test(long_periods_are_scaled),
		cmocka_unit_test(nobody_available_gives_nobody),
		cmocka_unit_test(vips_are_found_by_address_port_and_protocol),
		cmocka_unit_test(sources_are_found_by_address),
	};

	keyhash_init_seed(1);
	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
