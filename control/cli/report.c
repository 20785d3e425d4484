/* SPDX-License-Identifier: BSD-3-Clause */
/* report — see report.h. Details of a configuration error are objects with a place; others are
 * printed as they come. */
#include "cli/report.h"

#include "lib/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Several lines: each is made safe by itself, for text_print() would show the newlines. */
static void print_lines(FILE *out, const char *text)
{
	char *const copy = strdup(text);
	char *rest = copy;

	for (char *line; copy != NULL && (line = strsep(&rest, "\n")) != NULL;) {
		text_print(out, line);
		if (rest != NULL)
			fputc('\n', out);
	}
	free(copy);
}

static void print_detail(FILE *out, const json_t *d)
{
	const char *const whole = json_string_value(json_object_get(d, "text"));
	const char *const text = json_string_value(d);
	const char *const message = json_string_value(json_object_get(d, "message"));

	if (whole != NULL) {
		print_lines(out, whole);
		if (whole[0] != '\0' && whole[strlen(whole) - 1] == '\n')
			return;
	} else if (text != NULL) {
		text_print(out, text);
	} else if (message != NULL) {
		const char *const file = json_string_value(json_object_get(d, "file"));
		const char *const severity = json_string_value(json_object_get(d, "severity"));
		const char *const hint = json_string_value(json_object_get(d, "hint"));
		const long long line = json_integer_value(json_object_get(d, "line"));

		if (file != NULL)
			text_print(out, file);
		if (line > 0)
			fprintf(out, ":%lld:%lld", line,
				json_integer_value(json_object_get(d, "column")));
		fprintf(out, "%s%s: ", file != NULL || line > 0 ? ": " : "",
			severity == NULL ? "error" : severity);
		text_print(out, message);
		if (hint != NULL) {
			fputs("; ", out);
			text_print(out, hint);
		}
	} else {
		char *const dump = json_dumps(d, JSON_COMPACT | JSON_ENCODE_ANY);

		text_print(out, dump == NULL ? "?" : dump);
		free(dump);
	}
	fputc('\n', out);
}

static void print_text(FILE *out, const struct request_failure *f, bool has_color)
{
	const json_t *detail;
	size_t i;

	json_array_foreach(f->details, i, detail) {
		print_detail(out, detail);
	}
	fputs(has_color ? "\033[31mmillrace:\033[0m " : "millrace: ", out);
	text_print(out, f->message);
	fputc('\n', out);
	if (f->hint[0] != '\0') {
		fputs("  hint: ", out);
		text_print(out, f->hint);
		fputc('\n', out);
	}
}

int report_failure(const struct cmd_call *call, struct request_failure *f)
{
	const int exit = (int)f->exit;

	if (call->is_json) {
		json_t *const error = json_pack("{s:{s:s, s:s, s:s*, s:O*}}", "error", "code",
			f->code, "message", f->message, "hint", f->hint[0] == '\0' ? NULL : f->hint,
			"details", f->details);

		json_dumpf(error, call->io->err, JSON_COMPACT);
		fputc('\n', call->io->err);
		json_decref(error);
	} else {
		print_text(call->io->err, f, call->io->err_is_tty && getenv("NO_COLOR") == NULL);
	}
	request_failure_fini(f);
	return exit;
}

int report_usage(const struct cmd_call *call, const char *hint, const char *fmt, ...)
{
	struct request_failure f;
	char message[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	request_fail(&f, EXIT_USAGE, "usage", hint, "%s", message);
	return report_failure(call, &f);
}
