/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * instrcount — instructions of a stretch of a program, counted by valgrind's Callgrind: what is before and behind it runs without being
 * instrumented. perf/micro/instructions.py starts such programs and reads what was counted. One thread.
 */
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether there is somebody who counts. Otherwise a line on stderr says what is missing. */
bool instrcount_can(void);

/* From here on ... */
void instrcount_begin(void);

/* ... up to here are n operations of what is called so. A line on stdout tells: "counted: N NAME". */
void instrcount_end(const char *name, unsigned n);

#ifdef __cplusplus
}
#endif
