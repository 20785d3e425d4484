/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confcheck — the keys of a check that belong to one type only and are more than a word or a number: the
 * bytes that a udp check sends and expects. Part of the loader (conf.h); writing them back as text is for
 * confdiff.
 */
#include "lib/confdraft.h"

#define CONFCHECK_BYTES_MAX 512 /* of a payload */

/* Reads what a check of c->type has. Its path has been set. */
void confcheck_read(struct confread *r, struct conf_check *c, const struct confdraft_check *at);

/* Writes bytes as the file can have them, in printable ASCII. */
void confcheck_print_bytes(FILE *out, const struct conf_bytes *bytes);
