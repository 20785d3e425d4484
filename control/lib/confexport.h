/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confexport — a configuration written out as a file: conf_create() accepts the text and
 * confdiff_create() finds no difference to the source. Comments and spelling of the original are not
 * kept; values equal to their defaults are left out. Pure.
 */
#include "lib/conf.h"

/* 0 with a NUL-terminated text to free() in *text; -ENOMEM. */
int confexport_build(char **text, const struct conf *c);
