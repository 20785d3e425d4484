/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * ctlfix — what tests of the control plane share: a directory of their own, an event loop that runs until
 * a condition holds, the log as text, configurations from text. Failing is cmocka's fail().
 */
#include "lib/conf.h"

#include <sys/types.h>

struct event_base;

/* A new directory under /tmp; ctlfix_rm() takes it away with all that is in it. */
void ctlfix_dir(char dir[64]);
void ctlfix_rm(const char *dir);

/* Runs the loop until is_done(arg). A test that waits for 30 s waits for something that never comes: it
 * fails. */
void ctlfix_run_until(struct event_base *base, bool (*is_done)(void *arg), void *arg);

/* Runs what is ready now, and what becomes ready by that, without waiting. */
void ctlfix_run_ready(struct event_base *base);

/* What the process writes to its standard error between the two; the text lives until the next begin. */
void ctlfix_log_begin(void);
const char *ctlfix_log_end(void);

/* A configuration that must be valid. */
struct conf *ctlfix_conf(const char *text);

/* Files of a directory: the whole text (free it; NULL: there is none), and a new one. */
char *ctlfix_read(const char *dir, const char *name);
void ctlfix_write(const char *dir, const char *name, const char *text);

unsigned ctlfix_n_fds(void); /* open descriptors of this process */
