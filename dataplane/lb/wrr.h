/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * wrr — smooth weighted round robin: each worker goes through one precomputed sequence.
 */
#include "lb/sched.h"

extern const struct sched_ops wrr_ops;
