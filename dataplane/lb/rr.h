/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rr — round robin: members in turn, whatever their weight.
 */
#include "lb/sched.h"

extern const struct sched_ops rr_ops;
