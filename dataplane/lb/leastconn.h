/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * leastconn — least connections: the member with the fewest, or with the fewest for its weight.
 */
#include "lb/sched.h"

extern const struct sched_ops leastconn_lc_ops;
extern const struct sched_ops leastconn_wlc_ops;
