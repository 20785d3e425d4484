/* SPDX-License-Identifier: BSD-3-Clause */
/* complete — see complete.h. The words before the cursor are walked as the parser would, but nothing
 * is refused: what is not understood is passed over. */
#include "cli/complete.h"

#include "cli/cliopt.h"
#include "cli/request.h"

#include <stdlib.h>
#include <string.h>

#define COMPLETE_TIMEOUT_MS 500 /* a person is waiting with a finger on the key */

struct walk {
	const struct cmd_io *io;
	const char *socket;
	const char *words[2];
	unsigned n_words;
	unsigned n_values; /* positional values before the cursor */
	const struct cmd *cmd;
	const struct cmd_param *option; /* the cursor is at its value */
	const char *list[2];            /* last words of a parameter that takes many */
	bool is_end_of_options;
	const char *word; /* what is being completed */
};

static void offer(const struct walk *w, const char *text)
{
	if (strncmp(text, w->word, strlen(w->word)) == 0)
		fprintf(w->io->out, "%s\n", text);
}

static const struct cmd_param *positional(const struct cmd *cmd, unsigned position)
{
	for (unsigned i = 0; i < cmd->n_params; i++) {
		if (cmd->params[i].name[0] == '-')
			continue;
		if (position-- == 0 || cmd->params[i].kind == CMD_WORDS)
			return &cmd->params[i];
	}
	return NULL;
}

/* Names come over a socket and go into a shell: only what is a name goes on. */
static void offer_name(const struct walk *w, const char *pool, const char *name)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
				   "._-";
	char text[160];

	if (name == NULL || name[strspn(name, safe)] != '\0'
		|| (pool != NULL && pool[strspn(pool, safe)] != '\0'))
		return;
	snprintf(text, sizeof(text), "%s%s%s", pool == NULL ? "" : pool, pool == NULL ? "" : "/",
		name);
	offer(w, text);
}

/* Pools are told by their backends, which come one pool after the other. */
static void offer_pools(const struct walk *w, const json_t *items)
{
	const char *last = "";
	const json_t *item;
	size_t i;

	json_array_foreach(items, i, item) {
		const char *const pool = json_string_value(json_object_get(item, "pool"));

		if (pool != NULL && strcmp(pool, last) != 0)
			offer_name(w, NULL, last = pool);
	}
}

static void offer_from_daemon(const struct walk *w, const struct cmd_param *param)
{
	const char *const method = param->kind == CMD_SERVICE ? "service.show"
		: param->kind == CMD_CACHE                    ? "cache.show"
		: param->kind == CMD_PORT                     ? "port.show"
							      : "backend.show";
	const bool is_backend = param->kind == CMD_BACKEND || param->kind == CMD_POOL_BACKEND;
	struct request_failure f;
	const json_t *items, *item;
	json_t *result;
	size_t i;

	/* Without the daemon there are no names: a shell prompt is no place for complaints. */
	if (request_call(
		    w->socket, method, NULL, request_now_ms() + COMPLETE_TIMEOUT_MS, &result, &f)
		!= EXIT_DONE) {
		request_failure_fini(&f);
		return;
	}
	items = json_object_get(result, "items");
	if (param->kind == CMD_POOL || (param->kind == CMD_POOL_BACKEND && param->is_partial))
		offer_pools(w, items);
	json_array_foreach(items, i, item) {
		const char *const pool = json_string_value(json_object_get(item, "pool"));

		if (param->kind != CMD_POOL && (!is_backend || pool != NULL))
			offer_name(w, is_backend ? pool : NULL,
				json_string_value(json_object_get(item, "name")));
	}
	json_decref(result);
}

/* First words, or the second words of a family. */
static void offer_commands(const struct walk *w, const char *first)
{
	const struct cmd_family *const family = first == NULL ? NULL : cmd_table_find_family(first);

	for (unsigned f = 0; first == NULL && f < cmd_table_n_families; f++) {
		if (cmd_table[f]->name != NULL)
			offer(w, cmd_table[f]->name);
		for (unsigned i = 0; cmd_table[f]->name == NULL && i < cmd_table[f]->n_cmds; i++)
			offer(w, cmd_table[f]->cmds[i].path);
	}
	for (unsigned i = 0; family != NULL && i < family->n_cmds; i++)
		offer(w, family->cmds[i].path + strlen(family->name) + 1);
}

