/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * everymode — a configuration with every mode, scheduler, limit and protocol in it, on a harness that fuzz targets of
 * the packet path use, and changes to it. Clients are in 10.1.0.0/24 and fd00:1::/64 at the north port, backends in
 * 10.2.0.0/24 and fd00:2::/64 at the south port.
 */
#include "harness.h"

/* Puts all of it into the empty model, and applies it. One harness at a time. with: in all bytes of caches that no item has
 * been in. */
void everymode_configure(struct harness *h, uint8_t with);

/* The empty model again, as at start. */
void everymode_unconfigure(void);

/* A change: a backend UP, DRAIN, DOWN, EVICT or absent; a service gone or back; a list other or gone; a SNAT address
 * gone or back; a cache with other times, of another size, gone or back. */
void everymode_edit(uint8_t e);
