/* SPDX-License-Identifier: BSD-3-Clause */
/* virtiotx: tables of a packed ring as the driver leaves them, and memory that only looks like them. */
#include "core/virtiotx.h"
#include "eal.h"
#include "unit.h"

#include <rte_memzone.h>

#define SLOTS 256u

struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct region {
	uint8_t header[16];
	struct descriptor of[8];
};

static struct region *prepare(const char *name)
{
	const struct rte_memzone *zone =
		rte_memzone_reserve(name, SLOTS * sizeof(struct region), SOCKET_ID_ANY, 0);
	struct region *slots;

	assert_non_null(zone);
	slots = zone->addr;
	memset(slots, 0, SLOTS * sizeof(*slots));
	for (unsigned i = 0; i < SLOTS; i++) {
		slots[i].of[0].addr = (uintptr_t)slots[i].header;
		slots[i].of[0].len = 12;
		for (uint16_t k = 0; k < 8; k++) {
			slots[i].of[k].id = k;
			slots[i].of[k].flags = 2;
		}
	}
	return slots;
}

static unsigned flags_of(const struct region *slots)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		for (unsigned k = 0; k < 8; k++)
			n += slots[i].of[k].flags != 0;
	}
	return n;
}

static void flags_of_all_queues_are_cleared(void **state)
{
	struct region *const first = prepare("port7_vq1_hdr"),
			     *const second = prepare("port7_vq3_hdr"),
			     *const not_asked = prepare("port7_vq5_hdr");

	(void)state;
	assert_int_equal(virtiotx_mend(7, 2), 2 * SLOTS);
	assert_int_equal(flags_of(first), 0);
	assert_int_equal(flags_of(second), 0);
	assert_int_equal(flags_of(not_asked), 8 * SLOTS);
	assert_int_equal(first[5].of[0].addr, (uintptr_t)first[5].header);
	assert_int_equal(first[5].of[0].len, 12);
	assert_int_equal(first[5].of[6].id, 6);
	/* again: nothing is as prepared */
	assert_int_equal(virtiotx_mend(7, 2), 0);
}

/* A split ring numbers the next descriptor where a packed one has flags. */
static void split_rings_stay(void **state)
{
	struct region *const slots = prepare("port8_vq1_hdr");

	(void)state;
	for (unsigned i = 0; i < SLOTS; i++) {
		for (uint16_t k = 0; k < 8; k++) {
			slots[i].of[k].id = k == 0;
			slots[i].of[k].flags = k == 7 ? 32768 : k + 1;
		}
	}
	assert_int_equal(virtiotx_mend(8, 1), 0);
	assert_int_equal(slots[9].of[1].flags, 2);
}

static void a_driver_with_other_tables_stays(void **state)
{
	struct region *const slots = prepare("port9_vq1_hdr");

	(void)state;
	slots[SLOTS - 1].of[7].flags = 0;
	assert_int_equal(virtiotx_mend(9, 1), 0);
	assert_int_equal(flags_of(slots), 8 * SLOTS - 1);
	assert_int_equal(virtiotx_mend(10, 1), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_of_all_queues_are_cleared),
		cmocka_unit_test(split_rings_stay),
		cmocka_unit_test(a_driver_with_other_tables_stays),
	};

	(void)argc;
	if (eal_start(argv[0], 16) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
