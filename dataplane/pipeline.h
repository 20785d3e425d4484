/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * pipeline — the packet path: what worker.c calls with each burst and each tick.
 */
#include "core/worker.h"

extern const struct worker_ops pipeline_ops;

/* What the stage of that name makes of packets that parse has left open; nothing but the records is looked at.
 * Context: a snapshot reader, or the manager. */
void pipeline_classify(const struct snapshot *snap, struct burst *b);

/* The worker that packet 0 of the classified burst would be steered to. Context: as above. */
unsigned pipeline_owner(const struct snapshot *snap, const struct burst *b, unsigned n_workers);
