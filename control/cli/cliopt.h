/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * cliopt — from argv to a call: finds the command, checks every value against the kind its
 * parameter declares, and refuses what it does not know with the nearest thing it does know.
 */
#include "cli/cmd.h"

/* Fills *call, whose io the caller has set; defaults come from the environment. Returns 0, or
 * EXIT_USAGE after reporting. call->cmd is NULL with wants_help: help about the whole program, or
 * about *family when that is set. call->params is owned by the caller in every case. */
int cliopt_parse(
	struct cmd_call *call, const struct cmd_family **family, int argc, char *const *argv);

/* How an argument that begins with '-' was read. */
struct cliopt_match {
	size_t name_len;   /* bytes of the argument that are the name */
	const char *value; /* the rest of "--limit=5" or "-ojson"; NULL: none in the argument */
	bool is_global;
};

/* The option that arg names, of every command or of cmd (may be NULL), or NULL. Fills *m. */
const struct cmd_param *cliopt_find(const struct cmd *cmd, const char *arg, struct cliopt_match *m);
