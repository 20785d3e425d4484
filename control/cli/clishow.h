/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * clishow — answers of the daemon on standard output: as aligned text after the columns that the
 * command declares, or as the JSON that came.
 */
#include "cli/cmd.h"

/* Prints the result of call->cmd. */
void clishow_result(const struct cmd_call *call, const json_t *result);

/* The result as JSON, as it came but indented. */
void clishow_json(const struct cmd_call *call, const json_t *result);

/* Items as a table; nothing at all when there are none. */
void clishow_table(const struct cmd_call *call, const struct cmd_col *cols, const json_t *result);

/* One object, a line for each field. A column without key begins a section. */
void clishow_record(const struct cmd_call *call, const struct cmd_col *cols, const json_t *result,
	const json_t *item);

/* Value at a path like "effective.weight", or NULL. */
json_t *clishow_find(const json_t *item, const char *path);

/* A result of the CLI's own, in the form of the daemon's. Takes items; a new reference. */
json_t *clishow_build(const char *schema, json_t *items);
