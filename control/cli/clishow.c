/* SPDX-License-Identifier: BSD-3-Clause */
/* clishow — see clishow.h. A cell is made in one place for tables and records; whatever is null,
 * absent or of another type than the column wants shows as "-", never as 0. */
#include "cli/clishow.h"

#include "lib/table.h"
#include "lib/text.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define CLISHOW_CELL_MAX 1024

json_t *clishow_find(const json_t *item, const char *path)
{
	const char *dot;

	while ((dot = strchr(path, '.')) != NULL) {
		item = json_object_getn(item, path, (size_t)(dot - path));
		path = dot + 1;
	}
	return json_object_get(item, path);
}

static bool is_right(enum cmd_format format)
{
	return format == FMT_UINT || format == FMT_RATE || format == FMT_SECONDS || format == FMT_MS
		|| format == FMT_AGE || format == FMT_SHARE || format == FMT_PER;
}

static void put_any(char *buf, size_t size, const json_t *v)
{
	if (json_is_string(v)) {
		snprintf(buf, size, "%s", json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(buf, size, "%lld", (long long)json_integer_value(v));
	} else if (json_is_real(v)) {
		snprintf(buf, size, "%g", json_real_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "no");
	} else if (json_is_array(v) && json_array_size(v) > 0) {
		size_t used = 0;

		for (size_t i = 0; i < json_array_size(v) && used + 2 < size; i++) {
			if (i > 0)
				used += (size_t)snprintf(buf + used, size - used, ",");
			put_any(buf + used, size - used, json_array_get(v, i));
			used += strlen(buf + used);
		}
	} else {
		snprintf(buf, size, "-");
	}
}

static void put_number(char *buf, size_t size, enum cmd_format format, double v)
{
	switch (format) {
	case FMT_RATE:
		snprintf(buf, size, v > 0 && v < 9.95 ? "%.1f" : "%.0f", v);
		break;
	case FMT_MS:
		text_duration(buf, size, v / 1000);
		break;
	default:
		text_duration(buf, size, v);
	}
}

static void put_age(char *buf, size_t size, const json_t *v, const json_t *result)
{
	const char *const now = json_string_value(json_object_get(result, "time"));
	double from, to;

	if (!json_is_string(v) || now == NULL || text_time_parse(json_string_value(v), &from) != 0
		|| text_time_parse(now, &to) != 0) {
		snprintf(buf, size, "-");
		return;
	}
	/* Whole seconds: times further apart than a moment read better without fractions. */
	text_duration(buf, size, to > from ? floor(to - from) : 0);
}

static void put_two(
	char *buf, size_t size, const struct cmd_col *col, const json_t *a, const json_t *b)
{
	char left[CLISHOW_CELL_MAX / 2], right[CLISHOW_CELL_MAX / 2 - 1];

	if (a == NULL || json_is_null(a)) {
		snprintf(buf, size, "-");
	} else if (col->format == FMT_ENDPOINT) {
		put_any(left, sizeof(left), a);
		text_endpoint(buf, size, left, (unsigned)json_integer_value(b));
	} else if (col->format == FMT_SHARE || col->format == FMT_PER) {
		const double whole = json_number_value(b);

		if (whole > 0)
			snprintf(buf, size, "%.1f",
				json_number_value(a) * (col->format == FMT_SHARE ? 100 : 1)
					/ whole);
		else
			snprintf(buf, size, "-");
	} else {
		put_any(left, sizeof(left), a);
		put_any(right, sizeof(right), b);
		snprintf(buf, size, "%s/%s", left, right);
	}
}

static void put_cell(
	char *buf, size_t size, const struct cmd_col *col, const json_t *result, const json_t *item)
{
	const json_t *v;

	if (col->custom != NULL) {
		buf[0] = '\0';
		col->custom(item, buf, size);
		return;
	}
	v = clishow_find(item, col->key);
	switch (col->format) {
	case FMT_RATE:
	case FMT_SECONDS:
	case FMT_MS:
		if (json_is_number(v))
			put_number(buf, size, col->format, json_number_value(v));
		else
			snprintf(buf, size, "-");
		break;
	case FMT_AGE:
		put_age(buf, size, v, result);
		break;
	case FMT_ENDPOINT:
	case FMT_PAIR:
	case FMT_OF:
	case FMT_SHARE:
	case FMT_PER:
		put_two(buf, size, col, v, clishow_find(item, col->key2));
		break;
	default:
		put_any(buf, size, v);
	}
}

static enum table_tone tone_of(const struct cmd_col *col, const json_t *item, const char *text)
{
	static const char *const good[] = {"up", "established", "reachable", "yes"};
	static const char *const warn[] = {
		"drain", "evict", "checking", "stale", "incomplete", "pending"};
	static const char *const bad[] = {"down", "ejected", "failed", "no"};

	if (col->format == FMT_OF) {
		const json_int_t n = json_integer_value(clishow_find(item, col->key));

		return n == 0                                                   ? TABLE_BAD
			: n < json_integer_value(clishow_find(item, col->key2)) ? TABLE_WARN
										: TABLE_GOOD;
	}
	if (col->format != FMT_STATE)
		return TABLE_PLAIN;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (strcmp(text, good[i]) == 0)
			return TABLE_GOOD;
	}
	for (size_t i = 0; i < sizeof(warn) / sizeof(warn[0]); i++) {
		if (strcmp(text, warn[i]) == 0)
			return TABLE_WARN;
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (strcmp(text, bad[i]) == 0)
			return TABLE_BAD;
	}
	return TABLE_PLAIN;
}

