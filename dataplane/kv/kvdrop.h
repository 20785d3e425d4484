/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * kvdrop — what expires in great number at once, inside a cache; see kvdrop.c.
 */
#include "kv/kv_pvt.h"

/* A new second has begun. Context: the thread of writer 0. */
void kvdrop_begin(struct kv_writer *w);

/* A part of what there is to do. false: there is nothing. Context: the writer's thread, holding no stripe. */
bool kvdrop_run(struct kv_writer *w);

/* As much as kvdrop_run(), of what any writer may do that wants the memory. false: nothing. */
bool kvdrop_help(struct kv_writer *w);
