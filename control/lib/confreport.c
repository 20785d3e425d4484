/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * confreport — collects findings while a file is read and renders them once at the end: only what
 * is shown is rendered, so a file that is wrong in a million places costs no more than one that is
 * wrong in a hundred.
 */
#include "lib/confreport.h"

#include "lib/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORED_MAX 1000 /* findings kept until they are sorted; later ones are only counted */
#define SHOWN_COLS 100  /* columns of a source line that are shown */
#define BEFORE_COLS 60  /* of these, at most so many before the caret */
#define MESSAGE_MAX 512 /* bytes of a sentence */

struct found {
	enum confreport_severity severity;
	unsigned seq;
	struct confreport_span span;
	char *message;
	char *hint;
};

struct confreport_sink {
	const char *name;
	const char *text;
	size_t len;
	struct found *founds;
	size_t n_founds;
	size_t n_errors, n_warnings;
	bool is_out_of_memory;
};

const char *confreport_severity_name(enum confreport_severity s)
{
	return s == CONFREPORT_ERROR ? "error" : "warning";
}

int confreport_sink_create(
	struct confreport_sink **out, const char *name, const char *text, size_t len)
{
	struct confreport_sink *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->founds = calloc(STORED_MAX, sizeof(*s->founds));
	if (s->founds == NULL) {
		free(s);
		return -ENOMEM;
	}
	s->name = name;
	s->text = text;
	s->len = len;
	*out = s;
	return 0;
}

void confreport_sink_destroy(struct confreport_sink **sp)
{
	struct confreport_sink *s = *sp;

	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n_founds; i++) {
		free(s->founds[i].message);
		free(s->founds[i].hint);
	}
	free(s->founds);
	free(s);
	*sp = NULL;
}

