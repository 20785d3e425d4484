/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rendezvous — highest random weight: every member gets a score for the hash, the best is chosen; a change of
 * members moves only what it must (Thaler and Ravishankar, 1998; weights: Schindelhauer and Schomaker, 2005).
 */
#include "lb/sched.h"

extern const struct sched_ops rendezvous_ops;
