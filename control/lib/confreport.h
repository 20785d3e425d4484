/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confreport — what the configuration loader found, in the order of the file. Each finding is one
 * sentence with its place; text is what a person reads:
 *
 *     bad.yaml:41:37: error: unknown key 'weigth' in pools.web.backends[2]
 *           - { name: web3, ip: 10.20.1.3, weigth: 50 }
 *                                          ^~~~~~ did you mean 'weight'?
 *
 * Columns count characters from 1. Control characters of the source are shown as '?' and long
 * source lines are cut around the caret, so the text is safe to print. At most CONFREPORT_MAX
 * findings of each severity are kept; n_left_off counts the others.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFREPORT_MAX 100

enum confreport_severity { CONFREPORT_ERROR, CONFREPORT_WARNING };

struct confreport_item {
	enum confreport_severity severity;
	uint32_t line, col; /* from 1 */
	char *message;      /* one line, without place and severity */
	char *hint;         /* "did you mean 'weight'?" or NULL */
	char *text;         /* all of it, several lines, ends with a newline */
};

struct confreport {
	char *name; /* of the file */
	struct confreport_item *items;
	size_t n_items;
	size_t n_errors, n_warnings; /* found, those left off included */
	size_t n_left_off;
};

void confreport_destroy(struct confreport **r); /* NULL-safe */

/* "error" or "warning". */
const char *confreport_severity_name(enum confreport_severity s);

/* The rest is for the loader. */

struct confreport_sink;

/* A stretch of the source, lines and columns from 1, the end exclusive. */
struct confreport_span {
	uint32_t line, col, end_line, end_col;
};

/* name and text stay the caller's and must live as long as the sink. 0 or -ENOMEM. */
int confreport_sink_create(
	struct confreport_sink **out, const char *name, const char *text, size_t len);
void confreport_sink_destroy(struct confreport_sink **s); /* NULL-safe */

/* Adds a finding. hint may be NULL. Running out of memory is remembered until the report is built. */
void confreport_sink_add(struct confreport_sink *s, enum confreport_severity severity,
	struct confreport_span span, const char *hint, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

size_t confreport_sink_n_errors(const struct confreport_sink *s);

/* False once so much was found that looking for a hint is wasted. */
bool confreport_sink_wants_hint(const struct confreport_sink *s);

/* Sorts and renders what was added. 0, or -ENOMEM now or remembered. */
int confreport_build(struct confreport **out, const struct confreport_sink *s);