void confreport_sink_add(struct confreport_sink *s, enum confreport_severity severity,
	struct confreport_span span, const char *hint, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct found *f;
	va_list ap;

	if (severity == CONFREPORT_ERROR)
		s->n_errors++;
	else
		s->n_warnings++;
	if (s->n_founds == STORED_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	text_utf8_repair(message); /* it may have been cut */
	f = &s->founds[s->n_founds];
	*f = (struct found){.severity = severity, .seq = (unsigned)s->n_founds, .span = span};
	f->message = strdup(message);
	f->hint = hint != NULL ? strdup(hint) : NULL;
	if (f->message == NULL || (hint != NULL && f->hint == NULL))
		s->is_out_of_memory = true;
	s->n_founds++;
}

size_t confreport_sink_n_errors(const struct confreport_sink *s)
{
	return s->n_errors;
}

bool confreport_sink_wants_hint(const struct confreport_sink *s)
{
	return s->n_founds < CONFREPORT_MAX;
}

/* One character of UTF-8 (a broken one counts byte by byte). */
static const char *next_char(const char *p, const char *end)
{
	p++;
	while (p < end && ((unsigned char)*p & 0xc0) == 0x80)
		p++;
	return p;
}

/* Tabs stay, so that the caret below lines up; what could drive a terminal or is no whole character
 * becomes '?'. */
static void put_char(FILE *out, const char *p, const char *end)
{
	const size_t n = (size_t)(end - p);
	uint32_t code;

	if (text_utf8_len(p, n, &code) != n || (code < 0x20 && code != '\t')
		|| (code >= 0x7f && code < 0xa0))
		fputc('?', out);
	else
		fwrite(p, 1, n, out);
}

/* Where in the source the last rendering stopped; findings are rendered in order, so the text is
 * walked once however many there are. */
struct cursor {
	const char *p;
	uint32_t line, col;
};

/* Moves on to a place; false when the source ends before it. The column may be one past the end of
 * its line. */
static bool seek_place(struct cursor *c, const char *end, uint32_t line, uint32_t col)
{
	while (c->line < line) {
		while (c->p < end && *c->p != '\n' && *c->p != '\r')
			c->p++;
		if (c->p == end)
			return false;
		c->p += c->p + 1 < end && c->p[0] == '\r' && c->p[1] == '\n' ? 2 : 1;
		c->line++;
		c->col = 1;
	}
	while (c->col < col && c->p < end && *c->p != '\n' && *c->p != '\r') {
		c->p = next_char(c->p, end);
		c->col++;
	}
	return c->col == col;
}

/* The source line and the caret line below it. */
static void render_source(FILE *out, struct cursor *cursor, const char *end,
	const struct confreport_span *span, const char *hint)
{
	const uint32_t first = span->col > BEFORE_COLS + 1 ? span->col - BEFORE_COLS : 1;
	const uint32_t caret_end = span->end_line == span->line ? span->end_col : UINT32_MAX;
	uint32_t n_pad = 0, n_tildes = 0;
	char pad[BEFORE_COLS + 8];
	struct cursor c;

	if (!seek_place(cursor, end, span->line, first))
		return;
	c = *cursor;
	fputs(first > 1 ? "  ..." : "  ", out);
	while (first > 1 && n_pad < 3)
		pad[n_pad++] = ' ';
	for (; c.p < end && *c.p != '\n' && *c.p != '\r' && c.col < first + SHOWN_COLS; c.col++) {
		const char *next = next_char(c.p, end);

		put_char(out, c.p, next);
		if (c.col < span->col)
			pad[n_pad++] = *c.p == '\t' ? '\t' : ' ';
		else if (c.col > span->col && c.col < caret_end)
			n_tildes++;
		c.p = next;
	}
	fprintf(out, "%s\n  %.*s^", c.col == first + SHOWN_COLS ? "..." : "", (int)n_pad, pad);
	while (n_tildes-- > 0)
		fputc('~', out);
	if (hint != NULL)
		fprintf(out, " %s", hint);
	fputc('\n', out);
}

static int render(struct confreport_item *item, const struct confreport_sink *s,
	const struct found *f, struct cursor *cursor)
{
	size_t size;
	FILE *out;

	item->severity = f->severity;
	item->line = f->span.line;
	item->col = f->span.col;
	item->message = strdup(f->message);
	item->hint = f->hint != NULL ? strdup(f->hint) : NULL;
	out = open_memstream(&item->text, &size);
	if (out == NULL)
		return -ENOMEM;
	fprintf(out, "%s:%u:%u: %s: %s\n", s->name, f->span.line, f->span.col,
		confreport_severity_name(f->severity), f->message);
	render_source(out, cursor, s->text + s->len, &f->span, f->hint);
	if (fclose(out) != 0 || item->message == NULL || (f->hint != NULL && item->hint == NULL))
		return -ENOMEM;
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->span.line != y->span.line)
		return x->span.line < y->span.line ? -1 : 1;
	if (x->span.col != y->span.col)
		return x->span.col < y->span.col ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

int confreport_build(struct confreport **out, const struct confreport_sink *s)
{
	struct confreport *r = calloc(1, sizeof(*r));
	size_t n_kept[2] = {0, 0};
	struct cursor cursor = {.p = s->text, .line = 1, .col = 1};

	if (r == NULL)
		return -ENOMEM;
	r->name = strdup(s->name);
	r->items = calloc(s->n_founds + 1, sizeof(*r->items));
	if (s->is_out_of_memory || r->name == NULL || r->items == NULL)
		goto err;
	qsort(s->founds, s->n_founds, sizeof(*s->founds), by_place);
	for (size_t i = 0; i < s->n_founds; i++) {
		if (n_kept[s->founds[i].severity]++ >= CONFREPORT_MAX)
			continue;
		if (render(&r->items[r->n_items++], s, &s->founds[i], &cursor) != 0)
			goto err;
	}
	r->n_errors = s->n_errors;
	r->n_warnings = s->n_warnings;
	r->n_left_off = s->n_errors + s->n_warnings - r->n_items;
	*out = r;
	return 0;
err:
	confreport_destroy(&r);
	return -ENOMEM;
}

void confreport_destroy(struct confreport **rp)
{
	struct confreport *r = *rp;

	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n_items; i++) {
		free(r->items[i].message);
		free(r->items[i].hint);
		free(r->items[i].text);
	}
	free(r->items);
	free(r->name);
	free(r);
	*rp = NULL;
}
