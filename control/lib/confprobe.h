/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confprobe — checks that go by the path of a service's traffic (`via: service`): which service of a pool that is, and
 * the source port of each backend's probes, by which the dataplane knows whom one is for (mr_backend.probe_port). Part
 * of the loader (conf.h).
 *
 * Ports are a function of the names in the pool alone, so that a daemon that starts again gives the same ones, and a
 * backend that comes or goes seldom moves another's.
 */
#include "lib/confdraft.h"

/* Fills in conf_pool.via and conf_backend.probe_port of the draft, whose references are resolved. Findings go to its
 * sink. */
void confprobe_check(struct confdraft *d);
