/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * p2c — power of two choices: of two members at random, the one with fewer connections for its weight
 * (Mitzenmacher, "The power of two choices in randomized load balancing", 2001).
 */
#include "lb/sched.h"

extern const struct sched_ops p2c_ops;
