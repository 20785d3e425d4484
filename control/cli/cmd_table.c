/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_table — all families in the order of the help, and the options that every command takes. */
#include "cli/families.h"

#include <string.h>

const struct cmd_family *const cmd_table[] = {
	&cmd_config_family,
	&cmd_service_family,
	&cmd_backend_family,
	&cmd_health_family,
	&cmd_conn_family,
	&cmd_cache_family,
	&cmd_tcp_family,
	&cmd_port_family,
	&cmd_misc_neigh_family,
	&cmd_misc_worker_family,
	&cmd_explain_family,
	&cmd_trace_family,
	&cmd_capture_family,
	&cmd_misc_family,
	&cmd_wait_family,
	&cmd_self_completion_family,
	&cmd_self_family,
};
const unsigned cmd_table_n_families = sizeof(cmd_table) / sizeof(cmd_table[0]);

static const char *const outputs[] = {"text", "json", NULL};

const struct cmd_param cmd_table_globals[] = {
	{.name = "--socket",
		.key = "socket",
		.value = "PATH",
		.kind = CMD_FILE,
		.help = "-s: control socket of millrace-controld (default: $MILLRACE_SOCKET, "
			"else " CMD_SOCKET ")"},
	{.name = "--output",
		.key = "output",
		.value = "FORMAT",
		.kind = CMD_CHOICE,
		.choices = outputs,
		.help = "-o: text or json (default: $MILLRACE_OUTPUT, else text)"},
	{.name = "--timeout",
		.key = "timeout",
		.value = "DURATION",
		.kind = CMD_TEXT,
		.help = "longest time to wait, such as 500ms, 10s, 2m (default: 10s; wait: 30s; config apply: 60s)"},
	{.name = "--help",
		.key = "help",
		.kind = CMD_FLAG,
		.help = "-h: explain the command instead of running it"},
};
const unsigned cmd_table_n_globals = sizeof(cmd_table_globals) / sizeof(cmd_table_globals[0]);

static bool is_named(const struct cmd *cmd, const char *const *words, unsigned n_words)
{
	const size_t n = strlen(words[0]);

	if (strncmp(cmd->path, words[0], n) != 0)
		return false;
	if (cmd->path[n] == '\0')
		return true;
	return cmd->path[n] == ' ' && n_words >= 2 && strcmp(cmd->path + n + 1, words[1]) == 0;
}

const struct cmd *cmd_table_find(const char *const *words, unsigned n_words)
{
	for (unsigned f = 0; n_words > 0 && f < cmd_table_n_families; f++) {
		for (unsigned i = 0; i < cmd_table[f]->n_cmds; i++) {
			if (is_named(&cmd_table[f]->cmds[i], words, n_words))
				return &cmd_table[f]->cmds[i];
		}
	}
	return NULL;
}

const struct cmd_family *cmd_table_find_family(const char *word)
{
	for (unsigned f = 0; f < cmd_table_n_families; f++) {
		if (cmd_table[f]->name != NULL && strcmp(cmd_table[f]->name, word) == 0)
			return cmd_table[f];
	}
	return NULL;
}
