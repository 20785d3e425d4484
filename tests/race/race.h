/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * race — helpers of the race suite: plain programs that hammer one structure from several threads and
 * check what must hold. Built with -Db_sanitize=thread they also prove that every access is ordered.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void race_on_timer(int signo)
{
	const int saved = errno;

	(void)signo;
	sched_yield();
	errno = saved;
}

/* A timer of the calling thread's own, for race_interrupt(); the thread deletes it. Built for TSan it has no effect: signals
 * wait there. */
static inline timer_t race_make_timer(void)
{
	struct sigaction action = {.sa_handler = race_on_timer, .sa_flags = SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	timer_t timer;

	event._sigev_un._tid = gettid();
	RACE_CHECK(sigaction(SIGUSR1, &action, NULL) == 0
			&& timer_create(CLOCK_MONOTONIC, &event, &timer) == 0,
		"no timer: %s", strerror(errno));
	return timer;
}

/* In some ten microseconds at most the thread stops wherever it then is, and another one goes on: on few or busy cores threads
 * would else run one after the other, each for longer than the moment that matters. */
static inline void race_interrupt(timer_t timer, uint32_t random)
{
	const struct itimerspec times = {.it_value = {0, 1 + random % 8192}};

	RACE_CHECK(timer_settime(timer, 0, &times, NULL) == 0, "%s", strerror(errno));
}

/* Lets n threads go at the same moment, as far as there are cores: a pthread_barrier wakes one after the other. count: begins with
 * 0; one for each of turn = 0, 1, … that all threads come to. */
static inline void race_start_line(uint32_t *count, uint32_t n, uint32_t turn)
{
	__atomic_fetch_add(
		count, 1, __ATOMIC_ACQ_REL); /* pairs(start-line): what was done before it */
	/* pairs(start-line): ... by the others */
	for (uint32_t spins = 1; __atomic_load_n(count, __ATOMIC_ACQUIRE) < n * (turn + 1); spins++)
		if (spins % 1024 == 0)
			sched_yield();
}

/* xorshift64*: each thread its own state, not 0. */
static inline uint32_t race_random(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return (uint32_t)((*s * 2685821657736338717ull) >> 32);
}
