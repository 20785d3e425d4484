/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * cachegen — what framegen.h puts into datagrams to services of mode cache: memcached's frame header and one or several
 * requests of its text, meta and binary protocols, on few keys, so that they meet what others have stored. All of them are
 * valid but for a few whose words are none.
 */
#include "framegen.h"

/* At g's end; whatever has no room is cut off. */
void cachegen_datagram(struct framegen *g);
