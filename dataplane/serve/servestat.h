/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * servestat — memcached's `stats`, with its names where the figure is the same, so that exporters work; ours begin with
 * millrace_. A worker adds up all writers' counters here: rare, and a few hundred reads.
 */
#include "serve/servemc.h"

/* `stats`, `stats items|slabs|settings`; anything else is not found: there is nothing to reset, sizes are not counted. */
void servestat_answer(const struct servemc *s, struct mc_request *r, struct mc_out *out);
