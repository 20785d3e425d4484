/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * complete — completion in the shell. The script that bash loads knows nothing: it calls this
 * program with COMPLETE_WORD and the words up to the cursor, and takes the lines that come back.
 */
#include "cli/cmd.h"

#define COMPLETE_WORD "__complete"
#define COMPLETE_FILES ":files" /* a line that asks the shell for names of files */

/* Prints what may stand in place of the last word of argv, one to a line. Names come from the
 * daemon, when it answers at once. Returns EXIT_DONE. */
int complete_run(int argc, char *const *argv, const struct cmd_io *io);

/* Prints the script for bash. */
void complete_script(FILE *out);
