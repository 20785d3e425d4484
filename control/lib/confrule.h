/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * confrule — the second half of reading a configuration: names become references, and the rules over
 * several values are checked. Values that could not be read are left out of every rule, so that one
 * mistake gives one message. Part of the loader (conf.h).
 */
#include "lib/confdraft.h"

/* Resolves and checks the draft; findings go to its sink. */
void confrule_check(struct confdraft *d);
