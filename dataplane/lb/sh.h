/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * sh — source hash: a client keeps its member as long as the member is there.
 */
#include "lb/sched.h"

extern const struct sched_ops sh_ops;
