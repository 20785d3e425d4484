/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * trace — a list of requests to a cache, read from a file or made from a description. Keys are numbered 0, 1, ... in order of
 * their first appearance.
 */
#include <stdint.h>

struct trace_request {
	uint32_t time_s;
	uint32_t key;
	uint32_t value_len;
	uint32_t ttl_s; /* 0: none */
};

struct trace {
	const char *name;
	struct trace_request *requests;
	uint64_t n;
	uint32_t n_keys;
	uint64_t value_bytes; /* of all keys, each at its first appearance */
};

/* Reads or makes what is named; ends the program with a message when that cannot be done. */
void trace_load(struct trace *t, const char *name);
void trace_fini(struct trace *t);
