/* SPDX-License-Identifier: BSD-3-Clause */
/* cmd_config — `millrace config …`. Files are read here and travel as text; `check` needs no daemon,
 * the others ask it. */
#include "cli/cli.h"
#include "cli/clishow.h"
#include "cli/families.h"
#include "cli/report.h"
#include "lib/conf.h"
#include "lib/confreport.h"
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_APPLY_TIMEOUT_MS 60000
#define CONFIG_STDIN "<stdin>"

#define PARAM_FILE \
	{ \
		.name = "FILE", .key = "file", .kind = CMD_FILE, .is_required = true, \
		.help = "configuration file; - is standard input" \
	}

static const struct cmd_param check_params[] = {
	PARAM_FILE,
	{.name = "--strict",
		.key = "strict",
		.kind = CMD_FLAG,
		.help = "exit status 4 when there are warnings"},
};

static const struct cmd_param diff_params[] = {PARAM_FILE};

static const struct cmd_param apply_params[] = {
	PARAM_FILE,
	{.name = "--dry-run",
		.key = "dry_run",
		.kind = CMD_FLAG,
		.help = "check and compare only; exit status 5 when something would change"},
	{.name = "--if-generation",
		.key = "if_generation",
		.value = "N",
		.kind = CMD_UINT,
		.max = INT64_MAX,
		.help = "only when generation N is the current one, else exit status 6"},
	{.name = "--comment",
		.key = "comment",
		.value = "TEXT",
		.kind = CMD_TEXT,
		.help = "kept with the generation"},
};

static const char *file_name(const struct cmd_call *call)
{
	const char *const path = json_string_value(json_object_get(call->params, "file"));

	return strcmp(path, "-") == 0 ? CONFIG_STDIN : path;
}

static int report_file(const struct cmd_call *call, int rc)
{
	const char *const name = file_name(call);
	struct request_failure f;

	if (rc == -EACCES || rc == -EPERM)
		request_fail(&f, EXIT_DENIED, "denied", NULL, "%s: %s", name, strerror(-rc));
	else if (rc == -EFBIG)
		request_fail(&f, EXIT_INVALID, "invalid", NULL, "%s: larger than %u MiB", name,
			CONF_TEXT_MAX >> 20);
	else if (rc == -ENOMEM)
		request_fail(&f, EXIT_FAILED, "internal", NULL, "%s: out of memory", name);
	else
		request_fail(&f, EXIT_USAGE, "usage", NULL, "%s: %s", name, strerror(-rc));
	return report_failure(call, &f);
}

/* Reads all of it into *text (allocated, may hold any bytes). 0 or -errno. */
static int read_all(FILE *in, char **text, size_t *len)
{
	char *buf = NULL;
	size_t n = 0, max = 0;
	int rc = 0;

	for (;;) {
		char *const grown = n < max ? buf : realloc(buf, max = max * 2 + 65536);
		size_t got;

		rc = -ENOMEM;
		if (grown == NULL)
			break;
		buf = grown;
		errno = 0;
		got = fread(buf + n, 1, max - n, in);
		n += got;
		rc = n > CONF_TEXT_MAX ? -EFBIG : 0;
		if (rc != 0)
			break;
		if (got == 0) {
			rc = !ferror(in) ? 0 : errno != 0 ? -errno : -EIO;
			break;
		}
	}
	if (rc != 0) {
		free(buf);
		return rc;
	}
	*text = buf;
	*len = n;
	return 0;
}

/* Returns an exit code; reports. */
static int read_file(const struct cmd_call *call, char **text, size_t *len)
{
	const char *const path = json_string_value(json_object_get(call->params, "file"));
	const bool is_stdin = strcmp(path, "-") == 0;
	FILE *const in = is_stdin ? call->io->in : fopen(path, "re");
	int rc;

	if (in == NULL)
		return report_file(call, -errno);
	rc = read_all(in, text, len);
	if (!is_stdin)
		fclose(in);
	return rc == 0 ? EXIT_DONE : report_file(call, rc);
}

/* --- check */

static json_t *build_finding(const struct confreport *r, const struct confreport_item *item)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s?, s:s}", "severity",
		confreport_severity_name(item->severity), "file", r->name, "line",
		(json_int_t)item->line, "column", (json_int_t)item->col, "message", item->message,
		"hint", item->hint, "text", item->text);
}

static json_t *build_findings(const struct confreport *r)
{
	json_t *const list = json_array();

	for (size_t i = 0; i < r->n_items; i++)
		json_array_append_new(list, build_finding(r, &r->items[i]));
	return list;
}

