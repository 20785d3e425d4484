/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtiotx — see virtiotx.h. The tables are in a memory zone of the driver that anybody in the process finds by its name.
 * They are changed only when all of them are exactly as the driver prepares them.
 */
#include "core/virtiotx.h"

#include <rte_memzone.h>

#include <stdbool.h>
#include <stdio.h>

#define TABLE 8u
#define F_WRITE 2u

/* virtio 1.1, 2.7.13: a descriptor of a packed ring */
struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

/* Of each slot of the ring. */
struct region {
	uint8_t header[16];
	struct descriptor of[TABLE];
};

_Static_assert(sizeof(struct region) == 144, "the driver's layout");

static bool is_as_prepared(const struct region *r)
{
	for (uint16_t i = 0; i < TABLE; i++) {
		if (r->of[i].id != i || r->of[i].flags != F_WRITE)
			return false;
	}
	return r->of[0].addr != 0 && r->of[0].len != 0;
}

static unsigned mend_queue(struct region *slots, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!is_as_prepared(&slots[i]))
			return 0;
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < TABLE; k++)
			slots[i].of[k].flags = 0;
	}
	return n;
}

unsigned virtiotx_mend(uint16_t nic, uint16_t n_txq)
{
	unsigned n = 0;

	for (unsigned q = 0; q < n_txq; q++) {
		const struct rte_memzone *zone;
		char name[RTE_MEMZONE_NAMESIZE];

		/* queues alternate: receive, transmit */
		snprintf(name, sizeof(name), "port%u_vq%u_hdr", nic, 2 * q + 1);
		zone = rte_memzone_lookup(name);
		if (zone != NULL)
			n += mend_queue(zone->addr, (unsigned)(zone->len / sizeof(struct region)));
	}
	return n;
}
