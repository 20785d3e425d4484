/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * fuzz_pipeline — what a program that makes inputs for this target may set and see. The steps of an input are at the
 * top of fuzz_pipeline.c.
 */
#include <stdint.h>

/* time() and getpid(), which a cache tells its clients, are the target's: seconds since 1970 when its clock stands at 0. */
#define FUZZ_PIPELINE_EPOCH 1900000000l

struct fuzz_pipeline {
	uint8_t poison;  /* in all bytes of packet buffers that are no packet's */
	uint64_t digest; /* over every frame that was sent, in order */
};
extern struct fuzz_pipeline fuzz_pipeline;

/* Prints the counters and drops that are not 0, since the start. */
void fuzz_pipeline_tell(void);
