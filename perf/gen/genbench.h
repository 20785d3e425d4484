/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * genbench — one run of millrace-bench: brings EAL and ports up, begins flows or stores keys, measures, tells. Main thread.
 */
#include "genopt.h"

enum { GENBENCH_DONE = 0, GENBENCH_FAILED = 1, GENBENCH_USAGE = 2, GENBENCH_TOO_SLOW = 3 };

/* The exit status. argv: for the document. */
int genbench_run(const struct genopt *o, int argc, char *const *argv);
