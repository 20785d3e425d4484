/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * cli — one run of the program `millrace`: parse, ask or answer, print, exit code. Everything that
 * main() would touch comes in as a parameter, so that tests run it in their own process.
 */
#include "cli/cmd.h"

/* Runs the command line. Reads MILLRACE_SOCKET, MILLRACE_OUTPUT and NO_COLOR. Returns the exit code
 * of control/README.md. */
int cli_run(int argc, char *const *argv, const struct cmd_io *io);

/* Writes out what was printed: a full disk or a closed pipe must not look like success. Returns exit, or
 * EXIT_FAILED in the place of EXIT_DONE, reported. */
int cli_flush(const struct cmd_call *call, int exit);

/* Asks the daemon for call->cmd->method and gives the result, or reports the failure. Returns an
 * exit code. */
int cli_ask(const struct cmd_call *call, json_t *params, json_t **result);

/* The same for a method of its own. */
int cli_ask_method(
	const struct cmd_call *call, const char *method, json_t *params, json_t **result);
