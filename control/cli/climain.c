/* SPDX-License-Identifier: BSD-3-Clause */
/* climain — the program `millrace`. */
#include "cli/cli.h"

#include <unistd.h>

int main(int argc, char **argv)
{
	const struct cmd_io io = {
		.in = stdin,
		.out = stdout,
		.err = stderr,
		.out_is_tty = isatty(STDOUT_FILENO) == 1,
		.err_is_tty = isatty(STDERR_FILENO) == 1,
	};

	/* `millrace … | head` ends quietly, as other filters do: SIGPIPE keeps its default. */
	return cli_run(argc, argv, &io);
}
