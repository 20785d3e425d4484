/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * mcfix — requests and answers of memcached's protocols as text: what tests of the codecs compare. Bytes to be read are in a
 * heap block of exactly their length, and are given cut at each byte; answers are written where there is room for a few
 * bytes at a time.
 */
#include "proto/mc.h"
#include "unit.h"

/* What a request is: its verb and what it has, or the line that answers it as an error. "" expects MC_BAD. Where it
 * does not end with the bytes, "consumed=N" or "swallow=N" says so. */
struct mcfix_case {
	const char *bytes;
	const char *is;
};

/* With these limits, and as a datagram; whole, followed by something, and cut everywhere. */
void mcfix_expect(const char *bytes, uint32_t len, const char *is, uint32_t value_max);
void mcfix_expect_all(const struct mcfix_case *c, size_t n, uint32_t value_max);

/* The answer to a request in bytes, one result after the other for more keys, and what ends it. */
struct mcfix_answer {
	const char *bytes;
	struct mc_result result;
	const char *is;
};

void mcfix_expect_answers(const struct mcfix_answer *a, size_t n);

/* A status, and the request as text in static memory. */
enum mc_status mcfix_parse(
	struct mc_request *r, const void *bytes, uint32_t len, const struct mc_limits *limits);
const char *mcfix_text_of(enum mc_status status, struct mc_request *r, uint32_t len);