static int add_cell(
	struct table *t, const struct cmd_col *col, const json_t *result, const json_t *item)
{
	char buf[CLISHOW_CELL_MAX];

	put_cell(buf, sizeof(buf), col, result, item);
	return table_add(t, buf, tone_of(col, item, buf));
}

void clishow_table(const struct cmd_call *call, const struct cmd_col *cols, const json_t *result)
{
	const json_t *const items = json_object_get(result, "items");
	struct table *t = NULL;
	unsigned n_cols = 0;
	const json_t *item;
	size_t i;
	int rc = 0;

	while (cols[n_cols].header != NULL)
		n_cols++;
	if (json_array_size(items) == 0)
		return;
	rc = table_create(&t, n_cols);
	for (unsigned c = 0; rc == 0 && c < n_cols; c++)
		table_set_col(
			t, c, cols[c].header, is_right(cols[c].format) ? TABLE_RIGHT : TABLE_LEFT);
	json_array_foreach(items, i, item) {
		for (unsigned c = 0; rc == 0 && c < n_cols; c++)
			rc = add_cell(t, &cols[c], result, item);
	}
	if (rc == 0)
		table_print(t, call->io->out, call->has_color);
	else
		fprintf(call->io->err, "millrace: out of memory\n");
	table_destroy(&t);
}

void clishow_record(const struct cmd_call *call, const struct cmd_col *cols, const json_t *result,
	const json_t *item)
{
	struct table *t = NULL;
	int rc = table_create(&t, 2);

	for (const struct cmd_col *col = cols; rc == 0 && col->header != NULL; col++) {
		rc = table_add(t, col->header, TABLE_PLAIN);
		if (rc != 0)
			break;
		rc = col->key == NULL && col->custom == NULL ? table_add(t, "", TABLE_PLAIN)
							     : add_cell(t, col, result, item);
	}
	if (rc == 0)
		table_print(t, call->io->out, call->has_color);
	else
		fprintf(call->io->err, "millrace: out of memory\n");
	table_destroy(&t);
}

void clishow_json(const struct cmd_call *call, const json_t *result)
{
	/* 15 digits: 0.1 stays 0.1, and no counter is a real number. */
	json_dumpf(result, call->io->out, JSON_REAL_PRECISION(15) | JSON_INDENT(2));
	fputc('\n', call->io->out);
}

json_t *clishow_build(const char *schema, json_t *items)
{
	char when[64], text[32];
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when, sizeof(when), "%s.%03ldZ", text, ts.tv_nsec / 1000000);
	return json_pack("{s:s, s:n, s:s, s:o}", "schema", schema, "generation", "time", when,
		"items", items);
}

void clishow_result(const struct cmd_call *call, const json_t *result)
{
	const json_t *const items = json_object_get(result, "items");
	const struct cmd *const cmd = call->cmd;

	if (call->is_json)
		clishow_json(call, result);
	else if (json_array_size(items) == 0 && cmd->empty != NULL)
		fprintf(call->io->out, "%s\n", cmd->empty);
	else if (cmd->record != NULL && json_array_size(items) == 1
		&& (cmd->cols == NULL || json_object_get(call->params, "name") != NULL))
		clishow_record(call, cmd->record, result, json_array_get(items, 0));
	else if (cmd->cols != NULL)
		clishow_table(call, cmd->cols, result);
}
