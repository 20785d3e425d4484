/* SPDX-License-Identifier: BSD-3-Clause */
/* method_config — config.apply, config.diff, config.export. */
#include "daemon/method.h"
#include "daemon/rowjson.h"
#include "lib/confdiff.h"
#include "lib/confreport.h"
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>

/* What an apply answers with when the dataplane has spoken. */
struct waiting {
	struct ctlsrv_request *r;
	json_t *items;
};

static json_t *build_details(const struct confreport *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->n_items; i++) {
		const struct confreport_item *f = &report->items[i];

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:s, s:o, s:s}", "severity",
				confreport_severity_name(f->severity), "line", (json_int_t)f->line,
				"column", (json_int_t)f->col, "message", f->message, "hint",
				rowjson_text(f->hint != NULL ? f->hint : ""), "text", f->text));
	}
	return list;
}

static json_t *build_rows(const struct confdiff *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n_rows; i++) {
		const struct confdiff_row *row = &d->rows[i];
		const char op[2] = {row->op, '\0'};

		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:o, s:o, s:s}", "op", op, "object", row->object,
				"field", rowjson_text(row->field != NULL ? row->field : ""), "from",
				rowjson_text(row->from != NULL ? row->from : ""), "to",
				rowjson_text(row->to != NULL ? row->to : ""), "effect",
				row->effect));
	}
	return list;
}

/* Reads the text; NULL: refused, r is gone. */
static struct conf *read_text(
	struct ctlsrv_request *r, const char *text, size_t len, const char *name)
{
	struct confreport *report;
	struct conf *c = NULL;
	const struct conf_host host = loop_host(r->loop);
	const int rc = conf_create_on(&c, &report, text, len, name, &host);

	if (rc == -EINVAL)
		ctlsrv_refuse(r, "invalid", "nothing was changed", build_details(report),
			"%.200s: %zu error%s", name, report->n_errors,
			report->n_errors == 1 ? "" : "s");
	else if (rc != 0)
		method_no_memory(r);
	confreport_destroy(&report);
	return c;
}

/* The difference to what is applied as items; NULL: refused, r is gone. */
static json_t *compare(struct ctlsrv_request *r, const struct conf *to)
{
	const struct desired *d = loop_desired(r->loop);
	struct confdiff *diff;
	json_t *items;

	if (confdiff_create(&diff, d->generation != 0 ? d->conf : NULL, to) != 0) {
		method_no_memory(r);
		return NULL;
	}
	items = build_rows(diff);
	confdiff_destroy(&diff);
	return items;
}

void method_config_diff(struct ctlsrv_request *r)
{
	const char *text, *name;
	size_t len;
	struct conf *c;
	json_t *items;

	if (!method_unpack(r, "{s:s%, s:s}", "text", &text, &len, "name", &name))
		return;
	c = read_text(r, text, len, name);
	if (c == NULL)
		return;
	items = compare(r, c);
	if (items != NULL)
		ctlsrv_answer(r, "config.diff", items, NULL);
	conf_destroy(&c);
}

static void refuse_conflict(struct ctlsrv_request *r, uint64_t generation)
{
	ctlsrv_refuse(r, "conflict",
		"somebody else applied one: see `millrace config diff FILE`, then apply again",
		NULL, "the applied generation is %llu, not the expected one",
		(unsigned long long)generation);
}

static void on_applied(void *arg, const struct loop_applied *result)
{
	struct waiting *w = arg;
	struct ctlsrv_request *r = w->r;
	json_t *items = w->items;

	free(w);
	switch (result->verdict) {
	case LOOP_APPLIED:
	case LOOP_PENDING:
		ctlsrv_answer(r, "config.apply", items,
			json_pack("{s:b, s:b}", "pending", result->verdict == LOOP_PENDING,
				"dry_run", false));
		return;
	case LOOP_CONFLICT:
		refuse_conflict(r, result->generation);
		break;
	case LOOP_REFUSED:
		ctlsrv_refuse(r, "invalid", "the running configuration is untouched", NULL,
			"the dataplane refused it: %s%s%s", result->object,
			result->object[0] != '\0' ? ": " : "", result->message);
		break;
	case LOOP_UNSAVED:
		ctlsrv_refuse(r, "internal",
			"the running configuration stays; make room and apply again", NULL, "%s",
			result->message);
		break;
	}
	json_decref(items);
}

/* As much as there is room for, no character cut in two. */
static void copy_cut(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size);

	if (n == size) {
		for (n--; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80;)
			n--;
	}
	memcpy(to, from, n);
	to[n] = '\0';
}

/* Takes c over. */
static void apply(struct ctlsrv_request *r, struct conf *c, const char *text, size_t len,
	const char *name, uint64_t if_generation, const char *comment, json_t *items)
{
	struct desired to = {.conf = c, .text_len = len, .time_ms = loop_now_ms()};
	struct waiting *w = calloc(1, sizeof(*w));

	to.text = malloc(len + 1);
	if (to.text != NULL)
		memcpy(to.text, text, len + 1);
	copy_cut(to.name, sizeof(to.name), name);
	copy_cut(to.author, sizeof(to.author), r->author);
	copy_cut(to.comment, sizeof(to.comment), comment);
	if (w != NULL)
		*w = (struct waiting){r, items};
	if (w == NULL || to.text == NULL
		|| loop_apply(r->loop, &to, if_generation, on_applied, w) != 0) {
		free(w);
		desired_fini(&to);
		json_decref(items);
		method_no_memory(r);
	}
}

void method_config_apply(struct ctlsrv_request *r)
{
	const char *text, *name, *comment = "";
	json_int_t if_generation = (json_int_t)LOOP_ANY_GENERATION;
	int is_dry_run = 0;
	size_t len;
	struct conf *c;
	json_t *items;

	if (!method_unpack(r, "{s:s%, s:s, s?I, s?s, s?b}", "text", &text, &len, "name", &name,
		    "if_generation", &if_generation, "comment", &comment, "dry_run", &is_dry_run))
		return;
	if (strlen(comment) >= DESIRED_TEXT_MAX) {
		ctlsrv_refuse(r, "usage", NULL, NULL, "the comment is longer than %d bytes",
			DESIRED_TEXT_MAX - 1);
		return;
	}
	if ((uint64_t)if_generation != LOOP_ANY_GENERATION
		&& (uint64_t)if_generation != loop_desired(r->loop)->generation) {
		refuse_conflict(r, loop_desired(r->loop)->generation);
		return;
	}
	c = read_text(r, text, len, name);
	if (c == NULL)
		return;
	items = compare(r, c);
	if (items == NULL) {
		conf_destroy(&c);
	} else if (is_dry_run) {
		conf_destroy(&c);
		ctlsrv_answer(r, "config.apply", items,
			json_pack("{s:b, s:b}", "pending", false, "dry_run", true));
	} else {
		apply(r, c, text, len, name, (uint64_t)if_generation, comment, items);
	}
}

void method_config_export(struct ctlsrv_request *r)
{
	const struct desired *d = loop_desired(r->loop);

	if (method_unpack(r, "{}"))
		ctlsrv_answer(r, "config.export",
			json_pack("[{s:s%, s:o, s:o, s:o, s:o}]", "text", d->text, d->text_len,
				"name", rowjson_text(d->name), "author", rowjson_text(d->author),
				"applied", rowjson_time(d->time_ms), "comment",
				rowjson_text(d->comment)),
			NULL);
}
