/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * guard — what a source is known by where new flows of a service are counted. Context: any.
 */
#include "core/burst.h"
#include "lb/lbconf.h"

/* Hot. Keyed hash of the packet's source, as far as the service's source_rate_prefix goes, for rate_take_source(). A source counts for
 * each service by itself. */
uint64_t guard_source(const struct lb_service *s, const struct pkt *p);
