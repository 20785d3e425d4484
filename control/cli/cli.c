/* SPDX-License-Identifier: BSD-3-Clause */
/* cli — see cli.h. */
#include "cli/cli.h"

#include "cli/clihelp.h"
#include "cli/cliopt.h"
#include "cli/clishow.h"
#include "cli/complete.h"
#include "cli/report.h"

#include <errno.h>
#include <string.h>

int cli_ask(const struct cmd_call *call, json_t *params, json_t **result)
{
	return cli_ask_method(call, call->cmd->method, params, result);
}

int cli_ask_method(const struct cmd_call *call, const char *method, json_t *params, json_t **result)
{
	struct request_failure f;

	if (request_call(
		    call->socket, method, params, request_now_ms() + call->timeout_ms, result, &f)
		!= EXIT_DONE)
		return report_failure(call, &f);
	return EXIT_DONE;
}

static int ask_and_show(const struct cmd_call *call)
{
	json_t *result;
	const int exit = cli_ask(call, call->params, &result);

	if (exit != EXIT_DONE)
		return exit;
	clishow_result(call, result);
	json_decref(result);
	return EXIT_DONE;
}

int cli_flush(const struct cmd_call *call, int exit)
{
	struct request_failure f;

	if (fflush(call->io->out) == 0 && !ferror(call->io->out))
		return exit;
	request_fail(&f, EXIT_FAILED, "internal", NULL, "standard output: %s", strerror(errno));
	return exit != EXIT_DONE ? exit : report_failure(call, &f);
}

int cli_run(int argc, char *const *argv, const struct cmd_io *io)
{
	struct cmd_call call = {.io = io};
	const struct cmd_family *family;
	int exit;

	if (argc >= 2 && strcmp(argv[1], COMPLETE_WORD) == 0)
		return complete_run(argc - 2, argv + 2, io);
	exit = cliopt_parse(&call, &family, argc, argv);
	if (exit == EXIT_DONE) {
		if (call.wants_help)
			clihelp_print(io->out, call.cmd, family);
		else
			exit = call.cmd->run != NULL ? call.cmd->run(&call) : ask_and_show(&call);
		exit = cli_flush(&call, exit);
	}
	json_decref(call.params);
	return exit;
}
