/* SPDX-License-Identifier: BSD-3-Clause */
/* instrcount — see instrcount.h. The header of valgrind is instructions that do nothing elsewhere; there is no library. */
#include "instrcount.h"

#include <stdio.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>

bool instrcount_can(void)
{
	if (RUNNING_ON_VALGRIND)
		return true;
	fprintf(stderr, "instrcount: nobody counts: run it by perf/micro/instructions.py\n");
	return false;
}

void instrcount_begin(void)
{
	CALLGRIND_START_INSTRUMENTATION;
}

/* The dump comes first: with instrumentation the counts go. */
void instrcount_end(const char *name, unsigned n)
{
	CALLGRIND_DUMP_STATS_AT(name);
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("counted: %u %s\n", n, name);
	fflush(stdout);
}

#else

bool instrcount_can(void)
{
	fprintf(stderr,
		"instrcount: built without <valgrind/callgrind.h>: apt-get install valgrind, touch perf/micro/instrcount.c, build\n");
	return false;
}

void instrcount_begin(void)
{
}

void instrcount_end(const char *name, unsigned n)
{
	(void)name;
	(void)n;
}

#endif
