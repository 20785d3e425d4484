/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * table — rows of text printed in aligned columns. Cells are added left to right, top to bottom;
 * widths are known only when all cells are, so everything is kept until table_print(). One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table;

enum table_align { TABLE_LEFT, TABLE_RIGHT };

/* How a cell is coloured, when colour is on at all. */
enum table_tone { TABLE_PLAIN, TABLE_GOOD, TABLE_WARN, TABLE_BAD };

/* Allocates. 0 or -ENOMEM. */
int table_create(struct table **out, unsigned n_cols);
void table_destroy(struct table **t); /* NULL-safe, clears *t */

/* Header and alignment of a column; a table whose headers are all NULL prints no header line. */
void table_set_col(struct table *t, unsigned col, const char *header, enum table_align align);

/* Adds the next cell; the text is copied. 0 or -ENOMEM. */
int table_add(struct table *t, const char *text, enum table_tone tone);

/* Complete rows so far. */
unsigned table_n_rows(const struct table *t);

/* Prints all rows, two blanks between columns and none at line ends. Control characters in cells
 * are printed as text_print() does. An unfinished last row is not printed. */
void table_print(const struct table *t, FILE *out, bool has_color);
