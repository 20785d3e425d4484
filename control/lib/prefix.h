/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * prefix — ADDRESS[/LENGTH] as people write it for clients, both ways, with the words for what is wrong
 * with it. No state, any thread; nothing allocates.
 */
#include "millrace/types.h"

#define PREFIX_TEXT_MAX (INET6_ADDRSTRLEN + 4)
#define PREFIX_WHY_MAX 192

/* Without a length it is the whole address. Bits beyond the prefix are refused: one of address and length
 * is not what was meant. 0, or -EINVAL and why. */
int prefix_parse(struct mr_ip *ip, unsigned *len, const char *text, char why[PREFIX_WHY_MAX]);

/* As above, but the length may be 0, which is every address of the family. */
int prefix_parse_any(struct mr_ip *ip, unsigned *len, const char *text, char why[PREFIX_WHY_MAX]);

/* Writes the address, and the length when it is not the whole one. Returns buf. */
const char *prefix_text(char buf[PREFIX_TEXT_MAX], const struct mr_ip *ip, unsigned len);
