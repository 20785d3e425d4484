/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rates — how fast the counters of services grow: their rows are read once a second, and the last two
 * readings give the rate. Daemon thread.
 */
#include "millrace/api_stats.h"

struct event_base;
struct fetch;
struct rates;

/* Per second, over the last whole interval. */
struct rates_values {
	double conns, rx_packets, rx_bytes, tx_packets, tx_bytes;
};

int rates_create(struct rates **out, struct event_base *base, struct fetch *fetch);
void rates_destroy(struct rates **r); /* NULL-safe */

/* False: not known (yet, or the dataplane is away). */
bool rates_find(const struct rates *r, const char *service, struct rates_values *out);
