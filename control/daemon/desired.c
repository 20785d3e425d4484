/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * desired — see desired.h. Text and generation.json are both on the disk before either is renamed, the
 * text first: when the daemon dies between the two, the next start has the new text under the old
 * number, which is the same as an apply that was not answered.
 */
#include "daemon/desired.h"

#include "daemon/keep.h"
#include "daemon/rowjson.h"

#include <jansson.h>

#include <errno.h>
#include <stdlib.h>

#define GENERATION_FILE "generation.json"

static const char empty_text[] = "version: 1\n";

static void read_generation(struct desired *d, struct keep *keep)
{
	const char *name = "", *author = "", *comment = "";
	json_int_t generation = 1, time_ms = 0;
	json_t *file;

	d->generation = 1;
	if (keep_read_json(keep, GENERATION_FILE, &file) != 0)
		return; /* the text is what counts */
	json_unpack(file, "{s?I, s?I, s?s, s?s, s?s}", "generation", &generation, "time_ms",
		&time_ms, "name", &name, "author", &author, "comment", &comment);
	d->generation = generation > 0 ? (uint64_t)generation : 1;
	d->time_ms = time_ms;
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->author, sizeof(d->author), "%s", author);
	snprintf(d->comment, sizeof(d->comment), "%s", comment);
	json_decref(file);
}

int desired_load(struct desired *d, struct keep *keep, const struct conf_host *host,
	struct confreport **report)
{
	int rc;

	memset(d, 0, sizeof(*d));
	*report = NULL;
	rc = keep_read(keep, DESIRED_FILE, CONF_TEXT_MAX, &d->text, &d->text_len);
	if (rc == 0) {
		read_generation(d, keep);
	} else if (rc == -ENOENT) {
		d->text = strdup(empty_text);
		d->text_len = sizeof(empty_text) - 1;
		rc = d->text != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = conf_create_on(&d->conf, report, d->text, d->text_len, DESIRED_FILE, host);
	if (rc != 0)
		desired_fini(d);
	return rc;
}

void desired_fini(struct desired *d)
{
	conf_destroy(&d->conf);
	free(d->text);
	memset(d, 0, sizeof(*d));
}

/* Names of files need not be UTF-8. */
static json_t *text_of(const char *text)
{
	return text[0] == '\0' ? json_string("") : rowjson_text(text);
}

int desired_commit(struct desired *d, struct keep *keep, struct desired *to)
{
	json_t *meta = json_pack("{s:I, s:I, s:o, s:o, s:o}", "generation",
		(json_int_t)to->generation, "time_ms", (json_int_t)to->time_ms, "name",
		text_of(to->name), "author", text_of(to->author), "comment", text_of(to->comment));
	char *text = json_dumps(meta, JSON_INDENT(1) | JSON_SORT_KEYS);
	const struct keep_file files[] = {
		{DESIRED_FILE, to->text, to->text_len},
		{GENERATION_FILE, text, text != NULL ? strlen(text) : 0},
	};
	const int rc = text != NULL ? keep_write_all(keep, files, 2) : -ENOMEM;

	json_decref(meta);
	free(text);
	if (rc != 0)
		return rc;
	desired_fini(d);
	*d = *to;
	memset(to, 0, sizeof(*to));
	return 0;
}
