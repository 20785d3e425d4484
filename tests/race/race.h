/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * race — helpers of the race suite: plain programs that hammer one structure from several threads and
 * check what must hold. Built with -Db_sanitize=thread they also prove that every access is ordered.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define RACE_CHECK(cond, ...) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

static inline pthread_t race_start(void *(*body)(void *), void *arg)
{
	pthread_t t;

	RACE_CHECK(pthread_create(&t, NULL, body, arg) == 0, "thread did not start");
	return t;
}

/* xorshift64*: each thread its own state, not 0. */
static inline uint32_t race_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return (uint32_t)((*s * 2685821657736338717ull) >> 32);
}
