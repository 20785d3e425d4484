/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_self — `millrace version`, `help` and `completion`: answered here, without the daemon. */
#include "cli/clihelp.h"
#include "cli/clishow.h"
#include "cli/complete.h"
#include "cli/families.h"
#include "cli/report.h"

static const char *const shells[] = {"bash", NULL};

static const struct cmd_param completion_params[] = {
	{.name = "SHELL",
		.key = "shell",
		.kind = CMD_CHOICE,
		.choices = shells,
		.is_required = true,
		.help = "bash"},
};

static const struct cmd_param help_params[] = {
	{.name = "COMMAND",
		.key = "words",
		.kind = CMD_WORDS,
		.help = "a command or a family of commands"},
};

static int run_completion(const struct cmd_call *call)
{
	complete_script(call->io->out);
	return EXIT_DONE;
}

static int run_version(const struct cmd_call *call)
{
	json_t *result;

	if (!call->is_json) {
		fprintf(call->io->out, "millrace %s\n", MILLRACE_VERSION);
		return EXIT_DONE;
	}
	result = clishow_build(
		"millrace.version/1", json_pack("[{s:s}]", "version", MILLRACE_VERSION));
	clishow_json(call, result);
	json_decref(result);
	return EXIT_DONE;
}

static int run_help(const struct cmd_call *call)
{
	const json_t *const list = json_object_get(call->params, "words");
	const size_t n = json_array_size(list);
	const struct cmd_family *family = NULL;
	const struct cmd *cmd = NULL;
	const char *words[2] = {NULL, NULL};

	for (size_t i = 0; i < n && i < 2; i++)
		words[i] = json_string_value(json_array_get(list, i));
	if (n > 0 && n <= 2) {
		cmd = cmd_table_find(words, (unsigned)n);
		/* One word: "drops". Two words that name a command of one word are too many. */
		if (cmd != NULL && n == 2 && cmd == cmd_table_find(words, 1))
			cmd = NULL;
		family = n == 1 ? cmd_table_find_family(words[0]) : NULL;
	}
	if (n > 0 && cmd == NULL && family == NULL)
		return report_usage(call, "see: millrace help", "help: no command '%s%s%s%s'",
			words[0], n > 1 ? " " : "", n > 1 ? words[1] : "", n > 2 ? " ..." : "");
	clihelp_print(call->io->out, cmd, family);
	return EXIT_DONE;
}

static const struct cmd completion_cmds[] = {
	{
		.path = "completion",
		.summary = "print the completion script of a shell",
		.text = "The script asks this program for the words, and this program asks the daemon for "
			"names of services, pools, backends and ports when it is reachable.",
		CMD_PARAMS(completion_params),
		.examples =
			"source <(millrace completion bash)\n"
			"millrace completion bash > /usr/share/bash-completion/completions/millrace\n",
		.run = run_completion,
	},
};

static const struct cmd cmds[] = {
	{
		.path = "version",
		.summary = "print the version of this program",
		.text = "`millrace status` tells that of the daemon.",
		.examples = "millrace version\n",
		.run = run_version,
	},
	{
		.path = "help",
		.summary = "explain a command",
		CMD_PARAMS(help_params),
		.examples = "millrace help\n"
			    "millrace help backend\n"
			    "millrace help config apply\n",
		.run = run_help,
	},
};

const struct cmd_family cmd_self_completion_family = {
	.summary = "completion in the shell",
	.cmds = completion_cmds,
	.n_cmds = sizeof(completion_cmds) / sizeof(completion_cmds[0]),
};

const struct cmd_family cmd_self_family = {
	.summary = "this program",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
