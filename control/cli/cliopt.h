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
int cliopt_parse(struct cmd_call *call, const struct cmd_family **family, int argc,
	char *const *argv);

/* The longest list of words that completion and spelling help look at. */
#define CLIOPT_WORDS_MAX 128
