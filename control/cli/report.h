/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * report — how the CLI says that something went wrong: on standard error, as sentences, or with
 * `-o json` as one object {"error": {code, message, hint, details}}.
 */
#include "cli/request.h"

/* Reports and returns f->exit. Clears the failure. */
int report_failure(const struct cmd_call *call, struct request_failure *f);

/* Reports a mistake in the command line; returns EXIT_USAGE. hint may be NULL. */
int report_usage(const struct cmd_call *call, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
