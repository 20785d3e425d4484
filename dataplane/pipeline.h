/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pipeline — the packet path: what worker.c calls with each burst and each tick.
 */
#include "core/worker.h"

extern const struct worker_ops pipeline_ops;
