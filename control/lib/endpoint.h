/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * endpoint — ADDRESS:PORT or [ADDRESS]:PORT as people write it, with the words for what is wrong with it. The
 * other way is text_endpoint(). No state, any thread; nothing allocates.
 */
#include "millrace/types.h"

#define ENDPOINT_WHY_MAX 192

/* 0, or -EINVAL and why; *ip and *port are left alone then. */
int endpoint_parse(struct mr_ip *ip, uint16_t *port, const char *text, char why[ENDPOINT_WHY_MAX]);