static void offer_value(const struct walk *w, const struct cmd_param *param)
{
	switch (param->kind) {
	case CMD_CHOICE:
		for (unsigned i = 0; param->choices[i] != NULL; i++)
			offer(w, param->choices[i]);
		break;
	case CMD_FILE:
		fprintf(w->io->out, "%s\n", COMPLETE_FILES);
		break;
	case CMD_SERVICE:
	case CMD_CACHE:
	case CMD_POOL:
	case CMD_PORT:
	case CMD_BACKEND:
	case CMD_POOL_BACKEND:
		offer_from_daemon(w, param);
		break;
	case CMD_WEIGHT:
		offer(w, "default");
		break;
	case CMD_WORDS:
		if (w->n_values < 2)
			offer_commands(w, w->n_values == 0 ? NULL : w->list[0]);
		break;
	default:
		break;
	}
}

static void offer_options(const struct walk *w)
{
	for (unsigned i = 0; w->cmd != NULL && i < w->cmd->n_params; i++) {
		if (w->cmd->params[i].name[0] == '-')
			offer(w, w->cmd->params[i].name);
	}
	for (unsigned i = 0; i < cmd_table_n_globals; i++)
		offer(w, cmd_table_globals[i].name);
}

static void take_value(struct walk *w, const struct cmd_param *option, const char *value)
{
	if (option->kind == CMD_FILE && strcmp(option->key, "socket") == 0)
		w->socket = value;
	w->option = NULL;
}

static void take_word(struct walk *w, const char *arg)
{
	struct cliopt_match m;

	if (w->option != NULL && strcmp(arg, "=") == 0)
		return; /* bash takes "--limit=5" apart */
	if (w->option != NULL) {
		take_value(w, w->option, arg);
	} else if (!w->is_end_of_options && strcmp(arg, "--") == 0) {
		w->is_end_of_options = true;
	} else if (!w->is_end_of_options && arg[0] == '-' && arg[1] != '\0') {
		const struct cmd_param *const option = cliopt_find(w->cmd, arg, &m);

		if (option != NULL && option->kind != CMD_FLAG && m.value == NULL)
			w->option = option;
		else if (option != NULL && m.value != NULL)
			take_value(w, option, m.value);
	} else if (w->cmd != NULL) {
		if (w->n_values < 2)
			w->list[w->n_values] = arg;
		w->n_values++;
	} else if (w->n_words < 2) {
		w->words[w->n_words++] = arg;
		w->cmd = cmd_table_find(w->words, w->n_words);
	}
}

int complete_run(int argc, char *const *argv, const struct cmd_io *io)
{
	const char *const socket = getenv("MILLRACE_SOCKET");
	struct walk w = {.io = io,
		.socket = socket != NULL && *socket != '\0' ? socket : CMD_SOCKET,
		.word = argc > 0 ? argv[argc - 1] : ""};
	const struct cmd_param *param;

	for (int i = 0; i + 1 < argc; i++)
		take_word(&w, argv[i]);
	if (w.option != NULL) {
		if (strcmp(w.word, "=") == 0)
			w.word = "";
		offer_value(&w, w.option);
	} else if (!w.is_end_of_options && w.word[0] == '-') {
		offer_options(&w);
	} else if (w.cmd == NULL) {
		if (w.n_words < 2)
			offer_commands(&w, w.n_words == 0 ? NULL : w.words[0]);
	} else {
		param = positional(w.cmd, w.n_values);
		if (param != NULL)
			offer_value(&w, param);
	}
	return EXIT_DONE;
}

void complete_script(FILE *out)
{
	fputs("# bash completion of millrace; printed by `millrace completion bash`\n"
	      "_millrace()\n"
	      "{\n"
	      "\tlocal line\n"
	      "\tCOMPREPLY=()\n"
	      "\twhile IFS= read -r line; do\n"
	      "\t\tif [[ $line == " COMPLETE_FILES " ]]; then\n"
	      "\t\t\tcompopt -o default\n"
	      "\t\telse\n"
	      "\t\t\tCOMPREPLY+=(\"$line\")\n"
	      "\t\tfi\n"
	      "\tdone < <(\"${COMP_WORDS[0]}\" " COMPLETE_WORD
	      " \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2> /dev/null)\n"
	      "}\n"
	      "complete -F _millrace millrace\n",
		out);
}
