/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * rowjson — rows of the dataplane as JSON for people and scripts, from the message descriptors: field
 * names are keys, integers stay integers, addresses and enumerations become text, what is absent
 * becomes null. Pure but for allocation.
 */
#include "millrace/msg.h"

#include <jansson.h>

/* A new object with every field of the row, or NULL without memory. */
json_t *rowjson_build(const struct mr_msg *msg, const void *row);

/* RFC 3339 in UTC with milliseconds; null for 0. */
json_t *rowjson_time(int64_t time_ms);

/* The address as text, null for none. */
json_t *rowjson_ip(const struct mr_ip *ip);

/* Empty text is null; text that is not UTF-8 (a path, a name cut short) has '?' for what is not ASCII. */
json_t *rowjson_text(const char *text);
