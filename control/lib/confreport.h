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
 * findings of each severity are kept, the first ones of the file are sure to be among them only when
 * fewer were found; n_left_off counts the others.
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