static void print_check_json(
	const struct cmd_call *call, const struct conf *c, const struct confreport *r)
{
	json_t *const result = clishow_build("millrace.config.check/1", build_findings(r));

	json_object_set_new(result, "valid", json_boolean(c != NULL));
	json_object_set_new(result, "errors", json_integer((json_int_t)r->n_errors));
	json_object_set_new(result, "warnings", json_integer((json_int_t)r->n_warnings));
	json_object_set_new(result, "left_off", json_integer((json_int_t)r->n_left_off));
	clishow_json(call, result);
	json_decref(result);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* Findings and what they amount to on standard error, a valid file on standard output. */
static void print_check_text(
	const struct cmd_call *call, const struct conf *c, const struct confreport *r, int exit)
{
	struct request_failure f;

	request_fail(&f, (enum cmd_exit)exit, "invalid", NULL, "%s: %zu error%s, %zu warning%s%s",
		r->name, r->n_errors, plural(r->n_errors), r->n_warnings, plural(r->n_warnings),
		r->n_left_off > 0 ? "; not all are shown" : "");
	if (r->n_items > 0)
		f.details = build_findings(r);
	if (r->n_items > 0 || c == NULL)
		report_failure(call, &f);
	if (c == NULL || exit != EXIT_DONE)
		return;
	text_print(call->io->out, r->name);
	fprintf(call->io->out, ": valid: %zu service%s, %zu pool%s", c->n_services,
		plural(c->n_services), c->n_pools, plural(c->n_pools));
	if (c->n_caches > 0)
		fprintf(call->io->out, ", %zu cache%s", c->n_caches, plural(c->n_caches));
	fputc('\n', call->io->out);
}

static int run_check(const struct cmd_call *call)
{
	const bool is_strict = json_object_get(call->params, "strict") != NULL;
	struct confreport *report = NULL;
	struct conf *conf = NULL;
	char *text = NULL;
	size_t len = 0;
	int exit = read_file(call, &text, &len);
	int rc;

	if (exit != EXIT_DONE)
		return exit;
	rc = conf_create(&conf, &report, text, len, file_name(call), CONF_SECRETS_TRY);
	free(text);
	if (report == NULL)
		return report_file(call, rc);
	if (rc != 0)
		exit = EXIT_INVALID;
	else if (is_strict && report->n_warnings > 0)
		exit = EXIT_WARNINGS;
	if (call->is_json)
		print_check_json(call, conf, report);
	else
		print_check_text(call, conf, report, exit);
	confreport_destroy(&report);
	conf_destroy(&conf);
	return exit;
}

/* --- diff, apply, export */

/* Sends the file with the method of the command; gives what the daemon found to change. */
static int ask_about_file(const struct cmd_call *call, json_t **result)
{
	json_t *const params = json_copy(call->params);
	struct request_failure f;
	char *text = NULL;
	size_t len = 0;
	json_t *value;
	int exit = read_file(call, &text, &len);

	if (exit != EXIT_DONE) {
		json_decref(params);
		return exit;
	}
	/* the daemon takes no NUL bytes, and no configuration has one */
	value = memchr(text, '\0', len) == NULL ? json_stringn(text, len) : NULL;
	free(text);
	if (value == NULL) {
		json_decref(params);
		request_fail(&f, EXIT_INVALID, "invalid", "see: millrace config check",
			"%s: not UTF-8, or with NUL bytes", file_name(call));
		return report_failure(call, &f);
	}
	json_object_del(params, "file");
	json_object_set_new(params, "name", json_string(file_name(call)));
	json_object_set_new(params, "text", value);
	exit = cli_ask(call, params, result);
	json_decref(params);
	return exit;
}

/* "~ pools.web.backends.web1 weight: 100 -> 50 (new flows are shared out anew)" */
static void print_change(FILE *out, const json_t *change)
{
	static const char *const keys[] = {"op", "object", "field", "from", "to", "effect"};
	const char *texts[6];

	for (unsigned i = 0; i < 6; i++)
		texts[i] = json_string_value(json_object_get(change, keys[i]));
	text_print(out, texts[0] == NULL ? "?" : texts[0]);
	fputc(' ', out);
	text_print(out, texts[1] == NULL ? "?" : texts[1]);
	if (texts[2] != NULL) {
		fputc(' ', out);
		text_print(out, texts[2]);
		fputs(": ", out);
		text_print(out, texts[3] == NULL ? "nothing" : texts[3]);
		fputs(" -> ", out);
		text_print(out, texts[4] == NULL ? "nothing" : texts[4]);
	}
	if (texts[5] != NULL) {
		fputs(" (", out);
		text_print(out, texts[5]);
		fputc(')', out);
	}
	fputc('\n', out);
}

static size_t print_changes(const struct cmd_call *call, const json_t *result)
{
	const json_t *const items = json_object_get(result, "items");
	const json_t *change;
	size_t i;

	if (call->is_json) {
		clishow_json(call, result);
		return json_array_size(items);
	}
	json_array_foreach(items, i, change) {
		print_change(call->io->out, change);
	}
	if (json_array_size(items) == 0)
		fputs("no difference\n", call->io->out);
	return json_array_size(items);
}

static int run_diff(const struct cmd_call *call)
{
	json_t *result;
	int exit = ask_about_file(call, &result);

	if (exit != EXIT_DONE)
		return exit;
	exit = print_changes(call, result) > 0 ? EXIT_DIFFERENT : EXIT_DONE;
	json_decref(result);
	return exit;
}

static int run_apply(const struct cmd_call *call)
{
	json_t *result;
	int exit = ask_about_file(call, &result);
	size_t n;

	if (exit != EXIT_DONE)
		return exit;
	n = print_changes(call, result);
	if (json_object_get(call->params, "dry_run") != NULL)
		exit = n > 0 ? EXIT_DIFFERENT : EXIT_DONE;
	else if (!call->is_json)
		fprintf(call->io->out, "generation %lld applied%s\n",
			(long long)json_integer_value(json_object_get(result, "generation")),
			json_is_true(json_object_get(result, "pending"))
				? "; the dataplane is away and gets it when it is back"
				: "");
	json_decref(result);
	return exit;
}

static int run_export(const struct cmd_call *call)
{
	struct request_failure f;
	const json_t *text;
	json_t *result;
	int exit = cli_ask(call, call->params, &result);

	if (exit != EXIT_DONE)
		return exit;
	text = json_object_get(json_array_get(json_object_get(result, "items"), 0), "text");
	if (call->is_json) {
		clishow_json(call, result);
	} else if (json_is_string(text)) {
		/* Byte for byte: it is a file. */
		fwrite(json_string_value(text), 1, json_string_length(text), call->io->out);
	} else {
		request_fail(&f, EXIT_FAILED, "internal", "has a configuration ever been applied?",
			"the daemon sent no text");
		exit = report_failure(call, &f);
	}
	json_decref(result);
	return exit;
}

static const struct cmd cmds[] = {
	{
		.path = "config check",
		.summary = "check a configuration file, without the daemon",
		.text = "All mistakes are told at once, each with its place. Needs no rights but to read "
			"the file.",
		CMD_PARAMS(check_params),
		.examples = "millrace config check /etc/millrace/millrace.yaml\n"
			    "millrace config check new.yaml --strict\n"
			    "millrace -o json config check - < new.yaml\n",
		.run = run_check,
	},
	{
		.path = "config diff",
		.method = "config.diff",
		.summary = "compare a file with the configuration in force",
		.text = "Differences are about meaning: order and comments do not count, and a default "
			"written out equals the default left out. Exit status 5 when there are any.",
		CMD_PARAMS(diff_params),
		.examples = "millrace config diff new.yaml\n",
		.run = run_diff,
	},
	{
		.path = "config apply",
		.method = "config.apply",
		.summary = "put a configuration file in force",
		.text = "All or nothing: when anything fails, what was in force stays. Flows of services "
			"and backends that stay are not touched. While the dataplane is away the "
			"configuration is accepted and pushed when it is back.",
		CMD_PARAMS(apply_params),
		.examples = "millrace config apply new.yaml --dry-run\n"
			    "millrace config apply new.yaml --comment 'add web4'\n"
			    "millrace config apply new.yaml --if-generation 7\n",
		.timeout_ms = CONFIG_APPLY_TIMEOUT_MS,
		.run = run_apply,
	},
	{
		.path = "config export",
		.method = "config.export",
		.summary = "print the configuration that was applied last",
		.text = "The file as it was applied, comments included.",
		.examples = "millrace config export > millrace.yaml\n"
			    "millrace -o json config export | jq -r '.items[0].author'\n",
		.run = run_export,
	},
};

const struct cmd_family cmd_config_family = {
	.name = "config",
	.summary = "the configuration file",
	.cmds = cmds,
	.n_cmds = sizeof(cmds) / sizeof(cmds[0]),
};
