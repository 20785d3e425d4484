/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ealargs — the argument vector DPDK's EAL gets, made from our own options. Virtual devices are not in it:
 * they are probed one by one afterwards (device.h), so that a failure names its port.
 */
#include "core/opt.h"

#define EALARGS_MAX 96

struct ealargs {
	int argc;
	char *argv[EALARGS_MAX + 1];
	char text[4096]; /* what argv points into */
	size_t text_len;
};

/* o: resolved, memory_mb set. 0, or -E2BIG when the user's EAL arguments are too many. Context: main
 * thread, before EAL. */
int ealargs_build(struct ealargs *a, const struct opt *o, int pid);

/* Prefix of the files EAL keeps for this process. Returns buf. */
const char *ealargs_prefix(int pid, char *buf, size_t size);
