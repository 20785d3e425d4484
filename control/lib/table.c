/* SPDX-License-Identifier: BSD-3-Clause */
/* table — see table.h. Cells lie in one growing array, row after row. */
#include "lib/table.h"

#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct table_col {
	char *header;
	enum table_align align;
};

struct table_cell {
	char *text;
	enum table_tone tone;
};

struct table {
	struct table_col *cols;
	struct table_cell *cells;
	size_t n_cells;
	size_t n_cells_max;
	unsigned n_cols;
};

static const char *const tone_start[] = {
	[TABLE_PLAIN] = "",
	[TABLE_GOOD] = "\033[32m",
	[TABLE_WARN] = "\033[33m",
	[TABLE_BAD] = "\033[31m",
};

int table_create(struct table **out, unsigned n_cols)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->cols = calloc(n_cols, sizeof(*t->cols));
	if (t->cols == NULL) {
		free(t);
		return -ENOMEM;
	}
	t->n_cols = n_cols;
	*out = t;
	return 0;
}

void table_destroy(struct table **t)
{
	if (*t == NULL)
		return;
	for (size_t i = 0; i < (*t)->n_cells; i++)
		free((*t)->cells[i].text);
	for (unsigned i = 0; i < (*t)->n_cols; i++)
		free((*t)->cols[i].header);
	free((*t)->cells);
	free((*t)->cols);
	free(*t);
	*t = NULL;
}

void table_set_col(struct table *t, unsigned col, const char *header, enum table_align align)
{
	free(t->cols[col].header);
	t->cols[col].header = header == NULL ? NULL : strdup(header);
	t->cols[col].align = align;
}

int table_add(struct table *t, const char *text, enum table_tone tone)
{
	char *copy;

	if (t->n_cells == t->n_cells_max) {
		const size_t n = t->n_cells_max == 0 ? 64 : t->n_cells_max * 2;
		struct table_cell *cells = realloc(t->cells, n * sizeof(*cells));

		if (cells == NULL)
			return -ENOMEM;
		t->cells = cells;
		t->n_cells_max = n;
	}
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	t->cells[t->n_cells++] = (struct table_cell){copy, tone};
	return 0;
}

unsigned table_n_rows(const struct table *t)
{
	return (unsigned)(t->n_cells / t->n_cols);
}

static void print_cell(const struct table *t, FILE *out, unsigned col, unsigned width,
	const char *text, const char *start)
{
	const unsigned pad = width - text_width(text);

	if (col > 0)
		fputs("  ", out);
	if (t->cols[col].align == TABLE_RIGHT)
		fprintf(out, "%*s", (int)pad, "");
	fputs(start, out);
	text_print(out, text);
	if (*start != '\0')
		fputs("\033[0m", out);
	if (t->cols[col].align == TABLE_LEFT && col + 1 < t->n_cols)
		fprintf(out, "%*s", (int)pad, "");
}

/* The last columns of a row that are empty would leave blanks at the end of the line. */
static unsigned used_cols(const struct table *t, const struct table_cell *row)
{
	unsigned n = t->n_cols;

	while (n > 0 && row[n - 1].text[0] == '\0')
		n--;
	return n;
}

static void print_row(const struct table *t, FILE *out, const unsigned *widths,
	const struct table_cell *row, bool has_color)
{
	const unsigned n = used_cols(t, row);

	for (unsigned c = 0; c < n; c++) {
		const bool is_last = c + 1 == n && t->cols[c].align == TABLE_LEFT;

		print_cell(t, out, c, is_last ? text_width(row[c].text) : widths[c], row[c].text,
			has_color ? tone_start[row[c].tone] : "");
	}
	fputc('\n', out);
}

void table_print(const struct table *t, FILE *out, bool has_color)
{
	unsigned *widths = calloc(t->n_cols, sizeof(*widths));
	bool has_header = false;

	if (widths == NULL)
		return;
	for (unsigned c = 0; c < t->n_cols; c++) {
		has_header |= t->cols[c].header != NULL;
		widths[c] = t->cols[c].header == NULL ? 0 : text_width(t->cols[c].header);
	}
	for (size_t i = 0; i < (size_t)table_n_rows(t) * t->n_cols; i++) {
		const unsigned w = text_width(t->cells[i].text);

		if (w > widths[i % t->n_cols])
			widths[i % t->n_cols] = w;
	}
	if (has_header) {
		for (unsigned c = 0; c < t->n_cols; c++)
			print_cell(t, out, c, widths[c],
				t->cols[c].header == NULL ? "" : t->cols[c].header,
				has_color ? "\033[1m" : "");
		fputc('\n', out);
	}
	for (unsigned r = 0; r < table_n_rows(t); r++)
		print_row(t, out, widths, &t->cells[(size_t)r * t->n_cols], has_color);
	free(widths);
}
