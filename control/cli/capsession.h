/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
/*
 * capsession — a capture or a trace from its start to its end: the filter is compiled here, as tcpdump does it, and the
 * dataplane is asked for what has come until there is enough, the time is over or somebody interrupts.
 */
#include "cli/cli.h"

/* Options of every command that is a session. */
/* clang-format off: a row each */
#define CAPSESSION_PARAMS(filter_help, port_help) \
	{.name = "--filter", \
		.key = "filter", \
		.value = "EXPRESSION", \
		.kind = CMD_TEXT, \
		.help = filter_help}, \
		{.name = "--port", \
			.key = "port", \
			.value = "NAME", \
			.kind = CMD_PORT, \
			.help = port_help}, \
		{.name = "--count", \
			.key = "count", \
			.value = "N", \
			.kind = CMD_UINT, \
			.min = 1, \
			.max = UINT32_MAX, \
			.help = "end after so many packets"}, \
	{ \
		.name = "--seconds", .key = "seconds", .value = "S", .kind = CMD_UINT, .min = 1, \
		.max = 86400, .help = "end after so long" \
	}
/* clang-format on */

struct capsession {
	const struct cmd_call
		*call;           /* its parameters filter, port, count and seconds are read here */
	const char *read;        /* the method */
	int (*begin)(void *ctx); /* it has not been refused. Returns an exit code */
	void (*take)(void *ctx, const json_t *item);
	int (*flush)(void *ctx); /* after some items. Returns an exit code */
	void *ctx;
	json_int_t id;
	uint64_t n_taken, n_wanted;
	uint64_t end_ms;
};

/* A parameter of the command, or what it is without. */
uint64_t capsession_number(const struct cmd_call *call, const char *key, uint64_t otherwise);

/* Adds filter and port to what capture.start is asked with. Returns an exit code; what is wrong has been reported. */
int capsession_prepare(struct capsession *s, json_t *start);

/* The whole. With EXIT_DONE *end is the answer of capture.stop, a new reference. */
int capsession_run(struct capsession *s, json_t *start, json_t **end);
