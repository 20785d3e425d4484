/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * panic — when so many backends of a service fail their checks that those left could not carry its load, or
 * that the checks are likelier to be wrong than the backends: the service then uses all of them. Pure;
 * loop asks, once for each service with a threshold, and tells the dataplane.
 */
#include "daemon/weight.h"

#include <stddef.h>

/* Backends that health decides about: not drained by an operator and of a weight above 0. Those are out of
 * use by somebody's will, in panic too, and taking one out must not bring panic about. */
struct panic_share {
	size_t n_candidates;
	size_t n_down; /* of them; one that no check has looked at yet is not */
};

void panic_share_add(struct panic_share *share, const struct weight_input *in);

/* Whether less than the threshold, in percent of the candidates, is usable. 0: never. */
bool panic_is_due(unsigned threshold_pct, const struct panic_share *share);
