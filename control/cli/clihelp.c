/* SPDX-License-Identifier: BSD-3-Clause */
/* clihelp — see clihelp.h. Lines are at most 80 columns; all text comes from the tables, so what is
 * printed is what the parser takes. */
#include "cli/clihelp.h"

#include <string.h>

#define CLIHELP_WIDTH 80
#define CLIHELP_USAGE_MAX 512

/* Breaks text at blanks. The cursor stands at column `indent` already. */
static void print_wrapped(FILE *out, const char *text, unsigned indent)
{
	unsigned column = indent;

	while (*text != '\0') {
		const size_t n = strcspn(text, " ");

		if (column > indent && column + 1 + n > CLIHELP_WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", (int)n, text);
		column += (unsigned)n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* "  TERM      what it is", or the explanation on a line of its own when the term is long. */
static void print_entry(FILE *out, const char *term, const char *text, unsigned indent)
{
	fputs("  ", out);
	if (strlen(term) + 4 > indent) {
		print_wrapped(out, term, 2);
		fprintf(out, "%*s", (int)indent, "");
	} else {
		fprintf(out, "%-*s", (int)indent - 2, term);
	}
	print_wrapped(out, text, indent);
}

static void append(char *buf, const char *before, const char *text, const char *after)
{
	const size_t used = strlen(buf);

	snprintf(buf + used, CLIHELP_USAGE_MAX - used, "%s%s%s", before, text, after);
}

/* "--limit N", "POOL/NAME". */
static void build_term(char buf[static CLIHELP_USAGE_MAX], const struct cmd_param *param)
{
	buf[0] = '\0';
	append(buf, "", param->name, "");
	if (param->value != NULL)
		append(buf, " ", param->value, "");
}

/* "backend weight POOL/NAME N|default", optional parts in brackets. */
static void build_usage(char buf[static CLIHELP_USAGE_MAX], const struct cmd *cmd)
{
	char term[CLIHELP_USAGE_MAX];

	buf[0] = '\0';
	append(buf, "", cmd->path, "");
	for (unsigned i = 0; i < cmd->n_params; i++) {
		const struct cmd_param *const param = &cmd->params[i];

		build_term(term, param);
		append(buf, param->is_required ? " " : " [", term, param->is_required ? "" : "]");
		if (param->kind == CMD_WORDS)
			append(buf, "", "...", "");
	}
}

static void print_params(FILE *out, const struct cmd *cmd)
{
	char term[CLIHELP_USAGE_MAX];

	if (cmd->n_params == 0)
		return;
	fputs("\nArguments:\n", out);
	for (unsigned i = 0; i < cmd->n_params; i++) {
		build_term(term, &cmd->params[i]);
		print_entry(out, term, cmd->params[i].help, 24);
	}
}

static void print_globals(FILE *out)
{
	char term[CLIHELP_USAGE_MAX];

	fputs("\nOptions of every command:\n", out);
	for (unsigned i = 0; i < cmd_table_n_globals; i++) {
		build_term(term, &cmd_table_globals[i]);
		print_entry(out, term, cmd_table_globals[i].help, 24);
	}
}

static void print_examples(FILE *out, const char *examples)
{
	fputs("\nExamples:\n", out);
	while (*examples != '\0') {
		const size_t n = strcspn(examples, "\n");

		fprintf(out, "  %.*s\n", (int)n, examples);
		examples += n + (examples[n] == '\n');
	}
}

static void print_cmd(FILE *out, const struct cmd *cmd)
{
	char usage[CLIHELP_USAGE_MAX];

	build_usage(usage, cmd);
	fputs("usage: millrace ", out);
	print_wrapped(out, usage, 16);
	fprintf(out, "\n%c%s.\n", cmd->summary[0] - 'a' + 'A', cmd->summary + 1);
	if (cmd->text != NULL) {
		fputc('\n', out);
		print_wrapped(out, cmd->text, 0);
	}
	print_params(out, cmd);
	print_globals(out);
	print_examples(out, cmd->examples);
}

static void print_cmds(FILE *out, const struct cmd_family *family)
{
	char usage[CLIHELP_USAGE_MAX];

	for (unsigned i = 0; i < family->n_cmds; i++) {
		build_usage(usage, &family->cmds[i]);
		print_entry(out, usage, family->cmds[i].summary, 40);
	}
}

static void print_family(FILE *out, const struct cmd_family *family)
{
	fprintf(out, "millrace %s: %s\n\n", family->name, family->summary);
	print_cmds(out, family);
	fprintf(out, "\n'millrace help %s COMMAND' explains one of them.\n", family->name);
}

static void print_program(FILE *out)
{
	static const struct {
		const char *code, *meaning;
	} exits[] = {
		{"0", "done; differences: none"},
		{"1", "the daemon refused or failed the operation"},
		{"2", "mistake in the command line"},
		{"3", "configuration invalid"},
		{"4", "valid, with warnings, under --strict"},
		{"5", "there are differences (config diff, config apply --dry-run)"},
		{"6", "another generation than expected"},
		{"7", "daemon unreachable"},
		{"8", "permission denied"},
		{"9", "timed out waiting"},
	};

	fputs("usage: millrace [OPTION...] COMMAND ...\n\nControls a Millrace node through "
	      "millrace-controld.\n",
		out);
	for (unsigned f = 0; f < cmd_table_n_families; f++) {
		fprintf(out, "\n%c%s:\n", cmd_table[f]->summary[0] - 'a' + 'A',
			cmd_table[f]->summary + 1);
		print_cmds(out, cmd_table[f]);
	}
	print_globals(out);
	fputs("\nExit status:\n", out);
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
		fprintf(out, "  %s  %s\n", exits[i].code, exits[i].meaning);
	fputs("\n'millrace help COMMAND' explains a command and shows examples.\n", out);
}

void clihelp_print(FILE *out, const struct cmd *cmd, const struct cmd_family *family)
{
	if (cmd != NULL)
		print_cmd(out, cmd);
	else if (family != NULL)
		print_family(out, family);
	else
		print_program(out);
}
