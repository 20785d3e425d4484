/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kvget — what a writer knows of stampede control in one loop, inside a cache; see kvget.c.
 */
#include "kv/kv_pvt.h"

/* Context: the writer's thread, once in a loop, after its times are set. */
void kvget_begin(struct kv_writer *w);
