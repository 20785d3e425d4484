/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * request — one question to millrace-controld: connect, send a line, wait for the line that answers
 * it, close. Blocking with a deadline. What goes wrong, here or there, comes back as a failure with
 * the exit code it means. One thread.
 */
#include "cli/cmd.h"

#define REQUEST_LINE_MAX (16u << 20) /* bytes of a line, either way */

struct request_failure {
	enum cmd_exit exit;
	char code[24]; /* of control/README.md */
	char message[1024];
	char hint[512];  /* "": none */
	json_t *details; /* array, or NULL; owned */
};

/* CLOCK_MONOTONIC in milliseconds: what deadlines count in. */
uint64_t request_now_ms(void);

/* Asks and waits until the deadline. Returns 0 with *result (a new reference), or the exit code
 * with *f filled. params may be NULL. */
enum cmd_exit request_call(const char *socket, const char *method, json_t *params,
	uint64_t deadline_ms, json_t **result, struct request_failure *f);

/* Fills a failure of our own. Returns exit. */
enum cmd_exit request_fail(struct request_failure *f, enum cmd_exit exit, const char *code,
	const char *hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

void request_failure_fini(struct request_failure *f);
