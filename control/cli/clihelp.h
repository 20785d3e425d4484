/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * clihelp — help from the tables of the commands: the whole program, one family, one command.
 */
#include "cli/cmd.h"

/* Prints the help of cmd; without one that of family; without either that of the program. */
void clihelp_print(FILE *out, const struct cmd *cmd, const struct cmd_family *family);
