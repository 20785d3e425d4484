/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confcheck — the keys of a check that belong to one type only and are more than a word or a number: the
 * bytes that a udp check sends and expects, the command of an exec check. Part of the loader (conf.h); writing them back as text is for
 * confdiff.
 */
#include "lib/confdraft.h"

#define CONFCHECK_BYTES_MAX 512 /* of a payload */
#define CONFCHECK_WORDS_MAX 64  /* of a command, its path included */

/* Reads what a check of c->type has. Its path has been set. */
void confcheck_read(struct confread *r, struct conf_check *c, const struct confdraft_check *at);

/* Writes bytes as the file can have them, in printable ASCII. */
void confcheck_print_bytes(FILE *out, const struct conf_bytes *bytes);
/* Writes a command so that two different ones never look the same. */
void confcheck_print_command(FILE *out, const struct conf_check *c);
